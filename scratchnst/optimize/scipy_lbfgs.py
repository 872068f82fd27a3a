"""L-BFGS, the paper's optimiser, by SciPy: L-BFGS-B of Byrd, Lu, Nocedal and Zhu, which takes bounds as well.

Each step goes along -H g, where g is the gradient and H an estimate of the inverse Hessian by the last few steps and
the changes of the gradient along them; a line search finds its length.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from scratchnst.optimize.result import OptimizeResult

STEPS_REMEMBERED = 10
EVALUATIONS_PER_ITERATION = 20  # at most; the line search usually needs one


def scipy_lbfgs(
    f: Callable[[np.ndarray], tuple[float, np.ndarray]],
    x: np.ndarray,
    iterations: int,
    bounds: tuple[float, float] | None = None,
    callback: Callable[[np.ndarray, float], None] | None = None,
) -> OptimizeResult:
    """Minimise `f` from `x` by L-BFGS; see the package for the arguments.

    It runs until `iterations` are done, the gradient is zero or the line search finds no lower loss: SciPy's
    tolerances, which stop too early if losses are large and flat, are off.
    """
    from scipy.optimize import Bounds, minimize  # not before: it takes long

    # Without bounds SciPy's first step has length 1, which is very short for many pixels, and finding a longer one
    # takes about ten evaluations.  So z = x / scale is optimised, and the first step moves each unknown by about 1.
    # Scaling by a power of two does not round.
    scale = 2.0 ** round(np.log2(np.sqrt(x.size)))

    def scaled(z):
        loss, gradient = f(z * scale)
        return loss, gradient * scale

    def accepted(intermediate_result):
        if callback:
            callback(intermediate_result.x * scale, float(intermediate_result.fun))

    end = minimize(
        scaled,
        x / scale,
        jac=True,
        method="L-BFGS-B",
        bounds=None if bounds is None else Bounds(bounds[0] / scale, bounds[1] / scale),
        callback=accepted,
        options={
            "maxiter": iterations,
            "maxfun": iterations * EVALUATIONS_PER_ITERATION,
            "maxcor": STEPS_REMEMBERED,
            "ftol": 0.0,
            "gtol": 0.0,
        },
    )
    return OptimizeResult(end.x * scale, float(end.fun), end.nit, end.nfev, _stop_reason(end, iterations))


def _stop_reason(end, iterations):
    """SciPy's message in words."""
    if end.nit >= iterations:
        return f"all {iterations} iterations done"
    reasons = {
        "GRADIENT": "converged: the gradient is zero",
        "RELATIVE REDUCTION": "converged: the loss falls no further at this precision",
        "ABNORMAL": "stalled: the line search found no lower loss in its direction",
    }
    return next((reasons[key] for key in reasons if key in end.message), f"SciPy's L-BFGS-B: {end.message}")
