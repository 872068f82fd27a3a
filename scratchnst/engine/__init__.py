"""Engines: the operations of `scratchnst.ops` under the same names, each engine in its own way.

`textbook` has the operations as they stand in `scratchnst.ops` and `scratchnst.losses`, with which tests compare the
others; `cpu` is fast; `cuda` computes on a GPU.  An engine falls back to the textbook for what it lacks.
`scratchnst.engine.meta` tells how much memory they would take.
"""

from scratchnst.engine.cpu import ENGINE as cpu
from scratchnst.engine.cuda import ENGINE as cuda
from scratchnst.engine.engine import Engine
from scratchnst.engine.textbook import OPERATIONS

textbook = Engine("textbook", OPERATIONS)

__all__ = ["Engine", "cpu", "cuda", "textbook"]
