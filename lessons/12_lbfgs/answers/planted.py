"""Mistakes to plant into the solution."""

FORMULA = "A / (A + C - D) if C < 0 else (C + D) / (B + C + D)"
PLACE, DIFFERENCE = "start + u * width", "3 * (value_b - value_a)"
INWARD, OUTWARD, GAMMA = "reversed(pairs)", "zip(pairs, reversed(alphas))", "(s @ y) / (y @ y)"
BOTH = f"""in {INWARD}:
        alphas.append((s @ q) / (y @ s))
        q = q - alphas[-1] * y
    r = gamma * q
    for (s, y), alpha in {OUTWARD}"""
ALPHA, TAKEN, ADDED = "alphas.append((s @ q)", "alphas[-1] * y", "(alpha - beta) * s"
NONE = "    if not pairs:\n        return q.copy()\n"

PLANTED = (
    ("maximum", "np.sqrt(C**2", "-np.sqrt(C**2", "maximum"),
    ("u", PLACE, "u", "in-u"),
    ("without the first place", PLACE, "u * width", "first-place-forgotten"),
    ("slopes in t", "slope_a * width, slope_b * width", "slope_a, slope_b", "slopes-not-in-u"),
    ("difference turned round", DIFFERENCE, "3 * (value_a - value_b)", "difference-of-values-turned-round"),
    ("no factor 3", DIFFERENCE, "(value_b - value_a)", "factor-3-missing"),
    ("slopes only", FORMULA, "A / (A - B)", "slopes-only"),
    ("parabola", FORMULA, "A / (2 * (A - value_b + value_a))", "parabola"),
    ("one form only", FORMULA, "(C + D) / (B + C + D)", "not-finite"),
    ("the other form only", FORMULA, "A / (A + C - D)", "not-finite"),
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
    ("alphas not turned round", OUTWARD, "zip(pairs, alphas)", "alphas-of-other-pairs"),
    ("alpha subtracted", ADDED, "(-alpha - beta) * s", "alpha-subtracted"),
    ("alpha forgotten", ADDED, "(-beta) * s", "alpha-forgotten"),
    ("newest pair only", NONE, f"{NONE}    pairs = pairs[-1:]\n", "newest-pair-only"),
    ("minus", "    return r\n", "    return -r\n", "descent-direction"),
    ("without pairs nothing", NONE, "    if not pairs:\n        return np.zeros_like(q)\n", "zero"),
)
