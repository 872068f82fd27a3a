"""What the command line sets before NumPy is imported, and that it does so before."""

from __future__ import annotations

import configparser
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scratchnst.system import startup
from scratchnst.system.containers import Group

ROOT = Path(__file__).parents[2]
FLAGS = "fpu sse4_2 avx avx2 fma avx512f avx512dq avx512cd avx512bw avx512vl avx512_vnni"
only_glibc = pytest.mark.skipif(not startup._is_glibc(), reason="the C library is not glibc")


def cpuinfo(vendor="AuthenticAMD", family="26", flags=FLAGS):
    """The text of a /proc/cpuinfo of two processors."""
    one = f"vendor_id\t: {vendor}\ncpu family\t: {family}\nmodel name\t: Some: Thing\nflags\t\t: {flags}\npower:\n"
    return f"processor\t: 0\n{one}\nprocessor\t: 1\n{one}\n"


def python(code, path=(), **environment):
    """Run `code` in a Python of its own, without the variables that matter here but those given."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("MALLOC_") and name not in ("OPENBLAS_CORETYPE", "GLIBC_TUNABLES")
    }
    inherited["PYTHONPATH"] = os.pathsep.join(map(str, (*path, ROOT)))
    return subprocess.run(
        [sys.executable, "-c", code], env={**inherited, **environment}, capture_output=True, text=True, timeout=120
    )


@pytest.fixture
def on_linux(monkeypatch, tmp_path):
    """Return what pretends to be Linux on x86-64, on a processor of the given cpuinfo, before NumPy is imported."""

    def pretend(text):
        monkeypatch.setattr(startup.sys, "platform", "linux")
        monkeypatch.setattr(startup.platform, "machine", lambda: "x86_64")
        monkeypatch.delitem(sys.modules, "numpy", raising=False)
        (tmp_path / "cpuinfo").write_text(text)
        monkeypatch.setattr(startup, "CPUINFO", tmp_path / "cpuinfo")

    return pretend


class TestKernels:
    def test_reads_the_first_processor(self):
        fields = startup.processor(cpuinfo())
        assert (fields["processor"], fields["model name"], fields["flags"]) == ("0", "Some: Thing", FLAGS)
        assert startup.processor("") == {}

    @pytest.mark.parametrize(
        ("settings", "needed"),
        [
            ({}, True),
            ({"family": "27"}, True),
            ({"family": "25"}, False),  # Zen 4, which OpenBLAS knows
            ({"family": "6", "vendor": "GenuineIntel"}, False),
            ({"vendor": "GenuineIntel"}, False),
            ({"flags": FLAGS.replace("avx512f ", "")}, False),
            ({"flags": FLAGS.replace(" avx512vl", "")}, False),  # the kernels use it as well
            ({"flags": ""}, False),
            ({"family": "unknown"}, False),
        ],
    )
    def test_rule(self, on_linux, settings, needed):
        on_linux(cpuinfo(**settings))
        environment = {}
        assert startup._choose_kernels(environment).done is needed
        assert environment == ({"OPENBLAS_CORETYPE": "SKYLAKEX"} if needed else {})

    def test_leaves_what_the_user_has_set(self, on_linux):
        on_linux(cpuinfo())
        environment = {"OPENBLAS_CORETYPE": "HASWELL"}
        done, what = startup._choose_kernels(environment)
        assert not done
        assert "OPENBLAS_CORETYPE=HASWELL" in what
        assert environment == {"OPENBLAS_CORETYPE": "HASWELL"}

    @pytest.mark.parametrize(("system", "machine"), [("darwin", "x86_64"), ("win32", "AMD64"), ("linux", "aarch64")])
    def test_leaves_other_systems_alone(self, on_linux, monkeypatch, system, machine):
        on_linux(cpuinfo())
        monkeypatch.setattr(startup.sys, "platform", system)
        monkeypatch.setattr(startup.platform, "machine", lambda: machine)
        environment = {}
        assert not startup._choose_kernels(environment).done
        assert environment == {}

    def test_without_cpuinfo(self, on_linux, monkeypatch, tmp_path):
        on_linux(cpuinfo())
        monkeypatch.setattr(startup, "CPUINFO", tmp_path / "none")
        assert not startup._choose_kernels({}).done

    def test_too_late(self, on_linux, monkeypatch):
        on_linux(cpuinfo())
        monkeypatch.setitem(sys.modules, "numpy", None)
        environment = {}
        done, what = startup._choose_kernels(environment)
        assert (done, environment) == (False, {})
        assert "before" in what


class TestMemory:
    @only_glibc
    def test_freed_memory_stays(self):
        """Resident memory, in megabytes, after an array of 200 has come and gone, in either kind of thread."""
        code = (
            "import os, threading; from scratchnst.system import startup; done = startup.prepare().memory.done\n"
            "import numpy as np\n"
            "page = os.sysconf('SC_PAGE_SIZE')\n"
            "def resident(): return int(open('/proc/self/statm').read().split()[1]) * page >> 20\n"
            "def work(): np.ones(200 << 20, np.uint8)\n"
            "before = resident(); work(); main = resident() - before\n"
            "thread = threading.Thread(target=work); thread.start(); thread.join()\n"
            "print(done, main, resident() - before)"
        )
        if not Path("/proc/self/statm").exists():
            pytest.skip("the system does not tell how much memory is resident")
        kept, given_back = python(code), python(code, MALLOC_TOP_PAD_="131072")
        done, main, thread = kept.stdout.split()
        assert done == "True", kept.stderr
        assert int(main) >= 190
        assert int(thread) <= 220  # the thread had the same memory again
        done, main, thread = given_back.stdout.split()
        assert done == "False", given_back.stderr
        assert int(main) < 20

    @pytest.mark.parametrize(
        ("variable", "value", "left"),
        [
            ("MALLOC_ARENA_MAX", "2", True),
            ("MALLOC_MMAP_THRESHOLD_", "65536", True),
            ("GLIBC_TUNABLES", "glibc.malloc.trim_threshold=128", True),
            ("GLIBC_TUNABLES", "glibc.cpu.x86_shstk=on", False),  # says nothing of memory
        ],
    )
    def test_leaves_what_the_user_has_set(self, monkeypatch, variable, value, left):
        monkeypatch.setattr(startup, "_is_glibc", lambda: False)
        done, what = startup._keep_memory({variable: value})
        assert not done
        assert (f"{variable}, which you set" in what) is left

    def test_other_libraries_than_glibc(self, monkeypatch):
        def unknown(name):
            raise ValueError("unrecognized configuration name")

        for confstr in (lambda name: None, unknown):
            monkeypatch.setattr(os, "confstr", confstr, raising=False)
            assert startup._keep_memory({}) == (False, "left to the system; there is something to set only with glibc")
        monkeypatch.delattr(os, "confstr")
        assert not startup._keep_memory({}).done

    def test_mallopt_that_cannot_be_called_is_told(self, monkeypatch):
        import ctypes

        monkeypatch.setattr(startup, "_is_glibc", lambda: True)
        monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
        done, what = startup._keep_memory({})
        assert not done
        assert "out of reach" in what
        monkeypatch.setitem(sys.modules, "ctypes", None)  # as in a Python built without it
        assert "out of reach" in startup._keep_memory({}).what


class TestCommandLine:
    def test_prepares_before_numpy_is_imported(self, tmp_path):
        (tmp_path / "cpuinfo").write_text(cpuinfo())
        code = (
            "import os, pathlib, sys\n"
            "from scratchnst.system import startup\n"
            "from scratchnst.__main__ import main\n"
            f"startup.CPUINFO = pathlib.Path({str(tmp_path / 'cpuinfo')!r})\n"
            "startup.platform.machine = lambda: 'x86_64'\n"
            "sys.platform = 'linux'\n"
            "sys.argv = ['scratchnst', 'weights', 'list']\n"
            "before, original = [], startup.prepare\n"
            "startup.prepare = lambda: (before.append('numpy' in sys.modules), original())\n"
            "status = main()\n"
            "done = startup.record().kernels.done\n"
            "print(status, before, 'numpy' in sys.modules, done, os.environ['OPENBLAS_CORETYPE'])"
        )
        done = python(code)
        assert done.stdout.splitlines()[-1] == "0 [False] True True SKYLAKEX", done.stderr

    def test_the_command_is_the_module(self):
        config = configparser.ConfigParser()
        config.read(ROOT / "setup.cfg")
        assert "scratchnst = scratchnst.__main__:main" in config["options.entry_points"]["console_scripts"].splitlines()

    def test_a_library_sets_nothing(self):
        done = python("import os, scratchnst, scratchnst.system.startup as s; scratchnst.stylize; print(s.record())")
        assert done.stdout == "None\n", done.stderr

    def test_interrupted_while_importing(self, tmp_path):
        (tmp_path / "numpy.py").write_text("raise KeyboardInterrupt")
        done = python("import runpy; runpy.run_module('scratchnst', run_name='__main__')", [tmp_path])
        assert done.returncode == 130
        assert done.stderr == "scratchnst: interrupted before there was anything to save.\n"


class TestPackage:
    def test_imports_nothing_until_asked(self):
        code = (
            "import sys, scratchnst; before = 'numpy' in sys.modules\n"
            "from scratchnst import *; print(before, Objective.__name__, 'Objective' in vars(scratchnst))"
        )
        assert python(code).stdout == "False Objective True\n"

    def test_names(self):
        code = (
            "import scratchnst; from scratchnst import Objective, load_network, normalize, stylize\n"
            "print({*scratchnst.__all__, 'images', 'verify'} <= {*dir(scratchnst)}, scratchnst.images.__name__)\n"
            "print(*(thing.__module__ for thing in (Objective, load_network, normalize, stylize)))\n"
            "print(hasattr(scratchnst, 'nothing'))"
        )
        done = python(code)
        assert done.stdout.splitlines() == [
            "True scratchnst.images",
            "scratchnst.transfer.objective scratchnst.weights.load scratchnst.models.normalize "
            "scratchnst.transfer.stylize",
            "False",
        ], done.stderr

    def test_stylize_is_the_function_whatever_was_imported_first(self):
        code = (
            "import scratchnst.transfer.stylize, scratchnst.cli\n"
            "from scratchnst import stylize; from scratchnst.transfer.stylize import MARGIN\n"
            "print(type(stylize).__name__, stylize is scratchnst.transfer.stylize.stylize, MARGIN > 0)"
        )
        assert python(code).stdout == "function True True\n"


class TestLackOfMemory:
    @pytest.fixture(autouse=True)
    def without_limits(self, monkeypatch):
        monkeypatch.setattr(startup.containers, "groups", lambda: [])
        monkeypatch.setattr(startup, "_addresses", lambda: None)

    def test_none(self):
        assert startup.lack_of_memory() is None

    def test_of_a_container(self, monkeypatch):
        monkeypatch.setattr(startup.containers, "groups", lambda: [Group(10**10, 0), Group(200 << 20, 150 << 20)])
        assert "and has 50 MB: give its container more" in startup.lack_of_memory()
        monkeypatch.setattr(startup.containers, "groups", lambda: [Group(200 << 20, 20 << 20)])
        assert startup.lack_of_memory() is None

    def test_of_addresses(self, monkeypatch):
        monkeypatch.setattr(startup, "_addresses", lambda: 300 << 20)
        assert "has 300 MB: raise ulimit -v" in startup.lack_of_memory()

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no ulimit")
    def test_one_sentence(self):
        code = "import resource as r; r.setrlimit(r.RLIMIT_AS, (2 * 10**8, 2 * 10**8))\n"
        ended = python(code + "import sys; from scratchnst.__main__ import main; sys.exit(main())")
        assert ended.returncode == 2
        assert ended.stderr.count("\n") == 1
