"""Mistakes to plant into the solution."""

MATRIX = "    matrix = F.reshape(-1, F.shape[2])\n    return matrix.T @ matrix"
GRAM, BACKWARD = "return matrix.T @ matrix", "F @ (grad_G + grad_G.T)"
NORM, MASK = "(N**2 * M**2)", "(F @ difference) * (z > 0)"
WEIGHT, DIFFERENCE = "grad_y / (N**2", "positions.T @ positions - A"

PLANTED = (
    ("positions by positions", GRAM, "return matrix @ matrix.T", "positions-by-positions"),
    ("mean", GRAM, "return matrix.T @ matrix / len(matrix)", "mean-over-positions"),
    ("normalised", GRAM, "return matrix.T @ matrix / F.size", "normalised"),
    ("covariance", GRAM, "matrix = matrix - matrix.mean(axis=0)\n    return matrix.T @ matrix", "centred"),
    (
        "reshaped the other way",
        MATRIX,
        "    matrix = F.reshape(F.shape[2], -1)\n    return matrix @ matrix.T",
        "rows-mixed-up",
    ),
    ("sums", GRAM, "return np.outer(matrix.sum(axis=0), matrix.sum(axis=0))", "sums-only"),
    ("columns", BACKWARD, "F @ grad_G", "column-only"),
    ("rows", BACKWARD, "F @ grad_G.T", "row-only"),
    ("as if symmetric", BACKWARD, "2 * F @ grad_G", "symmetry-assumed"),
    ("as if symmetric, transposed", BACKWARD, "2 * F @ grad_G.T", "symmetry-assumed-transposed"),
    ("mean of both", BACKWARD, "F @ (grad_G + grad_G.T) / 2", "halved"),
    ("both, doubled", BACKWARD, "2 * F @ (grad_G + grad_G.T)", "doubled"),
    ("no mask", MASK, "(F @ difference)", "mask-missing"),
    (
        "no ReLU",
        "    F = np.maximum(z, 0)\n    height",
        "    F = z\n    z = np.ones_like(z)\n    height",
        "relu-missing-altogether",
    ),
    ("z for F", "    F = np.maximum(z, 0)\n    height", "    F = z\n    height", "relu-missing-forward"),
    ("mask inverted", MASK, "(F @ difference) * (z <= 0)", "mask-inverted"),
    ("kink let pass", MASK, "(F @ difference) * (z >= 0)", "mask-at-zero"),
    ("the 4 of equation 4", NORM, "(4 * N**2 * M**2)", "four-kept"),
    ("Gram matrix divided", DIFFERENCE, "positions.T @ positions / F.size - A", "gram-divided"),
    ("mean in the Gram matrix", DIFFERENCE, "positions.T @ positions / M - A", "gram-mean"),
    ("half", NORM, "(2 * N**2 * M**2)", "factor-half"),
    ("twice", NORM, "(0.5 * N**2 * M**2)", "factor-two"),
    ("N M", NORM, "(N * M)", "norm-not-squared"),
    ("nothing", NORM, "1", "norm-missing"),
    ("no M", NORM, "N**2", "positions-missing"),
    ("no N", NORM, "M**2", "channels-missing"),
    ("M", NORM, "(N**2 * M)", "positions-not-squared"),
    ("N", NORM, "(N * M**2)", "channels-not-squared"),
    ("sign", DIFFERENCE, "A - positions.T @ positions", "sign"),
    ("no style", DIFFERENCE, "positions.T @ positions", "style-forgotten"),
    ("no weight", WEIGHT, "1 / (N**2", "upstream-ignored"),
)
