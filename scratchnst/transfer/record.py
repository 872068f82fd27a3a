"""The record of a run, OUT.json: what was asked for, what came of it, and all that it takes to run it again."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from importlib.metadata import version

from scratchnst import __version__
from scratchnst.errors import UserError
from scratchnst.transfer import computation
from scratchnst.transfer.objective import Objective
from scratchnst.transfer.scales import StylizedByScales
from scratchnst.transfer.settings import Settings
from scratchnst.transfer.stylize import Stylized

PACKAGES = ("numpy", "scipy", "pillow", "h5py")
GIVEN = "given"  # the key of the settings that make the run again


def resolved(objective: Objective) -> dict:
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
        "computation": computation.describe(objective),
    }


def record(settings: Settings, used: dict, result: StylizedByScales, command: Sequence[str]) -> dict:
    """Return the record, JSON-able.

    Parameters
    ----------
    settings : as given, but for the network, which is named
    used : what the last scale has made of them, see `resolved`
    result : the end of the run
    command : the words of the command line, if there was one
    """
    given = settings.to_json()
    shape = {"height": result.image.shape[0], "width": result.image.shape[1]}
    return {
        "command": list(command),
        GIVEN: given,
        "settings": {**given, **shape, **used["settings"]},
        "network": used["network"],
        "computation": used["computation"],
        "versions": {
            "scratchnst": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in PACKAGES},
        },
        "result": {**_end(result), "terms": result.terms, "scales": [_scale(end) for end in result.scales]},
    }


def read_settings(path: str | os.PathLike) -> dict:
    """Return the settings in a file, for `Settings.from_json`: a record, or the settings alone.

    Raises
    ------
    UserError
        If the file cannot be read or holds no settings.
    """
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}): name a file with settings.") from None
    except (ValueError, RecursionError):
        raise UserError(f"{path} is no JSON: name the OUT.json of a run.") from None
    if isinstance(data, dict) and GIVEN not in data and "result" in data:
        raise UserError(f"{path} was written by an older version, which noted no settings: repeat its command instead.")
    if isinstance(data, dict):
        data = data.get(GIVEN, data)
    if not isinstance(data, dict):
        raise UserError(f"{path} holds no settings: name the OUT.json of a run.")
    return data


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
