"""Styles in regions: guided Gram matrices, what is kept of the content, and the sizes and weights of styles."""

import numpy as np
import pytest
from networks import random_vgg19

from scratchnst import Objective, images
from scratchnst.engine import cpu
from scratchnst.errors import UserError
from scratchnst.transfer import job, memory
from scratchnst.transfer.forecast import forecast
from scratchnst.transfer.preparation import prepare
from scratchnst.transfer.settings import Settings
from scratchnst.transfer.stylize import stylize

LAYERS = {"content_layers": ["conv2_2"], "style_layers": {"conv1_1": 0.25, "conv2_1": 0.5, "conv3_1": 1.0}}


@pytest.fixture(scope="module")
def network():
    return random_vgg19(5, width=5).on(cpu)


def picture(height, width, seed=0):
    return np.random.default_rng(seed).uniform(0, 255, (height, width, 3))


def left_half(height, width):
    mask = np.zeros((height, width))
    mask[:, : width // 2] = 1
    return mask


def objective(network, content, styles, **settings):
    return Objective(network, content, styles, **LAYERS, tv_weight=0, dtype="float64", style_fit="squeeze", **settings)


def features(network, image, layer):
    return network.forward(image[np.newaxis], [layer])[0][layer][0]


def guided_loss(network, x, style, mask, style_mask):
    """The style loss of a region whose masks are black and white and whose borders fall between units, with loops."""
    total = 0.0
    for layer, weight in LAYERS["style_layers"].items():
        F, S = features(network, x, layer), features(network, style, layer)
        stride = x.shape[0] // F.shape[0]
        ours, theirs = mask[::stride, ::stride] > 0, style_mask[::stride, ::stride] > 0
        grams = [part.T @ part / len(part) for part in (F[ours], S[theirs])]
        total += weight * np.mean(ours) * np.sum((grams[0] - grams[1]) ** 2) / (4 * F.shape[2] ** 2)
    return total


def test_a_guided_loss_is_that_of_the_region_times_its_share(network):
    network = network.astype("float64")
    x, content, styles = picture(16, 16), picture(16, 16, 1), [picture(16, 16, 2), picture(16, 16, 3)]
    masks = [left_half(16, 16), 1 - left_half(16, 16)]
    looked_at = np.ones((16, 16))
    looked_at[8:] = 0
    ours = objective(
        network, content, styles, content_weight=0, style_weight=7, masks=masks, style_masks=[looked_at, None]
    )
    expected = guided_loss(network, x, styles[0], masks[0], looked_at)
    expected += guided_loss(network, x, styles[1], masks[1], np.ones((16, 16)))
    assert ours(x)[0] == pytest.approx(7 * expected, rel=1e-10)


@pytest.mark.parametrize("guides", ["simple", "touching", "inside"])
@pytest.mark.parametrize("largest_strip", [np.inf, 2000])
def test_gradient_with_masks(network, guides, largest_strip):
    x, content, styles = picture(12, 10), picture(12, 10, 1), [picture(12, 10, 2), picture(12, 10, 3)]
    soft = np.linspace(0, 1, 120).reshape(12, 10)
    keep = np.zeros((12, 10))
    keep[3:6, 2:5], keep[3:6, 5] = 1, 0.3
    ours = objective(network, content, styles, masks=[soft, 1 - soft], keep=keep, guides=guides, style_weight=1e3)
    ours.largest_strip = largest_strip
    direction = np.random.default_rng(4).standard_normal(x.shape)
    ahead, behind = (ours(x + step * direction)[0] for step in (1e-6, -1e-6))
    assert (ahead - behind) / 2e-6 == pytest.approx(np.sum(ours(x)[1] * direction), rel=1e-5)
    assert (ours(x)[1][3:6, 2:5] == 0).all()


def test_white_masks_change_nothing(network):
    x, content, styles = picture(12, 10), picture(12, 10, 1), [picture(12, 10, 2), picture(12, 10, 3)]
    white = np.ones((5, 7))
    plain, masked = (objective(network, content, styles, **kind) for kind in ({}, {"masks": [white, white]}))
    (loss, grad), (loss_masked, grad_masked) = plain(x), masked(x)
    assert loss_masked == pytest.approx(loss, rel=1e-5)  # each style has a half of each pixel
    np.testing.assert_allclose(grad_masked, grad, rtol=1e-4, atol=1e-6 * np.abs(grad).max())


def test_a_style_is_as_strong_in_a_small_region_as_in_the_whole_picture(network):
    """Far from the region's border the gradient is what it is where the region is everything."""
    tile = picture(8, 8)
    x, style = np.tile(tile, (4, 4, 1)), picture(32, 32, 2)
    whole = objective(network, x, [style], content_weight=0)(x)[1]
    half = objective(network, x, [style], content_weight=0, masks=[left_half(32, 32)], guides="simple")(x)[1]
    np.testing.assert_allclose(half[8:24, 6:10], whole[8:24, 6:10], rtol=0.2, atol=0.1 * np.abs(whole).max())
    assert np.abs(half[:, 26:]).max() == 0


def test_what_is_kept_is_the_content_itself(network):
    content, keep = picture(16, 16, 1), left_half(16, 16)
    keep[:, 8] = 0.5
    ours = objective(network, content, [picture(16, 16, 2)], keep=keep, style_weight=1e4)
    result = stylize(ours, "noise", iterations=4)
    np.testing.assert_allclose(result.image[:, :8], content[:, :8], atol=1e-4)
    assert np.abs(result.image[:, 9:] - content[:, 9:]).mean() > 10


def test_the_mask_of_what_is_kept_goes_into_the_picture_once(network):
    content, keep = picture(8, 8, 1), np.full((8, 8), 0.25)
    ours = objective(network, content, [], keep=keep)
    x = picture(8, 8)
    np.testing.assert_allclose(ours.picture(x), 0.25 * content + 0.75 * x, rtol=1e-6)
    assert ours.picture(x.ravel()).shape == (192,)
    np.testing.assert_allclose(stylize(ours, x, iterations=1).image, ours.picture(x), atol=60)


def test_memory_with_masks_is_more(network):
    content, styles = picture(32, 32, 1), [picture(32, 32, 2), picture(32, 32, 3)]
    plain = objective(network, content, styles)
    masks = [left_half(32, 32), 1 - left_half(32, 32)]
    masked = objective(network, content, styles, masks=masks, keep=left_half(32, 32) / 2)
    assert memory.evaluation(masked) > memory.evaluation(plain)
    assert memory.evaluation(masked, 1000) > 0
    (larger, kept), (_, plain_kept) = memory.at_size(masked, 64, 64), memory.at_size(plain, 64, 64)
    assert kept > plain_kept
    assert memory.evaluation(larger) > memory.evaluation(masked)


def test_layers_on_which_a_region_has_nothing_are_left_out_and_named(network):
    spot = np.zeros((16, 16))
    spot[8:10, 8:10] = 1
    found = objective(network, picture(16, 16), [picture(16, 16, 2)], masks=[spot], guides="touching")
    assert found.left_out == []
    with pytest.raises(UserError, match="the masks leave nothing of style on any layer"):
        objective(network, picture(16, 16), [picture(16, 16, 2)], masks=[spot], guides="inside")
    spot[7:12, 7:12] = 1
    found = objective(network, picture(16, 16), [picture(16, 16, 2)], masks=[spot], guides="inside")
    assert found.left_out == ["style/conv2_1", "style/conv3_1"]


def test_guides_are_the_same_whatever_is_around_the_image(network):
    """Mirrored pixels are the image's own, so a unit sees no region that it did not see."""
    middle = np.zeros((32, 32))
    middle[4:28, 4:28] = 1
    zero, reflect = (
        objective(network, picture(32, 32), [picture(32, 32, 1)], masks=[middle], guides="inside", padding=padding)
        for padding in ("zero", "reflect")
    )
    guides, theirs = ([term.guide for term in each.summands if term.guide is not None] for each in (zero, reflect))
    assert len(guides) == len(theirs) == 2  # at conv3_1 nothing is inside
    for ours, other in zip(guides, theirs):
        np.testing.assert_array_equal(ours, other)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"masks": [np.ones((4, 4))]}, "there are 2 styles but 1 masks: give one for each style"),
        ({"style_masks": [np.ones((4, 4))]}, "there are 2 styles but 1 style masks"),
        ({"masks": [np.ones((4, 4)), np.ones((4, 4, 3))]}, r"the mask must have the shape \(height, width\)"),
        ({"masks": [np.ones((4, 4)), 2 * np.ones((4, 4))]}, "the mask must hold numbers from 0 to 1"),
        ({"keep": np.full((4, 4), np.nan)}, "the mask of what is kept must hold numbers from 0 to 1"),
        ({"masks": [np.ones((4, 4)), np.zeros((4, 4))]}, "the masks leave nothing of style2"),
        ({"keep": np.ones((4, 4))}, "the masks leave nothing of style1"),
        ({"guides": "far"}, "masks cannot be carried down by 'far'; choose one of simple, touching, inside"),
    ],
)
def test_wrong_masks(network, settings, message):
    with pytest.raises(UserError, match=message):
        objective(network, picture(12, 12), [picture(12, 12, 1), picture(12, 12, 2)], **settings)


@pytest.fixture
def files(tmp_path):
    """A content of 48x36 pixels, a style of 30x60, labels of 24x18, red on the left, blue on the right, and a spot."""
    images.save(tmp_path / "content.png", picture(36, 48))
    images.save(tmp_path / "style.png", picture(60, 30, 1))
    labels = np.zeros((18, 24, 3))
    labels[:, :12, 0] = labels[:, 12:, 2] = 255
    images.save(tmp_path / "labels.png", labels)
    spot = np.zeros((36, 48, 3))
    spot[12:23, 12:23] = 255
    images.save(tmp_path / "spot.png", spot)
    return tmp_path


def settings_of(files, styles=1, **others):
    return Settings(
        content=files / "content.png",
        styles=[files / "style.png"] * styles,
        output=files / "out.png",
        **{"size": 48, "network": "distilled", "iterations": 2, "scales": 1, "margin": 4, **others},
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, [(70, 35)]),  # as many pixels as 56 x 44 with the margin
        ({"style_size": [100]}, [(100, 50)]),
        ({"style_scale": [0.7]}, [(49, 24)]),
        ({"style_size": [100], "style_scale": [0.5]}, [(50, 25)]),
        ({"style_size": [100], "style_fit": "squeeze"}, [(79, 100)]),
        ({"styles": 2, "style_size": [100, 60]}, [(100, 50), (60, 30)]),
        ({"styles": 2, "style_scale": [2]}, [(140, 70)] * 2),
    ],
)
def test_sizes_of_styles(files, given, expected):
    prepared = prepare(settings_of(files, **given), cpu)
    assert prepared.style_shapes((44, 56)) == expected
    np.testing.assert_allclose(prepared.style_shapes((22, 28)), np.array(expected) / 2, atol=1)


def test_a_run_with_all_of_it_can_be_told_and_run_again(files):
    given = {
        "styles": 2,
        "style_weights": [3, 1],
        "style_scale": [1, 2],
        "masks": [f"{files}/labels.png#ff0000", f"{files}/labels.png#0000ff"],
        "style_masks": [f"{files}/labels.png"] * 2,
        "keep_mask": f"{files}/spot.png",
        "grow_masks": -2,
        "guides": "touching",
    }
    settings = settings_of(files, **given)
    told = []
    assert forecast(settings, told.append).estimate.peak > 0
    assert f"mask: {files}/labels.png, 24x18 pixels, is squeezed onto a picture of 30x60 pixels" in told
    first = job.run(settings)
    np.testing.assert_allclose(first.image[15:20, 15:20], images.load(files / "content.png")[15:20, 15:20], atol=1e-3)
    again = job.run(Settings.from_json(settings.to_json()))
    np.testing.assert_array_equal(first.image, again.image)


def test_weights_are_shares_of_their_sum(files):
    prepared = prepare(settings_of(files, 2, style_weights=[3, 1]), cpu)
    assert prepared.objective_at(36, 48).style_blend == [0.75, 0.25]
    masks = [f"{files}/labels.png#ff0000", f"{files}/labels.png#0000ff"]
    prepared = prepare(settings_of(files, 2, style_weights=[3, 1], masks=masks), cpu)
    assert prepared.objective_at(36, 48).style_blend == [1.5, 0.5]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"style_size": [10, 20]}, "style-size has 2 numbers for 1 style: give one for all, or one for each style"),
        ({"styles": 2, "style_scale": [1, 2, 3]}, "style-scale has 3 numbers for 2 styles"),
        ({"styles": 2, "style_weights": [1]}, "style-weights has 1 numbers for 2 styles: give one for each style"),
        ({"style_weights": [0]}, "style_weights must be numbers of 0 or more, one of which at least is above 0"),
        ({"style_scale": [0]}, "style_scale must be numbers above 0"),
        ({"style_size": [0]}, "style_size must be a whole number from 1"),
        ({"masks": ["a.png", "b.png"]}, "the number of masks is 2, and that of styles 1: give one for each style"),
        ({"style_masks": ["a.png", "b.png"]}, "the number of style masks is 2"),
        ({"guides": "far"}, "guides must be one of simple, touching, inside"),
        ({"tile": 64, "padding": "reflect"}, "neither the style loss sliced nor a padding other than zero knows tiles"),
        ({"tile": 64, "style_loss": "sliced"}, "neither the style loss sliced nor a padding other than zero"),
        ({"grow_masks": 1000}, "grow_masks must be a whole number from -256 to 256"),
    ],
)
def test_wrong_settings(files, given, message):
    with pytest.raises(UserError, match=message):
        settings_of(files, **given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"masks": ["no.png"]}, "there is no file no.png"),
        ({"masks": ["labels.png#00ff00"]}, "has nothing of the colour #00ff00"),
        ({"keep_mask": "white.png"}, "white.png keeps all of the content"),
        ({"masks": ["black.png"]}, "the mask .*black.png is all black, so it says nothing"),
        ({"masks": ["labels.png#ff0000"], "grow_masks": -40}, "is all black when it is shrunk"),
        ({"style_size": [3]}, "is too small for layer .*: enlarge it .* times by --style-size or --style-scale"),
        ({"masks": ["out.png"]}, "out.png"),
    ],
)
def test_wrong_pictures(files, given, message, monkeypatch):
    monkeypatch.chdir(files)
    images.save(files / "white.png", np.full((4, 4, 3), 255.0))
    images.save(files / "black.png", np.zeros((4, 4, 3)))
    with pytest.raises(UserError, match=message):
        job.run(settings_of(files, **given))
    assert not (files / "out.png").exists()
