"""Where the lessons are, and which there are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import scratchnst
from scratchnst.classroom.grader.examination import arguments_of
from scratchnst.classroom.grader.exercise import load_exercise
from scratchnst.classroom.script import read
from scratchnst.errors import UserError

NAME = re.compile(r"\d\d_\w+")
INSTALLED = ("share", "scratchnst", "lessons")  # where setup.py puts them, below the environment


@dataclass(frozen=True)
class Lesson:
    """A lesson, which is a folder.

    Attributes
    ----------
    folder : Path
        Its name has the lesson's number and topic: "07_convolution_backward".
    """

    folder: Path

    @property
    def name(self) -> str:
        """Number and topic, "07_convolution_backward"."""
        return self.folder.name

    @property
    def number(self) -> int:
        """The number that a learner calls it by, 7."""
        return int(self.name[:2])

    @property
    def topic(self) -> str:
        """The name without the number, "convolution_backward"; it stays when lessons are numbered anew."""
        return self.name[3:]

    @property
    def path(self) -> Path:
        """The script with the text."""
        return self.folder / "lesson.py"

    @property
    def title(self) -> str:
        """The heading of the text; a UserError if it cannot be read."""
        return read(self.path).title

    @property
    def exercise(self) -> Path:
        """The functions that the learner writes."""
        return self.folder / "exercise.py"

    @property
    def solution(self) -> Path:
        """The same functions, solved."""
        return self.folder / "answers" / "solution.py"

    @property
    def specification(self) -> Path:
        """What the grader tries the functions by: `EXERCISE`, in the terms of `scratchnst.classroom.grader`."""
        return self.folder / "answers" / "specification.py"

    @property
    def has_exercise(self) -> bool:
        """Whether there are functions to write."""
        return self.specification.is_file()


def lessons() -> list[Lesson]:
    """Return all lessons, by number; a UserError says that there are none."""
    return _lessons_in(lessons_folder())


def exercises() -> list[Lesson]:
    """Return the lessons that have an exercise, by number."""
    return [lesson for lesson in lessons() if lesson.has_exercise]


def find_lesson(number: int) -> Lesson:
    """Return a lesson; a UserError names those that there are."""
    found = {lesson.number: lesson for lesson in lessons()}
    if number not in found:
        raise UserError(f"there is no lesson {number}: choose one of {', '.join(map(str, found))}.")
    return found[number]


def find_exercise(number: int) -> Lesson:
    """Return a lesson that has an exercise; a UserError names those that there are."""
    found = {lesson.number: lesson for lesson in exercises()}
    if number not in found:
        raise UserError(f"there is no exercise {number}; there are {', '.join(map(str, found))}.")
    return found[number]


def arguments(number: int, function: str, test: int) -> tuple:
    """Return what the check of a lesson's exercise calls a function with in its test `test`, counted from 1."""
    functions = load_exercise(find_exercise(number).specification).functions
    found = [each for each in functions if each.name == function]
    if not found or not 1 <= test <= len(found[0].tests):
        raise UserError(f"exercise {number} has no test {test} of a function {function}.")
    return arguments_of(found[0], test - 1)


def lessons_folder() -> Path:
    """Return the folder of the lessons: beside the package, or where they were installed.

    Raises
    ------
    UserError
        They are in neither place.
    """
    beside = Path(scratchnst.__file__).parents[1]  # a checkout, or what pip install --target has filled
    for folder in (beside / "lessons", *_installed_folders(), beside.joinpath(*INSTALLED)):
        if _lessons_in(folder):
            return folder
    raise UserError(
        "the lessons are not here: they come with the wheel of scratchnst (pip install scratchnst), "
        "and with its source, in the folder lessons."
    )


def _lessons_in(folder: Path) -> list[Lesson]:
    found = (Lesson(path.parent) for path in sorted(folder.glob("*/lesson.py")))
    return [lesson for lesson in found if NAME.fullmatch(lesson.name)]


def _installed_folders() -> list[Path]:
    """The folder that the installer has recorded."""
    try:
        installed = files("scratchnst") or []
    except PackageNotFoundError:
        installed = []
    found = [Path(str(file.locate())).resolve() for file in installed if file.parts[-5:-2] == INSTALLED]
    return [path.parents[1] for path in found[:1]]
