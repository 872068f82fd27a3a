"""check_gradient and check_backward: right gradients pass, wrong ones fail, whatever the function does to them."""

from __future__ import annotations

import itertools
import json
import math
from functools import partial

import numpy as np
import pytest

from scratchnst.losses import content_loss, gram
from scratchnst.ops import average_pool, conv2d, max_pool, relu
from scratchnst.verify import GradientError, check_backward, check_gradient, verdict
from scratchnst.verify.methods import measurement
from scratchnst.verify.methods.kinks import pool_winners, relu_signs

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal(40)
C = RANDOM.standard_normal(40)
W = RANDOM.standard_normal((30, 40)) / 6
ZEROS = np.where(np.arange(40) < 8, 0, X)  # a fifth of it exactly zero
TIED = np.minimum(X, 1.0)  # several elements share the maximum
MANY = RANDOM.standard_normal(10_000)


def rosenbrock(x):
    return float((100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum())


def rosenbrock_gradient(x):
    d, gradient = x[1:] - x[:-1] ** 2, np.zeros_like(x)
    gradient[1:] += 200 * d
    gradient[:-1] -= 400 * x[:-1] * d + 2 * (1 - x[:-1])
    return gradient


def single(x):
    return np.asarray(x, "float32")


# name: (f, gradient, x).  Every one of them is right.
FUNCTIONS = {
    "linear": (lambda x: C @ x, lambda x: C, X),
    "quadratic": (lambda x: ((W @ x) ** 2).sum(), lambda x: 2 * W.T @ (W @ x), X),
    "cubic": (lambda x: (x**3).sum(), lambda x: 3 * x**2, X),
    "fast oscillation": (lambda x: np.sin(1e5 * x).sum(), lambda x: 1e5 * np.cos(1e5 * x), X),
    "values of 1e8": (lambda x: (x**2).sum(), lambda x: 2 * x, 1e8 * X),
    "values of 1e-8": (lambda x: np.exp(x).sum(), np.exp, 1e-8 * X),
    "far from zero": (lambda x: ((x - 1e8) ** 2).sum(), lambda x: 2 * (x - 1e8), 1e8 + X),
    "results of 1e200": (lambda x: 1e200 * (x**3).sum(), lambda x: 3e200 * x**2, X),
    "results of 1e-100": (lambda x: 1e-100 * (x**3).sum(), lambda x: 3e-100 * x**2, X),
    "of all sizes": (lambda x: np.log(x).sum(), lambda x: 1 / x, 10.0 ** np.linspace(-8, 8, 40)),
    "close to a pole": (
        lambda x: np.tan(x).sum(),
        lambda x: 1 / np.cos(x) ** 2,
        math.pi / 2 - np.array([1e-5, 1, 0.5]),
    ),
    "at the edge of its domain": (lambda x: np.sqrt(x).sum(), lambda x: 0.5 / np.sqrt(x), 1e-6 * np.abs(X)),
    "overflowing nearby": (lambda x: np.exp(700 + x).sum() * 1e-300, lambda x: np.exp(700 + x) * 1e-300, X),
    "a large offset": (lambda x: 1e6 + (C * np.sin(x)).sum(), lambda x: C * np.cos(x), X),
    "rosenbrock": (rosenbrock, rosenbrock_gradient, X),
    "determinant": (np.linalg.det, lambda x: np.linalg.det(x) * np.linalg.inv(x).T, W[:6, :6]),
    "relu, not declared": (lambda x: np.maximum(W @ x, 0) @ C[:30], lambda x: W.T @ (C[:30] * (W @ x > 0)), X),
    "relu next to its kink": (lambda x: C @ np.maximum(x, 0), lambda x: C * (x > 0), np.where(X > 0, 1e-9, X)),
    "absolute value, zeros": (lambda x: np.abs(x).sum(), np.sign, ZEROS),
    "maximum": (lambda x: x.max(), lambda x: 1.0 * (np.arange(40) == x.argmax()), X),
    "maximum, ties": (lambda x: x.max(), lambda x: 1.0 * (np.arange(40) == x.argmax()), TIED),
    "sawtooth": (lambda x: float((x % 1).sum()), np.ones_like, X),
    "stationary": (lambda x: np.cos(x).sum(), lambda x: -np.sin(x), np.zeros(5)),
    "minimum": (lambda x: ((x - C) ** 2).sum(), lambda x: 2 * (x - C), C.copy()),
    "constant": (lambda x: 3.0, np.zeros_like, X),
    "zero": (lambda x: 0.0, np.zeros_like, X),
    "huge constant": (lambda x: 1e8, np.zeros_like, X),
    "a number": (math.sin, math.cos, 0.3),
    "one relu, inactive": (lambda x: np.maximum(x, 0), lambda x: 1.0 * (x > 0), -0.1),
    "an integer": (lambda x: x**2, lambda x: 2 * x, 3),
    "a list of integers": (lambda x: (x**3).sum(), lambda x: 3 * x**2, [1, 2, 3]),
    "ten thousand": (lambda x: np.sin(x).sum(), np.cos, MANY),
    "ten thousand relus": (lambda x: np.maximum(x, 0).sum(), lambda x: 1.0 * (x > 0), MANY),
    "float32 inside": (lambda x: float(np.sin(single(x)) @ single(C)), lambda x: np.cos(x) * C, X),
    "float32 outside": (lambda x: single(np.sin(x) @ C), lambda x: np.cos(x) * C, X),
    "one float32 number inside": (lambda x: float(np.sin(single(x))), np.cos, 0.7),
}
# What may be inconclusive, but never wrong.
HARD = {
    "all on kinks": (lambda x: np.abs(x).sum(), np.sign, np.zeros(5)),
    "one on its kink": (np.abs, np.sign, 0.0),
    "all tied": (lambda x: x.max(), lambda x: 1.0 * (np.arange(9) == x.argmax()), np.ones(9)),
    "curved on one side": (lambda x: (np.abs(x) ** 1.5).sum(), lambda x: 1.5 * np.sign(x) * np.abs(x) ** 0.5, ZEROS),
    "offset of 1e12": (lambda x: 1e12 + (x**3).sum(), lambda x: 3 * x**2, X),
    "cancellation": (lambda x: ((1e12 + x) - 1e12).sum(), np.ones_like, X),
    "one cancellation": (lambda x: (1e12 + x) - 1e12, np.ones_like, 0.7),
    "saturated": (lambda x: math.log(1 + math.exp(-x)), lambda x: -1 / (1 + math.exp(x)), 50.0),
    "steps": (lambda x: np.floor(3 * x).sum(), np.zeros_like, X),
    "float16 inside": (lambda x: float((x.astype("float16") ** 2).sum()), lambda x: 2 * x, X),
    "oscillation beyond float64": (lambda x: np.sin(1e12 * x).sum(), lambda x: 1e12 * np.cos(1e12 * x), X),
    "float32 of large numbers": (lambda x: float(np.sin(single(x)) @ single(C)), lambda x: np.cos(x) * C, 1e5 * X),
}


def one_off(gradient, by):
    """A gradient that is wrong in one element."""

    def wrong(x):
        found = np.array(gradient(x), float, copy=True)
        found.reshape(-1)[found.size // 2] += by * (np.abs(found).max() or 1)
        return found

    return wrong


MISTAKES = {
    "sign": lambda gradient, x: lambda x: -gradient(x),
    "a hundredth too large": lambda gradient, x: lambda x: 1.01 * gradient(x),
    "one element": lambda gradient, x: one_off(gradient, 0.01),
    "shifted by one": lambda gradient, x: lambda x: np.roll(gradient(x), 1),
    "zero": lambda gradient, x: lambda x: 0 * gradient(x),
}


def wrong_cases():
    """Name of a function and of a mistake, wherever that is one: no change of sign of zero, no kink's other slope."""
    for name, mistake in itertools.product(FUNCTIONS, MISTAKES):
        _, gradient, x = FUNCTIONS[name]
        x = np.asarray(x, float)
        right, wrong = (np.asarray(g(x), float) for g in (gradient, MISTAKES[mistake](gradient, x)))
        judged = x != 0 if name == "absolute value, zeros" else x < x.max() if name == "maximum, ties" else ...
        if not np.array_equal(right[judged], wrong[judged]):
            yield name, mistake


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Spend no time on the numerical gradient in every element of large inputs."""
    monkeypatch.setattr(verdict, "REFERENCE_SECONDS", 0.5)
    monkeypatch.setattr(measurement, "REFERENCE_SECONDS", 0.5)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_right_gradients_pass(name):
    f, gradient, x = FUNCTIONS[name]
    assert check_gradient(f, x, gradient, raising=True).passed


@pytest.mark.parametrize("name", HARD)
def test_right_gradients_of_hard_functions_never_fail(name):
    f, gradient, x = HARD[name]
    assert check_gradient(f, x, gradient).verdict in ("pass", "inconclusive")


@pytest.mark.parametrize(("name", "mistake"), list(wrong_cases()))
def test_wrong_gradients_fail(name, mistake):
    f, gradient, x = FUNCTIONS[name]
    assert check_gradient(f, x, MISTAKES[mistake](gradient, x)).verdict == "fail"


@pytest.mark.parametrize("error", [1e-3, 1e-5, 1e-7])
def test_one_element_of_ten_thousand_is_found_although_few_are_sampled(error):
    report = check_gradient(lambda x: np.sin(x).sum(), MANY, one_off(np.cos, error))
    assert report.verdict == "fail"
    assert report.inputs[0].checked == 64
    assert report.inputs[0].worst.index == (5000,)


def test_ties_counted_twice_fail_although_every_tied_element_sits_on_a_kink():
    report = check_gradient(lambda x: x.max(), TIED, lambda x: 1.0 * (x == x.max()))
    assert report.verdict == "fail"
    assert report.inputs[0].caught_by[0] == "directions"


@pytest.mark.parametrize("seed", range(20))
def test_any_seed_will_do(seed):
    f, gradient, x = FUNCTIONS["relu, not declared"]
    assert check_gradient(f, x, gradient, seed=seed).passed
    assert check_gradient(f, x, one_off(gradient, 1e-4), seed=seed, samples=4).verdict == "fail"


def test_value_and_gradient_in_one():
    both = lambda x: ((x**3).sum(), 3 * x**2)  # noqa: E731
    assert check_gradient(both, X).passed
    assert check_gradient(lambda x: (both(x)[0], 2 * both(x)[1]), X).verdict == "fail"


def test_the_gradient_itself():
    assert check_gradient(lambda x: (x**3).sum(), X, 3 * X**2).passed
    assert check_gradient(lambda x: (x**3).sum(), X, 3.001 * X**2).verdict == "fail"


def test_a_value_with_axes_of_length_one():
    assert check_gradient(lambda x: np.array([[C @ x]]), X, C).passed


def test_the_report_tells_index_and_both_values():
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    report = check_gradient(square, x, lambda x: 2 * x + [[0, 0], [1, 0]])
    found = report.inputs[0]
    assert found.worst.index == (1, 0)
    assert found.worst.got == 7
    assert found.worst.expected == pytest.approx(6)
    assert found.relative_error == pytest.approx(1 / 8)
    assert "(1, 0)" in str(report)


def test_order_and_curve():
    right = check_gradient(lambda x: np.exp(x).sum(), X, np.exp).inputs[0]
    wrong = check_gradient(lambda x: np.exp(x).sum(), X, lambda x: 1.1 * np.exp(x)).inputs[0]
    assert right.order == pytest.approx(2, abs=0.05)
    assert wrong.order == pytest.approx(1, abs=0.05)
    assert right.curve.falls == pytest.approx(2, abs=0.1)
    assert right.curve.rises == pytest.approx(-1, abs=0.2)
    assert min(right.curve.error) < 1e-9
    chosen = wrong.curve.steps.index(wrong.curve.best)
    assert np.min(wrong.curve.error[: chosen + 1]) > 0.05  # the plateau that no smaller step gets below


def test_the_sample_is_seeded():
    def drawn(seed):
        return np.flatnonzero(
            ~np.isnan(check_gradient(lambda x: np.sin(x).sum(), MANY, np.cos, seed=seed).inputs[0].expected)
        )

    np.testing.assert_array_equal(drawn(1), drawn(1))
    assert not np.array_equal(drawn(1), drawn(2))
    assert len(drawn(1)) == 64


def test_progress_is_told():
    seen = []
    check_gradient(lambda x: (x**2).sum(), X, lambda x: 2 * x, samples=3, on_element=lambda *step: seen.append(step))
    assert seen == [(1, 3), (2, 3), (3, 3)]


# Precision


def test_float32_is_checked_in_float64():
    report = check_gradient(lambda x: np.sin(x) @ C, single(X), lambda x: np.cos(x) * C)
    assert report.passed
    assert report.inputs[0].dtype == "float64"
    assert "it is checked in float64" in str(report)


def test_float32_if_asked_with_the_precision_to_expect():
    c = single(C)
    report = check_gradient(lambda x: np.sin(x) @ c, single(X), lambda x: np.cos(x) * c, keep_dtype=True)
    assert report.passed
    assert report.inputs[0].dtype == "float32"
    assert "2e-05" in str(report)
    wrong = check_gradient(lambda x: np.sin(x) @ c, single(X), lambda x: np.cos(x) * c * single(1.02), keep_dtype=True)
    assert wrong.verdict == "fail"


def test_a_function_that_computes_in_float32_is_told_so_not_failed():
    f, gradient, x = FUNCTIONS["float32 inside"]
    report = check_gradient(f, x, gradient)
    assert report.inputs[0].coarse
    assert "as if they were computed in float32" in str(report)
    assert not check_gradient(*[FUNCTIONS["cubic"][i] for i in (0, 2, 1)]).inputs[0].coarse


def test_a_gradient_that_alone_is_computed_in_float32_fails_by_that_name():
    report = check_gradient(lambda x: np.sin(x) @ C, X, lambda x: single(np.cos(x) * C).astype(float))
    assert report.verdict == "fail"
    assert report.inputs[0].diagnosis_key == "float32-round-off"


def test_a_gradient_handed_over_in_float32_is_judged_by_that_precision():
    gradient = np.cos(X) * C
    assert check_gradient(lambda x: np.sin(x) @ C, X, single(gradient)).passed
    assert check_gradient(lambda x: np.sin(x) @ C, X, single(1.001 * gradient)).verdict == "fail"


# Kinks


def test_declared_kinks_are_counted_and_named():
    x = np.concatenate([X, [0.0]])
    report = check_gradient(
        lambda x: np.maximum(x, 0).sum(), x, lambda x: 1.0 * (x > 0), kinks=relu_signs, raising=True
    )
    kinks = report.inputs[0].kinks
    assert kinks.not_judged == 1
    assert kinks.crossed == kinks.judged_closer + 1
    assert kinks.units["relu"] == kinks.crossed
    assert report.inputs[0].judged == 40


def test_too_many_elements_on_kinks_are_inconclusive():
    x = np.where(np.arange(40) < 25, 0, X)
    report = check_gradient(lambda x: np.maximum(x, 0).sum(), x, lambda x: 1.0 * (x > 0), kinks=relu_signs)
    assert report.verdict == "inconclusive"
    assert "Only 15 of 40 elements could be judged: 25 sit on a kink" in str(report)


def test_a_wrong_gradient_among_many_kinks_fails():
    x = np.where(np.arange(40) < 25, 0, X)
    report = check_gradient(lambda x: np.maximum(x, 0).sum(), x, lambda x: 1.1 * (x > 0), kinks=relu_signs)
    assert report.verdict == "fail"


def test_kinks_that_are_everywhere_excuse_nothing():
    flipping = lambda x: {"all": x.view("int64")}  # noqa: E731
    assert check_gradient(lambda x: (x**2).sum(), X, lambda x: 3 * x, kinks=flipping).verdict != "pass"
    assert check_gradient(lambda x: (x**2).sum(), X, lambda x: 2 * x, kinks=flipping).verdict == "inconclusive"


def test_undeclared_kinks_are_reported():
    report = check_gradient(*[HARD["all on kinks"][i] for i in (0, 2, 1)])
    assert report.verdict == "inconclusive"
    assert report.inputs[0].kinks.undeclared == 5


# Other methods


def test_the_complex_step_is_used_where_it_works():
    assert check_gradient(lambda x: np.exp(x).sum(), X, np.exp).inputs[0].complex_step < 1e-14
    assert check_gradient(lambda x: float(np.exp(x).sum()), X, np.exp).inputs[0].complex_step is None
    other = check_gradient(lambda x: float(np.exp(x).sum()), X, np.exp, complex_f=lambda x: np.exp(x).sum())
    assert other.inputs[0].complex_step < 1e-14


def test_the_complex_step_of_a_function_that_is_not_analytic_is_not_believed():
    report = check_gradient(lambda x: (np.abs(x) ** 2 + x).sum(), X, lambda x: 2 * x + 1)
    assert report.passed
    assert report.inputs[0].complex_step is None


def test_autograd_is_compared():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    report = check_gradient(lambda x: np.sin(x).sum(), X, np.cos, torch_f=lambda x: torch.sin(x).sum())
    assert report.inputs[0].autograd < 1e-15
    wrong = check_gradient(lambda x: np.sin(x).sum(), X, np.sin, torch_f=lambda x: torch.sin(x).sum())
    assert "autograd" in wrong.inputs[0].caught_by
    other = check_gradient(lambda x: np.sin(x).sum(), X, np.cos, torch_f=lambda x: torch.cos(x).sum())
    assert other.passed
    assert "other values" in str(other)


def test_without_pytorch_nothing_is_missing(monkeypatch):
    monkeypatch.setattr("scratchnst.verify.methods.oracles.is_available", lambda: False)
    report = check_gradient(lambda x: np.sin(x).sum(), X, np.cos, torch_f=lambda x: 1 / 0)
    assert report.passed
    assert report.inputs[0].autograd is None


# Bad functions: (f, gradient, x, what the report says)


def in_place(x):
    x *= 2
    return x.sum()


def raising(x):
    raise ValueError("no such luck")


def counting():
    counter = itertools.count()
    return lambda x: (x**2).sum() + next(counter)


def random_gradient():
    random = np.random.default_rng(0)
    return lambda x: 2 * x + random.standard_normal(x.shape)


def square(x):
    return (x**2).sum()


def double(x):
    return 2 * x


BAD = {
    "NaN": (lambda x: math.nan, double, X, "The value of f is nan"),
    "infinity": (lambda x: math.inf, double, X, "The value of f is inf"),
    "NaN in the gradient": (square, lambda x: np.where(x == X[3], np.nan, x), X, "nan at (3,) (1 of 40"),
    "changes its input": (in_place, np.ones_like, X, "f changes its input x"),
    "gradient changes its input": (square, lambda x: x.__imul__(2), X, "The gradient changes its input x"),
    "wrong shape": (square, lambda x: x[:3], X, "has the shape (3,); it must have that of its input, (40,)"),
    "transposed": (lambda x: (x**3).sum(), lambda x: 3 * x.T**2, W[:3, :2], "right after .transpose(1, 0)"),
    "wrong dtype": (square, lambda x: single(2 * x), X, "is float32 for an input in float64"),
    "integer gradient": (square, lambda x: np.ones(40, int), X, "is int64 for an input in float64"),
    "not deterministic": (counting(), double, X, "is not deterministic"),
    "gradient not deterministic": (square, random_gradient(), X, "The gradient is not deterministic"),
    "complex": (lambda x: square(x) + 1j, double, X, "The value of f is complex"),
    "complex gradient": (square, lambda x: 2j * x, X, "The gradient is complex"),
    "complex input": (square, double, X + 1j, "x is complex"),
    "raises": (raising, double, X, "f raises ValueError: no such luck"),
    "gradient raises": (square, raising, X, "The gradient raises ValueError: no such luck"),
    "an array": (np.square, double, X, "has the shape (40,); a gradient is that of a single number"),
    "None": (lambda x: None, double, X, "The value of f is None"),
    "text": (lambda x: "1.0", double, X, "The value of f is of type str"),
    "no gradient": (square, None, X, "f returns no gradient"),
    "gradient None": (square, lambda x: None, X, "The gradient is None"),
    "objects": (square, lambda x: np.array([None] * 40), X, "The gradient is an array of object"),
    "empty": (square, double, np.zeros((0, 3)), "has the shape (0, 3), so there is nothing to check"),
    "input NaN": (square, double, np.array([1.0, np.nan]), "x holds NaN or infinity"),
    "input None": (square, double, None, "x is None"),
    "input text": (square, double, "abc", "x is of type str"),
    "input true": (square, double, np.array([True]), "x is an array of bool"),
    "input ragged": (square, double, [[1], [1, 2]], "turning x into an array raises ValueError"),
    "not a function": (3, double, X, "f raises TypeError"),
    "arguments exchanged": (square, X, double, "x is a function"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_functions_get_a_sentence(name):
    f, gradient, x, sentence = BAD[name]
    report = check_gradient(f, x, gradient)
    assert report.verdict == "error"
    assert sentence in str(report)
    json.dumps(report.as_dict(), allow_nan=False)
    with pytest.raises(GradientError, match="error"):
        check_gradient(f, x, gradient, raising=True)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"samples": 0}, "samples must be 1 or more"),
        ({"kinks": lambda x: 3}, "kinks must return a dictionary"),
        ({"kinks": raising}, "kinks raises ValueError"),
        ({"torch_f": raising}, "The function for PyTorch raises ValueError"),
    ],
)
def test_bad_settings_get_a_sentence(settings, sentence):
    if "torch_f" in settings:
        pytest.importorskip("torch", reason="PyTorch is not installed")
    report = check_gradient(square, X, double, **settings)
    assert report.verdict == "error"
    assert sentence in str(report)


def test_kinks_that_change_their_shape():
    counter = itertools.count(1)
    report = check_gradient(square, X, double, kinks=lambda x: {"units": np.zeros(next(counter), int)})
    assert report.verdict == "error"
    assert "the same names and shapes" in str(report)


def test_a_function_that_fails_nearby_is_inconclusive_and_says_why():
    def only_here(x):
        if not np.array_equal(x, X):
            raise ValueError("only at one point")
        return 1.0

    report = check_gradient(only_here, X, np.zeros_like)
    assert report.verdict == "inconclusive"
    assert "Near x the function raises ValueError: only at one point" in str(report)


def test_noise_in_the_last_digits_is_noted_and_judged():
    random = np.random.default_rng(0)
    report = check_gradient(lambda x: square(x) * (1 + 1e-15 * random.standard_normal()), X, double)
    assert report.passed
    assert "differs from call to call by rounding" in str(report)


def test_an_interrupt_passes():
    def interrupted(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check_gradient(interrupted, X, double)


def test_inputs_are_left_alone():
    x = X.copy()
    x.setflags(write=False)
    assert check_gradient(square, x, double).passed
    np.testing.assert_array_equal(x, X)


# Operations


def convolution():
    random = np.random.default_rng(3)
    return [random.standard_normal(shape) for shape in ((2, 5, 4, 3), (3, 3, 3, 4), (4,))]


def test_an_operation_input_by_input():
    report = check_backward(conv2d.forward, conv2d.backward, convolution(), raising=True)
    assert report.operation == "conv2d"
    assert [found.name for found in report.inputs] == ["x", "w", "b"]
    assert all(found.adjoint < 1e-12 for found in report.inputs)
    assert [found.order for found in report.inputs] == [None, None, None]


def wrong_convolution(grad_y, cache):
    """A student's: dL/dx with the kernel not flipped."""
    _, w = cache
    zero = np.zeros(w.shape[2])
    return conv2d.forward(grad_y, w.swapaxes(2, 3), zero)[0], *conv2d.backward_parameters(grad_y, cache)


def test_a_students_convolution_is_told_what_to_mend():
    report = check_backward(conv2d.forward, wrong_convolution, convolution())
    x, w, b = report.inputs
    assert (x.verdict, w.verdict, b.verdict) == ("fail", "pass", "pass")
    assert x.diagnosis_key == "kernel-not-flipped"
    assert set(x.caught_by) >= {"elements", "directions", "order", "adjoint"}
    assert "not flipped" in str(report)


def test_a_single_array_and_a_single_gradient():
    assert check_backward(relu.forward, relu.backward, X, raising=True).inputs[0].name == "x"


def test_kinks_of_a_known_operation_need_no_declaring():
    report = check_backward(relu.forward, relu.backward, [ZEROS], raising=True)
    assert report.operation == "relu"
    assert report.inputs[0].kinks.not_judged == 8
    assert "relu" in report.inputs[0].kinks.units


def test_settings_by_partial():
    P = C.reshape(1, 5, 8, 1)
    forward = partial(content_loss.forward, P=P)
    report = check_backward(forward, content_loss.backward, [X.reshape(1, 5, 8, 1)], operation="content_loss")
    assert report.passed
    assert report.operation == "content_loss"
    wrong = check_backward(
        forward, lambda g, cache: 2 * content_loss.backward(g, cache), [X.reshape(1, 5, 8, 1)], operation="content_loss"
    )
    assert wrong.verdict == "fail"
    assert "half" in wrong.inputs[0].diagnosis_key


@pytest.mark.parametrize("keep_dtype", [False, True])
def test_float32_operations(keep_dtype):
    inputs = [x.astype("float32") for x in convolution()]
    report = check_backward(conv2d.forward, conv2d.backward, inputs, keep_dtype=keep_dtype, raising=True)
    assert report.inputs[0].dtype == ("float32" if keep_dtype else "float64")


def test_an_input_without_a_gradient():
    report = check_backward(lambda x, w: (w * x, (x, w)), lambda g, cache: (g * cache[1], None), [X, C], raising=True)
    assert [found.name for found in report.inputs] == ["x"]
    assert "no gradient for w" in str(report)


def test_no_gradient_at_all_is_no_pass():
    assert check_backward(lambda x: (2 * x, None), lambda g, cache: None, [X]).verdict == "error"


def forward_of(function):
    return lambda x: (function(x), x)


def spoil(grad_y, cache):
    grad_y *= 2
    return grad_y


def spoil_cache(grad_y, cache):
    cache *= 2
    return grad_y


def spoil_list(grad_y, cache):
    cache.append(1)
    return grad_y * len(cache)


# (forward, backward, inputs, what the report says)
BAD_OPERATIONS = {
    "no cache": (lambda x: 2 * x, lambda g, c: 2 * g, [X], "forward returns an array of float64 and of shape (40,)"),
    "three results": (lambda x: (x, x, x), lambda g, c: g, [X], "forward returns a tuple of 3"),
    "NaN": (forward_of(lambda x: x * np.nan), lambda g, c: g, [X], "The output of forward is nan at (0,)"),
    "complex": (forward_of(lambda x: x * 1j), lambda g, c: g, [X], "The output of forward is complex"),
    "raises": (raising, lambda g, c: g, [X], "forward raises ValueError"),
    "backward raises": (forward_of(double), lambda g, c: raising(g), [X], "backward raises ValueError"),
    "forward changes x": (lambda x: (x.__imul__(2), None), lambda g, c: 2 * g, [X], "forward changes its input x"),
    "backward changes grad_y": (forward_of(double), spoil, [X], "backward changes the upstream gradient"),
    "backward changes x": (lambda x: (x * 1.0, x), spoil_cache, [X], "backward changes the input x"),
    "backward changes its cache": (lambda x: (2 * x, [0]), spoil_list, [X], "not deterministic"),
    "too few gradients": (lambda x, w: (x * w, (x, w)), lambda g, c: g, [X, C], "returns 1 gradients for 2 inputs"),
    "wrong shape": (forward_of(double), lambda g, c: 2 * g[:5], [X], "has the shape (5,)"),
    "wrong dtype": (forward_of(double), lambda g, c: single(2 * g), [X], "is float32 for an input in float64"),
    "empty output": (forward_of(lambda x: x[:0]), lambda g, c: np.zeros(40), [X], "has the shape (0,), no elements"),
    "no inputs": (forward_of(double), lambda g, c: g, [], "There are no inputs"),
    "names": (forward_of(double), lambda g, c: 2 * g, [X], "1 inputs but 2 names"),
}


@pytest.mark.parametrize("name", BAD_OPERATIONS)
def test_bad_operations_get_a_sentence(name):
    forward, backward, inputs, sentence = BAD_OPERATIONS[name]
    names = ["x", "y"] if name == "names" else None
    report = check_backward(forward, backward, inputs, names=names)
    assert report.verdict == "error"
    assert sentence in str(report)
    with pytest.raises(GradientError):
        check_backward(forward, backward, inputs, names=names, raising=True)


def test_a_wrong_gradient_beside_a_refused_one():
    report = check_backward(lambda x, w: (x * w, (x, w)), lambda g, c: (g[:3], g), [X, C])
    assert [found.verdict for found in report.inputs] == ["error", "fail"]


def test_a_forward_that_returns_float32_is_noted():
    report = check_backward(lambda x: (single(2 * x), None), lambda g, c: 2 * g.astype("float64"), [X])
    assert report.passed
    assert "forward turns float64 into float32" in str(report)


def test_arguments_that_hide_their_names():
    report = check_backward(lambda *xs: (xs[0] * xs[1], xs), lambda g, c: (g * c[1], g * c[0]), [X, C], raising=True)
    assert [found.name for found in report.inputs] == ["input 1", "input 2"]


def test_pools_with_ties():
    x = np.zeros((1, 4, 6, 2))  # as behind a ReLU
    x[0, 1:3, 2:5] = RANDOM.standard_normal((2, 3, 2))
    assert check_backward(average_pool.forward, average_pool.backward, [x], raising=True)
    assert check_backward(max_pool.forward, max_pool.backward, [x], kinks=pool_winners).verdict in (
        "pass",
        "inconclusive",
    )


def test_a_gram_matrix_of_one_image():
    report = check_backward(gram.forward, gram.backward, [X.reshape(1, 2, 5, 4)], raising=True)
    assert report.operation == "gram"
    assert report.inputs[0].order == pytest.approx(2, abs=0.05)
    assert report.inputs[0].adjoint is None


# Functions that have no value or no slope a step away: name: (f, slope, lowest, highest number)
ENDS = {
    "logarithm": (np.log, lambda x: 1 / x, 0, 2),
    "square root": (np.sqrt, lambda x: 0.5 / np.sqrt(x), 0, 2),
    "arcsine": (np.arcsin, lambda x: 1 / np.sqrt((1 - x) * (1 + x)), -1, 1),
    "inverse hyperbolic tangent": (np.arctanh, lambda x: 1 / ((1 - x) * (1 + x)), -1, 1),
    "power": (lambda x: x**1.5, lambda x: 1.5 * x**0.5, 0, 2),
}


def between(lowest, highest, seed):
    """Random numbers, some of them close to the ends."""
    parts = np.random.default_rng(seed).uniform(0.05, 0.95, (4, 5))
    parts[0, 1], parts[2, 3] = 1e-4, 1 - 1e-4
    return lowest + (highest - lowest) * parts


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ENDS)
def test_functions_with_a_limited_domain(name, seed):
    f, slope, *ends = ENDS[name]
    x = between(*ends, seed)
    check_backward(forward_of(f), lambda g, x: g * slope(x), [x], seed=seed, raising=True)
    assert check_backward(forward_of(f), lambda g, x: 1.001 * g * slope(x), [x], seed=seed).verdict == "fail"


@pytest.mark.parametrize("seed", range(24))
def test_a_few_elements_on_a_kink_do_not_make_a_right_gradient_wrong(seed):
    random = np.random.default_rng(seed)
    x = random.uniform(1, 250, (8, 9))
    x.ravel()[random.choice(72, 3, replace=False)] = 255

    def backward(g, x):
        return g * (x < 255)

    assert check_backward(forward_of(lambda x: np.clip(x, 0, 255)), backward, [x], seed=seed).verdict != "fail"


def pooled(x):
    return x.reshape(2, 2, 2, 2).max(axis=(1, 3))


# (f, gradient, x, whether it lies between the slopes on both sides)
ON_KINKS = {
    "relu, 7": (lambda x: np.maximum(x, 0).sum(), lambda x: 7.0 + 0 * x, np.zeros((2, 3)), False),
    "relu, -0.1": (lambda x: np.maximum(x, 0).sum(), lambda x: (x > 0) - 0.1 * (x == 0), ZEROS, False),
    "relu, 0": (lambda x: np.maximum(x, 0).sum(), lambda x: 0 * x, np.zeros((2, 3)), True),
    "relu, a half": (lambda x: np.maximum(x, 0).sum(), lambda x: (x > 0) + 0.5 * (x == 0), ZEROS, True),
    "absolute value, -3": (lambda x: np.abs(x).sum(), lambda x: np.sign(x) - 3 * (x == 0), ZEROS, False),
    "absolute value, 1": (lambda x: np.abs(x).sum(), lambda x: np.sign(x) + (x == 0), ZEROS, True),
    "hinge, 1": (lambda x: np.maximum(1 - x, 0).sum(), lambda x: 1.0 * (x == 1) - (x < 1), np.ones(5), False),
    "max pool, 9": (lambda x: pooled(x).sum(), lambda x: 9.0 + 0 * x, np.ones((4, 4)), False),
    "several at one place": (
        lambda x: (np.maximum(2 * x, 0) - np.maximum(-x, 0)).sum(),
        lambda x: 0 * x,
        np.zeros(4),
        True,  # the slopes are 2 and 1, and the chain rule with a ReLU's slope 0 at 0 gives 0
    ),
}


@pytest.mark.parametrize("name", ON_KINKS)
def test_on_a_kink_a_gradient_lies_between_the_slopes_on_both_sides(name):
    f, gradient, x, is_right = ON_KINKS[name]
    report = check_gradient(f, x, gradient)
    assert (report.verdict != "fail") == is_right
    assert ("on a kink, a gradient lies between" in str(report)) != is_right


def keeping(where):
    """A forward and a backward that keep x outside of the cache."""
    kept = {}

    def forward(x):
        if where == "buffer":
            kept.setdefault("x", np.zeros_like(x))[...] = x
        else:
            kept["x"] = x.copy()
        return np.sin(x), kept["x"] if where == "buffer" else None

    return forward, lambda g, cache: g * np.cos(kept["x"] if cache is None else cache)


@pytest.mark.parametrize("x", [X, np.zeros(4), np.full((1, 1), 0.3)])
@pytest.mark.parametrize("where", ["buffer", "elsewhere"])
def test_what_forward_leaves_outside_of_the_cache(where, x):
    report = check_backward(*keeping(where), [x])
    assert report.verdict == "error"
    assert "what the last call of forward left behind" in str(report)


def test_one_buffer_for_every_gradient():
    buffer = np.zeros(40)
    report = check_backward(forward_of(np.sin), lambda g, x: np.multiply(g, np.cos(x), out=buffer), [X])
    assert report.verdict == "error"
    assert "backward returns the same array each time" in str(report)
    report = check_gradient(lambda x: np.sin(x).sum(), X, lambda x: np.cos(x, out=buffer))
    assert report.verdict == "error"
    assert "The gradient returns the same array each time" in str(report)


def test_a_buffer_for_every_output_is_noted():
    buffer = np.zeros(40)
    report = check_backward(lambda x: (np.sin(x, out=buffer), x), lambda g, x: g * np.cos(x), [X.copy()], raising=True)
    assert "forward returns the same array each time" in str(report)


@pytest.mark.parametrize("second", [lambda g: g, lambda g: g[:], lambda g: g.reshape(g.shape)])
def test_one_array_as_two_gradients(second):
    report = check_backward(lambda a, b: (a + b, None), lambda g, _: (g, second(g)), [X, C])
    assert report.verdict == "error"
    assert "one array as the gradients of a and b" in str(report)
    check_backward(lambda a, b: (a + b, None), lambda g, _: (g, g.copy()), [X, C], raising=True)


def test_a_gradient_that_uses_what_the_function_left_behind():
    kept = {}

    def f(x):
        kept["x"] = x.copy()
        return (x**2).sum()

    assert check_gradient(f, X, lambda x: 2 * kept["x"]).verdict == "error"


class Series:
    """Numbers in a wrapper, as other libraries have them."""

    dtype = "numbers"

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values, dtype)


class Opaque:
    """Something with a dtype that is no array."""

    dtype = "nothing"


@pytest.mark.parametrize("wrap", ["torch", Series])
def test_arrays_of_other_libraries(wrap):
    if wrap == "torch":
        wrap = pytest.importorskip("torch").tensor
    check_gradient(lambda x: wrap((x**2).sum()), X, double, raising=True)
    check_gradient(lambda x: (x**2).sum(), X, lambda x: wrap(2 * x), raising=True)
    check_gradient(lambda x: (wrap((x**2).sum()), wrap(2 * x)), X, raising=True)
    check_backward(lambda x: (wrap(x**2), x), lambda g, x: 2 * g * x, [X], raising=True)
    check_backward(lambda x: (x**2, x), lambda g, x: wrap(2 * g * x), [X], raising=True)
    assert check_gradient(lambda x: (x**2).sum(), X, lambda x: wrap(x)).verdict == "fail"


@pytest.mark.parametrize("result", [Opaque(), {"x": 1}, [None], [[1], [1, 2]], b"1", {1.0}])
def test_results_that_are_no_numbers(result):
    for report in (
        check_gradient(lambda x: result, X, double),
        check_gradient(square, X, lambda x: result),
        check_backward(lambda x: (result, x), lambda g, x: g, [X]),
        check_backward(lambda x: (x**2, x), lambda g, x: result, [X]),
    ):
        assert report.verdict == "error"
