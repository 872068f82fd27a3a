"""Mistakes in the ReLU, pooling, preprocessing, addition and guide.

`SINGLE` has rows of name, old text, new text, and the key or pattern of the diagnosis, for each module.
"""

from __future__ import annotations

from scratchnst.verify.mutation.planted.mutant import Mutant, planted

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
ORDER = "grad_x[..., list(ORDERS[channels])] = grad_y * factor"
PREPROCESS = (
    ("channel order not reversed", ORDER, "grad_x[...] = grad_y * factor", "channel-order-not-reversed"),
    ("std in the order of x", ORDER, ORDER + "[::-1]", "factor-in-wrong-order"),
    ("not divided by std", "(channels, factor)\n\n", "(channels, xp.asarray(scale, x.dtype))\n\n", "std-not-divided"),
    ("scale left out", "(channels, factor)\n\n", "(channels, factor / scale)\n\n", "scale"),
    ("divided by std twice", ORDER, ORDER + " * factor", "std-divided-twice"),
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
BY_GUIDE = "return grad_y * T"
GUIDE = (
    ("guide left out", BY_GUIDE, "return grad_y.copy()", "guide-left-out"),
    ("squared", BY_GUIDE, "return grad_y * T**2", "guide-squared"),
    ("divided by it", BY_GUIDE, "return grad_y / np.where(T > 0, T, 1)", "guide-divided"),
    ("as a region without grey", BY_GUIDE, "return grad_y * (T > 0)", "guide-as-black-and-white"),
    ("upstream gradient left out", BY_GUIDE, "return 0 * grad_y + T", "upstream-ignored"),
)
SINGLE = {
    "ops.relu": RELU,
    "ops.average_pool": AVERAGE_POOL,
    "ops.max_pool": MAX_POOL,
    "ops.preprocess": PREPROCESS,
    "ops.addition": ADDITION,
    "ops.guide": GUIDE,
}
SEVERAL: tuple[Mutant, ...] = (
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
SOUND: tuple[Mutant, ...] = (
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
    planted("ops.max_pool", "the last of tied pixels wins", (("corners[number] > y", "corners[number] >= y"),)),
)
