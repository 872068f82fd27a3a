"""Calling a learner's function with care: whatever it does becomes one `Complaint`, told in the learner's own lines."""

from __future__ import annotations

import contextlib
import copy
import difflib
import inspect
import io
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

MOST_PRINTED = 2000  # characters of what a call prints that are kept
MOST_FRAMES = 4  # of the learner's own lines that are shown
LONGEST_MESSAGE = 600  # characters of an exception, which may hold whole arrays


class Complaint(BaseException):
    """What is the matter with the learner's code: a sentence, and the lines it happened in.

    It is no Exception, so that nothing between the learner's function and the grader takes it for its own.
    """

    def __init__(self, problem: str, key: str, lines: Sequence[str] = (), advice: str = ""):
        super().__init__(problem)
        self.problem, self.key, self.lines, self.advice = problem, key, tuple(lines), advice


class NotWritten(Complaint):
    """The function raises NotImplementedError still."""


class Printed(io.TextIOBase):
    """Takes what is printed, and keeps the beginning."""

    def __init__(self):
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text[: MOST_PRINTED - len(self.text)]
        return len(text)

    def writable(self) -> bool:
        return True


@dataclass
class Source:
    """A learner's file: its name, as tracebacks have it, and its text."""

    name: str
    text: str

    def line(self, number: int) -> str:
        """Return one line, without its indentation."""
        lines = self.text.split("\n")  # as Python counts them; splitlines() also breaks at form feeds
        return lines[number - 1].strip() if 0 < number <= len(lines) else ""


@dataclass
class Careful:
    """A learner's function, called with copies; everything that goes wrong is raised as a Complaint.

    Attributes
    ----------
    function : the learner's
    name, parameters : as they should be
    source : the file that it comes from
    watch : what each call is made within, such as a time limit
    arguments, printed : of the last call, and what it printed
    """

    function: Callable
    name: str
    parameters: tuple[str, ...]
    source: Source
    watch: Callable[[], contextlib.AbstractContextManager]
    arguments: tuple = ()
    printed: str = ""

    def __call__(self, *arguments: Any) -> Any:
        self.arguments = arguments
        copies = copy.deepcopy(arguments)
        with careful(self.source, self.watch) as printed:
            try:
                result = self.function(*copies)
            finally:
                self.printed = printed.text
        for parameter, given, original in zip(self.parameters, copies, arguments):
            if not same(given, original):
                if not isinstance(original, np.ndarray):
                    raise Complaint(
                        f"{self.name} changes its argument {parameter}: the caller's {type(original).__name__} is "
                        "another afterwards.",
                        "changed-in-place",
                        advice="`pop`, `append`, `reverse`, `sort` and `del` change a list itself, and so does an "
                        "array in it that is written into; go through it without, or work on a copy.",
                    )
                raise Complaint(
                    f"{self.name} changes its argument {parameter} in place: the caller's numbers are overwritten.",
                    "changed-in-place",
                    advice="Operations such as `x *= 2`, `x[mask] = 0` or `out=x` write into the array that was given; "
                    "work on a copy, or make a new array.",
                )
        return result

    def own_parameters(self) -> tuple[str, ...]:
        """Return the names of the function's arguments in the learner's file; none of a builtin that does not tell."""
        with contextlib.suppress(TypeError, ValueError):
            return tuple(inspect.signature(self.function).parameters)
        return ()

    def check_parameters(self) -> None:
        """Raise a Complaint unless the function can be called with as many arguments as it should take."""
        try:
            signature = inspect.signature(self.function)
        except (TypeError, ValueError):  # a builtin that does not tell; calling it will
            return
        try:
            signature.bind(*self.parameters)
        except TypeError:
            raise Complaint(
                f"{self.name} is called with {_count(len(self.parameters), 'argument')}, "
                f"{self.name}({', '.join(self.parameters)}), but yours is {self.name}{signature}.",
                "wrong-arguments",
                advice="Keep the arguments and their order as the exercise has them.",
            ) from None


@contextlib.contextmanager
def careful(source: Source, watch: Callable[[], contextlib.AbstractContextManager]) -> Iterator[Printed]:
    """Run the learner's code in this context: its prints are kept, its exceptions become Complaints."""
    printed, stdin = Printed(), sys.stdin
    sys.stdin = io.StringIO()  # input() fails instead of waiting
    try:
        with (
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(printed),
            warnings.catch_warnings(),
            np.errstate(all="ignore"),
            _numpy_unchanged(),
            watch(),
        ):
            warnings.simplefilter("ignore")
            yield printed
    except Complaint:
        raise
    except BaseException as error:
        raise _complaint(error, source) from None
    finally:
        sys.stdin = stdin


@contextlib.contextmanager
def _numpy_unchanged() -> Iterator[None]:
    """Put back what the learner's code replaces in NumPy, which the grader needs as well, and complain."""
    before = dict(vars(np))
    try:
        yield
    finally:
        replaced = [name for name, value in before.items() if vars(np).get(name) is not value]
        vars(np).update(before)
    if replaced:
        raise Complaint(
            f"Your code replaces np.{replaced[0]}, for everything that uses NumPy.",
            "numpy-replaced",
            advice="Is there a line such as `np.name = ...`? Give your own value a name without `np.` before it.",
        )


def same(given: Any, original: Any) -> bool:
    """Whether two arguments are equal, in every array among them, and the same in every function."""
    if isinstance(original, (list, tuple)):
        return (
            isinstance(given, (list, tuple))
            and len(given) == len(original)
            and all(same(*pair) for pair in zip(given, original))
        )
    if isinstance(original, dict):
        return given.keys() == original.keys() and all(same(given[key], original[key]) for key in original)
    if isinstance(original, np.ndarray):
        return given.shape == original.shape and np.array_equal(given, original, equal_nan=True)
    return given is original if inspect.isfunction(original) else True


def own_lines(error: BaseException, source: Source) -> list[str]:
    """Return the learner's lines that an exception came through, the innermost last."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == source.name]
    lines = list(dict.fromkeys((frame.lineno or 0, frame.name) for frame in frames))  # recursion repeats itself
    return [described(number, name, source) for number, name in lines[-MOST_FRAMES:]]


def described(number: int, function: str, source: Source) -> str:
    """Return a line of the learner's in the form in which all are shown."""
    place = f"line {number}" if function == "<module>" else f"line {number}, in {function}"
    return f"{place}:  {source.line(number)}"


def did_you_mean(name: str, names: Sequence[str]) -> str:
    """Return " Did you mean ...?", or nothing."""
    lower = {each.lower(): each for each in names}
    close = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.6)
    return f" Did you mean {lower[close[0]]}?" if close else ""


def _count(number, noun):
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _complaint(error: BaseException, source: Source) -> Complaint:
    """What an exception in the learner's code is, in words."""
    lines, kind, text = own_lines(error, source), type(error).__name__, _text(error)
    if isinstance(error, NotImplementedError):
        frames = [frame.name for frame in traceback.extract_tb(error.__traceback__) if frame.filename == source.name]
        if len(frames) < 2:
            return NotWritten("It is not written yet.", "not-written", lines)
        return Complaint(f"Your code calls {frames[-1]}, which is not written yet.", "not-written", lines)
    if isinstance(error, SystemExit):
        return Complaint(
            "Your code ends the program (exit) instead of returning a result.",
            "exit",
            lines,
            "Leave out exit(), quit() and sys.exit().",
        )
    if isinstance(error, RecursionError):
        return Complaint(
            "A function of yours calls itself without end (RecursionError).",
            "recursion",
            lines,
            "Something must stop it: does each call get nearer to a case that needs no further call?",
        )
    if isinstance(error, MemoryError):
        return Complaint(
            "Your code asks for more memory than it is given here.",
            "memory",
            lines,
            f"{text}. Is that the shape you meant?" if text else "Which list or array grows so large?",
        )
    if kind == "BdbQuit":
        return Complaint(
            "Your code stops for a debugger, and nobody answers here.",
            "debugger",
            lines,
            "Leave out breakpoint() and set_trace().",
        )
    if isinstance(error, EOFError):
        return Complaint("Your code asks for input, and nobody answers here.", "input", lines, "Leave out input().")
    sentence = "".join(traceback.TracebackException(type(error), error, None).format_exception_only()).strip()
    if len(sentence) > LONGEST_MESSAGE:
        sentence = f"{sentence[:LONGEST_MESSAGE]} ..."
    return Complaint(f"Your code raises an exception: {sentence}", kind, lines, _advice(error, text))


def _text(error: BaseException) -> str:
    """The message of an exception, whose class may be the learner's own and unable to give one."""
    try:
        return str(error)
    except Exception:
        return ""


def _advice(error: BaseException, text: str) -> str:
    """What to look at for the exceptions that arrays and beginners make."""
    if isinstance(error, ValueError) and ("broadcast" in text or "mismatch" in text or "cannot reshape" in text):
        return "Two shapes do not fit together: print the .shape of every array in this line."
    if isinstance(error, ValueError) and "truth value" in text:
        return "A condition holds for some elements and not for others: `if` needs one answer; use np.where or a mask."
    if isinstance(error, IndexError):
        return "An index runs past the end: which is the last value it takes, and how long is the axis?"
    if isinstance(error, (NameError, UnboundLocalError)):
        return "Is the name spelled as where it was set, and is it set (or imported) before this line?"
    if isinstance(error, ImportError):
        return "The exercises need nothing beyond NumPy; is the name of the module right?"
    if isinstance(error, TypeError) and "NoneType" in text:
        return "Something is None here: does every function that you call return its result?"
    return ""
