"""Mistakes to plant into the solution."""

FORWARD, BACKWARD = "np.maximum(x, 0)", "grad_y * (x > 0)"

PLANTED = (
    ("absolute value", FORWARD, "np.abs(x)", "absolute-value"),
    ("the wrong side", FORWARD, "np.minimum(x, 0)", "negated"),
    ("slope for value", FORWARD, "(x > 0).astype(x.dtype)", "slope-for-value"),
    ("nothing done", FORWARD, "x.copy()", "identity"),
    ("cut at 1", FORWARD, "np.clip(x, 0, 1)", "cut-at-one"),
    ("no mask", BACKWARD, "grad_y.copy()", "mask-missing"),
    ("mask of grad_y", BACKWARD, "grad_y * (grad_y > 0)", "mask-from-upstream"),
    ("mask of both", BACKWARD, "np.maximum(grad_y, 0) * (x > 0)", "mask-from-both"),
    ("mask inverted", BACKWARD, "grad_y * (x <= 0)", "mask-inverted"),
    ("kink let pass", BACKWARD, "grad_y * (x >= 0)", "mask-at-zero"),
    ("value for slope", BACKWARD, "grad_y * np.maximum(x, 0)", "value-for-slope"),
    ("sign for mask", BACKWARD, "grad_y * np.sign(x)", "sign-for-mask"),
    ("slope alone", BACKWARD, "(x > 0).astype(x.dtype)", "upstream-ignored"),
    ("leaky", BACKWARD, "np.where(x > 0, grad_y, 0.01 * grad_y)", "leaky"),
)
