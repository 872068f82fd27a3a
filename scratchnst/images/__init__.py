"""Read, scale and write pictures; as arrays they are float (H, W, 3), RGB in sRGB, 0 (black) to 255 (white)."""

from __future__ import annotations

import os
import warnings
from contextlib import suppress
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import cast

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from scratchnst.errors import UserError
from scratchnst.files import check_suffix, open_input, write_atomically
from scratchnst.images.origin import mark

# For each suffix: Pillow's format, the longest side that the format takes, and options for the encoder.
_JPEG = ("JPEG", 65500, {"quality": 95, "subsampling": 0})
_TIFF: tuple[str, int, dict] = ("TIFF", 2**31 - 1, {})
_FORMATS = {
    ".png": ("PNG", 2**31 - 1, {}),
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".webp": ("WEBP", 16383, {"lossless": True}),
}
PICTURE_SUFFIXES = tuple(_FORMATS)

# Formats that are read: none whose decoder runs a program (EPS), and none without pixels of its own.
_READABLE = ("PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP", "PPM", "JPEG2000", "TGA")

# ICC's names of colour spaces, and the modes in which Pillow passes them to LittleCMS.
_PROFILE_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
_TIFF_BITS_PER_SAMPLE, _TIFF_PHOTOMETRIC, _TIFF_WHITE_IS_ZERO = 258, 262, 0


def load(path: str | os.PathLike) -> np.ndarray:
    """Read a picture, upright, in sRGB and without transparency.

    The EXIF orientation is applied, an embedded colour profile is converted to sRGB, transparent parts are blended with
    white, and of several frames the first is taken.  16-bit grey keeps its depth.

    Parameters
    ----------
    path : a JPEG, PNG, TIFF or WebP file, or another kind that Pillow reads

    Returns
    -------
    (H, W, 3) float32 array, RGB, 0 to 255

    Raises
    ------
    UserError
        If the file is missing, empty, unreadable, damaged, too large or no picture.
    """
    if os.path.isdir(path):
        raise UserError(f"{path} is a directory: name a picture file instead.")
    try:
        with open_input(path) as file:
            return _decode(file, path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(f"there is no file {path}: check its name and directory.") from error
    except PermissionError as error:
        raise UserError(f"{path} may not be read: change its permissions or choose another file.") from error
    except OSError as error:
        raise UserError(f"{path} cannot be opened ({error.strerror or error}): choose another file.") from error


def save(path: str | os.PathLike, image: np.ndarray) -> None:
    """Write a picture in the format that the suffix names, whole or not at all.

    Parameters
    ----------
    path : ends in one of `PICTURE_SUFFIXES`; JPEG is written at quality 95 with full colour resolution, all else
        losslessly
    image : (H, W, 3) array, RGB in sRGB; clipped to 0-255 and rounded to whole numbers

    Raises
    ------
    ValueError
        If the shape is wrong or a value is not finite.
    UserError
        If the suffix is unknown, the format does not take the size, or the file cannot be written.
    """
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ValueError(f"an image has the shape (H, W, 3), not {image.shape}")
    if not np.isfinite(image).all():
        raise ValueError("an image must be finite, this one has NaN or infinite values")
    check_format(path, *image.shape[:2])
    kind, _, options = _FORMATS[Path(path).suffix.lower()]
    pixels = np.rint(np.clip(image, 0, 255)).astype(np.uint8)
    encoded = BytesIO()
    Image.fromarray(pixels).save(encoded, format=kind, exif=mark(), **options)
    write_atomically(path, encoded.getvalue())


def check_format(path: str | os.PathLike, height: int, width: int) -> None:
    """Raise a UserError unless the suffix is one of `PICTURE_SUFFIXES`, and its format takes pictures of that size."""
    check_suffix(path, PICTURE_SUFFIXES)
    kind, longest_side, _ = _FORMATS[Path(path).suffix.lower()]
    if max(height, width) > longest_side:
        raise UserError(
            f"{path} cannot be written, {kind} takes at most {longest_side} pixels a side: use the suffix .png."
        )


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return `image` (H, W, 3) scaled to (height, width, 3), in its dtype and clipped to 0-255; it is never a view.

    An antialiasing Lanczos filter is used, and nothing is rounded to whole numbers.
    """
    if image.shape[:2] == (height, width):
        return image.copy()
    # Lanczos has negative lobes: beside sharp edges it exceeds the range of the original.
    return interpolate(image, height, width).clip(0, 255)


def interpolate(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return `image`, or a difference of images, scaled as by `resize`, but not clipped."""
    channels = [Image.fromarray(channel) for channel in np.moveaxis(image, 2, 0).astype(np.float32, order="C")]
    resized = [np.asarray(channel.resize((width, height), Image.Resampling.LANCZOS)) for channel in channels]
    return np.stack(resized, axis=2).astype(image.dtype)


def fit(image: np.ndarray, size: int) -> np.ndarray:
    """Return `image` (H, W, 3) scaled, with its proportions kept, so that its longer side has `size` pixels."""
    return resize(image, *fitted_shape(image, size))


def fitted_shape(image: np.ndarray, size: int) -> tuple[int, int]:
    """Return the height and width, at least 1 each, that `fit` scales a picture to."""
    height, width, _ = image.shape
    longer = max(height, width)
    return max(1, round(height * size / longer)), max(1, round(width * size / longer))


def extend(image: np.ndarray, margin: int) -> np.ndarray:
    """Return a picture (H, W, 3) with `margin` reflected pixels added on every side; `crop` undoes it."""
    return np.pad(image, ((margin, margin), (margin, margin), (0, 0)), mode="reflect")


def crop(image: np.ndarray, margin: int) -> np.ndarray:
    """Return a view of a picture without `margin` pixels on every side."""
    height, width = image.shape[:2]
    return image[margin : height - margin, margin : width - margin]


def _decode(file: BufferedReader, path: str | os.PathLike) -> np.ndarray:
    """`load` for an open file: whatever Pillow raises becomes a UserError."""
    if not file.peek(1):
        raise UserError(f"{path} is empty: choose another file.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of unusual metadata
        try:
            with Image.open(file, formats=_READABLE) as image:
                image.load()  # raises for truncated files
                _turn_upright(image)
                return _pixels(image)
        except UnidentifiedImageError as error:
            raise UserError(
                f"{path} is damaged or no picture of a known kind: choose a PNG, JPEG, TIFF or WebP file."
            ) from error
        except Image.DecompressionBombError as error:
            size = str(error).split(",")[0].lower()
            raise UserError(f"{path} is too large ({size}): make a smaller copy of it first.") from error
        except MemoryError as error:
            raise UserError(f"{path} does not fit into memory: make a smaller copy of it first.") from error
        except Exception as error:  # Pillow's decoders raise nearly anything for damaged files
            reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
            raise UserError(
                f"{path} cannot be read as a picture ({reason}): save it anew as PNG or choose another file."
            ) from error


def _turn_upright(image: Image.Image) -> None:
    with suppress(Exception):  # the picture can be used even if its metadata are damaged
        ImageOps.exif_transpose(image, in_place=True)  # in place, since a copy would lose the TIFF tags


def _pixels(image: Image.Image) -> np.ndarray:
    """Float RGB pixels of an image in any mode, in sRGB and over white."""
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers, for which no range is agreed")
    if image.mode.startswith("I"):
        return _deep_grey_pixels(image)
    if not image.has_transparency_data:
        return np.asarray(_to_srgb(image), dtype=np.float32)
    rgba = image.convert("RGBA")
    opaque = rgba.convert(_colour_space(image))  # grey again if it was, to fit a grey profile
    alpha = np.asarray(rgba.getchannel("A"), dtype=np.float32)[..., None] / 255
    return 255 + (np.asarray(_to_srgb(opaque), dtype=np.float32) - 255) * alpha


def _deep_grey_pixels(image: Image.Image) -> np.ndarray:
    """The same for 16-bit grey, which Pillow would clip to 255 when converting."""
    values = np.asarray(image)
    tags = getattr(image, "tag_v2", {})  # two things that Pillow ignores in TIFF files
    white = 4095 if tags.get(_TIFF_BITS_PER_SAMPLE) == (12,) else 65535
    white_is_zero = tags.get(_TIFF_PHOTOMETRIC) == _TIFF_WHITE_IS_ZERO
    if values.min() < 0 or values.max() > white:
        raise ValueError("its grey values exceed 16 bits, for which no range is agreed")
    grey = (white - values if white_is_zero else values) * 255.0 / white
    # The profile is applied to the 256 integer levels, and interpolated between them.
    levels = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    levels.info["icc_profile"] = image.info.get("icc_profile")
    curves = np.asarray(_to_srgb(levels))[0].T
    pixels = np.stack([np.interp(grey, np.arange(256), curve) for curve in curves], axis=2)
    if (transparent := image.info.get("transparency")) is not None:
        pixels[values == transparent] = 255
    return pixels.astype(np.float32)


def _colour_space(image: Image.Image) -> str:
    if image.mode == "CMYK":
        return "CMYK"
    return "L" if image.mode in ("1", "L", "LA") else "RGB"


def _to_srgb(image: Image.Image) -> Image.Image:
    """An opaque image as sRGB, by its embedded profile if that is valid and fits the image."""
    space = _colour_space(image)
    try:
        profile = ImageCms.ImageCmsProfile(BytesIO(image.info["icc_profile"]))
        mode = _PROFILE_MODES[profile.profile.xcolor_space.strip()]
        if mode == space or (space, mode) == ("L", "RGB"):
            flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
            if mode == "L":  # LittleCMS's optimisation for grey is wrong by up to ten levels in dark areas
                flags |= ImageCms.Flags.NOOPTIMIZE
            converted = ImageCms.profileToProfile(
                image.convert(mode),
                profile,
                ImageCms.createProfile("sRGB"),
                renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
                outputMode="RGB",
                flags=flags,
            )
            return cast(Image.Image, converted)  # None only when told to convert in place
    except (KeyError, TypeError, ValueError, OSError, ImageCms.PyCMSError):
        pass  # no profile, or a damaged one
    return image.convert("RGB")
