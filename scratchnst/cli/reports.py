"""What commands report to programs: JSON on standard output, and nothing else there."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any


def add_json(parser: argparse.ArgumentParser | argparse._ArgumentGroup, what: str = "one JSON object") -> None:
    """Add the option by which a command reports JSON."""
    parser.add_argument("--json", action="store_true", default=False, help=f"print {what}, and nothing else")


def tell(facts: Mapping[str, Any]) -> None:
    """Print a JSON object in one line."""
    print(json.dumps(facts, allow_nan=False), flush=True)
