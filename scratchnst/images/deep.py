"""Colours and transparency of 16 bits a channel, of which Pillow reads the upper 8."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from scratchnst.images import tiff
from scratchnst.images.colour import deep_to_srgb

WHITE = 65535
PNG = b"\x89PNG\r\n\x1a\n"
_ORIENTATION = 274
_CHANNELS = {2: 3, 4: 2, 6: 4}  # of each type of PNG with colours or transparency
# Of an interlaced PNG's passes: the first column and row, and the steps to the next.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


@dataclass(frozen=True)
class DeepImage:
    """A picture as it is stored, with as much of Pillow's Image as reading takes.

    Attributes
    ----------
    colours : (H, W, 1 or 3), grey or RGB, 0 to 65535
    alpha : (H, W), 0 to 65535; None if all is opaque
    info : as Pillow's: profile, gamma
    orientation : as in EXIF
    """

    colours: np.ndarray
    alpha: np.ndarray | None
    info: Mapping[Any, Any]
    orientation: int = 1
    format = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.width, self.height

    @property
    def width(self) -> int:
        """The number of columns."""
        return self.colours.shape[1]

    @property
    def height(self) -> int:
        """The number of rows."""
        return self.colours.shape[0]

    def getexif(self) -> dict[int, int]:
        """Return the orientation."""
        return {_ORIENTATION: self.orientation}

    def crop(self, box: tuple[int, int, int, int]) -> DeepImage:
        """Return the rows of a box."""
        _, top, _, bottom = box
        alpha = None if self.alpha is None else self.alpha[top:bottom]
        return DeepImage(self.colours[top:bottom], alpha, self.info, self.orientation)


def conversion(info: Mapping[Any, Any], channels: int) -> Callable[[DeepImage], np.ndarray] | None:
    """Return what makes float32 (H, W, 3) in sRGB and over white, 0 to 255; None where that takes 8 bits."""
    convert = deep_to_srgb(info, channels)
    if convert is None:
        return None

    def over_white(band: DeepImage) -> np.ndarray:
        colours = np.repeat(band.colours, 3, axis=2) if channels == 1 else band.colours
        pixels = convert(colours * np.float32(255 / WHITE))
        if band.alpha is not None:
            pixels = 255 + (pixels - 255) * (band.alpha[..., None] / WHITE)
        return pixels.astype(np.float32)

    return over_white


# ---------------------------------------------------------------------------------------------- TIFF


def is_deep_tiff(page: tiff.Page) -> bool:
    """Return whether a page is one of those that are read here."""
    return (
        tiff.is_readable(page)
        and tiff.unread_compression(page) is None
        and set(page.all(tiff.BITS)) == {16}
        and page.colour in ("RGB", "grey")
        and not (page.colour == "grey" and page.alpha is None)
    )


def read_tiff(file: BinaryIO, page: tiff.Page) -> DeepImage:
    """Return the picture of a page."""
    values, count = tiff.samples(file, page), 3 if page.colour == "RGB" else 1
    colours, alpha = values[..., :count], None if page.alpha is None else values[..., count + page.alpha]
    if page.one(tiff.PHOTOMETRIC) == tiff.WHITE_IS_ZERO:
        colours = WHITE - colours
    if alpha is not None and not alpha.any():  # it is there without a meaning
        alpha = None
    if alpha is not None and page.is_premultiplied:
        opaque = np.maximum(alpha, 1)[..., None].astype(np.float32)
        colours = np.minimum(colours * (WHITE / opaque), WHITE).astype(np.float32)
    return DeepImage(colours, alpha, tiff_info(page), page.orientation)


def tiff_info(page: tiff.Page) -> dict[str, Any]:
    """Return what Pillow's `info` would be of a page's colours."""
    return {"icc_profile": page.tags.get(tiff.PROFILE)}


# ---------------------------------------------------------------------------------------------- PNG


def is_deep_png(image: Image.Image) -> bool:
    """Return whether an image that Pillow has opened is a PNG of those that are read here."""
    layouts = [str(tile[3]) for tile in getattr(image, "tile", [])]
    return image.format == "PNG" and layouts in (["RGB;16B"], ["RGBA;16B"], ["LA;16B"])


def read_png(image: Image.Image, file: BinaryIO) -> DeepImage:
    """Return the picture of a PNG in `file` that Pillow has opened as `image`, but not decoded.

    The filters of PNG treat each byte of a pixel by itself, so that the upper bytes of all values are a PNG of 8 bits,
    and the lower ones another: these are what Pillow decodes.
    """
    values = _png_values(file)
    orientation = image.getexif().get(_ORIENTATION, 1)
    colours, alpha = values, None
    if image.mode in ("RGBA", "LA"):
        colours, alpha = values[..., :-1], values[..., -1]
    elif (key := image.info.get("transparency")) is not None:
        alpha = np.where((values == np.array(key)).all(axis=2), np.uint16(0), np.uint16(WHITE))
    return DeepImage(colours, alpha, image.info, orientation)


def _png_values(file: BinaryIO) -> np.ndarray:
    """Return the values (H, W, C) of a PNG of 16 bits a channel."""
    chunks = _chunks(file)
    width, height, _, kind, _, _, interlaced = struct.unpack(">IIBBBBB", next(chunks)[1])
    Image._decompression_bomb_check((width, height))
    channels = _CHANNELS[kind]
    passes = _pass_sizes(width, height) if interlaced else [(height, width)]
    size = sum(rows * (1 + 2 * channels * columns) for rows, columns in passes)
    data = _inflated(chunks, size)
    header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, interlaced)
    values = _decoded(header, _half(data, passes, 2 * channels, 0)).astype(np.uint16)
    values <<= 8
    values |= _decoded(header, _half(data, passes, 2 * channels, 1))
    return values


def memory_png(image: Image.Image) -> int:
    """Return the bytes that `read_png` takes at most."""
    of_alpha = 6 if "transparency" in image.info else 0
    return image.width * image.height * (8 * len(image.getbands()) + 4 + of_alpha)


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Yield the name and the content of each chunk up to the end of the pixels."""
    file.seek(len(PNG))
    while len(head := file.read(8)) == 8:
        length, name = struct.unpack(">I4s", head)
        content = file.read(length)
        check = file.read(4)
        if name == b"IEND":
            return
        if name in (b"IHDR", b"IDAT"):
            if check != struct.pack(">I", zlib.crc32(name + content)):
                raise OSError("image file is truncated, or damaged in its pixels")
            yield name, content


def _inflated(chunks: Iterator[tuple[bytes, bytes]], size: int) -> np.ndarray:
    """Return `size` bytes of those that are packed in chunks."""
    unpacker, unpacked, there = zlib.decompressobj(), np.empty(size, np.uint8), 0
    for _, content in chunks:
        piece = unpacker.decompress(content, size - there) if there < size else b""
        unpacked[there : there + len(piece)] = np.frombuffer(piece, np.uint8)
        there += len(piece)
    if there < size:
        raise OSError("image file is truncated")
    return unpacked


def _pass_sizes(width: int, height: int) -> list[tuple[int, int]]:
    """Return the rows and columns of each pass that has some."""
    sizes = [
        (math.ceil((height - top) / down), math.ceil((width - left) / across)) for left, top, across, down in _PASSES
    ]
    return [(rows, columns) for rows, columns in sizes if rows > 0 and columns > 0]


def _half(data: np.ndarray, passes: list[tuple[int, int]], bytes_a_pixel: int, number: int) -> bytes:
    """Return the upper (0) or lower (1) bytes of all values, with the filter in front of each row."""
    pieces, start = [], 0
    for rows, columns in passes:
        end = start + rows * (1 + bytes_a_pixel * columns)
        lines = data[start:end].reshape(rows, -1)
        pieces.append(np.concatenate([lines[:, :1], lines[:, 1 + number :: 2]], axis=1).tobytes())
        start = end
    return b"".join(pieces)


def _decoded(header: bytes, pixels: bytes) -> np.ndarray:
    """Return the values of a PNG of 8 bits."""
    contents = {b"IHDR": header, b"IDAT": zlib.compress(pixels, 0), b"IEND": b""}
    file = BytesIO(PNG + b"".join(chunk(name, content) for name, content in contents.items()))
    with Image.open(file, formats=["PNG"]) as image:
        return np.asarray(image)


def chunk(name: bytes, content: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
