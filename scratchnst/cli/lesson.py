"""``scratchnst lesson``: the lessons, step by step."""

from __future__ import annotations

import argparse
import ast
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

from scratchnst.cli.arguments import positive_integer
from scratchnst.cli.job import INTERRUPTED
from scratchnst.errors import UserError
from scratchnst.files import check_writable
from scratchnst.lessons.library import Lesson, find_lesson, lessons
from scratchnst.lessons.progress import Progress
from scratchnst.weights.download import CACHE_VARIABLE, cache_directory

LIBRARIES = ("matplotlib", "rich", "docutils", "pylatexenc")


def add(commands) -> None:
    """Add this command's parser to `commands`."""
    parser = commands.add_parser(
        "lesson",
        help="learn the mathematics, step by step",
        description="Lead through a lesson, cell by cell: read, look at the code, see it run. Without a number: the "
        "list of lessons and how far you are.",
    )
    parser.add_argument("number", nargs="?", type=positive_integer, metavar="NN", help="of the lesson")
    parser.add_argument("--from-start", action="store_true", help="begin anew, wherever the lesson was left")
    parser.add_argument("--no-pause", action="store_true", help="run through from the start without waiting")
    parser.add_argument(
        "--figures", type=Path, metavar="DIR", help=f"where to save figures (a folder in your cache, {CACHE_VARIABLE})"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """List the lessons, or lead through one, and return the exit status."""
    if arguments.number is None:
        if arguments.from_start or arguments.no_pause or arguments.figures:
            raise UserError("which lesson? Give its number: scratchnst lesson NN.")
        return _list(Progress.load())
    lesson = find_lesson(arguments.number)
    missing = [name for name in LIBRARIES if not find_spec(name)]
    if missing:
        raise UserError(f'lessons need {", ".join(missing)}: install them with pip install "scratchnst[lessons]".')
    figures = _figures_folder(arguments.figures, lesson)
    from scratchnst.lessons.player import play  # these libraries are optional, and slow to import

    try:
        return play(lesson, Progress.load(), figures, not arguments.no_pause, arguments.from_start)
    except KeyboardInterrupt:
        goes_on = "" if arguments.no_pause else f"; scratchnst lesson {lesson.number} goes on there"
        print(f"\nscratchnst: stopped{goes_on}.", file=sys.stderr)
        return INTERRUPTED


def _figures_folder(chosen: Path | None, lesson: Lesson) -> Path:
    """Make the folder for a lesson's figures, and be sure that they can be written."""
    folder = chosen or cache_directory() / "lessons" / lesson.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        check_writable(folder / "figure.png")
    except (OSError, UserError):
        raise UserError(f"figures cannot be saved in {folder}: name another folder by --figures DIR.") from None
    return folder


def _list(progress: Progress) -> int:
    """Print a line for each lesson, or two where the terminal is narrow."""
    found = lessons()
    width = max(len(lesson.title) for lesson in found)
    narrow = width + 45 > shutil.get_terminal_size().columns
    for lesson in found:
        states = ", ".join(filter(None, (_state(lesson, progress), _exercise_state(lesson, progress))))
        title = f"{lesson.number:>2}  {lesson.title}"
        print(f"{title}\n    {states}" if narrow else f"{title:<{width + 6}}{states}")
    print("\nscratchnst lesson NN leads through one of them.")
    return 0


def _state(lesson: Lesson, progress: Progress) -> str:
    cell, finished = progress.lesson(lesson.number)
    if cell:
        return f"at cell {cell + 1}" + (", read before" if finished else "")
    return "read" if finished else "not begun"


def _exercise_state(lesson: Lesson, progress: Progress) -> str:
    """How many functions of the exercise are right, as the check has found."""
    if not lesson.exercise:
        return ""
    tree = ast.parse(lesson.exercise.read_bytes())
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")]
    states = progress.exercise(lesson.number)
    passed = sum(states.get(name, {}).get("state") == "passed" for name in names)
    if passed == len(names):
        return "exercise solved"
    return f"exercise: {passed} of {len(names)} functions right" if states else ""
