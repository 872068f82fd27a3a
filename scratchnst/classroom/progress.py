"""What a learner has done: the place in each lesson and the state of each exercise, kept in one small file.

Every query reads the file, and every change reads it again before writing, so that a lesson in one window and the check
of an exercise in another do not overwrite each other's changes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import platformdirs

from scratchnst.errors import UserError
from scratchnst.files import open_input, users_place, write_atomically
from scratchnst.messages import complain

PROGRESS_VARIABLE = "SCRATCHNST_PROGRESS"  # names another file
LESSONS, EXERCISES = "lessons", "exercises"  # the two parts of the file, each by the lesson's topic
NUMBERED = (  # the topics of lessons 1, 2 ... in older files, which have the number in the place of the topic
    *("images", "finite_differences", "chain_rule", "relu", "pooling", "convolution", "convolution_backward"),
    *("vgg19", "content", "style", "optimisers", "style_transfer", "winograd", "training"),
)


class LessonProgress(NamedTuple):
    """How far a learner has come in a lesson.

    Attributes
    ----------
    cell : int
        The cell to go on with, from 0, which is the beginning.
    finished : bool
        Whether the last cell has been reached, now or at an earlier time.
    """

    cell: int = 0
    finished: bool = False


class ProgressFile:
    """What is stored of a learner.

    Where the file cannot be read or written, there is a warning, nothing is stored, and the lesson goes on.

    Parameters
    ----------
    path : Path
        The file; it need not exist.
    warn : callable
        Called once with each sentence about a file that is damaged or cannot be written; without it they go to
        standard error.
    """

    def __init__(self, path: Path, warn: Callable[[str], None] | None = None):
        self.path = path
        self._warn = warn or complain
        self._told: set[str] = set()

    @classmethod
    def load(cls, warn: Callable[[str], None] | None = None) -> ProgressFile:
        """Return the progress in the file that SCRATCHNST_PROGRESS names, else in the user's data directory."""
        return cls(progress_path(), warn)

    def lesson(self, topic: str) -> LessonProgress:
        """Return how far the lesson `topic` has been read."""
        entry = self._read()[LESSONS].get(topic, {})
        cell = entry.get("cell", 0)
        return LessonProgress(cell if isinstance(cell, int) and cell > 0 else 0, entry.get("finished") is True)

    def set_place(self, topic: str, cell: int, finished: bool = False) -> None:
        """Remember where to go on in the lesson `topic`; once finished, it stays finished."""
        finished = finished or self.lesson(topic).finished
        self._set(LESSONS, topic, {"cell": cell, "finished": finished})

    def exercise(self, topic: str) -> dict[str, dict[str, Any]]:
        """Return what `set_exercise` was last given for the lesson `topic`; an empty dict before that."""
        return self._read()[EXERCISES].get(topic, {})

    def set_exercise(self, topic: str, states: Mapping[str, Mapping[str, Any]]) -> None:
        """Remember the exercise of the lesson `topic`: function -> facts by name, as JSON knows them."""
        self._set(EXERCISES, topic, dict(states))

    def _set(self, part: str, topic: str, entry: dict[str, Any]) -> None:
        content = self._read()
        content[part][topic] = entry
        text = json.dumps(content, indent=2, sort_keys=True)  # outside of the try: if this fails, the caller is wrong
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.path, text.encode() + b"\n")
        except (UserError, OSError) as error:
            reason = getattr(error.__cause__ or error, "strerror", None) or error
            self._tell(
                f"your progress is not remembered, {self.path} cannot be written ({reason}): "
                f"{PROGRESS_VARIABLE} can name another file."
            )

    def _read(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Return the file's content with both parts; a damaged file is moved aside."""
        try:
            with open_input(self.path) as file:
                content = json.loads(file.read())
            _check(content, 1)
            _check(content.get(LESSONS, {}), 2)
            _check(content.get(EXERCISES, {}), 3)
            return {**content, **{part: _by_topic(content.get(part, {})) for part in (LESSONS, EXERCISES)}}
        except FileNotFoundError:
            pass
        except (OSError, UserError) as error:
            self._tell(f"your progress, {self.path}, cannot be read ({getattr(error, 'strerror', 'it is no file')}).")
        except (ValueError, RecursionError):
            aside = self.path.with_name(self.path.name + ".damaged")
            with suppress(OSError):
                os.replace(self.path, aside)
            self._tell(f"your progress, {self.path}, was damaged and begins anew; it lies in {aside.name}.")
        return {LESSONS: {}, EXERCISES: {}}

    def _tell(self, sentence: str) -> None:
        if sentence not in self._told:
            self._told.add(sentence)
            self._warn(sentence)


def progress_path() -> Path:
    """The file named by SCRATCHNST_PROGRESS, else the one where this system keeps a user's data."""
    return users_place(PROGRESS_VARIABLE, lambda name: os.path.join(platformdirs.user_data_dir(name), "progress.json"))


def _by_topic(part: dict[str, Any]) -> dict[str, Any]:
    """Return a part of the file with what older files have under a number also under its topic."""
    older = {topic: part[str(number)] for number, topic in enumerate(NUMBERED, 1) if str(number) in part}
    return {**older, **part}


def _check(value: Any, depth: int) -> None:
    """Raise a ValueError unless `value` is a dict, of dicts if `depth` is 2, of dicts of dicts if it is 3."""
    if not isinstance(value, dict):
        raise ValueError
    for item in value.values() if depth > 1 else ():
        _check(item, depth - 1)
