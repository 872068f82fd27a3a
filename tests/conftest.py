"""Fixtures that many tests share."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
from pathlib import Path

import numpy as np
import platforms
import pytest
from networks import random_vgg19

from scratchnst import images, load_network
from scratchnst.engine.cuda import availability

# A machine with a GPU may have all but these; without them the other tests run nevertheless.
LACKING = [name for name in ("docutils", "pylatexenc", "rich") if importlib.util.find_spec(name) is None]
READERS = [f"classroom/test_{name}.py" for name in ("all_lessons", "formulas", "notebooks", "player", "prose")]
collect_ignore = [*READERS, "cli/test_cli_lesson.py"] if LACKING else []


def pytest_terminal_summary(terminalreporter):
    """Say what was left out."""
    if LACKING:
        terminalreporter.write_line(f"SKIPPED the tests of the lessons: {', '.join(LACKING)} are not installed")


@pytest.fixture
def random():
    """A seeded random generator."""
    return np.random.default_rng(7)


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    """Both precisions, one after the other."""
    return request.param


@pytest.fixture(params=platforms.FAST)
def platform(request):
    """The fast engines, one after the other, wherever they compute; parametrise it indirectly with others."""
    with platforms.entered(request.param) as platform:
        yield platform


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Where tests may write a file, one after the other; its name tells nothing."""
    return tmp_path_factory.mktemp("files") / "a file without a telling name"


@pytest.fixture(scope="session")
def vgg19_file():
    """The file with genuine VGG19 weights that SCRATCHNST_VGG19 names; without it the test is skipped."""
    path = os.environ.get("SCRATCHNST_VGG19")
    if not path:
        pytest.skip("SCRATCHNST_VGG19 names no file with genuine VGG19 weights")
    return Path(path).resolve()


@pytest.fixture(scope="module")
def complete_vgg19():
    """All sixteen convolutions of VGG19: genuine ones where SCRATCHNST_VGG19 names a file that has all, else random."""
    path = os.environ.get("SCRATCHNST_VGG19")
    network = load_network(path) if path else None
    return network if network and len(network.parameters) == 16 else random_vgg19()


@pytest.fixture
def no_vgg19(monkeypatch, tmp_path_factory):
    """As on a machine without VGG19."""
    monkeypatch.delenv("SCRATCHNST_VGG19", raising=False)
    monkeypatch.setenv("SCRATCHNST_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def no_gpu(monkeypatch):
    """As on a machine without CuPy."""

    def find():
        raise availability.NotInstalled("CuPy is not installed", "install it")

    monkeypatch.setattr(availability, "find", find)


@pytest.fixture
def folder(directory, no_gpu):
    """A working directory with a content and a style picture, on a machine without VGG19 and without a GPU."""
    return directory


@pytest.fixture
def directory(tmp_path, monkeypatch, no_vgg19):
    """A working directory with a content and a style picture, on a machine without VGG19."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    images.save("content.png", random.uniform(0, 255, (30, 40, 3)))
    images.save("style.jpg", random.uniform(0, 255, (36, 24, 3)))
    return tmp_path


@pytest.fixture(autouse=True)
def ctrl_c():
    """Here and in the programs that tests start, signals do what they do in a terminal: jobs in the background, and
    those under nohup, begin with some of them ignored.
    """
    handlers = {"SIGINT": signal.default_int_handler, "SIGTERM": signal.SIG_DFL, "SIGHUP": signal.SIG_DFL}
    numbers = {name: getattr(signal, name) for name in handlers if hasattr(signal, name)}
    before = {number: signal.signal(number, handlers[name]) for name, number in numbers.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def no_emulator_stays():
    """A test that leaves the emulator in CuPy's place would let others compute on it without knowing."""
    yield
    assert getattr(sys.modules.get("cupy"), "__name__", "cupy") == "cupy", "the emulator is still installed"
