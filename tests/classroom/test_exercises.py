"""Every exercise: its solution passes, its stub is not written yet, and each known mistake gets its own diagnosis.

Mistakes are planted into the solutions as patches of their text: tests/planted/NAME.py holds them as tuples (what is
done, old text, new text, key of the diagnosis), each old text being in the solution exactly once.
"""

from __future__ import annotations

import ast
import contextlib
import re
from importlib import import_module
from pathlib import Path

import pytest

from scratchnst.classroom.exercises import NAMES, file_name, load_exercise, numbers
from scratchnst.classroom.grader import source as files
from scratchnst.classroom.grader.calls import Careful, Source
from scratchnst.classroom.grader.examination import FAILED, NOT_WRITTEN, PASSED, examine, parameters_of

LESSONS = Path(__file__).parents[2] / "lessons"
PLANTED = [
    pytest.param(number, *mistake[1:], id=f"{NAMES[number]}: {mistake[0]}")
    for number in numbers()
    for mistake in import_module(f"planted.{NAMES[number]}").PLANTED
]


def solution(number):
    return files.read(LESSONS / "solutions" / file_name(number))


def findings(source, number):
    """Examine a file in this process."""
    module = files.load(source)
    for function in load_exercise(number).functions:
        found = files.find(module, function.name)
        yield examine(function, Careful(found, function.name, parameters_of(function), source, contextlib.nullcontext))


@pytest.mark.parametrize("number", numbers())
class TestExercise:
    def test_solution_passes(self, number):
        for finding in findings(solution(number), number):
            assert finding.state == PASSED, finding

    def test_stub_is_not_written(self, number):
        stub = files.read(LESSONS / "exercises" / file_name(number))
        assert {finding.state for finding in findings(stub, number)} == {NOT_WRITTEN}

    def test_stub_names_functions_and_arguments_as_the_specification_does(self, number):
        tree = ast.parse(files.read(LESSONS / "exercises" / file_name(number)).text)
        functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
        for function in load_exercise(number).functions:
            node = functions[function.name]
            assert tuple(argument.arg for argument in node.args.args) == parameters_of(function)
            assert ast.get_docstring(node)

    def test_names_sections_that_the_lesson_has(self, number):
        lesson = LESSONS / file_name(number)
        if not lesson.exists():
            pytest.skip("the lesson is not written yet")
        titles = re.findall(r"^# (.+)\n# -+$", lesson.read_text(), re.MULTILINE)
        named = [title for each in load_exercise(number).functions for title in re.findall(r'"([^"]+)"', each.read)]
        assert named
        assert set(named) <= set(titles)

    def test_every_known_mistake_is_planted(self, number):
        known = {mistake.key for function in load_exercise(number).functions for mistake in function.mistakes}
        planted = {mistake[3] for mistake in import_module(f"planted.{NAMES[number]}").PLANTED}
        assert known <= planted

    def test_hints_do_not_give_the_solution_away(self, number):
        lines = [line.strip().removeprefix("return ") for line in solution(number).text.splitlines()]
        for function in load_exercise(number).functions:
            assert len(set(function.hints)) == 3
            words = [*function.hints, *(mistake.words for mistake in function.mistakes)]
            assert not [line for line in lines for text in words if len(line) > 12 and line in text]


@pytest.mark.parametrize(("number", "old", "new", "key"), PLANTED)
def test_planted_mistake_gets_its_diagnosis(number, old, new, key):
    source = solution(number)
    assert source.text.count(old) == 1, f"{old!r} is not in the solution once"
    found = [
        finding
        for finding in findings(Source(source.name, source.text.replace(old, new)), number)
        if finding.state == FAILED
    ]
    assert found
    assert found[0].key == key, found  # functions that call a wrong one may fail as well
    assert found[0].diagnosis or found[0].problem


def test_adams_epsilon_may_stand_before_the_correction():
    source = solution(11)
    old, new = "(np.sqrt(mean_square) + 1e-8)", "((np.sqrt(v) + 1e-8) / (1 - 0.999**t) ** 0.5)"
    assert old in source.text
    found = [each.state for each in findings(Source(source.name, source.text.replace(old, new)), 11)]
    assert found == [PASSED, PASSED]
