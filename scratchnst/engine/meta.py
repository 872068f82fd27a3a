"""Engines that compute nothing: their arrays have a shape but no numbers, and a ledger counts the bytes of all of them.

The network and the objective run with such an engine as with any other: which arrays they keep, and how long, need not
be written down a second time.  Each operation here allocates what the real one does: its result, its cache, and the
workspace that it has while it runs.  `MetaCpu` stands for `scratchnst.engine.cpu`, `MetaTextbook` for the textbook, and
`MetaCuda` for `scratchnst.engine.cuda`, whose bytes are those of the GPU's memory.  The operation of a layer not
among them keeps what it reads and its result: `MetaCpu.describe`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from scratchnst.engine.convolution import flipped
from scratchnst.engine.cpu import conv2d, instance_norm, threads, winograd
from scratchnst.engine.cpu.average_pool import pooled
from scratchnst.engine.cpu.sliced_style_loss import DIRECTIONS_OF_A_PIECE
from scratchnst.engine.cuda import conv2d as cuda_conv2d
from scratchnst.engine.cuda import products, windows
from scratchnst.engine.cuda import winograd as cuda_winograd
from scratchnst.engine.engine import name_of
from scratchnst.engine.textbook import OPERATIONS
from scratchnst.engine.textbook.reflected_conv2d import margins
from scratchnst.losses.cross_gram import pools_between
from scratchnst.ops.conv2d import PIXELS_PER_STRIP


class Ledger:
    """How many bytes are taken now, and how many were taken at most."""

    def __init__(self):
        self.now = self.peak = 0
        self.buffers: dict[str, int] = {}

    def take(self, size: int) -> None:
        self.now += size
        self.peak = max(self.peak, self.now)

    def borrow(self, size: int) -> None:
        """Take `size` bytes and give them back at once."""
        self.peak = max(self.peak, self.now + size)

    def keep(self, buffers: dict[str, int]) -> None:
        """Take buffers of these sizes, unless they are there: as `scratchnst.engine.cpu.threads.buffer` decides."""
        for name, size in buffers.items():
            kept = self.buffers.get(name, 0)
            if not size <= kept <= 4 * size:
                self.take(size - kept)
                self.buffers[name] = size


class _Memory:
    """A piece of memory, which is given back to the ledger when no array refers to it any more."""

    def __init__(self, ledger, size):
        self.ledger, self.size = ledger, size
        ledger.take(size)

    def __del__(self):
        self.ledger.now -= self.size


class MetaArray:
    """An array without numbers; its slices and reshaped views share its memory."""

    def __init__(self, ledger: Ledger, shape: tuple[int, ...], dtype: Any, memory: _Memory | None = None):
        self.ledger, self.shape, self.dtype = ledger, tuple(shape), np.dtype(dtype)
        self.memory = memory or _Memory(ledger, self.nbytes)

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    def like(self, shape: tuple[int, ...] | None = None, dtype: Any = None) -> MetaArray:
        """Return a new array, of this one's shape and dtype unless others are given."""
        return MetaArray(self.ledger, self.shape if shape is None else shape, dtype or self.dtype)

    def __getitem__(self, key: Any) -> MetaArray:
        keys = key if isinstance(key, tuple) else (key,)
        lengths = [len(range(*one.indices(length))) for one, length in zip(keys, self.shape)]
        return MetaArray(self.ledger, (*lengths, *self.shape[len(keys) :]), self.dtype, self.memory)

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def reshape(self, *shape: Any) -> MetaArray:
        wanted = shape[0] if isinstance(shape[0], tuple) else shape
        return MetaArray(self.ledger, wanted, self.dtype, self.memory)

    def astype(self, dtype: Any) -> MetaArray:
        return self.like(dtype=dtype)

    def sum(self) -> float:
        return 0.0

    def __add__(self, other: Any) -> MetaArray:
        return self.like()

    def __iadd__(self, other: Any) -> MetaArray:
        return self


class _MetaOperation:
    """What stands for an operation's module: its functions and, of a loss, its statistic."""

    def __init__(self, **names: Any):
        vars(self).update(names)


class MetaCpu:
    """The operations of `scratchnst.engine.cpu`, without numbers."""

    name = "cpu"

    def __init__(self):
        self.ledger = Ledger()
        self.kept: dict[Any, MetaArray] | None = None  # what a session keeps of kernels, by the id of the kernel
        self.preprocess = _MetaOperation(forward=self._preprocess, backward=lambda grad_y, cache: grad_y.like())
        self.conv2d = _MetaOperation(forward=self._conv2d, backward_input=self._conv2d_back)
        self.conv2d_relu = _MetaOperation(forward=self._conv2d_relu, backward_input=self._conv2d_relu_back)
        self.average_pool = _MetaOperation(
            forward=lambda x: (x.like(pooled(x.shape)), x.shape), backward=lambda grad_y, shape: grad_y.like(shape)
        )
        self.max_pool = _MetaOperation(forward=self._max_pool, backward=lambda grad_y, cache: grad_y.like(cache[0]))
        self.upsample = _MetaOperation(
            forward=lambda x: (x.like((x.shape[0], 2 * x.shape[1], 2 * x.shape[2], x.shape[3])), None),
            backward=lambda grad_y, cache: grad_y.like(pooled(grad_y.shape)),
        )
        self.reflected_conv2d = _MetaOperation(forward=self._reflected, backward_input=self._reflected_back)
        self.gram = _MetaOperation(forward=self._gram, backward=lambda grad_y, x: x.like())
        self.content_loss = _MetaOperation(
            forward=lambda F, P: (0.0, F.like()), backward=lambda grad_y, difference: difference.like(), statistic=None
        )
        distance: dict[str, Any] = {
            "distance": lambda G, A, pixels: (0.0, G.like()),
            "distance_backward": lambda grad_y, difference: difference.like(),
        }
        self.style_loss = _MetaOperation(
            forward=self._style_loss,
            backward=lambda grad_y, cache: cache[0].like(),
            statistic=self.gram,
            **distance,
        )
        self.cross_gram = _MetaOperation(forward=self._cross_gram, backward=self._cross_gram_back)
        self.cross_style_loss = _MetaOperation(
            forward=self._cross_style_loss,
            backward=lambda grad_y, cache: self._cross_gram_back(None, cache),
            statistic=self.cross_gram,
            **distance,
        )
        self.moment_matrix = _MetaOperation(forward=self._moment_matrix, backward=lambda grad_y, x: x.like())
        self.moments_style_loss = self.wasserstein_style_loss = _MetaOperation(
            forward=self._moments_loss,
            backward=lambda grad_y, cache: cache[0].like(),
            statistic=self.moment_matrix,
            distance=lambda S, target, pixels: (0.0, self._of_moments(S)),
            distance_backward=lambda grad_y, cache: cache[0].like(),
        )
        self.projections = _MetaOperation(
            forward=lambda x: (x.like(), None), backward=lambda grad_y, cache: grad_y.like(), joined=True
        )
        self.sliced_style_loss = _MetaOperation(
            forward=self._sliced,
            backward=lambda grad_y, difference: difference.like(),
            statistic=self.projections,
            distance=lambda S, target, pixels: (0.0, self._sorted(S)),
            distance_backward=lambda grad_y, difference: difference.like(),
        )
        self.total_variation = _MetaOperation(forward=lambda x: (0.0, x), backward=lambda grad_y, x: x.like())
        self.absolute_variation = _MetaOperation(forward=self._absolute, backward=self._absolute_back)
        self.laplacian_loss = _MetaOperation(forward=self._laplacian, backward=self._laplacian_back)
        self.addition = _MetaOperation(
            forward=lambda a, b: (a.like(), None), backward=lambda grad_y, cache: (grad_y.like(), grad_y.like())
        )
        self.guide = _MetaOperation(forward=lambda x, T: (x.like(), T), backward=lambda grad_y, T: grad_y.like())
        self.instance_norm = _MetaOperation(forward=self._norm, backward_input=self._norm_back)
        self.instance_norm_relu = _MetaOperation(forward=self._norm_relu, backward_input=self._norm_back)
        for operation in OPERATIONS:  # a loss on features that is not described here: as much as the content's
            if hasattr(operation, "statistic") and not hasattr(self, name_of(operation)):
                setattr(self, name_of(operation), self.content_loss)

    @contextmanager
    def session(self, keep_kernels: bool = False) -> Iterator[None]:
        """Enter what `scratchnst.engine.sessions` has."""
        self.kept = {} if keep_kernels else None
        yield
        self.kept = None

    def describe(self, name: str, inputs: int, shape: Callable) -> None:
        """Let the operation of a layer that is not described here take its result, and keep what it reads.

        Parameters
        ----------
        name : of the operation
        inputs : how many layers it reads
        shape : (shapes (H, W, C) of these, parameters) -> that of its result
        """

        def forward(*arrays):
            read = arrays[:inputs]
            y = read[0].like((read[0].shape[0], *shape([x.shape[1:] for x in read], arrays[inputs:])))
            return y, (read, y, [x.shape for x in read])

        def backward(grad_y, cache):
            grads = tuple(grad_y.like(each) for each in cache[-1])
            return grads if inputs > 1 else grads[0]

        if not hasattr(self, name):
            setattr(self, name, _MetaOperation(forward=forward, backward=backward, backward_input=backward))

    def asarray(self, array: Any, dtype: Any = None) -> MetaArray:
        """Return a meta array of the shape of `array`, or `array` itself if it is one of this dtype."""
        dtype = np.dtype(dtype or array.dtype)
        if isinstance(array, MetaArray) and array.dtype == dtype:
            return array
        return MetaArray(self.ledger, array.shape, dtype)

    def asnumpy(self, array: MetaArray) -> MetaArray:
        return array

    def zeros(self, shape: tuple[int, ...], dtype: Any) -> MetaArray:
        return MetaArray(self.ledger, shape, dtype)

    def add(self, total: MetaArray, part: MetaArray) -> MetaArray:
        return total

    def _preprocess(self, x, *_):
        self.ledger.borrow(x.nbytes)
        return x.like(), None

    def _convolve(self, x, w, back=False):
        kernel = flipped(w).shape if back else w.shape
        y = x.like((*x.shape[:3], kernel[3]))
        way = conv2d.choose(x.shape, kernel)
        numbers = conv2d.WAYS[way].workspace(x.shape, kernel)
        if way == "winograd" and self.kept is not None and winograd.tiles(x.shape) <= winograd.FEW_TILES:
            U = numbers.pop(winograd.KERNEL)
            if id(w) not in self.kept:
                self.kept[id(w)] = x.like((U,))
        self.ledger.keep({name: number * x.dtype.itemsize for name, number in numbers.items()})
        return y

    def _conv2d(self, x, w, b):
        return self._convolve(x, w), (x, w)

    def _conv2d_back(self, grad_y, cache):
        return self._convolve(grad_y, cache[1], back=True)

    def _conv2d_relu(self, x, w, b):
        y = self._convolve(x, w)
        return y, (x, w, y.like(dtype=bool))

    def _conv2d_relu_back(self, grad_y, cache):
        return self._conv2d_back(grad_y, cache)

    def _norm(self, x, scale, shift):
        self.ledger.keep(self._norm_workspace(x))
        return x.like(), (x,)

    def _norm_relu(self, x, scale, shift):
        y, cache = self._norm(x, scale, shift)
        return y, (*cache, y.like(dtype=bool))

    def _norm_back(self, grad_y, cache):
        self.ledger.keep(self._norm_workspace(grad_y))
        return grad_y.like()

    def _norm_workspace(self, x):
        return {name: number * x.dtype.itemsize for name, number in instance_norm.workspace(x.shape).items()}

    def _reflected(self, x, w, b, stride=1):
        return x.like(windows.convolved(x.shape, w.shape, stride, margins(w))), (x, x.shape, w, stride)

    def _reflected_back(self, grad_y, cache):
        return grad_y.like(cache[1])

    def _padded(self, array, shape, w):
        """Return a new array for images of `shape` (N, H, W, C) that are continued by the margins of a kernel."""
        count, height, width, channels = shape
        return array.like((count, height + w.shape[0] - 1, width + w.shape[1] - 1, channels))

    def _max_pool(self, x):
        y = x.like(pooled(x.shape))
        return y, (x.shape, y.like(dtype=np.uint8))

    def _gram(self, x):
        return x.like((x.shape[0], x.shape[3], x.shape[3])), x

    def _style_loss(self, F, A):
        return 0.0, (F, F.like((F.shape[0], F.shape[3], F.shape[3])))

    def _moment_matrix(self, x):
        G, _ = self._gram(x)
        return G.like((G.shape[0], G.shape[1] + 1, G.shape[2] + 1)), x

    def _moments_loss(self, F, target):
        S, _ = self._moment_matrix(F)
        return 0.0, (F, self._of_moments(S))

    def _of_moments(self, S):
        """What the Wasserstein distance keeps, and has while it runs; the moments take less."""
        self.ledger.borrow(10 * math.prod(S.shape) * 8)
        return S, [S.like(dtype="float64") for _ in range(3)]

    def _sliced(self, F, target):
        P = F.like()
        return 0.0, self._sorted(P)

    def _sorted(self, S):
        difference = S.like()
        directions = min(threads.count() * DIRECTIONS_OF_A_PIECE, S.shape[3])
        self.ledger.borrow(difference.nbytes // S.shape[3] * directions * (3 + 8 // S.dtype.itemsize))
        return difference

    def _absolute(self, x):
        self.ledger.borrow(3 * x.nbytes)
        return 0.0, x

    def _absolute_back(self, grad_y, x):
        self.ledger.borrow(4 * x.nbytes)
        return x.like()

    def _laplacian(self, x, content):
        self.ledger.borrow(x.nbytes + 2 * x.nbytes // x.shape[3])
        return 0.0, (x.like((x.shape[0], x.shape[1] // 4, x.shape[2] // 4, 1)), x.shape)

    def _laplacian_back(self, grad_y, cache):
        d, shape = cache
        grad_x = d.like(shape)
        self.ledger.borrow(grad_x.nbytes // 2)
        return grad_x

    def _cross_gram(self, x, y):
        self._halved(x, y)
        return x.like((x.shape[0], x.shape[3], y.shape[3])), (x, y)

    def _cross_gram_back(self, grad_y, cache):
        x, y = cache[:2]
        P = self._halved(x, y)
        grad_P = None if P is x else P.like()
        grads = x.like(), y.like()
        del grad_P  # which is there until it is spread over the pixels of x
        return grads

    def _cross_style_loss(self, F, K, A):
        G, features = self._cross_gram(F, K)
        return 0.0, (*features, G)

    def _halved(self, x, y):
        """Return what stands for `x` at the resolution of `y`."""
        for _ in range(pools_between(x.shape, y.shape)):
            x = x.like(pooled(x.shape))
        return x


class MetaTextbook(MetaCpu):
    """The operations of the textbook, which copies arrays where that makes it shorter."""

    name = "textbook"

    def _convolve(self, x, w, back=False):
        kh, kw, channels, outputs = flipped(w).shape if back else w.shape
        y = x.like((*x.shape[:3], outputs))
        pixels = min(max(1, PIXELS_PER_STRIP // x.shape[2]), x.shape[1]) * x.shape[2]
        strip = pixels * (kh * kw * channels + outputs) * x.dtype.itemsize
        padded = (x.shape[1] + kh - 1) * (x.shape[2] + kw - 1) * channels * x.shape[0] * x.dtype.itemsize
        self.ledger.borrow(padded + strip)
        return y

    def _sorted(self, S):
        return _sorted_at_once(self.ledger, S)

    def _conv2d_relu(self, x, w, b):
        z = self._convolve(x, w)
        y = z.like()
        return y, (x, w, y)

    def _conv2d_relu_back(self, grad_y, cache):
        self.ledger.borrow(math.prod(grad_y.shape) * (1 + grad_y.dtype.itemsize))
        grad_z, kernel = grad_y.like(), grad_y.like(cache[1].shape)
        grad_x = self._conv2d_back(grad_z, cache)
        del kernel  # a copy of the kernel, as long as the convolution runs
        return grad_x

    def _norm(self, x, scale, shift):
        numbers = math.prod(x.shape)
        z = x.like()
        self.ledger.borrow(2 * 8 * numbers)  # in float64
        y = x.like()
        self.ledger.borrow((8 + x.dtype.itemsize) * numbers)
        return y, (z,)

    def _norm_relu(self, x, scale, shift):
        normalised, cache = self._norm(x, scale, shift)
        y = normalised.like()
        return y, (*cache, y)

    def _norm_back(self, grad_y, cache):
        masked = grad_y.like() if len(cache) > 1 else grad_y
        grad_x = masked.like()
        self.ledger.borrow(2 * 8 * math.prod(grad_y.shape))
        return grad_x

    def _reflected(self, x, w, b, stride=1):
        padded = self._padded(x, x.shape, w)
        y, cache = super()._reflected(x, w, b, stride)
        self._strip(padded, w.shape, y.shape)
        return y, cache

    def _reflected_back(self, grad_y, cache):
        _, shape, w, _ = cache
        grad_padded = self._padded(grad_y, shape, w)
        spread = self._padded(grad_padded, (*grad_padded.shape[:3], w.shape[3]), w)
        self._strip(spread, flipped(w).shape, grad_padded.shape)
        del spread
        folded = grad_y.like((*shape[:2], *grad_padded.shape[2:]))
        return grad_y.like(folded.shape[:2] + shape[2:])

    def _strip(self, x, kernel, of_y):
        """Borrow the windows of two strips, as `scratchnst.ops.conv2d.convolve` has while it makes the second."""
        pixels = min(max(1, PIXELS_PER_STRIP // of_y[2]), of_y[1]) * of_y[2]
        self.ledger.borrow(min(2 * pixels, math.prod(of_y[:3])) * math.prod(kernel[:3]) * x.dtype.itemsize)


class MetaCuda(MetaCpu):
    """The operations of `scratchnst.engine.cuda`, each of which gives its workspace back to CuPy's pool at its end.

    For VGG19 down to conv5_1 at 4096x4096 pixels, float32, with our own L-BFGS, this adds up to 23 GB,
    the weights, targets and vectors of the optimiser included, or to 12 GB in strips of 512 MB: an estimate, confirmed
    by what the emulator counts for small images, and a GPU for one of 512x640 pixels.
    """

    name = "cuda"

    def _convolve(self, x, w, back=False, relu=False):
        kernel = flipped(w).shape if back else w.shape
        y = x.like((*x.shape[:3], kernel[3]))
        positive = y.like(dtype=bool) if relu else None
        workspace = cuda_conv2d.WAYS[cuda_conv2d.choose(x.shape, kernel)].workspace(x.shape, kernel)
        if self.kept is not None and cuda_winograd.KERNEL in workspace:
            U = workspace.pop(cuda_winograd.KERNEL)
            if (id(w), back) not in self.kept:
                self.kept[id(w), back] = x.like((U,))
        self.ledger.borrow(sum(workspace.values()) * x.dtype.itemsize)
        return (y, positive) if relu else y

    def _conv2d_relu(self, x, w, b):
        y, positive = self._convolve(x, w, relu=True)
        return y, (x, w, positive)

    def _reflected(self, x, w, b, stride=1):
        if stride > 1:
            y, cache = super()._reflected(x, w, b, stride)
            self._borrow_windows(x, cache)
            return y, cache
        whole = self._convolve(self._padded(x, x.shape, w), w)
        y, cache = super()._reflected(x, w, b)
        del whole
        return y, cache

    def _reflected_back(self, grad_y, cache):
        _, _, w, stride = cache
        if stride > 1:
            grad_x = super()._reflected_back(grad_y, cache)
            self._borrow_windows(grad_y, cache)
            return grad_x
        grad_padded = self._convolve(self._padded(grad_y, grad_y.shape, w), w, back=True)
        grad_x = super()._reflected_back(grad_y, cache)
        del grad_padded
        return grad_x

    def _borrow_windows(self, array, cache):
        _, shape, w, stride = cache
        self.ledger.borrow(windows.workspace(shape, w.shape, stride, margins(w)) * array.dtype.itemsize)

    def _sorted(self, S):
        return _sorted_at_once(self.ledger, S)

    def _preprocess(self, x, *_):
        return x.like(), None

    def _norm_workspace(self, x):
        return {}  # sums of strips, less than 2 MB

    def _gram(self, x):
        count, height, width, channels = x.shape
        stretches = products.stretches(height * width, channels, channels)
        self.ledger.borrow((stretches + 1) * channels**2 * x.dtype.itemsize if stretches > 1 else 0)
        return x.like((count, channels, channels)), x

    def _style_loss(self, F, A):
        G, _ = self._gram(F)
        return 0.0, (F, G.like())

    def _cross_gram(self, x, y):
        P = self._halved(x, y)
        count, height, width, channels = P.shape
        stretches = products.stretches(height * width, channels, y.shape[3])
        self.ledger.borrow((stretches + 1) * channels * y.shape[3] * x.dtype.itemsize if stretches > 1 else 0)
        return x.like((count, channels, y.shape[3])), (x, y)


def _sorted_at_once(ledger, S):
    """The result of `scratchnst.losses.sliced_style_loss.distance`: with columns, their order, and numbers at ranks."""
    ledger.borrow(3 * S.nbytes + 8 * math.prod(S.shape))
    return S.like()


def of(name: str) -> MetaCpu:
    """Return the meta engine that stands for the engine called `name`."""
    return {kind.name: kind for kind in (MetaCpu, MetaTextbook, MetaCuda)}[name]()
