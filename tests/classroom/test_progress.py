"""What is remembered of a learner, and that a bad file costs no more than the memory."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from scratchnst.classroom.progress import LessonProgress, Progress, progress_path


@pytest.fixture
def told():
    """The sentences that the progress under test has said."""
    return []


@pytest.fixture
def progress(tmp_path, told):
    return Progress(tmp_path / "new" / "progress.json", told.append)


def test_begins_with_nothing(progress, told):
    assert progress.lesson(3) == LessonProgress(0, False)
    assert progress.exercise(3) == {}
    assert told == []
    assert not progress.path.exists()


def test_remembers(progress, told):
    progress.set_place(3, 5)
    progress.set_place(12, 1, finished=True)
    progress.set_exercise(3, {"relu_backward": {"passed": True, "hints": 2}})
    again = Progress(progress.path)
    assert again.lesson(3) == LessonProgress(5, False)
    assert again.lesson(12) == LessonProgress(1, True)
    assert again.lesson(4) == LessonProgress()
    assert again.exercise(3) == {"relu_backward": {"passed": True, "hints": 2}}
    assert told == []


def test_once_finished_stays_finished(progress):
    progress.set_place(1, 9, finished=True)
    progress.set_place(1, 2)
    assert progress.lesson(1) == LessonProgress(2, True)


def test_two_windows_do_not_undo_each_other(progress):
    other = Progress(progress.path)
    other.lesson(1)
    progress.set_place(1, 4)
    other.set_exercise(1, {"f": {"state": "passed"}})
    progress.set_place(2, 7)
    assert (progress.lesson(1).cell, progress.lesson(2).cell) == (4, 7)
    assert progress.exercise(1) == {"f": {"state": "passed"}}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "3",
        "null",
        '{"lessons": 3}',
        '{"lessons": {"1": 2}}',
        '{"exercises": {"1": {"f": []}}}',
        "[" * 100_000,
        "\xff\0",
    ],
)
def test_damaged_file_is_moved_aside(progress, told, content):
    progress.path.parent.mkdir()
    progress.path.write_text(content, encoding="latin-1")
    assert progress.lesson(1) == LessonProgress()
    assert len(told) == 1
    assert progress.path.with_name("progress.json.damaged").read_text(encoding="latin-1") == content
    progress.set_place(1, 3)
    assert progress.lesson(1).cell == 3
    assert len(told) == 1


@pytest.mark.parametrize("cell", ["-1", '"4"', "null", "2.5"])
def test_nonsense_of_one_lesson_is_its_beginning(progress, cell):
    progress.path.parent.mkdir()
    progress.path.write_text(f'{{"lessons": {{"1": {{"cell": {cell}, "finished": "yes"}}}}}}')
    assert progress.lesson(1) == LessonProgress(0, False)


def test_keeps_what_a_later_version_has_written(progress):
    progress.path.parent.mkdir()
    progress.path.write_text('{"colours": true}')
    progress.set_place(1, 2)
    assert json.loads(progress.path.read_text())["colours"] is True


def test_unwritable_is_told_once(tmp_path, told):
    (tmp_path / "file").touch()
    progress = Progress(tmp_path / "file" / "progress.json", told.append)
    progress.set_place(1, 2)
    progress.set_place(1, 3)
    assert len([sentence for sentence in told if "not remembered" in sentence]) == 1
    assert "SCRATCHNST_PROGRESS" in told[-1]


def test_directory_in_the_way(tmp_path, told):
    progress = Progress(tmp_path, told.append)
    assert progress.lesson(1) == LessonProgress()
    progress.set_exercise(1, {"f": {}})
    assert len(told) == 2


def test_where(monkeypatch, tmp_path):
    monkeypatch.setenv("SCRATCHNST_PROGRESS", str(tmp_path / "mine.json"))
    assert progress_path() == Progress.load().path == tmp_path / "mine.json"
    monkeypatch.setenv("SCRATCHNST_PROGRESS", os.path.join("~", "mine.json"))
    assert progress_path() == Path.home() / "mine.json"
    monkeypatch.delenv("SCRATCHNST_PROGRESS")
    assert progress_path().name == "progress.json"
    assert "scratchnst" in progress_path().parts


def test_warns_on_standard_error(tmp_path, monkeypatch, capsys):
    (tmp_path / "progress.json").write_text("{")
    monkeypatch.setenv("SCRATCHNST_PROGRESS", str(tmp_path / "progress.json"))
    Progress.load().lesson(1)
    assert capsys.readouterr().err.startswith("scratchnst: your progress, ")
