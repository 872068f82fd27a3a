"""What the grader found, in the words of a tutor."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from scratchnst.classroom.grader.examination import FAILED, NOT_WRITTEN, PASSED, Finding, parameters_of
from scratchnst.classroom.grader.exercise import Exercise, Function
from scratchnst.classroom.grader.supervision import Grade
from scratchnst.messages import printable

WIDTH, NARROWEST = 100, 50
LABEL = 16  # characters before what a line says
MOST_PRINTED = 10  # lines of what a call printed


def report(exercise: Exercise, number: int, grade: Grade) -> str:
    """Return the tutor's answer to a learner's file."""
    if grade.problem is not None:
        lines = ["Your file could not be loaded, so nothing in it could be tried yet.", ""]
        lines += [*_details(grade.problem), "", f"Then run scratchnst check {number} again."]
        return "\n".join(lines)
    functions = {function.name: function for function in exercise.functions}
    lines = [line for finding in grade.findings for line in _finding(finding, functions[finding.function], number)]
    return "\n".join([*lines, *_end(exercise, number, grade)])


def hint(function: Function, given: int) -> str:
    """Return the hint that comes after `given` hints."""
    count = len(function.hints)
    new = range(count) if given >= count else [given]  # all once more, when all are given
    left = count - 1 - new[-1]
    hints = [line for each in new for line in _wrapped(f"Hint {each + 1} of {count}: {function.hints[each]}")]
    rest = {0: "There are no more hints.", 1: "One more hint is left."}.get(left, f"{left} more hints are left.")
    return "\n".join([f"{function.name}", "", *hints, "", rest])


def standing(exercise: Exercise, states: Mapping[str, Mapping[str, Any]]) -> str:
    """Return how far a learner is with an exercise, from what `ProgressFile.exercise` remembers of it."""
    passed = sum(states.get(function.name, {}).get("state") == PASSED for function in exercise.functions)
    if passed == len(exercise.functions):
        return "solved"
    return f"{passed} of {len(exercise.functions)} functions right" if states else "not begun"


def _finding(finding: Finding, function: Function, exercise: int) -> Iterator[str]:
    """What to say of one function."""
    if finding.state == PASSED:
        yield f"{finding.function}: right. It passes all {finding.total} tests."
    elif finding.state == NOT_WRITTEN:
        yield f"{finding.function}: not written yet."
    else:
        fails = f" Test {finding.number} of {finding.total} fails." if finding.test else ""
        yield f"{finding.function}: not yet.{fails}"
        yield from _labelled("Passed:", finding.passed)
        yield from _labelled("Failed:", [finding.test] if finding.test else [])
        yield ""
        yield from _details(finding, function, exercise)
    yield ""


def _details(finding: Finding, function: Function | None = None, exercise: int = 0) -> Iterator[str]:
    """What is wrong, each fact behind its label."""
    parameters = parameters_of(function) if function else ()
    yield from _labelled("The call:", finding.call)
    if finding.is_abridged:
        names = ", ".join(parameters) + ("," if len(parameters) == 1 else "")
        call = f'{names} = arguments({exercise}, "{finding.function}", {finding.number})'
        yield from _labelled("To repeat it:", ["from scratchnst.classroom.library import arguments", call])
    yield from _labelled("What happens:", _beside(finding.problem))
    yield from _labelled("Your code:", finding.lines)
    yield from _labelled("Compare:", finding.results)
    printed = finding.printed.splitlines()
    more = [f"... and {len(printed) - MOST_PRINTED} lines more"] if len(printed) > MOST_PRINTED else []
    yield from _labelled("It printed:", [*printed[:MOST_PRINTED], *more])
    yield from _labelled("Probably:", _beside(finding.diagnosis))
    yield from _labelled("Look at:", _beside(finding.advice))
    if function and not finding.advice:
        yield from _labelled("Read again:", _beside(function.read))


def _end(exercise: Exercise, number: int, grade: Grade) -> Iterator[str]:
    """What comes next."""
    if grade.answers:
        names = " and ".join(grade.answers)
        yield from _wrapped(
            f"A word about {names}: your file uses it, and it holds the answer of this exercise. To compare with it is "
            "fine; what you will remember is what you write yourself."
        )
        yield ""
    if grade.differentiating:
        names = " and ".join(grade.differentiating)
        yield from _wrapped(
            f"A word about {names}: your file imports it, and it can find derivatives by itself, which is what is to "
            "be learned here. To compare with it is fine; what you will remember is what you derive yourself."
        )
        yield ""
    if grade.passed:
        whole = len(grade.findings) == len(exercise.functions)
        yield f"Exercise {number} is solved: {exercise.title}. Well done." if whole else "Well done."
        return
    states = [finding.state for finding in grade.findings]
    first = next(finding for finding in grade.findings if finding.state != PASSED)
    if len(grade.findings) > 1 and {finding.key for finding in grade.findings} == {"missing"}:
        yield "None of the functions is there: is this the file of another exercise?"
        return
    if FAILED in states and PASSED in states:
        yield f"{states.count(PASSED)} of {len(states)} functions are right already."
    elif set(states) == {NOT_WRITTEN}:
        yield f"Begin with {first.function}: its docstring says what it is to return."
    yield f"scratchnst check {number} --hint gives a hint for {first.function}."


def _labelled(label: str, lines) -> Iterator[str]:
    for position, line in enumerate(lines):
        yield f"  {label if position == 0 else '':<{LABEL}}{printable(line.expandtabs())}".rstrip()


def _beside(text: str) -> list[str]:
    """Lines that stand beside a label."""
    return _wrapped(text, LABEL + 2)


def _wrapped(text: str, taken: int = 0) -> list[str]:
    """Lines as long as the terminal is wide, but for what is taken, and not so long that they are hard to read."""
    width = min(WIDTH, max(NARROWEST, shutil.get_terminal_size((WIDTH, 24)).columns))
    return textwrap.wrap(
        printable(" ".join(text.splitlines())), width - taken, break_long_words=False, break_on_hyphens=False
    )
