"""A trial before a training: one picture is optimised by the very loss that a network would be trained by.

A network that was trained comes close to such pictures, so that a minute's trial shows what the weights of the loss
and the size of the style do.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np

from scratchnst.arrays import Array
from scratchnst.errors import UserError
from scratchnst.optimize.adam import Moments
from scratchnst.training.perceptual_loss import Losses, PerceptualLoss

RATE = 8.0  # Adam's first, in pixel values; it falls as half a cosine


def paint(
    loss: PerceptualLoss,
    photograph: np.ndarray,
    minutes: float | None,
    iterations: int | None,
    on_step: Callable[[float, Losses], None] | None = None,
) -> np.ndarray:
    """Return the picture, (H, W, 3) float32, to which Adam leads from the photograph.

    Parameters
    ----------
    loss : of which the first style is taken
    photograph : (H, W, 3), RGB 0-255
    minutes, iterations : when it ends; one of them is None
    on_step : called with the part that is done and the losses, after each step

    Raises
    ------
    UserError
        If the loss does not stay finite.
    """
    engine = loss.network.engine
    x = engine.asarray(np.asarray(photograph, np.float32)[np.newaxis])
    y: Array = x.copy()
    moments, started, progress = Moments.of(y), time.perf_counter(), 0.0
    while progress < 1:
        with np.errstate(over="ignore", invalid="ignore"), engine.session():  # what is not finite is told below
            losses, grad = loss(y, x, [0])
        if not math.isfinite(losses.total):
            raise UserError("the loss is not finite: choose a lower --style-weight.")
        moments = moments.after(grad)
        y = y - moments.step(RATE * (0.5 + 0.5 * math.cos(math.pi * progress)))
        seconds = time.perf_counter() - started
        progress = seconds / (60 * minutes) if minutes is not None else moments.t / (iterations or 1)
        if on_step:
            on_step(min(progress, 1.0), losses)
    return engine.asnumpy(y)[0].clip(0, 255)
