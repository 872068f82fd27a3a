"""The whole job: pictures in, scales, memory, stages, log, record, picture out."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from scratchnst import images
from scratchnst.engine import Engine
from scratchnst.engine.devices import AUTO
from scratchnst.errors import UserError
from scratchnst.files import check_writable, write_atomically
from scratchnst.models.network import Network
from scratchnst.transfer import computation, memory
from scratchnst.transfer.objective import STYLE_FITS, Objective
from scratchnst.transfer.record import record, resolved
from scratchnst.transfer.scales import (
    StylizedByScales,
    automatic_shapes,
    scale_shapes,
    share_iterations,
    stylize_by_scales,
)
from scratchnst.transfer.settings import LARGEST_SIZE, STARTS, Settings
from scratchnst.transfer.side_outputs import Log, SideOutput, stages
from scratchnst.transfer.stylize import Iterate
from scratchnst.weights.load import choose_source, load_network, source_file

Scales = list[tuple[tuple[int, int], int]]  # (height, width) and iterations of each


def ignore(*_: Any) -> None:
    """Do nothing: the callback where none is given."""


def run(
    settings: Settings,
    on_progress: Callable[[Iterate], None] = ignore,
    tell: Callable[[str], None] = ignore,
    *,
    on_scale: Callable[[int, Scales], None] = ignore,
    notice: Callable[[str], None] = ignore,
    warn: Callable[[str], None] = ignore,
    command: Sequence[str] = (),
) -> StylizedByScales:
    """Do the whole job, and write the picture and its record.

    Parameters
    ----------
    settings : a Settings
    on_progress : called after each step
    tell : called with lines of information: which network, how much memory if layers are computed in strips
    on_scale : called when a scale begins, with its number, from 0, and all scales
    notice : called with messages about the device
    warn : called with a sentence if the log, a stage or `on_progress` has failed and is left out from then on
    command : the words of the command line, for the record

    Returns
    -------
    StylizedByScales
        As written; `complete` is False after Ctrl-C or an error on the way.

    Raises
    ------
    UserError
        If the settings do not fit the pictures, the network or the machine, or a file cannot be read or written.
    KeyboardInterrupt
        If Ctrl-C comes before there is anything to save.
    """
    with computation.computing_as(settings, notice) as engine:
        prepared = prepare(settings, engine, tell)
        result, used = _optimise(prepared, on_progress, on_scale, tell, warn)
        with uninterrupted():  # a result that took minutes is not lost while it is written
            images.save(settings.output, result.image)
            text = json.dumps(record(prepared.settings, used, result, command), indent=2, allow_nan=False)
            write_atomically(settings.record, (text + "\n").encode())
        return result


@dataclass(frozen=True)
class Prepared:
    """A run before its first step.

    Attributes
    ----------
    settings : as given, but for the network, which is named
    shapes : (height, width) of each scale, the coarsest first
    init : where to start, a name or an image
    objective_at : (height, width) -> the Objective of a scale
    peak : bytes that reading the pictures took at most, of the memory where the run is
    """

    settings: Settings
    shapes: list[tuple[int, int]]
    init: str | np.ndarray
    objective_at: Callable[[int, int], Objective]
    peak: int

    @property
    def scales(self) -> Scales:
        """Shape and iterations of each scale that will be run."""
        return share_iterations(self.settings.iterations, self.shapes)


def prepare(settings: Settings, engine: Engine, tell: Callable[[str], None] = ignore) -> Prepared:
    """Check the outputs, load network and pictures, and choose the scales.

    Raises
    ------
    UserError
        As for `run`.
    """
    source, reason = choose_source(settings.network)
    init_file = None if settings.init in STARTS else settings.init
    check_outputs(settings, [settings.content, *settings.styles, init_file, source_file(source)])
    network = load_network(source, settings.preprocessing).on(engine)
    reader = Reader(settings, engine)
    shapes, contents, styles = _load_pictures(settings, network, reader)
    init = settings.init if settings.init in STARTS else reader.load(init_path(settings.init), shapes[-1])
    tell(f"network: {network.name}, {reason}")

    def objective_at(height, width):
        content = contents[height, width]
        # Weights of sums over pixels are those of the finest scale, where there are more pixels.
        fewer = 1 if content is None else contents[shapes[-1]].size / content.size
        return Objective(
            network,
            content,
            styles[height, width],
            content_layers={} if content is None else settings.content_layers,
            style_layers=settings.style_layers if settings.styles else {},
            content_weight=_times(settings.content_weight, fewer),
            style_weight=settings.style_weight,
            tv_weight=_times(settings.tv_weight, fewer),
            pooling=settings.pooling,
            normalized=settings.normalize,
            style_fit=None,  # they are fitted
            dtype=settings.dtype,
        )

    peak = 0 if engine.has_own_memory else reader.peak
    return Prepared(replace(settings, network=source), shapes, init, objective_at, peak)


def _load_pictures(settings: Settings, network: Network, reader: Reader) -> tuple[list, dict, dict]:
    """Return the shapes of the scales and, by shape, content and styles, each scaled from the picture in the file."""
    content_layers = _names(settings.content_layers, network.defaults.content_layers)
    style_layers = _names(settings.style_layers, network.defaults.style_layers)
    layers = [*(content_layers if settings.content else ()), *(style_layers if settings.styles else ())]
    first, *others = settings.pictures
    size_of = {first: picture_size(first, network, content_layers if settings.content else style_layers)}
    height, width = images.fitted_shape(size_of[first], settings.size)  # the picture gets the first one's proportions
    computation.check_room(height, width, network.engine, settings)
    network.check_layers(layers)
    check_scaled(first, size_of[first], (height, width), settings.size, network, layers)
    size_of |= {path: picture_size(path, network, style_layers) for path in others}

    def shape_of(path, height, width):
        """The shape of a style beside an image of that size."""
        return STYLE_FITS[settings.style_fit](size_of[path], height, width)

    def check(height, width):
        network.check_size(height, width, layers)
        for path in others:
            check_style(path, size_of[path], shape_of(path, height, width), settings.size, network, style_layers)

    check(height, width)
    shapes = choose_scales(height, width, check, settings)
    picture = reader.load(first, (height, width))
    canvases = {shape: images.extend(images.resize(picture, *shape), settings.margin) for shape in shapes}
    del picture
    styles = {shape: [] if settings.content else [canvas] for shape, canvas in canvases.items()}
    for path in others:
        finest = shape_of(path, *canvases[height, width].shape[:2])
        style = reader.load(path, finest)
        for shape, canvas in canvases.items():
            styles[shape].append(images.resize(style, *shape_of(path, *canvas.shape[:2])))
    return shapes, dict.fromkeys(shapes) if settings.content is None else canvases, styles


class Reader:
    """Reads pictures where there is memory for it; `peak` is what the process has taken, in bytes, at most."""

    def __init__(self, settings: Settings, engine: Engine):
        # A GPU's limit is not that of the process.
        self.limit = memory.limit() if engine.has_own_memory else computation.memory_limit(engine, settings)
        self.peak = 0

    def load(self, path: Path, wanted: tuple[int, int]) -> np.ndarray:
        """Return a picture that will be scaled to `wanted` (height, width) at most.

        Raises
        ------
        UserError
            If it cannot be read, or takes more memory than there is.
        """
        self.peak = max(self.peak, memory.resident() + images.memory_to_read(path, wanted))
        if self.peak > self.limit:
            height, width = images.size(path)
            raise UserError(
                f"reading {path}, {width}x{height} pixels, takes {memory.in_words(self.peak)} of memory, and "
                f"{memory.in_words(self.limit)} are there: make a smaller copy of it first, or allow more memory."
            )
        return images.load(path, wanted)


def _optimise(
    prepared: Prepared,
    on_progress: Callable[[Iterate], None],
    on_scale: Callable[[int, Scales], None],
    tell: Callable[[str], None],
    warn: Callable[[str], None],
) -> tuple[StylizedByScales, dict]:
    """Return the result, and the settings as resolved at its last scale."""
    settings, scales = prepared.settings, prepared.scales
    used: list[dict] = []  # settings as resolved at each scale
    estimates: list[memory.MemoryEstimate] = []

    def begin_scale(height, width):
        on_scale(len(used), scales)
        objective = prepared.objective_at(height, width)
        estimates.append(computation.fit(objective, settings))
        if objective.largest_strip < math.inf:
            tell(f"memory: {estimates[-1].in_words()}")
        used.append(resolved(objective))
        return objective

    with ExitStack() as stack:
        write_log = SideOutput("the log", Log(settings.log, stack).write, warn) if settings.log else None
        save_stage = SideOutput("--save-every", stages(settings, prepared.shapes[-1]), warn)
        show = SideOutput("progress", on_progress, warn)

        def on_step(progress):
            show(progress)
            save_stage(progress)

        try:
            result = stylize_by_scales(
                begin_scale,
                prepared.shapes,
                prepared.init,
                iterations=settings.iterations,
                optimizer=settings.optimizer,
                seed=settings.seed,
                bounded=settings.bounded,
                margin=settings.margin,
                least_gain=settings.least_gain,
                on_step=on_step,
                on_evaluation=write_log,
            )
        except MemoryError as error:
            raise computation.out_of_memory(error, estimates[-1] if estimates else None) from error
    return result, used[len(result.scales) - 1]


def check_outputs(settings: Settings, inputs: Iterable[str | Path | None]) -> None:
    """Make sure, before anything is computed, that all outputs can be written and overwrite no input.

    Raises
    ------
    UserError
        If one cannot, or two of the files are the same.
    """
    outputs = [settings.output, settings.record]
    check_writable(outputs[0], images.PICTURE_SUFFIXES)
    check_writable(outputs[1])
    if settings.log:
        check_writable(settings.log)
        outputs.append(settings.log)
    taken = {os.path.realpath(path) for path in inputs if path}
    stage = re.compile(re.escape(settings.output.stem) + r"-\d{4,}" + re.escape(settings.output.suffix))
    directory = os.path.dirname(os.path.realpath(settings.output))
    for file in taken:
        if settings.save_every and os.path.dirname(file) == directory and stage.fullmatch(os.path.basename(file)):
            raise UserError(f"--save-every might overwrite the input {file}: name another output.")
    for path in outputs:
        if os.path.realpath(path) in taken:
            raise UserError(f"{path} is named twice, as input or other output: name another file.")
        taken.add(os.path.realpath(path))


def picture_size(path: Path, network: Network, layers: Iterable[str]) -> tuple[int, int]:
    """Return the (height, width) of a file's picture, if it has, before it is scaled, what the deepest layer needs.

    Raises
    ------
    UserError
        If the file holds no picture, one of `layers` is unknown, or the picture is too small for the deepest.
    """
    layers = list(layers)
    network.check_layers(layers)
    height, width = images.size(path)
    try:
        network.check_size(height, width, layers)
    except UserError as error:
        raise UserError(f"{path} cannot be used: {error}") from None
    return height, width


def check_scaled(
    path: Path, given: tuple[int, int], scaled: tuple[int, int], size: int, network: Network, layers: Iterable[str]
) -> None:
    """Raise a UserError that names the size to ask for if a picture is, after scaling, too small for the deepest layer.

    Parameters
    ----------
    path, given : the picture's file, and its height and width there
    scaled : its height and width at `size` pixels of the longer side
    """
    deepest, side = network.smallest_side(layers)
    if min(scaled) < side:
        height, width = scaled
        enough = math.ceil(side * max(given) / min(given))
        raise UserError(
            f"{path} has {width}x{height} pixels at --size {size} and is too small for layer {deepest} of "
            f"{network.name}: {_larger(enough)}, or layers above it."
        )


def check_style(
    path: Path, given: tuple[int, int], scaled: tuple[int, int], size: int, network: Network, layers: Iterable[str]
) -> None:
    """The same for a style, of which `scaled` is the shape at `size` pixels of the content's longer side."""
    deepest, side = network.smallest_side(layers)
    if min(scaled) < side:
        height, width = scaled
        enough = math.ceil(size * side / (min(scaled) - 0.5))  # it may have been rounded up
        raise UserError(
            f"the style {path} has {width}x{height} pixels at --size {size} and is too small for layer {deepest} of "
            f"{network.name}: {_larger(enough)}, --style-fit squeeze, or layers above it."
        )


def _larger(size: int) -> str:
    """Say which size is needed, if there is such a one."""
    return f"take --size {size} or more" if size <= LARGEST_SIZE else "take a part of it"


def init_path(init: str) -> Path:
    """Return the file of the image to start from, if there is one."""
    if not os.path.exists(init):
        raise UserError(f"there is no file {init} to start from: name one, or one of {', '.join(STARTS)}.")
    return Path(init)


def choose_scales(
    height: int, width: int, check: Callable[[int, int], None], settings: Settings
) -> list[tuple[int, int]]:
    """Return the (height, width) of each scale up to `height` and `width`, the coarsest first.

    "auto" adds a scale with each doubling of the longer side above 128, as long as `check` raises no UserError at the
    (height, width) of the coarsest; it is only one if the start is a file, whose details would be lost.

    Raises
    ------
    UserError
        If the coarsest of a given number of scales is too small.
    """
    if settings.scales != AUTO:
        shapes = scale_shapes(height, width, int(settings.scales))
        try:
            check(*shapes[0])
        except UserError as error:
            raise UserError(f"--scales {settings.scales} are too many: {error}") from None
        return shapes
    return automatic_shapes(height, width, check) if settings.init in STARTS else [(height, width)]


def _names(layers: Iterable[str] | None, defaults: Iterable[str]) -> list[str]:
    return list(defaults if layers is None else layers)


def _times(weight: float | None, factor: float) -> float | None:
    """`weight` times `factor`, or None, the network's own."""
    return None if weight is None else weight * factor


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ignore Ctrl-C within the block and in processes started there; outside the main thread do nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
