"""Prose as it appears in a terminal."""

from __future__ import annotations

from io import StringIO

import pytest
from docutils import nodes
from rich.cells import cell_len
from rich.console import Console

from scratchnst.classroom import prose

TEXT = r"""
Pooling
=======

After this lesson you can

* compute :math:`\partial L/\partial x_i` from ``grad_y``,
* see *why*, and **prove** it, see `the paper
  <https://example.org>`_.

==========  =====================
symbol      meaning
==========  =====================
:math:`x`   the input, (N, H, W, C)
:math:`h`   a step
==========  =====================

A sum
-----

Here is one,

.. math::

    y_i = \frac{x_i}{2}

and in code::

    y = x / 2   # for  all

1. first
2. second
"""

SHOWN = """\
Pooling
───────

After this lesson you can

 • compute ∂L/∂xᵢ from grad_y,
 • see why, and prove it, see the paper
   (https://example.org).

symbol  meaning
x       the input, (N, H, W, C)
h       a step

A sum
─────

Here is one,

         xᵢ
    yᵢ = ──
         2

and in code:

    y = x / 2   # for  all

 1. first
 2. second
"""


def shown(text, width=80, **settings):
    """Return what a console prints of a text, without blanks at the ends of lines."""
    console = Console(file=StringIO(), width=width, **settings)
    console.print(prose.render(text))
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


def test_every_kind_of_block():
    assert shown(TEXT, 40) == SHOWN


def test_styles_on_a_terminal():
    text = shown("*one* **two** ``three`` :math:`x_i`", force_terminal=True, color_system="standard")
    assert text == "\x1b[3mone\x1b[0m \x1b[1mtwo\x1b[0m \x1b[36mthree\x1b[0m \x1b[32mxᵢ\x1b[0m\n"


@pytest.mark.parametrize("width", [20, 30, 50, 120])
def test_keeps_to_the_width(width):
    lines = shown(TEXT, width).splitlines()
    assert max(map(cell_len, lines)) <= width


@pytest.mark.parametrize("width", range(12, 60))
def test_formulas_are_not_broken(width):
    text = r"a word and a word and :math:`x_i = y_i + b`, and more words, :math:`\langle u, v \rangle`."
    lines = shown(text, width).splitlines()
    assert any("xᵢ = yᵢ + b," in line for line in lines)
    assert any("⟨u, v⟩." in line for line in lines)


def test_long_formulas_are_broken_at_blanks():
    lines = shown(r":math:`x_1 + x_2 + x_3 + x_4 + x_5 + x_6 + x_7`", 16).splitlines()
    assert lines == ["x₁ + x₂ + x₃ +", "x₄ + x₅ + x₆ +", "x₇"]


def test_plain():
    assert prose.plain(r"see *why* :math:`x_i = 2`, ``here``") == "see why xᵢ = 2, here"


def test_mistakes_do_not_stop_a_lesson():
    text = "an *open emphasis\n\n.. unknown::\n\n    text\n\nTitle\n--\n\nthe end"
    assert "the end" in shown(text)
    assert list(prose.parse(text).findall(nodes.system_message))


def test_numbers_go_on():
    assert shown("3. three\n4. four") == " 3. three\n 4. four\n"
