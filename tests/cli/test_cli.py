"""The command line as a user runs it, good input and bad."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from contextlib import nullcontext
from dataclasses import replace

import h5py
import numpy as np
import pytest
from networks import random_vgg19

from scratchnst import images, load_network
from scratchnst.cli import main, weights
from scratchnst.engine.cpu import average_pool
from scratchnst.fast.fast_style import FastStyle, Style
from scratchnst.models import transform_net
from scratchnst.training import distillation
from scratchnst.transfer.objective import Objective, fit_style
from scratchnst.transfer.stylize import NOISE_MEAN, NOISE_STD
from scratchnst.weights import load
from scratchnst.weights.published import MD5

SMALL = ["--size", "24", "--iterations", "3"]


def run(*arguments):
    """Run `python -m scratchnst` as a program of its own."""
    return subprocess.run(
        [sys.executable, "-m", "scratchnst", *map(str, arguments)], capture_output=True, text=True, timeout=120
    )


def painter(random, path, picture):
    """Write, and return, a network that paints in the styles "other" and "from_style", as if learnt from `picture`."""
    network = transform_net.build(random, 2, (3, 4, 5), 1)
    norms = {
        name: tuple(np.float32(array + 0.3 * random.standard_normal(array.shape)) for array in network.parameters[name])
        for name in transform_net.norms(network)
    }
    with open(picture, "rb") as file:
        style = Style("from_style", picture, hashlib.sha256(file.read()).hexdigest())
    FastStyle(replace(network, parameters={**network.parameters, **norms}), (Style("other"), style), {}).save(path)
    return FastStyle.load(path)


class TestTransfer:
    def test_as_a_program(self, folder):
        done = run("transfer", "content.png", "style.jpg", "-o", "out.png", *SMALL)
        assert done.returncode == 0, done.stderr
        lines = done.stderr.splitlines()
        assert lines[0].startswith("network: distilled, ")
        assert "scratchnst weights get vgg19" in lines[0]
        assert lines[1].startswith("iteration 1/3  loss ")
        assert lines[-1].startswith("out.png: all 3 iterations done; loss ")
        assert images.load("out.png").shape == (18, 24, 3)

    def test_quiet(self, folder):
        done = run("transfer", "content.png", "style.jpg", "-o", "out.png", *SMALL, "--quiet")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    def test_record(self, folder):
        arguments = ["--content-layers", "conv1_2:0.5", "--style-layers", "conv1_1:0.25,conv2_1:0.75", "--seed", "5"]
        assert main(["transfer", "content.png", "style.jpg", "-o", "out.png", *SMALL, *arguments]) == 0
        record = json.loads((folder / "out.json").read_text())
        settings, result = record["settings"], record["result"]
        assert settings["content_layers"] == {"conv1_2": 0.5}
        assert settings["style_layers"] == {"conv1_1": 0.25, "conv2_1": 0.75}
        assert (settings["seed"], settings["iterations"], settings["init"]) == (5, 3, "content")
        assert (settings["height"], settings["width"]) == (18, 24)
        assert record["network"]["name"] == "distilled"
        assert set(record["versions"]) == {"python", "scratchnst", "numpy", "scipy", "pillow", "h5py"}
        assert result["stopped"] == "all 3 iterations done"
        total = settings["content_weight"] * 0.5 * result["terms"]["content/conv1_2"]
        for name, weight in settings["style_layers"].items():
            total += settings["style_weight"] * weight * result["terms"][f"style/{name}"]
        total += settings["tv_weight"] * result["terms"].get("tv", 0)
        assert result["loss"] == pytest.approx(total)

    def test_settings_of_a_record_make_the_picture_again(self, folder):
        arguments = ["transfer", "content.png", "style.jpg", *SMALL, "--quiet", "--init", "noise"]
        assert main([*arguments, "-o", "first.png"]) == 0
        assert main([*arguments, "-o", "again.png"]) == 0
        assert main([*arguments, "-o", "other.png", "--seed", "1"]) == 0
        first, again, other = (images.load(f"{name}.png") for name in ("first", "again", "other"))
        np.testing.assert_array_equal(first, again)
        assert not np.array_equal(first, other)

    @pytest.mark.parametrize("options", [[], ["--scales", "2", "--style-layers", "conv1_1:0.5", "conv2_1:0.5"]])
    def test_settings_run_again(self, folder, options):
        assert main(["transfer", "content.png", "style.jpg", "-o", "out.png", *SMALL, "--seed", "3", *options]) == 0
        assert main(["transfer", "--settings", "out.json", "-o", "again.png"]) == 0
        assert (folder / "again.png").read_bytes() == (folder / "out.png").read_bytes()
        assert main(["transfer", "-o", "again.png", "--settings", "again.json"]) == 0
        assert (folder / "again.png").read_bytes() == (folder / "out.png").read_bytes()

    def test_options_go_before_settings(self, folder):
        assert main(["transfer", "content.png", "style.jpg", "-o", "out.png", *SMALL, "--seed", "3"]) == 0
        command = ["transfer", "--size", "20", "--settings", "out.json", "-o", "other.png", "--pooling", "max"]
        assert main([*command, "--style-layers", "conv1_1"]) == 0
        record = json.loads((folder / "other.json").read_text())
        asked = {"size": 20, "pooling": "max", "seed": 3, "iterations": 3, "output": "other.png"}
        assert record["given"].items() >= asked.items()
        assert record["settings"]["style_layers"] == {"conv1_1": 1.0}
        assert main(["transfer", "style.jpg", "content.png", "--size", "40", "--settings", "out.json"]) == 0
        record = json.loads((folder / "out.json").read_text())
        assert (record["given"]["content"], record["given"]["styles"]) == ("style.jpg", ["content.png"])

    def test_settings_of_a_reconstruction_run_again(self, folder):
        assert main(["reconstruct", "style", "style.jpg", "--layers", "conv1_1", "-o", "out.png", *SMALL]) == 0
        assert main(["transfer", "--settings", "out.json", "-o", "again.png"]) == 0
        assert (folder / "again.png").read_bytes() == (folder / "out.png").read_bytes()

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            (None, "out.json cannot be read"),
            ("no JSON", "out.json is no JSON"),
            ('{"command": []}', "there is no setting 'command'"),
            ('{"content": "content.png"}', "name no output"),
            ('{"output": "out.png"}', "nothing to imitate"),
            ('{"output": "out.png", "content": "content.png", "size": "large"}', "the setting size must be"),
        ],
    )
    def test_bad_settings(self, folder, capsys, text, said):
        if text is not None:
            (folder / "out.json").write_text(text)
        assert main(["transfer", "--settings", "out.json"]) == 2
        captured = capsys.readouterr().err
        assert said in captured
        assert captured.count("\n") == 1
        assert not (folder / "out.png").exists()

    def test_the_old_name_of_an_optimiser(self, folder, capsys):
        command = ["transfer", "content.png", "style.jpg", *SMALL]
        assert main([*command, "-o", "old.png", "--optimizer", "lbfgs-native"]) == 0
        assert main([*command, "-o", "out.png", "--optimizer", "lbfgs"]) == 0
        assert (folder / "old.png").read_bytes() == (folder / "out.png").read_bytes()
        assert json.loads((folder / "old.json").read_text())["settings"]["optimizer"] == "lbfgs"
        with pytest.raises(SystemExit):
            main(["transfer", "--help"])
        assert "lbfgs-native" not in capsys.readouterr().out

    def test_log(self, folder):
        assert main(["transfer", "content.png", "style.jpg", "-o", "out.png", *SMALL, "--log", "log.jsonl"]) == 0
        entries = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        result = json.loads((folder / "out.json").read_text())["result"]
        assert len(entries) == result["evaluations"]
        assert [entry["evaluation"] for entry in entries] == list(range(1, len(entries) + 1))
        assert entries[-1]["total"] == pytest.approx(result["loss"])
        assert {f"style/{name}" for name in entries[0]["style"]} <= set(result["terms"])
        assert {f"content/{name}" for name in entries[0]["content"]} <= set(result["terms"])
        assert entries[0]["seconds"] <= entries[-1]["seconds"]

    def test_save_every(self, folder):
        assert (
            main(
                [
                    "transfer",
                    "content.png",
                    "style.jpg",
                    "-o",
                    "out.jpg",
                    "--size",
                    "24",
                    "--iterations",
                    "5",
                    "--save-every",
                    "2",
                ]
            )
            == 0
        )
        assert sorted(path.name for path in folder.glob("out*")) == [
            "out-0002.jpg",
            "out-0004.jpg",
            "out.jpg",
            "out.json",
        ]

    @pytest.mark.parametrize("init", ["content", "style", "third.png", "fast"])
    def test_starts(self, folder, random, init):
        """After one step the picture is still nearest to where it came from."""
        images.save("third.png", np.random.default_rng(3).uniform(0, 255, (18, 24, 3)))
        command = ["transfer", "content.png", "style.jpg", "-o", "out.png", "--size", "24", "--iterations", "1"]
        model = painter(random, "model.h5", "style.jpg")
        options = ["--fast-model", "model.h5"] if init == "fast" else []
        assert main([*command, "--init", init, "--margin", "0", *options]) == 0
        starts = {
            "content": images.fit(images.load("content.png"), 24),
            "style": images.reframe(fit_style(images.load("style.jpg"), 18, 24), 18, 24),
            "third.png": images.load("third.png"),
            "fast": model(images.fit(images.load("content.png"), 24), "from_style"),
        }
        picture = images.load("out.png")
        distances = {name: np.abs(picture - start).mean() for name, start in starts.items()}
        assert min(distances, key=distances.get) == init
        assert json.loads((folder / "out.json").read_text())["settings"]["init"] == init

    def test_a_start_in_one_pass(self, folder, random):
        """Its style is the one that is named, else the one that was learnt from the style's file, or both of two."""
        painter(random, "model.h5", "style.jpg")
        command = ["transfer", "content.png", "style.jpg", "-o", "out.png", "--size", "24", "--iterations", "1"]
        command += ["--init", "fast", "--fast-model", "model.h5"]
        pictures = []
        for options, style in (
            ([], {"from_style": 1}),
            (["--fast-style", "other:3,from_style:1"], {"other": 3, "from_style": 1}),
        ):
            assert main([*command, *options]) == 0
            assert json.loads((folder / "out.json").read_text())["settings"]["fast_style"] == style
            pictures.append(images.load("out.png"))
        assert np.abs(pictures[0] - pictures[1]).mean() > 1
        assert main(["transfer", "--settings", "out.json", "-o", "again.png"]) == 0
        np.testing.assert_array_equal(images.load("again.png"), pictures[1])
        assert main(["transfer", "--settings", "out.json", "-o", "noise.png", "--init", "noise"]) == 0

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (
                ["content.png"],
                "no style of model.h5 is learnt from content.png: name one by --fast-style, of other",
            ),
            (["style.jpg", "content.png"], "is learnt from content.png"),
            (["style.jpg", "--fast-style", "othr"], "did you mean other"),
            (["style.jpg", "--fast-style", "other:0"], "their sum is not 0"),
            (["style.jpg", "--fast-model", "distilled"], "not one that paints"),
            (["style.jpg", "--fast-model", "none.h5"], "none.h5 does not exist"),
            (["style.jpg", "--init", "content"], "say how --init fast paints"),
            (["style.jpg", "-o", "model.h5"], "no suffix"),
        ],
    )
    def test_a_start_in_one_pass_that_cannot_be(self, folder, random, capsys, arguments, message):
        painter(random, "model.h5", "style.jpg")
        before = sorted(folder.iterdir())
        options = ["--quiet", "-o", "out.png", "--init", "fast", "--fast-model", "model.h5"]
        assert main(["transfer", *options, "content.png", *arguments]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line
        assert sorted(folder.iterdir()) == before

    @pytest.mark.parametrize(
        ("options", "setting", "value"),
        [
            (["--optimizer", "adam"], "optimizer", "adam"),
            (["--optimizer", "scipy-lbfgs"], "optimizer", "scipy-lbfgs"),
            (["--pooling", "max"], "pooling", "max"),
            (["--bounded"], "bounded", True),
            (["--no-normalize"], "normalized", False),
            (["--dtype", "float64"], "dtype", "float64"),
            (["--tv-weight", "1e-3"], "tv_weight", 1e-3),
            (["--content-weight", "1e-3"], "content_weight", 1e-3),
            (["--style-weight", "9"], "style_weight", 9.0),
            (["--style-fit", "squeeze"], "style_fit", "squeeze"),
        ],
    )
    def test_options_are_noted_and_change_the_result(self, folder, options, setting, value):
        command = ["transfer", "content.png", "style.jpg", "--network", "pyramid", "--size", "32", "--iterations", "12"]
        assert main([*command, "-o", "plain.png"]) == 0
        assert main([*command, "-o", "out.png", *options]) == 0
        record, plain = (json.loads((folder / f"{name}.json").read_text()) for name in ("out", "plain"))
        assert record["settings"][setting] == value
        assert plain["settings"][setting] != value
        assert record["result"]["loss"] != plain["result"]["loss"]

    def test_scales(self, folder, capsys):
        options = ["--scales", "2", "--iterations", "5", "--save-every", "2", "--log", "log.jsonl"]
        assert main(["transfer", "content.png", "style.jpg", "-o", "out.png", "--size", "48", *options]) == 0
        record = json.loads((folder / "out.json").read_text())
        result, ends = record["result"], record["result"]["scales"]
        assert [(end["height"], end["width"], end["iterations"]) for end in ends] == [(18, 24, 3), (36, 48, 2)]
        assert (result["iterations"], result["loss"]) == (5, ends[1]["loss"])
        assert result["evaluations"] == ends[0]["evaluations"] + ends[1]["evaluations"]
        assert record["settings"]["scales"] == 2
        entries = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        assert [entry["scale"] for entry in entries] == [1] * ends[0]["evaluations"] + [2] * ends[1]["evaluations"]
        assert [entry["evaluation"] for entry in entries] == list(range(1, result["evaluations"] + 1))
        assert entries[ends[0]["evaluations"] - 1]["total"] == pytest.approx(ends[0]["loss"])
        assert entries[-1]["total"] == pytest.approx(ends[1]["loss"])
        for stage in ("out-0002.png", "out-0004.png", "out.png"):
            assert images.load(stage).shape == (36, 48, 3)
        said = capsys.readouterr().err
        assert said.index("scale 1 of 2: 24x18 pixels, 3 iterations") < said.index("iteration 1/5")
        assert said.index("iteration 3/5") < said.index("scale 2 of 2: 48x36 pixels, 2 iterations")
        assert said.splitlines()[-1].startswith("out.png: all 5 iterations done; loss ")

    @pytest.mark.parametrize(
        ("options", "scales"),
        [
            ([], 2),
            (["--init", "content"], 2),
            (["--init", "style.jpg"], 1),
            (["--init", "fast", "--fast-style", "seine"], 1),
            (["--scales", "1"], 1),
            (["--size", "24"], 1),
        ],
    )
    def test_automatic_scales(self, folder, monkeypatch, options, scales):
        """None is added where the coarsest would be too small, here for the fifth block of the network."""
        monkeypatch.setattr("scratchnst.transfer.scales.LARGEST_FIRST", 12 if "--size" in options else 24)
        command = ["transfer", "content.png", "style.jpg", "-o", "out.png", *SMALL, "--size", "48"]
        assert main([*command, *options]) == 0
        record = json.loads((folder / "out.json").read_text())
        assert len(record["result"]["scales"]) == scales
        assert record["settings"]["scales"] == (1 if "--scales" in options else "auto")

    def test_weights_given_are_those_of_the_finest_scale(self, folder):
        """They weigh sums over pixels; where there are fewer pixels, so much more counts each."""
        arguments = ["transfer", "content.png", "style.jpg", "-o", "out.png", *SMALL, "--log", "log.jsonl"]
        given = ["--content-weight", "1e-3", "--tv-weight", "1e-5", "--margin", "0", "--size", "48", "--scales", "2"]
        assert main([*arguments, *given]) == 0
        settings = json.loads((folder / "out.json").read_text())["settings"]
        assert (settings["content_weight"], settings["tv_weight"]) == (1e-3, 1e-5)
        first, *_, last = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        for entry, fewer in ((first, 4), (last, 1)):
            content = sum(weight * entry["content"][name] for name, weight in settings["content_layers"].items())
            total = fewer * (1e-3 * content + 1e-5 * entry["tv"])
            total += sum(weight * entry["style"][name] for name, weight in settings["style_layers"].items())
            assert entry["total"] == pytest.approx(total, rel=1e-5)

    def test_every_scale_imitates_the_pictures_in_the_files(self, folder, monkeypatch):
        """Not copies of copies, which a filter would have smoothed more than once."""
        seen = []

        class Spy(Objective):
            def __init__(self, *arguments, **settings):
                super().__init__(*arguments, **settings)
                seen.append((images.crop(self.content, 3), self.styles))

        monkeypatch.setattr("scratchnst.transfer.preparation.Objective", Spy)
        pictures = ["content.png", "style.jpg", "content.png"]
        options = [*SMALL, "--size", "48", "--scales", "2", "--margin", "3"]
        assert main(["transfer", *pictures, "-o", "out.png", *options]) == 0
        _, *seen = seen  # the first is that by which memory is estimated
        for (height, width), (content, styles) in zip([(18, 24), (36, 48)], seen, strict=True):
            np.testing.assert_array_equal(content, images.resize(images.load("content.png"), height, width))
            for name, style in zip(pictures[1:], styles, strict=True):
                np.testing.assert_array_equal(style, fit_style(images.load(name), height + 6, width + 6))

    def test_scales_give_the_same_pixels_again(self, folder):
        for name in ("out.png", "again.png"):
            options = [*SMALL, "--size", "48", "--scales", "2"]
            assert main(["transfer", "content.png", "style.jpg", "-o", name, *options]) == 0
        np.testing.assert_array_equal(images.load("again.png"), images.load("out.png"))

    def test_two_styles(self, folder):
        assert main(["transfer", "content.png", "style.jpg", "content.png", "-o", "out.png", *SMALL]) == 0
        terms = json.loads((folder / "out.json").read_text())["result"]["terms"]
        assert any(name.startswith("style1/") for name in terms)
        assert any(name.startswith("style2/") for name in terms)

    def test_genuine_vgg19(self, folder, vgg19_file):
        assert (
            main(["transfer", "content.png", "style.jpg", "-o", "out.png", *SMALL, "--network", str(vgg19_file)]) == 0
        )
        record = json.loads((folder / "out.json").read_text())
        assert record["network"]["layout"] == "Keras"
        assert len(record["network"]["sha256"]) == 64
        defaults = load_network(vgg19_file).defaults
        assert record["settings"]["content_layers"] == defaults.content_layers
        assert record["settings"]["style_layers"] == defaults.style_layers


class TestReconstruct:
    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["texture", "content.png"], "invalid choice"),
            (["content", "missing.png"], "missing.png"),
            (["style", "content.png", "--layers", "conv6_1"], "no layer 'conv6_1'"),
            (["content", "dot.png"], "dot.png cannot be used: an image of 1x1 pixels is too small"),
            (["style", "content.png", "-o", "content.png"], "named twice"),
        ],
    )
    def test_bad_input(self, folder, capsys, arguments, said):
        images.save("dot.png", np.zeros((1, 1, 3)))
        output = [] if "-o" in arguments else ["-o", "out.png"]
        try:
            status = main(["reconstruct", *arguments, *output, *SMALL])
        except SystemExit as leaving:
            status = leaving.code
        assert status == 2
        assert said in capsys.readouterr().err
        assert not (folder / "out.png").exists()

    @pytest.mark.parametrize("kind", ["content", "style"])
    def test_loss_falls(self, folder, kind):
        arguments = [
            "reconstruct",
            kind,
            "content.png",
            "--layers",
            "conv1_1",
            "conv1_2",
            "-o",
            "out.png",
            "--log",
            "log.jsonl",
        ]
        assert main([*arguments, "--size", "24", "--iterations", "25"]) == 0
        first, *_, last = [json.loads(line)["total"] for line in (folder / "log.jsonl").read_text().splitlines()]
        assert last < 0.6 * first
        record = json.loads((folder / "out.json").read_text())
        assert set(record["result"]["terms"]) == {f"{kind}/conv1_1", f"{kind}/conv1_2"}

    def test_content_comes_back(self, folder):
        """From the features of the finest level the picture itself is found again."""
        smooth = images.resize(images.load("content.png")[:4, :4], 24, 24)
        images.save("smooth.png", smooth)
        arguments = [
            "reconstruct",
            "content",
            "smooth.png",
            "--layers",
            "conv1_1",
            "conv1_2",
            "-o",
            "out.png",
            "--tv-weight",
            "0",
        ]
        assert main([*arguments, "--size", "24", "--iterations", "200"]) == 0
        assert np.abs(images.load("out.png") - smooth).mean() < 10


def write_random_vgg(path, convolutions=4):
    """A file in Keras's layout, with random numbers in genuine shapes."""
    with h5py.File(path, "w") as file:
        for name, (w, b) in random_vgg19(convolutions).parameters.items():
            group = f"block{name[4]}_conv{name[6]}"
            file[f"{group}/kernel:0"], file[f"{group}/bias:0"] = w, b


def small_training(monkeypatch):
    """Let `distil` learn little, of small crops."""
    settings = {"SIDE": 16, "POOL": 4, "CROPS_EVERY": 2, "TRANSFER_EVERY": 3, "TRANSFER_FROM": 3, "KEEP_EVERY": 2}
    for name, value in settings.items():
        monkeypatch.setattr(distillation, name, value)


class TestTrace:
    def test_as_a_program(self, folder):
        done = run("trace", "content.png", "style.jpg", "--pixel", "5,7", "--size", "40", "--top", "2")
        assert (done.returncode, done.stderr) == (0, "")
        lines = done.stdout.splitlines()
        assert lines[0].startswith("network: distilled, ")
        assert lines[1].startswith("pixel 5,7 of 40x30, RGB ")
        assert "style/like_conv1_1: 3x3 of 30x40 positions see the pixel (rows 4-6, columns 6-8)" in done.stdout
        assert sum("  channel " in line for line in lines) == sum("  position " in line for line in lines)
        assert re.search(r"position \d+,\d+ .* sees rows \d+-\d+, columns \d+-\d+$", done.stdout, re.MULTILINE)

    def test_json_holds_the_gradient_of_equation_7(self, folder, capsys):
        command = ["trace", "content.png", "style.jpg", "--pixel", "5,7", "--size", "24", "--seed", "3"]
        assert main([*command, "--tv-weight", "1e-7", "--json"]) == 0
        record = json.loads(capsys.readouterr().out)
        content, style = images.fit(images.load("content.png"), 24), images.load("style.jpg")
        network = load_network("distilled")
        objective = Objective(network, content, [style], normalized=True, tv_weight=1e-7, dtype="float64")
        _, gradient = objective(np.random.default_rng(3).normal(NOISE_MEAN, NOISE_STD, objective.shape))
        np.testing.assert_allclose(record["gradient"], gradient[5, 7], rtol=1e-9)
        parts = {part["term"]: part for part in record["parts"]}
        assert list(parts) == list(objective.terms)
        np.testing.assert_allclose(np.sum([part["gradient"] for part in parts.values()], axis=0), gradient[5, 7])
        assert sum(part["share"] for part in parts.values()) == pytest.approx(1)
        assert record["relative difference"] < 1e-10
        assert record["settings"]["style_layers"] == dict(network.defaults.style_layers)

    def test_very_large_weights(self, folder, capsys):
        """Squares of such gradients would overflow."""
        options = ["--pixel", "5,7", "--size", "24", "--style-weight", "1e290"]
        assert main(["trace", "content.png", "style.jpg", *options]) == 0
        assert "100.0 %" in capsys.readouterr().out

    @pytest.mark.parametrize("image", ["content", "style", "third.png"])
    def test_images(self, folder, capsys, image):
        images.save("third.png", np.random.default_rng(3).uniform(0, 255, (18, 24, 3)))
        options = ["--pixel", "5,7", "--size", "24", "--image", image, "--style-fit", "squeeze"]
        assert main(["trace", "content.png", "style.jpg", *options]) == 0
        starts = {
            "content": images.fit(images.load("content.png"), 24),
            "style": images.resize(images.load("style.jpg"), 18, 24),
            "third.png": images.load("third.png"),
        }
        colours = ", ".join(f"{value:.0f}" for value in starts[image][5, 7])
        out = capsys.readouterr().out
        assert f"RGB {colours}, of the image: {image}" in out
        silent = {"content": 2, "style": 5}.get(image, 0)  # the content losses at their minimum; the style losses
        assert out.count("it does not push at all") == silent

    def test_at_the_content_nothing_but_style_pushes(self, folder, capsys):
        options = ["--image", "content", "--tv-weight", "0", "--style-weight", "0", "--pixel", "5,7", "--size", "24"]
        assert main(["trace", "content.png", "style.jpg", *options]) == 0
        assert re.search(r"sum( +0){4} +-$", capsys.readouterr().out, re.MULTILINE)

    def test_plot(self, folder):
        pytest.importorskip("matplotlib")
        command = ["trace", "content.png", "style.jpg", "--pixel", "17,23", "--size", "32", "--network", "pyramid"]
        assert main([*command, "--plot", "figure.png"]) == 0
        assert min(images.load("figure.png").shape[:2]) > 300

    def test_without_matplotlib_the_plot_is_refused(self, folder, capsys, monkeypatch):
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        assert main(["trace", "content.png", "style.jpg", "--pixel", "1,1", "--plot", "figure.png"]) == 2
        assert "pip install" in capsys.readouterr().err

    def test_parts_that_do_not_add_up_are_told(self, folder, capsys, monkeypatch):
        backward = average_pool.backward
        monkeypatch.setattr(average_pool, "backward", lambda grad_y, cache: 2 * backward(grad_y, cache))
        assert main(["trace", "content.png", "style.jpg", "--pixel", "5,7", "--size", "24"]) == 1
        assert "do not add up" in capsys.readouterr().err

    def test_memory(self, folder, capsys, monkeypatch):
        monkeypatch.setattr("scratchnst.transfer.memory.available", lambda engine=None: 10**6)
        assert main(["trace", "content.png", "style.jpg", "--pixel", "5,7", "--size", "24"]) == 2
        assert "choose a smaller --size" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["--pixel", "18,0"], "no pixel 18,0 in an image of 24x18 pixels: rows go from 0 to 17, columns from 0 to"),
            (["--pixel", "0,24"], "no pixel 0,24"),
            (["--pixel=-1,0"], "ROW,COL, two whole numbers counted from 0 at the top left, not '-1,0'"),
            (["--pixel", "1.5,0"], "not '1.5,0'"),
            (["--pixel", "5"], "not '5'"),
            (["--pixel", "1,2,3"], "not '1,2,3'"),
            (["--pixel", "nan,0"], "not 'nan,0'"),
            (["--pixel", "1" * 5000 + ",0"], "--pixel"),
            ([], "required: --pixel"),
            (["--pixel", "0,0", "--size", "2"], "too small for layer"),
            (["--pixel", "0,0", "--style-layers", "covn1_1"], "no layer 'covn1_1'"),
            (["--pixel", "0,0", "--content-layers", "conv6_2"], "no layer 'conv6_2'"),
            (["--pixel", "0,0", "--image", "nothing.png"], "no file nothing.png"),
            (["--pixel", "0,0", "--image", "text.png"], "text.png is damaged"),
            (["--pixel", "0,0", "--network", "nan.h5"], "conv1_1 holds NaN"),
            (["--pixel", "0,0", "--content-weight", "1e308"], "lower the weights"),
            (["--pixel", "0,0", "--style-weight", "nan"], "--style-weight"),
            (["--pixel", "0,0", "--top", "0"], "--top"),
            (["--pixel", "0,0", "--content-weight", "0", "--style-weight", "0"], "nothing to optimise"),
            (["--pixel", "0,0", "--plot", "figure.gif"], "suffix"),
            (["--pixel", "0,0", "--plot", "content.png"], "content.png is named twice"),
        ],
        ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
    )
    def test_bad_input(self, folder, capsys, arguments, said):
        bad_files(folder)
        size = [] if "--size" in arguments else ["--size", "24"]
        try:
            status = main(["trace", "content.png", "style.jpg", *arguments, *size])
        except SystemExit as leaving:
            status = leaving.code
        captured = capsys.readouterr()
        assert (status, captured.out) == (2, "")
        assert said in captured.err
        assert captured.err.count("\n") == 1


class TestWeights:
    def test_list(self, folder, capsys, monkeypatch):
        assert main(["weights", "list"]) == 0
        said = capsys.readouterr().out
        assert said.startswith("distilled ")
        assert "Without --network runs distilled" in said
        monkeypatch.setenv("SCRATCHNST_VGG19", "some.h5")
        assert main(["weights", "list"]) == 0
        assert "Without --network runs some.h5" in capsys.readouterr().out

    def test_get(self, folder, capsys, monkeypatch):
        monkeypatch.setattr(weights, "get_vgg19", lambda name, announce: folder / "any_notop.h5")
        assert main(["weights", "get", "vgg19"]) == 0
        assert capsys.readouterr().out.endswith("_notop.h5\n")

    def test_get_interrupted(self, folder, capsys, monkeypatch):
        def interrupt(name, announce):
            raise KeyboardInterrupt

        monkeypatch.setattr(weights, "get_vgg19", interrupt)
        assert main(["weights", "get", "vgg19"]) == 130
        assert "the next call goes on" in capsys.readouterr().err

    def test_info(self, folder, capsys):
        write_random_vgg("vgg.h5")
        assert main(["weights", "info", "vgg.h5"]) == 0
        said = capsys.readouterr().out
        for expected in ("vgg19, avg pooling, not normalised", "sha256: ", "layout: Keras", "channels BGR"):
            assert expected in said
        assert re.search(r"conv1_2 +conv \(3, 3, 64, 64\)", said)
        assert "default content layers: conv2_1:1" in said

    def test_convert(self, folder, capsys):
        write_random_vgg("vgg.h5")
        assert main(["weights", "convert", "vgg.h5", "own.h5"]) == 0
        before, after = load_network("vgg.h5"), load_network("own.h5")
        image = np.random.default_rng(0).uniform(0, 255, (1, 9, 8, 3)).astype("f")
        features = [network.forward(image, ["conv1_1", "conv2_2"])[0] for network in (before, after)]
        for name in features[0]:
            np.testing.assert_array_equal(features[0][name], features[1][name])
        assert after.provenance["origin"]["sha256"] == before.provenance["sha256"]
        assert main(["weights", "convert", "vgg.h5", "half.h5", "--half"]) == 0
        assert os.path.getsize("half.h5") < 0.6 * os.path.getsize("own.h5")

    def test_convert_refuses_to_replace_its_source(self, folder, capsys):
        write_random_vgg("vgg.h5", 1)
        assert main(["weights", "convert", "vgg.h5", "./vgg.h5"]) == 2
        assert "is named twice" in capsys.readouterr().err

    def test_convert_refuses_to_replace_the_network_in_the_cache(self, folder, capsys, monkeypatch):
        write_random_vgg("cached.h5", 1)
        monkeypatch.setattr(load, "cached_vgg19", lambda: folder / "cached.h5")
        assert main(["weights", "convert", "vgg19", "cached.h5"]) == 2
        assert "is named twice" in capsys.readouterr().err

    def test_verify(self, folder, capsys):
        write_random_vgg("vgg.h5")
        assert main(["weights", "verify", "vgg.h5"]) == 0
        said = capsys.readouterr().out
        assert re.search(r"conv2_2 +128 +\d+ ", said)
        assert "whole and finite" in said

    def test_verify_finds_a_network_that_is_dead(self, folder, capsys):
        write_random_vgg("vgg.h5")
        with h5py.File("vgg.h5", "a") as file:
            file["block1_conv2/bias:0"][:] = -1e9
        assert main(["weights", "verify", "vgg.h5"]) == 1
        assert "no filter answers in ['conv1_2'" in capsys.readouterr().err

    def test_verify_knows_published_files(self, folder, capsys, monkeypatch):
        write_random_vgg("vgg.h5", 1)
        digest = hashlib.md5((folder / "vgg.h5").read_bytes()).hexdigest()
        monkeypatch.setitem(MD5, digest, "a file for this test")
        assert main(["weights", "verify", "vgg.h5"]) == 0
        assert "byte for byte, a file for this test" in capsys.readouterr().out

    def test_normalize(self, folder, vgg19_file):
        assert main(["weights", "normalize", str(vgg19_file), "normalized.h5", "--images", "."]) == 0
        network = load_network("normalized.h5")
        assert network.normalized
        assert network.provenance["origin"]["normalized on"] == ["content.png", "style.jpg"]
        photos = [images.load("content.png"), images.load("style.jpg")]
        heaps = [network.forward(photo[np.newaxis], ["conv2_2"])[0]["conv2_2"].reshape(-1, 128) for photo in photos]
        mean = np.concatenate(heaps).mean(axis=0)
        assert np.mean(np.abs(mean - 1) < 1e-3) > 0.9

    @pytest.mark.slow
    def test_distil(self, folder, monkeypatch, capsys):
        """The teacher here is random, and the lessons few: what counts is the file that comes out."""
        write_random_vgg(folder / "teacher.h5", 13)
        small_training(monkeypatch)
        (folder / "licences.txt").write_text("content.png: CC0\nstyle.jpg: CC0\n\nBoth drawn.\n")
        command = ["weights", "distil", "teacher.h5", "student.h5", "--images", ".", "--steps", "3", "--seed", "2"]
        assert main([*command, "--licences", "licences.txt"]) == 0
        assert "trained for 3 steps" in capsys.readouterr().err
        network = load_network("student.h5")
        origin = network.provenance["origin"]
        assert (network.name, origin["steps"], origin["seed"]) == ("distilled", 3, 2)
        assert origin["pictures"] == ["content.png", "style.jpg"]
        assert origin["distilled from"]["file"] == "teacher.h5"
        assert origin["licences"] == (folder / "licences.txt").read_text()
        transfer = ["transfer", "content.png", "style.jpg", "-o", "out.png", *SMALL, "--size", "32"]
        assert main([*transfer, "--network", "student.h5"]) == 0
        capsys.readouterr()
        assert main(["weights", "info", "student.h5"]) == 0
        assert "licences: 4 lines, which --all shows" in capsys.readouterr().out
        assert main(["weights", "info", "student.h5", "--all"]) == 0
        assert "style.jpg: CC0" in capsys.readouterr().out

    @pytest.mark.slow
    def test_distil_goes_on_from_a_checkpoint(self, folder, monkeypatch, capsys):
        write_random_vgg(folder / "teacher.h5", 13)
        small_training(monkeypatch)
        command = ["weights", "distil", "teacher.h5", "student.h5", "--images", ".", "--checkpoint", "kept.h5"]

        def interrupted(*_):
            raise KeyboardInterrupt

        with monkeypatch.context() as context:
            context.setattr(distillation.DistillationLoss, "_transfer", interrupted)
            assert main([*command, "--steps", "5"]) == 130
        assert "interrupted; kept.h5 keeps what was learnt" in capsys.readouterr().err
        assert not (folder / "student.h5").exists()
        assert load_network("kept.h5").provenance["origin"]["steps done"] == 1
        assert main([*command, "--steps", "5", "--seed", "1"]) == 2
        assert "kept.h5 is no checkpoint of this training" in capsys.readouterr().err
        assert main([*command, "--steps", "4"]) == 0
        assert load_network("kept.h5").provenance["origin"]["steps done"] == 4
        assert "steps done" not in load_network("student.h5").provenance["origin"]

    @pytest.mark.parametrize("arguments", [["pyramid", "out.h5"], ["teacher.h5", "teacher.h5"], ["teacher.h5", "out"]])
    def test_distil_bad_input(self, folder, arguments, capsys):
        write_random_vgg(folder / "teacher.h5", 8)
        before = (folder / "teacher.h5").read_bytes()
        assert main(["weights", "distil", *arguments, "--images", "."]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
        assert (folder / "teacher.h5").read_bytes() == before

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["pyramid", "out.h5", "--images", "nowhere"], "nowhere is not a readable directory"),
            (["pyramid", "out.h5", "--images", "empty"], "holds no pictures"),
            (["pyramid", "out.txt", "--images", "."], "suffix"),
            (["nothing.h5", "out.h5", "--images", "."], "the weights file nothing.h5 does not exist"),
        ],
    )
    def test_bad_input(self, folder, capsys, arguments, said):
        (folder / "empty").mkdir()
        assert main(["weights", "normalize", *arguments]) == 2
        assert said in capsys.readouterr().err
        assert not (folder / "out.h5").exists()


def test_samples(folder, capsys):
    assert main(["samples", "new/folder"]) == 0
    for name in ("content.png", "labels.png", "style.png", "mosaic.png"):
        assert images.load(folder / "new" / "folder" / name).std() > 30


def test_version_and_help():
    assert run("--version").stdout.startswith("scratchnst 0.")
    for command in ([], ["transfer"], ["reconstruct"], ["weights"], ["weights", "normalize"], ["samples"], ["trace"]):
        done = run(*command, "--help")
        assert done.returncode == 0
        assert done.stdout.startswith("usage: ")
        assert "%%" not in done.stdout


def bad_files(folder):
    """One file of each sort that must be refused."""
    data = (folder / "style.jpg").read_bytes()
    (folder / "truncated.jpg").write_bytes(data[: len(data) // 2])
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.png").write_text("no picture")
    (folder / "empty.h5").write_bytes(b"")
    (folder / "text.h5").write_text("<html>")
    (folder / "directory").mkdir()
    (folder / "dir.png").mkdir()
    images.save(folder / "dot.png", np.zeros((1, 1, 3)))
    images.save(folder / "start.png", np.zeros((9, 9, 3)))
    images.save(folder / "p-0002.png", np.zeros((9, 9, 3)))
    (folder / "old.jsonl").write_text("old log")
    (folder / "loop.png").symlink_to("loop.png")
    with h5py.File(folder / "nan.h5", "w") as file:
        file["block1_conv1/kernel"] = np.full((3, 3, 3, 64), np.nan, "f")
        file["block1_conv1/bias"] = np.zeros(64, "f")
    with h5py.File(folder / "shape.h5", "w") as file:
        file["block1_conv1/kernel"] = np.zeros((3, 3, 3, 7), "f")
        file["block1_conv1/bias"] = np.zeros(7, "f")
    with h5py.File(folder / "gap.h5", "w") as file:
        file["block2_conv1/kernel"] = np.zeros((3, 3, 64, 128), "f")
        file["block2_conv1/bias"] = np.zeros(128, "f")


TRANSFER = ["transfer", "content.png", "style.jpg", "-o", "out.png", "--log", "log.jsonl"]
TRACE = ["trace", "content.png", "style.jpg", "--pixel", "0,0", "--plot", "plot.png"]


@pytest.mark.parametrize(
    ("arguments", "layer"),
    [
        ([*TRANSFER, "--content-layers", "conv4_2"], "conv4_2"),
        ([*TRANSFER, "--content-layers", "conv1_1:1", "conv4_2:0"], "conv4_2"),
        ([*TRANSFER, "--style-layers", "conv1_1,conv5_1"], "conv5_1"),
        ([*TRANSFER, "--style-layers", "conv5_1", "--dry-run"], "conv5_1"),
        (["reconstruct", "content", "content.png", "-o", "out.png", "--layers", "conv4_2"], "conv4_2"),
        (["reconstruct", "style", "content.png", "-o", "out.png", "--layers", "conv1_1:1", "conv4_1:0.5"], "conv4_1"),
        ([*TRACE, "--content-layers", "conv4_2"], "conv4_2"),
        ([*TRACE, "--style-layers", "conv5_1"], "conv5_1"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_layers_that_a_truncated_vgg19_lacks(folder, capsys, arguments, layer):
    write_random_vgg("vgg.h5", 4)
    before = sorted(os.listdir())
    assert main([*arguments, "--network", "vgg.h5", "--size", "24"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"scratchnst: vgg19 has no layer '{layer}';")
    assert captured.err.endswith(" its layers are conv1_1, conv1_2, pool1, conv2_1, conv2_2, pool2.\n")
    assert captured.err.count("\n") == 1
    assert sorted(os.listdir()) == before


GOOD = ["content.png", "style.jpg"]
BAD_INPUT = [
    (["missing.png", "style.jpg"], "missing.png"),
    (["content.png", "missing.jpg"], "missing.jpg"),
    (["directory", "style.jpg"], "directory holds no pictures"),
    (["truncated.jpg", "style.jpg"], "truncated.jpg"),
    (["content.png", "truncated.jpg"], "truncated.jpg"),
    (["empty.png", "style.jpg"], "empty.png is empty"),
    (["dot.png", "style.jpg"], "dot.png cannot be used: an image of 1x1 pixels is too small for layer like_conv4_2"),
    (["content.png", "dot.png"], "dot.png cannot be used: an image of 1x1 pixels is too small for layer like_conv5_1"),
    (["text.png", "style.jpg"], "text.png is damaged or no picture"),
    ([*GOOD, "--size", "1"], "too small"),
    ([*GOOD, "--size", "3", "--style-layers", "conv3_4"], "too small for layer"),
    ([*GOOD, "--network", "empty.h5"], "empty.h5 is of no format"),
    ([*GOOD, "--network", "text.h5"], "text.h5 is of no format"),
    ([*GOOD, "--network", "nan.h5"], "conv1_1 holds NaN"),
    ([*GOOD, "--network", "shape.h5"], "conv1_1 should have a kernel of shape (3, 3, 3, 64)"),
    ([*GOOD, "--network", "gap.h5"], "lacks conv1_1"),
    ([*GOOD, "--network", "missing.h5"], "the weights file missing.h5 does not exist"),
    ([*GOOD, "--network", "directory"], "directory is not a file"),
    ([*GOOD, "--network", "vgg19"], "VGG19 is not in the cache: run scratchnst weights get vgg19"),
    ([*GOOD, "--network", "pyramids"], "a name: distilled, pyramid, vgg19"),
    ([*GOOD, "--style-layers", "covn1_1"], "did you mean conv1_1?"),
    ([*GOOD, "--content-layers", "conv6_2"], "no layer 'conv6_2'"),
    ([*GOOD, "--style-layers", "conv1_1:0.5", "conv2_1"], "give one to all"),
    ([*GOOD, "--style-layers", "conv1_1", "conv1_1"], "named twice"),
    ([*GOOD, "--style-layers", "conv1_1:abc"], "must be a number of 0 or more, not 'abc'"),
    ([*GOOD, "--style-layers", "conv1_1:-1"], "not '-1'"),
    ([*GOOD, "--style-layers", ","], "has no name"),
    ([*GOOD, "--style-layers", ":0.5"], "has no name"),
    ([*GOOD, "--size", "-1"], "argument --size: must be a whole number from 1 to 16384, or 0, not '-1'"),
    ([*GOOD, "--size", "9" * 30], "--size"),
    ([*GOOD, "--margin", "-1"], "argument --margin: must be a whole number from 0 to 256, not '-1'"),
    ([*GOOD, "--margin", "257"], "--margin"),
    ([*GOOD, "--size", "3.5"], "--size"),
    ([*GOOD, "--scales", "0"], "argument --scales: must be auto or a whole number from 1 to 15, not '0'"),
    ([*GOOD, "--scales", "many"], "--scales"),
    ([*GOOD, "--scales", "5"], "--scales 5 are too many: an image of 2x1 pixels is too small for layer like_conv5_1"),
    ([*GOOD, "--iterations", "-5"], "--iterations"),
    ([*GOOD, "--iterations", "many"], "not 'many'"),
    ([*GOOD, "--seed", "-1"], "--seed"),
    ([*GOOD, "--content-weight", "-1"], "--content-weight"),
    ([*GOOD, "--style-weight", "nan"], "--style-weight"),
    ([*GOOD, "--tv-weight", "inf"], "--tv-weight"),
    ([*GOOD, "--content-weight", "0", "--style-weight", "0"], "nothing to optimise"),
    ([*GOOD, "--style-weight", "1e60"], "lower the weights"),
    ([*GOOD, "--save-every", "0"], "--save-every"),
    ([*GOOD, "--optimizer", "sgd"], "--optimizer"),
    ([*GOOD, "--pooling", "min"], "--pooling"),
    ([*GOOD, "--init", "nothing.png"], "no file nothing.png to start from: name one, or one of noise"),
    ([*GOOD, "--init", "text.png"], "text.png is damaged or no picture"),
    ([*GOOD, "-o", "start.png", "--init", "start.png"], "start.png is named twice"),
    ([*GOOD, "--network", "nan.h5", "--log", "nan.h5"], "nan.h5 is named twice"),
    ([*GOOD, "--log", "old.jsonl", "--style-weight", "1e60"], "lower the weights"),
    (["p-0002.png", "style.jpg", "-o", "p.png", "--save-every", "2"], "p-0002.png: name another output"),
    (["loop.png", "style.jpg"], "loop.png"),
    (["x" * 300 + ".png", "style.jpg"], "File name too long"),
    ([*GOOD, "--network", "x" * 300], "does not exist"),
    ([*GOOD, "--seed", "1" + "0" * 5000], "--seed"),
    ([*GOOD, "--unknown"], "--unknown"),
    ([*GOOD, "--log", "missing/log.jsonl"], "missing"),
    ([*GOOD, "--log", "content.png"], "content.png is named twice"),
    ([*GOOD, "--log", "out.json"], "out.json is named twice"),
    ([*GOOD, "-o", "missing/out.png"], "missing"),
    ([*GOOD, "-o", "content.png"], "content.png is named twice"),
    ([*GOOD, "-o", "dir.png"], "dir.png is a directory"),
    ([*GOOD, "-o", "out.gif"], "suffix"),
    ([*GOOD, "-o", "out"], "suffix"),
    (["content.png"], "STYLE"),
]


@pytest.mark.parametrize(
    ("arguments", "said"), BAD_INPUT, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_bad_input_is_told_in_one_sentence(folder, capsys, arguments, said):
    bad_files(folder)
    (folder / "out.png").write_bytes(b"old picture")
    (folder / "out.json").write_text('{"given": {"output": "out.png"}}')
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    output = [] if "-o" in arguments else ["-o", "out.png"]
    size = [] if "--size" in arguments else ["--size", "24"]
    try:
        status = main(["transfer", *arguments, *output, *size, "--quiet"])
    except SystemExit as leaving:
        status = leaving.code
    captured = capsys.readouterr()
    assert status == 2
    assert captured.out == ""
    assert said in captured.err
    assert captured.err.startswith("scratchnst")
    assert captured.err.endswith(".\n")
    assert captured.err.count("\n") == 1
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


@pytest.mark.parametrize("network", [[], ["--network", "vgg19"]])
@pytest.mark.parametrize(
    "command", [["transfer", "content.png", "style.jpg"], ["reconstruct", "style", "style.jpg"]], ids=lambda c: c[0]
)
def test_the_log_does_not_replace_the_network_in_the_cache(folder, capsys, monkeypatch, command, network):
    write_random_vgg("cached.h5", 1)
    monkeypatch.setattr(load, "cached_vgg19", lambda: folder / "cached.h5")
    before = (folder / "cached.h5").read_bytes()
    assert main([*command, *network, "-o", "out.png", "--log", "cached.h5"]) == 2
    assert "cached.h5 is named twice" in capsys.readouterr().err
    assert (folder / "cached.h5").read_bytes() == before


def test_ctrl_c_saves_the_current_image(folder):
    command = [
        sys.executable,
        "-m",
        "scratchnst",
        "transfer",
        "content.png",
        "style.jpg",
        "-o",
        "out.png",
        "--log",
        "log.jsonl",
    ]
    with subprocess.Popen(
        [*command, "--size", "64", "--iterations", "100000"], stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 60
        log = folder / "log.jsonl"
        while time.monotonic() < deadline and not (log.exists() and log.read_text().count("\n") > 20):
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in said
    assert "Traceback" not in said
    assert images.load("out.png").shape == (48, 64, 3)
    record = json.loads((folder / "out.json").read_text())
    assert record["result"]["complete"] is False
    assert 1 <= record["result"]["iterations"] < 100000


def break_objective(monkeypatch, calls, failure):
    """Let the objective work for so many calls and then do `failure(loss, grad)`."""
    genuine, made = Objective.__call__, []

    def breaking(self, x):
        made.append(0)
        loss, grad = genuine(self, x)
        return failure(loss, grad) if len(made) > calls else (loss, grad)

    monkeypatch.setattr(Objective, "__call__", breaking)


COMMAND = ["transfer", "content.png", "style.jpg", "-o", "out.png", "--size", "24", "--quiet"]


def test_ctrl_c_at_the_first_evaluation_of_the_second_scale_saves_the_first_enlarged(folder, capsys, monkeypatch):
    def interrupt(loss, grad):
        raise KeyboardInterrupt

    assert main([*COMMAND, "--size", "48", "--iterations", "4", "--scales", "2"]) == 0
    evaluations = json.loads((folder / "out.json").read_text())["result"]["scales"][0]["evaluations"]
    break_objective(monkeypatch, evaluations, interrupt)
    assert main([*COMMAND, "--size", "48", "--iterations", "4", "--scales", "2"]) == 130
    assert "interrupted; loss" in capsys.readouterr().err
    assert images.load("out.png").shape == (36, 48, 3)
    record = json.loads((folder / "out.json").read_text())
    assert [(end["height"], end["complete"]) for end in record["result"]["scales"]] == [(18, False)]
    settings, result = record["settings"], record["result"]
    total = 0
    for name, weight in settings["content_layers"].items():
        total += settings["content_weight"] * weight * result["terms"][f"content/{name}"]
    for name, weight in settings["style_layers"].items():
        total += weight * result["terms"][f"style/{name}"]
    assert result["loss"] == pytest.approx(total + settings["tv_weight"] * result["terms"]["tv"], rel=1e-5)


def test_loss_that_becomes_infinite_keeps_the_last_good_image(folder, capsys, monkeypatch):
    break_objective(monkeypatch, 7, lambda loss, grad: (float("inf"), grad))
    assert main(COMMAND) == 1
    assert "NaN or infinite at evaluation 8" in capsys.readouterr().err
    assert images.load("out.png").shape == (18, 24, 3)
    assert json.loads((folder / "out.json").read_text())["result"]["complete"] is False


def test_ctrl_c_in_the_first_evaluation_saves_nothing(folder, capsys, monkeypatch):
    def interrupt(loss, grad):
        raise KeyboardInterrupt

    break_objective(monkeypatch, 0, interrupt)
    (folder / "out.png").write_bytes(b"old picture")
    assert main(COMMAND) == 130
    assert "before there was anything to save" in capsys.readouterr().err
    assert (folder / "out.png").read_bytes() == b"old picture"


def test_ctrl_c_while_the_picture_is_written_waits(folder, monkeypatch):
    genuine = images.save

    def save(path, image, finish):
        signal.raise_signal(signal.SIGINT)
        genuine(path, image, finish)

    monkeypatch.setattr(images, "save", save)
    assert main([*COMMAND, "--iterations", "3"]) == 0
    assert images.load("out.png").shape == (18, 24, 3)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk_costs_the_log_but_not_the_picture(folder, capsys, monkeypatch):
    with open("/dev/full", "wb", buffering=0) as full:
        monkeypatch.setattr("scratchnst.transfer.side_outputs.open_log", lambda path, keep: nullcontext(full))
        assert main([*COMMAND, "--iterations", "3", "--log", "log.jsonl"]) == 0
    assert capsys.readouterr().err.count("the log failed and is left out from now on") == 1
    assert images.load("out.png").shape == (18, 24, 3)


def test_a_stage_that_cannot_be_saved_does_not_cost_the_picture(folder, capsys):
    (folder / "out-0002.png").mkdir()
    assert main([*COMMAND, "--iterations", "5", "--save-every", "2"]) == 0
    assert "--save-every failed" in capsys.readouterr().err
    assert images.load("out.png").shape == (18, 24, 3)


def test_nobody_reads_the_progress(folder):
    command = [sys.executable, "-m", "scratchnst", *COMMAND[:-1], "--iterations", "40"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        process.stderr.close()
        process.wait(timeout=60)
    assert images.load("out.png").shape == (18, 24, 3)
    assert json.loads((folder / "out.json").read_text())["result"]["iterations"] == 40


def test_progress_bar_on_a_terminal(folder):
    outside, inside = pty.openpty()
    fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))  # 24 rows, 100 columns
    subprocess.run([sys.executable, "-m", "scratchnst", *COMMAND[:-1], "--iterations", "5"], stderr=inside, timeout=60)
    os.close(inside)
    said = os.read(outside, 100_000).decode()
    os.close(outside)
    assert "5/5" in said
    assert "loss " in said
    assert "it/s" in said
    assert "iteration 1/5" not in said
