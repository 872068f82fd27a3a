r"""Colour control: whether a painting has the colours of the style or those of the content.

``"style"``: the style's, as the method has it.

``"content"``: only luminance is painted.  A picture x is its luminance Y plus its chroma x - Y, with::

    Y = 0.299 R + 0.587 G + 0.114 B                                                                (a)

The content and the style become grey pictures of their luminance.  The style's gets the mean and the deviation of the
content's, so that a dark painting does not darken the photograph::

    Y_s' = sigma_c / sigma_s (Y_s - mu_s) + mu_c                                                   (b)

The chroma of the content is added to what is painted.

``"match"``: the style is given the content's colours before it is looked at, by a linear map of them::

    y[i] = A (x[i] - mean_s) + mean_c,      A K_s A^T = K_c                                        (c)

K is a covariance, 1/M sum_i (x[i] - mean)(x[i] - mean)^T over M pixels.  So y has the mean and the covariance of the
content.  (b) is (c) with one channel.  With three, let K_s = R_s R_s^T and K_c = R_c R_c^T: any A = R_c Q R_s^-1 with
an orthogonal Q fulfils (c).  Three choices are usual, where K^(1/2) is the symmetric root::

    cholesky    A = L_c L_s^-1,  K = L L^T with triangular L                                       (d)
    pca         A = K_c^(1/2) K_s^(-1/2)                                                           (e)
    symmetric   A = K_s^(-1/2) (K_s^(1/2) K_c K_s^(1/2))^(1/2) K_s^(-1/2)                          (f)

(d) depends on the order of the channels, (e) and (f) do not.  (f) is the only A that is symmetric with no negative
eigenvalues.  It therefore changes the colours least, measured by the mean of |y[i] - x[i]|^2: that is a constant
minus 2 trace(A K_s), and of all the A in (c), the one in (f) has the largest trace(A K_s).  Hence it is the default.

Without colours, as in a grey picture, a covariance has eigenvalues of zero, and K_s no inverse.  EPSILON I is therefore
added to both covariances.  A constant style stays constant, in the content's mean colour.  A grey style stays on a line
of colours.

A network with styles of its own has no picture of the style to prepare: there, `recoloured` does the same to what it
has painted.

Precision: statistics and A are computed in float64, pictures in their own dtype.

Source: L. A. Gatys, M. Bethge, A. Hertzmann, E. Shechtman, "Preserving Color in Neural Artistic Style Transfer", 2016,
arXiv 1606.05897, with (d), and (e) as in Image Analogies.  (f): F. Pitie, A. Kokaram, "The Linear Monge-Kantorovitch
Linear Colour Mapping for Example-Based Colour Transfer", CVMP 2007.  EPSILON and the coefficients of (a) are those of
the first authors' code, https://github.com/leongatys/NeuralImageSynthesis.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from scratchnst.errors import UserError
from scratchnst.ops import matrix_square_root

COLORS = STYLE, CONTENT, MATCH = "style", "content", "match"
LUMINANCE = (0.299, 0.587, 0.114)
EPSILON = 1e-5 * 255**2  # 1e-5 for values from 0 to 1
ROWS = 64  # of which statistics are added up at a time


def _symmetric(K_s: np.ndarray, K_c: np.ndarray) -> np.ndarray:
    root = _root(K_s)
    inverse = np.linalg.inv(root)
    return inverse @ _root(root @ K_c @ root) @ inverse


def _pca(K_s: np.ndarray, K_c: np.ndarray) -> np.ndarray:
    return _root(K_c) @ np.linalg.inv(_root(K_s))


def _cholesky(K_s: np.ndarray, K_c: np.ndarray) -> np.ndarray:
    return np.linalg.cholesky(K_c) @ np.linalg.inv(np.linalg.cholesky(K_s))


def _root(K: np.ndarray) -> np.ndarray:
    return matrix_square_root.forward(K[np.newaxis], 0)[0][0]


# A way to match colours -> A (C, C) from K_s and K_c: equations (f), (e), (d).  The first is the default.
MATCHINGS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "symmetric": _symmetric,
    "pca": _pca,
    "cholesky": _cholesky,
}
MATCHING = next(iter(MATCHINGS))


def prepared(
    content: np.ndarray, styles: Sequence[np.ndarray], colors: str, matching: str = MATCHING
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return content and styles as they are painted from, each (H, W, 3), RGB 0-255, of any size.

    Where `colors` is "content" they are grey, and `with_chroma_of` is for what is painted.

    Parameters
    ----------
    colors : one of `COLORS`
    matching : one of `MATCHINGS`

    Raises
    ------
    UserError
        If there is no such way.
    """
    check(colors, matching)
    if colors == CONTENT:
        return luminance(content), [matched_luminance(style, content) for style in styles]
    if colors == MATCH:
        return content, [matched(style, content, matching) for style in styles]
    return content, list(styles)


def recoloured(painting: np.ndarray, photo: np.ndarray, colors: str, matching: str = MATCHING) -> np.ndarray:
    """Return a finished painting (H, W, 3) with the colours of its photograph (H, W, 3); see `prepared`.

    "content" adds the photograph's chroma to the painting's luminance, "match" matches all colours.
    """
    check(colors, matching)
    if colors == CONTENT:
        return with_chroma_of(painting, photo)
    return matched(painting, photo, matching) if colors == MATCH else painting


def check(colors: str, matching: str) -> None:
    """Raise a UserError unless they are among `COLORS` and `MATCHINGS`."""
    if colors not in COLORS:
        raise UserError(f"colours cannot be those of {colors!r}: choose one of {', '.join(COLORS)}.")
    if matching not in MATCHINGS:
        raise UserError(f"colours cannot be matched by {matching!r}: choose one of {', '.join(MATCHINGS)}.")


def luminance(image: np.ndarray) -> np.ndarray:
    """Return the grey picture (H, W, 3) of a picture's luminance: equation (a)."""
    return np.repeat(_luminance(image), 3, axis=2)


def matched_luminance(style: np.ndarray, content: np.ndarray) -> np.ndarray:
    """Return the grey picture of a style's luminance, with the mean and deviation of the content's: equation (b).

    It is clipped to 0-255.
    """
    return np.repeat(matched(_luminance(style), _luminance(content)), 3, axis=2)


def with_chroma_of(image: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the luminance of `image` with the chroma of `other`, both (H, W, 3), clipped to 0-255."""
    picture = other + (_luminance(image) - _luminance(other))
    return picture.clip(0, 255, out=picture)


def matched(style: np.ndarray, content: np.ndarray, matching: str = MATCHING) -> np.ndarray:
    """Return a style with the mean and the covariance of the content's colours: equation (c).

    Parameters
    ----------
    style, content : (H, W, C) arrays, 0-255, of any sizes
    matching : one of `MATCHINGS`

    Returns
    -------
    (H, W, C) array, float32 or float64 as the style, clipped to 0-255; where that changes colours, mean and covariance
    are not quite the content's

    Raises
    ------
    UserError
        If there is no such way.
    """
    check(MATCH, matching)
    (mean_s, K_s), (mean_c, K_c) = _statistics(style), _statistics(content)
    dtype = np.result_type(style, np.float32)
    picture = (style - mean_s.astype(dtype)).reshape(-1, style.shape[2])
    picture = picture @ MATCHINGS[matching](K_s, K_c).T.astype(dtype)
    picture += mean_c.astype(dtype)
    return picture.clip(0, 255, out=picture).reshape(style.shape)


def _luminance(image: np.ndarray) -> np.ndarray:
    """Y (H, W, 1)."""
    return image @ np.array(LUMINANCE, np.result_type(image, np.float32))[:, np.newaxis]


def _statistics(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (C,) and covariance (C, C) of an image's colours, the latter with EPSILON I."""
    height, width, channels = image.shape
    mean = image.mean(axis=(0, 1), dtype=np.float64)
    covariance = np.zeros((channels, channels))
    for top in range(0, height, ROWS):
        deviations = (image[top : top + ROWS] - mean).reshape(-1, channels)
        covariance += deviations.T @ deviations
    return mean, covariance / (height * width) + EPSILON * np.eye(channels)
