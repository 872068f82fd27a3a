"""Gradient checks: `check_gradient` for any scalar function, `check_backward` for an operation.

Both return a `Report`, even where a function that they are given raises; `raising=True` raises a `GradientError` with
the report's text unless everything is right.  `scratchnst.verify.verdict` says how the verdict is reached.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from scratchnst.arrays import Array
from scratchnst.verify import operations
from scratchnst.verify.calls import (
    ONE_BUFFER,
    NotDeterministic,
    Uncheckable,
    another,
    as_input,
    as_numbers,
    call,
    call_elsewhere,
    check_same,
    check_unchanged,
    checked_gradient,
    checked_samples,
    checked_scalar,
    copied,
    is_numbers,
    was_overwritten,
)
from scratchnst.verify.diagnosis import diagnosis
from scratchnst.verify.forward_backward import ForwardBackward
from scratchnst.verify.methods import oracles
from scratchnst.verify.methods.differences import as_float64, complex_step, on_host
from scratchnst.verify.methods.kinks import Pattern
from scratchnst.verify.methods.measurement import ScalarFunction, numerical_gradient
from scratchnst.verify.report import InputReport, Report
from scratchnst.verify.verdict import Gradient, judge


def check_gradient(
    f: Callable,
    x: Array,
    grad: Callable | Array | None = None,
    *,
    kinks: Callable | None = None,
    complex_f: Callable | None = None,
    torch_f: Callable | None = None,
    samples: int | None = 64,
    seed: int = 0,
    keep_dtype: bool = False,
    raising: bool = False,
    name: str = "gradient",
    on_element: Callable[[int, int], None] | None = None,
) -> Report:
    """Check the gradient of a scalar function at `x`.

    Parameters
    ----------
    f : array -> number; without `grad`, array -> (number, gradient)
    x : array of any shape, NumPy or CuPy, or a number; checked in float64
    grad : array -> gradient, or the gradient at x itself
    kinks : array -> {name: integer array}, the side of its kink that each unit is on, see
        `scratchnst.verify.methods.kinks`; kinks that are not declared are found from slopes, but not named
    complex_f : f for complex arrays, if it is another function
    torch_f : f in terms of PyTorch; its automatic derivative is compared if PyTorch is installed
    samples : number of elements, drawn at random, that are compared one by one; None compares all.  All elements are
        also compared together along random directions
    seed : of sample and directions
    keep_dtype : check float32 in float32
    raising : raise a GradientError unless everything is right
    name : what the report calls it
    on_element : called with (done, total) after each element of the sample

    Returns
    -------
    Report

    Raises
    ------
    GradientError
        If `raising` and the verdict is not "pass".
    """
    start, notes = time.perf_counter(), []  # type: tuple[float, list[str]]
    value, gradient = _split(f, grad)
    try:
        checked_samples(samples)
        point = as_input(x, "x", keep_dtype, notes)
        y = _value(value, point)
        check_same(y, _value(value, point), "f", point.dtype, notes)
        patterns = _patterns(kinks, [point])
        theirs = _autograd(torch_f, [point], 1.0, y, notes)
    except Uncheckable as refusal:
        return _finish(Report(name, problems=(str(refusal),), notes=tuple(notes)), start, raising)
    function = ScalarFunction(
        "x",
        point,
        lambda x: as_float64(value(x)).reshape(()),
        patterns=patterns and patterns(0),
        complex_slope=_complex_slope(lambda x: (complex_f or value)(x), point, 1.0),
        autograd=theirs and theirs[0],
    )
    given = None
    try:
        given = _given(gradient, point)
        dtypes = {str(point.dtype), *(("float32", "float16") if _is_values(grad) else ())}
        got = checked_gradient(given, point, "the gradient", sorted(dtypes))
        call_elsewhere(value, another(point))
        check_same(got, _given(gradient, point), "the gradient", point.dtype, notes)
        known = Gradient(got, None if _is_values(grad) else lambda factor: gradient(factor * point), _precision(given))
        with np.errstate(all="ignore"):  # an overflow far from x says nothing about x
            report = judge(function, known, samples, seed, on_element)
    except Uncheckable as refusal:
        report = _refused(function, given, refusal)
    report = _diagnosed(report, [on_host(point)], y, 1.0, 0, None)
    return _finish(Report(name, (report,), notes=tuple(notes)), start, raising)


def check_backward(
    forward: Callable,
    backward: Callable,
    inputs: Sequence[Array],
    *,
    names: Sequence[str] | None = None,
    kinks: Callable | None = None,
    operation: str | None = None,
    constants: Sequence[Array] = (),
    torch_forward: Callable | None = None,
    samples: int | None = 64,
    seed: int = 0,
    keep_dtype: bool = False,
    raising: bool = False,
    name: str = "backward",
    on_element: Callable[[int, int], None] | None = None,
) -> Report:
    """Check that `backward` returns the gradient of `forward`, for every input.

    Parameters
    ----------
    forward : (*inputs) -> (y, cache); give it settings without a gradient by `functools.partial`
    backward : (grad_y, cache) -> gradient, or a tuple of gradients, one an input; None for one without a gradient
    inputs : arrays, NumPy or CuPy; checked in float64
    names : of the inputs
    kinks : (*inputs) -> {name: integer array}, see `check_gradient`
    operation : name in `scratchnst.verify.operations.OPERATIONS`, for the diagnosis; without it the operation is
        recognised by what forward returns, if it is one of these
    constants : the operation's further arguments, which forward keeps fixed, for the diagnosis
    torch_forward : (*tensors) -> y, forward in terms of PyTorch
    samples, seed, keep_dtype, raising, name, on_element : as in `check_gradient`

    The upstream gradient grad_y is random and not uniform: an upstream gradient of ones hides some mistakes, such as a
    kernel that is not flipped.
    """
    start = time.perf_counter()
    try:
        checked_samples(samples)
        pair = ForwardBackward(forward, backward, inputs, names, keep_dtype, seed)
        host_inputs, output = [on_host(x) for x in pair.inputs], on_host(pair.y)
        operation = operation or operations.recognise(host_inputs, output)
        patterns = _patterns(kinks or operations.kinks_of(operation), pair.inputs)
        theirs = _autograd(torch_forward, pair.inputs, pair.grad_y, output, pair.notes)
    except Uncheckable as refusal:
        return _finish(Report(name, problems=(str(refusal),), operation=operation), start, raising)
    reports = []
    for position, given in enumerate(pair.gradients):
        if given is None:
            pair.notes.append(f"backward returns no gradient for {pair.names[position]}, which is not checked.")
            continue
        function = ScalarFunction(
            pair.names[position],
            pair.inputs[position],
            pair.output_of(position),
            pair.grad_y,
            patterns and patterns(position),
            _complex_slope(pair.output_of(position), pair.inputs[position], pair.grad_y),
            pair.adjoint(position, seed),
            theirs and theirs[position],
        )
        try:
            known = Gradient(pair.gradient(position), pair.nearby(position))
            with np.errstate(all="ignore"):
                report = judge(function, known, samples, seed, on_element)
        except Uncheckable as refusal:
            report = _refused(function, given, refusal)
        arguments = [*host_inputs, *map(on_host, constants)]
        reports.append(_diagnosed(report, arguments, output, on_host(pair.grad_y), position, operation))
    return _finish(Report(name, tuple(reports), notes=tuple(pair.notes), operation=operation), start, raising)


def _split(f, grad):
    """(value, gradient), two functions of x, from the arguments of `check_gradient`."""
    if grad is None:
        return lambda x: as_numbers(_pair_of(f(x))[0]), lambda x: as_numbers(_pair_of(f(x))[1])
    value = lambda x: as_numbers(result[0] if isinstance(result := f(x), tuple) else result)  # noqa: E731
    return value, lambda x: as_numbers(grad(x) if callable(grad) else grad)


def _pair_of(result):
    if not (isinstance(result, tuple) and len(result) == 2):
        raise Uncheckable("f returns no gradient: let it return (value, gradient), or give the gradient as grad.")
    return result


def _value(value, x):
    """The value at x, checked."""
    copy = x.copy()
    y = checked_scalar(call("f", value, copy), "the value of f")
    check_unchanged("f", copy, x, "its input x")
    return y


def _given(gradient, x):
    """A copy of the gradient at x, unchecked but for being left alone by a later call."""
    copy = x.copy()
    given = call("the gradient", gradient, copy)
    check_unchanged("the gradient", copy, x, "its input x")
    kept = copied(given)
    call_elsewhere(gradient, another(x))
    if was_overwritten(given, kept):
        raise Uncheckable(ONE_BUFFER.format("the gradient"))
    return kept


def _is_values(grad):
    """Whether `grad` is the gradient itself, not a function that computes it."""
    return grad is not None and not callable(grad)


def _precision(given):
    """The relative precision of a gradient in float32 or float16; 0 in float64."""
    dtype = str(getattr(given, "dtype", "float64"))
    return float(np.finfo(dtype).eps) if dtype in ("float32", "float16") else 0.0


def _patterns(kinks, inputs):
    """position -> (x -> pattern), the other inputs held fixed; None without `kinks`, which are called once here."""
    if kinks is None:
        return None

    def pattern(*inputs):
        units = call("kinks", kinks, *(x.copy() for x in inputs))
        if not isinstance(units, Mapping) or not all(map(is_numbers, units.values())):
            raise Uncheckable("kinks must return a dictionary, name -> integer array with an entry a unit.")
        return units

    shapes = {name: units.shape for name, units in pattern(*inputs).items()}

    def of(position: int) -> Callable[[Array], Pattern]:
        def checked(x):
            units = pattern(*(x if number == position else other for number, other in enumerate(inputs)))
            if {name: each.shape for name, each in units.items()} != shapes:
                raise Uncheckable("kinks must return the same names and shapes wherever it is called.")
            return units

        return checked

    return of


def _complex_slope(f, x, weights):
    """direction -> slope by the complex step, or None where f does not accept complex numbers."""

    def slope(direction):
        def weighted(z):
            y = f(z)
            if np.asarray(on_host(y)).dtype.kind != "c":
                raise TypeError("the result is real")
            return (weights * y).sum() if hasattr(y, "sum") else weights * y

        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("error")
                return complex_step(weighted, x, direction)
        except Exception:  # most functions do not accept complex numbers, and need not
            return None

    return slope if x.dtype == np.float64 else None


def _autograd(torch_f, inputs, weights, y, notes):
    """PyTorch's gradients, or None if it is not installed or its function has other values."""
    if torch_f is None or not oracles.is_available():
        return None
    host = [on_host(x) for x in inputs]
    value, gradients = call("the function for PyTorch", oracles.gradients, torch_f, host, on_host(weights))
    if value.shape != np.shape(y) or not np.allclose(value, y, rtol=1e-6, atol=1e-6 * float(np.abs(y).max())):
        notes.append("The function for PyTorch has other values at these inputs, so its gradient is not compared.")
        return None
    return gradients


def _refused(function, given, refusal):
    """The report on a gradient that cannot be judged; with the numerical one, for the diagnosis, if it can be had."""
    report = InputReport(function.name, tuple(function.x.shape), str(function.x.dtype), reasons=(str(refusal),))
    if isinstance(refusal, NotDeterministic) or not (is_numbers(given) and given.dtype.kind in "fiu" and given.size):
        return report
    try:
        return replace(report, got=on_host(given), expected=numerical_gradient(function))
    except Uncheckable:  # raised by `kinks`; the report has the same reason
        return report


def _diagnosed(report, inputs, output, grad_y, position, operation):
    """The report with the diagnosis of a wrong gradient."""
    if report.verdict not in ("fail", "error") or report.got is None or report.expected is None:
        return report
    try:
        found = diagnosis.diagnose(inputs, output, grad_y, report.got, report.expected, position, operation)
    except Exception:  # a verdict without a diagnosis is better than none
        return report
    return report if found is None else replace(report, diagnosis=found.sentence, diagnosis_key=found.key)


def _finish(report, start, raising):
    """The report with notes on inexact functions and the seconds since `start`; raises if it is to."""
    notes = [
        f"The function's values scatter as {each.name} moves, as if they were computed in float32 or had lost "
        "digits to cancellation: smaller errors than stated cannot be seen."
        for each in report.inputs
        if each.coarse and each.dtype == "float64"
    ]
    report = replace(report, notes=(*report.notes, *notes), seconds=time.perf_counter() - start)
    return report.raise_if_wrong() if raising else report
