"""A step of training, by us and by PyTorch: the same loss, the same gradient, the same way of moving."""

from __future__ import annotations

import numpy as np
import pytest
from networks import random_vgg19

from scratchnst.bench import problem, trainer
from scratchnst.bench.names import EMULATED, PEERS, TRAINING
from scratchnst.bench.peer_painter import PeerTrainer
from scratchnst.bench.trainer import ADAM, CROPS, LOSS, Trainer
from scratchnst.models import transform_net
from scratchnst.training.style_training import Plan

SIDE = 32


@pytest.fixture
def small(monkeypatch):
    """A narrow network to be trained, and a narrow VGG19 to look at what it paints."""
    network = transform_net.build(np.random.default_rng(2), 1, (5, 6, 7), 2)
    monkeypatch.setattr(trainer, "problem_of", lambda device: (network, Plan(batch=2, side=SIDE)))
    monkeypatch.setattr(problem, "random_network", lambda *_: random_vgg19(13, width=8))
    return network


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="PyTorch, the peer, is not installed: pip install torch")


def difference(contender, another):
    """How far the gradients are apart, relative."""
    (loss, ours), (peers_loss, theirs) = contender.compared(), another.compared()
    assert peers_loss == pytest.approx(loss, rel=1e-4)
    return np.linalg.norm(another.on_host(theirs) - ours) / np.linalg.norm(ours)


@pytest.mark.parametrize("task", TRAINING)
@pytest.mark.parametrize("memory_format", PEERS.values())
@pytest.mark.slow
def test_loss_and_gradient_are_ours(small, torch, task, memory_format):
    ours, peer = Trainer(SIDE, task=task), PeerTrainer(SIDE, memory_format=memory_format, task=task)
    assert difference(ours, peer) < 2e-3
    assert len(ours.compared()[1]) == sum(
        array.size for name, arrays in small.parameters.items() for array in arrays
    ) - sum(small.parameters[name][1].size for name, learnt in transform_net.learnt(small).items() if not learnt[1])


def test_steps_are_ours(small, torch):
    ours, peer = Trainer(SIDE), PeerTrainer(SIDE)
    before, _ = ours.compared()
    for contender in (ours, peer):
        for _ in range(3):
            contender.evaluate()
    assert ours.training.state.iteration == 3
    assert ours.compared()[0] != pytest.approx(before, rel=1e-3)
    assert difference(ours, peer) < 2e-2


def test_another_task_is_seen(small, torch):
    ours, peer = Trainer(SIDE), PeerTrainer(SIDE)
    peer.targets = {name: 1.1 * A for name, A in peer.targets.items()}
    assert peer.compared()[0] != pytest.approx(ours.compared()[0], rel=1e-3)


def test_pieces(small, torch):
    ours, theirs = Trainer(SIDE).pieces(), PeerTrainer(SIDE).pieces()
    facts = trainer.facts("cpu")
    assert list(ours) == list(facts["counts"])
    assert [*theirs, CROPS] == list(ours)
    assert all(seconds > 0 for seconds in [*ours.values(), *theirs.values()])


def test_each_layer_is_in_one_piece():
    """The usual network: 5x5 and strided layers once, eight convolutions between four additions."""
    network, plan = trainer.problem_of("cpu")
    counts = trainer.distinct(network, plan.side)
    assert sum(counts.values()) == len(network.layers)
    assert (counts["conv1"], counts["conv2"], counts["block1_conv1"], counts["block1"]) == (1, 1, 8, 4)
    assert {LOSS, ADAM, CROPS}.isdisjoint(counts)


def test_operations_by_hand():
    """For each pixel of y and weight a multiplication and an addition, three times; twice where x is the image."""
    network, _ = trainer.problem_of("cpu")
    found = trainer.operations(network, 128, 4)
    assert found["conv1"] == 2 * 2 * 4 * 128**2 * 25 * 3 * 16
    assert found["conv2"] == 3 * 2 * 4 * 64**2 * 9 * 16 * 32
    assert found["conv4"] == 3 * 2 * 4 * 64**2 * 9 * 64 * 32
    assert "norm1" not in found


def test_little_is_done_where_the_device_is_emulated():
    network, plan = trainer.problem_of(EMULATED)
    assert plan.side <= 32
    assert max(array.size for arrays in network.parameters.values() for array in arrays) < 1000
