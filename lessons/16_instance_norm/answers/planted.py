"""Mistakes to plant into the solution."""

CENTRED, VARIANCE = "centred = x - x.mean(axis=PIXELS, keepdims=True)", "(centred**2).mean(axis=PIXELS, keepdims=True)"
STATISTICS = f"{CENTRED}\n    variance = {VARIANCE}"
ROOT, RETURNED = "np.sqrt(variance + EPSILON)", "return centred / s, s"
AFFINE = "scale[:, None, None] * z + shift[:, None, None]"
SUMS = "(grad_y * z).sum(axis=PIXELS), grad_y.sum(axis=PIXELS)"
SCALED = "grad_z = scale[:, None, None] * grad_y"
THROUGH_MEAN = "grad_z.mean(axis=PIXELS, keepdims=True)"
THROUGH_VARIANCE = "z * (grad_z * z).mean(axis=PIXELS, keepdims=True)"
MEANS = f"    through_mean = {THROUGH_MEAN}\n    through_variance = {THROUGH_VARIANCE}"
SUM = "(grad_z - through_mean - through_variance) / s"
USED = "    z, s = normalise(x)\n    grad_z"


def over(text, axes):
    """The same with other axes."""
    return text.replace("PIXELS", axes)


PLANTED = (
    ("batch norm", STATISTICS, over(STATISTICS, "(0, 1, 2)"), "statistics-of-batch"),
    ("layer norm", STATISTICS, over(STATISTICS, "(1, 2, 3)"), "statistics-of-all-channels"),
    ("over a pixel's channels", STATISTICS, over(STATISTICS, "3"), "statistics-of-a-pixel"),
    ("channels first", STATISTICS, over(STATISTICS, "(2, 3)"), "axes-of-channels-first"),
    ("M - 1", VARIANCE, "x.var(axis=PIXELS, ddof=1, keepdims=True)", "unbiased-variance"),
    ("no epsilon", ROOT, "np.sqrt(variance)", "epsilon-missing"),
    ("epsilon outside of the root", ROOT, "np.sqrt(variance) + EPSILON", "epsilon-outside-root"),
    ("no root", ROOT, "variance + EPSILON", "root-missing"),
    ("mean kept", RETURNED, "return x / s, s", "mean-kept"),
    ("variance returned", RETURNED, "return centred / s, variance", "variance-for-s"),
    ("s first", RETURNED, "return s, centred / s", "order"),
    (
        "mean of the squares less square of the mean",
        VARIANCE,
        "(x**2).mean(axis=PIXELS, keepdims=True) - x.mean(axis=PIXELS, keepdims=True) ** 2",
        "different",
    ),
    ("always float64", CENTRED, f"x = x.astype(float)\n    {CENTRED}", "dtype"),
    ("x as it is", AFFINE, AFFINE.replace(" z ", " x "), "normalisation-missing"),
    ("shift first", AFFINE, "scale[:, None, None] * (z + shift[:, None, None])", "shift-scaled"),
    ("first row", AFFINE, "scale[0] * z + shift[0]", "first-row-for-all"),
    ("no shift", AFFINE, "scale[:, None, None] * z", "shift-missing"),
    ("no scale", AFFINE, "z + shift[:, None, None]", "scale-missing"),
    ("scale for shift", AFFINE, "shift[:, None, None] * z + scale[:, None, None]", "arguments-exchanged"),
    ("rows beside columns", AFFINE, "scale[:, None] * z + shift[:, None]", "ValueError"),
    ("summed over images", SUMS, over(SUMS, "(0, 1, 2)"), "summed-over-images"),
    ("means", SUMS, SUMS.replace(".sum", ".mean"), "mean-over-pixels"),
    ("x for z", SUMS, SUMS.replace("* z", "* x"), "not-normalised"),
    ("x - mean for z", SUMS, SUMS.replace("* z", "* (x - x.mean(axis=PIXELS, keepdims=True))"), "not-divided-by-s"),
    ("shift first in the result", SUMS, "grad_y.sum(axis=PIXELS), (grad_y * z).sum(axis=PIXELS)", "order"),
    ("sums of ones", SUMS, SUMS.replace("grad_y", "(0 * grad_y + 1)"), "upstream-ignored"),
    ("statistics as constants", SUM, "grad_z / s", "statistics-held-fixed"),
    ("no mean", SUM, "(grad_z - through_variance) / s", "mean-path-missing"),
    ("no variance", SUM, "(grad_z - through_mean) / s", "variance-path-missing"),
    ("mean added", SUM, "(grad_z + through_mean - through_variance) / s", "mean-path-sign"),
    ("variance added", SUM, "(grad_z - through_mean + through_variance) / s", "variance-path-sign"),
    ("both added", SUM, "(grad_z + through_mean + through_variance) / s", "both-path-sign"),
    ("half of the variance", SUM, "(grad_z - through_mean - through_variance / 2) / s", "variance-path-half"),
    ("twice the variance", SUM, "(grad_z - through_mean - 2 * through_variance) / s", "variance-path-double"),
    (
        "variance without z",
        THROUGH_VARIANCE,
        THROUGH_VARIANCE.removeprefix("z * "),
        "z-of-variance-path-missing",
    ),
    ("no scale backward", SCALED, "grad_z = grad_y", "scale-missing"),
    ("no s", SUM, SUM.removesuffix(" / s"), "s-missing"),
    ("variance for s", SUM, f"{SUM} ** 2", "s-twice"),
    ("sum in the mean", THROUGH_MEAN, THROUGH_MEAN.replace(".mean", ".sum"), "mean-path-not-averaged"),
    ("sum in the variance", THROUGH_VARIANCE, THROUGH_VARIANCE.replace(".mean", ".sum"), "variance-path-not-averaged"),
    ("s once too few in the variance", THROUGH_VARIANCE, f"s * {THROUGH_VARIANCE}", "variance-path-times-s"),
    ("means of grad_y", MEANS, MEANS.replace("grad_z", "grad_y"), "scale-of-means-missing"),
    ("only itself divided by s", SUM, "grad_z / s - through_mean - through_variance", "s-of-means-missing"),
    ("sums", MEANS, MEANS.replace(".mean", ".sum"), "sums-not-averaged"),
    (
        "x in the variance",
        THROUGH_VARIANCE,
        THROUGH_VARIANCE.replace("z * (grad_z * z)", "x * (grad_z * x)"),
        "not-normalised",
    ),
    (
        "x - mean in the variance",
        THROUGH_VARIANCE,
        THROUGH_VARIANCE.replace("z * (grad_z * z)", "s**2 * z * (grad_z * z)"),
        "not-divided-by-s",
    ),
    (
        "batch norm backward",
        f"{USED} = scale[:, None, None] * grad_y\n{MEANS}",
        "    axes = (0, 1, 2)\n    s = np.sqrt(x.var(axis=axes, keepdims=True) + EPSILON)\n"
        "    z = (x - x.mean(axis=axes, keepdims=True)) / s\n"
        f"    {SCALED}\n{over(MEANS, 'axes')}",
        "statistics-of-batch",
    ),
    ("means over images", MEANS, over(MEANS, "(0, 1, 2)"), "means-over-batch"),
    ("means over channels", MEANS, over(MEANS, "(1, 2, 3)"), "means-over-channels"),
)
