"""Mistakes to plant into the solution."""

LOSS, GRADIENT = "0.5 * np.sum((F - P) ** 2)", "grad_y * (F - P) * (z > 0)"

PLANTED = (
    ("z for F", LOSS, "0.5 * np.sum((z - P) ** 2)", "relu-missing"),
    ("no half", LOSS, "np.sum((F - P) ** 2)", "half-missing"),
    ("mean", LOSS, "0.5 * np.mean((F - P) ** 2)", "mean-for-sum"),
    ("mean without half", LOSS, "np.mean((F - P) ** 2)", "mean-of-squares"),
    ("length", LOSS, "np.sqrt(np.sum((F - P) ** 2))", "root"),
    ("absolute values", LOSS, "0.5 * np.sum(np.abs(F - P))", "absolute-values"),
    ("no mask", GRADIENT, "grad_y * (F - P)", "mask-missing"),
    ("no ReLU", GRADIENT, "grad_y * (z - P)", "relu-missing-altogether"),
    ("sign", GRADIENT, "grad_y * (P - F) * (z > 0)", "sign"),
    ("twice", GRADIENT, "2 * grad_y * (F - P) * (z > 0)", "factor-two"),
    ("half", GRADIENT, "0.5 * grad_y * (F - P) * (z > 0)", "factor-half"),
    ("mean's gradient", GRADIENT, "grad_y * (F - P) * (z > 0) / z.size", "mean-for-sum"),
    ("no weight", GRADIENT, "(F - P) * (z > 0)", "upstream-ignored"),
    ("mask of P", GRADIENT, "grad_y * (F - P) * (P > 0)", "mask-from-content"),
    ("mask of F - P", GRADIENT, "grad_y * (F - P) * (F > P)", "mask-from-difference"),
    ("mask inverted", GRADIENT, "grad_y * (F - P) * (z <= 0)", "mask-inverted"),
    ("kink let pass", GRADIENT, "grad_y * (F - P) * (z >= 0)", "mask-at-zero"),
)
