r"""L-BFGS, the paper's optimiser, by hand: Newton's method with a Hessian estimated from the steps taken.

Newton's step is -H g, with g the gradient and H the inverse of the Hessian.  For n unknowns H has n^2 numbers, far too
many for pixels.  L-BFGS (J. Nocedal, "Updating quasi-Newton matrices with limited storage", 1980) represents H by the
last few steps.  Numbers of equations are those of J. Nocedal, S. Wright, *Numerical Optimization*, 2nd edition, 2006.

The secant equation.  A step s = x' - x has changed the gradient by y = g' - g.  On a quadratic with the Hessian B,
y = B s exactly, so the next estimate of its inverse should map y to s::

    H' y = s                                                                            the secant equation

The BFGS update.  Of all symmetric H' that satisfy it, BFGS takes the one that differs least from H::

    H' = V^T H V + rho s s^T     with     V = I - rho y s^T,   rho = 1 / (y^T s)                    (6.17), (7.16)

It satisfies the secant equation: V y = y - rho y (s^T y) = 0, and H' y = rho s (s^T y) = s.  It is symmetric if H is.
It is positive definite, so that -H' g is a descent direction, if H is and y^T s > 0: no term of
z^T H' z = (V z)^T H (V z) + rho (s^T z)^2 is below zero, and if the second is zero, V z = z and the first is not.  The
line search ensures y^T s > 0, the change of the slope along the step, by its curvature condition.

Two loops.  H' itself is not needed, only its product with a vector q.  Evaluate the update from the right::

    V q        =  q - alpha y                    with  alpha = rho s^T q
    H V q      =  r                              the same problem, with the H before and the vector q - alpha y
    V^T r      =  r - beta s                     with  beta = rho y^T r
    H' q       =  V^T r + rho s s^T q  =  r + (alpha - beta) s

So to multiply by H': subtract alpha y, multiply by the H before, add (alpha - beta) s.  If each H before is multiplied
by in this way, the subtractions come first, from the newest pair (s, y) to the oldest, and the additions last, from the
oldest to the newest: two loops, algorithm 7.4.  Between them comes the initial estimate, gamma I, where gamma minimises
|gamma y - s|^2 for the newest pair: its derivative 2 (gamma y^T y - s^T y) is zero for gamma = s^T y / y^T y (7.20).

With m pairs that is 4 m n multiplications and 2 m vectors of memory instead of n^2.

Comparison with SciPy's L-BFGS-B, `scipy_lbfgs`.  The ratio of the lowest losses after so many evaluations, ours to
SciPy's, from white noise in float32, with VGG19 up to conv3_4::

    evaluations                                      25      50     100     150     200
    VGG19, 256 pixels: Tuebingen, Starry Night     0.93    0.95    0.98    0.99    0.99
                       Shipwreck, Starry Night     0.96    0.98    0.95    0.95    0.95
                       Tuebingen, Shipwreck        1.06    1.01    1.00    1.00    1.00
                       texture of Starry Night     1.01    0.95    1.01    1.00    0.99
    distilled, 384:    Tuebingen, Starry Night     1.06    0.97    1.00    1.00    1.00

``scratchnst transfer CONTENT STYLE -o OUT.png --network FILE --size 256 --iterations 200 --optimizer scipy-lbfgs --log
FILE`` logs such losses.  SciPy's loss after 200 evaluations is reached after 191, 169, 201, 194 and 201.  Early ratios
vary by chance: over nine runs at 96 pixels (three pairs, three seeds; first steps were shorter then) the mean ratio
was 1.00 +- 0.01 at 25 and 1.01 +- 0.01 at 50.

Milliseconds of CPU time that an evaluation takes in addition to f, 512x512x3 unknowns, medians of 7 runs of 30
iterations on a quadratic, on two cores with other work::

                                 SciPy's    ours, float32    ours, float64
    BLAS on both cores             137           12               154
    BLAS on one                     45           11                22
    BLAS on both, with bounds      328           12

So ours is the default.  Level-1 routines of BLAS, which SciPy calls in float64, are not faster with threads here.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from scratchnst.arrays import Array, array_module, is_finite, numbers
from scratchnst.optimize.line_search import line_search
from scratchnst.optimize.result import OptimizeResult

Bounds = tuple[float, float] | None

HISTORY = 10  # pairs
FIRST_MOVE = 4.0  # of the unknowns on average, in pixel values; after a shorter one the line search would continue


class CurvaturePair(NamedTuple):
    """A step s, the change y of the gradient along it, and rho = 1 / (y^T s)."""

    s: Array
    y: Array
    rho: float


@dataclass
class LbfgsState:
    """Where L-BFGS stands after so many steps; what follows depends on nothing else.

    Attributes
    ----------
    x, loss, gradient : the last point accepted, and loss and gradient there, both divided by `unit`; x is empty before
        the start
    unit : a power of 2, see `_Scaled`
    pairs : the oldest first
    is_lower : whether the last step has lowered the loss: if not, it was the last one
    iterations, evaluations : done so far
    """

    x: Array = field(default_factory=lambda: np.empty(0))
    loss: float = math.nan
    gradient: Array = field(default_factory=lambda: np.empty(0))
    unit: float = 1.0
    pairs: deque[CurvaturePair] = field(default_factory=deque)
    is_lower: bool = True
    iterations: int = 0
    evaluations: int = 0

    def arrays(self) -> dict[str, Array | float]:
        """Return the state as arrays and numbers by name."""
        found: dict[str, Array | float] = {**vars(self), "pairs": len(self.pairs)}
        for number, pair in enumerate(self.pairs):
            found |= {f"{name}{number}": value for name, value in pair._asdict().items()}
        return found

    @classmethod
    def of(cls, arrays: Mapping[str, Array]) -> LbfgsState:
        """Return the state that `arrays` are of."""
        pairs = deque(
            CurvaturePair(arrays[f"s{number}"], arrays[f"y{number}"], float(arrays[f"rho{number}"]))
            for number in range(int(arrays["pairs"]))
        )
        loss, unit, is_lower = float(arrays["loss"]), float(arrays["unit"]), bool(arrays["is_lower"])
        done = int(arrays["iterations"]), int(arrays["evaluations"])
        return cls(arrays["x"], loss, arrays["gradient"], unit, pairs, is_lower, *done)


def lbfgs(
    f: Callable[[Array], tuple[float, Array]],
    x: Array,
    iterations: int,
    bounds: Bounds = None,
    callback: Callable[[Array, float], None] | None = None,
    history: int = HISTORY,
    dtype: str = "float32",
    *,
    state: LbfgsState | None = None,
) -> OptimizeResult:
    """Minimise `f` from `x` by L-BFGS, algorithm 7.5; see the package for the other arguments.

    All vectors are in the memory of `x`, an array of NumPy or CuPy.  `history` is the number of pairs, and `dtype`,
    float32 or float64, that of the pairs and of all vectors but x: they take most of the memory and of the time.

    It runs until `iterations` are done, the gradient is zero or the line search finds no lower loss.
    """
    xp, state = array_module(x), state or LbfgsState()
    state.pairs = pairs = deque(state.pairs, maxlen=history)
    evaluate = _Scaled(f, dtype, state)
    if not state.x.size:
        x = xp.array(x, float)
        state.x = x if bounds is None else xp.clip(x, *bounds)
        state.loss, state.gradient = evaluate(state.x)

    def end(reason):
        return OptimizeResult(state.x, state.loss * state.unit, state.iterations, state.evaluations, reason)

    if not math.isfinite(state.loss) or not is_finite(state.gradient):
        return end("failed: the loss or its gradient is not finite at the start")
    while state.is_lower and state.iterations < iterations:
        x, loss, gradient = state.x, state.loss, state.gradient
        direction = search_direction(x, gradient, pairs, bounds)
        slope = float(gradient @ direction)
        if slope == 0:
            return end("converged: the gradient is zero")
        line = _Line(evaluate, x, direction, bounds)
        # Without pairs the direction has the gradient's unit, not that of x, so the length of the step is chosen.
        step = 1.0 if pairs else FIRST_MOVE * math.sqrt(x.size / float(direction @ direction))
        found = line_search(line, loss, slope, step) if slope < 0 else None
        if found is None and pairs:
            pairs.clear()  # try steepest descent before giving up
            continue
        if found is None:
            return end("stalled: the line search found no lower loss in its direction")
        remember(pairs, (line.x - x).astype(dtype), line.gradient - gradient)
        state.is_lower = found.loss < loss
        state.x, state.loss, state.gradient = line.x, found.loss, line.gradient
        state.iterations += 1
        if callback:
            callback(state.x, state.loss * state.unit)
    if not state.is_lower:
        return end("converged: the loss falls no further at this precision")
    return end(f"all {iterations} iterations done")


def search_direction(x: Array, gradient: Array, pairs: Sequence[CurvaturePair], bounds: Bounds = None) -> Array:
    """Return -H g.

    With bounds, unknowns at a bound whose descent direction leads beyond it stay there: H consists of the rows and
    columns of the others (D. Bertsekas, "Projected Newton methods", 1982).
    """
    if bounds is None:
        return -inverse_hessian_times(gradient, pairs)
    lowest, highest = bounds
    free = ~((x <= lowest) & (gradient > 0) | (x >= highest) & (gradient < 0))
    return -(free * inverse_hessian_times(free * gradient, pairs))


def inverse_hessian_times(q: Array, pairs: Sequence[CurvaturePair]) -> Array:
    """Return H q, H made of `pairs`, the oldest first; without any it is I.  The two loops, algorithm 7.4."""
    q, alphas = q.copy(), []
    for s, y, rho in reversed(pairs):
        alpha = rho * (s @ q)
        q -= alpha * y
        alphas.append(alpha)
    if pairs:
        _, y, rho = pairs[-1]
        q *= 1 / (rho * (y @ y))  # gamma
    for (s, y, rho), alpha in zip(pairs, reversed(alphas)):
        beta = rho * (y @ q)
        q += (alpha - beta) * s
    return q


def remember(pairs: deque[CurvaturePair], s: Array, y: Array) -> None:
    """Add a pair to `pairs`, unless y^T s is not clearly positive, in which case H might not be positive definite."""
    curvature, s_squared, y_squared = numbers([y @ s, s @ s, y @ y])
    if curvature > float(np.finfo(y.dtype).eps) * math.sqrt(s_squared * y_squared):
        pairs.append(CurvaturePair(s, y, 1 / curvature))


class _Scaled:
    """f with losses and gradients divided by the state's unit; its calls are counted there.

    The unit makes the largest derivative at the start about 1, so that no product of two vectors leaves the range of
    float32; it is a power of 2, so that dividing by it does not round.
    """

    def __init__(self, f, dtype, state):
        self.f, self.dtype, self.state = f, dtype, state

    @np.errstate(over="ignore", invalid="ignore")  # the line search handles what is not finite
    def __call__(self, x):
        loss, gradient = self.f(x)
        if self.state.evaluations == 0:
            self.state.unit = _power_of_2(float(abs(gradient).max()))
        self.state.evaluations += 1
        return float(loss) / self.state.unit, (gradient / self.state.unit).astype(self.dtype)


def _power_of_2(number):
    """The nearest power of 2 to a number, 1 for one that has none."""
    return 2.0 ** round(math.log2(number)) if 0 < number < math.inf else 1.0


class _Line:
    """phi(t), the loss at x + t d or, with bounds, at the nearest point within; keeps the last point and gradient."""

    def __init__(self, evaluate, start, direction, bounds):
        self.evaluate, self.start, self.direction, self.bounds = evaluate, start, direction, bounds

    @np.errstate(over="ignore", invalid="ignore")  # of a step that is too long
    def __call__(self, t):
        direction = self.direction
        self.x = self.start + t * direction
        if self.bounds is not None:
            lowest, highest = self.bounds
            direction = direction * ((self.x >= lowest) & (self.x <= highest))  # the others stay at their bounds
            self.x = array_module(self.x).clip(self.x, lowest, highest)
        loss, self.gradient = self.evaluate(self.x)
        return loss, float(self.gradient @ direction)
