"""``tests/gpu.sh``, with stand-ins for the programs that it calls."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "gpu.sh"

pytestmark = pytest.mark.skipif(shutil.which("sh") is None, reason="there is no shell sh")


@pytest.fixture
def call(tmp_path):
    """Run the script with stand-ins that note how they are called; those whose name `fails` says fail."""
    log = tmp_path / "log"
    for name in ("python", "compute-sanitizer"):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\necho {name} "$@" >> {log}\ncase "$*" in $FAILS) exit 1; esac\n')
        program.chmod(0o755)

    def run(*parts, fails="", styles=""):
        settings = {"STYLES": styles, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHON": "python", "FAILS": fails}
        done = subprocess.run(["sh", SCRIPT, *parts], capture_output=True, text=True, env={**os.environ, **settings})
        return done.returncode, done.stdout, log.read_text().splitlines()

    return run


def test_everything_in_one_call(call):
    status, _, calls = call()
    assert status == 0
    assert calls[:2] == ["python -m scratchnst doctor", "python -m pytest -q -W default -m gpu"]
    sanitized = [line.split() for line in calls if line.startswith("compute-sanitizer")]
    assert [words[2] for words in sanitized] == ["memcheck", "racecheck", "initcheck", "synccheck"]
    assert [words[2] for words in sanitized if "--kernel-name-exclude" not in words] == ["initcheck"]
    assert calls[3] == "python -m scratchnst bench --device cuda --peer torch --minutes 9 --json gpu.json"


def test_what_fails_is_named_and_the_rest_is_done(call):
    status, said, calls = call(fails="*racecheck*")
    assert status == 1
    assert said.splitlines()[-1] == "failed: racecheck"
    assert "synccheck" in calls[-1]


def test_part_by_part_and_without_pytorch(call):
    status, _, calls = call("bench", fails="*torch")
    assert status == 0
    assert calls[-1] == "python -m scratchnst bench --device cuda --minutes 9 --json gpu.json"
    assert not [line for line in calls if "pytest" in line]
    assert call("speed")[0] == 2


def test_a_training(call):
    status, _, calls = call("training", fails="*torch")
    assert status == 0
    assert calls[1] == "python -m scratchnst samples gpu-training"
    assert "train style gpu-training/style.png -o gpu-training/model.h5 --device cuda --minutes 3 --log" in calls[2]
    assert "fast gpu-training/content.png --model gpu-training/model.h5 --device cuda" in calls[3]
    assert "bench --device cuda --parts training fast arbitrary --json gpu-training/bench.json" in calls[-1]
    status, said, calls = call("training", "bench", fails="*train*style*")
    assert status == 1
    assert said.splitlines()[-1] == "failed: training"
    assert not [line for line in calls[6:] if " fast " in line]
    assert calls[-1].endswith("--json gpu.json")


def test_a_network_for_any_style(call):
    status, said, calls = call("arbitrary")
    assert status == 0
    assert "STYLES names no folder" in said
    assert calls == ["python -m scratchnst doctor"]
    status, _, calls = call("arbitrary", styles="paintings")
    assert status == 0
    assert "train arbitrary --styles paintings -o gpu-training/arbitrary.h5 --device cuda --minutes 3" in calls[3]
    assert calls[-1].startswith("python -m scratchnst arbitrary gpu-training/content.png gpu-training/style.png")


def test_the_files_it_names_are_there():
    named = re.findall(r"\btests/[\w/]+\.py", SCRIPT.read_text())
    assert len(named) == 4
    assert all((SCRIPT.parents[1] / name).exists() for name in named)
