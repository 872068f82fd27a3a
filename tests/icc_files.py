"""ICC profiles, for tests."""

from __future__ import annotations

import struct

import numpy as np


def make_profile(space, tags, device=b"mntr", connection=b"XYZ "):
    """A minimal ICC profile, version 2, from its tags."""
    offset = 128 + 4 + 12 * len(tags)
    table, content = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        table += name + struct.pack(">II", offset + len(content), len(data))
        content += data + bytes(-len(data) % 4)
    header = struct.pack(">I4xI4s4s4s12x4s", offset + len(content), 0x02400000, device, space, connection, b"acsp")
    header += bytes(68 - len(header)) + struct.pack(">3i", 63190, 65536, 54061)  # the D50 white
    return header.ljust(128, b"\0") + table + content


def xyz(*values):
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))


def gamma(exponent):
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(exponent * 256)) + b"\0\0"


D50 = xyz(0.9642, 1, 0.8249)
SRGB_RED, SRGB_GREEN, SRGB_BLUE = (
    xyz(0.4360, 0.2225, 0.0139),
    xyz(0.3851, 0.7169, 0.0971),
    xyz(0.1431, 0.0606, 0.7141),
)


def rgb_profile(red, green, blue, exponent):
    curve = gamma(exponent)
    tags = {b"wtpt": D50, b"rXYZ": red, b"gXYZ": green, b"bXYZ": blue}
    return make_profile(b"RGB ", tags | {b"rTRC": curve, b"gTRC": curve, b"bTRC": curve})


def only_black_counts_profile():
    """A CMYK profile of a press whose coloured inks are invisible: 2 ** 4 grid points in Lab."""
    identity = bytes(range(256))
    matrix = struct.pack(">9i", *np.ravel(np.eye(3, dtype=int) * 65536))
    grid = b"".join(bytes([255 * (1 - point % 2), 128, 128]) for point in range(16))  # black varies fastest
    lut = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + matrix + identity * 4 + grid + identity * 3
    return make_profile(b"CMYK", {b"wtpt": D50, b"A2B0": lut}, device=b"prtr", connection=b"Lab ")


def table_profile(*names):
    """A profile of RGB that is made of tables: 2 ** 3 grid points in Lab."""
    identity = bytes(range(256))
    matrix = struct.pack(">9i", *np.ravel(np.eye(3, dtype=int) * 65536))
    grid = b"".join(bytes([85 * bin(point).count("1"), 128, 128]) for point in range(8))
    lut = b"mft1\0\0\0\0" + bytes([3, 3, 2, 0]) + matrix + identity * 3 + grid + identity * 3
    return make_profile(b"RGB ", dict.fromkeys(names or (b"A2B0", b"B2A0"), lut), connection=b"Lab ")
