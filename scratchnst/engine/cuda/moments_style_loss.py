"""Style loss by moments, `scratchnst.losses.moments_style_loss`, on this engine's moment matrices."""

from __future__ import annotations

from scratchnst.engine.cuda import moment_matrix
from scratchnst.losses import of_statistic
from scratchnst.losses.moments_style_loss import distance, distance_backward

statistic = moment_matrix

forward, backward = of_statistic(statistic, distance, distance_backward)
