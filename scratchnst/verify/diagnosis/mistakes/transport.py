"""Mistakes in the backward of style losses that are squared Wasserstein distances: by moments, of normal distributions
and sliced.

Their targets are no inputs, but they have one gradient in common, in which E says how large the differences are::

    dE/dF[m] = 2/(C M) (F[m] - wanted[m]),     E = 1/(C M) sum_m |F[m] - wanted[m]|^2
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scratchnst.arrays import Array
from scratchnst.verify.diagnosis.mistakes.case import GradientCase, InputMistakes, KnownMistake, paper_quantities

EPSILONS = 1e-2  # largest part of E by which the epsilons in variances may change the sum
TEXT = "dE/dF[m] = 2/(C M) (F[m] - the place where the best transport puts it)"


def right(case: GradientCase) -> Array | None:
    """The gradient given, if the differences that it shows are as large as E says."""
    if case.grad_y.ndim or not case.grad_y or case.x.ndim != 4 or case.position or np.isnan(case.right).any():
        return None
    squares = np.sum((case.right / _slope(case)) ** 2) / case.x[0].size
    return case.right if abs(squares - case.output) <= EPSILONS * abs(case.output) else None


def mistakes(case: GradientCase) -> Iterator[KnownMistake]:
    """Mistakes in dE/dF."""
    F, gradient, slope = case.x, case.right, _slope(case)
    of_mean = gradient.mean((1, 2), keepdims=True) + 0 * F
    rest, centred = gradient - of_mean, F - F.mean((1, 2), keepdims=True)
    sentence = f"2/(C M) F: the style is not subtracted, {TEXT}"
    yield KnownMistake("target-not-subtracted", sentence, slope * F)
    sentence = f"the right one with 2/(C M) (F - mean) for all but the means: the style's spread is left out, {TEXT}"
    yield KnownMistake("spread-not-compared", sentence, of_mean + slope * centred)
    sentence = f"the right one without its mean over positions, 2/(C M) (mean - mean'): {TEXT}"
    yield KnownMistake("mean-path-missing", sentence, rest)
    sentence = f"the mean over positions of the right one alone, 2/(C M) (mean - mean'): {TEXT}"
    yield KnownMistake("spread-path-missing", sentence, of_mean)
    sentence = (
        "the right one with F for F - mean in the slope of deviations and covariances: a variance is mean of F^2 - "
        "mean^2, and the mean gets its part of the slope, too"
    )
    for linear in (_by_channel, _by_matrix):
        yield KnownMistake("not-centred", sentence, of_mean + linear(centred, rest, F))


def _slope(case):
    """2 grad_y / (C M)."""
    return 2 * float(case.grad_y) / case.x[0].size


def _by_channel(centred, rest, F):
    """What makes `rest` of `centred`, a factor for each channel, of `F`."""
    return F * (np.sum(centred * rest, (1, 2), keepdims=True) / np.sum(centred**2, (1, 2), keepdims=True))


def _by_matrix(centred, rest, F):
    """The same with a matrix for each image."""
    matrices = []
    for A, B in zip(centred, rest):
        columns = A.reshape(-1, F.shape[3]), B.reshape(-1, F.shape[3])
        matrices.append(np.linalg.lstsq(*columns, rcond=None)[0])
    return np.einsum("nhwc,nck->nhwk", F, np.stack(matrices))


FACTORS = {0.5: ("square-factor-missing", f"half the right one: the 2 of the square is missing, {TEXT}")}
INPUTS = (InputMistakes(right, mistakes, FACTORS, quantities=paper_quantities, highest_power=2),)
