"""What a file is that holds no picture which can be read here, told from its first bytes."""

from __future__ import annotations


class NoPicture(Exception):
    """A file holds no picture that can be read; the message says what it is and what to do."""

    def __init__(self, what: str, advice: str):
        super().__init__(f"{what}: {advice}.")


RAW = "develop it with a camera raw program and save it as TIFF or JPEG first"
CONVERT = "convert it to PNG or JPEG first"

# Where the bytes begin, the bytes, what such a file is called, and what to do with it.
_SIGNATURES: tuple[tuple[int, bytes, str, str], ...] = (
    *((4, b"ftyp" + brand, "a HEIC picture", CONVERT) for brand in (b"hei", b"hev", b"mif1", b"msf1")),
    *(
        (4, b"ftyp" + brand, "an AVIF picture, damaged or of a kind that this Pillow does not read", CONVERT)
        for brand in (b"avif", b"avis")
    ),
    (4, b"ftypcrx", "a camera raw file", RAW),
    (4, b"ftyp", "a video", "save a frame of it as PNG first"),
    (0, b"\x1aE\xdf\xa3", "a video", "save a frame of it as PNG first"),
    (0, b"\xff\x0a", "a JPEG XL picture", CONVERT),
    (0, b"\0\0\0\x0cJXL ", "a JPEG XL picture", CONVERT),
    (0, b"8BPS", "a Photoshop file", "export it as PNG or TIFF first"),
    (0, b"gimp xcf", "a GIMP file", "export it as PNG first"),
    (0, b"IIRO", "a camera raw file", RAW),
    (0, b"IIRS", "a camera raw file", RAW),
    (0, b"MMOR", "a camera raw file", RAW),
    (0, b"IIU\0", "a camera raw file", RAW),
    (0, b"FUJIFILMCCD-RAW", "a camera raw file", RAW),
    (0, b"FOVb", "a camera raw file", RAW),
    (0, b"\0MRM", "a camera raw file", RAW),
    (0, b"%PDF", "a PDF", "save its page as PNG first"),
    (0, b"%!PS", "a PostScript file", "save it as PNG first"),
    (0, b"\xc5\xd0\xd3\xc6", "a PostScript file", "save it as PNG first"),
    (0, b"v/1\x01", "an OpenEXR picture", "save it with 8 bits a channel as PNG first"),
    (0, b"#?RADIANCE", "a Radiance HDR picture", "save it with 8 bits a channel as PNG first"),
    (0, b"\0\0\x01\0", "an icon", CONVERT),
    (0, b"icns", "an icon", CONVERT),
    (0, b"DDS ", "a DDS texture", CONVERT),
    (0, b"qoif", "a QOI picture", CONVERT),
    (0, b"\x8aMNG", "an MNG animation", CONVERT),
    (0, b"\xd7\xcd\xc6\x9a", "a Windows metafile", CONVERT),
    (0, b"II\xbc\x01", "a JPEG XR picture", CONVERT),
    (0, b"MM\0+", "a BigTIFF of a kind that is not read", CONVERT),
    (0, b"PK\x03\x04", "a ZIP archive", "unpack it and name the picture in it"),
    (0, b"\x1f\x8b", "a gzip archive", "unpack it and name the picture in it"),
    (0, b"version https://git-lfs", "a Git LFS pointer, not the picture itself", "fetch it with git lfs pull"),
)
_TEXTS = (  # of texts, the word by which each is known
    (b"<svg", "an SVG drawing", "save it as PNG first"),
    (b"<html", "a web page", "download the picture itself"),
    (b"<!doctype html", "a web page", "download the picture itself"),
)
HEAD = 4096  # bytes at the beginning in which all this is found


def known(head: bytes) -> tuple[str, str] | None:
    """Return what a file that begins with `head` is, and what to do with it; None if it is none of these."""
    for start, signature, what, advice in _SIGNATURES:
        if head.startswith(signature, start):
            return what, advice
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(b"<"):
        for word, what, advice in _TEXTS:
            if word in text:
                return what, advice
    return None
