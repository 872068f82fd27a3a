"""Mistakes in the backward of a convolution: `scratchnst.ops.conv2d`, stride 1, any zero padding.

The right gradients are computed tap by tap, in a form in which a mistake is a change of one argument.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from scratchnst.arrays import Array
from scratchnst.verify.diagnosis.mistakes.case import (
    ACTIVATION,
    GradientCase,
    InputMistakes,
    KnownMistake,
    crop,
    shifts,
    upstream_mistakes,
    without_border,
)


def right_input(case: GradientCase) -> Array | None:
    """Equation (d)."""
    padding = _padding(case)
    return None if padding is None else _input_gradient(case, padding, case.grad_y, case.inputs[1])


def input_mistakes(case: GradientCase) -> Iterator[KnownMistake]:
    """Mistakes in dL/dx."""
    padding, w, g = _padding(case), case.inputs[1], case.grad_y
    assert padding is not None
    kh, kw, channels, filters = w.shape

    def gradient(g=g, w=w):
        return _input_gradient(case, padding, g, w)

    yield KnownMistake(
        "kernel-not-flipped",
        "the right one with the kernel not flipped: equation (d) of conv2d counts the kernel from its other end, "
        "w[::-1, ::-1]",
        gradient(w=w[::-1, ::-1]),
    )
    if kh > 1 and kw > 1:
        for axis, flipped, left in ((0, "columns", "rows"), (1, "rows", "columns")):
            yield KnownMistake(
                f"kernel-{left}-not-flipped",
                f"the right one with the kernel flipped along its {flipped} only: equation (d) of conv2d counts it "
                "from its other end in both directions, w[::-1, ::-1]",
                gradient(w=np.flip(w, axis)),
            )
    if kh > 1 or kw > 1:
        for key, words, exchanged in (
            ("kernel-transposed", "in place of being flipped", w.swapaxes(0, 1)[::-1, ::-1]),
            ("kernel-transposed-and-flipped", "besides being flipped", w.swapaxes(0, 1)),
        ):
            yield KnownMistake(
                key,
                f"the right one with the kernel's rows and columns exchanged {words}: flip it, w[::-1, ::-1], and "
                "leave axes 0 and 1 in their order",
                crop(_spread(g, exchanged), *padding[::-1], *case.inputs[0].shape[1:3]),
            )
    if channels != filters:
        reshaped = w[::-1, ::-1].reshape(kh, kw, filters, channels).swapaxes(2, 3)[::-1, ::-1]
        yield KnownMistake(
            "channels-reshaped",
            "the right one with the kernel's channels reshaped to (K, C): exchange them, swapaxes(2, 3); a reshape "
            "does not move numbers",
            gradient(w=reshaped),
        )
    if channels == filters > 1:
        text = "of the kernel not exchanged: on the way back output channels come in, w.swapaxes(2, 3)"
        sentence = f"the right one with the channels {text}"
        yield KnownMistake("channels-not-exchanged", sentence, gradient(w=w.swapaxes(2, 3)))
        yield KnownMistake(
            "kernel-not-flipped-channels-not-exchanged",
            f"the right one with the kernel not flipped, w[::-1, ::-1], and the channels {text}",
            gradient(w=w.swapaxes(2, 3)[::-1, ::-1]),
        )
    yield from _shifted_input(case, padding)
    yield from _input_borders(case, padding)
    yield from missing_taps(w, lambda w: gradient(w=w))
    yield from missing_filters(g, lambda g: gradient(g=g))
    if channels == filters and len(case.inputs) > 2:
        sentence = "the right one plus the bias: a constant has no part in dL/dx, convolve without b"
        yield KnownMistake("bias-added", sentence, gradient() + case.inputs[2])
    yield from upstream_mistakes(lambda g: gradient(g=g), g)


def right_kernel(case: GradientCase) -> Array | None:
    """Equation (c)."""
    padding = _padding(case)
    return None if padding is None else _kernel_gradient(_padded(case.inputs[0], padding), case.grad_y)


def kernel_mistakes(case: GradientCase) -> Iterator[KnownMistake]:
    """Mistakes in dL/dw."""
    padding, x, g = _padding(case), case.inputs[0], case.grad_y
    assert padding is not None
    padded = _padded(x, padding)
    right = _kernel_gradient(padded, g)
    kh, kw, channels, filters = right.shape
    text = "equation (c) of conv2d takes the windows as the forward does"
    sentence = f"the right one flipped, grad_w[::-1, ::-1]: the kernel is flipped for dL/dx only, {text}"
    yield KnownMistake("kernel-gradient-flipped", sentence, right[::-1, ::-1])
    if kh > 1 and kw > 1:
        for axis, name in ((0, "rows"), (1, "columns")):
            sentence = f"the right one with its {name} in reverse: {text}"
            yield KnownMistake(f"kernel-gradient-{name}-flipped", sentence, np.flip(right, axis))
    if kh == kw > 1:
        sentence = f"the right one with the kernel's rows and columns exchanged: {text}"
        yield KnownMistake("kernel-gradient-transposed", sentence, right.swapaxes(0, 1))
    if channels == filters > 1:
        yield KnownMistake(
            "kernel-gradient-channels-exchanged",
            "the right one with input and output channels exchanged: grad_w[i, j, c, k] belongs to input channel c and "
            "output channel k",
            right.swapaxes(2, 3),
        )
    r, s = padding
    for down, sideways, words in shifts():
        moved = crop(_padded(x, (r + 1, s + 1)), 1 + down, 1 + sideways, *padded.shape[1:3])
        sentence = f"the right one for windows one pixel too far {words}: the padding is off by one"
        yield KnownMistake("padding-off-by-one", sentence, _kernel_gradient(moved, g))
    if r or s:
        yield KnownMistake(
            "border-lost",
            "the right one without the output pixels on the border, whose windows reach into the padding: pad x with "
            "zeros, as the forward does, and take every output pixel",
            _kernel_gradient(padded, without_border(g, r, s)),
        )
        for mode, words in (("edge", "by repeating its border"), ("reflect", "by its reflection"), ("wrap", "around")):
            if mode != "reflect" or min(x.shape[1] - r, x.shape[2] - s) > 0:
                sentence = f"the right one for x continued {words}: the forward pads with zeros"
                yield KnownMistake(f"padded-{mode}", sentence, _kernel_gradient(_padded(x, padding, mode), g))
    yield from missing_taps(right, lambda gradient: gradient)
    for name, image in (("first", 0), ("last", -1)):
        if len(x) > 1:
            sentence = f"that of the {name} image alone: add the images up, grad_w += ..."
            yield KnownMistake(f"{name}-image-only", sentence, _kernel_gradient(padded[[image]], g[[image]]))
    if case.output.shape == x.shape:
        sentence = "the right one with the output y in the place of the input x: the cache must keep x"
        yield KnownMistake("output-for-input", sentence, _kernel_gradient(_padded(case.output, padding), g))
    sentence = "the right one for max(x, 0) in the place of x: the cache keeps x of another place"
    yield KnownMistake("input-after-relu", sentence, _kernel_gradient(_padded(np.maximum(x, 0), padding), g))
    yield from upstream_mistakes(lambda g: _kernel_gradient(padded, g), g)
    seen = _kernel_gradient(_padded(np.ones_like(x), padding), g)
    each = tuple(seen * (np.arange(channels) == channel)[:, np.newaxis] for channel in range(channels))
    numbers = ", ".join(f"{{{channel}}}" for channel in range(channels))
    yield KnownMistake(
        "mean-not-subtracted",
        f"the right one for x with a constant added to each channel, ({numbers}): the x in the cache is not what the "
        "forward saw, as when a mean is subtracted for one and not for the other",
        right,
        each,
    )


def right_bias(case: GradientCase) -> Array | None:
    """dL/db: the sum over images and pixels."""
    return None if _padding(case) is None else case.grad_y.sum((0, 1, 2))


def bias_mistakes(case: GradientCase) -> Iterator[KnownMistake]:
    """Mistakes in dL/db."""
    g = case.grad_y
    text = "b[k] is added to every pixel of every image: sum over axes 0, 1 and 2 of grad_y"
    for axis, name in enumerate(ACTIVATION[:3]):
        for which, index in (("first", 0), ("last", -1)):
            if g.shape[axis] > 1:
                sentence = f"the sum over the {which} {name} alone: {text}"
                yield KnownMistake(f"bias-{which}-{name}-only", sentence, g.take([index], axis).sum((0, 1, 2)))
        others = tuple(other for other in range(4) if other != axis)
        if g.shape[axis] == g.shape[3]:
            yield KnownMistake("bias-wrong-axes", f"the sum of grad_y over axes {others}: {text}", g.sum(others))
    sentence = f"the sum without the border: {text}"
    yield KnownMistake("bias-border-lost", sentence, without_border(g, 1, 1).sum((0, 1, 2)))
    yield from upstream_mistakes(lambda g: g.sum((0, 1, 2)), g)


def _padding(case):
    """Rows and columns of zeros on each side of x, from the shapes; None where these are not a convolution's."""
    if len(case.inputs) < 2:
        return None
    x, w = case.inputs[:2]
    if not (x.ndim == w.ndim == case.grad_y.ndim == 4 and x.shape[3] == w.shape[2]):
        return None
    if case.grad_y.shape[0] != len(x) or case.grad_y.shape[3] != w.shape[3]:
        return None
    double = [case.grad_y.shape[axis] - x.shape[axis] + w.shape[axis - 1] - 1 for axis in (1, 2)]
    if any(number < 0 or number % 2 for number in double) or 0 in case.grad_y.shape:
        return None
    return double[0] // 2, double[1] // 2


def _padded(x, padding, mode="constant"):
    (r, s) = padding
    return np.pad(x, ((0, 0), (r, r), (s, s), (0, 0)), mode)


def _input_gradient(case, padding, g, w):
    return crop(_spread(g, w), *padding, *case.inputs[0].shape[1:3])


def _spread(g, w):
    """Add each output pixel's gradient to the kh x kw pixels of its window, those of the padding included."""
    kh, kw, channels, _ = w.shape
    count, height, width, _ = g.shape
    full = np.zeros((count, height + kh - 1, width + kw - 1, channels))
    for i, j in np.ndindex(kh, kw):
        full[:, i : i + height, j : j + width] += g @ w[i, j].T
    return full


def _kernel_gradient(padded, g):
    """Equation (c), tap by tap, for x padded."""
    _, height, width, _ = g.shape
    taps = np.ndindex(padded.shape[1] - height + 1, padded.shape[2] - width + 1)
    pixels = [(padded[:, i : i + height, j : j + width], (i, j)) for i, j in taps]
    kh, kw = np.add(pixels[-1][1], 1)
    gradient = np.stack([np.tensordot(x, g, ((0, 1, 2), (0, 1, 2))) for x, _ in pixels])
    return gradient.reshape(kh, kw, *gradient.shape[1:])


def _shifted_input(case, padding):
    """The gradient moved by one pixel, or by the width of the padding."""
    full = _spread(case.grad_y, case.inputs[1])
    (r, s), (height, width) = padding, case.inputs[0].shape[1:3]
    for down, sideways, words in shifts():
        yield KnownMistake(
            "padding-off-by-one",
            f"the right one moved {words} by one pixel: the padding is off by one; padded with kh//2 rows and kw//2 "
            "columns of zeros on each side, pixel (u, v) of the gradient looks at the window around it",
            crop(full, r - down, s - sideways, height, width),
        )
        moved = crop(case.grad_y, -down, -sideways, *case.grad_y.shape[1:3])
        sentence = f"the right one for grad_y moved {words} by one pixel: the padding is off by one"
        yield KnownMistake("padding-off-by-one", sentence, _input_gradient(case, padding, moved, case.inputs[1]))
    if max(r, s) > 1:
        yield KnownMistake(
            "padding-not-cropped",
            "the right one moved down and right by the width of the padding: crop the padding's own gradient away, "
            "[:, r:-r, s:-s]",
            crop(full, 0, 0, height, width),
        )


def _input_borders(case, padding):
    """The border treated in other ways than by zeros."""
    (r, s), w = padding, case.inputs[1]
    kh, kw = w.shape[:2]
    if kh == kw == 1:
        return
    border = (kh // 2, kw // 2)
    yield KnownMistake(
        "border-lost",
        "the right one with the border set to zero: pad grad_y with zeros before convolving it, so that pixels on the "
        "border get their part",
        without_border(_input_gradient(case, padding, case.grad_y, w), *border),
    )
    yield KnownMistake(
        "border-outputs-lost",
        "the right one without the part of the output pixels on the border: their windows reach into the padding, but "
        "into the image, too",
        _input_gradient(case, padding, without_border(case.grad_y, *border), w),
    )
    full = _spread(case.grad_y, w)
    height, width = case.inputs[0].shape[1:3]
    rows, columns = np.arange(full.shape[1])[:, np.newaxis] - r, np.arange(full.shape[2]) - s
    for key, words, places in (
        ("wrap", "around its border (as np.roll does)", (rows % height, columns % width)),
        ("edge", "by repeating its border", (rows.clip(0, height - 1), columns.clip(0, width - 1))),
    ):
        folded = np.zeros((height, width, len(full), full.shape[3]))
        np.add.at(folded, places, full.transpose(1, 2, 0, 3))
        sentence = f"the right one for an image continued {words}: the forward pads with zeros"
        yield KnownMistake(f"padded-{key}", sentence, folded.transpose(2, 0, 1, 3))


def missing_taps(w: Array, gradient: Callable[[Array], Array]) -> Iterator[KnownMistake]:
    """One tap, or one row or column of taps, left out; `gradient` is a function of the kernel."""
    kh, kw = w.shape[:2]
    if kh == kw == 1:
        return
    missing: list[tuple[str, Any, str]] = [("tap", np.s_[i, j], f"tap ({i}, {j})") for i, j in np.ndindex(kh, kw)]
    if kh > 1 and kw > 1:
        missing += [("taps", np.s_[i], f"row {i}") for i in range(kh)]
        missing += [("taps", np.s_[:, j], f"column {j}") for j in range(kw)]
    for key, index, words in missing:
        kept = w.copy()
        kept[index] = 0
        sentence = f"the right one without {words} of the kernel: let the loop run over all {kh} x {kw} taps"
        yield KnownMistake(f"{key}-missing", sentence, gradient(kept))


def missing_filters(g: Array, gradient: Callable[[Array], Array]) -> Iterator[KnownMistake]:
    """One output channel left out, or all but one."""
    last = g.shape[3] - 1
    if not last:
        return
    for k in {0, last}:
        alone = np.zeros_like(g)
        alone[..., k] = g[..., k]
        sentence = f"the right one without output channel {k}: add up all output channels"
        yield KnownMistake("output-channel-missing", sentence, gradient(g - alone))
        sentence = f"the part of output channel {k} alone: add up all output channels, grad_x += ..."
        yield KnownMistake("one-output-channel-only", sentence, gradient(alone))


def _input_quantities(case):
    kh, kw, channels, filters = case.inputs[1].shape
    kernel = {"kh": (kh, "rows of the kernel"), "kw": (kw, "columns of the kernel")}
    return {"C": (channels, "input channels"), "K": (filters, "output channels"), **kernel}


def _summed_quantities(case):
    """The lengths of the axes over which the gradients of the parameters are summed."""
    images, height, width, _ = case.grad_y.shape
    return {"images": (images, "the number of images"), "H": (height, "rows of y"), "W": (width, "columns of y")}


KERNEL = ("kernel row", "kernel column", "input channel", "output channel")
INPUTS = (
    InputMistakes(right_input, input_mistakes, quantities=_input_quantities),
    InputMistakes(right_kernel, kernel_mistakes, quantities=_summed_quantities, axes=KERNEL),
    InputMistakes(right_bias, bias_mistakes, quantities=_summed_quantities, axes=("output channel",)),
)
