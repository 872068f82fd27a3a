"""The engine for the CPU: the textbook's operations made fast, in NumPy, with BLAS and threads.

Each module here keeps the contract of its namesake in `scratchnst.ops`, and is held to it by the tests.  What is new
is how, not what: the mathematics stands there, but for Winograd's convolution, which has a derivation of its own in
`scratchnst.engine.cpu.winograd`.

The same arrays give the same results to the last bit, whatever else runs in the process, as long as the number of
threads is the same.  With another number they differ by rounding: BLAS multiplies pieces of other sizes.
"""

from __future__ import annotations

from numpy import asarray, zeros
from numpy import asarray as asnumpy

from scratchnst.engine.cpu import (
    average_pool,
    content_loss,
    conv2d,
    conv2d_relu,
    gram,
    max_pool,
    style_loss,
    total_variation,
)
from scratchnst.engine.cpu.add import add
from scratchnst.engine.cpu.sessions import session
from scratchnst.ops import preprocess  # threads would save a hundredth part of an evaluation

__all__ = [
    "add",
    "asarray",
    "asnumpy",
    "average_pool",
    "content_loss",
    "conv2d",
    "conv2d_relu",
    "gram",
    "max_pool",
    "name",
    "preprocess",
    "session",
    "style_loss",
    "total_variation",
    "zeros",
]

name = "cpu"
