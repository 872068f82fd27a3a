"""ICC profiles of three curves and a matrix, as displays and cameras have, in floating point: LittleCMS's has 8 bits.

R, G and B in 0 to 1 become light by a curve each, r = R_curve(R), and XYZ by the matrix whose columns are the primaries
(ICC.1:2022, F.3)::

    XYZ = M (r, g, b)
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import ImageCms

_GRID = np.linspace(0, 1, 1 << 16)  # where curves are known: at every value of 16 bits
_LEAST = 1e-9
_FIXED = 65536  # 1 as s15Fixed16Number
_PARAMETERS = (1, 3, 4, 5, 7)  # of each type of a parametric curve


@dataclass(frozen=True)
class MatrixProfile:
    """A profile: its matrix (3, 3) and its curves (3, 65536)."""

    matrix: np.ndarray
    curves: tuple[np.ndarray, ...]

    def to_xyz(self, colours: np.ndarray) -> np.ndarray:
        """Return XYZ, of the D50 white, of colours (..., 3) from 0 to 1."""
        light = np.stack([np.interp(colours[..., k], _GRID, curve) for k, curve in enumerate(self.curves)], axis=-1)
        return light @ self.matrix.T

    def from_xyz(self, xyz: np.ndarray) -> np.ndarray:
        """Return the colours; those that it has not are clipped to 0 or 1."""
        light = xyz @ np.linalg.inv(self.matrix).T
        return np.stack([np.interp(light[..., k], curve, _GRID) for k, curve in enumerate(self.curves)], axis=-1)


def matrix_profile(data: bytes) -> MatrixProfile | None:
    """Return a profile, or None if it is of another kind, or damaged."""
    try:
        tags = _tags(data)
        if data[16:24] != b"RGB XYZ " or any(name.startswith(b"A2B") for name in tags):
            return None
        primaries = [_fixed(tags[name], 8, 3) for name in (b"rXYZ", b"gXYZ", b"bXYZ")]
        found = MatrixProfile(np.array(primaries).T, tuple(_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC")))
    except (KeyError, IndexError, ValueError, ZeroDivisionError, struct.error):
        return None
    is_sound = all(np.isfinite(curve).all() for curve in found.curves) and abs(np.linalg.det(found.matrix)) > _LEAST
    return found if is_sound else None


@lru_cache
def srgb() -> MatrixProfile:
    """Return the profile of sRGB, LittleCMS's own."""
    found = matrix_profile(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    assert found is not None
    return found


def between(before: MatrixProfile, after: MatrixProfile) -> Callable[[np.ndarray], np.ndarray]:
    """Return what turns colours (..., 3), 0 to 255, of one profile into those of another."""
    return lambda colours: 255 * after.from_xyz(before.to_xyz(colours / 255))


def _tags(data: bytes) -> dict[bytes, bytes]:
    """Return what stands under each tag."""
    (count,) = struct.unpack_from(">I", data, 128)
    entries = struct.iter_unpack(">4sII", data[132 : 132 + 12 * count])
    return {name: data[start : start + size] for name, start, size in entries}


def _fixed(tag: bytes, start: int, count: int) -> list[float]:
    """Return numbers of type s15Fixed16Number."""
    return [number / _FIXED for number in struct.unpack_from(f">{count}i", tag, start)]


def _curve(tag: bytes) -> np.ndarray:
    """Return the values of a curve at `_GRID`, which rise."""
    curve = {b"curv": _sampled_curve, b"para": _parametric_curve}[tag[:4]](tag)
    return np.maximum.accumulate(np.clip(curve, 0, 1))


def _sampled_curve(tag: bytes) -> np.ndarray:
    """Return a curve that is given by no sample, the identity, by an exponent, or by samples between which it is
    linear.
    """
    (count,) = struct.unpack_from(">I", tag, 8)
    samples = struct.unpack_from(f">{count}H", tag, 12)
    if count <= 1:
        return _GRID ** (samples[0] / 256 if samples else 1)
    return np.interp(_GRID, np.linspace(0, 1, count), np.array(samples) / 65535)


def _parametric_curve(tag: bytes) -> np.ndarray:
    """Return a curve that is given by a formula: a power of a X + b from some X on, linear or constant below it."""
    (kind,) = struct.unpack_from(">H", tag, 8)
    g, a, b, c, d, e, f = [*_fixed(tag, 12, _PARAMETERS[kind]), *[0.0] * 7][:7]
    if kind == 0:
        return _GRID**g
    if kind in (1, 2):  # constant below the X where the power begins
        edge, constant, slope, offset = -b / a, c, 0.0, c
    else:
        edge, constant, slope, offset = d, e, c, f
    power = np.maximum(a * _GRID + b, 0) ** g + constant
    return np.where(edge <= _GRID, power, slope * _GRID + offset)
