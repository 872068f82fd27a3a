"""Trying a learner's function, test after test up to the first that fails."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from scratchnst.arrays import Array
from scratchnst.classroom.grader import comparison
from scratchnst.classroom.grader import source as files
from scratchnst.classroom.grader.calls import Careful, Complaint, NotWritten
from scratchnst.classroom.grader.exercise import Drawn, Function, Property, Test, Verified, Worked, parameters_of
from scratchnst.classroom.grader.likely import Attempt, exchanged, likely, names_of, reworded
from scratchnst.classroom.grader.shown import is_large, shown
from scratchnst.verify.check import check_backward
from scratchnst.verify.diagnosis.diagnosis import Diagnosis

PASSED, FAILED, NOT_WRITTEN = "passed", "failed", "not written"
LARGE = "large"  # the key of a finding while a right function may run out of time
RUN_OUT = ("memory", "recursion")  # keys of what a right function may run into there
# Keys of what needs no likely mistake besides, since it is said what to do.
SAID = ("changed-in-place", "wrong-arguments", "numpy-replaced", "debugger", "input", "exit", "not-written", "memory")
SAMPLES = 24  # elements that the gradient check compares one by one, besides all of them along random directions


@dataclass(frozen=True)
class Finding:
    """What was found of one function.

    Attributes
    ----------
    function : its name
    state : "passed", "failed" or "not written"
    total : number of its tests
    passed : titles of those that it passed
    test, number : title and number, from 1, of the one that it failed
    call : lines that show the call made
    is_abridged : whether they leave out numbers that `arguments_of` gives
    problem : a sentence that says what is wrong
    lines : the learner's own lines in which an exception arose
    results : lines with what was expected and what came back, for small arrays
    key, diagnosis : of the likely mistake
    advice : what to look at
    printed : what the call printed
    """

    function: str
    state: str
    total: int
    passed: tuple[str, ...] = ()
    test: str = ""
    number: int = 0
    call: tuple[str, ...] = ()
    is_abridged: bool = False
    problem: str = ""
    lines: tuple[str, ...] = ()
    results: tuple[str, ...] = ()
    key: str = ""
    diagnosis: str = ""
    advice: str = ""
    printed: str = ""


def examine(function: Function, call: Careful, on_call: Callable[[Finding], None] = lambda finding: None) -> Finding:
    """Try a learner's function.

    Parameters
    ----------
    function : its specification
    call : the learner's
    on_call : called before each test with the finding as it will be if the test never ends
    """
    finding, is_large = Finding(function.name, FAILED, len(function.tests)), False
    try:
        call.check_parameters()
        for number, test in enumerate(function.tests):
            is_large = isinstance(test, Property) and test.is_large
            finding = replace(finding, test=test.title, number=number + 1, call=(), is_abridged=False)
            if not isinstance(test, Property):  # which makes its own calls
                finding = _with_call(finding, function, arguments_of(function, number))
            on_call(replace(finding, key=LARGE if is_large else ""))
            _try(function, call, test, number)
            finding = replace(finding, passed=(*finding.passed, test.title))
    except NotWritten:
        return Finding(function.name, NOT_WRITTEN, len(function.tests))
    except Complaint as complaint:
        finding = failed(finding, complaint, call.printed)
        if is_large and complaint.key in RUN_OUT:
            finding = replace(finding, advice=f"{too_large(finding)} {finding.advice}")
        if call.arguments and not finding.call:
            finding = replace(_with_call(finding, function, call.arguments), is_abridged=False)
        on_call(finding)
        return _explained(finding, function, call)
    return Finding(function.name, PASSED, len(function.tests), finding.passed)


def too_large(finding: Finding) -> str:
    """Return what to say of a function that was right until a test with many numbers."""
    return f"It was right in the {len(finding.passed)} tests before; this one has many more numbers."


def failed(finding: Finding, complaint: Complaint, printed: str = "") -> Finding:
    """Return a finding with what a Complaint says."""
    found = complaint.diagnosis if isinstance(complaint, _Wrong) else None
    return replace(
        finding,
        problem=complaint.problem,
        key=found.key if found else complaint.key,
        diagnosis=found.sentence if found else "",
        lines=complaint.lines,
        advice=complaint.advice,
        results=complaint.results if isinstance(complaint, _Wrong) else (),
        printed=printed,
    )


def arguments_of(function: Function, number: int) -> tuple:
    """Return the arguments that the test `number` of a function calls it with, counted from 0."""
    test = function.tests[number]
    if isinstance(test, Worked):
        return tuple(_as_array(value) for value in test.arguments)
    if isinstance(test, Property):
        return ()
    draw = test.draw or function.draw
    assert draw is not None, f"{function.name} does not say how to draw the arguments of {test.title!r}"
    arguments = draw(np.random.default_rng(number), *test.size)
    arguments = arguments if isinstance(arguments, tuple) else (arguments,)
    return _cast(arguments, test.dtype) if isinstance(test, Drawn) else arguments


class _Wrong(Complaint):
    """A result that differs from what is expected, or whose gradient check failed."""

    def __init__(self, problem: str, results: tuple[str, ...] = (), diagnosis: Diagnosis | None = None):
        super().__init__(problem, "different")
        self.results, self.diagnosis = results, diagnosis


def _try(function: Function, call: Careful, test: Test, number: int) -> None:
    """Raise a Complaint unless the function passes the test."""
    if isinstance(test, Property):
        try:
            sentence = test.complaint(call, np.random.default_rng(number))
        except Exception as error:  # the test meets results that it cannot work with
            sentence = f"What your function returns cannot be used ({type(error).__name__}: {error})."
        if sentence:
            raise _Wrong(sentence)
    elif isinstance(test, Verified):
        _verify(function, call, arguments_of(function, number), number)
    else:
        attempt = _attempt(function, call, test, number)
        dtype = test.dtype if isinstance(test, Drawn) and test.dtype != "float64" else None
        for got, expected, name in zip(attempt.got, attempt.expected, names_of(function)):
            comparison.check(got, name, expected, dtype)
            sentence = comparison.difference(got, expected, name, attempt.tolerance)
            if sentence:
                raise _Wrong(sentence, _side_by_side(name, got, expected))


def _attempt(function: Function, call: Callable, test: Worked | Drawn, number: int) -> Attempt:
    """Make the call of a test."""
    arguments = arguments_of(function, number)
    is_single = isinstance(test, Drawn) and test.dtype == "float32"
    right = test.expected if isinstance(test, Worked) else function.reference(*_cast(arguments, "float64"))
    expected = [_as_numbers(each) for each in (right if isinstance(function.returns, tuple) else (right,))]
    got = comparison.results(call(*arguments), names_of(function), expected)
    tolerance = max(function.tolerance, comparison.SINGLE_TOLERANCE if is_single else 0)
    return Attempt(arguments, got, expected, tolerance, is_single)


def _verify(function: Function, call: Callable, arguments: tuple, seed: int) -> None:
    """Raise a Complaint unless the results pass the gradient check."""
    derivative, names = function.derivative, names_of(function)
    assert derivative is not None, f"{function.name} is to be verified, but does not say what it is the derivative of"
    rest = arguments[1:] if derivative.upstream else arguments
    inputs = derivative.inputs(*rest) if derivative.inputs else rest

    def backward(grad_y, inputs):
        rest = derivative.arguments(*inputs) if derivative.arguments else inputs
        values = call(grad_y, *rest) if derivative.upstream else call(*rest)
        gradients: list[Array | None] = [None] * len(inputs)
        shapes = [inputs[0] if position is None else inputs[position] for position in derivative.of]
        for position, got in zip(derivative.of, comparison.results(values, names, shapes)):
            if position is not None:
                gradients[position] = got if derivative.upstream else grad_y * got
        return tuple(gradients)

    report = check_backward(
        lambda *inputs: (derivative.forward(*inputs), inputs),
        backward,
        inputs,
        kinks=derivative.kinks,
        operation=derivative.operation,
        samples=SAMPLES,
        seed=seed,
    )
    if report.passed:
        return
    for each in report.inputs:
        if each.verdict != "pass":
            found = Diagnosis(each.diagnosis_key or "", each.diagnosis) if each.diagnosis else None
            raise _Wrong(each.reasons[0], diagnosis=found and reworded(function, found))
    raise _Wrong(" ".join(report.problems))


def _with_call(finding: Finding, function: Function, arguments: tuple) -> Finding:
    """The finding with the call in lines to read."""
    parameters = parameters_of(function)
    lines = [f"{function.name}({', '.join(parameters)})"]
    for name, value in zip(parameters, arguments):
        lines += shown(name, value)
    return replace(finding, call=tuple(lines), is_abridged=any(map(is_large, arguments)))


def _explained(finding: Finding, function: Function, call: Careful) -> Finding:
    """The finding with the likely mistake, where results are wrong in a way that may tell it, or the file does."""
    if finding.diagnosis or finding.key in SAID:
        return finding
    found = None
    if finding.key in ("different", "wrong-shape", "not-finite"):
        attempts = dict(_attempts(function, call))
        if not all(attempt.is_right for attempt in attempts.values()):
            with contextlib.suppress(Exception):  # a finding without a diagnosis is better than none
                found = likely(function, list(attempts.values()), attempts.get(finding.number - 1))
    found = found or _of_the_file(function, call)
    return finding if found is None else replace(finding, key=found.key, diagnosis=found.sentence)


def _of_the_file(function: Function, call: Careful) -> Diagnosis | None:
    """What the text of the learner's file tells of a function that is wrong in some way."""
    names, own = parameters_of(function), call.own_parameters()[: len(parameters_of(function))]
    if set(own) == set(names) and own != names:
        one, other, *_ = (name for name, given in zip(names, own) if name != given)
        return exchanged(function, one, other)
    kept = files.kept_between_calls(call.source, function.name)
    if kept:
        return Diagnosis(
            "kept-between-calls",
            f"{function.name} uses {' and '.join(kept)}, which another function changes. Each call stands for itself, "
            f"after whatever calls: what {function.name} needs comes in through its arguments.",
        )
    return None


def _attempts(function: Function, call: Careful) -> Iterator[tuple[int, Attempt]]:
    """Every call of the function's tests that gives numbers to compare, by the number of the test."""
    for number, test in enumerate(function.tests):
        if isinstance(test, (Worked, Drawn)):
            try:
                yield number, _attempt(function, call, test, number)
            except Complaint:
                continue


def _as_array(value):
    return np.array(value, float) if isinstance(value, list) and _is_numbers(value) else value


def _as_numbers(value):
    """What is expected: float64, or bool where it says yes or no."""
    array = np.asarray(value)
    return array if array.dtype == bool else array.astype(float)


def _is_numbers(value):
    """Whether a list holds numbers, or lists of them, and nothing else."""
    return bool(value) and all(
        _is_numbers(each) if isinstance(each, list) else isinstance(each, (int, float)) for each in value
    )


def _cast(value, dtype):
    """Floating-point arrays, also those within lists and tuples, in another dtype."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return value.astype(dtype)
    if type(value) in (list, tuple):
        return type(value)(_cast(each, dtype) for each in value)
    if isinstance(value, dict):
        return {key: _cast(each, dtype) for key, each in value.items()}
    return value


def _side_by_side(name, got, expected):
    if expected.ndim == 0 or is_large(expected):
        return ()
    if shown("", got) == shown("", expected):  # they differ in digits that are not shown
        return ()
    return (*shown(f"your {name}", got), *shown("expected", expected))
