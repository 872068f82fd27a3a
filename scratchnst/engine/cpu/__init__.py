"""The engine for the CPU: the textbook's operations made fast, in NumPy, with BLAS and threads.

Each module here keeps the contract of its namesake in `scratchnst.ops`, and is held to it by the tests.  What is new
is how, not what: the mathematics stands there, but for Winograd's convolution, which has a derivation of its own in
`scratchnst.engine.cpu.winograd`.

The same arrays give the same results to the last bit, whatever else runs in the process, as long as the number of
threads is the same.  With another number they differ by rounding: BLAS multiplies pieces of other sizes.
"""

from scratchnst.engine.cpu import add, sessions
from scratchnst.engine.engine import Engine, own_operations
from scratchnst.ops import preprocess, relu  # threads would save a hundredth part of an evaluation


class Cpu(Engine):
    """The textbook's operations, fast; its own sums of gradients and sessions use threads."""

    add = staticmethod(add.add)
    session = staticmethod(sessions.session)


ENGINE = Cpu("cpu", (preprocess, relu, *own_operations(__name__)))
