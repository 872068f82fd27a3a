"""Is this gradient right?  `check_gradient` for any scalar function, `check_backward` for an operation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from scratchnst.verify.report import Report

Array = Any


def check_gradient(
    f: Callable,
    x: Array,
    grad: Callable | Array | None = None,
    *,
    kinks: Callable | None = None,
    complex_f: Callable | None = None,
    torch_f: Callable | None = None,
    samples: int | None = 64,
    seed: int = 0,
    keep_dtype: bool = False,
    raising: bool = False,
    name: str = "gradient",
) -> Report:
    """Check the gradient of a scalar function at `x`."""
    raise NotImplementedError


def check_backward(
    forward: Callable,
    backward: Callable,
    inputs: Sequence[Array],
    *,
    names: Sequence[str] | None = None,
    kinks: Callable | None = None,
    operation: str | None = None,
    torch_forward: Callable | None = None,
    samples: int | None = 64,
    seed: int = 0,
    keep_dtype: bool = False,
    raising: bool = False,
    name: str = "backward",
) -> Report:
    """Check that `backward` is the derivative of `forward`, for every input.

    Where an input's gradient is wrong, this calls ::

        diagnosis.diagnose(inputs, output, grad_y, got, expected, position, operation, indices=indices)

    inputs : list of NumPy arrays, as given to `forward`; output : y, NumPy array or float; grad_y : array or float
    got, expected : float64 NumPy arrays of the shape of inputs[position], the gradient given and the numerical one;
        expected is NaN where it is not known (an element that was not checked, or sits on a kink)
    operation : name in `operations.OPERATIONS`, or None
    indices : None if every element of `expected` is known, else the flat positions of those that are

    and reads `.sentence` and `.key` of what it returns, which may be None.  `check_gradient` calls the same with
    inputs [x], grad_y 1.0 and position 0.
    """
    raise NotImplementedError
