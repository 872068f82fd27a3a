"""The engine for GPUs by NVIDIA: kernels of our own, in CUDA C, and products of matrices by cuBLAS, both through CuPy.

Each module here keeps the contract of its namesake in `scratchnst.ops`, and tests compare the two.  What runs on
the GPU stands in the ``.cu`` file beside it, one idea a file, for readers who have not seen CUDA.  In this order each
file needs only those above it, and the words on the right are explained where they are first needed::

    relu.cu             a thread for each number          kernel, thread, block, grid
    average_pool.cu     rows and channels                 warp
    naive.cu            convolution by its definition     __restrict__
    block_sum.cuh       a sum of a block's threads        __device__, shared memory, barrier
    squares.cu          many numbers for each thread      grid-stride loop
    sums.cu             the end of a sum                  why it takes a second kernel
    column_sums.cu      a sum for each column
    instance_norm.cu    sums, then each number
    tiled.cu            convolution, shared fetches       registers, multiprocessor, coalesced reads, banks, unrolling
    tiled_gradient.cu   its gradient
    winograd.cu         convolution in fewer products     (derived in `scratchnst.engine.cpu.winograd`)
    windows.cu          convolution with a stride, around products of matrices

max_pool.cu, reflection_pad.cu, total_variation.cu and preprocess.cu bring nothing new, and upsampling takes
average_pool.cu.  One word has two meanings: a kernel is a function
that a GPU runs, and it is the weights of a convolution, as in "a 3x3 kernel" or "the kernel's gradient".

On the CPU's side relu.py shows all there is to a launch; `kernels` compiles and launches, `device` is what we take of
CuPy, `products` multiplies matrices, `conv2d` says which convolution is taken when.

Arrays are CuPy's and stay on the GPU, the values of losses too, as float64 arrays without dimensions.  No kernel uses
atomic additions: the same arrays give the same results to the last bit.

Importing this module needs no GPU and no CuPy.  With `scratchnst.engine.cuda.emulator` in CuPy's place all of it
runs on the CPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from scratchnst.arrays import Array
from scratchnst.engine.checks import check_shape
from scratchnst.engine.cuda import availability, device, products
from scratchnst.engine.engine import Engine, own_operations

# A kernel of our own would not be better at an addition or a guide; the other operations are computed once for a
# picture, and the losses, which are options, by CuPy's own kernels.
from scratchnst.losses import absolute_variation, laplacian_loss, projections, sliced_style_loss
from scratchnst.ops import adain, addition, guide, matrix_square_root, moments, replicate_pad, whitening


class Cuda(Engine):
    """The operations on a GPU, whose arrays are CuPy's."""

    has_own_memory = compiles_kernels = True
    # CuPy cuts an array out of freed memory, and what is left over may fit nothing else.  In a model of its pool, that
    # of the emulator, VGG19 at 512x512 to 4096x4096 pixels, whole and in strips, takes up to 1.47 times what its arrays
    # do.
    memory_factor = 1.5
    precisions = products.PRECISIONS

    asarray = staticmethod(device.asarray)
    asnumpy = staticmethod(device.asnumpy)
    zeros = staticmethod(device.zeros)
    precision = staticmethod(products.precision)
    current_precision = staticmethod(products.current_precision)
    describe = staticmethod(availability.describe)
    hardware = staticmethod(availability.hardware)

    def add(self, total: Array, part: Array) -> Array:
        check_shape("gradient", part, total.shape)
        return super().add(total, part)

    def synchronize(self) -> None:
        device.library().cuda.Device().synchronize()

    @contextmanager
    def memory_limit(self, size: int | None) -> Iterator[None]:
        """Let arrays take `size` bytes at most within the block, None: no other limit; else a MemoryError is raised."""
        pool = device.pool()
        before = pool.get_limit()
        pool.set_limit(size=before if size is None else size)
        try:
            yield
        finally:
            pool.set_limit(size=before)

    def has_memory_limit(self) -> bool:
        return bool(device.pool().get_limit())

    def memory_in_use(self) -> int:
        return device.pool().used_bytes()

    def reserved_memory(self) -> int:
        return device.pool().total_bytes()

    def free_memory(self) -> int:
        pool, (free, _) = device.pool(), device.library().cuda.runtime.memGetInfo()
        free += pool.free_bytes()
        return min(free, max(pool.get_limit() - pool.used_bytes(), 0)) if pool.get_limit() else free

    def total_memory(self) -> int:
        _, total = device.library().cuda.runtime.memGetInfo()
        return min(total, device.pool().get_limit() or total)

    def release_memory(self) -> None:
        device.pool().free_all_blocks()


TEXTBOOKS = (
    *(absolute_variation, adain, addition, guide, laplacian_loss, matrix_square_root, moments, projections),
    *(replicate_pad, sliced_style_loss, whitening),
)
ENGINE = Cuda("cuda", (*TEXTBOOKS, *own_operations(__name__)))
