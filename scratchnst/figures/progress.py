"""The record of a figure whose panels are done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scratchnst.figures.panels import Figure, Panel
from scratchnst.transfer import done


def write_record(output: Path, what: Mapping[str, Any], figure: Figure, command: Sequence[str]) -> None:
    """Write the record of a figure whose panels are done: for each its label, its settings and how its run ended.

    It lies beside the figure, `output`, and says `what` it shows.
    """
    panels = [_entry(panel) for row in figure.rows for panel in row]
    head = {"command": list(command), "output": str(output), **what}
    texts = {"title": figure.title, "caption": figure.caption}
    done.write_record(output.with_suffix(".json"), {**head, **texts, "panels": panels})


def _entry(panel: Panel) -> dict[str, Any]:
    entry = {"label": panel.label, "picture": None if panel.picture is None else str(panel.picture)}
    if panel.settings is None:
        return entry
    record = done.read_record(panel.settings.record)
    return {**entry, **{key: value for key, value in record.items() if key != "command"}}
