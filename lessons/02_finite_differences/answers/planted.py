"""Mistakes to plant into the solution."""

QUOTIENT = "(f(ahead) - f(behind)) / (ahead[index] - behind[index])"
LOOP = "for index in np.ndindex(*x.shape):\n        ahead, behind = x.copy(), x.copy()"
WEIGHTS, CENTRAL = "(4 * central(h / 2) - central(h)) / 3", "central(h / 2)"

PLANTED = (
    ("one-sided", QUOTIENT, "(f(ahead) - f(x)) / h", "one-sided"),
    ("one-sided, true step", QUOTIENT, "(f(ahead) - f(x)) / (ahead[index] - x[index])", "one-sided-by-the-true-step"),
    ("divided by h", QUOTIENT, "(f(ahead) - f(behind)) / h", "half-missing"),
    ("turned round", QUOTIENT, "(f(behind) - f(ahead)) / (2 * h)", "sign"),
    ("turned round, true step", QUOTIENT, f"-{QUOTIENT}", "sign-by-the-true-step"),
    ("divided by 2 h", QUOTIENT, "(f(ahead) - f(behind)) / (2 * h)", "planned-step"),
    (
        "not put back",
        f"{LOOP}\n        ahead[index] += h\n        behind[index] -= h\n        gradient[index] = {QUOTIENT}",
        "there = x.copy()\n    for index in np.ndindex(*x.shape):\n        here = there[index]\n"
        "        there[index] = here + h\n        ahead, far = f(there), there[index]\n"
        "        there[index] = here - h\n        gradient[index] = (ahead - f(there)) / (far - there[index])",
        "nudges-pile-up",
    ),
    (
        "all move",
        "ahead[index] += h\n        behind[index] -= h",
        "ahead += h\n        behind -= h",
        "all-at-once",
    ),
    ("weights exchanged", WEIGHTS, "(4 * central(h) - central(h / 2)) / 3", "weights-exchanged"),
    ("as for one-sided ones", WEIGHTS, "2 * central(h / 2) - central(h)", "weights-of-one-sided"),
    ("not divided", WEIGHTS, "4 * central(h / 2) - central(h)", "weights-not-one"),
    ("a mean", WEIGHTS, "(central(h / 2) + central(h)) / 2", "mean"),
    ("added", WEIGHTS, "(4 * central(h / 2) + central(h)) / 3", "weights-added"),
    ("one alone", WEIGHTS, CENTRAL, "one-difference"),
    ("the other alone", WEIGHTS, "central(h)", "larger-difference"),
    ("larger steps", WEIGHTS, "(4 * central(h) - central(2 * h)) / 3", "larger-steps"),
)
