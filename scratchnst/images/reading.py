"""From an open file to float pixels: what Pillow decodes, upright, in sRGB and over white, a band of rows at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from importlib.util import find_spec
from types import ModuleType
from typing import Any, BinaryIO, TypeVar

import numpy as np
from PIL import Image, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, UnidentifiedImageError

from scratchnst.images import deep, kinds, repair, tiff
from scratchnst.images.colour import colour_space, to_srgb
from scratchnst.images.kinds import NoPicture

T = TypeVar("T")
Stored = Image.Image | deep.DeepImage
Conversion = Callable[[Any], np.ndarray]  # of a band of it
# Formats that are read: none whose decoder runs a program (EPS), and none without pixels of its own.
_READABLE = ["PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP", "PPM", "JPEG2000", "TGA"]
if find_spec("PIL.AvifImagePlugin"):  # not in every Pillow
    _READABLE.append("AVIF")
_OFTEN_UNUSED = ("BMP", "TGA", "TIFF")  # formats in which a fourth channel may mean nothing
_TIFF_BITS_PER_SAMPLE, _TIFF_PHOTOMETRIC, _TIFF_WHITE_IS_ZERO, _ORIENTATION = 258, 262, 0, 274
_TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {  # by EXIF's orientation
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: stored[::-1].swapaxes(0, 1),
    7: lambda stored: stored[::-1, ::-1].swapaxes(0, 1),
    8: lambda stored: stored[:, ::-1].swapaxes(0, 1),
}
_ON_ITS_SIDE = (5, 6, 7, 8)
SPARE = 2  # a picture that is shrunk keeps so many times the pixels wanted a side
BAND = 1 << 19  # pixels converted at a time


def size_of(file: BinaryIO) -> tuple[int, int]:
    """Return the height and width of a picture, upright."""
    if _is_tiff(file):
        page = tiff.picture_page(file)
        return page.shape[::-1] if page.orientation in _ON_ITS_SIDE else page.shape
    return _without_faults(file, lambda image, _: _upright_size(image))


def pixels(file: BinaryIO, wanted: tuple[int, int] | None = None) -> np.ndarray:
    """Return float32 (H, W, 3) of the picture in a file, see `scratchnst.images.load`."""

    def in_bands(image, convert):
        return _upright(_in_bands(image, convert, *_shrunk(image, wanted)), image)

    def read(image, file):
        if (found := _deep_png(image, file)) is not None:
            return in_bands(*found)
        _draft(image, wanted)
        image.load()  # raises for truncated files, and turns those of TIFF upright
        return in_bands(image, _conversion(image, _ignores_alpha(image, file)))

    if (page := _deep_page(file)) and (convert := deep.conversion(deep.tiff_info(page), page.colours)):
        with tiff.silenced():
            return in_bands(deep.read_tiff(file, page), convert)
    return _without_faults(file, read)


def alpha(file: BinaryIO) -> np.ndarray | None:
    """Return how opaque the picture in a file is, float32 (H, W), 0 to 255; None if it has no transparency."""

    def read(image, file):
        if deep.is_deep_png(image):
            return of_deep(deep.read_png(image, file))
        image.load()
        if not image.has_transparency_data or _ignores_alpha(image, file):
            return None
        if image.mode.startswith("I"):
            opaque = np.where(np.asarray(image) == image.info["transparency"], 0, 255)
        else:
            rgba = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
            opaque = np.asarray(rgba.getchannel("A"))
        return _upright(opaque.astype(np.float32), image)

    def of_deep(image):
        return None if image.alpha is None else _upright(image.alpha * np.float32(255 / deep.WHITE), image)

    if page := _deep_page(file):
        with tiff.silenced():
            return of_deep(deep.read_tiff(file, page))
    return _without_faults(file, read)


def profile(file: BinaryIO) -> bytes | None:
    """Return the colour profile of the picture in a file, if there is one."""
    if _is_tiff(file):
        return tiff.picture_page(file).tags.get(tiff.PROFILE)
    return _without_faults(file, lambda image, _: image.info.get("icc_profile"))


def _upright(stored: np.ndarray, image: Stored) -> np.ndarray:
    return np.ascontiguousarray(_TURNS.get(_orientation(image), np.asarray)(stored))


def _deep_page(file: BinaryIO) -> tiff.Page | None:
    """Return the page of a TIFF that has 16 bits a channel, and colours or transparency."""
    if not _is_tiff(file):
        return None
    page = tiff.picture_page(file)
    return page if deep.is_deep_tiff(page) else None


def _page_read_here(file: BinaryIO) -> tiff.Page | None:
    """Return the page of a TIFF that Pillow does not read, or not with all its bits."""
    if not _is_tiff(file) or not tiff.is_readable(page := tiff.picture_page(file)):
        return None
    return page if deep.is_deep_tiff(page) or _opened_by_pillow(file, page) is None else None


def _deep_png(image: Image.Image, file: BinaryIO) -> tuple[deep.DeepImage, Conversion] | None:
    """The same for a PNG that Pillow has opened: its picture, and what converts it."""
    if deep.is_deep_png(image) and (convert := deep.conversion(image.info, 1 if image.mode == "LA" else 3)):
        return deep.read_png(image, file), convert
    return None


def memory(file: BinaryIO, wanted: tuple[int, int] | None = None) -> int:
    """Return the bytes that `pixels` takes at most."""

    def count(image, file):
        before = image.width * image.height
        if deep.is_deep_png(image):
            return deep.memory_png(image) + _bytes_to_convert(image.size, *_shrunk(image, wanted))
        _draft(image, wanted)
        of_band = 100 if image.mode.startswith("I") or image.has_transparency_data else 70  # bytes a pixel
        to_compare = 11 * before if image.format == "JPEG" and repair.lacks_end(file) else 0
        to_convert = _bytes_to_convert(image.size, *_shrunk(image, wanted), of_band)
        return max(_bytes_to_decode(image, before) + to_convert, to_compare)

    if (page := _page_read_here(file)) is not None:
        return tiff.memory(page) + _bytes_to_convert(page.shape[::-1], *_kept(page, wanted))
    return _without_faults(file, count)


def _kept(page: tiff.Page, wanted: tuple[int, int] | None) -> tuple[int, int]:
    """Return the height and width, at most, that are left of a page."""
    height, width = page.shape
    return (height, width) if wanted is None else (min(height, SPARE * max(wanted)), min(width, SPARE * max(wanted)))


def _bytes_to_decode(image: Image.Image, before: int) -> int:
    """Return what Pillow takes, beside Python, for an image that had so many pixels before it was drafted."""
    channels, turned = len(image.getbands()), _orientation(image) in _ON_ITS_SIDE
    size = image.width * image.height * {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2}.get(image.mode, 4)
    if isinstance(image, JpegImagePlugin.JpegImageFile) and image.info.get("progressive"):  # its coefficients
        sampled = [across * down for _, across, down, _ in image.layer]
        return size + 2 * before * sum(sampled) // max(sampled)
    others = {"WEBP": 10, "AVIF": 8, "JPEG2000": 4 * channels, "TIFF": channels + 4 * turned}  # bytes a pixel
    return size + before * others.get(str(image.format), 0)


def _bytes_to_convert(size: tuple[int, int], height: int, width: int, of_band: int = 100) -> int:
    """Return what `_in_bands` takes for an image of `size`, and for its result."""
    band = BAND + 2 * size[0] * _rows_around(size[1] / height)
    return min(band, size[0] * size[1]) * of_band + height * width * 24  # twice, to turn it


def _draft(image: Image.Image, wanted: tuple[int, int] | None) -> None:
    """Let a JPEG be decoded at a smaller scale if that will do."""
    if wanted is not None and image.format == "JPEG":
        height, width = _shrunk(image, wanted)
        image.draft(None, (width, height))


def _shrunk(image: Stored, wanted: tuple[int, int] | None) -> tuple[int, int]:
    """Return the height and width, as the image lies, that are left of it if `wanted`, upright, are of use."""
    if wanted is None:
        return image.height, image.width
    height, width = wanted[::-1] if _orientation(image) in _ON_ITS_SIDE else wanted
    return min(SPARE * height, image.height), min(SPARE * width, image.width)


def _without_faults(file: BinaryIO, use: Callable[[Image.Image, BinaryIO], T]) -> T:
    """Return what `use` makes of the image and its file, if need be after a formal fault of the file was repaired."""
    try:
        with tiff.silenced(), _opened(file) as image:
            return use(image, file)
    except (OSError, ValueError):
        if (repaired := repair.repaired(file)) is None:
            raise
    with _set(PngImagePlugin, "MAX_TEXT_CHUNK", repair.LARGEST_PROFILE), _opened(repaired) as image:
        return use(image, repaired)


def _opened(file: BinaryIO) -> Image.Image:
    """Return the image in a file, not yet decoded if it is one that Pillow reads rightly."""
    if _is_tiff(file):
        return _opened_tiff(file)
    file.seek(0)
    head = file.read(kinds.HEAD)
    try:
        return Image.open(file, formats=_READABLE)
    except UnidentifiedImageError:
        if (found := kinds.known(head)) is None:
            raise
        what, advice = found
        raise NoPicture(f"is {what}", advice) from None


def _is_tiff(file: BinaryIO) -> bool:
    file.seek(0)
    return file.read(4) in tiff.MARKS


def _opened_tiff(file: BinaryIO) -> Image.Image:
    page = tiff.picture_page(file)
    if packed := tiff.unread_compression(page):
        raise NoPicture(f"is a TIFF compressed by {packed}, which is not read", "save it anew uncompressed, or as PNG")
    image = None if page.is_signed else _opened_by_pillow(file, page)
    if image is None and tiff.is_readable(page):
        return tiff.read(file, page)
    if image is None:
        what = f"is a TIFF of a kind that is not read ({page.in_words()})"
        raise NoPicture(what, "save it anew as RGB with 8 bits a channel, or as PNG")
    if image.mode in ("P", "PA") and (table := page.colour_table()) is not None:
        image.putpalette(table)
    return image


def _opened_by_pillow(file: BinaryIO, page: tiff.Page) -> Image.Image | None:
    """Return the image of a page, or None if Pillow does not read it, or not rightly where we do."""
    if page.in_planes and tiff.is_readable(page):
        return None
    try:
        # Without libtiff, Pillow takes uncompressed planes for pixels one after the other.
        with _set(TiffImagePlugin, "READ_LIBTIFF", True) if page.in_planes else nullcontext():
            image = Image.open(file, formats=["TIFF"])
            image.seek(page.number)
            return image
    except UnidentifiedImageError:
        if 0 in page.shape:
            raise
        return None


@contextmanager
def _set(module: ModuleType, name: str, value: Any) -> Iterator[None]:
    """Give a setting of Pillow another value within the block."""
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


def _upright_size(image: Image.Image) -> tuple[int, int]:
    return image.size if _orientation(image) in _ON_ITS_SIDE else (image.height, image.width)


def _orientation(image: Stored) -> int:
    with suppress(Exception):  # the picture can be used even if its metadata are damaged
        return image.getexif().get(_ORIENTATION, 1)
    return 1


def _ignores_alpha(image: Image.Image, file: BinaryIO) -> bool:
    """Return whether an image's alpha channel is there without a meaning: not declared, or zero everywhere."""
    if image.format not in _OFTEN_UNUSED or not image.has_transparency_data:
        return False
    if image.mode == "P":
        image = image.convert("RGBA")
    elif image.format == "TGA":
        file.seek(17)
        if not file.read(1)[0] & 15:  # bits of alpha
            return True
    return image.getextrema()[-1] == (0, 0)


def _in_bands(image: Stored, convert: Conversion, height: int, width: int) -> np.ndarray:
    """Return an image converted, and scaled to (height, width), as it would be as a whole but in less memory."""
    result = np.empty((height, width, 3), np.float32)
    scale = image.height / height
    rows = max(1, int(BAND / (scale * image.width)))
    around = 0 if (width, height) == image.size else _rows_around(scale)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        first, last = max(0, int(top * scale) - around), min(image.height, math.ceil(bottom * scale) + around)
        band = convert(image.crop((0, first, image.width, last)))
        if around:
            box = 0, top * scale - first, image.width, bottom * scale - first
            for number, channel in enumerate(np.moveaxis(band, 2, 0).astype(np.float32, order="C")):
                resized = Image.fromarray(channel).resize((width, bottom - top), Image.Resampling.LANCZOS, box)
                result[top:bottom, :, number] = np.asarray(resized).clip(0, 255)
        else:
            result[top:bottom] = band
    return result


def _rows_around(scale: float) -> int:
    """Return how many rows around those that become one the filter looks at, above and below."""
    return math.ceil(3 * scale) + 1


def _conversion(image: Image.Image, ignores_alpha: bool = False) -> Callable[[Image.Image], np.ndarray]:
    """Return what makes float RGB pixels, in sRGB and over white, of bands of an image in any mode."""
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers, for which no range is agreed")
    if image.mode.startswith("I"):
        return _conversion_of_deep_grey(image)
    convert = to_srgb(image)
    if not image.has_transparency_data or ignores_alpha:
        return convert

    def over_white(band):
        rgba = (band.convert("LA") if band.mode == "La" else band).convert("RGBA")
        opaque = rgba.convert(colour_space(image))  # grey again if it was, to fit a grey profile
        alpha = np.asarray(rgba.getchannel("A"), dtype=np.float32)[..., None] / 255
        return 255 + (convert(opaque) - 255) * alpha

    return over_white


def _conversion_of_deep_grey(image: Image.Image) -> Callable[[Image.Image], np.ndarray]:
    """The same for 16-bit grey, which Pillow would clip to 255 when converting."""
    tags = getattr(image, "tag_v2", {})  # two things that Pillow ignores in TIFF files
    white = 4095 if tags.get(_TIFF_BITS_PER_SAMPLE) == (12,) else 65535
    white_is_zero = tags.get(_TIFF_PHOTOMETRIC) == _TIFF_WHITE_IS_ZERO
    # Colours are converted at the 256 integer levels, and interpolated between them.
    levels = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    levels.info.update(image.info)
    curves = to_srgb(levels)(levels)[0].T
    transparent = image.info.get("transparency")

    def convert(band):
        values = np.asarray(band)
        if values.min() < 0 or values.max() > white:
            raise ValueError("its grey values exceed 16 bits, for which no range is agreed")
        grey = (white - values if white_is_zero else values) * 255.0 / white
        pixels = np.stack([np.interp(grey, np.arange(256), curve) for curve in curves], axis=2)
        if transparent is not None:
            pixels[values == transparent] = 255
        return pixels.astype(np.float32)

    return convert
