"""Exercise 6: a convolution with gaps.

A dilated convolution looks at pixels that are `dilation` rows and columns apart, and so sees further than an ordinary
one with as many weights.  Write it below, in place of the `raise` line.  The package has none to look it up in.  Check
it with

    scratchnst check 6

as often as you like; `scratchnst check 6 --hint` gives a hint.
"""

from __future__ import annotations

import numpy as np  # noqa: F401


def convolve_dilated(x, w, b, dilation):
    """Return the dilated convolution of `x` with `w`, plus `b`.

    With r = (kh - 1)/2, s = (kw - 1)/2, and x taken as zero outside the image:

        y[n, p, q, k] = b[k] + sum over i, j, c of x[n, p + dilation (i - r), q + dilation (j - s), c] w[i, j, c, k]

    With a dilation of 1 this is the convolution of the lesson.

    Parameters
    ----------
    x : (N, H, W, C) array
    w : (kh, kw, C, K) array, kh and kw odd
    b : (K,) array
    dilation : whole number, 1 or more

    Returns
    -------
    y : (N, H, W, K) array of x's dtype
    """
    raise NotImplementedError("write this")
