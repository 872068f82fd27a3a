"""The textbook checked by itself: right at every seed, and wrong as soon as it is."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from networks import random_vgg19

from scratchnst import Objective
from scratchnst.losses import absolute_variation, cross_gram, gram, moment_matrix, projections, total_variation
from scratchnst.models import pyramid
from scratchnst.ops import (
    adain,
    addition,
    average_pool,
    conv2d,
    instance_norm,
    matrix_square_root,
    max_pool,
    moments,
    relu,
    strided_conv2d,
    upsample,
    whitening,
)
from scratchnst.verify.catalogue import KinkRecorder, check_objective, check_operation
from scratchnst.verify.check import check_backward, check_gradient
from scratchnst.verify.operations import OPERATIONS, kinks_of, module_name, recognise

# In float32 these make float64 of their targets, or of the guide.
WITH_TARGETS = ("content", "style", "cross_style", "guide", "sliced", "laplacian", "equation")
SINGLE = [name for name in OPERATIONS if not name.startswith(WITH_TARGETS)]


def picture(seed, height=8, width=10):
    return np.random.default_rng(seed).uniform(0, 255, (height, width, 3))


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_pass(name):
    report = check_operation(name)
    report.raise_if_wrong()
    assert report.operation == module_name(name)
    assert all(found.checked == found.total for found in report.inputs)


@pytest.mark.slow
@pytest.mark.parametrize("name", OPERATIONS)
def test_no_false_alarm_in_fifty_seeds(name):
    for seed in range(50):
        check_operation(name, seed, with_torch=False).raise_if_wrong()


@pytest.mark.parametrize("seed", range(1, 4))
@pytest.mark.parametrize("name", OPERATIONS)
def test_no_false_alarm_in_a_few_seeds(name, seed):
    check_operation(name, seed, samples=40, with_torch=False).raise_if_wrong()


@pytest.mark.slow
@pytest.mark.parametrize("name", SINGLE)
def test_no_false_alarm_in_float32(name):
    """Never a failure; beside kinks too little may be left to be judged in this precision, and then it says so."""
    verdicts = []
    for seed in range(50):
        case = OPERATIONS[name].instance(seed)
        inputs = [x.astype("float32") for x in case.inputs]
        report = check_backward(
            case.forward, case.backward, inputs, kinks=case.kinks, seed=seed, samples=None, keep_dtype=True
        )
        verdicts.append(report.verdict)
    assert set(verdicts) <= {"pass", "inconclusive"}
    assert verdicts.count("pass") > (20 if case.kinks else 49)


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("size", [2, 9])
def test_other_sizes(name, size):
    check_operation(name, size=size, samples=40, with_torch=False).raise_if_wrong()


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_backward_a_ten_millionth_too_large_is_caught(name):
    """Everywhere: the precision of the check is far better than any mistake is small."""
    case = OPERATIONS[name].instance()

    def backward(grad_y, cache):
        gradients = case.backward(grad_y, cache)
        factor = 1 + 1e-7
        return tuple(g * factor for g in gradients) if isinstance(gradients, tuple) else gradients * factor

    report = check_backward(case.forward, backward, case.inputs, names=case.names, kinks=case.kinks)
    assert all(found.verdict == "fail" for found in report.inputs)


def test_inputs_differ_in_all_their_sides():
    for operation in OPERATIONS.values():
        case = operation.instance()
        x = case.inputs[0]
        assert len(set(x.shape)) == (4 if x.ndim == 4 else 2)  # of a matrix for each image
        assert all(array.dtype == np.float64 for array in case.inputs)
        assert len(case.names) == len(case.inputs)


def test_kinks_are_reported_where_there_are_any():
    crossed = {name: check_operation(name, with_torch=False).inputs[0].kinks for name in ("relu", "max_pool", "gram")}
    assert crossed["relu"].not_judged == 1  # the zero
    assert crossed["max_pool"].not_judged == 12  # two tied pixels in one square of 2 x 3 channels
    assert set(crossed["max_pool"].units) == {"max_pool"}
    assert crossed["gram"].crossed == 0


def test_another_module_in_its_place():
    wrong = SimpleNamespace(forward=relu.forward, backward=lambda grad_y, y: grad_y * (grad_y > 0))
    report = check_operation("relu", module=wrong)
    assert report.verdict == "fail"
    assert report.inputs[0].diagnosis_key == "mask-from-upstream"


@pytest.mark.parametrize(
    "module",
    [
        *(conv2d, relu, average_pool, max_pool, upsample, strided_conv2d, gram, cross_gram, total_variation, addition),
        *(instance_norm, moments, adain, matrix_square_root, whitening, moment_matrix, projections, absolute_variation),
    ],
)
def test_operations_are_recognised_by_what_they_return(module):
    name = module.__name__.rpartition(".")[2]
    case = OPERATIONS[name].instance(seed=5)
    y, _ = case.forward(*case.inputs)
    assert recognise(list(case.inputs), np.asarray(y)) == name
    assert recognise(list(case.inputs), 1.001 * np.asarray(y)) is None


def test_a_convolution_by_a_single_pixel_is_recognised():
    """With a stride of 1 and without one it is the same."""
    case = OPERATIONS["conv2d 1x1"].instance(seed=5)
    assert recognise(list(case.inputs), case.forward(*case.inputs)[0]) == "conv2d"


def test_what_is_no_operation_is_not_recognised(random):
    assert recognise([random.standard_normal(5)], random.standard_normal(5)) is None
    assert recognise([np.ones((1, 2, 2, 1))], np.ones((1, 1, 1, 1))) is None  # average and maximum: either
    assert kinks_of(None) is None
    assert kinks_of("nonsense") is None
    assert kinks_of("max_pool") is not None


@pytest.mark.parametrize("pooling", ["avg", "max"])
def test_the_objective_passes(pooling):
    network = random_vgg19(5, width=5)
    report = check_objective(network, picture(1), picture(2), samples=24, pooling=pooling)
    report.raise_if_wrong()
    assert report.inputs[0].shape == (8, 10, 3)
    assert report.inputs[0].order == pytest.approx(2, abs=0.05)
    assert report.inputs[0].relative_error < 1e-7


@pytest.mark.slow
@pytest.mark.parametrize("pooling", ["avg", "max"])
def test_the_objective_gives_no_false_alarm_in_fifty_seeds(pooling):
    for seed in range(50):
        network = random_vgg19(5, seed=seed, width=5)
        check_objective(
            network, picture(1), picture(2), seed, samples=12, pooling=pooling, with_torch=False
        ).raise_if_wrong()


@pytest.mark.slow
def test_the_pyramid_passes():
    check_objective(pyramid.build(), picture(1, 16, 20), picture(2), samples=24, normalized=True).raise_if_wrong()


def test_kinks_of_the_objective_are_named_by_layer():
    """A dark picture and no biases: many units are exactly zero, and there is no way around them."""
    network = random_vgg19(2, width=3)
    parameters = {name: (w, 0 * b) for name, (w, b) in network.parameters.items()}
    network = type(network)(
        **{**vars(network), "parameters": parameters, "preprocessing": type(network.preprocessing)()}
    )
    objective = Objective(network, picture(1), [picture(2)], dtype="float64")
    dark = np.zeros(objective.shape)
    dark[2:5, 3:6] = picture(3, 3, 3)
    watched = KinkRecorder(objective)
    report = check_gradient(watched.loss, dark, watched.gradient, kinks=watched.pattern, samples=60)
    assert report.verdict in ("pass", "inconclusive")
    kinks = report.inputs[0].kinks
    assert kinks.not_judged > 0
    assert set(kinks.units) <= {"conv1_1 relu", "conv1_2 relu"}
    assert "conv1_1 relu" in str(report)


def test_a_wrong_objective_fails():
    class Halved(Objective):
        def __call__(self, x):
            loss, gradient = super().__call__(x)
            return loss, gradient / 2

    report = check_objective(random_vgg19(3, width=4), picture(1), picture(2), samples=12, objective=Halved)
    assert report.verdict == "fail"
    assert {"elements", "directions", "order"} <= set(report.inputs[0].caught_by)
    assert report.inputs[0].order == pytest.approx(1, abs=0.05)


def test_progress():
    seen = []
    check_objective(
        random_vgg19(1, width=4), picture(1), picture(2), samples=5, on_element=lambda *step: seen.append(step)
    )
    assert seen[-1] == (5, 5)
