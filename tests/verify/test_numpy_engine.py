"""The gradient checker on an engine whose arrays are not NumPy's: it finds nothing wrong, and what is wrong."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import platforms
import pytest
from networks import random_vgg19

from scratchnst.engine import cpu, cuda, textbook
from scratchnst.transfer.objective import Objective
from scratchnst.verify.catalogue import check_objective, check_operation
from scratchnst.verify.network.chain import check_chain
from scratchnst.verify.numpy_engine import as_numpy_engine

on_cuda = pytest.mark.parametrize("platform", platforms.CUDA, indirect=True)


@pytest.mark.parametrize("engine", [cpu, textbook])
def test_an_engine_of_numpys_arrays_is_left_alone(engine):
    assert as_numpy_engine(engine) is engine


@on_cuda
def test_arrays_go_there_and_come_back(random, platform):
    x = random.standard_normal((1, 5, 4, 3))
    y, (shape, winner) = as_numpy_engine(platform.engine).max_pool.forward(x)
    expected, (_, wanted) = textbook.max_pool.forward(x)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(winner, wanted)
    assert shape == x.shape
    assert as_numpy_engine(platform.engine).gram.forward(x)[1] is x


@on_cuda
@pytest.mark.parametrize(
    "what", ["forward changes its input", "backward changes the upstream gradient", "backward changes"]
)
def test_what_an_operation_does_to_its_inputs_is_seen(platform, monkeypatch, what):
    original = SimpleNamespace(**vars(cuda.gram))

    def forward(x):
        y, cache = original.forward(x)
        if what == "forward changes its input":
            x += 1
        return y, cache

    def backward(grad_y, cache):
        grad_x = original.backward(grad_y, cache)
        if what == "backward changes the upstream gradient":
            grad_y *= 2
        if what == "backward changes":
            cache *= 2
        return grad_x

    monkeypatch.setattr(cuda.gram, "forward", forward)
    monkeypatch.setattr(cuda.gram, "backward", backward)
    report = check_operation("gram", module=as_numpy_engine(platform.engine).gram, samples=3, with_torch=False)
    assert any(what in problem for problem in report.problems), str(report)


@on_cuda
def test_a_wrong_derivative_is_found_and_named(platform, monkeypatch):
    original = cuda.average_pool.backward
    monkeypatch.setattr(cuda.average_pool, "backward", lambda grad_y, cache: original(grad_y, cache) * 4.0)
    report = check_operation("average_pool", module=as_numpy_engine(platform.engine).average_pool, with_torch=False)
    assert report.verdict == "fail"
    assert "4" in report.inputs[0].diagnosis


SETTINGS = {"content_layers": ["conv1_2"], "style_layers": ["conv2_1"], "tv_weight": 0.5}


@pytest.mark.parametrize("platform", ["emulated", platforms.GPU], indirect=True)
def test_the_objective(random, platform):
    content, style = random.uniform(0, 255, (2, 5, 4, 3))
    network = random_vgg19(3, width=3).on(as_numpy_engine(platform.engine))
    check_objective(network, content, style, samples=2, with_torch=False, **SETTINGS).raise_if_wrong()


@pytest.mark.parametrize("platform", ["emulated in reverse", platforms.GPU], indirect=True)
def test_every_link_of_an_objective(random, platform):
    content, style, picture = random.uniform(0, 255, (3, 5, 4, 3))
    objective = Objective(random_vgg19(3, width=3).on(as_numpy_engine(platform.engine)), content, [style], **SETTINGS)
    check_chain(objective, picture, samples=2).raise_if_wrong()
