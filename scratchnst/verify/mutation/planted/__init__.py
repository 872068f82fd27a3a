"""Planted mistakes: small, realistic changes to the textbook, each of which a gradient check has to catch.

They are patches of the source text and share no code with `scratchnst.verify.diagnosis.mistakes`.  Some show in one
element only, or only in odd heights, for several images, in float32 or for large images.  Those in `SOUND` change
forward and backward alike and are no mistakes: they must pass.
"""

from __future__ import annotations

from scratchnst.verify.mutation.planted import convolutions, distances, layers, losses, program, statistics
from scratchnst.verify.mutation.planted.mutant import Mutant, planted

__all__ = ["MUTANTS", "SOUND", "Mutant"]

_PARTS = (convolutions, layers, statistics, losses, distances, program)
MUTANTS = (
    *(
        planted(module, name, ((old, new),), *found)
        for part in _PARTS
        for module, rows in part.SINGLE.items()
        for name, old, new, *found in rows
    ),
    *(mutant for part in _PARTS for mutant in part.SEVERAL),
)
SOUND = tuple(mutant for part in _PARTS for mutant in part.SOUND)
