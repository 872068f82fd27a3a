"""The operations of the textbook, `scratchnst.ops` and `scratchnst.losses`, to which every engine falls back.

They compute on NumPy's arrays and CuPy's alike.
"""

from scratchnst.engine.textbook import conv2d_relu
from scratchnst.losses import content_loss, gram, style_loss, total_variation
from scratchnst.ops import average_pool, conv2d, max_pool, preprocess

OPERATIONS = (
    preprocess,
    conv2d,
    conv2d_relu,
    average_pool,
    max_pool,
    gram,
    content_loss,
    style_loss,
    total_variation,
)
