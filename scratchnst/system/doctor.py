"""What this machine and this installation offer to the program, and what would make it faster.

Each probe looks at one thing and returns a `ProbeResult`.  If a probe fails, only its own line says so.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import scipy.linalg  # noqa: F401 brings SciPy's BLAS, so that it is seen
from threadpoolctl import threadpool_info

from scratchnst import __version__
from scratchnst.engine import devices
from scratchnst.engine.cpu import threads
from scratchnst.engine.devices import ENGINES, GpuState, NotInstalled, Unavailable
from scratchnst.system import startup
from scratchnst.weights.download import CacheFile, cache_directory
from scratchnst.weights.load import ENVIRONMENT_VARIABLE, choose_source, source_file
from scratchnst.weights.vgg19 import SOURCES, cached_source

GET_VGG19 = "scratchnst weights get vgg19"
AVX512_CORE_TYPES = ("SkylakeX", "Cooperlake", "SapphireRapids")  # OpenBLAS's, whose kernels use AVX-512
SGEMM_SIDE, SGEMM_SECONDS = 768, 0.5  # the side of the matrices, and for how long they are multiplied
AMPLE_MEMORY = 2e9  # bytes; an image of 1024 pixels takes 1.5 GB
CGROUP = Path("/sys/fs/cgroup")  # has a container's limits
OPTIONAL = {
    "matplotlib": "draws the curves of scratchnst gradcheck --plot",
    "av": "is PyAV, which reads and writes the videos of scratchnst video",
    "distributed": "is Dask's, by which other machines compute for transfer, sweep and video --scheduler",
    "torch": "is an independent judge of gradients, for scratchnst.verify and the tests",
}
DRIVER = Path("/proc/driver/nvidia")  # there while NVIDIA's driver is loaded, on Linux


@dataclass(frozen=True)
class ProbeResult:
    """What a probe found.

    Attributes
    ----------
    text : what there is, for people
    facts : the same for programs, as JSON can hold it
    faster : advice on what would make computing faster, a sentence each
    missing : what is missing, and how to get it, a sentence each
    """

    text: str
    facts: dict[str, Any] = field(default_factory=dict)
    faster: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def examine() -> dict[str, ProbeResult]:
    """Return what each of `PROBES` finds, and, if there are any, which operations engines take from the textbook."""
    findings = {name: _try(probe) for name, probe in PROBES.items()}
    return findings | ({"engines": _engines()} if any(engine.fallbacks for engine in ENGINES.values()) else {})


def _try(probe: Callable[[], ProbeResult]) -> ProbeResult:
    try:
        return probe()
    except Exception as error:  # whatever it is, the other lines may tell why
        problem = f"{type(error).__name__}: {error}"
        return ProbeResult(f"cannot be told ({problem})", {"problem": problem})


def _python() -> ProbeResult:
    facts = {
        "scratchnst": __version__,
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": platform.platform(),
    }
    return ProbeResult("scratchnst {scratchnst}, {implementation} {python} on {platform}".format(**facts), facts)


def _processor() -> ProbeResult:
    fields = startup.read_processor()
    name = fields.get("model name") or platform.processor() or platform.machine()
    cores, usable = os.cpu_count(), threads.usable_cores()
    avx512 = startup.has_avx512(fields) if fields else None
    facts = {
        "name": name,
        "family": fields.get("cpu family"),
        "cores": cores,
        "usable_cores": usable,
        "avx512": avx512,
    }
    text = f"{name}, {_count(cores or usable, 'core')}, {usable} for this process" + (", AVX-512" if avx512 else "")
    faster = []
    if cores and usable < cores:
        faster.append(
            f"This process may use {usable} of {cores} cores: allow it more (taskset, or whatever started it)."
        )
    return ProbeResult(text, facts, faster)


def _engines() -> ProbeResult:
    fallbacks = {name: list(engine.fallbacks) for name, engine in ENGINES.items() if engine.fallbacks}
    text = "; ".join(
        f"{name} computes {', '.join(missing)} as the textbook does" for name, missing in fallbacks.items()
    )
    return ProbeResult(text, {"fallbacks": fallbacks})


def _threads() -> ProbeResult:
    number, usable, quota = threads.count(), threads.usable_cores(), _processor_quota()
    wanted = os.environ.get("OMP_NUM_THREADS")
    facts = {"threads": number, "OMP_NUM_THREADS": wanted, "quota": quota}
    text = f"{number}; OMP_NUM_THREADS " + (f"is {wanted}" if wanted else "is not set")
    faster = []
    if number < usable and threads.default_count() < usable:
        faster.append(f"OMP_NUM_THREADS={wanted} leaves cores idle: unset it to use all {usable}.")
    if quota and number > math.ceil(quota):
        text += f"; the container has the time of {quota:g} cores"
        faster.append(
            f"The container has the time of {quota:g} cores for {number} threads, which get into each other's way: "
            f"give it more, or set OMP_NUM_THREADS={math.ceil(quota)}."
        )
    return ProbeResult(text, facts, faster)


def _memory() -> ProbeResult:
    total, available = _read_memory()
    facts = {"total": total, "available": available}
    missing = []
    if available < AMPLE_MEMORY:
        missing.append(f"Only {_gigabytes(available)} of memory are available: choose a small --size.")
    return ProbeResult(f"{_gigabytes(total)}, {_gigabytes(available)} available", facts, missing=missing)


def _libraries() -> ProbeResult:
    facts = {name: version(name) for name in ("numpy", "scipy", "threadpoolctl", "pillow", "h5py")}
    return ProbeResult(", ".join(f"{name} {number}" for name, number in facts.items()), facts)


def _blas() -> ProbeResult:
    libraries = [
        {
            "of": _owner(library["filepath"]),
            "name": library["internal_api"],
            "version": library["version"],
            "core_type": library.get("architecture"),
            "threads": library["num_threads"],
        }
        for library in threadpool_info()
        if library["user_api"] == "blas"
    ]
    libraries.sort(key=lambda library: library["of"])
    if not libraries:
        name = np.show_config(mode="dicts")["Build Dependencies"]["blas"]["name"]
        return ProbeResult(f"{name}, whose threads cannot be set from here", {"libraries": [{"name": name}]})
    text = "; ".join(
        "{of}: {name} {version}, {kernels}{threads} threads".format(
            kernels=f"{library['core_type']} kernels, " if library["core_type"] else "", **library
        )
        for library in libraries
    )
    return ProbeResult(text, {"libraries": libraries}, list(_about_kernels(libraries)))


def _about_kernels(libraries: list[dict]) -> Iterator[str]:
    """Yield advice where OpenBLAS does not use the AVX-512 that the processor has."""
    chosen = os.environ.get(startup.CORE_TYPE_VARIABLE)
    by_us = (start := startup.record()) is not None and start.kernels.done
    for library in libraries:
        core_type = library["core_type"]
        if library["name"] != "openblas" or not core_type or core_type in AVX512_CORE_TYPES:
            continue
        if library["of"] == "SciPy" or not startup.has_avx512(startup.read_processor()):
            continue  # it is NumPy's that multiplies the large matrices
        what = f"OpenBLAS computes with its {core_type} kernels although the processor has AVX-512"
        if by_us:
            yield f"{what}, and {startup.CORE_TYPE_VARIABLE}={chosen} did not help: try another build of NumPy."
        elif chosen:
            yield f"{what}, since {startup.CORE_TYPE_VARIABLE}={chosen} is set: unset it, and see if SGEMM is faster."
        else:
            yield f"{what}: set {startup.CORE_TYPE_VARIABLE}={startup.CORE_TYPE}, and see if SGEMM is faster."


def _sgemm() -> ProbeResult:
    """Measure how fast matrices are multiplied, as the engine does: each thread its own, BLAS on one thread."""
    a = np.ones((SGEMM_SIDE, SGEMM_SIDE), np.float32)
    number = threads.count()

    def multiply(seconds: float) -> int:
        out, done, end = np.empty_like(a), 0, time.perf_counter() + seconds
        while done == 0 or time.perf_counter() < end:
            np.matmul(a, a, out=out)
            done += 1
        return done

    threads.total(multiply, [(0.0,)] * number)  # makes the pool, and raises the processor's clock rate
    start = time.perf_counter()
    products = threads.total(multiply, [(SGEMM_SECONDS,)] * number)
    rate = products * 2 * SGEMM_SIDE**3 / (time.perf_counter() - start) / 1e9
    return ProbeResult(
        f"{rate:.0f} GFLOP/s in float32 on {_count(number, 'thread')}", {"gflops": rate, "threads": number}
    )


def _startup() -> ProbeResult:
    record = startup.record()
    if record is None:
        return ProbeResult("nothing was set: this is no process of the command line's", {"prepared": False})
    facts: dict[str, Any] = {name: setting._asdict() for name, setting in record._asdict().items()}
    return ProbeResult(f"BLAS: {record.kernels.what}; memory: {record.memory.what}", {"prepared": True, **facts})


def _gpu() -> ProbeResult:
    """Look for GPUs, and let each of them compute."""
    try:
        found = devices.gpus()
    except Unavailable as problem:
        return _without_gpu(problem)
    versions = devices.gpu_versions()
    facts = [{**vars(state.gpu), "problem": state.problem and str(state.problem)} for state in found]
    text = "; ".join(map(_describe_gpu, found))
    text += ". CuPy {cupy}, CUDA {cuda}, driver for CUDA {driver}".format(**versions)
    advice = [_sentence(state.problem.advice) for state in found if state.problem]
    return ProbeResult(text, {"devices": facts, "reason": None, **versions}, advice)


def _without_gpu(problem: Unavailable) -> ProbeResult:
    facts = {"devices": [], "reason": problem.reason}
    wanted = not isinstance(problem, NotInstalled) or DRIVER.exists()  # who has a driver has a GPU, as a rule
    faster = [f"For a GPU: {problem.advice}."] if wanted else []
    return ProbeResult(f"{_sentence(problem.reason)} Computation is on the CPU.", facts, faster)


def _describe_gpu(state: GpuState) -> str:
    gpu, problem, free = state
    text = f"cuda:{gpu.number} {gpu.name}, compute capability {gpu.compute_capability}, {_gigabytes(gpu.memory)}, "
    return text + (f"cannot be used: {problem.reason}" if problem else f"{_gigabytes(free)} free")


def _sentence(clause: str) -> str:
    return f"{clause[0].upper()}{clause[1:]}."


def _network() -> ProbeResult:
    source, reason = choose_source()
    file = source_file(source)
    there = file is None or file.is_file()
    facts = {"source": source, "reason": reason, "file": str(file) if file else None, "there": there}
    missing = []
    if not there:
        missing.append(f"{file}, which {ENVIRONMENT_VARIABLE} names, is not there: correct the variable or unset it.")
    return ProbeResult(f"{source}, {reason}" + ("" if there else "; it is not there"), facts, missing=missing)


def _vgg19() -> ProbeResult:
    begun = [source for source in SOURCES.values() if _state(source.file) != "not there"]
    source = cached_source() or (begun or [SOURCES["keras"]])[0]
    path, state = cache_directory() / source.file.name, _state(source.file)
    facts = {"path": str(path), "state": state}
    text, missing = f"{path}: {state}", []
    if state == "whole":
        text += f", {source.description}"
        facts["description"] = source.description
    elif state == "damaged":
        missing.append(f"VGG19 in the cache is damaged: {GET_VGG19} gets it again.")
    elif choose_source()[0] == "distilled":
        missing.append(f"The paper's pictures need VGG19: {GET_VGG19} downloads it (80 MB, or 19 MB by pip).")
    return ProbeResult(text, facts, missing=missing)


def _state(file: CacheFile) -> str:
    path = cache_directory() / file.name
    if path.is_file():
        return "whole" if file.is_right(path) else "damaged"
    return "downloaded in part" if path.with_name(f"{path.name}.part").is_file() else "not there"


def _optional(package: str) -> Callable[[], ProbeResult]:
    def probe() -> ProbeResult:
        there = importlib.util.find_spec(package) is not None
        number, purpose = version(package) if there else None, OPTIONAL[package]
        text = f"{number or f'not installed (pip install {package})'}; it {purpose}"
        return ProbeResult(text, {"version": number, "purpose": purpose})

    return probe


PROBES: dict[str, Callable[[], ProbeResult]] = {
    "Python": _python,
    "processor": _processor,
    "threads": _threads,
    "memory": _memory,
    "libraries": _libraries,
    "BLAS": _blas,
    "SGEMM": _sgemm,
    "startup": _startup,
    "GPU": _gpu,
    "network": _network,
    "VGG19": _vgg19,
    **{package: _optional(package) for package in OPTIONAL},
}


def _read_memory() -> tuple[int, int]:
    """Return the bytes of memory in all and available, of the container where this is one with a limit."""
    total, available = psutil.virtual_memory()[:2]
    limit, used, held = _cgroup("memory.max"), _cgroup("memory.current"), _cgroup("memory.stat")
    if limit and limit[0].isdigit() and used:
        total = min(total, int(limit[0]))
        files = dict(zip(held[::2], held[1::2])).get("inactive_file", 0)  # a cache, which makes room
        available = min(available, max(total - int(used[0]) + int(files), 0))
    return total, available


def _processor_quota() -> float | None:
    """Return how many cores' time a container is given; None without a limit."""
    quota = _cgroup("cpu.max")  # "150000 100000": so many microseconds in so many
    return int(quota[0]) / int(quota[1]) if quota and quota[0].isdigit() else None


def _cgroup(name: str) -> list[str]:
    try:
        return (CGROUP / name).read_text().split()
    except OSError:
        return []


def _owner(path: str) -> str:
    """Tell whose library a file is: wheels bring their own, beside the package."""
    parts = Path(path).parts
    for name, package in (("NumPy", "numpy"), ("SciPy", "scipy"), ("PyTorch", "torch")):
        if any(part in (package, f"{package}.libs") for part in parts):
            return name
    return "system"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _gigabytes(number: int) -> str:
    return f"{number / 1e9:.1f} GB"
