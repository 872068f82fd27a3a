"""Arguments that commands share, and the checks that need nothing but the argument itself."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

from scratchnst.cli.reports import add_json
from scratchnst.errors import UserError
from scratchnst.files import check_outputs, check_suffix, names_a_file
from scratchnst.images import PICTURE_SUFFIXES, colour_control
from scratchnst.images.finish import DEPTHS, KEEPABLE
from scratchnst.images.origin import check_replaceable
from scratchnst.messages import one_line
from scratchnst.models.layers import POOLINGS
from scratchnst.models.network import PADDINGS, ZERO
from scratchnst.models.vgg import PREPROCESSINGS
from scratchnst.optimize import OPTIMIZERS
from scratchnst.optimize.average import DECAY
from scratchnst.transfer.layer_weights import LAYER_WEIGHTS
from scratchnst.transfer.objective import CORRELATIONS, KEEP, STYLE_FITS, STYLE_LOSSES, TOTAL_VARIATIONS
from scratchnst.transfer.settings import (
    LARGEST_GROWTH,
    LARGEST_MARGIN,
    LARGEST_SCALES,
    LARGEST_SIZE,
    MOST_THREADS,
    SMALLEST_TILE,
)
from scratchnst.transfer.stylize import MARGIN, OPTIMIZER

OLD_NAMES = {"lbfgs-native": "lbfgs"}  # of optimisers


def _number(text, kind, lowest, what, highest=math.inf):
    """Parse a number from `lowest` to `highest`, which must be finite."""
    try:
        number = kind(text)
    except ValueError:
        number = math.nan
    if not lowest <= number <= highest or number == math.inf:
        raise argparse.ArgumentTypeError(f"must be {what}, not {text!r}")
    return number


def file(text: str) -> Path:
    """Parse the path of a file, which ends in its name."""
    if not names_a_file(text):  # `Path` would leave out a slash at the end
        raise argparse.ArgumentTypeError(f"must end in the name of a file, which {text!r} does not")
    return Path(text)


def folder(text: str) -> Path:
    """Parse the path of a folder."""
    if not text:
        raise argparse.ArgumentTypeError("must name a folder: . is the current one")
    return Path(text)


size = partial(_number, kind=int, lowest=1, what=f"a whole number from 1 to {LARGEST_SIZE}", highest=LARGEST_SIZE)
size_or_own = partial(
    _number, kind=int, lowest=0, what=f"a whole number from 1 to {LARGEST_SIZE}, or 0", highest=LARGEST_SIZE
)
margin = partial(_number, kind=int, lowest=0, what=f"a whole number from 0 to {LARGEST_MARGIN}", highest=LARGEST_MARGIN)
tile = partial(_number, kind=int, lowest=SMALLEST_TILE, what=f"a whole number of {SMALLEST_TILE} or more")
threads = partial(_number, kind=int, lowest=1, what=f"a whole number from 1 to {MOST_THREADS}", highest=MOST_THREADS)
crf = partial(_number, kind=float, lowest=0, what="a number from 0 to 51", highest=51)
minutes = partial(_number, kind=float, lowest=0.01, what="a number of 0.01 or more")
width = partial(_number, kind=int, lowest=1, what="a whole number from 1 to 1024", highest=1024)
units = partial(_number, kind=int, lowest=0, what="a whole number from 0 to 4096", highest=4096)
blocks = partial(_number, kind=int, lowest=0, what="a whole number from 0 to 40", highest=40)  # its file can be read
positive_integer = partial(_number, kind=int, lowest=1, what="a whole number of 1 or more")
non_negative_integer = partial(_number, kind=int, lowest=0, what="a whole number of 0 or more")
decay = partial(_number, kind=float, lowest=0, what="a number from 0 to 0.9999", highest=0.9999)
positive_number = partial(_number, kind=float, lowest=math.ulp(0), what="a number above 0")
growth = partial(
    _number,
    kind=int,
    lowest=-LARGEST_GROWTH,
    what=f"a whole number from -{LARGEST_GROWTH} to {LARGEST_GROWTH}",
    highest=LARGEST_GROWTH,
)
signed_number = partial(_number, kind=float, lowest=-sys.float_info.max, what="a finite number")
non_negative_number = partial(_number, kind=float, lowest=0, what="a number of 0 or more")


def weights(text: str) -> list[float]:
    """Parse weights like 2,1, of which one at least is not 0."""
    try:
        found = [non_negative_number(weight.strip()) for weight in text.split(",")]
    except argparse.ArgumentTypeError:
        found = []
    if not any(found):
        raise argparse.ArgumentTypeError(f"must be numbers of 0 or more like 2,1, whose sum is not 0, not {text!r}")
    return found


def one_or_each(kind: Callable[[str], Any], text: str) -> list[Any]:
    """Parse one value for all styles, or one for each, like 512,300."""
    return [kind(value.strip()) for value in text.split(",")]


def _at_home(value):
    """Return a path, or paths in lists, with ~ expanded: the shell leaves it as it is in --option=~/file."""
    if isinstance(value, list | tuple):
        return type(value)(map(_at_home, value))
    if isinstance(value, str | Path) and str(value).startswith("~"):
        return type(value)(os.path.expanduser(value))
    return value


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one sentence, without the usage in front."""

    def __init__(self, **settings):
        super().__init__(allow_abbrev=False, **settings)

    def parse_args(self, *arguments: Any, **settings: Any) -> Any:
        """Return the namespace, in which ~ at the beginning of a path is the home folder, as shells have it."""
        namespace = super().parse_args(*arguments, **settings)
        for name, value in vars(namespace).items():
            setattr(namespace, name, _at_home(value))
        return namespace

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {one_line(message)}; see {self.prog} --help.\n")


def add_run(parser: argparse.ArgumentParser, output: Callable[[str], Path | str] = file) -> None:
    """Add what all commands that optimise an image share, without defaults: network, optimisation and output.

    `output` parses the path of the picture.
    """
    add_network(parser)
    add_optimisation(parser)
    _add_output(parser, output)


def place(text: str) -> Path | str:
    """Parse the path of a file or of a folder; one that ends in no name, as that of a folder may, stays text."""
    return text if text and not names_a_file(text) else file(text)


def _add_output(parser: argparse.ArgumentParser, output: Callable[[str], Path | str]) -> None:
    group = parser.add_argument_group("output")
    group.add_argument(
        "-o",
        "--output",
        type=output,
        required=True,
        metavar="OUT.png|-",
        help="the picture; beside it lies OUT.json; - is standard output, a PNG alone",
    )
    add_finish(group)
    group.add_argument(
        "--save-every", type=positive_integer, metavar="N", help="also save OUT-0010.png ... at N, 2N ..."
    )
    group.add_argument("--log", type=file, metavar="FILE.jsonl", help="one JSON object an evaluation of the loss")
    group.add_argument(
        "--video", type=file, metavar="RUN.mp4|gif|webp", help="a film of the run, with a frame for each step"
    )
    group.add_argument("--video-every", type=positive_integer, metavar="N", help="a frame after every N steps (1)")
    group.add_argument(
        "--checkpoint-every",
        type=positive_integer,
        metavar="N",
        help="write OUT.png.state, from which a killed run goes on, every N steps (once in a minute)",
    )
    group.add_argument(
        "--resume", action="store_true", default=False, help="go on with the run that was killed or interrupted"
    )
    group.add_argument("--quiet", action="store_true", default=False, help="print nothing but errors")
    add_json(group, "one JSON object on how it ended")


def add_finish(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Add how pictures are written, without defaults."""
    parser.add_argument("--depth", type=int, choices=DEPTHS, help="bits a channel; 16 in a PNG or a TIFF (8)")
    parser.add_argument(
        "--keep",
        nargs="+",
        choices=KEEPABLE,
        help="what the picture keeps of the photograph's file: its colour profile, into whose colours it is converted, "
        "its transparency (nothing: sRGB, opaque)",
    )


def add_optimisation(parser: argparse.ArgumentParser) -> None:
    """Add how an image is optimised, without defaults."""
    group = parser.add_argument_group("optimisation")
    group.add_argument(
        "--size", type=size_or_own, metavar="N", help="longer side in pixels; 0 keeps the picture's own size (512)"
    )
    group.add_argument(
        "--iterations", type=positive_integer, metavar="N", help="steps at most, of all scales together (120)"
    )
    group.add_argument(
        "--optimizer",
        type=lambda name: OLD_NAMES.get(name, name),
        choices=list(OPTIMIZERS),
        help=f"our own L-BFGS, scipy-lbfgs (more time and memory) or adam ({OPTIMIZER})",
    )
    group.add_argument(
        "--padding",
        choices=list(PADDINGS),
        help=f"what the network's first convolution sees around the image: zeros, its edge or its reflection ({ZERO})",
    )
    group.add_argument("--seed", type=non_negative_integer, metavar="N", help="of the white noise (0)")
    group.add_argument("--bounded", action="store_true", help="keep pixels within 0-255 all along, not only in the end")
    group.add_argument(
        "--margin",
        type=margin,
        metavar="N",
        help=f"pixels around the picture that are computed and cut off, for clean borders ({MARGIN})",
    )
    group.add_argument(
        "--least-gain",
        type=non_negative_number,
        metavar="SHARE",
        help="stop when 50 iterations have lowered the loss by less than this share of it; 0 is never (0.01)",
    )
    group.add_argument(
        "--average",
        type=decay,
        nargs="?",
        const=DECAY,
        metavar="DECAY",
        help="paint the mean of the images after each step, the newest counting most, against Adam's speckle "
        "(%(const)s)",
    )
    group.add_argument(
        "--carry-moments", action="store_true", help="let adam begin each scale with the moments of the one before"
    )
    group.add_argument("--tv-weight", type=non_negative_number, metavar="T", help="weight of the total variation")
    add_losses(group)


def add_losses(parser) -> None:
    """Add which style loss and which total variation, without defaults."""
    parser.add_argument(
        "--tv",
        choices=list(TOTAL_VARIATIONS),
        help="differences between neighbours squared, against grain, or absolute, which spares edges (squared)",
    )
    parser.add_argument(
        "--style-loss",
        choices=list(STYLE_LOSSES),
        help="what of the style is compared: Gram matrices, moments (mean and deviation of each channel), wasserstein "
        "(means and covariances) or sliced (whole distributions along random directions) (gram)",
    )


def add_laplacian_weight(parser) -> None:
    """Add the weight of a term that there is with a content alone, without a default."""
    parser.add_argument(
        "--laplacian-weight",
        type=non_negative_number,
        metavar="W",
        help="weight of the difference from the content's edges (0)",
    )


def add_network(parser: argparse.ArgumentParser) -> None:
    """Add which network looks at the pictures."""
    group = parser.add_argument_group("network")
    group.add_argument(
        "--network",
        metavar="NAME|FILE.h5",
        help="distilled, pyramid, vgg19, or a weights file (the one in SCRATCHNST_VGG19, else vgg19, else distilled)",
    )
    add_preprocessing(group)
    group.add_argument("--pooling", choices=list(POOLINGS), help="avg as in the paper, or max (avg)")
    group.add_argument(
        "--no-normalize",
        dest="normalize",
        action="store_false",
        help="take the weights as they are; else each filter's mean activation on the images is scaled to 1",
    )


def add_equation_7(parser: argparse.ArgumentParser) -> None:
    """Add the pictures of equation 7, and the weights of its terms."""
    parser.add_argument(
        "content", type=file, metavar="CONTENT", help="the picture whose objects stay; - is standard input"
    )
    parser.add_argument("styles", type=file, nargs="+", metavar="STYLE", help="the picture that gives the strokes")
    add_terms(parser)


def add_terms(parser: argparse.ArgumentParser) -> None:
    """Add the terms of equation 7: how styles are scaled, layers and weights."""
    add_style_fit(parser)
    group = parser.add_argument_group("equation 7", "defaults belong to the network")
    group.add_argument("--content-weight", type=non_negative_number, metavar="A", help="alpha")
    group.add_argument("--style-weight", type=non_negative_number, metavar="B", help="beta")
    group.add_argument("--content-layers", nargs="+", metavar="LAYER[:WEIGHT]", help="like conv4_2")
    group.add_argument(
        "--style-layers", nargs="+", metavar="LAYER[:WEIGHT]", help="like conv1_1:0.2 conv2_1:0.8, or all"
    )
    group.add_argument(
        "--layer-weights",
        choices=LAYER_WEIGHTS,
        help="of style layers without weights: equal, or geometric, half of that of the one before (equal)",
    )
    group.add_argument(
        "--activation-shift",
        type=signed_number,
        metavar="S",
        help="added to the features before their Gram matrix; -1 makes the mean of a normalised network's zero (0)",
    )
    group.add_argument(
        "--correlations",
        choices=CORRELATIONS,
        help="between channels of one and the same layer, of neighbouring style layers, or both (layers)",
    )


def add_style_fit(parser) -> None:
    """Add how styles are scaled, without a default."""
    parser.add_argument(
        "--style-fit",
        choices=list(STYLE_FITS),
        help=f"how a style is scaled to the content's size: keep its proportions, or squeeze it into theirs ({KEEP})",
    )


def add_colors(parser) -> None:
    """Add whose colours a painting has, without defaults."""
    parser.add_argument(
        "--colors",
        choices=colour_control.COLORS,
        help="whose colours the painting has: the style's; the content's, and luminance alone is painted; or the "
        f"style's, matched to the content's in mean and covariance ({colour_control.STYLE})",
    )
    parser.add_argument(
        "--color-matching",
        choices=list(colour_control.MATCHINGS),
        help=f"of --colors match: by which linear map; symmetric changes colours least ({colour_control.MATCHING})",
    )


def check_colors(colors: str, color_matching: str | None) -> None:
    """Raise a UserError if a way to match colours is given, but they are not matched."""
    if color_matching is not None and colors != colour_control.MATCH:
        raise UserError("--color-matching says how --colors match does it: give that too, or leave it out.")


def add_preprocessing(parser) -> None:
    """Add what a VGG expects, for files that do not say."""
    parser.add_argument(
        "--preprocessing",
        choices=list(PREPROCESSINGS),
        help="what a VGG expects, where its file cannot tell: oxford (BGR, 0-255) or torchvision (RGB, 0-1)",
    )


def check_figure(path: Path, inputs: Iterable[str | Path | None] = (), others: Sequence[Path] = ()) -> None:
    """Raise a UserError unless the figure of --plot can be drawn and written; see `check_side_picture`."""
    if find_spec("matplotlib") is None:
        raise UserError("--plot needs Matplotlib: install it with pip install matplotlib.")
    check_side_picture(path, inputs, others)


def check_side_picture(path: Path, inputs: Iterable[str | Path | None] = (), others: Sequence[Path] = ()) -> None:
    """Make sure that a picture beside the command's own work can be written.

    Raises
    ------
    UserError
        If it cannot, is one of the command's inputs or `others` of its outputs, or replaces a picture of the user's.
    """
    check_suffix(path, PICTURE_SUFFIXES)
    check_outputs([path, *others], inputs)
    check_replaceable(path)


def scales(text: str) -> int | str:
    """Parse the number of scales, or "auto"."""
    if text == "auto":
        return text
    return _number(text, int, 1, f"auto or a whole number from 1 to {LARGEST_SCALES}", LARGEST_SCALES)


def pixel(text: str) -> tuple[int, int]:
    """Parse the row and the column of a pixel."""
    try:
        row, column = (non_negative_integer(number.strip()) for number in text.split(","))
    except (ValueError, argparse.ArgumentTypeError):
        raise argparse.ArgumentTypeError(
            f"must be ROW,COL, two whole numbers counted from 0 at the top left, not {text!r}"
        ) from None
    return row, column


def parse_layers(texts: list[str] | None) -> dict[str, float] | list[str] | None:
    """Turn ["conv1_1:0.2", "conv2_1:0.8"] into weights by name, and ["conv1_1", "conv2_1"] into names.

    Commas separate as well as spaces.  None, the option not given, stays None.

    Raises
    ------
    UserError
        If a name is missing or there twice, a weight is no number of 0 or more, or only some layers have a weight.
    """
    if texts is None:
        return None
    pairs = [part.partition(":") for text in texts for part in text.split(",") if part]
    names = [name for name, _, _ in pairs]
    if not all(names) or not names:
        raise UserError("a layer has no name: write, for example, conv1_1:0.5 conv2_1:0.5.")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise UserError(f"the layer {twice} is named twice: name each layer once.")
    weighted = [colon for _, colon, _ in pairs]
    if not any(weighted):
        return names
    if not all(weighted):
        raise UserError("some layers have a weight and others do not: give one to all of them or to none.")
    try:
        return {name: non_negative_number(weight) for name, _, weight in pairs}
    except argparse.ArgumentTypeError as error:
        raise UserError(f"the weight of a layer {error}.") from None
