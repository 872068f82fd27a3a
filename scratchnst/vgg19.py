"""VGG19 (K. Simonyan, A. Zisserman, ICLR 2015): sixteen 3x3 convolutions in five blocks, each block ended by a pool.

block     1        2         3          4          5
layers    conv1_1  conv2_1   conv3_1    conv4_1    conv5_1
          conv1_2  conv2_2   ... 3_4    ... 4_4    ... 5_4
          pool1    pool2     pool3      pool4      pool5
channels  64       128       256        512        512
"""

from __future__ import annotations

from scratchnst.network import Defaults, Layer, Preprocessing

CONVOLUTIONS_PER_BLOCK = (2, 2, 4, 4, 4)
CHANNELS_PER_BLOCK = (64, 128, 256, 512, 512)

# Oxford's original weights; Keras carries these (torchvision's were trained anew, on other input).
OXFORD_PREPROCESSING = Preprocessing("BGR", 1.0, (103.939, 116.779, 123.68), (1.0, 1.0, 1.0))


def table() -> tuple[Layer, ...]:
    """Return the rows conv1_1, conv1_2, pool1, ... conv5_4, pool5."""
    rows = []
    for block, count in enumerate(CONVOLUTIONS_PER_BLOCK, start=1):
        rows += [Layer(f"conv{block}_{number}", "conv") for number in range(1, count + 1)]
        rows.append(Layer(f"pool{block}", "pool"))
    return tuple(rows)


def kernel_shapes() -> dict[str, tuple[int, int, int, int]]:
    """Return the shape (3, 3, C_in, C_out) of each convolution's kernel."""
    shapes, channels = {}, 3
    for layer in table():
        if layer.kind == "conv":
            width = CHANNELS_PER_BLOCK[int(layer.name[4]) - 1]
            shapes[layer.name] = (3, 3, channels, width)
            channels = width
    return shapes


def truncated_table(convolutions: int) -> tuple[Layer, ...]:
    """Return the table down to its `convolutions`-th convolution, with the pool behind it if one follows."""
    rows = table()
    ends = [index for index, layer in enumerate(rows) if layer.kind == "conv"]
    end = ends[convolutions - 1] + 1
    if end < len(rows) and rows[end].kind == "pool":
        end += 1
    return rows[:end]


def defaults(layers: tuple[Layer, ...]) -> Defaults:
    """Return the paper's layers, or, where a truncated network lacks some, the nearest to them that it has.

    The paper: content conv4_2; style conv1_1, conv2_1, conv3_1, conv4_1 and conv5_1, a fifth each.  A network that
    ends in block b takes the first convolution of each block and its own last one for style, and the one before
    its last for content: conv3_3, and conv1_1, conv2_1, conv3_1 and conv3_4, where conv3_4 is the end.
    """
    names = [layer.name for layer in layers if layer.kind == "conv"]
    style = [name for name in names if name.endswith("_1")]
    content = "conv4_2" if "conv4_2" in names else names[-2:][0]
    if "conv5_1" not in names and names[-1] not in style:
        style.append(names[-1])
    return Defaults(
        {content: 1.0},
        {name: 1 / len(style) for name in style},
        content_weight_per_pixel=2.5e-3,
        tv_weight_per_pixel=1e-6,
    )
