r"""The adjoint identity: the exact test of a linear operation's backward, with no step to choose.

If y depends on x linearly, but for a constant, y(x + v) = y(x) + A v, then backward is the transposed map A^T, and for
any v and u ::

    <A v, u> = <v, A^T u>                                                                          (a)

to the last digits.  Whether y is linear in x is not taken on trust but tried out, on v and w larger than x: with
A v = y(x + v) - y(x), both ::

    A (v + w/2) = A v + (A w)/2,      A (-v) = -A v                                                (b)

hold to rounding for a linear map.  The first fails for whatever is curved, the second where x sits on a kink.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from scratchnst.arrays import Array, array_module
from scratchnst.verify.methods.differences import as_float64

ROUNDINGS = 100  # that many times the working precision counts as rounding
LARGER = 3  # times the size of x are the directions that linearity is tried on


@dataclass(frozen=True)
class Adjoint:
    """Both sides of equation (a) and the rounding to expect in their difference."""

    ahead: float
    back: float
    rounding: float

    @property
    def error(self) -> float:
        """Their difference, relative to the larger."""
        scale = max(abs(self.ahead), abs(self.back))
        return abs(self.ahead - self.back) / scale if scale else 0.0

    @property
    def holds(self) -> bool:
        """Whether they agree to rounding."""
        return abs(self.ahead - self.back) <= self.rounding


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
    Adjoint, or None if `f` is not linear or its linear part drowns in rounding
    """
    xp, random = array_module(x), np.random.default_rng(seed)
    unit = LARGER * float((x**2).mean() ** 0.5) or 1.0
    v, w = (xp.asarray(unit * random.standard_normal(x.shape), x.dtype) for _ in range(2))
    y = as_float64(f(x.copy()))
    ends = [as_float64(f(x + direction)) for direction in (v, -v, w, v + w / 2)]
    size = max(float(abs(values).max()) for values in (y, *ends))
    precision = ROUNDINGS * float(np.finfo(x.dtype).eps)
    Av, opposite, Aw, mixed = (end - y for end in ends)
    bends = max(float(abs(mixed - (Av + Aw / 2)).max()), float(abs(Av + opposite).max()))
    if not np.isfinite(size) or bends > precision * size:
        return None
    u = xp.asarray(random.standard_normal(y.shape), x.dtype)
    back = as_float64(transposed(u if y.ndim else float(u)))
    rounding = precision * float(((abs(ends[0]) + abs(y)) * abs(u)).sum() + abs(v * back).sum())
    identity = Adjoint(float((Av * u).sum()), float((v * back).sum()), rounding)
    drowned = rounding > 0.1 * max(abs(identity.ahead), abs(identity.back))
    return None if drowned and float(abs(Av).max()) > 0 else identity
