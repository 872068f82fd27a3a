"""All that a run writes beside its picture: the log, the stages and the film."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

import numpy as np

from scratchnst.transfer import checkpoint
from scratchnst.transfer.film import Film, frames_file
from scratchnst.transfer.settings import Settings
from scratchnst.transfer.side_outputs import Growing, SideOutput, log_line, stages
from scratchnst.transfer.stylize import Evaluation, Iterate


class Sides:
    """What a run writes beside its picture, each until it fails, which `warn` is told.

    Parameters
    ----------
    settings : of the run
    kept : bytes to be kept of the log and of the frames of the film, of a run that goes on
    shape : (height, width) of the finest scale
    stack : which closes the files
    """

    def __init__(
        self,
        settings: Settings,
        kept: Mapping[str, int],
        shape: tuple[int, int],
        stack: ExitStack,
        warn: Callable[[str], None],
    ):
        self.log = Growing(settings.log, stack, kept.get("log", 0)) if settings.log else None
        self.film: Film | None = None
        self.warn = warn
        if settings.video:
            stack.callback(_remove_frames, settings)
            self.film = Film(settings.video, shape, settings.video_every, stack, kept.get("video", 0))
        self._write_log = SideOutput("the log", self._append_to_log, warn)
        self._save_stage = SideOutput("--save-every", stages(settings, shape), warn)
        self._add_frame = SideOutput("--video", self._append_frame, warn)

    def _append_to_log(self, evaluation: Evaluation) -> None:
        if self.log:
            self.log.append(log_line(evaluation))

    def _append_frame(self, iterate: Iterate) -> None:
        if self.film:
            self.film.add(iterate)

    def on_evaluation(self, evaluation: Evaluation) -> None:
        """Write the line of an evaluation."""
        self._write_log(evaluation)

    def on_step(self, iterate: Iterate) -> None:
        """Write what is wanted of a step."""
        self._save_stage(iterate)
        self._add_frame(iterate)

    def places(self) -> dict[str, Any]:
        """Return, for JSON, from where on log and film go on."""
        return {
            "log": self.log.place() if self.log else None,
            "video": self.film.frames.place() if self.film else None,
        }

    def finish_film(self, last: np.ndarray) -> None:
        """Make the film, unless it has failed."""
        if self.film and not self._add_frame.failed:
            SideOutput("--video", self.film.finish, self.warn)(last)


def _remove_frames(settings: Settings) -> None:
    """Delete the frames of the film, unless there is a state of the run, which then goes on with them."""
    if settings.video and not checkpoint.state_file(settings.output).exists():
        frames_file(settings.video).unlink(missing_ok=True)
