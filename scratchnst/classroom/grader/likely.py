"""What a wrong function probably does: it is compared with known mistakes, in all calls whose results are known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from scratchnst.arrays import Array
from scratchnst.classroom.grader import comparison
from scratchnst.classroom.grader.exercise import Derivative, Function, Mistake, parameters_of
from scratchnst.verify.diagnosis import diagnosis
from scratchnst.verify.diagnosis.deviation import DESCRIPTIONS
from scratchnst.verify.diagnosis.diagnosis import Diagnosis

NEARLY = 1e-2  # of the largest number, up to which float32 results have lost digits and are no others
DIGITS_LOST = (
    "Your numbers are right in float64, and in float32 only to a few digits. Is there a difference of two numbers that "
    "are almost equal, such as f(x + h) - f(x - h) in the place of a formula, or is something computed in float16?"
)
SAME = 1e-6  # of the largest number, up to which a mistake's results are the learner's


@dataclass(frozen=True)
class Attempt:
    """A call of the learner's function: arguments, what came back and what should have."""

    arguments: tuple
    got: list[Array]
    expected: list[Array]
    tolerance: float
    is_single: bool = False

    @property
    def is_right(self) -> bool:
        """Whether the call was answered as expected."""
        return comparison.agrees(self.got, self.expected, self.tolerance)

    @property
    def has_right_shapes(self) -> bool:
        """Whether there is nothing to be said of shapes, as there may be in another call."""
        return all(np.shape(got) == np.shape(expected) for got, expected in zip(self.got, self.expected))


def likely(function: Function, attempts: Sequence[Attempt], shown: Attempt | None) -> Diagnosis | None:
    """Return the mistake that a function makes, as far as one is known that explains all that it returned.

    Where no mistake does, it is the call `shown` to the learner that is diagnosed; other calls only rule out.
    """
    with np.errstate(all="ignore"):
        own = [key for key, each in function.mistakes.items() if all(_explains(each, attempt) for attempt in attempts)]
        if own:
            return Diagnosis(" or ".join(own), _either([function.mistakes[key].words for key in own]))
        exchanged = _exchanged(function, attempts)
        if exchanged:
            return exchanged
        wrong = [attempt for attempt in attempts if not attempt.is_right]
        wrong = [attempt for attempt in wrong if attempt.has_right_shapes == wrong[0].has_right_shapes]
        wrong.sort(key=lambda attempt: (attempt is not shown, -_size(attempt)))
        if all(comparison.agrees(each.got, each.expected, comparison.SINGLE_TOLERANCE) for each in wrong):
            return Diagnosis(
                "float32-round-off",
                "Your numbers are right to about as many digits as float32 has, and no further. Is something in your "
                "function rounded, or computed in float32?",
            )
        if all(attempt.is_single and comparison.agrees(attempt.got, attempt.expected, NEARLY) for attempt in wrong):
            return Diagnosis("digits-lost", DIGITS_LOST)
        if not wrong or wrong[0] is not shown:
            return None
        found = [list(_of_results(function, attempt)) for attempt in wrong]
    return _best(function, found)


def _exchanged(function: Function, attempts: Sequence[Attempt]) -> Diagnosis | None:
    """Two arguments in each other's place, if that explains all calls."""
    parameters = parameters_of(function)
    for one, other in combinations(range(len(parameters)), 2):

        def wrong(*arguments, one=one, other=other):
            given = list(arguments)
            given[one], given[other] = given[other], given[one]
            return function.reference(*given)

        if all(_explains(Mistake("", wrong), attempt) for attempt in attempts):
            return exchanged(function, parameters[one], parameters[other])
    return None


def exchanged(function: Function, one: str, other: str) -> Diagnosis:
    """Return the diagnosis of two arguments in each other's place."""
    call = f"{function.name}({', '.join(parameters_of(function))})"
    return Diagnosis(
        "arguments-exchanged",
        f"It looks as if {one} and {other} had changed places: the call is {call}, in this order.",
    )


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
    """The most telling diagnosis of the first call, which is shown, if it can be that of the others as well.

    Where its numbers are too few for more than a place, it is a mistake that all others show.
    """
    of_shown, others = found[0], [of_call for of_call in found[1:] if of_call]
    possible = {key for each in of_shown for key in each.keys}
    mistakes = [each for of_call in others for each in of_call if not _is_place(each)]
    if not all(map(_is_place, of_shown)):
        mistakes = [each for each in mistakes if set(each.keys) <= possible]
    candidates = [each for each in (*of_shown, *mistakes) if _is_common(each, found[1:] if _is_place(each) else others)]
    return reworded(function, min(candidates, key=_vagueness)) if candidates else None


def _is_common(found: Diagnosis, others: Sequence[Sequence[Diagnosis]]) -> bool:
    """Whether every call has a diagnosis that shares a key with this one; a kernel of one row has no taps but one."""
    keys = {key.replace("taps", "tap") for key in found.keys}
    return all(any(key.replace("taps", "tap") in keys for each in of_call for key in each.keys) for of_call in others)


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
