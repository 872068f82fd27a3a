"""Adam (D. P. Kingma, J. Ba, ICLR 2015), as common re-implementations of style transfer use it.

With g_t the gradient at step t, and element-wise squares, roots and divisions::

    m_t = beta1 m_{t-1} + (1 - beta1) g_t            a running mean of the gradient
    v_t = beta2 v_{t-1} + (1 - beta2) g_t^2          a running mean of its square
    x  -= rate  m_t / (1 - beta1^t)  /  (sqrt(v_t / (1 - beta2^t)) + epsilon)

m_0 = v_0 = 0 biases the first means towards zero; dividing by 1 - beta^t corrects this.  Each unknown moves by about
`rate` a step, independently of the scale of the loss.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from scratchnst.arrays import Array, array_module
from scratchnst.optimize.result import OptimizeResult

RATE = 5.0  # in units of pixel values, 0-255
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
CHUNK = 1 << 20  # unknowns that are changed at a time where memory is short


@dataclass(frozen=True)
class Moments:
    """m_t and v_t of one array of unknowns after t steps."""

    m: Array
    v: Array
    t: int = 0

    @classmethod
    def of(cls, x: Array) -> Moments:
        """Return m_0 and v_0 for unknowns like `x`."""
        xp = array_module(x)
        return cls(xp.zeros_like(x), xp.zeros_like(x))

    def after(self, g: Array) -> Moments:
        """Return the moments of the next step, whose gradient is `g`.

        Raises
        ------
        FloatingPointError
            If a square is too large for its dtype: the step would be zero.
        """
        with np.errstate(over="raise"):
            v = BETA2 * self.v + (1 - BETA2) * g**2
        return Moments(BETA1 * self.m + (1 - BETA1) * g, v, self.t + 1)

    def step(self, rate: float) -> Array:
        """Return what to subtract from the unknowns."""
        xp = array_module(self.m)
        return rate * self.m / (1 - BETA1**self.t) / (xp.sqrt(self.v / (1 - BETA2**self.t)) + EPSILON)


def adam(
    f: Callable[[Array], tuple[float, Array]],
    x: Array,
    iterations: int,
    bounds: tuple[float, float] | None = None,
    callback: Callable[[Array, float], None] | None = None,
    rate: float | Callable[[int], float] = RATE,
) -> OptimizeResult:
    """Minimise `f` from `x` by Adam; see the package for the other arguments.

    All vectors are in the memory of `x`, an array of NumPy or CuPy.  `rate` is about the size of a step, a number or a
    function of the step's number t.  The loss of the result is that at its x, which takes one evaluation more than
    iterations.  Without a line search, single steps may raise the loss.
    """
    xp = array_module(x)
    x = xp.array(x, float)
    moments = Moments.of(x)
    loss, g = f(x)
    for t in range(1, iterations + 1):
        moments = moments.after(g)
        x = x - moments.step(rate(t) if callable(rate) else rate)
        if bounds is not None:
            x = xp.clip(x, *bounds)
        loss, g = f(x)
        if callback:
            callback(x, loss)
    return OptimizeResult(x, loss, iterations, iterations + 1, f"all {iterations} iterations done")


def adam_in_place(
    f: Callable[[Array], tuple[float, Array]],
    x: Array,
    iterations: int,
    bounds: tuple[float, float] | None = None,
    callback: Callable[[Array, float], None] | None = None,
    rate: float = RATE,
) -> OptimizeResult:
    """Minimise `f` from `x` by Adam in the least memory: x is changed, and all vectors have its dtype.

    There are four, x, m, v and the gradient, which f gives away; what else is computed is so many pixels at a time.
    """
    m, v = array_module(x).zeros_like(x), array_module(x).zeros_like(x)
    loss, g = f(x)
    for t in range(1, iterations + 1):
        for start in range(0, x.size, CHUNK):
            part = slice(start, start + CHUNK)
            moments = Moments(m[part], v[part], t - 1).after(g[part])
            m[part], v[part] = moments.m, moments.v
            x[part] -= moments.step(rate)
            if bounds is not None:
                x[part] = x[part].clip(*bounds)
        g = g[:0]  # its memory is free for the next one
        loss, g = f(x)
        if callback:
            callback(x, loss)
    return OptimizeResult(x, loss, iterations, iterations + 1, f"all {iterations} iterations done")
