"""The module that stands for ``cupy.cuda``: one GPU, which has done its work when a call returns."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any, ClassVar

from scratchnst.engine.cuda.emulator import cublas, launch
from scratchnst.engine.cuda.emulator.arrays import MemoryPointer
from scratchnst.engine.cuda.emulator.compiler import CompileException
from scratchnst.engine.cuda.emulator.memory import CAPACITY, MemoryPool, OutOfMemoryError, pool

__all__ = [  # what CuPy has as well
    *("Device", "Event", "MemoryPointer", "MemoryPool", "compiler", "cublas", "device", "driver"),
    *("get_elapsed_time", "is_available", "memory", "runtime"),
]

VERSION = 13000  # of driver and runtime
COMPUTE_CAPABILITY = 7, 5


class CUDARuntimeError(RuntimeError):
    """Stands for ``cupy.cuda.runtime.CUDARuntimeError``."""

    TEXTS: ClassVar = {
        101: "cudaErrorInvalidDevice: invalid device ordinal",
        400: "cudaErrorInvalidResourceHandle: invalid resource handle",
    }

    def __init__(self, status: int):
        self.status = status
        super().__init__(self.TEXTS[status])


def is_available() -> bool:
    """Return whether there is a GPU: the emulated one."""
    return True


class runtime:
    """Stands for ``cupy.cuda.runtime``."""

    CUDARuntimeError = CUDARuntimeError
    CUDA_R_32F, CUDA_R_64F = cublas.CUDA_R_32F, cublas.CUDA_R_64F

    @staticmethod
    def getDeviceCount() -> int:
        return 1

    @staticmethod
    def getDeviceProperties(device: int) -> dict[str, Any]:
        _check_device(device)
        major, minor = COMPUTE_CAPABILITY
        return {
            "name": b"emulated GPU",
            "totalGlobalMem": CAPACITY,
            "multiProcessorCount": 1,
            "major": major,
            "minor": minor,
        }

    @staticmethod
    def memGetInfo() -> tuple[int, int]:
        """Return how many bytes are free, and how many there are."""
        return CAPACITY - pool.total_bytes(), CAPACITY

    @staticmethod
    def driverGetVersion() -> int:
        return VERSION

    @staticmethod
    def runtimeGetVersion() -> int:
        return VERSION


def _check_device(device: int) -> None:
    if device != 0:
        raise CUDARuntimeError(101)


class Device:
    """Stands for ``cupy.cuda.Device``."""

    def __init__(self, device: Any = None):
        self.id = 0 if device is None else int(device)

    def __int__(self) -> int:
        return self.id

    def __enter__(self) -> Device:
        self.use()
        return self

    def __exit__(self, *_: Any) -> None:
        pass

    def use(self) -> None:
        _check_device(self.id)

    def synchronize(self) -> None:
        _check_device(self.id)

    @property
    def compute_capability(self) -> str:
        _check_device(self.id)
        return "".join(map(str, COMPUTE_CAPABILITY))

    @property
    def mem_info(self) -> tuple[int, int]:
        _check_device(self.id)
        return runtime.memGetInfo()

    @property
    def cublas_handle(self) -> int:
        return cublas.get_cublas_handle()


class Event:
    """Stands for ``cupy.cuda.Event``: a moment."""

    def __init__(self) -> None:
        self.seconds: float | None = None

    def record(self) -> None:
        self.seconds = time.perf_counter()

    def synchronize(self) -> None:
        pass


def get_elapsed_time(start_event: Event, end_event: Event) -> float:
    """Return the milliseconds between two events."""
    if start_event.seconds is None or end_event.seconds is None:
        raise CUDARuntimeError(400)
    return 1000 * (end_event.seconds - start_event.seconds)


device = SimpleNamespace(Device=Device, get_cublas_handle=cublas.get_cublas_handle)
driver = SimpleNamespace(CUDADriverError=launch.CUDADriverError)
compiler = SimpleNamespace(CompileException=CompileException)
memory = SimpleNamespace(OutOfMemoryError=OutOfMemoryError, MemoryPointer=MemoryPointer, MemoryPool=MemoryPool)
