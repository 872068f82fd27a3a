"""The engines there are, by name, and the devices to compute on."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from threadpoolctl import threadpool_limits

from scratchnst.engine import Engine, cpu, cuda, textbook
from scratchnst.engine.cpu import threads
from scratchnst.engine.cuda import availability, device, emulator
from scratchnst.engine.cuda.availability import Gpu, NotInstalled, Unavailable
from scratchnst.errors import UserError

ENGINES: Mapping[str, Engine] = {"cpu": cpu, "textbook": textbook, "cuda": cuda}
ON_THE_CPU = ("cpu", "textbook")  # the engines that compute there
AUTO, CPU, EMULATED = "auto", "cpu", "emulated"
COMPILER = "g++"  # which makes the emulator's kernels


@contextmanager
def computing(
    engine: str | None = None, where: str = AUTO, tell: Callable[[str], None] = lambda why: None
) -> Iterator[Engine]:
    """Choose an engine and its device for the block.

    Parameters
    ----------
    engine : a name of `ENGINES`; None is the device's own, "cpu" or "cuda"
    where : "cpu", "cuda" (GPU 0), "cuda:N", or "emulated", the engine cuda on the CPU.  "auto" is what the engine
        needs, and without an engine a GPU that computes, if there is one, else the CPU
    tell : called with a sentence for the user: why "auto" falls back to the CPU although CuPy is installed, or that
        the emulator is slow

    Raises
    ------
    UserError
        If there is no such engine or device, they do not go together, or the device cannot be used: `Unavailable`.
    """
    number = parse(where)
    _check(engine, where)
    if where == EMULATED:
        tell("a GPU is emulated on the CPU, for the study of kernels: that is slow.")
        with emulator.installed():
            yield cuda
    elif where == CPU or engine in ON_THE_CPU or not _gpu_computes(number, engine is None and where == AUTO, tell):
        yield ENGINES[engine or CPU]
    else:
        with device.library().cuda.Device(number):
            yield cuda


def _check(engine: str | None, where: str) -> None:
    """Raise a UserError if there is no such engine, or not on that device, or what the emulator needs is missing."""
    if engine is not None and engine not in ENGINES:
        raise UserError(f"there is no engine {engine!r}; choose one of {', '.join(ENGINES)}.")
    if engine is not None and where != AUTO and (engine in ON_THE_CPU) != (where == CPU):
        computes = "the CPU" if engine in ON_THE_CPU else "a GPU"
        raise UserError(f"the engine {engine} computes on {computes}, not on {where}: leave out one of the two.")
    if where == EMULATED and shutil.which(COMPILER) is None:
        raise UserError(f"the emulated device needs the compiler {COMPILER}: install it, or compute on the CPU.")


def _gpu_computes(number: int, is_optional: bool, tell: Callable[[str], None]) -> bool:
    """Return True if the GPU can be used; if not, raise `Unavailable` or, if it is optional, tell why and return False.

    That CuPy is not installed is not told: most machines have no GPU.
    """
    try:
        availability.check(number)
    except Unavailable as problem:
        if not is_optional:
            raise
        if not isinstance(problem, NotInstalled):
            tell(f"computing on the CPU: {problem}")
        return False
    return True


def parse(where: str) -> int:
    """Return the number of the GPU that a device's name stands for, 0 for all but "cuda:N", or raise a UserError."""
    found = re.fullmatch(r"cuda:(\d{1,4})", where)
    if not found and where not in (AUTO, CPU, "cuda", EMULATED):
        raise UserError(f"there is no device {where!r}; choose auto, cpu, cuda, cuda:N (N = 0, 1 ...) or emulated.")
    return int(found[1]) if found else 0


class GpuState(NamedTuple):
    """A GPU that was found, why it cannot compute, or None, and the bytes of its memory that are free if it can."""

    gpu: Gpu
    problem: Unavailable | None
    free: int = 0


def gpus() -> list[GpuState]:
    """Let each GPU that this process may use compute, and return them; raise `Unavailable` if there is none."""
    return [_tried(gpu) for gpu in availability.find()]


def _tried(gpu):
    try:
        availability.check(gpu.number)
    except Unavailable as problem:
        return GpuState(gpu, problem)
    return GpuState(gpu, None, availability.free_memory(gpu.number))


def gpu_versions() -> dict[str, str]:
    """Return the versions of CuPy, of the CUDA that it brings, and of the newest one that the driver can run."""
    return availability.versions()


def full_gpu(error: MemoryError) -> Engine | None:
    """Return the engine whose GPU's memory was not enough, or None if `error` is about that of the process."""
    cupy = sys.modules.get("cupy")
    return cuda if cupy is not None and isinstance(error, cupy.cuda.memory.OutOfMemoryError) else None


@contextmanager
def on_threads(number: int | None) -> Iterator[None]:
    """Let any engine compute on `number` threads within the block, None: as many as there are cores.

    The textbook's are those of BLAS.
    """
    with threads.counted(number), threadpool_limits(threads.count(), user_api="blas"):
        yield
