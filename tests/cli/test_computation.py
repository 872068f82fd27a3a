"""Engine, threads, memory and time on the command line."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from networks import random_vgg19
from threadpoolctl import threadpool_info

from scratchnst import images
from scratchnst.cli import computation, main
from scratchnst.engine.cpu import threads
from scratchnst.weights.formats import native

SMALL = ["transfer", "content.png", "style.jpg", "-o", "out.png", "--size", "24", "--iterations", "3"]


def record(folder):
    return json.loads((folder / "out.json").read_text())["computation"]


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("2G", 2_000_000_000),
        ("500m", 500_000_000),
        ("1.5 GiB", 3 << 29),
        ("64KB", 64000),
        ("1000", 1000),
        (".5T", 5e11),
    ],
)
def test_an_amount_of_memory(text, size):
    assert computation.memory_size(text) == size


@pytest.mark.parametrize("text", ["", "G", "two", "-1G", "0", "1e3", "nan", "inf", "2 G G", "0.1"])
def test_not_an_amount_of_memory(text):
    with pytest.raises(argparse.ArgumentTypeError, match="like 2G or 500M"):
        computation.memory_size(text)


def test_engines_paint_the_same_picture(folder):
    assert main([*SMALL, "--engine", "textbook", "--dtype", "float64"]) == 0
    expected = images.load("out.png")
    assert record(folder)["engine"] == "textbook"
    assert main([*SMALL, "--dtype", "float64"]) == 0
    assert np.abs(images.load("out.png") - expected).max() <= 1
    assert record(folder)["engine"] == "cpu"


def test_the_record_says_how_it_was_computed(folder):
    assert main([*SMALL, "--convolution", "windows", "--threads", "1"]) == 0
    made = record(folder)
    assert made["threads"] == 1
    assert made["largest_strip"] is None
    assert made["convolutions"]["conv1_1"] == made["convolutions"]["conv2_2"] == "windows"
    assert threads.chosen() is None  # and afterwards all is as before
    assert main(SMALL) == 0
    assert record(folder)["convolutions"]["like_conv1_1"] == "shifted"


@pytest.mark.parametrize("engine", ["cpu", "textbook"])
def test_threads_of_blas_are_given_back(folder, engine):
    def threads_of_blas():
        return [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]

    before = threads_of_blas()
    assert main([*SMALL, "--engine", engine, "--threads", "1"]) == 0
    assert threads_of_blas() == before


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--threads", "0"], "a whole number from 1 to 4096"),
        (["--engine", "gpu"], "invalid choice: 'gpu'"),
        (["--convolution", "fft"], "invalid choice: 'fft'"),
        (["--memory-limit", "much"], "an amount of memory like 2G or 500M, not 'much'"),
        (["--memory-limit", "1M"], "24x18 pixels need at least .* and 1 MB are there: choose a smaller size"),
        (["--size", "16384"], "16384x12288 pixels need at least .* GB"),
    ],
)
def test_bad_arguments(folder, capsys, arguments, sentence):
    try:
        status = main([*SMALL, *arguments, *(["--memory-limit", "3G"] if "--size" in arguments else [])])
    except SystemExit as error:
        status = error.code
    assert status == 2
    assert re.search(sentence, capsys.readouterr().err)
    assert not (folder / "out.png").exists()


def test_dry_run_paints_nothing(folder, capsys):
    assert main([*SMALL, "--dry-run", "--size", "48", "--scales", "2", "--iterations", "30"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "size    24x18 (15 iterations), 48x36 (15 iterations)"
    assert re.fullmatch(r"memory  \d+ MB; the limit is [\d.]+ [GM]B", lines[1])
    assert re.fullmatch(r"time    about \d+ (s|min) on \d+ threads?", lines[2])
    assert sorted(os.listdir(folder)) == ["content.png", "style.jpg"]


def test_dry_run_of_a_reconstruction(folder, capsys):
    assert main(["reconstruct", "style", "style.jpg", "-o", "out.png", "--size", "40", "--dry-run"]) == 0
    assert "memory  " in capsys.readouterr().out


# The system's count of a child's memory begins with what its parent has when it forks; VmHWM begins with the program.
PEAK = """
import sys
from scratchnst.__main__ import main
assert main() == 0
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def printed(*command):
    """Return what a Python program prints, run by itself: this process has more in memory than it would have."""
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, check=True).stdout


def peak_of(*arguments):
    """Run the program, and return the most memory that it had, in bytes."""
    return 1024 * int(printed("-c", PEAK, *arguments))


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="nobody tells here how much memory a program had")
def test_memory_is_what_a_dry_run_says_and_a_limit_is_kept(folder):
    native.write(random_vgg19(6), folder / "vgg.h5")
    random = np.random.default_rng(0)
    images.save("content.png", random.uniform(0, 255, (384, 512, 3)))
    command = ["transfer", "content.png", "style.jpg", "-o", "out.png", "--network", "vgg.h5", "--size", "512"]
    command += ["--iterations", "11", "--optimizer", "lbfgs", "--device", "cpu"]

    told = printed("-m", "scratchnst", *command, "--dry-run")
    number, unit = re.search(r"memory  ([\d.]+) ([MG]B)", told).groups()
    whole = peak_of(*command)
    assert float(number) * {"MB": 1e6, "GB": 1e9}[unit] == pytest.approx(whole, rel=0.15)
    picture = images.load("out.png")
    limit = whole - 60_000_000
    assert peak_of(*command, "--memory-limit", str(limit)) < 1.02 * limit
    assert record(folder)["largest_strip"] is not None
    assert np.abs(images.load("out.png") - picture).mean() < 1
