"""What the figures of a GPU depend on besides `scratchnst.bench.machine`: the GPU, its driver, libraries."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from typing import Any

from scratchnst.bench.on_device import OnDevice
from scratchnst.engine.cuda import device as gpu


class Facts(OnDevice):
    """A contender, see `scratchnst.bench.service`, that does nothing but tell what it runs on."""

    def __init__(self, size: int, threads: int, device: str):
        super().__init__(device)

    def check(self) -> dict[str, Any]:
        """Return the GPU's name, compute capability, memory, driver, and the versions of what computes on it."""
        cupy = gpu.library()
        runtime, here = cupy.cuda.runtime, cupy.cuda.Device()
        properties = runtime.getDeviceProperties(here.id)
        return {
            "device": self.device,
            "gpu": properties["name"].decode(),
            "compute_capability": here.compute_capability,
            "multiprocessors": properties["multiProcessorCount"],
            "bytes": here.mem_info[1],
            "driver": _driver(),
            "driver_cuda": _version(runtime.driverGetVersion()),  # the latest that the driver knows
            "cuda_runtime": _version(runtime.runtimeGetVersion()),
            "cupy": cupy.__version__,
            "cublas": cupy.cuda.cublas.getVersion(here.cublas_handle),
        }


def _version(number):
    """CUDA's 13020 is 13.2."""
    return f"{number // 1000}.{number % 1000 // 10}"


def _driver():
    """The driver's own version, which NVIDIA's tool tells for each GPU, or None."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    with suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.split("\n")[0]
    return None
