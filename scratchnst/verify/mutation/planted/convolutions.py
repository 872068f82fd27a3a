"""Mistakes in convolutions, and what is done to an image's borders and size.

`SINGLE` has rows of name, old text, new text, and the key or pattern of the diagnosis, for each module.
"""

from __future__ import annotations

from scratchnst.verify.mutation.planted.mutant import Mutant, planted

CONVOLVE = "return _convolve(grad_y, {})"
BACK = CONVOLVE.format("w[::-1, ::-1].swapaxes(2, 3)")
PAD = "array_module(w).pad(grad_y, ((0, 0), {}, {}, (0, 0)))"
SUM = "grad_y.sum(axis=(0, 1, 2))"
GRAD_W = "return grad_w.reshape(w.shape), "
CONV2D = (
    ("kernel not flipped", BACK, CONVOLVE.format("w.swapaxes(2, 3)"), "kernel-not-flipped"),
    ("kernel flipped along rows only", BACK, CONVOLVE.format("w[::-1].swapaxes(2, 3)"), "kernel-columns-not-flipped"),
    (
        "kernel flipped along columns only",
        BACK,
        CONVOLVE.format("w[:, ::-1].swapaxes(2, 3)"),
        "kernel-rows-not-flipped",
    ),
    ("kernel transposed, not flipped", BACK, CONVOLVE.format("w.transpose(1, 0, 3, 2)"), "kernel-transposed"),
    (
        "channels of the kernel reshaped, not exchanged",
        BACK,
        CONVOLVE.format("w[::-1, ::-1].reshape(*w.shape[:2], w.shape[3], w.shape[2])"),
        "channels-reshaped",
    ),
    (
        "padding one row too high",
        BACK,
        f"grad_y = {PAD.format('(1, 0)', '(0, 0)')}[:, :-1]\n    {BACK}",
        "padding-off-by-one",
    ),
    (
        "padding one column too far to the left",
        BACK,
        f"grad_y = {PAD.format('(0, 0)', '(0, 1)')}[:, :, 1:]\n    {BACK}",
        "padding-off-by-one",
    ),
    (
        "gradient of the border lost",
        BACK,
        "g = array_module(w).zeros_like(grad_y)\n    g[:, 1:-1, 1:-1] = grad_y[:, 1:-1, 1:-1]\n    "
        + BACK.replace("grad_y", "g"),
        "border-outputs-lost",
    ),
    ("one tap forgotten", BACK, "w = w.copy()\n    w[0, 0] = 0\n    " + BACK, "tap-missing"),
    ("dL/dw of the last image only", "grad_w += windows.T", "grad_w[...] = windows.T", "last-image-only"),
    (
        "dL/dw with the first image's upstream gradient for all",
        "windows.T @ grad_y[image, rows]",
        "windows.T @ grad_y[0, rows]",
        "images-first-for-all",
    ),
    ("dL/dw flipped", GRAD_W, GRAD_W.replace("shape),", "shape)[::-1, ::-1],"), "kernel-gradient-flipped"),
    ("dL/dw averaged over the images", GRAD_W, GRAD_W.replace(", ", " / x.shape[0], "), "half or factor 1/images"),
    ("dL/dw without one tap", GRAD_W, "grad_w[-w.shape[2] :] = 0\n    " + GRAD_W, "tap-missing"),
    ("dL/db averaged, not summed", SUM, "grad_y.mean(axis=(0, 1, 2))", "factor 1/(images H W)"),
    ("dL/db of one image only", SUM, "grad_y[0].sum(axis=(0, 1))", "bias-first-image-only"),
    (
        "dL/dw with rows and columns of windows exchanged",
        "strips(_padded(x, kh, kw), kh, kw)",
        "strips(_padded(x, kw, kh), kw, kh)",
        "",
        "right but in every kernel row but 2",
    ),
    (
        "dL/dw a hundredth too large, in float32 only",
        GRAD_W,
        "grad_w *= 1 + 1e-2 * (x.dtype == 'float32')\n    " + GRAD_W,
        "factor 1.01",
    ),
    (
        "dL/dw of the first 2048 pixels only",
        "grad_w += windows.T",
        "grad_w += (rows.start == 0) * windows.T",
        "",
        "matches no mistake that is known here",
    ),
    ("backward hands on grad_y's own memory, changed", BACK, "grad_y *= 2\n    " + BACK, "", "changes the upstream"),
)
FOLDED = "folded = fold(grad_y, rows)"
COLUMNS = "return fold(folded.swapaxes(1, 2), columns).swapaxes(1, 2)"
FIRST = "grad_x[:, 1 : margin + 1] += grad_y[:, :margin][:, ::-1]"
SECOND = "grad_x[:, length - 1 - margin : length - 1] += grad_y[:, end:][:, ::-1]"
INSIDE = "return grad_y[:, rows : grad_y.shape[1] - rows, columns : grad_y.shape[2] - columns].copy()"
REFLECTION_PAD = (
    ("what was added cropped away", COLUMNS, INSIDE, "mirrors-not-added"),
    (
        "columns cropped away",
        COLUMNS,
        "return folded[:, :, columns : grad_y.shape[2] - columns].copy()",
        "columns-not-folded",
    ),
    ("rows cropped away", FOLDED, "folded = grad_y[:, rows : grad_y.shape[1] - rows]", "rows-not-folded"),
    ("first mirror left out", FIRST, "pass", "one-mirror-missing"),
    ("second mirror left out", SECOND, "pass", "one-mirror-missing"),
    ("first mirror assigned", FIRST, FIRST.replace("+=", "="), "assigned-not-added"),
    ("second mirror assigned", SECOND, SECOND.replace("+=", "="), "assigned-not-added"),
    (
        "the first image's gradient for all",
        FOLDED,
        FOLDED.replace("grad_y", "np.broadcast_to(grad_y[:1], grad_y.shape)"),
        "images-first-for-all",
    ),
    ("first mirror one pixel too far", FIRST, FIRST.replace("1 : margin + 1", ":margin"), "", "right but in|deviates"),
)
TWO_ROWS = "    grad_x += grad_y[:, 1::2, 0::2]\n    grad_x += grad_y[:, 1::2, 1::2]\n"
SUMMED = TWO_ROWS + "    return grad_x\n"
UPSAMPLE = (
    ("averaged, not summed", SUMMED, SUMMED.replace("return grad_x", "return grad_x / 4"), "mean-for-sum"),
    ("one pixel of four", SUMMED, "    return grad_y[:, 1::2, 0::2].copy()\n", "one-corner-only"),
    ("one row of two", TWO_ROWS, "", "half-of-square-only"),
    ("three pixels of four", TWO_ROWS, TWO_ROWS[: TWO_ROWS.index("\n") + 1], "one-corner-missing"),
    (
        "largest of the four",
        SUMMED,
        "    return np.max([grad_y[:, i::2, j::2] for i in (0, 1) for j in (0, 1)], axis=0)\n",
        "largest-of-square",
    ),
    ("images of grad_y in reverse", SUMMED, SUMMED.replace("return grad_x", "return grad_x[::-1]"), "images-mixed-up"),
    (
        "quarters of the image added, not squares",
        SUMMED,
        "    count, height, width, channels = grad_x.shape\n"
        "    return grad_y.reshape(count, 2, height, 2, width, channels).sum((1, 3))\n",
        "tiled",
    ),
)
TRANSPOSED = "return convolve(spread, w[::-1, ::-1].swapaxes(2, 3))"
SPREAD = "spread[:, kh - 1 : height : stride, kw - 1 : width : stride] = grad_y"
STRIPS = "strips(x, kh, kw, stride)"
STRIDED_CONV2D = (
    ("kernel not flipped", TRANSPOSED, TRANSPOSED.replace("[::-1, ::-1]", ""), "kernel-not-flipped"),
    (
        "kernel flipped along rows only",
        TRANSPOSED,
        TRANSPOSED.replace("[::-1, ::-1]", "[::-1]"),
        "kernel-columns-not-flipped",
    ),
    (
        "zeros not put between",
        SPREAD,
        "spread[:, kh - 1 : kh - 1 + grad_y.shape[1], kw - 1 : kw - 1 + grad_y.shape[2]] = grad_y",
        "stride-forgotten",
    ),
    (
        "repeated where zeros belong",
        SPREAD,
        "grad_y = grad_y.repeat(stride, 1).repeat(stride, 2)[:, : height - kh + 1, : width - kw + 1]\n"
        "    spread[:, kh - 1 : height, kw - 1 : width] = grad_y",
        "repeated-not-spread",
    ),
    (
        "spread out one row too low",
        SPREAD,
        SPREAD.replace("kh - 1 : height :", "kh : height + 1 :"),
        "spread-off-by-one",
    ),
    ("one tap forgotten", TRANSPOSED, "w = w.copy()\n    w[1, 0] = 0\n    " + TRANSPOSED, "tap-missing"),
    (
        "a row that no window reads not zero",
        TRANSPOSED,
        TRANSPOSED.replace("return", "grad_x =")
        + "\n    grad_x[:, :, stride * (grad_y.shape[2] - 1) + kw :] = 1\n    return grad_x",
        "unread-not-zero",
    ),
    (
        "stride forgotten in dL/dw",
        STRIPS,
        "strips(x[:, : grad_y.shape[1] + kh - 1, : grad_y.shape[2] + kw - 1], kh, kw)",
        "stride-forgotten",
    ),
    ("dL/dw of the last image only", "grad_w += windows.T", "grad_w[...] = windows.T", "last-image-only"),
    ("dL/dw flipped", GRAD_W, GRAD_W.replace("shape),", "shape)[::-1, ::-1],"), "kernel-gradient-flipped"),
    ("dL/db averaged, not summed", SUM, "grad_y.mean(axis=(0, 1, 2))", "factor 1/(images H W)"),
)
FIRST_SIDE, SECOND_SIDE = "grad_x[:, 0] += grad_y[:, :margin]", "grad_x[:, -1] += grad_y[:, end:]"
GATHERED, BOTH = "gathered = gather(grad_y, rows)", "return gather(gathered.swapaxes(1, 2), columns).swapaxes(1, 2)"
REPLICATE_PAD = (
    ("first side left out", FIRST_SIDE, FIRST_SIDE.replace("+=", "+= 0 *"), "one-side-missing"),
    ("second side left out", SECOND_SIDE, SECOND_SIDE.replace("+=", "+= 0 *"), "one-side-missing"),
    ("rows cropped away", GATHERED, "gathered = grad_y[:, rows : grad_y.shape[1] - rows]", "rows-not-gathered"),
    (
        "columns cropped away",
        BOTH,
        "return gathered[:, :, columns : grad_y.shape[2] - columns].copy()",
        "columns-not-gathered",
    ),
    (
        "the first image's gradient for all",
        GATHERED,
        GATHERED.replace("grad_y", "np.broadcast_to(grad_y[:1], grad_y.shape)"),
        "images-first-for-all",
    ),
    ("second side added to the first", SECOND_SIDE, SECOND_SIDE.replace("-1", "0"), "border"),
)
SINGLE = {
    "ops.conv2d": CONV2D,
    "ops.reflection_pad": REFLECTION_PAD,
    "ops.replicate_pad": REPLICATE_PAD,
    "ops.upsample": UPSAMPLE,
    "ops.strided_conv2d": STRIDED_CONV2D,
}
SEVERAL: tuple[Mutant, ...] = (
    planted(
        "ops.reflection_pad",
        "the edge repeated",
        (
            (FIRST, FIRST.replace("1 : margin + 1", ":margin")),
            (SECOND, SECOND.replace("length - 1 - margin : length - 1", "length - margin :")),
        ),
        "edge-repeated",
    ),
    planted(
        "ops.reflection_pad",
        "not turned over",
        ((FIRST, FIRST.replace("[:, ::-1]", "")), (SECOND, SECOND.replace("[:, ::-1]", ""))),
        "not-turned-over",
    ),
)
SOUND: tuple[Mutant, ...] = (
    planted(
        "ops.conv2d",
        "kernel flipped in forward and backward",
        (
            ("y = _convolve(x, w)", "y = _convolve(x, w[::-1, ::-1])"),
            (BACK, CONVOLVE.format("w.swapaxes(2, 3)")),
            (GRAD_W, GRAD_W.replace("shape),", "shape)[::-1, ::-1],")),
        ),
    ),
    planted(
        "ops.strided_conv2d",
        "kernel flipped in forward and backward",
        (
            ("y = convolve(x, w, stride)", "y = convolve(x, w[::-1, ::-1], stride)"),
            (TRANSPOSED, TRANSPOSED.replace("[::-1, ::-1]", "")),
            (GRAD_W, GRAD_W.replace("shape),", "shape)[::-1, ::-1],")),
        ),
    ),
)
