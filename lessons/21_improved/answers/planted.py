"""Mistakes to plant into the solution."""

HALVES, SUM = "w = 2.0 ** -np.arange(layers)", "return w / w.sum()"
SHIFT, BOTH = "X = matrix(F + s)", "return (X @ (grad_G + grad_G.T)).reshape(F.shape)"
PRODUCT = "return matrix(P).T @ matrix(K)"
GRAD_P, GRAD_K = "(matrix(K) @ grad_G.T).reshape(P.shape)", "(matrix(P) @ grad_G).reshape(K.shape)"
SPREAD = "grad_F[i : 2 * height : 2, j : 2 * width : 2] = grad_P / 4"
FIRST = "P if P is F else F[: 2 * K.shape[0] : 2, : 2 * K.shape[1] : 2]"

PLANTED = (
    ("rising", SUM, "return w[::-1] / w.sum()", "rising"),
    ("the paper's", SUM, "return w / w[-1]", "not-divided"),
    ("halves alone", SUM, "return w / 2", "sum-below-one"),
    ("linear", HALVES, "w = np.arange(layers, 0, -1.0)", "linear"),
    ("equal", HALVES, "w = np.ones(layers)", "equal"),
    ("no shift", SHIFT, "X = matrix(F)", "shift-forgotten"),
    ("minus", SHIFT, "X = matrix(F - s)", "shift-subtracted"),
    ("shift added", BOTH, BOTH + " + s", "shift-in-gradient"),
    ("rows alone", BOTH, "return (X @ grad_G).reshape(F.shape)", "not-symmetrised"),
    ("columns alone", BOTH, "return (X @ grad_G.T).reshape(F.shape)", "transposed"),
    ("as symmetric", BOTH, "return (2 * X @ grad_G).reshape(F.shape)", "taken-as-symmetric"),
    ("squares added up", PRODUCT, "return matrix(P if P is F else 4 * P).T @ matrix(K)", "four-times"),
    ("first pixels", PRODUCT, f"return matrix({FIRST}).T @ matrix(K)", "first-pixel"),
    ("transposed", PRODUCT, "return matrix(K).T @ matrix(P)", "transposed"),
    ("a mean", PRODUCT, "return matrix(P).T @ matrix(K) / len(matrix(K))", "averaged"),
    ("no quarter", SPREAD, SPREAD.replace(" / 4", ""), "quarter-missing"),
    ("one pixel", SPREAD, SPREAD.replace("grad_P / 4", "grad_P if i == j == 0 else 0"), "one-pixel"),
    ("first pixels backward", GRAD_K, f"(matrix({FIRST}) @ grad_G).reshape(K.shape)", "first-pixel"),
    ("sums backward", GRAD_K, "(matrix(P if P is F else 4 * P) @ grad_G).reshape(K.shape)", "sum-for-mean"),
    ("F twice", GRAD_P, "2 * " + GRAD_P, "twice-F"),
    ("K twice", GRAD_K, "2 * " + GRAD_K, "twice-K"),
)
