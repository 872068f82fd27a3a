"""Which runs are done: their pictures and complete records are there, of the same settings and the same inputs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from scratchnst.errors import UserError
from scratchnst.files import open_input, write_atomically
from scratchnst.images import masks
from scratchnst.transfer.record import GIVEN
from scratchnst.transfer.settings import ONE_PASS, STARTS, Settings
from scratchnst.weights.load import source_file
from scratchnst.weights.published import checksum

INPUTS = "inputs"  # the key that the record of such a run has beside those of any run: file -> SHA-256
OUTPUTS = ("output", "log", "video")  # settings that name files which a run writes
COMPUTATION = ("threads", "memory_limit", "checkpoint_every")  # settings that change rounding at most


def input_files(settings: Settings) -> list[Path]:
    """Return the files that a run reads: pictures and weights, but for a network that ships and paints in one pass."""
    named = {name: value for name, value in vars(settings).items() if name not in OUTPUTS}
    files = [file for value in named.values() for file in (value if isinstance(value, tuple) else [value])]
    start = [] if settings.init in (*STARTS, *ONE_PASS) else [Path(settings.init)]
    weights = source_file(settings.network) if settings.network else None
    masked = map(masks.file_of, settings.all_masks)
    pictures = [*(file for file in files if isinstance(file, Path)), *masked, *start]
    return [*pictures, *([] if weights is None else [weights])]


def fingerprints(settings: Settings) -> dict[str, str]:
    """Return file -> SHA-256 of what a run reads, see `input_files`.

    Raises
    ------
    UserError
        If one cannot be read.
    """
    try:
        return {str(file): checksum(file, "sha256") for file in input_files(settings)}
    except OSError as error:
        raise UserError(f"{error.filename} cannot be read ({error.strerror}): name another file.") from None


def is_done(settings: Settings, inputs: dict[str, str]) -> bool:
    """Return whether the picture and the complete record of a run with these settings and inputs are there."""
    record = read_record(settings.record)
    return (
        os.path.isfile(settings.output)
        and record.get(INPUTS) == inputs
        and record["result"]["complete"]
        and _of_the_picture(record[GIVEN]) == _of_the_picture(settings.to_json())
    )


def note_inputs(settings: Settings, inputs: dict[str, str]) -> None:
    """Add to the record of a run, just done, what it has read: from now on `is_done` is true.

    The run may have been given other threads or less memory than `settings` say.
    """
    write_record(settings.record, {**read_record(settings.record), GIVEN: settings.to_json(), INPUTS: inputs})


def read_record(path: Path) -> dict[str, Any]:
    """Return the record in a file; an empty one if there is none that can be read."""
    try:
        with open_input(path) as file:
            record = json.loads(file.read())
    except (OSError, ValueError, RecursionError, UserError):
        return {}
    return record if isinstance(record, dict) else {}


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Write a record."""
    write_atomically(path, (json.dumps(record, indent=2, allow_nan=False) + "\n").encode())


def _of_the_picture(given: dict[str, Any]) -> dict[str, Any]:
    """Return those of the settings on which the picture depends."""
    return {name: value for name, value in given.items() if name not in ("output", *COMPUTATION)}
