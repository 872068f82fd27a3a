"""A lesson as its file holds it: cells of prose in reStructuredText, each with the code below it.

The form is sphinx-gallery's: the file opens with a docstring; `# %%` on a line of its own begins a cell, the comment
lines directly below it are prose, and what follows up to the next `# %%` is code.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

from scratchnst.errors import UserError

HEADER = re.compile(r"#{20,}|# ?%%")
TITLE = re.compile(r"\s*(?P<title>\S.*)\n=+\n")
AIMS = re.compile(r"^After this lesson you can.*\n\n(?P<items>(?:[*] .*\n(?:(?: .*)?\n)*)+)", re.MULTILINE)


class Block(NamedTuple):
    """A piece of a lesson.

    Attributes
    ----------
    kind : str
        "text" or "code".
    content : str
        The text without its comment signs, or the code with the blank lines around it.
    line : int
        The first line in the file, from 1.
    """

    kind: str
    content: str
    line: int


class Cell(NamedTuple):
    """A step of a lesson: prose, and the code that it leads to.

    Attributes
    ----------
    prose : str
        In reStructuredText; empty if there is none.
    code : str
        Without blank lines around it; empty if there is none.
    line : int
        The first line of the code in the file, from 1; the first line of the prose where there is no code.
    """

    prose: str
    code: str
    line: int


@dataclass(frozen=True)
class Script:
    """A lesson's file, read.

    Attributes
    ----------
    path : Path
        The file.
    title : str
        Of the lesson.
    aims : tuple of str
        What one can do after it, in reStructuredText.
    cells : tuple of Cell
        The first begins with the docstring.
    tree : ast.Module
        The whole file, with its line numbers.
    """

    path: Path
    title: str
    aims: tuple[str, ...]
    cells: tuple[Cell, ...]
    tree: ast.Module


def read(path: Path) -> Script:
    """Read a lesson.

    Raises
    ------
    UserError
        The file cannot be read, is no Python, or does not begin with a docstring with a title.
    """
    try:
        source = path.read_text(encoding="utf-8")
        tree = ast.parse(source, str(path))
    except OSError as error:
        raise UserError(f"the lesson {path} cannot be read ({error.strerror}).") from None
    except (SyntaxError, ValueError) as error:  # ValueError: not UTF-8, or null bytes
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise UserError(f"the lesson {path}{line} is not Python ({getattr(error, 'msg', error)}).") from None
    docstring = ast.get_docstring(tree) or ""
    title = TITLE.match(docstring + "\n")
    if not title:
        raise UserError(f"the lesson {path} does not begin with a docstring whose title is underlined with =.")
    cells = _pair(split(source, tree))
    return Script(path, title["title"].strip(), _aims(docstring), tuple(cells), tree)


def split(source: str, tree: ast.Module) -> list[Block]:
    """Split a lesson into text and code, exactly as sphinx-gallery does; `tree` is `source`, parsed."""
    opening = tree.body[0]
    assert isinstance(opening, ast.Expr)
    blocks = [Block("text", ast.get_docstring(tree) or "", 1)]
    lines = source.splitlines(keepends=True)
    position = opening.end_lineno or 0  # lines done, so the next one has this index
    while position < len(lines):
        start = position
        kind = "text" if HEADER.match(lines[position]) else "code"
        if kind == "text":
            start = position = position + 1  # without the header
            while position < len(lines) and lines[position].startswith("#"):
                position += 1
            content = dedent("".join(line[1:] for line in lines[start:position])).lstrip()
        else:
            while position < len(lines) and not HEADER.match(lines[position]):
                position += 1
            content = "".join(lines[start:position])
        if content.strip():
            blocks.append(Block(kind, content, start + 1))
    return blocks


def _pair(blocks: list[Block]) -> list[Cell]:
    """Join each text with the code below it."""
    cells: list[Cell] = []
    for block in blocks:
        if block.kind == "text":
            cells.append(Cell(block.content.strip(), "", block.line))
            continue
        blank = len(block.content) - len(block.content.lstrip())
        line = block.line + block.content[:blank].count("\n")
        prose = cells.pop().prose if cells and not cells[-1].code else ""
        cells.append(Cell(prose, block.content.strip(), line))
    return cells


def _aims(docstring: str) -> tuple[str, ...]:
    found = AIMS.search(docstring + "\n")
    items = re.split(r"^[*] ", found["items"], flags=re.MULTILINE)[1:] if found else []
    return tuple(" ".join(item.split()) for item in items)
