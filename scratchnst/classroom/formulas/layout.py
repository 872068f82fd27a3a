"""From LaTeX to boxes of characters.

pylatexenc reads the LaTeX and knows the symbols.  The layout follows TeX: each atom of a formula is of a kind, and the
kinds of two neighbours settle the space between them (D. E. Knuth, The TeXbook, chapters 17 and 18).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import chain
from typing import Any, NamedTuple

from pylatexenc import latex2text
from pylatexenc.latexwalker import (
    LatexCharsNode,
    LatexCommentNode,
    LatexEnvironmentNode,
    LatexGroupNode,
    LatexMacroNode,
    LatexSpecialsNode,
    LatexWalker,
    LatexWalkerParseError,
)

from scratchnst.classroom.formulas import boxes, symbols
from scratchnst.classroom.formulas.boxes import Box

INDENT = 4  # of the further lines of a formula that is too wide for one
BREAKS = ("gap", "relation", "binary", "space")  # where a line may end, the best place first
BLANKS = {"space", "gap"}
FACTORS = {"ordinary", "open", "inner", "sum", "fraction"}  # what a fraction in front of it multiplies


class Atom(NamedTuple):
    """A piece of a formula.

    Attributes
    ----------
    kind : str
        "ordinary", "sum" (or another large operator), "function", "binary" operator, "relation", "open" or "close"
        (a bracket), "punctuation", "colon", "inner" (something with parts), "fraction" (in one line), "space", "gap"
        (a wide one).
    box : Box
        What it looks like.
    spaced : bool
        Whether its author has left a space before it.
    """

    kind: str
    box: Box
    spaced: bool = False


def in_line(latex: str) -> str:
    """Return a formula in one line; what cannot be read is returned as it is."""
    try:
        return _Layout(flat=True).box(_read(latex)).rows[0]
    except LatexWalkerParseError:
        return " ".join(latex.split())


def displayed(latex: str, width: int) -> list[str]:
    """Return the rows of a formula on lines of its own.

    Parameters
    ----------
    latex : str
        The formula; what cannot be read is returned as it is.
    width : int
        Columns that there are; a formula too wide is continued on further rows, where its author has left a wide
        space, before a relation, before an operator, or at any space.
    """
    try:
        nodes = _read(latex)
    except LatexWalkerParseError:
        return latex.splitlines()
    rows: list[str] = []
    for box in _Layout().lines(nodes, width):
        rows += [""] * bool(rows and box.height > 1)
        rows += box.rows
    return [row.rstrip() for row in rows]


def _read(latex: str) -> list[Any]:
    """Read LaTeX; a LatexWalkerParseError if that is impossible."""
    walker = LatexWalker(latex, latex_context=symbols.reading_context(), tolerant_parsing=False)
    return walker.get_latex_nodes()[0]


class _Layout:
    """Turns what pylatexenc has read into atoms and boxes.

    Parameters
    ----------
    flat : bool
        Everything in one line.
    tight : bool
        Without space around operators, as in scripts.
    """

    def __init__(self, flat: bool = False, tight: bool = False):
        self.flat, self.tight = flat, tight

    def box(self, nodes: Sequence[Any]) -> Box:
        """Return the box of a formula."""
        return self.join(self.atoms(_pieces(nodes)))

    def join(self, atoms: Sequence[Atom]) -> Box:
        """Put atoms beside each other, with the space that their kinds want."""
        atoms = _settle_signs(atoms)
        parts: list[Box] = []
        for left, atom, right in zip([None, *atoms], atoms, [*atoms[1:], None]):
            if left and not self.tight:
                parts.append(boxes.text(" " * _needs_space(left, atom)))
            ambiguous = atom.kind == "fraction" and right is not None and right.kind in FACTORS  # a/b c
            parts.append(_in_brackets(atom.box) if ambiguous else atom.box)
        return boxes.beside(parts)

    # Lines

    def lines(self, nodes: Sequence[Any], width: int) -> list[Box]:
        """Return the boxes of a formula, one below the other, none wider than `width` if that is possible."""
        alone = [node for node in nodes if not (isinstance(node, LatexCharsNode) and node.chars.isspace())]
        if len(alone) == 1 and isinstance(alone[0], LatexEnvironmentNode):
            box = self.environment(alone[0]).box
            if box.width <= width or _name(alone[0]) not in symbols.ALIGNED:
                return [box]
            nodes = alone[0].nodelist
        rows = (chain.from_iterable(row) for row in _rows(_pieces(nodes)))
        return [box for row in rows for box in self.broken(self.atoms(list(row)), width)]

    def broken(self, atoms: Sequence[Atom], width: int) -> list[Box]:
        """Break a formula that is too wide."""
        atoms = _settle_signs(atoms)
        for count in range(len(BREAKS) + 1):
            found = self.filled(_parts(atoms, BREAKS[:count]), width)
            if all(box.width <= width for box in found):
                break
        return found

    def filled(self, parts: list[list[Atom]], width: int) -> list[Box]:
        """Join parts to lines, as many as go into one; all but the first are indented."""
        lines = parts[:1]
        for part in parts[1:]:
            if self.join(lines[-1] + part).width + INDENT * (len(lines) > 1) <= width:
                lines[-1] = lines[-1] + part
            else:
                lines.append(part[part[0].kind in BLANKS :])
        first, *rest = map(self.join, lines)
        return [first, *(boxes.beside([boxes.text(" " * INDENT), box]) for box in rest)]

    # Atoms

    def atoms(self, pieces: list[Any]) -> list[Atom]:
        """Turn pieces into atoms, with their scripts."""
        atoms: list[Atom] = []
        position, spaced = 0, False
        while position < len(pieces):
            piece = pieces[position]
            if _is_blank(piece):
                position, spaced = position + 1, True
                continue
            if isinstance(piece, str) and piece in "^_'":  # nothing to attach it to
                atom, end = Atom("ordinary", boxes.text("")), position
            else:
                atom, end = self.atom(pieces, position)
            atom, position = self.with_scripts(atom, piece, pieces, end)
            if atom.box.width:
                atoms.append(atom._replace(spaced=spaced))
            spaced = False
        return atoms

    def atom(self, pieces: list[Any], position: int) -> tuple[Atom, int]:
        """Return the atom that begins at `position`, and the position behind it."""
        piece = pieces[position]
        if _is_macro(piece, "left"):
            end = _right_of(pieces, position)
            inside = self.join(self.atoms(pieces[position + 1 : end]))
            return Atom("inner", boxes.bracket(_delimiter(piece), inside, _delimiter(pieces[end]))), end + 1
        if isinstance(piece, str):
            closing = None if self.flat else _closing_of(pieces, position)
            if closing:  # brackets grow with what is in them, asked for or not
                inside = self.join(self.atoms(pieces[position + 1 : closing]))
                if inside.height > 1:
                    return Atom("inner", boxes.bracket(piece, inside, pieces[closing])), closing + 1
            return _character(piece), position + 1
        if isinstance(piece, LatexGroupNode):
            return Atom("ordinary", self.box(piece.nodelist)), position + 1
        if isinstance(piece, LatexEnvironmentNode):
            return self.environment(piece), position + 1
        return self.macro(piece), position + 1

    def macro(self, node: Any) -> Atom:
        r"""Return the atom of a macro other than \left."""
        name = node.macroname
        arguments = [argument for argument in node.nodeargd.argnlist if argument is not None] if node.nodeargd else []
        if name in symbols.SPACES:
            space = symbols.SPACES[name]
            return Atom("gap" if len(space) > 1 else "space", boxes.text(space))
        if name in symbols.IGNORED:
            return Atom("ordinary", boxes.text(""))
        if name in symbols.UPRIGHT:
            return Atom("ordinary", boxes.text(_plain(arguments[0])))
        if name in symbols.TRANSPARENT:
            return Atom("ordinary", self.box(arguments))
        if name in symbols.ACCENTS:
            return Atom("ordinary", self.accent(symbols.ACCENTS[name], self.box(arguments)))
        build: dict[str, Callable[..., Atom]] = {
            "frac": self.fraction,
            "dfrac": self.fraction,
            "tfrac": _Layout(flat=True, tight=self.tight).fraction,
            "mathbb": lambda letters: Atom("ordinary", boxes.text("".join(map(_double_struck, _plain(letters))))),
            "sqrt": self.root,
            "underbrace": self.underbrace,
            "overset": self.over,
            "stackrel": self.over,
            "underset": self.under,
            "phantom": lambda hidden: Atom("ordinary", boxes.text(" " * self.box([hidden]).width)),
            "hphantom": lambda hidden: Atom("ordinary", boxes.text(" " * self.box([hidden]).width)),
            "operatorname": lambda *texts: Atom("function", boxes.text(_plain(texts[-1]))),
            "tag": lambda *texts: Atom("gap", boxes.text(f"    ({_plain(texts[-1])})")),
            "not": lambda negated: _character(unicodedata.normalize("NFC", _plain(negated) + "\u0338")),
        }
        if name in build:
            return build[name](*arguments)
        if name in symbols.SUMS or name in symbols.FUNCTIONS:
            return Atom("sum" if name in symbols.SUMS else "function", boxes.text(symbols.symbol(name)))
        return _character(symbols.symbol(name))

    def fraction(self, above: Any, below: Any) -> Atom:
        """Return a fraction; in one line with the brackets that it needs."""
        numerator, denominator = self.box([above]), self.box([below])
        if not self.flat:
            return Atom("inner", boxes.fraction(numerator, denominator))
        line = f"{numerator.rows[0]}/{denominator.rows[0]}"
        if line in symbols.FRACTIONS:
            return Atom("ordinary", boxes.text(symbols.FRACTIONS[line]))
        if self.is_sum(above):
            numerator = _in_brackets(numerator)
        if self.is_sum(below) or self.is_product(below):
            denominator = _in_brackets(denominator)
        return Atom("fraction", boxes.text(f"{numerator.rows[0]}/{denominator.rows[0]}"))

    def is_sum(self, argument: Any) -> bool:
        """Whether a numerator or denominator in one line needs brackets, whatever stands around it."""
        atoms = _without_bracketed(self.atoms(_pieces([argument], inside=True)))
        return any(atom.kind in ("binary", "relation", "sum", "fraction") or atom.box.rows[0] == "/" for atom in atoms)

    def is_product(self, argument: Any) -> bool:
        """Whether a denominator has several factors; the d of a derivative, digits, f(x) and x[i] do not count."""
        pieces = [piece for piece in _pieces([argument], inside=True) if not _is_blank(piece)]
        if all(isinstance(piece, str) and (piece.isdigit() or piece in ".,") for piece in pieces):
            return False
        atoms = _without_bracketed(self.atoms(pieces))
        if atoms and atoms[0].box.rows[0][0] in "∂d∇":
            atoms = atoms[1:]
        called = [atom.kind for atom in atoms] == ["ordinary", "open"] and atoms[0].box.rows[0][0].isalpha()
        return len([atom for atom in atoms if atom.kind in FACTORS]) > 1 and not called

    def accent(self, accent: str, box: Box) -> Box:
        """Put an accent on every letter."""
        line = "".join(letter + accent if letter.isalnum() else letter for letter in box.rows[box.base])
        return boxes.text(unicodedata.normalize("NFC", line))

    def root(self, *arguments: Any) -> Atom:
        """Return a root; its degree, if it has one, is the first of two arguments."""
        box = self.box(arguments[-1:])
        degree = "".join(symbols.SUPERSCRIPTS.get(digit, digit) for part in arguments[:-1] for digit in _plain(part))
        if box.height > 1:
            sign = Box(
                (" " * len(degree) + " ┌", *[" " * len(degree) + " │"] * (box.height - 1), f"{degree}╲│"), box.base + 1
            )
            bar = boxes.text("─" * box.width)
            return Atom("ordinary", boxes.beside([sign, boxes.above_each_other([bar, box], base=1)]))
        line = box.rows[0]
        alone = line.replace(".", "").isalnum() or (line.startswith("⟨") and line.find("⟩") == len(line) - 1)
        return Atom("ordinary", boxes.beside([boxes.text(f"{degree}√"), box if alone else _in_brackets(box)]))

    def underbrace(self, argument: Any) -> Atom:
        """Put a brace below something; the words that belong to it come as a script."""
        box = self.box([argument])
        if self.flat:
            return Atom("sum", box)
        left = "─" * ((box.width - 3) // 2)
        right = "─" * (box.width - 3 - len(left))
        return Atom("sum", boxes.above_each_other([box, boxes.text(f"└{left}┬{right}┘")], base=0))

    def over(self, small: Any, large: Any) -> Atom:
        """Put one thing over another; in one line it becomes a superscript."""
        return self.script_or_limit("^", small, large)

    def under(self, small: Any, large: Any) -> Atom:
        """Put one thing under another; in one line it becomes a subscript."""
        return self.script_or_limit("_", small, large)

    def script_or_limit(self, sign: str, small: Any, large: Any) -> Atom:
        """Do what `over` and `under` say."""
        atom, script = self.atom(_pieces([large], inside=True) or [""], 0)[0], self.box([small])
        if self.flat:
            return self.scripted(atom, {sign: script}, {sign: _small(sign, script)})
        return self.limited(atom, {sign: script})

    def environment(self, node: Any) -> Atom:
        """Return a matrix, cases, or aligned equations."""
        name = _name(node)
        aligned = name in symbols.ALIGNED
        operand = [Atom("ordinary", boxes.text(""))] if aligned else []  # so that a relation behind & has its space
        cells = [
            [self.join(operand * (column > 0) + self.atoms(cell)) for column, cell in enumerate(row)]
            for row in _rows(_pieces(node.nodelist))
        ]
        left, right = symbols.BRACKETS.get(name, ("", ""))
        blank = boxes.text(" " * bool(left))
        if self.flat:
            lines = (("" if aligned else " ").join(cell.rows[0] for cell in row) for row in cells)
            inside = boxes.text("; ".join(lines))
        elif aligned:
            inside = boxes.grid(cells, "rl", gap=0)
        elif name == "cases":
            inside = boxes.beside([blank, boxes.grid(cells, "l", gap=3, loose=True)])
        else:
            numbers = all(cell.rows[0].strip("−").replace(".", "").isdigit() for row in cells for cell in row)
            inside = boxes.beside([blank, boxes.grid(cells, "r" if numbers else "c", gap=2), blank])
        return Atom("inner", boxes.bracket(left, inside, right))

    # Scripts

    def with_scripts(self, atom: Atom, piece: Any, pieces: list[Any], position: int) -> tuple[Atom, int]:
        """Add the scripts at `position` to an atom that was made of `piece`; return it, and the position behind."""
        found, position = _gather_scripts(pieces, position)
        if not found:
            return atom, position
        small = _Layout(flat=True, tight=True)
        scripts = {sign: small.join(small.atoms(parts)) for sign, parts in found.items()}
        if self.flat and _is_macro(piece, "underbrace") and "_" in scripts:
            return Atom("inner", boxes.beside([atom.box, boxes.text(" "), _in_brackets(scripts["_"])])), position
        if not self.flat and not self.tight and _has_limits(piece):
            return self.limited(atom, scripts), position
        letters = {sign: None if _is_word(found[sign]) else _small(sign, box) for sign, box in scripts.items()}
        return self.scripted(atom, scripts, letters), position

    def limited(self, atom: Atom, scripts: dict[str, Box]) -> Atom:
        """Put scripts over and under an atom."""
        parts = [box for box in (scripts.get("^"), atom.box, scripts.get("_")) if box]
        return atom._replace(box=boxes.above_each_other(parts, base=1 if "^" in scripts else 0))

    def scripted(self, atom: Atom, scripts: dict[str, Box], letters: dict[str, str | None]) -> Atom:
        """Put scripts, "^" and "_", to the right of an atom; `letters` has them in small letters, if there are any."""
        kind = "ordinary" if atom.kind in ("inner", "fraction") else atom.kind
        box = _in_brackets(atom.box) if atom.kind == "fraction" else atom.box
        small = {sign: boxes.text(line) for sign, line in letters.items() if line}
        if self.flat or (box.height == 1 and len(small) == len(scripts)):
            lines = [small.get(sign) or boxes.text(_as_typed(sign, script)) for sign, script in scripts.items()]
            return Atom(kind, boxes.beside([box, *lines]))
        if box.height == 1 and small:  # one of two: it stays in the row of the atom, the other above or below it
            both = {**scripts, **small}
            column = boxes.above_each_other([both["^"], both["_"]], 0 if "^" in small else 1, "left")
            return Atom(kind, boxes.beside([box, column]))
        return Atom(kind, boxes.scripts(box, small.get("^") or scripts.get("^"), scripts.get("_")))


def _pieces(nodes: Iterable[Any], inside: bool = False) -> list[Any]:
    """Take text apart into characters, since each is an atom of its own; with `inside`, a single group as well."""
    nodes = [node for node in nodes if node is not None and not isinstance(node, LatexCommentNode)]
    if inside and len(nodes) == 1 and isinstance(nodes[0], LatexGroupNode):
        return _pieces(nodes[0].nodelist)
    texts = {LatexCharsNode: "chars", LatexSpecialsNode: "specials_chars"}
    return [piece for node in nodes for piece in (getattr(node, texts[type(node)]) if type(node) in texts else [node])]


def _rows(pieces: list[Any]) -> list[list[list[Any]]]:
    r"""Split at \\ into rows and these at & into cells; empty rows are left out."""
    rows: list[list[list[Any]]] = [[[]]]
    for piece in pieces:
        if _is_macro(piece, "\\"):
            rows.append([[]])
        elif isinstance(piece, str) and piece == "&":
            rows[-1].append([])
        else:
            rows[-1][-1].append(piece)
    return [row for row in rows if not all(map(_is_blank, chain.from_iterable(row)))] or [[[]]]


def _parts(atoms: Sequence[Atom], kinds: Collection[str]) -> list[list[Atom]]:
    """Take a formula apart before atoms of some kinds, but not within brackets."""
    parts: list[list[Atom]] = [[]]
    depth = 0
    for atom in atoms:
        depth += (atom.kind == "open") - (atom.kind == "close")
        if atom.kind in kinds and parts[-1] and depth == 0:
            parts.append([])
        parts[-1].append(atom)
    return parts


def _gather_scripts(pieces: list[Any], position: int) -> tuple[dict[str, list[Any]], int]:
    """Return the scripts at `position`, "^" or "_" -> pieces, in the author's order, and the position behind them."""
    found: dict[str, list[Any]] = {}
    while True:
        following = _skip_blanks(pieces, position)
        piece = pieces[following] if following < len(pieces) else None
        if _is_macro(piece, "limits", "nolimits"):
            position = following + 1
        elif isinstance(piece, str) and piece == "'":
            found.setdefault("^", []).append("′")
            position = following + 1
        elif isinstance(piece, str) and piece in "^_":
            following = _skip_blanks(pieces, following + 1)
            found.setdefault(piece, []).extend(pieces[following : following + 1])
            position = following + 1
        else:
            return found, position


def _settle_signs(atoms: Sequence[Atom]) -> list[Atom]:
    """A binary operator without a left operand is a sign."""
    settled: list[Atom] = []
    before = "open"
    for atom in atoms:
        if atom.kind == "binary" and before in (
            "binary",
            "relation",
            "open",
            "punctuation",
            "colon",
            "sum",
            "function",
        ):
            atom = atom._replace(kind="ordinary")
        settled.append(atom)
        if atom.kind not in BLANKS:
            before = atom.kind
    return settled


def _without_bracketed(atoms: Sequence[Atom]) -> list[Atom]:
    """Leave out what stands in brackets, and closing brackets."""
    kept: list[Atom] = []
    depth = 0
    for atom in _settle_signs(atoms):
        if depth == 0 and atom.kind != "close":
            kept.append(atom)
        depth += (atom.kind == "open") - (atom.kind == "close")
    return kept


def _needs_space(left: Atom, right: Atom) -> bool:
    """Whether a space goes between two atoms."""
    kinds = left.kind, right.kind
    words = [atom.box.rows[0] if atom.box.height == 1 else "" for atom in (left, right)]
    if BLANKS & {*kinds} or words[0].endswith(" ") or words[1].startswith(" "):  # \text{if } has it already
        return False
    if "relation" in kinds or "binary" in kinds:
        return True
    if left.kind == "punctuation":
        return right.kind != "close"
    if left.kind == "colon":  # of f: R -> R, or of x[:, 0]
        return right.spaced
    if left.kind == "open" or right.kind in ("close", "punctuation", "colon"):
        return False
    if left.kind == "function":
        return right.kind != "open"
    if {"sum", "function", "inner", "fraction"} & {*kinds}:
        return True
    return right.spaced and right.kind in ("ordinary", "open")


def _character(character: str) -> Atom:
    character = symbols.TYPED.get(character, character)
    return Atom(symbols.KINDS.get(character, "ordinary"), boxes.text(character))


def _right_of(pieces: list[Any], position: int) -> int:
    r"""Where the \left at `position` has its \right; the last position if it has none."""
    depth = 0
    for end in range(position, len(pieces)):
        depth += _is_macro(pieces[end], "left") - _is_macro(pieces[end], "right")
        if depth == 0:
            break
    return end


def _closing_of(pieces: list[Any], position: int) -> int | None:
    """Where the bracket at `position` is closed; None if it is no bracket, or never closed."""
    opening, closing = pieces[position], symbols.CLOSING.get(pieces[position])
    depth = 0
    for end in range(position, len(pieces) if closing else position):
        if isinstance(pieces[end], str):
            depth += (pieces[end] == opening) - (pieces[end] == closing)
        if depth == 0:
            return end
    return None


def _delimiter(node: Any) -> str:
    r"""Return the bracket of a \left or \right; "" for a dot, which means none."""
    found = _plain(node.nodeargd.argnlist[0]) if _is_macro(node, "left", "right") else ""
    return "" if found == "." else found


def _has_limits(piece: Any) -> bool:
    if _is_macro(piece, "operatorname"):
        return piece.nodeargd.argnlist[0] is not None  # it has a star
    return _is_macro(piece, "underbrace", *symbols.LIMITS)


def _is_word(script: list[Any]) -> bool:
    """Whether a script is a word, which small letters would make hard to read."""
    return any(_is_macro(piece, *symbols.UPRIGHT) for piece in _pieces(script, inside=True))


def _is_macro(piece: Any, *names: str) -> bool:
    return isinstance(piece, LatexMacroNode) and piece.macroname in names


def _is_blank(piece: Any) -> bool:
    return isinstance(piece, str) and piece.isspace()


def _skip_blanks(pieces: list[Any], position: int) -> int:
    while position < len(pieces) and _is_blank(pieces[position]):
        position += 1
    return position


def _name(environment: Any) -> str:
    return environment.environmentname.rstrip("*")


def _small(sign: str, box: Box) -> str | None:
    """Return a script in small letters; None if Unicode has not all of them."""
    table = symbols.SUPERSCRIPTS if sign == "^" else symbols.SUBSCRIPTS
    if box.height > 1 or not all(letter in table for letter in box.rows[0]):
        return None
    return "".join(table[letter] for letter in box.rows[0]).replace("′′′", "‴").replace("′′", "″")


def _as_typed(sign: str, script: Box) -> str:
    """Return a script in one line nearly as in LaTeX; letters and words do without braces."""
    line = script.rows[0]
    return sign + (line if line.isalpha() else f"{{{line}}}")


def _in_brackets(box: Box) -> Box:
    return boxes.bracket("(", box, ")")


def _plain(node: Any) -> str:
    """Return the text of an argument, its spaces kept."""
    return latex2text.LatexNodes2Text(strict_latex_spaces=False).nodelist_to_text([node])


def _double_struck(letter: str) -> str:
    """Return the letter of a set of numbers, such as ℝ; other letters as they are, since fonts lack them."""
    try:
        return unicodedata.lookup(f"DOUBLE-STRUCK CAPITAL {letter}")
    except KeyError:
        return letter
