r"""The mean of the iterates, of which the newest count most.

Adam's steps do not become smaller by themselves: near a minimum the iterates x_1, x_2 ... jump about it.  Their mean is
nearer to it than any of them (B. T. Polyak, A. B. Juditsky, "Acceleration of stochastic approximation by averaging",
1992).  With a decay d between 0 and 1::

    a_k = d a_{k-1} + (1 - d) x_k,   a_0 = 0         so that    a_k = (1 - d) sum_{j=1..k} d^{k-j} x_j

The weights sum to (1 - d) (1 + d + ... + d^{k-1}) = 1 - d^k and not to 1, since a_0 = 0 counts as an iterate.  Divided
by that, as Adam divides its moments, they do::

    mean_k = a_k / (1 - d^k)

The mean is over about 1 / (1 - d) iterates: 100 with d = 0.99.  While there are fewer, it is nearly that of all.
"""

from __future__ import annotations

from dataclasses import dataclass

from scratchnst.arrays import Array, array_module

DECAY = 0.99


@dataclass
class MovingAverage:
    """The mean of all arrays that it was told.

    Attributes
    ----------
    total : a_k
    decay : d
    count : k
    """

    total: Array
    decay: float = DECAY
    count: int = 0

    @classmethod
    def of(cls, x: Array, decay: float = DECAY) -> MovingAverage:
        """Return one for arrays like `x`, of which it was told none so far."""
        return cls(array_module(x).zeros_like(x), decay)

    def add(self, x: Array) -> None:
        """Count one more array."""
        self.total *= self.decay
        self.total += (1 - self.decay) * x
        self.count += 1

    @property
    def mean(self) -> Array:
        """The mean; of no array, there is none."""
        return self.total / (1 - self.decay**self.count)
