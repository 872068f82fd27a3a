"""Weights files: Keras's layouts and our own, written here, and damaged files of many kinds."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import readers
from networks import random_vgg, random_vgg19
from scipy.io import savemat

from scratchnst import load_network
from scratchnst.errors import UserError
from scratchnst.models import vgg
from scratchnst.weights import load
from scratchnst.weights.assembly import FileWeights, assemble
from scratchnst.weights.formats import hdf5, keras, native
from scratchnst.weights.load import choose_source, source_file

FLAT = ("{group}_W_1:0", "{group}_b_1:0")
NESTED = ("{group}/kernel:0", "{group}/bias:0")


def keras_group(name):
    """conv2_1 -> block2_conv1"""
    return f"block{name[4]}_conv{name[6]}"


def write_keras(path, network, names=FLAT, attributes=True, version="earliest"):
    """Write the convolutions of `network` as Keras does."""
    with h5py.File(path, "w", libver=version) as file:
        for name, arrays in network.parameters.items():
            group = file.create_group(keras_group(name))
            inside = [template.format(group=keras_group(name)) for template in names]
            for dataset, array in zip(inside, arrays):
                group[dataset] = array
            if attributes:
                group.attrs["weight_names"] = [dataset.encode() for dataset in inside]
        for number in range(1, 6):
            file.create_group(f"block{number}_pool").attrs["weight_names"] = np.array([], "S1")
        if attributes:
            file.attrs["layer_names"] = [name.encode() for name in file]


def write_numbered(file, network, inner=""):
    """Put the convolutions of `network` into an open file as Keras 3 does, in a model within the model if asked."""
    for number, arrays in enumerate(network.parameters.values()):
        layer = f"{inner}layers/conv2d" + (f"_{number}" if number else "")
        for index, array in enumerate(arrays):
            file[f"{layer}/vars/{index}"] = array


@pytest.fixture
def network():
    """The first three convolutions of VGG19, in genuine shapes."""
    return random_vgg19(3)


@pytest.fixture
def keras_file(tmp_path, network):
    write_keras(tmp_path / "vgg.h5", network)
    return tmp_path / "vgg.h5"


def replace_arrays(file, layer, shape):
    """Give a layer other arrays of zeros, which hardly take place in the file."""
    del file[layer]
    for name, sides in (("kernel", shape), ("bias", shape[3:])):
        packing = {"compression": "gzip", "chunks": sides} if 0 not in sides else {}
        file.create_dataset(f"{layer}/{name}", data=np.zeros(sides, "f"), **packing)


def refused(path, pattern):
    """Check that the file is refused, and which one is meant."""
    assert path.name in readers.refused(load_network, path, pattern)


def assert_same_weights(actual, expected):
    assert list(actual.parameters) == list(expected.parameters)
    for name, arrays in expected.parameters.items():
        for got, wanted in zip(actual.parameters[name], arrays):
            assert got.dtype == np.float32
            np.testing.assert_array_equal(got, wanted)


class TestKeras:
    @pytest.mark.parametrize("names", [FLAT, NESTED], ids=["flat", "nested"])
    @pytest.mark.parametrize("attributes", [True, False])
    def test_layouts(self, tmp_path, network, names, attributes):
        write_keras(tmp_path / "file without a telling name", network, names, attributes)
        read = load_network(tmp_path / "file without a telling name")
        assert_same_weights(read, network)
        assert read.layers == network.layers
        assert read.preprocessing == network.preprocessing
        assert read.defaults == network.defaults

    def test_whole_network(self, tmp_path):
        """All sixteen layers in their genuine shapes, which are checked."""
        network = random_vgg19(16)
        write_keras(tmp_path / "vgg.h5", network)
        read = load_network(str(tmp_path / "vgg.h5"))
        assert [layer.name for layer in read.layers][-1] == "pool5"
        assert_same_weights(read, network)

    def test_provenance(self, keras_file):
        provenance = load_network(keras_file).provenance
        assert provenance["sha256"] == hashlib.sha256(keras_file.read_bytes()).hexdigest()
        assert provenance["file"] == "vgg.h5"
        assert provenance["layout"] == "Keras"

    def test_other_precisions_become_float32(self, tmp_path, network):
        write_keras(tmp_path / "vgg.h5", network.astype("float64"))
        assert_same_weights(load_network(tmp_path / "vgg.h5"), network)

    def test_deeper_layers_are_refused_by_name(self, keras_file):
        with pytest.raises(UserError, match=r"no layer 'conv4_2'.*conv1_1, conv1_2, pool1, conv2_1"):
            load_network(keras_file).check_layers(["conv4_2"])


class TestOtherKerasLayouts:
    def test_a_whole_model(self, tmp_path, network):
        """model.save: the weights one group further down, beside a classifier that is left alone."""
        write_keras(tmp_path / "weights.h5", network)
        with h5py.File(tmp_path / "weights.h5") as weights, h5py.File(tmp_path / "model.h5", "w") as model:
            weights.copy("/", model, "model_weights")
            model["model_weights/predictions/predictions/kernel:0"] = np.zeros((4096, 1000), "f")
        assert_same_weights(load_network(tmp_path / "model.h5"), network)

    @pytest.mark.parametrize("name", ["vgg19", "vgg16"])
    def test_keras_3(self, tmp_path, name):
        """.weights.h5: convolutions by number, and dense layers beside them."""
        network = random_vgg(name)
        with h5py.File(tmp_path / "a.weights.h5", "w") as file:
            write_numbered(file, network)
            file["layers/dense/vars/0"] = np.zeros((8, 8), "f")
        read = load_network(tmp_path / "a.weights.h5")
        assert read.name == name
        assert_same_weights(read, network)

    @pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
    def test_archives(self, tmp_path, network, keras_file, compression):
        """.keras: the same file among others, which Keras does not compress."""
        with zipfile.ZipFile(tmp_path / "a.keras", "w", compression) as archive:
            archive.writestr("config.json", "{}")
            archive.write(keras_file, "model.weights.h5")
        assert_same_weights(load_network(tmp_path / "a.keras"), network)

    def test_damaged_archives(self, tmp_path, keras_file, monkeypatch):
        path = tmp_path / "a.keras"
        with zipfile.ZipFile(path, "w") as archive:
            archive.write(keras_file, "model.weights.h5")
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        refused(readers.written(path, data), "damaged or incomplete")
        monkeypatch.setattr(keras, "_LARGEST_ENTRY", 1000)
        refused(path, "model.weights.h5 has more than 1000 bytes: unpack it")
        assert sorted(tmp_path.iterdir()) == [path, keras_file]  # no copy is left

    @pytest.mark.parametrize("inner", ["", "layers/functional/", "layers/vgg\\\\"])
    @pytest.mark.parametrize("convolutions", [1, 5, 9])
    def test_keras_3_cut_and_in_a_larger_model(self, tmp_path, inner, convolutions):
        """The shapes of the kernels tell the layers, wherever the network ends, beside a head with convolutions."""
        network = random_vgg19(convolutions)
        with h5py.File(tmp_path / "a.weights.h5", "w") as file:
            write_numbered(file, network, inner)
            if inner:
                file["layers/conv2d/vars/0"], file["layers/conv2d/vars/1"] = np.zeros((1, 1, 64, 2), "f"), np.zeros(2)
            file["optimizer/vars/0"] = np.zeros(())
        assert_same_weights(load_network(tmp_path / "a.weights.h5"), network)

    def test_keras_3_with_convolutions_behind_vgg(self, tmp_path):
        network = random_vgg("vgg16")
        with h5py.File(tmp_path / "a.weights.h5", "w") as file:
            write_numbered(file, network)
            file["layers/conv2d_13/vars/0"], file["layers/conv2d_13/vars/1"] = (
                np.zeros((1, 1, 512, 8), "f"),
                np.zeros(8),
            )
        read = load_network(tmp_path / "a.weights.h5")
        assert read.name == "vgg16"
        assert_same_weights(read, network)

    @pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
    def test_keras_archive(self, tmp_path, network, packing):
        buffer = io.BytesIO()
        with h5py.File(buffer, "w") as file:
            write_numbered(file, network)
        with zipfile.ZipFile(tmp_path / "a.keras", "w", packing) as archive:
            archive.writestr("config.json", "{}")
            archive.writestr("model.weights.h5", buffer.getvalue())
        assert_same_weights(load_network(tmp_path / "a.keras"), network)
        data = (tmp_path / "a.keras").read_bytes()
        for length in (len(data) // 3, len(data) - 30):
            refused(readers.written(tmp_path / "a.keras", data[:length]), "no format|damaged|zip archive")

    @pytest.mark.parametrize("group", ["vgg19", "model_weights/functional", "model_weights/vgg19"])
    def test_vgg_in_a_larger_model(self, tmp_path, network, group):
        write_keras(tmp_path / "vgg.h5", network, NESTED, attributes=False)
        with h5py.File(tmp_path / "vgg.h5") as vgg, h5py.File(tmp_path / "model.h5", "w") as model:
            vgg.copy("/", model, group)
            vgg.copy("/", model, "optimizer_weights/adam")
            model["model_weights/dense/kernel:0"] = np.zeros((8, 8), "f")
        assert_same_weights(load_network(tmp_path / "model.h5"), network)

    def test_two_networks_are_not_chosen_from(self, tmp_path, network):
        write_keras(tmp_path / "vgg.h5", network)
        with h5py.File(tmp_path / "vgg.h5") as vgg, h5py.File(tmp_path / "model.h5", "w") as model:
            for group in ("first", "second"):
                vgg.copy("/", model, group)
        refused(tmp_path / "model.h5", r"2 networks of convolutions \(in first, second\)")

    @pytest.mark.parametrize(
        ("name", "numbered"), [("vgg13", False), ("vgg13", True), ("vgg11", False), ("vgg11", True)]
    )
    def test_smaller_networks_are_named(self, tmp_path, name, numbered):
        network = random_vgg(name, 8)
        with h5py.File(tmp_path / "a.h5", "w") as file:
            write_numbered(file, network)
        if not numbered:
            write_keras(tmp_path / "a.h5", network)
        refused(tmp_path / "a.h5", f"it is {name.upper()}, another network")

    def test_keras_3_with_other_convolutions(self, tmp_path):
        with h5py.File(tmp_path / "a.weights.h5", "w") as file:
            file["layers/conv2d/vars/0"] = np.zeros((3, 3, 3, 32), "f")
        refused(tmp_path / "a.weights.h5", "1 convolutions without names, of 32 filters")

    def test_vgg16(self, tmp_path):
        network = random_vgg("vgg16")
        write_keras(tmp_path / "vgg16.h5", network)
        read = load_network(tmp_path / "vgg16.h5")
        assert read.name == "vgg16"
        assert read.layers == network.layers
        assert read.defaults.content_layers == {"conv4_2": 1.0}
        assert_same_weights(read, network)

    def test_theano_ordering_is_refused(self, tmp_path, network):
        theano = {name: (w.transpose(3, 2, 0, 1), b) for name, (w, b) in network.parameters.items()}
        write_keras(tmp_path / "th.h5", replace(network, parameters=theano))
        refused(tmp_path / "th.h5", "Theano's ordering")


class TestHostileHdf5:
    def test_huge_declared_shape(self, keras_file):
        """A few bytes that declare terabytes are refused before anything of that size is allocated."""
        with h5py.File(keras_file, "a") as file:
            del file["block1_conv1/block1_conv1_W_1:0"]
            file["block1_conv1"].create_dataset("block1_conv1_W_1:0", (3, 3, 3, 1 << 40), "f", chunks=(3, 3, 3, 64))
        refused(keras_file, "declares a shape")

    @pytest.mark.parametrize("kind", ["S2000000000", "V100000000", "i8"])
    def test_huge_numbers(self, keras_file, kind):
        """A bias of the right shape, but what is called a number takes up to gigabytes."""
        with h5py.File(keras_file, "a") as file:
            del file["block1_conv1/block1_conv1_b_1:0"]
            file["block1_conv1"].create_dataset("block1_conv1_b_1:0", (64,), kind)
        refused(keras_file, "conv1_1's bias .* floating-point")

    def test_huge_chunk(self, keras_file):
        """A bias of the right shape in a chunk that unpacks to a hundred megabytes."""
        with h5py.File(keras_file, "a") as file:
            del file["block1_conv1/block1_conv1_b_1:0"]
            settings = {"data": np.zeros(64, "f"), "chunks": (1 << 25,), "maxshape": (None,), "compression": "gzip"}
            file["block1_conv1"].create_dataset("block1_conv1_b_1:0", **settings)
        refused(keras_file, "declares a shape")

    def test_attributes_are_not_read(self, keras_file, network):
        """HDF5 looks without end for a text in a heap whose first place is empty and has no size."""
        data = bytearray(keras_file.read_bytes())
        start = data.index(b"GCOL") + 16
        data[start : start + 16] = bytes(16)
        readers.written(keras_file, data)
        assert_same_weights(load_network(keras_file), network)

    def test_links_out_of_the_file(self, tmp_path, keras_file, network):
        write_keras(tmp_path / "other.h5", network)
        for number, link in enumerate((h5py.ExternalLink("other.h5", "/block1_conv1"), h5py.SoftLink("/block1_conv2"))):
            path = tmp_path / f"{number}.h5"
            path.write_bytes(keras_file.read_bytes())
            with h5py.File(path, "a") as file:
                del file["block1_conv1"]
                file["block1_conv1"] = link
            refused(path, "link to somewhere else")

    def test_numbers_in_another_file(self, tmp_path, keras_file):
        secret = tmp_path / "secret"
        secret.write_bytes(bytes(4 * 64))
        with h5py.File(keras_file, "a") as file:
            del file["block1_conv1/block1_conv1_b_1:0"]
            file["block1_conv1"].create_dataset("block1_conv1_b_1:0", (64,), "f", external=[(str(secret), 0, 256)])
        refused(keras_file, "in another file")

    def test_virtual_dataset(self, tmp_path, keras_file):
        with h5py.File(tmp_path / "other.h5", "w") as file:
            file["b"] = np.zeros(64, "f")
        layout = h5py.VirtualLayout((64,), "f")
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "b", (64,))
        with h5py.File(keras_file, "a") as file:
            del file["block1_conv1/block1_conv1_b_1:0"]
            file["block1_conv1"].create_virtual_dataset("block1_conv1_b_1:0", layout)
        refused(keras_file, "in another file")


class TestTruncatedHdf5:
    """One layer, in half precision: the smallest file that is read, and without a process for each length."""

    @pytest.fixture(autouse=True)
    def _in_this_process(self, path, monkeypatch):
        monkeypatch.setattr(hdf5, "_PACKAGE", path.parent)

    def write(self, path, version="earliest"):
        write_keras(path, random_vgg19(1).astype("float16"), version=version)
        assert list(load_network(path).parameters) == ["conv1_1"]
        return path.read_bytes()

    @pytest.mark.parametrize("version", ["earliest", "latest"])
    def test_at_every_byte(self, path, version):
        """Of the superblock, the root group and all the rest, in the oldest version of HDF5 and in the newest."""
        for length in readers.truncations(path, self.write(path, version)):
            message = readers.outcome(load_network, path)
            expected = "not an HDF5 file, or a damaged one" if length >= 8 else "no format of weights that is known"
            assert expected in message, length

    def test_where_the_superblock_agrees(self, path):
        """HDF5 compares the length with the superblock's; where both are wrong, it goes on and finds things missing."""
        data = bytearray(self.write(path))
        place = slice(40, 48)
        assert int.from_bytes(data[place], "little") == len(data)
        for length in range(48, 4096):
            data[place] = length.to_bytes(8, "little")
            message = readers.outcome(load_network, readers.written(path, data[:length]))
            assert "not an HDF5 file, or a damaged one" in message, length


def write_npz(path, network):
    np.savez(
        path,
        **{f"{name}_{part}": array for name, pair in network.parameters.items() for part, array in zip("Wb", pair)},
    )


def write_safetensors(path, network):
    """Eight bytes with the header's length, the header in JSON, the numbers; kernels (C_out, C_in, kh, kw)."""
    header, data = {}, b""
    for number, (w, b) in zip((0, 2, 5), network.parameters.values()):
        for part, array in (("weight", np.ascontiguousarray(w.transpose(3, 2, 0, 1))), ("bias", b)):
            span = [len(data), len(data) + array.nbytes]
            header[f"features.{number}.{part}"] = {"dtype": "F32", "shape": array.shape, "data_offsets": span}
            data += array.tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def write_pth(path, network):
    torch = pytest.importorskip("torch", reason="PyTorch, the writer of this format, is not installed")
    state = {}
    for number, (w, b) in zip((0, 2, 5), network.parameters.values()):
        state[f"features.{number}.weight"] = torch.tensor(w.transpose(3, 2, 0, 1).copy())
        state[f"features.{number}.bias"] = torch.tensor(b)
    torch.save(state, path)


def write_mat(path, network):
    """MatConvNet's struct of layers: kernels as ours, but for the first one's channels, which take RGB."""
    layers = np.empty((1, len(network.parameters)), object)
    for position, (name, (w, b)) in enumerate(network.parameters.items()):
        weights = np.empty((1, 2), object)
        weights[0, 0], weights[0, 1] = (w[:, :, ::-1] if name == "conv1_1" else w), b[np.newaxis]
        layers[0, position] = {"name": name, "type": "conv", "weights": weights}
    colour = np.array([123.68, 116.779, 103.939], "f").reshape(1, 1, 3)
    with path.open("wb") as file:
        savemat(file, {"layers": layers, "meta": {"normalization": {"averageImage": colour}}})


def write_caffemodel(path, network):
    """Caffe's NetParameter by its field numbers: name 1, layer 100 {name 1, type 2, blobs 7 {shape 7, data 5}}."""

    def number(value):
        return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + number(value >> 7)

    def field(tag, content):
        return number(tag << 3 | 2) + number(len(content)) + content

    def blob(array):
        shape = field(1, b"".join(number(side) for side in array.shape))
        return field(7, field(7, shape) + field(5, np.ascontiguousarray(array, "<f4").tobytes()))

    data = field(1, b"VGG")
    for name, (w, b) in network.parameters.items():
        data += field(100, field(1, name.encode()) + field(2, b"Convolution") + blob(w.transpose(3, 2, 0, 1)) + blob(b))
    path.write_bytes(data)


WRITERS = [
    write_npz,
    write_safetensors,
    write_pth,
    write_mat,
    write_caffemodel,
    lambda path, network: native.write(network, path),
]


@pytest.mark.parametrize("write", WRITERS)
def test_the_same_weights_in_another_format_give_the_same_features_to_the_bit(tmp_path, network, keras_file, write):
    path = tmp_path / "other.npz"
    write(path, network)
    expected = load_network(keras_file)
    tells = write not in (write_npz, write_safetensors, write_pth)
    read = load_network(path, None if tells else "oxford")
    assert_same_weights(read, expected)
    image = np.random.default_rng(0).uniform(0, 255, (1, 20, 21, 3)).astype("f")
    features = [network.forward(image, network.parameters)[0] for network in (read, expected)]
    for name in expected.parameters:
        np.testing.assert_array_equal(features[0][name], features[1][name])


def test_preprocessing_is_demanded_of_a_file_that_cannot_tell(tmp_path, network):
    write_safetensors(tmp_path / "a.safetensors", network)
    refused(tmp_path / "a.safetensors", "say --preprocessing oxford or")
    assert load_network(tmp_path / "a.safetensors", "torchvision").preprocessing == vgg.PREPROCESSINGS["torchvision"]


class TestPreprocessing:
    def test_what_the_file_tells_may_be_said_again_but_not_contradicted(self, keras_file):
        assert load_network(keras_file, "oxford").preprocessing == vgg.OXFORD_PREPROCESSING
        with pytest.raises(UserError, match="tells another preprocessing than torchvision"):
            load_network(keras_file, "torchvision")
        with pytest.raises(UserError, match="choose one of oxford, torchvision"):
            load_network(keras_file, "caffe")

    def test_demanded_where_the_file_cannot_tell(self, network):
        weights = FileWeights(network.parameters)
        with pytest.raises(UserError, match="--preprocessing oxford or --preprocessing torchvision"):
            assemble(weights, None, {})
        assert assemble(weights, "torchvision", {}).preprocessing == vgg.PREPROCESSINGS["torchvision"]


class TestGenuine:
    def test_as_far_as_the_file_goes(self, vgg19_file):
        network = load_network(vgg19_file)
        assert network.layers == vgg.truncated_table(len(network.parameters))
        shapes = {name: kernel.shape for name, (kernel, _) in network.parameters.items()}
        assert shapes.items() <= vgg.kernel_shapes().items()
        assert network.provenance["layout"] == "Keras"

    def test_first_three_blocks(self, vgg19_file, tmp_path):
        with h5py.File(vgg19_file) as whole, h5py.File(tmp_path / "blocks.h5", "w") as part:
            for name in whole:
                if name < "block4":
                    whole.copy(name, part)
        network = load_network(tmp_path / "blocks.h5")
        assert network.layers == vgg.truncated_table(8)
        assert [layer.name for layer in network.layers][-2:] == ["conv3_4", "pool3"]
        w, b = network.parameters["conv1_1"]
        assert w.shape == (3, 3, 3, 64)
        assert b.shape == (64,)
        assert network.provenance["layout"] == "Keras"


class TestBadFiles:
    def test_missing(self, tmp_path):
        refused(tmp_path / "none.h5", "does not exist")

    def test_name_too_long(self, tmp_path):
        refused(tmp_path / ("x" * 300), "does not exist")

    def test_directory(self, tmp_path):
        refused(tmp_path, "not a file")

    @pytest.mark.parametrize(
        ("data", "kind"),
        [
            (b"", "is empty"),
            (b"\0" * 4096, "zeros"),
            (b"<html>Not found</html>", r"a web page \(22 bytes\)"),
            (b"\xef\xbb\xbf\r\n<!DOCTYPE HTML PUBLIC>", "a web page"),
            (b'<?xml version="1.0"?><!DOCTYPE html>', "a web page"),
            (b'<?xml version="1.0"?>\n<Error><Code>NoSuchKey</Code></Error>', "XML, in which servers tell errors"),
            (b'{"message": "Not Found"}', "JSON, in which servers tell errors"),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 9\n", "git lfs pull"),
            (b"../.git/annex/objects/ab/cd", "git annex get"),
            (b"Too many requests", "a text that begins 'too many requests'"),
            (b"\x1f\x8b\x08\0", "a packed archive"),
            (b"\x89PNG\r\n\x1a\n", "a picture"),
            (bytes(range(256)), "see weights/README.md"),
        ],
    )
    def test_no_format_that_is_known(self, tmp_path, data, kind):
        (tmp_path / "vgg.h5").write_bytes(data)
        refused(tmp_path / "vgg.h5", f"no format of weights that is known.*{kind}")

    def test_other_archive(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.writestr("weights\x1b[31m.txt", "")
        refused(tmp_path / "a.zip", r"a zip archive \(it holds weights\\x1b\[31m.txt")

    def test_far_too_large(self, tmp_path):
        """It takes no space, but a minute to read."""
        (tmp_path / "vgg.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
        try:
            os.truncate(tmp_path / "vgg.h5", 1 << 38)
        except OSError:
            pytest.skip("the file system has no sparse files of this size")
        refused(tmp_path / "vgg.h5", "more than 2147483648 bytes")

    @pytest.mark.parametrize("data", [b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n" + b"\0" * 4096])
    def test_nothing_but_a_signature(self, tmp_path, data):
        (tmp_path / "vgg.h5").write_bytes(data)
        refused(tmp_path / "vgg.h5", "not an HDF5 file, or a damaged one")

    @pytest.mark.parametrize("share", [0.01, 0.3, 0.9, 0.999])
    def test_truncated(self, keras_file, share):
        data = keras_file.read_bytes()
        keras_file.write_bytes(data[: int(share * len(data))])
        refused(keras_file, "not an HDF5 file, or a damaged one")

    def test_other_hdf5(self, tmp_path):
        with h5py.File(tmp_path / "other.h5", "w") as file:
            file["data"] = np.zeros(3)
        refused(tmp_path / "other.h5", "neither Keras's VGG nor")

    def test_missing_layer(self, keras_file):
        with h5py.File(keras_file, "a") as file:
            del file["block1_conv2"]
        refused(keras_file, "conv2_1 but lacks conv1_2")

    def test_missing_bias(self, keras_file):
        with h5py.File(keras_file, "a") as file:
            del file["block1_conv2/block1_conv2_b_1:0"]
        refused(keras_file, "block1_conv2")

    @pytest.mark.parametrize("shape", [(3, 3, 64, 63), (64, 64, 3, 3), (1, 1, 64, 64)])
    def test_wrong_kernel_shape(self, keras_file, shape):
        with h5py.File(keras_file, "a") as file:
            del file["block1_conv2/block1_conv2_W_1:0"]
            file["block1_conv2/block1_conv2_W_1:0"] = np.zeros(shape, np.float32)
        refused(keras_file, r"conv1_2 should have a kernel of shape \(3, 3, 64, 64\)")

    def test_wrong_bias_shape(self, keras_file):
        with h5py.File(keras_file, "a") as file:
            del file["block1_conv2/block1_conv2_b_1:0"]
            file["block1_conv2/block1_conv2_b_1:0"] = np.zeros(3, np.float32)
        refused(keras_file, r"bias of shape \(64,\).*\(3,\)")

    @pytest.mark.parametrize("number", [np.nan, np.inf])
    @pytest.mark.parametrize("dataset", ["block2_conv1_W_1:0", "block2_conv1_b_1:0"])
    def test_not_finite(self, keras_file, dataset, number):
        with h5py.File(keras_file, "a") as file:
            file["block2_conv1"][dataset][..., -1] = number
        refused(keras_file, "conv2_1 .* NaN or infinite")

    def test_group_that_is_an_array(self, keras_file):
        with h5py.File(keras_file, "a") as file:
            del file["block1_conv1"]
            file["block1_conv1"] = np.zeros(3)
        refused(keras_file, "one kernel and one bias")

    def test_weight_names_that_are_no_list(self, keras_file, network):
        with h5py.File(keras_file, "a") as file:
            file["block1_conv1"].attrs["weight_names"] = 3
        assert_same_weights(load_network(keras_file), network)

    def test_too_large_for_float32(self, keras_file):
        with h5py.File(keras_file, "a") as file:
            del file["block1_conv1/block1_conv1_b_1:0"]
            file["block1_conv1/block1_conv1_b_1:0"] = np.full(64, 1e300)
        refused(keras_file, "conv1_1 .* NaN or infinite")

    def test_integers(self, keras_file):
        with h5py.File(keras_file, "a") as file:
            del file["block1_conv1/block1_conv1_b_1:0"]
            file["block1_conv1/block1_conv1_b_1:0"] = np.zeros(64, np.int8)
        refused(keras_file, "floating-point")


class TestNative:
    def test_round_trip(self, tmp_path, network):
        native.write(network, tmp_path / "out.h5")
        read = load_network(tmp_path / "out.h5")
        assert_same_weights(read, network)
        for name in ("name", "layers", "preprocessing", "defaults", "pooling", "normalized"):
            assert getattr(read, name) == getattr(network, name)
        assert read.provenance["origin"] == network.provenance
        assert read.provenance["sha256"] == hashlib.sha256((tmp_path / "out.h5").read_bytes()).hexdigest()

    def test_any_network(self, tmp_path):
        pyramid = load_network("pyramid")
        native.write(pyramid, tmp_path / "pyramid.h5")
        read = load_network(tmp_path / "pyramid.h5")
        assert_same_weights(read, pyramid)
        assert read.layers == pyramid.layers

    @pytest.mark.parametrize(("layers", "weight"), [({"conv1_2": 1.0}, 2.5e-3), ({}, 0.0), ({"conv1_2": 0.0}, 0.0)])
    def test_version_1_had_the_content_weight_of_a_pixel(self, tmp_path, network, layers, weight):
        path = tmp_path / "old.h5"
        native.write(network, path)
        with h5py.File(path, "a") as file:
            described = json.loads(file.attrs["network"])
            del described["defaults"]["content_weight_per_feature"]
            described["defaults"].update(content_weight_per_pixel=2.5e-3, content_layers=layers)
            file.attrs["network"], file.attrs["scratchnst_format"] = json.dumps(described), 1
        read = load_network(str(path))
        assert read.content_weight(64, 128) == pytest.approx(weight / (64 * 128))

    def test_half_precision(self, tmp_path, network):
        native.write(network, tmp_path / "single.h5")
        native.write(network, tmp_path / "half.h5", "float16")
        assert (tmp_path / "half.h5").stat().st_size < 0.6 * (tmp_path / "single.h5").stat().st_size
        read = load_network(tmp_path / "half.h5")
        for name, arrays in network.parameters.items():
            for array, rounded in zip(arrays, read.parameters[name]):
                assert rounded.dtype == np.float32
                np.testing.assert_allclose(rounded, array, rtol=2**-11, atol=2**-25)
                assert (rounded != array).any()

    def test_weights_too_large_for_half_precision(self, tmp_path, network):
        w, b = network.parameters["conv1_2"]
        large = replace(network, parameters={**network.parameters, "conv1_2": (w, b + 70000)})
        with pytest.raises(UserError, match="conv1_2 has weights that float16 cannot hold"):
            native.write(large, tmp_path / "half.h5", "float16")
        assert not (tmp_path / "half.h5").exists()

    def test_a_description_that_no_network_has(self, tmp_path):
        network = random_vgg19(1)
        changes = {
            "layer is called 'image'|no layer is called image": lambda file, said: said["layers"][0].update(
                name="image"
            ),
            "a layer is called None": lambda file, said: said["layers"][0].update(name=None),
            r"a layer is called '.+x1b": lambda file, said: said["layers"][0].update(name="\x1b[31mred"),
            "a layer is called 'a/b'": lambda file, said: said["layers"][0].update(name="a/b"),
            "1 to 64 printable": lambda file, said: said["layers"][0].update(name="x" * 65),
            "a layer is called 3": lambda file, said: said["layers"][0].update(source=3),
            "name of the network": lambda file, said: said.update(name=["vgg"]),
            "no list of 1 to": lambda file, said: said.update(layers=[]),
            "list of 1 to 256": lambda file, said: said.update(
                layers=[{"name": f"pool{n}", "kind": "pool"} for n in range(20_000)]
            ),
            "4096 times smaller": lambda file, said: said["layers"].extend(
                {"name": f"more{n}", "kind": "pool"} for n in range(13)
            ),
            "incomplete or wrong": lambda file, said: said["layers"].append("pool"),
            "a kind that is no text": lambda file, said: said["layers"][0].update(kind=["conv"]),
            "preprocessing has '1'": lambda file, said: said["preprocessing"].update(scale="1"),
            "preprocessing has True": lambda file, said: said["preprocessing"].update(mean=[0, 0, True]),
            "std is less": lambda file, said: said["preprocessing"].update(std=[1, 1e-30, 1]),
            "NaN is no number": lambda file, said: said["defaults"].update(style_weight=float("nan")),
            "Infinity is no number": lambda file, said: said["preprocessing"].update(scale=float("inf")),
            "style_layers has 1e.300": lambda file, said: said["defaults"].update(style_layers={"conv1_1": 1e300}),
            "true nor false": lambda file, said: said.update(normalized="yes"),
            "no table": lambda file, said: said.update(provenance=["x"]),
            "more than 16 deep": lambda file, said: said.update(provenance={"x": json.loads("[" * 30 + "]" * 30)}),
            "no layer None|no layer 'None'|has no layer": lambda file, said: said["defaults"].update(
                content_layers={"\x1b[31m": 1}
            ),
            "1 to 4096 channels": lambda file, said: replace_arrays(file, "conv1_1", (1, 1, 3, 780_000)),
            "1 to 4096.*channels": lambda file, said: replace_arrays(file, "conv1_1", (3, 3, 3, 0)),
            "at most 31 pixels": lambda file, said: replace_arrays(file, "conv1_1", (101, 3, 3, 4)),
        }
        for number, (pattern, change) in enumerate(changes.items()):
            path = tmp_path / f"{number}.h5"
            native.write(network, path)
            self.damaged(path, change, pattern)

    def test_one_kernel_for_many_layers(self, tmp_path):
        """By hard links a small file could ask for any amount of memory."""
        path = tmp_path / "links.h5"
        native.write(random_vgg19(2), path)

        def change(file, said):
            for number in range(100):
                said["layers"].append({"name": f"more{number}", "kind": "conv"})
                file[f"more{number}"] = file["conv1_2"]

        self.damaged(path, change, "more numbers than it holds")

    def damaged(self, path, change, pattern):
        with h5py.File(path, "a") as file:
            described = json.loads(file.attrs["network"])
            change(file, described)
            file.attrs["network"] = json.dumps(described)
        refused(path, f"cannot be used.*{pattern}")

    def test_damaged_descriptions(self, tmp_path, network):
        changes = {
            "version 99": lambda file, said: file.attrs.__setitem__("scratchnst_format", 99),
            "'preprocessing'": lambda file, said: said.pop("preprocessing"),
            "kind of a layer": lambda file, said: said["layers"][0].update(kind="dense"),
            "must read 1 layers, not 2": lambda file, said: said["layers"][2].update(
                source=None, sources=["conv1_1", "conv1_2"]
            ),
            "a source and sources": lambda file, said: said["layers"][2].update(source="conv1_2", sources=["conv1_1"]),
            "unexpected keyword": lambda file, said: said["layers"][0].update(colour="red"),
            "pooling": lambda file, said: said.update(pooling="median"),
            "conv1_2": lambda file, said: file.__delitem__("conv1_2"),
            "conv1_1.*shape": lambda file, said: (
                file.__delitem__("conv1_1/kernel"),
                file.__setitem__("conv1_1/kernel", np.zeros((3, 3, 4, 64), "f")),
            ),
            "no array conv1_1/kernel": lambda file, said: (
                file.__delitem__("conv1_1/kernel"),
                file.create_group("conv1_1/kernel"),
            ),
            r"\(2, 2, 3, 64\)": lambda file, said: (
                file.__delitem__("conv1_1/kernel"),
                file.__setitem__("conv1_1/kernel", np.zeros((2, 2, 3, 64), "f")),
            ),
            "RGB, BGR, not 'XYZ'": lambda file, said: said["preprocessing"].update(channels="XYZ"),
            "three finite numbers": lambda file, said: said["preprocessing"].update(mean=[1, 2]),
            "std above zero": lambda file, said: said["preprocessing"].update(std=[1, 0, 1]),
            "content_weight_per_feature has .x. in place of a number": lambda file, said: said["defaults"].update(
                content_weight_per_feature="x"
            ),
            "0 or more": lambda file, said: said["defaults"].update(style_layers={"conv1_1": -1}),
            "no layer 'conv9_9'": lambda file, said: said["defaults"].update(style_layers={"conv9_9": 1}),
            "name of its own": lambda file, said: said["layers"].append(said["layers"][0]),
            "conv2_1.*NaN": lambda file, said: file["conv2_1/bias"].__setitem__(0, np.nan),
        }
        for number, (pattern, change) in enumerate(changes.items()):
            path = tmp_path / f"{number}.h5"
            native.write(network, path)
            self.damaged(path, change, pattern)


class TestChoice:
    def test_named_first(self, keras_file, monkeypatch):
        monkeypatch.setenv("SCRATCHNST_VGG19", str(keras_file))
        source, reason = choose_source("pyramid")
        assert "asked" in reason
        assert load_network(source).name == "pyramid"

    def test_then_the_environment(self, keras_file, monkeypatch):
        monkeypatch.setenv("SCRATCHNST_VGG19", str(keras_file))
        source, reason = choose_source()
        assert source == str(keras_file)
        assert "SCRATCHNST_VGG19" in reason
        assert load_network().name == "vgg19"

    def test_else_the_distilled_network(self, no_vgg19):
        source, reason = choose_source()
        assert source == "distilled"
        assert "scratchnst weights get vgg19" in reason
        assert load_network().name == "distilled"

    def test_before_that_vgg19_in_the_cache(self, no_vgg19, keras_file, monkeypatch):
        with pytest.raises(UserError, match="not in the cache"):
            load_network("vgg19")
        monkeypatch.setattr(load, "cached_vgg19", lambda: keras_file)
        source, reason = choose_source()
        assert (source, reason) == ("vgg19", "from the cache")
        assert load_network().name == load_network("vgg19").name == "vgg19"

    def test_files(self, no_vgg19, keras_file, monkeypatch):
        assert [source_file(name) for name in ("pyramid", "vgg19")] == [None, None]
        assert source_file("distilled") == load.DISTILLED
        assert source_file("some.h5") == Path("some.h5")
        monkeypatch.setattr(load, "cached_vgg19", lambda: keras_file)
        assert source_file("vgg19") == keras_file

    def test_a_missing_file_in_the_environment_is_an_error(self, monkeypatch, tmp_path):
        monkeypatch.setenv("SCRATCHNST_VGG19", str(tmp_path / "gone.h5"))
        with pytest.raises(UserError, match=r"gone\.h5 does not exist"):
            load_network()


def test_remembering_reads_a_file_once(tmp_path, monkeypatch):
    file = tmp_path / "network.h5"
    file.write_bytes(load.DISTILLED.read_bytes())
    read = []
    from_file = load._from_file
    monkeypatch.setattr(load, "_from_file", lambda *arguments: read.append(arguments) or from_file(*arguments))
    with load.remembering():
        assert load_network(file) is load_network(file)
        with load.remembering():
            load_network(str(file))
        assert len(read) == 1
        os.utime(file, ns=(1, 1))
        load_network(file)
        assert len(read) == 2
    assert load_network(file) is not load_network(file)
    assert len(read) == 4
