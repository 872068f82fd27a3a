"""Signs of life: a progress bar on a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
import time
from contextlib import suppress

from tqdm import tqdm

from scratchnst.stylize import Progress

LINES = 20  # plain lines a run


class Reporter:
    """Prints messages and the progress of a run to stderr; a context manager that closes its bar."""

    def __init__(self, iterations: int, quiet: bool):
        self.iterations, self.quiet = iterations, quiet
        self.terminal = sys.stderr.isatty()
        self.bar: tqdm | None = None
        self.started = 0.0

    def __enter__(self) -> Reporter:
        self.started = time.perf_counter()
        if self.terminal and not self.quiet:
            self.bar = tqdm(total=self.iterations, unit=" it", dynamic_ncols=True, file=sys.stderr)
        return self

    def __exit__(self, *_) -> None:
        if self.bar is not None:
            self.bar.close()

    def say(self, message: str) -> None:
        """Print one line, unless quiet."""
        if not self.quiet:
            with suppress(OSError):  # whoever read it may be gone
                print(message, file=sys.stderr, flush=True)

    def step(self, progress: Progress) -> None:
        """Show that one more step is done."""
        if self.bar is not None:
            self.bar.set_postfix_str(f"loss {progress.loss:.4g}", refresh=False)
            self.bar.update()
            return
        every = max(1, self.iterations // LINES)
        if progress.iteration == 1 or progress.iteration % every == 0:
            self.say(self._line(progress))

    def _line(self, progress):
        rate = progress.iteration / (time.perf_counter() - self.started)
        left = (self.iterations - progress.iteration) / rate
        return (
            f"iteration {progress.iteration}/{self.iterations}  loss {progress.loss:.4g}"
            f"  {rate:.2f} it/s  {left:.0f} s left"
        )
