"""What a gradient check found: as text, as a dictionary for JSON, as an exception.

A verdict is one of four.  "pass": the gradient is right, to the precision that is stated.  "fail": it is wrong.
"inconclusive": too little could be judged, because of kinks or of round-off.  "error": what was given cannot be
checked, for the reason stated.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from scratchnst.arrays import Array

ReportType = TypeVar("ReportType", bound="WithVerdict")
VERDICTS = ("pass", "inconclusive", "fail", "error")  # from the best to the worst


class GradientError(AssertionError):
    """A gradient is wrong, or could not be checked; the message is the text of the report."""


@dataclass(frozen=True)
class WorstElement:
    """The element that deviates most: its index, the gradient given for it and the one found numerically."""

    index: tuple[int, ...]
    got: float
    expected: float


@dataclass(frozen=True)
class Curve:
    """The V-curve: how the numerical derivative's error depends on the step h.

    Attributes
    ----------
    steps : the steps h, ascending
    error : largest deviation of the central differences from the gradient given, over its largest element
    truncation, roundoff : the two parts of the numerical error at each step, estimated without the gradient given
    best : the step with the smallest sum of these two, or None if no step is usable
    falls, rises : measured exponents of h of the two branches, 2 and -1 in theory; None where a branch is too short
    """

    steps: tuple[float, ...] = ()
    error: tuple[float, ...] = ()
    truncation: tuple[float, ...] = ()
    roundoff: tuple[float, ...] = ()
    best: float | None = None
    falls: float | None = None
    rises: float | None = None


@dataclass(frozen=True)
class Kinks:
    """The kinks, places without a derivative, that were met.

    Attributes
    ----------
    crossed : number of elements that cross a kink at the common step
    judged_closer : number of those that were judged with a smaller step, which crosses no kink
    not_judged : number of those that could not be judged, because they are on the kink
    units : name of the operation or layer -> number of its units that changed sign or winner
    examples : name -> index of one such unit
    undeclared : number of elements on a kink of no named unit, found from the slopes on its two sides
    """

    crossed: int = 0
    judged_closer: int = 0
    not_judged: int = 0
    units: Mapping[str, int] = field(default_factory=dict)
    examples: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    undeclared: int = 0


@dataclass(frozen=True)
class InputReport:
    """What was found of the gradient with respect to one input.

    Attributes
    ----------
    name, shape, dtype : of the input; dtype is the one it was checked in
    verdict : "pass", "fail", "inconclusive" or "error"
    reasons : sentences that say why the verdict is not "pass"
    checked, judged, total : elements compared one by one, those of them that could be judged, and all there are
    relative_error : the largest deviation over the largest element of the expected gradient
    precision : the smallest relative error that would have been found
    worst : the element that deviates most
    directions : random directions along which all elements were judged together
    curve : the V-curve
    order : of convergence of the Taylor remainder, 2 if the gradient is right and 1 if it is wrong; None if the
        remainder is nothing but round-off, as that of a linear function
    adjoint, complex_step, autograd : relative disagreement with these methods, None where they do not apply
    kinks : those that were met
    coarse : whether the function's values scatter as if they were computed in float32
    caught_by : names of the methods that found the gradient wrong
    diagnosis, diagnosis_key : the mistake, as a sentence and by its key
    got, expected : both gradients, for plots; NaN in `expected` where it is not known
    """

    name: str
    shape: tuple[int, ...] = ()
    dtype: str = ""
    verdict: str = "error"
    reasons: tuple[str, ...] = ()
    checked: int = 0
    judged: int = 0
    total: int = 0
    relative_error: float | None = None
    precision: float | None = None
    worst: WorstElement | None = None
    directions: int = 0
    curve: Curve = Curve()
    order: float | None = None
    adjoint: float | None = None
    complex_step: float | None = None
    autograd: float | None = None
    kinks: Kinks = Kinks()
    coarse: bool = False
    caught_by: tuple[str, ...] = ()
    diagnosis: str | None = None
    diagnosis_key: str | None = None
    got: Array | None = field(default=None, repr=False, compare=False)
    expected: Array | None = field(default=None, repr=False, compare=False)


class WithVerdict:
    """A report with a verdict."""

    verdict: Any

    @property
    def passed(self) -> bool:
        """Whether everything is right."""
        return self.verdict == "pass"

    def raise_if_wrong(self: ReportType) -> ReportType:
        """Raise a GradientError with the report's text unless everything is right; return the report if it is."""
        if not self.passed:
            raise GradientError(str(self))
        return self


@dataclass(frozen=True)
class Report(WithVerdict):
    """What was found of one function or operation: `str(report)` is the text.

    Attributes
    ----------
    name : of what was checked
    inputs : one InputReport an input; empty if the function could not be checked at all
    problems : sentences on why it could not
    notes : sentences on what is no fault
    operation : the textbook's operation that it was recognised as, or None
    seconds : how long the check took
    """

    name: str
    inputs: tuple[InputReport, ...] = ()
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    operation: str | None = None
    seconds: float = 0.0

    @property
    def verdict(self) -> str:
        """The worst verdict of the inputs; "error" if the function could not be checked."""
        if self.problems or not self.inputs:
            return "error"
        return max((report.verdict for report in self.inputs), key=VERDICTS.index)

    def as_dict(self) -> dict[str, Any]:
        """Return the report without its arrays, ready for `json.dumps`."""
        return _jsonable({**_fields(self), "verdict": self.verdict, "passed": self.passed})

    def __str__(self) -> str:
        lines = [f"{self.name}: {self.verdict}", *(f"  {problem}" for problem in self.problems)]
        for report in self.inputs:
            lines += [f"  {line}" for line in _input_lines(report)]
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])


def _input_lines(report: InputReport) -> list[str]:
    """The text of one input, the diagnosis and the reasons first."""
    lines = [f"{report.name} {report.shape} {report.dtype}: {report.verdict}"]
    facts = [f"diagnosis: {report.diagnosis}"] if report.diagnosis else []
    facts += report.reasons
    if report.checked:
        facts += [_elements_line(report), _curve_line(report.curve), _order_line(report)]
    others = {
        "adjoint identity": report.adjoint,
        "complex step": report.complex_step,
        "PyTorch autograd": report.autograd,
    }
    facts += [f"{method}: relative difference {error:.1e}" for method, error in others.items() if error is not None]
    facts += _kink_lines(report.kinks)
    return [*lines, *(f"  {fact}" for fact in facts if fact)]


def _elements_line(report):
    which = f"all {report.total}" if report.checked == report.total else f"{report.checked} of {report.total}"
    line = f"central differences, {which} elements: {report.judged} judged"
    if report.relative_error is not None and report.worst is not None:
        worst = report.worst
        line += (
            f", largest relative error {report.relative_error:.1e} at {worst.index}: "
            f"gradient {worst.got:.10g}, expected {worst.expected:.10g}"
        )
    if report.precision is not None:
        line += f" (an error of {report.precision:.0e} would have shown)"
    return line


def _curve_line(curve):
    if curve.best is None:
        return ""
    best = curve.steps.index(curve.best)
    line = (
        f"step h = {curve.best:.1e} of {len(curve.steps)} tried, {curve.steps[0]:.0e} to {curve.steps[-1]:.0e}: "
        f"truncation {curve.truncation[best]:.0e}, round-off {curve.roundoff[best]:.0e}"
    )
    branches = {"falls": curve.falls, "rises": curve.rises}
    measured = [f"{verb} as h^{exponent:.1f}" for verb, exponent in branches.items() if exponent is not None]
    return f"{line}; the error {' and '.join(measured)}" if measured else line


def _order_line(report):
    if not report.directions:
        return ""
    kind = "round-off only" if report.order is None else f"order {report.order:.2f}"
    return f"Taylor remainder along {report.directions} random directions: {kind} (right: 2, wrong: 1)"


def _kink_lines(kinks):
    if not kinks.crossed and not kinks.not_judged:
        return []
    line = (
        f"kinks: {kinks.crossed} elements cross one at this step, {kinks.judged_closer} of them were judged "
        f"at a smaller step, {kinks.not_judged} could not be judged"
    )
    units = [f"{name} {count} units, such as {kinks.examples[name]}" for name, count in kinks.units.items()]
    if kinks.undeclared:
        units.append(f"not declared, but seen in the slopes on both sides: {kinks.undeclared}")
    return [line, *(f"  {unit}" for unit in units)]


def _fields(report):
    """The fields of a dataclass by name, without arrays."""
    skipped = ("got", "expected") if isinstance(report, InputReport) else ()
    return {item.name: getattr(report, item.name) for item in dataclasses.fields(report) if item.name not in skipped}


def _jsonable(value):
    """Return `value` in JSON's types; NaN and infinity become None."""
    if dataclasses.is_dataclass(value):
        return _jsonable(_fields(value))
    if isinstance(value, Mapping):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_jsonable(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
