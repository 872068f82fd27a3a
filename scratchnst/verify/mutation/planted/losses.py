"""Mistakes in the losses.

`SINGLE` has rows of name, old text, new text, and the key or pattern of the diagnosis, for each module.
"""

from __future__ import annotations

from scratchnst.verify.mutation.planted.mutant import Mutant, planted

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
TO_X, TO_Y = "(_matrix(y) @ grad_y.swapaxes(1, 2))", "(_matrix(P) @ grad_y)"
SPREAD = "grad_x = average_pool.backward(grad_x, shape)"
MEANS = "shapes.append(P.shape)\n        P, _ = average_pool.forward(P)"
CROSS_GRAM = (
    ("square not divided", SPREAD, SPREAD.replace("=", "= 4 *", 1), "square-not-divided"),
    (
        "the first pixel of each square alone",
        SPREAD,
        SPREAD.replace("=", "= 4 *", 1) + "\n        grad_x[:, 1::2] = grad_x[:, :, 1::2] = 0",
        "one-pixel-of-square",
    ),
    (
        "the first pixel for the mean of a square",
        MEANS,
        "shapes.append(P.shape)\n        P = P[:, : P.shape[1] // 2 * 2 : 2, : P.shape[2] // 2 * 2 : 2]",
        "first-pixel-of-square",
    ),
    ("the sum for the mean of a square", TO_Y, TO_Y.replace("_m", "4 * _m"), "square-not-averaged"),
    ("twice, as in a Gram matrix", TO_Y, TO_Y.replace("_m", "2 * _m"), "counted-twice"),
    ("dL/dx forgotten", TO_X, TO_X.replace("_m", "0 * _m"), "", "zero everywhere"),
    ("upstream gradients added up", TO_X, "(_matrix(y) @ grad_y.sum(0).T)", "gram-of-summed-images"),
    ("sign of dL/dy", TO_Y, TO_Y.replace("_m", "-_m"), "sign"),
)
BACK = "cross_gram.backward(distance_backward(grad_y, distance_cache), features)"
CROSS_STYLE_LOSS = (
    ("factor 2 of a symmetric matrix", BACK, BACK.replace("grad_y,", "2 * grad_y,"), "taken-as-symmetric"),
    ("factor 2 of the square missing", BACK, BACK.replace("grad_y,", "grad_y / 2,"), "factor-2-missing"),
    ("1/4 missing", BACK, BACK.replace("grad_y,", "4 * grad_y,"), "quarter-missing"),
    (
        "A not subtracted",
        "return E, (features, distance_cache)",
        "return E, (features, (G, distance_cache[1]))",
        "target-not-subtracted",
    ),
    ("A - G", BACK, BACK.replace("grad_y,", "-grad_y,"), "difference-reversed or sign"),
    (
        "dL/dF forgotten",
        "return " + BACK,
        f"gradients = {BACK}\n    return 0 * gradients[0], gradients[1]",
        "",
        "zero everywhere",
    ),
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
SINGLE = {
    "losses.gram": GRAM,
    "losses.cross_gram": CROSS_GRAM,
    "losses.cross_style_loss": CROSS_STYLE_LOSS,
    "losses.content_loss": CONTENT_LOSS,
    "losses.style_loss": STYLE_LOSS,
    "losses.total_variation": TOTAL_VARIATION,
}
SEVERAL: tuple[Mutant, ...] = ()
SOUND: tuple[Mutant, ...] = (
    planted(
        "losses.gram",
        "divided by M, forward and backward",
        (
            ("return F.swapaxes(1, 2) @ F, x", "return F.swapaxes(1, 2) @ F / F.shape[1], x"),
            (HALVES, f"({HALVES} / F.shape[1])"),
        ),
    ),
    planted(
        "losses.style_loss",
        "another normalisation",
        (("float(G.shape[-2]) * float(G.shape[-1])", "float(G.shape[-1])"), ("(N**2 * M**2)", "(N * M**2)")),
    ),
)
