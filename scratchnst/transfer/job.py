"""The whole job: pictures in, scales, stages, log, record, picture out."""

from __future__ import annotations

import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from scratchnst import images
from scratchnst.errors import FileError, UserError
from scratchnst.files import room_for, write_atomically
from scratchnst.images import masks
from scratchnst.system.signals import one_interrupt, uninterrupted
from scratchnst.transfer import checkpoint, computation, memory, one_pass, preparation, resumption
from scratchnst.transfer.forecast import choose_tiles
from scratchnst.transfer.preparation import Prepared, Scales, Shape, check_outputs, ignore, prepare
from scratchnst.transfer.record import called, record, record_of_one_pass, resolved
from scratchnst.transfer.resumption import Begun
from scratchnst.transfer.scales import StylizedByScales, stylize_by_scales
from scratchnst.transfer.settings import ARBITRARY, Settings
from scratchnst.transfer.side_outputs import SideOutput
from scratchnst.transfer.sides import Sides
from scratchnst.transfer.stylize import Iterate

REFUGES = ("/var/tmp", "/dev/shm")  # where a picture is kept if there is no room for it anywhere else


def run(
    settings: Settings,
    on_progress: Callable[[Iterate], None] = ignore,
    tell: Callable[[str], None] = ignore,
    *,
    on_scale: Callable[[int, Scales], None] = ignore,
    notice: Callable[[str], None] = ignore,
    warn: Callable[[str], None] = ignore,
    command: Sequence[str] = (),
    resume: bool | None = None,
    names: Mapping[Path, Path] = MappingProxyType({}),
) -> StylizedByScales:
    """Do the whole job, and write the picture and its record.

    Parameters
    ----------
    settings : whose method is to optimise
    on_progress : called after each step
    tell : called with lines of information: which network, how much memory if layers are computed in strips
    on_scale : called when a scale begins, with its number, from 0, and all scales
    notice : called with messages about the device
    warn : called with a sentence if the log, a stage or `on_progress` has failed and is left out from then on
    command : the words of the command line, for the record
    resume : whether to go on with a run that was killed or interrupted, whose state is beside the output: True raises
        a UserError where there is none, False where there is one, and None goes on if that is possible
    names : file -> what the record calls it, of pictures

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
    if settings.method == ARBITRARY:
        raise ValueError("what is painted in one pass is not optimised: call `paint`")
    with computation.computing_as(settings, notice) as engine:
        prepared = prepare(settings, engine, tell)
        begun = resumption.begin(prepared, resume, tell)
        tiles = choose_tiles(prepared)
        prepared.read()
        # A second signal does not take the result that the first one leaves.
        with one_interrupt() as arm, ExitStack() as stack:
            sides = Sides(settings, begun.kept, prepared.shapes[-1], stack, warn)
            with room_for(settings.output, prepared.largest_output):
                result, used = _optimise(prepared, tiles, begun, sides, on_progress, on_scale, tell, warn, arm)
            with uninterrupted():
                text = json.dumps(
                    record(called(prepared.settings, names), used, result, command), indent=2, allow_nan=False
                )
                _save_or_keep(settings, result.image, prepared.written_as, text + "\n")
                if result.complete:
                    checkpoint.state_file(settings.output).unlink(missing_ok=True)
            sides.finish_film(result.image)
        return result


def paint(
    settings: Settings,
    notice: Callable[[str], None] = ignore,
    *,
    command: Sequence[str] = (),
    names: Mapping[Path, Path] = MappingProxyType({}),
) -> one_pass.Painted:
    """Paint the content in the styles in one pass, and write the picture and its record; see `run`."""
    with computation.computing_as(settings, notice) as engine:
        check_outputs(
            settings, [*settings.pictures, *map(masks.file_of, settings.all_masks), one_pass.model_file(settings)]
        )
        shape = images.fitted_shape(images.size(settings.pictures[0]), settings.size)
        images.check_format(settings.output, *shape)
        finish = preparation.written_as(settings, shape)
        painted = one_pass.paint(settings, engine, shape)
        with uninterrupted():
            text = json.dumps(record_of_one_pass(called(settings, names), painted, command), indent=2, allow_nan=False)
            _save_or_keep(settings, painted.image, finish, text + "\n")
        return painted


def _save_or_keep(settings: Settings, image: np.ndarray, finish: images.Finish, text: str) -> None:
    """Write picture and record, or, if that fails, write them elsewhere, and raise a UserError that says so."""
    try:
        _save(settings.output, image, finish, settings.record, text)
    except (OSError, UserError, ValueError) as error:
        kept = _keep_elsewhere(settings, image, finish, text)
        if kept is None:
            raise
        kind = FileError if isinstance(error, (OSError, FileError)) else UserError
        raise kind(f"{str(error).rstrip('.')}; the picture and its record are kept in {kept}.") from error


def _keep_elsewhere(settings: Settings, image: np.ndarray, finish: images.Finish, text: str) -> Path | None:
    """Write picture and record into a new folder at the first of some places where that is possible; return it."""
    for place in (None, os.path.expanduser("~"), os.curdir, *REFUGES):  # None: the folder for temporary files
        with suppress(OSError):
            folder = Path(tempfile.mkdtemp(prefix="scratchnst-", dir=place))
            try:
                picture = folder / settings.output.with_suffix(".png").name
                _save(picture, image, finish, folder / settings.record.name, text)
                return folder
            except (OSError, UserError):
                shutil.rmtree(folder, ignore_errors=True)
    return None


def _save(picture: Path, image: np.ndarray, finish: images.Finish, record: Path, text: str) -> None:
    images.save(picture, image, finish)
    write_atomically(record, text.encode())


def _optimise(
    prepared: Prepared,
    tiles: Mapping[Shape, int],
    begun: Begun,
    sides: Sides,
    on_progress: Callable[[Iterate], None],
    on_scale: Callable[[int, Scales], None],
    tell: Callable[[str], None],
    warn: Callable[[str], None],
    arm: Callable[[], None],
) -> tuple[StylizedByScales, dict]:
    """Return the result, and the settings as resolved at its last scale; `arm` is called at each evaluation."""
    settings, scales = prepared.settings, prepared.scales
    used = list(begun.used)  # settings as resolved at each scale
    estimates: list[memory.MemoryEstimate] = []

    def begin_scale(height, width):
        on_scale(len(used), scales)
        objective = prepared.objective_at(height, width, tiles.get((height, width)))
        estimates.append(computation.fit(objective, settings))
        if objective.largest_strip < math.inf or objective.tile is not None:
            tell(f"memory: {estimates[-1].in_words()}")
        if objective.left_out:
            tell(f"masks: nothing of their regions is left on {', '.join(objective.left_out)}, which count for nothing")
        used.append(resolved(objective))
        return objective

    show = SideOutput("progress", on_progress, warn)
    path = checkpoint.state_file(settings.output)
    write_state = checkpoint.Checkpoints(
        path, lambda: {**begun.same, "used": used, **sides.places()}, settings.checkpoint_every
    )

    def on_evaluation(evaluation):
        arm()  # it goes on: a signal before, if there was one, was lost
        sides.on_evaluation(evaluation)

    def on_step(progress):
        progress = replace(progress, finish=prepared.finish)
        show(progress)
        sides.on_step(progress)

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
            average=settings.average,
            carry_moments=settings.carry_moments,
            on_step=on_step,
            on_evaluation=on_evaluation,
            state=begun.state,
            on_state=SideOutput(f"writing {path}", write_state, warn),
        )
    except MemoryError as error:
        raise computation.out_of_memory(error, estimates[-1] if estimates else None) from error
    return replace(result, image=prepared.finish(result.image)), used[len(result.scales) - 1]
