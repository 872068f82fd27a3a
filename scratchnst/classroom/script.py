"""A lesson as its file holds it: cells of prose in reStructuredText, each with the code below it.

The form is sphinx-gallery's: the file opens with a docstring; `# %%` on a line of its own begins a cell, the comment
lines directly below it are prose, and what follows up to the next `# %%` is code.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from scratchnst.errors import UserError

TITLE = re.compile(r"\s*(?P<title>\S.*)\n=+\n")


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
    tree : ast.Module
        The whole file, with its line numbers.
    """

    path: Path
    title: str
    tree: ast.Module

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """The cells; the first begins with the docstring."""
        from sphinx_gallery.py_source_parser import split_code_and_text_blocks  # titles can be read without it

        cells: list[Cell] = []
        for kind, content, line in split_code_and_text_blocks(self.path)[1]:
            if kind == "text":
                cells.append(Cell(content.strip(), "", line))
                continue
            blank = len(content) - len(content.lstrip())
            prose = cells.pop().prose if cells and not cells[-1].code else ""
            cells.append(Cell(prose, content.strip(), line + content[:blank].count("\n")))
        return tuple(cells)


def read(path: Path) -> Script:
    """Read a lesson.

    Raises
    ------
    UserError
        The file cannot be read, is no Python, or does not begin with a docstring with a title.
    """
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise UserError(f"the lesson {path} cannot be read ({error.strerror}).") from None
    except (SyntaxError, ValueError) as error:  # ValueError: not UTF-8, or null bytes
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise UserError(f"the lesson {path}{line} is not Python ({getattr(error, 'msg', error)}).") from None
    title = TITLE.match((ast.get_docstring(tree) or "") + "\n")
    if not title:
        raise UserError(f"the lesson {path} does not begin with a docstring whose title is underlined with =.")
    return Script(path, title["title"].strip(), tree)
