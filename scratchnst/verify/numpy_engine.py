"""An engine that computes on a GPU, behind NumPy's arrays: what it is given goes there, what it returns comes back.

So whatever checks operations, networks or objectives on NumPy's arrays checks those of such an engine as well.  It
costs transfers, of which a check may take as many as it likes.
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

FUNCTIONS = ("forward", "backward", "backward_input", "backward_parameters", "distance", "distance_backward")


def as_numpy_engine(engine: Engine) -> Any:
    """Return `engine` behind NumPy's arrays: itself if its own arrays are NumPy's."""
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
    """An operation's functions, of NumPy's arrays; `statistic` is that of a loss, see `scratchnst.losses`."""

    statistic: NumpyOperation | None = None

    def __init__(self, engine: Engine, module: ModuleType):
        self.__name__ = module.__name__
        for name in FUNCTIONS:
            if hasattr(module, name):
                setattr(self, name, partial(_called, engine, getattr(module, name)))


def _called(engine: Engine, function: Callable, *arguments: Any) -> Any:
    """Return what a function returns for arrays and tuples of them.

    What it does to an array that it is given is done to NumPy's as well, and where it returns that very array, NumPy's
    is returned: whoever watches for that shall see it.
    """
    known: list[tuple[Array, Array]] = []  # NumPy's and the engine's

    def there(value):
        if isinstance(value, tuple):
            return tuple(map(there, value))
        if not isinstance(value, np.ndarray):
            return value
        known.append((value, engine.asarray(value)))
        return known[-1][1]

    def back(value):
        if isinstance(value, tuple):
            return tuple(map(back, value))
        if not hasattr(value, "dtype"):
            return value
        for ours, theirs in known:
            if theirs is value:
                return ours
        known.append((engine.asnumpy(value), value))
        return known[-1][0]

    result = function(*map(there, arguments))
    for ours, theirs in known:
        now = engine.asnumpy(theirs)
        if not np.array_equal(ours, now, equal_nan=True):
            ours[...] = now
    return back(result)
