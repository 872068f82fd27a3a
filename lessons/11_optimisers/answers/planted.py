"""Mistakes to plant into the solution."""

CORRECTED = "mean, mean_square = m / (1 - 0.9**t), v / (1 - 0.999**t)"
ROOT, STEP, KEPT = "np.sqrt(mean_square)", "return x - rate", "+ 1e-8), m, v"
MEANS = "    m = 0.9 * m + 0.1 * g\n    v = 0.999 * v + 0.001 * g**2\n"
INWARD, OUTWARD, GAMMA = "reversed(pairs)", "zip(pairs, reversed(alphas))", "(s @ y) / (y @ y)"
BOTH = f"""in {INWARD}:
        alphas.append((s @ q) / (y @ s))
        q = q - alphas[-1] * y
    r = gamma * q
    for (s, y), alpha in {OUTWARD}"""
ALPHA, TAKEN, ADDED = "alphas.append((s @ q)", "alphas[-1] * y", "(alpha - beta) * s"
NONE = "    if not pairs:\n        return q.copy()\n"

PLANTED = (
    ("no correction", CORRECTED, "mean, mean_square = m, v", "no-correction"),
    ("m not corrected", CORRECTED, "mean, mean_square = m, v / (1 - 0.999**t)", "m-not-corrected"),
    ("v not corrected", CORRECTED, "mean, mean_square = m / (1 - 0.9**t), v", "v-not-corrected"),
    ("corrected means kept", KEPT, "+ 1e-8), mean, mean_square", "corrected-handed-on"),
    ("a step further", CORRECTED, f"t = t + 1\n    {CORRECTED}", "step-number-off-by-one"),
    (
        "betas exchanged",
        f"{MEANS}    {CORRECTED}",
        "    m = 0.999 * m + 0.001 * g\n    v = 0.9 * v + 0.1 * g**2\n"
        "    mean, mean_square = m / (1 - 0.999**t), v / (1 - 0.9**t)",
        "betas-exchanged",
    ),
    ("no root", ROOT, "mean_square", "root-missing"),
    ("no square", "g**2", "np.abs(g)", "square-missing"),
    ("uphill", STEP, "return x + rate", "uphill"),
    (
        "means of before",
        f"{MEANS}    {CORRECTED}",
        f"    {CORRECTED}\n{MEANS}".rstrip(),
        "means-of-before",
    ),
    ("in place", "m = 0.9 * m + 0.1 * g", "m *= 0.9\n    m += 0.1 * g", "changed-in-place"),
    (
        "way in from the oldest",
        BOTH,
        BOTH.replace(INWARD, "pairs").replace("reversed(alphas)", "alphas"),
        "first-loop-from-oldest",
    ),
    ("way out from the newest", OUTWARD, f"zip({INWARD}, alphas)", "second-loop-from-newest"),
    (
        "oldest taken for newest",
        "alphas = []",
        "pairs, alphas = pairs[::-1], []",
        "both-loops-turned-round",
    ),
    ("no gamma", "r = gamma * q", "r = q", "gamma-missing"),
    ("gamma of the oldest pair", "s, y = pairs[-1]", "s, y = pairs[0]", "gamma-of-oldest"),
    ("gamma upside down", GAMMA, "(y @ y) / (s @ y)", "gamma-inverted"),
    ("gamma of s", GAMMA, "(s @ s) / (s @ y)", "gamma-of-s"),
    ("s subtracted", TAKEN, "alphas[-1] * s", "subtracts-s"),
    ("alpha with y", ALPHA, "alphas.append((y @ q)", "alpha-from-y"),
    ("beta with s", "beta = (y @ r)", "beta = (s @ r)", "beta-from-s"),
    ("alpha subtracted", ADDED, "(-alpha - beta) * s", "alpha-subtracted"),
    ("alpha forgotten", ADDED, "(-beta) * s", "alpha-forgotten"),
    ("newest pair only", NONE, f"{NONE}    pairs = pairs[-1:]\n", "newest-pair-only"),
    ("minus", "    return r\n", "    return -r\n", "descent-direction"),
    ("without pairs nothing", NONE, "    if not pairs:\n        return np.zeros_like(q)\n", "zero"),
)
