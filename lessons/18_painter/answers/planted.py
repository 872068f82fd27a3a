"""Mistakes to plant into the solution."""

POSITIONS = "positions = height * width"
GRAM = "D = matrix.swapaxes(1, 2) @ matrix / positions - A"
SIZE = "size = (A**2).sum(axis=(1, 2), keepdims=True)"
CONTENT = "content = ((F - P) ** 2).sum() / (positions * energy)"
OF_CONTENT = "of_content = 2 * alpha / (positions * energy) * (F - P)"
OF_STYLE = "of_style = 4 * beta / positions * matrix @ (D / size)"
STYLE = f"{GRAM}\n    {SIZE}\n    {CONTENT}\n    style = (D**2 / size).sum()\n    {OF_CONTENT}\n    {OF_STYLE}"
LOSS = "loss = (alpha * content + beta * style) / count"
RETURN = "return loss, (of_content + of_style.reshape(F.shape)) / count"

SUMS = "of_scale = (grad_y * z).sum(axis=(1, 2))\n    of_shift = grad_y.sum(axis=(1, 2))"
STYLES = "return mixture.T @ of_scale, mixture.T @ of_shift"

SQUARES = "squares = [(array.astype(np.float64) ** 2).sum() for array in (grad_w, grad_b)]"
NORM = "norm = np.sqrt(sum(squares))"
FACTOR = "factor = bound / norm if norm > bound else 1.0"
SCALED = "return grad_w * grad_w.dtype.type(factor), grad_b * grad_b.dtype.type(factor)"

PLANTED = (
    ("no mean over images", LOSS, f"count = 1\n    {LOSS}", "sum-over-images"),
    ("mean in the loss alone", RETURN, RETURN.removesuffix(" / count"), "gradient-not-a-mean"),
    (
        "content over all features",
        OF_CONTENT,
        "content = content / channels\n    of_content = 2 * alpha / (positions * channels * energy) * (F - P)",
        "mean-over-all-features",
    ),
    (
        "content a sum over positions",
        OF_CONTENT,
        "content = content * positions\n    of_content = 2 * alpha / energy * (F - P)",
        "positions-missing-in-content",
    ),
    (
        "Gram matrix of lesson 10",
        STYLE,
        STYLE.replace("matrix / positions", "matrix").replace("beta / positions *", "beta *"),
        "gram-not-divided",
    ),
    (
        "Gram matrix over channels, too",
        STYLE,
        STYLE.replace("matrix / positions", "matrix / F[0].size").replace("beta / positions", "beta / F[0].size"),
        "gram-over-channels",
    ),
    ("no positions in dL/dF", OF_STYLE, OF_STYLE.replace(" / positions", ""), "positions-missing-in-gradient"),
    ("|A| for its square", SIZE, "size = np.sqrt((A**2).sum(axis=(1, 2), keepdims=True))", "root-of-size"),
    ("relative to G", SIZE, "size = ((D + A) ** 2).sum(axis=(1, 2), keepdims=True)", "own-size"),
    ("not relative", SIZE, "size = 1", "size-missing"),
    ("sizes of the batch", SIZE, "size = (A**2).sum()", "size-over-batch"),
    ("element by element", SIZE, "size = A**2", "elementwise"),
    ("one style", GRAM, f"A = A[:1]\n    {GRAM}", "first-style-for-all"),
    (
        "one Gram matrix",
        GRAM,
        "tall = F.reshape(-1, channels)\n    D = tall.T @ tall / len(tall) - A",
        "one-gram-for-all",
    ),
    (
        "each photograph's energy",
        CONTENT,
        "energy = (P**2).sum(axis=(1, 2, 3), keepdims=True) / positions\n"
        "    content = ((F - P) ** 2 / energy).sum() / positions",
        "own-energy",
    ),
    ("no energy", CONTENT, f"energy = 1\n    {CONTENT}", "energy-missing"),
    ("weights exchanged", POSITIONS, f"{POSITIONS}\n    alpha, beta = beta, alpha", "weights-exchanged"),
    ("2 for 4", OF_STYLE, OF_STYLE.replace("4", "2"), "two-for-four"),
    ("both halved", RETURN, f"{RETURN} / 2", "twos-missing"),
    ("content halved", OF_CONTENT, OF_CONTENT.replace("2 *", "1 *"), "content-two-missing"),
    ("content alone", RETURN, "return loss, of_content / count", "style-gradient-missing"),
    ("style alone", RETURN, "return loss, of_style.reshape(F.shape) / count", "content-gradient-missing"),
    ("uphill", RETURN, RETURN.replace("loss, (", "loss, -("), "uphill"),
    (
        "weights in the loss alone",
        f"{OF_CONTENT}\n    {OF_STYLE}",
        f"{OF_CONTENT}\n    {OF_STYLE}".replace("alpha", "1").replace("beta", "1"),
        "weights-not-in-gradient",
    ),
    ("always float64", "matrix = F.reshape", "F = F.astype(float)\n    matrix = F.reshape", "dtype"),
    (
        "means over images",
        STYLES,
        "return mixture.T @ of_scale / len(z), mixture.T @ of_shift / len(z)",
        "mean-over-images",
    ),
    ("means over pixels", SUMS, SUMS.replace(".sum", ".mean"), "mean-over-pixels"),
    ("all images for every style", SUMS, f"mixture = np.ones_like(mixture)\n    {SUMS}", "mixture-ignored"),
    (
        "largest share",
        SUMS,
        f"mixture = np.eye(mixture.shape[1])[mixture.argmax(axis=1)]\n    {SUMS}",
        "largest-share-only",
    ),
    ("means over shares", SUMS, f"mixture = mixture / mixture.sum(axis=0)\n    {SUMS}", "share-of-style"),
    (
        "transposed only where it must be",
        SUMS,
        f"mixture = mixture.T if mixture.shape[0] == mixture.shape[1] else mixture\n    {SUMS}",
        "mixture-not-transposed",
    ),
    ("no z", SUMS, SUMS.replace("(grad_y * z)", "grad_y"), "z-missing"),
    ("shifts first", STYLES, "return mixture.T @ of_shift, mixture.T @ of_scale", "order"),
    ("upstream of ones", SUMS, f"grad_y = np.ones_like(grad_y)\n    {SUMS}", "upstream-ignored"),
    (
        "each on its own",
        SCALED,
        "return tuple(each * each.dtype.type(min(1, bound / max(np.linalg.norm(each.astype(float)), 1e-30))) "
        "for each in (grad_w, grad_b))",
        "each-alone",
    ),
    ("cut off", SCALED, "return grad_w.clip(-bound, bound), grad_b.clip(-bound, bound)", "numbers-cut-off"),
    ("always scaled", FACTOR, "factor = bound / max(norm, 1e-30)", "always-scaled"),
    ("norm 1", FACTOR, FACTOR.replace("bound / norm", "1.0 / norm"), "scaled-to-one"),
    ("no root", NORM, "norm = sum(squares)", "square-for-norm"),
    ("sum of norms", NORM, "norm = sum(np.sqrt(squares))", "norms-added"),
    ("largest number", NORM, "norm = max(np.abs(grad_w).max(), np.abs(grad_b).max())", "largest-number"),
    ("mean of squares", NORM, "norm = np.sqrt(sum(squares) / (grad_w.size + grad_b.size))", "mean-square"),
    ("larger norm", NORM, "norm = np.sqrt(max(squares))", "larger-norm"),
    ("bias left out", SCALED, "return grad_w * grad_w.dtype.type(factor), grad_b", "kernel-only"),
    ("thrown away", FACTOR, FACTOR.replace("bound / norm", "0.0"), "set-to-zero"),
    (
        "bias first",
        SCALED,
        "return grad_b * grad_b.dtype.type(factor), grad_w * grad_w.dtype.type(factor)",
        "order",
    ),
    ("squares in float32", SQUARES, SQUARES.replace(".astype(np.float64)", ""), "different"),
    ("divided by zero", FACTOR, "factor = min(1.0, bound / float(norm))", "ZeroDivisionError"),
)
