"""The matrix square root by hand-worked numbers; the general checks are in test_contract.py."""

from __future__ import annotations

import numpy as np
import pytest
from numerical import central_differences, relative_error

from scratchnst.ops import matrix_square_root


def positive(random, channels, pixels):
    F = random.standard_normal((2, pixels, channels))
    return F.swapaxes(1, 2) @ F / pixels


def derivative(A, grad_y, epsilon=matrix_square_root.EPSILON):
    """dL/dA by central differences, each element of A on its own."""
    return central_differences(lambda A: np.sum(grad_y * matrix_square_root.forward(A, epsilon)[0]), A, 1e-5)


def test_a_diagonal_matrix():
    """dS = dA / (r[i] + r[j]), with the roots 2 and 3."""
    S, cache = matrix_square_root.forward(np.array([[[4.0, 0], [0, 9]]]), 0)
    np.testing.assert_allclose(S, [[[2, 0], [0, 3]]], atol=1e-15)
    grad_A = matrix_square_root.backward(np.array([[[4.0, 10], [20, 12]]]), cache)
    np.testing.assert_allclose(grad_A, [[[1, 3], [3, 2]]], atol=1e-14)


def test_a_matrix_that_is_not_diagonal():
    """[[2, 1], [1, 2]] squared is [[5, 4], [4, 5]]; dA = dS S + S dS, for dS = [[1, 0], [0, 0]] = [[4, 1], [1, 0]]."""
    S, cache = matrix_square_root.forward(np.array([[[5.0, 4], [4, 5]]]), 0)
    np.testing.assert_allclose(S, [[[2, 1], [1, 2]]], rtol=1e-14)
    grad_A = matrix_square_root.backward(np.array([[[0.7, 0.3], [0.3, -0.2]]]), cache)[0]
    assert np.sum(grad_A * [[4, 1], [1, 0]]) == pytest.approx(0.7)
    assert np.sum(grad_A * [[2, 4], [4, 2]]) == pytest.approx(0.6)  # dS = [[0, 1], [1, 0]]
    assert np.sum(grad_A * [[0, 1], [1, 4]]) == pytest.approx(-0.2)


def test_the_root_times_itself(random):
    A = positive(random, 5, 20)
    S, _ = matrix_square_root.forward(A)
    np.testing.assert_allclose(S @ S, A + matrix_square_root.EPSILON * np.eye(5), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(S, S.swapaxes(1, 2), atol=1e-14)
    assert np.linalg.eigvalsh(S).min() > 0


def test_equal_eigenvalues_are_harmless(random):
    """The eigenvectors of 4 I are arbitrary; S is 2 I, and the derivative that of a number's root."""
    A, grad_y = np.array([4 * np.eye(3)]), random.standard_normal((1, 3, 3))
    S, cache = matrix_square_root.forward(A, 0)
    grad_A = matrix_square_root.backward(grad_y, cache)
    np.testing.assert_allclose(S, A / 2, rtol=1e-15)
    np.testing.assert_allclose(grad_A, (grad_y + grad_y.swapaxes(1, 2)) / 2 / 4, rtol=1e-12)
    np.testing.assert_allclose(grad_A, derivative(A, grad_y), atol=1e-9)


def test_what_is_not_symmetric_counts_as_its_symmetric_part(random):
    A, grad_y = positive(random, 4, 20), random.standard_normal((2, 4, 4))
    skew = random.standard_normal(A.shape)
    S, cache = matrix_square_root.forward(A + skew - skew.swapaxes(1, 2))
    np.testing.assert_allclose(S, matrix_square_root.forward(A)[0], rtol=1e-10)
    grad_A = matrix_square_root.backward(grad_y, cache)
    np.testing.assert_allclose(grad_A, grad_A.swapaxes(1, 2), atol=1e-15)
    assert relative_error(grad_A, derivative(A, grad_y)) < 1e-7


def test_eigenvalues_of_zero():
    """The root of epsilon, and a finite slope; one that rounding made negative counts as zero."""
    for smallest in (0, -1e-9):
        S, cache = matrix_square_root.forward(np.array([[[1.0, 0], [0, smallest]]]), 1e-4)
        np.testing.assert_allclose(S[0], [[np.sqrt(1 + 1e-4), 0], [0, 1e-2]], atol=1e-15)
        grad_A = matrix_square_root.backward(np.array([[[0.0, 0], [0, 1]]]), cache)
        np.testing.assert_allclose(grad_A[0], [[0, 0], [0, 50]], rtol=1e-12)


@pytest.mark.parametrize("number", [0.0, 1e6])
def test_grey_and_constant_matrices(number, dtype):
    """All channels alike: one eigenvalue is 3 times the number, the others are zero."""
    S, cache = matrix_square_root.forward(np.full((1, 3, 3), number, dtype))
    np.testing.assert_allclose(S @ S, np.full((1, 3, 3), number), rtol=1e-4, atol=1e-8)
    assert np.isfinite(matrix_square_root.backward(S, cache)).all()


@pytest.mark.parametrize("channels", [2, 5])
def test_single_precision_is_that_of_double(random, channels):
    A, grad_y = positive(random, channels, 12), random.standard_normal((2, channels, channels)).astype("float32")
    S, cache = matrix_square_root.forward(A.astype("float32"))
    wide, wide_cache = matrix_square_root.forward(A.astype("float32").astype("float64"))
    assert S.dtype == "float32"
    np.testing.assert_array_equal(S, wide.astype("float32"))
    expected = matrix_square_root.backward(grad_y.astype("float64"), wide_cache)
    np.testing.assert_array_equal(matrix_square_root.backward(grad_y, cache), expected.astype("float32"))


@pytest.mark.parametrize("shape", [(3, 3), (1, 2, 3), (1, 2, 2, 2)])
def test_no_square_matrices(shape):
    with pytest.raises(ValueError, match="only square matrices"):
        matrix_square_root.forward(np.zeros(shape))
