"""Mistakes to plant into the solution."""

PRODUCT = "grad_y @ w.T, x.T @ grad_y"
BACK, START = "for _, backward in reversed(operations):\n        grad = backward(grad, caches.pop())", "grad = 1.0"

PLANTED = (
    ("w as it is", PRODUCT, "grad_y @ w, x.T @ grad_y", "w-not-transposed"),
    ("x as it is", PRODUCT, "grad_y @ w.T, x @ grad_y", "x-not-transposed"),
    ("both as they are", PRODUCT, "grad_y @ w, x @ grad_y", "neither-transposed"),
    ("summed over rows", PRODUCT, "grad_y @ w.T, (x.T @ grad_y).sum(axis=0)", "grad-w-summed-over-rows"),
    ("summed over columns", PRODUCT, "grad_y @ w.T, (x.T @ grad_y).sum(axis=1)", "grad-w-summed-over-columns"),
    ("other order", PRODUCT, "grad_y @ w.T, grad_y @ x.T", "factors-exchanged"),
    ("transposed", PRODUCT, "grad_y @ w.T, grad_y.T @ x", "grad-w-transposed"),
    ("x and w exchanged", PRODUCT, "x.T @ grad_y, grad_y @ w.T", "results-exchanged"),
    ("a mean", PRODUCT, "grad_y @ w.T, x.T @ grad_y / len(x)", "mean-over-rows"),
    ("ones", PRODUCT, "(0 * grad_y + 1) @ w.T, x.T @ (0 * grad_y + 1)", "upstream-ignored"),
    (
        "first to last",
        BACK,
        "for (_, backward), cache in zip(operations, caches):\n        grad = backward(grad, cache)",
        "not-reversed",
    ),
    ("caches first to last", "caches.pop()", "caches.pop(0)", "caches-not-reversed"),
    ("L for 1", START, "grad = y", "begins-with-the-loss"),
    ("-1 for 1", START, "grad = -1.0", "chain-sign"),
    ("1 for each", "backward(grad, caches.pop())", "backward(1.0, caches.pop())", "nothing-handed-on"),
)
