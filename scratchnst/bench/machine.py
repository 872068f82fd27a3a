"""What the figures depend on: processor, threads, libraries; and a GPU, its driver and libraries."""

from __future__ import annotations

import datetime
import platform
import subprocess
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

from scratchnst import __version__
from scratchnst.bench.contender import OnEngine
from scratchnst.system import startup

BLAS_FACTS = ("internal_api", "version", "architecture", "threading_layer")
PACKAGES = ("numpy", "scipy", "torch")
ROOT = Path(__file__).parents[2]


def facts(threads: int) -> dict[str, Any]:
    """Return the date, the commit, the processor's name, threads, versions and the BLAS of NumPy with its core type."""
    np.ones((2, 2)) @ np.ones((2, 2))  # so that BLAS is there
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "commit": commit(),
        "processor": startup.read_processor().get("model name") or platform.processor() or platform.machine(),
        "system": platform.platform(),
        "threads": threads,
        "scratchnst": __version__,
        "python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
        "blas": [{key: library.get(key) for key in BLAS_FACTS} for library in _blas_of_numpy()],
    }


def commit() -> str | None:
    """Return the commit of this package, with "-dirty" where files differ from it, or None outside of a repository."""
    if not (ROOT / ".git").exists():
        return None
    return _output("git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")


def _blas_of_numpy():
    """NumPy's own BLAS, or, where it has none of its own, all there are: SciPy's wheels bring another."""
    libraries = [library for library in threadpool_info() if library["user_api"] == "blas"]
    return [library for library in libraries if "numpy" in library["filepath"]] or libraries


def _version(package):
    with suppress(PackageNotFoundError):
        return version(package)
    return None


class DeviceFacts(OnEngine):
    """A contender that computes nothing and describes its GPU."""

    def __init__(self, size: int, device: str):
        super().__init__(device)

    def check(self) -> dict[str, Any]:
        """Return the GPU's name, compute capability, memory, driver, and the versions of what computes on it."""
        return {**self.engine.describe(), **self.engine.hardware(), "nvidia_driver": _driver()}


def _driver() -> str | None:
    """The driver's own version, which NVIDIA's tool prints for each GPU."""
    said = _output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
    return said and said.split("\n")[0]


def _output(*command: str) -> str | None:
    """Return what a program prints, None if it fails."""
    with suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
    return None
