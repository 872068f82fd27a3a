"""The memory of operations as the engines without numbers tell it, beside what is taken.

`tests/transfer/test_memory.py` does so for all of VGG.
"""

from __future__ import annotations

import tracemalloc

import numpy as np
import platforms
import pytest

from scratchnst.engine import meta
from scratchnst.engine.cuda import emulator, windows

SHAPE, KERNEL = (1, 150, 110, 12), (5, 3, 12, 20)


def told(name, stride):
    """Return the bytes that the convolution takes at most, and its gradient, their results included."""
    engine, peaks = meta.of(name), []
    ledger = engine.ledger
    x, w, b = meta.MetaArray(ledger, SHAPE, "float32"), np.ones(KERNEL, "float32"), np.ones(KERNEL[3:], "float32")
    before, ledger.peak = ledger.now, ledger.now
    grad_y, (_, *cache) = engine.reflected_conv2d.forward(x, w, b, stride)
    peaks.append(ledger.peak - before)
    before, ledger.peak = ledger.now, ledger.now
    grad_x = engine.reflected_conv2d.backward_input(grad_y, (None, *cache))
    assert grad_x.shape == SHAPE
    return [*peaks, ledger.peak - before]


def taken(operation, stride, there, largest):
    """Return the same of an engine's operation; `largest` is what a function takes at most."""
    x, w, b = (there(np.ones(shape, "float32")) for shape in (SHAPE, KERNEL, KERNEL[3:]))
    grad_y, (_, *cache) = operation.forward(x, w, b, stride)
    forward = largest(lambda: operation.forward(x, w, b, stride))
    return [forward, largest(lambda: operation.backward_input(grad_y, (None, *cache)))]


def of_python(function):
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def of_the_pool(function):
    before = emulator.pool.peak = emulator.pool.used_bytes()
    function()
    return emulator.pool.peak - before


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("platform", ["textbook"], indirect=True)
def test_the_textbooks_convolution_within_mirrors(platform, stride):
    found = taken(platform.engine.reflected_conv2d, stride, platform.there, of_python)
    assert told("textbook", stride) == pytest.approx(found, rel=0.1)


@pytest.mark.parametrize("numbers", [2**26, 2**18])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("platform", list(platforms.ORDERS)[:1], indirect=True)
def test_that_of_a_gpu(monkeypatch, platform, stride, numbers):
    monkeypatch.setattr(windows, "NUMBERS", numbers)
    found = taken(platform.engine.reflected_conv2d, stride, platform.there, of_the_pool)
    assert told("cuda", stride) == pytest.approx(found, rel=0.02)
