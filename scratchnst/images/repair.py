"""Formal faults, for which Pillow refuses whole pictures: a JPEG without its end marker, a PNG with long texts."""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections.abc import Iterator
from hashlib import sha256
from io import BytesIO
from typing import BinaryIO

from PIL import Image

LARGEST_FILE = 1 << 30  # bytes
LARGEST_PROFILE = 16 << 20  # bytes of a colour profile in a PNG, unpacked; those of presses have some megabytes
_PNG, _TEXTS = b"\x89PNG\r\n\x1a\n", (b"tEXt", b"zTXt", b"iTXt")
_JPEG, _END = b"\xff\xd8", b"\xff\xd9"
_OTHER_ENDS = bytes(range(1, 200)) + _END, bytes(range(254, 50, -1)) + _END  # read as pixels where pixels lack
_FRAMES, _SCAN = (0xC0, 0xC1, 0xC2), 0xDA


def repaired(file: BinaryIO) -> BytesIO | None:
    """Return the same picture without such a fault, to be read with `LARGEST_PROFILE`; None if it is worse damaged."""
    file.seek(0)
    data = file.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        return None
    if data.startswith(_PNG):
        return BytesIO(_without_texts(data))
    return _with_end(data) if data.startswith(_JPEG) else None


def lacks_end(file: BinaryIO) -> bool:
    """Return whether a JPEG does not end with its end marker, so that `repaired` decodes it to see if it is whole."""
    file.seek(-len(_END), os.SEEK_END)
    return file.read() != _END


def _without_texts(data: bytes) -> bytes:
    """Return a PNG without its texts, and without a colour profile that is far too large."""
    kept, place = [_PNG], len(_PNG)
    while place + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        chunk = data[place : place + 12 + length]
        if chunk[4:8] not in _TEXTS and not (chunk[4:8] == b"iCCP" and _is_huge(chunk[8:-4])):
            kept.append(chunk)
        place += 12 + length
    return b"".join(kept)


def _is_huge(profile: bytes) -> bool:
    unpacked = zlib.decompressobj()
    try:
        unpacked.decompress(profile.partition(b"\0")[2][1:], LARGEST_PROFILE)
    except zlib.error:
        return True
    return bool(unpacked.unconsumed_tail)


def _with_end(data: bytes) -> BytesIO | None:
    """Return a JPEG that lacks nothing but its end marker with one; None of any other.

    Where pixels lack, the decoder makes them of what comes before the marker, so they differ with it.
    """
    data = data.removesuffix(b"\xff")
    if data.endswith(_END) or not _has_all_scans(data):
        return None
    decoded = {_hash_of_pixels(data + end) for end in (_END, *_OTHER_ENDS)}
    return BytesIO(data + _END) if len(decoded) == 1 else None


def _hash_of_pixels(jpeg: bytes) -> bytes:
    with Image.open(BytesIO(jpeg), formats=["JPEG"]) as image:
        return sha256(image.tobytes()).digest()


def _has_all_scans(data: bytes) -> bool:
    """Return whether the scans of a JPEG give all coefficients of all its components with all their bits."""
    lacking: set[tuple[int, int]] = set()  # (component, coefficient)
    for marker, segment in _segments(data):
        if marker in _FRAMES:
            lacking = {(segment[6 + 3 * number], k) for number in range(segment[5]) for k in range(64)}
        elif marker == _SCAN:
            components = segment[1 : 1 + 2 * segment[0] : 2]
            first, last, bits = segment[1 + 2 * segment[0] :][:3]
            if bits & 15 == 0:
                lacking -= {(component, k) for component in components for k in range(first, last + 1)}
    return not lacking


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (marker, content) of each segment of a JPEG."""
    place = len(_JPEG)
    while found := re.compile(rb"\xff([\xc0-\xcf\xda-\xfe])").search(data, place):  # none of them is in pixels
        (length,) = struct.unpack(">H", data[found.end() : found.end() + 2].rjust(2, b"\0"))
        yield found[1][0], data[found.end() + 2 : found.end() + length]
        place = found.end() + max(length, 2)
