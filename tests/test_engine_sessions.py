"""What a session keeps, for whom, and for how long."""

from __future__ import annotations

import math
import threading
import weakref

import numpy as np
import pytest
from networks import random_vgg19

from scratchnst.engine import cpu
from scratchnst.engine.cpu import conv2d, sessions, winograd
from scratchnst.objective import Objective
from scratchnst.stylize import stylize


@pytest.fixture
def made(monkeypatch):
    """The kernels that were transformed, in their order."""
    kernels, transform = [], winograd._transform_kernel

    def watched(w, U):
        kernels.append(w)
        return transform(w, U)

    monkeypatch.setattr(winograd, "_transform_kernel", watched)
    return kernels


def case(random, side=20):
    x, w = random.standard_normal((1, side, side, 32)), random.standard_normal((3, 3, 32, 33))
    return x, w, np.zeros(33), random.standard_normal((1, side, side, 33))


def there_and_back(x, w, b, g):
    y, cache = conv2d.forward(x, w, b)
    return y, conv2d.backward_input(g, cache)


def test_a_kernel_is_transformed_once_in_a_session_and_the_result_is_the_same_to_the_last_bit(random, made):
    arrays = case(random)
    expected = there_and_back(*arrays)
    assert len(made) == 2  # outside of a session once each way
    with sessions.session(keep_kernels=True):
        for _ in range(3):
            for array, wanted in zip(there_and_back(*arrays), expected):
                np.testing.assert_array_equal(array, wanted)
    assert len(made) == 3
    there_and_back(*arrays)
    assert len(made) == 5


def test_a_session_within_another_is_part_of_it(random, made):
    arrays = case(random)
    with sessions.session(keep_kernels=True):
        for keep in (True, False):
            with sessions.session(keep_kernels=keep):
                there_and_back(*arrays)
        there_and_back(*arrays)
    assert len(made) == 1


def test_nothing_is_kept_unless_asked_for_nor_where_there_are_many_tiles(random, made):
    with sessions.session():
        there_and_back(*case(random))
    assert len(made) == 2
    with sessions.session(keep_kernels=True):
        there_and_back(*case(random, side=68))
    assert len(made) == 4


def test_kernels_and_dtypes_are_told_apart(random):
    x, w, b, g = case(random)
    with sessions.session(keep_kernels=True):
        there_and_back(x, w, b, g)
        y, _ = there_and_back(x, 2 * w, b, g)
        single, _ = there_and_back(x.astype("float32"), w, b, g.astype("float32"))
    assert single.dtype == "float32"
    np.testing.assert_allclose(single, y / 2, atol=1e-3)
    np.testing.assert_array_equal(y, there_and_back(x, 2 * w, b, g)[0])


def test_the_end_of_a_session_forgets(random):
    x, w, b, g = case(random)
    reference = weakref.ref(w)
    with sessions.session(keep_kernels=True):
        there_and_back(x, w, b, g)
        del w
        assert reference() is not None  # its id must not be another's
    assert reference() is None


def test_a_session_is_of_its_own_thread(random, made):
    arrays = case(random)
    with sessions.session(keep_kernels=True):
        there_and_back(*arrays)
        thread = threading.Thread(target=there_and_back, args=arrays)
        thread.start()
        thread.join()
        there_and_back(*arrays)
    assert len(made) == 3


@pytest.mark.parametrize("strip", [math.inf, 2**20])
def test_a_run_is_a_session_unless_memory_is_short(random, made, strip):
    content, style = (random.uniform(0, 255, (64, 64, 3)) for _ in range(2))
    objective = Objective(random_vgg19(4, width=32).on(cpu), content, [style], dtype="float64", largest_strip=strip)
    made.clear()
    result = stylize(objective, iterations=3)
    kernels = {id(kernel) for kernel in made}
    assert kernels, "no layer of this network is convolved by Winograd"
    if strip == math.inf:
        assert len(made) == len(kernels)
    else:
        assert len(made) >= 2 * result.evaluations
