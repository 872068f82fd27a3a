"""Mistakes to plant into the solution."""

MEAN, VARIANCE = "x.mean(axis=PIXELS)\n", "((x - mean[:, None, None]) ** 2).mean(axis=PIXELS)"
BOTH = f"mean = {MEAN}    variance = {VARIANCE}"
ROOT, STACKED = "np.sqrt(variance + EPSILON)", "np.stack([mean, np.sqrt(variance + EPSILON)], axis=1)"
OF_MOMENTS = "    z, _ = normalised(x)\n    grad_mean"
UPSTREAM = "grad_mean, grad_deviation = grad_y[:, 0, None, None], grad_y[:, 1, None, None]"
BACK = "(grad_mean + grad_deviation * z) / pixels"
COUNT = "pixels = x.shape[1] * x.shape[2]"
CONTENT_Z, OUTPUT = "    z, _ = normalised(content)\n", "deviation * z + mean"
STYLE = "mean, deviation = of_style[:, 0, None, None], of_style[:, 1, None, None]"
SCALED = "grad_z = moments(style)[:, 1, None, None] * grad_y"
THROUGH_MEAN = "through_mean = grad_z.mean(axis=PIXELS, keepdims=True)"
THROUGH_DEVIATION = "through_deviation = z * (grad_z * z).mean(axis=PIXELS, keepdims=True)"
CONTENT = "(grad_z - through_mean - through_deviation) / s"
SUMS = "np.stack([grad_y.sum(axis=PIXELS), (grad_y * z).sum(axis=PIXELS)], axis=1)"
OF_STYLE = "moments_backward(grad_moments, style)"
RETURNED = f"grad_content, {OF_STYLE}"


def of_moments(slope):
    """The backward of moments with another slope of the deviation."""
    return BACK.replace("* z", f"* {slope}")


PLANTED = (
    ("over the batch", BOTH, BOTH.replace("PIXELS)", "(0, 1, 2)) + 0 * x[:, 0, 0]"), "statistics-of-batch"),
    (
        "over all channels",
        BOTH,
        "spread = 0 * x[:, 0, 0]\n    mean = x.mean(axis=(1, 2, 3))[:, None] + spread\n"
        "    variance = x.var(axis=(1, 2, 3))[:, None] + spread",
        "statistics-of-all-channels",
    ),
    (
        "over a pixel's channels",
        f"{BOTH}\n    return {STACKED}",
        "mean, variance = x.mean(axis=3), x.var(axis=3)\n    return np.stack([mean, np.sqrt(variance + EPSILON)], 1)",
        "statistics-of-a-pixel",
    ),
    ("M - 1", VARIANCE, "x.var(axis=PIXELS, ddof=1)", "unbiased-variance"),
    ("no epsilon", ROOT, "np.sqrt(variance)", "epsilon-missing"),
    ("epsilon outside of the root", ROOT, "np.sqrt(variance) + EPSILON", "epsilon-outside-root"),
    ("variance for deviation", ROOT, "variance + EPSILON", "root-missing"),
    ("variance without epsilon", ROOT, "variance", "variance-without-epsilon"),
    ("square of the mean not subtracted", VARIANCE, "(x**2).mean(axis=PIXELS)", "not-centred"),
    ("mean distance", STACKED, "np.stack([mean, abs(x - mean[:, None, None]).mean(axis=PIXELS)], 1)", "mean-distance"),
    ("sum for mean", STACKED, STACKED.replace("[mean", "[x.sum(axis=PIXELS)"), "mean-not-averaged"),
    ("sum for mean throughout", MEAN, MEAN.replace(".mean", ".sum"), "sum-throughout"),
    ("sums of the squares", VARIANCE, VARIANCE.replace("mean(axis", "sum(axis"), "squares-not-averaged"),
    (
        "deviations first",
        STACKED,
        STACKED.replace("mean, np.sqrt(variance + EPSILON)", "np.sqrt(variance + EPSILON), mean"),
        "order",
    ),
    ("mean of the squares less square of the mean", VARIANCE, "(x**2).mean(axis=PIXELS) - mean**2", "different"),
    ("always float64", BOTH, f"x = x.astype(float)\n    {BOTH}", "dtype"),
    ("channels behind moments", STACKED, STACKED.replace("axis=1", "axis=2"), "transposed"),
    ("no path through the mean", BACK, "grad_deviation * z / pixels", "mean-path-missing"),
    ("no path through the deviation", BACK, "(grad_mean + 0 * z) / pixels", "deviation-path-missing"),
    ("deviation subtracted", BACK, "(grad_mean - grad_deviation * z) / pixels", "deviation-path-sign"),
    ("mean subtracted", BACK, "(grad_deviation * z - grad_mean) / pixels", "mean-path-sign"),
    ("no M in the mean", BACK, "grad_mean + grad_deviation * z / pixels", "mean-path-not-averaged"),
    ("no M in the deviation", BACK, "grad_mean / pixels + grad_deviation * z", "deviation-path-not-averaged"),
    ("no M at all", COUNT, "pixels = 1", "sums-not-averaged"),
    ("rows for pixels", COUNT, "pixels = x.shape[1]", "rows-for-pixels"),
    ("all numbers for pixels", COUNT, "pixels = x[0].size", "channels-counted"),
    ("images counted, too", COUNT, "pixels = x[..., 0].size", "images-counted"),
    (
        "deviations first backward",
        UPSTREAM,
        UPSTREAM.replace("grad_mean, grad_deviation", "grad_deviation, grad_mean"),
        "moments-exchanged",
    ),
    ("gradient of the variance", BACK, of_moments("(2 * z * normalised(x)[1])"), "gradient-of-variance"),
    ("no s", BACK, of_moments("z * normalised(x)[1]"), "s-missing"),
    ("s twice", BACK, of_moments("z / normalised(x)[1]"), "s-twice"),
    ("no 2 of the square", BACK, of_moments("z / 2"), "square-factor-missing"),
    ("no half of the root", BACK, of_moments("z * 2"), "root-factor-missing"),
    ("x for x - mean", BACK, of_moments("x / normalised(x)[1]"), "not-centred"),
    ("x for z", BACK, of_moments("x"), "not-normalised"),
    ("one square only", BACK, of_moments("z * (1 - 1 / pixels)"), "own-square-only"),
    (
        "M - 1 backward",
        OF_MOMENTS,
        "    s = np.sqrt(x.var(axis=PIXELS, ddof=1, keepdims=True) + EPSILON)\n"
        "    z = (x - x.mean(axis=PIXELS, keepdims=True)) / s\n    grad_mean",
        "unbiased-variance",
    ),
    (
        "no epsilon backward",
        OF_MOMENTS,
        "    z = (x - x.mean(axis=PIXELS, keepdims=True)) / x.std(axis=PIXELS, keepdims=True)\n    grad_mean",
        "epsilon-missing",
    ),
    ("upstream ignored", UPSTREAM, "grad_mean = grad_deviation = np.ones((1, 1, 1, 1), x.dtype)", "upstream-ignored"),
    ("content in place of z", CONTENT_Z + "    of_style", "    z = content\n    of_style", "normalisation-missing"),
    (
        "content's mean kept",
        CONTENT_Z + "    of_style",
        "    z = content / normalised(content)[1]\n    of_style",
        "mean-kept",
    ),
    (
        "content's deviation kept",
        CONTENT_Z + "    of_style",
        "    z = content - content.mean(axis=PIXELS, keepdims=True)\n    of_style",
        "deviation-kept",
    ),
    ("mean as scale", STYLE, STYLE.replace("mean, deviation", "deviation, mean"), "moments-exchanged"),
    ("no shift", OUTPUT, "deviation * z", "shift-missing"),
    ("no scale", OUTPUT, "z + mean", "scale-missing"),
    ("shift scaled", OUTPUT, "deviation * (z + mean)", "shift-scaled"),
    ("variance as scale", OUTPUT, "deviation**2 * z + mean", "variance-for-deviation"),
    (
        "deviations the wrong way round",
        OUTPUT,
        "normalised(content)[1] ** 2 / deviation * z + mean",
        "deviations-exchanged",
    ),
    (
        "content's moments as scale and shift",
        "of_style = moments(style)",
        "of_style = moments(content)",
        "content-unchanged",
    ),
    (
        "style normalised, content's moments",
        OUTPUT,
        "moments(content)[:, 1, None, None] * normalised(style)[0] + moments(content)[:, 0, None, None]",
        "content-and-style-exchanged",
    ),
    (
        "content's own mean as shift",
        OUTPUT,
        "deviation * z + content.mean(axis=PIXELS, keepdims=True)",
        "content-mean-as-shift",
    ),
    ("first style for all", OUTPUT, "deviation[:1] * z + mean[:1]", "first-style-for-all"),
    ("statistics of the content as constants", CONTENT, "grad_z / s", "statistics-held-fixed"),
    ("no mean", CONTENT, "(grad_z - through_deviation) / s", "mean-path-missing"),
    ("no deviation", CONTENT, "(grad_z - through_mean) / s", "deviation-path-missing"),
    ("mean added", CONTENT, "(grad_z + through_mean - through_deviation) / s", "mean-path-sign"),
    ("deviation added", CONTENT, "(grad_z - through_mean + through_deviation) / s", "deviation-path-sign"),
    (
        "sums for means",
        CONTENT,
        "(grad_z - pixels * (through_mean + through_deviation)) / s".replace("pixels", "z[0, ..., 0].size"),
        "sums-not-averaged",
    ),
    ("no z", THROUGH_DEVIATION, THROUGH_DEVIATION.replace("= z * ", "= "), "z-missing"),
    ("no scale backward", SCALED, "grad_z = grad_y", "scale-missing"),
    ("mean as scale backward", SCALED, SCALED.replace(", 1,", ", 0,"), "mean-for-deviation"),
    ("scale of the content", SCALED, SCALED.replace("style", "content"), "deviations-cancelled"),
    ("no s backward", CONTENT, "grad_z - through_mean - through_deviation", "s-missing"),
    ("s twice backward", CONTENT, CONTENT + "**2", "s-twice"),
    ("style as a constant", OF_STYLE, "0 * style", "style-missing"),
    ("means of the style", SUMS, SUMS.replace(".sum", ".mean"), "style-sums-averaged"),
    (
        "style's z in the sum",
        SUMS,
        "np.stack([grad_y.sum(axis=PIXELS), (grad_y * normalised(style)[0]).sum(axis=PIXELS)], 1)",
        "style-for-content",
    ),
    ("content in the sum", SUMS, SUMS.replace("* z", "* content"), "style-not-normalised"),
    ("content - mean in the sum", SUMS, SUMS.replace("* z", "* z * s"), "style-not-divided-by-s"),
    ("output in the sum", SUMS, SUMS.replace("* z", "* adain(content, style)"), "output-for-normalised"),
    (
        "moments' gradients exchanged",
        SUMS,
        "np.stack([(grad_y * z).sum(axis=PIXELS), grad_y.sum(axis=PIXELS)], axis=1)",
        "style-moments-exchanged",
    ),
    ("grad_z in the sums", SUMS, SUMS.replace("grad_y", "grad_z"), "scale-in-sums"),
    ("no mean of the style", SUMS, SUMS.replace("[grad_y", "[0 * grad_y"), "style-mean-missing"),
    ("no deviation of the style", SUMS, SUMS.replace("(grad_y * z)", "(0 * z)"), "style-deviation-missing"),
    ("content's M", OF_STYLE, f"{OF_STYLE} * style[0, ..., 0].size / z[0, ..., 0].size", "content-pixels"),
    (
        "summed over images",
        OF_STYLE,
        "moments_backward(grad_moments.sum(axis=0, keepdims=True), style)",
        "summed-over-images",
    ),
    ("style first", RETURNED, f"{OF_STYLE}, grad_content", "order"),
)
