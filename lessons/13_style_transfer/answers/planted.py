"""Mistakes to plant into the solution."""

AT_F1, AT_F2 = "grad_F1 = beta * w1 * grad_1", "grad_F2 = alpha * (F2 - P) + beta * w2 * grad_2"
BOTH, LOSS = f"{AT_F1}\n    {AT_F2}", "alpha * content + beta * (w1 * E1 + w2 * E2)"
STYLE, BEGIN = "F @ difference / (N**2 * M**2)", "    (E1, grad_1), "
SQUARES = "/ (4 * N**2 * M**2), F @ difference / (N**2 * M**2)"
ROWS = "grad_x[1:] += 2 * down\n    grad_x[:-1] -= 2 * down"
COLUMNS = "grad_x[:, 1:] += 2 * right\n    grad_x[:, :-1] -= 2 * right"
GRADIENT, DIFFERENCES = f"{ROWS}\n    {COLUMNS}", "down, right = x[1:] - x[:-1], x[:, 1:] - x[:, :-1]"
VALUE = "np.sum(down**2) + np.sum(right**2), grad_x"
ROLLED = "down, right = np.roll(x, -1, 0) - x, np.roll(x, -1, 1) - x"
HANDED_BACK = "grad_x += 2 * (np.roll(down, 1, 0) - down + np.roll(right, 1, 1) - right)"


def slopes(end, start):
    """The gradient's lines with other factors."""
    text = GRADIENT.replace("+= 2 *", f"+= {end} *")
    return text.replace("-= 2 *", f"-= {start} *")


PLANTED = (
    ("content overwrites style", AT_F2, "grad_F2 = beta * w2 * grad_2\n    grad_F2 = alpha * (F2 - P)", "style-lost"),
    ("style overwrites content", AT_F2, "grad_F2 = beta * w2 * grad_2", "content-lost"),
    ("alpha forgotten in the gradient", AT_F2, "grad_F2 = F2 - P + beta * w2 * grad_2", "alpha-not-in-gradient"),
    ("beta forgotten", BOTH, BOTH.replace("beta * ", ""), "beta-not-in-gradient"),
    (
        "layers' weights forgotten",
        BOTH,
        BOTH.replace("w1 * ", "").replace("w2 * ", ""),
        "layer-weights-not-in-gradient",
    ),
    ("all weights forgotten", BOTH, "grad_F1 = grad_1\n    grad_F2 = F2 - P + grad_2", "no-weights-in-gradient"),
    ("alpha and beta exchanged", BEGIN, f"    alpha, beta = beta, alpha\n{BEGIN}", "alpha-and-beta-exchanged"),
    ("w1 and w2 exchanged", BEGIN, f"    w1, w2 = w2, w1\n{BEGIN}", "layers-exchanged"),
    ("no weights of layers at all", BEGIN, f"    w1 = w2 = 1\n{BEGIN}", "layer-weights-missing"),
    ("N and M not squared", SQUARES, SQUARES.replace("**2", ""), "squares-missing"),
    ("a quarter kept", STYLE, STYLE.replace("(N", "(4 * N"), "quarter-kept"),
    ("one path only", STYLE, STYLE.replace("(N", "(2 * N"), "one-path-only"),
    ("a half kept", AT_F2, AT_F2.replace("(F2 - P)", "(F2 - P) / 2"), "half-kept"),
    ("no half in the loss", "** 2) / 2", "** 2)", "half-missing"),
    ("no quarter in the loss", "/ (4 * N**2 * M**2)", "/ (N**2 * M**2)", "quarter-missing"),
    ("a factor in the loss only", LOSS, f"3 * ({LOSS})", "different"),
    ("ends only", GRADIENT, slopes(2, 0), "end-only"),
    ("starts only", GRADIENT, slopes(0, 2), "start-only"),
    ("the same sign", GRADIENT, slopes(2, -2), "same-sign"),
    ("the wrong sign", GRADIENT, slopes(-2, -2), "uphill"),
    ("no factor 2", GRADIENT, slopes(1, 1), "square-factor-missing"),
    ("no columns in the gradient", GRADIENT, ROWS, "columns-missing-in-gradient"),
    ("no rows in the gradient", GRADIENT, COLUMNS, "rows-missing-in-gradient"),
    ("down only", DIFFERENCES, f"{DIFFERENCES}\n    right = 0 * right", "down-only"),
    ("right only", DIFFERENCES, f"{DIFFERENCES}\n    down = 0 * down", "right-only"),
    (
        "around the border",
        f"{DIFFERENCES}\n    grad_x = np.zeros_like(x)\n    {GRADIENT}",
        f"{ROLLED}\n    grad_x = np.zeros_like(x)\n    {HANDED_BACK}",
        "wrapped-around",
    ),
    (
        "sizes for squares",
        f"{GRADIENT}\n    return {VALUE}",
        slopes(1, 1).replace("* down", "* np.sign(down)").replace("* right", "* np.sign(right)")
        + "\n    return np.abs(down).sum() + np.abs(right).sum(), grad_x",
        "absolute",
    ),
)
