"""safetensors files: written here byte by byte and, where it is installed, by their own library; and hostile ones."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
import readers
from hypothesis import given, settings
from readers import (
    PLAIN,
    TORCHVISION,
    assert_holds,
    damaged,
    layers_of,
    outcome,
    state_dict,
    survived,
    truncations,
    written,
)

from scratchnst.models import vgg
from scratchnst.weights.formats import safetensors

DTYPES = {"f2": "F16", "f4": "F32", "f8": "F64"}


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
    return safetensors.read(written(path, data))


def refused(path, data, pattern=""):
    readers.refused(safetensors.read, written(path, data), pattern)


class TestValues:
    @pytest.mark.parametrize("stems", [TORCHVISION, PLAIN])
    @pytest.mark.parametrize("dtype", DTYPES)
    def test_bit_identical(self, path, stems, dtype):
        arrays = state_dict(stems, dtype=dtype)
        weights = read(path, write(arrays))
        assert safetensors.recognises(path)
        assert_holds(weights, layers_of(arrays, stems))
        assert weights.preprocessing == (vgg.PREPROCESSINGS["oxford"] if stems is PLAIN else None)

    @pytest.mark.parametrize("stems", [TORCHVISION, PLAIN])
    def test_data_parallel(self, path, stems):
        arrays = state_dict(stems)
        weights = read(path, write({f"module.{name}": array for name, array in arrays.items()}))
        assert_holds(weights, layers_of(arrays, stems))
        assert weights.preprocessing == (vgg.PREPROCESSINGS["oxford"] if stems is PLAIN else None)

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_written_by_its_library(self, path, dtype):
        library = pytest.importorskip("safetensors.numpy")
        arrays = state_dict(dtype=dtype)
        library.save_file(arrays, path)
        assert safetensors.recognises(path)
        assert_holds(safetensors.read(path), layers_of(arrays))

    def test_classifier_is_not_read(self, path):
        """Its numbers are missing, and of an unknown type."""
        arrays = state_dict()
        header, data = entries(arrays)
        header["classifier.0.weight"] = {"dtype": "F4", "shape": [10**12], "data_offsets": [0, 10**18]}
        assert_holds(read(path, file_of(header, data[:-16])), layers_of(arrays))


class TestRecognises:
    @pytest.mark.parametrize(
        "data", [b"", b"\0" * 8, b"\0" * 99, b"{" * 99, struct.pack("<Q", 5) + b"[1,2]", b"PK\3\4"]
    )
    def test_others(self, path, data):
        written(path, data)
        assert not safetensors.recognises(path)

    def test_truncated(self, path):
        written(path, write(state_dict())[:20])
        assert safetensors.recognises(path)


class TestDamaged:
    def test_truncated_everywhere(self, path):
        arrays = state_dict(TORCHVISION[:1], width=2)
        data = write(arrays)
        for length in truncations(path, data):
            assert safetensors.recognises(path) == (length > 8)
            weights = outcome(safetensors.read, path)
            if not isinstance(weights, str):
                assert length >= len(data) - arrays["classifier.0.weight"].nbytes
                assert_holds(weights, layers_of(arrays, TORCHVISION[:1]))

    @settings(max_examples=300, deadline=None)
    @given(damaged([write(state_dict(TORCHVISION[:2], width=2))]))
    def test_flipped_bytes(self, path, data):
        survived(safetensors, path, data)


GOOD = {"dtype": "F32", "shape": [4, 3, 3, 3], "data_offsets": [0, 432]}
BIAS = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}


class TestHostile:
    @pytest.mark.parametrize("length", [2**20 + 1, 2**40, 2**64 - 1])
    def test_long_headers(self, path, length):
        refused(path, struct.pack("<Q", length) + b"{}" + b" " * 2_000_000, "longer than")

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
        refused(path, file_of(header, b"\0" * 432))

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
            ("shape", [4, 10**4000, 0, 3]),
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
        refused(path, file_of({"conv1_1.weight": GOOD | {key: value}, "conv1_1.bias": BIAS}, b"\0" * 432))

    @pytest.mark.parametrize("entry", [None, 3, "x", [], {}, {"dtype": "F32"}])
    def test_incomplete_entries(self, path, entry):
        refused(path, file_of({"conv1_1.weight": entry, "conv1_1.bias": BIAS}, b"\0" * 432), "incomplete")

    def test_endless_channels(self, path):
        """A kernel of no numbers, whose bias would have 2^60."""
        kernel = {"dtype": "F32", "shape": [2**60, 0, 3, 3], "data_offsets": [0, 0]}
        bias = {"dtype": "F32", "shape": [2**60], "data_offsets": [0, 2**62]}
        refused(path, file_of({"conv1_1.weight": kernel, "conv1_1.bias": bias}), "conv1_1 declares a shape")

    def test_promise_of_more_than_there_is(self, path):
        kernel = {"dtype": "F64", "shape": [512, 512, 3, 3], "data_offsets": [0, 512 * 512 * 9 * 8]}
        bias = {"dtype": "F64", "shape": [512], "data_offsets": [0, 4096]}
        refused(path, file_of({"conv4_2.weight": kernel, "conv4_2.bias": bias}, b"\0" * 8), "too early")

    def test_other_networks(self, path):
        refused(path, file_of({}), "no array in it")
        refused(path, write(state_dict(("features.0", "features.9"))), "no VGG has")
        arrays = {**state_dict(), "features.1.running_var": np.zeros(4, "f4")}
        refused(path, write(arrays), "batch normalisation")
