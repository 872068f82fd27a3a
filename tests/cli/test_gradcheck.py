"""``scratchnst gradcheck`` as a user runs it."""

from __future__ import annotations

import json
import shutil
import sys
from functools import cache

import numpy as np
import pytest

from scratchnst import images
from scratchnst.cli import gradcheck, main
from scratchnst.engine import cuda
from scratchnst.engine.cuda import emulator, kernels
from scratchnst.losses import total_variation
from scratchnst.ops import average_pool, relu
from scratchnst.verify.catalogue import check_operation
from scratchnst.verify.mutation.planted import MUTANTS, SOUND
from scratchnst.verify.numpy_engine import as_numpy_engine
from scratchnst.verify.operations import ON_A_GPU


def test_table_of_what_was_asked_for(capsys):
    assert main(["gradcheck", "--op", "relu", "gram"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [
        "operation",
        "of",
        "elements",
        "error",
        "order",
        "kinks",
        "crossed",
        "verdict",
        "seconds",
    ]
    assert [line.split()[0] for line in lines[1:3]] == ["relu", "gram"]
    assert all("pass" in line for line in lines[1:3])
    assert lines[-1].startswith("everything is right")


def test_a_wrong_derivative_is_told_with_its_diagnosis(capsys, monkeypatch):
    monkeypatch.setattr(relu, "backward", lambda grad_y, cache: grad_y)
    assert main(["gradcheck", "--op", "relu", "total_variation"]) == 1
    said = capsys.readouterr().out
    assert "fail" in said
    assert "diagnosis: " in said
    assert "mask" in said
    assert "1 of 2 are not right" in said


@pytest.mark.slow
def test_a_wrong_objective_is_traced_to_the_operation(capsys, monkeypatch):
    backward = average_pool.backward
    monkeypatch.setattr(average_pool, "backward", lambda grad_y, cache: 4 * backward(grad_y, cache))
    assert main(["gradcheck", "--op", "objective"]) == 1
    said = capsys.readouterr().out
    assert "The first one wrong, coming from the loss, is pool4" in said


def test_json(capsys, monkeypatch):
    backward = total_variation.backward
    monkeypatch.setattr(total_variation, "backward", lambda grad_y, cache: 2 * backward(grad_y, cache))
    assert main(["gradcheck", "--op", "relu", "total_variation", "--json"]) == 1
    right, wrong = json.loads(capsys.readouterr().out)
    assert (right["verdict"], wrong["verdict"]) == ("pass", "fail")
    assert wrong["inputs"][0]["worst"]["got"] == pytest.approx(2 * wrong["inputs"][0]["worst"]["expected"])


def test_objective_with_a_network_and_a_plot(tmp_path, capsys):
    path = tmp_path / "curves.png"
    command = ["gradcheck", "--op", "objective", "relu", "--network", "pyramid", "--size", "16", "--plot", str(path)]
    assert main(command) == 0
    assert "objective of pyramid" in capsys.readouterr().out
    picture = images.load(path)
    assert picture.shape[0] > 400
    assert np.ptp(picture) > 200


@pytest.mark.slow
def test_every_element(capsys):
    assert main(["gradcheck", "--op", "objective", "--size", "16", "--full", "--json"]) == 0
    (report,) = json.loads(capsys.readouterr().out)
    assert report["inputs"][0]["checked"] == report["inputs"][0]["total"] == 16 * 16 * 3


def test_seed_changes_the_inputs(capsys):
    errors = []
    for seed in ("0", "1"):
        main(["gradcheck", "--op", "style_loss", "--seed", seed, "--json"])
        errors.append(json.loads(capsys.readouterr().out)[0]["inputs"][0]["worst"])
    assert errors[0] != errors[1]


@pytest.mark.slow
def test_mutants(capsys, monkeypatch):
    few = [*(mutant for mutant in MUTANTS if mutant.module in ("ops.relu", "ops.total_variation")), SOUND[0]]
    run = gradcheck.run_mutants
    monkeypatch.setattr(gradcheck, "run_mutants", lambda seed: run(seed, mutants=few))
    assert main(["gradcheck", "--mutants"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(few) + 3
    assert lines[-1].startswith(f"{len(few)} changes: ")
    assert "missed" not in lines[-1]
    assert main(["gradcheck", "--mutants", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["outcome"] for row in rows} <= {"named", "described", "passed"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--op", "conv3d"], "invalid choice"),
        (["--engine", "none"], "invalid choice"),
        (["--size", "0"], "--size"),
        (["--seed", "-1"], "--seed"),
        (["--network", "missing.h5", "--op", "objective"], "missing.h5 does not exist"),
        (["--plot", "curves.txt", "--op", "relu"], "suffix"),
        (["--plot", "nowhere/curves.png", "--op", "relu"], "nowhere"),
        (["--op", "objective", "--size", "4"], "too small"),
        (["--size", "1"], "one pixel"),
        (["--mutants", "--op", "relu"], "leave out --op"),
    ],
)
def test_bad_input(arguments, said, capsys):
    try:
        status = main(["gradcheck", *arguments])
    except SystemExit as leaving:
        status = leaving.code
    captured = capsys.readouterr()
    assert status == 2
    assert said in captured.err


def test_without_matplotlib_the_plot_is_refused(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["gradcheck", "--op", "relu", "--plot", "curves.png"]) == 2
    assert "pip install" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="the emulator needs g++, which is not installed")
def test_kernels_that_go_wrong_beyond_the_first_block_and_chunk(capsys, monkeypatch):
    """As a student would see it, who has no GPU."""
    original = kernels.source
    changes = {
        "relu": ("(long long)blockIdx.x * blockDim.x + threadIdx.x", "threadIdx.x"),
        "tiled": ("__syncthreads();\n    }\n", "}\n"),  # after the first chunk of channels
    }
    for file, (text, _) in changes.items():
        assert text in original(file)
    monkeypatch.setattr(kernels, "source", lambda file: original(file).replace(*changes.get(file, ("", ""))))
    monkeypatch.setattr(kernels, "_kernel", kernels._kernel.__wrapped__)
    monkeypatch.setattr(kernels, "_module", cache(kernels._module.__wrapped__))
    assert main(["gradcheck", "--device", "emulated", "--op", "relu"]) == 1
    said = capsys.readouterr().out
    assert "nan" in said
    assert "memory holds that no thread has written" in said
    with emulator.installed():
        report = check_operation(
            "conv2d", size=(3, 4), operations=ON_A_GPU, samples=1, module=as_numpy_engine(cuda).conv2d, with_torch=False
        )
    assert not report.passed


def test_one_pixel_is_enough_without_pools(capsys):
    assert main(["gradcheck", "--op", "relu", "--size", "1"]) == 0
    assert "everything is right" in capsys.readouterr().out
