"""safetensors files: written here byte by byte and, where it is installed, by their own library; and hostile ones."""

from __future__ import annotations

import json
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratchnst import vgg
from scratchnst.errors import UserError
from scratchnst.weights.formats import safetensors
from scratchnst.weights.holding import Holding

DTYPES = {"f2": "F16", "f4": "F32", "f8": "F64"}
TORCHVISION, PLAIN = ("features.0", "features.2", "features.5"), ("conv1_1", "conv1_2", "conv2_1")


def arrays_by_name(stems=TORCHVISION, width=4, dtype="f4"):
    rng = np.random.default_rng(1)
    arrays = {}
    for number, stem in enumerate(stems):
        arrays[f"{stem}.weight"] = rng.standard_normal((width, width if number else 3, 3, 3)).astype(dtype)
        arrays[f"{stem}.bias"] = rng.standard_normal(width).astype(dtype)
    arrays["classifier.0.weight"] = np.zeros((2, 2), dtype)
    return arrays


def file_of(header, data=b""):
    """A file with this header, bytes or what becomes JSON."""
    if not isinstance(header, bytes):
        header = json.dumps(header).encode()
    return struct.pack("<Q", len(header)) + header + data


def entries(arrays):
    """The header of these arrays, and their numbers."""
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, array in arrays.items():
        end = len(data) + array.nbytes
        dtype = DTYPES[f"f{array.itemsize}"]
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [len(data), end]}
        data += array.tobytes()
    return header, data


def write(arrays):
    return file_of(*entries(arrays))


def read(path, data):
    path.write_bytes(data)
    return safetensors.read(path)


def assert_holds(holding, arrays, stems, names=PLAIN):
    assert list(holding.arrays) == list(names[: len(stems)])
    for stem, (kernel, bias) in zip(stems, holding.arrays.values()):
        assert kernel.flags.c_contiguous
        assert kernel.dtype == arrays[f"{stem}.weight"].dtype
        np.testing.assert_array_equal(kernel, arrays[f"{stem}.weight"].transpose(2, 3, 1, 0))
        np.testing.assert_array_equal(bias, arrays[f"{stem}.bias"])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a file without a telling name"


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "file"


class TestValues:
    @pytest.mark.parametrize("stems", [TORCHVISION, PLAIN])
    @pytest.mark.parametrize("dtype", DTYPES)
    def test_bit_identical(self, path, stems, dtype):
        arrays = arrays_by_name(stems, dtype=dtype)
        holding = read(path, write(arrays))
        assert safetensors.recognises(path)
        assert_holds(holding, arrays, stems)
        assert holding.preprocessing == (vgg.PREPROCESSINGS["oxford"] if stems is PLAIN else None)

    @pytest.mark.parametrize("stems", [TORCHVISION, PLAIN])
    def test_data_parallel(self, path, stems):
        arrays = arrays_by_name(stems)
        holding = read(path, write({f"module.{name}": array for name, array in arrays.items()}))
        assert_holds(holding, arrays, stems)
        assert holding.preprocessing == (vgg.PREPROCESSINGS["oxford"] if stems is PLAIN else None)

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_written_by_its_library(self, path, dtype):
        library = pytest.importorskip("safetensors.numpy")
        arrays = arrays_by_name(dtype=dtype)
        library.save_file(arrays, path)
        assert safetensors.recognises(path)
        assert_holds(safetensors.read(path), arrays, TORCHVISION)

    def test_classifier_is_not_read(self, path):
        """Its numbers are not even there, and of a type that is not known."""
        arrays = arrays_by_name()
        header, data = entries(arrays)
        header["classifier.0.weight"] = {"dtype": "F4", "shape": [10**12], "data_offsets": [0, 10**18]}
        assert_holds(read(path, file_of(header, data[:-16])), arrays, TORCHVISION)


class TestRecognises:
    @pytest.mark.parametrize(
        "data", [b"", b"\0" * 8, b"\0" * 99, b"{" * 99, struct.pack("<Q", 5) + b"[1,2]", b"PK\3\4"]
    )
    def test_others(self, path, data):
        path.write_bytes(data)
        assert not safetensors.recognises(path)

    def test_truncated(self, path):
        path.write_bytes(write(arrays_by_name())[:20])
        assert safetensors.recognises(path)


class TestDamaged:
    def test_truncated_everywhere(self, scratch):
        arrays = arrays_by_name(TORCHVISION[:1], width=2)
        data = write(arrays)
        for length in range(len(data)):
            scratch.write_bytes(data[:length])
            assert safetensors.recognises(scratch) == (length > 8)
            try:
                assert_holds(safetensors.read(scratch), arrays, TORCHVISION[:1])
                assert length >= len(data) - arrays["classifier.0.weight"].nbytes
            except UserError as error:
                assert str(error).endswith(".")

    @settings(max_examples=300, deadline=None)
    @given(st.data())
    def test_flipped_bytes(self, scratch, data):
        content = bytearray(write(arrays_by_name(TORCHVISION[:2], width=2)))
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        scratch.write_bytes(content)
        safetensors.recognises(scratch)
        try:
            assert isinstance(safetensors.read(scratch), Holding)
        except UserError as error:
            assert len(str(error)) < 500


GOOD = {"dtype": "F32", "shape": [4, 3, 3, 3], "data_offsets": [0, 432]}
BIAS = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}


class TestHostile:
    @pytest.fixture(autouse=True)
    def bounded(self):
        tracemalloc.start()
        yield
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 50e6

    def refused(self, path, data, pattern="."):
        with pytest.raises(UserError, match=pattern) as caught:
            read(path, data)
        assert len(str(caught.value)) < 300
        assert str(caught.value).endswith(".")

    @pytest.mark.parametrize("length", [2**20 + 1, 2**40, 2**64 - 1])
    def test_long_headers(self, path, length):
        self.refused(path, struct.pack("<Q", length) + b"{}" + b" " * 2_000_000, "longer than")

    @pytest.mark.parametrize(
        "header",
        [
            b"",
            b"{",
            b"\xff",
            b"{}}",
            b"[]",
            b"3",
            b"null",
            b"[" * 1_000_000,
            b'{"a":' * 200_000,
            b"9" * 1_000_000,
            b'{"conv1_1.weight": NaN}',
            b'{"conv1_1.weight": {"shape": [' + b"9" * 10_000 + b"]}}",
        ],
    )
    def test_headers(self, path, header):
        self.refused(path, file_of(header, b"\0" * 432))

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("dtype", "BF16"),
            ("dtype", "I32"),
            ("dtype", "F8_E4M3"),
            ("dtype", "F64"),
            ("dtype", "x" * 10_000),
            ("dtype", None),
            ("dtype", ["F32"]),
            ("shape", None),
            ("shape", "4333"),
            ("shape", []),
            ("shape", [4, 3, 3]),
            ("shape", [1] * 100_000),
            ("shape", [4, 3, 3, 2]),
            ("shape", [4, 3, 3, -3]),
            ("shape", [4, 3, -3, -3]),
            ("shape", [4, 3, 3, 3.0]),
            ("shape", [4, 3, 3, True]),
            ("shape", [4, 3, 2**31, 2**31]),
            ("shape", [4, 0, 2**63, 2**63]),
            ("shape", [4, 2**20, 3, 3]),
            ("data_offsets", None),
            ("data_offsets", [0]),
            ("data_offsets", [0, 432, 432]),
            ("data_offsets", [432, 0]),
            ("data_offsets", [-432, 0]),
            ("data_offsets", [4, 436]),
            ("data_offsets", [2**62, 2**62 + 432]),
            ("data_offsets", [2**70, 2**70 + 432]),
            ("data_offsets", [0, 2**62]),
            ("data_offsets", [0.0, 432.0]),
        ],
    )
    def test_entries(self, path, key, value):
        self.refused(path, file_of({"conv1_1.weight": GOOD | {key: value}, "conv1_1.bias": BIAS}, b"\0" * 432))

    @pytest.mark.parametrize("entry", [None, 3, "x", [], {}, {"dtype": "F32"}])
    def test_incomplete_entries(self, path, entry):
        self.refused(path, file_of({"conv1_1.weight": entry, "conv1_1.bias": BIAS}, b"\0" * 432), "incomplete")

    def test_endless_channels(self, path):
        """A kernel of no numbers, whose bias would have 2^60."""
        kernel = {"dtype": "F32", "shape": [2**60, 0, 3, 3], "data_offsets": [0, 0]}
        bias = {"dtype": "F32", "shape": [2**60], "data_offsets": [0, 2**62]}
        self.refused(path, file_of({"conv1_1.weight": kernel, "conv1_1.bias": bias}), "conv1_1 declares the shape")

    def test_promise_of_more_than_there_is(self, path):
        kernel = {"dtype": "F64", "shape": [512, 512, 3, 3], "data_offsets": [0, 512 * 512 * 9 * 8]}
        bias = {"dtype": "F64", "shape": [512], "data_offsets": [0, 4096]}
        self.refused(path, file_of({"conv1_1.weight": kernel, "conv1_1.bias": bias}, b"\0" * 8), "too early")

    def test_other_networks(self, path):
        self.refused(path, file_of({}), "no array in it")
        self.refused(path, write(arrays_by_name(("features.0", "features.9"))), "no VGG has")
        arrays = {**arrays_by_name(), "features.1.running_var": np.zeros(4, "f4")}
        self.refused(path, write(arrays), "batch normalisation")
