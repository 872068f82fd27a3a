"""Whether a GPU can be used, and if not, why, and what to do about it.

A GPU is tried out: kernels of ours and of CuPy's are compiled and run, cuBLAS multiplies two matrices, and the results
are compared with NumPy's.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from scratchnst.engine.cuda import device, products, relu
from scratchnst.engine.cuda.device import INSTALL
from scratchnst.errors import UserError

OUT_OF_MEMORY, INSUFFICIENT_DRIVER, NO_DEVICE = 2, 35, 100  # CUDA's numbers of errors: cudaErrorMemoryAllocation ...
VISIBLE = "CUDA_VISIBLE_DEVICES"


class Unavailable(UserError):
    """No GPU can be used: `reason` and `advice` are clauses of a sentence, what there is and what to do."""

    def __init__(self, reason: str, advice: str):
        super().__init__(f"no GPU can be used, since {reason}: {advice}.")
        self.reason, self.advice = reason, advice


class NotInstalled(Unavailable):
    """CuPy is not installed, as on most machines."""


@dataclass(frozen=True)
class Gpu:
    """A GPU: its number N in cuda:N, its memory in bytes, and its compute capability, such as 9.0."""

    number: int
    name: str
    memory: int
    compute_capability: str


def find() -> list[Gpu]:
    """Return the GPUs that this process may use, at least one, or raise `Unavailable`."""
    cupy = _load()
    runtime = cupy.cuda.runtime
    try:
        found = [_describe(cupy, number) for number in range(runtime.getDeviceCount())]
    except Exception as error:  # of CUDA or of a library that is missing
        raise _explained(cupy, error) from error
    if not found:
        raise _none_visible()
    return found


def check(number: int = 0) -> Gpu:
    """Return GPU `number` if it computes, and correctly, or raise `Unavailable`."""
    gpus = find()
    if number >= len(gpus):
        there = "cuda:0" if len(gpus) == 1 else f"cuda:0 to cuda:{len(gpus) - 1}"
        raise Unavailable(f"there is no cuda:{number}", f"this process may use {len(gpus)}, {there}")
    cupy = device.library()
    try:
        with cupy.cuda.Device(number):
            _try()
    except Unavailable:
        raise
    except Exception as error:
        raise _explained(cupy, error, gpus[number]) from error
    return gpus[number]


def free_memory(number: int) -> int:
    """Return the bytes that GPU `number` has free."""
    cupy = device.library()
    with cupy.cuda.Device(number):
        return cupy.cuda.runtime.memGetInfo()[0]


def versions() -> dict[str, str]:
    """Return the versions of CuPy, of the CUDA that it brings, and of the newest one that the driver can run."""
    cupy = device.library()
    runtime = cupy.cuda.runtime
    return {
        "cupy": cupy.__version__,
        "cuda": _dotted(runtime.runtimeGetVersion()),
        "driver": _dotted(runtime.driverGetVersion()),
    }


def describe() -> dict[str, str]:
    """Return where the engine computes now: the device's name, and of a GPU what there is to say of it."""
    cupy = device.library()
    if cupy.__name__ != "cupy":
        return {"device": "emulated"}
    gpu = _describe(cupy, cupy.cuda.Device().id)
    capability = {"gpu": gpu.name, "compute_capability": gpu.compute_capability}
    return {"device": f"cuda:{gpu.number}", **capability, **versions()}


def hardware() -> dict[str, int]:
    """Return how many multiprocessors the GPU has that the engine computes on, its bytes, and the version of cuBLAS."""
    cuda = device.library().cuda
    gpu = cuda.Device()
    return {
        "multiprocessors": cuda.runtime.getDeviceProperties(gpu.id)["multiProcessorCount"],
        "bytes": gpu.mem_info[1],
        "cublas": cuda.cublas.getVersion(gpu.cublas_handle),
    }


def _load() -> ModuleType:
    if "cupy" not in sys.modules and importlib.util.find_spec("cupy") is None:
        raise NotInstalled("CuPy is not installed", INSTALL)
    try:
        return device.library()
    except Exception as error:  # an ImportError as a rule; CuPy also makes its folder for kernels
        folder = isinstance(error, OSError) and error.filename
        raise Unavailable(
            f"CuPy is installed but cannot be imported ({_first_line(error)})",
            "let CUPY_CACHE_DIR name a folder that can be written" if folder else f"install it anew, {INSTALL}",
        ) from error


def _describe(cupy, number):
    """Read the properties without using the GPU, which would take some of its memory until the process ends."""
    properties = cupy.cuda.runtime.getDeviceProperties(number)
    capability = f"{properties['major']}.{properties['minor']}"
    return Gpu(number, properties["name"].decode(), properties["totalGlobalMem"], capability)


def _try() -> None:
    """Run a kernel of ours, one of CuPy's and a product of cuBLAS's, and compare the numbers."""
    numbers = np.arange(-6, 6, dtype=np.float32)
    y, _ = relu.forward(device.asarray(numbers))
    _compare("a kernel", y, np.maximum(numbers, 0))
    _compare("CuPy", y + y, 2 * np.maximum(numbers, 0))  # which needs CUDA's headers
    a, b = numbers.reshape(1, 3, 4), numbers.reshape(1, 4, 3)
    _compare("cuBLAS", products.multiply(device.asarray(a), device.asarray(b)), a @ b)  # small integers: exact


def _compare(what, ours, expected):
    if not np.array_equal(device.asnumpy(ours), expected):
        raise Unavailable(f"{what} returns wrong numbers", "update the driver, and see if nvidia-smi reports errors")


def _explained(cupy: ModuleType, error: Exception, gpu: Gpu | None = None) -> Unavailable:
    """Return the sentence that suits an error of CuPy's, of CUDA's, or of the search for a library."""
    status, text = getattr(error, "status", None), _first_line(error)
    library = next((name for name in ("nvrtc", "cublas") if f"lib{name}" in text or f"{name}64" in text.lower()), None)
    if status == INSUFFICIENT_DRIVER:
        return _driver(cupy)
    if status == NO_DEVICE:
        return _none_visible()
    if library:
        what = {"nvrtc": "NVRTC, which compiles kernels,", "cublas": "cuBLAS, which multiplies matrices,"}[library]
        return Unavailable(f"{what} is missing ({text})", INSTALL)
    if "CUDA headers" in text or "cannot open source file" in text:
        return Unavailable(f"the headers of CUDA, with which kernels are compiled, are missing ({text})", INSTALL)
    if gpu is not None:
        capability = f"{gpu.name}, compute capability {gpu.compute_capability}"
        if isinstance(error, MemoryError) or status == OUT_OF_MEMORY:
            return Unavailable(f"{capability}, has no memory left", "end what else computes on it")
        return Unavailable(
            f"{capability}, does not run our kernels ({text})",
            "CuPy's CUDA may be too new for it, or too old: try the other one of scratchnst[cuda12] and [cuda13]",
        )
    return Unavailable(f"CUDA fails ({text})", "see if nvidia-smi shows the GPU, and update the driver")


def _driver(cupy):
    newest, needed = cupy.cuda.runtime.driverGetVersion(), cupy.cuda.runtime.runtimeGetVersion()
    if not newest:
        return Unavailable("there is no driver", "if there is a GPU, install NVIDIA's driver")
    return Unavailable(
        f"the driver runs CUDA {_dotted(newest)}, and this CuPy needs CUDA {needed // 1000}",
        "update the driver" + (", or pip install 'scratchnst[cuda12]'" if needed >= 13000 and newest >= 12000 else ""),
    )


def _none_visible():
    hidden = os.environ.get(VISIBLE)
    if hidden is not None:
        return Unavailable(f"{VISIBLE}={hidden} hides them all, or there is none", f"unset {VISIBLE}")
    return Unavailable(
        "CuPy and the driver see none", "see if nvidia-smi shows one; a container must be given it (docker --gpus all)"
    )


def _dotted(version: int) -> str:
    """Return CUDA's 13020 as 13.2."""
    return f"{version // 1000}.{version % 1000 // 10}"


def _first_line(error: Any) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0]}" if str(error).strip() else repr(error)
