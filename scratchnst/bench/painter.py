"""A photograph painted in one pass, by this package and the model that ships with it."""

from __future__ import annotations

import numpy as np

from scratchnst.bench import problem
from scratchnst.bench.contender import OnEngine
from scratchnst.errors import UserError
from scratchnst.fast.arbitrary_style import ArbitraryStyle, style_side
from scratchnst.fast.fast_style import FastStyle
from scratchnst.images import samples
from scratchnst.models import transform_net


class Painter(OnEngine):
    """A contender: what it evaluates is the painting of a photograph in memory, in memory."""

    def __init__(self, size: int, device: str = "cpu"):
        super().__init__(device)
        self.photo = photograph(size)
        self.load(size)

    def load(self, size: int) -> None:
        """Load what paints."""
        self.model = FastStyle.load(engine=self.engine)

    def evaluate(self) -> np.ndarray:
        return self.model(self.photo)

    def compared(self) -> tuple[float, np.ndarray]:
        """Return the painting's mean, and the painting."""
        painting = self.evaluate()
        return float(painting.mean()), painting


class AnyStylePainter(Painter):
    """A contender: what it evaluates is to look at a style in memory and to paint in it."""

    def load(self, size: int) -> None:
        self.any_style, self.style = ArbitraryStyle.load(engine=self.engine), painting(size)

    def evaluate(self) -> np.ndarray:
        return self.any_style(self.photo, self.style)


def check(size: int) -> None:
    """Raise a UserError if a photograph of `size` x `size` pixels is not painted as it is."""
    if size < transform_net.SMALLEST_SIDE or size % transform_net.STRIDE:
        raise UserError(
            f"the parts fast and arbitrary paint photographs whose sides are multiples of {transform_net.STRIDE}, from "
            f"{transform_net.SMALLEST_SIDE} pixels on, not {size}: choose other --sizes."
        )


def photograph(size: int) -> np.ndarray:
    """Return a drawn photograph (size, size, 3), float32, RGB 0-255."""
    return samples.draw_pair(size, problem.DRAWN)[0].astype(np.float32)


def painting(size: int) -> np.ndarray:
    """Return a drawn painting, as large as styles are looked at for a photograph of this size, as `photograph`."""
    return samples.draw_pair(style_side((size, size)), problem.DRAWN)[1].astype(np.float32)
