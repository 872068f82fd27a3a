"""NumPy's arrays and those of a GPU."""

import numpy as np
import platforms
import pytest

from scratchnst import arrays


@pytest.fixture(params=["cpu", *platforms.CUDA])
def there(request):
    with platforms.entered(request.param) as platform:
        yield platform.there


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("numbers", "finite"),
    [
        ([1.0, -2.0, 3.0], True),
        ([], True),
        ([1.0, np.nan, 3.0], False),
        ([np.inf, 0.0], False),
        ([np.inf, -np.inf], False),
    ],
)
def test_is_finite(there, dtype, numbers, finite):
    assert arrays.is_finite(there(np.array(numbers, dtype))) is finite


def test_is_finite_of_what_overflows():
    assert not arrays.is_finite(np.full(2, np.finfo("float32").max))


def test_numbers(there):
    values = [there(np.array(value)) for value in (1.5, -2.0)]
    assert arrays.numbers(values) == [1.5, -2.0]
    assert arrays.numbers([4.0, *values, 3.0]) == [4.0, 1.5, -2.0, 3.0]
    assert arrays.numbers([]) == []


def test_array_module_and_back(there):
    array = there(np.arange(3.0))
    assert arrays.array_module(array).asarray(array) is array
    np.testing.assert_array_equal(arrays.asnumpy(array), np.arange(3.0))
