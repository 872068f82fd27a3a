"""The memory that is told is what is measured."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from scratchnst.engine import cpu
from scratchnst.fast import memory
from scratchnst.fast.fast_style import FastStyle, Style
from scratchnst.models import transform_net

MEASURED = """
import sys
import numpy as np
from scratchnst.system import startup
startup.prepare()
from scratchnst.engine import cpu
from scratchnst.fast import memory
from scratchnst.fast.fast_style import FastStyle
model, height, width, limit = FastStyle.load("model.h5"), *map(int, sys.argv[1:])
told = memory.outlook(model.network, height, width, limit or None)
model(np.random.default_rng(0).uniform(0, 255, (height, width, 3)).astype(np.float32), in_strips=told.in_strips)
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")), told.peak)
print(int(told.in_strips))
"""


@pytest.fixture
def network(random):
    return transform_net.build(random).on(cpu)


def test_strips_take_less(network):
    assert 2 * memory.strips_of(network, 3000, 4000) < memory.whole(network, 3000, 4000)


def test_the_limit_decides_about_strips_and_else_what_the_machine_has(network, monkeypatch):
    monkeypatch.setattr(memory, "resident", lambda engine: 100)
    whole = memory.outlook(network, 600, 800, 10**12)
    assert not whole.in_strips
    assert memory.outlook(network, 600, 800, whole.peak) == whole
    assert memory.outlook(network, 600, 800, whole.peak - 1).in_strips
    for capacity, in_strips in ((whole.peak, False), (whole.peak - 101, True)):
        monkeypatch.setattr(memory, "capacity", lambda engine, capacity=capacity: capacity)
        assert memory.needs_strips(network, 600, 800) is in_strips


@pytest.mark.parametrize("limit", [None, 250_000_000])
def test_the_largest_size(network, monkeypatch, limit):
    monkeypatch.setattr(memory, "resident", lambda engine: 100_000_000)
    size = memory.largest_size(network, 1500, 2000, limit, 250_000_000)
    peaks = [memory.outlook(network, round(0.75 * side), side, limit).peak for side in (size, size + 8)]
    assert peaks[0] <= 250_000_000 < peaks[1]
    assert memory.largest_size(network, 1500, 2000, None, 1000) is None


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="nobody tells here how much memory a program had")
@pytest.mark.parametrize(("height", "width", "limit"), [(400, 600, 0), (1200, 1401, 0), (1200, 1401, 300_000_000)])
def test_what_is_told_is_what_it_takes(network, folder, height, width, limit):
    FastStyle(network, (Style("one"),), {}).save(folder / "model.h5")
    command = [sys.executable, "-c", MEASURED, *map(str, (height, width, limit))]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    measured, told, in_strips = 1024 * int(printed[0]), int(printed[1]), printed[2]
    assert in_strips == str(int(limit > 0))
    assert 0.95 * measured <= told <= 1.2 * measured
