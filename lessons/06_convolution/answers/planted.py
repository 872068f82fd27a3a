"""Mistakes to plant into the solution."""

PRODUCT = "y += padded[:, top : top + height, left : left + width] @ w[i, j]"
PADDED = "padded = np.pad(x, ((0, 0), (rows, rows), (columns, columns), (0, 0)))"
STEPS = "top, left = i * dilation, j * dilation"
RETURN = "return y + b"

PLANTED = (
    ("kernel flipped", "@ w[i, j]", "@ w[kh - 1 - i, kw - 1 - j]", "kernel-flipped"),
    (
        "rows and columns exchanged",
        "(kh, kw, _, outputs) = x.shape, w.shape",
        "(kh, kw, _, outputs) = x.shape, (w := w.swapaxes(0, 1)).shape",
        "kernel-transposed",
    ),
    ("dilation forgotten", "rows, columns =", "dilation = 1\n    rows, columns =", "not-dilated"),
    (
        "rows dilated alone",
        STEPS,
        "top, left = i * dilation, j + columns - kw // 2",
        "rows-only-dilated",
    ),
    (
        "columns dilated alone",
        STEPS,
        "top, left = i + rows - kh // 2, j * dilation",
        "columns-only-dilated",
    ),
    ("pixels between counted", "rows, columns =", "dilation += 1\n    rows, columns =", "dilation-off-by-one"),
    (
        "kernel's corner",
        PADDED,
        PADDED.replace("(rows, rows), (columns, columns)", "(0, 2 * rows), (0, 2 * columns)"),
        "corner-for-centre",
    ),
    (
        "no zeros around",
        RETURN,
        "return (y + b)[:, rows : height - rows, columns : width - columns]",
        "not-padded",
    ),
    ("around the border", PADDED, PADDED[:-1] + ', mode="wrap")', "padded-wrap"),
    ("border repeated", PADDED, PADDED[:-1] + ', mode="edge")', "padded-edge"),
    ("no bias", RETURN, "return y", "bias-missing"),
    ("bias in the loop", f"{PRODUCT}\n    {RETURN}", f"{PRODUCT} + b\n    return y", "bias-for-each-weight"),
    (
        "windows' axes not moved",
        "(kh, kw, _, outputs) = x.shape, w.shape",
        "(kh, kw, c, outputs) = x.shape, (w := w.reshape(-1, *w.shape[:2], w.shape[3]).transpose(1, 2, 0, 3)).shape",
        "window-order",
    ),
    ("not added up", PRODUCT, PRODUCT.replace("+=", "="), "last-weight-only"),
    ("padding forgotten", PADDED, "padded = x", "ValueError"),
    ("always float64", "outputs), x.dtype)", "outputs))", "dtype"),
)
