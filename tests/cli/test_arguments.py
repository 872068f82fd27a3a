"""Arguments that commands share."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from scratchnst import load_network
from scratchnst.cli.arguments import Parser
from scratchnst.weights import load


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    return tmp_path


class TestHomeFolder:
    """~ where the shell leaves it as it is."""

    def test_in_every_path(self, home):
        parser = Parser()
        parser.add_argument("first", type=Path)
        parser.add_argument("-o", "--output", type=Path)
        parser.add_argument("--network")
        parser.add_argument("--pair", nargs=2, type=Path, action="append")
        read = parser.parse_args(["~/a.png", "-o=~/b.png", "--network=~/c.h5", "--pair", "~", "d~/e"])
        assert read == argparse.Namespace(
            first=home / "a.png",
            output=home / "b.png",
            network=str(home / "c.h5"),
            pair=[[home, Path("d~/e")]],
        )

    def test_in_a_command_and_in_other_values(self, home):
        parser = Parser()
        command = parser.add_subparsers().add_parser("run")
        command.add_argument("--log", type=Path, default="~/log")
        command.add_argument("--size", type=int)
        read = parser.parse_args(["run", "--size", "3"])
        assert (read.log, read.size) == (home / "log", 3)

    def test_in_the_environment_and_in_python(self, home, monkeypatch):
        (home / "n.h5").write_bytes(load.DISTILLED.read_bytes())
        assert load_network("~/n.h5").provenance["file"] == "n.h5"
        monkeypatch.setenv("SCRATCHNST_VGG19", "~/n.h5")
        assert load_network().name == "distilled"
        assert load.choose_source()[0] == str(home / "n.h5")
