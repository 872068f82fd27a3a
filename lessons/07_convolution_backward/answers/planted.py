"""Mistakes to plant into the solution."""

SPREAD = "grad_x[:, i : i + height, j : j + width] += grad_y @ w[i, j].T"
HEIGHT = "(_, height, width, _), (kh, kw, _, _) = grad_y.shape, w.shape"
SEEN = "seen = x[:, i : i + height, j : j + width].reshape(-1, channels)"
COLLECTED = "grad_w[i, j] = seen.T @ grad_y.reshape(-1, outputs)"
RETURN = "return grad_w, grad_y.sum(axis=(0, 1, 2))"

PLANTED = (
    ("not flipped", SPREAD, SPREAD.replace("w[i, j]", "w[kh - 1 - i, kw - 1 - j]"), "kernel-not-flipped"),
    ("rows not flipped", SPREAD, SPREAD.replace("w[i, j]", "w[kh - 1 - i, j]"), "kernel-rows-not-flipped"),
    ("columns not flipped", SPREAD, SPREAD.replace("w[i, j]", "w[i, kw - 1 - j]"), "kernel-columns-not-flipped"),
    (
        "cut as if there were zeros",
        "return grad_x\n",
        "return grad_x[:, kh // 2 : kh // 2 + height, kw // 2 : kw // 2 + width]\n",
        "zeros-as-in-the-lesson",
    ),
    (
        "zeros around the image",
        SEEN,
        SEEN.replace("x[", "np.pad(x, ((0, 0), (kh // 2, kh), (kw // 2, kw), (0, 0)))["),
        "zeros-as-in-the-lesson",
    ),
    ("overwritten", SPREAD, SPREAD.replace("+=", "="), "last-place-only"),
    ("upstream of ones", SPREAD, SPREAD.replace("grad_y @", "np.ones_like(grad_y) @"), "upstream-ignored"),
    ("upstream's sign lost", SPREAD, SPREAD.replace("grad_y @", "np.abs(grad_y) @"), "upstream-absolute"),
    (
        "last column left out",
        "for i in range(kh):\n        for j in range(kw):\n            grad_x",
        "for i in range(kh):\n        for j in range(kw - 1):\n            grad_x",
        "tap-missing",
    ),
    ("channels not transposed", "w[i, j].T", "w[i, j]", "ValueError"),
    ("always float64", "np.zeros_like(x)", "np.zeros(x.shape)", "dtype"),
    ("in the size of grad_y", "np.zeros_like(x)", "np.zeros((*grad_y.shape[:3], x.shape[3]))", "ValueError"),
    (
        "kernel's gradient flipped",
        COLLECTED,
        COLLECTED.replace("[i, j]", "[kh - 1 - i, kw - 1 - j]"),
        "kernel-gradient-flipped",
    ),
    ("mean over images", RETURN, "return grad_w / len(x), grad_y.sum(axis=(0, 1, 2)) / len(x)", "mean-over-images"),
    (
        "mean over outputs",
        RETURN,
        "return grad_w / grad_y[..., 0].size, grad_y.mean(axis=(0, 1, 2))",
        "mean-over-outputs",
    ),
    ("mean in the bias", RETURN, "return grad_w, grad_y.mean(axis=(0, 1, 2))", "bias-mean"),
    (
        "windows' axes not moved",
        RETURN,
        RETURN.replace("grad_w,", "grad_w.transpose(2, 0, 1, 3).reshape(w.shape),"),
        "window-order",
    ),
    ("one bias for all channels", RETURN, "return grad_w, grad_y.sum()", "bias-over-channels"),
    ("order of the results", RETURN, "return grad_y.sum(axis=(0, 1, 2)), grad_w", "order"),
    ("bias an image", RETURN, "return grad_w, grad_y.sum(axis=(1, 2))", "bias-for-each-image"),
    (
        "one image only",
        "grad_w = np.zeros_like(w)",
        "grad_w, x, grad_y = np.zeros_like(w), x[-1:], grad_y[-1:]",
        "last-image-only",
    ),
)
