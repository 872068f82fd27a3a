r"""Derivatives from values of a function alone: central differences and the complex step.

A function f of an array x has along a line, phi(t) = f(x + t v), by Taylor's theorem ::

    phi(h)  = phi(0) + h phi'(0) + h^2/2 phi''(0) + h^3/6 phi'''(0) + ...
    phi(-h) = phi(0) - h phi'(0) + h^2/2 phi''(0) - h^3/6 phi'''(0) + ...

and phi'(0) = <gradient, v>.  In the difference of the two, even terms cancel, and ::

    (phi(h) - phi(-h)) / 2h = phi'(0) + h^2/6 phi'''(0) + ...                                      (a)

the central difference, with a truncation error of order h^2.  Each value of f is rounded by up to some e, which gives
a round-off error of e/h: the smallest step is not the best, see `scratchnst.verify.methods.steps`.

Where f accepts complex numbers and is analytic, a step along the imaginary axis (W. Squire, G. Trapp, "Using complex
variables to estimate derivatives of real functions", SIAM Review 40, 1998) gives ::

    phi(ih) = phi(0) + ih phi'(0) - h^2/2 phi''(0) - ...,      Im phi(ih) / h = phi'(0) + O(h^2)    (b)

No values are subtracted, so no digits are lost, and h may be so small that h^2 vanishes.

A direction v is an array of x's shape, or an integer: the unit vector of that element, counted in C order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from scratchnst.arrays import Array, array_module

Direction = Any  # an array of x's shape or the flat index of one element

COMPLEX_STEP = 1e-100  # its square is negligible in float64


def as_float64(y: Array) -> Array:
    """Return an array or a number as a float64 array on the same device."""
    return array_module(y).asarray(y, "float64")


def on_host(x: Array) -> np.ndarray:
    """Return `x` as a NumPy array, copied from the GPU if it is a CuPy array."""
    return np.asarray(x.get() if hasattr(x, "get") else x)


class Sides(NamedTuple):
    """f at both ends of a step, and the distances of these from x, which are rounded too."""

    ahead: float
    behind: float
    step_ahead: float
    step_behind: float

    @property
    def slope(self) -> float:
        """The central difference, equation (a)."""
        return (self.ahead - self.behind) / (self.step_ahead + self.step_behind)


def moved(x: Array, direction: Direction, step: float) -> Array:
    """Return x + step * direction, a new array of x's dtype."""
    x = x.copy()
    if isinstance(direction, (int, np.integer)):
        x.reshape(-1)[direction] += x.dtype.type(step)
    else:
        x += (step * direction).astype(x.dtype, copy=False)
    return x


def both_sides(f: Callable[[Array], float], x: Array, direction: Direction, step: float) -> Sides:
    """Evaluate `f` at x + step v and x - step v."""
    ahead, behind = moved(x, direction, step), moved(x, direction, -step)
    step_ahead = step_behind = float(step)
    if isinstance(direction, (int, np.integer)):
        middle, upper, lower = (float(array.reshape(-1)[direction]) for array in (x, ahead, behind))
        step_ahead, step_behind = upper - middle, middle - lower
    return Sides(float(f(ahead)), float(f(behind)), step_ahead, step_behind)


def directional_derivative(f: Callable[[Array], float], x: Array, direction: Direction, step: float) -> float:
    """Return the derivative of the scalar function `f` at `x` along `direction`: equation (a).

    Parameters
    ----------
    f : array -> float
    x : float32 or float64 array of any shape
    direction : array of x's shape, or the flat index of one element
    step : h, in units of x

    Returns
    -------
    float : with a truncation error of order step^2 and a round-off error of order 1/step
    """
    return both_sides(f, x, direction, step).slope


def central_differences(
    f: Callable[[Array], float], x: Array, step: float, indices: Iterable[int] | None = None
) -> np.ndarray:
    """Return the derivatives of `f` with respect to single elements of `x`: equation (a), one element at a time.

    `indices` are flat; without them every element is differentiated and the result has x's shape.
    """
    if indices is None:
        return central_differences(f, x, step, range(x.size)).reshape(x.shape)
    return np.array([directional_derivative(f, x, index, step) for index in indices])


def complex_step(f: Callable[[Array], complex], x: Array, direction: Direction, step: float = COMPLEX_STEP) -> float:
    """Return the derivative of the analytic function `f`, which accepts complex arrays, along `direction`: (b)."""
    x = x.astype("complex128")
    if isinstance(direction, (int, np.integer)):
        x.reshape(-1)[direction] += 1j * step
    else:
        x = x + 1j * step * direction
    return float(array_module(x).imag(f(x))) / step
