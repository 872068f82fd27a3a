"""PyTorch's files: written here byte by byte and, where it is installed, by PyTorch; and hostile ones."""

from __future__ import annotations

import builtins
import hashlib
import os
import pickle
import struct
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import readers
from hypothesis import given, settings
from readers import (
    PLAIN,
    TORCHVISION,
    Calls,
    assert_holds,
    damaged,
    layers_of,
    outcome,
    programs,
    state_dict,
    survived,
    truncations,
    written,
)
from torch_files import (
    WRITERS,
    integer,
    legacy_file,
    pushed_state,
    raw,
    state_pickle,
    storage,
    strides_of,
    tensor,
    text,
    training_pickle,
    write_legacy,
    write_zip,
    zip_file,
)

from scratchnst.models import vgg
from scratchnst.weights.formats import pytorch

VGG19_INDICES = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34)
VGG16_INDICES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)


def read(path, data):
    return pytorch.read(written(path, data))


def refused(path, data, pattern=""):
    readers.refused(pytorch.read, written(path, data), pattern)


class TestValues:
    @pytest.mark.parametrize("write", WRITERS)
    @pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
    def test_bit_identical(self, path, write, dtype):
        arrays = state_dict(TORCHVISION, dtype=dtype)
        weights = read(path, write(arrays))
        assert pytorch.recognises(path)
        assert_holds(weights, layers_of(arrays))
        assert weights.preprocessing is None

    @pytest.mark.parametrize(("name", "indices"), [("vgg19", VGG19_INDICES), ("vgg16", VGG16_INDICES)])
    def test_whole_networks(self, path, name, indices):
        stems = [f"features.{index}" for index in indices]
        arrays = state_dict(stems)
        assert_holds(read(path, write_zip(arrays)), layers_of(arrays, stems, vgg.kernel_shapes(name)))

    @pytest.mark.parametrize("write", WRITERS)
    def test_gatys(self, path, write):
        """By its plain names the network is Oxford's."""
        arrays = state_dict(PLAIN)
        weights = read(path, write(arrays))
        assert_holds(weights, layers_of(arrays, PLAIN))
        assert weights.preprocessing == vgg.PREPROCESSINGS["oxford"]

    def test_preprocessing_by_hash(self, path, monkeypatch):
        data = write_zip(state_dict())
        beginning = hashlib.sha256(data).hexdigest()[:8]
        monkeypatch.setitem(pytorch.PREPROCESSING_BY_SHA256, beginning, vgg.PREPROCESSINGS["torchvision"])
        assert read(path, data).preprocessing == vgg.PREPROCESSINGS["torchvision"]

    def test_big_endian(self, path):
        arrays = state_dict()
        data = zip_file(state_pickle(arrays), raw({k: a.astype(">f4") for k, a in arrays.items()}), b"big")
        assert_holds(read(path, data), layers_of(arrays))

    def test_without_byte_order(self, path):
        arrays = state_dict()
        assert_holds(read(path, zip_file(state_pickle(arrays), raw(arrays), order=None)), layers_of(arrays))

    @pytest.mark.parametrize("legacy", [False, True])
    def test_one_storage_with_offsets_and_strides(self, path, legacy):
        """Kernel and bias side by side in one storage, the kernel's channels last in memory."""
        rng = np.random.default_rng(2)
        numbers = rng.standard_normal(5 + 108 + 4).astype("f4")
        kernel = numbers[5:113].reshape(4, 3, 3, 3).transpose(0, 3, 1, 2)
        stored = storage("0", numbers.size, view=b"N" if legacy else b"")
        program = b"\x80\x02}(" + text("features.0.weight") + tensor(kernel.shape, strides_of(kernel), 5, stored)
        program += text("features.0.bias") + tensor([4], [1], 113, stored) + b"u."
        if legacy:
            data = legacy_file(program, [(numbers.size, numbers.tobytes())])
        else:
            data = zip_file(program, [numbers.tobytes()])
        arrays = {"features.0.weight": kernel, "features.0.bias": numbers[113:]}
        assert_holds(read(path, data), layers_of(arrays, TORCHVISION[:1]))

    def test_classifier_is_not_read(self, path):
        """Its storage, the last one, is missing."""
        arrays = state_dict()
        assert_holds(read(path, zip_file(state_pickle(arrays), raw(arrays)[:-1])), layers_of(arrays))

    @pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model"])
    def test_what_a_training_run_saves(self, path, key):
        arrays = state_dict()
        assert_holds(read(path, zip_file(training_pickle(arrays, key), raw(arrays))), layers_of(arrays))
        numbers = [(array.size, array.tobytes()) for array in arrays.values()]
        assert_holds(read(path, legacy_file(training_pickle(arrays, key, True), numbers)), layers_of(arrays))

    @pytest.mark.parametrize("write", WRITERS)
    @pytest.mark.parametrize("stems", [TORCHVISION, PLAIN])
    def test_data_parallel(self, path, write, stems):
        """Around the network, or around its features alone as in PyTorch's example."""
        arrays = state_dict(stems)
        expected = read(path, write(arrays)).preprocessing
        for old, new in (("", "module."), ("features.", "features.module.")):
            weights = read(path, write({name.replace(old, new, 1): array for name, array in arrays.items()}))
            assert_holds(weights, layers_of(arrays, stems))
            assert weights.preprocessing == expected

    @pytest.mark.parametrize(
        "names",
        [
            "_orig_mod.features.{}", "module._orig_mod.features.{}", "model.features.{}", "net.vgg.features.{}", "{}",
            "encoder.{}", "net.slice1.{}", "features.module.{}",
        ],
    )  # fmt: skip
    def test_names_in_front(self, path, names):
        """Of a compiled network, of a part of a larger one, of the list of layers alone."""
        stems = [names.format(stem.removeprefix("features.")) for stem in TORCHVISION]
        arrays = state_dict(stems)
        assert_holds(read(path, write_zip(arrays)), layers_of(arrays, stems))
        assert_holds(read(path, write_legacy(arrays)), layers_of(arrays, stems))

    def test_slices(self, path):
        """As LPIPS has them, beside small convolutions of its own."""
        stems = [f"net.slice{number}.{place}" for number, place in ((1, 0), (1, 2), (2, 5))]
        arrays = state_dict(stems)
        others = {"lin0.model.1.weight": np.zeros((1, 4, 1, 1), "f4")}
        assert_holds(read(path, write_zip(arrays | others)), layers_of(arrays, stems))

    @pytest.mark.parametrize("keys", [("net",), ("checkpoint", "generator", "vgg")])
    def test_in_dicts_of_any_name(self, path, keys):
        arrays = state_dict()
        program = pushed_state(arrays)
        for key in reversed(keys):
            program = b"}" + text(key) + program + b"s"
        assert_holds(read(path, zip_file(b"\x80\x02" + program + b".", raw(arrays))), layers_of(arrays))

    @pytest.mark.parametrize("is_zip", [True, False])
    def test_training_run_of_pytorch(self, path, is_zip):
        torch = pytest.importorskip("torch")
        network = torch.nn.Module()
        network.features = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Conv2d(4, 4, 3))
        optimizer = torch.optim.Adam(network.parameters())
        network.features(torch.zeros(1, 3, 8, 8)).sum().backward()
        optimizer.step()
        state = torch.nn.DataParallel(network).state_dict()
        run = {"epoch": 3, "arch": "vgg19", "state_dict": state, "optimizer": optimizer.state_dict()}
        torch.save(run, path, _use_new_zipfile_serialization=is_zip)
        arrays = {name: parameter.detach().numpy() for name, parameter in network.named_parameters()}
        assert_holds(pytorch.read(path), layers_of(arrays, TORCHVISION[:2]))

    @pytest.mark.parametrize("is_zip", [True, False])
    @pytest.mark.parametrize("protocol", [2, 4])
    def test_written_by_pytorch(self, path, is_zip, protocol):
        torch = pytest.importorskip("torch")
        arrays = state_dict()
        state = OrderedDict((name, torch.from_numpy(array)) for name, array in arrays.items())
        state["features.0.weight"] = state["features.0.weight"].contiguous(memory_format=torch.channels_last)
        state["number"] = torch.tensor(3)
        torch.save(state, path, _use_new_zipfile_serialization=is_zip, pickle_protocol=protocol)
        assert pytorch.recognises(path)
        assert_holds(pytorch.read(path), layers_of(arrays))

    @pytest.mark.parametrize("is_zip", [True, False])
    def test_module_written_by_pytorch(self, path, is_zip):
        """With the versions of modules that a real state dict has, and with parameters in place of tensors."""
        torch = pytest.importorskip("torch")
        network = torch.nn.Module()
        network.features = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Conv2d(4, 4, 3))
        arrays = {name: parameter.detach().numpy() for name, parameter in network.named_parameters()}
        for state in (network.state_dict(), network.state_dict(keep_vars=True)):
            torch.save(state, path, _use_new_zipfile_serialization=is_zip)
            assert_holds(pytorch.read(path), layers_of(arrays, TORCHVISION[:2]))


class TestRecognises:
    @pytest.mark.parametrize(
        "data", [b"", b"PK", b"PK\3\4", b"PK\3\4" + b"\xff" * 60, b"\x80\x02}.", b"<html>", b"\0" * 99]
    )
    def test_others(self, path, data):
        written(path, data)
        assert not pytorch.recognises(path)

    def test_other_archives(self, path):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("conv1_1_W.npy", b"")
        assert not pytorch.recognises(path)

    def test_truncated(self, path):
        """So that its reader can say what is wrong."""
        written(path, write_zip(state_dict())[:-10])
        assert pytorch.recognises(path)


class TestDamaged:
    @pytest.mark.parametrize("write", WRITERS)
    def test_truncated_everywhere(self, path, write):
        arrays = state_dict(TORCHVISION[:1], width=2)
        data = write(arrays)
        for length in truncations(path, data):
            assert pytorch.recognises(path) in (True, False)
            weights = outcome(pytorch.read, path)
            if not isinstance(weights, str):
                assert length >= len(data) - arrays["classifier.0.weight"].nbytes - 8
                assert_holds(weights, layers_of(arrays, TORCHVISION[:1]))

    @settings(max_examples=300, deadline=None)
    @given(damaged([write(state_dict(TORCHVISION[:2], width=2)) for write in WRITERS]))
    def test_flipped_bytes(self, path, data):
        survived(pytorch, path, data)

    @settings(max_examples=200, deadline=None)
    @given(programs())
    def test_any_program(self, path, program):
        for data in (zip_file(b"\x80\x02" + program, []), legacy_file(program, [])):
            assert isinstance(outcome(pytorch.read, written(path, data)), str)

    def test_wrong_checksum(self, path):
        data = bytearray(write_zip(state_dict()))
        data[data.index(state_dict()["features.0.weight"].tobytes())] ^= 1
        refused(path, data, "damaged")


class TestUnsuitable:
    def test_batch_normalisation(self, path):
        arrays = state_dict(("features.0", "features.3"))
        arrays["features.1.running_mean"] = np.zeros(4, "f4")
        refused(path, write_zip(arrays), "batch normalisation")

    def test_batch_normalisation_without_means(self, path):
        arrays = state_dict(("features.0", "features.3"))
        arrays["features.1.weight"] = arrays["features.1.bias"] = np.zeros(4, "f4")
        refused(path, write_zip(arrays), "batch normalisation")

    @pytest.mark.parametrize(
        ("stems", "pattern"),
        [
            ((), r"no array in it is named like a convolution of VGG \(it holds classifier.0.weight"),
            (("layer1.0.conv1",), r"no array in it.* \(it holds layer1.0.conv1.weight, layer1.0.conv1.bias"),
            (("classifier.0", "classifier.3", "classifier.6"), "no array in it"),
            (("vgg.features.0", "ema.features.0"), r"2 networks \(vgg.features, ema.features\)"),
            (("encoder.0", "encoder.2", "decoder.0", "decoder.2"), r"2 networks \(encoder, decoder\)"),
            (("features.2", "features.5"), "features.0, the first convolution, is missing"),
            (("features.0", "features.5"), "no VGG has"),
            (("features.0", "features.1"), "no VGG has"),
            (("features.0", "conv1_2"), "one network"),
            ([f"features.{2 * number}" for number in range(5)], "more convolutions"),
            ([f"features.{3 * number}" for number in range(6)], "more convolutions"),
        ],
    )
    def test_other_networks(self, path, stems, pattern):
        refused(path, write_zip(state_dict(stems)), pattern)

    def test_larger_than_vgg(self, path):
        """A storage of a few numbers, which strides of 0 make as large as a tensor says."""
        stored = storage("0", 512)
        kernel, bias = tensor([512, 512, 3, 3], [0, 0, 0, 0], 0, stored), tensor([512], [1], 0, stored)
        program = b"\x80\x02}(" + text("conv1_1.weight") + kernel + text("conv1_1.bias") + bias + b"u."
        with readers.memory_below(5e6):
            refused(path, zip_file(program, [bytes(2048)]), r"shape \(3, 3, 512, 512\), larger than VGG's")

    def test_with_module_and_without(self, path):
        arrays = state_dict()
        arrays["module.features.0.bias"] = arrays["features.0.bias"]
        refused(path, write_zip(arrays), "features.0.bias with module. in its name and without")

    def test_wrapped_twice(self, path):
        refused(path, zip_file(b"\x80\x02}" + text("model") + b"}" + text("model") + b"}ss.", []), "no array in it")

    @pytest.mark.parametrize("missing", ["features.2.weight", "features.2.bias", "features.5.bias"])
    def test_missing_part(self, path, missing):
        arrays = state_dict()
        del arrays[missing]
        refused(path, write_zip(arrays), f"{missing[:10]} lacks")

    def test_parts_that_do_not_belong_together(self, path):
        arrays = state_dict()
        arrays["features.2.bias"] = np.zeros(5, "f4")
        refused(path, write_zip(arrays), "conv1_2 do not belong together")

    @pytest.mark.parametrize("kind", ["BFloat16Storage", "LongStorage"])
    def test_other_numbers(self, path, kind):
        program = (
            b"\x80\x02}(" + text("conv1_1.weight") + tensor([4, 3, 3, 3], [27, 9, 3, 1], 0, storage("0", 108, kind))
        )
        program += text("conv1_1.bias") + tensor([4], [1], 0, storage("1", 4, kind)) + b"u."
        refused(path, zip_file(program, [b"\0" * 864, b"\0" * 32]), kind)

    def test_no_dict(self, path):
        refused(path, zip_file(pickle.dumps([1], 2), []), "state dict")

    def test_other_archive(self, path):
        refused(path, zip_file(b"", []).replace(b"data.pkl", b"data.txt"), "not one that PyTorch wrote")


def shared(depth):
    """A tuple of two, of which each is a tuple of two ...: small, but hashing it takes 2^depth steps."""
    return b")" + b"q\x00h\x00\x86" * depth


CONV = text("conv1_1.weight")


class TestHostile:
    """Nothing is executed, memory stays small, and the answer is a UserError."""

    def refused(self, path, program, pattern=""):
        for data in (zip_file(program, [b"\0" * 432]), legacy_file(program, [(108, b"\0" * 432)])):
            refused(path, data, pattern)

    @pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
    def test_calls(self, path, tmp_path, protocol):
        sentinel = tmp_path / "executed"
        for bomb in (
            Calls(os.system, f"touch '{sentinel}'"),
            Calls(builtins.eval, f"open({str(sentinel)!r}, 'w')"),
            Calls(builtins.open, str(sentinel), "w"),
            Calls(os.mkdir, str(sentinel)),
        ):
            for value in (bomb, {"conv1_1.weight": bomb}, [bomb]):
                self.refused(path, pickle.dumps(value, protocol))
        assert not sentinel.exists()

    @pytest.mark.parametrize(
        "program",
        [
            b"cos\nsystem\n(U\x04exittR.",
            b"(ios\nsystem\n.",
            b"(cos\nsystem\nU\x04exito.",
            b"\x82\x01.",  # EXT1
            b"ctorch\nload\n.",
            b"ctorch._utils\n_rebuild_tensor_v2.__globals__\n.",
            b"ctorch\n" + b"x" * 5000 + b"\x1b[31m\n.",
            b"cbuiltins\nprint\n)R.",
            b"c__builtin__\neval\n.",
        ],
    )
    def test_names(self, path, program):
        self.refused(path, b"\x80\x02" + program, "state_dict")

    @pytest.mark.parametrize(
        "program",
        [
            b"X" + b"\xff" * 4,  # a string of four gigabytes
            b"T\xff\xff\xff\x7f",
            b"T\xff\xff\xff\xff",
            b"B" + b"\xff" * 4,
            b"\x8e" + b"\xff" * 8,
            b"\x8e" + b"\xff" * 7 + b"\x7f",
            b"\x8d" + b"\xff" * 8,  # BINUNICODE8
            b"\x96" + b"\xff" * 8,  # BYTEARRAY8
            b"\x8b\xff\xff\xff\x7f",  # LONG4
            b"\x95" + b"\xff" * 8,  # FRAME
            b"Nr\xff\xff\xff\xff.",  # a memo of 2^32 entries
            b"j\xff\xff\xff\xff.",
            b"(" * 200_000 + b".",
            b"]" * 200_000 + b"a" * 199_999 + b".",
            b")" + b"\x85" * 200_000 + b".",
            b"}\x94" * 120_000 + b".",
            b"}" + shared(100) + b"Ns.",  # a key that takes 2^100 steps to hash
            b"}(" + shared(100) + b"Nu.",
            b"ccollections\nOrderedDict\n](]" + b"(" + shared(100) + b"Nee\x85R.",
            b"(ctorch\nFloatStorage\n" + shared(100) + b"tQ.",
            b"N" * 300_000 + b".",
            b"I" + b"9" * 100_000 + b"\n.",
            b"L" + b"9" * 100_000 + b"L\n.",
            b"S'\\q'\n.",
            b"V\\u\n.",
        ],
    )
    def test_bombs(self, path, program):
        self.refused(path, b"\x80\x04" + program)

    @pytest.mark.parametrize(
        "program",
        [
            b".",
            b"t.",
            b"u.",
            b"0.",
            b"Nb.",
            b"NNb.",
            b"}Na.",
            b"]Nb.",
            b"NR.",
            b"NNR.",
            b"ctorch\nFloatStorage\n)R.",
            b"ctorch\nFloatStorage\n}b.",
            b"ctorch._utils\n_rebuild_tensor_v2\n)R.",
            b"ctorch._utils\n_rebuild_tensor_v2\n(NNNNNNtR.",
            b"ctorch._utils\n_rebuild_parameter\n)R.",
            b"ctorch\nSize\n(NNNtR.",
            b"ccollections\nOrderedDict\n(NNNtR.",
            b"ccollections\nOrderedDict\n]Na\x85R.",
            b"ccollections\nOrderedDict\n)R](NNeb" + b"]b.",
            b"NQ.",
            b")Q.",
            b"(NNNNNtQ.",
            b"}" + CONV + b"Ns.",
            b"}" + CONV + b"K\x01ctorch\nSize\n)Rs.",
            b"}K\x01K\x01s.",
            b"}Ns.",
            b"}(Nu.",
            b"\x93.",
            b"NN\x93.",
            b"q\x00.",
            b"h\x00.",
        ],
    )
    def test_nonsense(self, path, program):
        self.refused(path, b"\x80\x02" + program)

    @pytest.mark.parametrize(
        ("shape", "strides", "offset", "size"),
        [
            ([4, 3, 3, 3], [27, 9, 3, 1], 1, 108),
            ([4, 3, 3, 3], [28, 9, 3, 1], 0, 108),
            ([4, 3, 3, 3], [27, 9, 3, 1], -1, 108),
            ([4, 3, 3, 3], [-27, 9, 3, 1], 81, 108),
            ([4, 3, 3, 3], [2**62, 9, 3, 1], 0, 108),
            ([4, 3, 3, 3], [2**62, 9, 3, 1], 0, 2**100),
            ([4, 3, 3, 3], [2**100] * 4, 2**100, 2**110),
            ([4, 3, 3, 1], [27, 9, 3, 2**100], 0, 108),
            ([4, 3, 3, 3], [27, 9, 3], 0, 108),
            ([4, 3, 3, 3], [27, 9, 3, 1, 1], 0, 108),
            ([4, 3, 3, 3], [27, 9, 3, 1], 0, 107),
            ([4, 3, 3, 3], [27, 9, 3, 1], 81, 189),
            ([4, 3, 3, 3], [27, 9, 3, 1], 2**62, 2**63),
            ([4, 3, 2**30, 2**30], [0, 0, 0, 0], 0, 108),
            ([4, 513, 2000, 3], [0, 0, 0, 0], 0, 108),
            ([2**60, 0, 3, 3], [0, 0, 0, 0], 0, 108),
            ([-4, 3, 3, 3], [27, 9, 3, 1], 0, 108),
            ([1] * 5000, [1] * 5000, 0, 108),
        ],
    )
    def test_shapes(self, path, shape, strides, offset, size):
        for view in (b"", b"N"):
            kernel = tensor(shape, strides, offset, storage("0", size, view=view))
            bias = tensor(shape[:1], [0], 0, storage("0", size, view=view))
            self.refused(path, b"\x80\x02}(" + CONV + kernel + text("conv1_1.bias") + bias + b"u.")

    @pytest.mark.parametrize("key", ["../../etc/passwd", "1", "", "0/../0", "/dev/zero"])
    def test_keys(self, path, key):
        program = b"\x80\x02}(" + CONV + tensor([4, 3, 3, 3], [27, 9, 3, 1], 0, storage(key, 108))
        self.refused(path, program + text("conv1_1.bias") + tensor([4], [1], 0, storage(key, 108)) + b"u.")

    def test_storage_that_is_a_view(self, path):
        view = b"(" + text("1") + integer(0) + integer(4) + b"t"
        self.refused(path, b"\x80\x02" + storage("0", 108, view=view) + b".", "not understood")

    @pytest.mark.parametrize("count", [-1, 107, 2**62])
    def test_legacy_counts(self, path, count):
        program = b"\x80\x02}(" + CONV + tensor([4, 3, 3, 3], [27, 9, 3, 1], 0, storage("0", 108))
        program += text("conv1_1.bias") + tensor([4], [1], 0, storage("0", 108)) + b"u."
        refused(path, legacy_file(program, [(count, b"\0" * 432)]), "sizes")

    @pytest.mark.parametrize("keys", [3, [3], ["9"], [[]], {}])
    def test_legacy_keys(self, path, keys):
        start = legacy_file(state_pickle(state_dict(TORCHVISION[:1])), [])
        refused(path, start.removesuffix(pickle.dumps([], 2)) + pickle.dumps(keys, 2))

    @pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    def test_compressed(self, path, compression):
        with zipfile.ZipFile(path, "w", compression) as archive, archive.open("archive/data.pkl", "w") as entry:
            for _ in range(100):
                entry.write(b"N" * 1_000_000)
        readers.refused(pytorch.read, path, "compressed")

    def test_too_long(self, path):
        self.refused(path, b"\x80\x02" + text("x" * 2_000_000) + b".", "longer than")

    def test_many_entries(self, path):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", b"")
        data = path.read_bytes()
        start, end = data.index(b"PK\1\2"), data.index(b"PK\5\6")
        directory = data[start:end] * 200_000
        record = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0, 0, len(directory), start, 0)
        assert len(directory) > 5e6
        refused(path, data[:start] + directory + record, "too many entries")
        with readers.memory_below(5e6):
            assert pytorch.recognises(path)

    def test_promised_size(self, path):
        """An entry that claims four gigabytes: only what the tensor needs is read."""
        arrays = state_dict(TORCHVISION[:1])
        data = bytearray(write_zip(arrays))
        start = data.index(b"archive/data/0", data.index(b"PK\1\2")) - 46
        data[start + 20 : start + 28] = struct.pack("<II", 2**32 - 2, 2**32 - 2)
        with readers.memory_below(5e6):
            assert_holds(read(path, data), layers_of(arrays, TORCHVISION[:1]))
