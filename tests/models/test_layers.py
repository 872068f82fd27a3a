"""Kinds of layers: their geometry, and a kind that is made here, in one place, and then goes everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from scratchnst.engine import cpu, textbook
from scratchnst.engine.engine import Engine
from scratchnst.models.layers import KINDS, Kind, Layer
from scratchnst.models.network import Defaults, Network, Preprocessing
from scratchnst.transfer.objective import Objective
from scratchnst.verify.network.chain import check_chain
from scratchnst.weights.formats import native

KERNEL = (np.zeros((3, 5, 2, 4)), np.zeros(4))


@pytest.mark.parametrize(("kind", "parameters"), [("conv", KERNEL), ("linear", KERNEL), ("pool", ())])
@pytest.mark.parametrize("axis", [0, 1])
def test_what_is_read_and_who_reads_agree(kind, parameters, axis):
    """Row i of a layer reads row p of its source exactly where p is read by i."""
    rule = KINDS[kind]
    for i in range(6):
        first, stop = rule.reads((i, i + 1), parameters, axis)
        for p in range(-4, 16):
            start, end = rule.read_by((p, p + 1), parameters, axis)
            assert (first <= p < stop) == (start <= i < end)


def test_rows_by_hand():
    assert KINDS["conv"].reads((3, 5), KERNEL) == (2, 6)
    assert KINDS["conv"].reads((3, 5), KERNEL, axis=1) == (1, 7)
    assert KINDS["pool"].reads((3, 5), ()) == (6, 10)
    assert KINDS["pool"].read_by((3, 6), ()) == (1, 3)
    assert KINDS["pool"].shape((7, 8, 3), ()) == (3, 4, 3)
    assert KINDS["conv"].shape((7, 8, 2), KERNEL) == (7, 8, 4)


def corner_forward(x):
    """Of each square of 2x2 its upper left pixel."""
    height, width = x.shape[1] // 2 * 2, x.shape[2] // 2 * 2
    return x[:, :height:2, :width:2].copy(), x.shape


def corner_backward(grad_y, shape):
    grad_x = np.zeros(shape, grad_y.dtype)
    grad_x[:, : shape[1] // 2 * 2 : 2, : shape[2] // 2 * 2 : 2] = grad_y
    return grad_x


CORNER = SimpleNamespace(__name__="toys.corner", forward=corner_forward, backward=corner_backward)


@dataclass(frozen=True)
class Corner(Kind):
    stride: int = 2

    def operation(self, pooling):
        return "corner"

    def reach(self, parameters):
        return (0, 1), (0, 1)


class TestToyKind:
    @pytest.fixture
    def network(self, monkeypatch):
        monkeypatch.setitem(KINDS, "corner", Corner())
        random = np.random.default_rng(0)
        layers = Layer("conv1", "conv"), Layer("corner1", "corner"), Layer("conv2", "conv")
        shapes = {"conv1": (3, 3, 3, 4), "conv2": (3, 3, 4, 5)}
        parameters = {
            name: (random.standard_normal(shape).astype("float32") / 5, np.full(shape[3], 0.1, "float32"))
            for name, shape in shapes.items()
        }
        preprocessing = Preprocessing("RGB", 1 / 255)
        defaults = Defaults({"conv2": 1.0}, {"conv1": 0.5, "conv2": 0.5}, 1e-3, tv_weight_per_pixel=1e-6)
        engine = Engine("toy", [*cpu.own.values(), CORNER])
        return Network("toy", layers, parameters, preprocessing, defaults).on(engine)

    @pytest.fixture
    def objective(self, network):
        content, style = np.random.default_rng(1).uniform(0, 255, (2, 18, 14, 3))
        return lambda **settings: Objective(network, content, [style], dtype="float64", **settings)

    def test_forward_and_backward(self, objective):
        x, v = np.random.default_rng(2).uniform(0, 255, (2, 18, 14, 3))
        v /= np.linalg.norm(v)
        one = objective()
        slope = (one(x + 1e-4 * v)[0] - one(x - 1e-4 * v)[0]) / 2e-4
        assert np.vdot(one(x)[1], v) == pytest.approx(slope, rel=1e-5)

    def test_in_strips(self, objective):
        x = np.random.default_rng(2).uniform(0, 255, (18, 14, 3))
        loss, grad = objective()(x)
        in_strips, same = objective(largest_strip=2000)(x)
        assert in_strips == pytest.approx(loss, rel=1e-12)
        np.testing.assert_allclose(same, grad, rtol=1e-9, atol=1e-12 * np.abs(grad).max())

    def test_is_verified(self, objective):
        x = np.random.default_rng(2).uniform(0, 255, (18, 14, 3))
        report = check_chain(objective(), x)
        assert report.passed, report

    def test_in_a_file(self, network, tmp_path):
        native.write(network, tmp_path / "toy.h5")
        read = native.read(tmp_path / "toy.h5", {})
        assert read.layers == network.layers
        assert read.shapes(9, 9)["conv2"] == (4, 4, 5)

    def test_an_engine_that_lacks_it(self, network):
        with pytest.raises(AttributeError, match="corner"):
            network.on(Engine("other", textbook.own.values())).forward(np.zeros((1, 8, 8, 3), "float32"), ["conv2"])
