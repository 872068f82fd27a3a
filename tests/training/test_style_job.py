"""What a training is given: numbers for all paintings, or for each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scratchnst.engine import cpu
from scratchnst.errors import UserError
from scratchnst.training import photographs, style_job
from scratchnst.training.perceptual_loss import Weights
from scratchnst.training.style_job import StyleSettings

LAYER = "like_conv3_1"


@pytest.fixture
def settings(folder, random, monkeypatch):
    monkeypatch.setattr(photographs, "SAMPLES", 1)
    paintings = Path("circles.png"), Path("lines.png")
    for path in paintings:
        Image.fromarray(random.integers(0, 256, (90, 80, 3), np.uint8)).save(path)
    return StyleSettings(paintings, style_size=80, widths=(3, 4, 5), blocks=1)


def targets(settings):
    loss = style_job.prepare(settings, cpu, lambda sentence: None).training.loss
    return [loss.target(number)[LAYER] for number in (0, 1)], loss.style_weights


@pytest.mark.slow
def test_a_size_and_a_weight_for_each_painting(settings):
    small, _ = targets(replace(settings, style_size=40))
    large, weights = targets(settings)
    mixed, own_weights = targets(replace(settings, style_size=(40, 80), weights=Weights(style=(2.0, 3.0))))
    np.testing.assert_array_equal(mixed[0], small[0])
    np.testing.assert_array_equal(mixed[1], large[1])
    assert not np.allclose(mixed[0], large[0], rtol=1e-2)
    assert list(weights) == [10, 10]
    assert list(own_weights) == [2, 3]


def test_as_many_numbers_as_paintings(settings):
    with pytest.raises(UserError, match="3 numbers for 2 paintings: give --style-size one number"):
        targets(replace(settings, style_size=(40, 50, 60)))
