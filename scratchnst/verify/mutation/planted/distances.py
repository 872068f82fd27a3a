"""Mistakes in the losses that are options: style losses by transport, absolute total variation, Laplacian loss.

`SINGLE` has rows of name, old text, new text, and the key or pattern of the diagnosis, for each module.
"""

from __future__ import annotations

from scratchnst.verify.mutation.planted.mutant import Mutant

NO_PATTERN = "deviates at|right but in"
OF_GRAM = "gram.backward(grad_y[:, :-1, :-1], cache)"
OF_SUMS = "        grad_x += (grad_y[:, :-1, -1] + grad_y[:, -1, :-1])[:, None, None]\n"
MOMENT_MATRIX = (
    ("sums left out", OF_SUMS, "", "sums-missing"),
    ("sums from the column alone", OF_SUMS, OF_SUMS.replace(" + grad_y[:, -1, :-1]", ""), "sums-once"),
    ("sums from the row alone", OF_SUMS, OF_SUMS.replace("grad_y[:, :-1, -1] + ", ""), "sums-once"),
    ("products left out", OF_GRAM, "0 * cache", "products-missing"),
    ("products half", OF_GRAM, OF_GRAM.replace("cache", "cache / 2"), "", NO_PATTERN),
    ("last channel for the first", OF_GRAM, OF_GRAM.replace("[:, :-1, :-1]", "[:, 1:, 1:]"), "", NO_PATTERN),
)
FACTOR = "factor = grad_y / mean.shape[1]"
SQUARE_OF_MEAN = " - 2 * mean * grad_variance"
ROOT = "grad_variance = factor * of_deviation / deviation"
MOMENTS_STYLE_LOSS = (
    ("mean held fixed in the variance", SQUARE_OF_MEAN, "", "not-centred"),
    ("means not compared", "2 * factor * of_mean - 2", "0 * factor * of_mean - 2", "mean-path-missing"),
    ("deviations not compared", ROOT, ROOT.replace("factor *", "0 * factor *"), "spread-path-missing"),
    ("upstream gradient left out", FACTOR, "factor = 1 / mean.shape[1]", "factor 1/grad_y"),
    ("not divided by the channels", FACTOR, "factor = grad_y", "factor N"),
    ("2 of the square missing", FACTOR, FACTOR.replace("grad_y", "grad_y / 2"), "square-factor-missing"),
    ("derivative of the variance", ROOT, ROOT.replace(" / deviation", ""), "", NO_PATTERN),
    (
        "style not subtracted",
        "of_mean, of_deviation)\n\n\ndef distance_backward",
        "mean, deviation)\n\n\ndef distance_backward",
        "target-not-subtracted",
    ),
)
OF_P = "grad_P = matrix_square_root.backward(-2 * factor * identity, root_cache)"
OF_K = "grad_K = factor * identity + R @ grad_P @ R"
OF_CHANNELS = "factor = grad_y / channels"
SQUARE_OF_MEANS = " - 2 * (grad_K @ mean[:, :, None])[:, :, 0]"
WASSERSTEIN_STYLE_LOSS = (
    ("mean held fixed in the covariance", SQUARE_OF_MEANS, "", "not-centred"),
    ("means not compared", "2 * factor * of_mean - 2", "0 * factor * of_mean - 2", "mean-path-missing"),
    ("cross term left out", OF_K, "grad_K = factor * identity + 0 * grad_P", "spread-not-compared"),
    ("covariances not compared", OF_K, "grad_K = 0 * grad_P", "spread-path-missing"),
    ("upstream gradient left out", OF_CHANNELS, "factor = 1 / channels", "factor 1/grad_y"),
    ("2 of the square missing", OF_CHANNELS, OF_CHANNELS.replace("grad_y", "grad_y / 2"), "square-factor-missing"),
    ("2 before tr Q missing", OF_P, OF_P.replace("-2 *", "-1 *"), "", NO_PATTERN),
    ("R on one side", OF_K, OF_K.replace(" @ R", ""), "", NO_PATTERN),
    ("trace left out", OF_K, OF_K.replace("factor * identity + ", ""), "", NO_PATTERN),
)
BACK = "return grad_y @ array_module(grad_y).asarray(directions(grad_y.shape[3]).T, grad_y.dtype)"
PROJECTIONS = (
    ("directions not transposed", BACK, BACK.replace(".T,", ","), "", NO_PATTERN),
    ("not projected back", BACK, "return grad_y * 1", "unchanged"),
    ("sign", BACK, BACK.replace("return ", "return -"), "sign"),
    ("half", BACK, BACK.replace("return ", "return 0.5 * "), "half"),
    (
        "the first image's gradient for all",
        BACK,
        BACK.replace("return grad_y", "return 0 * grad_y + grad_y[:1]"),
        "first-for-all",
    ),
)
BY_SIZE = "return difference * difference.dtype.type(2 * grad_y / difference[0].size)"
RETURNED = "/ (channels * pixels)), difference"
SLICED_STYLE_LOSS = (
    ("2 of the square missing", BY_SIZE, BY_SIZE.replace("2 * grad_y", "grad_y"), "square-factor-missing"),
    ("upstream gradient left out", BY_SIZE, BY_SIZE.replace("2 * grad_y", "2"), "factor 1/grad_y"),
    ("not divided by the positions", BY_SIZE, BY_SIZE.replace("difference[0].size", "difference.shape[3]"), "factor M"),
    ("style not subtracted", RETURNED, RETURNED.replace("difference", "S"), "target-not-subtracted"),
    ("ranks reversed", RETURNED, "/ (channels * pixels)), difference[:, ::-1]", "reversed"),
    ("reversed", BY_SIZE, BY_SIZE.replace("return ", "return -"), "sign"),
)
DOWN = "    grad_x[:, 1:] += down\n    grad_x[:, :-1] -= down\n"
RIGHT = "    grad_x[:, :, 1:] += right\n    grad_x[:, :, :-1] -= right\n"
SIGNS = "map(xp.sign, differences(x))"
ABSOLUTE_VARIATION = (
    ("differences for signs", SIGNS, "differences(x)", "squared-differences"),
    ("sign", "type(grad_y)", "type(-grad_y)", "sign"),
    ("upstream gradient left out", "type(grad_y)", "type(1)", "factor 1/grad_y"),
    ("differences along the rows left out", RIGHT, "", "axis-missing"),
    ("starts left out", "    grad_x[:, :-1] -= down\n", "", "one-end-missing"),
    ("sign along the rows", RIGHT, RIGHT.replace("right", "(-right)"), "axis-sign"),
    ("magnitudes for signs", SIGNS, "map(abs, differences(x))", "", NO_PATTERN),
)
MEAN_SLOPE = "g = d * d.dtype.type(2 * grad_y / count(d))"
CENTRES = "    grad_a[CENTRE] += 4 * g\n"
LAPLACIAN_LOSS = (
    ("2 of the square missing", MEAN_SLOPE, MEAN_SLOPE.replace("2 * grad_y", "grad_y"), "half"),
    ("upstream gradient left out", MEAN_SLOPE, MEAN_SLOPE.replace("2 * grad_y", "2"), "factor 1/grad_y"),
    ("centres left out", CENTRES, "", "", NO_PATTERN),
    ("neighbours added", "        grad_a[neighbour] -= g\n", "        grad_a[neighbour] += g\n", "", NO_PATTERN),
    ("neighbours left out", "        grad_a[neighbour] -= g\n", "        pass\n", "", NO_PATTERN),
    (
        "channels averaged",
        "grad_a.repeat(shape_of_x[3], axis=3)",
        "grad_a.repeat(shape_of_x[3], axis=3) / 3",
        "factor 1/shape[3]",
    ),
)
SINGLE = {
    "losses.moment_matrix": MOMENT_MATRIX,
    "losses.moments_style_loss": MOMENTS_STYLE_LOSS,
    "losses.wasserstein_style_loss": WASSERSTEIN_STYLE_LOSS,
    "losses.projections": PROJECTIONS,
    "losses.sliced_style_loss": SLICED_STYLE_LOSS,
    "losses.absolute_variation": ABSOLUTE_VARIATION,
    "losses.laplacian_loss": LAPLACIAN_LOSS,
}
SEVERAL: tuple[Mutant, ...] = ()
SOUND: tuple[Mutant, ...] = ()
