"""Mistakes to plant into the solution of exercise 6."""

REACH, PARTS = "r, s = dilation * (kh // 2), dilation * (kw // 2)", "top, left = dilation * i, dilation * j"
ADDED, WEIGHTS, END = "y += padded", "@ w[i, j]", "return y + b"

PLANTED = (
    ("no gaps", REACH, f"dilation = 1\n    {REACH}", "dilation-ignored"),
    ("a gap too many", REACH, f"dilation = dilation + 1\n    {REACH}", "one-gap-too-many"),
    ("no gaps between columns", PARTS, "top, left = dilation * i, s + j - kw // 2", "rows-only"),
    ("no gaps between rows", PARTS, "top, left = r + i - kh // 2, dilation * j", "columns-only"),
    ("kernel flipped", WEIGHTS, "@ w[-1 - i, -1 - j]", "kernel-flipped"),
    ("kernel transposed", REACH, f"w, kh, kw = w.swapaxes(0, 1), kw, kh\n    {REACH}", "kernel-transposed"),
    ("zeros below and on the right only", "(r, r), (s, s)", "(0, 2 * r), (0, 2 * s)", "window-off-centre"),
    ("wrapped around", "(0, 0)))", "(0, 0)), mode='wrap')", "wrapped-around"),
    ("border repeated", "(0, 0)))", "(0, 0)), mode='edge')", "border-repeated"),
    ("windows beyond the image left out", END, "return (y + b)[:, r : height - r, s : width - s]", "not-padded"),
    ("no biases", END, "return y", "bias-missing"),
    ("biases added each time", f"{WEIGHTS}\n    {END}", f"{WEIGHTS} + b\n    return y", "bias-once-a-weight"),
    ("not added up", ADDED, "y[:] = padded", "one-weight-only"),
    ("always float64", ", x.dtype", "", "dtype"),
)
