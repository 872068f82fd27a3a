"""Which panels of a figure are done, and the record of the figure."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scratchnst.errors import UserError
from scratchnst.figures.panels import Figure, Panel
from scratchnst.files import open_input, write_atomically
from scratchnst.transfer.record import GIVEN
from scratchnst.transfer.settings import Settings
from scratchnst.weights.load import source_file
from scratchnst.weights.published import checksum

INPUTS = "inputs"  # the key that a panel's record has beside those of any run: file -> SHA-256
COMPUTATION = ("threads", "memory_limit")  # settings that change rounding at most


def fingerprints(settings: Settings) -> dict[str, str]:
    """Return file -> SHA-256 of what a run reads: pictures and weights.

    Raises
    ------
    UserError
        If one cannot be read.
    """
    weights = source_file(settings.network) if settings.network else None
    files = [file for file in (settings.content, *settings.styles, weights) if file]
    try:
        return {str(file): checksum(file, "sha256") for file in files}
    except OSError as error:
        raise UserError(f"{error.filename} cannot be read ({error.strerror}): name another file.") from None


def is_done(settings: Settings, inputs: dict[str, str]) -> bool:
    """Return whether the picture and the complete record of a run with these settings and inputs are there."""
    record = _read(settings.record)
    return (
        os.path.isfile(settings.output)
        and record.get(INPUTS) == inputs
        and record["result"]["complete"]
        and _of_the_picture(record[GIVEN]) == _of_the_picture(settings.to_json())
    )


def note_inputs(settings: Settings, inputs: dict[str, str]) -> None:
    """Add to the record of a run, just done, what it has read: from now on `is_done` is true."""
    _write(settings.record, {**_read(settings.record), INPUTS: inputs})


def write_record(output: Path, number: int, figure: Figure, command: Sequence[str]) -> None:
    """Write the record of a figure whose panels are done: for each its label, its settings and how its run ended.

    It lies beside the figure, `output`.
    """
    panels = [_entry(panel) for row in figure.rows for panel in row]
    head = {"command": list(command), "output": str(output), "figure": number}
    texts = {"title": figure.title, "caption": figure.caption}
    _write(output.with_suffix(".json"), {**head, **texts, "panels": panels})


def _entry(panel: Panel) -> dict[str, Any]:
    entry = {"label": panel.label, "picture": str(panel.picture)}
    if panel.settings is None:
        return entry
    record = _read(panel.settings.record)
    return {**entry, **{key: value for key, value in record.items() if key != "command"}}


def _of_the_picture(given: dict[str, Any]) -> dict[str, Any]:
    """Return those of the settings on which the picture depends."""
    return {name: value for name, value in given.items() if name not in ("output", *COMPUTATION)}


def _read(path: Path) -> dict[str, Any]:
    """Return the record in a file; an empty one if there is none that can be read."""
    try:
        with open_input(path) as file:
            record = json.loads(file.read())
    except (OSError, ValueError, RecursionError, UserError):
        return {}
    return record if isinstance(record, dict) else {}


def _write(path: Path, record: dict[str, Any]) -> None:
    write_atomically(path, (json.dumps(record, indent=2, allow_nan=False) + "\n").encode())
