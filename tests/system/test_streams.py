"""The program with standard streams that are closed, full or of another encoding."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="redirections of a shell")
FULL = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")


def run(redirections, *arguments, **variables):
    """Run the program by a shell, and return its status and what it wrote."""
    program = f'exec "$@" {redirections}'
    command = ["sh", "-c", program, "sh", sys.executable, "-m", "scratchnst", *arguments]
    environment = {**os.environ, **variables}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("arguments", [["weights", "list"], ["--help"], ["samples", "drawn"]])
@pytest.mark.parametrize("redirections", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams(folder, arguments, redirections):
    status, out, err = run(redirections, *arguments)
    assert (status, err) == (0, "")
    assert bool(out) == (redirections == "2>&-")


def test_files_do_not_get_what_was_meant_for_closed_streams(folder):
    """Else the first file that is opened has the number of standard output."""
    assert run(">&- 2>&-", "samples", "drawn")[0] == 0
    assert b"drawn" not in (folder / "drawn" / "content.png").read_bytes()


@FULL
@pytest.mark.parametrize("arguments", [["weights", "list"], ["--help"], ["samples", "drawn"]])
def test_full_output_is_told(folder, arguments):
    status, _, err = run(">/dev/full", *arguments)
    assert status == 2
    assert err == "scratchnst: standard output cannot be written (No space left on device): send it elsewhere.\n"


@FULL
def test_full_standard_error_costs_nothing(folder):
    command = ["transfer", "content.png", "style.jpg", "-o", "out.png", "--size", "24", "--iterations", "2"]
    assert run("2>/dev/full", *command) == (0, "", "")
    assert (folder / "out.png").exists()
    assert run("2>/dev/full", "transfer")[0] == 2


def test_a_reader_that_ends(folder):
    shell = f"({sys.executable} -m scratchnst weights info distilled --all; echo $? >&2) | head -c 1"
    done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, timeout=120)
    assert done.stderr in ("141\n", "0\n")  # 0 where all fits into the pipe before the reader ends


@pytest.mark.parametrize("variables", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}])
def test_names_that_the_terminal_cannot_show(folder, variables):
    status, out, err = run("", "samples", "größe", **variables)
    assert (status, err) == (0, "")
    assert out.count("gr") == 4
    assert (folder / "größe" / "style.png").exists()
    status, _, err = run("", "transfer", "größe.png", "style.jpg", "-o", "out.png", **variables)
    assert (status, err[:31]) == (2, "scratchnst: there is no file gr")
