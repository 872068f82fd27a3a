"""The state of a run in a file beside its output, from which it goes on after it was killed.

The file, OUT.png.state, is an archive of NumPy's: the arrays of `ScalesState`, and as JSON its numbers and what the run
is of.  It is replaced whole, so that at any moment there is one from which the run can go on, and removed at the end.
Besides the white noise of the start, which is of the seed, there is no chance in a run, so nothing else is needed.
"""

from __future__ import annotations

import hashlib
import json
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from scratchnst import __version__
from scratchnst.arrays import Array, asnumpy
from scratchnst.engine import Engine
from scratchnst.errors import UserError
from scratchnst.files import atomic_file, is_replaceable, open_input
from scratchnst.optimize import ON_THE_CPU, STATES
from scratchnst.optimize.average import MovingAverage
from scratchnst.transfer.scales import ScalesState
from scratchnst.transfer.settings import Settings
from scratchnst.transfer.stylize import RunState, Stylized

FORMAT = 1  # of the file
ABOUT = "about"  # its JSON
EVERY = 60.0  # seconds between two states, if the user does not say after how many steps
SHARE = 0.05  # of the time at most, for writing states
# Settings that change no pixel.
BESIDE = ("output", "log", "save_every", "checkpoint_every", "video", "video_every", "threads")
NUMBERS = ("loss", "terms", "kept", "iterations", "evaluations", "seconds")  # of a run, and of the end of one


def state_file(output: Path) -> Path:
    """Return the file of the state beside an output."""
    return Path(f"{output}.state")


def check_replaceable(path: Path) -> None:
    """Raise a UserError if there is a file at `path` that is no state of a run."""
    is_ours = False
    with suppress(OSError, zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
        is_ours = f"{ABOUT}.npy" in archive.namelist()
    if not is_ours and not is_replaceable(path):
        raise UserError(f"{path} is there already, and is no state of a run: move it, or name another output.")


def identity(settings: Settings, inputs: Sequence[Path], engine: Engine) -> dict[str, Any]:
    """Return, for JSON, what must be the same where a run goes on.

    Parameters
    ----------
    settings : of the run
    inputs : every file that it reads, of which the contents count, and not the names
    engine : that computes
    """
    files = {str(path) for path in inputs}
    given = {
        name: value
        for name, value in settings.to_json().items()
        if name not in BESIDE and not files.intersection(value if isinstance(value, list) else [str(value)])
    }
    return {
        "settings": {**given, "engine": engine.name},
        "files": [[path.name, _sha256(path)] for path in inputs],
    }


class Checkpoints:
    """Writes the state after every so many steps, or seconds; call it with the state after each step.

    Parameters
    ----------
    path : the file
    told : returns, for JSON, what is to be kept with the state; it is called when the file is written
    every : how many steps; None is once in a minute, or less often where writing takes long
    """

    def __init__(self, path: Path, told: Callable[[], Mapping[str, Any]], every: int | None):
        self.path, self.told, self.every = path, told, every
        self.last, self.pause = time.monotonic(), EVERY

    def __call__(self, state: ScalesState) -> None:
        """Write the state, if it is time to."""
        now = time.monotonic()
        if now - self.last < self.pause if self.every is None else state.iterations % self.every:
            return
        write(self.path, state, self.told())
        self.last = time.monotonic()
        self.pause = max(EVERY, (self.last - now) / SHARE)


def write(path: Path, state: ScalesState, told: Mapping[str, Any]) -> None:
    """Write a state, whole or not at all, with what is `told` of it, for JSON."""
    run, ends = state.run, state.ends
    arrays: dict[str, Any] = {f"optimizer/{name}": asnumpy(value) for name, value in run.optimizer.arrays().items()}
    if run.kept != run.iterations:  # else it is the optimiser's
        arrays["image"] = asnumpy(run.image)
    if run.average:
        arrays["average"] = asnumpy(run.average.total)
    arrays |= {f"end/{number}": end.image for number, end in enumerate(ends)}
    numbers = {
        **{name: getattr(run, name) for name in (*NUMBERS, "grey", "losses")},
        "shape": run.image.shape,
        "average": run.average and {"decay": run.average.decay, "count": run.average.count},
        "ends": [{name: getattr(end, name) for name in (*NUMBERS, "stop_reason", "complete")} for end in ends],
    }
    arrays[ABOUT] = np.array(json.dumps({"format": FORMAT, "version": __version__, **told, "run": numbers}))
    with atomic_file(path) as file:
        np.savez(file, **arrays)


def read(path: Path, same: Mapping[str, Any], optimizer: str, engine: Engine) -> tuple[ScalesState, dict[str, Any]]:
    """Return the state in a file, and what was told of it.

    Parameters
    ----------
    path : the file
    same : the `identity` of the run that is to go on
    optimizer : its optimiser, on whose device the arrays will be
    engine : that computes

    Raises
    ------
    UserError
        If there is no file, or it is damaged, of another version of this program, or of another run.
    """
    state, begin_anew = None, "leave out --resume to begin anew"
    try:
        with open_input(path) as file, np.load(file, allow_pickle=False) as archive:
            about = json.loads(str(archive[ABOUT]))
            if (about["format"], about["version"]) == (FORMAT, __version__):
                different = _difference(about, json.loads(json.dumps(same)))
                if not different:
                    state = _state(about["run"], archive, optimizer, engine)
            else:
                different = f"it was written by version {about['version']} of this program, which is {__version__}"
    except FileNotFoundError:
        raise UserError(f"there is no run to go on with, {path}: leave out --resume.") from None
    except MemoryError:
        raise
    except Exception as error:  # whatever a damaged archive raises
        raise UserError(f"{path} is no whole state of a run ({error}): {begin_anew}.") from None
    if state is None:
        raise UserError(f"{path} cannot be gone on with, {different}: mend this, or {begin_anew}.")
    return state, about


def fits(path: Path, same: Mapping[str, Any]) -> bool:
    """Tell whether the run of this identity could go on from a file."""
    try:
        with open_input(path) as file, np.load(file, allow_pickle=False) as archive:
            about = json.loads(str(archive[ABOUT]))
            known = (about["format"], about["version"]) == (FORMAT, __version__)
            return known and not _difference(about, json.loads(json.dumps(same)))
    except Exception:  # there is none, or whatever a damaged archive raises
        return False


def _difference(about: Mapping[str, Any], same: Mapping[str, Any]) -> str:
    """Say how the run of a state differs from another, in a few words; nothing if it does not."""
    for name in {**same["settings"], **about["settings"]}:
        before, now = about["settings"].get(name), same["settings"].get(name)
        if before != now:
            return f"its run had the setting {name} {_in_words(before)}, not {_in_words(now)}"
    before, now = about["files"], same["files"]
    if len(before) != len(now):
        return "its run had other pictures"
    strange = next((new for (_, old), (new, digest) in zip(before, now) if old != digest), None)
    return f"{strange} is not the file that its run read" if strange else ""


def _in_words(value: Any) -> str:
    return "by default" if value is None else json.dumps(value)


def _state(run: Mapping[str, Any], archive: Mapping[str, np.ndarray], optimizer: str, engine: Engine) -> ScalesState:
    """Return the state in an archive; anything is raised for one that is damaged."""

    def there(array: np.ndarray) -> Array:
        return array if optimizer in ON_THE_CPU or array.ndim == 0 else engine.asarray(array)

    prefix = "optimizer/"
    arrays = {name.removeprefix(prefix): there(archive[name]) for name in archive if name.startswith(prefix)}
    ends = tuple(Stylized(**end, image=archive[f"end/{number}"]) for number, end in enumerate(run["ends"]))
    state = STATES[optimizer].of(arrays)
    average = run["average"] and MovingAverage(there(archive["average"]), **run["average"])
    image = there(archive["image"]) if "image" in archive else state.x.reshape(run["shape"])
    numbers = {name: run[name] for name in (*NUMBERS, "grey", "losses")}
    return ScalesState(ends, RunState(optimizer=state, image=image, average=average, **numbers))


def _sha256(path: Path) -> str:
    found = hashlib.sha256()
    with open_input(path) as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()
