"""The reader of HDF5, compared with the library on what h5py writes, and on files that the library cannot bear."""

from __future__ import annotations

import io
from time import perf_counter

import h5py
import numpy as np
import pytest
import readers
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import random_vgg19

from scratchnst import load_network
from scratchnst.errors import UserError
from scratchnst.weights.formats import hdf5, native

VERSIONS = ["earliest", "v110", "latest"]
PACKED = {
    "one piece": {},
    "pieces": {"chunks": True},
    "gzip": {"compression": "gzip"},
    "shuffled": {"compression": "gzip", "shuffle": True, "fletcher32": True},
    "uneven pieces": {"chunks": (2, 1, 4, 7), "compression": "gzip"},
    "one large piece": {"chunks": (3, 3, 10, 16)},
}


def written(fill, version="earliest", **settings):
    """What h5py writes, in memory."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", libver=version, **settings) as file:
        fill(file)
    return buffer


def read(buffer):
    """Path -> array, of all arrays in a file, which may be in memory."""
    with hdf5.opened(buffer) as root:
        return {name: hdf5.read_array(name, node) for name, node in hdf5.arrays(root).items()}


def assert_as_h5py(buffer):
    """Check that both readers find the same names and the same numbers."""
    expected = {}
    with h5py.File(buffer, "r") as file:
        file.visititems(
            lambda name, item: expected.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
        )
    found = read(buffer)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == array.dtype.newbyteorder("=")
        np.testing.assert_array_equal(found[name], array)


class TestAsH5py:
    @pytest.mark.parametrize("version", VERSIONS)
    @pytest.mark.parametrize("ordered", [False, True])
    @pytest.mark.parametrize("count", [1, 9, 300])
    def test_groups(self, version, ordered, count):
        """Few and many: the names then lie in a header, in lists below a tree, or in a heap."""

        def fill(file):
            for number in range(count):
                file[f"layers/größe_{number}/kernel"] = np.full((3, 2), number, "f")

        assert_as_h5py(written(fill, version, track_order=ordered))

    @pytest.mark.parametrize("version", VERSIONS)
    @pytest.mark.parametrize("packing", PACKED)
    @pytest.mark.parametrize("dtype", ["<f2", ">f4", "<f8"])
    def test_numbers(self, random, version, packing, dtype):
        array = random.standard_normal((3, 3, 10, 16)).astype(dtype)
        assert_as_h5py(written(lambda file: file.create_dataset("a", data=array, **PACKED[packing]), version))

    @pytest.mark.parametrize("version", VERSIONS)
    def test_attributes(self, version):
        def fill(file):
            file.attrs.update({"text": "größe " * 1000, "number": -3, "bytes": np.bytes_("abc"), "list": [1, 2]})

        with hdf5.opened(written(fill, version)) as root:
            assert root.attribute("text") == "größe " * 1000
            assert root.attribute("number") == -3
            assert root.attribute("bytes") == "abc"
            assert root.attribute("none") is None
            with pytest.raises(UserError, match="list is neither a text nor a whole number"):
                root.attribute("list")

    def test_a_file_that_is_open_elsewhere(self, tmp_path):
        path = tmp_path / "open.h5"
        with h5py.File(path, "w") as file:
            file["a"] = np.arange(5.0)
        with h5py.File(path, "a") as file:
            assert file["a"].shape == (5,)
            np.testing.assert_array_equal(read(path)["a"], np.arange(5.0))

    def test_a_file_that_is_being_written(self, tmp_path):
        with h5py.File(tmp_path / "new.h5", "w") as file:
            file["a"] = np.zeros(1 << 20)
            with pytest.raises(UserError, match="unless another program is writing it"):
                read(tmp_path / "new.h5")


def refused(buffer, pattern):
    with pytest.raises(UserError, match=pattern):
        read(buffer)


class TestHostile:
    def test_never_written(self):
        for layout in ({}, {"chunks": (10,)}):
            refused(written(lambda file, with_=layout: file.create_dataset("a", (100,), "f", **with_)), "never")

    def test_one_array_by_many_names(self):
        """By hard links, a small file could declare any amount of memory."""

        def fill(file):
            file["kernel"] = np.zeros((3, 3, 64, 64), "f")
            for number in range(100):
                file[f"layer{number}"] = file["kernel"]

        assert len(read(written(fill))) == 1
        with hdf5.opened(written(fill)) as root:
            hdf5.read_array("1", hdf5.member(root, "layer1"))
            with pytest.raises(UserError, match="one and the same"):
                hdf5.read_array("2", hdf5.member(root, "layer2"))

    def test_more_numbers_than_a_network(self):
        def fill(file):
            for number in range(20):
                file.create_dataset(f"a{number}", data=np.zeros((1024, 2048), "f"), compression="gzip")

        with readers.memory_below(250e6):
            refused(written(fill), "numbers together")

    def test_a_group_within_itself(self):
        def fill(file):
            file["a/b"] = np.zeros(3)
            for number in range(50):
                file[f"a/circle{number}"] = file["a"]

        assert list(read(written(fill))) == ["a/b"]

    def test_many_groups(self):
        def fill(file):
            for number in range(15_000):
                file.create_group(f"group{number}")

        buffer = written(fill)
        start = perf_counter()
        refused(buffer, "more groups and names than any network")
        assert perf_counter() - start < 10

    def test_what_is_not_read_here_is_said(self, tmp_path):
        for layout, pattern in (
            ({"compression": "lzf"}, "another method than gzip"),
            ({"chunks": (1,)}, "100000 pieces"),
        ):
            data = np.zeros(100_000, "f")
            refused(written(lambda file, with_=layout, a=data: file.create_dataset("a", data=a, **with_)), pattern)

    def test_where_the_library_searches_without_end(self, tmp_path):
        """A heap whose first text has no size."""
        path = tmp_path / "network.h5"
        native.write(random_vgg19(1), path)
        data = bytearray(path.read_bytes())
        start = data.index(b"GCOL") + 16
        data[start : start + 16] = bytes(16)
        path.write_bytes(data)
        with pytest.raises(UserError, match="a text is not where it should be"):
            load_network(path)


def _contents():
    """Small files of each kind: of h5py's versions, and packed or not."""
    rng = np.random.default_rng(0)

    def fill(file):
        file.attrs["scratchnst_format"] = 2
        file.attrs["text"] = "text " * 50
        for number in range(9):
            file[f"g/layer{number}/bias"] = rng.standard_normal(7)
        for number, packing in enumerate(PACKED.values()):
            file.create_dataset(f"packed{number}", data=rng.standard_normal((3, 3, 10, 16)), **packing)

    return [written(fill, version).getvalue() for version in VERSIONS]


CONTENTS = _contents()


@settings(deadline=2000, max_examples=150)
@given(st.sampled_from(CONTENTS).flatmap(lambda content: readers.damaged([content])))
def test_changed_bytes_are_read_or_refused(data):
    """Nothing but a UserError comes out, and memory stays that of what the file can hold."""
    with readers.memory_below(60e6):
        try:
            with hdf5.opened(io.BytesIO(data)) as root:
                root.attribute("text")
                for name, node in hdf5.arrays(root).items():
                    hdf5.read_array(name, node)
        except UserError as error:
            assert str(error).isprintable()
