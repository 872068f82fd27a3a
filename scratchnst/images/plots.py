"""Figures that Matplotlib has drawn, written as pictures."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path
from typing import Any

from scratchnst.files import write_atomically
from scratchnst.images.origin import mark


def save_figure(path: str | os.PathLike, figure: Any, dots_per_inch: float) -> None:
    """Write a figure in the format that the suffix names, whole or not at all; it must be one of pictures.

    Raises
    ------
    UserError
        If the file cannot be written.
    """
    encoded = BytesIO()
    kind = Path(path).suffix[1:].lower()
    figure.savefig(encoded, dpi=dots_per_inch, format=kind, pil_kwargs={"exif": mark()})
    write_atomically(path, encoded.getvalue())
