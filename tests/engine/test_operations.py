"""Pools, Gram matrices and losses of every engine, each against the textbook in float64."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import platforms
import pytest
from networks import random_vgg19
from numerical import central_differences, relative_error

from scratchnst.engine import Engine, cpu, cuda, textbook
from scratchnst.engine.cpu import gram, threads
from scratchnst.engine.cuda import sums
from scratchnst.ops import relu
from scratchnst.verify.catalogue import OPERATIONS as CATALOGUE
from scratchnst.verify.catalogue import check_operation
from scratchnst.verify.numpy_engine import as_numpy_engine
from scratchnst.verify.operations import module_name

TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
# Single pixels and rows, odd sides, batches, heights of several strips of any operation, and one less and more; rows of
# more numbers than a block has threads, by one and by many.
SHAPES = [
    (1, 1, 1, 3),
    (1, 1, 9, 2),
    (1, 9, 1, 1),
    (2, 5, 7, 65),
    (1, 3, 2, 257),
    (3, 17, 6, 3),
    (1, 33, 4, 5),
    (1, 65, 2, 1),
]
OPERATIONS = [
    *["average_pool", "max_pool", "upsample", "reflection_pad", "gram", "content_loss", "style_loss"],
    *["total_variation", "preprocess"],
]
LOSSES = ["content_loss", "style_loss", "total_variation"]
# Those of the gradient checker, but for the two equations of the paper that stand in the textbook alone.
TO_VERIFY = [name for name in CATALOGUE if not name.startswith("equation")]


def arguments(random, name, shape, dtype):
    """Return what `forward` takes: an image, and the target of a loss, or settings."""
    x = random.standard_normal(shape).astype(dtype)
    if name == "content_loss":
        return [x, random.standard_normal(shape).astype(dtype)]
    if name == "style_loss":
        return [x, random.standard_normal((shape[0], shape[3], shape[3])).astype(dtype)]
    if name == "preprocess":
        return [x, "BGR", 0.5, (1.0, 2.0, 3.0), (0.25, 0.5, 2.0)]
    if name == "reflection_pad":
        return [x, *(max(0, min(side - 1, margin)) for side, margin in zip(shape[1:3], (2, 3)))]
    return [x]


def forward(platform, name, inputs):
    y, _ = getattr(platform.engine, name).forward(*map(platform.there, inputs))
    return platform.back(y)


def run(platform, name, inputs, grad_y):
    """Return y and dL/dx, NumPy's arrays, from NumPy's arrays."""
    operation = getattr(platform.engine, name)
    y, cache = operation.forward(*map(platform.there, inputs))
    return platform.back(y), platform.back(operation.backward(platform.there(grad_y), cache))


def textbooks(name, inputs, grad_y):
    """Return y and dL/dx in float64."""
    wide = [value.astype("float64") if isinstance(value, np.ndarray) else value for value in inputs]
    y, cache = getattr(textbook, name).forward(*wide)
    return y, getattr(textbook, name).backward(np.asarray(grad_y, "float64")[()], cache)


def upstream(random, name, inputs, dtype):
    """Return a random gradient of the shape of the operation's result; a style loss needs a large one to show."""
    y, _ = getattr(textbook, name).forward(*inputs)
    return 1e3 * random.random() if isinstance(y, float) else random.standard_normal(y.shape).astype(dtype)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("platform", [*platforms.THREADS, *platforms.CUDA], indirect=True)
def test_values_and_gradients_are_the_textbooks(random, name, shape, dtype, platform):
    shape = (*shape[:3], 3) if name == "preprocess" else shape
    inputs = arguments(random, name, shape, dtype)
    grad_y = upstream(random, name, inputs, dtype)
    there, grad_there = [platform.there(value) for value in inputs], platform.there(grad_y)
    operation = getattr(platform.engine, name)
    y, cache = operation.forward(*there)
    grad_x = operation.backward(grad_there, cache)
    assert grad_x.shape == shape
    assert grad_x.dtype == dtype
    for actual, wanted in zip(map(platform.back, (y, grad_x)), textbooks(name, inputs, grad_y)):
        assert np.shape(actual) == np.shape(wanted)
        scale = np.max(np.abs(wanted), initial=1e-30)
        np.testing.assert_allclose(actual, wanted, rtol=0, atol=TOLERANCE[dtype] * scale)
    for value, given in zip([*there, grad_there], [*inputs, grad_y]):
        np.testing.assert_array_equal(platform.back(value), given)


@pytest.mark.parametrize("name", OPERATIONS)
def test_gradients_equal_central_differences(random, name, platform):
    x, *others = arguments(random, name, (2, 3, 4, 3), "float64")
    grad_y = upstream(random, name, [x, *others], "float64")
    _, grad_x = run(platform, name, [x, *others], grad_y)

    def loss(value):
        return np.sum(grad_y * forward(platform, name, [value, *others]))

    assert relative_error(grad_x, central_differences(loss, x, 1e-5)) < 1e-6


@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_summed_in_float64_whatever_the_dtype(random, name, dtype, platform):
    inputs = arguments(random, name, (1, 4, 4, 3), dtype)
    y, _ = getattr(platform.engine, name).forward(*map(platform.there, inputs))
    assert isinstance(y, float) or (y.dtype, y.shape) == ("float64", ())


@pytest.mark.parametrize("name", OPERATIONS)
def test_inputs_that_are_not_contiguous(random, name, platform):
    inputs = arguments(random, name, (2, 6, 5, 3), "float64")
    grad_y = upstream(random, name, inputs, "float64")
    there = [platform.there(value) for value in [*inputs, grad_y]]
    *strange, strange_grad = [value.T.copy().T[::-1].copy()[::-1] if hasattr(value, "T") else value for value in there]
    assert not strange[0].flags.c_contiguous
    operation = getattr(platform.engine, name)
    y, cache = operation.forward(*strange)
    grad_x = operation.backward(strange_grad, cache)
    for actual, expected in zip((y, grad_x), run(platform, name, inputs, grad_y)):
        np.testing.assert_allclose(platform.back(actual), expected, rtol=1e-12)


@pytest.mark.parametrize("shape", [(0, 4, 4, 3), (1, 0, 4, 3), (1, 4, 0, 3)])
@pytest.mark.parametrize("name", [name for name in OPERATIONS if name != "style_loss"])
def test_empty_images(random, name, shape, platform):
    inputs = arguments(random, name, shape, "float32")
    operation = getattr(platform.engine, name)
    y, cache = operation.forward(*map(platform.there, inputs))
    expected, _ = getattr(textbook, name).forward(*inputs)
    np.testing.assert_array_equal(platform.back(y), expected)
    grad_x = operation.backward(1.0 if name in LOSSES else y, cache)
    assert grad_x.shape == shape


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("platform", platforms.CUDA, indirect=True)
def test_any_size(random, name, platform):
    """Nobody reads or writes where he should not, which the emulator would see, and nothing is left out."""
    smallest = 1 if name == "style_loss" else 0
    for _ in range(30):
        sides = random.integers(smallest, [4, 10, 10])
        shape = (
            *map(int, sides),
            3 if name == "preprocess" else int(random.choice([smallest, 1, 2, 31, 33, 130, 257])),
        )
        inputs = arguments(random, name, shape, "float64")
        grad_y = upstream(random, name, inputs, "float64")
        for actual, wanted in zip(run(platform, name, inputs, grad_y), textbooks(name, inputs, grad_y)):
            np.testing.assert_allclose(actual, wanted, rtol=1e-11, atol=1e-11 * np.max(np.abs(wanted), initial=0))


WRONG = [(1, 8, 6, 3), (3, 8, 6, 3), (2, 4, 6, 3), (2, 12, 6, 3), (2, 8, 4, 3), (2, 8, 10, 3), (2, 8, 6, 1), (8, 6, 3)]


@pytest.mark.parametrize("shape", WRONG)
@pytest.mark.parametrize(
    ("name", "given", "settings"),
    [
        ("average_pool", (2, 17, 12, 3), ()),
        ("max_pool", (2, 17, 12, 3), ()),
        ("upsample", (2, 4, 3, 3), ()),
        ("reflection_pad", (2, 6, 4, 3), (1, 1)),
    ],
)
def test_gradients_of_another_shape_are_refused(name, given, settings, shape, platform):
    """The result of each is (2, 8, 6, 3)."""
    operation = getattr(platform.engine, name)
    _, cache = operation.forward(platform.there(np.zeros(given)), *settings)
    with pytest.raises(ValueError, match="gradient's shape"):
        operation.backward(platform.there(np.zeros(shape)), cache)


@pytest.mark.parametrize("shape", WRONG)
def test_what_is_compared_or_added_has_the_same_shape(shape, platform):
    F, other = platform.there(np.zeros((2, 8, 6, 3))), platform.there(np.zeros(shape))
    with pytest.raises(ValueError, match="target's shape"):
        platform.engine.content_loss.forward(F, other)
    with pytest.raises(ValueError, match="gradient's shape"):
        platform.engine.add(F, other)


@pytest.mark.parametrize("shape", [(3, 3, 3), (2, 1, 1), (1, 1, 1), (2, 4, 4), (3, 3)])
def test_gram_matrices_of_another_shape_are_refused(shape, platform):
    F, other = platform.there(np.zeros((2, 8, 6, 3))), platform.there(np.zeros(shape))
    with pytest.raises(ValueError, match="target's shape"):
        platform.engine.style_loss.forward(F, other)
    with pytest.raises(ValueError, match="gradient's shape"):
        platform.engine.gram.backward(other, F)


@pytest.mark.parametrize("dtype", ["int64", "uint8", "float16", "complex64", ">f4"])
@pytest.mark.parametrize("name", [name for name in OPERATIONS if name != "preprocess"])
def test_other_dtypes_are_refused(random, name, dtype, platform):
    if dtype == ">f4" and platform.engine is cuda:
        pytest.skip("CuPy has no arrays of another byte order")
    x, *others = map(platform.there, arguments(random, name, (1, 4, 4, 3), "float32"))
    operation = getattr(platform.engine, name)
    with pytest.raises(ValueError, match="takes float32 or float64"):
        operation.forward(x.astype(dtype), *others)
    with pytest.raises(ValueError, match=r"takes images \(N, H, W, C\)"):
        operation.forward(x[0], *others)


@pytest.mark.parametrize(("rows", "columns"), [(2, 0), (0, 3), (9, 9)])
def test_images_too_small_to_be_mirrored_are_refused(rows, columns, platform):
    with pytest.raises(ValueError, match="an image of 2x3 pixels is too small"):
        platform.engine.reflection_pad.forward(platform.there(np.zeros((1, 2, 3, 1))), rows, columns)


def test_max_pool_takes_the_first_of_equals(platform):
    x = np.array([[5.0, 5, 1, 2], [5, 5, 2, 2], [0, -0.0, -1, -1], [0, 0, -3, -1]]).reshape(1, 4, 4, 1)
    y, grad_x = run(platform, "max_pool", [x], np.array([[1.0, 2], [3, 4]]).reshape(1, 2, 2, 1))
    np.testing.assert_array_equal(y[0, :, :, 0], [[5, 2], [0, -1]])
    np.testing.assert_array_equal(grad_x[0, :, :, 0], [[1, 0, 0, 2], [0, 0, 0, 0], [3, 0, 4, 0], [0, 0, 0, 0]])


def test_max_pool_of_ties_is_the_textbooks(random, platform):
    x = random.integers(-1, 2, (2, 40, 7, 5)).astype("float32")
    grad_y = random.standard_normal((2, 20, 3, 5)).astype("float32")
    for actual, expected in zip(run(platform, "max_pool", [x], grad_y), textbooks("max_pool", [x], grad_y)):
        np.testing.assert_array_equal(actual, expected)


def test_max_pool_of_nan_is_the_textbooks(random, platform):
    """It goes into the result wherever in its square it is, and does not change who wins."""
    x = random.standard_normal((1, 16, 16, 4)).astype("float32")
    x[random.random(x.shape) < 0.3] = np.nan
    grad_y = random.standard_normal((1, 8, 8, 4)).astype("float32")
    for actual, expected in zip(run(platform, "max_pool", [x], grad_y), textbooks("max_pool", [x], grad_y)):
        np.testing.assert_array_equal(actual, expected.astype("float32"))


@pytest.mark.parametrize("count", [1, 255, 257, 1000])
@pytest.mark.parametrize("platform", platforms.CUDA, indirect=True)
def test_relu_alone(random, count, dtype, platform):
    x, grad_y = (random.standard_normal(count).astype(dtype) for _ in range(2))
    x[0] = 0
    x[1:2] = np.nan
    y, grad_x = run(platform, "relu", [x], grad_y)
    expected, cache = relu.forward(x)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(grad_x, relu.backward(grad_y, cache))
    with pytest.raises(ValueError, match="gradient's shape"):
        cuda.relu.backward(platform.there(np.zeros(count + 1, dtype)), platform.there(y))


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


@pytest.mark.parametrize("shape", [(2, 9, 8, 300), (1, 40, 50, 7)])
def test_gram_matrices_of_many_channels_and_of_many_pixels(random, shape, platform):
    x, grad_y = random.standard_normal(shape), random.standard_normal((shape[0], shape[3], shape[3]))
    for actual, expected in zip(run(platform, "gram", [x], grad_y), textbooks("gram", [x], grad_y)):
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def test_style_losses_of_one_target_for_a_batch(random, platform):
    F, A = random.standard_normal((3, 4, 5, 2)), random.standard_normal((1, 2, 2))
    for actual, expected in zip(run(platform, "style_loss", [F, A], 2.0), textbooks("style_loss", [F, A], 2.0)):
        np.testing.assert_allclose(actual, expected, rtol=1e-12)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("platform", platforms.CUDA, indirect=True)
def test_sums_of_more_elements_than_threads(random, name, platform, monkeypatch):
    """With few blocks each thread adds up several elements, of which the last ones are not there for all."""
    monkeypatch.setattr(sums, "BLOCKS", 3)
    inputs = arguments(random, name, (1, 11, 13, 17), "float64")
    for actual, expected in zip(run(platform, name, inputs, 2.0), textbooks(name, inputs, 2.0)):
        np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("platform", platforms.CUDA, indirect=True)
def test_sums_of_more_blocks_than_threads(random, platform):
    numbers = random.standard_normal(sums.BLOCKS - 1)
    assert float(sums.total(platform.there(numbers), -3.0)) == pytest.approx(-3 * numbers.sum(), rel=1e-12)
    assert float(sums.total(platform.there(numbers[:0]))) == 0


@pytest.mark.parametrize("platform", [*platforms.THREADS, *platforms.CUDA], indirect=True)
def test_add_is_in_place_and_for_any_shape(random, platform):
    for shape in ((1, 40, 3, 2), (3, 9, 2, 65), (0, 3, 3, 3)):
        total, part = random.standard_normal(shape), random.standard_normal(shape)
        expected, there = total + part, platform.there(total)
        assert platform.engine.add(there, platform.there(part)) is there
        np.testing.assert_array_equal(platform.back(there), expected)


def test_add_into_rows_of_a_batch(random, platform):
    total, part = random.standard_normal((2, 9, 3, 5)), random.standard_normal((2, 4, 3, 5))
    expected, there = total.copy(), platform.there(total)
    expected[:, 3:7] += part
    platform.engine.add(there[:, 3:7], platform.there(part))
    np.testing.assert_array_equal(platform.back(there), expected)


@pytest.mark.parametrize("one", [cpu, cuda, textbook])
def test_engines_are_complete(one):
    modules = [name for name, kind in Engine.__annotations__.items() if kind == "ModuleType"]
    assert sorted(modules) == sorted(set(one.own) - {"relu"})
    assert one.fallbacks == ()
    assert all(getattr(one, name) is one.own[name] for name in modules)


@pytest.mark.parametrize("platform", ["cpu", "emulated", platforms.GPU], indirect=True)
def test_an_engine_without_an_operation_computes_it_as_the_textbook_does(random, platform):
    whole = platform.engine
    engine = type(whole)(whole.name, [module for name, module in whole.own.items() if name != "max_pool"])
    assert engine.fallbacks == ("max_pool",)
    assert engine.max_pool is textbook.max_pool
    assert engine.gram is whole.gram
    network, pooled = (replace(random_vgg19(5, width=4), pooling="max").on(one) for one in (whole, engine))
    x = platform.there(random.uniform(0, 255, (1, 16, 16, 3)))
    for expected, actual in zip(there_and_back(network, x), there_and_back(pooled, x)):
        assert type(actual) is type(expected)
        np.testing.assert_allclose(platform.back(actual), platform.back(expected), rtol=1e-10)


def there_and_back(network, x):
    """Features of the deepest layer, and the gradient of half the sum of their squares."""
    features, cache = network.forward(x, ["conv3_1"], training=False)
    return features["conv3_1"], network.backward(dict(features), cache)


@pytest.mark.parametrize("name", TO_VERIFY)
@pytest.mark.parametrize("platform", ["cpu", "emulated", platforms.GPU], indirect=True)
def test_the_gradient_checker_finds_nothing_wrong(name, platform):
    if not hasattr(platform.engine, module_name(name)):
        pytest.skip(f"the engine {platform.engine.name} has no {name} of its own")
    module = getattr(as_numpy_engine(platform.engine), module_name(name))
    report = check_operation(name, module=module, samples=20, with_torch=False)
    report.raise_if_wrong()


def test_what_an_engine_tells_of_its_device(platform):
    engine = platform.engine
    x = engine.zeros((1000,), "float32")
    engine.synchronize()
    assert engine.reserved_memory() >= engine.memory_in_use() >= engine.has_own_memory * x.nbytes
    assert set(engine.hardware()) == ({"multiprocessors", "bytes", "cublas"} if engine.has_own_memory else set())
