"""Adam (D. P. Kingma, J. Ba, ICLR 2015), as common re-implementations of style transfer use it.

With g_t the gradient at step t, and element-wise squares, roots and divisions::

    m_t = beta1 m_{t-1} + (1 - beta1) g_t            a running mean of the gradient
    v_t = beta2 v_{t-1} + (1 - beta2) g_t^2          a running mean of its square
    x  -= rate  m_t / (1 - beta1^t)  /  (sqrt(v_t / (1 - beta2^t)) + epsilon)

m_0 = v_0 = 0 biases the first means towards zero; dividing by 1 - beta^t corrects this.  Each unknown moves by about
`rate` a step, independently of the scale of the loss.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

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

    def map(self, convert: Callable[[Array], Array]) -> Moments:
        """Return them with both arrays converted."""
        return Moments(convert(self.m), convert(self.v), self.t)

    def step(self, rate: float) -> Array:
        """Return what to subtract from the unknowns."""
        xp = array_module(self.m)
        return rate * self.m / (1 - BETA1**self.t) / (xp.sqrt(self.v / (1 - BETA2**self.t)) + EPSILON)


@dataclass
class AdamState:
    """Where Adam stands after so many steps; what follows depends on nothing else.

    Attributes
    ----------
    x, loss, gradient : the last point, and loss and gradient there; x is empty before the start
    moments : None before the start, unless they are those of another run
    iterations : steps done
    """

    x: Array = field(default_factory=lambda: np.empty(0))
    loss: float = float("nan")
    gradient: Array = field(default_factory=lambda: np.empty(0))
    moments: Moments | None = None
    iterations: int = 0

    def arrays(self) -> dict[str, Array | float]:
        """Return the state, of a run that has begun, as arrays and numbers by name."""
        moments = self.moments or Moments.of(self.x)
        numbers = {"loss": self.loss, "iterations": self.iterations, "t": moments.t}
        return {"x": self.x, "gradient": self.gradient, "m": moments.m, "v": moments.v, **numbers}

    @classmethod
    def of(cls, arrays: Mapping[str, Array]) -> AdamState:
        """Return the state that `arrays` are of."""
        moments = Moments(arrays["m"], arrays["v"], int(arrays["t"]))
        return cls(arrays["x"], float(arrays["loss"]), arrays["gradient"], moments, int(arrays["iterations"]))


def adam(
    f: Callable[[Array], tuple[float, Array]],
    x: Array,
    iterations: int,
    bounds: tuple[float, float] | None = None,
    callback: Callable[[Array, float], None] | None = None,
    rate: float | Callable[[int], float] = RATE,
    *,
    state: AdamState | None = None,
) -> OptimizeResult:
    """Minimise `f` from `x` by Adam; see the package for the other arguments.

    All vectors are in the memory of `x`, an array of NumPy or CuPy.  `rate` is about the size of a step, a number or a
    function of the step's number, from 1.  The loss of the result is that at its x, which takes one evaluation more
    than iterations.  Without a line search, single steps may raise the loss.
    """
    xp, state = array_module(x), state or AdamState()
    if not state.x.size:
        state.x = xp.array(x, float)
        state.loss, state.gradient = f(state.x)
    moments = state.moments or Moments.of(state.x)
    for number in range(state.iterations + 1, iterations + 1):
        state.moments = moments = moments.after(state.gradient)
        state.x = state.x - moments.step(rate(number) if callable(rate) else rate)
        if bounds is not None:
            state.x = xp.clip(state.x, *bounds)
        state.loss, state.gradient = f(state.x)
        state.iterations = number
        if callback:
            callback(state.x, state.loss)
    return OptimizeResult(state.x, state.loss, iterations, iterations + 1, f"all {iterations} iterations done")


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
