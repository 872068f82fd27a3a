"""What the command line sets for its process before NumPy is imported: the kernels of BLAS, and how memory is kept.

Only the program sets them; importing the package as a library changes nothing.  Only the standard library is imported
here.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import NamedTuple

from scratchnst.system import containers

CORE_TYPE_VARIABLE = "OPENBLAS_CORETYPE"
CORE_TYPE = "SKYLAKEX"
AVX512 = frozenset(("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"))  # what kernels of that type use
ZEN5 = 26  # the family; later ones come after it
CPUINFO = Path("/proc/cpuinfo")
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's malloc.h
MMAP_MAX, TRIM_THRESHOLD = 65536, 128 << 10  # what glibc begins with


LIBRARIES = 100 << 20  # bytes of memory that NumPy, SciPy, Pillow and h5py take once they are imported
ADDRESSES = 500 << 20  # bytes of addresses that they reserve


class Setting(NamedTuple):
    """One thing that was set, or left alone.

    Attributes
    ----------
    done : whether it was set
    what : what was set and why, or why it was left alone
    """

    done: bool
    what: str


class Startup(NamedTuple):
    """What `prepare` did."""

    kernels: Setting
    memory: Setting


_startup: Startup | None = None
_keeps_memory = False


def prepare() -> Startup:
    """Set up this process; call it before NumPy is imported.  It raises nothing."""
    global _startup, _keeps_memory
    _startup = Startup(_choose_kernels(os.environ), _keep_memory(os.environ))
    _keeps_memory = _startup.memory.done
    return _startup


def lack_of_memory() -> str | None:
    """Return, in a sentence, that a limit of memory is too low for what is imported next; None if it is not.

    Linux ends a process that exceeds its container's limit, without a word.
    """
    left = min((limit - used for limit, used in containers.groups()), default=LIBRARIES)
    if left < LIBRARIES:
        return _too_little("memory", LIBRARIES, left, "give its container more.")
    addresses = _addresses()
    if addresses is not None and addresses < ADDRESSES:
        return _too_little("addresses", ADDRESSES, addresses, "raise ulimit -v.")
    return None


def _too_little(what, needed, there, advice):
    return f"the program needs {needed >> 20} MB of {what} to start, and has {max(there, 0) >> 20} MB: {advice}"


def record() -> Startup | None:
    """Return what `prepare` did in this process; None if it was not called."""
    return _startup


def processor(cpuinfo: str) -> dict[str, str]:
    """Return what the text of /proc/cpuinfo tells of the first processor, name -> value."""
    fields = (line.partition(":") for line in cpuinfo.strip().split("\n\n")[0].splitlines())
    return {name.strip(): value.strip() for name, _, value in fields}


def has_avx512(fields: Mapping[str, str]) -> bool:
    """Tell whether a processor, as `processor` returns it, can run BLAS's kernels for AVX-512."""
    return set(fields.get("flags", "").split()) >= AVX512


def needs_core_type(fields: Mapping[str, str]) -> bool:
    """Tell whether OpenBLAS may miss that a processor, as `processor` returns it, has AVX-512.

    It does not know AMD's families from Zen 5 on before https://github.com/OpenMathLib/OpenBLAS/pull/6033, and may
    take kernels for AVX2: where it did, an evaluation at 512 pixels took a prototype 1.3 s instead of 0.88 s.  On Zen 4
    it is right by itself.
    """
    family = fields.get("cpu family", "")
    newer = family.isdigit() and int(family) >= ZEN5
    return fields.get("vendor_id") == "AuthenticAMD" and newer and has_avx512(fields)


def read_processor() -> dict[str, str]:
    """Return what the system tells of its first processor; nothing where there is no /proc/cpuinfo."""
    try:
        return processor(CPUINFO.read_text(errors="replace"))
    except OSError:
        return {}


def _choose_kernels(environment: MutableMapping[str, str]) -> Setting:
    """Tell OpenBLAS, which reads the variable when NumPy is imported, where to find the kernels for AVX-512."""
    if environment.get(CORE_TYPE_VARIABLE):
        return Setting(False, f"left to {CORE_TYPE_VARIABLE}={environment[CORE_TYPE_VARIABLE]}, which you set")
    if not sys.platform.startswith("linux") or platform.machine() != "x86_64":
        return Setting(False, "left to BLAS; there is something to set only on Linux x86-64")
    if not needs_core_type(read_processor()):
        return Setting(False, "left to BLAS, which is not known to mistake this processor")
    if "numpy" in sys.modules:
        return Setting(False, "not set: NumPy was imported before")
    environment[CORE_TYPE_VARIABLE] = CORE_TYPE
    return Setting(True, f"{CORE_TYPE_VARIABLE}={CORE_TYPE}, since OpenBLAS may not know that this has AVX-512")


def _keep_memory(environment: Mapping[str, str]) -> Setting:
    """Let the process keep the memory of arrays that are gone, for the next ones.

    Otherwise glibc gives the memory of each large array back to the kernel, which must zero it before the next array
    may have it.  Kept, an evaluation at 1024 pixels takes 4.1 s instead of 5.0 s.
    """
    chosen = [name for name in environment if name.startswith("MALLOC_")]
    if "glibc.malloc" in environment.get("GLIBC_TUNABLES", ""):
        chosen.append("GLIBC_TUNABLES")
    if chosen:
        return Setting(False, f"left to {', '.join(sorted(chosen))}, which you set")
    if not _is_glibc():
        return Setting(False, "left to the system; there is something to set only with glibc")
    try:
        if _mallopt(mmap_max=0, trim_threshold=-1):  # -1: no threshold, never trim
            return Setting(True, "freed memory stays with the process, for the next arrays (mallopt)")
    except (ImportError, OSError, AttributeError) as error:
        return Setting(False, f"not set: glibc's mallopt is out of reach ({error})")
    return Setting(False, "not set: glibc's mallopt refused")


def keeps_memory() -> bool:
    """Return whether memory of arrays that are gone stays with this process."""
    return _keeps_memory


def give_memory_back() -> None:
    """Undo what `prepare` has done for memory: where there is little, holes between kept arrays cost too much of it."""
    global _keeps_memory
    if _keeps_memory:
        _mallopt(MMAP_MAX, TRIM_THRESHOLD)
        _keeps_memory = False


def _mallopt(mmap_max: int, trim_threshold: int) -> bool:
    """Set both, and tell whether that was possible."""
    import ctypes  # not every Python has it

    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(M_MMAP_MAX, mmap_max) and mallopt(M_TRIM_THRESHOLD, trim_threshold))


def _addresses() -> int | None:
    """Return how many bytes of addresses this process may have; None: as many as it likes."""
    try:
        import resource  # only Unix has it
    except ImportError:
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if limit == resource.RLIM_INFINITY else limit


def _is_glibc() -> bool:
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (AttributeError, ValueError, OSError):  # no Unix; a C library that does not know the name
        return False
