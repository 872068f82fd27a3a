"""Optimise an image: from a start image, step by step, to the picture."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from scratchnst import images
from scratchnst.arrays import Array, asnumpy, is_finite
from scratchnst.errors import UserError
from scratchnst.optimize import ON_THE_CPU, OPTIMIZERS, adam_in_place
from scratchnst.transfer.objective import Objective, as_image

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
    iterations, evaluations : steps taken and calls of the objective
    seconds : how long it took
    stop_reason : why it stopped, a sentence
    complete : False if it was interrupted or the loss was no longer finite
    """

    image: np.ndarray
    loss: float
    terms: dict[str, float]
    iterations: int
    evaluations: int
    seconds: float
    stop_reason: str
    complete: bool


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
    on_step: Callable[[Iterate], None] | None = None,
    on_evaluation: Callable[[Evaluation], None] | None = None,
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
    least_gain : stop when the loss has fallen by less than this share of it in 50 iterations; 0 is never
    on_step, on_evaluation : called after each step and after each call of the objective

    Returns
    -------
    Stylized
        Its `image` is the last one accepted, also after Ctrl-C and after a loss that is NaN or infinite.

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
    optimise = OPTIMIZERS[optimizer]
    if objective.tile is not None:
        optimise, optimizer, start = adam_in_place, "adam", start.astype(objective.dtype)
    if optimizer not in ON_THE_CPU:
        start = objective.network.engine.asarray(start)
    run = _Run(objective, start, grey, margin, least_gain, on_step, on_evaluation)
    try:
        bounds = PIXEL_RANGE if bounded else None
        with objective.session():
            result = optimise(run.evaluate, start.ravel(), iterations, bounds, run.accept)
        return run.end(result.stop_reason, complete=True)
    except _LittleGain as reason:
        return run.end(str(reason), complete=True)
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
    """The state of a run: the last image accepted, counters and time; the optimiser calls the objective through it."""

    def __init__(self, objective, start, grey, margin, least_gain, on_step, on_evaluation):
        self.objective, self.grey, self.margin, self.least_gain = objective, grey, margin, least_gain
        self.losses: list[float] = []  # after each step
        self.on_step, self.on_evaluation = on_step, on_evaluation
        self.image = objective.picture(start)  # in the optimiser's memory
        self.loss, self.terms = float("nan"), {}
        self.iterations = self.evaluations = 0
        self.started = time.perf_counter()

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
        """Keep the image that the optimiser has moved to; the objective was called there last."""
        self.image = self.objective.picture(x.reshape(self.objective.shape))
        if self.objective.tile is None:
            self.image = self.image.copy()
        self.loss, self.terms = loss, self.objective.terms
        self.iterations += 1
        if self.on_step:
            self.on_step(Iterate(self.iterations, loss, images.crop(self.image, self.margin)))
        self._check_gain()

    def _check_gain(self):
        """Raise _LittleGain if the last iterations have not lowered the loss by the least gain."""
        self.losses.append(self.loss)
        if self.least_gain and self.iterations > GAIN_OVER:
            before = self.losses[-1 - GAIN_OVER]
            if before - self.loss < self.least_gain * before:
                raise _LittleGain(f"the loss fell by less than {100 * self.least_gain:g} % in {GAIN_OVER} iterations")

    def end(self, stop_reason, complete):
        image = asnumpy(images.crop(self.image, self.margin)).clip(*PIXEL_RANGE)
        return Stylized(
            image, self.loss, self.terms, self.iterations, self.evaluations, self._seconds(), stop_reason, complete
        )

    def _seconds(self):
        return time.perf_counter() - self.started
