"""Coarse to fine: the picture is painted small first, and what comes out, enlarged, is where the next size starts.

A filter sees so many pixels and no more: about forty at VGG19's conv3_3.  Of a large picture that is a small part, so
strokes come out short, and what is wider than a filter stays as the start was.  Of a small copy of the same pictures
the same filter sees much, and an iteration on it costs little.  Enlarged, it has the wide strokes already, and only
fine ones are left to be painted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from scratchnst import images
from scratchnst.arrays import Array
from scratchnst.errors import UserError
from scratchnst.transfer.objective import Objective, as_image
from scratchnst.transfer.stylize import Evaluation, Iterate, Stylized, stylize

LARGEST_FIRST = 512  # pixels on the longer side of the first of automatic scales


@dataclass(frozen=True)
class StylizedByScales(Stylized):
    """The end of a run over scales; `iterations`, `evaluations` and `seconds` count all of them.

    Attributes
    ----------
    scales : the end of each scale that was run, the coarsest first
    """

    scales: tuple[Stylized, ...]


def automatic_scales(size: int) -> int:
    """Return how many scales suit `size` pixels on the longer side: one more with each doubling above 512."""
    return 1 + max(0, math.ceil(math.log2(size / LARGEST_FIRST)))


def scale_shapes(height: int, width: int, scales: int) -> list[tuple[int, int]]:
    """Return the (height, width) of every scale, the coarsest first: each about half of the next."""
    halvings = reversed(range(scales))
    return [(max(1, round(height / 2**n)), max(1, round(width / 2**n))) for n in halvings]


def share_iterations(iterations: int, shapes: Sequence[tuple[int, int]]) -> list[tuple[tuple[int, int], int]]:
    """Return (shape, iterations) of each scale to run: each scale gets half as many as the one before.

    A fine scale has little left to do, its iterations take four times as long, and with too many of them the wide
    strokes are painted over with short ones.  Where there are fewer iterations than scales, the coarsest are left out.
    """
    shapes = list(shapes)[-max(1, iterations) :]
    shares: list[int] = []
    for scales in range(len(shapes), 0, -1):  # the finest takes one part of 1 + 2 + 4 + ..., rounded up, and so on
        shares.append(math.ceil((iterations - sum(shares)) / (2**scales - 1)))
    return list(zip(shapes, reversed(shares)))


def stylize_by_scales(
    objective_at: Callable[[int, int], Objective],
    shapes: Sequence[tuple[int, int]],
    init: str | Array = "noise",
    *,
    iterations: int = 500,
    margin: int = 0,
    on_step: Callable[[Iterate], None] | None = None,
    on_evaluation: Callable[[Evaluation], None] | None = None,
    **settings: Any,
) -> StylizedByScales:
    """Optimise an image scale after scale; like `stylize`, but for what is said here.

    Parameters
    ----------
    objective_at : (height, width) -> the Objective of a scale, over images of that shape with the margin around it.
        Default weights mean the same at every scale; a content_weight or tv_weight of your own weighs a sum over
        pixels, so multiply it by (pixels of the finest scale) / (pixels of this one)
    shapes : (height, width) of every scale, without the margin, see `scale_shapes`; the last is that of the result
    init : where the first scale starts; an image has no margin and is resized
    iterations : steps at most, of all scales together, see `share_iterations`
    margin : pixels that are added to every side of each scale and cut off its result
    on_step, on_evaluation : numbers go on from scale to scale, and the `scale` of what they get tells which it is.  Its
        images have the shape of their scale
    settings : optimizer, seed and bounded, as for `stylize`

    Returns
    -------
    StylizedByScales
        Its `loss` and `terms` are those of the last scale that was run.  If that is not the finest, since Ctrl-C or
        trouble came between, its image is enlarged, and `complete` is False.
    """
    ends: list[Stylized] = []
    for shape, share in share_iterations(iterations, shapes):
        tell_step, tell_evaluation = _counting_on(ends, on_step, on_evaluation)
        try:
            end = stylize(
                objective_at(*shape),  # nobody else holds it, so it is freed before the next is made
                _start(ends[-1].image if ends else init, shape, margin),
                iterations=share,
                margin=margin,
                on_step=tell_step,
                on_evaluation=tell_evaluation,
                **settings,
            )
        except (KeyboardInterrupt, MemoryError, UserError) as trouble:
            if not ends:
                raise
            ends[-1] = replace(ends[-1], stop_reason=_reason(trouble, shape), complete=False)
            break
        ends.append(end)
        if not end.complete:
            break
    return _total(ends, shapes[-1], iterations)


def _start(init, shape, margin):
    """Return the start of a scale: a name, or an image in its shape, with the margin around it."""
    return init if isinstance(init, str) else images.extend(images.resize(as_image("start", init), *shape), margin)


def _counting_on(ends, on_step, on_evaluation):
    """Return both callbacks, told of counts that go on where the scales before ended."""
    scale, done = len(ends) + 1, _sums(ends)

    def tell_step(progress):
        if on_step:
            on_step(replace(progress, scale=scale, iteration=done["iterations"] + progress.iteration))

    def tell_evaluation(evaluation):
        if on_evaluation:
            number, seconds = done["evaluations"] + evaluation.number, done["seconds"] + evaluation.seconds
            on_evaluation(replace(evaluation, scale=scale, number=number, seconds=seconds))

    return tell_step, tell_evaluation


def _sums(ends):
    return {name: sum(getattr(end, name) for end in ends) for name in ("iterations", "evaluations", "seconds")}


def _reason(trouble, shape):
    """Why a scale could not be run, a sentence."""
    if isinstance(trouble, KeyboardInterrupt):
        return "interrupted"
    if isinstance(trouble, MemoryError):
        return f"there is not enough memory for {shape[1]}x{shape[0]} pixels"
    return str(trouble).rstrip(".")


def _total(ends, shape, iterations):
    """All ends in one: the picture of the last, in `shape`."""
    last, sums = ends[-1], _sums(ends)
    if last.complete and sums["iterations"] == iterations:
        last = replace(last, stop_reason=f"all {iterations} iterations done")
    image = images.resize(last.image, *shape)
    return StylizedByScales(**{**vars(last), **sums, "image": image, "scales": tuple(ends)})
