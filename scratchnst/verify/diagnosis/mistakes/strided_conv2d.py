"""Mistakes in the backward of a convolution with a stride: `scratchnst.ops.strided_conv2d`.

The right gradients are computed tap by tap, as in `conv2d` here, in a form in which a mistake is a change of one
argument.  The stride follows from the shapes, the smallest that fits them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from scratchnst.arrays import Array
from scratchnst.verify.diagnosis.mistakes import conv2d
from scratchnst.verify.diagnosis.mistakes.case import (
    GradientCase,
    KnownMistake,
    Region,
    crop,
    shifts,
    upstream_mistakes,
)


def right_input(case: GradientCase) -> Array | None:
    """Equation (e)."""
    return None if _stride(case) is None else _input_gradient(case, case.grad_y, case.inputs[1], _stride(case))


def input_mistakes(case: GradientCase) -> Iterator[KnownMistake]:
    """Mistakes in dL/dx."""
    stride, w, g = _stride(case), case.inputs[1], case.grad_y
    kh, kw, channels, filters = w.shape
    _, height, width, _ = case.inputs[0].shape

    def gradient(g=g, w=w, stride=stride):
        return _input_gradient(case, g, w, stride)

    text = "equation (e) of strided_conv2d counts the kernel from its other end, w[::-1, ::-1]"
    yield KnownMistake(
        "kernel-not-flipped", f"the right one with the kernel not flipped: {text}", gradient(w=w[::-1, ::-1])
    )
    if kh > 1 and kw > 1:
        for axis, flipped, left in ((0, "columns", "rows"), (1, "rows", "columns")):
            sentence = f"the right one with the kernel flipped along its {flipped} only: {text}"
            yield KnownMistake(f"kernel-{left}-not-flipped", sentence, gradient(w=np.flip(w, axis)))
    if kh == kw > 1:
        sentence = f"the right one with the kernel's rows and columns exchanged: {text}"
        yield KnownMistake("kernel-transposed", sentence, gradient(w=w.swapaxes(0, 1)[::-1, ::-1]))
    if channels == filters > 1:
        sentence = "the right one with the channels of the kernel not exchanged: w.swapaxes(2, 3)"
        yield KnownMistake("channels-not-exchanged", sentence, gradient(w=w.swapaxes(2, 3)))
    if stride > 1:
        yield KnownMistake(
            "stride-forgotten",
            "that of windows side by side: between the numbers of grad_y belong zeros, equation (d) of strided_conv2d",
            gradient(stride=1),
        )
        repeated = g.repeat(stride, 1).repeat(stride, 2)[:, : height - kh + 1, : width - kw + 1]
        yield KnownMistake(
            "repeated-not-spread",
            "the right one with each number of grad_y repeated: what belongs between them are zeros, equation (d) of "
            "strided_conv2d",
            gradient(repeated, stride=1),
        )
    for down, sideways, words in shifts():
        yield KnownMistake(
            "spread-off-by-one",
            f"the right one moved {words} by one pixel: window p begins at row s p of x, so that row p of grad_y lies "
            "at row s p + kh - 1 of what is convolved with the flipped kernel",
            crop(gradient(), -down, -sideways, height, width),
        )
    yield from conv2d.missing_taps(w, lambda w: gradient(w=w))
    yield from conv2d.missing_filters(g, gradient)
    yield from upstream_mistakes(gradient, g)


def unread(case: GradientCase) -> Iterator[Region]:
    """The pixels that no window reads."""
    ones = np.ones_like(case.grad_y), np.ones_like(case.inputs[1])
    yield Region(
        "unread-not-zero",
        "at pixels that no window reads, in the last rows or columns or between windows: no output depends on them, "
        "their gradient is 0",
        _input_gradient(case, *ones, _stride(case)) == 0,
    )


def right_kernel(case: GradientCase) -> Array | None:
    """Equation (c)."""
    return None if _stride(case) is None else _kernel_gradient(case, case.inputs[0], case.grad_y, _stride(case))


def kernel_mistakes(case: GradientCase) -> Iterator[KnownMistake]:
    """Mistakes in dL/dw."""
    stride, x, g = _stride(case), case.inputs[0], case.grad_y
    right = _kernel_gradient(case, x, g, stride)
    kh, kw, channels, filters = right.shape
    text = "equation (c) of strided_conv2d takes the windows as the forward does"
    if stride > 1:
        sentence = f"that of windows side by side: {text}, s pixels apart"
        yield KnownMistake("stride-forgotten", sentence, _kernel_gradient(case, x, g, 1))
    sentence = f"the right one flipped, grad_w[::-1, ::-1]: the kernel is flipped for dL/dx only, {text}"
    yield KnownMistake("kernel-gradient-flipped", sentence, right[::-1, ::-1])
    if kh == kw > 1:
        sentence = f"the right one with the kernel's rows and columns exchanged: {text}"
        yield KnownMistake("kernel-gradient-transposed", sentence, right.swapaxes(0, 1))
    if channels == filters > 1:
        sentence = "the right one with input and output channels exchanged: grad_w is (kh, kw, C, K)"
        yield KnownMistake("kernel-gradient-channels-exchanged", sentence, right.swapaxes(2, 3))
    for down, sideways, words in shifts():
        moved = crop(x, down, sideways, *x.shape[1:3])
        sentence = f"the right one for windows one pixel too far {words}: window p begins at row s p of x"
        yield KnownMistake("windows-off-by-one", sentence, _kernel_gradient(case, moved, g, stride))
    yield from conv2d.missing_taps(right, lambda gradient: gradient)
    for name, image in (("first", 0), ("last", -1)):
        if len(x) > 1:
            sentence = f"that of the {name} image alone: add the images up, grad_w += ..."
            yield KnownMistake(f"{name}-image-only", sentence, _kernel_gradient(case, x[[image]], g[[image]], stride))
    yield from upstream_mistakes(lambda g: _kernel_gradient(case, x, g, stride), g)


def right_bias(case: GradientCase) -> Array | None:
    """dL/db: the sum over images and pixels."""
    return None if _stride(case) is None else case.grad_y.sum((0, 1, 2))


def _stride(case):
    """The smallest stride that fits the shapes, None where there is none."""
    if len(case.inputs) < 2:
        return None
    x, w = case.inputs[:2]
    if not (x.ndim == w.ndim == case.grad_y.ndim == 4 and x.shape[3] == w.shape[2]) or 0 in case.grad_y.shape:
        return None
    if case.grad_y.shape[0] != len(x) or case.grad_y.shape[3] != w.shape[3]:
        return None
    beside = [x.shape[axis] - w.shape[axis - 1] for axis in (1, 2)]  # pixels, of the first window
    strides = range(1, max(*beside, 0) + 2)
    fitting = [s for s in strides if tuple(number // s + 1 for number in beside) == case.grad_y.shape[1:3]]
    return fitting[0] if fitting and min(beside) >= 0 else None


def _read(x, i, j, g, stride):
    """The pixels of `x` that tap (i, j) of the kernel meets, of g's height and width."""
    return x[:, i : i + stride * (g.shape[1] - 1) + 1 : stride, j : j + stride * (g.shape[2] - 1) + 1 : stride]


def _input_gradient(case, g, w, stride):
    """Add each output pixel's gradient to the kh x kw pixels of its window."""
    gradient = np.zeros(case.inputs[0].shape)
    for i, j in np.ndindex(*w.shape[:2]):
        _read(gradient, i, j, g, stride)[...] += g @ w[i, j].T
    return gradient


def _kernel_gradient(case, x, g, stride):
    """Equation (c), tap by tap."""
    w = case.inputs[1]
    taps = [np.tensordot(_read(x, i, j, g, stride), g, ((0, 1, 2), (0, 1, 2))) for i, j in np.ndindex(*w.shape[:2])]
    return np.stack(taps).reshape(w.shape)


_INPUT, _KERNEL, _BIAS = conv2d.INPUTS
INPUTS = (
    replace(_INPUT, right=right_input, mistakes=input_mistakes, regions=unread),
    replace(_KERNEL, right=right_kernel, mistakes=kernel_mistakes),
    replace(_BIAS, right=right_bias),
)
