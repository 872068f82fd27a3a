"""What a run writes before its end: the log and the stages; an error there does not end the run."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack, suppress
from io import FileIO
from pathlib import Path
from typing import Any

from scratchnst import images
from scratchnst.errors import UserError
from scratchnst.transfer.settings import Settings
from scratchnst.transfer.stylize import Evaluation, Iterate


class SideOutput:
    """A callback that is no longer called after its first error, with which `warn` is called."""

    def __init__(self, name: str, write: Callable[[Any], None], warn: Callable[[str], None]):
        self.name, self.write, self.warn, self.failed = name, write, warn, False

    def __call__(self, value: Any) -> None:
        if self.failed:
            return
        try:
            self.write(value)
        except (OSError, UserError) as error:
            self.failed = True
            with suppress(OSError):
                self.warn(f"{self.name} failed and is left out from now on: {error}")


class Log:
    """A file of JSON lines, opened at the first evaluation, when all settings have been checked."""

    def __init__(self, path: Path, stack: ExitStack):
        self.path, self.stack = path, stack
        self.file: FileIO | None = None

    def write(self, evaluation: Evaluation) -> None:
        """Write one line."""
        if self.file is None:
            # Without a buffer, nothing is left to be written, which might fail, when the file is closed.
            self.file = self.stack.enter_context(self.path.open("wb", buffering=0))
        self.file.write((json.dumps(_log_entry(evaluation), allow_nan=False) + "\n").encode())


def _log_entry(evaluation: Evaluation) -> dict:
    """A line of the log: content and style by layer, before weighting, from names like "style/conv1_1"."""
    entry: dict = {"evaluation": evaluation.number, "scale": evaluation.scale, "total": evaluation.loss}
    for name, value in evaluation.terms.items():
        kind, _, layer = name.partition("/")
        if layer:
            entry.setdefault(kind, {})[layer] = value
        else:
            entry[kind] = value
    return {**entry, "seconds": round(evaluation.seconds, 4)}


def stages(settings: Settings, shape: tuple[int, int]) -> Callable[[Iterate], None]:
    """Return a callback that saves the image after every N-th step, resized to `shape`: out-0050.png after step 50."""
    path, every = settings.output, settings.save_every

    def save(iterate: Iterate) -> None:
        if every and iterate.iteration % every == 0:
            stage = path.with_name(f"{path.stem}-{iterate.iteration:04d}{path.suffix}")
            images.save(stage, images.resize(iterate.image, *shape))

    return save
