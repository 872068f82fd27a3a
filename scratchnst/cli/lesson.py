"""``scratchnst lesson``: the lessons, step by step."""

from __future__ import annotations

import argparse
import io
import shutil
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path

from scratchnst.classroom.grader.examination import PASSED
from scratchnst.classroom.grader.exercise import load_exercise
from scratchnst.classroom.library import Lesson, find_lesson, lessons
from scratchnst.classroom.progress import ProgressFile
from scratchnst.cli.arguments import folder, positive_integer
from scratchnst.cli.job import INTERRUPTED
from scratchnst.cli.reports import add_json, tell
from scratchnst.errors import UserError
from scratchnst.files import check_writable
from scratchnst.images.origin import check_replaceable
from scratchnst.messages import complain, one_line
from scratchnst.weights.download import CACHE_VARIABLE, cache_directory

ROW = "{:>3}  {:<9}{:<10}"  # number, read, exercise, before the title
LIBRARIES = {
    "lessons": ("matplotlib", "rich", "docutils", "pylatexenc", "sphinx_gallery"),
    "notebooks": ("sphinx_gallery", "nbformat", "docutils", "rich", "pylatexenc"),
}


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
        "--figures",
        type=folder,
        metavar="DIR",
        help=f"where to save figures (a folder in your cache, {CACHE_VARIABLE})",
    )
    parser.add_argument(
        "--notebooks",
        type=folder,
        metavar="DIR",
        help="write all lessons, or the one, as Jupyter notebooks instead",
    )
    add_json(parser, "one JSON object a lesson of the list")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """List the lessons, or lead through one, and return the exit status."""
    if arguments.json and (arguments.notebooks or arguments.number):
        raise UserError("--json is of the list of lessons: leave it out, or the number and --notebooks.")
    if arguments.notebooks:
        return _write_notebooks(arguments)
    if arguments.number is None:
        if arguments.from_start or arguments.no_pause or arguments.figures:
            raise UserError("which lesson? Give its number: scratchnst lesson NN.")
        return _list(ProgressFile.load(), arguments.json)
    lesson = find_lesson(arguments.number)
    _check_libraries("lessons")
    figures = _figures_folder(arguments.figures, lesson)
    from scratchnst.classroom.player import play  # these libraries are optional, and slow to import

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # not every terminal can show every formula
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")  # what is typed may be no valid text
    sys.stdin = sys.stdin or io.StringIO()  # a closed stdin counts as empty
    try:
        return play(lesson, ProgressFile.load(), figures, not arguments.no_pause, arguments.from_start)
    except KeyboardInterrupt:
        goes_on = "" if arguments.no_pause else f"; scratchnst lesson {lesson.number} goes on there"
        print(file=sys.stderr)  # behind the question
        complain(f"stopped{goes_on}.")
        return INTERRUPTED


def _write_notebooks(arguments: argparse.Namespace) -> int:
    if arguments.from_start or arguments.no_pause or arguments.figures:
        raise UserError("--notebooks writes files and shows no lesson: leave out the other options.")
    _check_libraries("notebooks")
    from scratchnst.classroom.notebooks import write_notebooks

    chosen = [find_lesson(arguments.number)] if arguments.number else lessons()
    for path in write_notebooks(chosen, arguments.notebooks):
        print(one_line(path))
    return 0


def _check_libraries(extra: str) -> None:
    """Raise a UserError unless all that is needed is installed."""
    missing = [name for name in LIBRARIES[extra] if not find_spec(name)]
    if missing:
        raise UserError(
            f'{extra} need {", ".join(missing)}: install what is missing by pip install "scratchnst[{extra}]".'
        )


def _figures_folder(chosen: Path | None, lesson: Lesson) -> Path:
    """Make the folder for a lesson's figures, and be sure that they can be written."""
    folder = chosen or cache_directory() / "lessons" / lesson.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        check_writable(folder / "figure.png")
    except (OSError, UserError):
        raise UserError(f"figures cannot be saved in {folder}: name another folder by --figures DIR.") from None
    for path in folder.glob(f"{lesson.name}-cell-*.png") if chosen else ():
        check_replaceable(path)
    return folder


def _list(progress: ProgressFile, as_json: bool) -> int:
    """Print a row for each lesson, the title behind what is short."""
    if as_json:
        for lesson in lessons():
            cell, finished = progress.lesson(lesson.topic)
            read = {"cells read": cell, "finished": finished}
            exercise = _exercise_state(lesson, progress) or None
            tell({"lesson": lesson.number, "title": lesson.title, **read, "exercise": exercise})
        return 0
    width = max(shutil.get_terminal_size().columns, 2 * len(ROW.format("", "", "")))
    print(ROW.format("", "read", "exercise") + "lesson")
    for lesson in lessons():
        row = ROW.format(lesson.number, _state(lesson, progress), _exercise_state(lesson, progress))
        print(textwrap.fill(lesson.title, width, initial_indent=row, subsequent_indent=" " * len(row)))
    print("\nscratchnst lesson NN leads through one of them.")
    return 0


def _state(lesson: Lesson, progress: ProgressFile) -> str:
    """The cell to go on with, or whether it has been read."""
    cell, finished = progress.lesson(lesson.topic)
    return f"cell {cell + 1}" if cell else "yes" if finished else "-"


def _exercise_state(lesson: Lesson, progress: ProgressFile) -> str:
    """How many functions of the exercise are right, as the check has found."""
    if not lesson.has_exercise:
        return ""
    states = progress.exercise(lesson.topic)
    functions = load_exercise(lesson.specification).functions
    passed = [states.get(each.name, {}).get("state") == PASSED for each in functions]
    if all(passed):
        return "solved"
    return f"{sum(passed)} of {len(passed)}" if states else "-"
