"""TIFF files of any layout, for tests: Pillow writes but a few."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import numpy as np
from PIL import Image

SIZES = {2: 1, 3: 2, 4: 4, 13: 4}  # bytes of a value of each type: text, short, long, offset


def make_tiff(
    samples,
    photometric=2,
    *,
    bits=None,
    order="<",
    planar=1,
    compression="none",
    extra=(),
    predictor=1,
    rows_per_strip=None,
    tags=(),
    more=(),
):
    """A TIFF of an array (H, W, C), whose dtype tells the bits and format of a sample.

    extra : the ExtraSamples; tags : (tag, type, values) that are added or replace others; more : pages after the first,
    each (samples, photometric, settings); one with settings {"sub": True} becomes the SubIFD of the first.
    """
    data = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    pages = [
        (
            samples,
            photometric,
            dict(
                bits=bits,
                planar=planar,
                compression=compression,
                extra=extra,
                predictor=predictor,
                rows_per_strip=rows_per_strip,
                tags=tags,
            ),
        ),
        *more,
    ]
    chain = [page for page in pages if not page[2].get("sub")]
    subs = [page for page in pages if page[2].get("sub")]
    body = b""
    sub_offsets = []
    for page in subs:
        start = 8 + len(body)
        sub_offsets.append(start)
        body += _page(page, order, start, 0)
    first = 8 + len(body)
    if sub_offsets:
        chain[0][2]["tags"] = (*chain[0][2].get("tags", ()), (330, 4, tuple(sub_offsets)))
    for number, page in enumerate(chain):
        start = 8 + len(body)
        last = number == len(chain) - 1
        length = len(_page(page, order, start, 0))
        body += _page(page, order, start, 0 if last else start + length)
    return data[:4] + struct.pack(order + "I", first) + body


def _page(page, order, start, after):
    samples, photometric, settings = page
    height, width, channels = samples.shape
    kind, itemsize = samples.dtype.kind, samples.dtype.itemsize
    bits = settings.get("bits") or 8 * itemsize
    planar, rows = settings.get("planar", 1), settings.get("rows_per_strip") or height
    planes = [samples] if planar == 1 else [samples[..., i : i + 1] for i in range(channels)]
    strips = [
        _packed(plane[top : top + rows], order, bits, settings.get("predictor", 1), settings.get("compression", "none"))
        for plane in planes
        for top in range(0, height, rows)
    ]
    number = {"none": 1, "lzw": 5, "deflate": 8, "packbits": 32773}[settings.get("compression", "none")]
    tags = {
        256: (4, (width,)),
        257: (4, (height,)),
        258: (3, (bits,) * channels),
        259: (3, (number,)),
        262: (3, (photometric,)),
        273: (4, (0,) * len(strips)),
        277: (3, (channels,)),
        278: (4, (rows,)),
        279: (4, tuple(map(len, strips))),
        284: (3, (planar,)),
    }
    if settings.get("predictor", 1) != 1:
        tags[317] = 3, (settings["predictor"],)
    if settings.get("extra"):
        tags[338] = 3, tuple(settings["extra"])
    if kind != "u":
        tags[339] = 3, ({"f": 3, "i": 2}[kind],) * channels
    tags |= {tag: (kind, values) for tag, kind, values in settings.get("tags", ())}
    tags = {tag: value for tag, value in tags.items() if value[1]}
    pixels = start + 2 + 12 * len(tags) + 4
    extra = pixels + sum(map(len, strips))
    offsets = np.cumsum([0, *map(len, strips)])[:-1] + pixels
    tags[273] = 4, tuple(map(int, offsets))
    out, values_out = struct.pack(order + "H", len(tags)), b""
    for tag, (kind, values) in sorted(tags.items()):
        packed = (
            values
            if isinstance(values, bytes)
            else b"".join(struct.pack(order + {1: "B", 3: "H", 4: "I", 13: "I"}[kind], value) for value in values)
        )
        out += struct.pack(order + "HHI", tag, kind, len(values))
        if len(packed) <= 4:
            out += packed.ljust(4, b"\0")
        else:
            out += struct.pack(order + "I", extra + len(values_out))
            values_out += packed + bytes(len(packed) % 2)
    return out + struct.pack(order + "I", after) + b"".join(strips) + values_out


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
