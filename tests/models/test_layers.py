"""Kinds of layers: their geometry, and kinds that are made here, each in one place, and then go everywhere."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from scratchnst import load_network
from scratchnst.attribution.attribution import trace
from scratchnst.engine import cpu, textbook
from scratchnst.engine.engine import Engine
from scratchnst.errors import UserError
from scratchnst.models import checkpointing
from scratchnst.models.layers import KINDS, Kind, Layer
from scratchnst.models.network import Defaults, Network, Preprocessing
from scratchnst.models.normalize import mean_activations, normalize
from scratchnst.models.receptive_field import Window, field, reach, unit
from scratchnst.transfer import memory
from scratchnst.transfer.objective import Objective
from scratchnst.verify.catalogue import check_objective
from scratchnst.verify.methods import oracles
from scratchnst.verify.network.chain import check_chain
from scratchnst.weights.formats import native

KERNEL = (np.zeros((3, 5, 2, 4)), np.zeros(4))


@pytest.mark.parametrize(("kind", "parameters"), [("conv", KERNEL), ("linear", KERNEL), ("pool", ())])
@pytest.mark.parametrize("axis", [0, 1])
def test_what_is_read_and_who_reads_agree(kind, parameters, axis):
    """Row i of a layer reads row p of its source exactly where p is read by i."""
    rule = KINDS[kind]
    for i in range(6):
        first, stop = rule.reads((i, i + 1), parameters, axis)
        for p in range(-4, 16):
            start, end = rule.read_by((p, p + 1), parameters, axis)
            assert (first <= p < stop) == (start <= i < end)


def test_rows_by_hand():
    assert KINDS["conv"].reads((3, 5), KERNEL) == (2, 6)
    assert KINDS["conv"].reads((3, 5), KERNEL, axis=1) == (1, 7)
    assert KINDS["pool"].reads((3, 5), ()) == (6, 10)
    assert KINDS["pool"].read_by((3, 6), ()) == (1, 3)
    assert KINDS["pool"].shape([(7, 8, 3)], ()) == (3, 4, 3)
    assert KINDS["conv"].shape([(7, 8, 2)], KERNEL) == (7, 8, 4)


@dataclass(frozen=True)
class Toy:
    """A kind that is made here, in one place: the kind, its operation and a network in which a layer "toy" is of it."""

    kind: Kind
    operation: SimpleNamespace
    wrong_backward: Callable  # (grad_y, cache) -> another gradient than the right one
    layers: tuple[Layer, ...]
    torch: Callable


@dataclass(frozen=True)
class Corner(Kind):
    """Of each square of 2x2 its upper left pixel."""

    stride: int = 2

    def operation(self, pooling):
        return "corner"

    def reach(self, parameters):
        return (0, 0), (0, 0)


def corner_forward(x):
    height, width = x.shape[1] // 2 * 2, x.shape[2] // 2 * 2
    return x[:, :height:2, :width:2].copy(), x.shape


def corner_backward(grad_y, shape):
    grad_x = np.zeros(shape, grad_y.dtype)
    grad_x[:, : shape[1] // 2 * 2 : 2, : shape[2] // 2 * 2 : 2] = grad_y
    return grad_x


CORNER = Toy(
    Corner(),
    SimpleNamespace(__name__="toys.corner", forward=corner_forward, backward=corner_backward),
    lambda grad_y, shape: np.roll(corner_backward(grad_y, shape), 1, axis=1),
    (Layer("conv1", "conv"), Layer("toy", "corner"), Layer("conv2", "conv")),
    lambda x: x[:, : x.shape[1] // 2 * 2 : 2, : x.shape[2] // 2 * 2 : 2],
)


@dataclass(frozen=True)
class Difference(Kind):
    """The difference of two layers."""

    inputs: int = 2

    def operation(self, pooling):
        return "difference"


DIFFERENCE = Toy(
    Difference(),
    SimpleNamespace(
        __name__="toys.difference",
        forward=lambda a, b: (a - b, None),
        backward=lambda grad_y, _: (grad_y.copy(), -grad_y),
    ),
    lambda grad_y, _: (grad_y.copy(), grad_y.copy()),
    (
        Layer("conv1", "conv"),
        Layer("pool1", "pool"),
        Layer("block", "conv"),
        Layer("flat", "linear"),
        Layer("toy", "difference", ("pool1", "flat")),
        Layer("conv2", "conv"),
    ),
    lambda a, b: a - b,
)


@dataclass(frozen=True)
class Scale(Kind):
    """A factor (C,) for each channel, a parameter."""

    parameter_names: tuple[str, ...] = ("factor",)

    def operation(self, pooling):
        return "scale"

    def parameter_shapes(self, name, given, channels):
        return ((channels[0],),)

    def rescaled(self, parameters, before, after):
        return ((parameters[0] * (before / after)).astype(parameters[0].dtype),)


SCALE = Toy(
    Scale(),
    SimpleNamespace(
        __name__="toys.scale",
        forward=lambda x, factor: (x * factor, (x, factor)),
        backward=lambda grad_y, cache: (grad_y * cache[1], (grad_y * cache[0]).sum(axis=(0, 1, 2))),
        backward_input=lambda grad_y, cache: grad_y * cache[1],
        backward_parameters=lambda grad_y, cache: ((grad_y * cache[0]).sum(axis=(0, 1, 2)),),
    ),
    lambda grad_y, cache: grad_y,
    (Layer("conv1", "conv"), Layer("toy", "scale"), Layer("conv2", "conv")),
    lambda x, factor: x * factor,
)


@dataclass(frozen=True)
class Centred(Kind):
    """Each channel less its mean over all positions, of which no strip knows."""

    in_strips: bool = False

    def operation(self, pooling):
        return "centred"


CENTRED = Toy(
    Centred(),
    SimpleNamespace(
        __name__="toys.centred",
        forward=lambda x: (x - x.mean(axis=(1, 2), keepdims=True), None),
        backward=lambda grad_y, _: grad_y - grad_y.mean(axis=(1, 2), keepdims=True),
    ),
    lambda grad_y, _: grad_y.copy(),
    (Layer("conv1", "conv"), Layer("pool1", "pool"), Layer("toy", "centred"), Layer("conv2", "conv")),
    lambda x: x - x.mean(dim=(1, 2), keepdim=True),
)

SHAPE = (19, 14)
CONVOLUTIONS = {"conv1": (3, 4), "block": (4, 6), "flat": (6, 4), "conv2": (4, 5)}
x, content, style = np.random.default_rng(2).uniform(0, 255, (3, *SHAPE, 3))


@pytest.mark.parametrize("toy", [CORNER, DIFFERENCE, SCALE, CENTRED], ids=lambda toy: type(toy.kind).__name__)
class TestToyKind:
    @pytest.fixture
    def network(self, toy, monkeypatch):
        monkeypatch.setitem(KINDS, toy.kind.operation("avg"), toy.kind)
        random = np.random.default_rng(0)
        parameters = {
            layer.name: (
                random.standard_normal((3, 3, *CONVOLUTIONS[layer.name])) / 5,
                np.full(CONVOLUTIONS[layer.name][1], 1.0),
            )
            for layer in toy.layers
            if layer.name in CONVOLUTIONS
        }
        if toy is SCALE:
            parameters["toy"] = (random.uniform(0.5, 2, 4),)
        defaults = Defaults({"conv2": 1.0}, {"toy": 0.5, "conv2": 0.5}, 1e-3, tv_weight_per_pixel=1e-6)
        engine = Engine("cpu", [*cpu.own.values(), toy.operation])
        network = Network("toy", toy.layers, parameters, Preprocessing("RGB", 1 / 255), defaults)
        return network.on(engine).astype("float32")

    @pytest.fixture
    def objective(self, network):
        return lambda network=network, **settings: Objective(network, content, [style], dtype="float64", **settings)

    def test_forward_and_backward(self, objective):
        v = np.random.default_rng(3).standard_normal(x.shape)
        v /= np.linalg.norm(v)
        one = objective()
        slope = (one(x + 1e-4 * v)[0] - one(x - 1e-4 * v)[0]) / 2e-4
        assert np.vdot(one(x)[1], v) == pytest.approx(slope, rel=1e-5)

    def test_gradients_of_parameters(self, network):
        network, image = network.astype("float64"), x[np.newaxis]
        features, cache = network.forward(image, ["conv2"])
        upstream = np.random.default_rng(3).standard_normal(features["conv2"].shape)
        grads = network.backward_parameters({"conv2": upstream}, cache)
        assert grads.keys() == network.parameters.keys()
        for name, arrays in network.parameters.items():

            def loss(array, name=name, others=arrays[1:]):
                changed = replace(network, parameters={**network.parameters, name: (array, *others)})
                return np.vdot(upstream, changed.forward(image, ["conv2"])[0]["conv2"])

            v = np.random.default_rng(4).standard_normal(arrays[0].shape)
            slope = (loss(arrays[0] + 1e-6 * v) - loss(arrays[0] - 1e-6 * v)) / 2e-6
            assert np.vdot(grads[name][0], v) == pytest.approx(slope, rel=1e-5)
        _, cache = network.forward(image, ["conv2"], training=False)
        with pytest.raises(ValueError, match="training=True"):
            network.backward_parameters({"conv2": upstream}, cache)

    def test_in_strips(self, toy, network, objective):
        sections = checkpointing.cut(network, ["toy", "conv2"], SHAPE, 500)
        strips = {layer.name: len(section.strips) for section in sections for layer in section.layers}
        assert strips["conv1"] > 1
        assert (strips["toy"] > 1) is toy.kind.in_strips
        loss, grad = objective()(x)
        in_strips, same = objective(largest_strip=500)(x)
        assert in_strips == pytest.approx(loss, rel=1e-12)
        np.testing.assert_allclose(same, grad, rtol=1e-9, atol=1e-12 * np.abs(grad).max())

    def test_is_verified(self, objective):
        report = check_chain(objective(), x)
        assert report.passed, report

    def test_the_objective_is_checked(self, network):
        report = check_objective(network, content, style, samples=8)
        assert report.passed, report

    def test_its_memory_is_estimated(self, toy, objective):
        whole, in_strips = (memory.evaluation(objective(), largest) for largest in (math.inf, 500))
        assert x.nbytes < in_strips < whole

    def test_a_wrong_backward_is_found(self, toy, network, objective):
        operation = copy(toy.operation)
        setattr(operation, "backward_input" if toy is SCALE else "backward", toy.wrong_backward)
        wrong = network.on(Engine("wrong", [*cpu.own.values(), operation]))
        first = check_chain(objective(wrong), x).first
        assert first is not None
        assert first.name.startswith("toy ")

    def test_by_pytorch(self, toy, objective, monkeypatch):
        pytest.importorskip("torch")
        monkeypatch.setitem(oracles.OPERATIONS, toy.kind.operation("avg"), toy.torch)
        value, (gradient,) = oracles.gradients(oracles.objective(objective()), [x])
        loss, grad = objective()(x)
        assert value == pytest.approx(loss, rel=1e-10)
        np.testing.assert_allclose(grad, gradient, rtol=1e-7, atol=1e-10 * np.abs(grad).max())

    def test_normalised_it_is_the_same_function(self, network):
        network, names = network.astype("float64"), [layer.name for layer in network.layers]
        normalized = normalize(network, [content, style])
        before, after = (each.forward(x[np.newaxis], names)[0] for each in (network, normalized))
        for name in names:
            spreads = (features[name].std(axis=(0, 1, 2)) for features in (before, after))
            factors = np.divide(*(spread + 1e-30 for spread in spreads))  # of a filter that is active nowhere, 1
            np.testing.assert_allclose(before[name], factors * after[name], rtol=1e-10, atol=1e-12, err_msg=name)
        assert mean_activations(normalized, [content, style])["conv2"].max() == pytest.approx(1)

    def test_receptive_fields(self, network):
        network = network.astype("float64")
        features, cache = network.forward(x[np.newaxis], ["conv2"])
        changed = x.copy()
        changed[5, 3] += 20
        others, _ = network.forward(changed[np.newaxis], ["conv2"])
        moved = np.abs(others["conv2"] - features["conv2"]).max(axis=(0, 3)) > 0
        window = reach(network, SHAPE, unit(5, 3))["conv2"]
        assert window == bounds(moved)
        grad = np.zeros_like(features["conv2"])
        grad[0, 4, 6] = features["conv2"][0, 4, 6]
        seen = network.backward({"conv2": grad}, cache).any(axis=(0, 3))
        assert field(network, SHAPE, "conv2", unit(4, 6)) == bounds(seen)

    @pytest.mark.parametrize("pixel", [(0, 0), (18, 13), (7, 4)])
    def test_attribution_adds_up(self, objective, pixel):
        assert trace(objective(), x, pixel).error < 1e-10

    def test_in_a_file(self, network, tmp_path):
        native.write(network, tmp_path / "toy.h5")
        read = load_network(tmp_path / "toy.h5")
        assert read.layers == network.layers
        assert read.shapes(9, 9) == network.shapes(9, 9)
        assert read.parameters.keys() == network.parameters.keys()
        for name, arrays in network.parameters.items():
            for ours, theirs in zip(arrays, read.parameters[name], strict=True):
                np.testing.assert_array_equal(ours, theirs)

    def test_only_a_row_that_reads_several_says_so_in_a_file(self, network, tmp_path):
        """So that who knows of one source only can read all others."""
        native.write(network, tmp_path / "toy.h5")
        with h5py.File(tmp_path / "toy.h5") as file:
            rows = json.loads(file.attrs["network"])["layers"]
        assert [row["name"] for row in rows if row.keys() != {"name", "kind", "source"}] == [
            layer.name for layer in network.layers if len(layer.sources) > 1
        ]

    def test_an_engine_that_lacks_it(self, toy, network):
        with pytest.raises(AttributeError, match=toy.kind.operation("avg")):
            network.on(Engine("other", textbook.own.values())).forward(np.zeros((1, 8, 8, 3), "float32"), ["conv2"])


def bounds(mask):
    """The smallest window that holds all that is true."""
    (top, bottom), (left, right) = ((places.min(), places.max() + 1) for places in np.nonzero(mask))
    return Window(top, bottom, left, right)


def test_a_file_with_a_parameter_of_another_shape_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(KINDS, "scale", SCALE.kind)
    parameters = {"toy": (np.ones(4, "float32"),)}
    network = Network("bad", (Layer("toy", "scale"),), parameters, Preprocessing(), Defaults({}, {}, 0.0))
    native.write(network, tmp_path / "bad.h5")
    with pytest.raises(UserError, match=r"toy should have a factor of shape \(3,\), but the file holds \(4,\)"):
        load_network(tmp_path / "bad.h5")


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ((), "must read 2 layers, not 1"),
        (("image", "image", "image"), "must read 2 layers, not 3"),
        (("pool", "image"), "different sizes: pool, image"),
        (("pool", "below"), "not above it"),
    ],
)
def test_sources_must_suit_the_kind(sources, message, monkeypatch):
    monkeypatch.setitem(KINDS, "difference", DIFFERENCE.kind)
    layers = (Layer("pool", "pool"), Layer("less", "difference", sources), Layer("below", "pool"))
    with pytest.raises(ValueError, match=message):
        Network("bad", layers, {}, Preprocessing(), Defaults({}, {}, 0.0))


def test_sources_are_a_tuple():
    with pytest.raises(TypeError, match="tuple of names"):
        Layer("conv", "conv", "image")


def test_a_layer_read_twice_by_one():
    layers = (Layer("pool", "pool"), Layer("sum", "add", ("pool", "pool")))
    network = Network("twice", layers, {}, Preprocessing(), Defaults({}, {}, 0.0))
    features, cache = network.forward(x[np.newaxis], ["pool", "sum"])
    np.testing.assert_array_equal(features["sum"], 2 * features["pool"])
    ones = np.ones_like(features["sum"])
    assert network.backward({"sum": ones}, cache).max() == pytest.approx(0.5)
    assert check_chain(network, x, taps=["sum"]).passed
