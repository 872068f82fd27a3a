"""Mistakes to plant into the solution."""

M = "M = multiply(tiles(x) @ B, G @ w)"
OUTPUTS = "return (M @ A).ravel()"
GRADIENTS = "grad_tiles = multiply(grad_M, G @ w) @ B.T"
ADDED = "grad_x[2:] += grad_tiles[:, 2:].ravel()"
SUM = "grad_U = multiply(tiles(x) @ B, grad_M).sum(axis=0)"
KERNEL = "return G.T @ grad_U"

PLANTED = (
    ("kernel flipped", M, M.replace("w)", "w[::-1])"), "kernel-flipped"),
    ("outputs exchanged", OUTPUTS, "return (M @ A)[:, ::-1].ravel()", "outputs-exchanged"),
    ("not transposed", M, M.replace("@ B", "@ B.T"), "points-not-transposed"),
    ("transposed on the way back", GRADIENTS, GRADIENTS.replace("@ B.T", "@ B"), "points-transposed"),
    ("halves missing", M, M.replace("@ B", "@ (B * [1, 2, 2, 1])"), "halves-missing"),
    ("sign of the last product", M, M.replace("@ B", "@ (B * [1, 1, 1, -1])"), "last-product-negative"),
    ("kernel flipped on the way back", GRADIENTS, GRADIENTS.replace("G @ w", "G @ w[::-1]"), "kernel-flipped"),
    (
        "overlap overwritten",
        f"grad_x[:-2] += grad_tiles[:, :2].ravel()\n    {ADDED}",
        "grad_x[2:] = grad_tiles[:, 2:].ravel()\n    grad_x[:-2] = grad_tiles[:, :2].ravel()",
        "overlap-lost",
    ),
    ("kernel's gradient flipped", KERNEL, "return (G.T @ grad_U)[::-1]", "kernel-gradient-flipped"),
    ("last tile", SUM, SUM.replace(".sum(axis=0)", "[-1]"), "last-tile-only"),
    ("mean over tiles", SUM, SUM.replace("sum", "mean"), "mean-over-tiles"),
    ("not summed", KERNEL, "return (multiply(tiles(x) @ B, grad_M) @ G).ravel()", "wrong-shape"),
    ("not counted", M, M.replace("multiply", "np.multiply"), "different"),
    ("the usual way", M, "return multiply(np.stack([x[:-2], x[1:-1], x[2:]], axis=1), w).sum(axis=1)", "different"),
)
