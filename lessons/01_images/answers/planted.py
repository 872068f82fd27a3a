"""Mistakes to plant into the solution."""

LOSS, GRADIENT = "0.5 * np.sum(difference**2)", "np.ones_like(x) * (difference * share)"
DIFFERENCE, RETURNED = "x.mean(axis=(0, 1)) - colour", "return loss, np.ones_like(x) * (difference * share)"
STEP, ROUNDS, LAST = "x = x - step * gradient", "for _ in range(count):", "losses.append(loss_and_gradient(x)[0])"

PLANTED = (
    ("slope of the mean alone", GRADIENT, "np.ones_like(x) * difference", "share-missing"),
    ("a share of all numbers", "1 / (x.shape[0] * x.shape[1])", "1 / x.size", "share-of-all-numbers"),
    ("difference turned round", GRADIENT, "-np.ones_like(x) * (difference * share)", "sign"),
    ("three slopes", GRADIENT, "difference", "one-slope-a-channel"),
    ("every pixel compared", RETURNED, "return 0.5 * np.sum((x - colour) ** 2), x - colour", "each-pixel"),
    ("each pixel's difference", GRADIENT, "(x - colour) * share", "difference-of-each-pixel"),
    ("one mean for all", DIFFERENCE, "x.mean() - colour", "one-mean"),
    ("no half in the loss", LOSS, "np.sum(difference**2)", "half-in-gradient-only"),
    (
        "no half at all",
        RETURNED,
        "return 2 * loss, np.ones_like(x) * (2 * difference * share)",
        "half-missing",
    ),
    ("gradient first", RETURNED, "return np.ones_like(x) * (difference * share), loss", "results-exchanged"),
    ("gradient of one row", GRADIENT, "(np.ones_like(x) * (difference * share))[:1]", "not-broadcast"),
    ("always float64", GRADIENT, "np.ones(x.shape) * (difference * share)", "dtype"),
    ("uphill", STEP, "x = x + step * gradient", "uphill"),
    ("divided by its length", STEP, f"{STEP} / np.linalg.norm(gradient)", "steps-of-one-length"),
    ("no step length", STEP, "x = x - gradient", "step-ignored"),
    (
        "gradient of the start",
        f"{ROUNDS}\n        loss, gradient = loss_and_gradient(x)",
        f"gradient = loss_and_gradient(x)[1]\n    {ROUNDS}\n        loss, _ = loss_and_gradient(x)",
        "gradient-not-renewed",
    ),
    ("last loss forgotten", LAST, "pass", "last-loss-missing"),
    ("first loss forgotten", "np.array(losses)", "np.array(losses[1:])", "first-loss-missing"),
    ("a step too few", ROUNDS, "for _ in range(count - 1):", "one-step-short"),
    ("in place", STEP, "x -= step * gradient", "changed-in-place"),
)
