"""A network whose convolutions of the image continue it beyond its edges."""

from __future__ import annotations

import numpy as np
import platforms
import pytest
from networks import random_vgg19

from scratchnst import Objective
from scratchnst.errors import UserError
from scratchnst.models import pyramid
from scratchnst.models.network import PADDINGS
from scratchnst.verify.methods import oracles
from scratchnst.verify.network.chain import check_chain

SHAPE = 16, 18
x, content, style = np.random.default_rng(2).uniform(0, 255, (3, *SHAPE, 3))


def objective(network, padding, **settings):
    return Objective(network, content, [style], padding=padding, dtype="float64", **settings)


@pytest.fixture(params=["replicate", "reflect"])
def padding(request):
    return request.param


@pytest.fixture(params=["vgg19", "pyramid"])
def network(request):
    return random_vgg19(4, width=4) if request.param == "vgg19" else pyramid.build()


def test_the_first_layer_is_the_convolution_of_the_extended_image(padding):
    """With the image continued beyond the kernel's reach, zeros beyond that do not matter; deeper they do."""
    network = random_vgg19(2, width=4).astype("float64")
    extended = np.pad(x, ((5, 5), (5, 5), (0, 0)), mode={"replicate": "edge"}.get(padding, padding))[np.newaxis]
    names = ["conv1_1", "conv1_2"]
    reflected, _ = network.with_padding(padding).forward(x[np.newaxis], names)
    whole, _ = network.forward(extended, names)
    zeros, _ = network.forward(x[np.newaxis], names)
    np.testing.assert_allclose(reflected["conv1_1"], whole["conv1_1"][:, 5:-5, 5:-5], rtol=1e-12)
    np.testing.assert_allclose(reflected["conv1_1"][:, 1:-1, 1:-1], zeros["conv1_1"][:, 1:-1, 1:-1], rtol=1e-12)
    assert np.abs(reflected["conv1_1"] - zeros["conv1_1"]).max() > 1
    assert np.abs(reflected["conv1_2"] - whole["conv1_2"][:, 5:-5, 5:-5]).max() > 1


def test_zeros_are_the_network_itself(network):
    assert network.with_padding("zero") is network
    with pytest.raises(UserError, match=f"choose one of {', '.join(PADDINGS)}"):
        network.with_padding("wrap")


def test_taps_keep_their_names(network, padding):
    taps = [layer.name for layer in network.layers]
    reflected = network.with_padding(padding)
    assert set(taps) <= {layer.name for layer in reflected.layers}
    shapes = network.shapes(*SHAPE)
    assert shapes == {name: reflected.shapes(*SHAPE)[name] for name in shapes}


def test_its_gradient_is_the_slope(network, padding):
    one, v = objective(network, padding, normalized=True), np.random.default_rng(3).standard_normal(x.shape)
    v /= np.linalg.norm(v)
    slope = (one(x + 1e-4 * v)[0] - one(x - 1e-4 * v)[0]) / 2e-4
    assert np.vdot(one(x)[1], v) == pytest.approx(slope, rel=1e-5)


def test_its_gradient_is_pytorchs(network, padding):
    pytest.importorskip("torch")
    one = objective(network, padding)
    value, (gradient,) = oracles.gradients(oracles.objective(one), [x])
    loss, grad = one(x)
    assert value == pytest.approx(loss, rel=1e-10)
    np.testing.assert_allclose(grad, gradient, rtol=1e-7, atol=1e-10 * np.abs(grad).max())


def test_each_step_is_verified(network, padding):
    report = check_chain(objective(network, padding), x)
    assert report.passed, report


def test_in_strips(network, padding):
    """The first layers are computed as a whole, those below in strips."""
    loss, grad = objective(network, padding)(x)
    in_strips, same = objective(network, padding, largest_strip=500)(x)
    assert in_strips == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(same, grad, rtol=1e-9, atol=1e-12 * np.abs(grad).max())


@pytest.mark.parametrize("platform", platforms.FAST, indirect=True)
def test_on_every_engine(platform, dtype, padding):
    network = random_vgg19(3, width=4)
    expected, gradient = objective(network, padding)(x)
    there = network.on(platform.engine)
    loss, grad = Objective(there, content, [style], padding=padding, dtype=dtype)(x)
    tolerance = 1e-4 if dtype == "float32" else 1e-10
    assert loss == pytest.approx(expected, rel=tolerance)
    np.testing.assert_allclose(grad, gradient, rtol=0, atol=tolerance * np.abs(gradient).max())


def test_grey_edges_stay_grey():
    """Beside a picture of one colour zeros are an edge, which the loss sees: what continues it is none."""
    flat = np.full((10, 10, 3), 90.0)
    network = random_vgg19(1, width=4).astype("float64")
    for padding, spreads in (("zero", True), ("replicate", False), ("reflect", False)):
        features, _ = network.with_padding(padding).forward(flat[np.newaxis], ["conv1_1"])
        assert (np.ptp(features["conv1_1"], axis=(1, 2)).max() > 1e-9) == spreads
