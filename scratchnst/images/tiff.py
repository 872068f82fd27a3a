"""TIFF files: which page is the picture, and layouts of samples that Pillow reads wrongly or not at all."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from itertools import product
from typing import Any, BinaryIO

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import COMPRESSION_INFO, ImageFileDirectory_v2

from scratchnst.images.kinds import RAW, NoPicture

MARKS = (b"II*\0", b"MM\0*", b"II+\0")
MOST_PAGES = 1000
# Tags.
_NEW_SUBFILE, _SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, _FILL_ORDER = *range(254, 260), 262, 266
STRIPS, _ORIENTATION, SAMPLES, ROWS_PER_STRIP, STRIP_BYTES, _PLANAR, PREDICTOR = 273, 274, 277, 278, 279, 284, 317
_COLOUR_TABLE, _TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES, _SUB_IFDS = 320, 322, 323, 324, 325, 330
EXTRA_SAMPLES, _SAMPLE_FORMAT, PROFILE, _DNG_VERSION = 338, 339, 34675, 50706
# Their values.
_REDUCED, _MASK, _OLD_REDUCED, _UNSIGNED, _SIGNED, _PREMULTIPLIED, STRAIGHT = 1, 4, 2, 1, 2, 1, 2
WHITE_IS_ZERO, RGB, _IN_PLANES = 0, 2, 2
_UNCOMPRESSED, DEFLATE, _BYTEWISE = 1, 8, (1, 5, 8, 32773, 32946, 34925, 50000)  # compressions that know of no pixels
_COLOURS = {0: "grey", 1: "grey", 2: "RGB", 3: "palette", 5: "CMYK", 6: "YCbCr", 8: "Lab", 32803: "raw", 34892: "raw"}
_COMPRESSIONS = {
    **dict.fromkeys((33003, 33005, 34712), "JPEG 2000"), **dict.fromkeys((50002, 52546), "JPEG XL"),
    34887: "LERC", 34927: "WebP", 34933: "PNG", 50001: "WebP",
}  # fmt: skip
_NUMBERS = {1: "whole numbers", 2: "whole numbers with a sign", 3: "floating-point numbers"}
_MODES = {"grey": "L", "RGB": "RGB", "CMYK": "CMYK"}


@dataclass(frozen=True)
class Page:
    """A page of a file: its number, and its tags."""

    number: int
    tags: ImageFileDirectory_v2

    def all(self, tag: int) -> tuple[Any, ...]:
        """Return the values of a tag."""
        values = self.tags.get(tag, ())
        return values if isinstance(values, tuple) else (values,)

    def one(self, tag: int, default: int = 0) -> Any:
        """Return the first value of a tag."""
        return next(iter(self.all(tag)), default)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width as stored."""
        return self.one(HEIGHT), self.one(WIDTH)

    @property
    def is_whole(self) -> bool:
        """Whether it is a picture of full resolution."""
        return not self.one(_NEW_SUBFILE) & (_REDUCED | _MASK) and self.one(_SUBFILE) != _OLD_REDUCED

    @property
    def is_raw(self) -> bool:
        """Whether it is of a camera's raw file."""
        return self.colour == "raw" or _DNG_VERSION in self.tags

    @property
    def colour(self) -> str:
        """The colour space."""
        return _COLOURS.get(self.one(PHOTOMETRIC, -1), "colours of an unknown kind")

    @property
    def colours(self) -> int:
        """How many of them a pixel has."""
        return len(_MODES.get(self.colour, "?"))

    @property
    def channels(self) -> int:
        """How many values a pixel has."""
        return self.one(SAMPLES, 1)

    @property
    def extra(self) -> tuple[int, ...]:
        """What the channels beside the colours mean; one that is not declared is transparency, as for Pillow."""
        count = self.channels - self.colours
        return (self.all(EXTRA_SAMPLES) or (STRAIGHT,) * (count == 1))[:count] if count > 0 else ()

    @property
    def alpha(self) -> int | None:
        """Which of the `extra` channels is transparency."""
        return next((k for k, meaning in enumerate(self.extra) if meaning in (_PREMULTIPLIED, STRAIGHT)), None)

    @property
    def is_premultiplied(self) -> bool:
        """Whether colours are multiplied by how opaque they are."""
        return self.alpha is not None and self.extra[self.alpha] == _PREMULTIPLIED

    @property
    def is_signed(self) -> bool:
        """Whether its values have a sign, and so no agreed black and white, in 8 or 16 bits."""
        return _SIGNED in self.all(_SAMPLE_FORMAT) and max(self.all(BITS), default=1) <= 16

    @property
    def in_planes(self) -> bool:
        """Whether each channel lies by itself."""
        return self.one(_PLANAR, 1) == _IN_PLANES

    @property
    def orientation(self) -> int:
        """As in EXIF."""
        return self.one(_ORIENTATION, 1)

    def in_words(self) -> str:
        """Return of which values it is made."""
        numbers = _NUMBERS.get(self.one(_SAMPLE_FORMAT, 1), "values of an unknown kind")
        channels = f"{self.channels} channel{'' if self.channels == 1 else 's'}"
        return f"{self.colour}, {channels} of {max(self.all(BITS), default=1)}-bit {numbers}"

    def colour_table(self) -> bytes | None:
        """Return a table that holds 8 bits, where the format wants 16, as a palette; else None."""
        table = self.all(_COLOUR_TABLE)
        if not table or max(table) > 255:
            return None
        return np.array(table, np.uint8).reshape(3, -1).T.tobytes()


def picture_page(file: BinaryIO) -> Page:
    """Return the page that is the picture: the first of full resolution.

    Raises
    ------
    NoPicture
        If that is raw data of a camera, or lies where it is not read.
    """
    file.seek(8)
    is_raw = file.read(2) == b"CR"
    pages = list(_pages(file))
    below = [page for one in pages for page in _pages_below(file, one)]
    if is_raw or any(page.is_raw for page in (*pages, *below)):
        raise NoPicture("is a camera raw file", RAW)
    if not pages:
        raise NoPicture("is a TIFF without a picture", "choose another file")
    alone = len(pages) == 1 and not below  # so that nothing better is lost
    whole = [page for page in pages if page.is_whole or alone]
    largest = max((math.prod(page.shape) for page in below if page.is_whole), default=0)
    if not whole or largest > math.prod(whole[0].shape):
        height, width = pages[0].shape
        what = f"holds a preview of {width}x{height} pixels, and the picture itself where it cannot be read"
        raise NoPicture(what, "save the picture as PNG or JPEG first")
    return whole[0]


def _pages(file: BinaryIO) -> Iterator[Page]:
    """Yield the pages of a file that begins with one of `MARKS`."""
    file.seek(0)
    offset = ImageFileDirectory_v2(_header(file)).next
    seen: set[int] = set()
    while offset and offset not in seen and len(seen) < MOST_PAGES:
        seen.add(offset)
        page = Page(len(seen) - 1, _tags_at(file, offset))
        yield page
        offset = page.tags.next


def _pages_below(file: BinaryIO, page: Page) -> Iterator[Page]:
    """Yield the pages in the SubIFDs of a page."""
    for offset in page.all(_SUB_IFDS)[:MOST_PAGES]:
        yield Page(page.number, _tags_at(file, offset))


def _header(file: BinaryIO) -> bytes:
    file.seek(0)
    header = file.read(16)
    return header if header[2] == 43 else header[:8]  # 43 is BigTIFF


def _tags_at(file: BinaryIO, offset: int) -> ImageFileDirectory_v2:
    tags = ImageFileDirectory_v2(_header(file))
    file.seek(offset)
    tags.load(file)
    return tags


def unread_compression(page: Page) -> str | None:
    """Return what a page is compressed by if Pillow, or its libtiff, cannot undo it; else None."""
    compression = page.one(COMPRESSION, _UNCOMPRESSED)
    if compression in COMPRESSION_INFO and _libtiff("TIFFIsCODECConfigured", "c_int", 1)(compression):
        return None
    return _COMPRESSIONS.get(compression, f"method {compression}")


@contextmanager
def silenced() -> Iterator[None]:
    """Let libtiff print nothing within the block: of damaged files it tells on standard error, line after line."""
    set_handler = _libtiff("TIFFSetErrorHandler", "c_void_p", None)
    before = set_handler(None)
    try:
        yield
    finally:
        set_handler(before)


def _libtiff(name: str, result: str, otherwise: int | None) -> Callable[[int | None], int | None]:
    """Return a function of the libtiff that Pillow uses; where it is out of reach, one that returns `otherwise`."""
    with suppress(ImportError, OSError, AttributeError):
        import ctypes  # not every Python has it

        function = ctypes.CDLL(Image.core.__file__)[name]
        function.argtypes, function.restype = [ctypes.c_void_p], getattr(ctypes, result)
        return function
    return lambda argument: otherwise


def is_readable(page: Page) -> bool:
    """Return whether `read` reads a page: whole numbers of 8 or 16 bits, colours without a table."""
    return (
        page.colour in _MODES
        and page.channels >= len(_MODES[page.colour])
        and set(page.all(BITS)) in ({8}, {16})
        and set(page.all(_SAMPLE_FORMAT)) <= {_UNSIGNED}
        and page.one(COMPRESSION, _UNCOMPRESSED) in _BYTEWISE
        and page.one(PREDICTOR, 1) in (1, 2)
        and not (page.colour == "CMYK" and {_PREMULTIPLIED, STRAIGHT} & {*page.extra})  # Pillow has no such mode
        and not (page.one(PHOTOMETRIC) == WHITE_IS_ZERO and _PREMULTIPLIED in page.extra)  # by black or by white?
    )


def memory(page: Page) -> int:
    """Return the bytes that `read` takes at most."""
    return math.prod(page.shape) * (2 * page.channels * page.one(BITS) // 8 + 8)


def read(file: BinaryIO, page: Page) -> Image.Image:
    """Return the picture of a page that `is_readable`, with 8 bits a channel, or with 16 if it is grey alone."""
    values, colours = samples(file, page), _MODES[page.colour]
    alpha = page.alpha
    if page.one(PHOTOMETRIC) == WHITE_IS_ZERO:
        values[..., 0] = np.iinfo(values.dtype).max - values[..., 0]
    if alpha is None and colours == "L":
        image = Image.fromarray(values[..., 0])
    else:
        transparency = "" if alpha is None else "a" if page.is_premultiplied else "A"
        channels = [*range(len(colours)), *([] if alpha is None else [len(colours) + alpha])]
        values = (values[..., channels] >> 8 * (values.itemsize - 1)).astype(np.uint8)
        image = Image.frombytes(colours + transparency, values.shape[1::-1], values.tobytes())
    image.info["icc_profile"] = page.tags.get(PROFILE)
    image.getexif()[_ORIENTATION] = page.orientation
    return image


def samples(file: BinaryIO, page: Page) -> np.ndarray:
    """Return the values of a page as they are stored, (H, W, C)."""
    height, width = page.shape
    Image._decompression_bomb_check((width, height))
    order = "<" if page.tags.prefix == b"II" else ">"
    dtype = np.dtype(f"{order}u{page.one(BITS) // 8}")
    tiled = bool(page.all(_TILES))
    rows = page.one(_TILE_HEIGHT) if tiled else min(page.one(ROWS_PER_STRIP, height), height)
    columns = page.one(_TILE_WIDTH) if tiled else width
    planes = page.channels if page.in_planes else 1
    places = product(range(planes), range(0, height, rows), range(0, width, columns))
    pieces = zip(places, page.all(_TILES if tiled else STRIPS), page.all(_TILE_BYTES if tiled else STRIP_BYTES))
    values = np.zeros((height, width, page.channels), dtype.newbyteorder("="))
    for (plane, top, left), offset, count in pieces:
        file.seek(offset)
        shape = rows if tiled else min(rows, height - top), columns, page.channels // planes
        data = _unpacked(file.read(count), page, shape[0], math.prod(shape[1:]) * dtype.itemsize)
        piece = np.frombuffer(data, dtype, math.prod(shape)).reshape(shape)
        if page.one(PREDICTOR, 1) == 2:
            piece = np.cumsum(piece, axis=1, dtype=values.dtype)  # it holds differences
        there = values[top : top + shape[0], left : left + columns, plane : plane + 1 if planes > 1 else None]
        there[...] = piece[: there.shape[0], : there.shape[1]]
    return values


def _unpacked(data: bytes, page: Page, rows: int, bytes_per_row: int) -> bytes:
    """Undo the compression of a strip or tile, which Pillow is shown as a grey picture of as many bytes."""
    compression, order = page.one(COMPRESSION, _UNCOMPRESSED), page.one(_FILL_ORDER, 1)
    if (compression, order) == (_UNCOMPRESSED, 1):
        return data
    tags = ImageFileDirectory_v2()
    shown = {WIDTH: bytes_per_row, HEIGHT: rows, BITS: 8, COMPRESSION: compression, PHOTOMETRIC: 1}
    shown |= {_FILL_ORDER: order, STRIPS: 0, SAMPLES: 1, ROWS_PER_STRIP: rows, STRIP_BYTES: len(data)}
    for tag, value in shown.items():
        tags[tag] = value
    file = BytesIO()
    tags.save(file)
    file.write(data)
    with Image.open(file, formats=["TIFF"]) as image:
        return image.tobytes()
