"""--depth and --keep: what is written beside the colours, by every command that paints a photograph."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from icc_files import SRGB_BLUE, SRGB_GREEN, SRGB_RED, only_black_counts_profile, rgb_profile
from PIL import Image

from scratchnst import images
from scratchnst.cli import main
from scratchnst.images.finish import Finish

PROFILE = rgb_profile(SRGB_RED, SRGB_GREEN, SRGB_BLUE, 1.8)
ALPHA = np.add.outer(np.arange(30), np.arange(40)) * 3.0
ONE_PASS = ["--method", "arbitrary", "--size", "0"]
COMMANDS = {
    "transfer": ["transfer", "photo.png", "style.jpg", "--network", "pyramid", "--size", "0", "--iterations", "2"],
    "in one pass": ["transfer", "photo.png", "large.png", *ONE_PASS],
    "reconstruct": ["reconstruct", "content", "photo.png", "--network", "pyramid", "--size", "0", "--iterations", "2"],
    "fast": ["fast", "photo.png"],
    "arbitrary": ["arbitrary", "photo.png", "large.png"],
}


@pytest.fixture
def studio(folder, random):
    """A photograph of 40x30 pixels with a profile and transparency, and a large style."""
    images.save("photo.png", random.uniform(0, 255, (30, 40, 3)), Finish(8, PROFILE, ALPHA))
    images.save("large.png", random.uniform(0, 255, (80, 100, 3)))
    return folder


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize("name", ["out.png", "out.tif"])
def test_all_of_it(studio, command, name):
    assert main([*command, "-o", "plain.png"]) == 0
    assert main([*command, "-o", name, "--depth", "16", "--keep", "profile", "alpha"]) == 0
    with Image.open(name) as written, Image.open("photo.png") as photo:
        assert (written.mode, written.size) == ("RGBA", (40, 30))
        assert written.info["icc_profile"] == photo.info["icc_profile"] == PROFILE
        assert np.abs(np.asarray(written)[..., 3] - np.asarray(photo)[..., 3].astype(int)).max() <= 1
    opaque = images.finish_of(name, (30, 40), ["alpha"]).alpha[..., None] / 255
    over_white = 255 + (images.load("plain.png") - 255) * opaque
    different = images.load(name) - over_white
    assert np.abs(different).max() < 0.6  # the plain one is rounded to 8 bits
    assert (np.abs(images.load(name) - np.rint(images.load(name))) > 0.1).mean() > 0.5


def test_it_is_in_the_record(studio):
    assert main([*COMMANDS["transfer"], "-o", "out.png", "--depth", "16", "--keep", "alpha"]) == 0
    given = json.loads(Path("out.json").read_text())["given"]
    assert (given["depth"], given["keep"], given["size"]) == (16, ["alpha"], 0)
    assert main(["transfer", "--settings", "out.json", "-o", "again.png"]) == 0
    assert Path("again.png").read_bytes() == Path("out.png").read_bytes()


@pytest.mark.parametrize("command", ["transfer", "in one pass", "fast"])
def test_through_pipes(studio, capsysbinary, monkeypatch, command):
    words = [word if word != "photo.png" else "-" for word in COMMANDS[command]]
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(Path("photo.png").read_bytes())))
    assert main([*words, "-o", "-", "--depth", "16", "--keep", "profile"]) == 0
    piped = capsysbinary.readouterr().out
    assert main([*COMMANDS[command], "-o", "out.png", "--depth", "16", "--keep", "profile"]) == 0
    assert piped == Path("out.png").read_bytes()


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["-o", "out.jpg", "--depth", "16"], "out.jpg cannot have 16 bits a channel"),
        (["-o", "out.jpg", "--keep", "alpha"], "out.jpg cannot be transparent"),
        (["-o", "out.png", "--keep", "profile"], "the colour profile of photo.png is of CMYK colours"),
        (["-o", "out.png", "--keep", "colour"], "invalid choice: 'colour'"),
        (["-o", "out.png", "--depth", "12"], "invalid choice: 12"),
    ],
    ids=["depth", "alpha", "profile", "keep", "bits"],
)
def test_what_is_refused(studio, capsys, command, options, said):
    Image.new("CMYK", (40, 30)).save("photo.png", "TIFF", icc_profile=only_black_counts_profile())
    try:
        status = main([*command, *options])
    except SystemExit as leaving:
        status = leaving.code
    told = capsys.readouterr().err
    assert status == 2
    assert said in told
    assert not Path(options[1]).exists()
    assert not Path("out.json").exists()
