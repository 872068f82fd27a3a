"""What commands report to programs: JSON on standard output, and nothing else there."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping
from typing import Any


def add_json(parser: argparse.ArgumentParser | argparse._ArgumentGroup, what: str = "one JSON object") -> None:
    """Add the option by which a command reports JSON."""
    parser.add_argument("--json", action="store_true", default=False, help=f"print {what}, and nothing else")


def tell(facts: Mapping[str, Any]) -> None:
    """Print a JSON object in one line; numbers that JSON has not, infinite ones and NaN, are null."""
    print(json.dumps(_finite(facts), allow_nan=False), flush=True)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {name: _finite(one) for name, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, (list, tuple)) else value
