"""Mistakes to plant into the solution."""

FOLDED = "folded = fold(grad_y, rows)"
BOTH = "return fold(folded.swapaxes(1, 2), columns).swapaxes(1, 2)"
MIDDLE = "grad_x = grad_y[:, margin:end].copy()"
ABOVE = "grad_x[:, 1 : 1 + margin] += grad_y[:, :margin][:, ::-1]"
BELOW = "grad_x[:, length - 1 - margin : length - 1] += grad_y[:, end:][:, ::-1]"
MIRRORS = f"{ABOVE}\n    {BELOW}"

SQUARE = "sum(grad_y[:, i::2, j::2] for i in (0, 1) for j in (0, 1))"

SEEN = "return x[:, i : i + stride * height : stride, j : j + stride * width : stride]"
Y = "y = np.zeros((count, (height - kh) // stride + 1, (width - kw) // stride + 1, outputs), x.dtype)"
TERM = "y += seen(x, i, j, y, stride) @ w[i, j]"

SPREAD = "spread[:, kh - 1 : height : stride, kw - 1 : width : stride] = grad_y"
TURNED = "w[::-1, ::-1].swapaxes(2, 3)"
CONVOLVED = "return strided_forward(spread, turned, np.zeros(channels, x.dtype), 1)"

MET = "met = seen(x, i, j, grad_y, stride).reshape(-1, channels)"
COLLECTED = "grad_w[i, j] = met.T @ grad_y.reshape(-1, outputs)"
RETURN = "return grad_w, grad_y.sum(axis=(0, 1, 2))"

PLANTED = (
    ("the middle alone", MIRRORS, "", "mirrors-not-added"),
    (
        "edge shown twice",
        MIRRORS,
        "grad_x[:, :margin] += grad_y[:, :margin][:, ::-1]\n"
        "    grad_x[:, length - margin :] += grad_y[:, end:][:, ::-1]",
        "edge-repeated",
    ),
    (
        "edge shown twice below",
        BELOW,
        "grad_x[:, length - margin :] += grad_y[:, end:][:, ::-1]",
        "edge-repeated-at-the-end",
    ),
    (
        "arrays as indices",
        FOLDED,
        "places = [np.pad(np.arange(n), m, 'reflect') for n, m in zip(x.shape[1:], (rows, columns))]\n"
        "    grad_x = np.zeros_like(x)\n    grad_x[:, places[0][:, None], places[1]] += grad_y\n    return grad_x",
        "last-path-only",
    ),
    (
        "continued by the edge",
        MIRRORS,
        "grad_x[:, 0] += grad_y[:, :margin].sum(1)\n    grad_x[:, -1] += grad_y[:, end:].sum(1)",
        "edge-for-all",
    ),
    ("not turned over", MIRRORS, MIRRORS.replace("[:, ::-1]", ""), "not-turned-over"),
    ("= for +=", MIRRORS, MIRRORS.replace("+=", "="), "assigned-not-added"),
    (
        "mean over the places",
        BOTH,
        "times = reflect_ones(grad_y, rows, columns)\n    return fold(folded.swapaxes(1, 2), columns).swapaxes(1, 2)"
        " / times\n\n\ndef reflect_ones(grad_y, rows, columns):\n    folded = fold(np.ones_like(grad_y), rows)\n"
        "    return fold(folded.swapaxes(1, 2), columns).swapaxes(1, 2)",
        "mean-for-sum",
    ),
    (
        "both axes from grad_y, each without the other's margin",
        BOTH,
        "N, H, W, C = x.shape\n    of_rows = folded[:, :, columns : columns + W]\n"
        "    of_columns = fold(grad_y[:, rows : rows + H].swapaxes(1, 2), columns).swapaxes(1, 2)\n"
        "    return of_rows + of_columns - grad_y[:, rows : rows + H, columns : columns + W]",
        "corners-not-added",
    ),
    ("rows cut off", FOLDED, "folded = grad_y[:, rows : rows + x.shape[1]]", "rows-not-folded"),
    ("columns cut off", BOTH, "return folded[:, :, columns : columns + x.shape[2]]", "columns-not-folded"),
    ("one mirror alone", BELOW, "", "one-mirror-missing"),
    ("always float64, padding", MIDDLE, MIDDLE.replace(".copy()", ".astype(float)"), "dtype"),
    ("a quarter", SQUARE, f"{SQUARE} / 4", "mean-for-sum"),
    ("upper left alone", SQUARE, "grad_y[:, ::2, ::2]", "one-corner-only"),
    ("one of four left out", SQUARE, f"{SQUARE} - grad_y[:, 1::2, 1::2]", "one-corner-missing"),
    ("the rows' pairs alone", SQUARE, "grad_y[:, ::2, ::2] + grad_y[:, 1::2, ::2]", "half-of-square-only"),
    ("diagonal alone", SQUARE, "sum(grad_y[:, i::2, i::2] for i in (0, 1))", "diagonal-of-square-only"),
    ("maximum", SQUARE, "np.max([grad_y[:, i::2, j::2] for i in (0, 1) for j in (0, 1)], axis=0)", "largest-of-square"),
    (
        "reshaped the other way round",
        SQUARE,
        "grad_y.reshape(len(x), 2, x.shape[1], 2, x.shape[2], -1).sum((1, 3))",
        "tiled",
    ),
    (
        "windows side by side",
        SEEN,
        "return x[:, i : i + height, j : j + width]",
        "stride-forgotten",
    ),
    (
        "all windows",
        "    return y + b",
        "    return strided_forward(x, w, b, 1) if stride > 1 else y + b",
        "all-windows",
    ),
    (
        "stride at the kernel's index",
        TERM,
        "p, q = y.shape[1:3]\n        y += x[:, stride * i : stride * i + p, stride * j : stride * j + q] @ w[i, j]",
        "stride-in-the-kernel",
    ),
    (
        "zeros around",
        Y,
        "x = np.pad(x, ((0, 0), (kh // 2, kh // 2), (kw // 2, kw // 2), (0, 0)))\n"
        f"    height, width = x.shape[1:3]\n    {Y}",
        "zeros-around",
    ),
    ("one window short", Y, Y.replace(" + 1", ""), "last-window-missing"),
    ("kernel flipped", TERM, TERM.replace("w[i, j]", "w[kh - 1 - i, kw - 1 - j]"), "kernel-flipped"),
    ("no bias", "return y + b", "return y", "bias-missing"),
    ("not flipped", TURNED, "w.swapaxes(2, 3)", "kernel-not-flipped"),
    ("rows not flipped", TURNED, "w[:, ::-1].swapaxes(2, 3)", "kernel-rows-not-flipped"),
    ("columns not flipped", TURNED, "w[::-1].swapaxes(2, 3)", "kernel-columns-not-flipped"),
    ("channels reshaped", TURNED, "w[::-1, ::-1].reshape(kh, kw, outputs, channels)", "channels-not-exchanged"),
    ("channels not exchanged", TURNED, "w[::-1, ::-1]", "channels-not-exchanged"),
    (
        "no zeros between",
        SPREAD,
        "spread[:, kh - 1 : kh - 1 + grad_y.shape[1], kw - 1 : kw - 1 + grad_y.shape[2]] = grad_y",
        "stride-forgotten",
    ),
    (
        "repeated",
        SPREAD,
        "wide = grad_y.repeat(stride, 1).repeat(stride, 2)[:, : height - kh + 1, : width - kw + 1]\n"
        "    spread[:, kh - 1 : kh - 1 + wide.shape[1], kw - 1 : kw - 1 + wide.shape[2]] = wide",
        "repeated-not-spread",
    ),
    ("a pixel too far down", SPREAD, f"{SPREAD}\n    spread = np.roll(spread, 1, 1)", "spread-off-by-one"),
    ("stride kept", CONVOLVED, CONVOLVED.replace(", 1)", ", stride)"), "stride-kept"),
    (
        "unread rows forgotten",
        "spread = np.zeros(",
        "height, width = ((n - 1) * stride + k for n, k in zip(grad_y.shape[1:3], (kh, kw)))\n    spread = np.zeros(",
        "unread-missing",
    ),
    (
        "overwritten",
        CONVOLVED,
        "grad_x = np.zeros_like(x)\n    for i, j in np.ndindex(kh, kw):\n"
        "        seen(grad_x, i, j, grad_y, stride)[...] = grad_y @ w[i, j].T\n    return grad_x",
        "last-place-only",
    ),
    ("upstream of ones", SPREAD, SPREAD.replace("= grad_y", "= 1"), "upstream-ignored"),
    ("stride forgotten in dL/dw", MET, MET.replace(", stride)", ", 1)"), "stride-forgotten"),
    (
        "kernel's gradient flipped",
        COLLECTED,
        COLLECTED.replace("[i, j]", "[kh - 1 - i, kw - 1 - j]"),
        "kernel-gradient-flipped",
    ),
    (
        "one image only",
        "(kh, kw, channels, outputs), grad_w = w.shape, np.zeros_like(w)",
        "(kh, kw, channels, outputs), grad_w, x, grad_y = w.shape, np.zeros_like(w), x[-1:], grad_y[-1:]",
        "last-image-only",
    ),
    ("mean over images", RETURN, "return grad_w / len(x), grad_y.sum((0, 1, 2)) / len(x)", "mean-over-images"),
    ("mean over outputs", RETURN, "return grad_w / grad_y[..., 0].size, grad_y.mean((0, 1, 2))", "mean-over-outputs"),
    ("mean in the bias", RETURN, "return grad_w, grad_y.mean(axis=(0, 1, 2))", "bias-mean"),
    ("one bias for all channels", RETURN, "return grad_w, grad_y.sum()", "bias-over-channels"),
    ("order of the results", RETURN, "return grad_y.sum(axis=(0, 1, 2)), grad_w", "order"),
)
