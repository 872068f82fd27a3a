"""Signals that interrupt the program."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from scratchnst import images
from scratchnst.system import signals

COMMAND = ["transfer", "content.png", "style.jpg", "-o", "out.png", "--size", "64"]
COMMAND += ["--iterations", "100000", "--least-gain", "0"]  # without an end of its own


def raise_all():
    for number in signals.NUMBERS:
        signal.raise_signal(number)


def test_uninterrupted():
    before = [signal.getsignal(number) for number in signals.NUMBERS]
    with signals.uninterrupted():
        raise_all()
    assert [signal.getsignal(number) for number in signals.NUMBERS] == before
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_only_one_interrupts():
    with signals.one_interrupt() as arm:
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)  # a second time: nothing
            arm()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_in_a_thread_nothing_is_changed():
    before, seen = signal.getsignal(signal.SIGINT), []

    def look():
        with signals.uninterrupted(), signals.one_interrupt():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [before]


def test_what_is_ignored_stays_so(monkeypatch):
    before = {number: signal.signal(number, signal.SIG_IGN) for number in signals.NUMBERS}
    try:
        signals.interrupt()
        raise_all()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def start(*arguments):
    return subprocess.Popen([sys.executable, "-m", "scratchnst", *arguments], stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", signals.NUMBERS)
def test_each_saves_the_picture_however_often_it_comes(folder, number):
    with start(*COMMAND) as process:
        assert any("iteration 1/" in line for line in process.stderr)
        for _ in range(20):
            process.send_signal(number)
            time.sleep(0.005)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "the last good image is saved" in said
    assert "Traceback" not in said
    assert images.load("out.png").shape == (48, 64, 3)
    assert sorted(os.listdir()) == ["content.png", "out.json", "out.png", "style.jpg"]


def test_before_the_first_step_ctrl_c_is_quiet(tmp_path):
    """As soon as this program, and not Python alone, has begun."""
    (tmp_path / "numpy.py").write_text("print('importing', flush=True)\nimport time\ntime.sleep(60)\n")
    command = [sys.executable, "-c", "from scratchnst.__main__ import main; main()", "doctor"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    with subprocess.Popen(command, stdout=-1, stderr=-1, text=True, env=environment) as process:
        assert process.stdout.readline() == "importing\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == 130
