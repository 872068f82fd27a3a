"""A planted mistake: what is changed in which module, and how it is to be told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """A change to one module of the package.

    Attributes
    ----------
    module : "ops.relu", within the package
    name : of the operation, or the module, and what was done
    patches : (old, new) text; each `old` stands in the module's source exactly once
    key : of the diagnosis that names it; empty for a mistake that has no name
    words : a pattern that the report of a mistake without a name must match
    """

    module: str
    name: str
    patches: tuple[tuple[str, str], ...]
    key: str = ""
    words: str = ""


def planted(module: str, name: str, patches: tuple[tuple[str, str], ...], key: str = "", words: str = "") -> Mutant:
    """Return the mutant of a module, whose name begins with the module's."""
    return Mutant(module, f"{module.rpartition('.')[2]}: {name}", patches, key, words)
