"""The exercise: a layer's loss with its gradient, the way from images to styles, and a bound."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from scratchnst.classroom.grader import (
    Derivative,
    Drawn,
    Exercise,
    Function,
    Mistake,
    Property,
    Verified,
    Worked,
    with_result,
)
from scratchnst.losses import gram
from scratchnst.verify import check_gradient


def layer_loss(F, P, A, energy, alpha, beta):
    """Equations (a) and (b), one product at a time, and each step reversed."""
    count, positions = len(F), F[0, :, :, 0].size
    G = gram.forward_loops(F) / positions
    loss, grad_F = 0.0, np.zeros(F.shape)
    for n in range(count):
        for index in np.ndindex(F[n].shape):
            difference = F[n][index] - P[n][index]
            loss += alpha * difference**2 / (positions * energy * count)
            grad_F[n][index] += 2 * alpha * difference / (positions * energy * count)
        size = sum(each**2 for each in A[n].ravel())
        grad_G = np.zeros(A[n].shape)
        for index in np.ndindex(A[n].shape):
            difference = G[n][index] - A[n][index]
            loss += beta * difference**2 / (size * count)
            grad_G[index] = 2 * beta * difference / (size * count)
        grad_F[n] += gram.backward_loops(grad_G[np.newaxis] / positions, F[n : n + 1])[0]
    return loss, grad_F


def together(
    F,
    P,
    A,
    energy,
    alpha,
    beta,
    *,
    count=len,
    positions=lambda F: F[0, :, :, 0].size,
    in_content=None,
    in_gram=None,
    size=lambda A, G: (A**2).sum((1, 2), keepdims=True),
    style_of=lambda A: A,
    factors=(2, 4),
    in_gradient=None,
):
    """The same in a few lines; the keyword-only arguments make mistakes of it."""
    M = positions(F)
    N, E = count(F), (in_content or M) * energy
    matrix, A = F.reshape(len(F), -1, F.shape[3]), style_of(A)
    G = matrix.swapaxes(1, 2) @ matrix / (in_gram or M)
    D, A2 = G - A, size(A, G)
    loss = (alpha * np.sum((F - P) ** 2) / E + beta * np.sum(D**2 / A2)) / N
    backwards = in_gradient or in_gram or M
    grad_style = factors[1] * beta / (N * backwards) * (matrix @ (D / A2)).reshape(F.shape)
    return loss, factors[0] * alpha / (N * E) * (F - P) + grad_style


def of_the_gradient(**changes):
    """A mistake in dL/dF alone."""
    return with_result(layer_loss, 1, lambda _, *arguments: together(*arguments, **changes)[1])


def one_gram_for_all(F, P, A, energy, alpha, beta):
    """The images laid below each other, as one tall image with one Gram matrix."""
    count, channels = len(F), F.shape[3]
    M = F[0, :, :, 0].size
    tall = F.reshape(-1, channels)
    D = tall.T @ tall / len(tall) - A
    size = (A**2).sum((1, 2), keepdims=True)
    matrix = F.reshape(count, M, channels)
    loss = (alpha * np.sum((F - P) ** 2) / (M * energy) + beta * np.sum(D**2 / size)) / count
    grad_style = 4 * beta / (count * M) * (matrix @ (D / size)).reshape(F.shape)
    return loss, 2 * alpha / (count * M * energy) * (F - P) + grad_style


def own_energy(F, P, A, energy, alpha, beta):
    """(a) divided by each photograph's own energy."""
    M = F[0, :, :, 0].size
    E = (P**2).sum((1, 2, 3), keepdims=True) / M
    content = np.sum((F - P) ** 2 / E) / M
    rest, grad_rest = together(F, P, A, 1.0, 0.0, beta)
    return rest + alpha * content / len(F), grad_rest + 2 * alpha * (F - P) / (E * M * len(F))


def draw_layer(random, *shape):
    """Features as behind a ReLU, a Gram matrix of other features for each image, and weights."""
    F, P, styles = (np.maximum(random.standard_normal(shape) + 0.3, 0) for _ in range(3))
    A = gram.forward_loops(styles) / (shape[1] * shape[2]) * random.uniform(0.5, 2, (shape[0], 1, 1))
    energy, alpha, beta = random.uniform(0.5, 2), random.uniform(0.5, 2), random.uniform(2, 5)
    return F, P, A, float(energy), float(alpha), float(beta)


def slopes_agree(function, random):
    """The learner's gradient is that of the learner's loss, as far as differences can tell."""
    F, *rest = draw_layer(random, 2, 2, 3, 2)
    report = check_gradient(lambda F: function(F, *rest), F)
    return None if report.passed else "Your gradient is not that of your loss: differences of the loss disagree."


F_HAND, P_HAND, A_HAND = [[[[1.0], [3.0]]]], [[[[2.0], [2.0]]]], [[[4.0]]]  # the lesson's

LAYER = Function(
    name="layer_loss",
    reference=layer_loss,
    returns=("loss", "grad_F"),
    draw=draw_layer,
    tests=(
        Worked(
            "the lesson's two positions, content alone",
            (F_HAND, P_HAND, A_HAND, 4.0, 1.0, 0.0),
            (1 / 4, [[[[-1 / 4], [1 / 4]]]]),
        ),
        Worked(
            "style alone",
            (F_HAND, P_HAND, A_HAND, 4.0, 0.0, 4.0),
            (1 / 4, [[[[1 / 2], [3 / 2]]]]),
        ),
        Worked("both", (F_HAND, P_HAND, A_HAND, 4.0, 1.0, 4.0), (1 / 2, [[[[1 / 4], [7 / 4]]]])),
        Drawn("several channels", (1, 3, 4, 3)),
        Drawn("several images", (3, 3, 2, 2)),
        Drawn("more channels than positions", (2, 1, 2, 4)),
        Drawn("float32 stays float32", (2, 3, 4, 2), dtype="float32"),
        Property("the gradient, checked numerically", slopes_agree),
    ),
    mistakes={
        "sum-over-images": Mistake(
            "You add up the images' losses. L is their mean.", partial(together, count=lambda F: 1)
        ),
        "gradient-not-a-mean": Mistake(
            "The loss is right. Your gradient is that of the sum over the images: what does the mean bring?",
            of_the_gradient(count=lambda F: 1),
        ),
        "mean-over-all-features": Mistake(
            "The content is divided by the number of all features. By what does (a) divide, besides the energy?",
            lambda F, *rest: together(F, *rest, in_content=F[0].size),
        ),
        "positions-missing-in-content": Mistake(
            "The content is not divided by the number of positions.", partial(together, in_content=1)
        ),
        "gram-not-divided": Mistake(
            "Your Gram matrix is a sum over the positions. A is divided by its positions; G must be, too, or a large "
            "crop would have another style than a small one.",
            partial(together, in_gram=1),
        ),
        "gram-over-channels": Mistake(
            "Your Gram matrix is divided by positions and channels. By what does the lesson divide G?",
            lambda F, *rest: together(F, *rest, in_gram=F[0].size),
        ),
        "positions-missing-in-gradient": Mistake(
            "The loss is right. In dL/dF the style's part is too large by the number of positions: G is F^T F "
            "divided by what?",
            of_the_gradient(in_gradient=1),
        ),
        "root-of-size": Mistake(
            "You divide by |A|. (b) has its square.",
            partial(together, size=lambda A, G: np.sqrt((A**2).sum((1, 2), keepdims=True))),
        ),
        "own-size": Mistake(
            "You divide by the size of G. Relative to which of the two is the error in (b)?",
            partial(together, size=lambda A, G: (G**2).sum((1, 2), keepdims=True)),
        ),
        "size-missing": Mistake(
            "Nothing is divided by |A|^2.", partial(together, size=lambda A, G: np.ones((1, 1, 1)))
        ),
        "size-over-batch": Mistake(
            "You divide by |A|^2 of all images together. Each image has a style of its own.",
            partial(together, size=lambda A, G: (A**2).sum()),
        ),
        "elementwise": Mistake(
            "You divide each element of G - A by the element of A there. In (b) |A|^2 is one number, the sum of all "
            "squares.",
            partial(together, size=lambda A, G: A**2),
        ),
        "first-style-for-all": Mistake(
            "All images are compared with the first image's style.", partial(together, style_of=lambda A: A[:1] + 0 * A)
        ),
        "one-gram-for-all": Mistake(
            "You make one Gram matrix of all images together. Which images may a picture's style loss depend on?",
            one_gram_for_all,
        ),
        "own-energy": Mistake(
            "You divide the content by each photograph's own energy. Why does the lesson take one number for all?",
            own_energy,
        ),
        "energy-missing": Mistake(
            "The energy is missing in the content.",
            lambda F, P, A, energy, alpha, beta: together(F, P, A, 1.0, alpha, beta),
        ),
        "weights-not-in-gradient": Mistake(
            "The loss is right. Your gradient has not the weights alpha and beta.",
            with_result(layer_loss, 1, lambda _, F, P, A, energy, alpha, beta: together(F, P, A, energy, 1.0, 1.0)[1]),
        ),
        "weights-exchanged": Mistake(
            "alpha and beta have changed places.",
            lambda F, P, A, energy, alpha, beta: together(F, P, A, energy, beta, alpha),
        ),
        "two-for-four": Mistake(
            "The loss is right. In dL/dF the style's part is half of what it should be. A feature stands in a row of G "
            "and in a column.",
            of_the_gradient(factors=(2, 2)),
        ),
        "twos-missing": Mistake(
            "The loss is right; your gradient is half of the right one. What is the derivative of a square?",
            of_the_gradient(factors=(1, 2)),
        ),
        "content-two-missing": Mistake(
            "The loss is right, and the style's part of the gradient. What is the derivative of the square in (a)?",
            of_the_gradient(factors=(1, 4)),
        ),
        "style-gradient-missing": Mistake(
            "The loss is right. In dL/dF the style's part is missing.", of_the_gradient(factors=(2, 0))
        ),
        "content-gradient-missing": Mistake(
            "The loss is right. In dL/dF the content's part is missing.", of_the_gradient(factors=(0, 4))
        ),
        "uphill": Mistake("The loss is right; the gradient has the wrong sign.", of_the_gradient(factors=(-2, -4))),
    },
    hints=(
        "Make a stack of matrices of F, (N, M, C), with M = H W. Each matrix has a row for each position; its G is the "
        "product of what with what?",
        "swapaxes(1, 2) transposes every matrix of a stack, and @ multiplies stacks matrix by matrix. |A|^2 is one "
        "number for each image: keep its axes, so that it divides (N, C, C).",
        "For dL/dF take (f) and (g) with K = J = 1. From dL/dG to dL/dF it is lesson 10's step: F times dL/dG, twice "
        "since dL/dG is symmetric, and by M, by which G was divided.",
    ),
    read='the section "The loss by the features"',
)


def norm_of_mixture(z, mixture, scales, shifts):
    """The norm's output, one pixel at a time."""
    y = np.zeros(z.shape)
    for n, p, q, c in np.ndindex(*z.shape):
        scale = sum(mixture[n, s] * scales[s, c] for s in range(len(scales)))
        shift = sum(mixture[n, s] * shifts[s, c] for s in range(len(shifts)))
        y[n, p, q, c] = scale * z[n, p, q, c] + shift
    return y


def rows_backward(grad_y, z, mixture):
    """Equation (h), one pixel at a time."""
    grad_scales = np.zeros((mixture.shape[1], z.shape[3]))
    grad_shifts = np.zeros_like(grad_scales)
    for n, p, q, c in np.ndindex(*z.shape):
        for s in range(mixture.shape[1]):
            grad_scales[s, c] += mixture[n, s] * grad_y[n, p, q, c] * z[n, p, q, c]
            grad_shifts[s, c] += mixture[n, s] * grad_y[n, p, q, c]
    return grad_scales, grad_shifts


def of_rows(grad_y, z, mixture, *, pixels=np.sum, share=lambda R: R):
    """Equation (h) in two sums; the keyword-only arguments make mistakes of it."""
    R = share(mixture).T
    return R @ pixels(grad_y * z, axis=(1, 2)), R @ pixels(grad_y, axis=(1, 2))


def largest_share(R):
    """A 1 for the style that an image has most of."""
    return np.eye(R.shape[1])[R.argmax(axis=1)]


def draw_rows(random, count, height, width, channels, styles):
    """An upstream gradient, pixels about as a norm makes them, and mixtures whose shares sum to 1."""
    R = random.uniform(0, 1, (count, styles))
    z = random.standard_normal((count, height, width, channels))
    return random.standard_normal(z.shape) + 0.5, z, R / R.sum(axis=1, keepdims=True)


def draw_training(random, count, height, width, channels, styles):
    """Mixtures as in training: each image in one style, and a style that no image has."""
    grad_y, z, _ = draw_rows(random, count, height, width, channels, styles)
    return grad_y, z, np.eye(styles)[np.arange(count) % (styles - 1)]


def pixels_of(*values):
    """Images of one pixel with one channel."""
    return np.array(values, float).reshape(-1, 1, 1, 1)


ROWS = Function(
    name="rows_backward",
    reference=rows_backward,
    returns=("grad_scales", "grad_shifts"),
    draw=draw_rows,
    derivative=Derivative(
        norm_of_mixture,
        of=(2, 3),
        inputs=lambda z, R: (z, R, np.ones((R.shape[1], z.shape[3])), np.zeros((R.shape[1], z.shape[3]))),
        arguments=lambda z, R, scales, shifts: (z, R),
    ),
    tests=(
        Worked(
            "the lesson's three images, a pixel each",
            (pixels_of(4, 6, 10), pixels_of(1, 2, -1), [[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]),
            ([[4.0 - 5.0], [12.0 - 5.0]], [[9.0], [11.0]]),
        ),
        Drawn("one image, two styles", (1, 3, 4, 2, 2)),
        Drawn("several images and styles", (4, 2, 3, 2, 3)),
        Drawn("as many styles as images", (3, 2, 3, 2, 3)),
        Drawn("each image in one style, as in training", (4, 2, 3, 3, 3), draw=draw_training),
        Drawn("float32 stays float32", (3, 2, 3, 2, 2), dtype="float32"),
        Verified("the gradient, checked numerically", (3, 2, 2, 2, 2)),
    ),
    mistakes={
        "mean-over-images": Mistake(
            "You take means over the images. The mean over the batch is in L already, and in grad_y with it.",
            lambda grad_y, z, R: tuple(each / len(z) for each in rows_backward(grad_y, z, R)),
        ),
        "mean-over-pixels": Mistake(
            "You take means over the pixels of an image. All of them read the same scale: what does the chain rule do "
            "with several paths?",
            partial(of_rows, pixels=np.mean),
        ),
        "mixture-ignored": Mistake(
            "Every style gets the gradient of all images. How much of image n reads style s?",
            partial(of_rows, share=np.ones_like),
        ),
        "largest-share-only": Mistake(
            "Each image counts for the style that it has most of. A mixture has parts of several.",
            partial(of_rows, share=largest_share),
        ),
        "share-of-style": Mistake(
            "You divide by the sum of a style's shares. That would be a mean over its images; (h) has a sum.",
            partial(of_rows, share=lambda R: R / R.sum(axis=0)),
        ),
        "mixture-not-transposed": Mistake(
            "Your mixture is not transposed; it only fits where there are as many styles as images. Over which of its "
            "two indices does (h) sum?",
            lambda grad_y, z, R: of_rows(grad_y, z, R.T) if R.shape[0] == R.shape[1] else rows_backward(grad_y, z, R),
        ),
        "z-missing": Mistake(
            "grad_shifts is right, and grad_scales is the same. By what is a scale multiplied?",
            with_result(rows_backward, 0, lambda _, grad_y, z, R: rows_backward(grad_y, z, R)[1]),
        ),
        "order": Mistake(
            "grad_scales and grad_shifts come in the wrong order.",
            lambda grad_y, z, R: rows_backward(grad_y, z, R)[::-1],
        ),
        "upstream-ignored": Mistake(
            "This would be right if grad_y were 1 everywhere: which of the arguments have you not used?",
            lambda grad_y, z, R: rows_backward(np.ones_like(grad_y), z, R),
        ),
    },
    hints=(
        "Do it in two steps. First, as in lesson 16, the gradient of each image's own scale and shift: arrays (N, C). "
        "Then from these to the styles.",
        "a = mixture @ scales. Write a[n, c] as a sum over s: scales[s, c] is in a[n, c] with the factor "
        "mixture[n, s]. What arrives from several n is added up.",
        "A sum over n of mixture[n, s] times something[n, c] is a matrix product. Which of the two has to be "
        "transposed, so that the inner index is n?",
    ),
    read='the section "From images to styles"',
)


def bounded(grad_w, grad_b, bound):
    """One number at a time."""
    norm = math.sqrt(sum(float(number) ** 2 for array in (grad_w, grad_b) for number in array.ravel()))
    factor = bound / norm if norm > bound else 1.0
    return factor * grad_w, factor * grad_b


def scaled(grad_w, grad_b, bound, *, norm=lambda w, b: math.hypot(_norm(w), _norm(b)), always=False):
    """The same in a line; the keyword-only arguments make mistakes of it."""
    factor = bound / norm(grad_w, grad_b)
    factor = factor if always else min(1.0, factor)
    return factor * grad_w, factor * grad_b


def _norm(array):
    return float(np.sqrt(np.sum(array.astype(float) ** 2)))


def each_alone(grad_w, grad_b, bound):
    """Each array bounded on its own."""
    return tuple(min(1.0, bound / max(_norm(array), 1e-30)) * array for array in (grad_w, grad_b))


def draw_gradients(random, shape, norm, bound):
    """A kernel's and a bias's gradient whose norm, as one vector, is `norm`."""
    w, b = random.standard_normal(shape), random.standard_normal(shape[-1:])
    size = math.hypot(_norm(w), _norm(b)) / norm
    return w / size, b / size, bound


def zeros_stay(function, random):
    """No division of 0 by 0."""
    got = function(np.zeros((3, 3, 2, 4)), np.zeros(4), 30.0)
    if not any(np.any(each) for each in got):
        return None
    return "Gradients of zeros alone, as those of a style that no image has, come back as something else."


def large_in_float32(function, random):
    """Squares beyond what float32 can hold."""
    w, b, bound = draw_gradients(random, (3, 3, 2, 4), 1e25, 30.0)
    got = function(w.astype(np.float32), b.astype(np.float32), bound)
    norm = math.hypot(*(_norm(np.asarray(each)) for each in got))
    if abs(norm - bound) < 1e-3 * bound:
        return None
    return (
        f"Gradients in float32 with a norm of 1e25, as the lesson's crop of one colour makes them, come back with a "
        f"norm of {norm:.3g}, where the bound is {bound:g}. What is 1e25 squared, and which is the largest float32?"
    )


KERNEL = (3, 3, 2, 4)
BOUNDED = Function(
    name="bounded",
    reference=bounded,
    returns=("bounded_w", "bounded_b"),
    draw=draw_gradients,
    tests=(
        Worked("3 and 4, and a bound of 1", ([[3.0]], [4.0], 1.0), ([[0.6]], [0.8])),
        Worked("3 and 4, and a bound of 10", ([[3.0]], [4.0], 10.0), ([[3.0]], [4.0])),
        Drawn("a kernel and its bias", (KERNEL, 90.0, 30.0)),
        Drawn("a norm just below the bound", (KERNEL, 29.9, 30.0)),
        Drawn("float32 stays float32", (KERNEL, 90.0, 30.0), dtype="float32"),
        Property("nothing but zeros", zeros_stay),
        Property("very large numbers in float32", large_in_float32),
    ),
    mistakes={
        "each-alone": Mistake(
            "Each of the two arrays is bounded on its own. That turns the gradient as a whole; what is |g| in the "
            "lesson?",
            each_alone,
        ),
        "numbers-cut-off": Mistake(
            "You cut off single numbers. That turns the gradient: which direction has (3, 4), and which has (1, 1)?",
            lambda w, b, bound: (w.clip(-bound, bound), b.clip(-bound, bound)),
        ),
        "always-scaled": Mistake(
            "A gradient that is small comes back larger. What does the minimum in the lesson's formula do?",
            partial(scaled, always=True),
        ),
        "scaled-to-one": Mistake(
            "A gradient that is too large comes back with the norm 1. Which norm should it have?",
            lambda w, b, bound: bounded(w, b, 1.0) if math.hypot(_norm(w), _norm(b)) > bound else (w, b),
        ),
        "square-for-norm": Mistake(
            "You compare the sum of the squares with the bound. |g| is its root.",
            partial(scaled, norm=lambda w, b: _norm(w) ** 2 + _norm(b) ** 2),
        ),
        "norms-added": Mistake(
            "You add the norms of the two arrays. What has to be added up before the root?",
            partial(scaled, norm=lambda w, b: _norm(w) + _norm(b)),
        ),
        "largest-number": Mistake(
            "You take the largest number for the norm.",
            partial(scaled, norm=lambda w, b: max(np.abs(w).max(), np.abs(b).max())),
        ),
        "mean-square": Mistake(
            "You take the root of the mean of the squares. The norm is that of their sum.",
            partial(scaled, norm=lambda w, b: math.sqrt((_norm(w) ** 2 + _norm(b) ** 2) / (w.size + b.size))),
        ),
        "larger-norm": Mistake(
            "You take the larger of the two norms. Both arrays together are one vector.",
            partial(scaled, norm=lambda w, b: max(_norm(w), _norm(b))),
        ),
        "kernel-only": Mistake("The bias comes back as it was.", with_result(bounded, 1, lambda _, w, b, bound: b)),
        "set-to-zero": Mistake(
            "A gradient that is too large becomes 0. It has a direction that is of use.",
            lambda w, b, bound: (0 * w, 0 * b) if math.hypot(_norm(w), _norm(b)) > bound else (w, b),
        ),
        "order": Mistake("The two results come in the wrong order.", lambda w, b, bound: bounded(w, b, bound)[::-1]),
    },
    hints=(
        "One number first: the norm of all elements of both arrays, as if they were one long vector. Then one factor "
        "for both.",
        "The square of that norm is the sum of the squares of all elements of both arrays. The factor is 1 where the "
        "norm is small enough.",
        "float32 ends at 3e38: square in float64. And for a norm of 0 there is nothing to divide by.",
    ),
    read='the section "How far a step goes"',
)

EXERCISE = Exercise(
    "a layer's loss, the way from images to styles, and a bound",
    (LAYER, ROWS, BOUNDED),
    answers=("scratchnst.training.perceptual_loss", "scratchnst.training.style_training", "scratchnst.losses.gram"),
)
