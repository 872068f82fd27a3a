"""Mistakes to plant into the solution."""

CENTRED, PRODUCT = "X = x - x.mean(axis=0)", "X.T @ X / len(x)"
ROOT = "return V @ np.diag(r) @ V.T"
SYMMETRIC, DIVIDED, BACK = "((grad_S + grad_S.T) / 2)", "(r[:, None] + r[None, :])", "return V @ D @ V.T"
IN_BASIS = f"V.T @ {SYMMETRIC} @ V"
WHITE, COLOURED = "(x - x.mean(axis=0)) @ np.linalg.inv(root)", "white @ root_of_style + style.mean(axis=0)"
E = "EPSILON * (1 + np.trace(K) / len(K))"

PLANTED = (
    ("mean kept", CENTRED, "X = x", "mean-kept"),
    ("M - 1", PRODUCT, "X.T @ X / max(len(x) - 1, 1)", "unbiased"),
    ("sum", PRODUCT, "X.T @ X", "not-averaged"),
    ("of pixels", PRODUCT, "X @ X.T / len(x)", "of-pixels"),
    ("mean of rows", CENTRED, "X = x - x.mean(axis=1, keepdims=True)", "mean-of-rows"),
    ("root by element", ROOT, "return np.sqrt(np.abs(K))", "elementwise"),
    ("not back", ROOT, "return V @ np.diag(r)", "not-rotated-back"),
    ("transposed", ROOT, "return V.T @ np.diag(r) @ V", "transposed"),
    ("no root", ROOT, "return V @ np.diag(r**2) @ V.T", "root-missing"),
    ("diagonal", ROOT, "return np.diag(r)", "eigenvalues-alone"),
    ("inverse", ROOT, "return V @ np.diag(1 / r) @ V.T", "inverse"),
    ("cholesky", ROOT, "return np.linalg.cholesky(K)", "cholesky"),
    ("not symmetric", SYMMETRIC, "grad_S", "not-symmetrised"),
    ("product of roots", DIVIDED, "(r[:, None] * r[None, :])", "product-of-roots"),
    ("sum of eigenvalues", DIVIDED, "(r[:, None] ** 2 + r[None, :] ** 2)", "sum-of-eigenvalues"),
    ("own root", DIVIDED, "(2 * r[:, None] + 0 * r[None, :])", "inverse-root"),
    ("multiplied", f"g / {DIVIDED}", f"g * {DIVIDED}", "halves"),
    ("diagonal of D", BACK, "return V @ np.diag(np.diag(D)) @ V.T", "diagonal-only"),
    ("not in the eigenbasis", f"g = {IN_BASIS}", f"g, V = {SYMMETRIC}, np.eye(len(K))", "not-in-eigenbasis"),
    ("D as it is", BACK, "return D", "not-rotated-back"),
    ("transposed backward", f"g = {IN_BASIS}", f"V = V.T\n    g = {IN_BASIS}", "transposed"),
    ("element by element", BACK, "return grad_S / (2 * square_root(K))", "elementwise"),
    ("inverse root", BACK, f"return np.linalg.inv(square_root(K)) @ {SYMMETRIC} / 2", "inverse-root"),
    ("differences of roots", DIVIDED, "(r[:, None] - r[None, :])", "differences-of-roots"),
    (
        "differences off the diagonal",
        DIVIDED,
        "(r[:, None] - r[None, :] + np.diag(2 * r))",
        "differences-off-diagonal",
    ),
    (
        "through the eigenvectors",
        DIVIDED,
        "np.where(np.eye(len(K)) == 1, 2 * r, (eigenvalues[:, None] - eigenvalues) / (r[:, None] - r))",
        "different",
    ),
    ("one triangle", BACK, "return np.tril(V @ D @ V.T)", "one-triangle"),
    ("mean of x kept", WHITE, "x @ np.linalg.inv(root)", "mean-kept"),
    ("no mean of the style", COLOURED, "white @ root_of_style", "style-mean-missing"),
    ("mean of the content", COLOURED, "white @ root_of_style + x.mean(axis=0)", "mean-of-content"),
    (
        "exchanged",
        f"{WHITE}\n    return {COLOURED}",
        "(x - x.mean(axis=0)) @ np.linalg.inv(root_of_style)\n    return white @ root + style.mean(axis=0)",
        "exchanged",
    ),
    (
        "of each channel alone",
        "return K + e * np.eye(len(K))",
        "return np.diag(np.diag(K + e * np.eye(len(K))))",
        "diagonal-only",
    ),
    ("by eigenvalues", WHITE, "(x - x.mean(axis=0)) @ np.linalg.inv(root @ root)", "divided-by-eigenvalues"),
    ("not white", WHITE, "x - x.mean(axis=0)", "not-whitened"),
    ("not coloured", COLOURED, "white + style.mean(axis=0)", "not-coloured"),
    (
        "by the covariance",
        COLOURED,
        "white @ root_of_style @ root_of_style + style.mean(axis=0)",
        "coloured-by-covariance",
    ),
    ("no e", E, "0.0", "e-missing"),
    ("e of 1 alone", E, "EPSILON", "e-without-variance"),
    (
        "in the eigenbasis",
        WHITE,
        "(x - x.mean(axis=0)) @ np.linalg.inv(root) @ np.linalg.eigh(with_e(covariance(x)))[1]",
        "rotated",
    ),
    (
        "coloured first",
        WHITE,
        "(x - x.mean(axis=0)) @ root_of_style @ np.linalg.inv(root) @ np.linalg.inv(root_of_style)",
        "order",
    ),
)
