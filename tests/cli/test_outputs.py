"""What commands write never takes the place of a file that is not theirs, and a finished picture is not lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scratchnst import images
from scratchnst.cli import main
from scratchnst.errors import OutputError, UserError
from scratchnst.transfer import job
from scratchnst.transfer.settings import Settings

SMALL = ["--size", "24", "--iterations", "2", "--quiet"]
TRANSFER = ["transfer", "content.png", "style.jpg", *SMALL]
RECORD_THERE = "out.json is there already, and is no record of out.png: move it, or name another output"


def status_of(*arguments):
    try:
        return main(list(arguments))
    except SystemExit as leaving:
        return leaving.code


def refused(capsys, sentence, *arguments):
    """Check that a command is refused in one sentence, and that no file has changed."""
    before = contents()
    assert status_of(*arguments) == 2
    captured = capsys.readouterr()
    assert sentence in captured.err
    assert captured.err.count("\n") == 1
    assert contents() == before


def contents():
    return {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}


def foreign_picture(path):
    Image.new("RGB", (40, 30), "red").save(path)


class TestRecords:
    @pytest.mark.parametrize("text", ['{"mine": 1}', "no JSON", "[" * 100_000, '{"given": 1}', "[1]"])
    def test_a_file_that_is_no_record(self, folder, capsys, text):
        (folder / "out.json").write_text(text)
        refused(capsys, RECORD_THERE, *TRANSFER, "-o", "out.png")

    def test_the_record_of_another_picture(self, folder, capsys):
        assert main([*TRANSFER, "-o", "out.jpg"]) == 0
        refused(capsys, RECORD_THERE, *TRANSFER, "-o", "out.png")
        assert main([*TRANSFER, "-o", "out.jpg", "--seed", "3"]) == 0
        assert json.loads((folder / "out.json").read_text())["given"]["seed"] == 3

    def test_the_record_of_an_older_version(self, folder, capsys):
        record = {"command": ["scratchnst", "transfer", "-o", "folder/out.png"], "settings": {}, "result": {}}
        (folder / "out.json").write_text(json.dumps(record))
        assert main([*TRANSFER, "-o", "out.png"]) == 0

    def test_an_empty_file(self, folder):
        (folder / "out.json").touch()
        assert main([*TRANSFER, "-o", "out.png"]) == 0

    def test_of_bench(self, folder, capsys):
        (folder / "mine.json").write_text('{"mine": 1}')
        refused(capsys, "mine.json is there already", "bench", "--parts", "speed", "--json", "mine.json")


class TestLinks:
    """Somebody else may have put them into a public folder."""

    @pytest.mark.parametrize("name", ["out.png", "out.json", "out-0001.png", "log.jsonl"])
    def test_are_replaced(self, folder, name):
        (folder / "target").write_bytes(b"precious")
        (folder / name).symlink_to("target")
        assert main([*TRANSFER, "-o", "out.png", "--save-every", "1", "--log", "log.jsonl"]) == 0
        assert (folder / "target").read_bytes() == b"precious"
        assert not (folder / name).is_symlink()


class TestStages:
    def test_a_picture_that_no_run_has_made(self, folder, capsys):
        foreign_picture("out-0002.png")
        command = [*TRANSFER, "-o", "out.png", "--save-every"]
        refused(capsys, "out-0002.png is there already", *command, "2")
        assert main([*command, "3"]) == 0  # it makes no such stage
        (folder / "out-0002.png").unlink()
        assert main([*command, "2"]) == 0
        assert main([*command, "1"]) == 0

    @pytest.mark.parametrize("log", ["out-0002.png", "folder/../out-0002.png"])
    def test_the_log(self, folder, capsys, log):
        (folder / "folder").mkdir()
        refused(capsys, "out-0002.png: name another", *TRANSFER, "-o", "out.png", "--save-every", "1", "--log", log)

    @pytest.mark.parametrize("link", [os.link, os.symlink])
    def test_an_input_behind_a_link(self, folder, capsys, link):
        (folder / "folder").mkdir()
        link(folder / "style.jpg", "folder/out-0001.jpg")
        refused(capsys, "out-0001.jpg: name another", *TRANSFER, "-o", "folder/out.jpg", "--save-every", "1")


class TestInputs:
    @pytest.mark.parametrize(
        "arguments",
        [
            [*TRANSFER, "-o", "out.png", "--log", "hard"],
            [*TRANSFER, "-o", "linked/content.png"],
            ["weights", "judge", "net.png", "--by", "net.png", "--pair", *TRANSFER[1:3], "--sheet", "net.png"],
            ["weights", "distil", "pyramid", "start.h5", "--images", ".", "--start", "start.h5"],
            ["weights", "distil", "pyramid", "out.h5", "--images", ".", "--checkpoint", "./out.h5"],
            ["weights", "convert", "start.h5", "linked/start.h5"],
            ["gradcheck", "--network", "net.png", "--plot", "net.png"],
            ["trace", *TRANSFER[1:3], "--pixel", "0,0", "--plot", "linked/content.png"],
        ],
        ids=lambda arguments: " ".join(arguments)[:50],
    )
    def test_no_output_is_one(self, folder, capsys, arguments):
        os.link("content.png", "hard")
        os.symlink(".", "linked")
        assert main(["weights", "convert", "pyramid", "start.h5"]) == 0
        os.link("start.h5", "net.png")
        capsys.readouterr()
        refused(capsys, "is named twice", *arguments)

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
    def test_pipes_are_refused(self, folder, capsys):
        os.mkfifo("pipe.png")
        for arguments in (
            ["transfer", "pipe.png", "style.jpg", "-o", "out.png"],
            ["transfer", "content.png", "/dev/zero", "-o", "out.png"],
            [*TRANSFER, "-o", "out.png", "--init", "pipe.png"],
            [*TRANSFER, "-o", "pipe.png"],
            ["transfer", "--settings", "pipe.png"],
            ["weights", "distil", "pyramid", "out.h5", "--images", ".", "--licences", "pipe.png"],
        ):
            refused(capsys, "not an ordinary file", *arguments)


@pytest.mark.parametrize("output", ["", ".", "./", "/", "out.png/", "out.png/.", ".."])
def test_what_is_no_name_of_a_file(folder, capsys, output):
    refused(capsys, "must end in the name of a file", *TRANSFER, "-o", output)


@pytest.mark.parametrize("output", ["", ".", "out.png/", "a\0.png", "\ud800.png", 5])
def test_settings_that_name_no_file(output):
    with pytest.raises(UserError, match="the setting output must be the name of a file"):
        Settings(content="content.png", output=output)


def test_an_input_that_ends_in_a_slash(folder, capsys):
    refused(capsys, "must end in the name", "transfer", "content.png/", "style.jpg", "-o", "out.png")


@pytest.mark.parametrize(
    "option", [["--threads", "9" * 20], ["--memory-limit", "9" * 5000], ["--memory-limit", "9" * 30 + "T"]]
)
def test_numbers_beyond_all_bounds(folder, capsys, option):
    before = contents()
    assert status_of(*TRANSFER, "-o", "out.png", *option) == 2
    assert len(capsys.readouterr().err) < 500
    assert contents() == before


def test_control_characters_are_escaped(folder, capsys):
    refused(capsys, r"there is no file a\nb\x1b[31m.png", "transfer", "a\nb\x1b[31m.png", "style.jpg", "-o", "out.png")


class TestPicturesThatAreThere:
    def test_samples(self, folder, capsys):
        foreign_picture("content.png")
        refused(capsys, "content.png is there already", "samples", ".")
        (folder / "content.png").unlink()
        for _ in range(2):
            assert main(["samples", "."]) == 0

    def test_all_samples_are_drawn_though_standard_output_is_full(self, folder, monkeypatch):
        def fail(*_):
            raise OutputError("standard output cannot be written.")

        monkeypatch.setattr("scratchnst.cli.samples.print", fail, raising=False)
        assert main(["samples", "drawn"]) == 2
        assert sorted(os.listdir("drawn")) == ["content.png", "labels.png", "mosaic.png", "style.png"]

    def test_a_plot(self, folder, capsys):
        pytest.importorskip("matplotlib")
        foreign_picture("mine.png")
        refused(capsys, "mine.png is there already", "gradcheck", "--op", "relu", "--plot", "mine.png")

    def test_a_lessons_figures(self, folder, capsys):
        pytest.importorskip("sphinx_gallery")
        foreign_picture("01_images-cell-03.png")
        refused(capsys, "01_images-cell-03.png is there already", "lesson", "1", "--no-pause", "--figures", ".")

    def test_panels_of_a_figure(self, folder, capsys):
        (folder / "out-panels").mkdir()
        foreign_picture("out-panels/from-style.png")
        command = ["figure", "6", "--content", "content.png", "--style", "style.jpg", "-o", "out.png", *SMALL]
        refused(capsys, "from-style.png is there already", *command)

    def test_styles_among_the_panels(self, folder, capsys):
        (folder / "out-panels").mkdir()
        images.save("out-panels/style-1.png", np.zeros((20, 20, 3)))
        styles = ["style.jpg", "out-panels/style-1.png"]
        command = ["figure", "3", "--content", "content.png", "--style", *styles, "-o", "out.png", *SMALL]
        refused(capsys, "out-panels/style-1.png is named twice", *command)


class TestFinishedPictures:
    def test_is_kept_elsewhere_if_it_cannot_be_written(self, folder, capsys, monkeypatch, tmp_path_factory):
        genuine, refuge = job.images.save, tmp_path_factory.mktemp("refuge")

        def save(path, image, finish):
            if str(path) == "out.jpg":
                raise UserError("out.jpg cannot be written (No space left on device): mend this.")
            genuine(path, image, finish)

        monkeypatch.setattr(job.images, "save", save)
        monkeypatch.setattr("tempfile.tempdir", str(refuge))
        assert main([*TRANSFER, "-o", "out.jpg"]) == 2
        (kept,) = refuge.iterdir()
        said = capsys.readouterr().err
        assert f"the picture and its record are kept in {kept}" in said
        assert said.count("\n") == 1
        assert images.load(kept / "out.png").shape == (18, 24, 3)
        assert json.loads((kept / "out.json").read_text())["result"]["complete"]
        assert not list(folder.glob("out*"))

    def test_room_is_held_while_it_is_painted(self, folder, monkeypatch):
        genuine, seen = job.stylize_by_scales, []

        def spy(*arguments, **settings):
            seen.extend(path.stat().st_size for path in folder.glob(".scratchnst-*"))
            return genuine(*arguments, **settings)

        monkeypatch.setattr(job, "stylize_by_scales", spy)
        assert main([*TRANSFER, "-o", "out.png"]) == 0
        assert len(seen) == 1
        assert seen[0] >= sum(path.stat().st_size for path in folder.glob("out.*"))

    def test_a_format_that_is_too_small_is_refused_at_the_start(self, folder, capsys, monkeypatch):
        monkeypatch.setitem(images._FORMATS, ".webp", ("WEBP", 20, {}))
        refused(capsys, "WEBP takes at most 20 pixels a side", *TRANSFER, "-o", "out.webp")


def test_two_runs_into_one_log(folder, capsys):
    program = "from scratchnst.files import open_log\nwith open_log('log.jsonl'): print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=-1, stdout=-1) as other:
        other.stdout.readline()
        refused(capsys, "log.jsonl is being written by another run", *TRANSFER, "-o", "out.png", "--log", "log.jsonl")
        other.communicate(b"\n")
    assert main([*TRANSFER, "-o", "out.png", "--log", "log.jsonl"]) == 0


@pytest.mark.skipif(os.name != "posix", reason="other systems keep a folder that is in use")
def test_a_current_folder_that_is_gone(folder, capsys, monkeypatch):
    (folder / "gone").mkdir()
    monkeypatch.chdir(folder / "gone")
    (folder / "gone").rmdir()
    assert main(["samples", "drawn"]) == 2
    assert "the current folder cannot be used" in capsys.readouterr().err
    monkeypatch.chdir(folder)
