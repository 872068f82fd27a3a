"""The convolution of a fast engine: the contract of `scratchnst.ops.conv2d`, computed in one of several ways.

A way is a module with these functions; an engine has several, and says which it prefers for which shapes::

    y, positive = convolve(x, w, b=None, relu=False, mask=None)
        the convolution of x (N, H, W, C) with w (kh, kw, C, K), plus b (K,) unless it is None: y (N, H, W, K)
        relu : whether y becomes max(y, 0); positive is then y > 0, else None
        mask : boolean array of x's shape, or None; x is taken as zero where it is False
    grad_x = convolve_back(grad_y, w, mask=None)             the convolution of grad_y with the flipped kernel
    grad_w = kernel_gradient(x, grad_y, mask, (kh, kw))      grad_y is taken as zero where the mask is False
    sizes = workspace(shape of x, shape of w)                name -> how many numbers it needs besides, while it runs
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import ModuleType

from scratchnst.arrays import Array
from scratchnst.engine.checks import check_convolution, check_images, check_shape

Shape = tuple[int, ...]


def flipped(w: Array) -> Array:
    """Return the kernel (kh, kw, K, C) that carries gradients back through a convolution with `w` (kh, kw, C, K)."""
    return w[::-1, ::-1].swapaxes(2, 3)


class Conv2d:
    """The convolution of an engine.

    The functions whose names begin with ``backward`` take the cache of `forward` or of `forward_relu`.

    Parameters
    ----------
    ways : name -> module
    preferred : returns the name of the best way for images of a shape (N, H, W, C) and a kernel (kh, kw, C, K)
    takes : returns whether the way of a name can convolve these
    bias_gradient : returns dL/db (K,) from dL/dy (N, H, W, K), which is zero where a mask, if it is not None, is False
    empty : the way for arrays of no numbers, if none of the others takes them
    """

    def __init__(
        self,
        ways: Mapping[str, ModuleType],
        preferred: Callable[[Shape, Shape], str],
        takes: Callable[[str, Shape, Shape], bool],
        bias_gradient: Callable[[Array, Array | None], Array],
        empty: ModuleType | None = None,
    ):
        self.ways, self.preferred, self.takes = ways, preferred, takes
        self.bias_gradient, self.empty = bias_gradient, empty
        self._forced: ContextVar[str | None] = ContextVar("way to convolve", default=None)

    def choose(self, shape: Shape, kernel: Shape) -> str:
        """Return the name of the way to convolve images of `shape` (N, H, W, C) with a `kernel` (kh, kw, C, K)."""
        forced = self._forced.get()
        return forced if forced and self.takes(forced, shape, kernel) else self.preferred(shape, kernel)

    @contextmanager
    def using(self, way: str | None) -> Iterator[None]:
        """Convolve in this way within the block, in this thread, wherever it can; see `choose`."""
        if way is not None and way not in self.ways:
            raise ValueError(f"there is no way {way!r} to convolve; choose one of {', '.join(self.ways)}")
        token = self._forced.set(way)
        try:
            yield
        finally:
            self._forced.reset(token)

    def forward(self, x: Array, w: Array, b: Array) -> tuple[Array, tuple[Array | None, Array]]:
        """Convolve `x` (N, H, W, C) with `w` (kh, kw, C, K) and add `b` (K,).

        `x` is float32 or float64, and so is all that is computed; `w` and `b` are converted.

        Returns
        -------
        y : (N, H, W, K) array
        cache : (x, w)

        Raises
        ------
        ValueError
            If `x` is neither, `w` or `b` is complex, a kernel side is even, or channels do not match.
        """
        y, _ = self.convolve(x, w, b)
        return y, (x, w)

    def forward_relu(self, x: Array, w: Array, b: Array) -> tuple[Array, tuple[Array | None, Array, Array | None]]:
        """Return y = max(x * w + b, 0), (N, H, W, K), and the cache (x, w, y > 0); see `forward`.

        y is written once, and the ReLU's backward, grad_y where y > 0, is a mask on what the convolution's backward
        reads; neither passes over the image on its own.  The cache holds y > 0, one byte an output, instead of y,
        four.  Its x is needed for the gradient of the parameters only.
        """
        y, positive = self.convolve(x, w, b, relu=True)
        return y, (x, w, positive)

    def backward(self, grad_y: Array, cache: tuple) -> tuple[Array, Array, Array]:
        """Return dL/dx, dL/dw and dL/db from `grad_y` = dL/dy."""
        return self.backward_input(grad_y, cache), *self.backward_parameters(grad_y, cache)

    def backward_input(self, grad_y: Array, cache: tuple) -> Array:
        """Return dL/dx alone."""
        _, w, mask = (*cache, None)[:3]  # that of `forward` has no mask
        if mask is not None:
            check_shape("gradient", grad_y, mask.shape)
        kernel = flipped(w)
        check_convolution(grad_y, kernel)
        return self._way(grad_y.shape, kernel.shape).convolve_back(grad_y, w, mask)

    def backward_parameters(self, grad_y: Array, cache: tuple) -> tuple[Array, Array]:
        """Return dL/dw and dL/db."""
        x, w, mask = (*cache, None)[:3]
        check_shape("gradient", grad_y, (*x.shape[:3], w.shape[3]))
        check_images(grad_y)
        grad_b = self.bias_gradient(grad_y, mask)
        return self._way(x.shape, w.shape).kernel_gradient(x, grad_y, mask, w.shape[:2]), grad_b

    def convolve(self, x: Array, w: Array, b: Array, relu: bool = False) -> tuple[Array, Array | None]:
        """Return y and, if y is to be rectified, where it is positive."""
        check_convolution(x, w, b)
        if b.shape != w.shape[3:]:
            raise ValueError(f"channels do not match: kernel {w.shape}, bias {b.shape}")
        return self._way(x.shape, w.shape).convolve(x, w, b, relu)

    def _way(self, shape, kernel):
        return self.empty if self.empty and 0 in (*shape, *kernel) else self.ways[self.choose(shape, kernel)]
