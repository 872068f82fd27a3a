"""Caffemodels: written by the library, and byte by byte, so that the fields' numbers are checked; and hostile ones."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import readers
from hypothesis import given, settings
from hypothesis import strategies as st
from readers import damaged, outcome, survived, truncations, written

from scratchnst.models import vgg
from scratchnst.weights.formats import caffe

VGG16 = ("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1", "conv3_2", "conv3_3", "conv4_1")


def parameters(names, dtype=np.float32):
    """Kernels (C_out, C_in, kh, kw) whose four sides differ, and biases; no number comes twice."""
    rng = np.random.default_rng(3)
    return {
        name: (rng.standard_normal((4 + n, 3 + n, 2, 5)).astype(dtype), rng.standard_normal(4 + n).astype(dtype))
        for n, name in enumerate(names)
    }


# The wire format, by hand: a field is a varint (number << 3 | wire type) and its contents ------------------------


def varint(number):
    number &= 2**64 - 1  # negative numbers are written as if unsigned
    groups = b""
    while number > 127:
        groups += bytes([number & 127 | 128])
        number >>= 7
    return groups + bytes([number])


def number_field(field, number):
    return varint(field << 3) + varint(number)


def bytes_field(field, contents):
    return varint(field << 3 | 2) + varint(len(contents)) + contents


def blob(array, shape=None, newer=False):
    shape = array.shape if shape is None else shape
    if newer:
        declared = bytes_field(7, bytes_field(1, b"".join(map(varint, shape))))
    else:
        padded = (1,) * (4 - len(shape)) + tuple(shape)
        declared = b"".join(number_field(field, side) for field, side in enumerate(padded, start=1))
    data = bytes_field(8 if array.dtype == np.float64 else 5, array.astype(array.dtype.newbyteorder("<")).tobytes())
    return declared + data


def old_layer(name, *blobs, kind=4):
    """A V1LayerParameter: bottom, top, name, type, blobs, and blobs_lr, which the reader does not know."""
    head = bytes_field(2, b"below") + bytes_field(3, b"above") + bytes_field(4, name) + number_field(5, kind)
    rates = varint(7 << 3 | 5) + struct.pack("<f", 0.5)
    return bytes_field(2, head + b"".join(bytes_field(6, each) for each in blobs) + rates)


def new_layer(name, *blobs):
    """A LayerParameter: name, type, bottom, top, blobs."""
    head = bytes_field(1, name) + bytes_field(2, b"Convolution") + bytes_field(3, b"below") + bytes_field(4, b"above")
    return bytes_field(100, head + b"".join(bytes_field(7, each) for each in blobs))


def net(*layers):
    return bytes_field(1, b"VGG_ILSVRC_19_layers") + b"".join(layers)


def oxfords(arrays):
    """As Oxford published it: V1 layers, blobs of four sides, the classifier at the end."""
    layers = [old_layer(name.encode(), blob(kernel), blob(bias)) for name, (kernel, bias) in arrays.items()]
    classifier = old_layer(b"fc6", blob(np.ones((6, 7), np.float32)), blob(np.ones(6, np.float32)), kind=14)
    return net(*layers, old_layer(b"relu1_1", kind=18), classifier)


def newer(arrays):
    layers = [
        new_layer(name.encode(), blob(kernel, newer=True), blob(bias, newer=True))
        for name, (kernel, bias) in arrays.items()
    ]
    return net(new_layer(b"data"), *layers)


def by_library(arrays):
    message = caffe.NetParameter()
    for name, (kernel, bias) in arrays.items():
        layer = message.layers.add(name=name.encode())
        first, second = layer.blobs.add(), layer.blobs.add()
        first.num, first.channels, first.height, first.width = kernel.shape
        first.data.extend(kernel.ravel().tolist())
        second.num = second.channels = second.height = 1
        second.width = len(bias)
        second.data.extend(bias.tolist())
    return message.SerializeToString()


def read(path, data):
    return caffe.read(written(path, data))


def refused(path, data, pattern, memory=50e6):
    readers.refused(caffe.read, written(path, data), pattern, memory)


def turned(kernel):
    """(C_out, C_in, kh, kw) -> (kh, kw, C_in, C_out), number by number, so that no transposition can be wrong."""
    outputs, inputs, height, width = kernel.shape
    result = np.empty((height, width, inputs, outputs), kernel.dtype)
    for o, i, y, x in np.ndindex(kernel.shape):
        result[y, x, i, o] = kernel[o, i, y, x]
    return result


def assert_holds(weights, arrays):
    readers.assert_holds(weights, {name: (turned(kernel), bias) for name, (kernel, bias) in arrays.items()})
    assert weights.preprocessing == vgg.OXFORD_PREPROCESSING


@pytest.mark.parametrize("write", [oxfords, newer, by_library])
@pytest.mark.parametrize("names", [("conv1_1", "conv1_2", "conv5_4"), VGG16])
def test_kernels_and_biases_are_found_in_their_order(path, write, names):
    arrays = parameters(names)
    assert_holds(read(path, write(arrays)), arrays)
    assert caffe.recognises(path)


def test_double_data_is_read(path):
    arrays = parameters(("conv1_1",), np.float64)
    assert_holds(read(path, newer(arrays)), arrays)


def test_a_negative_zero_and_the_smallest_numbers_come_through_unchanged(path):
    bias = np.array([-0.0, 1e-45, 3.4e38, -1.1754944e-38], np.float32)
    kernel = parameters(("conv1_1",))["conv1_1"][0]
    found = read(path, oxfords({"conv1_1": (kernel, bias)})).arrays["conv1_1"][1]
    assert found.tobytes() == bias.tobytes()


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\x0a",
        b"\x0a\x05ab",
        b"\x89HDF\r\n\x1a\n",
        b"PK\x03\x04",
        b"\n\n<!DOCTYPE html>\n",
        b"\x80\x02}q",
        b"\x12\x00",
    ],
)
def test_other_files_are_not_recognised(path, head):
    written(path, head)
    assert not caffe.recognises(path)


def test_a_net_without_a_name_is_recognised(path):
    kernel, bias = parameters(("conv1_1",))["conv1_1"]
    written(path, old_layer(b"conv1_1", blob(kernel), blob(bias)))
    assert caffe.recognises(path)


KERNEL, BIAS = np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2), np.arange(2, dtype=np.float32)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no layer named"),
        (net(old_layer(b"fc6", blob(KERNEL), blob(BIAS))), "no layer named"),
        (net(old_layer(b"conv1_1")), "no layer named"),
        (net(old_layer(b"conv1_\xff", blob(KERNEL), blob(BIAS))), "no layer named"),
        (net(*[old_layer(b"conv1_1", blob(KERNEL), blob(BIAS))] * 2), "twice"),
        (
            net(old_layer(b"conv1_1", blob(KERNEL), blob(BIAS)), new_layer(b"conv1_1", blob(KERNEL), blob(BIAS))),
            "twice",
        ),
        (net(old_layer(b"conv1_1", blob(KERNEL))), "1 blobs"),
        (net(old_layer(b"conv1_1", blob(KERNEL, (2, 3, 2, 3)), blob(BIAS))), "24 numbers"),
        (net(old_layer(b"conv1_1", blob(KERNEL), blob(BIAS, (3,)))), "2 numbers"),
        (net(old_layer(b"conv1_1", blob(KERNEL, (-2, -3, 2, 2)), blob(BIAS))), "declares a shape"),
        (net(old_layer(b"conv1_1", blob(KERNEL, (2**31, 2**31, 2**31, 2**31)), blob(BIAS))), "declares a shape"),
        (net(old_layer(b"conv1_1", blob(KERNEL, (2**32 + 2, 3, 2, 2)), blob(BIAS))), "declares a shape"),
        (net(new_layer(b"conv1_1", blob(KERNEL, (2**62, 2**62, 2, 2), newer=True), blob(BIAS))), "declares a shape"),
        (net(new_layer(b"conv1_1", blob(KERNEL, (2**62, 2**62, 0, 2), newer=True), blob(BIAS))), "declares a shape"),
        (net(new_layer(b"conv1_1", blob(KERNEL, (1,) * 5000, newer=True), blob(BIAS))), "damaged"),
        (net(new_layer(b"conv1_1", blob(KERNEL, (6, 4), newer=True), blob(BIAS))), "no convolution's"),
        (net(new_layer(b"conv1_1", blob(KERNEL), blob(KERNEL))), "no convolution's"),
        (net(new_layer(b"conv1_1", blob(KERNEL), blob(BIAS[:1], (), newer=True))), "no convolution's"),
        (net(b"\x12\xff\xff\xff\xff\x0f"), "damaged"),
        (net(b"\x0b" * 100_000), "damaged"),  # groups in groups
    ],
)
def test_an_unsuitable_file_is_refused(path, data, message):
    refused(path, data, message)


@pytest.mark.parametrize("write", [oxfords, newer])
def test_truncation_at_every_byte_is_refused_or_harmless(path, write):
    arrays = parameters(("conv1_1", "conv1_2"))
    data = write(arrays)
    outcomes = set()
    for _ in truncations(path, data):
        assert caffe.recognises(path) in (True, False)
        weights = outcome(caffe.read, path)
        if not isinstance(weights, str):  # cut between two layers
            assert_holds(weights, {name: arrays[name] for name in weights.arrays})
        outcomes.add(type(weights))
    assert str in outcomes


def test_a_file_of_tiny_layers_is_refused_in_little_memory(path, monkeypatch):
    monkeypatch.setattr(caffe, "LARGEST_REMAINDER", 1000)
    monkeypatch.setattr(caffe, "NetParameter", None)  # which would take thirty times the file
    for tiny in (old_layer(b""), bytes_field(2, b""), bytes_field(100, bytes_field(7, b""))):
        refused(path, net(tiny * 1000), "more settings than weights")


def test_a_file_of_numbers_passes_the_same_bound(path, monkeypatch):
    arrays = parameters(("conv1_1", "conv1_2"))
    for write in (oxfords, newer):
        data = write(arrays)
        numbers = 4 * sum(kernel.size + bias.size for kernel, bias in arrays.values())
        monkeypatch.setattr(caffe, "LARGEST_REMAINDER", 600)
        assert len(data) > numbers > 600
        assert_holds(read(path, data), arrays)


def test_a_file_that_is_too_large_is_not_read(path, monkeypatch):
    monkeypatch.setattr(caffe, "LARGEST_FILE", 10)
    refused(path, bytes(11), "more than any caffemodel")


def test_declared_sizes_cost_no_memory(path):
    data = net(old_layer(b"conv1_1", blob(KERNEL, (512, 512, 3, 3)), blob(BIAS)))
    refused(path, data, "24 numbers", memory=1 << 20)


SOUND = [write(parameters(("conv1_1", "conv1_2"))) for write in (oxfords, newer)]
SECOND = min(data.find(b"conv1_2") for data in SOUND)


@settings(max_examples=500, deadline=None)
@given(data=damaged(SOUND, places=[*range(60), *range(SECOND - 40, SECOND + 60)]))  # where names and sizes are
def test_flipped_bytes_are_refused_or_read(path, data):
    survived(caffe, path, data)


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=200))
def test_arbitrary_bytes_are_refused_or_read(path, data):
    survived(caffe, path, data)
