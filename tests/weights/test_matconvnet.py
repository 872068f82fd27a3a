"""MatConvNet's files in their several nestings: written by SciPy, and byte by byte; and hostile ones."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
import readers
import scipy.io
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from readers import assert_holds, damaged, outcome, survived, truncations, written

from scratchnst.models.network import Preprocessing
from scratchnst.weights.assembly import FileWeights
from scratchnst.weights.formats import matconvnet

OXFORD_RGB = Preprocessing("RGB", 1.0, (123.68, 116.779, 103.939))
VGG16 = ("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1", "conv3_2", "conv3_3", "conv4_1")


def parameters(names=("conv1_1", "conv1_2", "conv5_4")):
    """Kernels (kh, kw, C_in, C_out) whose four sides differ, and biases; no number comes twice."""
    rng = np.random.default_rng(5)
    return {
        name: (rng.standard_normal((2, 5, 3 + n, 4 + n)).astype("f4"), rng.standard_normal(4 + n).astype("f4"))
        for n, name in enumerate(names)
    }


# The nestings, as scipy writes them ----------------------------------------------------------------------------


def cell(*items, shape=(1, -1)):
    array = np.empty(len(items), object)
    array[:] = items
    return array.reshape(shape)


def records(*structs):
    """An array of structs, all with the same fields."""
    array = np.empty((1, len(structs)), [(name, object) for name in structs[0]])
    for index, fields in enumerate(structs):
        for name, value in fields.items():
            array[0, index][name] = value
    return array


def text(string):
    return np.array([string])


def imported(arrays):
    """As the importer wrote it with scipy, uncompressed: weights first, biases rows, an average image."""
    layers = []
    for name, (kernel, bias) in arrays.items():
        weights = cell(kernel, bias.reshape(1, -1))
        layers.append({"weights": weights, "pad": np.ones((1, 4)), "type": text("conv"), "name": text(name)})
        layers.append({"type": text("relu"), "name": text(name.replace("conv", "relu"))})
    fc = cell(np.ones((7, 7, 2, 6), "f4"), np.ones((1, 6), "f4"))
    layers.append({"weights": fc, "type": text("conv"), "name": text("fc6")})
    image = np.broadcast_to([123.68, 116.779, 103.939], (224, 224, 3))
    return {
        "layers": cell(*layers),
        "classes": {"name": cell("n01440764", "n01443537"), "description": cell("tench", "goldfish")},
        "normalization": {"imageSize": np.array([[224.0, 224, 3]]), "averageImage": image, "keepAspect": True},
    }


def tidied(arrays):
    """As beta16 and later saved it: name first, biases columns, the mean in meta."""
    layers = [
        {
            "name": text(name),
            "type": text("conv"),
            "weights": cell(kernel, bias.reshape(-1, 1)),
            "pad": np.array([[1, 1, 1, 1]], np.uint8),
            "opts": cell(),
            "dilate": 1.0,
        }
        for name, (kernel, bias) in arrays.items()
    ]
    image = np.array([123.68, 116.779, 103.939], "f4").reshape(1, 1, 3)
    meta = {"normalization": {"averageImage": image, "interpolation": "bilinear"}, "inputs": {"name": "data"}}
    return {"layers": cell(*layers), "meta": meta}


def oldest(arrays):
    layers = [
        {"type": text("conv"), "name": text(name), "filters": kernel, "biases": bias.reshape(1, -1)}
        for name, (kernel, bias) in arrays.items()
    ]
    return {"layers": cell(*layers), "normalization": {"averageImage": np.array([[123.68, 116.779, 103.939]])}}


def array_of_structs(arrays):
    layers = [
        {"name": text(name), "weights": cell(kernel, bias.reshape(1, -1), shape=(-1, 1))}
        for name, (kernel, bias) in arrays.items()
    ]
    return {"layers": records(*layers)}


def in_net(arrays):
    return {"net": tidied(arrays)}


NESTINGS = (imported, tidied, oldest, array_of_structs, in_net)


def saved(path, contents, compressed=False):
    with path.open("wb") as file:  # given a name, scipy would add a suffix to it
        scipy.io.savemat(file, contents, do_compression=compressed)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("nesting", NESTINGS)
@pytest.mark.parametrize("names", [("conv1_1", "conv1_2", "conv5_4"), VGG16])
def test_kernels_and_biases_are_found_in_their_order(path, nesting, names, compressed):
    arrays = parameters(names)
    saved(path, nesting(arrays), compressed)
    weights = matconvnet.read(path)
    assert_holds(weights, arrays)
    assert weights.preprocessing == OXFORD_RGB
    assert matconvnet.recognises(path)


@pytest.mark.parametrize(
    ("image", "mean"),
    [
        (np.array([1.0, 2, 4]).reshape(1, 1, 3), (1, 2, 4)),
        (np.array([[1.0, 2, 4]]), (1, 2, 4)),
        (np.array([[1.0], [2], [4]]), (1, 2, 4)),
        (np.arange(12, dtype=np.float32).reshape(2, 2, 3), (4.5, 5.5, 6.5)),
        (np.zeros((1, 2)), OXFORD_RGB.mean),
        (np.zeros((0, 0)), OXFORD_RGB.mean),
    ],
)
def test_the_average_image_becomes_the_mean_colour(path, image, mean):
    saved(path, imported(parameters()) | {"normalization": {"averageImage": image}})
    assert matconvnet.read(path).preprocessing == Preprocessing("RGB", 1.0, mean)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layers": np.ones((1, 3))}, "no layer named"),
        ({"layers": cell()}, "no layer named"),
        ({"layers": cell(np.ones(2), {"name": text("fc6")}, {"type": text("conv")})}, "no layer named"),
        ({"layers": cell({"name": np.array(["conv1_1", "conv1_2"])})}, "no layer named"),
        ({"layers": cell({"name": text("conv1_1")})}, "should hold a kernel"),
        (
            {"layers": cell({"name": text("conv1_1"), "weights": cell(np.ones((3, 3, 3, 4), "f4"))})},
            "should hold a kernel",
        ),
        ({"layers": cell({"name": text("conv1_1"), "weights": cell("a", "b")})}, "should hold a kernel"),
        ({"layers": cell({"name": text("conv1_1"), "weights": cell({"a": 1.0}, 1.0)})}, "should hold a kernel"),
        ({"layers": cell({"name": text("conv1_1"), "weights": cell(np.ones((3, 4)), np.ones(4))})}, "no convolution's"),
        (
            {"layers": cell({"name": text("conv1_1"), "weights": cell(np.ones((1, 2, 3, 4)), np.ones((2, 2)))})},
            "no conv",
        ),
        (
            {"layers": cell({"name": text("conv1_1"), "weights": cell(np.ones(4_000_000, "f4"), 1.0)})},
            "declares a shape",
        ),
        ({"layers": cell(*imported(parameters())["layers"].flat, {"name": text("conv1_1")})}, "twice"),
        ({"layers": cell(1j)}, "complex"),
        ({"layers": scipy.sparse.csc_array(np.eye(2))}, "sparse"),
        ({"normalization": {"averageImage": np.full((1, 1, 3), np.nan)}}, "average image"),
        ({"normalization": {"averageImage": np.ones((4, 4))}}, "average image"),
        ({"normalization": {"averageImage": "a picture"}}, None),
    ],
)
def test_an_unsuitable_file_is_refused(path, change, message):
    saved(path, imported(parameters()) | change)
    if message is None:  # a text counts as no image
        assert matconvnet.read(path).preprocessing == OXFORD_RGB
        return
    readers.refused(matconvnet.read, path, message)


def test_version_7_3_is_recognised_and_told_what_to_do(path):
    head = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, HDF5 schema 1.00 .".ljust(124) + b"\x00\x02IM"
    written(path, head + bytes(384) + b"\x89HDF\r\n\x1a\n")
    assert matconvnet.recognises(path)
    readers.refused(matconvnet.read, path, "-v7")


@pytest.mark.parametrize("data", [b"", b"MATLAB 5.0 MAT-file", bytes(200), b"MATLAB is a language.\n" * 20])
def test_other_files_are_not_recognised(path, data):
    written(path, data)
    assert not matconvnet.recognises(path)
    readers.refused(matconvnet.read, path, "damaged")


# The format, by hand: an element is its type, its size and its contents, filled up to eight bytes ---------------


def file_of(*variables, order="<"):
    version = struct.pack(f"{order}H", 0x100) + (b"IM" if order == "<" else b"MI")
    return b"MATLAB 5.0 MAT-file, written by hand".ljust(124) + version + b"".join(variables)


def element(type_, contents, order="<"):
    return struct.pack(f"{order}2I", type_, len(contents)) + contents + bytes(-len(contents) % 8)


def small_element(type_, contents, order="<"):
    return struct.pack(f"{order}I", len(contents) << 16 | type_) + contents.ljust(4, b"\x00")


def matrix(class_, shape, *contents, name=b"", order="<", flags=0):
    head = element(6, struct.pack(f"{order}2I", class_ | flags, 0), order)
    sides = element(5, struct.pack(f"{order}{len(shape)}i", *shape), order)
    named = small_element(1, name, order) if 0 < len(name) <= 4 else element(1, name, order)
    return element(14, head + sides + named + b"".join(contents), order)


def structure_of(fields, order="<", shape=(1, 1), variable=b""):
    names = b"".join(field.ljust(32, b"\x00") for field in fields)
    length = small_element(5, struct.pack(f"{order}i", 32), order)
    return matrix(2, shape, length, element(1, names, order), *fields.values(), name=variable, order=order)


def characters(string, order="<"):
    return matrix(4, (1, len(string)), element(16, string.encode(), order), order=order)


def single(array, order="<"):
    return matrix(7, array.shape, element(7, array.astype(f"{order}f4").tobytes("F"), order), order=order)


def layer(name, kernel, bias, order="<"):
    weights = matrix(1, (1, 2), single(kernel, order), single(bias.reshape(1, -1), order), order=order)
    return structure_of({b"name": characters(name, order), b"weights": weights}, order)


def layers_of(arrays, order="<"):
    parts = [layer(name, *both, order) for name, both in arrays.items()]
    return matrix(1, (1, len(parts)), *parts, name=b"layers", order=order)


def compressed(variable, order="<"):
    packed = zlib.compress(variable)
    return struct.pack(f"{order}2I", 15, len(packed)) + packed


def refused(path, data, memory):
    readers.refused(matconvnet.read, written(path, data), memory=memory)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("packed", [False, True])
def test_files_assembled_by_hand_are_read_in_both_byte_orders(path, order, packed):
    arrays = parameters()
    variable = layers_of(arrays, order)
    written(path, file_of(compressed(variable, order) if packed else variable, order=order))
    assert matconvnet.recognises(path)
    assert_holds(matconvnet.read(path), arrays)


def test_whole_numbers_that_matlab_stored_as_integers_are_floating_point_again(path):
    bias = np.array([0.0, 1, 2, 255], "f4")
    stored = matrix(7, (1, 4), small_element(2, bytes(bias.astype(np.uint8))))
    weights = matrix(1, (1, 2), single(np.ones((2, 2, 3, 4))), stored)
    variable = matrix(1, (1, 1), structure_of({b"name": characters("conv1_1"), b"weights": weights}), name=b"layers")
    written(path, file_of(variable))
    found = matconvnet.read(path).arrays["conv1_1"][1]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, bias)


def test_a_bomb_is_refused_in_little_memory(path, monkeypatch):
    monkeypatch.setattr(matconvnet, "MOST_BYTES", 2**26)
    bomb = matrix(9, (1, 2**27), element(2, bytes(2**27)), name=b"layers")
    data = file_of(compressed(bomb))
    assert len(data) < 2**18
    del bomb
    refused(path, data, memory=2**23)


def test_more_numbers_than_vgg_has_are_refused(path, monkeypatch):
    arrays = parameters()
    data = file_of(layers_of(arrays))
    numbers = sum(kernel.size + bias.size for kernel, bias in arrays.values())
    monkeypatch.setattr(matconvnet, "MOST_NUMBERS", numbers)
    assert_holds(matconvnet.read(written(path, data)), arrays)
    monkeypatch.setattr(matconvnet, "MOST_NUMBERS", numbers - 1)
    refused(path, data, memory=2**20)


@pytest.mark.parametrize("packed", [False, True])
def test_the_classifier_costs_no_memory(path, packed):
    arrays = parameters()
    classifier = matrix(7, (7, 7, 512, 256), element(7, bytes(4 * 7 * 7 * 512 * 256)))
    parts = [layer("fc6", np.zeros(1), np.zeros(1)).replace(single(np.zeros(1)), classifier)]
    parts += [layer(name, *both) for name, both in arrays.items()]
    variable = matrix(1, (1, len(parts)), *parts, name=b"layers")
    written(path, file_of(compressed(variable) if packed else variable))
    with readers.memory_below(2**22):
        assert_holds(matconvnet.read(path), arrays)


@pytest.mark.parametrize("packed", [False, True])
def test_a_variable_that_is_there_twice_is_refused(path, packed):
    variable = layers_of(parameters())
    refused(path, file_of(*[compressed(variable) if packed else variable] * 2), memory=2**20)


def test_a_long_name_in_a_variable_that_nobody_wants_is_refused_too(path):
    data = file_of(compressed(matrix(9, (1, 1), element(2, b"1"), name=b"x" * 2**25)))
    refused(path, data, memory=2**23)


def test_deep_nesting_is_refused(path):
    heads = matrix(1, (1, 1))  # its size is wrong, which does not matter here
    refused(path, file_of(matrix(1, (1, 1), heads * 100_000, name=b"layers")), memory=2**25)


EMPTY = struct.pack("<2I", 14, 0)


@pytest.mark.parametrize(
    "variable",
    [
        matrix(1, (2**31 - 1, 2**31 - 1), name=b"layers"),
        matrix(1, (-1, -1), name=b"layers"),
        matrix(1, (2**16, 2**16, 2**16, 2**16), name=b"layers"),
        matrix(1, (1, 200_000), EMPTY * 200_000, name=b"layers"),
        matrix(
            1, (1, 90_000), matrix(2, (90_000, 1), small_element(5, b"\x01\0\0\0"), element(1, b"")), name=b"layers"
        ),
        matrix(2, (2**30, 1), small_element(5, b"\x20\0\0\0"), element(1, b""), name=b"layers"),
        matrix(2, (1, 1), small_element(5, bytes(4)), element(1, b"a"), name=b"layers"),
        matrix(2, (1, 1), small_element(5, b"\xff\xff\xff\xff"), element(1, b"a"), name=b"layers"),
        matrix(2, (0, 0), small_element(5, b"\x01\0\0\0"), element(1, b"a" * 60_000), name=b"layers"),
        matrix(4, (2**30, 1), element(16, b""), name=b"layers"),
        matrix(7, (2**30, 1), element(7, bytes(8)), name=b"layers"),
        matrix(7, (2, 1), element(7777, bytes(8)), name=b"layers"),  # a type beyond scipy's table
        matrix(7, (2, 1), element(8, bytes(8)), name=b"layers"),  # one that is reserved
        matrix(7, (2, 1), struct.pack("<2I", 7, 2**32 - 8), name=b"layers"),
        matrix(3, (1, 1), element(1, b"class"), small_element(5, b"\x20\0\0\0"), element(1, b""), name=b"layers"),
        matrix(16, (1, 1), EMPTY, name=b"layers"),
        matrix(17, (1, 1), EMPTY, name=b"layers"),
        matrix(6, (1,) * 40, element(9, bytes(8)), name=b"layers"),
        matrix(1, (1, 1), element(9, bytes(8)), name=b"layers"),
        matrix(1, (1, 1), EMPTY, name=b"layers") * 2,
        element(15, b"not compressed at all"),
        element(15, zlib.compress(b"")),
        element(14, b""),
        element(9, bytes(8)),
        b"\x0e\0\0\0",
    ],
)
def test_hostile_declarations_are_refused_in_little_memory(path, variable):
    refused(path, file_of(variable), memory=2**24)


@pytest.mark.parametrize("packed", [False, True])
def test_truncation_at_every_byte_is_refused_or_harmless(path, packed):
    arrays = parameters(("conv1_1",))
    image = structure_of({b"averageImage": single(np.array([1.0, 2, 4]).reshape(1, 1, 3))}, variable=b"normalization")
    variables = [layers_of(arrays), image]
    data = file_of(*(map(compressed, variables) if packed else variables))
    outcomes = set()
    for _ in truncations(path, data):
        assert matconvnet.recognises(path) in (True, False)
        weights = outcome(matconvnet.read, path)
        if not isinstance(weights, str):  # cut between the two variables, or in the checksum behind the second
            assert_holds(weights, arrays)
        outcomes.add(type(weights))
    assert outcomes == {str, FileWeights}


def test_garbage_in_a_compressed_variable_is_refused(path):
    packed = bytearray(compressed(layers_of(parameters())))
    packed[-1] ^= 1  # of the checksum
    refused(path, file_of(bytes(packed)), memory=2**24)


SOUND = [file_of(layers_of(parameters(("conv1_1", "conv1_2")), order), order=order) for order in "<>"]
SOUND_BODY = matrix(1, (1, 1), layer("conv1_1", np.ones((2, 2, 3, 4)), np.ones(4)), name=b"layers")


@settings(max_examples=500, deadline=None)
@given(data=damaged(SOUND, places=range(124, 624)))  # where most declarations are
def test_flipped_bytes_are_refused_or_read(path, data):
    survived(matconvnet, path, data)


@settings(max_examples=200, deadline=None)
@given(body=damaged([SOUND_BODY]))
def test_flipped_bytes_inside_a_compressed_variable_are_refused_or_read(path, body):
    survived(matconvnet, path, file_of(compressed(body)))


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=200))
def test_arbitrary_bytes_are_refused(path, data):
    survived(matconvnet, path, file_of(data))
