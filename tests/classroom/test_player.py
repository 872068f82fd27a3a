"""A lesson in the terminal, as a learner goes through it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from io import StringIO
from pathlib import Path

import psutil
import pytest
from rich.cells import cell_len
from rich.console import Console

from scratchnst.classroom import player
from scratchnst.classroom.library import Lesson
from scratchnst.classroom.player import play
from scratchnst.classroom.progress import LessonProgress, ProgressFile

TEXT = '''r"""
Slopes
======

After this lesson you can find :math:`\\partial L/\\partial x_i`.
"""

count = 0

# %%
# Count
# -----
#
# One more.

count += 1
print("count:", count)

# %%
# Only prose, with a formula:
#
# .. math::
#
#     y = \\frac{x}{2}

# %%
# The end.

count
'''
WHOLE = """\
Lesson 3, 4 cells. Enter goes on, b goes back, q quits, ? explains.

cell 1 of 4 · 03_slopes/lesson.py, line 8 ────────────────────────────

Slopes
──────

After this lesson you can find ∂L/∂xᵢ.

    count = 0
[1/4] Enter goes on

cell 2 of 4 · 03_slopes/lesson.py, line 16 ───────────────────────────

Count
─────

One more.

    count += 1
    print("count:", count)

count: 1
[2/4] Enter goes on

cell 3 of 4 · 03_slopes/lesson.py, line 20 ───────────────────────────

Only prose, with a formula:

        x
    y = ─
        2
[3/4] Enter goes on

cell 4 of 4 · 03_slopes/lesson.py, line 29 ───────────────────────────

The end.

    count

1
[4/4] Enter ends the lesson

That was lesson 3.
Its exercise: write the functions in 03_slopes/exercise.py, then
scratchnst check 3.
What comes next: scratchnst lesson 4, Kinks.
"""


class Learner:
    """Goes through one lesson, with progress of its own."""

    def __init__(self, folder, monkeypatch):
        self.folder, self.monkeypatch = folder, monkeypatch
        self.progress = ProgressFile(folder / "progress.json")
        self.lesson, following = Lesson(Path("03_slopes")), Lesson(Path("04_kinks"))
        monkeypatch.setattr(player, "lessons", lambda: [self.lesson, following])
        monkeypatch.chdir(folder)
        for path in (self.lesson.specification, following.path):
            path.parent.mkdir(parents=True)
        self.lesson.specification.touch()
        following.path.write_text(TEXT.replace("Slopes", "Kinks"))
        self.write(TEXT)
        self.status = None

    def write(self, text):
        self.lesson.path.write_text(text)

    def press(self, keys, width=70, height=25, terminal=False, **settings):
        """Play with one line of input a key, "-" for Enter alone; return what is seen."""
        lines = "".join("\n" if key == "-" else f"{key}\n" for key in keys)
        self.monkeypatch.setattr(sys, "stdin", StringIO(lines))
        file = StringIO()
        console = Console(file=file, width=width, height=height, force_terminal=terminal, highlight=False)
        self.status = play(self.lesson, self.progress, self.folder / "figures", console=console, **settings)
        return file.getvalue()

    @property
    def place(self):
        return self.progress.lesson("slopes")


@pytest.fixture
def learner(tmp_path, monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    return Learner(tmp_path, monkeypatch)


def stripped(text):
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def test_keys_from_a_file(learner, tmp_path, monkeypatch):
    (tmp_path / "keys").write_text("\nq\n")
    with (tmp_path / "keys").open() as keys:
        monkeypatch.setattr(sys, "stdin", keys)
        assert play(learner.lesson, learner.progress, tmp_path, console=Console(file=StringIO())) == 0
    assert learner.place.cell == 1


def test_a_whole_lesson_in_plain_text(learner):
    assert stripped(learner.press("----")) == WHOLE
    assert learner.status == 0
    assert learner.place == LessonProgress(0, True)


def test_no_pause(learner):
    seen = learner.press("", pause=False)
    questions = re.compile(r"\[\d/4\].*\n")
    begin = "Lesson 3, 4 cells."
    assert stripped(seen).replace(begin, "") == questions.sub("", WHOLE).replace(begin + " " + player.KEYS, "")
    assert learner.status == 0
    assert learner.place == LessonProgress(0, False), "a script is no learner"


def test_no_pause_begins_at_the_start(learner):
    learner.press("--q")
    assert "count: 1" in learner.press("", pause=False)
    assert learner.place == LessonProgress(2, False)


def test_quit_and_go_on(learner):
    assert learner.press("--q").endswith("Until next time: scratchnst lesson 3 goes on here.\n")
    assert (learner.status, learner.place) == (0, LessonProgress(2, False))
    seen = learner.press("--")
    assert "You were at cell 3." in seen
    assert "count: 1" not in seen, "cells before run unseen"
    assert "\n1\n" in seen, "but they run"
    assert learner.place == LessonProgress(0, True)


def test_from_start(learner):
    learner.press("--q")
    seen = learner.press("q", from_start=True)
    assert "cell 1 of 4" in seen
    assert "You were at" not in seen
    assert learner.place == LessonProgress(0, False)


def test_end_of_input_quits(learner):
    assert learner.press("-").endswith("goes on here.\n")
    assert (learner.status, learner.place) == (0, LessonProgress(1, False))


def test_back_shows_and_does_not_run(learner):
    seen = learner.press("--bb---q")
    assert seen.count("count: 1") == 3, "run, shown again, and once more on the way forth"
    assert "count: 2" not in seen
    assert seen.count("cell 2 of 4, again") == 2
    assert learner.place.cell == 3


def test_back_after_going_on(learner):
    learner.press("--q")
    seen = learner.press("bq")
    assert "cell 2 of 4, again" in seen
    assert "count: 1" in seen, "what it printed unseen"


def test_other_keys(learner):
    seen = learner.press("bx?q")
    assert "This is the first cell." in seen
    assert seen.count(player.KEYS) == 2
    assert player.HELP[0] in seen
    assert str(learner.lesson.path) in seen.replace("\n", "")


def test_mistake(learner):
    learner.write(TEXT + "assert count == 2, 'not two'\n")
    seen = learner.press("----")
    assert learner.status == 1
    assert seen.endswith("line 30: assert count == 2, 'not two'\nAssertionError: not two\n")
    assert learner.place == LessonProgress(3, False), "the next time, it goes on where it failed"


def test_mistake_in_a_cell_run_unseen(learner):
    learner.press("--q")
    learner.write(TEXT.replace("count += 1", "count += unknown"))
    assert learner.press("-").endswith("NameError: name 'unknown' is not defined\n")
    assert (learner.status, learner.place.cell) == (1, 2)


def test_a_lesson_that_has_become_shorter(learner):
    learner.progress.set_place("slopes", 40)
    assert "cell 4 of 4" in learner.press("-")
    assert learner.status == 0


def test_finished_stays_finished(learner):
    learner.press("----")
    learner.press("-q")
    assert learner.place == LessonProgress(1, True)


@pytest.mark.parametrize("width", [16, 24, 40])
def test_narrow_terminals(learner, width):
    code_and_prose = learner.press("----", width=width)
    assert max(map(cell_len, code_and_prose.splitlines())) <= width + 1  # the questions end in a blank
    assert learner.status == 0


def test_no_escape_codes_without_a_terminal(learner):
    assert "\x1b" not in learner.press("----")


def test_terminal(learner):
    seen = learner.press("----", terminal=True)
    assert "\x1b[3" in seen  # colours
    assert "running ..." in seen
    assert "count: 1\n" in seen


def test_no_color(learner):
    learner.monkeypatch.setenv("NO_COLOR", "1")
    seen = learner.press("----", terminal=True)
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]", seen)


def test_full_screen_waits(learner):
    learner.write(TEXT.replace("# One more.", "#\n".join(f"# Line {number}.\n" for number in range(1, 30))))
    seen = learner.press("-q", height=20, terminal=True)
    assert "Enter shows more" in seen
    assert "Line 6." in seen
    assert "Line 12." not in seen
    assert learner.place.cell == 1
    seen = learner.press("-----", height=20, terminal=True)
    assert "Line 29." in seen
    assert "count: 1" in seen


@pytest.fixture
def terminal(learner, tmp_path):
    """Return what starts the lesson in a terminal of its own, and gives its process and its end of the terminal."""
    code = (
        "import sys; from pathlib import Path\n"
        "from scratchnst.cli import lesson; from scratchnst.classroom.library import Lesson\n"
        f"lesson.find_lesson = lambda number: Lesson(Path({str(learner.lesson.folder)!r}))\n"
        "from scratchnst.cli import main; sys.exit(main(['lesson', '3']))"
    )
    started = []

    def start():
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 60, 0, 0))
        environment = {
            **os.environ,
            "SCRATCHNST_PROGRESS": str(learner.progress.path),
            "SCRATCHNST_CACHE": str(tmp_path),
        }
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment,
            start_new_session=True,
        )
        os.close(theirs)
        started.append((process, ours))
        return process, ours

    yield start
    for process, ours in started:
        process.kill()
        process.wait()
        os.close(ours)


def read_until(text, terminal, seconds=60):
    """Return what a terminal shows up to `text`."""
    seen, end = b"", time.monotonic() + seconds
    while text.encode() not in seen and time.monotonic() < end:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                seen += os.read(terminal, 65536)
            except OSError:  # the other end is closed
                break
    return seen.decode(errors="replace")


def wait_until_it_waits(process, seconds=60):
    """Wait until a process does nothing: Python does not hear a signal that comes just before it reads a line."""
    process, end, used = psutil.Process(process.pid), time.monotonic() + seconds, -1.0
    while process.status() != psutil.STATUS_SLEEPING or process.cpu_times().user > used:
        assert time.monotonic() < end, "it never waits"
        used = process.cpu_times().user
        time.sleep(0.3)


def test_in_a_terminal(learner, terminal):
    process, screen = terminal()
    read_until("[1/4] Enter goes on", screen)
    os.write(screen, b"\n")
    assert "count: 1" in read_until("[2/4] Enter goes on", screen)
    os.write(screen, b"q\n")
    assert "Until next time" in read_until("goes on here", screen)
    assert process.wait(60) == 0
    assert learner.place.cell == 1


@pytest.mark.parametrize("cell", ["import time; print('asleep', flush=True); time.sleep(600)", "x = 1"])
def test_ctrl_c(learner, terminal, cell):
    """In a running cell and at a question."""
    learner.write(TEXT.replace("count += 1", cell))
    process, screen = terminal()
    read_until("[1/4] Enter goes on", screen)
    os.write(screen, b"\n")
    read_until("asleep\r\n" if "asleep" in cell else "[2/4] Enter goes on", screen)
    wait_until_it_waits(process)
    process.send_signal(signal.SIGINT)
    said = read_until("goes on there.", screen)
    assert process.wait(60) == 130
    assert "scratchnst: stopped; scratchnst lesson 3 goes on there." in said
    assert "Traceback" not in said
    assert learner.place.cell == 1
