"""A lesson's prose, reStructuredText read by docutils, for a terminal drawn by rich."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from docutils import nodes
from docutils.core import publish_doctree
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from scratchnst.classroom.formulas import displayed, in_line

BLANK = "\u2800"  # looks like a blank, but rich breaks no line there
INDENT = 4  # columns, of formulas and literal text
LONGEST_UNBROKEN = 24  # columns; a longer formula within a text may be broken at its blanks
STYLES = {nodes.emphasis: "italic", nodes.strong: "bold", nodes.literal: "cyan", nodes.math: "green"}
SETTINGS = {
    "report_level": 5,  # nothing is reported to learners; tests check the lessons
    "halt_level": 5,
    "doctitle_xform": False,
    "file_insertion_enabled": False,
    "raw_enabled": False,
}


def parse(prose: str) -> nodes.document:
    """Parse reStructuredText; errors in it become system messages of docutils in the document."""
    return publish_doctree(prose, settings_overrides=SETTINGS)


def render(prose: str) -> RenderableType:
    """Return reStructuredText as something that rich can print."""
    return _blocks(parse(prose).children)


def plain(prose: str) -> str:
    """Return one line of reStructuredText as plain text, formulas included."""
    return _inline(parse(prose)).plain.replace(BLANK, " ")


class Paragraph:
    """Text whose formulas are not broken at their blanks."""

    def __init__(self, text: Text):
        self.text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in self.text.wrap(console, options.max_width):
            line.rstrip()
            line.plain = line.plain.replace(BLANK, " ")
            yield line

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Any:
        return self.text.__rich_measure__(console, options)


class Literal:
    """Text whose lines stay as they are, indented as far as the width allows."""

    def __init__(self, text: str):
        self.lines = text.splitlines()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        indent = max(0, min(INDENT, options.max_width - max(map(cell_len, self.lines), default=0)))
        for line in self.lines:
            yield Text(" " * indent + line, STYLES[nodes.literal], overflow="fold")


class Formula:
    """A formula on lines of its own, laid out for the width of the console."""

    def __init__(self, latex: str):
        self.latex = latex

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for row in displayed(self.latex, options.max_width):
            yield Text(row, style=STYLES[nodes.math], no_wrap=True, overflow="ignore")


def _blocks(children: Iterable[nodes.Node]) -> Group:
    """Put blocks below each other, with empty lines between them."""
    parts: list[RenderableType] = []
    for part in map(_block, children):
        if part is not None:
            parts += ["", part] if parts else [part]
    return Group(*parts)


def _block(node: Any) -> RenderableType | None:
    """Return one block; None for what is not shown."""
    if isinstance(node, nodes.section):
        return _blocks(node.children)
    if isinstance(node, nodes.title):
        title = _inline(node)
        return Group(Paragraph(Text(title.plain, "bold")), Text("─" * cell_len(title.plain), "bold", no_wrap=True))
    if isinstance(node, nodes.math_block):
        return Padding(Formula(node.astext()), (0, 0, 0, INDENT))
    if isinstance(node, nodes.literal_block):
        return Literal(node.astext())
    if isinstance(node, nodes.block_quote):
        return Padding(_blocks(node.children), (0, 0, 0, INDENT))
    if isinstance(node, (nodes.bullet_list, nodes.enumerated_list)):
        return _list(node)
    if isinstance(node, nodes.table):
        return _table(node)
    if isinstance(node, (nodes.system_message, nodes.comment, nodes.target)):
        return None
    return Paragraph(_inline(node))


def _list(node: Any) -> Table:
    """Return a list, its items hanging behind their bullets or numbers."""
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column()
    first = node.get("start", 1)
    for number, item in enumerate(node.children, start=first):
        mark = f"{number}." if isinstance(node, nodes.enumerated_list) else "•"
        table.add_row(f" {mark}", _blocks(item.children))
    return table


def _table(node: Any) -> Table:
    """Return a table with a bold head."""
    head = [row for part in node.findall(nodes.thead) for row in part.children]
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=bool(head), pad_edge=False)
    table.header_style = "bold underline"
    for column, _ in enumerate(node.findall(nodes.colspec)):
        table.add_column(_inline(head[0].children[column]) if head else "")
    for body in node.findall(nodes.tbody):
        for row in body.children:
            table.add_row(*(_blocks(entry.children) for entry in row.children))
    return table


def _inline(node: Any, style: str = "") -> Text:
    """Return the text within a block, styled."""
    text = Text()
    for child in node.children:
        own = f"{style} {STYLES.get(type(child), '')}".strip()
        if isinstance(child, nodes.math):
            formula = in_line(child.astext())
            text.append(formula.replace(" ", BLANK) if cell_len(formula) <= LONGEST_UNBROKEN else formula, own)
        elif isinstance(child, nodes.Text):
            text.append(re.sub(r"\s+", " ", child), style)
        elif isinstance(child, nodes.reference):
            text.append(_inline(child, own))
            address = child.get("refuri", "")
            if address and address != child.astext():
                text.append(f" ({address})")
        elif not isinstance(child, (nodes.system_message, nodes.target)):
            text.append(_inline(child, own))
    return text
