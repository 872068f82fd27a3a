"""Pools, Gram matrices and losses of the engine, each against the textbook in float64."""

from __future__ import annotations

import numpy as np
import pytest
from numerical import central_differences, relative_error

from scratchnst import engine
from scratchnst.engine import cpu, textbook
from scratchnst.engine.cpu import gram, threads
from scratchnst.verify.catalogue import OPERATIONS as CATALOGUE
from scratchnst.verify.catalogue import check_operation
from scratchnst.verify.operations import module_name

TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
# Single pixels and rows, odd sides, batches, heights of several strips of any operation, and one less and more.
SHAPES = [(1, 1, 1, 3), (1, 1, 9, 2), (1, 9, 1, 1), (2, 5, 7, 65), (3, 17, 6, 3), (1, 33, 4, 5), (1, 65, 2, 1)]
# Those of the gradient checker, but for the two equations of the paper that stand in the textbook alone.
TO_VERIFY = [name for name in CATALOGUE if hasattr(cpu, module_name(name)) and not name.startswith("equation")]
OPERATIONS = ["average_pool", "max_pool", "gram", "content_loss", "style_loss", "total_variation"]


@pytest.fixture(params=[1, 2])
def two_counts(request):
    """One thread and two; afterwards as before."""
    threads.set_count(request.param)
    yield request.param
    threads.set_count(None)


def arguments(random, name, shape, dtype):
    """Return what `forward` takes: an image, and the target of a loss."""
    x = random.standard_normal(shape).astype(dtype)
    if name == "content_loss":
        return [x, random.standard_normal(shape).astype(dtype)]
    if name == "style_loss":
        return [x, random.standard_normal((shape[0], shape[3], shape[3])).astype(dtype)]
    return [x]


def run(operation, inputs, grad_y):
    y, cache = operation.forward(*inputs)
    return y, operation.backward(grad_y, cache)


def upstream(random, name, inputs, dtype):
    """Return a random gradient of the shape of the operation's result; a style loss needs a large one to show."""
    y, _ = getattr(textbook, name).forward(*inputs)
    return 1e3 * random.random() if isinstance(y, float) else random.standard_normal(y.shape).astype(dtype)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", OPERATIONS)
def test_values_and_gradients_are_the_textbooks(random, name, shape, dtype, two_counts):
    inputs = arguments(random, name, shape, dtype)
    grad_y = upstream(random, name, inputs, dtype)
    before = [array.copy() for array in inputs], np.copy(grad_y)
    y, grad_x = run(getattr(cpu, name), inputs, grad_y)
    wide = [array.astype("float64") for array in inputs], np.asarray(grad_y, "float64")[()]
    expected_y, expected = run(getattr(textbook, name), *wide)
    assert isinstance(y, float) == isinstance(expected_y, float)
    assert np.shape(y) == np.shape(expected_y)
    assert grad_x.shape == inputs[0].shape
    assert grad_x.dtype == dtype
    for actual, wanted in ((y, expected_y), (grad_x, expected)):
        scale = np.max(np.abs(wanted), initial=1e-30)
        np.testing.assert_allclose(actual, wanted, rtol=0, atol=TOLERANCE[dtype] * scale)
    for array, old in zip(inputs, before[0]):
        np.testing.assert_array_equal(array, old)
    np.testing.assert_array_equal(grad_y, before[1])


@pytest.mark.parametrize("name", OPERATIONS)
def test_gradients_equal_central_differences(random, name):
    x, *target = arguments(random, name, (2, 5, 4, 3), "float64")
    grad_y = upstream(random, name, [x, *target], "float64")
    _, grad_x = run(getattr(cpu, name), [x, *target], grad_y)

    def loss(value):
        return np.sum(grad_y * getattr(cpu, name).forward(value, *target)[0])

    assert relative_error(grad_x, central_differences(loss, x, 1e-5)) < 1e-6


@pytest.mark.parametrize("name", OPERATIONS)
def test_inputs_that_are_not_contiguous(random, name):
    shape = (2, 6, 5, 3)
    inputs = arguments(random, name, shape, "float64")
    grad_y = upstream(random, name, inputs, "float64")
    strange = [array.T.copy().T[::-1].copy()[::-1] for array in inputs]
    assert not strange[0].flags.c_contiguous
    y, grad_x = run(getattr(cpu, name), strange, grad_y)
    expected_y, expected = run(getattr(cpu, name), inputs, grad_y)
    np.testing.assert_allclose(y, expected_y, rtol=1e-12)
    np.testing.assert_allclose(grad_x, expected, rtol=1e-12)


@pytest.mark.parametrize("shape", [(0, 4, 4, 3), (1, 0, 4, 3), (1, 4, 0, 3)])
@pytest.mark.parametrize("name", ["average_pool", "max_pool", "gram", "content_loss", "total_variation"])
def test_empty_images(random, name, shape):
    inputs = arguments(random, name, shape, "float32")
    y, cache = getattr(cpu, name).forward(*inputs)
    expected, _ = getattr(textbook, name).forward(*inputs)
    np.testing.assert_array_equal(y, expected)
    grad_x = getattr(cpu, name).backward(1.0 if isinstance(y, float) else y, cache)
    assert grad_x.shape == shape


WRONG = [(1, 8, 6, 3), (3, 8, 6, 3), (2, 4, 6, 3), (2, 12, 6, 3), (2, 8, 4, 3), (2, 8, 10, 3), (2, 8, 6, 1), (8, 6, 3)]


@pytest.mark.parametrize("shape", WRONG)
@pytest.mark.parametrize("name", ["average_pool", "max_pool"])
def test_pools_refuse_gradients_of_another_shape(name, shape):
    pool = getattr(cpu, name)
    _, cache = pool.forward(np.zeros((2, 17, 12, 3)))
    with pytest.raises(ValueError, match="gradient's shape"):
        pool.backward(np.zeros(shape), cache)


@pytest.mark.parametrize("shape", WRONG)
def test_what_is_compared_or_added_has_the_same_shape(shape):
    F = np.zeros((2, 8, 6, 3))
    with pytest.raises(ValueError, match="target's shape"):
        cpu.content_loss.forward(F, np.zeros(shape))
    with pytest.raises(ValueError, match="gradient's shape"):
        cpu.add(F, np.zeros(shape))


@pytest.mark.parametrize("shape", [(3, 3, 3), (2, 1, 1), (1, 1, 1), (2, 4, 4), (3, 3)])
def test_gram_matrices_of_another_shape_are_refused(shape):
    F = np.zeros((2, 8, 6, 3))
    with pytest.raises(ValueError, match="target's shape"):
        cpu.style_loss.forward(F, np.zeros(shape))
    with pytest.raises(ValueError, match="gradient's shape"):
        cpu.gram.backward(np.zeros(shape), F)


@pytest.mark.parametrize("dtype", ["int64", "uint8", "float16", "complex64", ">f4"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_other_dtypes_are_refused(random, name, dtype):
    x, *target = arguments(random, name, (1, 4, 4, 3), "float32")
    with pytest.raises(ValueError, match="takes float32 or float64"):
        getattr(cpu, name).forward(x.astype(dtype), *target)
    with pytest.raises(ValueError, match=r"takes images \(N, H, W, C\)"):
        getattr(cpu, name).forward(x[0], *target)


def test_max_pool_takes_the_first_of_equals():
    x = np.array([[5.0, 5, 1, 2], [5, 5, 2, 2], [0, -0.0, -1, -1], [0, 0, -3, -1]]).reshape(1, 4, 4, 1)
    y, cache = cpu.max_pool.forward(x)
    np.testing.assert_array_equal(y[0, :, :, 0], [[5, 2], [0, -1]])
    grad_x = cpu.max_pool.backward(np.array([[1.0, 2], [3, 4]]).reshape(1, 2, 2, 1), cache)
    np.testing.assert_array_equal(grad_x[0, :, :, 0], [[1, 0, 0, 2], [0, 0, 0, 0], [3, 0, 4, 0], [0, 0, 0, 0]])


def test_max_pool_of_ties_is_the_textbooks(random):
    x = random.integers(-1, 2, (2, 40, 7, 5)).astype("float32")
    grad_y = random.standard_normal((2, 20, 3, 5)).astype("float32")
    for actual, expected in zip(run(cpu.max_pool, [x], grad_y), run(textbook.max_pool, [x], grad_y)):
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("shape", [(2, 70, 80, 9), (2, 9, 8, 300)])
def test_gram_matrices_do_not_depend_on_the_number_of_threads(random, shape):
    """They are summed up, or put together, in pieces, but in the same ones and in the same order."""
    x = random.standard_normal(shape).astype("float32")
    results = []
    for number in (1, 2, 3):
        threads.set_count(number)
        results.append(gram.forward(x)[0])
    threads.set_count(None)
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_gram_matrices_of_many_channels(random):
    x, grad_y = random.standard_normal((2, 9, 8, 300)), random.standard_normal((2, 300, 300))
    for actual, expected in zip(run(cpu.gram, [x], grad_y), run(textbook.gram, [x], grad_y)):
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def test_style_losses_of_one_target_for_a_batch(random):
    F, A = random.standard_normal((3, 4, 5, 2)), random.standard_normal((1, 2, 2))
    for actual, expected in zip(run(cpu.style_loss, [F, A], 2.0), run(textbook.style_loss, [F, A], 2.0)):
        np.testing.assert_allclose(actual, expected, rtol=1e-12)


def test_add_is_in_place_and_for_any_shape(random, two_counts):
    for shape in ((1, 40, 3, 2), (3, 9, 2, 65), (0, 3, 3, 3)):
        total, part = random.standard_normal(shape), random.standard_normal(shape)
        expected = total + part
        assert cpu.add(total, part) is total
        np.testing.assert_array_equal(total, expected)


@pytest.mark.parametrize("one", [cpu, textbook])
def test_engines_are_complete(one):
    names = [name for name in vars(engine.Engine) | engine.Engine.__annotations__ if not name.startswith("_")]
    assert set(names) == set(one.__all__)
    assert all(hasattr(one, name) for name in names)


@pytest.mark.parametrize("name", TO_VERIFY)
def test_the_gradient_checker_finds_nothing_wrong(name):
    report = check_operation(name, module=getattr(cpu, module_name(name)), samples=20, with_torch=False)
    report.raise_if_wrong()
