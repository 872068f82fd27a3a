"""Mistakes to plant into the solution of exercise 7."""

KERNEL, COLLECTED, RETURNED = "w[kh - 1 - i, kw - 1 - j].T", "grad_x += padded", "    return grad_x\n"
WEIGHTS, BIASES = "return grad_w, ", "grad_y.sum(axis=(0, 1, 2))"
HALF = "top, left = (kh - 1) // 2, (kw - 1) // 2\n"
MIDDLE = "top : top + grad_y.shape[1], left : left + grad_y.shape[2]"
ROWS = "shifted.reshape(-1, channels).T @ grad_y.reshape(-1, outputs)"

PLANTED = (
    ("kernel not flipped", KERNEL, "w[i, j].T", "kernel-not-flipped"),
    ("columns not flipped", KERNEL, "w[kh - 1 - i, j].T", "columns-not-flipped"),
    ("rows not flipped", KERNEL, "w[i, kw - 1 - j].T", "rows-not-flipped"),
    ("channels reshaped", KERNEL, f"{KERNEL[:-2]}.reshape(-1, channels)", "channels-reshaped"),
    ("as large as y", RETURNED, f"    {HALF}    return grad_x[:, {MIDDLE}]\n", "as-large-as-y"),
    (
        "border empty",
        RETURNED,
        f"    {HALF}    middle = np.s_[:, {MIDDLE}]\n"
        "    cut = np.zeros_like(grad_x)\n    cut[middle] = grad_x[middle]\n    return cut\n",
        "border-empty",
    ),
    ("not added up", COLLECTED, "grad_x[:] = padded", "one-weight-only"),
    ("dL/dw flipped", WEIGHTS, "return grad_w[::-1, ::-1], ", "kernel-gradient-flipped"),
    (
        "last image only",
        ROWS,
        "shifted[-1].reshape(-1, channels).T @ grad_y[-1].reshape(-1, outputs)",
        "last-image-only",
    ),
    (
        "first image only",
        ROWS,
        "shifted[0].reshape(-1, channels).T @ grad_y[0].reshape(-1, outputs)",
        "first-image-only",
    ),
    ("dL/dw averaged over images", WEIGHTS, "return grad_w / len(x), ", "averaged-over-images"),
    ("dL/dw averaged over outputs", WEIGHTS, "return grad_w / grad_y[..., 0].size, ", "averaged-over-places"),
    (
        "channels of dL/dw reshaped",
        ROWS,
        "(grad_y.reshape(-1, outputs).T @ shifted.reshape(-1, channels)).reshape(channels, outputs)",
        "channels-reshaped",
    ),
    ("dL/dw transposed", WEIGHTS, "return grad_w.swapaxes(2, 3), ", "transposed"),
    ("dL/db averaged", BIASES, "grad_y.mean(axis=(0, 1, 2))", "bias-averaged"),
    ("dL/db of each image", BIASES, "grad_y.sum(axis=(1, 2))", "bias-of-each-image"),
    ("dL/db of all channels", BIASES, "grad_y.sum()", "bias-of-all-channels"),
)
