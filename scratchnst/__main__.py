"""``python -m scratchnst``, and the command ``scratchnst``."""

from __future__ import annotations

import sys


def main() -> int:
    """Set up the process, run the command line and return its exit status."""
    from scratchnst.system import signals

    signals.quit_at_once()  # first of all: there is nothing to save yet
    from scratchnst.system import startup, streams

    streams.prepare()
    startup.prepare()
    lack = startup.lack_of_memory()
    if lack:
        print(f"scratchnst: {lack}", file=sys.stderr)
        return 2
    from scratchnst.cli import main as run  # not before: it imports NumPy

    signals.interrupt()
    try:
        return run()
    finally:
        signals.ignore()


if __name__ == "__main__":
    sys.exit(main())
