"""What users are told: one line, without what a terminal would obey, and of bounded length."""

from __future__ import annotations

import re
import sys
from contextlib import suppress

LONGEST = 2000  # characters of a message
LONG_WORD = re.compile(r"\S{300,}")
HEAD, TAIL = 120, 60  # characters that are kept of a long word


def printable(text: str) -> str:
    """Return text without what would act on a terminal: escape sequences, colours, changes of direction."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def one_line(text: object) -> str:
    """Return `text` in one line: what is not printable is escaped, long words are shortened, and it ends somewhere."""
    shortened = LONG_WORD.sub(lambda word: f"{word[0][:HEAD]}...{word[0][-TAIL:]}", printable(str(text)))
    return shortened if len(shortened) <= LONGEST else f"{shortened[:LONGEST]}..."


def complain(sentence: object) -> None:
    """Print a line on standard error, if anybody can read it."""
    if sys.stderr is not None:  # None would send it to standard output
        with suppress(OSError):
            print(f"scratchnst: {one_line(sentence)}", file=sys.stderr)
