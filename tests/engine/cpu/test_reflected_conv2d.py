"""Reflection padding and convolution of the CPU's engine: each of its ways, against the textbook in float64."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from numerical import central_differences, relative_error

from scratchnst.engine.cpu import banded, patches, reflected_conv2d, threads
from scratchnst.engine.textbook import reflected_conv2d as textbook

TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
# Shapes of x and w, and the stride: the smallest images that the kernels take, odd sides, one channel, strides beyond
# the kernel, rows that several outputs at once fill, nearly fill and do not fill.
CASES = [
    ((1, 2, 2, 3), (3, 3, 3, 2), 1),
    ((2, 5, 5, 3), (9, 9, 3, 4), 1),
    ((1, 3, 8, 3), (5, 5, 3, 16), 1),
    ((2, 9, 13, 3), (5, 5, 3, 16), 1),
    ((3, 11, 7, 16), (5, 3, 16, 3), 1),
    ((1, 6, 9, 20), (1, 3, 20, 18), 1),
    ((2, 14, 11, 5), (3, 3, 5, 7), 2),
    ((2, 13, 16, 6), (5, 3, 6, 5), 2),
    ((1, 12, 10, 1), (3, 5, 1, 1), 3),
    ((2, 7, 6, 4), (1, 1, 4, 3), 2),
    ((2, 33, 17, 17), (3, 3, 17, 19), 1),
]
SMALL = [(1, 1), (400, 130), (131072, 131072)]  # numbers in a strip, and in its windows: one row, a few, all


def case(random, shape, kernel, stride, dtype):
    """Return x, w, b, and a gradient of the result's shape."""
    x, w, b = (random.standard_normal(one).astype(dtype) for one in (shape, kernel, kernel[3:]))
    result = shape[0], -(-shape[1] // stride), -(-shape[2] // stride), kernel[3]
    return x, w, b, random.standard_normal(result).astype(dtype)


def computed(operation, x, w, b, stride, grad_y):
    """Return y and the three gradients."""
    y, cache = operation.forward(x, w, b, stride)
    return y, *operation.backward(grad_y, cache)


def in_float64(*arrays):
    return [array.astype("float64") for array in arrays]


@pytest.mark.parametrize("numbers", SMALL)
@pytest.mark.parametrize(("shape", "kernel", "stride"), CASES)
def test_strips_do_not_show(random, monkeypatch, shape, kernel, stride, numbers, dtype):
    monkeypatch.setattr(banded, "NUMBERS_PER_STRIP", numbers[0])
    monkeypatch.setattr(banded, "NUMBERS_OF_WINDOWS", numbers[1])
    monkeypatch.setattr(banded, "PRODUCT", 100 * numbers[1])
    monkeypatch.setattr(banded, "FEWEST_ROWS", 5)
    x, w, b, g = case(random, shape, kernel, stride, dtype)
    x64, w64, b64, g64 = in_float64(x, w, b, g)
    expected = computed(textbook, x64, w64, b64, stride, g64)
    actual = (
        banded.convolve(x, w, b, stride),
        banded.convolve_back(g, w, stride, x.shape),
        banded.kernel_gradient(x, g, stride, w.shape),
    )
    for ours, theirs in zip(actual, expected):
        assert ours.dtype == dtype
        assert ours.shape == theirs.shape
        assert relative_error(ours, theirs) < TOLERANCE[dtype]


@pytest.mark.parametrize("shape", [(1, 2, 2, 3), (1, 2, 9, 3), (2, 5, 6, 4), (1, 8, 7, 33), (3, 18, 21, 5)])
def test_winograds_way_reflects_too(random, monkeypatch, shape, dtype):
    for enough in ("ENOUGH_PIXELS", "ENOUGH_PAIRS", "ENOUGH_CHANNELS"):
        monkeypatch.setattr(reflected_conv2d, enough, 1)
    x, w, b, g = case(random, shape, (3, 3, shape[3], 6), 1, dtype)
    assert reflected_conv2d.choose(x.shape, w.shape, 1) == "winograd"
    x64, w64, b64, g64 = in_float64(x, w, b, g)
    expected = computed(textbook, x64, w64, b64, 1, g64)
    for ours, theirs in zip(computed(reflected_conv2d, x, w, b, 1, g), expected):
        assert ours.dtype == dtype
        assert relative_error(ours, theirs) < TOLERANCE[dtype]


@pytest.mark.parametrize("way", ["banded", "winograd"])
def test_gradients_equal_central_differences(random, monkeypatch, way):
    monkeypatch.setattr(reflected_conv2d, "choose", lambda *_: way)
    x, w, b, g = case(random, (1, 3, 5, 2), (3, 3, 2, 3), 1, "float64")
    gradients = reflected_conv2d.backward(g, reflected_conv2d.forward(x, w, b)[1])
    for index, gradient in enumerate(gradients):

        def loss(value, index=index):
            arguments = [x, w, b]
            arguments[index] = value
            return np.sum(g * reflected_conv2d.forward(*arguments)[0])

        assert relative_error(gradient, central_differences(loss, [x, w, b][index], 1e-3)) < 1e-9


@pytest.mark.parametrize(
    ("shape", "kernel", "stride", "way"),
    [
        ((4, 128, 128, 3), (5, 5, 3, 16), 1, "banded"),
        ((4, 128, 128, 16), (3, 3, 16, 32), 2, "banded"),
        ((4, 32, 32, 64), (3, 3, 64, 64), 1, "winograd"),
        ((4, 128, 128, 32), (3, 3, 32, 16), 1, "winograd"),
        ((4, 128, 128, 16), (3, 3, 16, 16), 1, "banded"),
        ((4, 128, 128, 16), (5, 5, 16, 3), 1, "banded"),
        ((4, 8, 8, 64), (3, 3, 64, 64), 1, "banded"),
        ((0, 32, 32, 64), (3, 3, 64, 64), 1, "banded"),
    ],
)
def test_choice(shape, kernel, stride, way):
    assert reflected_conv2d.choose(shape, kernel, stride) == way


@pytest.mark.parametrize(
    ("shape", "kernel", "stride"),
    [((2, 70, 40, 3), (5, 5, 3, 16), 1), ((1, 90, 40, 24), (3, 3, 24, 20), 2), ((3, 40, 40, 24), (3, 3, 24, 24), 1)],
)
def test_results_do_not_depend_on_the_number_of_threads(random, shape, kernel, stride):
    """To the last bit."""
    arguments = case(random, shape, kernel, stride, "float32")
    results = []
    for number in (1, 2, 3):
        threads.set_count(number)
        results.append(computed(reflected_conv2d, *arguments[:3], stride, arguments[3]))
    threads.set_count(None)
    for one, *others in zip(*results):
        for other in others:
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("shape", "kernel"), [((1, 20, 17, 32), (3, 3, 32, 16)), ((1, 9, 12, 3), (5, 5, 3, 4))])
def test_slices_of_larger_arrays_are_read_and_left_as_they_are(random, shape, kernel, dtype):
    arrays = case(random, shape, kernel, 1, dtype)
    strange = [np.repeat(array, 2, axis=array.ndim - 1)[..., ::2] for array in arrays]
    x, w, b, g = [array[:, ::-1] if array.ndim > 1 else array for array in strange]
    before = [array.copy() for array in (x, w, b, g)]
    actual = computed(reflected_conv2d, x, w, b, 1, g)
    for array, old in zip((x, w, b, g), before):
        np.testing.assert_array_equal(array, old)
    x64, w64, b64, g64 = in_float64(*before)
    for ours, theirs in zip(actual, computed(textbook, x64, w64, b64, 1, g64)):
        assert relative_error(ours, theirs) < TOLERANCE[dtype]


@pytest.mark.parametrize(
    ("x", "channels", "outputs"), [((0, 4, 4, 3), 3, 2), ((1, 4, 4, 0), 0, 2), ((1, 4, 4, 3), 3, 0)]
)
def test_nothing_to_convolve(x, channels, outputs):
    """No images give none; without input channels the bias is all there is."""
    x, w, b = np.ones(x, "float32"), np.ones((3, 3, channels, outputs), "float32"), np.arange(outputs, dtype="float32")
    y, cache = reflected_conv2d.forward(x, w, b)
    np.testing.assert_array_equal(y, np.broadcast_to(b, (len(x), 4, 4, outputs)))
    grad_x, grad_w, grad_b = reflected_conv2d.backward(np.ones_like(y), cache)
    assert (grad_x.shape, grad_w.shape, grad_b.shape) == (x.shape, w.shape, b.shape)
    assert not grad_x.any()
    assert not grad_w.any()
    np.testing.assert_array_equal(grad_b, np.full(outputs, 16 * len(x)))


def test_nan_stays_where_it_is_looked_at(random):
    """What lies beyond a strip's last window is multiplied by nothing."""
    x, w, b, g = case(random, (1, 9, 14, 3), (5, 5, 3, 4), 1, "float32")
    x[0, 4, 6], g[0, 4, 6] = np.nan, np.nan
    y, grad_x, _, _ = computed(reflected_conv2d, x, w, b, 1, g)
    around = np.zeros((9, 14), bool)
    around[2:7, 4:9] = True
    assert np.isnan(y[0, around]).all()
    assert np.isnan(grad_x[0, around]).all()
    assert np.isfinite(grad_x[0, 7:]).all()
    assert np.isfinite(y[0, 7:]).all()


@pytest.mark.parametrize("dtype", ["int64", "float16", "complex64", ">f4"])
def test_other_dtypes_are_refused(dtype):
    x, w, b = np.zeros((1, 4, 4, 3), "float32"), np.zeros((3, 3, 3, 2)), np.zeros(2)
    with pytest.raises(ValueError, match="takes float32 or float64"):
        reflected_conv2d.forward(x.astype(dtype), w, b)
    y, cache = reflected_conv2d.forward(x, w, b)
    for backward in (reflected_conv2d.backward_input, reflected_conv2d.backward_parameters):
        with pytest.raises(ValueError, match="takes float32 or float64"):
            backward(y.astype(dtype), cache)


@pytest.mark.parametrize("shape", [(2, 2, 2, 2), (1, 3, 2, 2), (1, 2, 3, 2), (1, 2, 2, 1), (2, 2, 2)])
def test_gradients_that_do_not_fit_are_refused(shape):
    _, cache = reflected_conv2d.forward(np.zeros((1, 4, 4, 3)), np.zeros((3, 3, 3, 2)), np.zeros(2), 2)
    for backward in (reflected_conv2d.backward_input, reflected_conv2d.backward_parameters):
        with pytest.raises(ValueError, match="gradient's shape"):
            backward(np.zeros(shape), cache)


@pytest.mark.parametrize(
    ("shape", "kernel", "stride"),
    [
        ((1, 512, 128, 3), (9, 9, 3, 16), 1),
        ((1, 512, 128, 16), (3, 3, 16, 8), 2),
        ((1, 512, 64, 32), (3, 3, 32, 16), 1),
    ],
)
def test_little_memory_besides_input_and_output(random, shape, kernel, stride):
    """A few strips, however high the image is."""
    x, w, b, g = case(random, shape, kernel, stride, "float32")
    threads.set_count(1)
    cache = reflected_conv2d.forward(x, w, b, stride)[1]
    functions = {
        lambda: reflected_conv2d.forward(x, w, b, stride): g.nbytes,
        lambda: reflected_conv2d.backward_input(g, cache): x.nbytes,
        lambda: reflected_conv2d.backward_parameters(g, cache): w.nbytes,
    }
    for function, result in functions.items():
        threads.release()
        tracemalloc.start()
        function()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < result + 12 * 4 * banded.NUMBERS_PER_STRIP
    threads.set_count(None)


@pytest.mark.parametrize(("top", "left"), [(-2, -1), (0, 0), (1, 2), (3, 1)])
def test_patches_beyond_the_edges_are_mirrored(random, top, left):
    x = random.standard_normal((1, 7, 6, 2))
    pixels = np.full((5, 6, 2), np.nan)
    patches.read(x, None, 0, top, left, pixels, reflected=True)
    padded = np.pad(x, ((0, 0), (4, 4), (4, 4), (0, 0)), mode="reflect")
    np.testing.assert_array_equal(pixels, padded[0, top + 4 : top + 9, left + 4 : left + 10])
