"""Kinks: which units change sign or winner on the way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from networks import random_vgg19

from scratchnst.verify.methods.kinks import changes, crossed, merged, network_pattern, pool_winners, relu_signs

SQUARE = np.array([[4.0, 1.0], [2.0, 3.0]]).reshape(1, 2, 2, 1)  # the winner is number 0, ahead by 1


def test_signs():
    assert relu_signs(np.array([-2.0, 0.0, 3.0]))["relu"].tolist() == [-1, 0, 1]


def test_winners():
    assert pool_winners(SQUARE)["max_pool"].ravel().tolist() == [0]


def test_a_relu_is_crossed_by_a_step_that_reaches_zero():
    x = np.array([0.5, -0.1, 2.0])
    assert crossed(relu_signs, x, 1, 0.09) == {}
    assert crossed(relu_signs, x, 1, 0.11)["relu"].tolist() == [False, True, False]
    assert crossed(relu_signs, x, np.ones(3), 0.6)["relu"].tolist() == [True, True, False]


def test_a_unit_that_sits_on_its_kink_is_crossed_by_any_step():
    assert crossed(relu_signs, np.array([0.0, 1.0]), 0, 1e-12)["relu"].tolist() == [True, False]


def test_a_step_backwards_may_cross_as_well():
    # Number 3 overtakes number 0 only if number 0 falls: x - h, not x + h.
    assert crossed(pool_winners, SQUARE, 0, 0.9) == {}
    assert crossed(pool_winners, SQUARE, 0, 1.1)["max_pool"].all()


def test_a_tie_is_not_broken_by_moving_both():
    tie = np.array([4.0, 4.0, 2.0, 3.0]).reshape(1, 2, 2, 1)
    together = np.array([1.0, 1.0, 0.0, 0.0]).reshape(1, 2, 2, 1)
    assert crossed(pool_winners, tie, together, 0.5) == {}
    assert crossed(pool_winners, tie, 0, 0.5)["max_pool"].all()
    assert crossed(pool_winners, tie, 1, 0.5)["max_pool"].all()


def test_changes_name_only_what_changed():
    before = {"a": np.array([1, 2]), "b": np.array([1])}
    after = {"a": np.array([1, 3]), "b": np.array([1])}
    assert {name: mask.tolist() for name, mask in changes(before, after).items()} == {"a": [False, True]}


def test_merged():
    one, other = {"a": np.array([True, False])}, {"a": np.array([False, False]), "b": np.array([True])}
    assert {name: mask.tolist() for name, mask in merged(one, other).items()} == {"a": [True, False], "b": [True]}
    assert merged() == {}


def test_the_units_of_a_network(random):
    network = random_vgg19(3, width=4).astype("float64")
    x = random.uniform(0, 255, (1, 4, 6, 3))
    features, cache = network.forward(x, ["conv2_1"])
    pattern = network_pattern(network, cache)
    assert list(pattern) == ["conv1_1 relu", "conv1_2 relu", "conv2_1 relu"]
    np.testing.assert_array_equal(pattern["conv2_1 relu"], features["conv2_1"] > 0)


def test_the_pools_of_a_network(random):
    network = replace(random_vgg19(3, width=4), pooling="max").astype("float64")
    _, cache = network.forward(random.uniform(0, 255, (1, 4, 6, 3)), ["conv2_1"])
    winners = network_pattern(network, cache)["pool1 max"]
    assert winners.shape == (1, 2, 3, 4)
    assert set(np.unique(winners)) <= {0, 1, 2, 3}
