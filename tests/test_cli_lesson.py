"""The command `scratchnst lesson` as one types it."""

from __future__ import annotations

import subprocess
import sys

import pytest

import scratchnst
from scratchnst.cli import lesson, main
from scratchnst.lessons.progress import Progress

TEXT = '"""\n{title}\n=====\n"""\n\n# %%\n# Text.\n\nprint("{title} runs")\n'
EXERCISE = "def first():\n    raise NotImplementedError\n\n\ndef second():\n    raise NotImplementedError\n"


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout with two lessons, one of them with an exercise, and a learner who has done nothing."""
    monkeypatch.setattr(scratchnst, "__file__", str(tmp_path / "scratchnst" / "__init__.py"))
    monkeypatch.setenv("SCRATCHNST_PROGRESS", str(tmp_path / "progress.json"))
    monkeypatch.setenv("SCRATCHNST_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "80")
    folder = tmp_path / "lessons"
    (folder / "exercises").mkdir(parents=True)
    for number, title in ((1, "Images"), (2, "Differences")):
        (folder / f"0{number}_{title.lower()}.py").write_text(TEXT.format(title=title))
    (folder / "exercises" / "02_differences.py").write_text(EXERCISE)
    return folder


def test_list(checkout, capsys):
    assert main(["lesson"]) == 0
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first.split() == ["1", "Images", "not", "begun"]
    assert second.split() == ["2", "Differences", "not", "begun"]


def test_list_with_progress(checkout, capsys):
    progress = Progress.load()
    progress.set_place(1, 0, finished=True)
    progress.set_place(2, 4)
    progress.set_exercise(2, {"first": {"state": "passed"}, "second": {"state": "failed"}})
    main(["lesson"])
    progress.set_place(1, 2)
    progress.set_exercise(2, {"first": {"state": "passed"}, "second": {"state": "passed", "hints": 1}})
    main(["lesson"])
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[:2] == ["1 Images read", "2 Differences at cell 5, exercise: 1 of 2 functions right"]
    assert lines[4:6] == ["1 Images at cell 3, read before", "2 Differences at cell 5, exercise solved"]


def test_list_in_a_narrow_terminal(checkout, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    main(["lesson"])
    assert capsys.readouterr().out.splitlines()[:2] == [" 1  Images", "    not begun"]


def test_run(checkout, capsys):
    assert main(["lesson", "2", "--no-pause"]) == 0
    said = capsys.readouterr().out
    assert "Differences runs\n" in said
    assert "That was lesson 2." in said
    assert (checkout.parent / "cache" / "lessons" / "02_differences").is_dir()


def test_figures(checkout, capsys):
    (checkout / "01_images.py").write_text(
        TEXT.format(title="Images") + "import matplotlib.pyplot as plt\nplt.plot([1])\n"
    )
    folder = checkout.parent / "new" / "figures"
    assert main(["lesson", "1", "--no-pause", "--figures", str(folder)]) == 0
    assert f"figure: {folder / 'cell-02.png'}\n" in capsys.readouterr().out
    assert (folder / "cell-02.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["9"], "there is no lesson 9: choose one of 1, 2."),
        (["0"], "a whole number of 1 or more"),
        (["seven"], "a whole number of 1 or more"),
        (["--from-start"], "which lesson?"),
        (["--no-pause"], "which lesson?"),
        (["1", "--figures", "{folder}/01_images.py"], "name another folder by --figures DIR"),
    ],
)
def test_bad_input(checkout, capsys, arguments, said):
    arguments = [argument.format(folder=checkout) for argument in arguments]
    try:
        status = main(["lesson", *arguments])
    except SystemExit as error:  # of the parser
        status = error.code
    captured = capsys.readouterr()
    assert status == 2
    assert said in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


@pytest.mark.parametrize("missing", lesson.LIBRARIES)
def test_missing_libraries(checkout, capsys, monkeypatch, missing):
    monkeypatch.setattr(lesson, "find_spec", lambda name: None if name == missing else object())
    assert main(["lesson", "1"]) == 2
    assert capsys.readouterr().err == (
        f'scratchnst: lessons need {missing}: install them with pip install "scratchnst[lessons]".\n'
    )


def test_the_list_needs_no_libraries_of_its_own(checkout):
    """And so neither does the start of any other command."""
    code = (
        f"import scratchnst, sys; scratchnst.__file__ = {scratchnst.__file__!r}\n"
        "from scratchnst.cli import main; main(['lesson'])\n"
        "print([name for name in ('rich', 'matplotlib', 'docutils', 'pylatexenc') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert "Differences" in done.stdout, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
