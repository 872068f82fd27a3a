"""Where the lessons are, and which there are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import scratchnst
from scratchnst.classroom.script import read
from scratchnst.errors import UserError

NAME = re.compile(r"(?P<number>\d\d)_\w+")
INSTALLED = ("share", "scratchnst", "lessons")  # where setup.cfg puts them, below the environment


@dataclass(frozen=True)
class Lesson:
    """A lesson among the others.

    Attributes
    ----------
    number : int
        It is called by its number.
    name : str
        Of its file, without the suffix: "07_convolution_backward".
    title : str
        The heading of its text.
    path : Path
        The script.
    exercise, solution : Path or None
        The functions to write, and the same functions, solved; None if there are none.
    """

    number: int
    name: str
    title: str
    path: Path
    exercise: Path | None
    solution: Path | None


def lessons() -> list[Lesson]:
    """Return all lessons, by number.

    Raises
    ------
    UserError
        There are none, or one cannot be read.
    """
    folder = lessons_folder()
    return [_lesson(path) for path in sorted(folder.glob("*.py")) if NAME.fullmatch(path.stem)]


def find_lesson(number: int) -> Lesson:
    """Return a lesson; a UserError names those that there are."""
    found = {lesson.number: lesson for lesson in lessons()}
    if number not in found:
        raise UserError(f"there is no lesson {number}: choose one of {', '.join(map(str, found))}.")
    return found[number]


def lessons_folder() -> Path:
    """Return the folder of the lessons: beside the package, or where they were installed.

    Raises
    ------
    UserError
        They are in neither place.
    """
    beside = Path(scratchnst.__file__).parents[1]  # a checkout, or what pip install --target has filled
    for folder in (beside / "lessons", *_installed_folders(), beside.joinpath(*INSTALLED)):
        if any(NAME.fullmatch(path.stem) for path in folder.glob("*.py")):
            return folder
    raise UserError(
        "the lessons are not here: they come with the wheel of scratchnst (pip install scratchnst), "
        "and with its source, in the folder lessons."
    )


def _installed_folders() -> list[Path]:
    """The folder that the installer has recorded."""
    try:
        installed = files("scratchnst") or []
    except PackageNotFoundError:
        installed = []
    found = [Path(str(file.locate())).resolve() for file in installed if file.parts[-4:-1] == INSTALLED]
    return [path.parent for path in found[:1]]


def _lesson(path: Path) -> Lesson:
    beside = (path.parent / folder / path.name for folder in ("exercises", "solutions"))
    exercise, solution = (file if file.is_file() else None for file in beside)
    return Lesson(int(path.stem[:2]), path.stem, read(path).title, path, exercise, solution)
