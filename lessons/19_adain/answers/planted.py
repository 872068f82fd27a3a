"""Mistakes to plant into the solution."""

VARIANCE, ROOT, RETURNED = "(centred**2).mean(axis=PIXELS)", "np.sqrt(variance + EPSILON)", "return m, np.sqrt"
MEAN = "m = x.mean(axis=PIXELS)\n    centred = x - m[:, None, None]\n    variance = (centred**2).mean(axis=PIXELS)"
MOMENTS = "(grad_m[:, None, None] + grad_s[:, None, None] * z) / pixels"
AFFINE = "return scale[:, None, None] * z + shift[:, None, None]"
MEANS = "grad_y.mean(axis=PIXELS, keepdims=True) + z * (grad_y * z).mean(axis=PIXELS, keepdims=True)"
CONTENT = "scale[:, None, None] / s[:, None, None] * (grad_y - means)"
SUMS = "grad_y.sum(axis=PIXELS), (grad_y * z).sum(axis=PIXELS)"
STYLE = "moments_backward(grad_shift, grad_scale, style)"


def over(text, axes):
    """The same with other axes, spread over all images and channels."""
    mean, variance = f"x.mean(axis={axes}, keepdims=True)", f"x.var(axis={axes}, keepdims=True)"
    ones = "np.ones((len(x), x.shape[3]), x.dtype)"
    return (
        f"m = {mean}.reshape(1 if 0 in {axes} else -1, 1 if 3 in {axes} else x.shape[3]) * {ones}\n"
        f"    variance = {variance}.reshape(1 if 0 in {axes} else -1, 1 if 3 in {axes} else x.shape[3]) * {ones}"
    )


PLANTED = (
    ("moments of the batch", MEAN, over(MEAN, "(0, 1, 2)"), "moments-of-batch"),
    ("moments of all channels", MEAN, over(MEAN, "(1, 2, 3)"), "moments-of-all-channels"),
    ("M - 1", VARIANCE, "x.var(axis=PIXELS, ddof=1)", "unbiased-variance"),
    ("no epsilon", ROOT, "np.sqrt(variance)", "epsilon-missing"),
    ("epsilon outside of the root", ROOT, "np.sqrt(variance) + EPSILON", "epsilon-outside-root"),
    ("no root", ROOT, "variance + EPSILON", "root-missing"),
    ("mean kept", VARIANCE, "(x**2).mean(axis=PIXELS)", "mean-kept"),
    ("s first", "return m, np.sqrt(variance + EPSILON)", "return np.sqrt(variance + EPSILON), m", "order"),
    (
        "mean of the squares less square of the mean",
        VARIANCE,
        "(x**2).mean(axis=PIXELS) - x.mean(axis=PIXELS) ** 2",
        "different",
    ),
    ("always float64", "m = x.mean(axis=PIXELS)", "x = x.astype(float)\n    m = x.mean(axis=PIXELS)", "dtype"),
    ("no mean", MOMENTS, "grad_s[:, None, None] * z / pixels", "mean-path-missing"),
    ("no deviation", MOMENTS, "(grad_m[:, None, None] + 0 * z) / pixels", "deviation-path-missing"),
    ("exchanged", MOMENTS, "(grad_s[:, None, None] + grad_m[:, None, None] * z) / pixels", "exchanged"),
    ("the variance's", MOMENTS, MOMENTS.replace("* z", "* 2 * s[:, None, None] * z"), "gradient-of-variance"),
    ("no s", MOMENTS, MOMENTS.replace("* z", "* s[:, None, None] * z"), "s-missing"),
    ("s twice", MOMENTS, MOMENTS.replace("* z", "* z / s[:, None, None]"), "s-twice"),
    ("half", MOMENTS, MOMENTS.replace("* z", "* z / 2"), "square-factor-missing"),
    ("double", MOMENTS, MOMENTS.replace("* z", "* 2 * z"), "root-factor-missing"),
    ("mean not subtracted", MOMENTS, MOMENTS.replace("* z", "* x / s[:, None, None]"), "not-centred"),
    ("own square", MOMENTS, MOMENTS.replace("* z", "* z * (1 - 1 / pixels)"), "own-square-only"),
    ("M - 1 backward", MOMENTS, MOMENTS.replace("* z", "* z * pixels / (pixels - 1)"), "unbiased-variance"),
    ("sums", MOMENTS, MOMENTS.removesuffix(" / pixels"), "not-averaged"),
    ("sum in the deviation", MOMENTS, MOMENTS.replace("* z", "* z * pixels"), "deviation-not-averaged"),
    ("sum in the mean", MOMENTS, MOMENTS.replace("(grad_m", "(pixels * grad_m"), "mean-not-averaged"),
    ("sign", MOMENTS, MOMENTS.replace("+", "-"), "deviation-sign"),
    ("rows beside columns", MOMENTS, MOMENTS.replace("[:, None, None]", "[:, None]"), "ValueError"),
    ("content and style exchanged", "def adain(content, style):", "def adain(style, content):", "exchanged"),
    ("own moments", "shift, scale = moments(style)", "shift, scale = m, s", "content-kept"),
    ("content as it is", AFFINE, AFFINE.replace("* z", "* content"), "normalisation-missing"),
    ("not divided", AFFINE, AFFINE.replace("* z", "* z * s[:, None, None]"), "not-divided"),
    ("no scale", AFFINE, "return z + shift[:, None, None]", "scale-missing"),
    ("no shift", AFFINE, "return scale[:, None, None] * z", "shift-missing"),
    ("mean as scale", AFFINE, "return shift[:, None, None] * z + scale[:, None, None]", "scale-and-shift-exchanged"),
    ("content's mean", AFFINE, AFFINE.replace("shift", "m"), "mean-of-content"),
    (
        "variance as scale",
        AFFINE,
        AFFINE.replace("scale[:", "scale[:").replace("] * z", "] ** 2 * z"),
        "variance-for-deviation",
    ),
    ("first style", AFFINE, "return scale[0] * z + shift[0]", "first-style-for-all"),
    ("moments as constants", CONTENT, CONTENT.replace("(grad_y - means)", "grad_y"), "content-moments-held-fixed"),
    ("no mean's path", MEANS, "z * (grad_y * z).mean(axis=PIXELS, keepdims=True)", "mean-path-missing"),
    ("no deviation's path", MEANS, "grad_y.mean(axis=PIXELS, keepdims=True)", "variance-path-missing"),
    ("no scale backward", CONTENT, "(grad_y - means) / s[:, None, None]", "scale-missing"),
    ("no s backward", CONTENT, "scale[:, None, None] * (grad_y - means)", "s-missing"),
    ("upside down", CONTENT, "s[:, None, None] / scale[:, None, None] * (grad_y - means)", "factor-upside-down"),
    ("style forgotten", STYLE, "0 * style", "style-missing"),
    ("style's mean forgotten", STYLE, "moments_backward(0 * grad_shift, grad_scale, style)", "style-mean-path-missing"),
    (
        "style's deviation forgotten",
        STYLE,
        "moments_backward(grad_shift, 0 * grad_scale, style)",
        "style-deviation-path-missing",
    ),
    ("means", SUMS, SUMS.replace(".sum", ".mean"), "means-for-sums"),
    (
        "content's pixels",
        STYLE,
        f"{STYLE} * style[0, :, :, 0].size / content[0, :, :, 0].size",
        "content-pixels",
    ),
    ("not divided by M'", STYLE, f"{STYLE} * style[0, :, :, 0].size", "not-averaged"),
    ("content in the sum", SUMS, SUMS.replace("* z", "* content"), "not-normalised"),
    ("gradients exchanged", STYLE, "moments_backward(grad_scale, grad_shift, style)", "moments-exchanged"),
    (
        "style first",
        f"return grad_content, {STYLE}",
        f"return {STYLE}, grad_content",
        "order",
    ),
)
