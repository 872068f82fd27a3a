"""A lesson's file, split into cells."""

from __future__ import annotations

import pytest

from scratchnst.classroom import script
from scratchnst.errors import UserError

LESSON = r'''r"""
Slopes and :math:`h`
====================

After this lesson you can

* find a slope,
* say why :math:`h`
  must not be too small.

It needs lesson 1.
"""

import numpy as np

# %%
# First
# -----
#
# Some prose.

x = np.arange(3)


def double(x):
    # a comment of the code
    return 2 * x


# %%
# More prose, no code.

# %%
print(x)  # code without prose

# %%
# The end.
'''
ODD = {
    "no blank line": '"""A\n=\n"""\nx = 1\n# %%\n# prose\ny = 2\n',
    "header with words": '"""A\n=\n"""\n# %% [markdown] of an editor\n# prose\n\ny = 2\n#%%\n# more\n',
    "line of hashes": '"""A\n=\n"""\n\n####################\n# prose\n#\n# more\n\n\ny = 2\n',
    "indented prose": '"""A\n=\n"""\n# %%\n#   prose\n#\n#       more\n\n\n\n# a comment\ny = 2',
    "nothing in a cell": '"""A\n=\n"""\n# %%\n\n# %%\n# %%\n#\n\ny = 2\n',
    "only a docstring": '"""\n\nA\n=\n\ntext\n"""\n',
    "prose at the end": '"""A\n=\n"""\n# %%\n# prose',
    "comment first": '# a comment\n"""A\n=\n"""\nx = 1\n',
    "no text": '"""A\n=\n"""\n# %%\nx = 1\n# %%\nx = 2\n',
}


def written(folder, text, name="01_slopes.py"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_cells(tmp_path):
    lesson = script.read(written(tmp_path, LESSON))
    assert lesson.title == "Slopes and :math:`h`"
    assert [(cell.prose[:5], cell.code[:6], cell.line) for cell in lesson.cells] == [
        ("Slope", "import", 14),
        ("First", "x = np", 22),
        ("More ", "print(", 34),
        ("The e", "", 37),
    ]
    assert lesson.cells[1].prose == "First\n-----\n\nSome prose."
    assert lesson.cells[1].code.endswith("    # a comment of the code\n    return 2 * x")


@pytest.mark.parametrize("text", [LESSON, *ODD.values()], ids=["whole", *ODD])
def test_code_stands_where_its_cell_says(tmp_path, text):
    cells = script.read(written(tmp_path, text)).cells
    assert cells
    for cell in cells:
        lines = text.splitlines()[cell.line - 1 :] if cell.code else []
        assert lines[: cell.code.count("\n") + bool(cell.code)] == cell.code.splitlines()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = (", "line 1 is not Python"),
        ("x = 1\n", "does not begin with a docstring"),
        ('"""No title."""\n', "does not begin with a docstring"),
        ("", "does not begin with a docstring"),
        ("\0", "is not Python"),
    ],
)
def test_no_lesson(tmp_path, text, said):
    with pytest.raises(UserError, match=said):
        script.read(written(tmp_path, text))


def test_no_file(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        script.read(tmp_path / "none.py")
    with pytest.raises(UserError, match="cannot be read"):
        script.read(tmp_path)


def test_no_unicode(tmp_path):
    (tmp_path / "a.py").write_bytes(b'"""\xff\n=\n"""\n')
    with pytest.raises(UserError, match="is not Python"):
        script.read(tmp_path / "a.py")
