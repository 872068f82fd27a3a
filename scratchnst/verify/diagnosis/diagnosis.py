"""The diagnosis of a wrong gradient: the mistake that was made, and how to correct it.

The gradient is compared with the gradients that result from known mistakes for the same inputs.  A mistake is named
if its gradient is far closer to the one given than the right gradient is.  If several are, all are named, since these
inputs do not distinguish them.  In this order:

1. the right gradient times a constant factor, with products that the factor may be; the gradient of a known mistake;
2. that of a mistake with free numbers, such as a slope;
3. that of a known mistake times a constant factor;
4. float32 round-off;
5. where and how it deviates, `scratchnst.verify.diagnosis.deviation`, and which known mistake it is there.

Mistakes of any operation are tried only if none of the operation's own fits: they describe the gradient, those of the
operation give the cause.  The latter are tried only if the operation's equation gives the right gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, permutations
from typing import Any

import numpy as np

from scratchnst.arrays import Array
from scratchnst.verify.diagnosis import factors
from scratchnst.verify.diagnosis.deviation import Deviation, describe
from scratchnst.verify.diagnosis.mistakes import OPERATIONS, GradientCase, InputMistakes, general

EXPLAINED = 1e-2  # largest difference from a mistake's gradient, over the deviation
FINE, COARSE = 1e-6, 1e-3  # the same over the largest element; COARSE for float32
EQUALLY_GOOD = 1e-3  # largest difference of the errors of mistakes that are both named, over the deviation
FEW = 3  # smallest number of wrong elements for mistakes of any operation: fewer agree by chance
MANY = 12  # smallest number of wrong elements in a part of the gradient for a diagnosis there
PLACES = ("part", "border")
LARGEST = 10**6  # largest number of elements of an array for an operation's mistakes, which would take too long
ENOUGH = 6  # smallest number of elements for each free number


@dataclass(frozen=True)
class Diagnosis:
    """The diagnosis of a wrong gradient.

    Attributes
    ----------
    key : of the mistake, "kernel-not-flipped"; of several that fit equally, joined by " or "
    sentence : what the gradient equals and how to correct it
    """

    key: str
    sentence: str

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of all mistakes that fit."""
        return tuple(self.key.split(" or "))


def diagnose(
    inputs: Sequence[Array],
    output: Array | float,
    grad_y: Array | float | None,
    got: Array,
    expected: Array,
    position: int = 0,
    operation: str | None = None,
) -> Diagnosis | None:
    """Diagnose the gradient `got` of inputs[position].

    Parameters
    ----------
    inputs : arrays that the operation's forward was given
    output : what it returned
    grad_y : the upstream gradient, of the output's shape; None counts as 1
    got : the gradient to be diagnosed
    expected : the right gradient, to the precision of numerical derivatives; NaN where it is not known
    position : which input
    operation : name in `scratchnst.verify.diagnosis.mistakes.OPERATIONS`, or None

    Returns
    -------
    Diagnosis, or None if no element deviates or none of `expected` is known
    """
    single = any(getattr(array, "dtype", None) == "float32" for array in (got, *inputs))
    got, expected, output = _plain(got), _plain(expected), _plain(output)
    agreement = COARSE if single or _is_single(got) else FINE
    upstream = np.ones_like(output) if grad_y is None else _plain(grad_y)
    case = GradientCase(tuple(map(_plain, inputs)), output, upstream, expected, position)
    if got.shape != expected.shape:
        return _wrong_shape(got, expected, agreement)
    if not np.isfinite(got).all():
        return _not_finite(got)
    if not np.isfinite(expected).any():
        return None
    with np.errstate(all="ignore"):  # a wrong gradient may hold any numbers
        known, right = _known(case, operation, agreement)
        smooth = right if known is None else np.where(known.kinks(case), np.nan, right)
        deviation = Deviation.of(got, smooth)
        if not deviation.wrong.any():
            return _mistake(replace(case, right=right), known, got, agreement)
        case = replace(case, right=smooth)
        whole = _mistake(case, known, got, agreement) or _rounding(deviation)
        return whole or _in_part(case, known, got, agreement, deviation)


def _plain(array: Any) -> np.ndarray:
    """A NumPy array in float64, from one of NumPy or CuPy."""
    return np.asarray(array.get() if hasattr(array, "get") else array).astype(float)


def _is_single(array):
    """Whether float32 holds all numbers exactly."""
    with np.errstate(over="ignore"):
        return np.array_equal(array.astype("float32"), array)


def _known(case, operation, agreement) -> tuple[InputMistakes | None, Array]:
    """The mistakes of the input, if the operation's equation gives the right gradient, and the right gradient."""
    entries = OPERATIONS.get(operation or "", ())
    small = max(array.size for array in (*case.inputs, case.output)) <= LARGEST
    if small and case.position < len(entries) and case.grad_y.shape == case.output.shape:
        known = entries[case.position]
        right = known.right(case)
        if right is not None and _agree(right, case.right, agreement):
            return known, right
    return None, case.right


def _agree(gradient, expected, agreement):
    """Whether a gradient is the expected one, as far as that is known."""
    if gradient.shape != expected.shape:
        return False
    judged = np.isfinite(expected) & np.isfinite(gradient)
    scale = np.abs(expected[judged]).max(initial=0)
    return bool(judged.any() and np.all(np.abs(gradient - expected)[judged] <= 10 * agreement * scale))


def _mistake(case, known, got, agreement, part=True) -> Diagnosis | None:
    """The known mistakes whose gradient agrees best with the one given, in a part of the elements."""
    of_operation = list(known.mistakes(case)) if known else []
    of_any = list(general.mistakes(case, _axes(case, known)))
    for closely in sorted({FINE, agreement}):
        fit = _Fit(got, np.where(part, case.right, np.nan), closely)
        found = _constant_factor(fit, case, known)
        for matches in (_named, _with_free_numbers, _times_factor):
            for mistakes in (of_operation, of_any if np.count_nonzero(fit.deviation) >= FEW else []):
                found += matches(fit, mistakes)
                if found:
                    return _either(found)
    return None


def _in_part(case, known, got, agreement, deviation) -> Diagnosis:
    """Where the gradient deviates, and which known mistake it is there, if there are enough elements to tell."""
    key, sentence = describe(deviation, case, _axes(case, known), known.regions(case) if known else ())
    there = None
    if key in PLACES and deviation.wrong.sum() >= MANY and len(np.unique(got[deviation.wrong])) > MANY / 2:
        there = _mistake(case, known, got, agreement, deviation.wrong)
    if there is None:
        return Diagnosis(key, f"{sentence}.")
    return Diagnosis(f"{key}: {there.key}", f"{sentence}. There {there.sentence}")


def _axes(case, known):
    own = known and len(known.axes) == case.right.ndim
    return known.axes if own else tuple(f"axis {axis}" for axis in range(case.right.ndim))


class _Fit:
    """The agreement of gradients with the one given, where the right one is known."""

    def __init__(self, got, right, agreement):
        self.known = np.isfinite(right)
        self.got, self.right, self.agreement = got, right, agreement
        self.deviation = np.where(self.known, np.abs(got - np.where(self.known, right, 0)), 0)

    def error(self, gradient):
        """The largest difference from the one given, or None if it is too large for the same gradient."""
        judged = self.known & np.isfinite(gradient)
        deviation = self.deviation[judged].max(initial=0)
        if not deviation or deviation < 0.5 * self.deviation.max() or 2 * judged.sum() < self.known.sum():
            return None
        error = np.abs(self.got - gradient)[judged].max()
        scale = np.abs(self.got[self.known]).max()
        return error if error <= EXPLAINED * deviation and error <= self.agreement * scale else None

    def factor(self, gradient):
        """The constant k with got = k gradient, or None."""
        judged = self.known & np.isfinite(gradient)
        vector, got = gradient[judged], self.got[judged]
        if not vector.any() or not got.any():
            return None
        factor = (vector @ got) / (vector @ vector)
        return factor if self.error(factor * gradient) is not None else None


def _constant_factor(fit, case, known):
    """The right gradient times a constant factor: (key, text) of each explanation."""
    if np.count_nonzero(case.right[fit.known]) < 2:
        return []
    factor = fit.factor(case.right)
    return [] if factor is None else factors.readings(factor, case, known, min(10 * fit.agreement, COARSE))


def _named(fit, mistakes):
    """The mistakes whose gradient is the one given."""
    errors = [(fit.error(mistake.gradient), mistake) for mistake in mistakes if not mistake.free]
    matches = [(error, mistake) for error, mistake in errors if error is not None]
    best = min((error for error, _ in matches), default=0)
    limit = best + EQUALLY_GOOD * fit.deviation.max()
    return [(mistake.key, mistake.text) for error, mistake in matches if error <= limit]


def _with_free_numbers(fit, mistakes):
    """The mistakes whose gradient, with fitted free numbers, is the one given."""
    found = []
    for mistake in mistakes:
        if not mistake.free:
            continue
        judged = fit.known & np.all([np.isfinite(array) for array in (mistake.gradient, *mistake.free)], axis=0)
        basis = np.stack([array[judged] for array in mistake.free], axis=1)
        if judged.sum() < ENOUGH * basis.shape[1] or np.linalg.matrix_rank(basis) < basis.shape[1]:
            continue
        numbers = np.linalg.lstsq(basis, (fit.got - mistake.gradient)[judged], rcond=None)[0]
        fitted = mistake.gradient + sum(value * array for value, array in zip(numbers, mistake.free))
        if numbers.any() and fit.error(fitted) is not None:
            found.append((mistake.key, mistake.text.format(*(f"{value:.6g}" for value in numbers))))
    return found


def _times_factor(fit, mistakes):
    """The mistakes whose gradient, times a constant factor, is the one given."""
    found = []
    for mistake in mistakes:
        if mistake.free or np.count_nonzero(np.nan_to_num(mistake.gradient)[fit.known]) < ENOUGH:
            continue
        factor = fit.factor(mistake.gradient)
        if factor is not None:
            found.append((f"{mistake.key} times {factor:.6g}", f"{factors.number(factor)} times {mistake.text}"))
    return found


def _either(found) -> Diagnosis:
    """One diagnosis of all that fit."""
    texts = list(dict.fromkeys(text for _, text in found))
    keys = " or ".join(dict.fromkeys(key for key, _ in found))
    if len(texts) == 1:
        return Diagnosis(keys, f"your gradient equals {texts[0]}.")
    numbered = "; or ".join(f"({number}) {text}" for number, text in enumerate(texts, start=1))
    return Diagnosis(keys, f"on these inputs your gradient equals, alike, either {numbered}.")


def _rounding(deviation) -> Diagnosis | None:
    """Deviations of the size of float32 or float16 round-off, without a pattern."""
    got, right = deviation.got[deviation.wrong], deviation.right[deviation.wrong]
    size = np.abs(got - right).max() / np.abs(deviation.right[deviation.known]).max(initial=np.finfo(float).tiny)
    most = 2 * len(got) > np.count_nonzero(deviation.right[deviation.known]) and len(got) >= ENOUGH
    for dtype, least, limit in (("float32", 2e-8, 1e-5), ("float16", 1e-4, 2e-2)):
        cast = np.array_equal(got.astype(dtype).astype(float), got)
        if most and least < size <= limit and (cast or (dtype == "float32" and _patternless(got - right, right))):
            return Diagnosis(
                f"{dtype}-round-off",
                f"your gradient is right but for {dtype} round-off, up to {size:.1e} of its largest element: somewhere "
                f"it is computed in {dtype}; compute it in float64, or judge it with that precision in mind.",
            )
    return None


def _patternless(difference, right):
    """Whether signs are mixed and not correlated with those of the right gradient."""
    signs = np.sign(difference)
    return all(abs(signs @ other) <= 4 * np.sqrt(len(signs)) for other in (np.ones(len(signs)), np.sign(right)))


def _not_finite(got) -> Diagnosis:
    bad = ~np.isfinite(got)
    first = [int(place) for place in np.argwhere(bad)[0]]
    return Diagnosis(
        "not-finite",
        f"your gradient is NaN or infinite at {bad.sum()} of {bad.size} elements, first at {first}: look for a "
        "division by zero, a logarithm of zero, or memory that was never written (np.empty).",
    )


def _wrong_shape(got, expected, agreement) -> Diagnosis:
    """A gradient of another shape: transposed, reshaped, or not summed over a broadcast axis."""
    shapes = f"your gradient has the shape {got.shape}, the input {expected.shape}"
    if got.ndim == expected.ndim and sorted(got.shape) == sorted(expected.shape):
        for order in _orders(got, expected.shape):
            if _agree(got.transpose(order), expected, agreement):
                return Diagnosis("transposed", f"{shapes}; its values are right after .transpose{order}.")
    if got.size == expected.size and _agree(got.reshape(expected.shape), expected, agreement):
        return Diagnosis("reshaped", f"{shapes}; its values are right after .reshape{expected.shape}.")
    for axes, summed in _sums(got, expected.shape):
        if _agree(summed, expected, agreement):
            text = f"{shapes}; its values are right once summed over axes {axes}, along which the input was broadcast."
            return Diagnosis("not-summed", text)
    try:
        spread = np.broadcast_to(got, expected.shape)
    except ValueError:
        return Diagnosis("wrong-shape", f"{shapes}: a gradient has the shape of its input.")
    if _agree(spread, expected, agreement):
        return Diagnosis("not-broadcast", f"{shapes}; its values are right once broadcast to that.")
    return Diagnosis(
        "wrong-shape", f"{shapes}: a gradient has the shape of its input; has it lost an axis, or some elements?"
    )


def _orders(got, shape):
    """The orders of axes that turn `got` into `shape`."""
    return [order for order in permutations(range(got.ndim)) if tuple(got.shape[axis] for axis in order) == shape]


def _sums(got, shape):
    """Sums of `got` over some of its axes that have as many elements as `shape`: (axes, sum)."""
    size = int(np.prod(shape))
    for count in range(1, got.ndim + 1):
        for axes in combinations(range(got.ndim), count):
            summed = got.sum(axis=axes)
            if summed.size == size:
                yield axes, summed.reshape(shape)
