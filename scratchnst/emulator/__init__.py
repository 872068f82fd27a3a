"""A GPU for those who have none: CUDA kernels run on the CPU, behind CuPy's own names.

Within `installed`, ``import cupy`` gives `scratchnst.emulator.library`, and whoever computes with CuPy computes here:
on arrays in ordinary memory, with kernels that g++ has compiled.  It is slow, and it watches: around each buffer lie
guard zones, new arrays hold no usable numbers, threads may run in either order.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from scratchnst.emulator import launch, library


@contextmanager
def installed(order: str = "forward") -> Iterator[None]:
    """Put the emulator in CuPy's place within the block.

    Parameters
    ----------
    order : "forward" or "reverse", in which blocks, and the threads of one, take turns
    """
    before, order_before = sys.modules.get("cupy"), launch.order
    sys.modules["cupy"], launch.order = library, order
    try:
        yield
    finally:
        launch.order = order_before
        if before is None:
            del sys.modules["cupy"]
        else:
            sys.modules["cupy"] = before
