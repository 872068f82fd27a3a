"""Moment matrices, `scratchnst.losses.moment_matrix`, on this engine's Gram matrices."""

from __future__ import annotations

from scratchnst.engine.cpu import gram
from scratchnst.losses.moment_matrix import of_gram

forward, backward = of_gram(gram)
