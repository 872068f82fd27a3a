"""Read, scale and write pictures; as arrays they are float (H, W, 3), RGB in sRGB, 0 (black) to 255 (white)."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from scratchnst.errors import UserError
from scratchnst.files import check_suffix, open_input, write_atomically
from scratchnst.images import colour, reading
from scratchnst.images import finish as encoding
from scratchnst.images.finish import ALPHA, PROFILE, Finish
from scratchnst.images.kinds import NoPicture

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
PLAIN = Finish()


def load(path: str | os.PathLike, wanted: tuple[int, int] | None = None) -> np.ndarray:
    """Read a picture, upright, in sRGB and without transparency.

    The EXIF orientation is applied, an embedded colour profile is converted to sRGB, transparent parts are blended with
    white, and of several frames the first is taken.  16 bits a channel
    keep their depth, but for CMYK, and for colours whose profile is made of tables.

    Parameters
    ----------
    path : a JPEG, PNG, TIFF or WebP file, or another kind that Pillow reads
    wanted : the largest (height, width) to which it will be scaled; a picture that is more than twice as high or wide
        is shrunk to twice that while it is read, which takes less memory

    Returns
    -------
    (H, W, 3) float32 array, RGB, 0 to 255

    Raises
    ------
    UserError
        If the file is missing, empty, unreadable, damaged, too large or no picture.
    """
    with _opened(path) as file:
        return reading.pixels(file, wanted)


def size(path: str | os.PathLike) -> tuple[int, int]:
    """Return the height and width of the picture in a file, upright, or raise the UserError that `load` raises."""
    with _opened(path) as file:
        return reading.size_of(file)


def memory_to_read(path: str | os.PathLike, wanted: tuple[int, int] | None = None) -> int:
    """Return the bytes that `load` with the same arguments takes at most, or raise the UserError that it raises."""
    with _opened(path) as file:
        return reading.memory(file, wanted)


def finish_of(path: str | os.PathLike, shape: tuple[int, int], keep: Collection[str] = (), depth: int = 8) -> Finish:
    """Return how a picture that is made of the one in a file is written.

    Parameters
    ----------
    path : the file
    shape : (height, width) of the picture that is made
    keep : what it keeps of the file, of `KEEPABLE`: "profile", the colour profile, into whose colours it is converted,
        and "alpha", the transparency, scaled to `shape`
    depth : bits a channel, 8 or 16

    Raises
    ------
    UserError
        If the file cannot be read, or its profile is none for the picture.
    """
    if not keep:
        return Finish(depth)
    with _opened(path) as file:
        profile = reading.profile(file) if PROFILE in keep else None
        alpha = reading.alpha(file) if ALPHA in keep else None
    if profile is not None:
        _check_profile(path, profile, depth)
    if alpha is not None:
        alpha = resize(alpha[..., None], *shape)[..., 0]
    return Finish(depth, profile, alpha)


def _check_profile(path: str | os.PathLike, profile: bytes, depth: int) -> None:
    space, what, advice = colour.profile_space(profile), "", "leave it out of --keep"
    if space is None:
        what = "is damaged"
    elif space != "RGB":
        what = f"is of {space} colours, and a painting has RGB"
    elif not colour.is_two_way(profile):
        what = "is of no use for writing"
    elif depth > 8 and not colour.has_depth(profile):
        what, advice = "is made of tables, which are applied with 8 bits", f"give --depth 8, or {advice}"
    if what:
        raise UserError(f"the colour profile of {path} {what}: {advice}.")


def save(path: str | os.PathLike, image: np.ndarray, finish: Finish = PLAIN) -> None:
    """Write a picture in the format that the suffix names, whole or not at all.

    Parameters
    ----------
    path : ends in one of `PICTURE_SUFFIXES`; JPEG is written at quality 95 with full colour resolution, all else
        losslessly
    image : (H, W, 3) array, RGB in sRGB; clipped to 0-255 and rounded to whole numbers
    finish : with how many bits, in which colour profile, and how transparent it is written

    Raises
    ------
    ValueError
        If the shape is wrong or a value is not finite.
    UserError
        If the suffix is unknown, the format does not take the size, or the file cannot be written.
    """
    image = _checked(image)
    check_format(path, *image.shape[:2])
    check_finish(path, finish.depth, () if finish.alpha is None else (ALPHA,))
    write_atomically(path, encoded(image, Path(path).suffix.lower(), finish))


def encoded(image: np.ndarray, suffix: str = ".png", finish: Finish = PLAIN) -> bytes:
    """Return a picture (H, W, 3) in the format of a suffix, one of `PICTURE_SUFFIXES`; see `save`."""
    kind, _, options = _FORMATS[suffix]
    return encoding.encoded(finish.values(_checked(image)), kind, finish.profile, options)


def _checked(image):
    """An image that can be written."""
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ValueError(f"an image has the shape (H, W, 3), not {image.shape}")
    if not np.isfinite(image).all():
        raise ValueError("an image must be finite, this one has NaN or infinite values")
    return image


def check_format(path: str | os.PathLike, height: int, width: int) -> None:
    """Raise a UserError unless the suffix is one of `PICTURE_SUFFIXES`, and its format takes pictures of that size."""
    check_suffix(path, PICTURE_SUFFIXES)
    kind, longest_side, _ = _FORMATS[Path(path).suffix.lower()]
    if max(height, width) > longest_side:
        raise UserError(
            f"{path} cannot be written, {kind} takes at most {longest_side} pixels a side: use the suffix .png."
        )


def check_finish(path: str | os.PathLike, depth: int, keep: Collection[str]) -> None:
    """Raise a UserError unless the format that the suffix names holds so many bits, and what is to be kept."""
    if problem := encoding.check(str(path), Path(path).suffix.lower(), depth, keep):
        raise UserError(problem)


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return `image` (H, W, 3) scaled to (height, width, 3), in its dtype and clipped to 0-255; it is never a view.

    An antialiasing Lanczos filter is used, and nothing is rounded to whole numbers.
    """
    if image.shape[:2] == (height, width):
        return image.copy()
    # Lanczos has negative lobes: beside sharp edges it exceeds the range of the original.
    return interpolate(image, height, width).clip(0, 255)


def interpolate(
    image: np.ndarray, height: int, width: int, kernel: Image.Resampling = Image.Resampling.LANCZOS
) -> np.ndarray:
    """Return `image`, or a difference of images, scaled as by `resize`, but not clipped, or by another kernel."""
    channels = [Image.fromarray(channel) for channel in np.moveaxis(image, 2, 0).astype(np.float32, order="C")]
    resized = [np.asarray(channel.resize((width, height), kernel)) for channel in channels]
    return np.stack(resized, axis=2).astype(image.dtype)


def fit(image: np.ndarray, size: int) -> np.ndarray:
    """Return `image` (H, W, 3) scaled, with its proportions kept, so that its longer side has `size` pixels; see
    `fitted_shape`.
    """
    return resize(image, *fitted_shape(image.shape, size))


def fitted_shape(shape: tuple[int, ...], size: int) -> tuple[int, int]:
    """Return the height and width, at least 1 each, that `fit` scales a picture of `shape`, (H, W, ...), to.

    A `size` of 0 leaves it as it is.
    """
    height, width = shape[:2]
    longer = max(height, width)
    size = size or longer
    return max(1, round(height * size / longer)), max(1, round(width * size / longer))


def shape_of_area(shape: tuple[int, ...], height: int, width: int) -> tuple[int, int]:
    """Return the height and width, at least 1 each, with the proportions of `shape` and `height` x `width` pixels."""
    factor = math.sqrt(height * width / math.prod(shape[:2]))
    return max(1, round(shape[0] * factor)), max(1, round(shape[1] * factor))


def reframe(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the middle (height, width, 3) of a picture at its own scale, continued by reflection where it ends."""
    below, beside = max(0, height - image.shape[0]), max(0, width - image.shape[1])
    margins = (below // 2, below - below // 2), (beside // 2, beside - beside // 2), (0, 0)
    image = np.pad(image, margins, mode="reflect")
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width]


def extend(image: np.ndarray, margin: int) -> np.ndarray:
    """Return a picture (H, W, 3) with `margin` reflected pixels added on every side; `crop` undoes it."""
    return np.pad(image, ((margin, margin), (margin, margin), (0, 0)), mode="reflect")


def crop(image: np.ndarray, margin: int) -> np.ndarray:
    """Return a view of a picture without `margin` pixels on every side."""
    height, width = image.shape[:2]
    return image[margin : height - margin, margin : width - margin]


@contextmanager
def _opened(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """Open a file with a picture: whatever is raised within the block, as Pillow does, becomes a UserError."""
    if os.path.isdir(path):
        raise UserError(f"{path} is a directory: name a picture file instead.")
    try:
        with open_input(path) as file:
            if not file.peek(1):
                raise UserError(f"{path} is empty: choose another file.")
            with _reasons(path):
                yield file
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(f"there is no file {path}: check its name and directory.") from error
    except PermissionError as error:
        raise UserError(f"{path} may not be read: change its permissions or choose another file.") from error
    except OSError as error:
        raise UserError(f"{path} cannot be opened ({error.strerror or error}): choose another file.") from error


@contextmanager
def _reasons(path: str | os.PathLike) -> Iterator[None]:
    """Say what is wrong with a file when an error is raised within the block."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of unusual metadata
        try:
            yield
        except NoPicture as error:
            raise UserError(f"{path} {error}") from None
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
