"""The Gram matrix by hand-worked numbers; the general checks are in test_contract.py."""

import numpy as np

from scratchnst.losses import gram

# Two channels at three positions.
F = np.array([[1.0, 2], [0, 3], [4, 1]]).reshape(1, 1, 3, 2)


def test_hand_worked():
    """Equation 3: G11 = 1 + 0 + 16, G12 = 2 + 0 + 4, G22 = 4 + 9 + 1."""
    G, cache = gram.forward(F)
    np.testing.assert_array_equal(G, [[[17, 6], [6, 14]]])
    # An upstream gradient on G12 alone: dG12/dF[m,1] = F[m,2] and dG12/dF[m,2] = F[m,1].
    grad_x = gram.backward(np.array([[[0.0, 1], [0, 0]]]), cache)
    np.testing.assert_array_equal(grad_x[0, 0], [[2, 1], [3, 0], [1, 4]])
    # On the diagonal G11 alone: d(F^2) = 2 F.
    grad_x = gram.backward(np.array([[[1.0, 0], [0, 0]]]), cache)
    np.testing.assert_array_equal(grad_x[0, 0], [[2, 0], [0, 0], [8, 0]])


def test_places_do_not_matter(random):
    """Shuffled positions have the same Gram matrix: that is why it is a description of style."""
    x = random.standard_normal((1, 4, 6, 3))
    shuffled = random.permutation(x.reshape(24, 3)).reshape(x.shape)
    np.testing.assert_allclose(gram.forward(shuffled)[0], gram.forward(x)[0], rtol=1e-12, atol=1e-12)
