"""The specifications of the exercises, one module each: `EXERCISE`, in the terms of `scratchnst.classroom.grader`."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from scratchnst.classroom.grader.examination import arguments_of
from scratchnst.classroom.grader.exercise import Exercise
from scratchnst.errors import UserError

# Lesson -> name: of this folder's module and, behind the number, of the learner's file, lessons/exercises/04_relu.py.
NAMES = {
    1: "images",
    2: "finite_differences",
    3: "chain_rule",
    4: "relu",
    5: "pooling",
    6: "convolution",
    7: "convolution_backward",
    8: "vgg19",
    9: "content",
    10: "style",
    11: "optimisers",
    12: "style_transfer",
    13: "winograd",
    14: "training",
}


def numbers() -> list[int]:
    """Return the lessons that have an exercise."""
    return [number for number, name in NAMES.items() if find_spec(f"{__name__}.{name}")]


def load_exercise(number: int) -> Exercise:
    """Return the exercise of a lesson, or raise a UserError if there is none."""
    if number not in numbers():
        raise UserError(f"there is no exercise {number}; there are {', '.join(map(str, numbers()))}.")
    return import_module(f"{__name__}.{NAMES[number]}").EXERCISE


def arguments(number: int, function: str, test: int) -> tuple:
    """Return what the check of a lesson's exercise calls a function with in its test `test`, counted from 1."""
    found = [each for each in load_exercise(number).functions if each.name == function]
    if not found or not 1 <= test <= len(found[0].tests):
        raise UserError(f"exercise {number} has no test {test} of a function {function}.")
    return arguments_of(found[0], test - 1)


def file_name(number: int) -> str:
    """Return the name of a lesson's files, "04_relu.py"."""
    return f"{number:02}_{NAMES[number]}.py"
