"""Coarse to fine: optimise a small image first, and start the next size from it, enlarged.

The receptive field of a unit is limited: about forty pixels at VGG19's conv3_3.  Of a large picture that is a small
part, so strokes come out short, and structures wider than a receptive field stay as the start was.  On a smaller copy
of the same pictures it covers more, and an iteration costs little.  Enlarged, the result has the wide strokes already,
and the next scale adds fine ones.

An enlarged picture is blurred.  So where the start is a picture, only what a scale has changed of it is enlarged, and
added to the start in the next size, which has all its details: x = start + enlarge(result - coarse start).  With VGG19,
Tuebingen and the Starry Night, 60 iterations at 128 pixels, then at 256, the loss is::

    evaluations at 256 pixels                        1      5     10     20     30
    the result enlarged                           3.26   0.54   0.36  0.254  0.214
    the change enlarged                           2.11   0.46   0.31  0.235  0.202
    with the pairs of L-BFGS, enlarged as well    2.11   0.49   0.33  0.254  0.217
    the photograph, without a coarse scale        0.65   0.55   0.47  0.304  0.233

The optimiser begins anew at each scale, since its pairs gain nothing there.  Adam's moments can be carried over, as
style-transfer-pytorch does.  A picture twice as wide and high shares each derivative among four pixels, so m, enlarged
bicubically, is divided by 4, and v, enlarged bilinearly, by 16, the ratio of the pixels and its square; the number of
steps is kept.  It gains nothing, either: what is missing in an enlarged picture is what the coarse one could not have.
With the distilled network and the pictures of ``scratchnst samples``, 3 scales up to 128 pixels, the loss is::

    iterations of the last scale           1      3     10     30
    from noise: Adam begins anew        1.98   1.00   0.57   0.36
                m / 4 and v / 16        2.51   1.42   0.71   0.40
                m and v as they are     2.86   2.25   0.78   0.53
    content:    Adam begins anew        1.75   0.89   0.48   0.32
                m / 4 and v / 16        2.10   1.14   0.58   0.36
                m and v as they are     2.36   1.84   0.78   0.45
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from scratchnst import images
from scratchnst.arrays import Array, asnumpy
from scratchnst.errors import UserError
from scratchnst.optimize.adam import AdamState, Moments
from scratchnst.transfer.checks import as_image
from scratchnst.transfer.objective import Objective
from scratchnst.transfer.stylize import PIXEL_RANGE, Evaluation, Iterate, RunState, Stylized, start_image, stylize

LARGEST_FIRST = 128  # pixels on the longer side of the first of automatic scales


@dataclass(frozen=True)
class StylizedByScales(Stylized):
    """The end of a run over scales; `iterations`, `evaluations` and `seconds` count all of them.

    Attributes
    ----------
    scales : the end of each scale that was run, the coarsest first
    """

    scales: tuple[Stylized, ...]


@dataclass(frozen=True)
class ScalesState:
    """Where a run over scales stands after a step: the ends of the scales before, and the state of the present one."""

    ends: tuple[Stylized, ...]
    run: RunState

    @property
    def iterations(self) -> int:
        """How many are done, of all scales."""
        return self.run.iterations + sum(end.iterations for end in self.ends)


def automatic_scales(size: int) -> int:
    """Return how many scales suit `size` pixels on the longer side: one more with each doubling above 128."""
    return 1 + max(0, math.ceil(math.log2(size / LARGEST_FIRST)))


def automatic_shapes(height: int, width: int, check: Callable[[int, int], None]) -> list[tuple[int, int]]:
    """Return the (height, width) of every automatic scale; `check` raises a UserError for one that is too small."""
    for count in range(automatic_scales(max(height, width)), 1, -1):
        shapes = scale_shapes(height, width, count)
        with suppress(UserError):
            check(*shapes[0])
            return shapes
    return [(height, width)]


def scale_shapes(height: int, width: int, scales: int) -> list[tuple[int, int]]:
    """Return the (height, width) of every scale, the coarsest first: each about half of the next."""
    halvings = reversed(range(scales))
    return [(max(1, round(height / 2**n)), max(1, round(width / 2**n))) for n in halvings]


def share_iterations(iterations: int, shapes: Sequence[tuple[int, int]]) -> list[tuple[tuple[int, int], int]]:
    """Return (shape, iterations) of each scale to run: equal shares, of which coarse scales get what is over.

    Iterations of a finer scale take four times as long.  If there are fewer iterations than scales, the coarsest are
    left out.
    """
    shapes = list(shapes)[-max(1, iterations) :]
    share, over = divmod(iterations, len(shapes))
    return [(shape, share + (number < over)) for number, shape in enumerate(shapes)]


def stylize_by_scales(
    objective_at: Callable[[int, int], Objective],
    shapes: Sequence[tuple[int, int]],
    init: str | Array = "noise",
    *,
    iterations: int = 500,
    margin: int = 0,
    on_step: Callable[[Iterate], None] | None = None,
    on_evaluation: Callable[[Evaluation], None] | None = None,
    state: ScalesState | None = None,
    on_state: Callable[[ScalesState], None] | None = None,
    carry_moments: bool = False,
    **settings: Any,
) -> StylizedByScales:
    """Optimise an image scale after scale, from the coarsest to the finest; otherwise as `stylize`.

    Parameters
    ----------
    objective_at : (height, width) -> the Objective of a scale, over images of that shape with the margin around it.
        Default weights count the same at every scale; a content_weight or tv_weight of your own is of a sum over
        pixels, so multiply it by (pixels of the finest scale) / (pixels of this one)
    shapes : (height, width) of every scale, without the margin, see `scale_shapes`; the last is that of the result
    init : the start, as for `stylize`; an image is given without the margin, and resized to each scale
    iterations : steps at most, of all scales together, see `share_iterations`
    margin : pixels that are added to every side of each scale and cut off its result
    on_step, on_evaluation : called with numbers counted over all scales, the number of the scale, and images in the
        shape of their scale
    carry_moments : let Adam begin each scale with the moments of the one before, enlarged
    state, on_state : as for `stylize`; `objective_at` is not called for the scales that are done
    settings : optimizer, seed, bounded, least_gain and average, as for `stylize`; the average of a scale is where the
        next begins

    Returns
    -------
    StylizedByScales
        Its `loss` and `terms` are those of the last scale that was run.  If that is not the finest, because of Ctrl-C
        or an error, its image is enlarged, and `complete` is False.
    """
    ends: list[Stylized] = []
    before, adam = (0, 0), AdamState() if carry_moments else None  # at the scale before
    change: Any = 0.0  # from the start to the end of a scale
    run = None  # the state of a scale that was interrupted
    if state is not None:
        ends, run = list(state.ends), state.run
        if carry_moments and isinstance(run.optimizer, AdamState):
            adam = run.optimizer
    for shape, share in share_iterations(iterations, shapes)[len(ends) :]:
        tell_step, tell_evaluation = _counting_on(ends, on_step, on_evaluation)
        try:
            objective = objective_at(*shape)
            first = _first_image(objective, init, shape, margin)
            if objective.tile is not None and not isinstance(first, float):
                first = first.astype(objective.dtype)  # memory is short
            if run:
                start: str | Array = "noise"  # the state has another
            elif ends:
                enlarged = (first + images.interpolate(change, *shape)).clip(*PIXEL_RANGE)
                start = images.extend(enlarged, margin)
                if adam and adam.moments:
                    there = objective.network.engine.asarray
                    adam = AdamState(moments=enlarged_moments(adam.moments, before, shape, margin).map(there))
            else:
                start = init if isinstance(init, str) else images.extend(first, margin)
            end = stylize(
                objective,
                start,
                iterations=share,
                margin=margin,
                on_step=tell_step,
                on_evaluation=tell_evaluation,
                memory=adam,
                state=run,
                on_state=_with_ends(ends, on_state),
                **settings,
            )
        except (KeyboardInterrupt, MemoryError, UserError) as error:
            if not ends:
                raise
            ends[-1] = replace(ends[-1], stop_reason=_reason(error, shape), complete=False)
            break
        del objective  # so that it is freed before the next is made
        run, before = None, shape
        change = end.image - first
        ends.append(end)
        if not end.complete:
            break
    return _total(ends, shapes[-1], iterations)


def _first_image(objective, init, shape, margin):
    """Return the start as it is at this size, (H, W, 3) without the margin; of noise, which is another, nothing: 0."""
    if not isinstance(init, str):
        return images.resize(as_image("start", init), *shape)
    return 0.0 if init == "noise" else images.crop(start_image(objective, init), margin)


def _counting_on(ends, on_step, on_evaluation):
    """Return both callbacks with counts that continue those of the scales before."""
    scale, done = len(ends) + 1, _sums(ends)

    def tell_step(progress):
        if on_step:
            on_step(replace(progress, scale=scale, iteration=done["iterations"] + progress.iteration))

    def tell_evaluation(evaluation):
        if on_evaluation:
            number, seconds = done["evaluations"] + evaluation.number, done["seconds"] + evaluation.seconds
            on_evaluation(replace(evaluation, scale=scale, number=number, seconds=seconds))

    return tell_step, tell_evaluation


def enlarged_moments(moments: Moments, before: tuple[int, int], after: tuple[int, int], margin: int) -> Moments:
    """Return Adam's moments at the end of a scale for the next, on the CPU; see the top of this file.

    `before` and `after` are (height, width) of the scales without the margin.
    """
    fewer = math.prod(before) / math.prod(after)  # pixels
    m, v = (asnumpy(each).reshape(*(side + 2 * margin for side in before), 3) for each in (moments.m, moments.v))
    unit = float(abs(m).max()) or 1.0  # so that squares do not leave the range of float32

    def enlarged(moment, kernel):
        return images.extend(images.interpolate(images.crop(moment, margin), *after, kernel), margin)

    m = enlarged(m / unit, Image.Resampling.BICUBIC) * unit * fewer
    v = enlarged(v / unit**2, Image.Resampling.BILINEAR).clip(0, None) * unit**2 * fewer**2
    return Moments(m.ravel(), v.ravel(), moments.t)


def _with_ends(ends, on_state):
    """Return the callback for the state of a scale."""
    return on_state and (lambda run: on_state(ScalesState(tuple(ends), run)))


def _sums(ends):
    return {name: sum(getattr(end, name) for end in ends) for name in ("iterations", "evaluations", "seconds")}


def _reason(error, shape):
    """Why a scale could not be run."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, MemoryError):
        return f"there is not enough memory for {shape[1]}x{shape[0]} pixels"
    return str(error).rstrip(".")


def _total(ends, shape, iterations):
    """The end of the whole run: the last scale's, its image resized to `shape`."""
    last, sums = ends[-1], _sums(ends)
    if last.complete and sums["iterations"] == iterations:
        last = replace(last, stop_reason=f"all {iterations} iterations done")
    image = images.resize(last.image, *shape)
    kept = last.kept and last.kept + sums["iterations"] - last.iterations
    return StylizedByScales(**{**vars(last), **sums, "image": image, "kept": kept, "scales": tuple(ends)})
