"""Lessons as notebooks, and that they run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scratchnst.classroom.library import Lesson
from scratchnst.cli import main
from scratchnst.errors import UserError

pytest.importorskip("sphinx_gallery")
nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")
notebooks = pytest.importorskip("scratchnst.classroom.notebooks")

LESSONS = sorted((Path(__file__).parents[2] / "lessons").glob("[0-9]*/lesson.py"))
LEFT = re.compile(r":math:|^\.\. |::$|^==|\w>`_", re.MULTILINE)  # of reStructuredText
TEXT = r'''r"""
Slopes
======

Symbols:

===================  ==============================
symbol               meaning
===================  ==============================
:math:`|x|, \|v\|`   size, and
                     length
``a | b``            or
===================  ==============================
"""

x = 1

# %%
# One
# ---
#
# With :math:`x_i` and *two* ``words``,
#
# .. math::
#
#     \begin{aligned}
#     a &= b \\
#     &= c
#     \end{aligned}
#
# and by hand, for :math:`x`::
#
#     1 2
#
#     3 4
#
# and on. See `the paper <https://example.org>`_.

assert x == 1
'''
OPENING = r"""# Slopes

Symbols:

| symbol | meaning |
| --- | --- |
| $\vert x\vert , \Vert v\Vert $ | size, and length |
| ``a \| b`` | or |"""
SECTION = r"""## One

With $x_i$ and *two* ``words``,

$$
\begin{aligned}
a &= b \\
&= c
\end{aligned}
$$

and by hand, for $x$:

```text
1 2

3 4
```
and on. See [the paper](https://example.org)."""


@pytest.fixture
def lesson(tmp_path):
    lesson = Lesson(tmp_path / "03_slopes")
    lesson.folder.mkdir()
    lesson.path.write_text(TEXT)
    return lesson


def test_markdown(lesson):
    opening, code, section, check = notebooks.notebook(lesson.path).cells
    assert opening.source == OPENING
    assert section.source == SECTION
    assert (code.source, check.source) == ("x = 1", "assert x == 1")


def test_writes(lesson, tmp_path):
    folder = tmp_path / "new" / "notebooks"
    (path,) = notebooks.write_notebooks([lesson], folder)
    assert path == folder / "03_slopes.ipynb"
    assert [cell.source for cell in nbformat.read(path, 4).cells][1] == "x = 1"
    with pytest.raises(UserError, match="cannot be written"):
        notebooks.write_notebooks([lesson], path)


def test_a_new_text_replaces_what_was_only_run(lesson, tmp_path):
    (path,) = notebooks.write_notebooks([lesson], tmp_path)
    ran = nbformat.read(path, 4)
    ran.cells[1].update(execution_count=1, outputs=[nbformat.v4.new_output("stream", text="text")])
    nbformat.write(ran, path)
    lesson.path.write_text(TEXT.replace("x = 1", "x = 2"))
    notebooks.write_notebooks([lesson], tmp_path)
    assert nbformat.read(path, 4).cells[1].source == "x = 2"


def test_does_not_touch_what_a_learner_has_changed(lesson, tmp_path):
    (path,) = notebooks.write_notebooks([lesson], tmp_path)
    mine = nbformat.read(path, 4)
    mine.cells.append(nbformat.v4.new_code_cell("x = 3"))
    nbformat.write(mine, path)
    for content in (path.read_bytes(), b"", b"no notebook", b"[]", b"{}"):
        path.write_bytes(content)
        with pytest.raises(UserError, match="somebody has worked in it"):
            notebooks.write_notebooks([lesson], tmp_path)
        assert path.read_bytes() == content


def test_runs(lesson):
    _run(notebooks.notebook(lesson.path))


@pytest.mark.skipif(not LESSONS, reason="there are no lessons here")
def test_command(tmp_path, capsys):
    assert main(["lesson", "--notebooks", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines() == [str(tmp_path / f"{path.parent.name}.ipynb") for path in LESSONS]


def test_command_with_options_for_reading(tmp_path, capsys):
    assert main(["lesson", "--notebooks", str(tmp_path), "--no-pause"]) == 2
    assert "leave out the other options" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_every_lesson_runs_as_a_notebook(path, monkeypatch):
    found = notebooks.notebook(path)
    markdown = "\n".join(cell.source for cell in found.cells if cell.cell_type == "markdown")
    assert not LEFT.search(markdown)
    monkeypatch.setenv("SCRATCHNST_LESSONS", "small")
    _run(found)


def _run(found):
    """Run a notebook in a kernel of its own; an error in a cell is raised, and a warning is one too."""
    nbclient.NotebookClient(found, timeout=300, kernel_name="python3").execute()
    printed = [output for cell in found.cells for output in cell.get("outputs", [])]
    assert [output.text for output in printed if output.get("name") == "stderr"] == []
