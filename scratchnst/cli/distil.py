"""``scratchnst weights distil TEACHER OUT.h5 --images DIR``: train the small network that ships with the program."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from scratchnst.cli.arguments import non_negative_integer, positive_integer
from scratchnst.cli.pictures import check_output, pictures_in
from scratchnst.images import samples
from scratchnst.training.distillation import distil
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
    parser.add_argument("output", type=Path, metavar="OUT.h5", help="the file to write")
    parser.add_argument("--images", type=Path, required=True, metavar="DIR", help="a directory of pictures")
    parser.add_argument("--steps", type=positive_integer, default=5500, metavar="N", help="of training (5500)")
    parser.add_argument(
        "--start", metavar="FILE", help="a network distilled from the same pictures, to teach further, more gently"
    )
    parser.add_argument("--seed", type=non_negative_integer, default=0, metavar="N", help="of all chance (0)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Train, and write the student in our own layout."""
    check_output(arguments.output, arguments.source)
    teacher = load_network(arguments.source)
    start = load_network(arguments.start) if arguments.start else None
    names, pictures = pictures_in(arguments.images, LONGEST_SIDE)
    for seed in SAMPLE_SEEDS:
        pictures += [draw(seed=seed).astype(np.float32) for draw in (samples.draw_content, samples.draw_style)]
    interval = 0.5 if sys.stderr.isatty() else 60  # seconds
    with tqdm(total=arguments.steps, unit=" steps", dynamic_ncols=True, mininterval=interval, delay=interval) as bar:

        def on_step(step: int, loss: float) -> None:
            bar.set_postfix_str(f"loss {loss:.3f}", refresh=False)
            bar.update()

        student = distil(teacher, pictures, arguments.steps, arguments.seed, start, on_step)
    origin = {
        "distilled from": dict(teacher.provenance),
        "pictures": names,
        "sample pictures of seeds": list(SAMPLE_SEEDS),
        "steps": arguments.steps,
        "seed": arguments.seed,
        "started from": dict(start.provenance) if start else None,
    }
    native.write(replace(student, provenance=origin), arguments.output)
    print(f"{arguments.output}: {student.name}, trained for {arguments.steps} steps", file=sys.stderr)
    return 0
