"""PyTorch does the very same task in the benchmark."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

import numpy as np
import pytest
from networks import random_vgg19

from scratchnst.bench import problem
from scratchnst.bench.names import PEERS
from scratchnst.bench.ours import Ours
from scratchnst.bench.peer import Peer, check_available
from scratchnst.errors import UserError
from scratchnst.models import vgg


@pytest.fixture
def small(monkeypatch):
    """The problem with 8 channels everywhere, and with biases; activations are about 1."""

    def network(seed):
        network = replace(random_vgg19(13, seed, width=8), preprocessing=vgg.OXFORD_RGB)
        w, b = network.parameters["conv1_1"]
        return replace(network, parameters={**network.parameters, "conv1_1": (w / 64, b)})

    monkeypatch.setattr(problem, "random_network", network)


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="PyTorch, the peer, is not installed: pip install torch")


def test_ours_lowers_the_loss(small):
    ours = Ours(32)
    loss, gradient = ours.evaluate()
    assert gradient.shape == (32, 32, 3)
    end = ours.run(3)
    assert end["iterations"] == 3
    assert end["evaluations"] >= 4
    assert 0 < end["loss"] < loss


@pytest.mark.parametrize("memory_format", PEERS.values())
@pytest.mark.parametrize("size", [32, 37])
def test_loss_and_gradient_are_ours(small, torch, memory_format, size):
    loss, gradient = Ours(size).evaluate()
    for _ in range(2):  # the second has nothing left of the first
        peers_loss, peers = (peer := Peer(size, memory_format=memory_format)).evaluate()
        assert peers_loss == pytest.approx(loss, rel=1e-5)
        assert np.linalg.norm(peer.on_host(peers) - gradient) < 1e-3 * np.linalg.norm(gradient)
    channels = peer.start.stride()[1]
    assert channels == (1 if memory_format == "channels_last" else size**2)


def test_the_peers_objective_is_not_ours_by_chance(small, torch):
    """Had PyTorch another task, it would be seen."""
    peer = Peer(32)
    peer.mean = peer.mean.flip(1)
    loss, _ = Ours(32).evaluate()
    assert peer.evaluate()[0] != pytest.approx(loss, rel=1e-2)


@pytest.mark.parametrize("memory_format", PEERS.values())
def test_run(small, torch, memory_format):
    peer = Peer(64, memory_format=memory_format)
    start, (loss, _) = peer.start.clone(), peer.evaluate()
    end = peer.run(12)
    assert end["iterations"] == 12
    assert end["evaluations"] >= 12
    assert 0 < end["loss"] < loss / 4
    assert (peer.start == start).all()


def test_without_pytorch(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install torch"):
        check_available()
    with pytest.raises(UserError, match="pip install torch"):
        Peer(16)
