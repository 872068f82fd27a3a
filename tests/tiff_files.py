"""TIFF files of any layout, for tests: Pillow writes but a few."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import numpy as np
from PIL import Image

COMPRESSIONS = {"none": 1, "lzw": 5, "deflate": 8, "packbits": 32773}
LETTERS = {1: "B", 3: "H", 4: "I"}  # of each type, for struct


def make_tiff(samples, photometric=2, order="<", more=(), **settings):
    """A TIFF of an array (H, W, C), whose dtype tells the bits and format of a sample.

    Settings of a page: bits, if fewer than the dtype's; planar; compression; extra, the ExtraSamples; predictor;
    rows_per_strip; tags, (tag, type, values) that are added or replace others, or leave them out if empty; pieces, the
    tiles in place of strips.  more: pages after the first, (samples, photometric, settings); with the setting sub they
    are SubIFDs of the first.
    """
    pages = [(samples, photometric, settings), *more]
    chain = [page for page in pages if not page[2].get("sub")]
    body, below = b"", []
    for page in pages:
        if page[2].get("sub"):
            below.append(8 + len(body))
            body += _page(*page, order, 8 + len(body), 0)
    if below:
        settings["tags"] = [*settings.get("tags", ()), (330, 4, tuple(below))]
    first = 8 + len(body)
    for number, page in enumerate(chain, start=1):
        start = 8 + len(body)
        after = start + len(_page(*page, order, start, 0))
        body += _page(*page, order, start, after if number < len(chain) else 0)
    return (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, first) + body


def _page(samples, photometric, settings, order, start, after):
    """A page that begins at `start`; the next one at `after`."""
    height, width, channels = samples.shape
    bits = settings.get("bits", 8 * samples.dtype.itemsize)
    planar, rows = settings.get("planar", 1), settings.get("rows_per_strip") or height
    compression, predictor = settings.get("compression", "none"), settings.get("predictor", 1)
    planes = [samples] if planar == 1 else [samples[..., number : number + 1] for number in range(channels)]
    pieces = settings.get("pieces") or [
        _packed(plane[top : top + rows], order, bits, predictor, compression)
        for plane in planes
        for top in range(0, height, rows)
    ]
    tags = {
        256: (4, (width,)),
        257: (4, (height,)),
        258: (3, (bits,) * channels),
        259: (3, (COMPRESSIONS[compression],)),
        262: (3, (photometric,)),
        277: (3, (channels,)),
        278: (4, (rows,)),
        279: (4, tuple(map(len, pieces))),
        284: (3, (planar,)),
        317: (3, (predictor,) if predictor > 1 else ()),
        338: (3, tuple(settings.get("extra", ()))),
        339: (3, ({"u": 1, "i": 2, "f": 3}[samples.dtype.kind],) * channels),
        324 if "pieces" in settings else 273: (4, (0,) * len(pieces)),
    }
    tags |= {tag: (kind, numbers) for tag, kind, numbers in settings.get("tags", ())}
    tags = {tag: value for tag, value in sorted(tags.items()) if value[1]}
    place = start + 2 + 12 * len(tags) + 4
    offsets = tuple(place + sum(map(len, pieces[:number])) for number in range(len(pieces)))
    tags[324 if "pieces" in settings else 273] = 4, offsets
    place += sum(map(len, pieces))
    table, beyond = struct.pack(order + "H", len(tags)), b""
    for tag, (kind, numbers) in tags.items():
        packed = b"".join(struct.pack(order + LETTERS[kind], number) for number in numbers)
        table += struct.pack(order + "HHI", tag, kind, len(numbers))
        if len(packed) <= 4:
            table += packed.ljust(4, b"\0")
        else:
            table += struct.pack(order + "I", place + len(beyond))
            beyond += packed + bytes(len(packed) % 2)
    return table + struct.pack(order + "I", after) + b"".join(pieces) + beyond


def _packed(part, order, bits, predictor, compression):
    part = part.astype(part.dtype.newbyteorder(order))
    if predictor == 2:
        differences = part.copy()
        differences[:, 1:] = part[:, 1:] - part[:, :-1]
        part = differences
    if bits < 8 * part.dtype.itemsize:
        rows = part.reshape(len(part), -1).astype(np.uint32)
        each = (rows[..., None] >> np.arange(bits)[::-1]) & 1
        data = np.packbits(each.reshape(len(part), -1).astype(np.uint8), axis=1).tobytes()
    else:
        data = part.tobytes()
    if compression == "deflate":
        return zlib.compress(data)
    if compression in ("lzw", "packbits"):
        return _by_pillow(data, compression)
    return data


def _by_pillow(data, compression):
    """Compressed as one row of a grey picture."""
    buffer = BytesIO()
    Image.frombytes("L", (len(data), 1), data).save(
        buffer, "TIFF", compression=f"tiff_{compression}" if compression == "lzw" else "packbits"
    )
    with Image.open(buffer) as image:
        (offset,), (length,) = image.tag_v2[273], image.tag_v2[279]
    return buffer.getvalue()[offset : offset + length]
