"""What a file of a picture holds beside its colours in sRGB: how many bits, the colour profile and the transparency."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from scratchnst.images import colour, deep, tiff
from scratchnst.images.origin import mark

DEPTHS = (8, 16)  # bits
PROFILE, ALPHA = KEEPABLE = ("profile", "alpha")
DEEP_SUFFIXES = (".png", ".tif", ".tiff")
OPAQUE_SUFFIXES = (".jpg", ".jpeg")
BAND = 1 << 18  # pixels converted at a time
_UNDEFINED = 7  # a type of TIFF's


@dataclass(frozen=True)
class Finish:
    """What is written beside the colours.

    Attributes
    ----------
    depth : bits a channel, 8 or 16
    profile : an ICC profile of RGB, into whose colours the picture is converted
    alpha : (H, W), 0, transparent, to 255
    """

    depth: int = 8
    profile: bytes | None = None
    alpha: np.ndarray | None = None

    def values(self, image: np.ndarray) -> np.ndarray:
        """Return an image (H, W, 3), RGB in sRGB, 0-255, as the whole numbers (H, W, 3 or 4) to be written."""
        height, width, _ = image.shape
        dtype = np.uint8 if self.depth == 8 else np.uint16
        found = np.empty((height, width, 3 if self.alpha is None else 4), dtype)
        convert = None if self.profile is None else colour.from_srgb(self.profile, self.depth)
        rows = max(1, BAND // width)
        for top in range(0, height, rows):  # which takes less memory
            band = np.clip(image[top : top + rows], 0, 255).astype(np.float64)
            if convert is not None:
                band = convert(band)
            if self.alpha is not None:
                band = np.dstack([band, self.alpha[top : top + rows]])
            found[top : top + rows] = np.rint(band if self.depth == 8 else band * (deep.WHITE / 255))
        return found


def check(path: str, suffix: str, depth: int, keep: Iterable[str]) -> str | None:
    """Return, in a sentence, what a format cannot hold; None if it holds all."""
    if depth == 16 and suffix not in DEEP_SUFFIXES:
        return f"{path} cannot have 16 bits a channel: use one of the suffixes {', '.join(DEEP_SUFFIXES)}."
    if ALPHA in keep and suffix in OPAQUE_SUFFIXES:
        return f"{path} cannot be transparent, JPEG has no alpha channel: use the suffix .png, .tif or .webp."
    return None


def encoded(values: np.ndarray, kind: str, profile: bytes | None, options: dict[str, Any]) -> bytes:
    """Return whole numbers (H, W, 3 or 4), uint8 or uint16, in one of Pillow's formats."""
    if values.dtype == np.uint16:
        return {"PNG": _png, "TIFF": _tiff}[kind](values, profile)
    file = BytesIO()
    Image.fromarray(values).save(file, format=kind, exif=mark(), icc_profile=profile, **options)
    return file.getvalue()


def _png(values: np.ndarray, profile: bytes | None) -> bytes:
    """Return a PNG of 16 bits a channel, each row as differences from the pixel to the left."""
    height, width, channels = values.shape
    rows = values.astype(">u2").view(np.uint8).reshape(height, -1)
    rows[:, 2 * channels :] -= rows[:, : -2 * channels].copy()
    filtered = np.pad(rows, ((0, 0), (1, 0)), constant_values=1)
    chunks = {b"IHDR": struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[channels], 0, 0, 0)}
    if profile is not None:
        chunks[b"iCCP"] = b"ICC profile\0\0" + zlib.compress(profile)
    chunks[b"eXIf"] = mark().tobytes().removeprefix(b"Exif\0\0")
    chunks |= {b"IDAT": zlib.compress(filtered.tobytes()), b"IEND": b""}
    return deep.PNG + b"".join(deep.chunk(name, content) for name, content in chunks.items())


def _tiff(values: np.ndarray, profile: bytes | None) -> bytes:
    """Return a TIFF of 16 bits a channel, each row as differences from the pixel to the left, deflated."""
    height, width, channels = values.shape
    differences = values.astype("<u2")
    differences[:, 1:] -= values[:, :-1]
    data = zlib.compress(differences.tobytes())
    tags = ImageFileDirectory_v2(prefix=b"II")
    shown: dict[int, Any] = {tiff.WIDTH: width, tiff.HEIGHT: height, tiff.BITS: (16,) * channels}
    shown |= {tiff.COMPRESSION: tiff.DEFLATE, tiff.PHOTOMETRIC: tiff.RGB, tiff.PREDICTOR: 2, tiff.SAMPLES: channels}
    shown |= {tiff.STRIPS: 0, tiff.ROWS_PER_STRIP: height, tiff.STRIP_BYTES: len(data), **mark()}
    if channels == 4:
        shown[tiff.EXTRA_SAMPLES] = tiff.STRAIGHT
    if profile is not None:
        tags.tagtype[tiff.PROFILE] = _UNDEFINED
        shown[tiff.PROFILE] = profile
    for tag, value in shown.items():
        tags[tag] = value
    file = BytesIO()
    tags.save(file)
    file.write(data)
    return file.getvalue()
