"""The command `scratchnst lesson` as one types it."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys

import pytest

import scratchnst
from scratchnst.classroom.grader.exercise import load_exercise
from scratchnst.classroom.library import find_lesson
from scratchnst.classroom.progress import ProgressFile
from scratchnst.cli import lesson, main

TEXT = '"""\n{title}\n=====\n"""\n\n# %%\n# Text.\n\nprint("{title} runs")\n'
SPECIFICATION = find_lesson(2).specification
FIRST, SECOND = (function.name for function in load_exercise(SPECIFICATION).functions)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout with two lessons, and a learner who has done nothing."""
    monkeypatch.setattr(scratchnst, "__file__", str(tmp_path / "scratchnst" / "__init__.py"))
    monkeypatch.setenv("SCRATCHNST_PROGRESS", str(tmp_path / "progress.json"))
    monkeypatch.setenv("SCRATCHNST_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "80")
    folder = tmp_path / "lessons"
    for number, title in ((1, "Images"), (2, "Differences")):
        answers = folder / f"0{number}_{title.lower()}" / "answers"
        answers.mkdir(parents=True)
        shutil.copy(SPECIFICATION, answers)
        (answers.parent / "lesson.py").write_text(TEXT.format(title=title))
    return folder


def listed(capsys):
    """The words of each row of the list, without head and end."""
    assert main(["lesson"]) == 0
    return [line.split() for line in capsys.readouterr().out.splitlines()[1:-2]]


def test_list(checkout, capsys):
    assert listed(capsys) == [["1", "-", "-", "Images"], ["2", "-", "-", "Differences"]]


def test_list_whatever_is_in_the_learners_file(checkout, capsys):
    (checkout / "02_differences" / "exercise.py").write_text("def helper(x)\n    return x")
    ProgressFile.load().set_exercise("differences", {FIRST: {"state": "passed"}})
    assert listed(capsys)[1] == ["2", "-", "1", "of", "2", "Differences"]


def test_closed_input(checkout, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    assert main(["lesson", "1"]) == 0
    assert "Until next time" in capsys.readouterr().out


def test_input_that_is_no_text(checkout, capsys, monkeypatch):
    keys = io.TextIOWrapper(io.BytesIO(b"\xff\nq\n"), encoding="utf-8", errors="strict")
    monkeypatch.setattr(sys, "stdin", keys)
    assert main(["lesson", "1"]) == 0
    assert "Until next time" in capsys.readouterr().out


def test_list_with_progress(checkout, capsys):
    progress = ProgressFile.load()
    progress.set_place("images", 0, finished=True)
    progress.set_place("differences", 4)
    progress.set_exercise("differences", {FIRST: {"state": "passed"}, SECOND: {"state": "failed"}})
    assert listed(capsys) == [["1", "yes", "-", "Images"], ["2", "cell", "5", "1", "of", "2", "Differences"]]
    progress.set_place("images", 2)
    progress.set_exercise("differences", {FIRST: {"state": "passed"}, SECOND: {"state": "passed", "hints": 1}})
    assert listed(capsys) == [["1", "cell", "3", "-", "Images"], ["2", "cell", "5", "solved", "Differences"]]


@pytest.mark.parametrize("width", [10, 50, 80])
def test_list_wraps_titles(checkout, capsys, monkeypatch, width):
    (checkout / "01_images" / "lesson.py").write_text(TEXT.format(title="Images and losses and slopes and so on"))
    monkeypatch.setenv("COLUMNS", str(width))
    main(["lesson"])
    lines = capsys.readouterr().out.splitlines()[:-2]
    assert max(map(len, lines)) <= max(width, 48)
    assert " ".join(" ".join(lines).split()[4:-4]) == "- - Images and losses and slopes and so on"


def test_run(checkout, capsys):
    assert main(["lesson", "2", "--no-pause"]) == 0
    said = capsys.readouterr().out
    assert "Differences runs\n" in said
    assert "That was lesson 2." in said
    assert (checkout.parent / "cache" / "lessons" / "02_differences").is_dir()


def test_figures(checkout, capsys):
    (checkout / "01_images" / "lesson.py").write_text(
        TEXT.format(title="Images") + "import matplotlib.pyplot as plt\nplt.plot([1])\n"
    )
    folder = checkout.parent / "new" / "figures"
    assert main(["lesson", "1", "--no-pause", "--figures", str(folder)]) == 0
    assert f"figure: {folder / '01_images-cell-02.png'}\n" in capsys.readouterr().out
    assert (folder / "01_images-cell-02.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["9"], "there is no lesson 9: choose one of 1, 2."),
        (["0"], "a whole number of 1 or more"),
        (["seven"], "a whole number of 1 or more"),
        (["--from-start"], "which lesson?"),
        (["--no-pause"], "which lesson?"),
        (["1", "--figures", "{folder}/01_images/lesson.py"], "name another folder by --figures DIR"),
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


@pytest.mark.parametrize(
    ("extra", "missing", "arguments"),
    [("lessons", name, ["1"]) for name in lesson.LIBRARIES["lessons"]]
    + [("notebooks", name, ["--notebooks", "new"]) for name in lesson.LIBRARIES["notebooks"]],
)
def test_missing_libraries(checkout, capsys, monkeypatch, extra, missing, arguments):
    monkeypatch.chdir(checkout)
    monkeypatch.setattr(lesson, "find_spec", lambda name: None if name == missing else object())
    assert main(["lesson", *arguments]) == 2
    said = f'scratchnst: {extra} need {missing}: install what is missing by pip install "scratchnst[{extra}]".\n'
    assert capsys.readouterr().err == said
    assert not (checkout / "new").exists()


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_pipes(checkout, encoding):
    """A reader that quits, and one that knows no formulas, get what they can take, and nobody a traceback."""
    (checkout / "01_images" / "lesson.py").write_text(
        TEXT.format(title="Images") + "\n# %%\n# :math:`x_i`\n\nprint('x' * 10**6)\n"
    )
    code = (
        f"import scratchnst, sys; scratchnst.__file__ = {scratchnst.__file__!r}\n"
        "from scratchnst.cli import main; sys.exit(main(['lesson', '1', '--no-pause']))"
    )
    command = [sys.executable, "-c", code]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run(command, capture_output=True, env=environment, timeout=120)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"x?\n" in done.stdout if encoding == "ascii" else "xᵢ\n".encode() in done.stdout
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        process.stdout.readline()
        process.stdout.close()
        assert (process.stderr.read(), process.wait(120)) == (b"", 141)


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
