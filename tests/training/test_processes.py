"""A training whose batches are shared among processes: the same to the last bit, whatever becomes of the workers."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
from networks import random_vgg19

from scratchnst.engine import cpu, textbook
from scratchnst.engine.cpu import threads
from scratchnst.errors import UserError
from scratchnst.models import transform_net
from scratchnst.training import processes
from scratchnst.training.perceptual_loss import PerceptualLoss, Weights
from scratchnst.training.photographs import Photographs
from scratchnst.training.processes import Processes
from scratchnst.training.style_training import Plan, Training

PLAN = Plan(iterations=6, batch=5, side=16)  # three parts


@pytest.fixture(autouse=True)
def two_threads():
    before = threads.chosen()
    threads.set_count(2)
    yield
    threads.set_count(before)


@pytest.fixture
def make(random):
    """What makes the same training again and again; its last half has another loss."""
    photographs = [(str(n), random.uniform(0, 255, (40, 50, 3))) for n in range(3)]
    style = np.float32(random.uniform(0, 255, (16, 20, 3)))
    loss_networks = [random_vgg19(4, width=width) for width in (5, 6)]

    def training(weights=None, engine=cpu, plan=PLAN):
        found = Photographs(photographs)
        crops = found.crops(np.random.default_rng(0), 3, plan.side)
        first, second = (
            PerceptualLoss(network.on(engine), [style], crops, weights or Weights(), ["conv2_1"], ["conv1_1"])
            for network in loss_networks
        )
        network = transform_net.build(np.random.default_rng(0), 1, (3, 4, 5), 1).on(engine)
        return Training(network, {0.0: first, 0.5: second}, found, plan)

    return training


@pytest.fixture
def told():
    """The warnings."""
    return []


@pytest.fixture
def share(told):
    with Processes(told.append) as share:
        yield share


def steps(training, count):
    for _ in range(count):
        training.step()
    return training.state


def assert_equal(state, other):
    assert (state.iteration, state.losses, state.range) == (other.iteration, other.losses, other.range)
    for name, arrays in state.parameters.items():
        for array, like in zip(arrays, other.parameters[name]):
            np.testing.assert_array_equal(array, like)


def shared(make, share, **settings):
    training = make(**settings)
    training.share = share
    return training


@pytest.mark.parametrize(("number", "workers"), [(1, 0), (2, 1), (5, 2)])
@pytest.mark.parametrize("weights", [Weights(), Weights(steady=20.0)])
def test_the_same_from_any_number_of_processes(make, share, told, number, workers, weights):
    threads.set_count(number)
    state = steps(shared(make, share, weights=weights), 5)
    assert (len(share.workers), told) == (workers, [])
    assert threads.count() == number
    threads.set_count(1)
    assert_equal(state, steps(make(weights=weights), 5))


@pytest.mark.parametrize(("engine", "plan"), [(textbook, PLAN), (cpu, replace(PLAN, batch=2))])
def test_nothing_is_started(make, share, engine, plan, monkeypatch):
    """Another engine than the CPU's computes, or there is but one part."""

    def start(*arguments, **settings):
        raise AssertionError("a worker was started")

    monkeypatch.setattr(processes, "Process", start)
    settings = {"engine": engine, "plan": plan}
    assert_equal(steps(shared(make, share, **settings), 2), steps(make(**settings), 2))


@pytest.mark.parametrize("before", [0, 1])
def test_a_worker_that_is_killed(make, share, told, before, monkeypatch):
    """Over its first batch, or between two."""
    training = shared(make, share)
    if before:
        steps(training, before)
        share.workers[0].process.kill()
    else:
        start = processes.Process

        def killed(*arguments, **settings):
            process = start(*arguments, **settings)
            process.process.kill()
            return process

        monkeypatch.setattr(processes, "Process", killed)
    assert_equal(steps(training, 3), steps(make(), before + 3))
    assert share.workers == []
    assert len(told) == 1
    assert "memory runs out" in told[0]


def test_a_worker_that_cannot_be_started(make, share, told, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert_equal(steps(shared(make, share), 2), steps(make(), 2))
    assert len(told) == 1


def test_a_worker_that_fails(make, share, told):
    """What it raises, and this process does not, does not end the training."""
    training = shared(make, share)
    steps(training, 1)
    share.workers[0].send((None, None))  # no network, no batch
    assert_equal(steps(training, 1), steps(make(), 2))
    assert len(told) == 1
    assert "AttributeError" in told[0]


def test_a_loss_that_is_not_finite(make, share, told, monkeypatch):
    """The worker finds it, and this process computes nothing."""
    monkeypatch.setattr(processes, "gradients", lambda network, loss, part: None)
    with pytest.raises(UserError, match="--style-weight"):
        shared(make, share, weights=Weights(style=np.inf)).step()
    assert (share.workers, told) == ([], [])


def test_an_interrupted_step_can_be_repeated(make, share, monkeypatch):
    def interrupt(network, loss, part):
        raise KeyboardInterrupt

    training = shared(make, share)
    steps(training, 1)
    with monkeypatch.context() as patch:
        patch.setattr(processes, "gradients", interrupt)
        with pytest.raises(KeyboardInterrupt):
            training.step()
    assert_equal(steps(training, 2), steps(make(), 3))


def test_the_workers_end_with_the_block(make, told):
    with Processes(told.append) as share:
        steps(shared(make, share), 1)
        [worker] = share.workers
    assert worker.process.returncode is not None
