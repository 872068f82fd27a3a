"""Optimisers: each sees nothing but f(x) -> (loss, gradient), and says in the end why it stopped.

Every optimiser here is a function of one signature::

    result = optimizer(f, x, iterations, bounds=None, callback=None)

f : float64 vector -> (float, float64 vector of the same size)
x : the start, a float64 vector; it is not changed.  All but SciPy's take one of CuPy's as well and stay on its GPU
iterations : how many steps at most
bounds : (lowest, highest) of every unknown, or None
callback : called after each step with (x, loss); x, where f was called last, must not be kept without a copy
"""

from scratchnst.optimize.adam import adam
from scratchnst.optimize.lbfgs import lbfgs
from scratchnst.optimize.result import OptimizeResult
from scratchnst.optimize.scipy_lbfgs import scipy_lbfgs

OPTIMIZERS = {"lbfgs": lbfgs, "scipy-lbfgs": scipy_lbfgs, "adam": adam}

ON_THE_CPU = {"scipy-lbfgs"}  # those that take vectors of NumPy's alone

# Bytes that an optimiser holds for each unknown while f is called: above all the history of L-BFGS, ten steps and ten
# changes of the gradient, in float64 in SciPy's, which has 25 vectors of workspace in all, and in float32 in our own.
BYTES_PER_UNKNOWN = {"lbfgs": 108, "scipy-lbfgs": 304, "adam": 32}
BYTES_PER_BOUNDED_UNKNOWN = BYTES_PER_UNKNOWN | {"scipy-lbfgs": 449}

__all__ = [
    "BYTES_PER_BOUNDED_UNKNOWN",
    "BYTES_PER_UNKNOWN",
    "ON_THE_CPU",
    "OPTIMIZERS",
    "OptimizeResult",
    "adam",
    "lbfgs",
    "scipy_lbfgs",
]
