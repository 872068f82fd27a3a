"""What a session keeps, for whom, and for how long."""

from __future__ import annotations

import math
import threading
import weakref

import numpy as np
import pytest
from networks import random_vgg19

from scratchnst.engine import cuda
from scratchnst.engine.cpu import winograd
from scratchnst.engine.cuda import winograd as winograd_on_gpu
from scratchnst.transfer.objective import Objective
from scratchnst.transfer.stylize import stylize

FORMS = {
    "cpu": 1,
    "cuda": 2,
}  # that a session keeps of a kernel: one for both directions, or that of the flipped one, too


@pytest.fixture
def made(platform, monkeypatch):
    """The kernels that were transformed, in their order."""
    kernels = []
    if platform.engine is cuda:
        launch = winograd_on_gpu._launch_pairs

        def watched(kernel, *arrays):
            if kernel == "winograd_kernel":
                kernels.append(arrays[1])
            launch(kernel, *arrays)

        monkeypatch.setattr(winograd_on_gpu, "_launch_pairs", watched)
        return kernels
    transform = winograd._transform_kernel

    def watched(w, U):
        kernels.append(w)
        return transform(w, U)

    monkeypatch.setattr(winograd, "_transform_kernel", watched)
    return kernels


@pytest.fixture
def forms(platform):
    return FORMS[platform.engine.name]


def case(random, platform, side=20):
    x, w = random.standard_normal((1, side, side, 32)), random.standard_normal((3, 3, 32, 33))
    return [platform.there(array) for array in (x, w, np.zeros(33), random.standard_normal((1, side, side, 33)))]


def there_and_back(platform, x, w, b, g):
    conv2d = platform.engine.conv2d
    y, cache = conv2d.forward(x, w, b)
    return platform.back(y), platform.back(conv2d.backward_input(g, cache))


def test_a_kernel_is_transformed_once_in_a_session_and_the_result_is_the_same_to_the_last_bit(
    random, platform, made, forms
):
    arrays = case(random, platform)
    expected = there_and_back(platform, *arrays)
    assert len(made) == 2  # outside of a session once each way
    with platform.engine.session(keep_kernels=True):
        for _ in range(3):
            for array, wanted in zip(there_and_back(platform, *arrays), expected):
                np.testing.assert_array_equal(array, wanted)
    assert len(made) == 2 + forms
    there_and_back(platform, *arrays)
    assert len(made) == 4 + forms


def test_a_session_within_another_is_part_of_it(random, platform, made, forms):
    arrays = case(random, platform)
    with platform.engine.session(keep_kernels=True):
        for keep in (True, False):
            with platform.engine.session(keep_kernels=keep):
                there_and_back(platform, *arrays)
        there_and_back(platform, *arrays)
    assert len(made) == forms


def test_nothing_is_kept_unless_asked_for(random, platform, made):
    arrays = case(random, platform)
    with platform.engine.session():
        for _ in range(2):
            there_and_back(platform, *arrays)
    assert len(made) == 4


@pytest.mark.parametrize("platform", ["cpu"], indirect=True)
def test_on_the_cpu_nothing_is_kept_where_there_are_many_tiles(random, platform, made):
    with platform.engine.session(keep_kernels=True):
        there_and_back(platform, *case(random, platform, side=68))
    assert len(made) == 2


def test_kernels_and_dtypes_are_told_apart(random, platform):
    x, w, b, g = case(random, platform)
    with platform.engine.session(keep_kernels=True):
        there_and_back(platform, x, w, b, g)
        y, _ = there_and_back(platform, x, 2 * w, b, g)
        single, _ = there_and_back(platform, x.astype("float32"), w, b, g.astype("float32"))
    assert single.dtype == "float32"
    np.testing.assert_allclose(single, y / 2, atol=1e-3)
    np.testing.assert_array_equal(y, there_and_back(platform, x, 2 * w, b, g)[0])


def test_the_end_of_a_session_forgets(random, platform):
    x, w, b, g = case(random, platform)
    reference = weakref.ref(w)
    with platform.engine.session(keep_kernels=True):
        there_and_back(platform, x, w, b, g)
        del w
        assert reference() is not None  # its id must not be another's
    assert reference() is None


def test_a_session_is_of_its_own_thread(random, platform, made, forms):
    arrays = case(random, platform)
    with platform.engine.session(keep_kernels=True):
        there_and_back(platform, *arrays)
        thread = threading.Thread(target=there_and_back, args=(platform, *arrays))
        thread.start()
        thread.join()
        there_and_back(platform, *arrays)
    assert len(made) == 2 + forms


@pytest.mark.parametrize("strip", [math.inf, 2**20])
def test_a_run_is_a_session_unless_memory_is_short(random, platform, made, forms, strip):
    content, style = (random.uniform(0, 255, (24, 24, 3)) for _ in range(2))
    network = random_vgg19(4, width=32).on(platform.engine)
    objective = Objective(network, content, [style], dtype="float64", largest_strip=strip)
    made.clear()
    result = stylize(objective, iterations=3)
    kernels = {id(kernel) for kernel in made}
    assert kernels, "no layer of this network is convolved by Winograd"
    if strip == math.inf:
        assert len(made) == forms * len(kernels)
    else:
        assert len(made) >= 2 * result.evaluations
