"""NumPy's archives and pickled dicts: written by NumPy, and as Python 2 wrote them; and hostile ones."""

from __future__ import annotations

import builtins
import io
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest
import readers
from hypothesis import given, settings
from hypothesis import strategies as st
from readers import (
    PLAIN,
    TORCHVISION,
    Calls,
    assert_holds,
    damaged,
    outcome,
    programs,
    survived,
    truncations,
    written,
)

from scratchnst.models import vgg
from scratchnst.weights.formats import numpy_archive


def layers(width=4, dtype="f4"):
    """Canonical name -> (kernel (3, 3, C_in, C_out), bias)."""
    rng = np.random.default_rng(1)
    result = {}
    for number, name in enumerate(PLAIN):
        kernel = rng.standard_normal((3, 3, width if number else 3, width)).astype(dtype)
        result[name] = kernel, rng.standard_normal(width).astype(dtype)
    return result


def outputs_first(kernel):
    """PyTorch's order of the axes."""
    return np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))


def underscored(arrays):
    return {f"{name}_{part}": array for name, both in arrays.items() for part, array in zip("Wb", both)}


def dotted(arrays, stems=PLAIN, reorder=outputs_first):
    result = {"fc6.weight": np.zeros((2, 2), "f4")}
    for stem, (kernel, bias) in zip(stems, arrays.values()):
        result |= {f"{stem}.weight": reorder(kernel), f"{stem}.bias": bias}
    return result


def lists(arrays):
    """As in the well-known vgg19.npy."""
    return {name: [kernel, bias] for name, (kernel, bias) in arrays.items()} | {"fc6": [np.zeros((2, 2)), np.zeros(2)]}


def npz(arrays, save=np.savez):
    buffer = io.BytesIO()
    save(buffer, **arrays)
    return buffer.getvalue()


def npy(value):
    buffer = io.BytesIO()
    np.save(buffer, value, allow_pickle=True)
    return buffer.getvalue()


def npy_header(text, version=1):
    data = text.encode("latin-1") + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(data)) + data


def npz_of(files, compression=zipfile.ZIP_STORED):
    """An archive of these .npy files, name -> bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(f"{name}.npy", bytes(data))
    return buffer.getvalue()


OBJECT = npy_header("{'descr': '|O', 'fortran_order': False, 'shape': (), }")


# ------------------------------------------------------------------------------------- pickles of Python 2


def old_string(data):
    return b"U" + bytes([len(data)]) + data if len(data) < 256 else b"T" + struct.pack("<i", len(data)) + data


def old_array(shape, kind, data, module=b"numpy.core.multiarray"):
    """Instructions of protocol 2 that make an array, as Python 2 wrote them; `data` are instructions, too."""
    make = b"c" + module + b"\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    order = b"|" if kind == b"O8" else b"<"
    dtype = b"cnumpy\ndtype\nU\x02" + kind + b"K\x00K\x01\x87R(K\x03U\x01" + order + b"NNNJ\xff\xff\xff\xff" * 1
    dtype += b"J\xff\xff\xff\xffK\x00tb"
    sides = b"(" + b"".join(b"J" + struct.pack("<i", side) for side in shape) + b"t"
    return make + b"(K\x01" + sides + dtype + b"\x89" + data + b"tb"


def old_npy(arrays):
    """vgg19.npy as Python 2 wrote it."""
    items = b""
    for name, both in arrays.items():
        pushed = b"".join(old_array(array.shape, b"f4", old_string(array.tobytes())) for array in both)
        items += old_string(name.encode()) + b"](" + pushed + b"e"
    return OBJECT + b"\x80\x02" + old_array((), b"O8", b"](}(" + items + b"ue") + b"."


def of_dict(items):
    """An .npy file of a dict, by the instructions that push its items."""
    return OBJECT + b"\x80\x02" + old_array((), b"O8", b"](}(" + items + b"ue") + b"."


def read(path, data):
    return numpy_archive.read(written(path, data))


def refused(path, data, pattern=""):
    readers.refused(numpy_archive.read, written(path, data), pattern)


class TestValues:
    @pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
    @pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", ">f4", ">f8"])
    def test_archives(self, path, save, dtype):
        arrays = layers(dtype=dtype)
        weights = read(path, npz(underscored(arrays), save))
        assert numpy_archive.recognises(path)
        assert_holds(weights, arrays)
        assert weights.preprocessing is None

    @pytest.mark.parametrize("pack", [npz, npy])
    @pytest.mark.parametrize("reorder", [outputs_first, np.asarray])
    def test_dotted_names(self, path, pack, reorder):
        arrays = layers()
        weights = read(path, pack(dotted(arrays, PLAIN, reorder)))
        assert_holds(weights, arrays)
        assert weights.preprocessing == vgg.PREPROCESSINGS["oxford"]
        weights = read(path, pack(dotted(arrays, TORCHVISION, reorder)))
        assert_holds(weights, arrays)
        assert weights.preprocessing is None

    @pytest.mark.parametrize("dtype", ["<f4", ">f8"])
    def test_dicts(self, path, dtype):
        arrays = layers(dtype=dtype)
        for value in (lists(arrays), underscored(arrays), {name: tuple(both) for name, both in arrays.items()}):
            weights = read(path, npy(value))
            assert numpy_archive.recognises(path)
            assert_holds(weights, arrays)
            assert weights.preprocessing is None

    @pytest.mark.parametrize(
        ("pack", "name"), [(npy, lists), (npy, underscored), (npy, dotted), (npz, underscored), (npz, dotted)]
    )
    def test_data_parallel(self, path, pack, name):
        arrays = layers()
        weights = read(path, pack({f"module.{key}": value for key, value in name(arrays).items()}))
        assert_holds(weights, arrays)
        assert weights.preprocessing == (vgg.PREPROCESSINGS["oxford"] if name is dotted else None)

    @pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model"])
    @pytest.mark.parametrize("name", [underscored, dotted, lists])
    def test_what_a_training_run_saves(self, path, key, name):
        arrays = layers()
        run = {"epoch": 3, "optimizer": {"state": {0: {"mean": np.zeros(3)}}}, key: name(arrays)}
        assert_holds(read(path, npy(run)), arrays)

    @pytest.mark.parametrize("protocol", [3, 4])
    def test_protocols(self, path, protocol):
        arrays = layers()
        assert_holds(read(path, OBJECT + pickle.dumps(np.array(lists(arrays)), protocol)), arrays)

    def test_written_by_python_2(self, path):
        arrays = layers()
        assert_holds(read(path, old_npy(arrays)), arrays)

    @pytest.mark.parametrize("pack", [npz, npy])
    def test_columns_first(self, path, pack):
        arrays = layers()
        assert_holds(
            read(path, pack(underscored({n: map(np.asfortranarray, both) for n, both in arrays.items()}))), arrays
        )

    @pytest.mark.parametrize(
        "header",
        [
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3L, 3L, 3L, 4L), }",  # Python 2
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3,3,3,4,), }     ",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 3, 3, 4)}",
        ],
    )
    def test_headers_of_others(self, path, header):
        arrays = {"conv1_1": layers()["conv1_1"]}
        kernel, bias = arrays["conv1_1"]
        files = {"conv1_1_W": npy_header(header) + kernel.tobytes(), "conv1_1_b": npy(bias)}
        assert_holds(read(path, npz_of(files)), arrays)

    def test_others_are_not_read(self, path):
        arrays = layers()
        files = {name: npy(array) for name, array in underscored(arrays).items()}
        written(path, npz_of({**files, "fc6_W": b"nonsense", "fc7_W": npy(np.array([print]))}))
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("README", b"")
        assert_holds(numpy_archive.read(path), arrays)


class TestRecognises:
    @pytest.mark.parametrize("data", [b"", b"\x93NUMP", b"PK\3\4", b"PK\3\4" + b"\xff" * 60, b"\0" * 99])
    def test_others(self, path, data):
        written(path, data)
        assert not numpy_archive.recognises(path)

    def test_truncated(self, path):
        written(path, npz(underscored(layers()))[:-10])
        assert numpy_archive.recognises(path)


FILES = [
    npz(underscored(layers(2))),
    npz(underscored(layers(2)), np.savez_compressed),
    npy(lists(layers(2))),
    old_npy(layers(2)),
]


class TestDamaged:
    @pytest.mark.parametrize("data", FILES, ids=["npz", "compressed", "npy", "python 2"])
    def test_truncated_everywhere(self, path, data):
        for _ in truncations(path, data):
            assert numpy_archive.recognises(path) in (True, False)
            assert isinstance(outcome(numpy_archive.read, path), str)

    @settings(max_examples=300, deadline=None)
    @given(damaged(FILES))
    def test_flipped_bytes(self, path, data):
        survived(numpy_archive, path, data)

    @settings(max_examples=300, deadline=None)
    @given(st.data())
    def test_flipped_headers(self, path, data):
        """The text that NumPy parses as Python, with checksums that are right."""
        header = bytearray(npy(layers(2)["conv1_1"][0]))
        for _ in range(data.draw(st.integers(1, 6))):
            header[data.draw(st.integers(0, 70))] = data.draw(
                st.sampled_from(b"()[]{}'\"\\,:0123456789LfOV<>|#\n\x00\xff ")
            )
        survived(numpy_archive, path, npz_of({"conv1_1_W": header, "conv1_1_b": npy(np.zeros(2, "f4"))}))

    @settings(max_examples=200, deadline=None)
    @given(programs())
    def test_any_program(self, path, program):
        assert isinstance(outcome(numpy_archive.read, written(path, OBJECT + b"\x80\x02" + program)), str)


CONV = old_string(b"conv1_1")
BIAS = old_array((4,), b"f4", old_string(b"\0" * 16))


class TestHostile:
    @pytest.mark.parametrize("protocol", [0, 2, 4, 5])
    def test_calls(self, path, tmp_path, protocol):
        sentinel = tmp_path / "executed"
        for bomb in (
            Calls(os.system, f"touch '{sentinel}'"),
            Calls(builtins.eval, f"open({str(sentinel)!r}, 'w')"),
            Calls(os.mkdir, str(sentinel)),
        ):
            for value in (bomb, np.array({"conv1_1": bomb}), np.array([bomb])):
                program = pickle.dumps(value, protocol)
                refused(path, OBJECT + program)
                refused(path, npz_of({"conv1_1_W": OBJECT + program}))
        assert not sentinel.exists()

    @pytest.mark.parametrize(
        "array",
        [
            old_array((3, 3, 3, 4), b"f4", old_string(b"\0" * 431)),
            old_array((3, 3, 3, 4), b"f4", old_string(b"\0" * 433)),
            old_array((3, 3, 3, 4), b"f8", old_string(b"\0" * 432)),
            old_array((3, 3, 3, 4), b"i4", old_string(b"\0" * 432)),
            old_array((3, 3, 3, 4), b"O8", b"]"),
            old_array((3, 3, 3, 4), b"f4", b"]"),
            old_array((3, 3, 3, 4), b"f4", b"T\xff\xff\xff\x7f"),
            old_array((3, 3, 3, 4), b"f4", b"T\xff\xff\xff\xff"),
            old_array((3, 3, 3, 4), b"f4", b"N"),
            old_array((3, 3, 3, -4), b"f4", old_string(b"\0" * 432)),
            old_array((3, 3, -3, -4), b"f4", old_string(b"\0" * 432)),
            old_array((3, 3, 3, 2**30), b"f4", old_string(b"\0" * 432)),
            old_array((3, 3, 3), b"f4", old_string(b"\0" * 108)),
            old_array((3, 3, 3, 4), b"f4", old_string(b"\0" * 432)).replace(b"K\x01(J", b"(("),
            b"cnumpy\ndtype\n)R",
            b"cnumpy\ndtype\nU\x02f4\x85RNb",
            b"cnumpy\nndarray\n)R",
            b"cnumpy.core.multiarray\n_reconstruct\n(NNNtR",
            b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\ndtype\nNN\x87R",
            b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nNN\x87R",
            b"cnumpy.core.multiarray\nscalar\n",
            b"cnumpy\nload\n",
            b"N",
        ],
    )
    def test_arrays(self, path, array):
        refused(path, of_dict(CONV + b"](" + array + BIAS + b"e"))

    def test_a_huge_array_that_is_not_there(self, path):
        """The data are declared and skipped, but the file ends."""
        array = old_array((3, 3, 512, 512), b"f8", b"T" + struct.pack("<i", 3 * 3 * 512 * 512 * 8))
        refused(path, of_dict(CONV + b"](" + array + BIAS + b"e"), "too early")

    @pytest.mark.parametrize(
        "program",
        [
            b"N.",
            b"}.",
            b"",
            b"X" + b"\xff" * 4,
            b"\x8e" + b"\xff" * 7 + b"\x7f",
            b"Nr\xff\xff\xff\xff.",
            b"}" + b")" + b"q\x00h\x00\x86" * 100 + b"Ns.",
            b"}\x94" * 120_000 + b".",
            old_array((), b"O8", b"]") + b".",
            old_array((), b"O8", b"](]e") + b".",
            old_array((), b"O8", b"](}}e") + b".",
            b"ctorch\nFloatStorage\n.",
            b")Q.",
        ],
    )
    def test_programs(self, path, program):
        refused(path, OBJECT + b"\x80\x02" + program)

    @pytest.mark.parametrize(
        ("text", "pattern"),
        [
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 3, 3, 4000000), }", "conv1_1 declares|together"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 3, 3, -4), }", "damaged"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 3, 3), }", "3 x 3 x 3"),
            ("{'descr': '|O', 'fortran_order': False, 'shape': (3, 3, 3, 4), }", "floating-point"),
            ("{'descr': '<i4', 'fortran_order': False, 'shape': (3, 3, 3, 4), }", "floating-point"),
            ("{'descr': '<f16', 'fortran_order': False, 'shape': (3, 3, 3, 4), }", "floating-point"),
            ("{'descr': '|V2000000000', 'fortran_order': False, 'shape': (3, 3, 3, 4), }", "floating-point"),
            ("{'descr': '(9999,9999)f4', 'fortran_order': False, 'shape': (3, 3, 3, 4), }", "floating-point"),
            ("{'descr': [('a', 3)], 'fortran_order': False, 'shape': (3, 3, 3, 4), }", "damaged"),
            ("{'descr': {'a': 3}, 'fortran_order': False, 'shape': (3, 3, 3, 4), }", "damaged"),
            ("{'descr': '\\q', 'fortran_order': False, 'shape': (3, 3, 3, 4), }", "floating-point"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 3, 3, 4L4), }", "damaged"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 3, 3, " + "4" * 9000 + "), }", "damaged"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 3, 3 4), }", "damaged"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (" + "3, " * 3000 + "4x), }", "damaged"),
            ("{'descr': '<f4', 'fortran_order': 0, 'shape': (3, 3, 3, 4), }", "damaged"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 3, 3, 4", "damaged"),
            ("__import__('os').system('exit')", "damaged"),
            ("(" * 9000, "damaged"),
            ("[" * 4000 + "]" * 4000, "damaged"),
            ("-" * 9000 + "1", "damaged"),
            ("1" * 9000, "damaged"),
            (" " * 20_000, "longer than"),
        ],
    )
    @pytest.mark.parametrize("version", [1, 2])
    @pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
    def test_headers(self, path, text, pattern, version, compression):
        kernel = npy_header(text, version) + b"\0" * 432
        refused(path, npz_of({"conv1_1_W": kernel, "conv1_1_b": npy(np.zeros(4, "f4"))}, compression), pattern)
        refused(path, npy_header(text, version))

    @pytest.mark.parametrize(
        "start", [b"\x93NUMPY\x02\0\xff\xff\xff\xff", b"\x93NUMPY\x03\0\x10\0\0\0", b"\x93NUMPY\x09\0"]
    )
    def test_zip_bombs(self, path, start):
        """A header of four gigabytes, most of them compressed away."""
        bomb = start + b" " * 100_000_000
        refused(path, npz_of({"conv1_1_W": bomb, "conv1_1_b": npy(np.zeros(4, "f4"))}, zipfile.ZIP_DEFLATED))

    @pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    def test_unbounded_compressions(self, path, compression):
        refused(path, npz_of({"conv1_1_W": npy(layers()["conv1_1"][0])}, compression), "compressed")

    @pytest.mark.parametrize("shape", [(3, 3, 3, 3), (5, 5, 3, 4), (4, 3, 5, 5), (3, 3, 4, 4), (4,), ()])
    def test_unclear_order_of_axes(self, path, shape):
        refused(path, npz({"conv1_1_W": np.zeros(shape), "conv1_1_b": np.zeros(4)}), "3 x 3 x 3")

    @pytest.mark.parametrize("pack", [npz, npy])
    def test_without_first_layer(self, path, pack):
        refused(path, pack({"a": np.zeros(3)}), r"no array in it is named like a convolution of VGG \(it holds a ")
        refused(
            path, pack({"conv1_2_W": np.zeros((3, 3, 4, 4)), "conv1_2_b": np.zeros(4)}), "no kernel of a first layer"
        )

    def test_missing_bias(self, path):
        arrays = underscored(layers())
        del arrays["conv1_2_b"]
        refused(path, npz(arrays), "conv1_2 lacks")

    def test_single_array(self, path):
        refused(path, npy(np.zeros((3, 3, 3, 4))), "single array")
        refused(path, npy(np.array([{}, {}])), "single array")
        refused(path, npy(np.array({1: 2})), "no array in it")
        refused(path, npy(np.array([[1], [2, 3]], object)[0:1].reshape(())), "dict")
