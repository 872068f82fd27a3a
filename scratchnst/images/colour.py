"""From the colours of a file to sRGB: by its profile, by a PNG's gamma, or as they are."""

from __future__ import annotations

import struct
from collections.abc import Callable
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

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
    gamma = image.info.get("gamma")
    if not gamma or "srgb" in image.info or not 0.1 < gamma < 10 or abs(gamma - _USUAL_GAMMA) < 0.01:
        return None
    light = (np.arange(256) / 255) ** (1 / gamma)
    srgb = 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return lambda part: srgb.astype(np.float32)[np.asarray(part.convert("RGB"))]
