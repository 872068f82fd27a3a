"""Where the lessons are, and which there are."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import scratchnst
from scratchnst.classroom import library
from scratchnst.errors import UserError

TEXT = '"""\n{title}\n=====\n"""\n'


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """The lessons folder of a checkout with two lessons, one of them with an exercise."""
    monkeypatch.setattr(scratchnst, "__file__", str(tmp_path / "scratchnst" / "__init__.py"))
    folder = tmp_path / "lessons"
    for name in ("12_late", "03_early", "build", "04_nothing"):
        (folder / name).mkdir(parents=True)
    (folder / "12_late" / "lesson.py").write_text(TEXT.format(title="Late"))
    (folder / "03_early" / "lesson.py").write_text(TEXT.format(title="Early"))
    (folder / "build" / "lesson.py").write_text("")
    (folder / "03_early" / "answers").mkdir()
    (folder / "03_early" / "answers" / "specification.py").write_text("")
    return folder


def test_lessons(checkout):
    early, late = library.lessons()
    assert early == library.Lesson(checkout / "03_early")
    assert (early.number, early.topic, early.title, early.has_exercise) == (3, "early", "Early", True)
    assert early.exercise == checkout / "03_early" / "exercise.py"
    assert early.solution == checkout / "03_early" / "answers" / "solution.py"
    assert (late.number, late.title, late.has_exercise) == (12, "Late", False)
    assert library.find_lesson(12) == late
    assert library.exercises() == [early]
    assert library.find_exercise(3) == early


def test_unknown_lesson(checkout):
    with pytest.raises(UserError, match=r"there is no lesson 4: choose one of 3, 12\."):
        library.find_lesson(4)
    with pytest.raises(UserError, match=r"there is no exercise 12; there are 3\."):
        library.find_exercise(12)


def test_installed(tmp_path, monkeypatch, checkout):
    """Without a checkout, the folder is found that the installer has recorded."""
    installed = tmp_path / "environment" / "share" / "scratchnst" / "lessons"
    installed.parent.mkdir(parents=True)
    checkout.rename(installed)

    class Recorded(type(Path())):
        def locate(self):
            return tmp_path / "environment" / "lib" / "site-packages" / self

    names = (
        "scratchnst/__init__.py",
        *(f"../../share/scratchnst/lessons/{name}" for name in ("README.rst", "03_early/lesson.py")),
    )
    (tmp_path / "environment" / "lib" / "site-packages").mkdir(parents=True)
    monkeypatch.setattr(library, "files", lambda _: [Recorded(name) for name in names])
    assert library.lessons_folder() == installed.resolve()


@pytest.mark.slow
def test_a_wheel_has_all_of_every_lesson(tmp_path):
    pytest.importorskip("setuptools", "70.1")  # which builds wheels without help
    root = Path(__file__).parents[2]
    for name in ("scratchnst", "lessons"):
        shutil.copytree(root / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, tmp_path)
    code = "from setuptools.build_meta import build_wheel; build_wheel('.')"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, timeout=300)
    (wheel,) = tmp_path.glob("*.whl")
    installed = {name.rpartition("share/scratchnst/")[2] for name in zipfile.ZipFile(wheel).namelist()}
    files = [path for path in (root / "lessons").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert {path.relative_to(root).as_posix() for path in files} <= installed


@pytest.mark.parametrize("recorded", [None, []])
def test_nowhere(tmp_path, monkeypatch, recorded):
    monkeypatch.setattr(scratchnst, "__file__", str(tmp_path / "scratchnst" / "__init__.py"))
    monkeypatch.setattr(library, "files", lambda _: recorded)
    with pytest.raises(UserError, match="the lessons are not here"):
        library.lessons()
