"""Cross-layer Gram matrices and their loss, of every engine."""

from __future__ import annotations

import numpy as np
import platforms
import pytest

from scratchnst.engine import meta, textbook

TOLERANCE = {"float32": 1e-5, "float64": 1e-12}
PAIRS = [
    ((1, 1, 1, 3), (1, 1, 1, 2)),
    ((2, 5, 7, 65), (2, 2, 3, 3)),
    ((1, 33, 40, 5), (1, 33, 40, 130)),
    ((1, 43, 81, 2), (1, 10, 20, 7)),
]


def arguments(random, shapes, dtype):
    F, K = (random.standard_normal(shape).astype(dtype) for shape in shapes)
    return F, K, random.standard_normal((1, F.shape[3], K.shape[3])).astype(dtype)


@pytest.mark.parametrize("shapes", PAIRS)
@pytest.mark.parametrize("platform", [*platforms.THREADS, *platforms.CUDA], indirect=True)
def test_values_and_gradients_are_the_textbooks(random, shapes, dtype, platform):
    F, K, A = arguments(random, shapes, dtype)
    g = random.standard_normal((len(F), *A.shape[1:])).astype(dtype)
    for name, inputs, grad_y in (("cross_gram", (F, K), g), ("cross_style_loss", (F, K, A), 1e3)):
        operation = getattr(platform.engine, name)
        y, cache = operation.forward(*map(platform.there, inputs))
        grads = operation.backward(platform.there(grad_y), cache)
        wide, wide_cache = getattr(textbook, name).forward(*(each.astype("float64") for each in inputs))
        expected = getattr(textbook, name).backward(np.asarray(grad_y, "float64")[()], wide_cache)
        for actual, wanted in zip((y, *grads), (wide, *expected)):
            actual = platform.back(actual)
            assert np.shape(actual) == np.shape(wanted)
            scale = np.max(np.abs(wanted), initial=1e-30)
            np.testing.assert_allclose(actual, wanted, rtol=0, atol=TOLERANCE[dtype] * scale)
        assert [grad.dtype for grad in grads] == [dtype, dtype]


def test_wrong_shapes_are_refused(platform):
    F, K, g = (platform.there(np.zeros(shape)) for shape in ((2, 4, 6, 3), (2, 2, 3, 5), (2, 5, 3)))
    with pytest.raises(ValueError, match="gradient's shape"):
        platform.engine.cross_gram.backward(g, (F, K))
    with pytest.raises(ValueError, match="target's shape"):
        platform.engine.cross_style_loss.forward(F, K, g)
    with pytest.raises(ValueError, match="name the deeper layer second"):
        platform.engine.cross_gram.forward(K, F)


@pytest.mark.parametrize("name", ["cpu", "textbook", "cuda"])
def test_its_memory_is_counted(name):
    """Both gradients are there at the end, and P and dL/dP until then."""
    engine = meta.of(name)
    F, K, A = (engine.zeros(shape, "float32") for shape in ((1, 8, 12, 3), (1, 4, 6, 5), (1, 3, 5)))
    before = engine.ledger.now
    _, cache = engine.cross_style_loss.forward(F, K, A)
    grads = engine.cross_style_loss.backward(1.0, cache)
    assert [grad.shape for grad in grads] == [F.shape, K.shape]
    assert engine.ledger.peak - before >= F.nbytes + K.nbytes + 2 * F.nbytes // 4
