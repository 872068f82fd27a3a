"""A learner's file: read, judged by its text, and loaded as a module."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType
from typing import Any

from scratchnst.classroom.grader.calls import Complaint, Source, careful, did_you_mean, own_lines
from scratchnst.errors import UserError

LARGEST = 1 << 20  # bytes; no file written by hand is larger
DIFFERENTIATE = ("torch", "jax", "tensorflow", "autograd", "tinygrad", "mxnet", "theano", "sympy")
CHANGE = ("append", "extend", "insert", "update", "setdefault", "add")  # methods that change what they are called of
MODULE = "exercise"  # the learner's file as a module; it is not "__main__", so code for trying things out may stay


def read(path: Path) -> Source:
    """Read a learner's file.

    Raises
    ------
    UserError
        If there is no such file, or it is not one of Python's.
    """
    try:
        if path.is_dir():
            raise UserError(f"{path} is a folder; give the Python file with your functions.")
        if not path.is_file():
            raise UserError(f"there is no file {path}; give yours with --file, or start from the exercise's stub.")
        if path.stat().st_size > LARGEST:
            raise UserError(f"{path} has more than {LARGEST >> 20} MB; that cannot be the file with your functions.")
        return Source(path.name, importlib.util.decode_source(path.read_bytes()))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}).") from None
    except (UnicodeDecodeError, SyntaxError, LookupError):
        raise UserError(f"{path} is not text in UTF-8; save it as that in your editor.") from None


def load(source: Source, watch: Callable[[], AbstractContextManager] = contextlib.nullcontext) -> ModuleType:
    """Execute a learner's file and return it as a module; whatever goes wrong is raised as a Complaint."""
    module = ModuleType(MODULE)
    sys.modules[MODULE] = module  # dataclasses and pickle look for a module under its name
    with careful(source, watch):
        try:
            code = compile(source.text, source.name, "exec", dont_inherit=True)
        except SyntaxError as error:
            raise _unreadable(error, source) from None
        except ValueError as error:  # null bytes, which some versions of Python do not call a SyntaxError
            raise Complaint(f"Python cannot read your file: {error}.", "syntax") from None
        try:
            exec(code, module.__dict__)
        except NotImplementedError as error:
            raise Complaint(
                "Your file calls a function that is not written yet while it is loaded.",
                "not-loaded",
                own_lines(error, source),
                'Put what is only for trying things out under `if __name__ == "__main__":`.',
            ) from None
    return module


def find(module: ModuleType, name: str, others: Sequence[str] = ()) -> Callable:
    """Return the function `name` of a learner's module, or raise a Complaint with the name that may be meant.

    That is none of `others`, the exercise's other functions.
    """
    value = getattr(module, name, None)
    if callable(value):
        return value
    if value is not None:
        raise Complaint(
            f"{name} is not a function in your file but of type {type(value).__name__}.",
            "missing",
            advice="Is the name used again for something else, further down?",
        )
    own = [each for each, value in vars(module).items() if callable(value) and not each.startswith("__")]
    candidates = [each for each in own if each not in others]
    raise Complaint(
        f"There is no function {name} in your file.{did_you_mean(name, candidates)}",
        "missing",
        advice="The checker finds functions by their names: keep those of the exercise.",
    )


def imported_derivatives(source: Source) -> list[str]:
    """Return the libraries that a file imports and that differentiate by themselves."""
    return [name for name in DIFFERENTIATE if name in {each.partition(".")[0] for each in _all_imported(source)}]


def imported_answers(source: Source, answers: Sequence[str]) -> list[str]:
    """Return the modules among `answers` that a file uses, as far as its text tells."""
    tree, names = _tree(source), _all_imported(source)
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}

    def is_used(answer):
        package, _, module = answer.rpartition(".")
        whole = any(f"{name}.".startswith(f"{answer}.") for name in names)
        return whole or (module in attributes and any(f"{package}.".startswith(f"{name}.") for name in names))

    return [answer for answer in answers if is_used(answer)]


def _tree(source: Source) -> ast.AST:
    """A file's syntax tree, an empty one of a file that Python cannot read."""
    try:
        return ast.parse(source.text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module([], [])


def _all_imported(source: Source) -> set[str]:
    return {name for node in ast.walk(_tree(source)) for name in _imported(node)}


def kept_between_calls(source: Source, function: str) -> list[str]:
    """Return the names outside of all functions whose content a function uses and another one changes."""
    tree = _tree(source)
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    if function not in functions:
        return []
    changed = {name for key, node in functions.items() if key != function for name in _changed(node)}
    used = {node.id for node in ast.walk(functions[function]) if isinstance(node, ast.Name)}
    own = {argument.arg for argument in functions[function].args.args} | set(_assigned(functions[function]))
    return sorted(changed & used - own)


def _changed(function: ast.FunctionDef) -> Iterator[str]:
    """Names that a function sets for others, or into whose content it writes."""
    local = set(_assigned(function)) | {argument.arg for argument in function.args.args}
    for node in ast.walk(function):
        if isinstance(node, ast.Global):
            yield from node.names
        called = node.func if isinstance(node, ast.Call) else None
        changes = isinstance(called, ast.Attribute) and called.attr in CHANGE
        target = called if changes else node
        writes = isinstance(node, (ast.Subscript, ast.Attribute)) and isinstance(node.ctx, ast.Store)
        owner = getattr(target, "value", None) if changes or writes else None
        if isinstance(owner, ast.Name) and owner.id not in local:
            yield owner.id


def _assigned(function: ast.FunctionDef) -> Iterator[str]:
    """Names that a function sets for itself."""
    others = {name for node in ast.walk(function) if isinstance(node, ast.Global) for name in node.names}
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id not in others:
            yield node.id


def _imported(node: Any) -> list[str]:
    """Everything that a node imports, in full."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def _unreadable(error: SyntaxError, source: Source) -> Complaint:
    """A syntax error, with its line."""
    number = error.lineno or 1
    column = min(error.offset or 0, len(source.line(number)) + 1)
    what = f"{type(error).__name__}: {error.msg}"
    advice = "The mistake is in this line or in the one before: look for a missing bracket, quote, colon or comma."
    if isinstance(error, IndentationError):
        advice = "Indent the lines of a block alike, by four spaces, and do not mix tabs and spaces."
    where = f"line {number}:  {source.line(number)}" if column or source.line(number) else f"line {number}"
    return Complaint(f"Python cannot read your file ({what}).", "syntax", [where], advice)
