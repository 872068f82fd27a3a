"""Style loss of a pair of layers, `scratchnst.losses.cross_style_loss`, on this engine's Gram matrices."""

from __future__ import annotations

from scratchnst.engine.cuda import cross_gram
from scratchnst.engine.cuda.style_loss import distance, distance_backward
from scratchnst.losses import of_statistic

statistic = cross_gram

forward, backward = of_statistic(statistic, distance, distance_backward)
