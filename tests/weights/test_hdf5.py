"""HDF5 files that h5py cannot bear, or should not read: each is refused in one sentence, soon and in little memory."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import psutil
import pytest
import readers
from hypothesis import given, settings
from networks import random_vgg19

from scratchnst import load_network
from scratchnst.weights.formats import hdf5, native


def native_bytes():
    """A network of one layer in our own layout."""
    buffer = io.BytesIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "write_atomically", lambda _, data: buffer.write(data))
        native.write(random_vgg19(1).astype("float16"), None)
    return buffer.getvalue()


NATIVE = native_bytes()
HEAP = NATIVE.index(b"GCOL")  # of texts of any length, here that of the attribute "network"


def endless():
    """A file in whose heap HDF5 searches without end: the first place is empty and has no size."""
    data = bytearray(NATIVE)
    data[HEAP + 16 : HEAP + 32] = bytes(16)
    return bytes(data)


def endless_behind():
    """The same behind the heap's end, of which one byte moves it from 4096 to 8192."""
    buffer = io.BytesIO(NATIVE)
    with h5py.File(buffer, "a") as file:
        file.attrs["network"] = file.attrs["network"] + " "  # written anew, at the end
        file["behind"] = np.zeros(8192, "u1")
    data = bytearray(buffer.getvalue())
    heap = data.rindex(b"GCOL")
    assert data[heap + 9] == 0x10
    data[heap + 9] = 0x20
    return bytes(data)


@pytest.fixture
def described(tmp_path):
    """A file in our own layout with `layers` convolutions, one behind the other, of which none is there yet."""

    def make(layers):
        path = tmp_path / "network.h5"
        readers.written(path, NATIVE)
        with h5py.File(path, "a") as file:
            del file["conv1_1"]
            said = json.loads(file.attrs["network"])
            said["layers"] = [
                {"name": f"c{number}", "kind": "conv", "source": f"c{number - 1}" if number else None}
                for number in range(layers)
            ]
            said["defaults"].update(content_layers={}, style_layers={"c0": 1.0})
            file.attrs["network"] = json.dumps(said)
        return path

    return make


@pytest.fixture
def no_process_is_left():
    before = psutil.Process().children()
    yield
    assert psutil.Process().children() == before


def refused(path, pattern):
    return readers.refused(load_network, path, pattern)


class TestNoEnd:
    @pytest.fixture(autouse=True)
    def _limit(self, monkeypatch):
        monkeypatch.setattr(hdf5, "_SECONDS", 1)

    @pytest.mark.parametrize("data", [endless, endless_behind])
    def test_while_an_attribute_is_read(self, path, data, no_process_is_left):
        start = time.monotonic()
        refused(readers.written(path, data()), "did not end within 2 s: it is damaged, get it again")
        assert time.monotonic() - start < 60

    def test_large_files_have_more_time(self, path):
        readers.written(path, endless())
        os.truncate(path, 15_000_000)
        refused(path, "did not end within 3 s")


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is sent to a console there")
def test_ctrl_c(path):
    """Neither a traceback nor the reading process is left."""
    readers.written(path, endless())
    command = [sys.executable, "-m", "scratchnst", "weights", "info", path]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not (children := psutil.Process(process.pid).children()) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(1)  # it reads
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said == "scratchnst: interrupted before there was anything to save.\n"
    assert len(children) == 1
    assert not children[0].is_running()


class TestReadingProcess:
    @pytest.mark.parametrize("requests", [1, 2])
    def test_that_is_killed(self, path, monkeypatch, requests, no_process_is_left):
        """As by the system when memory ends: before it has described the file, or before the numbers."""
        genuine, sent = hdf5._Child._send, []

        def send(child, value):
            sent.append(value)
            if len(sent) == requests:
                child.process.kill()
                child.process.wait()
            genuine(child, value)

        monkeypatch.setattr(hdf5._Child, "_send", send)
        refused(readers.written(path, NATIVE), "damaged one .*could not read its contents")

    def test_memory_has_a_limit(self, path):
        """An attribute that declares a text of 4 GB."""
        pytest.importorskip("resource", reason="there is none in Windows")
        data = bytearray(NATIVE)
        place = data.index(b"network\0")
        end = data.index((HEAP).to_bytes(8, "little"), place)
        data[end - 4 : end] = b"\xff\xff\xff\xff"
        refused(readers.written(path, data), "damaged|memory")

    def test_needs_neither_the_folder_nor_the_environment(self, path, tmp_path, monkeypatch):
        readers.written(path, NATIVE)
        for name in ("json", "h5py", "runpy"):
            (tmp_path / f"{name}.py").write_text("raise SystemExit('executed')")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        monkeypatch.setenv("PYTHONIOENCODING", "ascii")
        assert load_network(path).name == "vgg19"

    def test_that_cannot_be_started(self, path, monkeypatch):
        readers.written(path, NATIVE)
        monkeypatch.setattr(hdf5, "_START", "import there_is_none")
        refused(path, "cannot run h5py")

    def test_names_that_are_not_ascii(self, tmp_path):
        path = readers.written(tmp_path / "größe 中\n\udcff.h5", NATIVE)
        assert load_network(path).name == "vgg19"

    def test_what_ships_with_the_program_needs_none(self, monkeypatch):
        monkeypatch.setattr(hdf5.subprocess, "Popen", None)
        assert load_network("distilled").name == "distilled"


class TestDeclared:
    def test_never_written(self, described):
        """7 KB that declare a kernel and a bias of 12 MB."""
        path = described(1)
        with h5py.File(path, "a") as file:
            file.create_dataset("c0/kernel", (1, 1, 3, 780_000), "f")
            file.create_dataset("c0/bias", (780_000,), "f")
        assert path.stat().st_size < 20_000
        refused(path, "c0/kernel was declared, but its numbers were never all written")

    @pytest.mark.parametrize("packing", [{"chunks": True}, {"compression": "gzip"}])
    def test_not_all_written(self, described, packing):
        path = described(1)
        with h5py.File(path, "a") as file:
            file.create_dataset("c0/kernel", (3, 3, 3, 4096), "f", **packing)[:, :, :1] = 1
            file["c0/bias"] = np.zeros(4096, "f")
        refused(path, "c0/kernel was declared, but its numbers were never all written")

    @pytest.mark.parametrize("written", [False, True])
    def test_one_kernel_by_many_names(self, described, written):
        path = described(250)
        with h5py.File(path, "a") as file:
            file.create_dataset("kernel", (3, 3, 512, 512), "f2")
            if written:
                file["kernel"][:] = 1
            for number in range(1500):
                file[f"c{number}/kernel"] = file["kernel"]
                file[f"c{number}/bias"] = np.zeros(512, "f")
        refused(path, "more than 33554432 numbers together" if written else "were never all written")

    def test_more_than_the_file_holds(self, described):
        path = described(6)
        with h5py.File(path, "a") as file:
            file["kernel"] = np.zeros((3, 3, 64, 64), "f")
            for number in range(6):
                file[f"c{number}/kernel"] = file["kernel"]
                file[f"c{number}/bias"] = np.zeros(64, "f")
        refused(path, "declare more numbers than it holds")

    def test_packed_more_than_any_network(self, described):
        path = described(20)
        with h5py.File(path, "a") as file:
            for number in range(20):
                data = np.zeros((3, 3, 512, 512), "f2")
                file.create_dataset(f"c{number}/kernel", data=data, compression="gzip")
                file[f"c{number}/bias"] = np.zeros(512, "f")
        refused(path, "more than 33554432 numbers together")

    def test_a_kind_of_number_that_numpy_lacks(self, described):
        path = described(1)
        with h5py.File(path, "a") as file:
            kind = h5py.h5t.IEEE_F32LE.copy()
            kind.set_fields(31, 26, 5, 0, 26)
            space = h5py.h5s.create_simple((3, 3, 3, 4))
            h5py.h5d.create(file.create_group("c0").id, b"kernel", kind, space)
            file["c0/bias"] = np.zeros(4, "f")
        refused(path, ".")


class TestNames:
    @pytest.fixture(autouse=True)
    def _time(self, monkeypatch):
        """The number of names is to end it, on a busy machine as well."""
        monkeypatch.setattr(hdf5, "_SECONDS", 200)

    def test_many(self, path):
        with h5py.File(path, "w") as file:
            for number in range(17_000):
                file.create_group(f"group{number}")
        refused(path, "more groups and names than any network")

    def test_deep(self, path):
        with h5py.File(path, "w") as file:
            file.create_group("/".join("abcdefghijk" * 4))
        refused(path, "more groups and names than any network")

    def test_the_same_group_in_many_places(self, path):
        """Each of 30 groups has the next one twice: a thousand million paths."""
        with h5py.File(path, "w") as file:
            group = file.create_group("top")
            for _ in range(30):
                inner = group.create_group("a")
                group["b"] = inner
                group = inner
        refused(path, "more groups and names than any network")

    def test_a_group_within_itself(self, path):
        with h5py.File(path, "w") as file:
            file["a/b"] = np.zeros(3)
            for number in range(50):
                file[f"a/circle{number}"] = file["a"]
        with hdf5.opened(path) as file:
            assert list(file.arrays) == ["a/b"]

    @pytest.mark.parametrize("link", [h5py.ExternalLink("secret.h5", "/"), h5py.SoftLink("/conv1_1/bias")])
    def test_links_are_not_followed(self, path, link):
        readers.written(path, NATIVE)
        with h5py.File(path, "a") as file:
            del file["conv1_1/kernel"]
            file["conv1_1/kernel"] = link
        refused(path, "conv1_1/kernel is a link to somewhere else")

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
    def test_virtual_arrays_are_not_looked_up(self, path, tmp_path):
        """Of one without an end HDF5 opens the other file to learn the shape, here a pipe that nobody writes to."""
        os.mkfifo(tmp_path / "pipe")
        layout = h5py.VirtualLayout((1, 64), "f", maxshape=(None, 64))
        source = h5py.VirtualSource(str(tmp_path / "pipe"), "b", (1, 64), maxshape=(None, 64))
        layout[0 : h5py.h5s.UNLIMITED, :] = source[0 : h5py.h5s.UNLIMITED, :]
        readers.written(path, NATIVE)
        with h5py.File(path, "a", libver="latest") as file:
            file.create_virtual_dataset("v", layout)
        refused(path, "v keeps its numbers in another file")

    def test_references_are_no_numbers(self, path):
        readers.written(path, NATIVE)
        with h5py.File(path, "a") as file:
            reference = file["conv1_1/bias"].ref
            del file["conv1_1/kernel"]
            file.create_dataset("conv1_1/kernel", data=np.full((3, 3, 3, 64), reference), dtype=h5py.ref_dtype)
        refused(path, "something else than floating-point numbers")


@settings(deadline=None, max_examples=15)
@given(readers.damaged([NATIVE], range(HEAP + 64)))
def test_changed_bytes_are_read_or_refused(path, data):
    readers.written(path, data)
    with readers.memory_below(50e6), pytest.MonkeyPatch.context() as patch:
        patch.setattr(hdf5, "_SECONDS", 3)
        readers.outcome(load_network, path)


class TestOpenElsewhere:
    @pytest.mark.parametrize("version", ["earliest", "latest"])
    def test_is_not_called_damaged(self, path, version):
        readers.written(path, NATIVE)
        with h5py.File(path, "a", libver=version):
            message = refused(path, "another program has it open")
        assert "damaged" not in message
        assert load_network(path).name == "vgg19"

    def test_nor_what_was_not_closed(self, path, tmp_path):
        with h5py.File(path, "w", libver="latest") as file:
            file.flush()
            copy = readers.written(tmp_path / "copy.h5", path.read_bytes())
        refused(copy, "another program has it open, or has not closed it properly")

    def test_readers_do_not_matter(self, path):
        readers.written(path, NATIVE)
        with h5py.File(path):
            assert load_network(path).name == "vgg19"
