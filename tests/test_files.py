"""Files are written whole or not at all, and whether they can be written is checked beforehand."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest

from scratchnst import files
from scratchnst.errors import UserError
from scratchnst.files import check_outputs, check_writable, write_atomically

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

    @pytest.mark.parametrize("path", ["", ".", "..", "/", "folder/", "folder/.", "a\0b", "\ud800"])
    def test_what_is_no_name_of_a_file(self, tmp_path, monkeypatch, path):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "folder").mkdir()
        for function in (check_writable, lambda path: write_atomically(path, b"")):
            with pytest.raises(UserError, match="name"):
                function(path)
        assert os.listdir(tmp_path) == ["folder"]

    @pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="needs /proc")
    def test_does_not_replace_links_to_open_files(self, tmp_path):
        with open(tmp_path / "open", "wb") as file:
            (tmp_path / "link").symlink_to(f"/proc/self/fd/{file.fileno()}")
            with pytest.raises(UserError, match="not an ordinary file"):
                write_atomically(tmp_path / "link", b"data")
        assert (tmp_path / "link").is_symlink()

    @pytest.mark.skipif(os.name != "posix", reason="locks")
    def test_leftovers_are_removed_unless_somebody_is_writing_them(self, tmp_path):
        program = (
            "import os, sys; from scratchnst.files import room_for\n"
            "with room_for('a', 1000): print('here', flush=True); sys.stdin.read()"
        )
        with subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, stdin=-1, stdout=-1) as process:
            process.stdout.readline()
            (left,) = os.listdir(tmp_path)
            write_atomically(tmp_path / "b", b"")
            assert sorted(os.listdir(tmp_path)) == [left, "b"]
            process.kill()
        (tmp_path / ".scratchnst-0.tmp").write_bytes(b"another's")
        (tmp_path / f".scratchnst-{'0' * 16}.tmp").symlink_to(tmp_path / "b")
        write_atomically(tmp_path / "b", b"")
        assert set(os.listdir(tmp_path)) == {f".scratchnst-{'0' * 16}.tmp", ".scratchnst-0.tmp", "b"}

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


class TestOpenInput:
    def test_file(self, tmp_path):
        (tmp_path / "a").write_bytes(b"data")
        with files.open_input(tmp_path / "a") as file:
            assert file.read() == b"data"

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
    def test_pipes_and_devices_are_refused(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "link").symlink_to("pipe")
        for path in (tmp_path / "pipe", tmp_path / "link", "/dev/zero"):
            with pytest.raises(UserError, match="not an ordinary file"):
                files.open_input(path)

    @pytest.mark.parametrize("name", ["missing", "a/"])
    def test_missing(self, tmp_path, name):
        (tmp_path / "a").write_bytes(b"data")
        with pytest.raises(OSError, match=r"No such file|Not a directory"):
            files.open_input(f"{tmp_path}/{name}")


class TestCheckOutputs:
    @pytest.fixture(autouse=True)
    def input(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / "input").write_bytes(b"data")

    @pytest.mark.parametrize("make", [os.link, os.symlink])
    def test_an_input_by_another_name(self, tmp_path, make):
        make(tmp_path / "folder" / "input", "other")
        os.symlink("folder", "linked")
        for path in ("other", "linked/input", "./folder/../linked/input", tmp_path / "folder" / "input"):
            with pytest.raises(UserError, match="is named twice"):
                check_outputs([path], [None, "folder/input"])
            with pytest.raises(UserError, match="is named twice"):
                check_outputs(["folder/input"], [path])

    def test_the_link_that_an_input_is(self):
        os.symlink("folder/missing", "link")
        with pytest.raises(UserError, match="link is named twice"):
            check_outputs(["link"], ["link"])

    def test_another_output(self):
        os.symlink("folder", "linked")
        with pytest.raises(UserError, match="linked/new is named twice"):
            check_outputs(["folder/new", "linked/new"])
        check_outputs(["folder/new", "linked/newer", "new"], ["folder/input"])


class TestOpenLog:
    def test_every_write_is_there_at_once_and_the_old_file_is_not_touched(self, tmp_path):
        (tmp_path / "log").write_bytes(b"old")
        os.link(tmp_path / "log", tmp_path / "other")
        with files.open_log(tmp_path / "log") as log:
            for number in (1, 2):
                log.write(b"line\n")
                assert (tmp_path / "log").read_bytes() == number * b"line\n"
        assert (tmp_path / "other").read_bytes() == b"old"
        assert sorted(os.listdir(tmp_path)) == ["log", "other"]

    @pytest.mark.skipif(os.name != "posix", reason="locks")
    def test_only_one_writes(self, tmp_path):
        with files.open_log(tmp_path / "log"):
            with pytest.raises(UserError, match="written by another run"):
                files.check_not_in_use(tmp_path / "log")
            with pytest.raises(UserError, match="written by another run"), files.open_log(tmp_path / "log"):
                pass
        files.check_not_in_use(tmp_path / "log")


class TestRoomFor:
    def test_is_held_within_the_block(self, tmp_path):
        with files.room_for(tmp_path / "a", 100_000):
            (held,) = tmp_path.iterdir()
            assert held.stat().st_size in (0, 100_000)  # 0 where the system cannot do that
        assert not os.listdir(tmp_path)

    @pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="room cannot be asked for")
    def test_too_little_is_told(self, tmp_path, monkeypatch):
        def refuse(*_):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "posix_fallocate", refuse)
        for function in (check_writable, lambda path: files.room_for(path, 5).__enter__()):
            with pytest.raises(UserError, match="No space left"):
                function(tmp_path / "a")
        assert not os.listdir(tmp_path)

    def test_errors_of_the_block_are_its_own(self, tmp_path):
        with pytest.raises(OSError, match="another"), files.room_for(tmp_path / "a", 1):
            raise OSError("another")
        assert not os.listdir(tmp_path)


def test_a_place_of_the_users(monkeypatch):
    def nowhere(_):
        raise RuntimeError("no home")

    monkeypatch.setenv("SOME_PLACE", "")
    assert files.users_place("SOME_PLACE", lambda name: f"/{name}").name == "scratchnst"
    with pytest.raises(UserError, match="HOME, or SOME_PLACE"):
        files.users_place("SOME_PLACE", nowhere)
    monkeypatch.setenv("SOME_PLACE", "there")
    assert str(files.users_place("SOME_PLACE", nowhere)) == "there"


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


def test_a_log_goes_on_after_what_is_kept(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"one\ntwo\nthr")
    with files.open_log(path, keep=8) as file:
        assert path.read_bytes() == b"one\ntwo\n"
        file.write(b"three\n")
    assert path.read_bytes() == b"one\ntwo\nthree\n"
