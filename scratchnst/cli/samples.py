"""``scratchnst samples DIR``: draw the sample pictures."""

from __future__ import annotations

import argparse

from scratchnst import images
from scratchnst.cli.arguments import folder
from scratchnst.cli.reports import add_json, tell
from scratchnst.errors import UserError
from scratchnst.files import check_writable
from scratchnst.images import mosaic, samples
from scratchnst.images.origin import check_replaceable
from scratchnst.messages import one_line


def add(commands) -> None:
    """Add this command's parser to `commands`."""
    parser = commands.add_parser(
        "samples",
        help="draw pictures to begin with",
        description="Draw a scene, DIR/content.png, its sky in blue, its land in green and its water in red, "
        "DIR/labels.png, and two styles: brush strokes, DIR/style.png, and DIR/mosaic.png. DIR is created if need be.",
    )
    parser.add_argument("directory", type=folder, metavar="DIR")
    add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Do what the arguments say and return the exit status."""
    try:
        arguments.directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{arguments.directory} cannot be created ({error.strerror}): name another.") from None
    pictures = {
        "content.png": samples.draw_content,
        "labels.png": samples.draw_labels,
        "style.png": samples.draw_style,
        "mosaic.png": mosaic.draw,
    }
    for name in pictures:
        check_writable(arguments.directory / name)
        check_replaceable(arguments.directory / name)
    for name, draw in pictures.items():
        images.save(arguments.directory / name, draw())
    if arguments.json:
        tell({"pictures": [str(arguments.directory / name) for name in pictures]})
        return 0
    for name in pictures:  # not before both are there: standard output may be closed or full
        print(one_line(arguments.directory / name))
    return 0
