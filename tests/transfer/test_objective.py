"""The objective: equation 7, its gradient, and errors for invalid input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from networks import random_vgg19
from numerical import central_differences, relative_error

from scratchnst import Objective, images, load_network
from scratchnst.engine import cpu
from scratchnst.engine.cpu import threads
from scratchnst.errors import UserError
from scratchnst.transfer.objective import fit_style

LAYERS = {
    "content_layers": {"conv2_2": 0.5, "conv3_1": 2.0},
    "style_layers": {"conv1_1": 0.25, "conv2_1": 0.5, "conv3_1": 1.0},
}


@pytest.fixture
def network():
    """VGG19 down to conv3_1 with few channels: every kind of row, small enough for central differences."""
    return random_vgg19(5, width=5)


def picture(height, width, seed=0):
    return np.random.default_rng(seed).uniform(0, 255, (height, width, 3))


def slope(objective, x, direction, step=1e-6):
    """The directional derivative by a central difference; with a small step few ReLUs cross their kink."""
    return (objective(x + step * direction)[0] - objective(x - step * direction)[0]) / (2 * step)


def features(network, image, layer):
    """F of the paper, transposed: (M, N)."""
    activation = network.forward(image[np.newaxis], [layer])[0][layer][0]
    return activation.reshape(-1, activation.shape[-1])


def equation_7(network, x, content, styles, alpha, beta, blend):
    """Equations 1, 3, 4, 5 and 7 implemented again, in float64."""
    total = 0.0
    for layer, weight in LAYERS["content_layers"].items():
        F, P = features(network, x, layer), features(network, content, layer)
        total += alpha * weight * 0.5 * np.sum((F - P) ** 2)
    for layer, weight in LAYERS["style_layers"].items():
        F = features(network, x, layer)
        M, N = F.shape
        for style, share in zip(styles, blend):
            S = features(network, style, layer)
            total += beta * weight * share * np.sum((F.T @ F - S.T @ S) ** 2) / (4 * N**2 * M**2)
    return total


def test_total_is_equation_7(network):
    x, content, styles = picture(12, 9), picture(12, 9, 1), [picture(12, 9, 2), picture(12, 9, 3)]
    objective = Objective(
        network,
        content,
        styles,
        **LAYERS,
        content_weight=3,
        style_weight=50,
        style_blend=[0.2, 0.7],
        tv_weight=0,
        dtype="float64",
    )
    expected = equation_7(network.astype("float64"), x, content, styles, 3, 50, [0.2, 0.7])
    assert objective(x)[0] == pytest.approx(expected, rel=1e-12)


def test_terms_are_the_unweighted_parts_of_the_total(network):
    x = picture(8, 9)
    objective = Objective(
        network, picture(8, 9, 1), [picture(5, 20, 2)], **LAYERS, content_weight=3, style_weight=50, tv_weight=7
    )
    loss, _ = objective(x)
    weights = {
        "content/conv2_2": 1.5,
        "content/conv3_1": 6,
        "style/conv1_1": 12.5,
        "style/conv2_1": 25,
        "style/conv3_1": 50,
    }
    assert set(objective.terms) == {*weights, "tv"}
    weights["tv"] = 7
    assert loss == pytest.approx(sum(weights[name] * value for name, value in objective.terms.items()), rel=1e-12)
    variation = np.sum(np.diff(x, axis=0) ** 2) + np.sum(np.diff(x, axis=1) ** 2)
    assert objective.terms["tv"] == pytest.approx(variation, rel=1e-5)


@pytest.mark.parametrize("pooling", ["avg", "max"])
@pytest.mark.parametrize("shape", [(8, 8), (5, 7)])
def test_gradient_equals_central_differences_in_every_pixel(network, pooling, shape):
    x = picture(*shape)
    objective = Objective(
        network,
        picture(*shape, 1),
        [picture(*shape, 2), picture(*shape, 3)],
        **LAYERS,
        style_weight=0.01,
        content_weight=1.0,
        tv_weight=0.3,
        pooling=pooling,
        dtype="float64",
    )
    _, grad = objective(x)
    expected = central_differences(lambda image: objective(image)[0], x, 1e-4)
    assert relative_error(grad, expected) < 1e-6


@pytest.mark.parametrize("name", ["pyramid", "vgg19"])
def test_gradient_equals_central_differences_along_random_directions(name, random):
    """A larger image, whole networks, their own defaults, after normalisation."""
    network = load_network("pyramid") if name == "pyramid" else random_vgg19(13, width=24)
    objective = Objective(
        network, picture(37, 50, 1), [picture(30, 30, 2)], normalized=True, dtype="float64", tv_weight=1e-6
    )
    x = picture(37, 50)
    _, grad = objective(x)
    for _ in range(3):
        direction = random.standard_normal(x.shape)
        assert np.sum(grad * direction) == pytest.approx(slope(objective, x, direction), rel=1e-5)


@pytest.mark.slow
def test_genuine_vgg19_gradient_along_random_directions(vgg19_file, random):
    objective = Objective(
        load_network(vgg19_file), picture(32, 40, 1), [picture(32, 40, 2)], normalized=True, dtype="float64"
    )
    x = picture(32, 40)
    _, grad = objective(x)
    for _ in range(3):
        direction = random.standard_normal(x.shape)
        assert np.sum(grad * direction) == pytest.approx(slope(objective, x, direction), rel=1e-5)


def test_float32_agrees_with_float64(network):
    settings = {**LAYERS, "style_weight": 0.01, "content_weight": 1.0, "tv_weight": 0.1}
    arguments = (network, picture(20, 22, 1), [picture(20, 22, 2)])
    x = picture(20, 22)
    coarse_loss, coarse = Objective(*arguments, **settings, dtype="float32")(x)
    fine_loss, fine = Objective(*arguments, **settings, dtype="float64")(x)
    assert coarse_loss == pytest.approx(fine_loss, rel=1e-5)
    assert coarse.dtype == fine.dtype == np.float64
    assert relative_error(coarse, fine) < 1e-4


def test_nothing_depends_on_the_number_of_threads(random):
    """Not even in the last digit: 200 steps would make other pixels of it."""
    network, x = random_vgg19(13).on(cpu), random.uniform(0, 255, (72, 100, 3))
    content, style = (random.uniform(0, 255, x.shape) for _ in range(2))
    results = []
    try:
        for number in (1, 2, 3, 8, 16):
            threads.set_count(number)
            results.append(Objective(network, content, [style], normalized=True)(x))
    finally:
        threads.set_count(None)
    for loss, gradient in results[1:]:
        assert loss == results[0][0]
        np.testing.assert_array_equal(gradient, results[0][1])


def test_zero_loss_at_the_content_itself(network):
    content = picture(8, 8)
    objective = Objective(network, content, content_layers=LAYERS["content_layers"], tv_weight=0, dtype="float64")
    loss, grad = objective(content)
    assert loss == 0
    np.testing.assert_array_equal(grad, 0)


@pytest.mark.parametrize(("style_fit", "shape"), [("keep", (12, 8)), ("squeeze", (8, 12))])
def test_style_is_scaled_to_the_content(network, style_fit, shape):
    content, style = picture(8, 12), picture(30, 20, 2)
    by_hand = Objective(network, content, [images.resize(style, *shape)], style_fit=None, **LAYERS, dtype="float64")
    by_itself = Objective(network, content, [style], style_fit=style_fit, **LAYERS, dtype="float64")
    assert by_itself(picture(8, 12, 5))[0] == by_hand(picture(8, 12, 5))[0]


@pytest.mark.parametrize(
    ("given", "image", "expected"),
    [
        ((96, 288), (192, 192), (111, 333)),  # as many pixels: 36963 for 36864
        ((300, 200), (200, 300), (300, 200)),
        ((1000, 100), (512, 512), (1619, 162)),
        ((7, 7), (7, 7), (7, 7)),
        ((1000, 1), (3, 3), (95, 1)),
    ],
)
def test_a_style_keeps_proportions_and_gets_as_many_pixels(given, image, expected):
    assert fit_style(picture(*given), *image).shape == (*expected, 3)
    assert fit_style(picture(*given), *image, "squeeze").shape == (*image, 3)


def test_an_unknown_fit(network):
    with pytest.raises(UserError, match="'stretch'; choose one of keep, squeeze"):
        Objective(network, picture(8, 8), [picture(8, 8)], style_fit="stretch")


@pytest.mark.parametrize("shape", [(12, 9), (9, 12), (31, 5), (4, 4), (24, 18)])
def test_gram_matrices_of_unequal_sizes_are_compared_for_a_position(network, shape):
    """Equation 4 with G / M and A / M', implemented again; of equal sizes it is the paper's."""
    x, content, style = picture(12, 9), picture(12, 9, 1), picture(*shape, 2)
    settings = {"content_weight": 0, "style_weight": 50, "tv_weight": 0, "dtype": "float64"}
    objective = Objective(network, content, [style], style_fit=None, **LAYERS, **settings)
    expected, network = 0.0, network.astype("float64")
    for layer, weight in LAYERS["style_layers"].items():
        F, S = features(network, x, layer), features(network, style, layer)
        means = F.T @ F / len(F), S.T @ S / len(S)
        expected += 50 * weight * np.sum((means[0] - means[1]) ** 2) / (4 * F.shape[1] ** 2)
    assert objective(x)[0] == pytest.approx(expected, rel=1e-12)
    direction = picture(12, 9, 3) - 128
    assert np.sum(objective(x)[1] * direction) == pytest.approx(slope(objective, x, direction, 1e-8), rel=1e-4)


def test_a_style_twice_beside_itself_is_the_same_style(network):
    """Away from the borders: twice the positions, the same sums for a position."""
    style = np.full((16, 16, 3), 100.0)
    terms = []
    for styles in ([style], [np.tile(style, (1, 2, 1))]):
        objective = Objective(network, picture(16, 16), styles, style_fit=None, **LAYERS, dtype="float64")
        objective(picture(16, 16, 3))
        terms.append(objective.terms["style/conv1_1"])
    assert terms[1] == pytest.approx(terms[0], rel=0.01)


def test_flat_vectors_and_images_give_the_same_and_stay_unchanged(network):
    objective = Objective(network, picture(8, 9, 1), [picture(8, 9, 2)], **LAYERS)
    x = picture(8, 9)
    before = x.copy()
    loss, grad = objective(x)
    flat_loss, flat_grad = objective(x.ravel())
    assert loss == flat_loss
    assert grad.shape == (8, 9, 3)
    np.testing.assert_array_equal(flat_grad, grad.ravel())
    np.testing.assert_array_equal(x, before)


def test_names_alone_share_a_weight_of_1(network):
    objective = Objective(
        network, picture(8, 8), [picture(8, 8)], content_layers=["conv1_1"], style_layers=["conv1_1", "conv2_2"]
    )
    assert objective.content_layers == {"conv1_1": 1.0}
    assert objective.style_layers == {"conv1_1": 0.5, "conv2_2": 0.5}


def test_one_name_alone(network):
    objective = Objective(network, picture(8, 8), content_layers="conv1_1", style_layers="conv2_1")
    assert (objective.content_layers, objective.style_layers) == ({"conv1_1": 1.0}, {"conv2_1": 1.0})


def test_pooling_is_the_networks_own_unless_named(network):
    own = replace(network, pooling="max")
    assert Objective(own, picture(8, 8)).network.pooling == "max"
    assert Objective(own, picture(8, 8), pooling="avg").network.pooling == "avg"


def test_textures_need_no_content(network):
    """The style's size serves, and content layers deeper than it allows do not matter."""
    style = picture(4, 6, 2)
    objective = Objective(
        network, None, [style], style_layers=["conv1_1"], tv_weight=0, normalized=True, dtype="float64"
    )
    assert objective.shape == (4, 6, 3)
    assert objective(style)[0] == 0
    assert list(objective.terms) == ["style/conv1_1"]


def test_default_weights_balance_alike_at_every_size(network):
    """Equation 1 is a sum over pixels: its default weight falls as their number grows."""
    small = Objective(network, picture(8, 8), [picture(8, 8)])
    large = Objective(network, picture(16, 24), [picture(8, 8)])
    assert small.content_weight / large.content_weight == pytest.approx(16 * 24 / 64)
    assert small.style_weight == large.style_weight


def test_normalized_makes_mean_activations_1(network):
    objective = Objective(network, picture(16, 16), [picture(16, 16, 2)], **LAYERS, normalized=True, dtype="float64")
    photos = [objective.content, objective.styles[0]]
    mean = np.mean([features(objective.network, photo, "conv2_1").mean(axis=0) for photo in photos], axis=0)
    assert np.median(mean) == pytest.approx(1)
    assert mean.max() == pytest.approx(1)
    assert objective.network.normalized


@pytest.mark.parametrize(
    ("settings", "pattern"),
    [
        ({"content_layers": ["conv9_9"]}, "no layer 'conv9_9'"),
        ({"style_layers": {"relu1_1": 1.0}}, "no layer 'relu1_1'"),
        ({"content_weight": -1}, "content weight must be a number of 0 or more"),
        ({"style_weight": float("nan")}, "style weight"),
        ({"tv_weight": float("inf")}, "tv weight"),
        ({"style_layers": {"conv1_1": -0.5}}, "weight of layer conv1_1"),
        ({"content_weight": 0, "style_weight": 0}, "nothing to optimise"),
        ({"style_blend": [1, 2]}, "1 styles but 2 blend weights"),
        ({"dtype": "float16"}, "float32 or float64"),
        ({"style_layers": ["conv1_1", "conv1_1"]}, "named twice"),
        ({"pooling": "min"}, "avg, max"),
    ],
)
def test_nonsense_settings(network, settings, pattern):
    with pytest.raises(UserError, match=pattern):
        Objective(network, picture(8, 8), [picture(8, 8)], **settings)


@pytest.mark.parametrize("settings", [{"content_layers": ["conv4_2"]}, {"style_layers": {"conv1_1": 1, "conv5_1": 0}}])
def test_layers_that_a_truncated_vgg19_lacks(network, settings):
    with pytest.raises(UserError, match=r"no layer 'conv(4_2|5_1)'.* its layers are conv1_1, .*, pool2, conv3_1\.$"):
        Objective(network, picture(8, 8), [picture(8, 8)], **settings)


@pytest.mark.parametrize(
    ("content", "styles", "pattern"),
    [
        (None, [], "nothing to imitate"),
        (np.zeros((8, 8)), [], r"content image must have the shape.*\(8, 8\)"),
        (np.zeros((8, 8, 4)), [], r"\(8, 8, 4\)"),
        (np.zeros((0, 8, 3)), [], r"\(0, 8, 3\)"),
        (picture(8, 8) * np.nan, [], "NaN"),
        (picture(8, 8), [np.zeros((8, 8))], "style image"),
        (None, [np.zeros((0, 8, 3))], "style image"),
        (picture(3, 3), [picture(8, 8)], "too small"),
        (picture(1, 1), [], "too small"),
    ],
)
def test_nonsense_images(network, content, styles, pattern):
    with pytest.raises(UserError, match=pattern):
        Objective(network, content, styles, content_layers=["conv3_1"])


def test_an_image_of_another_size():
    objective = Objective(random_vgg19(2, width=3), np.zeros((8, 6, 3)), [np.zeros((8, 6, 3))])
    with pytest.raises(UserError, match=r"must have the shape \(8, 6, 3\), or be that flat, not \(6, 6, 3\)"):
        objective(np.zeros((6, 6, 3)))
