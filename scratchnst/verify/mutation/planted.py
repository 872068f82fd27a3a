"""Planted mistakes: small, realistic changes to the textbook, each of which a gradient check has to catch.

They are patches of the source text and share no code with `scratchnst.verify.diagnosis.mistakes`.  Some show in one
element only, or only in odd heights, for several images, in float32 or for large images.  Those in `SOUND` change
forward and backward alike and are no mistakes: they must pass.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """A change to one module of the package.

    Attributes
    ----------
    module : "ops.relu", within the package
    name : of the operation, or the module, and what was done
    patches : (old, new) text; each `old` stands in the module's source exactly once
    key : of the diagnosis that names it; empty for a mistake that has no name
    words : a pattern that the report of a mistake without a name must match
    """

    module: str
    name: str
    patches: tuple[tuple[str, str], ...]
    key: str = ""
    words: str = ""


def planted(module: str, name: str, patches: tuple[tuple[str, str], ...], key: str = "", words: str = "") -> Mutant:
    """Return the mutant of a module, whose name begins with the module's."""
    return Mutant(module, f"{module.rpartition('.')[2]}: {name}", patches, key, words)


CONVOLVE = "return _convolve(grad_y, {})"
BACK = CONVOLVE.format("w[::-1, ::-1].swapaxes(2, 3)")
PAD = "array_module(w).pad(grad_y, ((0, 0), {}, {}, (0, 0)))"
SUM = "grad_y.sum(axis=(0, 1, 2))"
GRAD_W = "return grad_w.reshape(w.shape), "
CONV2D = (
    ("kernel not flipped", BACK, CONVOLVE.format("w.swapaxes(2, 3)"), "kernel-not-flipped"),
    ("kernel flipped along rows only", BACK, CONVOLVE.format("w[::-1].swapaxes(2, 3)"), "kernel-columns-not-flipped"),
    (
        "kernel flipped along columns only",
        BACK,
        CONVOLVE.format("w[:, ::-1].swapaxes(2, 3)"),
        "kernel-rows-not-flipped",
    ),
    ("kernel transposed, not flipped", BACK, CONVOLVE.format("w.transpose(1, 0, 3, 2)"), "kernel-transposed"),
    (
        "channels of the kernel reshaped, not exchanged",
        BACK,
        CONVOLVE.format("w[::-1, ::-1].reshape(*w.shape[:2], w.shape[3], w.shape[2])"),
        "channels-reshaped",
    ),
    (
        "padding one row too high",
        BACK,
        f"grad_y = {PAD.format('(1, 0)', '(0, 0)')}[:, :-1]\n    {BACK}",
        "padding-off-by-one",
    ),
    (
        "padding one column too far to the left",
        BACK,
        f"grad_y = {PAD.format('(0, 0)', '(0, 1)')}[:, :, 1:]\n    {BACK}",
        "padding-off-by-one",
    ),
    (
        "gradient of the border lost",
        BACK,
        "g = array_module(w).zeros_like(grad_y)\n    g[:, 1:-1, 1:-1] = grad_y[:, 1:-1, 1:-1]\n    "
        + BACK.replace("grad_y", "g"),
        "border-outputs-lost",
    ),
    ("one tap forgotten", BACK, "w = w.copy()\n    w[0, 0] = 0\n    " + BACK, "tap-missing"),
    ("dL/dw of the last image only", "grad_w += windows.T", "grad_w[...] = windows.T", "last-image-only"),
    (
        "dL/dw with the first image's upstream gradient for all",
        "windows.T @ grad_y[image, rows]",
        "windows.T @ grad_y[0, rows]",
        "images-first-for-all",
    ),
    ("dL/dw flipped", GRAD_W, GRAD_W.replace("shape),", "shape)[::-1, ::-1],"), "kernel-gradient-flipped"),
    ("dL/dw averaged over the images", GRAD_W, GRAD_W.replace(", ", " / x.shape[0], "), "half or factor 1/images"),
    ("dL/dw without one tap", GRAD_W, "grad_w[-w.shape[2] :] = 0\n    " + GRAD_W, "tap-missing"),
    ("dL/db averaged, not summed", SUM, "grad_y.mean(axis=(0, 1, 2))", "factor 1/(images H W)"),
    ("dL/db of one image only", SUM, "grad_y[0].sum(axis=(0, 1))", "bias-first-image-only"),
    (
        "dL/dw with rows and columns of windows exchanged",
        "strips(_padded(x, kh, kw), kh, kw)",
        "strips(_padded(x, kw, kh), kw, kh)",
        "",
        "right but in every kernel row but 2",
    ),
    (
        "dL/dw a hundredth too large, in float32 only",
        GRAD_W,
        "grad_w *= 1 + 1e-2 * (x.dtype == 'float32')\n    " + GRAD_W,
        "factor 1.01",
    ),
    (
        "dL/dw of the first 2048 pixels only",
        "grad_w += windows.T",
        "grad_w += (rows.start == 0) * windows.T",
        "",
        "matches no mistake that is known here",
    ),
    ("backward hands on grad_y's own memory, changed", BACK, "grad_y *= 2\n    " + BACK, "", "changes the upstream"),
)
MASK = "return grad_y * (y > 0)"
RELU = (
    ("mask missing", MASK, "return grad_y.copy()", "mask-missing"),
    ("mask of the upstream gradient", MASK, "return grad_y * (grad_y > 0)", "mask-from-upstream"),
    ("mask of both", MASK, "return grad_y * (y > 0) * (grad_y > 0)", "mask-from-both"),
    (">= of the output, always true", MASK, "return grad_y * (y >= 0)", "mask-missing"),
    ("mask inverted", MASK, "return grad_y * (y <= 0)", "mask-inverted"),
    ("output for slope", MASK, "return grad_y * y", "value-for-slope"),
    ("slope without the upstream gradient", MASK, "return (y > 0).astype(y.dtype)", "upstream-ignored"),
    ("slope of a leaky ReLU", MASK, "return array_module(y).where(y > 0, grad_y, 0.01 * grad_y)", "leaky"),
    ("gradient in float32", MASK, "return (grad_y * (y > 0)).astype('float32')", "float32-round-off"),
)
SQUARE = "for i in {}:\n        for j in {}:\n            grad_x"
PIXELS = SQUARE.format((0, 1), (0, 1))
QUARTER = "quarter = grad_y * grad_y.dtype.type(1 / 4)"
AVERAGE_POOL = (
    ("factor 1/4 missing", QUARTER, "quarter = grad_y", "average-factor"),
    ("factor 1/2 in its place", QUARTER, "quarter = grad_y / 2", "average-factor"),
    ("factor off by 4e-8", QUARTER, "quarter = grad_y * (1 / 4 + 1e-8)", "factor 1 + 4e-08"),
    ("factor 1/4 twice", QUARTER, "quarter = grad_y / 16", "average-factor-twice"),
    ("one pixel of four", PIXELS, SQUARE.format((0,), (1,)), "one-corner-only"),
    ("one row of two", PIXELS, SQUARE.format((0,), (0, 1)), "half-of-square-only"),
    ("odd last row not zero", ".zeros(shape, grad_y.dtype)", ".ones(shape, grad_y.dtype)", "left-over-not-zero"),
    (
        "one element off by a millionth",
        "= quarter\n    return grad_x\n",
        "= quarter\n    grad_x[0, 0, 1, 0] *= 1 + 1e-6\n    return grad_x\n",
        "",
        r"at one element, \[0, 0, 1, 0\]",
    ),
    (
        "the first image's gradient for all",
        QUARTER,
        QUARTER.replace("grad_y *", "grad_y[:1] *"),
        "images-first-for-all",
    ),
)
LARGER = "larger = corners[number] > y"
WINNER = "corner[...] = grad_y * (winner == number)"
MAX_POOL = (
    ("all four pixels get it", WINNER, "corner[...] = grad_y", "all-take-it"),
    ("shared evenly", WINNER, "corner[...] = grad_y / 4", "shared-evenly"),
    ("always the first pixel", WINNER, "corner[...] = grad_y * (number == 0)", "one-corner-only"),
    (
        "row and column of the winner exchanged",
        WINNER,
        "corner[...] = grad_y * (winner == number // 2 + number % 2 * 2)",
        "winner-transposed",
    ),
    ("a smaller one wins", LARGER, LARGER.replace(">", "<"), "", "deviates|right but"),
    ("compared with the first pixel only", LARGER, LARGER.replace("y", "corners[0]"), "", "deviates|right but"),
    ("odd last row not zero", ".zeros(shape, grad_y.dtype)", ".ones(shape, grad_y.dtype)", "left-over-not-zero"),
)
FOLDED = "folded = fold(grad_y, rows)"
COLUMNS = "return fold(folded.swapaxes(1, 2), columns).swapaxes(1, 2)"
FIRST = "grad_x[:, 1 : margin + 1] += grad_y[:, :margin][:, ::-1]"
SECOND = "grad_x[:, length - 1 - margin : length - 1] += grad_y[:, end:][:, ::-1]"
INSIDE = "return grad_y[:, rows : grad_y.shape[1] - rows, columns : grad_y.shape[2] - columns].copy()"
REFLECTION_PAD = (
    ("what was added cropped away", COLUMNS, INSIDE, "mirrors-not-added"),
    (
        "columns cropped away",
        COLUMNS,
        "return folded[:, :, columns : grad_y.shape[2] - columns].copy()",
        "columns-not-folded",
    ),
    ("rows cropped away", FOLDED, "folded = grad_y[:, rows : grad_y.shape[1] - rows]", "rows-not-folded"),
    ("first mirror left out", FIRST, "pass", "one-mirror-missing"),
    ("second mirror left out", SECOND, "pass", "one-mirror-missing"),
    ("first mirror assigned", FIRST, FIRST.replace("+=", "="), "assigned-not-added"),
    ("second mirror assigned", SECOND, SECOND.replace("+=", "="), "assigned-not-added"),
    (
        "the first image's gradient for all",
        FOLDED,
        FOLDED.replace("grad_y", "np.broadcast_to(grad_y[:1], grad_y.shape)"),
        "images-first-for-all",
    ),
    ("first mirror one pixel too far", FIRST, FIRST.replace("1 : margin + 1", ":margin"), "", "right but in|deviates"),
)
TWO_ROWS = "    grad_x += grad_y[:, 1::2, 0::2]\n    grad_x += grad_y[:, 1::2, 1::2]\n"
SUMMED = TWO_ROWS + "    return grad_x\n"
UPSAMPLE = (
    ("averaged, not summed", SUMMED, SUMMED.replace("return grad_x", "return grad_x / 4"), "mean-for-sum"),
    ("one pixel of four", SUMMED, "    return grad_y[:, 1::2, 0::2].copy()\n", "one-corner-only"),
    ("one row of two", TWO_ROWS, "", "half-of-square-only"),
    ("three pixels of four", TWO_ROWS, TWO_ROWS[: TWO_ROWS.index("\n") + 1], "one-corner-missing"),
    (
        "largest of the four",
        SUMMED,
        "    return np.max([grad_y[:, i::2, j::2] for i in (0, 1) for j in (0, 1)], axis=0)\n",
        "largest-of-square",
    ),
    ("images of grad_y in reverse", SUMMED, SUMMED.replace("return grad_x", "return grad_x[::-1]"), "images-mixed-up"),
    (
        "quarters of the image added, not squares",
        SUMMED,
        "    count, height, width, channels = grad_x.shape\n"
        "    return grad_y.reshape(count, 2, height, 2, width, channels).sum((1, 3))\n",
        "tiled",
    ),
)
TRANSPOSED = "return convolve(spread, w[::-1, ::-1].swapaxes(2, 3))"
SPREAD = "spread[:, kh - 1 : height : stride, kw - 1 : width : stride] = grad_y"
STRIPS = "strips(x, kh, kw, stride)"
STRIDED_CONV2D = (
    ("kernel not flipped", TRANSPOSED, TRANSPOSED.replace("[::-1, ::-1]", ""), "kernel-not-flipped"),
    (
        "kernel flipped along rows only",
        TRANSPOSED,
        TRANSPOSED.replace("[::-1, ::-1]", "[::-1]"),
        "kernel-columns-not-flipped",
    ),
    (
        "zeros not put between",
        SPREAD,
        "spread[:, kh - 1 : kh - 1 + grad_y.shape[1], kw - 1 : kw - 1 + grad_y.shape[2]] = grad_y",
        "stride-forgotten",
    ),
    (
        "repeated where zeros belong",
        SPREAD,
        "grad_y = grad_y.repeat(stride, 1).repeat(stride, 2)[:, : height - kh + 1, : width - kw + 1]\n"
        "    spread[:, kh - 1 : height, kw - 1 : width] = grad_y",
        "repeated-not-spread",
    ),
    (
        "spread out one row too low",
        SPREAD,
        SPREAD.replace("kh - 1 : height :", "kh : height + 1 :"),
        "spread-off-by-one",
    ),
    ("one tap forgotten", TRANSPOSED, "w = w.copy()\n    w[1, 0] = 0\n    " + TRANSPOSED, "tap-missing"),
    (
        "a row that no window reads not zero",
        TRANSPOSED,
        TRANSPOSED.replace("return", "grad_x =")
        + "\n    grad_x[:, :, stride * (grad_y.shape[2] - 1) + kw :] = 1\n    return grad_x",
        "unread-not-zero",
    ),
    (
        "stride forgotten in dL/dw",
        STRIPS,
        "strips(x[:, : grad_y.shape[1] + kh - 1, : grad_y.shape[2] + kw - 1], kh, kw)",
        "stride-forgotten",
    ),
    ("dL/dw of the last image only", "grad_w += windows.T", "grad_w[...] = windows.T", "last-image-only"),
    ("dL/dw flipped", GRAD_W, GRAD_W.replace("shape),", "shape)[::-1, ::-1],"), "kernel-gradient-flipped"),
    ("dL/db averaged, not summed", SUM, "grad_y.mean(axis=(0, 1, 2))", "factor 1/(images H W)"),
)
ORDER = "grad_x[..., list(ORDERS[channels])] = grad_y * factor"
PREPROCESS = (
    ("channel order not reversed", ORDER, "grad_x[...] = grad_y * factor", "channel-order-not-reversed"),
    ("std in the order of x", ORDER, ORDER + "[::-1]", "factor-in-wrong-order"),
    ("not divided by std", "(channels, factor)\n\n", "(channels, xp.asarray(scale, x.dtype))\n\n", "std-not-divided"),
    ("scale left out", "(channels, factor)\n\n", "(channels, factor / scale)\n\n", "scale"),
    ("divided by std twice", ORDER, ORDER + " * factor", "std-divided-twice"),
)
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
SHARES = "return grad_y.copy(), grad_y.copy()"
ADDITION = (
    ("shared evenly", SHARES, "return grad_y / 2, grad_y / 2", "shared-evenly"),
    ("that of a subtraction", SHARES, "return grad_y.copy(), -grad_y", "subtracted"),
    ("b left out", SHARES, "return grad_y.copy(), 0 * grad_y", "one-input-only"),
    ("images in another order", SHARES, "return grad_y.copy(), grad_y[::-1].copy()", "images-mixed-up"),
    ("upstream gradient left out", SHARES, "return grad_y.copy(), 0 * grad_y + 1", "upstream-ignored"),
    ("one array for both", SHARES, "return (grad_y.copy(),) * 2", "", "one array as the gradients of a and b"),
)
HALVES = "(F @ (grad_y + grad_y.swapaxes(1, 2)))"
GRAM = (
    ("not symmetrised", HALVES, "(F @ grad_y)", "gram-not-symmetrised"),
    ("transposed", HALVES, "(F @ grad_y.swapaxes(1, 2))", "gram-transposed"),
    ("taken as symmetric", HALVES, "(2 * F @ grad_y)", "gram-taken-as-symmetric"),
    ("halves averaged", HALVES, f"({HALVES} / 2)", "gram-half"),
    (
        "diagonal counted once",
        HALVES,
        "(F @ ((grad_y + grad_y.swapaxes(1, 2)) * (1 - 0.5 * np.eye(F.shape[2]))))",
        "gram-diagonal-once",
    ),
    ("divided by M", HALVES, f"({HALVES} / F.shape[1])", "factor 1/M"),
    ("divided by N M", HALVES, f"({HALVES} / F[0].size)", "factor 1/(N M)"),
    ("reshaped without transposing back", HALVES, HALVES + ".swapaxes(1, 2)", "gram-not-transposed-back"),
    (
        "upstream gradients of all images added up",
        HALVES,
        "(F @ (grad_y + grad_y.swapaxes(1, 2)).sum(axis=0))",
        "gram-of-summed-images",
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
DIFFERENCE = "return difference * difference.dtype.type(grad_y)"
CONTENT_LOSS = (
    ("1/2 missing", DIFFERENCE, DIFFERENCE + " * 2", "half-missing"),
    ("upstream gradient left out", DIFFERENCE, "return difference * 1", "factor 1/grad_y"),
    ("sign", DIFFERENCE, DIFFERENCE.replace("return ", "return -"), "difference-reversed"),
    ("averaged, not summed", DIFFERENCE, DIFFERENCE + " / difference.size", "factor 1/(N M images)"),
    ("masked here already", '"float64")), difference\n', '"float64")), difference * (F > 0)\n', "masked-here"),
    ("P not subtracted", '"float64")), difference\n', '"float64")), F\n', "target-not-subtracted"),
    (
        "equation 2 with >=",
        "where(F > 0, F - P,",
        "where(F >= 0, F - P,",
        "",
        "elements where x < 0, where it should be 0",
    ),
)
NORM = "return difference * difference.dtype.type(grad_y / (2 * norm))"
STYLE_LOSS = (
    ("a factor 2 too many", NORM, NORM.replace("2 * norm", "norm"), "quarter-half-taken"),
    ("factor 2 of the square missing", NORM, NORM.replace("2 * norm", "4 * norm"), "factor-2-missing"),
    (
        "factor 2 of the symmetric Gram matrix missing",
        "return gram.backward(distance_backward(grad_y, distance_cache), F)",
        "return (F.reshape(F.shape[0], -1, F.shape[3]) @ distance_backward(grad_y, distance_cache)).reshape(F.shape)",
        "factor-2-missing",
    ),
    ("1/4 missing", NORM, NORM.replace("2 * norm", "norm / 2"), "quarter-missing"),
    ("M^2 missing", NORM, NORM.replace("norm", "float(difference.shape[-1]) ** 2"), "factor M^2"),
    ("N^2 missing", NORM, NORM.replace("norm", "norm / float(difference.shape[-1]) ** 2"), "factor N^2"),
    ("N M for N^2 M^2", NORM, NORM.replace("norm", "norm ** 0.5"), "factor N M"),
    ("A not subtracted", "return E, (difference, norm)", "return E, (G, norm)", "target-not-subtracted"),
    ("the first image's G - A for all", "return difference *", "return difference[:1] *", "gram-of-first-image"),
    ("equation 6 with N M", "(N**2 * M**2)", "(N * M)", "factor size"),
)
DOWN = "    grad_x[:, 1:] += down\n    grad_x[:, :-1] -= down\n"
RIGHT = "    grad_x[:, :, 1:] += right\n    grad_x[:, :, :-1] -= right\n"
TOTAL_VARIATION = (
    ("factor 2 missing", "type(2 * grad_y)", "type(grad_y)", "square-factor-missing"),
    ("sign", "type(2 * grad_y)", "type(-2 * grad_y)", "sign"),
    ("upstream gradient left out", "type(2 * grad_y)", "type(2)", "factor 1/grad_y"),
    ("differences along the rows left out", RIGHT, "", "axis-missing"),
    ("starts left out", "    grad_x[:, :-1] -= down\n", "", "one-end-missing"),
    ("sign along the rows", RIGHT, RIGHT.replace("right", "(-right)"), "axis-sign"),
    ("x changed on the way", DOWN, "    x[:, 0] = 0\n" + DOWN, "", "changes"),
)
TAP = "grad_features[layer.name]"
BRANCH = "gradients[source] = self._sum(gradients.get(source), grad_x)"
MASKED = "operation.backward_input(grad_y, layer_cache)"
IMAGE = "return self.engine.preprocess.backward(grad_x, cache.pop(IMAGE))"
NETWORK = (
    ("a tap's gradient overwritten", TAP, f"{TAP} * (layer.name not in gradients)", "gradient-overwritten"),
    ("a branch's gradient overwritten", BRANCH, "gradients[source] = grad_x", "gradient-overwritten"),
    (
        "gradients that meet subtracted",
        BRANCH,
        BRANCH.replace(", grad_x", ", -grad_x if source in gradients else grad_x"),
        "shares",
    ),
    (
        "ReLU left out on the way back",
        MASKED,
        "self.engine.conv2d.backward_input(grad_y, layer_cache[:2])",
        "relu-left-out",
    ),
    ("preprocessing left out on the way back", IMAGE, "return grad_x", "preprocess-left-out"),
    ("rows in the wrong order", "reversed(self.needed(grad_features))", "self.needed(grad_features)", "", "KeyError"),
)
VARIATION = "                grad += engine.total_variation.backward(self.tv_weight, tv_cache)\n"
VARIATION_VALUE = '            loss += self.tv_weight * values["tv"]\n'
TERM = "partial(term.loss.backward, term.weight, loss_cache)"
OBJECTIVE = (
    ("total variation not in the gradient", VARIATION, "", "term-missing-in-gradient"),
    ("total variation not in the loss", VARIATION_VALUE, "            pass\n", "term-missing-in-loss"),
    (
        "total variation without its weight in the gradient",
        "backward(self.tv_weight, tv_cache)",
        "backward(1.0, tv_cache)",
        "weight-missing-in-gradient",
    ),
    (
        "terms without their weights in the gradient",
        TERM,
        TERM.replace("term.weight", "1.0"),
        "weight-missing-in-gradient",
    ),
    ("terms without their weights in the loss", "term.weight * values[", "values[", "weight-missing-in-loss"),
    ("two terms at one layer overwrite each other", "total += step()", "pass", "term-missing-in-gradient"),
    (
        "weights taken twice in the gradient",
        TERM,
        TERM.replace("term.weight", "term.weight**2"),
        "weight-twice-in-gradient",
    ),
    (
        "gradient normalised",
        "        loss, grad, self.terms = self.evaluate(x)\n",
        "        loss, grad, self.terms = self.evaluate(x)\n        grad /= np.abs(grad).mean()\n",
        "factor 1/mean|grad|",
    ),
    (
        "gradient rounded to float32",
        'astype("float64").reshape',
        'astype("float32").astype("float64").reshape',
        "float32-round-off",
    ),
)
SEVERAL = (
    planted(
        "ops.reflection_pad",
        "the edge repeated",
        (
            (FIRST, FIRST.replace("1 : margin + 1", ":margin")),
            (SECOND, SECOND.replace("length - 1 - margin : length - 1", "length - margin :")),
        ),
        "edge-repeated",
    ),
    planted(
        "ops.reflection_pad",
        "not turned over",
        ((FIRST, FIRST.replace("[:, ::-1]", "")), (SECOND, SECOND.replace("[:, ::-1]", ""))),
        "not-turned-over",
    ),
    planted(
        "ops.max_pool",
        "ties counted twice",
        (
            ("return y, (x.shape, winner)", "return y, (x.shape, [corner == y for corner in corners])"),
            ("(winner == number)", "winner[number]"),
        ),
        "ties-counted-twice",
    ),
    planted(
        "ops.preprocess",
        "mean subtracted from the gradient",
        (
            ("return y, (channels, factor)", "return y, (channels, factor, offset)"),
            ("channels, factor = cache", "channels, factor, offset = cache"),
            ("= grad_y * factor", "= grad_y * factor - offset"),
        ),
        "mean-in-gradient",
    ),
)
SINGLE_PATCH = {
    "ops.conv2d": CONV2D,
    "ops.relu": RELU,
    "ops.average_pool": AVERAGE_POOL,
    "ops.max_pool": MAX_POOL,
    "ops.reflection_pad": REFLECTION_PAD,
    "ops.upsample": UPSAMPLE,
    "ops.strided_conv2d": STRIDED_CONV2D,
    "ops.preprocess": PREPROCESS,
    "ops.instance_norm": INSTANCE_NORM,
    "ops.moments": MOMENTS,
    "ops.adain": ADAIN,
    "ops.addition": ADDITION,
    "losses.gram": GRAM,
    "ops.matrix_square_root": MATRIX_SQUARE_ROOT,
    "ops.whitening": WHITENING,
    "losses.content_loss": CONTENT_LOSS,
    "losses.style_loss": STYLE_LOSS,
    "losses.total_variation": TOTAL_VARIATION,
    "models.network": NETWORK,
    "transfer.objective": OBJECTIVE,
}
MUTANTS = (
    *(
        planted(module, name, ((old, new),), *found)
        for module, rows in SINGLE_PATCH.items()
        for name, old, new, *found in rows
    ),
    *SEVERAL,
)
SOUND = (
    planted(
        "ops.conv2d",
        "kernel flipped in forward and backward",
        (
            ("y = _convolve(x, w)", "y = _convolve(x, w[::-1, ::-1])"),
            (BACK, CONVOLVE.format("w.swapaxes(2, 3)")),
            (GRAD_W, GRAD_W.replace("shape),", "shape)[::-1, ::-1],")),
        ),
    ),
    planted(
        "ops.relu",
        "leaky in forward and backward",
        (
            ("y = array_module(x).maximum(x, 0)", "y = array_module(x).maximum(x, x / 8)"),
            (MASK, "return array_module(y).where(y > 0, grad_y, grad_y / 8)"),
        ),
    ),
    planted(
        "ops.average_pool",
        "a sum of squares of pixels, forward and backward",
        (("y *= x.dtype.type(1 / 4)", "y *= x.dtype.type(1)"), (QUARTER, "quarter = grad_y")),
    ),
    planted(
        "ops.strided_conv2d",
        "kernel flipped in forward and backward",
        (
            ("y = convolve(x, w, stride)", "y = convolve(x, w[::-1, ::-1], stride)"),
            (TRANSPOSED, TRANSPOSED.replace("[::-1, ::-1]", "")),
            (GRAD_W, GRAD_W.replace("shape),", "shape)[::-1, ::-1],")),
        ),
    ),
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
    planted("ops.max_pool", "the last of tied pixels wins", (("corners[number] > y", "corners[number] >= y"),)),
    planted(
        "losses.style_loss",
        "another normalisation",
        (("float(G.shape[-1]) ** 2", "float(G.shape[-1])"), ("(N**2 * M**2)", "(N * M**2)")),
    ),
    planted(
        "losses.gram",
        "divided by M, forward and backward",
        (
            ("return F.swapaxes(1, 2) @ F, x", "return F.swapaxes(1, 2) @ F / F.shape[1], x"),
            (HALVES, f"({HALVES} / F.shape[1])"),
        ),
    ),
    planted(
        "transfer.objective",
        "weights squared in loss and gradient",
        (
            (TERM, TERM.replace("term.weight", "term.weight**2")),
            ("loss += term.weight * values", "loss += term.weight**2 * values"),
        ),
    ),
    planted(
        "transfer.objective",
        "total variation left out everywhere",
        ((VARIATION, ""), (VARIATION_VALUE, "            pass\n")),
    ),
    planted(
        "models.network",
        "ReLU left out in forward and backward",
        (("layer.rule.operation(self.pooling)", 'layer.rule.operation(self.pooling).removesuffix("_relu")'),),
    ),
)
