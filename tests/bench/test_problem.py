"""The benchmark's task: seeded, of the right shapes, refused where it cannot be done; the limit of its speed."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from scratchnst.bench import limit, problem
from scratchnst.bench.names import SGEMM
from scratchnst.engine import textbook
from scratchnst.errors import UserError
from scratchnst.models import vgg
from scratchnst.models.layers import Layer
from scratchnst.models.network import Network


def test_the_same_problem_again():
    one, another, other = (problem.make(20, seed) for seed in (0, 0, 1))
    assert one.content.shape == one.style.shape == one.start.shape == (20, 20, 3)
    for name in ("content", "style", "start"):
        assert getattr(one, name).dtype == np.float32
        np.testing.assert_array_equal(getattr(one, name), getattr(another, name))
        assert not np.array_equal(getattr(one, name), getattr(other, name))
    w, b = one.network.parameters["conv5_1"]
    np.testing.assert_array_equal(w, another.network.parameters["conv5_1"][0])
    assert (w.shape, w.dtype, b.shape) == ((3, 3, 512, 512), np.float32, (512,))


def test_the_papers_objective_down_to_conv5_1():
    network = problem.random_network()
    assert [layer.name for layer in network.layers if layer.kind == "conv"] == list(vgg.kernel_shapes())[:13]
    objective = problem.objective(problem.make(16), textbook)
    assert list(objective.content_layers) == ["conv4_2"]
    assert list(objective.style_layers) == [f"conv{block}_1" for block in range(1, 6)]
    assert objective.tv_weight == 0
    assert objective.network.pooling == "avg"


def test_activations_keep_their_size():
    task = problem.make(64)
    features, _ = task.network.forward(task.content[np.newaxis], ["conv1_1", "conv3_1", "conv5_1"])
    for feature in features.values():
        assert 0.2 < float((feature**2).mean()) ** 0.5 < 5


def test_sizes_that_cannot_be_done_are_refused(monkeypatch):
    problem.check(16)
    with pytest.raises(UserError, match="15x15 pixels is too small"):
        problem.check(15)
    monkeypatch.setattr(problem.psutil, "virtual_memory", lambda: SimpleNamespace(total=10**9))
    problem.check(1024)  # 2 layers of 64 channels of 4 bytes: 0.54 GB
    with pytest.raises(UserError, match=r"2048x2048 pixels need more than 2 GB of memory.* has 1 GB"):
        problem.check(2048)


def test_operations_by_hand():
    layers = (Layer("a", "conv"), Layer("pool", "pool"), Layer("b", "conv"), Layer("unused", "conv"))
    shapes = {"a": (3, 3, 3, 32), "b": (3, 3, 32, 32), "unused": (3, 3, 32, 32)}
    parameters = {name: (np.zeros(shape, np.float32), np.zeros(32, np.float32)) for name, shape in shapes.items()}
    network = Network("small", layers, parameters, vgg.OXFORD_RGB, vgg.defaults(vgg.table()))
    a = 2 * (32 * 32) * 9 * 3 * 32  # directly, for there are few channels
    b = 2 * (4 * 4) * 36 * 32 * 32  # 16 x 16 pixels are 4 x 4 tiles of Winograd's
    gram = 2 * (32 * 32) * 32 * 32
    assert limit.operations(network, ["b"], ["a"], 32) == 2 * (a + b + gram)


@pytest.mark.parametrize(("side", "tiles"), [(16, 16), (17, 25), (20, 25)])
def test_a_tile_begun_counts_whole(side, tiles):
    assert limit.convolution(side, 64, 32) == 2 * tiles * 36 * 64 * 32


def test_operations_of_the_large_product(monkeypatch):
    monkeypatch.setattr(limit, "SIDE", 3)
    assert limit.amounts("cpu")[SGEMM] == ("operations", 54)
    product = limit.Sgemm(0)
    product.evaluate()
    np.testing.assert_allclose(product.product, product.A.astype(float) @ product.B, rtol=1e-5)
