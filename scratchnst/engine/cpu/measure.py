"""How long each way to convolve takes: the measurements behind `conv2d.choose` and `reflected_conv2d.choose`.

``python -m scratchnst.engine.cpu.measure`` prints them.  The ways take turns, so that other load on the machine
affects all alike, and the median counts.  Where the way chosen is not the fastest, a line says by how much.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from scratchnst.engine.cpu import banded, conv2d, reflected_conv2d, threads, winograd

# Side of the image, channels in, channels out: VGG19 on an image of 512 pixels, forward and back, then small layers.
LAYERS = [
    *[(512, 3, 64), (512, 64, 64), (256, 64, 128), (256, 128, 128), (128, 256, 256), (64, 512, 512), (32, 512, 512)],
    *[(512, 64, 3), (64, 3, 3), (64, 8, 8), (64, 16, 16), (64, 16, 64), (64, 32, 32), (64, 64, 64)],
    *[(16, 64, 64), (16, 128, 128), (16, 256, 256), (16, 512, 512), (12, 512, 512), (8, 256, 256), (8, 512, 512)],
]
# Images, side, kernel side, channels in, channels out: the layers of transform networks, reflected, then others.
REFLECTED = [
    *[(4, 32, 3, 64, 64), (4, 64, 3, 64, 32), (4, 128, 3, 32, 16), (4, 64, 3, 16, 16), (4, 128, 3, 8, 16)],
    *[
        (4, 16, 3, 32, 32),
        (4, 12, 3, 64, 64),
        (4, 8, 3, 64, 64),
        (4, 32, 3, 16, 32),
        (4, 64, 3, 24, 24),
        (1, 16, 3, 16, 16),
        (1, 256, 3, 16, 16),
        (1, 128, 3, 64, 64),
    ],
    *[(4, 128, 5, 3, 16), (4, 128, 5, 16, 3), (4, 128, 9, 3, 16), (4, 128, 9, 16, 3), (4, 128, 3, 3, 32)],
    *[(4, 128, 5, 6, 16), (4, 128, 5, 8, 16), (4, 128, 5, 16, 16)],
]
OUTPUTS_AT_ONCE = (1, 2, 4)


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


def reflected_ways(count: int, side: int, kernel: int, channels: int, outputs: int) -> dict[str, float]:
    """Return the name of each way -> seconds for a reflected convolution with stride 1 and its gradients, in float32.

    The banded way is measured with each number of outputs at once.
    """
    random = np.random.default_rng(0)
    x = random.standard_normal((count, side, side, channels), np.float32)
    w = random.standard_normal((kernel, kernel, channels, outputs), np.float32)
    g = random.standard_normal((count, side, side, outputs), np.float32)
    b = np.zeros(outputs, np.float32)

    def by_winograd() -> None:
        winograd.convolve(x, w, b, reflected=True)
        winograd.convolve_flipped(g, w)
        winograd.kernel_gradient(x, g, reflected=True)

    def banded_by(together: int) -> None:
        usual, banded.outputs_at_once = banded.outputs_at_once, lambda *_: together
        banded.convolve(x, w, b, 1)
        banded.convolve_back(g, w, 1, x.shape)
        banded.kernel_gradient(x, g, 1, w.shape)
        banded.outputs_at_once = usual

    functions: dict[str, Callable[[], object]] = {
        f"banded {number}": partial(banded_by, number) for number in OUTPUTS_AT_ONCE
    }
    return take_turns({"winograd": by_winograd, **functions} if kernel == 3 else functions)


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
    """Print the tables, a row as soon as it is measured."""
    print(f"milliseconds, {threads.count()} threads")
    print(f"{'image':>9} {'channels':>12}" + "".join(f"{way:>10}" for way in conv2d.WAYS) + "  chosen")
    for side, channels, outputs in LAYERS:
        chosen = conv2d.choose((1, side, side, channels), (3, 3, channels, outputs))
        row = f"{side:>4}x{side:<4} {channels:>5} -> {outputs:<3}"
        _print_row(row, ways(side, channels, outputs), conv2d.WAYS, chosen)
    names = ["winograd", *(f"banded {number}" for number in OUTPUTS_AT_ONCE)]
    print("\nreflected, forward and backward; banded with 1, 2 and 4 outputs at once")
    print(f"{'images':>11} {'kernel':>6} {'channels':>12}" + "".join(f"{name:>10}" for name in names) + "  chosen")
    for count, side, kernel, channels, outputs in REFLECTED:
        shapes = (count, side, side, channels), (kernel, kernel, channels, outputs)
        chosen = reflected_conv2d.choose(*shapes, 1)
        if chosen == "banded":
            chosen += f" {banded.outputs_at_once(shapes[1], 1)}"
        row = f"{count} {side:>4}x{side:<4} {kernel:>4}x{kernel} {channels:>5} -> {outputs:<3}"
        _print_row(row, reflected_ways(count, side, kernel, channels, outputs), names, chosen)


def _print_row(row, seconds, names, chosen):
    loss = seconds[chosen] / min(seconds.values()) - 1
    row += "".join(f"{1e3 * seconds[name]:10.1f}" if name in seconds else f"{'-':>10}" for name in names)
    print(f"{row}  {chosen}" + (f", {100 * loss:.0f} % slower than the fastest" if loss > 0.1 else ""), flush=True)


if __name__ == "__main__":
    main()
