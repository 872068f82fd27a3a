"""``scratchnst train style`` and ``scratchnst fast``: from a painting to a model to paintings of photographs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from networks import random_vgg19
from PIL import Image

from scratchnst import images
from scratchnst.cli import main, training
from scratchnst.engine.cpu import threads
from scratchnst.fast.fast_style import FastStyle, Style
from scratchnst.models import transform_net
from scratchnst.system import signals
from scratchnst.system.capacity import resident
from scratchnst.training import photographs, style_training
from scratchnst.training.style_training import Training
from scratchnst.weights.formats import native

TINY = ["--iterations", "3", "--batch", "2", "--size", "32", "--style-size", "40", "--width", "3", "--blocks", "1"]


@pytest.fixture
def studio(folder, random, monkeypatch):
    """Paintings and a directory of photographs; few are drawn, which takes seconds."""
    monkeypatch.setattr(photographs, "SAMPLES", 1)
    (folder / "photos").mkdir()
    for name in ("one", "two", "three"):
        picture = random.integers(0, 256, (50, 60, 3), np.uint8)
        Image.fromarray(picture).save(folder / "photos" / f"{name}.png")
    for name in ("The Wave", "dots"):
        Image.fromarray(random.integers(0, 256, (45, 40, 3), np.uint8)).save(folder / f"{name}.png")
    return folder


def train_style(*arguments, images=("--images", "photos")):
    return main(["train", "style", *arguments, *images, *TINY])


def test_a_model(studio, capsys):
    (studio / "rights.txt").write_text("all are mine\ndots.png: CC0, by me\n")
    options = ["--log", "log.jsonl", "--preview", "preview.png", "--licences", "rights.txt", "--json"]
    assert train_style("The Wave.png", "dots.png", "-o", "model.h5", *options) == 0
    captured = capsys.readouterr()
    assert "3 photographs" in captured.err
    told = json.loads(captured.out)
    assert (told.pop("output"), told["iteration"]) == ("model.h5", 3)
    assert told == json.loads((studio / "log.jsonl").read_text().splitlines()[-1])
    model = FastStyle.load("model.h5")
    assert model.names == ["the_wave", "dots"]
    assert model.styles[1].licence == "dots.png: CC0, by me"
    assert len(model.styles[0].sha256) == 64
    assert model.training["iterations done"] == 3
    assert model.training["loss networks"][0]["network"]["name"] == "distilled"
    assert model.training["losses"]["style"] > 0
    assert model.training["photographs"] == ["one.png", "three.png", "two.png"]
    assert model.training["settings"]["plan"]["side"] == 32
    lines = [json.loads(line) for line in (studio / "log.jsonl").read_text().splitlines()]
    assert [line["iteration"] for line in lines] == [1, 2, 3]
    assert images.load("preview.png").shape[1] > 3 * 256
    assert not (studio / "model.h5.training").exists()


def test_the_last_part_is_by_vgg19_where_there_is_one(studio, monkeypatch):
    def networks(*options):
        assert train_style("dots.png", "-o", "model.h5", *options) == 0
        return [each["network"]["name"] for each in FastStyle.load("model.h5").training["loss networks"]]

    assert networks() == ["distilled"]
    native.write(random_vgg19(8, width=4), Path("vgg.h5"), "float32")
    monkeypatch.setenv("SCRATCHNST_VGG19", "vgg.h5")
    assert networks() == ["distilled", "vgg19"]
    assert networks("--network", "distilled") == ["distilled"]
    assert networks("--network", "vgg.h5") == ["vgg19"]
    assert networks("--network", str(studio / "vgg.h5")) == ["vgg19"]
    assert FastStyle.load("model.h5").training["settings"]["network"] == "vgg.h5", "where it lies is nobody's business"
    assert networks("--finish", "distilled") == ["distilled"]


def test_it_works_without_photographs_of_ones_own(studio, capsys):
    assert train_style("dots.png", "-o", "model.h5", images=()) == 0
    assert "those at hand" in capsys.readouterr().err


def test_resumed_it_is_the_same(studio, monkeypatch, capsys):
    assert train_style("dots.png", "-o", "whole.h5") == 0
    step = Training.step

    def interrupted(training):
        if training.state.iteration == 2:
            raise KeyboardInterrupt
        step(training)

    with monkeypatch.context() as patch:
        patch.setattr(Training, "step", interrupted)
        assert train_style("dots.png", "-o", "part.h5") == 130
    assert "--resume" in capsys.readouterr().err
    assert FastStyle.load("part.h5").training["iterations done"] == 2
    assert train_style("dots.png", "-o", "part.h5") == 2
    assert "go on by --resume" in capsys.readouterr().err
    assert train_style("dots.png", "-o", "part.h5", "--resume", "--seed", "1") == 2
    assert "another training" in capsys.readouterr().err
    assert train_style("dots.png", "-o", "part.h5", "--resume") == 0
    whole, part = FastStyle.load("whole.h5"), FastStyle.load("part.h5")
    for name, arrays in whole.network.parameters.items():
        for array, other in zip(arrays, part.network.parameters[name]):
            np.testing.assert_array_equal(array, other)


def test_a_steady_one(studio):
    assert train_style("dots.png", "-o", "model.h5", "--steady", "7", "--log", "log.jsonl") == 0
    assert FastStyle.load("model.h5").training["settings"]["weights"]["steady"] == 7
    first, *_ = (json.loads(line)["losses"] for line in (studio / "log.jsonl").read_text().splitlines())
    terms = first["content"] + 10 * first["style"] + 0.05 * first["roughness"] + first["outside"]
    assert first["total"] == pytest.approx(terms + 7 * first["unsteadiness"])
    assert first["unsteadiness"] > 0
    assert train_style("dots.png", "-o", "other.h5", "--steady") == 0
    assert FastStyle.load("other.h5").training["settings"]["weights"]["steady"] == training.STEADY


@pytest.fixture
def program(studio, monkeypatch):
    """A program that trains, with a process beside it, until it is ended; what it says is kept."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    command = ["train", "style", "dots.png", "-o", "model.h5", "--images", "photos", "--log", "log.jsonl", *TINY]
    options = ["--iterations", "1000000", "--batch", "4", "--device", "cpu"]
    with open("said", "w") as said:
        program = subprocess.Popen(
            [sys.executable, "-m", "scratchnst", *command, *options], stderr=said, start_new_session=True
        )
    try:
        while not (Path("log.jsonl").exists() and Path("log.jsonl").read_text()):
            assert program.poll() is None, Path("said").read_text()
            time.sleep(0.05)
        yield program
    finally:
        program.kill()
        program.wait()


@pytest.mark.skipif(threads.usable_cores() < 2, reason="there is one core, and nothing to share")
class TestProcesses:
    @pytest.mark.parametrize("number", signals.NUMBERS)
    def test_what_ends_the_program_keeps_the_model_and_leaves_no_process(self, program, number):
        """A terminal sends Ctrl-C, and that it is closed, to all processes of the program."""
        workers = psutil.Process(program.pid).children()
        assert workers
        os.killpg(program.pid, number)
        assert program.wait(60) == 128 + number
        assert not psutil.wait_procs(workers, 10)[1]
        last = Path("said").read_text().splitlines()[-1]
        assert last == "scratchnst: interrupted; model.h5 can be used, and --resume goes on with the training."
        assert "lost" not in Path("said").read_text()
        assert FastStyle.load("model.h5").training["iterations done"] >= 1

    def test_a_program_that_is_killed_leaves_no_process(self, program):
        workers = psutil.Process(program.pid).children()
        assert workers
        program.kill()
        assert not psutil.wait_procs(workers, 10)[1]

    def test_it_goes_on_without_a_process_that_is_killed(self, program):
        psutil.Process(program.pid).children()[0].kill()
        before = len(Path("log.jsonl").read_text().splitlines())
        while len(Path("log.jsonl").read_text().splitlines()) < before + 3:
            assert program.poll() is None
            time.sleep(0.05)
        assert not psutil.Process(program.pid).children()
        assert Path("said").read_text().count("goes on without") == 1


def test_a_weight_for_each_style(studio):
    paintings = "The Wave.png", "dots.png"
    assert train_style(*paintings, "-o", "model.h5", "--style-weight", "3,0", "--log", "log.jsonl") == 0
    assert FastStyle.load("model.h5").training["settings"]["weights"]["style"] == [3, 0]
    losses = json.loads((studio / "log.jsonl").read_text().splitlines()[0])["losses"]
    others = losses["content"] + 0.05 * losses["roughness"] + losses["outside"]
    assert others < losses["total"] < others + 3 * losses["style"]
    assert train_style("dots.png", "-o", "more.h5", "--add-to", "model.h5", "--style-weight", "2") == 2


def test_a_style_is_added(studio):
    assert train_style("dots.png", "-o", "one.h5") == 0
    assert main(["train", "style", "The Wave.png", "-o", "two.h5", "--add-to", "one.h5", *TINY]) == 0
    one, two = FastStyle.load("one.h5"), FastStyle.load("two.h5")
    assert two.names == ["dots", "the_wave"]
    photo = images.load("photos/one.png")
    np.testing.assert_array_equal(two(photo, "dots"), one(photo))
    assert np.abs(two(photo, "the_wave") - one(photo)).max() > 0


def test_another_training_begins_with_a_model(studio):
    assert train_style("dots.png", "-o", "one.h5") == 0
    assert train_style("The Wave.png", "dots.png", "-o", "two.h5", "--start", "one.h5", "--rate", "0") == 0
    assert train_style("dots.png", "The Wave.png", "-o", "three.h5", "--start", "two.h5") == 0
    assert train_style("The Wave.png", "dots.png", "-o", "four.h5", "--start", "three.h5", "--rate", "0") == 0
    photo = images.load("photos/one.png")
    one, two, three, four = (FastStyle.load(f"{name}.h5") for name in ("one", "two", "three", "four"))
    assert np.abs(two(photo) - one(photo)).max() < 1
    assert two.names == four.names == ["the_wave", "dots"]
    for name in two.names:  # a style begins as its namesake
        assert np.abs(four(photo, name) - three(photo, name)).max() < 1
    assert np.abs(three(photo, "dots") - three(photo, "the_wave")).max() > 1


def test_the_model_is_kept_while_it_is_trained(studio, monkeypatch):
    monkeypatch.setattr(training, "KEEP_EVERY", 0.0)
    seen = []
    entry = style_training.entry
    monkeypatch.setattr(
        style_training, "entry", lambda training: seen.append((studio / "model.h5").exists()) or entry(training)
    )
    assert train_style("dots.png", "-o", "model.h5", "--log", "log.jsonl") == 0
    assert seen == [False, True, True]


def test_a_trial(studio, capsys):
    assert train_style("dots.png", "-o", "trial.png", "--try", "photos/one.png") == 0
    assert images.load("trial.png").shape == (213, 256, 3)
    assert not list(studio.glob("*.training"))
    assert train_style("dots.png", "-o", "photos/one.png", "--try", "photos/one.png") == 2
    assert "named twice" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.png", "-o", "model.h5"], "no file none.png"),
        (["plain.png", "-o", "model.h5"], "of one colour"),
        (["small.png", "-o", "model.h5"], "--style-size"),
        (["dots.png", "-o", "model.png"], "no suffix"),
        (["dots.png", "-o", "dots.png"], "no suffix"),
        (["dots.png", "dots.png", "-o", "model.h5"], "would be called dots"),
        (["dots.png", "-o", "model.h5", "--minutes", "1"], "exclude each other"),
        (["dots.png", "-o", "model.h5", "--add-to", "a.h5", "--start", "b.h5"], "exclude each other"),
        (["dots.png", "-o", "model.h5", "--start", "none.h5"], "does not exist"),
        (["dots.png", "-o", "model.h5", "--add-to", "other.h5"], "not one that paints"),
        (["dots.png", "-o", "model.h5", "--resume"], "leave out --resume"),
        (["dots.png", "-o", "model.h5", "--style-weight", "3,4"], "2 numbers for 1 paintings"),
        (["dots.png", "-o", "model.h5", "--network", "none.h5"], "does not exist"),
        (["dots.png", "-o", "model.h5", "--log", "dots.png"], "named twice"),
        (["dots.png", "-o", "model.h5", "--network", "painter.h5"], "a network that paints"),
        (["dots.png", "-o", "model.h5", "--style-weight", "1e60"], "--style-weight"),
        (["dots.png", "-o", "model.h5", "--steady", "1e60"], "--steady"),
    ],
)
def test_what_cannot_be(studio, capsys, arguments, message):
    Image.new("RGB", (50, 50), "grey").save("plain.png")
    Image.fromarray(np.uint8(np.arange(300).reshape(5, 20, 3) % 256)).save("small.png")
    network = transform_net.build(np.random.default_rng(0), 2, (3, 4, 5), 1)
    FastStyle(network, (Style("a"), Style("b")), {}).save(studio / "painter.h5")
    if "other.h5" in arguments:
        assert main(["weights", "convert", "distilled", "other.h5"]) == 0
    capsys.readouterr()
    assert train_style(*arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert message in lines[-1]
    assert not any("Traceback" in line for line in lines)


@pytest.mark.parametrize("side", ["30", "16"])
def test_crops_that_cannot_be(studio, capsys, side):
    assert main(["train", "style", "dots.png", "-o", "model.h5", "--iterations", "1", "--size", side]) == 2
    assert "a multiple of 4, from 32 on" in capsys.readouterr().err


@pytest.mark.parametrize(
    "option",
    [
        ["--minutes", "0"],
        ["--width", "2000"],
        ["--blocks", "41"],
        ["--steady", "-1"],
        ["--steady", "nan"],
        ["--steady", "inf"],
        ["--steady", "much"],
    ],
)
def test_numbers_that_cannot_be(studio, capsys, option):
    with pytest.raises(SystemExit) as error:
        main(["train", "style", "dots.png", "-o", "model.h5", *option])
    assert error.value.code == 2
    assert "must be" in capsys.readouterr().err


class TestFast:
    @pytest.fixture(autouse=True)
    def model(self, studio, random):
        network = transform_net.build(random, 2, (3, 4, 5), 1)
        FastStyle(network, (Style("the_wave"), Style("dots")), {}).save(studio / "model.h5")

    def fast(self, *arguments):
        return main(["fast", *arguments, "--model", "model.h5"])

    def test_one_photograph(self, studio, capsys):
        assert self.fast("photos/one.png", "-o", "out.png") == 0
        assert "out.png: 60x50" in capsys.readouterr().err
        expected = FastStyle.load("model.h5")(images.load("photos/one.png"))
        np.testing.assert_array_equal(images.load("out.png"), np.rint(expected))

    def test_size_and_style_and_strength(self, studio, capsys):
        options = ["--size", "30", "--style", "dots:1,0:3", "--strength", "0.5", "--json"]
        assert self.fast("photos/one.png", "-o", "out.png", *options) == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["width"], told["height"]) == (30, 25)
        photo = images.fit(images.load("photos/one.png"), 30)
        expected = FastStyle.load("model.h5")(photo, {"dots": 1, "the_wave": 3}, 0.5)
        np.testing.assert_array_equal(images.load("out.png"), np.rint(expected))

    def test_a_directory(self, studio, capsys):
        (studio / "photos" / "broken.png").write_bytes(b"no picture")
        assert self.fast("photos", "-o", "painted") == 1
        assert sorted(path.name for path in (studio / "painted").iterdir()) == ["one.png", "three.png", "two.png"]
        assert "left out: photos/broken.png" in capsys.readouterr().err

    @pytest.mark.parametrize("is_there", [True, False])
    def test_no_empty_directory_is_left(self, studio, capsys, is_there):
        if is_there:
            (studio / "painted").mkdir()
        (studio / "one.png").write_bytes(b"no picture")
        assert self.fast("photos/one.png", "one.png", "-o", "painted") == 2
        assert "named twice" in capsys.readouterr().err
        (studio / "two.png").write_bytes(b"no picture")
        assert self.fast("one.png", "two.png", "-o", "painted") == 1
        assert capsys.readouterr().err.count("left out") == 2
        assert (studio / "painted").exists() == is_there

    def test_pipes(self, studio):
        model = FastStyle.load("model.h5")
        with open("photos/one.png", "rb") as photo:
            command = [sys.executable, "-m", "scratchnst", "fast", "-", "-o", "-", "--model", "model.h5"]
            done = subprocess.run(command, stdin=photo, capture_output=True, check=True, timeout=120)
        (studio / "out.png").write_bytes(done.stdout)
        expected = np.rint(model(images.load("photos/one.png")))
        assert np.abs(images.load("out.png") - expected).max() <= 1
        done = subprocess.run(command, input=b"no picture", capture_output=True, timeout=120)
        assert done.returncode == 2
        assert done.stderr.decode().startswith("scratchnst: standard input is damaged or no picture")

    def test_a_sheet_of_every_style(self, studio):
        assert main(["sheet", "photos/one.png", "-o", "sheet.png", "--model", "model.h5", "--size", "40"]) == 0
        height, width, _ = images.load("sheet.png").shape
        assert width > 2 * 40
        assert height > 2 * 33
        assert main(["sheet", "photos/one.png", "-o", "photos/two.png", "--model", "model.h5"]) == 2

    def test_in_strips_where_the_limit_is_below_the_whole(self, studio, random, capsys):
        FastStyle(transform_net.build(random, blocks=1), (Style("one"),), {}).save(studio / "model.h5")
        Image.effect_noise((700, 500), 90).convert("RGB").save("noise.png")
        assert self.fast("noise.png", "-o", "whole.png") == 0
        capsys.readouterr()
        assert self.fast("noise.png", "-o", "out.png", "--dry-run", "--json") == 0
        whole = json.loads(capsys.readouterr().out)
        assert (whole["photo"], whole["width"], whole["height"]) == ("noise.png", 700, 500)
        assert not whole["in strips"]
        assert not (studio / "out.png").exists()
        limit = ["--memory-limit", str(whole["bytes"] - 4_000_000)]
        assert self.fast("noise.png", "-o", "out.png", *limit, "--dry-run") == 0
        assert re.fullmatch(r"noise.png: 700x500, \d+ MB in strips, about \S+ s\n", capsys.readouterr().out)
        assert self.fast("noise.png", "-o", "out.png", *limit) == 0
        assert np.abs(images.load("out.png") - images.load("whole.png")).max() <= 1

    def test_a_limit_that_is_too_small(self, studio, random, capsys):
        FastStyle(transform_net.build(random, blocks=1), (Style("one"),), {}).save(studio / "model.h5")
        Image.effect_noise((2000, 1500), 90).convert("RGB").save("noise.png")
        limit = ["--memory-limit", str(resident() + 160_000_000)]
        assert self.fast("noise.png", "-o", "out.png", *limit) == 2
        message = capsys.readouterr().err
        size = re.search(r"painting 2000x1500 pixels takes .* of memory, and .* are there: --size (\d+) would", message)
        one_less = str(int(size[1]) - 1)  # the process may have some pages more by now
        assert self.fast("noise.png", "-o", "out.png", *limit, "--size", one_less, "--dry-run") == 0
        assert self.fast("photos/one.png", "-o", "out.png", "--memory-limit", "1M") == 2
        assert "takes" in capsys.readouterr().err.splitlines()[-1]
        assert not (studio / "out.png").exists()

    def test_colours_of_the_photograph(self, studio):
        assert self.fast("photos/one.png", "-o", "out.png", "--colors", "content") == 0
        photo, painting = images.load("photos/one.png"), FastStyle.load("model.h5")(images.load("photos/one.png"))
        Y = np.array([0.299, 0.587, 0.114], np.float32)
        inside = (images.load("out.png") > 0).all(axis=2) & (images.load("out.png") < 255).all(axis=2)
        np.testing.assert_allclose((images.load("out.png") @ Y)[inside], (painting @ Y)[inside], atol=1)
        chroma = lambda picture: picture[..., 2] - picture @ Y  # noqa: E731
        np.testing.assert_allclose(chroma(images.load("out.png"))[inside], chroma(photo)[inside], atol=1)

    def test_colours_that_are_matched(self, studio):
        assert self.fast("photos/one.png", "-o", "out.png", "--colors", "match") == 0
        photo = images.load("photos/one.png")
        expected = FastStyle.load("model.h5")(photo, colors="match", color_matching="symmetric")
        assert np.abs(images.load("out.png") - expected).max() <= 0.51

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["none.png", "-o", "out.png"], "no file none.png"),
            (["photos/one.png", "-o", "out.png", "--color-matching", "pca"], "says how --colors match does it"),
            (["photos/one.png", "-o", "out.png", "--colors", "mine"], "invalid choice"),
            (["photos/one.png", "-o", "out.xyz"], "no suffix"),
            (["photos/one.png", "-o", "photos/one.png"], "named twice"),
            (["photos/one.png", "-o", "out.png", "--style", "dotz"], "did you mean dots"),
            (["photos/one.png", "-o", "out.png", "--style", "dots:-1"], "0 or more"),
            (["photos/one.png", "-o", "out.png", "--style", "dots:0"], "sum is not 0"),
            (["photos/one.png", "-o", "out.png", "--style", "dots:x"], "must be like"),
            (["photos/one.png", "-o", "out.png", "--strength", "1.5"], "from 0 to 1"),
            (["photos/one.png", "-o", "out.png", "--size", "4"], "at least 8 pixels"),
            (["empty", "-o", "painted"], "holds no pictures"),
            (["photos", "-o", "-"], "takes one picture"),
            (["photos/one.png", "-o", "out.png/"], "no file"),
            (["photos/one.png", "-o", ""], "no file"),
            (["photos/one.png/", "-o", "out.png"], "name of a file"),
            (["", "-o", "painted"], "name of a file"),
        ],
    )
    def test_what_cannot_be(self, studio, capsys, arguments, message):
        (studio / "empty").mkdir()
        capsys.readouterr()
        try:
            status = self.fast(*arguments)
        except SystemExit as error:
            status = error.code
        assert status == 2
        assert message in capsys.readouterr().err
        assert not (studio / "out.png").exists()

    def test_a_network_that_does_not_paint(self, studio, capsys):
        assert main(["fast", "photos/one.png", "-o", "out.png", "--model", "distilled"]) == 2
        assert "not one that paints" in capsys.readouterr().err

    @pytest.mark.parametrize(
        "arguments",
        [
            ["transfer", "photos/one.png", "dots.png", "-o", "out.png", "--network", "model.h5"],
            ["reconstruct", "content", "photos/one.png", "--layers", "conv2", "-o", "out.png", "--network", "model.h5"],
            ["gradcheck", "--network", "model.h5"],
            ["weights", "judge", "model.h5", "--by", "distilled", "--pair", "photos/one.png", "dots.png"],
            ["weights", "normalize", "model.h5", "out.h5", "--images", "photos"],
        ],
    )
    def test_no_loss_is_made_of_it(self, studio, capsys, arguments):
        assert main(arguments) == 2
        assert "is a network that paints" in capsys.readouterr().err

    def test_what_it_consists_of(self, studio, capsys):
        assert main(["weights", "info", "model.h5"]) == 0
        assert "transform_net" in capsys.readouterr().out

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is full")
    def test_standard_output_that_is_full(self, studio):
        command = [sys.executable, "-m", "scratchnst", "fast", "photos/one.png", "-o", "-", "--model", "model.h5"]
        with open("/dev/full", "wb") as full:
            done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120)
        assert done.returncode == 2
        assert done.stderr.splitlines() == [
            "scratchnst: standard output cannot be written (No space left on device): send it elsewhere."
        ]
