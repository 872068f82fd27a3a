"""Losses that are options, on every engine, each against the textbook in float64."""

from __future__ import annotations

import numpy as np
import platforms
import pytest

from scratchnst.engine import textbook
from scratchnst.losses import moment_matrix, projections

TOLERANCE = {"float32": 2e-5, "float64": 1e-11}
SHAPES = [(2, 9, 7, 5), (1, 17, 6, 33), (1, 1, 9, 2), (1, 40, 33, 20)]
NAMES = [
    *("moment_matrix", "moments_style_loss", "wasserstein_style_loss", "projections", "sliced_style_loss"),
    *("absolute_variation", "laplacian_loss"),
]


def arguments(random, name, shape, dtype):
    """An image or features, and the target of a loss."""
    x, other = random.standard_normal(shape), 1 + 2 * random.standard_normal((1, *shape[1:]))
    if name in ("moments_style_loss", "wasserstein_style_loss"):
        targets = [moment_matrix.forward(other)[0]]
    elif name == "sliced_style_loss":
        targets = [projections.as_target(projections.forward(other)[0], shape[1] * shape[2])]
    else:
        targets = [other] if name == "laplacian_loss" else []
    return [array.astype(dtype) for array in (x, *targets)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("platform", [*platforms.THREADS, *platforms.CUDA], indirect=True)
def test_values_and_gradients_are_the_textbooks(random, name, shape, dtype, platform):
    inputs = arguments(random, name, shape, dtype)
    operation, book = getattr(platform.engine, name), getattr(textbook, name)
    y, cache = operation.forward(*map(platform.there, inputs))
    wanted, wide_cache = book.forward(*(one.astype("float64") for one in inputs))
    grad_y = 3.0 if isinstance(wanted, float) else random.standard_normal(np.shape(wanted)).astype(dtype)
    grad_x = operation.backward(platform.there(grad_y), cache)
    assert grad_x.dtype == dtype
    assert isinstance(y, float) or y.dtype == ("float64" if isinstance(wanted, float) else dtype)
    expected = book.backward(grad_y if isinstance(wanted, float) else grad_y.astype("float64"), wide_cache)
    for found, right in ((y, wanted), (grad_x, expected)):
        tolerance = TOLERANCE[dtype] * (50 if name == "wasserstein_style_loss" else 1)  # of roots of small eigenvalues
        np.testing.assert_allclose(platform.back(found), right, rtol=0, atol=tolerance * np.abs(right).max())


@pytest.mark.parametrize("platform", [*platforms.THREADS], indirect=True)
def test_quantiles_of_another_number_are_refused(platform):
    with pytest.raises(ValueError, match="target's shape"):
        platform.engine.sliced_style_loss.forward(np.zeros((1, 4, 5, 3)), np.zeros((1, 3, 19)))
