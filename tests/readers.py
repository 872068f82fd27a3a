"""Shared by the tests of readers: damaged files, and checks of how a reader handles them."""

from __future__ import annotations

import os
import re
import tracemalloc
from contextlib import contextmanager

import numpy as np
from hypothesis import strategies as st

from scratchnst.errors import UserError
from scratchnst.weights.assembly import FileWeights


def written(path, data):
    """Write `data` to `path` and return it.  Some file systems take a hundred times longer to overwrite a file."""
    path.unlink(missing_ok=True)
    path.write_bytes(data)
    return path


def truncations(path, data):
    """Truncate `data` in `path` to every length, the longest first, and yield the length."""
    written(path, data)
    for length in reversed(range(len(data))):
        os.truncate(path, length)
        yield length


@st.composite
def damaged(draw, contents, places=()):
    """One of `contents` with one to four bytes changed, about half of them at `places` if there are any."""
    content = bytearray(draw(st.sampled_from(contents)))
    place = st.integers(0, len(content) - 1)
    if places:
        place = st.sampled_from(places) | place
    for where, bits in draw(st.lists(st.tuples(place, st.integers(1, 255)), min_size=1, max_size=4)):
        content[where] ^= bits
    return bytes(content)


def programs():
    """Up to sixty bytes, generated in the way that tries the most values."""
    return st.lists(st.sampled_from([bytes([code]) for code in range(256)]), max_size=60).map(b"".join)


class Calls:
    """Pickles as a call of `function`."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


# ------------------------------------------------------------------------------------- checks


def outcome(read, path):
    """Return the result of `read`, or the short sentence with which it refuses the file."""
    try:
        return read(path)
    except UserError as error:
        message = str(error)
        assert re.fullmatch(r"[^\n]+[.]", message)
        assert message.isprintable()
        assert len(message.replace(str(path), "")) < 300
        return message


def refused(read, path, pattern="", memory=50e6):
    """Check that `read` refuses a file in little memory, with a message that matches `pattern`; return the message."""
    with memory_below(memory):
        message = outcome(read, path)
    assert isinstance(message, str), "it was read"
    assert re.search(pattern, message), message
    return message


def survived(reader, path, data):
    """Check that `reader` recognises a file or not, and reads or refuses it; return the outcome."""
    written(path, data)
    assert reader.recognises(path) in (True, False)
    result = outcome(reader.read, path)
    assert isinstance(result, FileWeights | str)
    return result


@contextmanager
def memory_below(limit):
    """Check that never more than `limit` bytes are allocated within the block."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit
    finally:
        tracemalloc.stop()


# ------------------------------------------------------------------------------------- contents


def assert_holds(weights, layers):
    """Check that `weights` has exactly `layers`, name -> (kernel (kh, kw, C_in, C_out), bias), to the bit."""
    assert isinstance(weights, FileWeights), weights
    assert list(weights.arrays) == list(layers)
    for name, both in layers.items():
        for actual, expected in zip(weights.arrays[name], both):
            assert actual.flags.c_contiguous
            assert actual.dtype == expected.dtype.newbyteorder("=")
            np.testing.assert_array_equal(actual, expected)


TORCHVISION, PLAIN = ("features.0", "features.2", "features.5"), ("conv1_1", "conv1_2", "conv2_1")


def state_dict(stems=TORCHVISION, width=4, dtype="f4"):
    """Name -> array: kernels (C_out, C_in, 3, 3) and biases under `stems`, and a classifier that does not matter."""
    rng = np.random.default_rng(1)
    arrays = {}
    for number, stem in enumerate(stems):
        arrays[f"{stem}.weight"] = rng.standard_normal((width, width if number else 3, 3, 3)).astype(dtype)
        arrays[f"{stem}.bias"] = rng.standard_normal(width).astype(dtype)
    arrays["classifier.0.weight"] = np.zeros((2, 2), dtype)
    return arrays


def layers_of(arrays, stems=TORCHVISION, names=PLAIN):
    """What a reader should find in a state dict."""
    return {
        name: (arrays[f"{stem}.weight"].transpose(2, 3, 1, 0), arrays[f"{stem}.bias"])
        for stem, name in zip(stems, names)
    }
