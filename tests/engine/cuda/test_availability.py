"""Why a GPU cannot be used: one sentence for each cause, with what to do about it."""

from __future__ import annotations

import importlib.util
import sys
from contextlib import nullcontext
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from scratchnst.engine.cuda import availability, emulator, products, relu
from scratchnst.engine.cuda.availability import NotInstalled, Unavailable
from scratchnst.engine.cuda.emulator import library
from scratchnst.errors import UserError


class CUDARuntimeError(RuntimeError):
    """As CuPy's: the number of the error is its status."""

    def __init__(self, status):
        super().__init__(f"cudaErrorOfSomeKind: {status}")
        self.status = status


@pytest.fixture
def cupy():
    """A CuPy that computes, with two GPUs, of which nothing is left untold; return its `cuda.runtime`."""
    runtime = SimpleNamespace(
        getDeviceCount=lambda: 2,
        getDeviceProperties=lambda number: {
            "name": b"Accelerator %d" % number,
            "totalGlobalMem": 4 * 10**9,
            "major": 9,
            "minor": 0,
        },
        memGetInfo=lambda: (3 * 10**9, 4 * 10**9),
        driverGetVersion=lambda: 13010,
        runtimeGetVersion=lambda: 13020,
    )
    cuda = SimpleNamespace(**vars(library.cuda))
    cuda.runtime = SimpleNamespace(**{**vars(library.cuda.runtime), **vars(runtime)})
    cuda.Device = lambda number: nullcontext(number)
    fake = ModuleType("cupy")
    vars(fake).update({**vars(library), "cuda": cuda, "__version__": "14.2.0", "__name__": "cupy"})
    with emulator.installed(), pytest.MonkeyPatch.context() as patch:  # undone before the emulator goes
        patch.setitem(sys.modules, "cupy", fake)
        yield cuda.runtime


def failing(error):
    def fail(*_, **__):
        raise error

    return fail


def problem(call, *arguments):
    """The sentence of what `call` raises."""
    with pytest.raises(Unavailable) as caught:
        call(*arguments)
    assert isinstance(caught.value, UserError)
    assert "\n" not in str(caught.value)
    assert str(caught.value).count(". ") == 0, "one sentence"
    return str(caught.value)


def test_gpus_that_compute(cupy):
    assert availability.find() == [
        availability.Gpu(number, f"Accelerator {number}", 4 * 10**9, "9.0") for number in range(2)
    ]
    assert availability.check(1).number == 1
    assert availability.free_memory(1) == 3 * 10**9
    assert availability.versions() == {"cupy": "14.2.0", "cuda": "13.2", "driver": "13.1"}


def test_no_cupy(monkeypatch):
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    said = problem(availability.find)
    assert "CuPy is not installed: pip install 'scratchnst[cuda13]', or [cuda12]" in said
    with pytest.raises(NotInstalled):
        availability.find()


def test_a_cupy_that_cannot_be_imported(monkeypatch, tmp_path):
    (tmp_path / "cupy.py").write_text("raise ImportError('libcudart.so.13: no such file\\nand more')")
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    assert "cannot be imported (ImportError: libcudart.so.13: no such file): install it anew" in problem(
        availability.find
    )


def test_a_cupy_whose_folder_cannot_be_made(monkeypatch, tmp_path):
    (tmp_path / "cupy.py").write_text("import os; os.makedirs(os.environ['CUPY_CACHE_DIR'])")
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("CUPY_CACHE_DIR", str(tmp_path / "cupy.py" / "kernels"))
    assert "let CUPY_CACHE_DIR name a folder that can be written" in problem(availability.find)


@pytest.mark.parametrize(
    ("driver", "runtime", "sentence"),
    [
        (0, 13020, "there is no driver: if there is a GPU, install NVIDIA's driver"),
        (
            12040,
            13020,
            r"the driver runs CUDA 12.4, and this CuPy needs CUDA 13: .* pip install 'scratchnst\[cuda12\]'",
        ),
        (11080, 12090, "the driver runs CUDA 11.8, and this CuPy needs CUDA 12: update the driver.$"),
    ],
)
def test_drivers(cupy, driver, runtime, sentence):
    cupy.getDeviceCount = failing(CUDARuntimeError(35))
    cupy.driverGetVersion, cupy.runtimeGetVersion = lambda: driver, lambda: runtime
    with pytest.raises(Unavailable, match=sentence):
        availability.find()


@pytest.mark.parametrize("answer", [failing(CUDARuntimeError(100)), lambda: 0])
def test_no_gpu(cupy, answer, monkeypatch):
    cupy.getDeviceCount = answer
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert "CuPy and the driver see none: see if nvidia-smi shows one" in problem(availability.find)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert "CUDA_VISIBLE_DEVICES=-1 hides them all" in problem(availability.find)


def test_some_other_trouble(cupy):
    cupy.getDeviceCount = failing(CUDARuntimeError(999))
    assert "CUDA fails (CUDARuntimeError: cudaErrorOfSomeKind: 999)" in problem(availability.find)


def test_no_such_gpu(cupy):
    assert "there is no cuda:7: this process may use 2, cuda:0 to cuda:1." in problem(availability.check, 7)
    cupy.getDeviceCount = lambda: 1
    assert "there is no cuda:1: this process may use 1, cuda:0." in problem(availability.check, 1)


# What CuPy 14 and cuda.pathfinder say where a library is missing.
NOT_FOUND = 'Failure finding "lib{0}.so.13 or lib{0}.so.12": No such file: lib{0}.so.13 or lib{0}.so.12\n'


@pytest.mark.parametrize(
    ("where", "error", "sentence"),
    [
        ((relu, "forward"), RuntimeError(NOT_FOUND.format("nvrtc")), "NVRTC, which compiles kernels, is missing"),
        ((products, "multiply"), ImportError(NOT_FOUND.format("cublasLt")), "cuBLAS, .* is missing .*: pip install"),
        ((relu, "forward"), RuntimeError("Failed to find CUDA headers. Please"), "headers of CUDA, .* are missing"),
        ((relu, "forward"), CUDARuntimeError(209), "Accelerator 0, compute capability 9.0, does not run our kernels"),
        ((relu, "forward"), MemoryError("out of memory"), "has no memory left: end what else computes on it"),
        ((products, "multiply"), CUDARuntimeError(2), "has no memory left"),
    ],
)
def test_a_gpu_that_does_not_compute(cupy, monkeypatch, where, error, sentence):
    monkeypatch.setattr(*where, failing(error))
    with pytest.raises(Unavailable, match=sentence):
        availability.check()


@pytest.mark.parametrize(("module", "name"), [(relu, "forward"), (products, "multiply")])
def test_wrong_numbers_are_seen(cupy, monkeypatch, module, name):
    genuine = getattr(module, name)

    def wrong(*arguments):
        result = genuine(*arguments)
        y = result[0] if isinstance(result, tuple) else result
        y[0] += 1
        return result

    monkeypatch.setattr(module, name, wrong)
    assert "returns wrong numbers" in problem(availability.check)


@pytest.mark.skipif(importlib.util.find_spec("cupy") is None, reason="CuPy is not installed")
def test_the_genuine_cupy_computes_or_says_why_not():
    try:
        gpu = availability.check()
    except Unavailable as reason:
        assert "CUDA fails" not in str(reason), "a cause that is not told apart"
    else:
        assert gpu.memory > availability.free_memory(gpu.number) > 0
        assert np.isfinite(float(gpu.compute_capability))
