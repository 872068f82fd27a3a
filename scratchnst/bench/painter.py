"""A photograph painted in one pass, by this package and the model that ships with it."""

from __future__ import annotations

import numpy as np

from scratchnst.bench import problem
from scratchnst.bench.contender import OnEngine
from scratchnst.errors import UserError
from scratchnst.fast.fast_style import FastStyle
from scratchnst.images import samples
from scratchnst.models import transform_net


class Painter(OnEngine):
    """A contender: what it evaluates is the painting of a photograph in memory, in memory."""

    def __init__(self, size: int, device: str = "cpu"):
        super().__init__(device)
        self.model, self.photo = FastStyle.load(engine=self.engine), photograph(size)

    def evaluate(self) -> np.ndarray:
        return self.model(self.photo)

    def compared(self) -> tuple[float, np.ndarray]:
        """Return the painting's mean, and the painting."""
        painting = self.evaluate()
        return float(painting.mean()), painting


def check(size: int) -> None:
    """Raise a UserError if a photograph of `size` x `size` pixels is not painted as it is."""
    if size < transform_net.SMALLEST_SIDE or size % transform_net.STRIDE:
        raise UserError(
            f"the part fast paints photographs whose sides are multiples of {transform_net.STRIDE}, from "
            f"{transform_net.SMALLEST_SIDE} pixels on, not {size}: choose other --sizes."
        )


def photograph(size: int) -> np.ndarray:
    """Return a drawn photograph (size, size, 3), float32, RGB 0-255."""
    return samples.draw_pair(size, problem.DRAWN)[0].astype(np.float32)
