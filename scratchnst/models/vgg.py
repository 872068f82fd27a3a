"""VGG19 and VGG16 (K. Simonyan, A. Zisserman, ICLR 2015): 3x3 convolutions in five blocks, each ended by a pool.

    block           1        2         3          4          5
    VGG19's layers  conv1_1  conv2_1   conv3_1    conv4_1    conv5_1
                    conv1_2  conv2_2   ... 3_4    ... 4_4    ... 5_4
                    pool1    pool2     pool3      pool4      pool5
    channels        64       128       256        512        512

VGG16 ends its last three blocks with conv3_3, conv4_3 and conv5_3.  VGG13 and VGG11, which have two convolutions in
each of these, are known by name only.
"""

from __future__ import annotations

from collections.abc import Sequence

from scratchnst.models.layers import Layer, Shape
from scratchnst.models.network import Defaults, Preprocessing

CONVOLUTIONS_PER_BLOCK = {
    "vgg19": (2, 2, 4, 4, 4), "vgg16": (2, 2, 3, 3, 3), "vgg13": (2, 2, 2, 2, 2), "vgg11": (1, 1, 2, 2, 2),
}  # fmt: skip
CHANNELS_PER_BLOCK = (64, 128, 256, 512, 512)

# The same network was trained twice, on different input.
PREPROCESSINGS = {
    "oxford": Preprocessing("BGR", 1.0, (103.939, 116.779, 123.68), (1.0, 1.0, 1.0)),
    "torchvision": Preprocessing("RGB", 1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
OXFORD_PREPROCESSING = PREPROCESSINGS["oxford"]
OXFORD_RGB = Preprocessing("RGB", 1.0, OXFORD_PREPROCESSING.mean[::-1], (1.0, 1.0, 1.0))  # MatConvNet's form of it


def table(name: str = "vgg19") -> tuple[Layer, ...]:
    """Return the rows conv1_1, conv1_2, pool1, ... pool5 of one of CONVOLUTIONS_PER_BLOCK."""
    rows = []
    for block, count in enumerate(CONVOLUTIONS_PER_BLOCK[name], start=1):
        rows += [Layer(f"conv{block}_{number}", "conv") for number in range(1, count + 1)]
        rows.append(Layer(f"pool{block}", "pool"))
    return tuple(rows)


def kernel_shapes(name: str = "vgg19") -> dict[str, tuple[int, int, int, int]]:
    """Return the shape (3, 3, C_in, C_out) of each convolution's kernel."""
    shapes, channels = {}, 3
    for layer in table(name):
        if layer.rule.parameter_names:
            width = CHANNELS_PER_BLOCK[int(layer.name[4]) - 1]
            shapes[layer.name] = (3, 3, channels, width)
            channels = width
    return shapes


def names_by_shape(kernels: Sequence[Shape]) -> list[str]:
    """Return the names of convolutions with kernels of these shapes; none if they are not those of a VGG.

    The network may end early, and behind its last convolution other kernels may follow, which get no name.
    """
    for name in CONVOLUTIONS_PER_BLOCK:
        shapes = kernel_shapes(name)
        common = min(len(shapes), len(kernels))
        if common and list(shapes.values())[:common] == list(map(tuple, kernels))[:common]:
            return list(shapes)[:common]
    return []


def truncated_table(convolutions: int, name: str = "vgg19") -> tuple[Layer, ...]:
    """Return the table down to its `convolutions`-th convolution, with the pool behind it if one follows."""
    rows = table(name)
    ends = [index for index, layer in enumerate(rows) if layer.rule.parameter_names]
    end = ends[convolutions - 1] + 1
    if end < len(rows) and not rows[end].rule.parameter_names:
        end += 1
    return rows[:end]


def defaults(layers: tuple[Layer, ...]) -> Defaults:
    """Return the paper's layers, or, where a truncated network lacks some, the nearest to them that it has.

    The paper: content conv4_2; style conv1_1, conv2_1, conv3_1, conv4_1 and conv5_1, a fifth each.  A network that
    ends in block b takes the first convolution of each block and its own last one for style, and the one before
    its last for content: conv3_3, and conv1_1, conv2_1, conv3_1 and conv3_4, where conv3_4 is the end.
    """
    names = [layer.name for layer in layers if layer.rule.parameter_names]
    style = [name for name in names if name.endswith("_1")]
    content = "conv4_2" if "conv4_2" in names else names[-2:][0]
    if "conv5_1" not in names and names[-1] not in style:
        style.append(names[-1])
    return Defaults(
        {content: 1.0},
        {name: 1 / len(style) for name in style},
        content_weight_per_feature=0.08,
        tv_weight_per_pixel=1e-6,
    )
