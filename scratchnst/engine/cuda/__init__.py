"""The engine for GPUs by NVIDIA: kernels of our own, in CUDA C, and products of matrices by cuBLAS, both through CuPy.

Each module here keeps the contract of its namesake in `scratchnst.ops`, and is held to it by the tests.  An operation's
kernels stand in the ``.cu`` file beside it, written for readers who have not seen CUDA; begin with relu.cu, then
average_pool.cu, squares.cu and block_sum.cuh.  `scratchnst.engine.cuda.kernels` compiles and launches them.

Arrays are CuPy's and stay on the GPU, the values of losses too, as float64 arrays without dimensions.  No kernel uses
atomic additions: the same arrays give the same results to the last bit.

Importing this module asks for no GPU, and no CuPy.  With `scratchnst.emulator` in CuPy's place all of it runs on the
CPU.
"""

from __future__ import annotations

from scratchnst.engine.cuda import (
    average_pool,
    content_loss,
    conv2d,
    conv2d_relu,
    gram,
    max_pool,
    preprocess,
    style_loss,
    total_variation,
)
from scratchnst.engine.cuda import relu as relu  # not asked of engines: here for study
from scratchnst.engine.cuda.add import add
from scratchnst.engine.cuda.device import asarray, asnumpy, zeros
from scratchnst.engine.cuda.sessions import session

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

name = "cuda"
