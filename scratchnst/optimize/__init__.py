"""Optimisers: each sees nothing but f(x) -> (loss, gradient), and says in the end why it stopped.

Every optimiser here is a function of one signature::

    result = optimizer(f, x, iterations, bounds=None, callback=None)

f : float64 vector -> (float, float64 vector of the same size)
x : the start, a float64 vector; it is not changed
iterations : how many steps at most
bounds : (lowest, highest) of every unknown, or None
callback : called after each step with (x, loss); x, where f was called last, must not be kept without a copy
"""

from scratchnst.optimize.adam import adam
from scratchnst.optimize.lbfgs import lbfgs
from scratchnst.optimize.lbfgs_native import lbfgs_native
from scratchnst.optimize.result import Result

OPTIMIZERS = {"lbfgs": lbfgs, "lbfgs-native": lbfgs_native, "adam": adam}

__all__ = ["OPTIMIZERS", "Result", "adam", "lbfgs", "lbfgs_native"]
