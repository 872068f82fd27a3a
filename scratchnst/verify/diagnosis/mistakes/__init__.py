"""Known mistakes: for each operation of the textbook, the wrong gradients that people write.

Each module computes the right gradient of its operation in a form in which a mistake is a change of one argument.  It
shares no code with `scratchnst.ops`, so that a mistake there is not repeated here.
"""

from __future__ import annotations

from scratchnst.verify.diagnosis.mistakes import (
    absolute_variation,
    adain,
    addition,
    average_pool,
    content_loss,
    conv2d,
    cross_gram,
    cross_style_loss,
    gram,
    guide,
    instance_norm,
    matrix_square_root,
    max_pool,
    moment_matrix,
    moments,
    preprocess,
    reflection_pad,
    relu,
    replicate_pad,
    strided_conv2d,
    style_loss,
    total_variation,
    transport,
    upsample,
    whitening,
)
from scratchnst.verify.diagnosis.mistakes.case import GradientCase, InputMistakes, KnownMistake, Region

__all__ = ["OPERATIONS", "GradientCase", "InputMistakes", "KnownMistake", "Region"]

_MODULES = (
    *(adain, addition, average_pool, content_loss, conv2d, gram, guide, instance_norm, matrix_square_root, max_pool),
    *(moments, preprocess, reflection_pad, relu, strided_conv2d, style_loss, total_variation, upsample, whitening),
    *(absolute_variation, cross_gram, cross_style_loss, moment_matrix, replicate_pad),
)
# Name of an operation -> the known mistakes of each of its inputs.
OPERATIONS: dict[str, tuple[InputMistakes, ...]] = {
    module.__name__.rpartition(".")[2]: module.INPUTS for module in _MODULES
} | dict.fromkeys(("moments_style_loss", "wasserstein_style_loss", "sliced_style_loss"), transport.INPUTS)
