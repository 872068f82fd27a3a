"""The terms in which an exercise is specified: its functions, the tests of each, known mistakes and hints.

A specification is data.  It says what a right function returns, in a way that shares nothing with the solution, and
which calls to try, from easy to hard; how a learner's function is called, compared and judged is the grader's part.
"""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Worked:
    """A call small enough to be worked by hand, and what it returns.

    Attributes
    ----------
    title : what the call shows, "four numbers by hand"
    arguments : of the call; nested lists of numbers become float64 arrays
    expected : the result, or a tuple of results; nested lists become arrays
    """

    title: str
    arguments: tuple
    expected: Any


@dataclass(frozen=True)
class Drawn:
    """A call with arguments drawn at random, compared with the function's reference.

    Attributes
    ----------
    title : what is new in it, "several images of odd size"
    size : what the function's `draw` is given, besides the random generator
    dtype : "float32" turns all float64 arrays among the arguments into that, and asks for results in it
    draw : another than the function's
    """

    title: str
    size: tuple = ()
    dtype: str = "float64"
    draw: Callable | None = None


@dataclass(frozen=True)
class Verified:
    """The gradient check of `scratchnst.verify`, for a function that has a `derivative`.

    Attributes
    ----------
    title : "..., checked numerically"
    size : as in `Drawn`
    draw : another than the function's
    """

    title: str
    size: tuple = ()
    draw: Callable | None = None


@dataclass(frozen=True)
class Property:
    """Anything else that must hold.

    Attributes
    ----------
    title : what must hold
    complaint : (function, random generator) -> None if it holds, else a sentence on what does not; whatever the
        learner's function may do wrong in a call is taken care of
    is_large : whether a right function may run out of time or memory here, if it is made in another way than asked for
    """

    title: str
    complaint: Callable[[Callable, Any], str | None]
    is_large: bool = False


Test = Worked | Drawn | Verified | Property


@dataclass(frozen=True)
class Mistake:
    """A known mistake, and what a tutor says about it: what it looks like and what to think about, not the answer.

    Attributes
    ----------
    words : one or two sentences
    wrong : arguments -> what the mistake returns; None for a mistake that `scratchnst.verify` knows by its key
    """

    words: str
    wrong: Callable | None = None


@dataclass(frozen=True)
class Derivative:
    """What a function's result is the derivative of, for the gradient check and its diagnosis.

    Attributes
    ----------
    forward : inputs -> y, independent of the learner's; a number or an array
    operation : the name in `scratchnst.verify.diagnosis.mistakes.OPERATIONS` whose mistakes are known, or None
    of : which of forward's inputs each result belongs to; None for a result that is no gradient
    upstream : whether the function's first argument is grad_y; if not, y is a number whose gradient is wanted
    inputs : the function's arguments without grad_y -> forward's inputs; None where they are the same
    arguments : forward's inputs -> the function's arguments without grad_y; None where they are the same
    kinks : inputs -> {name: integer array}, see `scratchnst.verify.methods.kinks`; those of `operation` are known
    """

    forward: Callable
    operation: str | None = None
    of: tuple[int | None, ...] = (0,)
    upstream: bool = True
    inputs: Callable | None = None
    arguments: Callable | None = None
    kinks: Callable | None = None


@dataclass(frozen=True)
class Function:
    """One function that the learner writes.

    Attributes
    ----------
    name : as in the stub
    reference : what it must return, by the definition, written independently of the solution; the names of its
        arguments are those of the function; with keyword-only arguments besides it may make mistakes
    returns : name of the result, or names of several results
    tests : from easy to hard; the first that fails is shown
    hints : three, each of which gives away more; the last does not yet give the line of code
    draw : (random generator, *size) -> arguments, for the tests that draw them
    mistakes : known ones by their keys, such as "mask-inverted"; for a derivative a key may be that of a mistake in
        `scratchnst.verify.diagnosis.mistakes`
    derivative : what the result is the derivative of, if it is one
    tolerance : largest difference from the expected numbers, over the largest of these, in float64
    read : where the lesson explains it, such as 'the section "The kink"'
    """

    name: str
    reference: Callable
    returns: str | tuple[str, ...]
    tests: Sequence[Test]
    hints: tuple[str, str, str]
    draw: Callable | None = None
    mistakes: Mapping[str, Mistake] = field(default_factory=dict)
    derivative: Derivative | None = None
    tolerance: float = 1e-9
    read: str = ""


@dataclass(frozen=True)
class Exercise:
    """The exercise of one lesson.

    Attributes
    ----------
    title : of the exercise, a few words
    functions : in the order in which they are to be written
    answers : modules of the package, "scratchnst.ops.relu", that hold the answer; a learner who imports one is told
    """

    title: str
    functions: tuple[Function, ...]
    answers: tuple[str, ...] = ()


def parameters_of(function: Function) -> tuple[str, ...]:
    """Return the names of the arguments of a function: those of its reference but for keyword-only ones."""
    parameters = inspect.signature(function.reference).parameters.values()
    return tuple(each.name for each in parameters if each.kind is not each.KEYWORD_ONLY)


def with_result(reference: Callable, position: int, change: Callable) -> Callable:
    """Return a mistake in one of several results: `change` makes it of the right one and the arguments."""

    def wrong(*arguments):
        results = list(reference(*arguments))
        results[position] = change(results[position], *arguments)
        return tuple(results)

    return wrong


@cache
def load_exercise(path: Path) -> Exercise:
    """Return the `EXERCISE` of a specification's file."""
    specification = importlib.util.spec_from_file_location("specification", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.EXERCISE
