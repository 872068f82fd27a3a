"""The CPU's moments against the textbook's in float64."""

from __future__ import annotations

import numpy as np
import pytest

from scratchnst.engine.cpu import moments
from scratchnst.ops import moments as textbook


@pytest.mark.parametrize("shape", [(2, 70, 90, 24), (1, 3, 5, 96), (3, 1, 1, 4)])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-6), ("float64", 1e-12)])
def test_several_strips_and_large_means(random, shape, dtype, tolerance):
    x = random.standard_normal(shape) * random.uniform(0.1, 3, shape[3]) + 20 * random.standard_normal(shape[3])
    x, g = x.astype(dtype), random.standard_normal((shape[0], 2, shape[3])).astype(dtype)
    y, cache = moments.forward(x)
    expected, expected_cache = textbook.forward(x.astype("float64"))
    assert y.dtype == dtype
    np.testing.assert_allclose(y[:, 0], expected[:, 0], rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(y[:, 1], expected[:, 1], rtol=0, atol=50 * tolerance)
    wanted = textbook.backward(g.astype("float64"), expected_cache)
    for _ in range(2):  # the cache is not used up
        np.testing.assert_allclose(moments.backward(g, cache), wanted, rtol=0, atol=50 * tolerance * abs(wanted).max())
    with pytest.raises(ValueError, match="gradient"):
        moments.backward(g[:, :1], cache)
