"""The transform network: its table, styles as rows of its norms, and its file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numerical import central_differences, relative_error

from scratchnst.models import transform_net
from scratchnst.models.layers import Layer
from scratchnst.models.transform_net import OUTPUT
from scratchnst.models.vgg import OXFORD_PREPROCESSING
from scratchnst.verify.methods import oracles
from scratchnst.weights.formats import native
from scratchnst.weights.load import load_any, load_network

SMALL = {"widths": (3, 4, 5), "blocks": 2}


@pytest.fixture
def network(random):
    """Of two styles, with norms that differ."""
    network = transform_net.build(random, 2, **SMALL)
    norms = {
        name: tuple(np.float32(array + 0.3 * random.standard_normal(array.shape)) for array in network.parameters[name])
        for name in transform_net.norms(network)
    }
    return replace(network, parameters={**network.parameters, **norms})


def paint(network, x, mixture):
    painter = transform_net.with_styles(network, np.asarray(mixture, x.dtype))
    return painter.features(x, [OUTPUT])[OUTPUT]


def test_the_usual_network_has_its_parameters(random):
    """Kernels counted by hand: 5x5 ends, 3x3 between, four blocks of 64 channels."""
    network = transform_net.build(random)
    kernels = 25 * 3 * 16 + 9 * (16 * 32 + 32 * 64 + 8 * 64 * 64 + 64 * 32 + 32 * 16) + 25 * 16 * 3
    norms = 2 * (16 + 32 + 64 + 8 * 64 + 32 + 16)
    biases = 16 + 32 + 64 + 8 * 64 + 32 + 16 + 3
    assert sum(array.size for arrays in network.parameters.values() for array in arrays) == kernels + norms + biases


@pytest.mark.parametrize("size", [(8, 8), (12, 20), (16, 8)])
def test_what_it_paints_is_as_large_as_the_photograph(network, random, size):
    x = np.float32(random.uniform(0, 255, (2, *size, 3)))
    y = paint(network, x, np.eye(2))
    assert y.shape == x.shape
    assert y.dtype == np.float32
    assert network.shapes(*size)[OUTPUT] == (*size, 3)


def test_shapes_are_those_that_come_out(network, random):
    names = [layer.name for layer in network.layers]
    painter = transform_net.with_styles(network, np.ones((1, 2), np.float32) / 2)
    features = painter.features(np.float32(random.uniform(0, 255, (1, 12, 16, 3))), names)
    assert {name: y.shape[1:] for name, y in features.items()} == {
        name: shape for name, shape in network.shapes(12, 16).items() if name in names
    }


def test_each_image_has_its_style(network, random):
    x = np.float32(random.uniform(0, 255, (1, 8, 12, 3)))
    twice = np.repeat(x, 2, axis=0)
    both = paint(network, twice, np.eye(2))
    for number in (0, 1):
        alone = paint(network, x, np.eye(2)[number : number + 1])
        np.testing.assert_allclose(both[number], alone[0], rtol=1e-4, atol=1e-4)
    assert np.abs(both[0] - both[1]).max() > 0.01


def test_a_mixture_is_one_of_the_norms_rows(network, random):
    x = random.uniform(0, 255, (1, 8, 8, 3))
    double = network.astype("float64")
    norms = transform_net.norms(double)
    rows = {name: tuple(0.25 * a[:1] + 0.75 * a[1:] for a in double.parameters[name]) for name in norms}
    by_hand = replace(double, parameters={**double.parameters, **rows}).features(x, [OUTPUT])[OUTPUT]
    np.testing.assert_allclose(paint(double, x, [[0.25, 0.75]]), by_hand, rtol=1e-12)


@pytest.mark.parametrize("name", ["conv1", "norm1", "conv2", "norm2", "block1_conv2", "block2_norm2", "norm5", OUTPUT])
def test_gradient_of_the_parameters(network, random, name):
    """<g, y> by central differences, as a function of the arrays of a layer, those of the norms a row a style."""
    network = network.astype("float64")
    x, mixture = random.uniform(0, 255, (3, 8, 8, 3)), np.array([[1.0, 0.0], [0.0, 1.0], [0.3, 0.7]])
    g = random.standard_normal(x.shape)
    painter = transform_net.with_styles(network, mixture)
    _, cache = painter.forward(x, [OUTPUT])
    gradients = transform_net.of_styles(network, painter.backward_parameters({OUTPUT: g.copy()}, cache), mixture)

    for place, learnt in enumerate(transform_net.learnt(network)[name]):

        def loss(array, place=place):
            arrays = list(network.parameters[name])
            arrays[place] = array
            changed = replace(network, parameters={**network.parameters, name: tuple(arrays)})
            return float((g * paint(changed, x, mixture)).sum())

        array = network.parameters[name][place]
        some = tuple(random.integers(side) for side in array.shape)  # all would take minutes
        step = np.zeros_like(array)
        step[some] = 1e-5
        expected = (loss(array + step) - loss(array - step)) / 2e-5
        if learnt:
            assert gradients[name][place][some] == pytest.approx(expected, rel=1e-4, abs=1e-6)
        else:
            assert abs(expected) < 1e-6  # the norm subtracts it


@pytest.mark.skipif(not oracles.is_available(), reason="needs PyTorch")
@pytest.mark.parametrize("size", [(8, 12), (20, 16)])
def test_against_pytorch(network, random, size):
    """What is painted, and the gradients of all parameters and of the photographs, by automatic differentiation."""
    network = transform_net.with_styles(network.astype("float64"), np.array([[1.0, 0.0], [0.3, 0.7]]))
    x, g = random.uniform(0, 255, (2, *size, 3)), random.standard_normal((2, *size, 3))
    arrays = [(name, place) for name, each in network.parameters.items() for place in range(len(each))]

    def painted(x, *tensors):
        parameters = dict(zip(arrays, tensors))
        rows = {name: tuple(parameters[name, place] for place in range(2)) for name in network.parameters}
        return oracles.features(replace(network, parameters=rows), x, [OUTPUT])[OUTPUT]

    inputs = [x, *(network.parameters[name][place] for name, place in arrays)]
    expected, (grad_x, *grad_parameters) = oracles.gradients(painted, inputs, g)
    features, cache = network.forward(x, [OUTPUT])
    np.testing.assert_allclose(features[OUTPUT], expected, rtol=1e-9, atol=1e-9)
    gradients = network.backward_parameters({OUTPUT: g.copy()}, dict(cache))
    for (name, place), grad in zip(arrays, grad_parameters):
        np.testing.assert_allclose(gradients[name][place], grad, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(network.backward({OUTPUT: g.copy()}, dict(cache)), grad_x, rtol=1e-7, atol=1e-9)


def test_gradient_of_the_photograph(network, random):
    network = transform_net.with_styles(network.astype("float64"), np.array([[0.4, 0.6]]))
    x, g = random.uniform(0, 255, (1, 8, 8, 3)), random.standard_normal((1, 8, 8, 3))
    _, cache = network.forward(x, [OUTPUT], training=False)
    expected = central_differences(lambda x: float((g * network.features(x, [OUTPUT])[OUTPUT]).sum()), x, 1e-4)
    assert relative_error(network.backward({OUTPUT: g.copy()}, cache), expected) < 1e-5


def test_only_biases_in_front_of_norms_are_not_learnt(network):
    learnt = transform_net.learnt(network)
    assert learnt[OUTPUT] == (True, True)
    assert learnt["conv1"] == learnt["block2_conv2"] == (True, False)
    assert learnt["norm4"] == (True, True)
    assert {name for name, (kernel, _) in learnt.items() if not kernel} == set()


def test_other_styles_are_mixtures(network, random):
    more = transform_net.with_styles(network, np.array([[1, 0], [0, 1], [0.5, 0.5]], np.float32))
    assert transform_net.number_of_styles(more) == 3
    x = np.float32(random.uniform(0, 255, (1, 8, 8, 3)))
    mixed = paint(network, x, [[0.5, 0.5]])
    np.testing.assert_allclose(paint(more, x, [[0, 0, 1]]), mixed, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(paint(more, x, [[1, 0, 0]]), paint(network, x, [[1, 0]]))
    left = transform_net.with_styles(more, np.array([[0, 0, 1]], np.float32))
    np.testing.assert_array_equal(paint(left, x, [[1]]), paint(more, x, [[0, 0, 1]]))


def test_picture_and_output_are_adjoint(random):
    output, grad = random.standard_normal((2, 1, 4, 4, 3))
    assert transform_net.to_picture(np.zeros(1))[0] == pytest.approx(114.75)
    difference = transform_net.to_picture(output) - transform_net.to_picture(np.zeros_like(output))
    assert (difference * grad).sum() == pytest.approx((output * transform_net.to_output(grad)).sum())


def test_there_and_back(network, tmp_path):
    native.write(network, tmp_path / "model.h5")
    back = load_any(tmp_path / "model.h5")
    assert back.layers == network.layers
    assert transform_net.is_transform_net(back)
    for name, arrays in network.parameters.items():
        for array, read in zip(arrays, back.parameters[name]):
            np.testing.assert_array_equal(array, read)


def test_it_is_told_from_others(network):
    assert transform_net.is_transform_net(network)
    assert not transform_net.is_transform_net(load_network("distilled"))
    w, b = network.parameters["conv4"]
    for changed in (
        replace(network, parameters={**network.parameters, "conv4": (np.zeros((5, 5, *w.shape[2:]), w.dtype), b)}),
        replace(network, layers=(*network.layers, Layer("more", "upsampled"))),
        replace(network, preprocessing=OXFORD_PREPROCESSING),
    ):
        assert transform_net.paints(changed)
        assert not transform_net.is_transform_net(changed)
    assert network.preprocessing != OXFORD_PREPROCESSING
