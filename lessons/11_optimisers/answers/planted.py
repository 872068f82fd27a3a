"""Mistakes to plant into the solution."""

CORRECTED = "mean, mean_square = m / (1 - 0.9**t), v / (1 - 0.999**t)"
ROOT, STEP, KEPT = "np.sqrt(mean_square)", "return x - rate", "+ 1e-8), m, v"
MEANS = "    m = 0.9 * m + 0.1 * g\n    v = 0.999 * v + 0.001 * g**2\n"
BETA = "root**2"
BEST_RATE = "4 / (np.sqrt(lowest) + np.sqrt(highest)) ** 2"

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
    ("epsilon under the root", f"({ROOT} + 1e-8)", "np.sqrt(mean_square + 1e-8)", "epsilon-inside-root"),
    ("no square", "g**2", "np.abs(g)", "square-missing"),
    ("uphill", STEP, "return x + rate", "uphill"),
    (
        "means of before",
        f"{MEANS}    {CORRECTED}",
        f"    {CORRECTED}\n{MEANS}".rstrip(),
        "means-of-before",
    ),
    ("in place", "m = 0.9 * m + 0.1 * g", "m *= 0.9\n    m += 0.1 * g", "changed-in-place"),
    ("rate of plain descent", BEST_RATE, "2 / (lowest + highest)", "rate-of-plain-descent"),
    (
        "no momentum",
        f"rate = {BEST_RATE}",
        "return 2 / (lowest + highest), 0.0\n    rate = 0.0",
        "no-momentum",
    ),
    (
        "smallest curvature taken for 1",
        BEST_RATE,
        "4 / (1 + np.sqrt(highest / lowest)) ** 2",
        "smallest-curvature-taken-for-1",
    ),
    ("beta not squared", f"rate, {BETA}", "rate, root", "beta-not-squared"),
    (
        "no root",
        f"rate, {BETA}",
        "rate, ((highest - lowest) / (highest + lowest)) ** 2",
        "condition-number-without-root",
    ),
    ("exchanged", f"rate, {BETA}", f"{BETA}, rate", "exchanged"),
)
