"""The command line: one file a command, each with `add` (its arguments) and `run` (its work)."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from scratchnst import __version__
from scratchnst.cli import (
    bench,
    check,
    doctor,
    figure,
    gradcheck,
    lesson,
    reconstruct,
    samples,
    trace,
    transfer,
    weights,
)
from scratchnst.cli.arguments import Parser
from scratchnst.cli.job import INTERRUPTED
from scratchnst.errors import UserError

OUTPUT_CLOSED = 141  # what shells report of a program that SIGPIPE has ended


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    0: done; 1: what was checked is not all right, or the loss did not stay finite; 2: a mistake of the user's, told in
    one sentence; 130: Ctrl-C; 141: the reader of the output has closed it.
    """
    parser = Parser(prog="scratchnst", description="Neural style transfer with every derivative written by hand.")
    parser.add_argument("--version", action="version", version=f"scratchnst {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (transfer, reconstruct, figure, trace, weights, gradcheck, lesson, check, bench, doctor, samples):
        command.add(commands)
    arguments = parser.parse_args(argv)
    try:
        status = arguments.run(arguments)
        sys.stdout.flush()
        return status
    except UserError as error:
        print(f"scratchnst: {error}", file=sys.stderr)
        return 2
    except MemoryError:
        print("scratchnst: there is not enough memory for this; choose a smaller --size.", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader, such as head or a pager, has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OUTPUT_CLOSED
    except KeyboardInterrupt:
        print("scratchnst: interrupted before there was anything to save.", file=sys.stderr)
        return INTERRUPTED
