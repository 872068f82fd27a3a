"""The exercise, solved: the line search's cubic, and the two loops of L-BFGS."""

from __future__ import annotations

import numpy as np


def cubic_minimum(a, b):
    """In u = (t - a) / (b - a) the slope is A (1-u)^2 - 2 C u (1-u) + B u^2; of its zeros, where it rises."""
    (start, value_a, slope_a), (end, value_b, slope_b) = a, b
    width = end - start
    A, B = slope_a * width, slope_b * width
    C = A + B - 3 * (value_b - value_a)
    D = np.sqrt(C**2 - A * B)
    u = A / (A + C - D) if C < 0 else (C + D) / (B + C + D)  # equal; one of the two does not cancel
    return start + u * width


def two_loops(q, pairs):
    """On the way in, from the newest pair to the oldest, subtract; on the way out add."""
    if not pairs:
        return q.copy()
    s, y = pairs[-1]
    gamma = (s @ y) / (y @ y)
    alphas = []
    for s, y in reversed(pairs):
        alphas.append((s @ q) / (y @ s))
        q = q - alphas[-1] * y
    r = gamma * q
    for (s, y), alpha in zip(pairs, reversed(alphas)):
        beta = (y @ r) / (y @ s)
        r = r + (alpha - beta) * s
    return r
