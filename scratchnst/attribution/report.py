"""A trace as tables, and for programs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from scratchnst.attribution.attribution import TV, Part, Trace
from scratchnst.models.layers import IMAGE
from scratchnst.models.receptive_field import Window, field, unit
from scratchnst.transfer.objective import Objective
from scratchnst.transfer.record import resolved

ROW = "  {:<24}{:>11}{:>11}{:>11}{:>11}{:>9}   {}"
STEPS = ("upper left", "above", "upper right", "left", "itself", "right", "lower left", "below", "lower right")


def table(found: Trace, objective: Objective, image: np.ndarray, name: str, count: int) -> Iterator[str]:
    """Yield lines of text: the terms, then each term's `count` channels and positions that contribute most.

    `name` is that of the image.
    """
    (row, column), (height, width, _) = found.pixel, objective.shape
    colours = ", ".join(f"{value:.0f}" for value in image[found.pixel])
    yield f"pixel {row},{column} of {width}x{height}, RGB {colours}, of the image: {name}\n"
    yield ROW.format("dL/dpixel", "R", "G", "B", "length", "share", "").rstrip()
    for part in found.parts:
        yield _row(found, part.name, part.gradient)
    yield _row(found, "sum", found.total)
    yield _row(found, "walk back", found.gradient)
    yield f"  relative difference {found.error:.0e}"
    for part in found.parts:
        yield f"\n{_title(part, objective)}"
        if not part.contributions.any():
            yield "  it does not push at all"
        if part.layer == IMAGE and part.name != TV:
            continue  # it is not taken apart
        if part.name != TV:
            for channel in part.top_channels(count):
                if part.channels[channel].any():
                    yield _row(found, f"channel {channel}", part.channels[channel])
        for place, contribution in _top_positions(part, count):
            where = _neighbour(place, found.pixel) if part.name == TV else f"position {place[0]},{place[1]}"
            yield _row(found, where, contribution, "" if part.name == TV else _seen(part, place, objective))


def _row(found: Trace, name: str, contribution: np.ndarray, remark: str = "") -> str:
    """One row of a table: a contribution's three colours, its length and its share."""
    share = found.share(contribution)
    numbers = [f"{value:.3g}" for value in (*contribution, math.hypot(*contribution))]
    return ROW.format(name, *numbers, "-" if np.isnan(share) else f"{100 * share:.1f} %", remark).rstrip()


def _title(part: Part, objective: Objective) -> str:
    if part.name == TV:
        return f"tv: the pixel's {objective.tv} differences from its neighbours"
    if part.layer == IMAGE:
        return f"{part.name}: of the image itself"
    height, width, channels = objective.network.shapes(*objective.shape[:2])[part.layer]
    rows, columns = part.window.shape
    return (
        f"{part.name}: {rows}x{columns} of {height}x{width} positions see the pixel ({_in_words(part.window)}), "
        f"in {channels} channels"
    )


def _top_positions(part: Part, count: int) -> list[tuple[tuple[int, int], np.ndarray]]:
    """The positions that contribute most, with what they contribute; those that contribute nothing are left out."""
    top, left = part.window.top, part.window.left
    places = {place: part.positions[place[0] - top, place[1] - left] for place in part.top_positions(count)}
    return [(place, contribution) for place, contribution in places.items() if contribution.any()]


def _neighbour(place: tuple[int, int], around: tuple[int, int]) -> str:
    return STEPS[3 * (place[0] - around[0] + 1) + place[1] - around[1] + 1]


def _seen(part: Part, place: tuple[int, int], objective: Objective) -> str:
    return f"sees {_in_words(field(objective.network, objective.shape[:2], part.layer, unit(*place)))}"


def _in_words(window: Window) -> str:
    return f"rows {window.top}-{window.bottom - 1}, columns {window.left}-{window.right - 1}"


def as_dict(found: Trace, objective: Objective, image: np.ndarray, asked: dict[str, Any], count: int) -> dict:
    """Return the same for programs, JSON-able; `asked` are name and seed of the image."""
    return {
        "pixel": list(found.pixel),
        "rgb": image[found.pixel].tolist(),
        "image": {**asked, "shape": list(objective.shape)},
        **resolved(objective),
        "gradient": found.gradient.tolist(),
        "sum of the parts": found.total.tolist(),
        "relative difference": found.error,
        "parts": [_part_as_dict(found, part, objective, count) for part in found.parts],
    }


def _part_as_dict(found: Trace, part: Part, objective: Objective, count: int) -> dict:
    shape = objective.shape[:2]
    return {
        "term": part.name,
        "layer": part.layer,
        **_contribution(found, part.gradient),
        "window": vars(part.window),
        "channels": [
            {"channel": channel, **_contribution(found, part.channels[channel])} for channel in part.top_channels(count)
        ],
        "positions": [
            {
                "position": list(place),
                **_contribution(found, contribution),
                "sees": vars(field(objective.network, shape, part.layer, unit(*place))),
            }
            for place, contribution in _top_positions(part, count)
        ],
    }


def _contribution(found: Trace, contribution: np.ndarray) -> dict[str, Any]:
    share = float(found.share(contribution))
    return {"gradient": contribution.tolist(), "share": None if np.isnan(share) else share}
