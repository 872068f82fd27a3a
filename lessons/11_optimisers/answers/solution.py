"""The exercise, solved: a step of Adam, and the settings of the fastest momentum."""

from __future__ import annotations

import numpy as np


def adam_step(x, g, m, v, t, rate):
    """Both running means go on, and the step divides one by the root of the other, each made a true mean."""
    m = 0.9 * m + 0.1 * g
    v = 0.999 * v + 0.001 * g**2
    mean, mean_square = m / (1 - 0.9**t), v / (1 - 0.999**t)
    return x - rate * mean / (np.sqrt(mean_square) + 1e-8), m, v


def best_momentum(lowest, highest):
    """A coordinate shrinks by the root of beta while 1 - root and 1 + root, squared, enclose rate times curvature."""
    rate = 4 / (np.sqrt(lowest) + np.sqrt(highest)) ** 2
    root = (np.sqrt(highest) - np.sqrt(lowest)) / (np.sqrt(highest) + np.sqrt(lowest))
    return rate, root**2
