"""Known mistakes: for each operation of the textbook, the wrong gradients that people write.

Each module computes the right gradient of its operation in a form in which a mistake is a change of one argument.  It
shares no code with `scratchnst.ops`, so that a mistake there is not repeated here.
"""

from __future__ import annotations

from scratchnst.verify.diagnosis.mistakes import (
    average_pool,
    content_loss,
    conv2d,
    gram,
    max_pool,
    preprocess,
    relu,
    style_loss,
    total_variation,
)
from scratchnst.verify.diagnosis.mistakes.case import GradientCase, InputMistakes, KnownMistake, Region

__all__ = ["OPERATIONS", "GradientCase", "InputMistakes", "KnownMistake", "Region"]

# Name of an operation -> what is known about each of its inputs.
OPERATIONS: dict[str, tuple[InputMistakes, ...]] = {
    "conv2d": conv2d.INPUTS,
    "relu": relu.INPUTS,
    "average_pool": average_pool.INPUTS,
    "max_pool": max_pool.INPUTS,
    "preprocess": preprocess.INPUTS,
    "gram": gram.INPUTS,
    "content_loss": content_loss.INPUTS,
    "style_loss": style_loss.INPUTS,
    "total_variation": total_variation.INPUTS,
}
