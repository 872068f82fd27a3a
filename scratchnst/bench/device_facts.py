"""What the figures of a GPU depend on besides `scratchnst.bench.machine`: the GPU, its driver, libraries."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from typing import Any

from scratchnst.bench.contender import OnEngine
from scratchnst.engine.cuda import availability
from scratchnst.engine.cuda import device as gpu


class Facts(OnEngine):
    """A contender that computes nothing and tells what it runs on."""

    def __init__(self, size: int, device: str):
        super().__init__(device)

    def check(self) -> dict[str, Any]:
        """Return the GPU's name, compute capability, memory, driver, and the versions of what computes on it."""
        cuda = gpu.library().cuda
        here = cuda.Device()
        return {
            **availability.describe(),
            "multiprocessors": cuda.runtime.getDeviceProperties(here.id)["multiProcessorCount"],
            "bytes": here.mem_info[1],
            "nvidia_driver": _driver(),
            "cublas": cuda.cublas.getVersion(here.cublas_handle),
        }


def _driver():
    """The driver's own version, which NVIDIA's tool tells for each GPU, or None."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    with suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.split("\n")[0]
    return None
