"""A process for one contender, ``python -m scratchnst.bench.worker``: it does what `scratchnst.bench.service` says.

It is set up as the command line sets up its own; with ``--plain`` as Python, and so PyTorch, has it by itself.  Any
other argument is a library to be imported at once, while other workers are being set up.
"""

import sys
from contextlib import suppress
from importlib import import_module

from scratchnst.system import startup

PLAIN = "--plain"


def main() -> None:
    """Set up this process, then serve."""
    if PLAIN not in sys.argv[1:]:
        startup.prepare()
    from scratchnst.bench.service import serve  # not before: NumPy comes with it

    for name in sys.argv[1:]:
        if name != PLAIN:
            with suppress(ImportError):  # the contender will say so
                import_module(name)
    serve()


if __name__ == "__main__":
    main()
