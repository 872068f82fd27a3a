"""The exercise, solved: a step of Adam, and the two loops of L-BFGS."""

from __future__ import annotations

import numpy as np


def adam_step(x, g, m, v, t, rate):
    """Both running means go on, and the step divides one by the root of the other, each made a true mean."""
    m = 0.9 * m + 0.1 * g
    v = 0.999 * v + 0.001 * g**2
    mean, mean_square = m / (1 - 0.9**t), v / (1 - 0.999**t)
    return x - rate * mean / (np.sqrt(mean_square) + 1e-8), m, v


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
