"""Masks: pictures that say where something counts, white there, black elsewhere, grey between; or colours of a picture.

A mask is named by its file, or by a file and a colour, ``labels.png#ff8000``: then it is white where the picture has
that colour.  So one picture of labels, painted in flat colours, holds the masks of many regions.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from scratchnst.errors import UserError
from scratchnst.images import load

LIKE = 32  # by how much a label's red, green and blue may differ, as JPEG and soft edges change them
_LABEL = re.compile(r"(?s)(.+)#([0-9a-fA-F]{6})")


def file_of(mask: str) -> Path:
    """Return the file of a mask, FILE or FILE#RRGGBB."""
    return Path(_parts(mask)[0])


def read(mask: str) -> np.ndarray:
    """Return a mask, FILE or FILE#RRGGBB, as a float32 array (H, W), 0 to 1.

    Raises
    ------
    UserError
        If the picture cannot be read, or has nothing of the colour.
    """
    path, colour = _parts(mask)
    picture = load(path)
    if colour is None:
        return picture.mean(axis=2) / 255
    label = np.array([int(colour[start : start + 2], 16) for start in (0, 2, 4)], np.float32)
    region = np.asarray(np.all(np.abs(picture - label) <= LIKE, axis=2))
    if not region.any():
        raise UserError(f"{path} has nothing of the colour #{colour}: its colours are {_colours(picture)}.")
    return region.astype(np.float32)


def resize(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return a mask (H, W) in another size, (height, width): means over what each pixel covers, 0 to 1."""
    if mask.shape == (height, width):
        return mask
    scaled = Image.fromarray(np.asarray(mask, np.float32)).resize((width, height), Image.Resampling.BOX)
    return np.asarray(scaled).clip(0, 1)


def grow(mask: np.ndarray, pixels: int) -> np.ndarray:
    """Return a mask (H, W) whose region reaches so many pixels further on every side; negative, it is shrunk."""
    if pixels == 0:
        return mask
    radius = abs(pixels)
    rows, columns = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    disc = rows**2 + columns**2 <= radius**2
    change = ndimage.grey_dilation if pixels > 0 else ndimage.grey_erosion
    return change(mask, footprint=disc, mode="nearest")


def divide(masks: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return masks (H, W) that share each pixel: where their sum is more than 1, they are divided by it."""
    most = np.maximum(np.sum(masks, axis=0), 1)
    return [mask / most for mask in masks]


def _parts(mask: str) -> tuple[str, str | None]:
    """The file of a mask, and the colour, if that is no part of the file's name."""
    found = _LABEL.fullmatch(mask)
    return (found[1], found[2]) if found and not os.path.exists(mask) else (mask, None)


def _colours(picture: np.ndarray) -> str:
    """The most frequent colours of a picture, in words."""
    coarse = picture.astype(np.uint8).reshape(-1, 3)
    colours, counts = np.unique(coarse, axis=0, return_counts=True)
    return ", ".join("#{:02x}{:02x}{:02x}".format(*colours[place]) for place in np.argsort(-counts)[:6])
