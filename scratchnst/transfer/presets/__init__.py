"""Presets: files of settings, NAME.json in this folder, as --settings takes them, but for pictures and output."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
NAMES = tuple(sorted(file.stem for file in FOLDER.glob("*.json")))


def read(name: str) -> dict[str, Any]:
    """Return the settings of the preset `name`, one of `NAMES`."""
    return json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
