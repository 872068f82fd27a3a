"""``scratchnst weights distil TEACHER OUT.h5 --images DIR``: train the small network that ships with the program."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from scratchnst.cli.arguments import file, folder, non_negative_integer, non_negative_number, positive_integer
from scratchnst.cli.job import INTERRUPTED
from scratchnst.cli.pictures import check_weights, pictures_in
from scratchnst.cli.reports import add_json, tell
from scratchnst.engine import cpu
from scratchnst.errors import UserError
from scratchnst.files import open_input
from scratchnst.images import samples
from scratchnst.messages import complain, one_line
from scratchnst.models.network import Network
from scratchnst.system.signals import uninterrupted
from scratchnst.training.distillation import RATE, STEPS, distil
from scratchnst.weights.formats import native
from scratchnst.weights.load import load_network

LONGEST_SIDE = 2048  # of pictures to learn from
SAMPLE_SEEDS = (1, 2, 3)  # seed 0, the sample pair itself, is not trained on


def add(actions) -> None:
    """Add this action's parser to those of ``scratchnst weights``."""
    parser = actions.add_parser(
        "distil",
        help="train a small network to see what VGG19 sees",
        description="Train a small network to see what VGG19 sees, on pictures of yours and on sample pictures.",
    )
    parser.add_argument("source", metavar="TEACHER", help="VGG19, the file or the name")
    parser.add_argument("output", type=file, metavar="OUT.h5", help="the file to write")
    parser.add_argument("--images", type=folder, required=True, metavar="DIR", help="a directory of pictures")
    parser.add_argument("--licences", type=file, metavar="FILE", help="a text on the pictures, to be kept in the file")
    parser.add_argument("--steps", type=positive_integer, default=STEPS, metavar="N", help=f"of training ({STEPS})")
    parser.add_argument(
        "--start", metavar="FILE", help="a network that was distilled: layers of the same name and shape begin with it"
    )
    parser.add_argument(
        "--rate",
        type=non_negative_number,
        default=RATE,
        metavar="R",
        help=f"Adam's highest rate ({RATE}; less to refine)",
    )
    parser.add_argument(
        "--checkpoint",
        type=file,
        metavar="FILE.h5",
        help="written during the training; if it is there, the same training goes on from it",
    )
    parser.add_argument("--seed", type=non_negative_integer, default=0, metavar="N", help="of all chance (0)")
    add_json(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Train, and write the student in our own layout."""
    outputs = [path for path in (arguments.output, arguments.checkpoint) if path]
    check_weights(outputs, [arguments.source, arguments.start], [arguments.licences] if arguments.licences else [])
    teacher = load_network(arguments.source)
    start = load_network(arguments.start) if arguments.start else None
    names, pictures = pictures_in(arguments.images, LONGEST_SIDE)
    for seed in SAMPLE_SEEDS:
        pictures += [draw(seed=seed).astype(np.float32) for draw in (samples.draw_content, samples.draw_style)]
    origin = {
        "distilled from": dict(teacher.provenance),
        "pictures": names,
        "licences": _text(arguments.licences),
        "sample pictures of seeds": list(SAMPLE_SEEDS),
        "steps": arguments.steps,
        "rate": arguments.rate,
        "seed": arguments.seed,
        "started from": dict(start.provenance) if start else None,
    }
    done = 0
    if arguments.checkpoint and arguments.checkpoint.exists():
        start, done = _resumed(arguments.checkpoint, origin)
    keep = None if arguments.checkpoint is None else _keeper(arguments.checkpoint, origin)
    settings = {"steps": arguments.steps, "seed": arguments.seed, "rate": arguments.rate}
    interval = 0.5 if sys.stderr.isatty() else 60  # seconds
    with tqdm(
        total=arguments.steps, initial=done, unit=" steps", dynamic_ncols=True, mininterval=interval, delay=interval
    ) as bar:

        def on_step(step: int, loss: float) -> None:
            bar.set_postfix_str(f"loss {loss:.3f}", refresh=False)
            bar.update()

        try:
            student = distil(teacher.on(cpu), pictures, start=start, done=done, on_step=on_step, keep=keep, **settings)
        except KeyboardInterrupt:
            kept = f"{arguments.checkpoint} keeps what was learnt" if keep else "nothing was written"
            complain(f"interrupted; {kept}.")
            return INTERRUPTED
    with uninterrupted():  # what took hours to learn
        native.write(replace(student, provenance=origin), arguments.output, "float16")
    if arguments.json:
        tell({"output": str(arguments.output), "network": student.name, "steps": arguments.steps})
    print(f"{one_line(arguments.output)}: {student.name}, trained for {arguments.steps} steps", file=sys.stderr)
    return 0


def _text(path: Path | None) -> str | None:
    """What stands in a file of text."""
    if path is None:
        return None
    try:
        with open_input(path) as file:
            return file.read().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as text ({error}): name another file.") from None


def _keeper(path: Path, origin: dict[str, Any]) -> Callable[[int, Network], None]:
    """Return what writes a checkpoint."""

    def keep(done, student):
        native.write(replace(student, provenance={**origin, "steps done": done}), path)

    return keep


def _resumed(path: Path, origin: dict[str, Any]) -> tuple[Network, int]:
    """Return the student in a checkpoint and the number of steps done, or raise a UserError if it is of another one."""
    student = load_network(path)
    kept = dict(student.provenance.get("origin", {}))
    done = kept.pop("steps done", None)
    if done is None or {**kept, "steps": None} != {**origin, "steps": None}:
        raise UserError(
            f"{path} is no checkpoint of this training: name another file, or give the arguments that it was begun "
            "with, of which --steps alone may change."
        )
    return student, done
