r"""The adjoint identity: a test of a linear operation's backward that needs no step.

If y is linear in x but for a constant, y(x + v) = y(x) + A v, then backward is the transposed map A^T, and for any v
and u ::

    <A v, u> = <v, A^T u>                                                                          (a)

but for rounding.  Whether y is linear in x is tested with v and w larger than x: with A v = y(x + v) - y(x), both ::

    A (v + w/2) = A v + (A w)/2,      A (-v) = -A v                                                (b)

hold, but for rounding, for a linear map.  The first fails for a curved function, the second where x is on a kink.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from scratchnst.arrays import Array, array_module
from scratchnst.verify.methods.differences import as_float64

ROUNDINGS = 100  # largest difference that counts as rounding, in units of the machine epsilon
DIRECTION_SIZE = 3  # size of the directions that linearity is tested with, over that of x


@dataclass(frozen=True)
class Adjoint:
    """Both sides of equation (a) and the largest rounding error of their difference."""

    left: float
    right: float
    rounding: float

    @property
    def error(self) -> float:
        """Their difference, relative to the larger."""
        scale = max(abs(self.left), abs(self.right))
        return abs(self.left - self.right) / scale if scale else 0.0

    @property
    def holds(self) -> bool:
        """Whether they agree to rounding."""
        return abs(self.left - self.right) <= self.rounding


def adjoint_identity(f: Callable, transposed: Callable, x: Array, seed: int = 0) -> Adjoint | None:
    """Compare both sides of equation (a) for a random v and u.

    Parameters
    ----------
    f : x -> y, an array or a number
    transposed : u, like y -> A^T u, an array like x
    x : array
    seed : of v, w and u

    Returns
    -------
    Adjoint, or None if `f` is not linear or has no finite value at an end, or if both sides are no larger than their
    rounding
    """
    xp, random = array_module(x), np.random.default_rng(seed)
    unit = DIRECTION_SIZE * float((x**2).mean() ** 0.5) or 1.0
    v, w = (xp.asarray(unit * random.standard_normal(x.shape), x.dtype) for _ in range(2))
    y, *ends = (as_float64(f(end)).copy() for end in (x.copy(), x + v, x - v, x + w, x + (v + w / 2)))
    if not all(bool(xp.isfinite(values).all()) for values in (y, *ends)):
        return None  # an end lies outside of the function's domain
    size = max(float(abs(values).max()) for values in (y, *ends))
    precision = ROUNDINGS * float(np.finfo(x.dtype).eps)
    Av, opposite, Aw, mixed = (end - y for end in ends)
    bends = max(float(abs(mixed - (Av + Aw / 2)).max()), float(abs(Av + opposite).max()))
    if bends > precision * size:
        return None
    u = xp.asarray(random.standard_normal(y.shape), x.dtype)
    back = as_float64(transposed(u if y.ndim else float(u)))
    rounding = precision * float(((abs(ends[0]) + abs(y)) * abs(u)).sum() + abs(v * back).sum())
    identity = Adjoint(float((Av * u).sum()), float((v * back).sum()), rounding)
    is_rounding = rounding > 0.1 * max(abs(identity.left), abs(identity.right))
    return None if is_rounding and float(abs(Av).max()) > 0 else identity
