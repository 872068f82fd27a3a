"""What transfer and reconstruct do alike: check the outputs, run, and write the picture and its record."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path

from scratchnst import images
from scratchnst.cli.progress import Reporter
from scratchnst.errors import UserError
from scratchnst.files import check_writable, write_atomically
from scratchnst.objective import Objective
from scratchnst.stylize import Evaluation, Stylized, start_image, stylize

FAILED, INTERRUPTED = 1, 130
PACKAGES = ("scratchnst", "numpy", "scipy", "pillow", "h5py")


def check_outputs(arguments: argparse.Namespace, inputs: list[Path]) -> None:
    """Make sure, before anything is computed, that all outputs can be written and harm no input.

    Raises
    ------
    UserError
        If one cannot, or two of the files are the same.
    """
    check_writable(arguments.output, images.PICTURE_SUFFIXES)
    outputs = [arguments.output, _record_path(arguments)]
    check_writable(outputs[1])
    if arguments.log:
        check_writable(arguments.log)
        outputs.append(arguments.log)
    taken = {path.resolve() for path in inputs}
    for path in outputs:
        if path.resolve() in taken:
            raise UserError(f"{path} is named twice, as input or other output: name another file.")
        taken.add(path.resolve())


def start(arguments: argparse.Namespace):
    """Return what `stylize` takes as init: a name, or the image of the file named."""
    if arguments.init in ("noise", "content", "style"):
        return arguments.init
    return images.load(arguments.init)


def run(objective: Objective, init, arguments: argparse.Namespace, reporter: Reporter, settings: dict) -> int:
    """Optimise, write the picture and its record, and return the exit status."""
    start_image(objective, init, arguments.seed)  # wrong names show before the log is opened
    with ExitStack() as stack:
        log = stack.enter_context(arguments.log.open("w")) if arguments.log else None
        stack.enter_context(reporter)

        def on_step(progress):
            reporter.step(progress)
            if arguments.save_every and progress.iteration % arguments.save_every == 0:
                images.save(_numbered(arguments.output, progress.iteration), progress.image)

        def on_evaluation(evaluation):
            if log:
                print(json.dumps(_log_entry(evaluation)), file=log, flush=True)

        result = stylize(
            objective,
            init,
            iterations=arguments.iterations,
            optimizer=arguments.optimizer,
            seed=arguments.seed,
            bounded=arguments.bounded,
            on_step=on_step,
            on_evaluation=on_evaluation,
        )
    images.save(arguments.output, result.image)
    record = json.dumps(_record(objective, result, arguments, settings), indent=2)
    write_atomically(_record_path(arguments), (record + "\n").encode())
    return _tell(result, arguments, reporter)


def _tell(result, arguments, reporter):
    """Say how it ended, and return the exit status."""
    summary = (
        f"{arguments.output}: {result.stop_reason}; loss {result.loss:.5g} after {result.iterations} iterations, "
        f"{result.evaluations} evaluations, {result.seconds:.1f} s"
    )
    if result.complete:
        reporter.say(summary)
        return 0
    print(f"scratchnst: {summary}; the last good image is saved.", file=sys.stderr)
    return INTERRUPTED if result.stop_reason == "interrupted" else FAILED


def _record_path(arguments):
    return arguments.output.with_suffix(".json")


def _numbered(path, iteration):
    """out.png, 50 -> out-0050.png"""
    return path.with_name(f"{path.stem}-{iteration:04d}{path.suffix}")


def _log_entry(evaluation: Evaluation) -> dict:
    """Content and style by layer, before weighting, from names like "style/conv1_1"."""
    entry: dict = {"evaluation": evaluation.number, "total": evaluation.loss}
    for name, value in evaluation.terms.items():
        kind, _, layer = name.partition("/")
        if layer:
            entry.setdefault(kind, {})[layer] = value
        else:
            entry[kind] = value
    return {**entry, "seconds": round(evaluation.seconds, 4)}


def _record(objective: Objective, result: Stylized, arguments, settings) -> dict:
    """Everything that it takes to make the picture again, and how it came out."""
    network = objective.network
    return {
        "command": sys.argv,
        "settings": {
            **settings,
            "height": objective.shape[0],
            "width": objective.shape[1],
            "content_layers": objective.content_layers if objective.content is not None else {},
            "style_layers": objective.style_layers if objective.styles else {},
            "content_weight": objective.content_weight,
            "style_weight": objective.style_weight,
            "tv_weight": objective.tv_weight,
            "pooling": network.pooling,
            "normalized": network.normalized,
            "dtype": objective.dtype,
            "iterations": arguments.iterations,
            "optimizer": arguments.optimizer,
            "bounded": arguments.bounded,
            "seed": arguments.seed,
        },
        "network": {"name": network.name, **network.provenance},
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "result": {
            "stopped": result.stop_reason,
            "complete": result.complete,
            "loss": result.loss,
            "terms": result.terms,
            "iterations": result.iterations,
            "evaluations": result.evaluations,
            "seconds": round(result.seconds, 2),
        },
    }
