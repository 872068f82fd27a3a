"""Pictures that this program has made, known by a mark in them: the tag Software of their EXIF data."""

from __future__ import annotations

import os

from PIL import Image

from scratchnst.errors import UserError
from scratchnst.files import is_replaceable, open_input

_SOFTWARE, _NAME = 0x0131, "scratchnst"


def mark() -> Image.Exif:
    """Return the EXIF data for a picture that this program makes."""
    exif = Image.Exif()
    exif[_SOFTWARE] = _NAME
    return exif


def is_marked(path: str | os.PathLike) -> bool:
    """Tell whether a file is a picture that this program has made."""
    try:
        with open_input(path) as file, Image.open(file) as image:
            return image.getexif().get(_SOFTWARE) == _NAME
    except Exception:  # Pillow's decoders raise nearly anything for damaged files
        return False


def check_replaceable(path: str | os.PathLike) -> None:
    """Raise a UserError if there is a file that this program has not made."""
    if not is_replaceable(path) and not is_marked(path):
        raise UserError(f"{path} is there already, and this program has not made it: move it, or name another place.")
