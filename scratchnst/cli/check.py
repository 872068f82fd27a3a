"""``scratchnst check``: the exercises' grader."""

from __future__ import annotations

import argparse
import io
import sys
from dataclasses import asdict
from pathlib import Path

from scratchnst.classroom.grader import source, tutor
from scratchnst.classroom.grader.examination import NOT_WRITTEN, PASSED
from scratchnst.classroom.grader.exercise import Exercise, load_exercise
from scratchnst.classroom.grader.supervision import Grade, grade
from scratchnst.classroom.library import Lesson, exercises, find_exercise
from scratchnst.classroom.progress import ProgressFile
from scratchnst.cli.arguments import file, positive_integer
from scratchnst.cli.reports import add_json, tell
from scratchnst.errors import UserError
from scratchnst.messages import one_line


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
    parser.add_argument("--file", type=file, metavar="FILE.py", help="your functions (lessons/NN_name/exercise.py)")
    parser.add_argument("--function", metavar="NAME", help="only this one")
    parser.add_argument("--hint", action="store_true", help="the next of three hints for what does not pass yet")
    add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check, print the report and return the exit status."""
    progress = ProgressFile.load()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # learners' lines may hold what the terminal cannot show
    if arguments.number is None:
        if arguments.file or arguments.function or arguments.hint:
            raise UserError("which exercise? Give the number of its lesson: scratchnst check NN.")
        return _list(progress, arguments.json)
    if arguments.json and arguments.hint:
        raise UserError("--hint gives a text to read: leave out --json.")
    lesson = find_exercise(arguments.number)
    exercise = load_exercise(lesson.specification)
    wanted = _wanted(exercise, arguments.function)
    path = arguments.file or _stub(lesson)
    source.read(path)  # before anything is printed
    if not arguments.hint and not arguments.json:
        print(f"Exercise {lesson.number}, {exercise.title}: {one_line(path)}\n", flush=True)
    found = grade(path, lesson.specification, wanted)
    if arguments.hint:
        _print_hint(exercise, lesson, found, progress)
    elif arguments.json:
        tell({"exercise": lesson.number, "file": str(path), "passed": found.passed, **asdict(found)})
    else:
        print(tutor.report(exercise, lesson.number, found))
    states = progress.exercise(lesson.topic)
    for finding in found.findings:
        if states.get(finding.function, {}).get("state") != PASSED:  # what was right once stays solved
            _remember(progress, lesson, finding.function, state=finding.state)
    return 0 if found.passed else 1


def _wanted(exercise: Exercise, name: str | None) -> list[str]:
    names = [function.name for function in exercise.functions]
    if name is not None and name not in names:
        raise UserError(f"this exercise has no function {name}; it has {', '.join(names)}.")
    return names if name is None else [name]


def _stub(lesson: Lesson) -> Path:
    """The learner's file: in the folder lessons below, at or above the current one, else where the lessons are."""
    for lessons in (Path("lessons"), Path(), Path("..")):
        path = lessons / lesson.name / lesson.exercise.name
        if path.exists():
            return path
    return lesson.exercise


def _print_hint(exercise: Exercise, lesson: Lesson, found: Grade, progress: ProgressFile) -> None:
    """Print the next hint for the first function that does not pass, and remember that it was given."""
    if found.problem is not None:
        print(tutor.report(exercise, lesson.number, found))
        return
    waiting = [finding.function for finding in found.findings if finding.state != PASSED]
    if not waiting:
        print("There is nothing to hint at: every test passes.")
        return
    function = next(function for function in exercise.functions if function.name == waiting[0])
    given = progress.exercise(lesson.topic).get(function.name, {}).get("hints", 0)
    given = given if isinstance(given, int) and given > 0 else 0  # the file may have been edited
    print(tutor.hint(function, given))
    _remember(progress, lesson, function.name, hints=min(given + 1, len(function.hints)))


def _remember(progress: ProgressFile, lesson: Lesson, function: str, **facts) -> None:
    states = progress.exercise(lesson.topic)
    states[function] = {**states.get(function, {}), **facts}
    progress.set_exercise(lesson.topic, states)


def _list(progress: ProgressFile, as_json: bool) -> int:
    found = [(lesson, load_exercise(lesson.specification)) for lesson in exercises()]
    if as_json:
        for lesson, exercise in found:
            states = progress.exercise(lesson.topic)
            functions = {each.name: states.get(each.name, {}).get("state", NOT_WRITTEN) for each in exercise.functions}
            tell({"exercise": lesson.number, "title": exercise.title, "functions": functions})
        return 0
    width = max((len(exercise.title) for _, exercise in found), default=0)
    for lesson, exercise in found:
        state = tutor.standing(exercise, progress.exercise(lesson.topic))
        print(f"{lesson.number:>2}  {exercise.title:<{width}}  {state}")
    print("\nscratchnst check NN checks your functions for lesson NN; with --hint it gives a hint.")
    return 0
