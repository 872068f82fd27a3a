"""LaTeX formulas in the characters of a terminal: in one line within a text, laid out in rows when displayed."""

from scratchnst.classroom.formulas.layout import displayed, in_line

__all__ = ["displayed", "in_line"]
