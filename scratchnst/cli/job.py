"""What transfer and reconstruct do alike: check the outputs, run, and write the picture and its record."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.metadata import version
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np

from scratchnst import images
from scratchnst.cli.progress import Reporter
from scratchnst.errors import UserError
from scratchnst.files import check_writable, write_atomically
from scratchnst.network import Network
from scratchnst.objective import Objective
from scratchnst.stylize import Evaluation, Progress, Stylized, stylize

FAILED, INTERRUPTED = 1, 130  # 130 is what shells report of a program ended by Ctrl-C
STARTS = ("noise", "content", "style")
PACKAGES = ("scratchnst", "numpy", "scipy", "pillow", "h5py")


def check_outputs(arguments: argparse.Namespace, inputs: Iterable[str | Path | None]) -> None:
    """Make sure, before anything is computed, that all outputs can be written and harm no input that is a file.

    Raises
    ------
    UserError
        If one cannot, or two of the files are the same.
    """
    outputs = [arguments.output, _record_path(arguments)]
    check_writable(outputs[0], images.PICTURE_SUFFIXES)
    check_writable(outputs[1])
    if arguments.log:
        check_writable(arguments.log)
        outputs.append(arguments.log)
    taken = {os.path.realpath(path) for path in inputs if path}
    stage = re.compile(re.escape(arguments.output.stem) + r"-\d{4,}" + re.escape(arguments.output.suffix))
    directory = os.path.dirname(os.path.realpath(arguments.output))
    for path in taken:
        if arguments.save_every and os.path.dirname(path) == directory and stage.fullmatch(os.path.basename(path)):
            raise UserError(f"--save-every might overwrite the input {path}: name another output.")
    for path in outputs:
        if os.path.realpath(path) in taken:
            raise UserError(f"{path} is named twice, as input or other output: name another file.")
        taken.add(os.path.realpath(path))


def load_picture(path: Path, network: Network, layers: Iterable[str] | None, defaults: Iterable[str]) -> np.ndarray:
    """Return the picture in a file, if it has by itself the pixels that the deepest of `layers` needs.

    Enlarged it would pass, and nothing of a picture would be in it.  Where `layers` is None, `defaults` serve.

    Raises
    ------
    UserError
        If the file holds no picture, a layer is unknown, or the picture is too small.
    """
    layers = list(defaults if layers is None else layers)
    network.check_layers(layers)
    picture = images.load(path)
    check_picture(path, picture, network, layers)
    return picture


def check_picture(path: Path, picture: np.ndarray, network: Network, layers: Iterable[str]) -> None:
    """Raise a UserError if the picture in a file has not, by itself, the pixels that the deepest of `layers` needs."""
    height, width, _ = picture.shape
    try:
        network.check_size(height, width, layers)
    except UserError as error:
        raise UserError(f"{path} cannot be used: {error}") from None


def canvas(picture: np.ndarray, network: Network, layers: Iterable[str], size: int, margin: int) -> np.ndarray:
    """Return `picture` scaled to `size` pixels on its longer side, with a margin.

    Raises
    ------
    UserError
        If a layer is unknown, or the picture without the margin too small for the deepest.
    """
    picture, layers = images.fit(picture, size), list(layers)
    network.check_layers(layers)
    network.check_size(picture.shape[0], picture.shape[1], layers)
    return images.extend(picture, margin)


def load_init(init: str, shape: tuple[int, ...], margin: int) -> str | np.ndarray:
    """Return what `stylize` takes as init: a name, or the image of the file named, with a margin, in `shape`."""
    if init in STARTS:
        return init
    if not os.path.exists(init):
        raise UserError(f"there is no file {init} to start from: name one, or one of {', '.join(STARTS)}.")
    height, width = shape[0] - 2 * margin, shape[1] - 2 * margin
    return images.extend(images.resize(images.load(init), height, width), margin)


def run(objective: Objective, init: Any, arguments: argparse.Namespace, reporter: Reporter) -> int:
    """Optimise, write the picture and its record, and return the exit status."""
    with ExitStack() as stack:
        stack.enter_context(reporter)
        log = _Log(arguments.log, stack)
        write_log, save_stage, show = (
            _SideOutput(name, write)
            for name, write in (
                ("the log", log.write),
                ("--save-every", _stages(arguments)),
                ("progress", reporter.step),
            )
        )

        def on_step(progress):
            show(progress)
            save_stage(progress)

        result = stylize(
            objective,
            init,
            iterations=arguments.iterations,
            optimizer=arguments.optimizer,
            seed=arguments.seed,
            bounded=arguments.bounded,
            margin=arguments.margin,
            on_step=on_step,
            on_evaluation=write_log,
        )
    with _uninterrupted():
        images.save(arguments.output, result.image)
        record = json.dumps(_record(objective, result, arguments), indent=2, allow_nan=False)
        write_atomically(_record_path(arguments), (record + "\n").encode())
    return _tell(result, arguments, reporter)


class _SideOutput:
    """A callback whose first failure is told and ends it, but not the run: the picture matters more."""

    def __init__(self, name: str, write: Callable[[Any], None]):
        self.name, self.write, self.failed = name, write, False

    def __call__(self, news: Any) -> None:
        if self.failed:
            return
        try:
            self.write(news)
        except (OSError, UserError) as error:
            self.failed = True
            with suppress(OSError):
                print(f"scratchnst: {self.name} failed and is left out from now on: {error}", file=sys.stderr)


class _Log:
    """The JSON lines of --log; the file is opened with the first evaluation, when all settings have proved good."""

    def __init__(self, path: Path | None, stack: ExitStack):
        self.path, self.stack = path, stack
        self.file: FileIO | None = None

    def write(self, evaluation: Evaluation) -> None:
        if self.path is None:
            return
        if self.file is None:
            # Without a buffer, nothing is left to be written, and to fail, when the file is closed.
            self.file = self.stack.enter_context(self.path.open("wb", buffering=0))
        self.file.write((json.dumps(_log_entry(evaluation), allow_nan=False) + "\n").encode())


def _stages(arguments):
    """Return what saves the image after every N-th step: out.png, step 50 -> out-0050.png."""
    path, every = arguments.output, arguments.save_every

    def save(progress: Progress) -> None:
        if every and progress.iteration % every == 0:
            images.save(path.with_name(f"{path.stem}-{progress.iteration:04d}{path.suffix}"), progress.image)

    return save


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let Ctrl-C wait: a result that took minutes is not lost in the moment in which it is written."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _tell(result, arguments, reporter):
    """Say how it ended, and return the exit status."""
    summary = (
        f"{arguments.output}: {result.stop_reason}; loss {result.loss:.5g} after {result.iterations} iterations, "
        f"{result.evaluations} evaluations, {result.seconds:.1f} s"
    )
    if result.complete:
        reporter.say(summary)
        return 0
    with suppress(OSError):
        print(f"scratchnst: {summary}; the last good image is saved.", file=sys.stderr)
    return INTERRUPTED if result.stop_reason == "interrupted" else FAILED


def _record_path(arguments):
    return arguments.output.with_suffix(".json")


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


def _record(objective: Objective, result: Stylized, arguments) -> dict:
    """Everything that it takes to make the picture again, and how it came out."""
    network = objective.network
    given = {
        name: [str(item) for item in value]
        if isinstance(value, list)
        else str(value)
        if isinstance(value, Path)
        else value
        for name, value in vars(arguments).items()
        if name != "run"
    }
    resolved = {
        "height": result.image.shape[0],
        "width": result.image.shape[1],
        "content_layers": objective.content_layers if objective.content is not None else {},
        "style_layers": objective.style_layers if objective.styles else {},
        "content_weight": objective.content_weight,
        "style_weight": objective.style_weight,
        "style_blend": objective.style_blend,
        "tv_weight": objective.tv_weight,
        "pooling": network.pooling,
        "normalized": network.normalized,
    }
    return {
        "command": sys.argv,
        "settings": {**given, **resolved},
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
