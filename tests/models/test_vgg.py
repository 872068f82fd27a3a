"""The table of VGG19 and its defaults."""

import pytest
from networks import random_vgg19

from scratchnst.models import vgg


def test_table():
    names = [layer.name for layer in vgg.table()]
    assert len(names) == 21
    assert names[:6] == ["conv1_1", "conv1_2", "pool1", "conv2_1", "conv2_2", "pool2"]
    assert names[-6:] == ["pool4", "conv5_1", "conv5_2", "conv5_3", "conv5_4", "pool5"]


def test_kernel_shapes():
    shapes = vgg.kernel_shapes()
    assert len(shapes) == 16
    assert shapes["conv1_1"] == (3, 3, 3, 64)
    assert shapes["conv2_1"] == (3, 3, 64, 128)
    assert shapes["conv4_1"] == (3, 3, 256, 512)
    assert shapes["conv5_1"] == shapes["conv5_4"] == (3, 3, 512, 512)


def test_truncated_tables_end_after_the_last_convolution_and_its_pool():
    assert [layer.name for layer in vgg.truncated_table(8)][-2:] == ["conv3_4", "pool3"]
    assert [layer.name for layer in vgg.truncated_table(3)][-1] == "conv2_1"
    assert vgg.truncated_table(16) == vgg.table()


def test_defaults_of_the_whole_network_are_the_papers():
    defaults = vgg.defaults(vgg.table())
    assert defaults.content_layers == {"conv4_2": 1.0}
    assert defaults.style_layers == dict.fromkeys(["conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"], 0.2)


def test_defaults_of_three_blocks():
    defaults = random_vgg19(8, width=2).defaults
    assert defaults.content_layers == {"conv3_3": 1.0}
    assert defaults.style_layers == dict.fromkeys(["conv1_1", "conv2_1", "conv3_1", "conv3_4"], 0.25)


def test_defaults_always_name_layers_that_exist():
    for convolutions in range(1, 17):
        network = random_vgg19(convolutions, width=1)
        network.check_layers({**network.defaults.content_layers, **network.defaults.style_layers})
        assert sum(network.defaults.style_layers.values()) == pytest.approx(1)
