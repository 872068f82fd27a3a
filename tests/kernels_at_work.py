"""Every kernel at work on the emulator, beside the textbook; as they are, or with a mistake planted in their sources.

As a program, ``python kernels_at_work.py [file text replacement]``, it says what is wrong, and ends with 1 if anything
is.  Started with AddressSanitizer loaded, it ends at the first access outside of an array.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from scratchnst.engine import cuda, textbook
from scratchnst.engine.cuda import conv2d, emulator, kernels, windows
from scratchnst.errors import UserError
from scratchnst.ops import relu

FILES = sorted(path.stem for path in kernels.FOLDER.glob("*.cu"))
TOLERANCE = {"float32": 1e-4, "float64": 1e-11}
# More numbers, pixels and channels than a block takes, by a few; sides that no tile divides.
SHAPE = (2, 11, 18, 5)
CONVOLUTIONS = [(SHAPE, (3, 3, 5, 9)), ((1, 5, 3, 35), (3, 3, 35, 3)), ((1, 1, 1, 1), (3, 3, 1, 1))]
OTHER_KERNELS = [(SHAPE, (1, 1, 5, 6)), (SHAPE, (5, 3, 5, 2))]


def numbers(random: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Return few different numbers: halves, with zeros and equal neighbours among them."""
    return (random.integers(-4, 5, shape) / 2).astype(dtype)


def elementwise(random, dtype):
    x, grad_y = numbers(random, (3, 211), dtype), numbers(random, (3, 211), dtype)
    x[1, 5] = np.nan
    return differentiated(cuda.relu, relu, grad_y, x)


def pool(name):
    def work(random, dtype):
        x, grad_y = numbers(random, (2, 5, 7, 300), dtype), numbers(random, (2, 2, 3, 300), dtype)
        return differentiated(getattr(cuda, name), getattr(textbook, name), grad_y, x)

    return work


def padding(random, dtype):
    x, grad_y = numbers(random, (2, 5, 7, 60), dtype), numbers(random, (2, 9, 13, 60), dtype)
    return differentiated(cuda.reflection_pad, textbook.reflection_pad, grad_y, x, 2, 3)


def strided(random, dtype):
    """Two images in one piece, and in pieces of one row of windows."""
    most = windows.NUMBERS
    for windows.NUMBERS in (most, 1):
        for name, sides in (("strided_conv2d", (4, 3)), ("reflected_conv2d", (6, 4))):
            shapes = (2, *sides, 6), (2, 11, 8, 40), (5, 3, 40, 6), (6,)
            grad_y, *inputs = (random.standard_normal(one).astype(dtype) for one in shapes)
            yield from differentiated(getattr(cuda, name), getattr(textbook, name), grad_y, *inputs, 2)
    windows.NUMBERS = most


def loss(name):
    def work(random, dtype):
        inputs = [numbers(random, SHAPE, dtype) for _ in range(2 if name == "content_loss" else 1)]
        return differentiated(getattr(cuda, name), getattr(textbook, name), 0.5, *inputs)

    return work


def preprocessing(random, dtype):
    x, grad_y = numbers(random, (2, 9, 15, 3), dtype), numbers(random, (2, 9, 15, 3), dtype)
    settings = "BGR", 0.5, (1.0, 2.0, 3.0), (0.25, 0.5, 2.0)
    return differentiated(cuda.preprocess, textbook.preprocess, grad_y, x, *settings)


def convolution(way, cases):
    def work(random, dtype):
        for shape, kernel in cases:
            shapes = (*shape[:3], kernel[3]), shape, kernel, kernel[3:]  # no y should be 0 but for rounding
            grad_y, *inputs = (random.standard_normal(one).astype(dtype) for one in shapes)
            with conv2d.using(way):
                yield from differentiated(cuda.conv2d_relu, textbook.conv2d_relu, grad_y, *inputs)

    return work


def differentiated(ours: Any, theirs: Any, grad_y: Any, *inputs: Any) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield y, and each gradient, as ours and as the textbook's in float64."""
    there = [cuda.asarray(one) if isinstance(one, np.ndarray) else one for one in (grad_y, *inputs)]
    wide = [one.astype("float64") if isinstance(one, np.ndarray) else one for one in (grad_y, *inputs)]
    for (operation, (gradient, *values)), found in (((ours, there), actual := []), ((theirs, wide), expected := [])):
        y, cache = operation.forward(*values)
        grads = operation.backward(gradient, cache)
        found += [y, *(grads if isinstance(grads, tuple) else [grads])]
    yield from zip(map(cuda.asnumpy, actual), expected)


def normalisation(random, dtype):
    shapes = (2, 11, 18, 5), (2, 11, 18, 5), (2, 5), (2, 5)  # several strips an image, and several blocks
    inputs = [random.standard_normal(shape).astype(dtype) for shape in shapes]
    for name in ("instance_norm", "instance_norm_relu"):
        yield from differentiated(getattr(cuda, name), getattr(textbook, name), *inputs)


ALL_KERNELS = [*CONVOLUTIONS, *OTHER_KERNELS]
WORK: dict[str, Callable] = {
    "average_pool": pool("average_pool"),
    "column_sums": convolution("naive", ALL_KERNELS),
    "instance_norm": normalisation,
    "max_pool": pool("max_pool"),
    "naive": convolution("naive", ALL_KERNELS),
    "preprocess": preprocessing,
    "reflection_pad": padding,
    "relu": elementwise,
    "squares": loss("content_loss"),
    "sums": loss("content_loss"),
    "tiled": convolution("tiled", ALL_KERNELS),
    "tiled_gradient": convolution("tiled", ALL_KERNELS),
    "total_variation": loss("total_variation"),
    "windows": strided,
    "winograd": convolution("winograd", CONVOLUTIONS),
}


def mistakes(file: str, dtype: str = "float32", order: str = "forward") -> list[str]:
    """Return what is wrong with the kernels of a file: what the emulator reports, or where numbers are not right."""
    found = []
    with emulator.installed(order):
        try:
            for number, (actual, expected) in enumerate(WORK[file](np.random.default_rng(0), dtype)):
                scale = np.nanmax(np.abs(expected), initial=1e-30)
                if not np.allclose(actual, expected, rtol=0, atol=TOLERANCE[dtype] * scale, equal_nan=True):
                    found.append(f"wrong numbers in result {number}")
        except (emulator.KernelFault, UserError, ValueError) as problem:
            found.append(f"{type(problem).__name__}: {problem}")
    return found


@contextmanager
def planted(file: str, text: str, replacement: str) -> Iterator[None]:
    """Let the kernels of a file be compiled from another text within the block.

    Raises
    ------
    LookupError
        If `text` does not occur exactly once.
    """
    original = kernels.source
    occurrences = original(file).count(text)
    if occurrences != 1:
        raise LookupError(f"{text!r} occurs {occurrences} times in {file}.cu")
    changed = original(file).replace(text, replacement)
    _forget()
    kernels.source = lambda name: changed if name == file else original(name)
    try:
        yield
    finally:
        kernels.source = original
        _forget()


def _forget():
    for remembering in (kernels.signatures, kernels._kernel, kernels._module):
        remembering.cache_clear()


def main(arguments: list[str]) -> int:
    """Report what is wrong with all kernels, or with those of a file with a mistake in it."""
    if arguments:
        with planted(*arguments):
            found = mistakes(arguments[0])
    else:
        found = [
            f"{file}, {dtype}, {order}: {mistake}"
            for file in FILES
            for dtype in TOLERANCE
            for order in ("forward", "reverse")
            for mistake in mistakes(file, dtype, order)
        ]
    print("\n".join(found) or "nothing is wrong")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
