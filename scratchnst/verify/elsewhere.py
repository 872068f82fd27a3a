"""An engine that computes on a GPU, for whoever has arrays of NumPy: each operation takes them there and back.

That is slow, and all that is made for NumPy can look at the operations of every engine.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import iadd
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from scratchnst.engine import Engine

Array = Any

OPERATIONS = (
    "preprocess conv2d conv2d_relu relu average_pool max_pool gram content_loss style_loss total_variation".split()
)


class Elsewhere:
    """An operation that takes and returns arrays of NumPy; it computes, and keeps its cache, where its engine does."""

    def __init__(self, module: ModuleType, engine: Engine):
        self.module, self.engine, self.__name__ = module, engine, module.__name__

    def __getattr__(self, name: str) -> Callable:
        function = getattr(self.module, name)
        if name == "forward":
            return lambda *arguments: self._forward(function, arguments)
        return lambda *arguments: self._back(function(*map(self._there, arguments)))  # a backward, of several

    def _forward(self, function, arguments):
        y, cache = function(*map(self._there, arguments))
        return self._back(y), cache

    def _there(self, value: Any) -> Any:
        return self.engine.asarray(value) if isinstance(value, np.ndarray) else value

    def _back(self, value: Any) -> Any:
        return tuple(map(self._back, value)) if isinstance(value, tuple) else self.engine.asnumpy(value)


def from_here(engine: Engine) -> Any:
    """Return an engine for arrays of NumPy whose operations are those of `engine`."""
    return SimpleNamespace(
        name=engine.name,
        session=engine.session,
        asarray=np.asarray,
        asnumpy=np.asarray,
        zeros=np.zeros,
        add=iadd,
        **{name: Elsewhere(getattr(engine, name), engine) for name in OPERATIONS if hasattr(engine, name)},
    )
