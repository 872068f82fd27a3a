"""``scratchnst check``: the exercises' grader."""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path

from scratchnst.classroom.exercises import file_name, load_exercise, numbers
from scratchnst.classroom.grader import source, tutor
from scratchnst.classroom.grader.examination import PASSED
from scratchnst.classroom.grader.exercise import Exercise
from scratchnst.classroom.grader.supervision import Grade, grade
from scratchnst.classroom.library import lessons_folder
from scratchnst.classroom.progress import Progress
from scratchnst.cli.arguments import positive_integer
from scratchnst.errors import UserError


def add(commands) -> None:
    """Add this command's parser to `commands`."""
    parser = commands.add_parser(
        "check",
        help="check your solution of a lesson's exercise",
        description="Try the functions that you have written for a lesson's exercise, and say what is right, what is "
        "not, and what to look at. Without a number: the list of exercises and how far you are. The exit status is 0 "
        "if everything is right, and 1 if not yet.",
    )
    parser.add_argument("number", nargs="?", type=positive_integer, metavar="NN", help="of the lesson")
    parser.add_argument("--file", type=Path, metavar="FILE.py", help="your functions (lessons/exercises/NN_name.py)")
    parser.add_argument("--function", metavar="NAME", help="only this one")
    parser.add_argument("--hint", action="store_true", help="the next of three hints for what does not pass yet")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check, print what the tutor says and return the exit status."""
    progress = Progress.load()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # learners' lines may hold what the terminal cannot show
    if arguments.number is None:
        if arguments.file or arguments.function or arguments.hint:
            raise UserError("which exercise? Give the number of its lesson: scratchnst check NN.")
        return _list(progress)
    exercise = load_exercise(arguments.number)
    wanted = _wanted(exercise, arguments.function)
    path = arguments.file or _stub(arguments.number)
    source.read(path)  # before anything is printed
    if not arguments.hint:
        print(f"Exercise {arguments.number}, {exercise.title}: {path}\n", flush=True)
    found = grade(path, arguments.number, wanted)
    if arguments.hint:
        _print_hint(exercise, arguments.number, found, progress)
    else:
        print(tutor.report(exercise, arguments.number, found))
    _remember(arguments.number, found, progress)
    return 0 if found.passed else 1


def _wanted(exercise: Exercise, name: str | None) -> list[str]:
    names = [function.name for function in exercise.functions]
    if name is not None and name not in names:
        raise UserError(f"this exercise has no function {name}; it has {', '.join(names)}.")
    return names if name is None else [name]


def _stub(number: int) -> Path:
    """The learner's file: in the folder lessons, which may be here, or around us, or where the lessons are."""
    name = file_name(number)
    for lessons in (Path("lessons"), Path(), Path("..")):
        path = lessons / "exercises" / name
        if path.exists():
            return path
    return lessons_folder() / "exercises" / name


def _print_hint(exercise: Exercise, number: int, found: Grade, progress: Progress) -> None:
    """Print the next hint for the first function that does not pass, and remember that it was given."""
    if found.problem is not None:
        print(tutor.report(exercise, number, found))
        return
    waiting = [finding.function for finding in found.findings if finding.state != PASSED]
    if not waiting:
        print("There is nothing to hint at: every test passes.")
        return
    function = next(function for function in exercise.functions if function.name == waiting[0])
    given = progress.exercise(number).get(function.name, {}).get("hints", 0)
    given = given if isinstance(given, int) and given > 0 else 0  # whatever somebody has made of the file
    print(tutor.hint(function, given))
    _set(progress, number, function.name, hints=min(given + 1, len(function.hints)))


def _remember(number: int, found: Grade, progress: Progress) -> None:
    for finding in found.findings:
        _set(progress, number, finding.function, state=finding.state)


def _set(progress: Progress, number: int, function: str, **facts) -> None:
    states = progress.exercise(number)
    states[function] = {**states.get(function, {}), **facts}
    progress.set_exercise(number, states)


def _list(progress: Progress) -> int:
    for number in numbers():
        exercise = load_exercise(number)
        print(f"{number:>2}  {exercise.title:<60}{tutor.standing(exercise, progress.exercise(number))}")
    print("\nscratchnst check NN checks your functions for lesson NN; with --hint it gives a hint.")
    return 0
