"""A film of a run: its iterates one after the other, as MP4, GIF or WebP.

While the run goes on, each frame is appended, as a JPEG, to FILM.frames; the film is made of these at the end.  So a
run that was killed goes on with the frames that it had, and no half of a film is ever there.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from io import BytesIO
from itertools import repeat
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from scratchnst import images
from scratchnst.errors import UserError
from scratchnst.files import atomic_file, check_suffix, is_replaceable, open_input
from scratchnst.transfer.side_outputs import Growing
from scratchnst.transfer.stylize import Iterate

RATE = 12  # frames a second
LAST = 2  # seconds that the last frame is shown
FORMATS = (".mp4", ".gif", ".webp")
LARGEST = {".mp4": 16384, ".gif": 65535, ".webp": 16383}  # pixels a side
LENGTH = struct.Struct(">Q")  # of a frame in bytes, before it
JPEG = b"\xff\xd8"  # a JPEG's first bytes
CRF = "18"  # x264's constant rate factor: hardly any loss is seen
QUALITY = 90  # of WebP
BT709, LIMITED = 1, 1  # FFmpeg's AVCOL_SPC_BT709 and AVCOL_RANGE_MPEG, so that a player shows the colours as they are


def frames_file(film: Path) -> Path:
    """Return the file of the frames until the film is made of them."""
    return Path(f"{film}.frames")


def check(film: Path) -> None:
    """Make sure that a film in the format that the suffix names can be made.

    Raises
    ------
    UserError
        If there is no such format, PyAV is needed and not there, or a file that holds no frames is in their place.
    """
    check_suffix(film, FORMATS)
    if film.suffix.lower() == ".mp4" and find_spec("av") is None:
        raise UserError(
            "films as MP4 need PyAV: install it with pip install 'scratchnst[video]', or name a .gif or .webp."
        )
    path = frames_file(film)
    if not is_replaceable(path):
        with open_input(path) as file:
            if file.read(LENGTH.size + len(JPEG))[LENGTH.size :] != JPEG:
                raise UserError(f"{path} is there already, and holds no frames: move it, or name another film.")


def check_shape(film: Path, height: int, width: int) -> None:
    """Raise a UserError if the film's format does not take frames of that size."""
    most = LARGEST[film.suffix.lower()]
    if max(height, width) > most:
        raise UserError(
            f"{film} cannot have frames of {width}x{height} pixels, the format takes {most} at most a side."
        )


class Film:
    """The frames of a film that is made at the end.

    Parameters
    ----------
    path : of the film
    shape : (height, width) of all frames
    every : a frame after how many steps
    stack : which closes the file of the frames
    size : bytes of the frames that are kept, of a run that goes on
    """

    def __init__(self, path: Path, shape: tuple[int, int], every: int, stack: ExitStack, size: int = 0):
        self.path, self.shape, self.every = path, shape, every
        self.frames = Growing(frames_file(path), stack, size)

    def add(self, iterate: Iterate) -> None:
        """Append the image after a step, if it is one of those that are wanted."""
        if iterate.iteration % self.every == 0:
            self._append(iterate.image)

    def finish(self, last: np.ndarray) -> None:
        """Make the film, which ends with the picture that was painted.

        Raises
        ------
        UserError
            If it cannot be written; there is then no film.
        """
        self._append(last)
        with open_input(frames_file(self.path)) as file, atomic_file(self.path) as target:
            places = list(_places(file, self.frames.size))
            pictures = (_picture(file, *place) for place in places)
            if self.path.suffix.lower() == ".mp4":
                _encode(pictures, self.shape, target)
            else:
                _save(pictures, len(places), self.path.suffix, target)

    def _append(self, image):
        data = images.encoded(images.resize(image, *self.shape), ".jpg")
        self.frames.append(LENGTH.pack(len(data)) + data)


def _places(file: BinaryIO, size: int) -> Iterator[tuple[int, int]]:
    """Yield where each frame begins in a file of so many bytes, and its length."""
    place = 0
    while place < size:
        file.seek(place)
        (length,) = LENGTH.unpack(file.read(LENGTH.size))
        yield place + LENGTH.size, length
        place += LENGTH.size + length


def _picture(file: BinaryIO, place: int, length: int) -> Image.Image:
    file.seek(place)
    return Image.open(BytesIO(file.read(length)))


def _save(pictures: Iterator[Image.Image], count: int, suffix: str, target: BinaryIO) -> None:
    """Write an animation that is repeated for ever, by Pillow."""
    kind = suffix[1:].upper()
    milliseconds = [1000 // RATE] * (count - 1) + [1000 * LAST]
    next(pictures).save(
        target, format=kind, save_all=True, append_images=pictures, duration=milliseconds, loop=0, quality=QUALITY
    )


def _encode(pictures: Iterator[Image.Image], shape: tuple[int, int], target: BinaryIO) -> None:
    """Write a film by FFmpeg."""
    import av  # not before: it is optional

    height, width = shape
    with av.open(target, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": CRF})
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuv444p" if height % 2 or width % 2 else "yuv420p"
        context = stream.codec_context
        context.color_range = LIMITED
        context.colorspace = context.color_primaries = context.color_trc = BT709
        for picture in _and_last(pictures, LAST * RATE - 1):
            frame = av.VideoFrame.from_image(picture)
            frame = frame.reformat(format=stream.pix_fmt, dst_colorspace="ITU709", dst_color_range="MPEG")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _and_last(pictures, times):
    """Yield the pictures, and the last one so many times more."""
    for picture in pictures:
        yield picture
    yield from repeat(picture, times)
