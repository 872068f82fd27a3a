"""The exercise: covariance, the square root of a matrix forward and backward, whitening and colouring."""

from __future__ import annotations

from functools import partial

import numpy as np

from scratchnst.classroom.grader import Derivative, Drawn, Exercise, Function, Mistake, Property, Verified, Worked
from scratchnst.ops import matrix_square_root, whitening

EPSILON = 1e-5


def covariance(x):
    """Equation (a), one pixel at a time."""
    M, C = x.shape
    mean = sum(x) / M
    K = np.zeros((C, C))
    for pixel in x:
        for a, b in np.ndindex(C, C):
            K[a, b] += (pixel[a] - mean[a]) * (pixel[b] - mean[b]) / M
    return K


def square_root(K):
    """The iteration of Denman and Beavers, which knows nothing of eigenvalues."""
    return matrix_square_root.forward_loops(K[np.newaxis], 0)[0]


def square_root_backward(grad_S, K):
    """The Sylvester equation as one system of linear equations."""
    return matrix_square_root.backward_loops(grad_S[np.newaxis], K[np.newaxis], 0)[0]


def whiten_and_colour(x, style):
    """One pixel at a time."""
    return whitening.forward_loops(x[np.newaxis, np.newaxis], style[np.newaxis, np.newaxis])[0, 0]


def otherwise(x, *, spared=0, mean=1.0, size=None):
    """The covariance in two lines; the keyword-only arguments make mistakes of it."""
    X = x - mean * x.mean(axis=0)
    return X.T @ X / max((len(x) if size is None else size(x)) - spared, 1)


def eigen(K):
    """Eigenvalues and eigenvectors."""
    return np.linalg.eigh(K)


def divided(grad_S, K, *, divisor=np.add.outer, symmetric=True, kept=None, back=lambda V, D: V @ D @ V.T, into=None):
    """Equation (e); the keyword-only arguments make mistakes of it."""
    eigenvalues, V = eigen(K)
    r = np.sqrt(eigenvalues)
    g = (grad_S + grad_S.T) / 2 if symmetric else grad_S
    g = V.T @ g @ V if into is None else into(V, g)
    with np.errstate(all="ignore"):
        D = g / divisor(r, r)
    with np.errstate(all="ignore"):
        return back(V, D if kept is None else D * kept(D))


def differences(a, b):
    """Differences of two roots; the sum on the diagonal, where they are zero."""
    return np.where(np.eye(len(a)) == 1, np.add.outer(a, b), np.subtract.outer(a, b))


def diagonal(x, style):
    """AdaIN, with e added to the variances."""
    variances, of_style = (np.diag(added(otherwise(each))) for each in (x, style))
    return (x - x.mean(0)) * np.sqrt(of_style / variances) + style.mean(0)


def together(x, style, *, mean=True, shift=True, power=-0.5, colour=0.5, e=None, rotated=False, order=1):
    """Equations (c) and (f); the keyword-only arguments make mistakes of them."""
    K, K_s = (otherwise(each) for each in (x, style))
    K, K_s = ((e or added)(each) for each in (K, K_s))
    (eigenvalues, V), (eigenvalues_s, V_s) = eigen(K), eigen(K_s)
    with np.errstate(all="ignore"):
        W, R = V * eigenvalues**power, V_s * eigenvalues_s**colour @ V_s.T
    W = W if rotated else W @ V.T
    return (x - mean * x.mean(axis=0)) @ (W @ R if order == 1 else R @ W) + shift * style.mean(axis=0)


def root_with_e(x):
    """The root of the covariance with e."""
    return square_root(added(otherwise(x)))


def added(K):
    """Equation (f)."""
    return K + EPSILON * (1 + np.trace(K) / len(K)) * np.eye(len(K))


def draw_pixels(random, pixels, channels):
    """Pixels whose channels depend on each other, with means of their own."""
    mixed = random.standard_normal((pixels, channels)) @ random.standard_normal((channels, channels))
    return (mixed + 2 * random.standard_normal(channels),)


def draw_matrix(random, channels):
    """A covariance with eigenvalues from 0.2 to 3."""
    V, _ = np.linalg.qr(random.standard_normal((channels, channels)))
    return (V * random.uniform(0.2, 3, channels) @ V.T,)


def draw_backward(random, channels):
    """An upstream gradient that is not symmetric, and a covariance."""
    return random.standard_normal((channels, channels)), *draw_matrix(random, channels)


def draw_pair(random, pixels, channels):
    """Pixels of two pictures."""
    return *draw_pixels(random, pixels, channels), *draw_pixels(random, pixels + 3, channels)


def draw_grey(random, pixels, channels):
    """Pixels of a grey picture, and of one in colours."""
    grey = np.repeat(random.uniform(0, 1, (pixels, 1)), channels, axis=1)
    return grey, *draw_pixels(random, pixels + 3, channels)


def draw_grey_style(random, pixels, channels):
    """The reverse."""
    return draw_grey(random, pixels, channels)[::-1]


def squares_to_it(function, random):
    """S S is K."""
    (K,) = draw_matrix(random, 4)
    S = np.asarray(function(K), float)
    if np.allclose(S @ S, K):
        return None
    return "Your matrix, multiplied with itself, is not K. Root by element, or root by eigenvalue?"


def equal_eigenvalues(function, random):
    """At the identity the gradient is a quarter of g + g^T."""
    g = random.standard_normal((3, 3))
    found = np.asarray(function(g, np.eye(3)), float)
    if np.allclose(found, (g + g.T) / 4):
        return None
    return "For K = I, whose eigenvalues are all equal, the gradient should be (g + g^T)/4. By what do you divide?"


POINTS, K = [[2.0, 2.0], [-2.0, -2.0], [1.0, -1.0], [-1.0, 1.0]], [[2.5, 1.5], [1.5, 2.5]]  # the lesson's
ROOT, GRADIENT = [[1.5, 0.5], [0.5, 1.5]], [[17 / 48, -3 / 48], [-3 / 48, 1 / 48]]

COVARIANCE = Function(
    name="covariance",
    reference=covariance,
    returns="K",
    draw=draw_pixels,
    tests=(
        Worked("the lesson's four points", (POINTS,), K),
        Worked("one channel", ([[14.0], [8.0], [0.0], [6.0]],), [[25.0]]),
        Worked("one pixel", ([[3.0, 4.0]],), [[0.0, 0.0], [0.0, 0.0]]),
        Drawn("three channels with means", (7, 3)),
        Drawn("more channels than pixels", (3, 5)),
    ),
    mistakes={
        "mean-kept": Mistake(
            "That is the Gram matrix, a pixel: what is to be subtracted first?", partial(otherwise, mean=0)
        ),
        "unbiased": Mistake("You divide by M - 1. What does equation (a) divide by?", partial(otherwise, spared=1)),
        "not-averaged": Mistake(
            "Your matrix is M times what it should be: equation (a) has a mean over the pixels.",
            partial(otherwise, size=lambda x: 1),
        ),
        "of-pixels": Mistake(
            "Your matrix has a row for each pixel. Which product of X with itself has one for each channel?",
            lambda x: (x - x.mean(0)) @ (x - x.mean(0)).T / len(x),
        ),
        "mean-of-rows": Mistake(
            "You subtract from each pixel the mean of its own channels. Over what does the mean of a channel run?",
            lambda x: (x - x.mean(1, keepdims=True)).T @ (x - x.mean(1, keepdims=True)) / len(x),
        ),
    },
    hints=(
        "Subtract from each channel its mean over the pixels. Then multiply which two channels, and average over what?",
        "X^T X has the sums of products of two channels over all pixels. Divide by their number.",
        "x.mean(axis=0) is the mean of each channel; len(x) is M.",
    ),
    read='the section "The covariance"',
)

SQUARE_ROOT = Function(
    name="square_root",
    reference=square_root,
    returns="S",
    draw=draw_matrix,
    tests=(
        Worked("the lesson's matrix", (K,), ROOT),
        Worked("a number", ([[9.0]],), [[3.0]]),
        Worked("a diagonal matrix", ([[4.0, 0.0], [0.0, 9.0]],), [[2.0, 0.0], [0.0, 3.0]]),
        Drawn("three channels", (3,)),
        Drawn("six channels", (6,)),
        Property("S S = K", squares_to_it),
    ),
    mistakes={
        "elementwise": Mistake(
            "You take the root of each element. Multiply your matrix with itself: is that K?",
            lambda K: np.sqrt(np.abs(K)),
        ),
        "not-rotated-back": Mistake(
            "Your matrix is V diag(r): the way back from the eigenbasis is missing.",
            lambda K: eigen(K)[1] * np.sqrt(eigen(K)[0]),
        ),
        "transposed": Mistake(
            "V and its transpose are exchanged. The eigenvectors are the columns of what eigh returns.",
            lambda K: eigen(K)[1].T @ np.diag(np.sqrt(eigen(K)[0])) @ eigen(K)[1],
        ),
        "root-missing": Mistake(
            "That is K again: of which numbers are the roots to be taken?",
            lambda K: eigen(K)[1] * eigen(K)[0] @ eigen(K)[1].T,
        ),
        "eigenvalues-alone": Mistake(
            "Your matrix is diagonal: it has the right eigenvalues. Which directions should it stretch?",
            lambda K: np.diag(np.sqrt(eigen(K)[0])),
        ),
        "inverse": Mistake(
            "That is the inverse of the root, W.", lambda K: eigen(K)[1] / np.sqrt(eigen(K)[0]) @ eigen(K)[1].T
        ),
        "cholesky": Mistake(
            "Your matrix times its transpose is K, but it is not symmetric: it is not the root of equation (b).",
            np.linalg.cholesky,
        ),
    },
    hints=(
        "np.linalg.eigh returns the eigenvalues, and a matrix whose columns are the eigenvectors.",
        "Equation (b): into the eigenbasis, stretch by the roots, and back. Each is a matrix product.",
        "V on the left, diag(r), and the transpose of V on the right.",
    ),
    read='the section "The root of a matrix"',
)

BACKWARD = Function(
    name="square_root_backward",
    reference=square_root_backward,
    returns="grad_K",
    draw=draw_backward,
    derivative=Derivative(square_root),  # which takes the symmetric part, so that elements can be moved one by one
    tests=(
        Worked("the lesson's matrix", ([[1.0, 0.0], [0.0, 0.0]], K), GRADIENT),
        Worked("a number: 1 / (2 root)", ([[1.0]], [[9.0]]), [[1 / 6]]),
        Drawn("three channels", (3,)),
        Drawn("six channels", (6,)),
        Property("equal eigenvalues", equal_eigenvalues),
        Verified("the gradient, checked numerically", (4,)),
    ),
    mistakes={
        "not-symmetrised": Mistake(
            "Right for a symmetric gradient. K is symmetric in every change: which part of grad_S counts?",
            partial(divided, symmetric=False),
        ),
        "product-of-roots": Mistake(
            "You divide by the product of two roots. What stands in (d)?", partial(divided, divisor=np.multiply.outer)
        ),
        "sum-of-eigenvalues": Mistake(
            "You divide by the sum of two eigenvalues. What stands in (d)?",
            partial(divided, divisor=lambda a, b: np.add.outer(a**2, b**2)),
        ),
        "differences-of-roots": Mistake(
            "You divide by the difference of two roots, which is 0 on the diagonal. Which sign has the product rule?",
            partial(divided, divisor=np.subtract.outer),
        ),
        "differences-off-diagonal": Mistake(
            "The diagonal of your D is right. Beside it you divide by the difference of two roots. Which sign has the "
            "product rule?",
            partial(divided, divisor=differences),
        ),
        "one-triangle": Mistake(
            "One triangle of the gradient is 0. What is the transpose of dL/dK?",
            lambda grad_S, K: np.tril(square_root_backward(grad_S, K)),
        ),
        "halves": Mistake(
            "You multiply by the sum of the roots. Which equation has to be solved for dS?",
            partial(divided, divisor=lambda a, b: 1 / np.add.outer(a, b)),
        ),
        "diagonal-only": Mistake(
            "You use the diagonal of D alone, as if the eigenvectors did not move.",
            partial(divided, kept=lambda D: np.eye(len(D))),
        ),
        "not-in-eigenbasis": Mistake(
            "You divide grad_S as it is. In which basis is S diagonal?",
            partial(divided, into=lambda V, g: g, back=lambda V, D: D),
        ),
        "not-rotated-back": Mistake(
            "Your D is right. It is in the eigenbasis: what leads back?", partial(divided, back=lambda V, D: D)
        ),
        "transposed": Mistake(
            "V and its transpose are exchanged. Which of them leads into the eigenbasis?",
            partial(divided, into=lambda V, g: V @ g @ V.T, back=lambda V, D: V.T @ D @ V),
        ),
        "elementwise": Mistake(
            "You take the derivative of a number's root, element by element, g / (2 S).",
            lambda grad_S, K: grad_S / (2 * square_root(K)),
        ),
        "inverse-root": Mistake(
            "You divide by 2 r_i, a row at a time, or multiply by the inverse of the root. That is right only where g "
            "has the eigenvectors of K: which two roots belong to element ij?",
            lambda grad_S, K: np.linalg.inv(square_root(K)) @ ((grad_S + grad_S.T) / 2) / 2,
        ),
    },
    hints=(
        "Go into the eigenbasis, where every element has an equation of its own; solve it; go back.",
        "The symmetric part of grad_S, V^T g V, then each element divided by the sum of two roots. r[:, None] + r has "
        "all the sums.",
        "With the transpose of V on the left and V on the right a matrix gets into the eigenbasis; with V on the left "
        "and its transpose on the right it gets out of it.",
    ),
    read='the section "The derivative of the root"',
)

WHITEN = Function(
    name="whiten_and_colour",
    reference=whiten_and_colour,
    returns="y",
    draw=draw_pair,
    tests=(
        Drawn("one channel", (6, 1)),
        Drawn("two channels", (8, 2)),
        Drawn("four channels", (20, 4)),
        Drawn("a grey picture", (9, 3), draw=draw_grey),
        Drawn("a grey style", (9, 3), draw=draw_grey_style),
        Worked(
            "a picture of one number", ([[3.0, 4.0], [3.0, 4.0]], [[1.0, 0.0], [3.0, 2.0]]), [[2.0, 1.0], [2.0, 1.0]]
        ),
    ),
    mistakes={
        "mean-kept": Mistake(
            "The mean of x is still in y. What is whitened, x or X?", lambda x, style: together(x, style, mean=False)
        ),
        "mean-of-content": Mistake(
            "y has the mean of x. Whose mean has a coloured picture?",
            lambda x, style: together(x, style, shift=False) + x.mean(0),
        ),
        "exchanged": Mistake(
            "x and style are exchanged in the two roots. Whose covariance is to be taken out, and whose is to come in?",
            lambda x, style: (x - x.mean(0)) @ np.linalg.inv(root_with_e(style)) @ root_with_e(x) + style.mean(0),
        ),
        "diagonal-only": Mistake(
            "Each channel has the style's deviation, by itself: that is AdaIN. What of the covariances beside the "
            "diagonal?",
            diagonal,
        ),
        "style-mean-missing": Mistake("y lacks the style's mean.", lambda x, style: together(x, style, shift=False)),
        "divided-by-eigenvalues": Mistake(
            "You whiten by the inverse of the covariance. By which root of it does equation (c)?",
            partial(together, power=-1.0),
        ),
        "not-whitened": Mistake("x is coloured, but was not made white.", partial(together, power=0.0)),
        "not-coloured": Mistake("y is white, about the style's mean. What colours it?", partial(together, colour=0.0)),
        "coloured-by-covariance": Mistake(
            "You colour by the style's covariance. By which root of it does equation (c)?",
            partial(together, colour=1.0),
        ),
        "e-missing": Mistake(
            "Right as long as no eigenvalue is small. e is missing, equation (f): try a grey picture.",
            partial(together, e=lambda K: K),
        ),
        "e-without-variance": Mistake(
            "Your e is EPSILON alone. What else does equation (f) have in it?",
            partial(together, e=lambda K: K + EPSILON * np.eye(len(K))),
        ),
        "rotated": Mistake(
            "Your white pixels are those of the eigenbasis: the way back is missing in W.",
            partial(together, rotated=True),
        ),
        "order": Mistake(
            "You colour first and whiten then. Pixels are rows: which matrix stands next to X?",
            partial(together, order=2),
        ),
    },
    hints=(
        "Three steps: subtract the mean, multiply with W, multiply with the root of the style's covariance; then add "
        "the style's mean.",
        "Both covariances get e I before the root is taken. np.linalg.inv makes W of the root.",
        "Pixels are rows, so matrices stand on the right: (x - mean) @ W @ root_of_style + mean_of_style.",
    ),
    read='the sections "Whitening and colouring" and "Eigenvalues of zero"',
)

EXERCISE = Exercise(
    "covariance, the root of a matrix, whitening and colouring",
    (COVARIANCE, SQUARE_ROOT, BACKWARD, WHITEN),
    answers=("scratchnst.ops.matrix_square_root", "scratchnst.ops.whitening"),
)
