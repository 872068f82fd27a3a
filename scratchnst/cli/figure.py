"""``scratchnst figure 1|3|4|5|6|7 --content PHOTO --style PAINTING -o OUT.png``: a figure of the paper."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from scratchnst import images
from scratchnst.cli import computation, job
from scratchnst.cli.arguments import add_network, add_style_fit, file, positive_integer, size_or_own
from scratchnst.cli.progress import Reporter
from scratchnst.cli.reports import add_json, tell
from scratchnst.errors import UserError
from scratchnst.figures import progress, sheet
from scratchnst.figures.panels import FIGURES, QUICK, Figure, Material, check
from scratchnst.files import check_apart, check_outputs, check_suffix
from scratchnst.images import origin
from scratchnst.messages import complain, one_line
from scratchnst.transfer import done
from scratchnst.transfer.forecast import forecast
from scratchnst.transfer.record import check_replaceable, is_record_of
from scratchnst.weights.load import choose_source, load_network, source_file


def add(commands) -> None:
    """Add this command's parser to `commands`."""
    parser = commands.add_parser(
        "figure",
        help="make a figure of the paper",
        description="Make a figure of Gatys et al., 2016, with your pictures: 1, what each layer keeps of content and "
        "style; 3, one photograph in several styles; 4, alpha/beta from 1e-4 to 1e-1; 5, content from a low layer and "
        "from a high one; 6, starts from the content, the style and noise; 7, the style of a photograph. The pictures "
        "and their records are put into the directory OUT-panels; those that are there already, from the same "
        "settings and files, are kept, so that the same command goes on after Ctrl-C.",
        argument_default=argparse.SUPPRESS,  # the defaults are those of Settings
    )
    parser.add_argument("number", type=int, choices=list(FIGURES), help="of the figure")
    parser.add_argument("--content", type=file, required=True, metavar="PICTURE", help="whose objects stay")
    parser.add_argument(
        "--style",
        type=file,
        nargs="+",
        action="extend",
        required=True,
        metavar="PICTURE",
        help="that gives the strokes; figure 3 takes several, figure 7 a photograph",
    )
    parser.add_argument("-o", "--output", type=file, required=True, metavar="OUT.png", help="beside it lies OUT.json")
    parser.add_argument(
        "--quick",
        action="store_true",
        default=False,
        help=f"a small version: {QUICK['size']} pixels, {QUICK['iterations']} iterations a picture",
    )
    parser.add_argument(
        "--size", type=size_or_own, metavar="N", help="longer side of each picture in pixels; 0 is its own (512)"
    )
    parser.add_argument("--iterations", type=positive_integer, metavar="N", help="steps at most, of each picture (500)")
    add_style_fit(parser)
    parser.add_argument("--quiet", action="store_true", default=False, help="print nothing but errors")
    add_json(parser)
    add_network(parser)
    computation.add(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Make what is missing of the figure, draw it, and return the exit status."""
    number, output = arguments.number, arguments.output
    source, reason = choose_source(getattr(arguments, "network", None))
    _check(number, arguments.content, arguments.style, output, source)
    network = load_network(source, getattr(arguments, "preprocessing", None))
    settings = {**(QUICK if arguments.quick else {}), **job.given(arguments), "network": source}
    say = Reporter(0, arguments.quiet).say
    say(f"network: {network.name}, {reason}")
    material = Material(arguments.content, tuple(arguments.style), network, settings, output)
    figure = FIGURES[number](material)
    check(figure, output)
    check_panels(figure, [output, output.with_suffix(".json")], [*material.styles, material.content])
    if arguments.dry_run:
        return _tell_outlook(figure, output, arguments.json)
    _make_folder(material.folder)
    status = _make_panels(figure, say, arguments.quiet)
    if status == job.INTERRUPTED:
        complain(f"{output} is not made yet: the same command goes on with the pictures that are missing.")
    if status:
        return status
    images.save(output, sheet.draw(figure, figure.runs[0][1].size))
    progress.write_record(output, {"figure": number}, figure, sys.argv)
    if arguments.json:
        panels = {panel.label: str(settings.output) for panel, settings in figure.runs}
        tell({"output": str(output), "figure": number, "network": network.name, "pictures": panels})
    say(f"{output}: figure {number} of {network.name}, {len(figure.runs)} pictures")
    return 0


def _make_panels(figure: Figure, say: Callable[[str], None], quiet: bool) -> int:
    """Run what is not done yet, and return the status of the first run that did not come to its end, or 0."""
    for number, (panel, settings) in enumerate(figure.runs, start=1):
        name = f"picture {number} of {len(figure.runs)}, {panel.label}"
        inputs = done.fingerprints(settings)
        if done.is_done(settings, inputs):
            say(f"{name}: kept")
            continue
        say(f"{name}:")
        try:
            status = job.run(settings, quiet, dry_run=False)
        except KeyboardInterrupt:  # before there was anything to save
            status = job.INTERRUPTED
        if status:
            return status
        done.note_inputs(settings, inputs)
    return 0


def _tell_outlook(figure: Figure, output: Path, as_json: bool) -> int:
    """Print how much memory and time each panel that is missing would take."""
    for panel, settings in figure.runs:
        if not done.is_done(settings, done.fingerprints(settings)):
            settings = replace(settings, output=output)
            if as_json:
                tell({"picture": panel.label, **job.outlook_facts(forecast(settings))})
                continue
            print(one_line(panel.label))
            job.run(settings, quiet=True, dry_run=True)
    return 0


def _check(number: int, content: Path, styles: list[Path], output: Path, source: str) -> None:
    """Raise a UserError if there are too many styles, a file cannot be read or written, or an input would be lost."""
    if number != 3 and len(styles) > 1:
        raise UserError(
            f"figure {number} takes one --style, not {len(styles)}: leave out the others, or make figure 3."
        )
    check_suffix(output, images.PICTURE_SUFFIXES)
    record = output.with_suffix(".json")
    check_outputs([output, record], [content, *styles, source_file(source)])
    check_replaceable(record, output)
    for path in (content, *styles):
        images.load(path, (1, 1))  # it is read to its end, but takes little memory


def check_panels(figure: Figure, outputs: list[Path], inputs: list[Path]) -> None:
    """Raise a UserError if a picture or record among the panels would replace a file that no such panel is."""
    for _, settings in figure.runs:
        outputs += [settings.output, settings.record]
        check_replaceable(settings.record, settings.output)
        if not is_record_of(settings.record, settings.output):
            origin.check_replaceable(settings.output)
    check_apart(outputs, inputs)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise UserError(
            f"the directory {folder} for the panels cannot be created ({error.strerror}): name another output."
        ) from None
