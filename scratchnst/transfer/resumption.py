"""Whether a run goes on with one that was killed or interrupted, and from where."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scratchnst.errors import UserError
from scratchnst.optimize import STATES
from scratchnst.transfer import checkpoint
from scratchnst.transfer.film import frames_file
from scratchnst.transfer.preparation import Prepared
from scratchnst.transfer.scales import ScalesState


@dataclass(frozen=True)
class Begun:
    """What a run goes on from.

    Attributes
    ----------
    same : the run's identity
    state : None for a run that begins anew
    used : settings as resolved at each scale that is done
    kept : bytes to be kept of the log and of the frames of the film
    """

    same: dict = field(default_factory=dict)
    state: ScalesState | None = None
    used: list[dict] = field(default_factory=list)
    kept: dict[str, int] = field(default_factory=dict)


def begin(prepared: Prepared, resume: bool | None, tell: Callable[[str], None]) -> Begun:
    """Return what the run goes on from; `resume` is as for `scratchnst.transfer.job.run`."""
    settings, engine = prepared.settings, prepared.network.engine
    path = checkpoint.state_file(settings.output)
    if settings.optimizer not in STATES:
        if resume or settings.checkpoint_every:
            raise UserError(
                "SciPy's L-BFGS does not tell what it remembers, so there is no state to go on from: take "
                f"--optimizer {' or '.join(STATES)}, or leave out --resume and --checkpoint-every."
            )
        return Begun()
    same = checkpoint.identity(settings, prepared.inputs, engine)
    if not resume and not path.exists():
        return Begun(same)
    if not resume and not checkpoint.fits(path, same):
        tell(f"{path} is of another run that was interrupted, and will be replaced")
        return Begun(same)
    if resume is False:
        raise UserError(f"{path} is of this very run, which was interrupted: go on by --resume, or delete it.")
    state, told = checkpoint.read(path, same, settings.optimizer, engine)
    tell(f"going on after {state.iterations} iterations")
    growing = {"log": settings.log, "video": settings.video and frames_file(settings.video)}
    kept = {name: _kept(f"--{name}", file, told[name]) for name, file in growing.items()}
    return Begun(same, state, told["used"][: len(state.ends)], kept)


def _kept(option: str, file: Path | None, before: Mapping[str, Any] | None) -> int:
    """Return the bytes of a file that a run had written `before`, or raise a UserError if they are not there."""
    if file is None or before is None or before["file"] != str(file) or not before["size"]:
        return 0
    if not file.exists() or file.stat().st_size < before["size"]:
        raise UserError(f"{file} is no longer that of the run that goes on: name another file for {option}.")
    return before["size"]
