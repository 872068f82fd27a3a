"""The engines' ways to convolve, each against the textbook in float64."""

from __future__ import annotations

from itertools import product

import numpy as np
import platforms
import pytest
from numerical import relative_error

from scratchnst.engine import cpu, cuda
from scratchnst.engine.cpu import conv2d, shifted, windows, winograd
from scratchnst.engine.cuda import column_sums, tiled
from scratchnst.engine.cuda import winograd as winograd_on_gpu
from scratchnst.ops import conv2d as textbook
from scratchnst.ops import relu
from scratchnst.verify.numpy_engine import as_numpy_engine

OPERATIONS = ["conv2d", "conv2d_relu"]
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
# Sides of one, of a tile less and more, of several blocks of tiles; few and many channels, no round numbers of them.
SHAPES = [
    ((1, 1, 1, 3), 2),
    ((1, 1, 9, 1), 3),
    ((2, 5, 7, 3), 65),
    ((3, 4, 4, 65), 1),
    ((1, 13, 3, 16), 33),
    ((1, 31, 33, 6), 7),
    ((2, 33, 17, 9), 4),
]


class Way:
    """A way of an engine to convolve, for NumPy's arrays."""

    def __init__(self, platform, name):
        self.platform, self.name, self.module = platform, name, platform.engine.conv2d.WAYS[name]

    def convolve(self, x, w, b=None, relu=False, mask=None):
        return self._call("convolve", x, w, b, relu, mask)

    def convolve_back(self, grad_y, w, mask=None):
        return self._call("convolve_back", grad_y, w, mask)

    def kernel_gradient(self, x, grad_y, mask, kernel):
        return self._call("kernel_gradient", x, grad_y, mask, kernel)

    def _call(self, function, *arguments):
        result = getattr(self.module, function)(*map(self.platform.there, arguments))
        return tuple(map(self.platform.back, result)) if isinstance(result, tuple) else self.platform.back(result)


def ways(*names, places=(*platforms.THREADS, *platforms.ORDERS, "gpu"), small_blocks=(False,)):
    """Return the parameters of `way`: all, or those of these names, wherever they compute."""
    return [
        pytest.param(
            (place, name, small),
            id=f"{place}-{name}" + "-in small blocks" * small,
            marks=[pytest.mark.gpu] * (place == "gpu"),
        )
        for place, small in product(places, small_blocks)
        for name in (cpu if place.startswith("cpu") else cuda).conv2d.WAYS
        if (not names or name in names) and not (small and name == "naive")
    ]


IN_BLOCKS_OF_ANY_SIZE = ways(small_blocks=(False, True))
IN_ONE_PLACE = ways(places=("cpu", "emulated", "gpu"))


@pytest.fixture(params=IN_ONE_PLACE)
def way(request, monkeypatch):
    """A way to convolve, wherever it computes; in blocks as they are, or of such a size that an image has many.

    Of tiled's kernel gradient, whose blocks are single rows of these images, some have many rows then.
    """
    place, name, small_blocks = request.param
    if small_blocks:
        monkeypatch.setattr(winograd, "TILES_PER_BLOCK", (3, 3))
        monkeypatch.setattr(windows, "PIXELS_PER_STRIP", 3)
        monkeypatch.setattr(shifted, "NUMBERS_PER_STRIP", 120)
        monkeypatch.setattr(tiled, "ENOUGH_BLOCKS", 7)
        monkeypatch.setattr(winograd_on_gpu, "NUMBERS", 5000)
    with platforms.entered(place) as platform:
        yield Way(platform, name)


def case(random, shape, outputs, dtype, kernel=(3, 3)):
    """Return x, w, b, an upstream gradient, and a mask for each image."""
    x = random.standard_normal(shape).astype(dtype)
    w = random.standard_normal((*kernel, shape[3], outputs)).astype(dtype)
    b = random.standard_normal(outputs).astype(dtype)
    g = random.standard_normal((*shape[:3], outputs)).astype(dtype)
    return x, w, b, g, random.random(x.shape) > 0.4, random.random(g.shape) > 0.4


def in_float64(*arrays):
    return [array.astype("float64") for array in arrays]


@pytest.mark.parametrize(("shape", "outputs"), SHAPES)
@pytest.mark.parametrize("way", IN_BLOCKS_OF_ANY_SIZE, indirect=True)
def test_every_way_is_the_textbooks_convolution(random, way, shape, outputs, dtype):
    x, w, b, _, mask, _ = case(random, shape, outputs, dtype)
    expected, _ = textbook.forward(*in_float64(x, w, b))
    y, positive = way.convolve(x, w, b)
    assert y.dtype == dtype
    assert positive is None
    assert relative_error(y, expected) < TOLERANCE[dtype]

    masked, _ = way.convolve(x, w, mask=mask)
    expected, _ = textbook.forward(*in_float64(x * mask, w, np.zeros(outputs)))
    assert relative_error(masked, expected) < TOLERANCE[dtype]

    rectified, positive = way.convolve(x, w, b, relu=True)
    np.testing.assert_array_equal(rectified, np.maximum(y, 0))
    np.testing.assert_array_equal(positive, y > 0)


@pytest.mark.parametrize(("shape", "outputs"), SHAPES)
@pytest.mark.parametrize("way", IN_BLOCKS_OF_ANY_SIZE, indirect=True)
def test_every_way_goes_back_as_the_textbook_does(random, way, shape, outputs, dtype):
    x, w, _, g, _, mask = case(random, shape, outputs, dtype)
    for chosen in (None, mask):
        grad_x = way.convolve_back(g, w, chosen)
        expected = textbook.backward_input(*in_float64(g if chosen is None else g * chosen), in_float64(x, w))
        assert grad_x.dtype == dtype
        assert relative_error(grad_x, expected) < TOLERANCE[dtype]


@pytest.mark.parametrize(("shape", "outputs"), SHAPES)
@pytest.mark.parametrize("way", IN_BLOCKS_OF_ANY_SIZE, indirect=True)
def test_every_way_has_the_textbooks_kernel_gradient(random, way, shape, outputs, dtype):
    x, w, _, g, _, mask = case(random, shape, outputs, dtype)
    for chosen in (None, mask):
        grad_w = way.kernel_gradient(x, g, chosen, (3, 3))
        masked = g if chosen is None else g * chosen
        expected, _ = textbook.backward_parameters(*in_float64(masked), in_float64(x, w))
        assert grad_w.dtype == dtype
        assert grad_w.shape == w.shape
        assert relative_error(grad_w, expected) < TOLERANCE[dtype]


@pytest.mark.parametrize("few", [0, winograd.FEW_TILES])
def test_winograd_on_the_cpu_goes_back_in_two_ways(random, few, dtype, monkeypatch):
    """With a flipped kernel of its own, and with the values at the points that the way forward has."""
    monkeypatch.setattr(winograd, "FEW_TILES", few)
    x, w, _, g, _, mask = case(random, (2, 13, 9, 6), 7, dtype)
    expected = textbook.backward_input(*in_float64(g * mask), in_float64(x, w))
    assert relative_error(winograd.convolve_back(g, w, mask), expected) < TOLERANCE[dtype]


@pytest.mark.parametrize("kernel", [(1, 1), (5, 3), (1, 7)])
@pytest.mark.parametrize("way", ways("windows", "shifted", "naive", "tiled"), indirect=True)
def test_odd_kernels_of_other_sizes(random, way, kernel, dtype):
    x, w, b, g, _, mask = case(random, (2, 4, 6, 5), 6, dtype, kernel)
    expected, _ = textbook.forward(*in_float64(x, w, b))
    assert relative_error(way.convolve(x, w, b)[0], expected) < TOLERANCE[dtype]
    expected = textbook.backward_input(*in_float64(g * mask), in_float64(x, w))
    assert relative_error(way.convolve_back(g, w, mask), expected) < TOLERANCE[dtype]
    expected, _ = textbook.backward_parameters(*in_float64(g * mask), in_float64(x, w))
    assert relative_error(way.kernel_gradient(x, g, mask, kernel), expected) < TOLERANCE[dtype]


def test_adjoint_in_the_image_and_in_the_kernel(random, way):
    """<x * w, g> = <x, A^T g> for the map A of x, and the same for that of w, to rounding."""
    x, w, _, g, _, _ = case(random, (2, 11, 18, 9), 10, "float64")
    operation = as_numpy_engine(way.platform.engine).conv2d
    with way.platform.engine.conv2d.using(way.name):
        y, cache = operation.forward(x, w, np.zeros(10))
        grad_x, grad_w, _ = operation.backward(g, cache)
    assert np.sum(y * g) == pytest.approx(np.sum(x * grad_x), rel=1e-12)
    assert np.sum(y * g) == pytest.approx(np.sum(w * grad_w), rel=1e-12)


def test_relu_in_one_is_convolution_then_relu(random, way):
    x, w, b, g, _, _ = case(random, (2, 6, 9, 5), 4, "float64")
    operation = as_numpy_engine(way.platform.engine).conv2d_relu
    with way.platform.engine.conv2d.using(way.name):
        y, cache = operation.forward(x, w, b)
        grads = operation.backward(g, cache)
    z, conv_cache = textbook.forward(x, w, b)
    expected, relu_cache = relu.forward(z)
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-12 * expected.max())
    for grad, wanted in zip(grads, textbook.backward(relu.backward(g, relu_cache), conv_cache)):
        assert relative_error(grad, wanted) < 1e-12


def test_inputs_that_are_not_contiguous(random, way, dtype):
    """Transposed, reversed, strided: as their contiguous copies, and unchanged."""
    x, w, b, g = (
        way.platform.there(random.standard_normal(shape).astype(dtype))
        for shape in [(4, 12, 5, 2), (3, 6, 6, 4), (6,), (2, 5, 6, 3)]
    )
    x = x.transpose(3, 1, 2, 0)[:, ::-2]
    w = w[:, ::2].swapaxes(2, 3)[::-1, :, :, ::-2]
    b = b[::-2]
    g = g.swapaxes(1, 2)[:, :, ::-1]
    before = [way.platform.back(array).copy() for array in (x, w, b, g)]
    operation, back = way.platform.engine.conv2d_relu, way.platform.back
    with way.platform.engine.conv2d.using(way.name):
        y, cache = operation.forward(x, w, b)
        grads = operation.backward(g, cache)
        expected, cache = operation.forward(*map(way.platform.there, before[:3]))
        wanted = operation.backward(way.platform.there(before[3]), cache)
    for actual, one in zip((y, *grads), (expected, *wanted)):
        assert relative_error(back(actual), back(one)) < TOLERANCE[dtype]
    for array, old in zip((x, w, b, g), before):
        np.testing.assert_array_equal(back(array), old)


def test_winograds_matrices_are_exact_in_one_dimension():
    """Equation (d) with unit vectors: output p takes input i times weight j where i = p + j, and nothing else.

    With the matrices for the flipped kernel, equation (f), it takes weight 2 - j.
    """
    points = np.array(winograd.FINITE_POINTS)
    G = np.vstack([points[:, np.newaxis] ** np.arange(3), [0, 0, 1]])
    np.testing.assert_array_equal(winograd.kernel_matrix(np.dtype("float64")), np.kron(G, G).reshape(6, 6, 9))
    forward, back = (make(np.dtype("float64")) for make in (winograd.matrices, winograd.matrices_of_flipped))
    products = np.einsum("kp,kj,ik->pij", forward.A, G, forward.B)
    flipped = np.einsum("kp,kj,ik->pij", back.A, G, back.B)
    for p, i, j in product(range(4), range(6), range(3)):
        assert products[p, i, j] == pytest.approx(float(i == p + j), abs=1e-14)
        assert flipped[p, i, 2 - j] == pytest.approx(float(i == p + j), abs=1e-14)


def test_winograd_rounds_little(random):
    """In float32, over 256 channels: typical errors of 2e-6, as the docstring says."""
    x = np.maximum(random.standard_normal((1, 32, 32, 256)), 0).astype("float32")
    w = (random.standard_normal((3, 3, 256, 32)) / 48).astype("float32")
    y, _ = winograd.convolve(x, w)
    expected, _ = winograd.convolve(*in_float64(x, w))
    assert np.sqrt(np.mean((y - expected) ** 2) / np.mean(expected**2)) < 2.5e-6


@pytest.mark.parametrize("size", [1e-30, 1e8, 1e30])
def test_numbers_of_any_size(random, way, size):
    x, w, *_ = case(random, (1, 8, 8, 4), 5, "float32")
    y, _ = way.convolve(x * np.float32(size), w)
    expected, _ = textbook.forward(*in_float64(x * np.float32(size), w, np.zeros(5)))
    assert relative_error(y, expected) < 1e-5


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("way", IN_BLOCKS_OF_ANY_SIZE, indirect=True)
def test_nan_and_infinity_stay_where_they_are_looked_at(random, way, value):
    """In the nine pixels around, with Winograd in the tiles that these belong to; elsewhere nothing changes.

    On the CPU it spoils these tiles as a whole: the zeros in its matrices are multiplied too.
    """
    x, w, *_ = case(random, (1, 20, 23, 5), 6, "float32")
    before, _ = way.convolve(x, w)
    x[0, 9, 11, 2] = value
    around, tiles = np.zeros((20, 23), bool), np.zeros((20, 23), bool)
    around[8:11, 10:13] = tiles[8:12, 8:16] = True
    with np.errstate(invalid="ignore"):
        y, _ = way.convolve(x, w)
    least, most = around, tiles if way.name == "winograd" else around
    assert not np.isfinite(y[0, least]).any()
    np.testing.assert_array_equal(y[0, ~most], before[0, ~most])
    if way.module is winograd:
        assert np.isnan(y[0, tiles]).all()


def test_relu_lets_nan_pass_and_calls_it_not_positive(way):
    y, positive = way.convolve(np.full((1, 4, 4, 1), np.nan), np.ones((3, 3, 1, 1)), relu=True)
    assert np.isnan(y).all()
    assert not positive.any()


@pytest.mark.parametrize("name", cuda.conv2d.WAYS)
def test_no_result_depends_on_the_order_of_threads(random, name):
    """To the last bit: blocks come to their end in another order each time."""
    x, w, b, g, _, _ = case(random, (2, 33, 17, 9), 5, "float32")
    results = []
    for order in platforms.ORDERS:
        with platforms.entered(order) as platform, cuda.conv2d.using(name):
            operation = as_numpy_engine(platform.engine).conv2d_relu
            y, cache = operation.forward(x, w, b)
            results.append((y, *operation.backward(g, cache)))
    for one, other in zip(*results):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("shape", "kernel", "way"),
    [
        ((1, 512, 512, 3), (3, 3, 3, 64), "windows"),
        ((1, 512, 512, 64), (3, 3, 64, 64), "winograd"),
        ((1, 512, 512, 64), (3, 3, 64, 3), "shifted"),
        ((4, 16, 16, 512), (3, 3, 512, 512), "winograd"),
        ((1, 8, 8, 512), (3, 3, 512, 512), "shifted"),
        ((1, 1, 4096, 64), (3, 3, 64, 64), "shifted"),
        ((1, 2, 2048, 64), (3, 3, 64, 64), "winograd"),
        ((1, 64, 64, 256), (1, 1, 256, 128), "shifted"),
        ((1, 64, 64, 64), (5, 5, 64, 64), "shifted"),
    ],
)
def test_choice(shape, kernel, way):
    assert conv2d.choose(shape, kernel) == way


def test_choice_can_be_overridden():
    shape, kernel = (1, 64, 64, 64), (3, 3, 64, 64)
    with conv2d.using("shifted"):
        assert conv2d.choose(shape, kernel) == "shifted"
        with conv2d.using(None):
            assert conv2d.choose(shape, kernel) == "winograd"
    with conv2d.using("winograd"):
        assert conv2d.choose((1, 2, 2, 3), (3, 3, 3, 3)) == "winograd"
        assert conv2d.choose(shape, (1, 1, 64, 64)) == "shifted"  # it cannot
    assert conv2d.choose(shape, kernel) == "winograd"
    with pytest.raises(ValueError, match="choose one of winograd, windows, shifted"), conv2d.using("fourier"):
        pass


@pytest.mark.parametrize(
    ("shape", "kernel", "way"),
    [
        ((1, 512, 512, 64), (3, 3, 64, 64), "winograd"),
        ((1, 8, 8, 512), (3, 3, 512, 512), "winograd"),
        ((1, 2, 2**23, 64), (3, 3, 64, 64), "tiled"),
        ((1, 512, 512, 3), (3, 3, 3, 64), "tiled"),
        ((1, 512, 512, 64), (3, 3, 64, 3), "tiled"),
        ((1, 1, 4096, 64), (3, 3, 64, 64), "tiled"),
        ((1, 64, 64, 256), (1, 1, 256, 128), "tiled"),
        ((1, 64, 64, 64), (9, 9, 64, 64), "tiled"),
        ((1, 64, 64, 64), (1, 11, 64, 64), "naive"),
        ((1, 0, 64, 64), (3, 3, 64, 64), "naive"),
        ((1, 64, 64, 0), (3, 3, 0, 64), "naive"),
    ],
)
def test_choice_on_a_gpu(shape, kernel, way):
    assert cuda.conv2d.choose(shape, kernel) == way
    with cuda.conv2d.using("naive"):
        assert cuda.conv2d.choose(shape, kernel) == "naive"
    with cuda.conv2d.using("tiled"):
        assert cuda.conv2d.choose(shape, kernel) == ("naive" if way == "naive" else "tiled")  # it cannot always
    with cuda.conv2d.using("winograd"):
        able = kernel[:2] == (3, 3) and way != "naive" and shape[2] < 2**20
        assert cuda.conv2d.choose(shape, kernel) == ("winograd" if able else way)
    with pytest.raises(ValueError, match="choose one of naive, tiled, winograd"), cuda.conv2d.using("shifted"):
        pass


@pytest.mark.parametrize("sides", [*product([1, 3, 5, 9], repeat=2)])
@pytest.mark.parametrize(("channels", "outputs"), [(3, 64), (64, 64), (64, 3), (1, 1)])
def test_tiles_fit_into_shared_memory(sides, channels, outputs):
    macros = tiled.layout((*sides, channels, outputs))
    kh, kw, chunk, lanes, rows = (macros[name] for name in ("KH", "KW", "CHUNK", "LANES", "ROWS"))
    patch = (rows + kh - 1) * ((macros["STEPS"] * tiled.PIXELS + kw - 1) * chunk + 1)
    assert 8 * (patch + kh * kw * chunk * lanes * tiled.OUTPUTS) <= 48 * 1024
    assert (kh, kw) == sides
    assert lanes * tiled.OUTPUTS >= min(outputs, 32)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (63, 3), (129, 300), (1000, 2)])
@pytest.mark.parametrize("platform", platforms.CUDA, indirect=True)
def test_sums_of_columns(random, rows, columns, dtype, platform):
    x, mask = random.standard_normal((rows, columns)).astype(dtype), random.random((rows, columns)) > 0.5
    for chosen in (None, mask):
        sums = platform.back(column_sums.column_sums(platform.there(x), platform.there(chosen)))
        expected = (x if chosen is None else x * chosen).sum(axis=0, dtype="float64")
        assert sums.dtype == dtype
        np.testing.assert_allclose(sums, expected, rtol=1e-6 if dtype == "float32" else 1e-12, atol=1e-12)


def test_the_way_chosen_is_the_way_taken(random, monkeypatch, platform):
    conv2d, operation, taken = platform.engine.conv2d, as_numpy_engine(platform.engine).conv2d, []

    def watched(name, original):
        def convolve(*arguments, **settings):
            taken.append(name)
            return original(*arguments, **settings)

        return convolve

    for name, way in conv2d.WAYS.items():
        for direction in ("convolve", "convolve_back"):
            monkeypatch.setattr(way, direction, watched((name, direction), getattr(way, direction)))
    x, w, b, g, _, _ = case(random, (1, 4, 4, 3), 4, "float64")
    for name in conv2d.WAYS:
        taken.clear()
        with conv2d.using(name):
            _, cache = operation.forward(x, w, b)
            operation.backward_input(g, cache)
        assert taken[:2] == [(name, "convolve"), (name, "convolve_back")]
        assert {way for way, _ in taken} == {name}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    ("x", "w", "b"),
    [((0, 4, 4, 3), 3, 2), ((1, 0, 4, 3), 3, 2), ((2, 4, 0, 3), 3, 2), ((1, 4, 4, 0), 0, 2), ((1, 4, 4, 3), 3, 0)],
)
def test_nothing_to_convolve(operation, x, w, b, platform):
    """Empty images give empty images; without input channels the bias is all there is."""
    x, w, b = np.ones(x, "float32"), np.ones((3, 3, w, b), "float32"), np.arange(b, dtype="float32") - 1
    with_relu, operation = operation == "conv2d_relu", getattr(as_numpy_engine(platform.engine), operation)
    y, cache = operation.forward(x, w, b)
    rectified = np.maximum(b, 0) if with_relu else b
    np.testing.assert_array_equal(y, np.broadcast_to(rectified, (*x.shape[:3], len(b))))
    grad_x, grad_w, grad_b = operation.backward(np.ones_like(y), cache)
    assert (grad_x.shape, grad_w.shape, grad_b.shape) == (x.shape, w.shape, b.shape)
    assert not grad_x.any()
    assert not grad_w.any()
    pixels = np.prod(x.shape[:3])
    np.testing.assert_array_equal(grad_b, pixels * (b > 0) if with_relu else np.full(len(b), pixels))


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    ("x", "w", "b", "message"),
    [
        ((1, 4, 4, 3), (3, 3, 2, 5), (5,), "channels do not match"),
        ((1, 4, 4, 3), (3, 3, 3, 5), (4,), "channels do not match"),
        ((1, 4, 4, 3), (3, 3, 3, 5), (1,), "channels do not match"),
        ((1, 4, 4, 3), (2, 3, 3, 5), (5,), "must be odd"),
        ((4, 4, 3), (3, 3, 3, 5), (5,), r"takes images \(N, H, W, C\)"),
        ((1, 4, 4, 3), (3, 3, 5), (5,), r"kernels \(kh, kw, C, K\)"),
    ],
)
def test_what_cannot_be_convolved_is_refused(operation, x, w, b, message, platform):
    with pytest.raises(ValueError, match=message):
        getattr(as_numpy_engine(platform.engine), operation).forward(np.zeros(x), np.zeros(w), np.zeros(b))


@pytest.mark.parametrize("dtype", ["int64", "float16", "complex64", ">f4"])
def test_other_dtypes_are_refused(dtype, platform):
    if dtype == ">f4" and platform.engine is cuda:
        pytest.skip("CuPy has no arrays of another byte order")
    conv2d = as_numpy_engine(platform.engine).conv2d
    x, w, b = np.zeros((1, 4, 4, 3), "float32"), np.zeros((3, 3, 3, 2)), np.zeros(2)
    with pytest.raises(ValueError, match="takes float32 or float64"):
        conv2d.forward(x.astype(dtype), w, b)
    for backward in (conv2d.backward_input, conv2d.backward_parameters):
        with pytest.raises(ValueError, match="takes float32 or float64"):
            backward(np.zeros((1, 4, 4, 2), dtype), (x, w))


def test_kernels_of_other_dtypes_are_converted_but_complex_ones_refused(random, way):
    x, w, b, *_ = case(random, (1, 4, 4, 3), 2, "float32")
    conv2d = as_numpy_engine(way.platform.engine).conv2d
    with way.platform.engine.conv2d.using(way.name):
        expected, _ = conv2d.forward(x, np.rint(w), np.rint(b))
        for dtype in ("float64", "float16", "int8", *[">f4"] * (way.platform.engine is cpu)):
            y, _ = conv2d.forward(x, np.rint(w).astype(dtype), np.rint(b).astype(dtype))
            assert y.dtype == "float32"
            np.testing.assert_array_equal(y, expected)
        for wrong in ((w + 1j, b), (w, b + 1j)):
            with pytest.raises(ValueError, match="not complex64"):
                conv2d.forward(x, *wrong)


@pytest.mark.parametrize("shape", [(2, 4, 4, 2), (1, 5, 4, 2), (1, 4, 3, 2), (1, 4, 4, 1), (4, 4, 2)])
def test_gradients_that_do_not_fit_are_refused(shape, platform):
    conv2d, conv2d_relu = (getattr(as_numpy_engine(platform.engine), name) for name in OPERATIONS)
    x, w, b = np.zeros((1, 4, 4, 3)), np.zeros((3, 3, 3, 2)), np.zeros(2)
    for operation in (conv2d, conv2d_relu):
        _, cache = operation.forward(x, w, b)
        with pytest.raises(ValueError, match="gradient's shape"):
            operation.backward_parameters(np.zeros(shape), cache)
    with pytest.raises(ValueError, match="gradient's shape"):
        conv2d_relu.backward_input(np.zeros(shape), cache)


def test_gradients_of_other_channels_are_refused(platform):
    conv2d = as_numpy_engine(platform.engine).conv2d
    _, cache = conv2d.forward(np.zeros((1, 4, 4, 3)), np.zeros((3, 3, 3, 2)), np.zeros(2))
    with pytest.raises(ValueError, match="channels do not match"):
        conv2d.backward_input(np.zeros((1, 4, 4, 3)), cache)


def test_a_mask_of_one_pixel_is_not_stretched(platform):
    conv2d_relu = as_numpy_engine(platform.engine).conv2d_relu
    _, cache = conv2d_relu.forward(np.zeros((1, 1, 1, 3)), np.zeros((3, 3, 3, 2)), np.ones(2))
    with pytest.raises(ValueError, match="gradient's shape"):
        conv2d_relu.backward_input(np.zeros((1, 8, 8, 2)), cache)
