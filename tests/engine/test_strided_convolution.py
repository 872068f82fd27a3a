"""The convolutions with a stride of every engine, each against the textbook in float64."""

from __future__ import annotations

import numpy as np
import platforms
import pytest
from numerical import relative_error

from scratchnst.engine import cuda, textbook
from scratchnst.engine.cuda import windows
from scratchnst.verify.numpy_engine import as_numpy_engine

OPERATIONS = ["strided_conv2d", "reflected_conv2d"]
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
# Images, kernel and stride: single windows, all sides odd or even, rows left over, strides beyond the kernel
CASES = [
    ((1, 3, 3, 3), (3, 3, 3, 2), 1),
    ((2, 7, 6, 5), (3, 3, 5, 33), 1),
    ((2, 7, 6, 5), (3, 3, 5, 4), 2),
    ((3, 8, 9, 17), (5, 3, 17, 3), 2),
    ((1, 12, 5, 3), (9, 5, 3, 16), 1),
    ((2, 6, 7, 2), (1, 1, 2, 3), 2),
    ((1, 9, 8, 2), (3, 1, 2, 3), 4),
    ((1, 1, 40, 9), (1, 5, 9, 2), 3),
]


def case(random, name, shape, kernel, stride, dtype):
    """Return x, w and b, and a random gradient of the shape of the result."""
    x, w, b = (random.standard_normal(one).astype(dtype) for one in (shape, kernel, kernel[3:]))
    y, _ = getattr(textbook, name).forward(x, w, b, stride)
    return x, w, b, random.standard_normal(y.shape).astype(dtype)


def assert_the_textbooks(platform, name, inputs, stride, grad_y):
    """Compare y and the gradients with those of the textbook in float64; the inputs stay as they are."""
    operation, dtype = getattr(as_numpy_engine(platform.engine), name), grad_y.dtype
    before = [array.copy() for array in (*inputs, grad_y)]
    y, cache = operation.forward(*inputs, stride)
    actual = [y, *operation.backward(grad_y, cache)]
    for array, old in zip((*inputs, grad_y), before):
        np.testing.assert_array_equal(array, old)
    expected, cache = getattr(textbook, name).forward(*[array.astype("float64") for array in inputs], stride)
    for ours, theirs in zip(actual, [expected, *getattr(textbook, name).backward(grad_y.astype("float64"), cache)]):
        assert ours.dtype == dtype
        assert ours.shape == theirs.shape
        assert relative_error(ours, theirs) < TOLERANCE[str(dtype)] or (not theirs.any() and not ours.any())


@pytest.mark.parametrize(("shape", "kernel", "stride"), CASES)
@pytest.mark.parametrize("name", OPERATIONS)
def test_values_and_gradients_are_the_textbooks(random, name, shape, kernel, stride, dtype, platform):
    *inputs, grad_y = case(random, name, shape, kernel, stride, dtype)
    assert_the_textbooks(platform, name, inputs, stride, grad_y)


@pytest.mark.parametrize("platform", platforms.ALL, indirect=True)
def test_hand_worked_with_reflection(platform):
    """A row 1 2 3 4 is continued to 2 1 2 3 4 3, of which windows begin at the first and at the third number."""
    operation = as_numpy_engine(platform.engine).reflected_conv2d
    x, w = np.array([1.0, 2, 3, 4]).reshape(1, 1, 4, 1), np.array([1.0, 10, 100]).reshape(1, 3, 1, 1)
    y, cache = operation.forward(x, w, np.array([5000.0]), 2)
    np.testing.assert_array_equal(y[0, 0, :, 0], [5212, 5432])
    grad_x, grad_w, grad_b = operation.backward(np.array([2.0, 3]).reshape(y.shape), cache)
    np.testing.assert_array_equal(grad_x[0, 0, :, 0], [20, 202 + 3, 30, 300])
    np.testing.assert_array_equal(grad_w[0, :, 0, 0], [2 * 2 + 3 * 2, 2 * 1 + 3 * 3, 2 * 2 + 3 * 4])
    np.testing.assert_array_equal(grad_b, [5])


@pytest.mark.parametrize("numbers", [1, 400, 1000])
@pytest.mark.parametrize(("shape", "kernel", "stride"), CASES)
@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("platform", platforms.CUDA, indirect=True)
def test_pieces_do_not_show(random, monkeypatch, name, shape, kernel, stride, numbers, platform):
    """Some end within an image, some hold the end of one and the beginning of the next."""
    monkeypatch.setattr(windows, "NUMBERS", numbers)
    *inputs, grad_y = case(random, name, shape, kernel, stride, "float64")
    assert_the_textbooks(platform, name, inputs, stride, grad_y)


@pytest.mark.parametrize("platform", platforms.CUDA, indirect=True)
def test_any_size(random, platform):
    """Nobody reads or writes where he should not, which the emulator would see, and nothing is left out.

    With stride 1 and reflection it is the engine's convolution, which has tests of its own.
    """
    for _ in range(30):
        kh, kw = (int(side) for side in random.choice([1, 3, 5, 7], 2))
        shape = (*map(int, random.integers([1, kh, kw], [4, kh + 8, kw + 8])), int(random.choice([1, 2, 31, 33])))
        kernel, stride = (kh, kw, shape[3], int(random.choice([1, 3, 32]))), int(random.integers(1, 4))
        for name, taken in (("strided_conv2d", stride), ("reflected_conv2d", max(stride, 2))):
            *inputs, grad_y = case(random, name, shape, kernel, taken, "float64")
            assert_the_textbooks(platform, name, inputs, taken, grad_y)


@pytest.mark.parametrize("name", OPERATIONS)
def test_inputs_that_are_not_contiguous(random, name, platform):
    *inputs, grad_y = case(random, name, (2, 6, 5, 3), (3, 3, 3, 4), 2, "float64")
    operation = getattr(platform.engine, name)
    results = []
    for change in (lambda array: array, lambda array: array.T.copy().T):
        *there, grad_there = [change(platform.there(array)) for array in (*inputs, grad_y)]
        y, cache = operation.forward(*there, 2)
        results.append([platform.back(array) for array in (y, *operation.backward(grad_there, cache))])
    for usual, strange in zip(*results):
        np.testing.assert_allclose(strange, usual, rtol=1e-12)


def test_the_gradient_of_the_image_needs_no_image(random, platform):
    """A network that is not trained keeps None in the place of x."""
    x, w, b, grad_y = case(random, "reflected_conv2d", (2, 7, 6, 5), (3, 3, 5, 4), 2, "float64")
    operation = as_numpy_engine(platform.engine).reflected_conv2d
    _, cache = operation.forward(x, w, b, 2)
    grad_x, *others = operation.backward(grad_y, cache)
    np.testing.assert_array_equal(operation.backward_input(grad_y, (None, *cache[1:])), grad_x)
    for one, other in zip(operation.backward_parameters(grad_y, cache), others):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize(
    ("x", "channels", "outputs"), [((0, 4, 4, 3), 3, 2), ((1, 4, 4, 0), 0, 2), ((1, 4, 4, 3), 3, 0)]
)
@pytest.mark.parametrize("platform", platforms.CUDA, indirect=True)
def test_nothing_to_convolve(name, x, channels, outputs, platform):
    """No images give none; without input channels the bias is all there is."""
    x, w, b = np.ones(x, "float32"), np.ones((3, 3, channels, outputs), "float32"), np.arange(outputs, dtype="float32")
    operation = getattr(as_numpy_engine(platform.engine), name)
    y, cache = operation.forward(x, w, b)
    side = 2 if name == "strided_conv2d" else 4
    np.testing.assert_array_equal(y, np.broadcast_to(b, (len(x), side, side, outputs)))
    grad_x, grad_w, grad_b = operation.backward(np.ones_like(y), cache)
    assert (grad_x.shape, grad_w.shape, grad_b.shape) == (x.shape, w.shape, b.shape)
    assert not grad_x.any()
    assert not grad_w.any()
    np.testing.assert_array_equal(grad_b, np.full(outputs, len(x) * side**2))


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize(
    ("x", "w", "b", "stride", "message"),
    [
        ((1, 4, 4, 3), (3, 3, 2, 5), 5, 1, "channels do not match"),
        ((1, 4, 4, 3), (3, 3, 3, 5), 4, 1, "channels do not match"),
        ((1, 4, 4, 3), (3, 3, 3, 5), 1, 1, "channels do not match"),
        ((1, 2, 9, 3), (5, 3, 3, 5), 5, 1, "does not fit|too small"),
        ((1, 9, 2, 3), (3, 5, 3, 5), 5, 1, "does not fit|too small"),
        ((1, 4, 4, 3), (3, 3, 3, 5), 5, 0, "the stride is 1 or more, not 0"),
    ],
)
def test_what_cannot_be_convolved_is_refused(name, x, w, b, stride, message, platform):
    with pytest.raises(ValueError, match=message):
        getattr(as_numpy_engine(platform.engine), name).forward(np.zeros(x), np.zeros(w), np.zeros(b), stride)


def test_even_kernels_have_no_centre(platform):
    operation = as_numpy_engine(platform.engine).reflected_conv2d
    with pytest.raises(ValueError, match="must be odd"):
        operation.forward(np.zeros((1, 4, 4, 3)), np.zeros((3, 2, 3, 5)), np.zeros(5))


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("dtype", ["int64", "float16", "complex64"])
@pytest.mark.parametrize("platform", platforms.CUDA, indirect=True)
def test_other_dtypes_are_refused(name, dtype, platform):
    operation = getattr(as_numpy_engine(platform.engine), name)
    x, w, b = np.zeros((1, 4, 4, 3), "float32"), np.zeros((3, 3, 3, 2)), np.zeros(2)
    with pytest.raises(ValueError, match="takes float32 or float64"):
        operation.forward(x.astype(dtype), w, b)
    y, cache = operation.forward(x, w, b)
    for backward in (operation.backward_input, operation.backward_parameters):
        with pytest.raises(ValueError, match="takes float32 or float64"):
            backward(y.astype(dtype), cache)


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("platform", platforms.CUDA, indirect=True)
def test_kernels_of_other_dtypes_are_converted_but_complex_ones_refused(random, name, platform):
    x, w, b, _ = case(random, name, (1, 4, 5, 3), (3, 3, 3, 2), 2, "float32")
    operation = getattr(as_numpy_engine(platform.engine), name)
    expected, _ = operation.forward(x, np.rint(w), np.rint(b), 2)
    y, _ = operation.forward(x, np.rint(w).astype("float64"), np.rint(b).astype("int8"), 2)
    assert y.dtype == "float32"
    np.testing.assert_array_equal(y, expected)
    for wrong in ((w + 1j, b), (w, b + 1j)):
        with pytest.raises(ValueError, match="not complex64"):
            operation.forward(x, *wrong)


@pytest.mark.parametrize("shape", [(2, 2, 2, 2), (1, 3, 2, 2), (1, 2, 3, 2), (1, 2, 2, 1), (2, 2, 2)])
@pytest.mark.parametrize("platform", platforms.CUDA, indirect=True)
def test_gradients_that_do_not_fit_are_refused(shape, platform):
    for name, x in (("strided_conv2d", (1, 5, 5, 3)), ("reflected_conv2d", (1, 4, 4, 3))):
        operation = getattr(as_numpy_engine(platform.engine), name)
        _, cache = operation.forward(np.zeros(x), np.zeros((3, 3, 3, 2)), np.zeros(2), 2)
        for backward in (operation.backward_input, operation.backward_parameters):
            with pytest.raises(ValueError, match="gradient's shape"):
                backward(np.zeros(shape), cache)


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("platform", platforms.CUDA, indirect=True)
def test_the_same_to_the_last_bit(random, name, platform):
    x, w, b, grad_y = map(platform.there, case(random, name, (2, 9, 8, 5), (3, 3, 5, 4), 2, "float32"))
    operation, runs = getattr(cuda, name), []
    for _ in range(2):
        y, cache = operation.forward(x, w, b, 2)
        runs.append([platform.back(array) for array in (y, *operation.backward(grad_y, cache))])
    for first, second in zip(*runs):
        np.testing.assert_array_equal(first, second)
