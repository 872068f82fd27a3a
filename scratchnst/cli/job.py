"""What transfer and reconstruct do alike: check the outputs, run, and write the picture and its record."""

from __future__ import annotations

import argparse
import json
import math
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

from scratchnst import __version__, images
from scratchnst.cli import computation
from scratchnst.cli.progress import Reporter
from scratchnst.errors import UserError
from scratchnst.files import check_writable, write_atomically
from scratchnst.models.network import Network
from scratchnst.transfer.memory import Estimate
from scratchnst.transfer.objective import Objective
from scratchnst.transfer.scales import (
    StylizedByScales,
    automatic_scales,
    scale_shapes,
    share_iterations,
    stylize_by_scales,
)
from scratchnst.transfer.stylize import Evaluation, Progress, Stylized

FAILED, INTERRUPTED = 1, 130  # 130 is what shells report of a program ended by Ctrl-C
STARTS = ("noise", "content", "style")
PACKAGES = ("numpy", "scipy", "pillow", "h5py")


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


def fit(picture: np.ndarray, network: Network, layers: Iterable[str], arguments: argparse.Namespace) -> np.ndarray:
    """Return `picture` scaled to --size pixels on its longer side.

    Raises
    ------
    UserError
        If a layer is unknown, the picture too small for the deepest, or memory too small for the picture.
    """
    layers = list(layers)
    computation.check_room(*images.fitted_shape(picture, arguments.size), network.engine, arguments)
    picture = images.fit(picture, arguments.size)
    network.check_layers(layers)
    network.check_size(picture.shape[0], picture.shape[1], layers)
    return picture


def choose_scales(
    picture: np.ndarray, network: Network, layers: Iterable[str], scales: int | str, init: str
) -> list[tuple[int, int]]:
    """Return the (height, width) of each scale at which to paint `picture`, the coarsest first.

    "auto" adds a scale with each doubling of the longer side above 512, as long as the coarsest has the pixels that the
    deepest of `layers` needs; only one if the start is the user's own picture, whose details would be lost.

    Raises
    ------
    UserError
        If so many scales are asked for that the coarsest is too small.
    """
    (height, width, _), layers = picture.shape, list(layers)
    if scales != "auto":
        shapes = scale_shapes(height, width, int(scales))
        try:
            network.check_size(*shapes[0], layers)
        except UserError as error:
            raise UserError(f"--scales {scales} are too many: {error}") from None
        return shapes
    wanted = automatic_scales(max(height, width)) if init in STARTS else 1
    for count in range(wanted, 1, -1):
        shapes = scale_shapes(height, width, count)
        with suppress(UserError):
            network.check_size(*shapes[0], layers)
            return shapes
    return [(height, width)]


def load_init(init: str) -> str | np.ndarray:
    """Return where to start: a name, or the image of the file named."""
    if init in STARTS:
        return init
    if not os.path.exists(init):
        raise UserError(f"there is no file {init} to start from: name one, or one of {', '.join(STARTS)}.")
    return images.load(init)


def run(
    objective_at: Callable[[int, int], Objective],
    shapes: list[tuple[int, int]],
    init: Any,
    arguments: argparse.Namespace,
    reporter: Reporter,
) -> int:
    """Optimise scale after scale, write the picture and its record, and return the exit status."""
    settings: list[dict] = []  # as resolved at each scale
    estimates: list[Estimate] = []  # of memory
    reporter.scales = share_iterations(arguments.iterations, shapes)

    def begin_scale(height, width):
        reporter.begin_scale()
        objective = objective_at(height, width)
        estimate = computation.fit(objective, arguments)
        estimates.append(estimate)
        if objective.largest_strip < math.inf:
            reporter.say(f"memory: {computation.describe(estimate)}")
        settings.append(settings_of(objective))
        return objective

    if arguments.dry_run:
        print(computation.outlook(objective_at, reporter.scales, arguments))
        return 0

    with ExitStack() as stack:
        stack.enter_context(reporter)
        log = _Log(arguments.log, stack)
        write_log, save_stage, show = (
            _SideOutput(name, write)
            for name, write in (
                ("the log", log.write),
                ("--save-every", _stages(arguments, shapes[-1])),
                ("progress", reporter.step),
            )
        )

        def on_step(progress):
            show(progress)
            save_stage(progress)

        try:
            result = stylize_by_scales(
                begin_scale,
                shapes,
                init,
                iterations=arguments.iterations,
                optimizer=arguments.optimizer,
                seed=arguments.seed,
                bounded=arguments.bounded,
                margin=arguments.margin,
                on_step=on_step,
                on_evaluation=write_log,
            )
        except MemoryError as error:
            raise computation.out_of_memory(error, estimates[-1] if estimates else None) from error
    with _uninterrupted():
        images.save(arguments.output, result.image)
        record = json.dumps(_record(settings[len(result.scales) - 1], result, arguments), indent=2, allow_nan=False)
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


def _stages(arguments, shape):
    """Return what saves the image after every N-th step, enlarged to `shape`: out.png, step 50 -> out-0050.png."""
    path, every = arguments.output, arguments.save_every

    def save(progress: Progress) -> None:
        if every and progress.iteration % every == 0:
            stage = path.with_name(f"{path.stem}-{progress.iteration:04d}{path.suffix}")
            images.save(stage, images.resize(progress.image, *shape))

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
    entry: dict = {"evaluation": evaluation.number, "scale": evaluation.scale, "total": evaluation.loss}
    for name, value in evaluation.terms.items():
        kind, _, layer = name.partition("/")
        if layer:
            entry.setdefault(kind, {})[layer] = value
        else:
            entry[kind] = value
    return {**entry, "seconds": round(evaluation.seconds, 4)}


def settings_of(objective: Objective) -> dict:
    """Return what an objective has made of the settings given, JSON-able: its network, settings and computation."""
    network = objective.network
    return {
        "network": {"name": network.name, **network.provenance},
        "settings": {
            "content_layers": objective.content_layers if objective.content is not None else {},
            "style_layers": objective.style_layers if objective.styles else {},
            "content_weight": objective.content_weight,
            "style_weight": objective.style_weight,
            "style_blend": objective.style_blend,
            "tv_weight": objective.tv_weight,
            "pooling": network.pooling,
            "normalized": network.normalized,
        },
        "computation": computation.record(objective),
    }


def _record(resolved: dict, result: StylizedByScales, arguments) -> dict:
    """Everything that it takes to make the picture again, and how it came out."""
    given = {
        name: [str(item) for item in value]
        if isinstance(value, list)
        else str(value)
        if isinstance(value, Path)
        else value
        for name, value in vars(arguments).items()
        if name != "run"
    }
    shape = {"height": result.image.shape[0], "width": result.image.shape[1]}
    return {
        "command": sys.argv,
        "settings": {**given, **shape, **resolved["settings"]},
        "network": resolved["network"],
        "computation": resolved["computation"],
        "versions": {
            "scratchnst": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in PACKAGES},
        },
        "result": {**_end(result), "terms": result.terms, "scales": [_scale(end) for end in result.scales]},
    }


def _scale(end: Stylized) -> dict:
    """What there is to say of one scale."""
    return {"height": end.image.shape[0], "width": end.image.shape[1], **_end(end)}


def _end(end: Stylized) -> dict:
    """How a run, or a scale of it, came out."""
    return {
        "stopped": end.stop_reason,
        "complete": end.complete,
        "loss": end.loss,
        "iterations": end.iterations,
        "evaluations": end.evaluations,
        "seconds": round(end.seconds, 2),
    }
