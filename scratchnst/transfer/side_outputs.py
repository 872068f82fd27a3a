"""What a run writes before its end: the log and the stages; an error there does not end the run."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from io import FileIO
from pathlib import Path
from typing import Any

from scratchnst import images
from scratchnst.errors import UserError
from scratchnst.files import identities, open_log
from scratchnst.images.origin import check_replaceable
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


class Growing:
    """A file that grows, opened when it is first appended to, when all settings have been checked.

    Attributes
    ----------
    size : bytes of all that was appended; of the file that is there, so many are kept
    """

    def __init__(self, path: Path, stack: ExitStack, size: int = 0):
        self.path, self.stack, self.size = path, stack, size
        self.file: FileIO | None = None

    def append(self, data: bytes) -> None:
        """Write what comes next."""
        if self.file is None:
            self.file = self.stack.enter_context(open_log(self.path, self.size))
        self.file.write(data)
        self.size += len(data)

    def place(self) -> dict:
        """Return, for JSON, from where on a run appends that goes on."""
        return {"file": str(self.path), "size": self.size}


def log_line(evaluation: Evaluation) -> bytes:
    """Return a line of the log."""
    return (json.dumps(_log_entry(evaluation), allow_nan=False) + "\n").encode()


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

    def save(iterate: Iterate) -> None:
        if settings.save_every and iterate.iteration % settings.save_every == 0:
            images.save(_stage(settings.output, iterate.iteration), images.resize(iterate.image, *shape))

    return save


def check_stages(settings: Settings, others: Iterable[str | Path | None]) -> None:
    """Make sure that no stage replaces one of the `others`, or a picture that no run has made.

    Raises
    ------
    UserError
        If one might.
    """
    taken = set().union(*(identities(path) for path in others if path))
    names = {identity[2] for identity in taken if len(identity) == 3}
    with suppress(OSError):
        names.update(os.listdir(settings.output.parent))
    for stage in _stages_among(names, settings):
        if identities(stage) & taken:
            raise UserError(f"--save-every might overwrite the input or other output {stage}: name another output.")
        check_replaceable(stage)


def _stage(output: Path, iteration: int) -> Path:
    return output.with_name(f"{output.stem}-{iteration:04d}{output.suffix}")


def _stages_among(names: Iterable[str], settings: Settings) -> Iterator[Path]:
    """Yield the paths of those of the `names` in the output's folder that a run's stages have."""
    output, every = settings.output, settings.save_every
    pattern = re.compile(rf"{re.escape(output.stem)}-(\d{{4,18}}){re.escape(output.suffix)}", re.ASCII)
    for name in names:
        found = pattern.fullmatch(name)
        if found and every and int(found[1]) in range(every, settings.iterations + 1, every):
            yield _stage(output, int(found[1]))
