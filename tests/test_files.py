"""Files are written whole or not at all, and whether they can be written is checked beforehand."""

from __future__ import annotations

import errno
import os

import pytest

from scratchnst import files
from scratchnst.errors import UserError
from scratchnst.files import check_writable, write_atomically

SUFFIXES = (".png", ".jpg")


class TestWriteAtomically:
    def test_creates_and_replaces(self, tmp_path):
        for data in (b"old", b"newer", b""):
            write_atomically(tmp_path / "a.json", data)
            assert (tmp_path / "a.json").read_bytes() == data
            assert os.listdir(tmp_path) == ["a.json"]

    @pytest.mark.parametrize("function", ["fsync", "replace"])
    @pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
    def test_failure_leaves_the_old_file_and_nothing_else(self, tmp_path, monkeypatch, function, error):
        def fail(*_):
            raise error

        (tmp_path / "a.json").write_bytes(b"old")
        monkeypatch.setattr(os, function, fail)
        with pytest.raises(UserError if isinstance(error, OSError) else KeyboardInterrupt) as caught:
            write_atomically(tmp_path / "a.json", b"new")
        if isinstance(error, OSError):
            assert "a.json" in str(caught.value)
            assert "No space left" in str(caught.value)
        assert (tmp_path / "a.json").read_bytes() == b"old"
        assert os.listdir(tmp_path) == ["a.json"]

    @pytest.mark.skipif(os.name != "posix", reason="permission bits")
    @pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
    def test_permissions_are_those_of_any_new_file(self, tmp_path, mask):
        before = os.umask(mask)
        try:
            write_atomically(tmp_path / "a", b"")
        finally:
            os.umask(before)
        assert (tmp_path / "a").stat().st_mode & 0o777 == 0o666 & ~mask

    @pytest.mark.parametrize("content", [None, b"somebody else's"])
    def test_replaces_links_and_follows_none(self, tmp_path, content):
        (tmp_path / "link").symlink_to(tmp_path / "target")
        if content is not None:
            (tmp_path / "target").write_bytes(content)
        write_atomically(tmp_path / "link", b"data")
        assert not (tmp_path / "link").is_symlink()
        assert (tmp_path / "link").read_bytes() == b"data"
        assert (tmp_path / "target").exists() == (content is not None)
        assert content is None or (tmp_path / "target").read_bytes() == content

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
    def test_does_not_replace_pipes_and_devices(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(UserError, match="not an ordinary file"):
            write_atomically(tmp_path / "pipe", b"")
        assert (tmp_path / "pipe").is_fifo()

    def test_relative_path(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        write_atomically("a", b"data")
        assert (tmp_path / "a").read_bytes() == b"data"


class TestCheckWritable:
    def refused(self, path, pattern, **options):
        with pytest.raises(UserError, match=pattern) as caught:
            check_writable(path, **options)
        assert str(path) in str(caught.value)
        assert str(caught.value).endswith(".")

    def test_accepts_and_leaves_no_trace(self, tmp_path):
        check_writable(tmp_path / "a")
        check_writable(tmp_path / "a.png", SUFFIXES)
        check_writable(tmp_path / "a.PNG", SUFFIXES)
        assert not list(tmp_path.iterdir())

    def test_existing_file_is_not_touched(self, tmp_path):
        (tmp_path / "a.png").write_bytes(b"old")
        before = (tmp_path / "a.png").stat()
        check_writable(tmp_path / "a.png")
        assert (tmp_path / "a.png").stat().st_mtime_ns == before.st_mtime_ns
        assert os.listdir(tmp_path) == ["a.png"]

    def test_suffixes(self, tmp_path):
        self.refused(tmp_path / "a.gif", r"\.png, \.jpg", suffixes=SUFFIXES)
        self.refused(tmp_path / "a", "suffix", suffixes=SUFFIXES)

    def test_missing_parent(self, tmp_path):
        self.refused(tmp_path / "missing" / "a.png", "create it")

    def test_parent_is_a_file(self, tmp_path):
        (tmp_path / "file").write_bytes(b"")
        self.refused(tmp_path / "file" / "a.png", "no directory")

    def test_directory(self, tmp_path):
        (tmp_path / "a.png").mkdir()
        self.refused(tmp_path / "a.png", "is a directory")

    def test_name_too_long(self, tmp_path):
        self.refused(tmp_path / ("x" * 300 + ".png"), "too long")

    @pytest.mark.skipif(os.name != "posix", reason="permission bits")
    @pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write anywhere")
    def test_forbidden_directory(self, tmp_path):
        tmp_path.chmod(0o500)
        self.refused(tmp_path / "a.png", "denied")
        tmp_path.chmod(0o700)

    def test_read_only_file_system(self, tmp_path, monkeypatch):
        def refuse(*_):
            raise OSError(errno.EROFS, "Read-only file system")

        monkeypatch.setattr(files, "open", refuse, raising=False)
        self.refused(tmp_path / "a.png", "Read-only")
