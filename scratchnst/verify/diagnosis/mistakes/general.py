"""Mistakes of any operation, made from the right gradient and the operation's inputs and output."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from scratchnst.verify.diagnosis.mistakes.case import GradientCase, KnownMistake, Region


def mistakes(case: GradientCase, axes: Sequence[str]) -> Iterator[KnownMistake]:
    """Mistakes of any operation, with `axes` as names of the input's axes."""
    yield from _other_arrays(case)
    yield from _masks(case)
    yield KnownMistake("absolute", "the right one without its signs: |.| is taken somewhere", np.abs(case.right))
    yield KnownMistake("squared", "the right one squared, element by element", case.right**2)
    yield from _upstream(case)
    yield from _exchanged_axes(case, axes)
    yield from _moved(case, axes)
    if case.right.ndim > 1 and len(case.right) > 1:
        yield from _mixed_first_axis(case, axes[0])
    yield KnownMistake("offset", "the right one plus {0} everywhere", case.right, (np.ones_like(case.right),))


def regions(case: GradientCase) -> Iterator[Region]:
    """The elements where an array of the gradient's shape is negative, positive or zero."""
    arrays = {"x": case.x, "grad_y": case.grad_y, "y": case.output, "the right gradient": case.right}
    for name, array in arrays.items():
        if np.shape(array) == case.right.shape and array.ndim:
            for words, mask in (("< 0", array < 0), ("> 0", array > 0), ("= 0", array == 0)):
                yield Region(f"where {name} {words}", f"where {name} {words}", mask)


def _other_arrays(case):
    """Another array in the place of the gradient."""
    right = case.right
    if case.grad_y.shape == right.shape:
        yield KnownMistake("unchanged", "grad_y itself: it is handed on unchanged", case.grad_y)
        sentence = "the right one plus grad_y: it is added to grad_y, or to a buffer that still holds it"
        yield KnownMistake("added-to-upstream", sentence, right + case.grad_y)
    if case.output.shape == right.shape:
        yield KnownMistake("returns-output", "the output y: the forward's value is returned", case.output)
    for number, x in enumerate(case.inputs):
        if x.shape == right.shape:
            name = "x" if len(case.inputs) == 1 else f"input {number}"
            yield KnownMistake("returns-input", f"{name} itself: the value is returned, not its gradient", x)
            sentence = f"the right one plus {name}: the buffer it is added to is not zero at first"
            yield KnownMistake("added-to-input", sentence, right + x)


def _masks(case):
    """The right gradient set to zero where some array is negative, as by a ReLU too many."""
    right = case.right
    text = "the right one with zeros where {} is negative: a ReLU's mask that does not belong here"
    yield KnownMistake("mask-input", text.format("x"), right * (case.x > 0))
    if case.grad_y.shape == right.shape:
        yield KnownMistake("mask-upstream", text.format("grad_y"), right * (case.grad_y > 0))
    if case.output.shape == right.shape:
        yield KnownMistake("mask-output", text.format("y"), right * (case.output > 0))
    yield KnownMistake("mask-gradient", "the right one with its negative values set to zero", np.maximum(right, 0))


def _upstream(case):
    """grad_y left out or taken twice, where each output depends on one input."""
    right, g = case.right, case.grad_y
    if g.shape == right.shape and g.ndim:
        sentence = "the right one for a grad_y of ones: grad_y is left out, multiply by it"
        yield KnownMistake("upstream-ignored", sentence, np.where(g == 0, np.nan, right / g))
        yield KnownMistake("upstream-squared", "the right one times grad_y: grad_y is multiplied in twice", right * g)


def _exchanged_axes(case, axes):
    right = case.right
    for first, second in combinations(range(right.ndim), 2):
        if right.shape[first] == right.shape[second] > 1:
            sentence = f"the right one with its axes exchanged, {axes[first]} with {axes[second]}"
            yield KnownMistake("transposed", sentence, right.swapaxes(first, second))


def _moved(case, axes):
    """Reversed, or moved by one, along an axis."""
    right = case.right
    long = [axis for axis in range(right.ndim) if right.shape[axis] > 1]
    for axis in long:
        yield KnownMistake("reversed", f"the right one in reverse along {axes[axis]}", np.flip(right, axis))
    if 1 in long and 2 in long:
        sentence = f"the right one in reverse along {axes[1]} and {axes[2]}"
        yield KnownMistake("reversed", sentence, np.flip(right, (1, 2)))
    for axis in long:
        for step, words in ((1, "forwards"), (-1, "backwards")):
            rolled = np.roll(right, step, axis)
            text = f"the right one moved one step {words} along {axes[axis]}: an index is off by one"
            if right.shape[axis] > 2:
                sentence = f"{text}, and what leaves at one end comes in at the other"
                yield KnownMistake("shifted-around", sentence, rolled)
            emptied = rolled.copy()
            np.moveaxis(emptied, axis, 0)[0 if step > 0 else -1] = 0
            yield KnownMistake("shifted", text, emptied)


def _mixed_first_axis(case, name):
    right = case.right
    shape = right.shape
    for key, words, part in (("summed", "sum", right.sum(0)), ("averaged", "mean", right.mean(0))):
        sentence = f"the right one with the {words} over all of axis 0 ({name}) in each place: keep them apart"
        yield KnownMistake(f"{key}-over-first-axis", sentence, np.broadcast_to(part, shape))
    for which, part in (("first", right[0]), ("last", right[-1])):
        sentence = f"the right one with its {which} {name} in the place of all: index with n"
        yield KnownMistake(f"{which}-for-all", sentence, np.broadcast_to(part, shape))
