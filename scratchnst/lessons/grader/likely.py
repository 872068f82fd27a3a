"""What a wrong function probably does: it is compared with known mistakes, in all calls whose results are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scratchnst.lessons.grader import comparison
from scratchnst.lessons.grader.exercise import Derivative, Function, Mistake
from scratchnst.verify import diagnosis
from scratchnst.verify.deviation import DESCRIPTIONS
from scratchnst.verify.diagnosis import Diagnosis

Array = Any
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


def likely(function: Function, attempts: Sequence[Attempt]) -> Diagnosis | None:
    """Return the mistake that a function makes, as far as one is known that explains all that it returned."""
    with np.errstate(all="ignore"):
        own = [mistake for mistake in function.mistakes if all(_explains(mistake, attempt) for attempt in attempts)]
        if own:
            return Diagnosis(" or ".join(mistake.key for mistake in own), _either([each.words for each in own]))
        if function.derivative is None:
            return None
        found = [each for attempt in attempts for each in _of_derivative(function.derivative, attempt)]
    return reworded(function, min(found, key=_vagueness)) if found else None


def reworded(function: Function, found: Diagnosis) -> Diagnosis:
    """Return a diagnosis in the words that the exercise has for its keys."""
    words = {mistake.key: mistake.words for mistake in function.mistakes}
    if all(key in words for key in found.keys):
        return Diagnosis(found.key, _either([words[key] for key in found.keys]))
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


def _of_derivative(derivative: Derivative, attempt: Attempt):
    """What `scratchnst.verify.diagnosis` says of each result of one call that is wrong."""
    if attempt.is_right:
        return
    arguments = attempt.arguments[1:] if derivative.upstream else attempt.arguments
    inputs = derivative.inputs(*arguments) if derivative.inputs else arguments
    output = derivative.forward(*inputs)
    grad_y = attempt.arguments[0] if derivative.upstream else None
    for got, expected, position in zip(attempt.got, attempt.expected, derivative.of):
        if position is not None:
            found = diagnosis.diagnose(inputs, output, grad_y, got, expected, position, derivative.operation)
            if found is not None:
                yield found


def _vagueness(found: Diagnosis) -> tuple[bool, int]:
    """The less, the more a diagnosis says: a mistake rather than a place, one rather than several."""
    return any(key.split(":")[0] in DESCRIPTIONS for key in found.keys), len(found.keys)


def _either(words: Sequence[str]) -> str:
    return " Or: ".join(dict.fromkeys(words))
