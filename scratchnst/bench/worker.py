"""A process for one contender, ``python -m scratchnst.bench.worker``: it does what `scratchnst.bench.service` says.

It is set up as the command line sets up its own; with ``--plain`` as Python, and so PyTorch, has it by itself.
"""

import sys

from scratchnst import startup

PLAIN = "--plain"


def main() -> None:
    """Set up this process, then serve."""
    if PLAIN not in sys.argv[1:]:
        startup.prepare()
    from scratchnst.bench.service import serve  # not before: NumPy comes with it

    serve()


if __name__ == "__main__":
    main()
