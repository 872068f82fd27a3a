"""What the grader found, in the words of a tutor."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from scratchnst.lessons.grader.examination import FAILED, NOT_WRITTEN, PASSED, Finding
from scratchnst.lessons.grader.exercise import Exercise, Function
from scratchnst.lessons.grader.supervision import Grade

WIDTH = 100
LABEL = 16  # characters before what a line says
MOST_PRINTED = 10  # lines of what a call printed


def report(exercise: Exercise, number: int, grade: Grade) -> str:
    """Return the tutor's answer to a learner's file."""
    if grade.problem is not None:
        lines = ["Your file could not be loaded, so nothing in it could be tried yet.", ""]
        lines += [*_details(grade.problem, None), "", f"Then run scratchnst check {number} again."]
        return "\n".join(lines)
    functions = {function.name: function for function in exercise.functions}
    lines = [line for finding in grade.findings for line in _finding(finding, functions[finding.function])]
    return "\n".join([*lines, "", *_end(exercise, number, grade)])


def hint(function: Function, given: int) -> str:
    """Return the hint that comes after `given` hints."""
    count = len(function.hints)
    position = min(given, count - 1)
    left = count - 1 - position
    rest = {0: "that was the last hint", 1: "one more is left"}.get(left, f"{left} more are left")
    text = _wrapped(f"Hint {position + 1} of {count} for {function.name}: {function.hints[position]}")
    return "\n".join([*text, f"({rest[0].upper()}{rest[1:]}.)"])


def _finding(finding: Finding, function: Function) -> Iterator[str]:
    """What to say of one function."""
    if finding.state == PASSED:
        yield f"{finding.function}: right. It passes all {finding.total} tests."
    elif finding.state == NOT_WRITTEN:
        yield f"{finding.function}: not written yet."
    else:
        done = len(finding.passed)
        yield f"{finding.function}: not yet. It passes {done} of {finding.total} tests."
        yield from (f"  passed: {title}" for title in finding.passed)
        if finding.test:
            yield f"  failed: {finding.test}"
        yield ""
        yield from _details(finding, function)
        yield ""


def _details(finding: Finding, function: Function | None) -> Iterator[str]:
    """What is wrong, each fact behind its label."""
    yield from _labelled("The call:", finding.call)
    yield from _labelled("What happens:", _wrapped(finding.problem, WIDTH - LABEL - 2))
    yield from _labelled("Your code:", finding.lines)
    yield from _labelled("Side by side:", finding.results)
    printed = finding.printed.splitlines()
    more = [f"... and {len(printed) - MOST_PRINTED} lines more"] if len(printed) > MOST_PRINTED else []
    yield from _labelled("It printed:", [*printed[:MOST_PRINTED], *more])
    yield from _labelled("Probably:", _wrapped(finding.diagnosis, WIDTH - LABEL - 2))
    advice = finding.advice or (f"Read again {function.read}." if function and function.read else "")
    yield from _labelled("Look at:", _wrapped(advice, WIDTH - LABEL - 2))


def _end(exercise: Exercise, number: int, grade: Grade) -> Iterator[str]:
    """What comes next."""
    if grade.answers:
        names = " and ".join(grade.answers)
        yield from _wrapped(
            f"A word about {names}: your file imports it, and it holds the answer of this exercise. To compare with "
            "it is fine; what you will remember is what you write yourself."
        )
    if grade.passed:
        whole = len(grade.findings) == len(exercise.functions)
        yield f"Exercise {number} is solved: {exercise.title}. Well done." if whole else "Well done."
        return
    states = [finding.state for finding in grade.findings]
    first = next(finding for finding in grade.findings if finding.state != PASSED)
    if FAILED in states and PASSED in states:
        yield f"{states.count(PASSED)} of {len(states)} functions are right already."
    elif set(states) == {NOT_WRITTEN}:
        yield f"Begin with {first.function}: its docstring says what it is to return."
    yield f"scratchnst check {number} --hint gives a hint for {first.function}."


def _labelled(label: str, lines) -> Iterator[str]:
    for position, line in enumerate(lines):
        yield f"  {label if position == 0 else '':<{LABEL}}{line}".rstrip()


def _wrapped(text: str, width: int = WIDTH) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
