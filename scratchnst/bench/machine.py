"""What the figures depend on: processor, threads, libraries."""

from __future__ import annotations

import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

PACKAGES = ("scratchnst", "numpy", "scipy", "torch")


def facts(threads: int) -> dict[str, Any]:
    """Return the processor's name, threads, versions and the BLAS of NumPy with its core type."""
    np.ones((2, 2)) @ np.ones((2, 2))  # so that BLAS is there
    return {
        "processor": processor(),
        "system": platform.platform(),
        "threads": threads,
        "python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
        "blas": [
            {key: library.get(key) for key in ("internal_api", "version", "architecture", "threading_layer")}
            for library in threadpool_info()
            if library["user_api"] == "blas"
        ],
    }


def processor() -> str:
    """Return the name of the processor's model."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(package):
    with suppress(PackageNotFoundError):
        return version(package)
    return None
