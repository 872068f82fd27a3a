"""Optimise an image: from a start image, step by step, to the picture."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np

from scratchnst import images
from scratchnst.arrays import Array, asnumpy, is_finite
from scratchnst.errors import UserError
from scratchnst.optimize import ON_THE_CPU, OPTIMIZERS, STATES, OptimizeResult, State, adam_in_place
from scratchnst.optimize.adam import AdamState
from scratchnst.optimize.average import MovingAverage
from scratchnst.transfer.checks import as_image
from scratchnst.transfer.objective import Objective

PIXEL_RANGE = (0.0, 255.0)
NOISE_MEAN, NOISE_STD = 127.5, 1.0  # fine noise in colour hardly changes the loss, so stronger noise stays as grain
OPTIMIZER = "lbfgs"  # `scratchnst.optimize.lbfgs` compares it with SciPy's
MARGIN = 8  # pixels, against artefacts at the border: see `stylize`
GREY = 2.0  # largest difference of a grey pixel's channels
GAIN_OVER = 50  # iterations over which the fall of the loss is measured


@dataclass(frozen=True)
class Iterate:
    """The image after a step of the optimiser.

    Attributes
    ----------
    iteration : number of steps done
    loss : the total loss, equation 7
    canvas : the image in the engine's memory, which may be a GPU's
    scale : which of several scales, from 1, see `stylize_by_scales`
    finish : what makes the picture of the image, where that is another
    """

    iteration: int
    loss: float
    canvas: Array
    scale: int = 1
    finish: Callable[[np.ndarray], np.ndarray] = np.asarray

    @property
    def image(self) -> np.ndarray:
        """(H, W, 3) float64 array, RGB, not clipped to 0-255; copied from a GPU at each access, and not to be kept."""
        return self.finish(asnumpy(self.canvas))


@dataclass(frozen=True)
class Evaluation:
    """One call of the objective: the total loss, each term before weighting, seconds since the start, and the scale."""

    number: int
    loss: float
    terms: dict[str, float]
    seconds: float
    scale: int = 1


@dataclass(frozen=True)
class Stylized:
    """The end of a run.

    Attributes
    ----------
    image : (H, W, 3) float64 array, RGB, clipped to 0-255
    loss, terms : total loss and each term before weighting, at the image before clipping
    kept : the step whose image it is, that of the lowest loss; None for the mean of all steps
    iterations, evaluations : steps taken and calls of the objective
    seconds : how long it took
    stop_reason : why it stopped, a sentence
    complete : False if it was interrupted or the loss was no longer finite
    """

    image: np.ndarray
    loss: float
    terms: dict[str, float]
    kept: int | None
    iterations: int
    evaluations: int
    seconds: float
    stop_reason: str
    complete: bool


@dataclass(frozen=True)
class RunState:
    """Where a run stands after a step; what follows depends on nothing else.

    Attributes
    ----------
    optimizer : where the optimiser stands; it goes on changing this
    grey : whether it is among grey images
    image : with its margin, in the optimiser's memory
    average : of the images, if it is asked for
    loss, terms, kept, iterations, evaluations, seconds : as in `Stylized`
    losses : after each of the last steps, as many as tell how far the loss has fallen
    """

    optimizer: State
    grey: bool
    image: Array
    average: MovingAverage | None
    loss: float
    terms: dict[str, float]
    kept: int
    iterations: int
    evaluations: int
    seconds: float
    losses: list[float]


def stylize(
    objective: Objective,
    init: str | Array = "noise",
    *,
    iterations: int = 500,
    optimizer: str = OPTIMIZER,
    seed: int = 0,
    bounded: bool = False,
    margin: int = 0,
    least_gain: float = 0.0,
    average: float | None = None,
    on_step: Callable[[Iterate], None] | None = None,
    on_evaluation: Callable[[Evaluation], None] | None = None,
    memory: AdamState | None = None,
    state: RunState | None = None,
    on_state: Callable[[RunState], None] | None = None,
) -> Stylized:
    """Optimise an image for `objective`; if the pictures that it imitates and the start are grey, among grey images.

    Parameters
    ----------
    objective : an Objective
    init : the start: "noise" (white noise, as in the paper), "content", "style" (the first one: its middle, continued
        by reflection where it ends), or an image (H, W, 3), RGB 0-255, resized to the objective's shape
    iterations : steps at most
    optimizer : "lbfgs" (our own L-BFGS), "scipy-lbfgs" (SciPy's, which takes more time and memory) or "adam"; of an
        objective in tiles it is always Adam, see `scratchnst.optimize.adam.adam_in_place`
    seed : of the white noise
    bounded : keep pixels within 0-255 during the optimisation, not only in the result
    margin : pixels that are cut off every side of the images returned.  Zero padding causes artefacts at the border,
        which are cut off if the objective's images were extended by the margin, see `images.extend`
    least_gain : stop when the lowest loss has fallen by less than this share of it in 50 iterations; 0 is never
    average : the decay of the mean of the images after each step, which is then returned in place of that with the
        lowest loss; its own loss takes one more evaluation
    on_step, on_evaluation : called after each step and after each call of the objective
    memory : what Adam begins with, and in which it tells where it stands
    state : where the run goes on as if it had not stopped, whatever `init` is, if all other arguments are the same
    on_state : called with the state after each step at which the run does not end; SciPy's optimiser has none

    Returns
    -------
    Stylized
        Its `image` is that of the lowest loss, also after Ctrl-C and after a loss that is NaN or infinite.  Of L-BFGS,
        whose loss never rises, it is the last one; of Adam any.

    Raises
    ------
    UserError
        For unknown names, numbers out of range or a margin that leaves no pixel, or if the loss is not finite at the
        start.
    KeyboardInterrupt
        If Ctrl-C comes before the end of the first evaluation.
    """
    if optimizer not in OPTIMIZERS:
        raise UserError(f"there is no optimiser {optimizer!r}; choose one of {', '.join(OPTIMIZERS)}.")
    if iterations < 1:
        raise UserError(f"the number of iterations must be 1 or more, not {iterations}.")
    if not 0 <= 2 * margin < min(objective.shape[:2]):
        raise UserError(f"a margin of {margin} leaves nothing of an image of {objective.shape[:2]} pixels: take less.")
    start = start_image(objective, init, seed)
    grey = pictures_are_grey(objective) and (isinstance(init, str) or is_grey(start))
    if grey:
        start = np.repeat(start[..., :1], 3, axis=2)
    optimise: Callable[..., OptimizeResult] = OPTIMIZERS[optimizer]
    if objective.tile is not None:
        optimise, optimizer, start = adam_in_place, "adam", start.astype(objective.dtype)
    if optimizer not in ON_THE_CPU:
        start = objective.network.engine.asarray(start)
    run = _Run(objective, start, grey, margin, least_gain, average, on_step, on_evaluation, on_state)
    if optimizer in STATES and objective.tile is None:
        run.optimizer = STATES[optimizer]() if memory is None else memory
    if state is not None:
        run.go_on(state)
    there = {} if run.optimizer is None else {"state": run.optimizer}
    try:
        bounds = PIXEL_RANGE if bounded else None
        with objective.session():
            try:
                reason = optimise(run.evaluate, start.ravel(), iterations, bounds, run.accept, **there).stop_reason
            except _LittleGain as little_gain:
                reason = str(little_gain)
            run.evaluate_average()
        return run.end(reason, complete=True)
    except KeyboardInterrupt:
        if run.evaluations == 0:
            raise  # there is only the start
        return run.end("interrupted", complete=False)
    except FloatingPointError as error:
        return run.end(str(error), complete=False)


def pictures_are_grey(objective: Objective) -> bool:
    """Return whether there are no colours to imitate: content and styles are grey."""
    pictures = [image for image in (objective.content, *objective.styles) if image is not None]
    return bool(pictures) and all(map(is_grey, pictures))


def is_grey(image: np.ndarray) -> bool:
    """Return whether an image (H, W, 3) is grey but for what rounding and JPEG make of it."""
    return bool(np.ptp(image, axis=2).max() <= GREY)


def start_image(objective: Objective, init: str | Array, seed: int = 0) -> Array:
    """Return the image (H, W, 3), float64, that `init` stands for; see `stylize`."""
    if not isinstance(init, str):
        return images.resize(as_image("start", init), *objective.shape[:2])
    if init == "noise":
        if seed < 0:
            raise UserError(f"the seed must be 0 or more, not {seed}.")
        return np.random.default_rng(seed).normal(NOISE_MEAN, NOISE_STD, objective.shape)
    if init == "content" and objective.content is not None:
        return objective.content.astype("float64")
    if init == "style" and objective.styles:
        return images.reframe(objective.styles[0], *objective.shape[:2]).astype("float64")
    raise UserError(f"cannot start from {init!r}: it is none of noise, content, style, or there is no such image here.")


class _LittleGain(Exception):
    """The loss hardly falls any more."""


class _Run:
    """The state of a run: the best image so far, counters and time; the optimiser calls the objective through it."""

    def __init__(self, objective, start, grey, margin, least_gain, average, on_step, on_evaluation, on_state):
        self.objective, self.grey, self.margin, self.least_gain = objective, grey, margin, least_gain
        self.losses: list[float] = []  # the lowest, after each of the last steps
        self.average = None if average is None else MovingAverage.of(start, average)
        self.on_step, self.on_evaluation, self.on_state = on_step, on_evaluation, on_state
        self.optimizer: State | None = None  # where it stands
        self.image = objective.picture(start)  # in the optimiser's memory
        self.loss, self.terms = float("nan"), {}
        self.iterations = self.evaluations = self.kept = 0
        self.started = time.perf_counter()

    def go_on(self, state):
        """Go on from a state."""
        self.optimizer, self.grey, self.image, self.average = state.optimizer, state.grey, state.image, state.average
        self.loss, self.terms, self.kept, self.losses = state.loss, state.terms, state.kept, state.losses
        self.iterations, self.evaluations = state.iterations, state.evaluations
        self.started -= state.seconds

    def evaluate(self, x):
        """Return (loss, gradient) of the objective, or raise a FloatingPointError if they are not finite."""
        with np.errstate(over="ignore", invalid="ignore"):  # an error is raised below instead
            loss, grad = self.objective(x)
        if self.grey:  # of grey images, with R = G = B, it is the mean over the channels
            channels = grad.reshape(-1, 3)
            channels[:] = channels.mean(axis=1, keepdims=True)
        self.evaluations += 1
        if not (math.isfinite(loss) and is_finite(grad)):
            if self.evaluations == 1:
                raise UserError("the loss or its gradient is not finite at the start: lower the weights.")
            raise FloatingPointError(f"the loss became NaN or infinite at evaluation {self.evaluations}")
        if self.evaluations == 1:
            self.loss, self.terms = loss, self.objective.terms
        if self.on_evaluation:
            self.on_evaluation(Evaluation(self.evaluations, loss, self.objective.terms, self._seconds()))
        return loss, grad

    def accept(self, x, loss):
        """Keep the image that the optimiser has moved to if it is the best; the objective was called there last.

        In tiles there is no memory for another one, so it is always the last.
        """
        image = self.objective.picture(x.reshape(self.objective.shape))
        self.iterations += 1
        if self.kept == 0 or loss < self.loss or self.objective.tile is not None:
            self.image, self.loss, self.terms, self.kept = image, loss, self.objective.terms, self.iterations
        if self.average:
            self.average.add(image)
        if self.on_step:
            self.on_step(Iterate(self.iterations, loss, images.crop(image, self.margin)))
        self._check_gain()
        if self.on_state and self.optimizer:
            done = self.iterations, self.evaluations, self._seconds()
            best = self.image, self.average, self.loss, self.terms, self.kept
            self.on_state(RunState(self.optimizer, self.grey, *best, *done, self.losses))

    def _check_gain(self):
        """Raise _LittleGain if the last iterations have not lowered the lowest loss by the least gain.

        Adam's loss may rise for some steps, so that one of them alone says nothing.
        """
        self.losses = [*self.losses[-GAIN_OVER:], self.loss]
        if self.least_gain and self.iterations > GAIN_OVER:
            before = self.losses[-1 - GAIN_OVER]
            if before - self.loss < self.least_gain * before:
                raise _LittleGain(f"the loss fell by less than {100 * self.least_gain:g} % in {GAIN_OVER} iterations")

    def evaluate_average(self):
        """Let loss and terms be those of the average, if there is one."""
        if self.average and self.average.count:
            self.loss, _ = self.evaluate(self.average.mean.ravel())
            self.terms = self.objective.terms

    def end(self, stop_reason, complete):
        image, kept = self.image, cast(int | None, self.kept)
        if self.average and self.average.count:
            image, kept = self.average.mean, None
        image = asnumpy(images.crop(image, self.margin)).clip(*PIXEL_RANGE)
        done = self.iterations, self.evaluations, self._seconds()
        return Stylized(image, self.loss, self.terms, kept, *done, stop_reason, complete)

    def _seconds(self):
        return time.perf_counter() - self.started
