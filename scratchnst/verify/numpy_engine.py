"""A GPU's engine that takes and returns NumPy arrays: each call copies its arguments to the GPU and its results back.

So the checks of operations, networks and objectives, which work on NumPy arrays, work for such an engine, too.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from operator import iadd
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from scratchnst.arrays import Array
from scratchnst.engine import Engine

FUNCTIONS = (
    *("forward", "backward", "backward_input", "backward_parameters", "distance", "distance_backward"),
    "as_target",
)


def as_numpy_engine(engine: Engine) -> Any:
    """Return `engine` as one of NumPy arrays: itself if its arrays are NumPy's."""
    if isinstance(engine.zeros((), "float32"), np.ndarray):
        return engine
    modules = {name: getattr(engine, name) for name in (*engine.own, *engine.fallbacks)}
    operations = {name: NumpyOperation(engine, module) for name, module in modules.items()}
    for name, operation in operations.items():
        statistic = getattr(modules[name], "statistic", None)
        operation.statistic = next((operations[key] for key in operations if modules[key] is statistic), None)
    return SimpleNamespace(
        name=engine.name,
        session=engine.session,
        asarray=np.asarray,
        asnumpy=np.asarray,
        zeros=np.zeros,
        add=iadd,
        **operations,
    )


class NumpyOperation:
    """An operation's functions, for NumPy arrays; `statistic` is that of a loss, see `scratchnst.losses`."""

    statistic: NumpyOperation | None = None

    def __init__(self, engine: Engine, module: ModuleType):
        self.__name__ = module.__name__
        self.joined = getattr(module, "joined", False)
        for name in FUNCTIONS:
            if hasattr(module, name):
                setattr(self, name, partial(_called, engine, getattr(module, name)))


def _called(engine: Engine, function: Callable, *arguments: Any) -> Any:
    """Call an engine's function with copies of NumPy arrays, in tuples or not, and return its result as NumPy arrays.

    Where the function changes an argument, the NumPy array is changed; where it returns one, the NumPy array is
    returned: checks look for both.
    """
    known: list[tuple[Array, Array]] = []  # NumPy's and the engine's

    def to_engine(value):
        if isinstance(value, tuple):
            return tuple(map(to_engine, value))
        if not isinstance(value, np.ndarray):
            return value
        known.append((value, engine.asarray(value)))
        return known[-1][1]

    def to_numpy(value):
        if isinstance(value, tuple):
            return tuple(map(to_numpy, value))
        if not hasattr(value, "dtype"):
            return value
        for ours, theirs in known:
            if theirs is value:
                return ours
        known.append((engine.asnumpy(value), value))
        return known[-1][0]

    result = function(*map(to_engine, arguments))
    for ours, theirs in known:
        now = engine.asnumpy(theirs)
        if not np.array_equal(ours, now, equal_nan=True):
            ours[...] = now
    return to_numpy(result)
