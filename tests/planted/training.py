"""Mistakes to plant into the solution of exercise 14."""

SHIFTED = "shifted = scores - scores.max(axis=1, keepdims=True)"
LOG_P = "return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))"
SHARES = "shares = weights / weights.sum()"
LOSS = "loss = -np.sum(shares * np.sum(targets * log_p, axis=1))"
GRADIENT = "grad_scores = shares[:, None] * (exponentials / sums - targets)"
RETURN = "return loss, grad_scores"

PLANTED = (
    ("no logarithm", LOG_P, f"{LOG_P.replace('return', 'log_p =')}\n    return np.exp(log_p)", "probabilities"),
    ("wrong sign", LOG_P, LOG_P.replace("shifted - np", "-shifted + np"), "sign"),
    ("no sum", LOG_P, "return shifted", "sum-missing"),
    (
        "sum over everything",
        f"{SHIFTED}\n    {LOG_P}",
        f"{SHIFTED}\n    {LOG_P}".replace("axis=1, keepdims=True", ""),
        "sum-over-everything",
    ),
    (
        "sum over patches",
        f"{SHIFTED}\n    {LOG_P}",
        f"{SHIFTED}\n    {LOG_P}".replace("axis=1", "axis=0"),
        "sum-over-patches",
    ),
    ("overflow", SHIFTED, "shifted = scores", "not-finite"),
    ("not divided", SHARES, "shares = weights", "not-divided"),
    ("divided by the number", SHARES, "shares = weights / len(weights)", "divided-by-number"),
    ("mean over classes", SHARES, "shares = weights / weights.sum() / scores.shape[1]", "mean-over-classes"),
    ("weights ignored", SHARES, "shares = np.ones(len(weights)) / len(weights)", "weights-missing"),
    (
        "weights ignored in the gradient",
        GRADIENT,
        "grad_scores = (exponentials / sums - targets) / len(weights)",
        "weights-missing-in-gradient",
    ),
    ("gradient not divided", GRADIENT, GRADIENT.replace("shares", "weights"), "gradient-not-divided"),
    (
        "sign of the gradient",
        GRADIENT,
        GRADIENT.replace("exponentials / sums - targets", "targets - exponentials / sums"),
        "truth-minus-said",
    ),
    ("truth forgotten", GRADIENT, GRADIENT.replace(" - targets", ""), "said-only"),
    ("sum forgotten", GRADIENT, GRADIENT.replace("exponentials / sums ", ""), "truth-only"),
    (
        "likeliest class",
        SHARES,
        f"{SHARES}\n    targets = np.eye(scores.shape[1])[targets.argmax(axis=1)]",
        "likeliest-only",
    ),
    ("gradient forgotten", RETURN, "return loss", "wrong-number-of-results"),
    (
        "log of a softmax",
        "log_p = scores - largest - np.log(sums)",
        "log_p = np.log(np.exp(scores) / np.exp(scores).sum(axis=1)[:, None])",
        "not-finite",
    ),
)
