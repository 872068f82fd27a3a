"""What a file is that holds no weights: a web page in place of a download, a pointer, an archive, a text, a picture."""

from __future__ import annotations

import re
from pathlib import Path

from scratchnst.weights.formats.archives import archive_names
from scratchnst.weights.formats.untrusted import listed, shown

_BEGINNING = 1024  # bytes

_SERVER = "in which servers tell errors: the download went wrong, get it again"
_PAGE = "a web page: the download went wrong, get it again"

# What a text is like, in lower case without spaces in front -> what it is, and what to do.
_TEXTS = (
    (
        rb"version https?://(?:git-lfs\.github\.com|hawser)",
        "a pointer of Git LFS in place of the file: run git lfs pull where it comes from",
    ),
    (rb".{0,300}annex/objects/", "a pointer of git-annex in place of the file: run git annex get where it comes from"),
    (rb"(?:<\?xml.*|<!--.*)?<(?:!doctype html|html|head|body|title|meta|script)\b", _PAGE),
    (rb"<[?a-z]", f"XML, {_SERVER}"),
    (rb"[{\[]\s*[\"{\[}\]]", f"JSON, {_SERVER}"),
)
_SIGNATURES = (
    (
        rb"\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf|Rar!|\x28\xb5\x2f\xfd|.{257}ustar",
        "a packed archive: unpack it and give the file in it",
    ),
    (rb"\x89PNG|\xff\xd8\xff|GIF8|RIFF....WEBP|II\*\0|MM\0\*", "a picture: give a file of weights"),
    (rb"%PDF", "a PDF: give a file of weights"),
    (rb"\0+\Z", "a file that begins with zeros alone: get it again"),
)


def describe(path: Path) -> str:
    """Return what a file of no known format is, and what to do, as the end of a sentence."""
    with path.open("rb") as file:
        head = file.read(_BEGINNING)
    if not head:
        return "it is empty: get it again"
    size = f" ({path.stat().st_size} bytes)"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for kinds, beginning in ((_TEXTS, text), (_SIGNATURES, head)):
        for pattern, kind in kinds:
            if re.match(pattern, beginning, re.DOTALL):
                what, colon, advice = kind.partition(":")
                return f"it is {what}{size}{colon}{advice}"
    names = archive_names(path)
    if names:
        return f"it is a zip archive{listed(names)}: unpack it and give the file of weights in it"
    if _is_text(head):
        return f"it is a text that begins {shown(text.decode('utf-8', 'replace'), 40)!r}{size}: give a file of weights"
    return "see weights/README.md for those that are"


def _is_text(head):
    return all(byte >= 32 or byte in b"\t\n\r\f" for byte in head)
