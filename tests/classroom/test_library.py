"""Where the lessons are, and which there are."""

from __future__ import annotations

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
    (folder / "exercises").mkdir(parents=True)
    (folder / "12_late.py").write_text(TEXT.format(title="Late"))
    (folder / "03_early.py").write_text(TEXT.format(title="Early"))
    (folder / "conf.py").write_text("")
    (folder / "exercises" / "03_early.py").write_text("")
    return folder


def test_lessons(checkout):
    early, late = library.lessons()
    assert early == library.Lesson(
        3, "03_early", "Early", checkout / "03_early.py", checkout / "exercises" / "03_early.py", None
    )
    assert (late.number, late.title, late.exercise) == (12, "Late", None)
    assert library.find_lesson(12) == late


def test_unknown_lesson(checkout):
    with pytest.raises(UserError, match=r"there is no lesson 4: choose one of 3, 12\."):
        library.find_lesson(4)


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
        *(f"../../share/scratchnst/lessons/{name}" for name in ("03_early.py", "12_late.py")),
    )
    (tmp_path / "environment" / "lib" / "site-packages").mkdir(parents=True)
    monkeypatch.setattr(library, "files", lambda _: [Recorded(name) for name in names])
    assert library.lessons_folder() == installed.resolve()


@pytest.mark.parametrize("recorded", [None, []])
def test_nowhere(tmp_path, monkeypatch, recorded):
    monkeypatch.setattr(scratchnst, "__file__", str(tmp_path / "scratchnst" / "__init__.py"))
    monkeypatch.setattr(library, "files", lambda _: recorded)
    with pytest.raises(UserError, match="the lessons are not here"):
        library.lessons()
