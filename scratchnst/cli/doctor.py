"""``scratchnst doctor``: show what there is to compute with, and what would be faster."""

from __future__ import annotations

import argparse
import json
import shutil
import textwrap

from scratchnst.system.doctor import ProbeResult, examine

COLUMN = 12  # characters for the names


def add(commands) -> None:
    """Add this command's parser to `commands`."""
    parser = commands.add_parser(
        "doctor",
        help="show what there is to compute with, and what would be faster",
        description="Show processor, memory, BLAS, GPU and weights as this program sees them, what would be faster and "
        "what is missing.",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print what was found and return 0."""
    findings = examine()
    print(json.dumps(_as_dict(findings), indent=2) if arguments.json else _as_text(findings))
    return 0


def _as_dict(findings: dict[str, ProbeResult]) -> dict:
    return {
        "findings": {name: {"text": finding.text, **finding.facts} for name, finding in findings.items()},
        **_advice(findings),
    }


def _as_text(findings: dict[str, ProbeResult]) -> str:
    width = max(shutil.get_terminal_size((120, 24)).columns, 4 * COLUMN)
    lines = [_wrap(name, finding.text, width) for name, finding in findings.items()]
    for title, sentences in zip(("What would be faster", "What is missing"), _advice(findings).values()):
        lines += ["", title, *(_wrap("-", sentence, width, 2) for sentence in sentences or ["Nothing that shows."])]
    return "\n".join(lines)


def _advice(findings: dict[str, ProbeResult]) -> dict[str, list[str]]:
    return {
        kind: [sentence for finding in findings.values() for sentence in getattr(finding, kind)]
        for kind in ("faster", "missing")
    }


def _wrap(name: str, text: str, width: int, column: int = COLUMN) -> str:
    """Return `text` behind `name`, its further lines below its first."""
    return textwrap.fill(
        text,
        width,
        initial_indent=name.ljust(column),
        subsequent_indent=" " * column,
        break_long_words=False,
        break_on_hyphens=False,
    )
