"""Stands for ``cupy.cuda.cublas``: products of column-major matrices, given by their addresses.

It gets addresses, as cuBLAS does, and checks what cuBLAS checks, and that every matrix lies within an array.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from scratchnst.engine.cuda.emulator import arrays

CUBLAS_OP_N, CUBLAS_OP_T = 0, 1
CUBLAS_COMPUTE_32F, CUBLAS_COMPUTE_64F, CUBLAS_COMPUTE_32F_FAST_TF32 = 68, 70, 77
CUBLAS_GEMM_DEFAULT = -1
CUDA_R_32F, CUDA_R_64F = 0, 1  # of cupy.cuda.runtime
INVALID_VALUE, NOT_SUPPORTED = 7, 15
HANDLE = 0x5A5A
REALS: dict[int, tuple[np.dtype, Any]] = {
    CUDA_R_32F: (np.dtype("float32"), ctypes.c_float),
    CUDA_R_64F: (np.dtype("float64"), ctypes.c_double),
}
TYPE_OF_COMPUTATION = {
    CUBLAS_COMPUTE_32F: CUDA_R_32F,
    CUBLAS_COMPUTE_32F_FAST_TF32: CUDA_R_32F,
    CUBLAS_COMPUTE_64F: CUDA_R_64F,
}


class CUBLASError(RuntimeError):
    """What cuBLAS refuses to do."""

    def __init__(self, status: int):
        self.status = status
        super().__init__({7: "CUBLAS_STATUS_INVALID_VALUE", 15: "CUBLAS_STATUS_NOT_SUPPORTED"}[status])


def get_cublas_handle() -> int:
    """Stands for ``cupy.cuda.device.get_cublas_handle``."""
    return HANDLE


def getVersion(handle: int) -> int:
    """Return a version of cuBLAS, 13.0.0."""
    return 130000


def gemmStridedBatchedEx(
    handle: int,
    transa: int,
    transb: int,
    m: int,
    n: int,
    k: int,
    alpha: int,
    A: int,
    Atype: int,
    lda: int,
    strideA: int,
    B: int,
    Btype: int,
    ldb: int,
    strideB: int,
    beta: int,
    C: int,
    Ctype: int,
    ldc: int,
    strideC: int,
    batchCount: int,
    computeType: int,
    algo: int,
) -> None:
    """C = alpha op(A) op(B) + beta C for each of `batchCount` matrices, op being the transpose or nothing.

    op(A) is (m, k), op(B) is (k, n), C is (m, n).  Element (i, j) of matrix number l lies at
    address + l * stride + j * ld + i.  C is not read where beta is 0.
    """
    if handle != HANDLE:
        raise ValueError("this is not the handle of cuBLAS")
    for number in (transa, transb, m, n, k, lda, ldb, ldc, batchCount, computeType, algo):
        if int(number) != number or not -(2**31) <= number < 2**31:
            raise OverflowError(f"{number} is not an int")
    if min(m, n, k, batchCount) < 0 or {transa, transb} - {CUBLAS_OP_N, CUBLAS_OP_T}:
        raise CUBLASError(INVALID_VALUE)
    if computeType not in TYPE_OF_COMPUTATION or {Atype, Btype, Ctype} != {TYPE_OF_COMPUTATION[computeType]}:
        raise CUBLASError(NOT_SUPPORTED)
    dtype, scalar = REALS[Ctype]
    if not m * n * batchCount:
        return
    product = _matrices(C, (batchCount, m, n), ldc, strideC, dtype)
    one, other = (
        _matrices(address, (batchCount, *(sides[::-1] if transpose else sides)), ld, stride, dtype)
        for address, sides, transpose, ld, stride in (
            (A, (m, k), transa, lda, strideA),
            (B, (k, n), transb, ldb, strideB),
        )
    )
    one, other = one.swapaxes(1, 2) if transa else one, other.swapaxes(1, 2) if transb else other
    if computeType == CUBLAS_COMPUTE_32F_FAST_TF32:
        one, other = rounded_to_tf32(one), rounded_to_tf32(other)
    alpha, beta = (dtype.type(scalar.from_address(address).value) for address in (alpha, beta))
    with np.errstate(all="ignore"):
        result = alpha * np.matmul(one, other)
        product[...] = result if beta == 0 else result + beta * product


def rounded_to_tf32(array: np.ndarray) -> np.ndarray:
    """Return float32 numbers rounded to 10 explicit bits, the nearest, and of two equally near the larger in size."""
    bits = np.ascontiguousarray(array).view(np.uint32)
    rounded = ((bits + np.uint32(1 << 12)) & np.uint32(0xFFFFE000)).view(np.float32)
    return np.where(np.isfinite(array), rounded, array)


def _matrices(address: int, shape: tuple[int, int, int], ld: int, stride: int, dtype: np.dtype) -> Any:
    """Return what lies at an address, as an array of matrices (batch, rows, columns)."""
    batch, rows, columns = shape
    if ld < max(1, rows) or (batch > 1 and stride < 0):
        raise CUBLASError(INVALID_VALUE)
    if not rows * columns:
        return np.zeros(shape, dtype)
    memory = arrays.at(address)
    needed = dtype.itemsize * ((batch - 1) * stride + (columns - 1) * ld + rows)
    if address % dtype.itemsize or needed > memory.nbytes:
        raise RuntimeError(f"cuBLAS would read or write {needed - memory.nbytes} bytes after an array")
    numbers = memory.reshape(-1).view(np.uint8).view(dtype)
    return as_strided(numbers, shape, [dtype.itemsize * step for step in (stride, 1, ld)])
