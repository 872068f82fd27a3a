"""Lessons as Jupyter notebooks, converted by sphinx-gallery from the same scripts.

Three things that its converter leaves in reStructuredText or LaTeX are translated here: tables, literal text, and the
``align`` around formulas, which not every editor of notebooks shows.  With pandoc it translates them too, but restarts
the levels of headings in every cell.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nbformat
from docutils import nodes
from sphinx_gallery.gen_gallery import DEFAULT_GALLERY_CONF
from sphinx_gallery.notebook import jupyter_notebook
from sphinx_gallery.py_source_parser import split_code_and_text_blocks

from scratchnst.classroom import prose
from scratchnst.classroom.library import Lesson
from scratchnst.errors import UserError
from scratchnst.files import open_input, write_atomically

TABLE = re.compile(r"^(?P<border>=+(?: +=+)+)\n(?:.*\n)+?(?P=border)\n(?:(?:.*\S.*\n)+(?P=border)\n)?", re.MULTILINE)
LITERAL = re.compile(r"(?<=\S)(?<!\.\. math)::\n(?=\n+ )")
ALIGN = re.compile(r"\\begin\{align\}(.*?)\\end\{align\}", re.DOTALL)
MARK = "scratchnst"  # in a notebook's metadata, a digest of what was written
INDENT = re.compile(r"^ {4}", re.MULTILINE)
MATH = re.compile(r":math:`(.+?)`", re.DOTALL)


def write_notebooks(lessons: Iterable[Lesson], folder: Path) -> list[Path]:
    """Write a notebook for each lesson, and return their paths.

    Parameters
    ----------
    lessons : iterable of Lesson
        Which ones.
    folder : Path
        Where to; created if need be.

    Raises
    ------
    UserError
        A notebook is there already and was changed: it may hold a learner's own work.  Nothing is written then; nor is
        it if the folder cannot be.
    """
    texts = {folder / f"{lesson.name}.ipynb": nbformat.writes(notebook(lesson.path)) + "\n" for lesson in lessons}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in texts:
            if path.exists() and not _is_as_written(path):
                raise UserError(
                    f"{path} is there already, and somebody has worked in it: move it, or name another folder."
                )
    except OSError as error:
        raise UserError(f"notebooks cannot be written to {folder} ({error.strerror}): name another folder.") from None
    for path, text in texts.items():
        write_atomically(path, text.encode())
    return list(texts)


def notebook(path: Path) -> nbformat.NotebookNode:
    """Return a lesson's script as a notebook that has not run."""
    _, blocks = split_code_and_text_blocks(path)
    blocks = [block._replace(content=_translate(block.content)) if block.type == "text" else block for block in blocks]
    found = nbformat.from_dict(jupyter_notebook(blocks, copy.deepcopy(DEFAULT_GALLERY_CONF), path.parent))
    for cell in found.cells:
        cell.source = "".join(cell.source).strip()
        if cell.cell_type == "markdown":
            cell.source = ALIGN.sub(lambda match: f"$$\n{INDENT.sub('', match[1])}\n$$", cell.source)
    found.metadata[MARK] = _digest(found)
    nbformat.validate(found)
    return found


def _is_as_written(path: Path) -> bool:
    """Whether a notebook has been run at most, but not changed."""
    try:
        with open_input(path) as file:
            found = nbformat.reads(file.read().decode(), as_version=nbformat.NO_CONVERT)
        return found.metadata.get(MARK) == _digest(found)
    except (ValueError, AttributeError, nbformat.ValidationError):  # no notebook at all
        return False


def _digest(found: nbformat.NotebookNode) -> str:
    sources = json.dumps([[cell.cell_type, cell.source] for cell in found.cells])
    return hashlib.sha256(sources.encode()).hexdigest()


def _translate(text: str) -> str:
    """Put into Markdown what sphinx-gallery would leave in reStructuredText."""
    text = TABLE.sub(lambda match: _table(match[0]), text + "\n")
    return LITERAL.sub(":\n\n.. code-block:: text\n", text)


def _table(text: str) -> str:
    """Return a simple table of reStructuredText as one of Markdown, its cells still in reStructuredText."""
    (table,) = prose.parse(text).findall(nodes.table)
    rows = [[_cell(entry) for entry in row.children] for row in table.findall(nodes.row)]
    if not list(table.findall(nodes.thead)):
        rows.insert(0, [""] * len(rows[0]))  # Markdown has no table without a head
    rows.insert(1, ["---"] * len(rows[0]))
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _cell(entry: Any) -> str:
    """Return a cell's text in one line, without the bars that would end it."""
    text = " ".join(" ".join(child.rawsource.split()) for child in entry.children)
    text = MATH.sub(lambda match: match[0].replace(r"\|", r"\Vert ").replace("|", r"\vert "), text)
    return re.sub(r"(?<!\\)\|", r"\|", text)
