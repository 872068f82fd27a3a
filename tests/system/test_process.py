"""A process of the program's own: requests and replies, and what either side sees when the other is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from scratchnst.system.process import Ended, Process


def ask(process, *request):
    process.send(request)
    return process.receive()


def test_requests_and_replies():
    with Process("answering", 5, ["a"]) as process:
        process.send(("echo", "one"))
        process.send(("echo", np.arange(300_000)))  # more than a pipe holds
        assert process.receive() == ((5, ["a"]), "one")
        np.testing.assert_array_equal(process.receive()[1], np.arange(300_000))
    assert process.process.returncode is not None


@pytest.mark.parametrize("plain", [False, True])
def test_set_up_as_the_command_line_unless_plain(plain):
    """It has to be before NumPy is imported."""
    with Process("answering", plain=plain) as process:
        assert ask(process, "setup", None) == (not plain, False)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_between_two_requests(number):
    with Process("answering") as process:
        ask(process, "echo", "one")
        os.kill(process.process.pid, number)
        process.process.wait(10)
        for _ in range(2):
            with pytest.raises(Ended, match="memory runs out" if number == signal.SIGKILL else "ended by SIGTERM"):
                process.send(("echo", "two"))


def test_killed_over_a_request():
    with Process("answering") as process:
        process.send(("sleep", 100))
        timer = threading.Timer(0.3, process.process.kill)
        timer.start()
        with pytest.raises(Ended, match="memory runs out"):
            process.receive()
        timer.join()


@pytest.mark.parametrize(("module", "status"), [("answering", 3), ("no_such_module", 1)])
def test_it_ends_by_itself(module, status):
    with Process(module) as process, pytest.raises(Ended, match=f"ended with status {status}"):
        ask(process, "exit", 3)


def test_what_is_printed_does_not_get_among_the_replies(tmp_path):
    """The parent is a program of its own, whose stdout and stderr can be told apart."""
    (tmp_path / "program.py").write_text(
        "import sys\n\n"
        "from scratchnst.system.process import Process\n\n"
        f"sys.path.append({os.path.dirname(os.path.dirname(__file__))!r})\n"
        "with Process('answering') as process:\n"
        "    process.send(('echo', 'one'))\n"
        "    assert process.receive() == ((), 'one')\n"
    )
    ended = subprocess.run([sys.executable, str(tmp_path / "program.py")], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (0, "")
    assert ended.stderr.count("hello") == 2


def test_modules_of_the_current_folder_are_not_imported(tmp_path, monkeypatch):
    for name in ("json", "numpy", "pickle", "scratchnst", "answering"):
        (tmp_path / f"{name}.py").write_text("open('executed', 'w')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.syspath_prepend("")
    with Process("answering") as process:
        np.testing.assert_array_equal(ask(process, "echo", np.ones(3))[1], np.ones(3))
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("busy", [False, True])
def test_without_a_parent_it_ends(busy):
    """Whatever happens to the parent, no process stays behind."""
    with Process("answering") as process:
        ask(process, "echo", "one")
        if busy:
            process.send(("sleep", 100))
            time.sleep(0.2)
        process.requests.close()
        process.process.wait(30)
        assert process.process.returncode == 0


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="there are no groups of processes")
def test_ctrl_c_is_for_the_parent():
    with Process("answering") as process:
        os.kill(process.process.pid, signal.SIGINT)  # as soon as it has been started
        ask(process, "echo", "one")
        os.kill(process.process.pid, signal.SIGINT)
        assert ask(process, "echo", "two") == ((), "two")
