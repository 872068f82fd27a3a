"""Mistakes to plant into the solution."""

AVERAGE = "    for corner in corners(grad_x):\n        corner[...] = grad_y / 4\n    return grad_x"
FORWARD, WINNER = "four.max(axis=0), four.argmax(axis=0)", "four.argmax(axis=0)"
ROUTED = "grad_y * (winner == number)"

PLANTED = (
    ("no quarter", "grad_y / 4", "grad_y", "average-factor"),
    ("upper left only", AVERAGE, "    corners(grad_x)[0][...] = grad_y / 4\n    return grad_x", "one-corner-only"),
    (
        "np.tile for np.repeat",
        AVERAGE,
        "    h, w = grad_y.shape[1:3]\n    grad_x[:, : 2 * h, : 2 * w] = np.tile(grad_y, (1, 2, 2, 1)) / 4\n"
        "    return grad_x",
        "tiled",
    ),
    ("even sides only", AVERAGE, "    return (grad_y / 4).repeat(2, axis=1).repeat(2, axis=2)", "odd-forgotten"),
    ("minimum", FORWARD, "four.min(axis=0), four.argmin(axis=0)", "smallest-wins"),
    (
        "absolute values",
        FORWARD,
        "np.take_along_axis(four, np.abs(four).argmax(axis=0)[None], 0)[0], np.abs(four).argmax(axis=0)",
        "largest-size-wins",
    ),
    ("last of ties", WINNER, "3 - four[::-1].argmax(axis=0)", "last-of-ties"),
    ("columns first", WINNER, "four.argmax(axis=0) % 2 * 2 + four.argmax(axis=0) // 2", "winner-transposed"),
    ("corners down the columns", WINNER, "four[[0, 2, 1, 3]].argmax(axis=0)", "corners-down-the-columns"),
    ("counted from 1", WINNER, "four.argmax(axis=0) + 1", "counted-from-one"),
    ("all four", ROUTED, "grad_y", "all-take-it"),
    ("a quarter each", ROUTED, "grad_y / 4", "shared-evenly"),
    (
        "rows and columns exchanged",
        ROUTED,
        "grad_y * (winner == (0, 2, 1, 3)[number])",
        "winner-transposed",
    ),
    ("the other three", ROUTED, "grad_y * (winner != number)", "losers-take-it"),
    (
        "even sides only, max",
        "    grad_x = np.zeros(shape, grad_y.dtype)\n    for number,",
        "    h, w = grad_y.shape[1:3]\n    grad_x = np.zeros((shape[0], 2 * h, 2 * w, shape[3]), grad_y.dtype)\n"
        "    for number,",
        "odd-forgotten",
    ),
)
