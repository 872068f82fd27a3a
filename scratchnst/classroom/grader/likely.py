"""What a wrong function probably does: it is compared with known mistakes, in all calls whose results are known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from scratchnst.arrays import Array
from scratchnst.classroom.grader import comparison
from scratchnst.classroom.grader.exercise import Derivative, Function, Mistake
from scratchnst.verify.diagnosis import diagnosis
from scratchnst.verify.diagnosis.deviation import DESCRIPTIONS
from scratchnst.verify.diagnosis.diagnosis import Diagnosis

SAME = 1e-6  # of the largest number, up to which a mistake's results are the learner's


@dataclass(frozen=True)
class Attempt:
    """A call of the learner's function: arguments, what came back and what should have."""

    arguments: tuple
    got: list[Array]
    expected: list[Array]
    tolerance: float

    @property
    def is_right(self) -> bool:
        """Whether the call was answered as expected."""
        return comparison.agrees(self.got, self.expected, self.tolerance)

    @property
    def has_right_shapes(self) -> bool:
        """Whether there is nothing to be said of shapes, as there may be in another call."""
        return all(np.shape(got) == np.shape(expected) for got, expected in zip(self.got, self.expected))


def likely(function: Function, attempts: Sequence[Attempt]) -> Diagnosis | None:
    """Return the mistake that a function makes, as far as one is known that explains all that it returned."""
    with np.errstate(all="ignore"):
        own = [key for key, each in function.mistakes.items() if all(_explains(each, attempt) for attempt in attempts)]
        if own:
            return Diagnosis(" or ".join(own), _either([function.mistakes[key].words for key in own]))
        wrong = [attempt for attempt in attempts if not attempt.is_right]
        wrong = [attempt for attempt in wrong if attempt.has_right_shapes == wrong[0].has_right_shapes]
        wrong.sort(key=_size, reverse=True)
        if all(comparison.agrees(each.got, each.expected, comparison.SINGLE_TOLERANCE) for each in wrong):
            return Diagnosis(
                "float32-round-off",
                "Your numbers are right to about as many digits as float32 has, and no further. Is something in your "
                "function rounded, or computed in float32?",
            )
        found = [list(_of_results(function, attempt)) for attempt in wrong]
    return _best(function, found)


def names_of(function: Function) -> tuple[str, ...]:
    """Return the names of a function's results."""
    return function.returns if isinstance(function.returns, tuple) else (function.returns,)


def reworded(function: Function, found: Diagnosis) -> Diagnosis:
    """Return a diagnosis in the words that the exercise has for any of its keys; others may give the answer away."""
    words = [mistake.words for key, mistake in function.mistakes.items() if key in found.keys]
    if words:
        return Diagnosis(found.key, _either(words))
    return Diagnosis(found.key, found.sentence[:1].upper() + found.sentence[1:])


def _explains(mistake: Mistake, attempt: Attempt) -> bool:
    """Whether the mistake returns what the learner's function returned."""
    if mistake.wrong is None:
        return False
    try:
        results = mistake.wrong(*attempt.arguments)
    except Exception:  # a mistake may be possible for some arguments only
        return False
    results = results if isinstance(results, tuple) else (results,)
    return comparison.agrees(attempt.got, results, max(SAME, attempt.tolerance))


def _best(function: Function, found: Sequence[Sequence[Diagnosis]]) -> Diagnosis | None:
    """The most telling diagnosis of several calls, that with the most numbers first, if it can be one of them all."""
    keys = [{key for each in of_call for key in each.keys} for of_call in found]
    common = set.intersection(*keys)
    candidates = [
        each
        for of_call in found
        for each in of_call
        if common & set(each.keys) or (function.derivative and not _is_place(each))
    ]
    if not candidates:
        return None
    return reworded(function, min(candidates, key=lambda each: (not common & set(each.keys), *_vagueness(each))))


def _of_results(function: Function, attempt: Attempt) -> Iterator[Diagnosis]:
    """What `scratchnst.verify.diagnosis.diagnosis` says of each wrong result of one call."""
    derivative = function.derivative
    positions = derivative.of if derivative else [None] * len(attempt.got)
    for name, got, expected, position in zip(names_of(function), attempt.got, attempt.expected, positions):
        if comparison.agrees([got], [expected], attempt.tolerance):
            continue
        found = None
        if derivative and position is not None:
            found = _of_derivative(derivative, attempt, got, expected, position)
        found = found or _of_values(name, got, expected)
        if found is not None and found.key not in ("everywhere", "not-finite"):  # which say no more than is said
            yield found


def _of_derivative(derivative: Derivative, attempt: Attempt, got, expected, position) -> Diagnosis | None:
    arguments = attempt.arguments[1:] if derivative.upstream else attempt.arguments
    inputs = derivative.inputs(*arguments) if derivative.inputs else arguments
    if inputs[position].shape != expected.shape:  # inputs that serve the gradient check only
        return None
    grad_y = attempt.arguments[0] if derivative.upstream else None
    return diagnosis.diagnose(
        inputs, derivative.forward(*inputs), grad_y, got, expected, position, derivative.operation
    )


def _of_values(name: str, got: Array, expected: Array) -> Diagnosis | None:
    """The same of an array that is no gradient, as far as factors, order and place are concerned."""
    if expected.ndim == 0 or expected.dtype == bool:
        return None
    nothing = np.full_like(expected, 0.7310585)  # in the place of inputs, from which nothing can be told
    found = diagnosis.diagnose((nothing,), nothing, nothing, got, expected)
    if found is None:
        return None
    sentence = found.sentence.replace("your gradient", f"your {name}").replace(", the input (", ", the right one (")
    return None if "gradient" in sentence else Diagnosis(found.key, sentence)


def _size(attempt: Attempt) -> int:
    return sum(each.size for each in attempt.expected)


def _vagueness(found: Diagnosis) -> tuple[bool, int]:
    """The less, the more a diagnosis says: a mistake rather than a place, one rather than several."""
    return _is_place(found), len(found.keys)


def _is_place(found: Diagnosis) -> bool:
    """Whether it says where the numbers are wrong, which tells little if they are wrong elsewhere in another call."""
    return any(key.split(":")[0] in DESCRIPTIONS for key in found.keys)


def _either(words: Sequence[str]) -> str:
    return " Or: ".join(dict.fromkeys(words))
