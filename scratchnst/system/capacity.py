"""How much memory this process holds, may hold now, and may hold at most on this machine."""

from __future__ import annotations

import ctypes
import math
from contextlib import suppress

import psutil

from scratchnst.engine import Engine, cpu
from scratchnst.system import containers

KEPT_FREE = 0.05  # of the memory that is available, for everything else
SHARE = 0.5  # of the machine's memory, which is hardly ever free as a whole, that a run takes without strips


def resident(engine: Engine = cpu) -> int:
    """Return the bytes that this process holds in the engine's memory, after free ones were given back."""
    if engine.has_own_memory:
        return engine.memory_in_use()
    with suppress(OSError, AttributeError, TypeError):  # only glibc has malloc_trim
        ctypes.CDLL(None).malloc_trim(0)
    return psutil.Process().memory_info().rss


def available(engine: Engine = cpu) -> int:
    """Return the bytes that this process may hold now: its own and what is free in the machine and in its container.

    For an engine on a GPU it is the GPU's memory.
    """
    if engine.has_own_memory:
        return resident(engine) + int((1 - KEPT_FREE) * engine.free_memory())
    free = min([psutil.virtual_memory().available, *(limit - used for limit, used in containers.groups())])
    return resident() + int((1 - KEPT_FREE) * max(free, 0))


def capacity(engine: Engine = cpu, largest_strip: float = math.inf) -> int:
    """Return the bytes that a run takes at most with these strips, by what machine, container and GPU have in all."""
    if engine.has_own_memory:
        return int((1 - KEPT_FREE) * engine.total_memory())
    share = SHARE if largest_strip == math.inf else 1 - KEPT_FREE
    of_container = min([limit for limit, _ in containers.groups()], default=math.inf)
    return int(min(share * psutil.virtual_memory().total, (1 - KEPT_FREE) * of_container))


def in_words(size: float) -> str:
    """Return a number of bytes with its unit: 640 MB, 2.4 GB, 5.2 MB, 1 KB."""
    if size >= 1e9:
        return f"{size / 1e9:.1f} GB"
    return f"{size / 1e3:.0f} KB" if size < 1e5 else f"{size / 1e6:.2g} MB" if size < 1e7 else f"{size / 1e6:.0f} MB"
