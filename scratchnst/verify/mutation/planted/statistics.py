"""Mistakes in what is normalised by statistics: norms, moments, AdaIN, whitening, the matrix square root.

`SINGLE` has rows of name, old text, new text, and the key or pattern of the diagnosis, for each module.
"""

from __future__ import annotations

from scratchnst.verify.mutation.planted.mutant import Mutant, planted

MEAN_PATH, VARIANCE_PATH = " - grad_shift / pixels", " - z * (grad_scale / pixels)"
GRAD_Z = f"grad_z = grad_y{MEAN_PATH}{VARIANCE_PATH}"
FACTOR = "return (scale[:, None, None] * inverse * grad_z)"
KEPT = "(z, scale, inverse)"
OF_PARAMETERS = "return grad_scale, grad_shift\n"
INSTANCE_NORM = (
    ("path through the mean forgotten", GRAD_Z, GRAD_Z.replace(MEAN_PATH, ""), "mean-path-missing"),
    ("path through the variance forgotten", GRAD_Z, GRAD_Z.replace(VARIANCE_PATH, ""), "variance-path-missing"),
    ("mean and variance held fixed", GRAD_Z, "grad_z = grad_y", "statistics-held-fixed"),
    ("path through the variance added", GRAD_Z, GRAD_Z.replace("- z", "+ z"), "variance-path-sign"),
    ("sums, not means", GRAD_Z, GRAD_Z.replace(" / pixels", ""), "sums-not-averaged"),
    (
        "M - 1 in the path through the variance",
        GRAD_Z,
        GRAD_Z.replace("pixels)", "(pixels - 1))"),
        "unbiased-variance",
    ),
    (
        "means over the batch",
        GRAD_Z,
        GRAD_Z.replace("grad_shift", "grad_shift.mean(axis=0)").replace("(grad_scale", "(grad_scale.mean(axis=0)"),
        "means-over-batch",
    ),
    ("scale forgotten", FACTOR, FACTOR.replace("scale[:, None, None] * ", ""), "scale-missing"),
    ("s forgotten", FACTOR, FACTOR.replace("inverse * ", ""), "s-missing"),
    ("divided by the variance", FACTOR, FACTOR.replace("inverse", "inverse**2"), "s-twice"),
    ("x kept in the place of z", KEPT, "(x, scale, inverse)", "not-normalised"),
    ("x - mean kept in the place of z", KEPT, "(centred.astype(x.dtype), scale, inverse)", "not-normalised"),
    ("y kept in the place of z", KEPT, "(y, scale, inverse)", "not-normalised or output-for-normalised"),
    (
        "statistics over the batch on the way back",
        KEPT,
        "((x - x.mean(axis=(0, 1, 2))) / (x.var(axis=(0, 1, 2)) + EPSILON) ** 0.5, scale, "
        "(x.var(axis=(0, 1, 2)) + EPSILON) ** -0.5)",
        "statistics-of-batch",
    ),
    (
        "EPSILON outside of the root on the way back",
        KEPT,
        "((centred / (variance**0.5 + EPSILON)).astype(x.dtype), scale, 1 / (variance**0.5 + EPSILON))",
        "epsilon-outside-root",
    ),
    (
        "scale's gradient averaged over the pixels",
        OF_PARAMETERS,
        "return grad_scale / z[0, ..., 0].size, grad_shift\n",
        "factor 1/(H W)",
    ),
    (
        "scale's gradient summed over the images",
        OF_PARAMETERS,
        "return grad_scale.sum(axis=0) + 0 * grad_scale, grad_shift\n",
        "summed-over-images",
    ),
    (
        "shift's gradient summed over the images",
        OF_PARAMETERS,
        "return grad_scale, grad_shift.sum(axis=0) + 0 * grad_shift\n",
        "summed-over-images",
    ),
    (
        "gradients of scale and shift exchanged",
        OF_PARAMETERS,
        "return grad_shift, grad_scale\n",
        "gradient-of-shift or gradient-of-scale",
    ),
    (
        "shift's gradient of the first row alone",
        OF_PARAMETERS,
        "return grad_scale, grad_y[:, 0].sum(axis=1)\n",
        "first-row-only",
    ),
)
BOTH_PATHS = "grad_mean + grad_deviation * z"
AVERAGED = " / (z.shape[1] * z.shape[2])"
SPARED = " * (z[0, ..., 0].size / (z[0, ..., 0].size - 1))"
Z = "(centred / deviation)"
MOMENTS = (
    ("path through the mean forgotten", BOTH_PATHS, "grad_deviation * z", "mean-path-missing"),
    ("path through the deviation forgotten", BOTH_PATHS, "grad_mean + 0 * z", "deviation-path-missing"),
    ("path through the deviation subtracted", BOTH_PATHS, BOTH_PATHS.replace("+", "-"), "deviation-path-sign"),
    ("gradients exchanged", BOTH_PATHS, "grad_deviation + grad_mean * z", "moments-exchanged"),
    ("sums, not means", AVERAGED, "", "factor H W"),
    (
        "mean's gradient not averaged",
        BOTH_PATHS,
        BOTH_PATHS.replace("grad_mean", "grad_mean * z[0, ..., 0].size"),
        "mean-not-averaged",
    ),
    ("M - 1 in the path through the deviation", BOTH_PATHS, BOTH_PATHS + SPARED, "unbiased-variance"),
    (
        "mean moved in the square of x[j] alone",
        BOTH_PATHS,
        BOTH_PATHS + SPARED.replace("* (", "/ ("),
        "own-square-only",
    ),
    ("derivative of the variance", Z, "(2 * centred)", "gradient-of-variance"),
    ("1/s forgotten", Z, "centred", "s-missing"),
    ("divided by s twice", Z, "(centred / deviation**2)", "s-twice"),
    ("2 of the square forgotten", Z, "(centred / (2 * deviation))", "square-factor-missing"),
    ("1/2 of the root forgotten", Z, "(2 * centred / deviation)", "root-factor-missing"),
    ("mean not subtracted", Z, "(x / deviation)", "not-centred"),
    (
        "EPSILON outside of the root on the way back",
        Z,
        "(centred / (variance**0.5 + EPSILON))",
        "epsilon-outside-root",
    ),
    (
        "statistics over the batch on the way back",
        Z,
        "((x - x.mean(axis=(0, 1, 2))) / (x.var(axis=(0, 1, 2)) + EPSILON) ** 0.5)",
        "statistics-of-batch",
    ),
)
NORM_BACK = "grad_content, grad_scale, grad_shift = instance_norm.backward(grad_y, content_cache)\n"
OF_CONTENT = "    _, scale, inverse = content_cache\n    grad_content = {}.astype(grad_y.dtype)\n"
BOTH_CACHES = "return y, (content_cache, style_cache)"
OF_MOMENTS = "moments.backward(moments.stacked({}), style_cache)"
OF_STYLE = OF_MOMENTS.format("grad_shift, grad_scale")
OF_BOTH = f"return grad_content, {OF_STYLE}"


def of_both(moments: str) -> str:
    """The last line of AdaIN's backward, with other gradients of the moments."""
    return f"return grad_content, {OF_MOMENTS.format(moments)}"


ADAIN = (
    ("dL/dstyle forgotten", OF_BOTH, "return grad_content, 0 * style_cache", "style-missing"),
    ("style's mean held fixed", OF_BOTH, of_both("0 * grad_shift, grad_scale"), "mean-path-missing"),
    ("style's deviation held fixed", OF_BOTH, of_both("grad_shift, 0 * grad_scale"), "deviation-path-missing"),
    ("gradients of the moments exchanged", OF_BOTH, of_both("grad_scale, grad_shift"), "moments-exchanged"),
    (
        "gradients of the moments summed over images",
        OF_BOTH,
        of_both("grad_shift.sum(axis=0)[None], grad_scale.sum(axis=0)[None]"),
        "summed-over-images",
    ),
    (
        "dL/dstyle divided by the content's pixels",
        OF_BOTH,
        OF_BOTH + " * (style_cache[0, ..., 0].size / grad_y[0, ..., 0].size)",
        "content-pixels",
    ),
    (
        "content's moments held fixed",
        NORM_BACK,
        NORM_BACK + OF_CONTENT.format("(scale[:, None, None] * inverse * grad_y)"),
        "statistics-held-fixed",
    ),
    (
        "style's deviation left out",
        NORM_BACK,
        NORM_BACK + OF_CONTENT.format("(grad_content / scale[:, None, None])"),
        "scale-missing",
    ),
    (
        "one deviation for both",
        NORM_BACK,
        NORM_BACK + OF_CONTENT.format("(grad_content / (scale[:, None, None] * inverse))"),
        "deviations-cancelled",
    ),
    (
        "deviations of content and style exchanged",
        NORM_BACK,
        NORM_BACK + OF_CONTENT.format("(grad_content / (scale[:, None, None] * inverse) ** 2)"),
        "content-and-style-exchanged",
    ),
    (
        "y kept in the place of z",
        BOTH_CACHES,
        "return y, ((y, *content_cache[1:]), style_cache)",
        "not-normalised or output-for-normalised",
    ),
    (
        "gradients of content and style exchanged",
        OF_BOTH,
        f"return {OF_STYLE}, grad_content",
        "wrong-shape",
    ),
)
ROOTS = "D = g / (r[:, :, None] + r[:, None, :])"
TURNED = 'g = V.swapaxes(1, 2) @ _symmetric(asnumpy(grad_y).astype("float64")) @ V'
TURNED_BACK = "array_module(grad_y).asarray(V @ D @ V.swapaxes(1, 2), grad_y.dtype)"
KEPT_ROOTS = "(xp.asarray(V), xp.asarray(r))"
MATRIX_SQUARE_ROOT = (
    ("product of the roots, not sum", ROOTS, ROOTS.replace(" + ", " * "), "root-product"),
    ("sum of the eigenvalues, not of the roots", KEPT_ROOTS, KEPT_ROOTS.replace("r)", "r**2)"), "root-eigenvalues"),
    ("twice one of the two roots", ROOTS, "D = g / (2 * r[:, :, None])", "root-commuting"),
    ("factor 2 in the divisor", ROOTS, ROOTS.replace("/ (", "/ 2 / ("), "root-half-twice"),
    (
        "eigenvectors held fixed",
        ROOTS,
        ROOTS + " * np.eye(r.shape[1])",
        "eigenvectors-held-fixed",
    ),
    ("upstream gradient not symmetrised", TURNED, TURNED.replace("_symmetric", ""), "root-not-symmetrised"),
    (
        "S^(-1) g / 2",
        TURNED_BACK,
        "array_module(grad_y).asarray(in_basis(V, 1 / r) @ grad_y / 2, grad_y.dtype)",
        "root-commuting",
    ),
    (
        "element by element",
        TURNED_BACK,
        "array_module(grad_y).asarray(grad_y / (2 * in_basis(V, r)), grad_y.dtype)",
        "root-elementwise",
    ),
    (
        "the first image's gradient for all",
        TURNED,
        TURNED.replace("asnumpy(grad_y)", "asnumpy(grad_y[:1])"),
        "images-first-for-all",
    ),
    (
        "one triangle",
        TURNED_BACK,
        TURNED_BACK.replace("V @ D @ V.swapaxes(1, 2)", "np.tril(V @ D @ V.swapaxes(1, 2))"),
        "root-one-triangle",
    ),
)
CENTRED_GRADIENT = "grad_X - grad_X.mean(axis=1, keepdims=True)"
OF_X = CENTRED_GRADIENT + " + _through_covariance(grad_R, root, X)"
OF_INVERSE = "-(W @ (grad_T @ R_s) @ W)"
OF_MEAN = "grad_mean / S.shape[1]"
OF_STYLE = "_through_covariance(W @ grad_T, style_root, S)"
OF_TRACE = " + EPSILON * _mean_diagonal(grad_K) * _identity(X)"
TWO_PIXELS = "2 / X.shape[1] * (X @ grad_covariance)"
TRANSFORM = "grad_X = g @ (W @ R_s).swapaxes(1, 2)"
WHITENING = (
    ("path through the mean forgotten", CENTRED_GRADIENT, "grad_X", "mean-path-missing"),
    ("path through the covariance forgotten", OF_X, CENTRED_GRADIENT, "covariance-path-missing"),
    ("mean and covariance held fixed", OF_X, "grad_X", "statistics-held-fixed"),
    ("sign of the inverse's derivative", OF_INVERSE, OF_INVERSE[1:], "inverse-sign"),
    ("one inverse root forgotten", OF_INVERSE, "-(W @ (grad_T @ R_s))", "inverse-factor-missing"),
    ("style's root forgotten", OF_INVERSE, "-(W @ grad_T @ W)", "style-root-missing"),
    ("transform not transposed", TRANSFORM, "grad_X = g @ (W @ R_s)", "transform-not-transposed"),
    (
        "content and style exchanged",
        TRANSFORM,
        "grad_X = g @ (np.linalg.inv(R_s) @ np.linalg.inv(W)).swapaxes(1, 2)",
        "content-and-style-exchanged",
    ),
    ("M - 1 on the way back", TWO_PIXELS, TWO_PIXELS.replace("X.shape[1]", "(X.shape[1] - 1)"), "unbiased-covariance"),
    ("factor 2 of the covariance forgotten", TWO_PIXELS, TWO_PIXELS.replace("2 /", "1 /"), "covariance-half"),
    ("sums, not means, of the covariance", TWO_PIXELS, "2 * (X @ grad_covariance)", "covariance-not-averaged"),
    ("trace in e forgotten", OF_TRACE, "", "trace-path-missing"),
    ("path through the style's mean forgotten", OF_MEAN, "0", "mean-path-missing"),
    ("path through the style's covariance forgotten", OF_STYLE, "0 * S", "covariance-path-missing"),
    ("sum over the pixels for the style's mean", OF_MEAN, "grad_mean", "sum-not-averaged"),
    ("content's pixels for the style's mean", OF_MEAN, "grad_mean / X.shape[1]", "pixels-of-content"),
    ("inverse root forgotten on the style's way", OF_STYLE, OF_STYLE.replace("W @ ", ""), "whitening-missing"),
)
SINGLE = {
    "ops.instance_norm": INSTANCE_NORM,
    "ops.moments": MOMENTS,
    "ops.adain": ADAIN,
    "ops.matrix_square_root": MATRIX_SQUARE_ROOT,
    "ops.whitening": WHITENING,
}
SEVERAL: tuple[Mutant, ...] = ()
SOUND: tuple[Mutant, ...] = (
    planted(
        "ops.moments",
        "a variance divided by M - 1, forward and backward",
        (
            (
                "(centred * centred).mean(axis=PIXELS, keepdims=True)",
                "(centred * centred).sum(axis=PIXELS, keepdims=True) / (x[0, ..., 0].size - 1)",
            ),
            (BOTH_PATHS, BOTH_PATHS + SPARED),
        ),
    ),
)
