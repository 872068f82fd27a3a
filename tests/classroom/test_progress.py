"""What is remembered of a learner, and that a bad file costs no more than the memory."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from scratchnst.classroom.progress import LessonProgress, ProgressFile, progress_path


@pytest.fixture
def told():
    """The sentences that the progress under test has said."""
    return []


@pytest.fixture
def progress(tmp_path, told):
    return ProgressFile(tmp_path / "new" / "progress.json", told.append)


def test_begins_with_nothing(progress, told):
    assert progress.lesson("chain_rule") == LessonProgress(0, False)
    assert progress.exercise("chain_rule") == {}
    assert told == []
    assert not progress.path.exists()


def test_remembers(progress, told):
    progress.set_place("chain_rule", 5)
    progress.set_place("style_transfer", 1, finished=True)
    progress.set_exercise("chain_rule", {"relu_backward": {"passed": True, "hints": 2}})
    again = ProgressFile(progress.path)
    assert again.lesson("chain_rule") == LessonProgress(5, False)
    assert again.lesson("style_transfer") == LessonProgress(1, True)
    assert again.lesson("relu") == LessonProgress()
    assert again.exercise("chain_rule") == {"relu_backward": {"passed": True, "hints": 2}}
    assert told == []


def test_once_finished_stays_finished(progress):
    progress.set_place("images", 9, finished=True)
    progress.set_place("images", 2)
    assert progress.lesson("images") == LessonProgress(2, True)


def test_two_windows_do_not_undo_each_other(progress):
    other = ProgressFile(progress.path)
    other.lesson("images")
    progress.set_place("images", 4)
    other.set_exercise("images", {"f": {"state": "passed"}})
    progress.set_place("finite_differences", 7)
    assert (progress.lesson("images").cell, progress.lesson("finite_differences").cell) == (4, 7)
    assert progress.exercise("images") == {"f": {"state": "passed"}}


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
    assert progress.lesson("images") == LessonProgress()
    assert len(told) == 1
    assert progress.path.with_name("progress.json.damaged").read_text(encoding="latin-1") == content
    progress.set_place("images", 3)
    assert progress.lesson("images").cell == 3
    assert len(told) == 1


@pytest.mark.parametrize("cell", ["-1", '"4"', "null", "2.5"])
def test_nonsense_of_one_lesson_is_its_beginning(progress, cell):
    progress.path.parent.mkdir()
    progress.path.write_text(f'{{"lessons": {{"images": {{"cell": {cell}, "finished": "yes"}}}}}}')
    assert progress.lesson("images") == LessonProgress(0, False)


def test_older_files_have_numbers_in_the_place_of_topics(progress):
    progress.path.parent.mkdir()
    progress.path.write_text(
        '{"lessons": {"14": {"cell": 3}, "4": {"cell": 5}}, "exercises": {"4": {"f": {"hints": 1}}}}'
    )
    assert (progress.lesson("training").cell, progress.lesson("relu").cell) == (3, 5)
    assert progress.exercise("relu") == {"f": {"hints": 1}}
    progress.set_place("relu", 6)
    assert (progress.lesson("training").cell, progress.lesson("relu").cell) == (3, 6)


def test_keeps_what_a_later_version_has_written(progress):
    progress.path.parent.mkdir()
    progress.path.write_text('{"colours": true}')
    progress.set_place("images", 2)
    assert json.loads(progress.path.read_text())["colours"] is True


def test_unwritable_is_told_once(tmp_path, told):
    (tmp_path / "file").touch()
    progress = ProgressFile(tmp_path / "file" / "progress.json", told.append)
    progress.set_place("images", 2)
    progress.set_place("images", 3)
    assert len([sentence for sentence in told if "not remembered" in sentence]) == 1
    assert "SCRATCHNST_PROGRESS" in told[-1]


def test_directory_in_the_way(tmp_path, told):
    progress = ProgressFile(tmp_path, told.append)
    assert progress.lesson("images") == LessonProgress()
    progress.set_exercise("images", {"f": {}})
    assert len(told) == 2


def test_where(monkeypatch, tmp_path):
    monkeypatch.setenv("SCRATCHNST_PROGRESS", str(tmp_path / "mine.json"))
    assert progress_path() == ProgressFile.load().path == tmp_path / "mine.json"
    monkeypatch.setenv("SCRATCHNST_PROGRESS", os.path.join("~", "mine.json"))
    assert progress_path() == Path.home() / "mine.json"
    monkeypatch.delenv("SCRATCHNST_PROGRESS")
    assert progress_path().name == "progress.json"
    assert "scratchnst" in progress_path().parts


def test_warns_on_standard_error(tmp_path, monkeypatch, capsys):
    (tmp_path / "progress.json").write_text("{")
    monkeypatch.setenv("SCRATCHNST_PROGRESS", str(tmp_path / "progress.json"))
    ProgressFile.load().lesson("images")
    assert capsys.readouterr().err.startswith("scratchnst: your progress, ")
