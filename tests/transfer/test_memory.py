"""Estimates of memory against what Python's allocator counts, and the choice of strips for a limit."""

from __future__ import annotations

import math
import tracemalloc
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from networks import random_vgg19

from scratchnst import Objective, load_network
from scratchnst.bench import problem
from scratchnst.engine import cpu, cuda, textbook
from scratchnst.engine.cpu import threads
from scratchnst.errors import UserError
from scratchnst.optimize import BYTES_PER_BOUNDED_UNKNOWN, BYTES_PER_UNKNOWN, OPTIMIZERS
from scratchnst.system import containers, startup
from scratchnst.system.containers import Group
from scratchnst.transfer import memory

MB = 1 << 20


def objective(network, height, width, **settings):
    random = np.random.default_rng(2)
    content, style = (random.uniform(0, 255, (height, width, 3)) for _ in range(2))
    return Objective(network, content, [style], **settings)


def measured(function):
    """The largest number of bytes allocated during a call of `function`."""
    threads.release()  # buffers that they keep would not be allocated again
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("largest", [math.inf, 2 * MB])
@pytest.mark.parametrize(
    ("engine", "pooling", "dtype"),
    [(cpu, "avg", "float32"), (cpu, "max", "float32"), (textbook, "avg", "float32"), (cpu, "avg", "float64")],
)
def test_an_evaluation_takes_what_was_estimated(engine, pooling, dtype, largest):
    one = objective(random_vgg19(7).on(engine), 128, 160, pooling=pooling, dtype=dtype, largest_strip=largest)
    assert memory.evaluation(one, largest) == pytest.approx(measured(lambda: one(np.zeros(one.shape))), rel=0.15)


@pytest.mark.parametrize("largest", [math.inf, 2 * MB])
@pytest.mark.parametrize("style_loss", ["moments", "wasserstein", "sliced"])
@pytest.mark.parametrize("engine", [cpu, textbook])
def test_other_style_losses_take_what_was_estimated(engine, style_loss, largest):
    options = {"style_loss": style_loss, "tv": "absolute", "laplacian_weight": 1.0, "largest_strip": largest}
    one = objective(random_vgg19(5, width=16).on(engine), 128, 160, **options)
    assert memory.evaluation(one, largest) == pytest.approx(measured(lambda: one(np.zeros(one.shape))), rel=0.15)


def test_an_evaluation_of_a_network_that_branches():
    one = objective(load_network("pyramid").on(cpu), 400, 300)
    assert memory.evaluation(one) == pytest.approx(measured(lambda: one(np.zeros(one.shape))), rel=0.15)


@pytest.mark.parametrize(("largest", "gigabytes"), [(math.inf, 23), (512 * MB, 12)])
def test_4096_pixels_on_a_gpu(largest, gigabytes):
    """What `scratchnst.engine.meta.MetaCuda` tells: without numbers, an image may as well be larger."""
    side, task = 4096, problem.make(64)
    one = problem.objective(task)
    one.shape, one.network = (side, side, 3), replace(one.network, engine=cuda)
    one.summands = [replace(term, loss=getattr(cuda, term.loss_name)) for term in one.summands]
    weights = sum(w.nbytes + b.nbytes for w, b in task.network.parameters.values())
    content = np.dtype("float32").itemsize * math.prod(one.network.shapes(side, side)["conv4_2"])
    run = memory.vectors(math.prod(one.shape), "lbfgs") + memory.evaluation(one, largest)
    assert (weights + content + run) / 1e9 == pytest.approx(gigabytes, abs=0.5)


def test_an_estimate_computes_and_changes_nothing():
    one = objective(random_vgg19(5, width=8), 40, 40)
    before = dict(vars(one))
    memory.estimate(one, "scipy-lbfgs")
    assert dict(vars(one)) == before
    assert one.terms == {}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("bounds", [None, (0.0, 255.0)])
def test_an_optimiser_holds_what_is_said(name, bounds):
    unknowns = 200_000
    random = np.random.default_rng(0)
    slopes, start, held = random.uniform(1, 100, unknowns), random.normal(127, 20, unknowns), []

    def f(x):
        held.append(tracemalloc.get_traced_memory()[0])
        return float((slopes * (1 - np.cos(x))).sum() + (x @ x) / 2), slopes * np.sin(x) + x

    OPTIMIZERS[name](f, start, 1, bounds)  # which may import a library
    held.clear()
    measured(lambda: OPTIMIZERS[name](f, start, 15, bounds))
    expected = (BYTES_PER_BOUNDED_UNKNOWN if bounds else BYTES_PER_UNKNOWN)[name]
    assert max(held) / unknowns == pytest.approx(expected, rel=0.1)


def test_the_fastest_way_within_a_limit():
    one = objective(random_vgg19(5), 128, 128)
    whole = memory.estimate(one, "adam").peak
    roomy = memory.fit(one, "adam", whole + MB)
    assert roomy.largest_strip == one.largest_strip == math.inf
    tight = memory.fit(one, "adam", whole - 4 * MB)
    assert tight.largest_strip < math.inf
    assert one.largest_strip == tight.largest_strip
    assert tight.peak <= whole - 4 * MB


def test_a_limit_that_nothing_fits_into():
    one = objective(random_vgg19(5, width=8), 48, 64)
    with pytest.raises(UserError, match=r"64x48 pixels need at least \d+ MB .* scipy-lbfgs, and 1 MB are there"):
        memory.fit(one, "scipy-lbfgs", 1_000_000)
    assert one.largest_strip == math.inf


def test_what_is_free_does_not_decide_about_strips(monkeypatch):
    """They round otherwise; with less than they need there is no run, but the advice to limit it."""
    one = objective(random_vgg19(5), 128, 128)
    whole = memory.estimate(one, "adam").peak
    monkeypatch.setattr(memory, "capacity", lambda engine, strip: whole - 4 * MB)
    strips = []
    for free in (whole + MB, whole - 3 * MB):
        monkeypatch.setattr(memory, "available", lambda engine=None, free=free: free)
        strips.append(memory.fit(one, "adam").largest_strip)
    assert strips[0] == strips[1] < math.inf
    monkeypatch.setattr(memory, "capacity", lambda engine, strip: whole + MB)
    with pytest.raises(UserError, match=rf"and .* are free: .* --memory-limit {(whole - 3 * MB) // 10**6}M, so that"):
        memory.fit(one, "adam")


def test_a_run_in_the_smallest_strips_takes_more_than_its_share_of_the_machine(monkeypatch):
    one = objective(random_vgg19(5, width=8), 48, 64)
    monkeypatch.setattr(memory, "capacity", lambda engine, strip: 1)
    assert memory.fit(one, "adam").largest_strip == memory.STRIPS[-1]


def test_capacity(monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=8e9, available=1e9))
    monkeypatch.setattr(containers, "groups", lambda: [])
    assert memory.capacity() == 4e9
    assert memory.capacity(largest_strip=512 * MB) == 7.6e9
    monkeypatch.setattr(containers, "groups", lambda: [Group(1_000_000_000, 800_000_000), Group(3_000_000_000, 0)])
    assert memory.capacity() == 0.95e9
    assert memory.available() - memory.resident() == pytest.approx(0.19e9, abs=5e6)


def test_memory_that_stays_with_the_process_has_holes(monkeypatch):
    one = objective(random_vgg19(5, width=8), 300, 300)
    before = memory.estimate(one, "adam").peak
    monkeypatch.setattr(startup, "keeps_memory", lambda: True)
    assert memory.estimate(one, "adam").peak - before == pytest.approx(64 * 300 * 300 * 3, rel=0.1)


def test_more_is_available_than_there_is_in_use():
    assert memory.resident() < memory.available()


def test_in_words():
    assert [memory.in_words(size) for size in (0, 1000, 5_240_000, 640_000_000, 2_400_000_000)] == [
        "0 KB",
        "1 KB",
        "5.2 MB",
        "640 MB",
        "2.4 GB",
    ]
