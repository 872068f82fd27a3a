"""Kernels: found in their sources, and launched with arguments that fit or not at all."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import platforms
import pytest

from scratchnst.engine.cuda import device, kernels
from scratchnst.errors import UserError

FILES = sorted(path.stem for path in kernels.FOLDER.glob("*.cu"))
on_cuda = pytest.mark.parametrize("platform", platforms.CUDA, indirect=True)


def test_importing_the_engine_needs_no_cupy():
    code = "import sys, scratchnst.engine.cuda; assert 'cupy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("file", FILES)
def test_every_kernel_and_parameter_of_a_source_is_found(file):
    text = kernels.source(file)
    assert "#include" not in text
    found = kernels.signatures(file)
    assert len(found) == len(re.findall(r"__global__", re.sub(r"//.*", "", text))) > 0
    for parameters in found.values():
        for parameter in parameters:
            assert parameter.type in (
                {"real", *kernels.ELEMENTS} if parameter.is_pointer else {"real", "double", *kernels.INTEGERS}
            )


def test_a_cupy_that_is_missing_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(UserError, match=r"CuPy, which is not installed: pip install"):
        device.library()


@pytest.fixture
def changed(monkeypatch, platform):
    """What makes kernels of a source that somebody has changed."""
    original = kernels.source

    def change(file, text, replacement):
        assert text in original(file)
        monkeypatch.setattr(kernels, "source", lambda name: original(name).replace(text, replacement))
        for name in ("signatures", "_kernel", "_module"):
            monkeypatch.setattr(kernels, name, getattr(kernels, name).__wrapped__)

    return change


@pytest.mark.parametrize(
    ("text", "replacement", "said"),
    [
        (
            "relu_forward",
            "relu",
            r"^relu.cu has no kernel relu_forward, which relu.py launches; it has relu, relu_back",
        ),
        ("index < count", "index < number", r"^relu.cu does not compile:\n(.*\n)*relu.cu.*'?number"),
    ],
)
@on_cuda
def test_a_source_that_will_not_do(platform, changed, text, replacement, said):
    changed("relu", text, replacement)
    with pytest.raises(UserError, match=said):
        platform.engine.relu.forward(platform.there(np.ones(3)))


@on_cuda
def test_a_dtype_that_no_kernel_takes(platform):
    with pytest.raises(ValueError, match="float32 or float64, not int64: convert"):
        platform.engine.relu.forward(platform.there(np.ones(3, np.int64)))


def test_a_line_keeps_its_file_and_number():
    """Compilers are told which lines come from elsewhere."""
    place, places = None, []
    for line in kernels.source("squares").splitlines():
        if found := re.fullmatch(r'#line (\d+) "(.*)"', line):
            place = [found[2], int(found[1])]
            continue
        places.append((*place, line))
        place[1] += 1
    assert {name for name, *_ in places} == {"squares.cu", "block_sum.cuh"}
    for name, number, line in places:
        assert (kernels.FOLDER / name).read_text().splitlines()[number - 1] == line


def test_parameters():
    parameters = kernels.signatures("squares")["squares_of_difference"]
    assert [tuple(parameter) for parameter in parameters] == [
        ("a", "real", True),
        ("b", "real", True),
        ("difference", "real", True),
        ("sums", "double", True),
        ("count", "long long", False),
    ]


def test_blocks():
    assert [kernels.blocks(count, 256) for count in (0, 1, 256, 257, 2**40)] == [0, 1, 1, 2, 2**32]


def launch(*arguments, grid=(1,), block=(32,), dtype="float32"):
    kernels.launch("relu", "relu_forward", grid, block, dtype, *arguments)


@on_cuda
def test_launch(platform):
    x, y = platform.there(np.array([-1.0, 2, 3], "float32")), platform.there(np.full(3, 9, "float32"))
    launch(x, y, 2)
    np.testing.assert_array_equal(platform.back(y), [0, 2, 9])


def test_a_grid_without_blocks_needs_nobody():
    launch(None, None, 0, grid=(0,))


@on_cuda
def test_a_null_pointer_is_passed_on(platform):
    launch(None, None, 0)


@on_cuda
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"grid": (2**31,)}, "no grid of"),
        ({"grid": (1, 65536)}, "no grid of"),
        ({"block": (1025,)}, "no grid of"),
        ({"block": (32, 33)}, "no grid of"),
        ({"block": (0,)}, "no grid of"),
        ({"dtype": "float64"}, "x is of float64, not of float32"),
    ],
)
def test_what_a_gpu_or_a_kernel_does_not_take(platform, settings, message):
    x, y = (platform.there(np.zeros(3, "float32")) for _ in range(2))
    with pytest.raises(ValueError, match=message):
        launch(x, y, 3, **settings)


@on_cuda
def test_arguments_that_do_not_fit(platform):
    x, y = (platform.there(np.zeros((4, 4), "float32")) for _ in range(2))
    wide, whole = platform.there(np.zeros(4)), platform.there(np.zeros(4, "int32"))
    for arguments, message in [
        ((x, y), "takes 3 arguments, not 2"),
        ((x, wide, 3), "y is of float32, not of float64"),
        ((whole, y, 3), "x is of float32, not of int32"),
        ((x[:, 1:], y, 3), "x: its numbers must lie one after the other"),
        ((x.T, y, 3), "x: its numbers must lie one after the other"),
        ((x, y, 3.5), "count = 3.5 does not fit long long"),
        ((x, y, 2**63), "does not fit long long"),
    ]:
        with pytest.raises(ValueError, match=message):
            launch(*arguments)
    shape = (2**31, 1, 1)
    with pytest.raises(ValueError, match=r"height = 2147483648 does not fit int"):
        kernels.launch("average_pool", "average_pool_forward", (1,), (32,), "float32", x, y, 1.0, *shape)
