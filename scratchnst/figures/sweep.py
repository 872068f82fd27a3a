"""One picture for each combination of some settings, as a figure whose panels are labelled with them."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from scratchnst import images
from scratchnst.errors import UserError
from scratchnst.figures.panels import Figure, Panel
from scratchnst.transfer.settings import Settings

MOST = 1000  # pictures of a sweep
LONGEST_SIDE = 4096  # pixels of the sheet, about
LONGEST_NAME = 120  # characters of a picture's name


@dataclass(frozen=True)
class Axis:
    """A setting that is varied.

    Attributes
    ----------
    name : as it is written on the sheet
    values : each as it is written there -> the arguments of the command line that it stands for
    """

    name: str
    values: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Combination:
    """A value of each axis, by the name of the axis, and the arguments that they stand for."""

    values: Mapping[str, str]
    arguments: Mapping[str, Any]

    @property
    def label(self) -> str:
        """What is written above the picture."""
        values = {name: Path(value).stem if _is_path(value) else value for name, value in self.values.items()}
        return ", ".join(f"{name} {value.replace('+', ' + ')}" for name, value in values.items())

    @property
    def name(self) -> str:
        """What the picture's file is called: by the values, so that more of them leave it as it is."""
        text = "-".join(f"{name.replace('/', '_')}={value}" for name, value in self.values.items())
        plain = re.sub(r"[^\w.=+-]+", "_", text, flags=re.ASCII)
        if plain == text and len(plain) <= LONGEST_NAME:
            return plain
        return f"{plain[:LONGEST_NAME]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def combinations(axes: Sequence[Axis]) -> list[Combination]:
    """Return all combinations of the axes' values; the last axis varies fastest.

    Raises
    ------
    UserError
        If an axis is there twice, or there are too many.
    """
    names = [axis.name for axis in axes]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{twice} is varied twice: name all its values in one --vary.")
    number = math.prod(len(axis.values) for axis in axes)
    if number > MOST:
        raise UserError(f"these are {number} pictures, and a sheet holds {MOST}: vary less at a time.")
    found = []
    for values in product(*(axis.values for axis in axes)):
        arguments: dict[str, Any] = {}
        for axis, value in zip(axes, values):
            arguments |= axis.values[value]
        found.append(Combination(dict(zip(names, values)), arguments))
    return found


def figure(axes: Sequence[Axis], combinations: Sequence[Combination], runs: Sequence[Settings]) -> Figure:
    """Return the figure of the runs of combinations: two axes are its rows and columns, else it is nearly square."""
    panels = [Panel(each.label, settings.output, settings) for each, settings in zip(combinations, runs)]
    columns = len(axes[1].values) if len(axes) == 2 else math.ceil(math.sqrt(len(panels)))
    rows = tuple(tuple(panels[start : start + columns]) for start in range(0, len(panels), columns))
    return Figure(f"{' x '.join(axis.name for axis in axes)}: {len(panels)} pictures", rows, _caption(runs))


def without(figure: Figure, failed: Mapping[Path, str]) -> Figure:
    """Return a figure in which the places of pictures that could not be made are empty."""

    def shown(panel: Panel) -> Panel:
        if panel.picture not in failed:
            return panel
        return Panel(f"{panel.label}: left out", None)

    return replace(figure, rows=tuple(tuple(map(shown, row)) for row in figure.rows))


def side(figure: Figure) -> int:
    """Return how many pixels of the longer side all pictures have on the sheet: as the largest, if there is room."""
    panels = [panel.picture for row in figure.rows for panel in row if panel.picture is not None]
    room = LONGEST_SIDE // max(len(figure.rows), *(len(row) for row in figure.rows))
    return min([room, max([max(images.size(picture)) for picture in panels], default=room)])


def _caption(runs: Sequence[Settings]) -> str:
    """Say what all pictures have in common."""
    given = [settings.to_json() for settings in runs]
    common = {name: value for name, value in given[0].items() if all(each[name] == value for each in given)}
    pictures = [Path(name).name for name in (common.get("content"), *common.get("styles", [])) if name]
    words = [" in the style of ".join(pictures) if len(pictures) == 2 else ", ".join(pictures)] if pictures else []
    words += [f"{common['size']} pixels"] if common.get("size") else []
    words += [f"{common['iterations']} iterations at most"] if common.get("iterations") else []
    words += [f"network {Path(common['network']).stem}"] if common.get("network") else []
    return ", ".join(words)


def _is_path(value: str) -> bool:
    return "/" in value or Path(value).suffix[1:2].isalpha()
