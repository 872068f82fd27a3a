"""Fixtures of the commands."""

from __future__ import annotations

import math
import sys

import pytest

from scratchnst.cli import many
from scratchnst.errors import FileError, UserError
from scratchnst.transfer import done
from scratchnst.transfer.forecast import Forecast
from scratchnst.transfer.many import paint
from scratchnst.transfer.memory import MemoryEstimate
from scratchnst.weights.load import remembering


@pytest.fixture
def made(monkeypatch):
    """Many pictures are made by this process, and nothing is measured, which takes less time.

    Yields the stems of the pictures that were made.
    """
    found = []

    def here(plan):
        for number, run in enumerate(plan.runs):
            try:
                paint(run.settings, run.command)
                done.note_inputs(run.settings, run.inputs)
            except FileError:
                raise
            except UserError as error:
                yield number, error
            else:
                found.append(run.settings.output.stem)
                yield number, None

    def forecast(settings):
        return Forecast([], MemoryEstimate(10**8, math.inf), 10**10, 1.0, "1 thread", False)

    monkeypatch.setattr(many, "here", here)
    monkeypatch.setattr("scratchnst.transfer.many.forecast", forecast)
    with remembering():
        yield found


@pytest.fixture
def no_dask(monkeypatch):
    """As on a machine without Dask."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    for module in ("fast.cluster", "system.cluster", "transfer.elsewhere"):
        monkeypatch.delitem(sys.modules, f"scratchnst.{module}", raising=False)
        monkeypatch.delattr(f"scratchnst.{module}", raising=False)
