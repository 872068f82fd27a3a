"""Exercise 6: a dilated convolution.

The kernel of a dilated convolution looks at pixels that are `dilation` apart, here with a dilation of 2:

    o . o . o
    . . . . .
    o . o . o        o is looked at, . is not
    . . . . .
    o . o . o

    y[n, p, q, k] = b[k] + sum over i, j, c of x[n, p + (i - r) dilation, q + (j - s) dilation, c] w[i, j, c, k]

where x is zero outside of the image, r = kh // 2 and s = kw // 2.  With a dilation of 1 it is the convolution of the
lesson.

Write the function below in place of its `raise` line, with products of matrices: by windows or by shifted images, as
you like.  You need nothing but NumPy.  Check it with

    scratchnst check 6

as often as you like; `scratchnst check 6 --hint` gives a hint.
"""

from __future__ import annotations

import numpy as np  # noqa: F401


def convolve_dilated(x, w, b, dilation):
    """Return the dilated convolution of x with w, and b added.

    Parameters
    ----------
    x : (N, H, W, C) array, images
    w : (kh, kw, C, K) array, kh and kw odd
    b : (K,) array
    dilation : int, 1 or more

    Returns
    -------
    y : (N, H, W, K) array of x's dtype
    """
    raise NotImplementedError("write this")
