"""The progress of a run: a bar on a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import math
import sys
import time
from contextlib import suppress

from tqdm import tqdm

from scratchnst.messages import one_line
from scratchnst.transfer.stylize import Iterate

LINES = 20  # plain lines a run
BAR = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}<{left}, {rate_fmt}{postfix}]"


class Reporter:
    """Prints messages and the progress of a run to stderr; a context manager that closes its bar."""

    def __init__(self, iterations: int, quiet: bool):
        self.iterations, self.quiet = iterations, quiet
        self.scales: list[tuple[tuple[int, int], int]] = []  # (height, width) and iterations of each
        self.scale = self.steps = 0  # the number of the scale, and its steps done
        self.before = self.last = 0  # steps done before this scale, and in all
        self.pixels = self.count = 0  # computed here, and steps, which are fewer for a run that goes on
        self.terminal = sys.stderr.isatty()
        self.bar: _RunBar | None = None
        self.started = 0.0

    def __enter__(self) -> Reporter:
        self.started = time.perf_counter()
        if self.terminal and not self.quiet:
            self.bar = _RunBar(total=self.iterations, unit=" it", dynamic_ncols=True, file=sys.stderr, bar_format=BAR)
        return self

    def __exit__(self, *_) -> None:
        if self.bar is not None:
            self.bar.close()

    def say(self, message: str) -> None:
        """Print one line, unless quiet."""
        if self.quiet:
            return
        message = one_line(message)
        with suppress(OSError):  # the reader may have closed it
            if self.bar is not None:
                self.bar.write(message, file=sys.stderr)
            else:
                print(message, file=sys.stderr, flush=True)

    def begin_scale(self, number: int) -> None:
        """Go on to one of `scales`, by its number from 0, and say so if there are several."""
        (height, width), iterations = self.scales[number]
        self.before = self.last if self.scale else sum(iterations for _, iterations in self.scales[:number])
        self.scale, self.steps = number + 1, 0
        if len(self.scales) > 1:
            self.say(f"scale {self.scale} of {len(self.scales)}: {width}x{height} pixels, {iterations} iterations")

    def step(self, iterate: Iterate) -> None:
        """Show that one more step is done."""
        self.steps, self.last = iterate.iteration - self.before, iterate.iteration
        self.count += 1
        self.pixels += math.prod(iterate.canvas.shape[:2])
        if self.bar is not None:
            self.bar.seconds_left = self._seconds_left()
            self.bar.set_postfix_str(f"loss {iterate.loss:.4g}", refresh=False)
            self.bar.update(iterate.iteration - self.bar.n)
            return
        every = max(1, self.iterations // LINES)
        if iterate.iteration == 1 or iterate.iteration % every == 0:
            self.say(self._line(iterate))

    def _line(self, iterate):
        rate = self.count / (time.perf_counter() - self.started)
        return (
            f"iteration {iterate.iteration}/{self.iterations}  loss {iterate.loss:.4g}"
            f"  {rate:.2f} it/s  {self._seconds_left():.0f} s left"
        )

    def _seconds_left(self):
        """Return the time that the pixels still to be computed take at the rate so far, over all scales."""
        (shape, iterations), *finer = self.scales[self.scale - 1 :]
        pixels = math.prod(shape) * (iterations - self.steps) + sum(math.prod(shape) * steps for shape, steps in finer)
        return (time.perf_counter() - self.started) * pixels / self.pixels


class _RunBar(tqdm):
    """A progress bar with our own estimate of the seconds left."""

    seconds_left = float("nan")

    @property
    def format_dict(self):
        left = "?" if math.isnan(self.seconds_left) else self.format_interval(self.seconds_left)
        return {**super().format_dict, "left": left}
