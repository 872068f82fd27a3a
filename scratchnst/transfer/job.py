"""The whole job: pictures in, scales, stages, log, record, picture out."""

from __future__ import annotations

import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from scratchnst import images
from scratchnst.errors import UserError
from scratchnst.files import room_for, write_atomically
from scratchnst.optimize import STATES
from scratchnst.system.signals import one_interrupt, uninterrupted
from scratchnst.transfer import checkpoint, computation, memory, one_pass
from scratchnst.transfer.forecast import check_finest_scale
from scratchnst.transfer.preparation import Prepared, Scales, check_outputs, ignore, prepare
from scratchnst.transfer.record import record, record_of_one_pass, resolved
from scratchnst.transfer.scales import ScalesState, StylizedByScales, stylize_by_scales
from scratchnst.transfer.settings import ARBITRARY, Settings
from scratchnst.transfer.side_outputs import Log, SideOutput, stages
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
        begun = _begun(prepared, resume, tell)
        check_finest_scale(prepared)
        prepared.read()
        with one_interrupt() as arm:  # a second signal does not take the result that the first one leaves
            with room_for(settings.output, prepared.largest_output):
                result, used = _optimise(prepared, begun, on_progress, on_scale, tell, warn, arm)
            with uninterrupted():
                text = json.dumps(record(prepared.settings, used, result, command), indent=2, allow_nan=False)
                _save_or_keep(settings, result.image, text + "\n")
                if result.complete:
                    checkpoint.state_file(settings.output).unlink(missing_ok=True)
        return result


def paint(
    settings: Settings, notice: Callable[[str], None] = ignore, *, command: Sequence[str] = ()
) -> one_pass.Painted:
    """Paint the content in the styles in one pass, and write the picture and its record; see `run`."""
    with computation.computing_as(settings, notice) as engine:
        check_outputs(settings, [*settings.pictures, one_pass.model_file(settings)])
        shape = images.fitted_shape(images.size(settings.pictures[0]), settings.size)
        images.check_format(settings.output, *shape)
        painted = one_pass.paint(settings, engine, shape)
        with uninterrupted():
            text = json.dumps(record_of_one_pass(settings, painted, command), indent=2, allow_nan=False)
            _save_or_keep(settings, painted.image, text + "\n")
        return painted


def _save_or_keep(settings: Settings, image: np.ndarray, text: str) -> None:
    """Write picture and record, or, if that fails, write them elsewhere, and raise a UserError that says so."""
    try:
        _save(settings.output, image, settings.record, text)
    except (OSError, UserError, ValueError) as error:
        kept = _keep_elsewhere(settings, image, text)
        if kept is None:
            raise
        raise UserError(f"{str(error).rstrip('.')}; the picture and its record are kept in {kept}.") from error


def _keep_elsewhere(settings: Settings, image: np.ndarray, text: str) -> Path | None:
    """Write picture and record into a new folder at the first of some places where that is possible; return it."""
    for place in (None, os.path.expanduser("~"), os.curdir, *REFUGES):  # None: the folder for temporary files
        with suppress(OSError):
            folder = Path(tempfile.mkdtemp(prefix="scratchnst-", dir=place))
            try:
                picture = folder / settings.output.with_suffix(".png").name
                _save(picture, image, folder / settings.record.name, text)
                return folder
            except (OSError, UserError):
                shutil.rmtree(folder, ignore_errors=True)
    return None


def _save(picture: Path, image: np.ndarray, record: Path, text: str) -> None:
    images.save(picture, image)
    write_atomically(record, text.encode())


@dataclass(frozen=True)
class _Begun:
    """What a run goes on from.

    Attributes
    ----------
    same : the run's identity
    state : None for a run that begins anew
    used : settings as resolved at each scale that is done
    log_size : bytes of the log to be kept
    """

    same: dict = field(default_factory=dict)
    state: ScalesState | None = None
    used: list[dict] = field(default_factory=list)
    log_size: int = 0


def _begun(prepared: Prepared, resume: bool | None, tell: Callable[[str], None]) -> _Begun:
    """Return what the run goes on from: see `run`."""
    settings, engine = prepared.settings, prepared.network.engine
    path = checkpoint.state_file(settings.output)
    if settings.optimizer not in STATES:
        if resume or settings.checkpoint_every:
            raise UserError(
                "SciPy's L-BFGS does not tell what it remembers, so there is no state to go on from: take "
                f"--optimizer {' or '.join(STATES)}, or leave out --resume and --checkpoint-every."
            )
        return _Begun()
    same = checkpoint.identity(settings, prepared.inputs, engine)
    if not resume and not path.exists():
        return _Begun(same)
    if not resume and not checkpoint.fits(path, same):
        tell(f"{path} is of another run that was interrupted, and will be replaced")
        return _Begun(same)
    if resume is False:
        raise UserError(f"{path} is of this very run, which was interrupted: go on by --resume, or delete it.")
    state, told = checkpoint.read(path, same, settings.optimizer, engine)
    tell(f"going on after {state.iterations} iterations")
    return _Begun(same, state, told["used"][: len(state.ends)], _kept_of_log(settings.log, told["log"]))


def _kept_of_log(log: Path | None, before: Mapping[str, Any] | None) -> int:
    """Return the bytes of the log that a run had written `before`, or raise a UserError if they are not there."""
    if log is None or before is None or before["file"] != str(log) or not before["size"]:
        return 0
    if not log.exists() or log.stat().st_size < before["size"]:
        raise UserError(f"{log} is no longer the log of the run that goes on: name another file for --log.")
    return before["size"]


def _optimise(
    prepared: Prepared,
    begun: _Begun,
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
        objective = prepared.objective_at(height, width)
        estimates.append(computation.fit(objective, settings))
        if objective.largest_strip < math.inf:
            tell(f"memory: {estimates[-1].in_words()}")
        used.append(resolved(objective))
        return objective

    with ExitStack() as stack:
        log = Log(settings.log, stack, begun.log_size) if settings.log else None
        write_log = SideOutput("the log", log.write, warn) if log else None
        save_stage = SideOutput("--save-every", stages(settings, prepared.shapes[-1]), warn)
        show = SideOutput("progress", on_progress, warn)

        def told():
            of_log = {"file": str(log.path), "size": log.size} if log else None
            return {**begun.same, "used": used, "log": of_log}

        path = checkpoint.state_file(settings.output)
        keep = SideOutput(
            f"writing {path}", checkpoint.Checkpoints(path, told, settings.checkpoint_every).__call__, warn
        )

        def on_evaluation(evaluation):
            arm()  # it goes on: a signal before, if there was one, was lost
            if write_log:
                write_log(evaluation)

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
                average=settings.average,
                carry_moments=settings.carry_moments,
                on_step=on_step,
                on_evaluation=on_evaluation,
                state=begun.state,
                on_state=keep,
            )
        except MemoryError as error:
            raise computation.out_of_memory(error, estimates[-1] if estimates else None) from error
    return result, used[len(result.scales) - 1]
