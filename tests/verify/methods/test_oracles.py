"""The textbook in PyTorch's terms has the textbook's values and gradients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from networks import random_vgg19

from scratchnst import Objective
from scratchnst.models import pyramid
from scratchnst.verify.methods import oracles
from scratchnst.verify.operations import OPERATIONS

pytest.importorskip("torch", reason="PyTorch is not installed")


def test_a_gradient_by_hand():
    y, (a, b) = oracles.gradients(
        lambda a, b: a * b, [np.array([2.0, 3.0]), np.array([5.0, 7.0])], np.array([1.0, 10.0])
    )
    assert y.tolist() == [10, 21]
    assert a.tolist() == [5, 70]
    assert b.tolist() == [2, 30]


def test_an_input_that_does_not_matter_has_a_gradient_of_zero():
    _, (_, b) = oracles.gradients(lambda a, b: a.sum(), [np.ones(2), np.ones(3)])
    assert b.tolist() == [0, 0, 0]


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_have_the_same_values(name):
    case = OPERATIONS[name].instance(seed=1)
    y, _ = case.forward(*case.inputs)
    theirs, _ = oracles.gradients(case.torch_forward, case.inputs, np.ones(np.shape(y)))
    np.testing.assert_allclose(theirs, y, rtol=1e-10)


@pytest.mark.parametrize(
    "network", [pyramid.build(), random_vgg19(8, width=5), replace(random_vgg19(8, width=5), pooling="max")]
)
def test_the_objective_has_the_same_value_and_gradient(network, random):
    content, style, x = random.uniform(0, 255, (3, 16, 20, 3))
    other = random.uniform(0, 255, (24, 20, 3))
    objective = Objective(network, content, [style, other], style_blend=[0.3, 0.7], normalized=True, dtype="float64")
    loss, gradient = objective(x)
    theirs, (their_gradient,) = oracles.gradients(oracles.objective(objective), [x])
    assert float(theirs) == pytest.approx(loss, rel=1e-10)
    np.testing.assert_allclose(their_gradient, gradient, rtol=0, atol=1e-11 * np.abs(gradient).max())


def test_the_objective_without_content(random):
    style, x = random.uniform(0, 255, (2, 8, 9, 3))
    objective = Objective(random_vgg19(3, width=4), None, [style], tv_weight=0.5, dtype="float64")
    theirs, _ = oracles.gradients(oracles.objective(objective), [x])
    assert float(theirs) == pytest.approx(objective(x)[0], rel=1e-10)
