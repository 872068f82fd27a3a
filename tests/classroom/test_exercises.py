"""Every exercise: its solution passes, its stub is not written yet, and each known mistake gets its own diagnosis.

Mistakes are planted into the solutions as patches of their text: answers/planted.py holds them as tuples (what is done,
old text, new text, key of the diagnosis), each old text being in the solution exactly once.
"""

from __future__ import annotations

import ast
import contextlib
import re
import runpy

import numpy as np
import pytest

from scratchnst.classroom.grader import source as files
from scratchnst.classroom.grader.calls import Careful, Source
from scratchnst.classroom.grader.examination import FAILED, NOT_WRITTEN, PASSED, arguments_of, examine, parameters_of
from scratchnst.classroom.grader.exercise import load_exercise
from scratchnst.classroom.grader.supervision import grade
from scratchnst.classroom.library import exercises

LESSONS = exercises()
PLANTED = {lesson.topic: runpy.run_path(str(lesson.folder / "answers" / "planted.py"))["PLANTED"] for lesson in LESSONS}


def functions_of(lesson):
    return load_exercise(lesson.specification).functions


def findings(source, lesson):
    """Examine a file in this process."""
    module = files.load(source)
    for function in functions_of(lesson):
        found = files.find(module, function.name)
        yield examine(function, Careful(found, function.name, parameters_of(function), source, contextlib.nullcontext))


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.topic)
class TestExercise:
    def test_solution_passes(self, lesson):
        for finding in findings(files.read(lesson.solution), lesson):
            assert finding.state == PASSED, finding

    def test_stub_is_not_written(self, lesson):
        stub = files.read(lesson.exercise)
        assert {finding.state for finding in findings(stub, lesson)} == {NOT_WRITTEN}

    def test_stub_names_functions_and_arguments_as_the_specification_does(self, lesson):
        tree = ast.parse(files.read(lesson.exercise).text)
        functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
        for function in functions_of(lesson):
            node = functions[function.name]
            assert tuple(argument.arg for argument in node.args.args) == parameters_of(function)
            assert ast.get_docstring(node)

    def test_names_sections_that_the_lesson_has(self, lesson):
        titles = re.findall(r"^# (.+)\n# -+$", lesson.path.read_text(), re.MULTILINE)
        named = [title for each in functions_of(lesson) for title in re.findall(r'"([^"]+)"', each.read)]
        assert named
        assert set(named) <= set(titles)

    def test_an_array_is_what_the_stub_calls_one(self, lesson):
        tree = ast.parse(files.read(lesson.exercise).text)
        stubs = {node.name: ast.get_docstring(node) for node in tree.body if isinstance(node, ast.FunctionDef)}
        for function in functions_of(lesson):
            kinds = dict(
                re.findall(r"^(\w+(?:, \w+)*) : (.*)$", stubs[function.name].split("Returns")[0], re.MULTILINE)
            )
            named = {name: kind for names, kind in kinds.items() for name in names.split(", ")}
            arrays = {name for name, kind in named.items() if re.search(r"\barrays?\b", kind) and "->" not in kind}
            lists = {name for name, kind in named.items() if "list" in kind}
            for number in range(len(function.tests)):
                for name, value in zip(parameters_of(function), arguments_of(function, number)):
                    assert name not in arrays - lists or isinstance(value, np.ndarray), (function.name, number)

    def test_every_known_mistake_is_planted(self, lesson):
        known = {key for function in functions_of(lesson) for key in function.mistakes}
        assert known <= {mistake[3] for mistake in PLANTED[lesson.topic]}

    def test_hints_do_not_give_the_solution_away(self, lesson):
        lines = [line.strip().removeprefix("return ") for line in files.read(lesson.solution).text.splitlines()]
        for function in functions_of(lesson):
            assert len(set(function.hints)) == 3
            words = [*function.hints, *(mistake.words for mistake in function.mistakes.values())]
            assert not [line for line in lines for text in words if len(line) > 12 and line in text]


@pytest.mark.parametrize(
    ("lesson", "old", "new", "key"),
    [
        pytest.param(lesson, *mistake[1:], id=f"{lesson.topic}: {mistake[0]}")
        for lesson in LESSONS
        for mistake in PLANTED[lesson.topic]
    ],
)
def test_planted_mistake_gets_its_diagnosis(lesson, old, new, key):
    source = files.read(lesson.solution)
    assert source.text.count(old) == 1, f"{old!r} is not in the solution once"
    found = [
        finding
        for finding in findings(Source(source.name, source.text.replace(old, new)), lesson)
        if finding.state == FAILED
    ]
    assert found
    assert found[0].key == key, found  # functions that call a wrong one may fail as well
    assert found[0].diagnosis or found[0].problem


def test_adams_epsilon_may_stand_before_the_correction():
    lesson = next(lesson for lesson in LESSONS if "adam_step" in files.read(lesson.exercise).text)
    source = files.read(lesson.solution)
    old, new = "(np.sqrt(mean_square) + 1e-8)", "((np.sqrt(v) + 1e-8) / (1 - 0.999**t) ** 0.5)"
    assert old in source.text
    found = [each.state for each in findings(Source(source.name, source.text.replace(old, new)), lesson)]
    assert found == [PASSED, PASSED]


RECURSION = """
def two_loops(q, pairs):
    if not pairs:
        return q.copy()
    s, y = pairs[-1]
    return down(q, pairs, (s @ y) / (y @ y))
def down(q, pairs, gamma):
    if not pairs:
        return gamma * q
    s, y = pairs[-1]
    alpha = (s @ q) / (y @ s)
    r = down(q - alpha * y, pairs[:-1], gamma)
    return r + (alpha - (y @ r) / (y @ s)) * s
"""
MATRIX = """
import numpy as np
def two_loops(q, pairs):
    if not pairs:
        return q.copy()
    s, y = pairs[-1]
    H = (s @ y) / (y @ y) * np.eye(len(q))
    for s, y in pairs:
        V = np.eye(len(q)) - np.outer(y, s) / (y @ s)
        H = V.T @ H @ V + np.outer(s, s) / (y @ s)
    return H @ q
"""


@pytest.mark.parametrize(("text", "key"), [(RECURSION, "recursion"), (MATRIX, "memory")])
def test_what_the_two_loops_are_to_do_without(text, key, tmp_path):
    lesson = next(lesson for lesson in LESSONS if "two_loops" in files.read(lesson.exercise).text)
    (tmp_path / "mine.py").write_text(text)
    (finding,) = grade(tmp_path / "mine.py", lesson.specification, ["two_loops"]).findings
    assert (finding.state, finding.key, len(finding.passed) >= 7) == (FAILED, key, True)
    assert "It was right in the" in finding.advice
