"""Products of matrices by cuBLAS, through CuPy: whole stacks of them in one call, and transposes without a copy.

cuBLAS counts down columns, we count along rows: what lies in memory as our (m, n) matrix is to cuBLAS its transpose,
(n, m).  So ask it for (A B)^T = B^T A^T: it gets the factors in reverse order, and each is transposed already.  What it
writes column by column is A B, row by row.

TF32.  Tensor cores multiply float32 numbers many times as fast, if they may round each factor to 10 of its 23 bits, an
error of 2^-11 at most; sums are float32's.  It is off unless asked for; README says what it costs in accuracy.
Winograd's convolution adds to it: the error of one convolution is six or seven times as large as that of rounding the
pixels and weights themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

import numpy as np

from scratchnst.arrays import Array
from scratchnst.engine.cuda import device

LARGEST_SIDE = 2**31 - 1  # of a matrix, for cuBLAS
DTYPES = np.dtype("float32"), np.dtype("float64")
PRECISIONS = ("float32", "tf32")
PIECE_OF_PRODUCT = 128  # rows and columns that cuBLAS gives to a multiprocessor, about
ENOUGH_PIECES = 256  # for a GPU's multiprocessors, of which there are 40 (T4) to 132 (H200)
FEWEST_ROWS = 256  # of a stretch of a long sum

_precision: ContextVar[str] = ContextVar("precision of products of float32", default="float32")


@contextmanager
def precision(name: str) -> Iterator[None]:
    """Multiply float32 matrices in this precision within the block, in this thread; float64 stays what it is.

    Parameters
    ----------
    name : "float32", the default, or "tf32": tensor cores may multiply, of GPUs that have them for it (compute
        capability 8.0 and later; others compute in float32).  They round each factor to 10 of float32's 23 bits, and
        add in float32
    """
    if name not in PRECISIONS:
        raise ValueError(f"there is no precision {name!r}; choose one of {', '.join(PRECISIONS)}")
    token = _precision.set(name)
    try:
        yield
    finally:
        _precision.reset(token)


def current_precision() -> str:
    """Return the name of the precision in which products of float32 matrices are computed here."""
    return _precision.get()


def multiply(
    a: Array,
    b: Array,
    out: Array | None = None,
    transpose_a: bool = False,
    transpose_b: bool = False,
    accumulate: bool = False,
) -> Array:
    """Return the product of each matrix of the stack `a` with that of `b`.

    Parameters
    ----------
    a : (B, m, k), or (B, k, m) if `transpose_a`; float32 or float64
    b : (B, k, n), or (B, n, k) if `transpose_b`; of a's dtype
    out : contiguous (B, m, n) for the result, or None for a new array
    accumulate : add the products to `out` instead of replacing what is there

    Raises
    ------
    ValueError
        If shapes or dtypes do not match, or a side is too long for cuBLAS.
    """
    m, k = _sides(a, transpose_a)
    other_k, n = _sides(b, transpose_b)
    if (len(a), k) != (len(b), other_k):
        raise ValueError(f"stacks of {a.shape} and {b.shape} cannot be multiplied")
    if out is None:
        if accumulate:
            raise ValueError("accumulate needs an array to add to: give out")
        out = device.empty((len(a), m, n), a.dtype)
    if out.shape != (len(a), m, n) or not out.flags.c_contiguous:
        raise ValueError(f"out must be a contiguous {(len(a), m, n)}")
    if not (a.dtype == b.dtype == out.dtype) or a.dtype not in DTYPES:
        raise ValueError(f"factors and product must be all float32 or all float64: {a.dtype}, {b.dtype}, {out.dtype}")
    if max(m, n, k, len(a)) > LARGEST_SIDE:
        raise ValueError(f"stacks of {a.shape} and {b.shape} have more numbers in a row than cuBLAS can count")
    if a.size and b.size:
        _call_cublas(device.contiguous(a), device.contiguous(b), out, transpose_a, transpose_b, accumulate)
    elif not accumulate:
        out.fill(0)
    return out


def multiply_tall(a: Array, b: Array) -> Array:
    """Return the products (B, m, n) of transposed `a` (B, k, m) with `b` (B, k, n), for k far larger than m and n.

    Each number of a product is one long sum, and there are too few of them to keep all of a GPU busy.  So the rows are
    cut into stretches of one length, as a higher stack, and then their products are added.  Rounding errors are the
    smaller for it.
    """
    if a.ndim != 3 or b.ndim != 3 or a.shape[:2] != b.shape[:2]:
        raise ValueError(f"stacks of {a.shape} and {b.shape} cannot be multiplied")
    count = stretches(a.shape[1], a.shape[2], b.shape[2])
    if count == 1:
        return multiply(a, b, transpose_a=True)
    product = device.empty((len(a), a.shape[2], b.shape[2]), a.dtype)
    for image in range(len(a)):
        _multiply_stretches(device.contiguous(a[image]), device.contiguous(b[image]), count, product[image])
    return product


def _multiply_stretches(a, b, count, product):
    """Write transposed `a` times `b` into `product`: a sum over `count` stretches, and the few rows that are left."""
    length = len(a) // count
    together = count * length
    stack_a, stack_b = (matrix[:together].reshape(count, length, matrix.shape[1]) for matrix in (a, b))
    multiply(stack_a, stack_b, transpose_a=True).sum(axis=0, out=product)
    multiply(a[None, together:], b[None, together:], product[None], transpose_a=True, accumulate=True)


def stretches(rows: int, m: int, n: int) -> int:
    """Return into how many stretches to cut the rows of a product (m, n)."""
    pieces = -(-m // PIECE_OF_PRODUCT) * -(-n // PIECE_OF_PRODUCT)
    return max(1, min(ENOUGH_PIECES // max(1, pieces), rows // FEWEST_ROWS))


def _sides(stack, transpose):
    """Return rows and columns of the matrices of a stack, as they enter the product."""
    if stack.ndim != 3:
        raise ValueError(f"a stack of matrices has three dimensions, not {stack.ndim}")
    rows, columns = stack.shape[1:]
    return (columns, rows) if transpose else (rows, columns)


def _call_cublas(a, b, out, transpose_a, transpose_b, accumulate):
    """Ask for B^T A^T, see above.  The numbers called leading dimensions are how far apart our rows are."""
    cuda = device.library().cuda
    cublas = cuda.cublas
    operations = cublas.CUBLAS_OP_N, cublas.CUBLAS_OP_T
    single = out.dtype == np.float32
    kind = cuda.runtime.CUDA_R_32F if single else cuda.runtime.CUDA_R_64F
    tf32 = _precision.get() == "tf32"
    # CuPy leaves cuBLAS in its default mode, in which COMPUTE_32F is float32 throughout.
    of_single = cublas.CUBLAS_COMPUTE_32F_FAST_TF32 if tf32 else cublas.CUBLAS_COMPUTE_32F
    (_, one), (_, add) = _number(1, out.dtype), _number(int(accumulate), out.dtype)
    with device.step("product"):
        cublas.gemmStridedBatchedEx(
            cuda.device.get_cublas_handle(),
            operations[transpose_b],
            operations[transpose_a],
            out.shape[2],
            out.shape[1],
            a.shape[1] if transpose_a else a.shape[2],
            one,
            *_operand(b, kind),
            *_operand(a, kind),
            add,  # product = one * factors + add * product
            *_operand(out, kind),
            len(out),
            of_single if single else cublas.CUBLAS_COMPUTE_64F,
            cublas.CUBLAS_GEMM_DEFAULT,  # cuBLAS chooses; the argument before sets the precision
        )


@cache
def _number(value, dtype):
    """Return a number as cuBLAS takes it: an array in the CPU's memory, which lives on here, and its address."""
    array = np.array(value, dtype)
    return array, array.ctypes.data


def _operand(stack, kind):
    """Return address, type of number, and how far apart rows and matrices are."""
    return stack.data.ptr, kind, stack.shape[2], stack.shape[1] * stack.shape[2]
