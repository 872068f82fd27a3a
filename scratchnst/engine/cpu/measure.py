"""How long each way to convolve takes: the measurements behind `conv2d.choose`.

``python -m scratchnst.engine.cpu.measure`` prints them.  The ways take turns, so that other load on the machine
affects all alike, and the median counts.  Where the way chosen is not the fastest, a line says by how much.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from scratchnst.engine.cpu import conv2d, threads

# Side of the image, channels in, channels out: VGG19 on an image of 512 pixels, forward and back, then small layers.
LAYERS = [
    *[(512, 3, 64), (512, 64, 64), (256, 64, 128), (256, 128, 128), (128, 256, 256), (64, 512, 512), (32, 512, 512)],
    *[(512, 64, 3), (64, 3, 3), (64, 8, 8), (64, 16, 16), (64, 16, 64), (64, 32, 32), (64, 64, 64)],
    *[(16, 64, 64), (16, 128, 128), (16, 256, 256), (16, 512, 512), (12, 512, 512), (8, 256, 256), (8, 512, 512)],
]


def ways(side: int, channels: int, outputs: int) -> dict[str, float]:
    """Return the name of each way -> seconds for a convolution with a 3x3 kernel and its ReLU, in float32."""
    random = np.random.default_rng(0)
    x = random.standard_normal((1, side, side, channels), np.float32)
    w = random.standard_normal((3, 3, channels, outputs), np.float32)
    b = np.zeros(outputs, np.float32)

    def convolve(way: str) -> None:
        with conv2d.using(way):
            conv2d.convolve(x, w, b, relu=True)

    return take_turns({way: partial(convolve, way) for way in conv2d.WAYS})


def take_turns(functions: Mapping[str, Callable[[], object]], turns: int = 9) -> dict[str, float]:
    """Return the median time of each function in seconds; a first turn, which warms up, does not count."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(turns + 1):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(taken[1:]) for name, taken in times.items()}


def main() -> None:
    """Print the table, a row as soon as it is measured."""
    print(f"milliseconds, {threads.count()} threads")
    print(f"{'image':>9} {'channels':>12}" + "".join(f"{way:>10}" for way in conv2d.WAYS) + "  chosen")
    for side, channels, outputs in LAYERS:
        chosen = conv2d.choose((1, side, side, channels), (3, 3, channels, outputs))
        seconds = ways(side, channels, outputs)
        loss = seconds[chosen] / min(seconds.values()) - 1
        row = f"{side:>4}x{side:<4} {channels:>5} -> {outputs:<3}" + "".join(
            f"{1e3 * t:10.1f}" for t in seconds.values()
        )
        print(f"{row}  {chosen}" + (f", {100 * loss:.0f} % slower than the fastest" if loss > 0.1 else ""), flush=True)


if __name__ == "__main__":
    main()
