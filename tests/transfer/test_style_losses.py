"""The objective with each style loss, and with the other options of losses: gradients, strips, hard pictures, runs."""

from __future__ import annotations

import json
import math

import numpy as np
import platforms
import pytest
from networks import random_vgg19

from scratchnst import Objective, images, load_network
from scratchnst.attribution.attribution import trace
from scratchnst.attribution.report import table
from scratchnst.cli import main
from scratchnst.engine import textbook
from scratchnst.errors import UserError
from scratchnst.transfer import memory
from scratchnst.transfer.objective import STYLE_LOSSES, TOTAL_VARIATIONS
from scratchnst.verify.catalogue import check_objective
from scratchnst.verify.network.chain import check_chain

LAYERS = {"content_layers": {"conv2_1": 1.0}, "style_layers": {"conv1_1": 1.0, "conv1_2": 0.5, "conv2_2": 2.0}}
WEIGHTS = {"content_weight": 1e-3, "style_weight": 10.0, "tv_weight": 1e-4, "laplacian_weight": 1e-3}


def picture(height, width, seed=0):
    return np.random.default_rng(seed).uniform(0, 255, (height, width, 3))


def objective(style_loss="gram", network=None, content=None, style=None, **settings):
    network = network or random_vgg19(4, width=6)
    content = picture(18, 15, 1) if content is None else content
    style = picture(22, 17, 2) if style is None else style
    settings = {"style_fit": None, "dtype": "float64", "tv": "absolute", **LAYERS, **WEIGHTS, **settings}
    return Objective(network, content, [style], style_loss=style_loss, **settings)


@pytest.mark.parametrize("style_loss", STYLE_LOSSES)
def test_the_gradient_is_the_losss(style_loss):
    """By differences and, where it is installed, by PyTorch, which shares no code; the style has another size."""
    report = check_objective(
        random_vgg19(4, width=6),
        picture(18, 15, 1),
        picture(22, 17, 2),
        samples=12,
        style_loss=style_loss,
        tv="absolute",
        style_fit=None,
        **LAYERS,
        **WEIGHTS,
    )
    report.raise_if_wrong()


@pytest.mark.parametrize("style_loss", STYLE_LOSSES)
def test_the_chain_is_right(style_loss):
    report = check_chain(objective(style_loss), picture(18, 15, 3))
    assert report.passed, report


@pytest.mark.parametrize("largest", [math.inf, 3000])
@pytest.mark.parametrize("platform", platforms.ALL, indirect=True)
@pytest.mark.parametrize("style_loss", STYLE_LOSSES)
def test_on_every_engine_and_in_strips(style_loss, platform, largest):
    x, whole = picture(18, 15, 3), objective(style_loss, random_vgg19(4, width=6).on(textbook))
    one = objective(style_loss, random_vgg19(4, width=6).on(platform.engine), largest_strip=largest)
    (loss, grad), (found, same) = whole(x), one(x)
    assert found == pytest.approx(loss, rel=1e-11)
    assert one.terms == pytest.approx(whole.terms, rel=1e-11)
    np.testing.assert_allclose(same, grad, rtol=1e-8, atol=1e-10 * np.abs(grad).max())


@pytest.mark.parametrize("tv", TOTAL_VARIATIONS)
def test_a_pixels_gradient_taken_apart(tv):
    one, x = objective("wasserstein", tv=tv), picture(18, 15, 3)
    found = trace(one, x, (0, 7))
    np.testing.assert_allclose(found.total, one(x)[1][0, 7], rtol=1e-9)
    assert {"tv", "laplacian", "style/conv2_2"} <= {part.name for part in found.parts}
    text = "\n".join(table(found, one, x, "x.png", 2))
    assert f"the pixel's {tv} differences" in text
    assert "laplacian: of the image itself" in text


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("style", ["grey", "black", "white"])
@pytest.mark.parametrize("style_loss", STYLE_LOSSES)
def test_grey_and_constant_pictures(style_loss, style, dtype):
    """Neither as a style nor as the image do they give NaN, normalised or not."""
    plain = {"grey": picture(20, 20)[..., :1].repeat(3, axis=2), "black": 0, "white": 255}[style]
    plain = np.broadcast_to(plain, (20, 20, 3)).astype(float)
    for content, of_style in ((picture(20, 20, 1), plain), (plain, picture(20, 20, 1)), (plain, plain)):
        for normalized in (True, False):
            one = objective(style_loss, content=content, style=of_style, normalized=normalized, dtype=dtype)
            loss, grad = one(content)
            assert np.isfinite(loss)
            assert np.isfinite(grad).all()


@pytest.mark.parametrize("style_loss", STYLE_LOSSES)
def test_its_own_style_costs_nothing_and_another_size_little(style_loss):
    x = images.resize(picture(6, 6), 24, 24)
    one = objective(style_loss, content=x, style=x, tv_weight=0.0, laplacian_weight=0.0)
    assert one(x)[0] == pytest.approx(0, abs=1e-6 * one(255 - x)[0])


@pytest.mark.parametrize("style_loss", STYLE_LOSSES)
def test_the_estimate_for_a_larger_picture(style_loss):
    """As for images of that size: what is kept, and what an evaluation takes."""
    larger = objective(style_loss, content=picture(40, 36), style=picture(40, 36, 2))
    other, kept = memory.at_size(objective(style_loss), 40, 36)
    assert memory.evaluation(other) == memory.evaluation(larger)
    targets = [term.target for term in larger.summands if term.target.ndim > 3 or style_loss == "sliced"]
    assert kept == sum(target.nbytes for target in targets) + larger.laplacian_target.nbytes


def test_a_weight_has_the_factor_of_its_loss():
    for style_loss, (name, factor) in STYLE_LOSSES.items():
        term = next(term for term in objective(style_loss).summands if term.name == "style/conv2_2")
        assert (term.loss_name, term.weight) == (name, pytest.approx(10 * factor * 2))
    for tv, (name, factor) in TOTAL_VARIATIONS.items():
        term = objective(tv=tv).pixel_summands[0]
        assert (term.loss_name, term.weight) == (name, pytest.approx(1e-4 * factor))


def test_what_there_is_not():
    with pytest.raises(UserError, match="there is no style loss 'histogram'; choose one of gram, moments"):
        objective("histogram")
    with pytest.raises(UserError, match="there is no tv 'cubed'"):
        objective(tv="cubed")
    with pytest.raises(UserError, match="the laplacian weight must be a number of 0 or more"):
        objective(laplacian_weight=-1)
    with pytest.raises(UserError, match="give a content"):
        Objective(random_vgg19(4, width=6), None, [picture(18, 15)], laplacian_weight=1.0)


@pytest.fixture
def pictures(tmp_path):
    for number, name in enumerate(("content", "style")):
        images.save(tmp_path / f"{name}.png", images.resize(picture(6, 8, number), 36, 48))
    return tmp_path


@pytest.mark.parametrize("style_loss", list(STYLE_LOSSES)[1:])
def test_a_run_and_the_same_again(pictures, style_loss):
    content, style, out, again = (str(pictures / f"{name}.png") for name in ("content", "style", "out", "again"))
    options = ["--style-loss", style_loss, "--tv", "absolute", "--laplacian-weight", "0.01", "--network", "distilled"]
    options += ["--size", "48", "--iterations", "3", "--bounded", "--save-every", "2", "--margin", "4", "--quiet"]
    assert main(["transfer", content, style, "-o", out, *options]) == 0
    record = json.loads((pictures / "out.json").read_text())
    assert record["settings"]["style_loss"] == style_loss
    assert "laplacian" in record["result"]["terms"]
    assert (pictures / "out-0002.png").exists()
    assert main(["transfer", "--settings", str(pictures / "out.json"), "-o", again, "--quiet"]) == 0
    np.testing.assert_array_equal(images.load(out), images.load(again))
    assert main(["transfer", content, style, "-o", out, *options[:-1], "--dry-run"]) == 0


def test_a_style_alone(pictures, capsys):
    command = ["reconstruct", "style", str(pictures / "style.png"), "-o", str(pictures / "out.png"), "--style-loss"]
    options = ["--network", "distilled", "--size", "48", "--iterations", "2", "--quiet"]
    assert main([*command, "wasserstein", *options]) == 0
    with pytest.raises(SystemExit):
        main([*command, "histogram", *options])
    command[1] = "content"
    assert main([*command, "sliced", *options]) == 2
    assert "--style-loss compares styles" in capsys.readouterr().err


def test_trace_takes_the_options(pictures, capsys):
    options = ["--style-loss", "sliced", "--tv", "absolute", "--laplacian-weight", "1", "--network", "distilled"]
    command = ["trace", str(pictures / "content.png"), str(pictures / "style.png"), "--pixel", "3,4", "--size", "48"]
    assert main([*command, *options, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["settings"].items() >= {"style_loss": "sliced", "tv": "absolute", "laplacian_weight": 1}.items()
    assert {"tv", "laplacian"} <= {part["term"] for part in found["parts"]}


@pytest.mark.parametrize("style_loss", ["moments", "wasserstein", "sliced"])
def test_masks_are_for_gram_matrices(style_loss):
    random = np.random.default_rng(0)
    content, style = random.uniform(0, 255, (2, 32, 32, 3))
    mask = np.linspace(0, 1, 32 * 32).reshape(32, 32)
    with pytest.raises(UserError, match=f"masks are for Gram matrices, and the style loss is {style_loss}: take gram"):
        Objective(load_network("distilled"), content, [style], masks=[mask], style_loss=style_loss)


def test_sorted_projections_know_no_tiles():
    content, style = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3))
    with pytest.raises(UserError, match="the style loss sliced compares all positions of a layer at once"):
        Objective(load_network("distilled"), content, [style], style_loss="sliced", tile=64)
