"""The first wrong operation of a network or an objective, and what holds the operations together."""

from __future__ import annotations

import json
from copy import copy
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from scratchnst import Objective
from scratchnst.engine import cpu, textbook
from scratchnst.errors import UserError
from scratchnst.models import network
from scratchnst.ops import average_pool, conv2d, max_pool, relu
from scratchnst.transfer import objective
from scratchnst.verify.mutation import planted
from scratchnst.verify.mutation.mutants import WEIGHTS, mutated, small_network
from scratchnst.verify.network.chain import check_chain, check_step
from scratchnst.verify.network.walk import Step, Walk, default_taps
from scratchnst.verify.report import GradientError

SHAPE = (7, 9, 3)
SAMPLES = 6


def picture(seed=0):
    return np.random.default_rng(seed).uniform(0, 255, SHAPE)


def network_of(module=network, seed=0):
    return small_network(np.random.default_rng(seed), module.Network)


def objective_of(kind=Objective, net=None, **settings):
    return kind(net or network_of(), picture(1), [picture(2)], **{"dtype": "float64", **WEIGHTS, **settings})


def checked(chain, **settings):
    return check_chain(chain, picture(), samples=SAMPLES, **settings)


def planted_in(module, name):
    """The module with the planted mistake, or sound change, of this name."""
    (mutant,) = [each for each in (*planted.MUTANTS, *planted.SOUND) if each.name == f"{module}: {name}"]
    return mutated(mutant)


def with_operations(**operations):
    """A network whose engine has other operations, as that of someone who edits them has."""
    fused = mutated(planted.Mutant("engine.textbook.conv2d_relu", "nothing", ()))
    for name in {"conv2d", "relu"} & set(operations):
        setattr(fused, name, operations[name])
    engine = copy(textbook)
    vars(engine).update({"conv2d_relu": fused, **operations})
    return network_of().on(engine)


def stand_in(module, **functions):
    """The module with other functions in the place of its own."""
    return SimpleNamespace(**{**vars(module), **functions})


def unflipped(grad_y, cache):
    _, w = cache
    return conv2d.forward(grad_y, w.swapaxes(2, 3), np.zeros(w.shape[2]))[0]


def without_mask(grad_y, cache):
    return grad_y.copy()


def names(report):
    return [each.name for each in report.reports]


@pytest.mark.parametrize("pooling", ["avg", "max"])
@pytest.mark.parametrize("seed", range(3))
def test_a_right_network_and_a_right_objective_pass(pooling, seed):
    net = replace(network_of(seed=seed), pooling=pooling)
    assert checked(net, seed=seed).passed
    assert checked(objective_of(net=net), seed=seed).passed


@pytest.mark.parametrize("pooling", ["avg", "max"])
def test_the_fast_engine_passes(pooling):
    net = replace(network_of().on(cpu), pooling=pooling)
    assert checked(net).passed
    assert checked(objective_of(net=net)).passed


def test_operations_from_the_loss_to_the_pixels():
    assert names(checked(objective_of())) == [
        "tv",
        "content/conv2",
        "content/side",
        "style/conv1",
        "style/conv2",
        "side convolution",
        "conv2 relu",
        "conv2 convolution",
        "pool1 average_pool",
        "conv1 relu",
        "conv1 convolution",
        "preprocessing",
        "walk back through the table",
        "sum of the terms",
    ]


def test_float32_is_checked_in_float64():
    report = checked(objective_of(dtype="float32"))
    assert report.passed
    assert all(each.dtype == "float64" for link in report.reports for each in link.inputs)


def test_a_wrong_operation_is_found_with_its_worst_element_and_named():
    report = checked(with_operations(conv2d=stand_in(conv2d, backward_input=unflipped)))
    assert report.verdict == "fail"
    assert [each.name for each in report.wrong] == ["side convolution", "conv2 convolution", "conv1 convolution"]
    assert report.first.name == "side convolution"
    text = str(report)
    assert "The first one wrong, coming from the loss, is side convolution:" in text
    assert "your gradient equals the right one with the kernel not flipped" in text
    assert "Not right, besides: conv2 convolution, conv1 convolution." in text
    worst = report.first.inputs[0].worst
    assert f"{worst.got:.10g}" in text
    assert f"{worst.expected:.10g}" in text


def test_one_wrong_layer_leaves_the_others_right():
    def backward_input(grad_y, cache):
        _, w = cache
        return unflipped(grad_y, cache) if w.shape[2] == 3 else conv2d.backward_input(grad_y, cache)

    report = checked(with_operations(conv2d=stand_in(conv2d, backward_input=backward_input)))
    assert [each.name for each in report.wrong] == ["conv1 convolution"]


def test_two_wrong_operations():
    double = stand_in(average_pool, backward=lambda grad_y, cache: 2 * average_pool.backward(grad_y, cache))
    net = with_operations(relu=stand_in(relu, backward=without_mask), average_pool=double)
    report = checked(net)
    assert [each.name for each in report.wrong] == ["conv2 relu", "pool1 average_pool", "conv1 relu"]
    assert [each.inputs[0].diagnosis_key for each in report.wrong[:2]] == [
        "mask-missing",
        "average-factor or accumulated-twice",
    ]


GLUE = [
    ("a tap's gradient overwritten", "gradient-overwritten", "without what comes in at conv1"),
    ("a branch's gradient overwritten", "gradient-overwritten", "without what comes in at side"),
    ("ReLU left out on the way back", "relu-left-out", "first seen from conv1 on"),
    ("preprocessing left out on the way back", "preprocess-left-out", "without the backward of preprocess"),
    ("gradients that meet subtracted", "shares", "counts what comes in at the taps not once but so often: conv2 -1"),
]


@pytest.mark.parametrize(("name", "key", "words"), GLUE)
def test_a_wrong_walk_back(name, key, words):
    report = checked(network_of(planted_in("network", name)))
    assert [each.name for each in report.wrong] == ["walk back through the table"]
    (found,) = report.first.inputs
    assert found.diagnosis_key == key
    assert words in found.diagnosis
    assert found.worst.got != found.worst.expected


TERMS = [
    ("total variation not in the gradient", "tv is in the loss, but its gradient is left out."),
    ("total variation not in the loss", "tv is in the gradient, but not in the loss."),
    ("total variation without its weight in the gradient", "tv lacks its weight in the gradient."),
    (
        "terms without their weights in the loss",
        "each of content/conv2, content/side, style/conv1, style/conv2, tv lacks its weight in the loss.",
    ),
    ("two terms at one layer overwrite each other", "style/conv2 is in the loss, but its gradient is left out."),
]


@pytest.mark.parametrize(("name", "words"), TERMS)
def test_terms_that_weigh_otherwise_in_the_gradient(name, words):
    report = checked(objective_of(planted_in("objective", name).Objective))
    assert [each.name for each in report.wrong] == ["sum of the terms"]
    assert report.first.inputs[0].diagnosis == words


@pytest.mark.parametrize("name", ["weights squared in loss and gradient", "total variation left out everywhere"])
def test_weights_that_loss_and_gradient_agree_on_are_right(name):
    assert checked(objective_of(planted_in("objective", name).Objective)).passed


def test_a_network_that_is_not_its_table_is_checked_as_a_whole():
    report = checked(network_of(planted_in("network", "ReLU left out in forward and backward")))
    assert report.passed
    assert "checked as a whole" in report.reports[-1].notes[0]


def test_a_network_that_raises():
    report = checked(network_of(planted_in("network", "rows in the wrong order")))
    assert report.verdict == "error"
    assert "The network raises KeyError" in str(report)


def test_an_objective_whose_gradient_has_another_shape():
    class Flat(Objective):
        def __call__(self, x):
            loss, grad = super().__call__(x)
            return loss, grad[:-1]

    assert checked(objective_of(Flat)).verdict == "error"


def test_activations_that_sit_on_kinks_are_moved():
    x = np.zeros((1, 6, 8, 2))  # behind a ReLU that let nothing pass but one pixel
    x[0, 2, 3, 1] = 5
    report = check_step(Step("pool1 max_pool", "max_pool", x, (), max_pool.forward, max_pool.backward), SAMPLES)
    assert report.passed
    assert "they were moved" in report.notes[-1]


def test_raising_and_json():
    net = with_operations(relu=stand_in(relu, backward=without_mask))
    with pytest.raises(GradientError, match="The first one wrong, coming from the loss, is conv2 relu"):
        checked(net, raising=True)
    told = json.loads(json.dumps(checked(net).as_dict()))
    assert told["first"] == "conv2 relu"
    assert told["wrong"] == ["conv2 relu", "conv1 relu"]
    assert not told["passed"]


def test_progress():
    seen = []
    report = checked(network_of(), on_link=lambda done, total: seen.append((done, total)))
    assert seen == [(number + 1, len(report.reports)) for number in range(len(report.reports))]


def test_taps_of_a_network():
    assert default_taps(network_of()) == ["conv2", "conv1", "side"]
    assert "side convolution" not in names(checked(network_of(), taps=["conv1"]))
    with pytest.raises(UserError, match="no layer 'conv9'"):
        checked(network_of(), taps=["conv9"])


def test_the_walk_equals_the_network():
    net, image = network_of(), picture()[np.newaxis]
    walk = Walk(net, image, ["conv2", "conv1", "side"])
    features, cache = net.forward(image, walk.taps)
    grad_y = {name: np.random.default_rng(3).standard_normal(F.shape) for name, F in features.items()}
    for name, F in features.items():
        np.testing.assert_array_equal(walk.outputs[name], F)
    np.testing.assert_allclose(walk.backward(grad_y), net.backward(grad_y, cache), rtol=1e-12)


def test_nothing_of_the_package_is_changed():
    before = dict(vars(network)), dict(vars(objective))
    planted_in("network", "a tap's gradient overwritten")
    planted_in("objective", "gradient normalised")
    assert before == (dict(vars(network)), dict(vars(objective)))
