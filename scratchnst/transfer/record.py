"""The record of a run, OUT.json: settings, result, and everything that is needed to run it again."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from scratchnst import __version__
from scratchnst.errors import UserError
from scratchnst.files import is_replaceable, open_input
from scratchnst.transfer import computation
from scratchnst.transfer.objective import Objective
from scratchnst.transfer.one_pass import Painted
from scratchnst.transfer.scales import StylizedByScales
from scratchnst.transfer.settings import Settings
from scratchnst.transfer.stylize import Stylized

PACKAGES = ("numpy", "scipy", "pillow", "h5py")
LARGEST = 16 << 20  # bytes; no record is larger
GIVEN = "given"  # the key of the settings with which to run it again


def resolved(objective: Objective) -> dict:
    """Return, for JSON, an objective's network, its settings with defaults filled in, and how it is computed."""
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
            "style_loss": objective.style_loss,
            "tv": objective.tv,
            "laplacian_weight": objective.laplacian_weight,
            "pooling": network.pooling,
            "normalized": network.normalized,
        },
        "computation": computation.describe(objective),
    }


def called(settings: Settings, names: Mapping[Path, Path]) -> Settings:
    """Return the settings of a run with other names of pictures that it has read: file -> name."""
    named = {path: names.get(path, path) for path in settings.pictures}
    content = settings.content and named[settings.content]
    return replace(settings, content=content, styles=tuple(named[path] for path in settings.styles))


def record(settings: Settings, used: dict, result: StylizedByScales, command: Sequence[str]) -> dict:
    """Return the record, for JSON.

    Parameters
    ----------
    settings : as given, but for the network, which is named
    used : as resolved at the last scale, see `resolved`
    result : the end of the run
    command : the words of the command line, if there was one
    """
    return {
        **_beginning(settings, result.image, used["settings"], command),
        "network": used["network"],
        "computation": used["computation"],
        "versions": _versions(),
        "result": {**end(result), "terms": result.terms, "scales": [_scale(run) for run in result.scales]},
    }


def record_of_one_pass(settings: Settings, painted: Painted, command: Sequence[str]) -> dict:
    """Return the record of a picture that was painted in one pass, for JSON; see `record`."""
    network = painted.model.network
    return {
        **_beginning(settings, painted.image, {}, command),
        "network": {"name": network.name, **network.provenance},
        "computation": {"engine": network.engine.name, **network.engine.describe()},
        "versions": _versions(),
        "result": {"complete": True, "seconds": round(painted.seconds, 2)},
    }


def _beginning(settings: Settings, image: np.ndarray, used: dict, command: Sequence[str]) -> dict:
    """The command, the settings as given, and as `used`."""
    given = settings.to_json()
    shape = {"height": image.shape[0], "width": image.shape[1]}
    return {"command": list(command), GIVEN: given, "settings": {**given, **shape, **used}}


def _versions() -> dict[str, str]:
    return {
        "scratchnst": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def check_replaceable(path: str | os.PathLike, output: Path) -> None:
    """Raise a UserError if there is a file at `path` that is not the record of `output`."""
    if not is_replaceable(path) and not is_record_of(path, output):
        raise UserError(f"{path} is there already, and is no record of {output.name}: move it, or name another output.")


def is_record_of(path: str | os.PathLike, output: Path) -> bool:
    """Tell whether a file is the record of a run, or of a figure, whose output had the name of `output`."""
    try:
        with open_input(path) as file:
            data = json.loads(file.read(LARGEST))
    except (OSError, ValueError, RecursionError, UserError):
        return False
    if not isinstance(data, dict):
        return False
    given, command = data.get(GIVEN, data), data.get("command")
    words = [given.get("output")] if isinstance(given, dict) else []
    if GIVEN not in data and isinstance(command, list):  # as older versions wrote it
        words += command
    return any(_bytes(os.path.basename(str(word))) == _bytes(output.name) for word in words)


def _bytes(name: str) -> bytes:
    """A file's name as it is on the disk, in whatever locale it was read."""
    with suppress(UnicodeEncodeError):
        return name.encode("utf-8", "surrogateescape")
    return b""


def read_settings(path: str | os.PathLike) -> dict:
    """Return the settings in a file, for `Settings.from_json`: a record, or the settings alone.

    Raises
    ------
    UserError
        If the file cannot be read or holds no settings.
    """
    try:
        with open_input(path) as file:
            data = json.load(file)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}): name a file with settings.") from None
    except (ValueError, RecursionError):
        raise UserError(f"{path} is no JSON: name the OUT.json of a run.") from None
    if isinstance(data, dict) and GIVEN not in data and "result" in data:
        raise UserError(f"{path} was written by an older version, which noted no settings: repeat its command instead.")
    if isinstance(data, dict):
        # Records that do not tell how styles were fitted are from when all were squeezed.
        data = {"style_fit": "squeeze", **data[GIVEN]} if isinstance(data.get(GIVEN), dict) else data.get(GIVEN, data)
    if not isinstance(data, dict):
        raise UserError(f"{path} holds no settings: name the OUT.json of a run.")
    return data


def _scale(run: Stylized) -> dict:
    """The end of one scale."""
    return {"height": run.image.shape[0], "width": run.image.shape[1], **end(run)}


def end(run: Stylized) -> dict:
    """Return the end of a run or of one scale, for JSON."""
    return {
        "stopped": run.stop_reason,
        "complete": run.complete,
        "loss": run.loss,
        "picture": "mean of all iterations" if run.kept is None else f"iteration {run.kept}",
        "iterations": run.iterations,
        "evaluations": run.evaluations,
        "seconds": round(run.seconds, 2),
    }
