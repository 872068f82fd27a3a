"""The margin of a network that paints in any style."""

from __future__ import annotations

import numpy as np
import pytest

from scratchnst.models import adain_net


@pytest.mark.parametrize("shape", [(2, 40, 30, 3), (1, 8, 9, 3)])
def test_margin(random, shape):
    images = random.standard_normal(shape)
    wider = adain_net.with_margin(images)
    assert wider.shape == (shape[0], shape[1] + 32, shape[2] + 32, 3)
    np.testing.assert_array_equal(adain_net.without_margin(wider), images)
    np.testing.assert_array_equal(wider[:, 15], wider[:, 17], "mirrored at the first row")


def test_margin_of_zeros_is_the_adjoint(random):
    wider, grad = random.standard_normal((1, 40, 44, 3)), random.standard_normal((1, 8, 12, 3))
    there, back = (adain_net.without_margin(wider) * grad).sum(), (wider * adain_net.margin_of_zeros(grad)).sum()
    assert there == pytest.approx(back)
