"""Optimisers of f(x) -> (loss, gradient); each returns why it stopped.

All of them are functions of one signature::

    result = optimizer(f, x, iterations, bounds=None, callback=None)

f : float64 vector -> (float, float64 vector of the same size)
x : the start, a float64 vector; it is not changed.  All but SciPy's also take one of CuPy's and compute on its GPU
iterations : how many steps at most
bounds : (lowest, highest) of every unknown, or None
callback : called after each step with (x, loss), x being where f was called last; no optimiser changes it later

All but SciPy's also take ``state``, an object that tells where the optimiser stands whenever `callback` is called.  A
new one of `STATES` is filled at the start.  With one that was filled before, by the same f, the optimiser goes on as if
it had not stopped; of `x` only the kind of array matters then.
"""

from typing import TypeAlias

from scratchnst.optimize.adam import AdamState, adam, adam_in_place
from scratchnst.optimize.lbfgs import LbfgsState, lbfgs
from scratchnst.optimize.result import OptimizeResult
from scratchnst.optimize.scipy_lbfgs import scipy_lbfgs

OPTIMIZERS = {"lbfgs": lbfgs, "scipy-lbfgs": scipy_lbfgs, "adam": adam}

State: TypeAlias = AdamState | LbfgsState
STATES: dict[str, type[AdamState] | type[LbfgsState]] = {"lbfgs": LbfgsState, "adam": AdamState}  # SciPy's has none

ON_THE_CPU = {"scipy-lbfgs"}  # they only take NumPy's vectors

# Bytes that an optimiser holds for each unknown while f is called: mostly the history of L-BFGS, ten steps and ten
# changes of the gradient, in float64 in SciPy's, which has 25 vectors of workspace in all, and in float32 in ours.
BYTES_PER_UNKNOWN = {"lbfgs": 108, "scipy-lbfgs": 304, "adam": 32}
BYTES_PER_BOUNDED_UNKNOWN = BYTES_PER_UNKNOWN | {"scipy-lbfgs": 449}

__all__ = [
    "BYTES_PER_BOUNDED_UNKNOWN",
    "BYTES_PER_UNKNOWN",
    "ON_THE_CPU",
    "OPTIMIZERS",
    "STATES",
    "AdamState",
    "LbfgsState",
    "OptimizeResult",
    "State",
    "adam",
    "adam_in_place",
    "lbfgs",
    "scipy_lbfgs",
]
