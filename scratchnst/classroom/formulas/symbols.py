"""Characters: which kinds of atoms they are, which are small, and what pylatexenc does not know of macros."""

from __future__ import annotations

from functools import cache
from typing import Any

from pylatexenc import latex2text, latexwalker
from pylatexenc.macrospec import std_macro

SUPERSCRIPTS = dict(
    zip(
        "0123456789+−=()abcdefghijklmnoprstuvwxyzABDEGHIJKLMNOPRTUVW⊤′∗",
        "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᴬᴮᴰᴱᴳᴴᴵᴶᴷᴸᴹᴺᴼᴾᴿᵀᵁⱽᵂᵀ′*",
    )
)
SUBSCRIPTS = dict(zip("0123456789+−=()aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ"))
FRACTIONS = {"1/2": "½", "1/3": "⅓", "2/3": "⅔", "1/4": "¼", "3/4": "¾", "1/8": "⅛"}

TYPED = {"-": "−", "*": "∗", "~": " "}  # a character in LaTeX -> what TeX prints
CLOSING = {"(": ")", "[": "]", "{": "}", "⟨": "⟩", "⌊": "⌋", "⌈": "⌉"}
KINDS = {
    **dict.fromkeys("=≠<>≤≥≪≫≈∼≃≅≡≜≔∝→←↦⇒⇐⇔∈∉∋⊂⊆⊃⊇∣⊥", "relation"),
    **dict.fromkeys("+−±∓·×⊙⊗⊕⊖∗⋆∘⊛∧∨∩∪÷", "binary"),
    **dict.fromkeys(CLOSING, "open"),
    **dict.fromkeys(CLOSING.values(), "close"),
    **dict.fromkeys(",;", "punctuation"),
    ":": "colon",
    " ": "space",
}
SUMS = {"sum", "prod", "bigcup", "bigcap", "bigoplus", "bigodot"}
EXTREMES = {"max", "min", "lim", "sup", "inf", "argmax", "argmin"}
LIMITS = SUMS | EXTREMES  # what they run over is written below them, not beside
FUNCTIONS = {"log", "exp", "sin", "cos", "tan", "tanh", "det", "dim", "tr", "ln", "arg", "gcd", "ker"} | EXTREMES

# What pylatexenc 2 has no symbol for, or one that fonts for terminals lack.
SYMBOLS = {
    "ne": "≠",
    "iff": "⇔",
    "implies": "⇒",
    "Longrightarrow": "⇒",
    "Longleftarrow": "⇐",
    "Longleftrightarrow": "⇔",
    "longrightarrow": "→",
    "longleftarrow": "←",
    "longmapsto": "↦",
    "parallel": "‖",
    "coloneqq": "≔",
    "mid": "∣",
    "|": "‖",
    "colon": ":",
    "prime": "′",
    "argmax": "argmax",
    "argmin": "argmin",
    "lbrace": "{",
    "rbrace": "}",
    "lbrack": "[",
    "rbrack": "]",
}
SPACES = {" ": " ", ",": " ", ":": " ", ";": " ", ">": " ", "!": "", "quad": "  ", "qquad": "    ", "enspace": " "}
IGNORED = {"limits", "nolimits", "displaystyle", "textstyle", "nonumber", "notag", "label"}
IGNORED |= {size + side for size in ("big", "Big", "bigg", "Bigg") for side in ("", "l", "r", "m")}
ACCENTS = {
    **dict.fromkeys(("hat", "widehat"), "\N{COMBINING CIRCUMFLEX ACCENT}"),
    **dict.fromkeys(("tilde", "widetilde"), "\N{COMBINING TILDE}"),
    **dict.fromkeys(("bar", "overline"), "\N{COMBINING MACRON}"),
    "dot": "\N{COMBINING DOT ABOVE}",
    "ddot": "\N{COMBINING DIAERESIS}",
    "vec": "\N{COMBINING RIGHT ARROW ABOVE}",
}
UPRIGHT = {"text", "textrm", "textbf", "textit", "texttt", "mathrm", "mathtt", "mathsf", "mbox"}  # words
TRANSPARENT = {"mathbf", "mathcal", "mathit", "boldsymbol", "bm", "mathop", "mathbin", "mathrel", "mathord", "boxed"}

BRACKETS = {"pmatrix": "()", "bmatrix": "[]", "Bmatrix": "{}", "vmatrix": "||", "Vmatrix": "‖‖", "cases": ("{", "")}
ALIGNED = {"aligned", "align", "split", "alignedat"}  # at &


def symbol(name: str) -> str:
    """Return the character of a macro without arguments; an unknown one is shown as it is."""
    spec = _known_symbols().get_macro_spec(name)
    found = SYMBOLS.get(name) or getattr(spec, "simplify_repl", None)
    if isinstance(found, str):
        return found
    return f"\\{name}" if name.isalpha() else name


@cache
def reading_context() -> Any:
    """What pylatexenc must know of macros to read them: how many arguments they have."""
    arguments = {
        **dict.fromkeys(("overset", "underset", "stackrel", "tfrac", "dfrac"), "{{"),
        **dict.fromkeys(("left", "right", "not", "label", "phantom", "hphantom"), "{"),
        **dict.fromkeys((*UPRIGHT, *TRANSPARENT, *ACCENTS, "mathbb"), "{"),
        **dict.fromkeys(("operatorname", "tag"), "*{"),
    }
    context = latexwalker.get_default_latex_context_db()
    macros = [std_macro(name, spec) for name, spec in arguments.items()]
    context.add_context_category("formulas", prepend=True, macros=macros)
    return context


@cache
def _known_symbols() -> Any:
    return latex2text.get_default_latex_context_db()
