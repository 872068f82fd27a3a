"""The adjoint identity of linear operations, and that others are recognised as not linear."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from scratchnst.ops import average_pool, conv2d, max_pool, relu
from scratchnst.verify.methods.adjoint import Adjoint, adjoint_identity

A = np.array([[1.0, 2.0, 0.0], [0.0, -1.0, 4.0]])
X = np.array([0.5, -1.0, 2.0])


def test_numbers_by_hand():
    assert Adjoint(2.0, 2.0, 1e-12).holds
    assert not Adjoint(2.0, 1.0, 1e-12).holds
    assert Adjoint(2.0, 1.0, 1e-12).error == 0.5
    assert Adjoint(0.0, 0.0, 0.0).holds
    assert Adjoint(0.0, 0.0, 0.0).error == 0


@pytest.mark.parametrize("constant", [0.0, 7.0])
def test_a_matrix_and_its_transpose(constant):
    identity = adjoint_identity(lambda x: A @ x + constant, lambda u: A.T @ u, X)
    assert identity.holds
    assert identity.error < 1e-13


@pytest.mark.parametrize("wrong", [2 * A.T, -A.T, np.roll(A.T, 1, axis=0), A.T + 1e-9])
def test_another_matrix(wrong):
    assert not adjoint_identity(lambda x: A @ x, lambda u: wrong @ u, X).holds


def test_a_scalar_output():
    assert adjoint_identity(lambda x: float(A[0] @ x), lambda u: u * A[0], X).holds
    assert not adjoint_identity(lambda x: float(A[0] @ x), lambda u: u * A[1], X).holds


@pytest.mark.parametrize("f", [np.square, np.sin, np.abs, lambda x: np.maximum(x, 0), lambda x: x + 1e-9 * x**3])
def test_functions_that_are_not_linear(f):
    assert all(adjoint_identity(f, lambda u: u, X, seed) is None for seed in range(5))


@pytest.mark.parametrize("f", [np.abs, lambda x: np.maximum(x, 0)])
def test_a_kink_in_one_element_shows_whatever_the_directions(f):
    assert all(adjoint_identity(f, lambda u: 0 * u, np.zeros(1), seed) is None for seed in range(20))


def test_a_function_that_does_not_depend_on_x():
    assert adjoint_identity(lambda x: np.full(4, 3.0), lambda u: np.zeros(3), X).holds
    assert not adjoint_identity(lambda x: np.full(4, 3.0), lambda u: np.ones(3), X).holds


def test_a_function_that_drowns_in_rounding_says_nothing():
    assert adjoint_identity(lambda x: A @ x + 1e15, lambda u: A.T @ u, X) is None


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_operations(random, dtype):
    x = random.standard_normal((2, 5, 4, 3)).astype(dtype)
    w, b = random.standard_normal((3, 3, 3, 2)).astype(dtype), random.standard_normal(2).astype(dtype)
    assert adjoint_identity(lambda x: conv2d.forward(x, w, b)[0], lambda u: conv2d.backward_input(u, (x, w)), x).holds
    assert adjoint_identity(lambda x: average_pool.forward(x)[0], lambda u: average_pool.backward(u, x.shape), x).holds
    for module in (relu, max_pool):
        f, backward = module.forward, partial(module.backward, cache=module.forward(x)[1])
        assert adjoint_identity(lambda x, f=f: f(x)[0], backward, x) is None


def test_x_is_not_changed():
    def greedy(x):
        x *= 2
        return x

    x = X.copy()
    adjoint_identity(greedy, lambda u: 2 * u, x)
    np.testing.assert_array_equal(x, X)


@pytest.mark.parametrize("f", [np.log, np.sqrt, lambda x: np.where(x < 2.01, x, np.inf)])
def test_a_function_without_a_value_at_an_end_says_nothing(f):
    with np.errstate(all="ignore"):
        assert all(adjoint_identity(f, lambda u: 0 * u, np.abs(X), seed) is None for seed in range(20))


def test_a_function_that_returns_one_buffer():
    y = np.zeros(2)
    assert adjoint_identity(lambda x: np.matmul(A, x, out=y), lambda u: A.T @ u, X).holds
    assert not adjoint_identity(lambda x: np.matmul(A, x, out=y), lambda u: 0 * (A.T @ u), X).holds
