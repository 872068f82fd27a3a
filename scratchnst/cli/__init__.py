"""The command line: one file a command, each with `add` (its arguments) and `run` (its work)."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from scratchnst import __version__
from scratchnst.cli.arguments import Parser
from scratchnst.cli.job import INTERRUPTED
from scratchnst.errors import UserError
from scratchnst.messages import complain
from scratchnst.system import signals

COMMANDS = (  # by their modules
    *("transfer", "sweep", "fast", "arbitrary", "video", "train", "reconstruct", "figure", "trace", "weights"),
    *("gradcheck", "lesson", "check", "bench", "doctor", "samples"),
)
ELSEWHERE = {"sheet": "fast"}  # command -> the module of another
OUTPUT_CLOSED = 141  # what shells report of a program that SIGPIPE has ended


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    0: done; 1: what was checked is not all right, or the loss did not stay finite; 2: a mistake of the user's, told in
    one sentence; 130: Ctrl-C, or 128 and the number of the signal; 141: the reader of the output has closed it.
    """
    try:
        try:
            status = _run(argv)
        finally:
            sys.stdout.flush()  # an error here is told as one, not by Python at the end of the process
        return signals.status() if status == INTERRUPTED else status
    except UserError as error:
        complain(error)
        return 2
    except MemoryError:
        complain("there is not enough memory for this; choose a smaller --size.")
        return 2
    except BrokenPipeError:  # the reader, such as head or a pager, has ended
        return OUTPUT_CLOSED
    except KeyboardInterrupt:
        complain("interrupted before there was anything to save.")
        return signals.status()


def _run(argv: Sequence[str] | None) -> int:
    """Read the command line, and do what it says."""
    parser = Parser(prog="scratchnst", description="Neural style transfer with every derivative written by hand.")
    parser.add_argument("--version", action="version", version=f"scratchnst {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in _modules(sys.argv[1:] if argv is None else argv):
        import_module(f"{__name__}.{module}").add(commands)
    arguments = parser.parse_args(argv)
    _check_current_folder()
    return arguments.run(arguments)


def _modules(argv: Sequence[str]) -> list[str]:
    """Return the module of the command that is named, or all: it takes a second to import these."""
    module = ELSEWHERE.get(argv[0], argv[0]) if argv else ""
    return [module] if module in COMMANDS else list(COMMANDS)


def _check_current_folder() -> None:
    """Raise a UserError if it is gone: relative paths lead nowhere then."""
    try:
        os.getcwd()
    except OSError as error:
        raise UserError(f"the current folder cannot be used ({error.strerror}): change to another one.") from None
