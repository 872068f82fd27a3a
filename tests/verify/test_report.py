"""The report: verdict, text, dictionary, exception."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from scratchnst.verify import GradientError, InputReport, Report
from scratchnst.verify.report import Curve, Kinks, WorstElement

CURVE = Curve((1e-3, 1e-2), (1e-9, math.nan), (1e-10, 1e-8), (1e-9, 1e-10), 1e-3, 2.0, None)
WRONG = InputReport(
    "w",
    (3, 2),
    "float64",
    "fail",
    ("The gradient is wrong.",),
    checked=4,
    judged=3,
    total=6,
    relative_error=0.5,
    precision=1e-9,
    worst=WorstElement((2, 1), 1.5, 3.0),
    directions=3,
    curve=CURVE,
    order=1.0,
    adjoint=0.25,
    kinks=Kinks(2, 1, 1, {"relu": 2}, {"relu": (0, 1)}),
    caught_by=("elements",),
    diagnosis="half of it is missing",
    diagnosis_key="half",
    got=np.zeros((3, 2)),
    expected=np.ones((3, 2)),
)
RIGHT = InputReport("x", (), "float64", "pass", checked=1, judged=1, total=1)


@pytest.mark.parametrize(
    ("verdicts", "overall"),
    [
        (["pass", "pass"], "pass"),
        (["pass", "inconclusive"], "inconclusive"),
        (["fail", "inconclusive"], "fail"),
        (["error", "fail"], "error"),
        ([], "error"),
    ],
)
def test_the_worst_verdict_counts(verdicts, overall):
    report = Report("f", tuple(InputReport("x", verdict=verdict) for verdict in verdicts))
    assert report.verdict == overall
    assert report.passed == (overall == "pass")


def test_a_problem_is_an_error():
    assert Report("f", (RIGHT,), problems=("f raises.",)).verdict == "error"


def test_the_text_says_what_matters():
    text = str(Report("conv2d", (RIGHT, WRONG), notes=("x is float32.",)))
    for part in (
        "conv2d: fail",
        "w (3, 2) float64: fail",
        "The gradient is wrong.",
        "diagnosis: half of it is missing",
        "4 of 6 elements",
        "3 judged",
        "relative error 5.0e-01 at (2, 1): gradient 1.5, expected 3",
        "order 1.00",
        "adjoint identity: relative difference 2.5e-01",
        "kinks: 2 elements",
        "relu 2 units, such as (0, 1)",
        "note: x is float32.",
    ):
        assert part in text


def test_raising():
    assert Report("f", (RIGHT,)).raise_if_wrong().passed
    report = Report("f", (WRONG,))
    with pytest.raises(GradientError) as caught:
        report.raise_if_wrong()
    assert str(caught.value) == str(report)


def test_the_dictionary_is_json():
    report = Report("f", (WRONG,), operation="conv2d", seconds=0.5)
    loaded = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert loaded["verdict"] == "fail"
    assert loaded["passed"] is False
    (found,) = loaded["inputs"]
    assert found["worst"] == {"index": [2, 1], "got": 1.5, "expected": 3.0}
    assert found["curve"]["error"] == [1e-9, None]
    assert found["kinks"]["units"] == {"relu": 2}
    assert found["diagnosis_key"] == "half"
    assert "got" not in found
    assert "expected" not in found
