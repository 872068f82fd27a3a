"""Where and how a gradient deviates from the right one, for mistakes without a name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from scratchnst.arrays import Array
from scratchnst.verify.diagnosis.factors import number
from scratchnst.verify.diagnosis.mistakes import GradientCase, Region, general

# An element is wrong if it deviates by more than
NOISE_MARGIN = 30  # times the median deviation, which is the noise of numerical derivatives,
NEGLIGIBLE = 1e-4  # of the largest deviation, and
ROUND_OFF = 1e-13  # of the largest element.
# A pattern explains the deviation if it differs by less than these parts of the deviation and of the largest element.
EXPLAINED, AGREEMENT = 1e-2, 1e-6
FEW, MANY = 8, 12  # fewer wrong elements than this fit a pattern by chance
FEW_SPARED = 4  # smallest number of right elements outside of a place

# Keys that describe how the gradient deviates and name no mistake: those of this file, and of a factor.
DESCRIPTIONS = (
    "zero",
    "not-zero",
    "clipped",
    "reordered",
    "own-factors",
    "one-element",
    "part",
    "border",
    "everywhere",
)


@dataclass(frozen=True)
class Deviation:
    """A gradient beside the right one.

    Attributes
    ----------
    got, right : both gradients
    known : where the right one is known
    wrong : where they differ
    """

    got: Array
    right: Array
    known: Array
    wrong: Array

    @classmethod
    def of(cls, got: Array, right: Array) -> Deviation:
        """Find the elements that differ by more than noise."""
        known = np.isfinite(right)
        size = np.where(known, np.abs(got - np.where(known, right, 0)), 0)
        largest = size.max(initial=0)
        typical = np.median(size[known]) if known.any() else 0
        noise = NOISE_MARGIN * typical if NOISE_MARGIN * typical < 0.5 * largest else 0
        threshold = max(NEGLIGIBLE * largest, noise, ROUND_OFF * np.abs(right[known]).max(initial=0))
        return cls(got, right, known, known & (size > threshold))

    def explained_by(self, gradient: Array) -> bool:
        """Whether `gradient` is the one given, and far closer to it than the right one is."""
        got, right, gradient = self.got[self.known], self.right[self.known], gradient[self.known]
        limit = min(EXPLAINED * np.abs(got - right).max(), AGREEMENT * np.abs(got).max())
        return bool(np.abs(got - gradient).max() <= limit)


def describe(
    deviation: Deviation, case: GradientCase, axes: Sequence[str], regions: Iterable[Region]
) -> tuple[str, str]:
    """Return a key and a sentence on where and how the gradient deviates first."""
    for region in regions:
        if not (deviation.wrong & ~region.mask).any():
            return region.key, f"your gradient is right but {region.text}{_relation(deviation)}"
    for pattern in (_single, _zero, _clipped, _reordered, _own_factors):
        found = pattern(deviation, axes)
        if found:
            return found
    where = _signs(deviation, case) or _place(deviation, axes)
    if where:
        key, words = where
        return key, f"your gradient is right but {words}{_relation(deviation)}; {_first_and_worst(deviation)}"
    return "everywhere", _everywhere(deviation)


def _single(deviation, axes):
    if deviation.known.sum() > 1:
        return None
    got, right = deviation.got[deviation.known].item(), deviation.right[deviation.known].item()
    ratio = f", {number(got / right)} times the right one" if right else ""
    return "one-element", f"your gradient is {got:.6g} in the place of {right:.6g}{ratio}"


def _zero(deviation, axes):
    if not deviation.got[deviation.known].any():
        return "zero", "your gradient is zero everywhere: nothing is handed back to this input"
    if not deviation.right[deviation.known].any():
        first = _first_and_worst(deviation)
        return "not-zero", f"the right gradient is zero everywhere, but yours is not; {first}"
    return None


def _clipped(deviation, axes):
    """The right one, clipped."""
    got, right = deviation.got[deviation.known], deviation.right[deviation.known]
    limit = np.abs(got).max(initial=0)
    clipped = np.abs(right) > limit
    if clipped.sum() > 1 and deviation.explained_by(np.clip(deviation.right, -limit, limit)):
        return "clipped", f"your gradient equals the right one clipped to the size {limit:.6g}: leave it as it is"
    return None


def _reordered(deviation, axes):
    """The right one, permuted along an axis."""
    if not deviation.known.all():
        return None
    for axis, name in enumerate(axes):
        got = np.moveaxis(deviation.got, axis, 0).reshape(deviation.got.shape[axis], -1)
        right = np.moveaxis(deviation.right, axis, 0).reshape(got.shape)
        if not 2 < len(got) <= 64 or got.shape[1] < 2:
            continue
        order = np.abs(got[:, np.newaxis] - right).max(axis=2).argmin(axis=1)
        if len(set(order)) == len(order) and deviation.explained_by(deviation.right.take(order, axis)):
            shown = ", ".join(map(str, order[:8])) + (", ..." if len(order) > 8 else "")
            return "reordered", f"your gradient equals the right one in another order along {name}: it holds {shown}"
    return None


def _own_factors(deviation, axes):
    """The right one, times a factor for each place along an axis."""
    for axis, name in enumerate(axes):
        got = np.moveaxis(np.where(deviation.known, deviation.got, 0), axis, 0)
        right = np.moveaxis(np.where(deviation.known, deviation.right, 0), axis, 0)
        got, right = got.reshape(len(got), -1), right.reshape(len(right), -1)
        if not 1 < len(got) <= 64 or (right != 0).sum(axis=1).min() < 2:
            continue
        factors = (got * right).sum(axis=1) / (right * right).sum(axis=1)
        along = factors.reshape([-1 if other == axis else 1 for other in range(deviation.got.ndim)])
        if deviation.explained_by(along * deviation.right) and np.abs(factors - 1).min() > 1e-6:
            shown = ", ".join(f"{factor:.4g}" for factor in factors[:6]) + (", ..." if len(factors) > 6 else "")
            return "own-factors", f"your gradient equals the right one with a factor of its own along {name}: {shown}"
    return None


def _place(deviation, axes):
    """The places along the axes that all wrong elements have in common."""
    wrong = deviation.wrong
    if wrong.sum() == 1:
        return "one-element", f"at one element, {_index(np.argwhere(wrong)[0])}"
    border = _border(deviation)
    if border:
        return border
    words = []
    for axis, name in enumerate(axes):
        others = tuple(other for other in range(wrong.ndim) if other != axis)
        here, judged = wrong.any(others), deviation.known.sum(others)
        if judged[~here].sum() >= FEW_SPARED:
            words.append(_places(np.flatnonzero(here), np.flatnonzero(judged), wrong.shape[axis], name))
    return ("part", f"in {', '.join(words)}") if words else None


def _places(here, judged, length, name):
    """Words for some places along an axis: "row 2", "the last row", or "index 2 of axis 1"."""
    known = not name.startswith("axis")
    one, many, of = (name, f"{name}s", "") if known else ("index", "indices", f" of {name}")
    if len(here) == 1:
        which = {0: f"the first {one}", length - 1: f"the last {one}"}
        return which.get(here[0], f"{one} {here[0]}") + of
    if list(here) == [0, length - 1]:
        return f"the first and the last {one}{of}"
    for parity, word in ((0, "even"), (1, "odd")):
        if list(here) == [place for place in judged if place % 2 == parity]:
            return f"the {word} {many}{of}"
    spared = sorted(set(judged) - set(here))
    if len(spared) == 1 and len(judged) > 2:
        return f"every {one}{of} but {spared[0]}"
    if here[-1] - here[0] == len(here) - 1:
        return f"{many} {here[0]} to {here[-1]}{of}"
    return f"{many} {', '.join(map(str, here[:6]))}{', ...' if len(here) > 6 else ''}{of}"


def _border(deviation):
    """Only rows and columns at the edge of an image (N, H, W, C)."""
    wrong = deviation.wrong
    if wrong.ndim != 4 or min(wrong.shape[1:3]) < 3 or wrong[:, 1:-1, 1:-1].any():
        return None
    sides = {
        "top": wrong[:, 0, 1:-1],
        "bottom": wrong[:, -1, 1:-1],
        "left": wrong[:, 1:-1, 0],
        "right": wrong[:, 1:-1, -1],
    }
    touched = [name for name, side in sides.items() if side.any()]
    if len(touched) < 2 or touched in (["top", "bottom"], ["left", "right"]):
        return None  # rows or columns, which `_place` describes
    return "border", f"on the border ({', '.join(touched)}), one pixel wide"


def _signs(deviation, case):
    """Only where an array of the same shape is positive, negative or zero: at all or, if these are many, at some."""
    wrong = deviation.wrong.sum()
    found = []
    for region in general.regions(case):
        inside = region.mask & deviation.known
        if 0 < inside.sum() < deviation.known.sum() and not (deviation.wrong & ~inside).any():
            found.append((inside.sum(), region))
    if not found or wrong < FEW:
        return None
    size, region = min(found, key=lambda each: each[0])
    if wrong >= 0.9 * size:
        return region.key, region.text
    return (region.key, f"at {wrong} of the {size} elements {region.text}") if wrong >= MANY else None


def _relation(deviation):
    """The relation of the gradient to the right one at the wrong elements."""
    got, right = deviation.got[deviation.wrong], deviation.right[deviation.wrong]
    if not got.any():
        return ", where it is 0"
    if not right.any():
        return ", where it should be 0"
    if len(got) < 3:
        return ""
    factor = (got @ right) / (right @ right)
    if np.abs(got - factor * right).max() <= 1e-6 * np.abs(got).max():
        return f", where it is {number(factor)} times the right one"
    offset = (got - right).mean()
    if np.abs(got - right - offset).max() <= 1e-6 * abs(offset):
        return f", where {offset:.6g} is added to it"
    return ""


def _everywhere(deviation):
    got, right = deviation.got[deviation.known], deviation.right[deviation.known]
    count = f"{deviation.wrong.sum()} of {deviation.known.sum()} elements"
    cosine = got @ right / (np.linalg.norm(got) * np.linalg.norm(right))
    length = np.linalg.norm(got) / np.linalg.norm(right)
    angle = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    return (
        f"your gradient matches no mistake that is known here. It deviates at {count}, without a pattern; it points "
        f"{angle:.3g} degrees away from the right one and is {length:.4g} times as long; {_first_and_worst(deviation)}"
    )


def _first_and_worst(deviation):
    indices = np.argwhere(deviation.wrong)
    first = tuple(indices[0])
    size = np.where(deviation.wrong, np.abs(deviation.got - deviation.right), 0)
    worst = np.unravel_index(size.argmax(), size.shape)
    words = [f"first at {_values(deviation, first)}"]
    if tuple(worst) != first:
        words.append(f"most at {_values(deviation, worst)}")
    return ", ".join(words)


def _values(deviation, index):
    index = tuple(int(place) for place in index)
    got, right = deviation.got[index], deviation.right[index]
    return f"{_index(index)}: {got:.6g} in the place of {right:.6g}"


def _index(index):
    return f"[{', '.join(str(int(place)) for place in index)}]"
