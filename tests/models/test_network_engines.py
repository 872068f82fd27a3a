"""Networks and the whole objective on the fast engines, and what they keep in memory."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Mapping

import numpy as np
import platforms
import pytest
from networks import random_vgg19

from scratchnst import Objective
from scratchnst.engine import cpu, cuda
from scratchnst.engine.cpu import threads
from scratchnst.models.layers import Layer
from scratchnst.models.network import Defaults, Network, Preprocessing

SETTINGS = {
    "content_layers": {"conv4_2": 1.0},
    "style_layers": dict.fromkeys(["conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"], 0.2),
    "content_weight": 1.0,
    "style_weight": 1e-3,
    "tv_weight": 0.1,
}


def pictures(height, width, number=3):
    random = np.random.default_rng(5)
    return [random.uniform(0, 255, (height, width, 3)) for _ in range(number)]


def relative(actual, expected):
    return np.linalg.norm(actual - expected) / np.linalg.norm(expected)


def objective(platform, network, *images, **settings):
    return Objective(network.on(platform.engine), images[0], [images[1]], **settings)


WAYS = [case for way in (None, "winograd") for case in platforms.each(["cpu"], way)]
WAYS += [case for way in (None, *cuda.conv2d.WAYS) for case in platforms.each(platforms.CUDA, way)]


@pytest.mark.parametrize(("platform", "way"), WAYS, indirect=["platform"])
@pytest.mark.parametrize("pooling", ["avg", "max"])
def test_objective_in_float64_is_the_textbooks(pooling, platform, way):
    content, style, x = pictures(37, 50)
    network, settings = random_vgg19(13, width=33), {**SETTINGS, "pooling": pooling, "dtype": "float64"}
    expected, gradient = Objective(network, content, [style], **settings)(x)
    with platform.engine.conv2d.using(way):
        loss, grad = objective(platform, network, content, style, **settings)(x)
    assert isinstance(loss, float)
    assert loss == pytest.approx(expected, rel=1e-12)
    assert relative(grad, gradient) < 1e-12


def test_objective_in_strips_is_the_textbooks(platform):
    content, style, x = pictures(37, 50)
    network, settings = random_vgg19(9, width=33), {**SETTINGS, "dtype": "float64"}
    settings |= {"content_layers": ["conv3_2"], "style_layers": ["conv1_1", "conv2_1", "conv3_1"]}
    expected, gradient = Objective(network, content, [style], **settings)(x)
    loss, grad = objective(platform, network, content, style, **settings, largest_strip=20_000)(x)
    assert loss == pytest.approx(expected, rel=1e-12)
    assert relative(grad, gradient) < 1e-12


@pytest.mark.parametrize(
    ("platform", "size", "width"),
    [
        *platforms.each(["cpu", platforms.GPU], (61, 90), None),
        *platforms.each(list(platforms.ORDERS), (37, 34), 33),
    ],
    indirect=["platform"],
)
def test_objective_in_float32_but_for_kinks(platform, size, width):
    """A whole VGG19: float32 moves some units across the kink of their ReLU, and is exact to 1e-5 otherwise.

    So the float64 gradient is taken with the units that float32 has active, and the others are counted.
    """
    content, style, x = pictures(*size)
    network = random_vgg19(13, width=width)
    single, exact = (
        objective(platform, network, content, style, **SETTINGS, dtype=one) for one in ("float32", "float64")
    )
    _, grad = single(x)
    _, gradient = exact(x)

    active, wide = (
        one.network.forward(platform.there(x[np.newaxis].astype(one.dtype)), SETTINGS["style_layers"], False)[1]
        for one in (single, exact)
    )
    flipped = [np.count_nonzero(platform.back(active[name][2] != wide[name][2])) for name in network.parameters]
    units = sum(wide[name][2].size for name in network.parameters)
    assert sum(flipped) < 1e-5 * units

    class WithTheseActive(Network):
        def backward(self, grad_features, cache):
            for name in network.parameters:
                x, w, _ = cache[name]
                cache[name] = x, w, active[name][2]
            return super().backward(grad_features, cache)

    exact.network = WithTheseActive(**vars(exact.network))
    _, same_side = exact(x)
    assert relative(grad, same_side) < 1e-5
    assert relative(grad, gradient) < 1e-2


@pytest.mark.parametrize("platform", platforms.ALL, indirect=True)
def test_gradients_of_parameters_are_the_textbooks(random, platform):
    network = random_vgg19(6, width=12).astype("float64")
    x = random.uniform(0, 255, (2, 21, 18, 3))
    features, cache = network.forward(x, ["conv2_1", "conv3_2"])
    upstream = {name: random.standard_normal(feature.shape) for name, feature in features.items()}
    expected = network.backward_parameters(upstream, cache)
    network = network.on(platform.engine)
    _, cache = network.forward(platform.there(x), list(upstream))
    there = {name: platform.there(gradient) for name, gradient in upstream.items()}
    actual = network.backward_parameters(there, cache)
    assert actual.keys() == expected.keys()
    for name, gradients in expected.items():
        for gradient, wanted in zip(actual[name], gradients):
            assert relative(platform.back(gradient), wanted) < 1e-12


def chain(engine):
    layers = (Layer("conv1", "conv"), Layer("pool1", "pool"), Layer("conv2", "conv"), Layer("flat", "linear"))
    random = np.random.default_rng(0)
    parameters, channels = {}, 3
    for name, outputs in (("conv1", 32), ("conv2", 64), ("flat", 40)):
        parameters[name] = random.standard_normal((3, 3, channels, outputs)), random.standard_normal(outputs)
        channels = outputs
    return Network("chain", layers, parameters, Preprocessing(), Defaults({}, {}, 1.0)).on(engine)


def bytes_in(entry, parameters):
    """What an entry of the cache holds, apart from the weights, which are there anyway."""
    arrays = [array for array in entry if hasattr(array, "nbytes")]
    return sum(array.nbytes for array in arrays if not any(array is one for pair in parameters for one in pair))


def test_without_training_a_convolution_keeps_a_byte_an_output(random, platform):
    network = chain(platform.engine)
    x = platform.there(random.uniform(0, 255, (1, 16, 16, 3)))
    features, cache = network.forward(x, ["flat"], training=False)
    kept = {name: bytes_in(cache[name], network.parameters.values()) for name in ("conv1", "conv2", "flat")}
    assert kept == {"conv1": 16 * 16 * 32, "conv2": 8 * 8 * 64, "flat": 0}
    assert list(features) == ["flat"]


@pytest.mark.slow
def test_activations_go_when_everybody_has_read_them(random, monkeypatch, platform):
    """At each convolution only its own input is alive, of all outputs before that are no taps."""
    alive: list[weakref.ref] = []
    counts = []
    operation = platform.engine.conv2d_relu
    original = operation.forward

    def forward(x, w, b):
        gc.collect()
        counts.append(sum(reference() is not None for reference in alive))
        y, cache = original(x, w, b)
        alive.append(weakref.ref(y))
        return y, cache

    monkeypatch.setattr(operation, "forward", forward)
    network = random_vgg19(5, width=4).on(platform.engine)  # conv1_1, conv1_2, pool1, conv2_1, conv2_2, pool2, conv3_1
    x = platform.there(random.uniform(0, 255, (1, 16, 16, 3)).astype("float32"))
    _, cache = network.forward(x, ["conv3_1"], training=False)
    assert counts == [0, 1, 0, 1, 0]
    alive.clear()
    counts.clear()
    _, cache = network.forward(x, ["conv1_1", "conv3_1"], training=False)
    assert counts == [0, 1, 1, 2, 1]  # conv1_1, a tap, stays
    assert cache


def test_the_walk_back_frees_what_it_has_used(random, monkeypatch, platform):
    network, operation = chain(platform.engine), platform.engine.conv2d_relu
    x = platform.there(random.uniform(0, 255, (1, 16, 16, 3)))
    features, cache = network.forward(x, ["flat"], training=False)
    remaining = []
    original = operation.backward_input
    monkeypatch.setattr(
        operation, "backward_input", lambda g, entry: (remaining.append(set(cache)), original(g, entry))[1]
    )
    network.backward({"flat": platform.engine.zeros(features["flat"].shape, "float64")}, cache)
    assert remaining == [{"image", "conv1", "pool1"}, {"image"}]
    assert not cache


@pytest.mark.parametrize("platform", platforms.ALL, indirect=True)
def test_gradients_of_parameters_need_a_forward_pass_for_training(random, platform):
    network = chain(platform.engine)
    x = platform.there(random.uniform(0, 255, (1, 8, 8, 3)))
    features, cache = network.forward(x, ["flat"], training=False)
    with pytest.raises(ValueError, match="training=True"):
        network.backward_parameters(features, cache)


@pytest.mark.parametrize("platform", platforms.ALL, indirect=True)
def test_gradients_at_taps_are_asked_for_on_the_way_and_stay_as_they_are(random, platform):
    network = chain(platform.engine)
    taps = ["conv1", "conv2", "flat"]
    x = platform.there(random.uniform(0, 255, (1, 8, 8, 3)))
    features, cache = network.forward(x, taps, training=False)
    before = {name: random.standard_normal(features[name].shape) for name in taps}
    upstream = {name: platform.there(gradient.copy()) for name, gradient in before.items()}
    asked = []

    class Asked(Mapping):
        def __getitem__(self, name):
            asked.append((name, "conv1" in cache))
            return upstream[name]

        def __iter__(self):
            return iter(upstream)

        def __len__(self):
            return len(upstream)

        def __contains__(self, name):
            return name in upstream

    network.backward(Asked(), cache)
    assert asked == [("flat", True), ("conv2", True), ("conv1", True)]
    for name in taps:
        np.testing.assert_array_equal(platform.back(upstream[name]), before[name])


def test_weights_of_the_right_dtype_are_not_copied():
    network = random_vgg19(3, width=4)
    for name, (w, b) in network.on(cpu).astype("float32").parameters.items():
        assert np.shares_memory(w, network.parameters[name][0])
        assert np.shares_memory(b, network.parameters[name][1])


@pytest.mark.parametrize("number", [1, 2])
def test_two_transfers_at_once_do_not_disturb_each_other(number):
    """Each of two threads gets, to the last bit, what it gets alone."""
    threads.set_count(number)
    objectives = []
    for size in (40, 33):
        content, style, x = pictures(size, 48)
        objectives.append((Objective(random_vgg19(10, width=33).on(cpu), content, [style]), x))
    alone = [objective(x) for objective, x in objectives]
    results: list[list] = [[], []]

    def transfer(which):
        objective, x = objectives[which]
        results[which] += [objective(x) for _ in range(5)]

    workers = [threading.Thread(target=transfer, args=(which,)) for which in (0, 1)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    threads.set_count(None)
    for (loss, grad), repeated in zip(alone, results):
        assert len(repeated) == 5
        for again, grad_again in repeated:
            assert again == loss
            np.testing.assert_array_equal(grad_again, grad)
