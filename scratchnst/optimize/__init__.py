"""Optimisers of f(x) -> (loss, gradient); each returns why it stopped.

All of them are functions of one signature::

    result = optimizer(f, x, iterations, bounds=None, callback=None)

f : float64 vector -> (float, float64 vector of the same size)
x : the start, a float64 vector; it is not changed.  All but SciPy's also take one of CuPy's and compute on its GPU
iterations : how many steps at most
bounds : (lowest, highest) of every unknown, or None
callback : called after each step with (x, loss), x being where f was called last; copy it to keep it
"""

from scratchnst.optimize.adam import adam, adam_in_place
from scratchnst.optimize.lbfgs import lbfgs
from scratchnst.optimize.result import OptimizeResult
from scratchnst.optimize.scipy_lbfgs import scipy_lbfgs

OPTIMIZERS = {"lbfgs": lbfgs, "scipy-lbfgs": scipy_lbfgs, "adam": adam}

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
    "OptimizeResult",
    "adam",
    "adam_in_place",
    "lbfgs",
    "scipy_lbfgs",
]
