"""Mistakes to plant into the solution of exercise 13."""

CUT, POINTS, BACK = "(M @ A).ravel()[: len(x)]", "M = multiply(tiles_of(x) @ B, G @ w)", "w[::-1], multiply"
PADDED, SUMMED, END = "np.pad(x, (1, 1 + len(x) % 2))", ".sum(axis=0)\n", "return G.T @ grad_U"

PLANTED = (
    ("zeros at the end only", PADDED, "np.pad(x, (0, 2 + len(x) % 2))", "off-centre"),
    ("weights in the opposite order", POINTS, "M = multiply(tiles_of(x) @ B, G @ w[::-1])", "kernel-flipped"),
    ("halves forgotten", POINTS, f"{POINTS} * [1, 2, 2, 1]", "halves-missing"),
    ("a sign on the way back", CUT, "(M @ [[1, 0], [1, 1], [1, 1], [0, 1]]).ravel()[: len(x)]", "sign-of-m2"),
    ("the end not cut off", CUT, "(M @ A).ravel()", "one-output-too-many"),
    ("the odd end lost", CUT, "np.pad((M @ A).ravel()[: len(x) // 2 * 2], (0, len(x) % 2))", "end-lost"),
    ("kernel not flipped", BACK, "w, multiply", "kernel-not-flipped"),
    (
        "the odd end of the gradient lost",
        f"convolve_row(grad_y, {BACK})",
        f"convolve_row(grad_y, {BACK}) * (np.arange(len(grad_y)) < len(grad_y) // 2 * 2)",
        "input-end-lost",
    ),
    ("the usual way", POINTS, "return np.correlate(np.pad(x, 1), w, 'valid')\n    M = 0", "different"),
    ("more products than needed", POINTS, "M = multiply(multiply(tiles_of(x) @ B, G @ w), np.ones(4))", "different"),
    ("slopes in the opposite order", END, "return (G.T @ grad_U)[::-1]", "flipped"),
    ("last tile only", SUMMED, "[-1]\n", "last-tile-only"),
    ("tiles averaged", SUMMED, ".mean(axis=0)\n", "averaged-over-tiles"),
    ("tiles not added up", f"{SUMMED}    {END}", "\n    return grad_U @ G", "tiles-not-summed"),
)
