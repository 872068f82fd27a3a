"""What an objective is given, in the form in which it computes with it, or a UserError that says what is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from scratchnst.arrays import Array
from scratchnst.errors import UserError
from scratchnst.images import masks as masks_of


def as_image(role: str, image: Array, dtype: str = "float64") -> np.ndarray:
    """Return `image` as an array (H, W, 3) of `dtype`; errors call it the `role` image."""
    image = np.asarray(image, dtype)
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise UserError(f"the {role} image must have the shape (height, width, 3), not {image.shape}.")
    if not np.isfinite(image).all():
        raise UserError(f"the {role} image holds values that are NaN or infinite; give RGB values from 0 to 255.")
    return image


def as_mask(role: str, mask: Array) -> np.ndarray:
    """Return a mask as a float32 array (H, W), 0 to 1; errors call it the `role`."""
    mask = np.asarray(mask, np.float32)
    if mask.ndim != 2 or mask.size == 0:
        raise UserError(f"the {role} must have the shape (height, width), not {mask.shape}.")
    if not (np.isfinite(mask).all() and mask.min() >= 0 and mask.max() <= 1):
        raise UserError(f"the {role} must hold numbers from 0 to 1.")
    return mask


def masks_of_styles(masks: Sequence[Array | None] | None, styles: Sequence[np.ndarray]) -> list[np.ndarray | None]:
    """Return a mask for each style (H', W', 3), in its size, or None, for all of it."""
    if masks is None:
        return [None for _ in styles]
    if len(masks) != len(styles):
        raise UserError(f"there are {len(styles)} styles but {len(masks)} style masks: give one for each style.")
    return [
        None if mask is None else masks_of.resize(as_mask("style mask", mask), *style.shape[:2])
        for mask, style in zip(masks, styles)
    ]


def blend(shares: Sequence[float] | None, count: int, masked: bool) -> list[float]:
    """Return one weight a style: where none are given, equal shares of 1, or 1 each if each has a mask."""
    if shares is None:
        return [1.0 if masked else 1 / count for _ in range(count)]
    if len(shares) != count:
        raise UserError(f"there are {count} styles but {len(shares)} blend weights; give one for each style.")
    return [non_negative("blend weight", share) for share in shares]


def one_of(what: str, names: Iterable[str], name: str) -> str:
    """Return `name` if it is one of `names`."""
    if name not in names:
        raise UserError(f"there is no {what} {name!r}; choose one of {', '.join(names)}.")
    return name


def finite(what: str, number: float) -> float:
    """Return `number` as a float."""
    number = float(number)
    if not np.isfinite(number):
        raise UserError(f"the {what} must be a finite number, not {number:g}.")
    return number


def non_negative(what: str, number: float) -> float:
    """Return `number` as a float of 0 or more."""
    number = float(number)
    if not (np.isfinite(number) and number >= 0):
        raise UserError(f"the {what} must be a number of 0 or more, not {number:g}.")
    return number
