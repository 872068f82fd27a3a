"""What TF32 costs in accuracy, emulated."""

from __future__ import annotations

from scratchnst.bench import precision, problem


def test_tf32_costs_three_digits_and_float32_few():
    network = problem.random_network(narrower=2)  # as wide as Winograd's convolution wants it
    errors = {(name, start): (loss, gradient) for name, start, loss, gradient in precision.measure(network, 16)}
    assert list(errors) == [(name, start) for name in ("float32", "tf32") for start in ("white noise", "content")]
    for start in ("white noise", "content"):
        loss, gradient = errors["float32", start]
        assert loss < 1e-5
        assert gradient < 1e-3  # a ReLU may fall on the other side of 0
        loss, gradient = errors["tf32", start]
        assert 1e-6 < loss < 1e-2
        assert 2e-3 < gradient < 5e-2
