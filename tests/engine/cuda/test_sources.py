"""Every .cu compiled for real GPUs, old and new, by NVIDIA's compilers: no warning, no more than a block may use."""

from __future__ import annotations

import configparser
import ctypes
import importlib.util
import re
import shutil
import subprocess
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from functools import cache, partial
from pathlib import Path

import kernels_at_work
import numpy as np
import pytest
from kernels_at_work import FILES

from scratchnst.engine import cuda
from scratchnst.engine.cuda import conv2d, emulator, kernels
from scratchnst.engine.cuda.emulator import library

ARCHITECTURES = 75, 90  # Turing, the oldest that CUDA 13 compiles for, and Hopper
SHARED_MEMORY = 48 * 1024  # bytes that a block of any GPU may have
REGISTERS = 64 * 1024  # of a multiprocessor, so of a block
# Kernels (kh, kw, C, K): those of VGG, and others of the sizes that convolutions take, with channels of all kinds
VGG = ((3, 3, 3, 64), (3, 3, 64, 64))
OTHERS = tuple((side, side, *channels) for side in (1, 5, 7, 11) for channels in ((3, 64), (64, 64), (64, 3)))
MOST_SPILLED = 64  # bytes of memory for what does not fit into a thread's registers


@cache
def asked_for(dtype: str, layers: tuple = ()) -> dict[str, dict[tuple[str, ...], dict[str, int]]]:
    """Return file -> options of the compiler -> kernel -> threads of its largest block, as the drivers ask for them.

    The drivers run on an emulator that only takes note; with `layers`, only convolutions of these do.
    """
    files = {kernels.source(file): file for file in FILES}
    asked: dict = defaultdict(lambda: defaultdict(dict))

    class Module:
        def __init__(self, *, code, options):
            self.known = asked[files[code]][options]

        def get_function(self, name):
            def launch(grid, block, arguments):
                self.known[name] = max(int(np.prod(block)), self.known.get(name, 0))

            return launch

    ours, library.RawModule = library.RawModule, Module
    kernels_at_work._forget()
    try:
        with emulator.installed():
            for work in [] if layers else kernels_at_work.WORK.values():
                list(work(np.random.default_rng(0), dtype))
            for kernel in layers:
                shapes = (1, 4, 4, kernel[2]), kernel, kernel[3:], (1, 4, 4, kernel[3])
                x, w, b, y = (cuda.asarray(np.zeros(shape, dtype)) for shape in shapes)
                for way in conv2d.WAYS:
                    with conv2d.using(way):
                        cuda.conv2d.backward(y, cuda.conv2d.forward(x, w, b)[1])
    finally:
        library.RawModule = ours
        kernels_at_work._forget()
    return asked


# ---- The compilers ---------------------------------------------------------------------------------------------------


def by_nvcc(text: str, options: tuple[str, ...], architecture: int, folder: Path) -> str:
    """Return what nvcc says; a warning is an error, and an error raises a CalledProcessError."""
    source = folder / f"{abs(hash((text, options, architecture)))}.cu"
    source.write_text(text)
    strict = ["-Werror", "all-warnings", "-Xptxas", "-v"]
    command = [
        "nvcc",
        "-cubin",
        f"-arch=sm_{architecture}",
        *strict,
        *options,
        source,
        "-o",
        source.with_suffix(".cubin"),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stderr


def by_nvrtc(text: str, options: tuple[str, ...], architecture: int, folder: Path) -> str:
    """Return what NVRTC says, the compiler that CuPy uses."""
    nvrtc, program, size = ctypes.CDLL(str(nvrtc_library())), ctypes.c_void_p(), ctypes.c_size_t()
    given = [option.encode() for option in (f"-arch=sm_{architecture}", "--ptxas-options=-v", *options)]
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), text.encode(), b"kernel.cu", 0, None, None) == 0
    code = nvrtc.nvrtcCompileProgram(program, len(given), (ctypes.c_char_p * len(given))(*given))
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    said = log.value.decode()
    assert code == 0, said
    assert "warning" not in said, said
    return said


def nvrtc_library() -> Path | None:
    """Return NVRTC of the wheel nvidia-cuda-nvrtc, if that is installed."""
    wheels = importlib.util.find_spec("nvidia")
    places = list(wheels.submodule_search_locations or []) if wheels else []
    return next((path for place in places for path in sorted(Path(place).rglob("libnvrtc.so.*"))), None)


@pytest.fixture(scope="module", params=["nvcc", "NVRTC"])
def compiler(request, tmp_path_factory):
    """Each of the two, where it is installed: a function of text, options and architecture."""
    if request.param == "nvcc" and shutil.which("nvcc") is None:
        pytest.skip("nvcc is not installed")
    if request.param == "NVRTC" and nvrtc_library() is None:
        pytest.skip("NVRTC is not installed: pip install 'scratchnst[nvrtc]'")
    return partial({"nvcc": by_nvcc, "NVRTC": by_nvrtc}[request.param], folder=tmp_path_factory.mktemp("compiled"))


def usage(said: str) -> dict[str, dict[str, int]]:
    """Return kernel -> what each of its threads or blocks uses, out of what ptxas says."""
    found = {}
    for kernel, report in re.findall(r"Compiling entry function '(\w+)'(.*?)Compile time", said, re.DOTALL):
        found[kernel] = {
            "stack": int(re.search(r"(\d+) bytes stack frame", report)[1]),
            "spilled": sum(int(number) for number in re.findall(r"(\d+) bytes spill", report)),
            "registers": int(re.search(r"Used (\d+) registers", report)[1]),
            "shared": sum(int(number) for number in re.findall(r"(\d+) bytes smem", report)),
        }
    return found


def check(compiler, file, asked):
    """Compile a file as asked for, for all architectures, and look at what its kernels use."""
    jobs = [(options, architecture) for options in asked for architecture in ARCHITECTURES]
    with ThreadPoolExecutor() as threads:
        all_said = list(threads.map(lambda job: compiler(kernels.source(file), *job), jobs))
    for (options, architecture), said in zip(jobs, all_said):
        used = usage(said)
        assert used.keys() == kernels.signatures(file).keys()
        for kernel, threads_of_block in asked[options].items():
            which = f"{kernel} {options}, sm_{architecture}: {used[kernel]}"
            warps = -(-threads_of_block // 32)
            assert used[kernel]["shared"] <= SHARED_MEMORY, which
            assert -(-used[kernel]["registers"] // 8) * 8 * 32 * warps <= REGISTERS, which
            assert used[kernel]["stack"] + used[kernel]["spilled"] <= MOST_SPILLED, which


# ---- The sources -----------------------------------------------------------------------------------------------------


def test_the_drivers_ask_for_every_kernel_in_both_types():
    asked = {dtype: asked_for(dtype) for dtype in ("float32", "float64")}
    for file in FILES:
        launched = {name for of_type in asked.values() for known in of_type[file].values() for name in known}
        assert launched == set(kernels.signatures(file))
    sums = {"sums"}  # in double, whatever the type
    assert set(asked["float64"]) | sums == set(asked["float32"]) | sums == set(FILES)


@pytest.mark.parametrize("file", FILES)
def test_a_source_compiles_without_a_warning(compiler, file):
    """In float; those with many sets of options for one layer of VGG."""
    asked = asked_for("float32") if file not in asked_for("float32", VGG) else asked_for("float32", VGG)
    check(compiler, file, asked[file] or asked_for("float64")[file])


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("file", FILES)
def test_a_source_compiles_for_all_that_the_drivers_ask_for(compiler, file, dtype):
    for asked in (asked_for(dtype), asked_for(dtype, (*VGG, *OTHERS))):
        check(compiler, file, asked[file])


def test_a_warning_is_an_error(compiler):
    with pytest.raises(AssertionError, match="never referenced"):
        compiler('extern "C" __global__ void f(float* x) { int number; x[0] = 1; }', (), 90)


def test_what_ptxas_says_is_understood(compiler):
    text = """
        extern "C" __global__ void small(float* x) { __shared__ float s[64]; s[threadIdx.x] = *x; x[1] = s[0]; }
        extern "C" __global__ void deep(float* x, int i) { volatile float s[64]; s[i] = *x; x[1] = s[i / 2]; }
    """
    used = usage(compiler(text, (), 90))
    assert used["small"]["shared"] >= 256
    assert used["small"]["stack"] == 0
    assert used["deep"]["stack"] >= 256
    assert used["deep"]["registers"] > 0


# ---- What is installed -----------------------------------------------------------------------------------------------


def test_sources_are_installed_with_the_package():
    configuration = configparser.ConfigParser()
    configuration.read(Path(__file__).parents[3] / "setup.cfg")
    for package in (kernels, emulator):
        globs = configuration["options.package_data"][package.__package__].split(", ")
        files = [path.name for path in Path(package.__file__).parent.iterdir() if path.suffix not in (".py", "")]
        assert files
        assert all(any(fnmatch(file, glob) for glob in globs) for file in files)
