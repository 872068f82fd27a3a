"""Losses that are added as ARCHITECTURE.md says, a file in losses/ and a line in the objective, go everywhere."""

from __future__ import annotations

import importlib
import sys

import numpy as np
import pytest
from networks import random_vgg19
from numerical import relative_error

from scratchnst import Objective, losses
from scratchnst.attribution.attribution import trace
from scratchnst.engine import cpu, meta
from scratchnst.engine.engine import name_of
from scratchnst.engine.textbook import OPERATIONS, modules_of
from scratchnst.transfer import memory
from scratchnst.verify.catalogue import check_objective
from scratchnst.verify.network.chain import check_chain

FILES = {
    "softened_loss": '''
"""Like the content loss, but a large difference counts as |F - P|: sum (sqrt((F - P)^2 + 1) - 1)."""

statistic = None

def forward(F, P):
    root = ((F - P) ** 2 + 1) ** 0.5
    return float((root - 1).sum(dtype="float64")), (F - P) / root

def backward(grad_y, cache):
    return cache * cache.dtype.type(grad_y)
''',
    "moments": '''
"""Sums of each channel and of its squares over positions: (N, H, W, C) -> (N, 2, C)."""
from scratchnst.arrays import array_module

def forward(F):
    return array_module(F).stack([F.sum(axis=(1, 2)), (F * F).sum(axis=(1, 2))], axis=1), F

def backward(grad_y, F):
    return grad_y[:, None, None, 0] + 2 * F * grad_y[:, None, None, 1]
''',
    "moments_loss": '''
"""Half the squared distance of the channels' means and of their mean squares."""
from scratchnst.losses import moments as statistic
from scratchnst.losses import of_statistic

def distance(S, target, pixels):
    difference = (S - target) / pixels
    return float(0.5 * (difference * difference).sum(dtype="float64")), difference / pixels

def distance_backward(grad_loss, cache):
    return cache * cache.dtype.type(grad_loss)

forward, backward = of_statistic(statistic, distance, distance_backward)
''',
}


class WithNewLosses(Objective):
    """The objective with the lines that a reader would write into `_style_terms`."""

    def _style_terms(self):
        terms, (style,) = super()._style_terms(), self.styles
        terms += self._terms("softened", "softened_loss", style, self.style_layers, 1e-6)
        terms += self._terms("moments", "moments_loss", style, self.style_layers, 1e-3)
        return terms


@pytest.fixture
def engine(tmp_path, monkeypatch):
    """The engine for the CPU, as it is when the files lie in losses/."""
    for name, text in FILES.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.setattr(losses, "__path__", [*losses.__path__, str(tmp_path)])
    importlib.invalidate_caches()
    new = [module for module in modules_of(losses) if module not in OPERATIONS]
    monkeypatch.setattr(meta, "OPERATIONS", (*OPERATIONS, *new))
    yield type(cpu)("cpu", [*cpu.own.values(), *new])
    for module in new:
        del sys.modules[module.__name__]
        delattr(losses, name_of(module))


@pytest.fixture
def objective(engine):
    content, style = np.random.default_rng(1).uniform(0, 255, (2, 18, 14, 3))
    network = random_vgg19(5, width=5).on(engine)
    return WithNewLosses(network, content, [style], dtype="float64", normalized=True)


@pytest.fixture
def x():
    return np.random.default_rng(2).uniform(0, 255, (18, 14, 3))


def test_the_files_are_found(engine):
    assert set(FILES) <= set(engine.own)


def assert_gradient_is_slope(objective, x):
    for seed in range(3):
        v = np.random.default_rng(seed).standard_normal(x.shape)
        slope = (objective(x + 1e-5 * v)[0] - objective(x - 1e-5 * v)[0]) / 2e-5
        assert relative_error(np.vdot(objective(x)[1], v), slope) < 1e-5


def test_the_gradient_is_the_slope(objective, x):
    assert_gradient_is_slope(objective, x)
    assert {"softened/conv1_1", "moments/conv3_1"} <= set(objective.terms)


@pytest.mark.parametrize("name", ["softened", "moments"])
def test_the_gradient_of_one_alone_is_the_slope(objective, x, name):
    objective.summands = [term for term in objective.summands if term.name.startswith(name)]
    objective.tv_weight = 0.0
    assert_gradient_is_slope(objective, x)


def test_in_strips(objective, x):
    loss, grad = objective(x)
    objective.largest_strip = 2000
    in_strips, same = objective(x)
    assert in_strips == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(same, grad, rtol=1e-9, atol=1e-12 * np.abs(grad).max())


def test_the_objective_is_checked(objective):
    report = check_objective(
        objective.network, objective.content, objective.styles[0], samples=8, objective=WithNewLosses
    )
    assert report.passed, report


def test_verified_traced_and_its_memory_estimated(objective, x):
    report = check_chain(objective, x)
    assert report.passed, report
    parts = {part.name for part in trace(objective, x, (3, 4)).parts}
    assert parts >= {"moments/conv2_1", "softened/conv2_1"}
    assert memory.evaluation(objective) > x.nbytes
