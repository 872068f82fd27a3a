"""From the colours of a file to sRGB: by its profile, by a PNG's gamma, or as they are."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from scratchnst.images import profiles

# ICC's names of colour spaces, and the modes in which Pillow passes them to LittleCMS.
_PROFILE_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
MOST_STEPS = 16  # of a profile's conversion; usual ones have five or fewer
_USUAL_GAMMA = 1 / 2.2  # of files whose numbers are meant as sRGB's; PNG writes 0.45455


def colour_space(image: Image.Image) -> str:
    """Return the mode, L, RGB or CMYK, of the opaque colours of an image."""
    if image.mode == "CMYK":
        return "CMYK"
    return "L" if image.mode in ("1", "L", "LA", "La", "I;16", "I;16B", "I") else "RGB"


def to_srgb(image: Image.Image) -> Callable[[Image.Image], np.ndarray]:
    """Return what makes float32 (H, W, 3) in sRGB, 0 to 255, of parts of `image`, opaque and in its `colour_space`."""
    return _by_profile(image) or _by_gamma(image) or (lambda part: np.asarray(part.convert("RGB"), np.float32))


def _by_profile(image):
    """By the embedded profile if that is valid and fits the image, else None."""
    space = colour_space(image)
    try:
        data = image.info["icc_profile"]
        if _is_inflated(data):
            return None
        profile = ImageCms.ImageCmsProfile(BytesIO(data))
        mode = _PROFILE_MODES[profile.profile.xcolor_space.strip()]
        if mode != space and (space, mode) != ("L", "RGB"):
            return None
        flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
        if mode == "L":  # LittleCMS's optimisation for grey is wrong by up to ten levels in dark areas
            flags |= ImageCms.Flags.NOOPTIMIZE
        transform = ImageCms.buildTransform(
            profile, ImageCms.createProfile("sRGB"), mode, "RGB", ImageCms.Intent.RELATIVE_COLORIMETRIC, flags
        )
    except (KeyError, TypeError, ValueError, OSError, struct.error, ImageCms.PyCMSError):
        return None  # no profile, or a damaged one
    return lambda part: np.asarray(ImageCms.applyTransform(part.convert(mode), transform), np.float32)


def _is_inflated(profile: bytes) -> bool:
    """Return whether a profile has one table stand for many, by which a small file would take gigabytes and minutes."""
    (tags,) = struct.unpack_from(">I", profile, 128)
    for _, start, _ in struct.iter_unpack(">III", profile[132 : 132 + 12 * tags]):
        if profile[start : start + 4] == b"mpet":  # a list of steps, each with its place and size
            (steps,) = struct.unpack_from(">I", profile, start + 12)
            places = struct.iter_unpack(">II", profile[start + 16 : start + 16 + 8 * steps])
            if steps > MOST_STEPS or sum(size for _, size in places) > len(profile):
                return True
    return False


def _by_gamma(image):
    """By the gAMA chunk of a PNG that has no sRGB chunk, if it is not the usual one, else None."""
    gamma = _unusual_gamma(image.info)
    if gamma is None:
        return None
    srgb = _srgb_of_light(np.arange(256) / 255, gamma)
    return lambda part: srgb.astype(np.float32)[np.asarray(part.convert("RGB"))]


def _unusual_gamma(info: Mapping[str, Any]) -> float | None:
    gamma = info.get("gamma")
    if not gamma or "srgb" in info or not 0.1 < gamma < 10 or abs(gamma - _USUAL_GAMMA) < 0.01:
        return None
    return gamma


def _srgb_of_light(values: np.ndarray, gamma: float) -> np.ndarray:
    """Return sRGB, 0 to 255, of values from 0 to 1, which are light to the power of `gamma`."""
    light = values ** (1 / gamma)
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def deep_to_srgb(info: Mapping[str, Any], channels: int) -> Callable[[np.ndarray], np.ndarray] | None:
    """Return the same for colours (H, W, 3), 0 to 255, with fractions; None if it takes LittleCMS, which has 8 bits."""
    if info.get("icc_profile"):
        profile = profiles.matrix_profile(info["icc_profile"]) if channels == 3 else None
        return None if profile is None else profiles.between(profile, profiles.srgb())
    gamma = _unusual_gamma(info)
    return (lambda colours: colours) if gamma is None else lambda colours: _srgb_of_light(colours / 255, gamma)


def profile_space(data: bytes) -> str | None:
    """Return the colour space of an ICC profile, RGB, GRAY, CMYK or another; None if it is damaged."""
    try:
        if _is_inflated(data):
            return None
        return ImageCms.ImageCmsProfile(BytesIO(data)).profile.xcolor_space.strip()
    except (TypeError, ValueError, OSError, struct.error, ImageCms.PyCMSError):
        return None


def has_depth(data: bytes) -> bool:
    """Return whether colours are converted into those of a profile with more than 8 bits."""
    return profiles.matrix_profile(data) is not None


def is_two_way(data: bytes) -> bool:
    """Return whether colours can be converted into those of an ICC profile of RGB: not all of cameras have tables for
    that.
    """
    try:
        from_srgb(data, 8)
    except ImageCms.PyCMSError:
        return False
    return True


def from_srgb(data: bytes, depth: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return what turns sRGB (H, W, 3), 0 to 255, into the colours of an ICC profile of RGB; with 16 bits, see
    `has_depth`.
    """
    profile = profiles.matrix_profile(data)
    if profile is not None:
        return profiles.between(profiles.srgb(), profile)
    if depth > 8:
        raise ValueError("LittleCMS converts 8 bits")
    transform = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"),
        ImageCms.ImageCmsProfile(BytesIO(data)),
        "RGB",
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )

    def convert(image):
        picture = Image.fromarray(np.rint(image).astype(np.uint8))
        return np.asarray(ImageCms.applyTransform(picture, transform), np.float32)

    return convert
