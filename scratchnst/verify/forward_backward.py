"""A forward and a backward that keep the contract of `scratchnst.ops`: called, and what they return checked."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np

from scratchnst.arrays import Array, array_module
from scratchnst.verify.calls import (
    ONE_BUFFER,
    NotDeterministic,
    Uncheckable,
    another,
    as_input,
    as_numbers,
    call,
    call_elsewhere,
    check_same,
    check_unchanged,
    checked_gradient,
    checked_values,
    copied,
    is_array,
    kind_of,
    was_overwritten,
)
from scratchnst.verify.methods.adjoint import Adjoint, adjoint_identity
from scratchnst.verify.methods.differences import as_float64


class ForwardBackward:
    """A forward and a backward with inputs, called twice; raises an Uncheckable if they cannot be checked at all.

    Attributes
    ----------
    names, inputs : of the arrays that are checked, in float64 or, with `keep_dtype`, float32
    y : the output of forward
    grad_y : a random upstream gradient of y's shape, of sizes 0.5 to 1.5
    gradients : what backward returns for it, one entry an input
    notes : sentences for the report
    """

    def __init__(
        self,
        forward: Callable,
        backward: Callable,
        inputs: Sequence[Array] | Array,
        names: Sequence[str] | None = None,
        keep_dtype: bool = False,
        seed: int = 0,
    ):
        self.forward = lambda *inputs: _with_numbers(forward(*inputs))
        self.backward = lambda grad_y, cache: [as_numbers(each) for each in _as_list(backward(grad_y, cache))]
        self.notes: list[str] = []
        inputs = list(inputs) if isinstance(inputs, Sequence) else [inputs]
        if not inputs:
            raise Uncheckable("There are no inputs: give a list of the arrays that forward takes.")
        self.names = list(names) if names else argument_names(forward, len(inputs))
        if len(self.names) != len(inputs):
            raise Uncheckable(f"There are {len(inputs)} inputs but {len(self.names)} names: give each input one name.")
        self.inputs = [as_input(x, name, keep_dtype, self.notes) for x, name in zip(inputs, self.names)]
        (given, first), copies = self._run()
        self.y = copied(given)
        self.grad_y = self._upstream(np.random.default_rng(seed))
        call_elsewhere(self.forward, *map(another, self.inputs))
        if was_overwritten(given, self.y):
            self.notes.append("forward returns the same array each time: a call overwrites what the last one returned.")
        self._interleaved = self._of_an_older(first)
        (again, cache), copies = self._run()
        check_same(self.y, again, "the output of forward", self.inputs[0].dtype, self.notes)
        if is_array(self.y) and self.y.dtype != self.inputs[0].dtype:
            self.notes.append(
                f"forward turns {self.inputs[0].dtype} into {self.y.dtype}; an output has its input's dtype."
            )
        given = self._backward(self.grad_y, cache)
        self.gradients = list(map(copied, given))
        self._second = list(map(copied, self._backward(self.grad_y, cache)))
        for copy, x, name in zip(copies, self.inputs, self.names):
            check_unchanged("backward", copy, x, f"the input {name}, which it finds in its cache")
        self._check_own_arrays(given)
        call_elsewhere(self.backward, -self.grad_y, cache)
        if any(map(was_overwritten, given, self.gradients)):
            raise Uncheckable(ONE_BUFFER.format("backward"))

    def gradient(self, position: int) -> Array:
        """Return the gradient with respect to one input in float64, or raise an Uncheckable if it is none."""
        x, what = self.inputs[position], f"the gradient with respect to {self.names[position]}"
        given = (self.gradients[position], self._second[position])
        first, second = (checked_gradient(each, x, what, [str(x.dtype)]) for each in given)
        check_same(first, second, what, x.dtype, self.notes)
        older = self._interleaved[position]
        if older is None or not bool((abs(as_float64(older) - first) <= 1e-6 * abs(first).max()).all()):
            raise NotDeterministic(
                "backward uses what the last call of forward left behind, not its cache: let forward return all that "
                "backward needs as the cache, in arrays that later calls do not overwrite."
            )
        return first

    def output_of(self, position: int) -> Callable[[Array], Array]:
        """Return y as a function of one input, the others held fixed."""
        return lambda x: self.forward(*self._with(position, x))[0]

    def nearby(self, position: int) -> Callable[[float], Array]:
        """Return the gradient with respect to one input as a function of a factor that all inputs are multiplied by."""

        def gradient(factor):
            _, cache = self.forward(*((x * factor).astype(x.dtype, copy=False) for x in self.inputs))
            return self.backward(copied(self.grad_y), cache)[position]

        return gradient

    def adjoint(self, position: int, seed: int) -> Adjoint | None:
        """Return both sides of the adjoint identity in one input; None if forward is not linear in it or fails."""
        _, cache = self.forward(*self._with(position, self.inputs[position].copy()))
        try:
            with np.errstate(all="ignore"):
                return adjoint_identity(
                    self.output_of(position),
                    lambda u: self.backward(u, cache)[position],
                    self.inputs[position],
                    seed,
                )
        except Exception:  # far from x the operation may have no value
            return None

    def _of_an_older(self, cache):
        """What backward returns for a cache after which forward was called again; None where that fails."""
        try:
            return list(map(copied, self._backward(self.grad_y, cache)))
        except Uncheckable:
            return [None] * len(self.inputs)

    def _check_own_arrays(self, gradients):
        """Raise an Uncheckable if two gradients are one array."""
        for (one, first), (other, second) in combinations(zip(self.names, gradients), 2):
            if (
                isinstance(first, np.ndarray)
                and np.shape(first) == np.shape(second)
                and np.shares_memory(first, second)
            ):
                raise Uncheckable(
                    f"backward returns one array as the gradients of {one} and {other}, so that what is added to one "
                    "is added to both: return a copy."
                )

    def _backward(self, grad_y, cache):
        """What backward returns, one entry an input."""
        upstream = copied(grad_y)
        result = call("backward", self.backward, upstream, cache)
        check_unchanged("backward", upstream, grad_y, "the upstream gradient grad_y")
        if len(result) != len(self.inputs):
            raise Uncheckable(
                f"backward returns {len(result)} gradients for {len(self.inputs)} inputs: it must return one for each, "
                "None for an input without a gradient."
            )
        return result

    def _run(self):
        """(y, cache) of copies of the inputs, y checked, and these copies."""
        copies = [x.copy() for x in self.inputs]
        result = call("forward", self.forward, *copies)
        for copy, x, name in zip(copies, self.inputs, self.names):
            check_unchanged("forward", copy, x, f"its input {name}")
        if not (isinstance(result, tuple) and len(result) == 2):
            raise Uncheckable(f"forward returns {kind_of(result)}, not a pair (y, cache).")
        y, cache = result
        return (checked_values(y, "the output of forward"), cache), copies

    def _with(self, position, x):
        """Copies of the inputs, one of them replaced."""
        return [x if number == position else other.copy() for number, other in enumerate(self.inputs)]

    def _upstream(self, random):
        shape = np.shape(self.y)
        sizes = random.uniform(0.5, 1.5, shape) * random.choice([-1.0, 1.0], shape)
        if not is_array(self.y):
            return float(sizes)  # the textbook's losses take a float
        dtype = self.y.dtype if self.y.dtype.kind == "f" else "float64"
        return array_module(self.y).asarray(sizes, dtype)


def argument_names(function: Callable, count: int) -> list[str]:
    """Return the names of the first `count` arguments of a function, or "input 1", "input 2" ... if it hides them."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    names = [parameter.name for parameter in parameters if parameter.kind in kinds]
    return names[:count] if len(names) >= count else [f"input {number}" for number in range(1, count + 1)]


def _as_list(result):
    return list(result) if isinstance(result, (tuple, list)) else [result]


def _with_numbers(result):
    """(y, cache) with y in NumPy's or CuPy's numbers; anything else as it is."""
    return (as_numbers(result[0]), *result[1:]) if isinstance(result, tuple) and result else result
