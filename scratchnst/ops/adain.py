r"""Adaptive instance normalisation, AdaIN: each channel of a content gets the mean and the deviation of a style's.

Equation, for each image and channel, m and s being the moments of `scratchnst.ops.moments`; the style's image may have
any number of pixels::

    y[i] = s(style) (content[i] - m(content)) / s(content) + m(style)                              (a)

It is an instance normalisation of the content whose scale and shift are not learnt: they are the style's moments.  So a
network paints a style that it never saw.  Where these moments are features of the network that the picture is
computed from, a decoder makes a picture of y.

Derivation of ``backward``: the chain rule through the two operations that (a) is composed of.  Let g = dL/dy and
z = (content - m(content)) / s(content).

* The style is held fixed, and `instance_norm.backward` gives dL/dcontent, with s(style) as scale::

      dL/dcontent[j] = s(style)/s(content) (g[j] - 1/M sum_i g[i] - z[j] 1/M sum_i g[i] z[i])      (b)

* It gives those of scale and shift, too, sums over the content's M pixels, which here are gradients of the style's
  moments::

      dL/ds(style) = sum_i g[i] z[i],   dL/dm(style) = sum_i g[i]                                  (c)

* `moments.backward` takes these to the style's own M' pixels, whose z' = (style - m(style)) / s(style)::

      dL/dstyle[k] = 1/M' (dL/dm(style) + dL/ds(style) z'[k])                                      (d)

(d) is needed where the style's features change, too: where the network that makes them is trained, or the style's image
is what is painted.

Cached: what the two cache, z, s(style), 1/s(content) and z'.

Differs from the paper: it optimises a picture for each style and has no such layer.  Source: equation 8 of X. Huang,
S. Belongie, "Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization", ICCV 2017, arXiv 1703.06868.
"""

from __future__ import annotations

from scratchnst.arrays import Array
from scratchnst.ops import instance_norm, moments

Cache = tuple[tuple[Array, Array, Array], Array]


def forward(content: Array, style: Array) -> tuple[Array, Cache]:
    """Give each channel of each image of `content` the mean and the deviation of `style`'s: equation (a).

    Parameters
    ----------
    content : (N, H, W, C) array
    style : (N, H', W', C) array, a style for each image

    Returns
    -------
    y : (N, H, W, C) array of content's dtype
    cache : what `backward` needs, that of `instance_norm` and that of `moments`

    Raises
    ------
    ValueError
        If `content` and `style` have not as many images and channels, or an image has no pixels.
    """
    check_shapes(content, style)
    of_style, style_cache = moments.forward(style)
    shift, scale = of_style[:, 0], of_style[:, 1]
    y, content_cache = instance_norm.forward(content, scale, shift)
    return y, (content_cache, style_cache)


def backward(grad_y: Array, cache: Cache) -> tuple[Array, Array]:
    """Return dL/dcontent (N, H, W, C) and dL/dstyle (N, H', W', C), from `grad_y` = dL/dy (N, H, W, C)."""
    content_cache, style_cache = cache
    grad_content, grad_scale, grad_shift = instance_norm.backward(grad_y, content_cache)
    return grad_content, moments.backward(moments.stacked(grad_shift, grad_scale), style_cache)


def check_shapes(content: Array, style: Array) -> None:
    """Raise a ValueError unless `style` has as many images and channels as `content`."""
    if content.shape[::3] != style.shape[::3]:
        raise ValueError(
            f"a style has as many images and channels as the content, and these are {style.shape} and {content.shape}"
        )


def forward_loops(content: Array, style: Array) -> Array:
    """Equation (a), one image, channel and pixel at a time."""
    of_style = moments.forward_loops(style)
    return instance_norm.forward_loops(content, of_style[:, 1], of_style[:, 0])


def backward_loops(grad_y: Array, content: Array, style: Array) -> tuple[Array, Array]:
    """Equations (b) and (c), then (d), one pixel at a time."""
    scale = moments.forward_loops(style)[:, 1]
    grad_content, grad_scale, grad_shift = instance_norm.backward_loops(grad_y, content, scale)
    return grad_content, moments.backward_loops(moments.stacked(grad_shift, grad_scale), style)
