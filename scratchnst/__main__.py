"""``python -m scratchnst``, and the command ``scratchnst``."""

from __future__ import annotations

import sys

from scratchnst.system import startup


def main() -> int:
    """Set up the process, run the command line and return its exit status."""
    try:
        startup.prepare()
        lack = startup.lack_of_memory()
        if lack:
            print(f"scratchnst: {lack}", file=sys.stderr)
            return 2
        from scratchnst.cli import main as run  # not before: it imports NumPy

        return run()
    except KeyboardInterrupt:  # while modules were imported; later the command line handles it
        print("scratchnst: interrupted before there was anything to save.", file=sys.stderr)
        return 130  # what shells report of a program ended by Ctrl-C


if __name__ == "__main__":
    sys.exit(main())
