"""Mistakes to plant into the solution."""

TARGETS = "    q = np.full_like(z, e / textures)\n    q[np.arange(count), labels] += 1 - e\n"
LABEL, LOSS, GRADIENT = "+= 1 - e", "-(q * log_p).sum() / count", "(np.exp(log_p) - q) / count"
LARGEST, SOFTMAX = "z = z - z.max(axis=1, keepdims=True)", "np.exp(z).sum(axis=1, keepdims=True)"
RETURNED = f"loss = {LOSS}\n    return loss, {GRADIENT}"
CERTAIN = "np.eye(textures, dtype=z.dtype)[labels]"
ENERGIES, BACK = "s = (F**2).sum(axis=(1, 2)) / positions", "2 / positions * F * grad_s[:, np.newaxis, np.newaxis]"
MEANS = "s = F.mean(axis=(1, 2))"
LINES = f"    {ENERGIES}\n    grad_s = grad_z @ V.T\n    grad_F = {BACK}\n"
FLAT = "np.ones_like(F) * grad_s[:, np.newaxis, np.newaxis] / positions"

PLANTED = (
    ("no doubt", TARGETS, f"    e = 0.0\n{TARGETS}", "doubt-ignored"),
    (
        "doubt for the others",
        TARGETS,
        "    q = np.full_like(z, e / (textures - 1))\n    q[np.arange(count), labels] = 1 - e\n",
        "doubt-for-others-only",
    ),
    ("label without its share", LABEL, "= 1 - e", "label-short"),
    ("gradient of certain labels", GRADIENT, f"(np.exp(log_p) - {CERTAIN}) / count", "gradient-of-certain-labels"),
    ("gradient of the sum", GRADIENT, "np.exp(log_p) - q", "gradient-not-a-mean"),
    ("sum", RETURNED, "return -(q * log_p).sum(), np.exp(log_p) - q", "sum-over-pictures"),
    ("mean over all", RETURNED, f"count = z.size\n    {RETURNED}", "mean-over-all"),
    ("uphill", GRADIENT, "(q - np.exp(log_p)) / count", "uphill"),
    ("probabilities alone", GRADIENT, "np.exp(log_p) / count", "targets-missing"),
    (
        "over pictures",
        f"{LARGEST}\n    log_p = z - np.log({SOFTMAX})",
        f"{LARGEST.replace('axis=1', 'axis=0')}\n    log_p = z - np.log({SOFTMAX.replace('axis=1', 'axis=0')})",
        "softmax-over-pictures",
    ),
    ("largest not taken off", f"    {LARGEST}\n", "", "not-finite"),
    ("as in the lesson", LINES, f"    {MEANS}\n    grad_s = grad_z @ V.T\n    grad_F = {FLAT}\n", "means-read"),
    ("square forgotten", BACK, FLAT, "square-not-reversed"),
    ("half", BACK, BACK.replace("2 /", "1 /"), "square-half-reversed"),
    ("no positions", BACK, BACK.replace("2 / positions", "2"), "positions-missing"),
    ("sum of squares", ENERGIES, "s = (F**2).sum(axis=(1, 2))", "sum-of-squares"),
    ("means for V", ENERGIES, MEANS, "means-in-V"),
    (
        "square of the mean",
        LINES,
        f"    {MEANS} ** 2\n    grad_s = grad_z @ V.T\n"
        "    grad_F = np.zeros_like(F) + 2 / positions * (F.mean(axis=(1, 2)) * grad_s)[:, np.newaxis, np.newaxis]\n",
        "square-of-the-mean",
    ),
    ("mean for d", "grad_z.sum(axis=0)", "grad_z.mean(axis=0)", "mean-in-d"),
)
