"""The ladder's rungs and the accuracy: the same convolution each time, checked before it is timed."""

from __future__ import annotations

import numpy as np
import pytest
from networks import random_vgg19

from scratchnst.bench import accuracy, ladder, problem
from scratchnst.engine.cpu import shifted
from scratchnst.ops import conv2d


def test_loops_by_hand():
    """Ones around the pixel 2, weights 1 to 9: each neighbour sees the pixel's weight once more."""
    x, w = np.ones((1, 3, 3, 1)), np.arange(1.0, 10).reshape(3, 3, 1, 1)
    x[0, 1, 1] = 2
    y = ladder.loops(x, w, np.array([0.5]), range(3), range(3))
    inside = [[5 + 6 + 8 + 9, 4 + 5 + 6 + 7 + 8 + 9, 4 + 5 + 7 + 8], [33, 45, 27], [2 + 3 + 5 + 6, 21, 1 + 2 + 4 + 5]]
    np.testing.assert_array_equal(y[0, ..., 0], inside + np.arange(9.0, 0, -1).reshape(3, 3) + 0.5)


@pytest.mark.parametrize(("rows", "columns"), [(range(4), range(5)), (range(1, 3), range(2, 5))])
def test_loops_are_the_textbooks_convolution(random, rows, columns):
    x, w, b = random.standard_normal((2, 4, 5, 3)), random.standard_normal((3, 5, 3, 2)), random.standard_normal(2)
    exact = conv2d.forward(x, w, b)[0][:, rows.start : rows.stop, columns.start : columns.stop]
    np.testing.assert_allclose(ladder.loops(x, w, b, rows, columns), exact, rtol=1e-12)


@pytest.mark.parametrize("way", ladder.RUNGS)
def test_rungs(monkeypatch, way):
    monkeypatch.setattr(ladder, "CHANNELS", 32)
    rung = ladder.Rung(18, "cpu", way)
    found = rung.check()
    assert 1e-8 < found["error"] < 1e-5
    assert 0 <= found["extra_bytes"] < 5e6
    if way != "loops":
        assert found["extra_bytes"] > rung.x.nbytes / 4  # whatever is done, pixels are gathered


def test_each_rung_goes_its_own_way(monkeypatch):
    def refuse(*arguments, **settings):
        raise RuntimeError("shifted")

    monkeypatch.setattr(ladder, "CHANNELS", 32)
    monkeypatch.setattr(shifted, "convolve", refuse)
    for way in ("im2col", "winograd"):
        ladder.Rung(18, "cpu", way).evaluate()
    with pytest.raises(RuntimeError, match="shifted"):
        ladder.Rung(18, "cpu", "shifted").evaluate()


def test_a_wrong_rung_is_seen(monkeypatch):
    monkeypatch.setattr(ladder, "CHANNELS", 4)
    rung = ladder.Rung(8, "cpu", "im2col")
    rung.evaluate = lambda: conv2d.forward(rung.x, rung.w[::-1], rung.b)[0]
    assert rung.check()["error"] > 0.1


@pytest.mark.parametrize(("size", "pixels"), [(128, 8), (8, 8), (3, 3)])
def test_the_loops_compute_a_part(size, pixels):
    rows, columns = ladder.computed("loops", size)
    assert len(rows) * len(columns) == pixels
    assert 0 <= rows.start < rows.stop <= size
    assert 0 <= columns.start < columns.stop <= size
    assert ladder.share("loops", size) == pixels / size**2
    assert ladder.share("winograd", size) == 1


def test_accuracy(monkeypatch):
    monkeypatch.setattr(accuracy, "STARTS", 2)
    monkeypatch.setattr(problem, "random_network", lambda seed: random_vgg19(13, seed, width=8))
    contender = accuracy.Accuracy(32)
    found = contender.check()
    assert {key: len(errors) for key, errors in found.items()} == {"gradient_errors": 2, "textbook_gradient_errors": 2}
    assert all(1e-8 < error < 1e-2 for errors in found.values() for error in errors)
    end = contender.run(2)
    assert end["iterations"] == 2
    assert end["difference"] == pytest.approx(abs(end["loss"] - end["textbook_loss"]) / end["textbook_loss"])
    assert end["difference"] < 1e-2
