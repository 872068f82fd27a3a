"""Boxes of characters, put beside and above each other: what a formula in a terminal is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from rich.cells import cell_len

# Brackets for two rows and more: the first row, those between, the last row, and the middle one where it differs.
TALL = {
    "(": "⎛⎜⎝",
    ")": "⎞⎟⎠",
    "[": "⎡⎢⎣",
    "]": "⎤⎥⎦",
    "{": "⎧⎪⎩⎨",
    "}": "⎫⎪⎭⎬",
    "⌊": "⎢⎢⎣",
    "⌋": "⎥⎥⎦",
    "⌈": "⎡⎢⎢",
    "⌉": "⎤⎥⎥",
    "|": "│││",
    "‖": "‖‖‖",
}


@dataclass(frozen=True)
class Box:
    """Rows of equal width.

    Attributes
    ----------
    rows : tuple of str
        From top to bottom.
    base : int
        The row that stands on the line of its neighbours.
    """

    rows: tuple[str, ...]
    base: int = 0

    @property
    def width(self) -> int:
        """Width in columns of the terminal; combining accents take none."""
        return cell_len(self.rows[0])

    @property
    def height(self) -> int:
        """Number of rows."""
        return len(self.rows)


def text(characters: str) -> Box:
    """Return a box of one row."""
    return Box((characters,))


def beside(boxes: Sequence[Box]) -> Box:
    """Put boxes beside each other, all of them on one line."""
    if not boxes:
        return text("")
    above = max(box.base for box in boxes)
    below = max(box.height - box.base for box in boxes)
    columns = []
    for box in boxes:
        blank = (" " * box.width,)
        columns.append(blank * (above - box.base) + box.rows + blank * (below - box.height + box.base))
    return Box(tuple("".join(row) for row in zip(*columns)), above)


def above_each_other(boxes: Sequence[Box], base: int, align: str = "center") -> Box:
    """Stack boxes; box number `base` is the one on the line of the neighbours."""
    width = max(box.width for box in boxes)
    rows = tuple(_pad(row, width, align) for box in boxes for row in box.rows)
    return Box(rows, sum(box.height for box in boxes[:base]) + boxes[base].base)


def fraction(above: Box, below: Box) -> Box:
    """Put one box over another, with a bar between them."""
    return above_each_other([above, text("─" * max(above.width, below.width)), below], base=1)


def grid(cells: Sequence[Sequence[Box]], align: str, gap: int, loose: bool = False) -> Box:
    """Arrange rows of boxes in columns.

    Parameters
    ----------
    cells : sequence of sequences of Box
        The rows; a short one is filled up.
    align : str
        "l", "c" or "r" for each column; begins anew where there are more columns.
    gap : int
        Blanks between columns.
    loose : bool
        With an empty row between all rows; else only where a row is higher than one.
    """
    count = max(map(len, cells))
    filled = [[*row, *[text("")] * (count - len(row))] for row in cells]
    widths = [max(row[column].width for row in filled) for column in range(count)]
    names = {"l": "left", "c": "center", "r": "right"}
    rows = []
    for row in filled:
        padded = []
        for column, box in enumerate(row):
            sides = names[align[column % len(align)]]
            padded.append(Box(tuple(_pad(line, widths[column], sides) for line in box.rows), box.base))
            padded.append(text(" " * gap))
        rows.append(beside(padded[:-1]))
    spaced = [rows[0]]
    for above, below in pairwise(rows):
        if loose or above.height > 1 or below.height > 1:
            spaced.append(text(""))
        spaced.append(below)
    stack = above_each_other(spaced, 0, "left")
    return Box(stack.rows, (stack.height - 1) // 2)


def bracket(left: str, box: Box, right: str) -> Box:
    """Put brackets, "" for none, around a box, as high as it is."""
    return beside([side for side in (_tall(left, box), box, _tall(right, box)) if side.width])


def scripts(box: Box, superscript: Box | None, subscript: Box | None) -> Box:
    """Put a superscript above the first row of a box, and a subscript below its last, both to the right."""
    upper = list(superscript.rows) if superscript else []
    lower = list(subscript.rows) if subscript else []
    width = max(part.width for part in (superscript, subscript) if part)
    middle = box.height
    if box.height > 1:  # beside the first and the last row, not beyond them
        middle -= bool(upper) + bool(lower)
    rows = [_pad(row, width, "left") for row in [*upper, *[""] * middle, *lower]]
    rises = len(upper) - (1 if upper and box.height > 1 else 0)
    return beside([box, Box(tuple(rows), rises + box.base)])


def _tall(character: str, beside_box: Box) -> Box:
    height, base = beside_box.height, beside_box.base
    if height == 1 or not character:
        return text(character)
    if character not in TALL:
        return Box(tuple(character if row == base else " " for row in range(height)), base)
    first, between, last, *middle = list(TALL[character])
    rows = [first, *[between] * (height - 2), last]
    if middle and height > 2:
        rows[(height - 1) // 2] = middle[0]
    return Box(tuple(rows), base)


def _pad(row: str, width: int, align: str) -> str:
    missing = width - cell_len(row)
    left = {"left": 0, "center": missing // 2, "right": missing}[align]
    return " " * left + row + " " * (missing - left)
