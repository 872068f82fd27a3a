"""Winograd's convolution on the emulator: its matrices from the points alone, its results from the textbook."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from fractions import Fraction

import numpy as np
import pytest
from numerical import relative_error

from scratchnst.engine import sessions
from scratchnst.engine.cpu import winograd as on_cpu
from scratchnst.engine.cuda import device, emulator, kernels, products, winograd
from scratchnst.engine.cuda.emulator.cublas import rounded_to_tf32
from scratchnst.engine.cuda.emulator.launch import KernelFault
from scratchnst.ops import conv2d as textbook

TOLERANCE = {"float32": 1e-5, "float64": 1e-13}
POINTS = [Fraction(0), Fraction(1), Fraction(-1), Fraction(1, 2), Fraction(-2)]  # and infinity
ONCE = pytest.mark.parametrize("order", ["forward"], indirect=True)
ODD_SHAPES = [((1, 1, 1, 3), 2), ((1, 1, 9, 1), 3), ((2, 5, 7, 33), 1), ((3, 4, 4, 2), 65), ((1, 13, 3, 40), 7)]


@pytest.fixture(params=["forward", "reverse"], autouse=True)
def order(request):
    """The emulator, its threads in either order."""
    with emulator.installed(request.param):
        yield request.param


@pytest.fixture
def small_pieces(monkeypatch):
    """Pieces of three tiles, for four channels."""
    monkeypatch.setattr(winograd, "NUMBERS", 3 * 36 * 4)


def case(random, shape, outputs, dtype):
    """Return x, w, b, an upstream gradient and a mask for it."""
    count, height, width, channels = shape
    x, g = (random.standard_normal((count, height, width, n)).astype(dtype) for n in (channels, outputs))
    w, b = (
        random.standard_normal((3, 3, channels, outputs)).astype(dtype),
        random.standard_normal(outputs).astype(dtype),
    )
    return x, w, b, g, random.random(g.shape) > 0.4


def there(*arrays):
    return [device.asarray(array) for array in arrays]


def errors(random, shape, outputs, dtype):
    """Return how far y, dL/dx and dL/dw are from the textbook's in float64."""
    x, w, b, g, mask = case(random, shape, outputs, dtype)
    y, _ = winograd.convolve(*there(x, w, b))
    grad_x = winograd.convolve_back(*there(g, w, mask))
    grad_w = winograd.kernel_gradient(*there(x, g, mask))
    assert y.dtype == grad_x.dtype == grad_w.dtype == dtype
    exact = [array.astype("float64") for array in (x, w, b)]
    masked = (g * mask).astype("float64")
    expected = textbook.forward(*exact)[0], *textbook.backward(masked, tuple(exact[:2]))[:2]
    return [relative_error(one.get(), other) for one, other in zip((y, grad_x, grad_w), expected)]


class TestMatrices:
    """What the kernels make of unit vectors, against the polynomials that the points define."""

    def launch(self, name, images, shape):
        """Return what a kernel makes, (36, ...), of images of one channel, whose tiles are all asked for."""
        numbers = device.empty(shape, "float64")
        winograd._launch_tiles(name, images, 0, shape[1], images, None, numbers)
        return numbers.get()

    def unit_images(self, count, side, offset):
        """Return an image for each of `count` pixels in a square, that pixel 1 and all others 0."""
        images, edge = np.zeros((count, side, side, 1)), round(count**0.5)
        for index in range(count):
            images[index, offset + index // edge, offset + index % edge] = 1
        return device.asarray(images)

    def evaluation(self, n):
        """V_n: its rows evaluate a polynomial of n coefficients at the points."""
        return np.array([[point**k for k in range(n)] for point in POINTS] + [[0] * (n - 1) + [1]], float)

    def lagrange(self):
        """Return for each point the coefficients of the product of t - p over the other points p, and its value."""
        rows, values = [], []
        for point in [*POINTS, None]:
            coefficients, value = [Fraction(1)], Fraction(1)  # the constant first
            for other in POINTS:
                if other != point:
                    coefficients = [a - other * b for a, b in zip([0, *coefficients], [*coefficients, 0])]
                    value *= 1 if point is None else point - other
            rows.append(coefficients + [0] * (6 - len(coefficients)))
            values.append(value)
        return np.array(rows, float), np.array(values, float)

    def test_of_the_input(self):
        """Of 3x3 tiles the middle one's 6x6 pixels begin at pixel 3."""
        D = self.launch("winograd_input", self.unit_images(36, 12, offset=3), (36, 36 * 9, 1))
        B_T, _ = self.lagrange()
        np.testing.assert_array_equal(D.reshape(36, 36, 9)[:, :, 4], np.kron(B_T, B_T))

    def test_of_the_kernel(self):
        w = device.asarray(np.eye(9).reshape(3, 3, 1, 9))
        G = self.evaluation(3) / self.lagrange()[1][:, None]
        U = winograd._kernel_at_points(w, "float64").get().reshape(36, 9)
        np.testing.assert_allclose(U, np.kron(G, G), rtol=1e-15, atol=0)
        flipped = winograd._kernel_at_points(w, "float64", flip=True).get().reshape(36, 9)
        np.testing.assert_array_equal(flipped, U[:, ::-1])

    def test_of_the_output(self):
        y = device.empty((36, 4, 4, 1), "float64")
        M = device.asarray(np.eye(36)[:, :, None])
        winograd._launch_tiles("winograd_output", y, 0, 36, M, None, y, None)
        A_T = self.evaluation(4).T
        np.testing.assert_array_equal(y.get().reshape(36, 16).T, np.kron(A_T, A_T))

    def test_of_the_gradient(self):
        grad_M = self.launch("winograd_gradient", self.unit_images(16, 4, offset=0), (36, 16, 1))
        A = self.evaluation(4)
        np.testing.assert_array_equal(grad_M[:, :, 0], np.kron(A, A))

    def test_of_the_kernels_gradient(self):
        grad_U, grad_w = device.asarray(np.eye(36).reshape(36, 1, 36)), device.empty((3, 3, 1, 36), "float64")
        winograd._launch_pairs("winograd_kernel_gradient", grad_w, grad_U, grad_w, 36)
        G = self.evaluation(3) / self.lagrange()[1][:, None]
        np.testing.assert_allclose(grad_w.get().reshape(9, 36), np.kron(G, G).T, rtol=1e-15, atol=0)


@pytest.mark.parametrize(("shape", "outputs"), ODD_SHAPES)
def test_there_and_back_as_the_textbook(random, shape, outputs, dtype):
    assert np.max(errors(random, shape, outputs, dtype)) < TOLERANCE[dtype]


@pytest.mark.parametrize(("shape", "outputs"), [((1, 9, 10, 2), 2), ((3, 5, 3, 1), 3), ((2, 4, 4, 9), 20)])
def test_in_several_pieces(random, small_pieces, shape, outputs):
    assert len(winograd.pieces(shape, shape[3] + outputs)) > 1
    assert np.max(errors(random, shape, outputs, "float64")) < TOLERANCE["float64"]


def test_bias_relu_and_mask(random, dtype):
    x, w, b, g, mask = case(random, (2, 6, 9, 5), 4, dtype)
    x_, w_, b_, g_, mask_ = there(x, w, b, g, mask)
    plain, none = winograd.convolve(x_, w_)
    with_bias, _ = winograd.convolve(x_, w_, b_)
    rectified, positive = winograd.convolve(x_, w_, b_, relu=True)
    assert none is None
    assert positive.dtype == bool
    np.testing.assert_array_equal(with_bias.get(), plain.get() + b)
    np.testing.assert_array_equal(rectified.get(), np.maximum(with_bias.get(), 0))
    np.testing.assert_array_equal(positive.get(), with_bias.get() > 0)

    masked = device.asarray(g * mask)
    for with_mask, without in [
        (winograd.convolve_back(g_, w_, mask_), winograd.convolve_back(masked, w_)),
        (winograd.kernel_gradient(x_, g_, mask_), winograd.kernel_gradient(x_, masked)),
        (winograd.convolve(g_, w_.swapaxes(2, 3), mask=mask_)[0], winograd.convolve(masked, w_.swapaxes(2, 3))[0]),
    ]:
        np.testing.assert_array_equal(with_mask.get(), without.get())


@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_nan_and_infinity_stay_in_the_tiles_that_look_at_them(random, poison):
    """Pixel (5, 9) is seen from the tile at (4, 8) alone, pixel (3, 5) also from the tile below its own."""
    x, w, b, g, _ = case(random, (1, 12, 12, 3), 2, "float64")
    healthy = winograd.convolve(*there(x, w, b))[0].get()
    for row, column, spoilt in [(5, 9, [(1, 2)]), (3, 5, [(0, 1), (1, 1)])]:
        broken = x.copy()
        broken[0, row, column, 1] = poison
        y = winograd.convolve(*there(broken, w, b))[0].get()
        assert not np.isfinite(y[0, row - 1 : row + 2, column - 1 : column + 2]).any()
        same = (y == healthy).reshape(3, 4, 3, 4, 2).all(axis=(1, 3, 4))
        assert [tuple(tile) for tile in np.argwhere(~same)] == spoilt
    mask = np.ones(g.shape, bool)
    g[0, 5, 5], mask[0, 5, 5] = poison, False
    assert np.isfinite(winograd.convolve_back(*there(g, w, mask)).get()).all()
    assert np.isfinite(winograd.kernel_gradient(*there(x, g, mask)).get()).all()


def test_relu_lets_nan_pass_and_calls_it_not_positive():
    x, w = np.full((1, 4, 4, 1), np.nan), np.ones((3, 3, 1, 1))
    y, positive = winograd.convolve(*there(x, w), relu=True)
    assert np.isnan(y.get()).all()
    assert not positive.get().any()


@pytest.mark.parametrize(
    ("shape", "outputs"),
    [((0, 4, 4, 3), 2), ((1, 0, 4, 3), 2), ((1, 4, 0, 3), 2), ((1, 4, 5, 0), 2), ((1, 4, 5, 2), 0)],
)
def test_nothing_to_convolve(random, shape, outputs):
    x, w, b, g, _ = case(random, shape, outputs, "float32")
    y, _ = winograd.convolve(*there(x, w, b))
    np.testing.assert_array_equal(y.get(), np.broadcast_to(b, y.shape))
    assert winograd.convolve_back(*there(g, w)).get().tolist() == np.zeros(x.shape).tolist()
    assert winograd.kernel_gradient(*there(x, g)).get().tolist() == np.zeros(w.shape).tolist()


def test_what_is_given_may_lie_anyhow_and_stays_as_it_is(random):
    x, w, b, g, mask = case(random, (2, 6, 5, 4), 3, "float32")
    given = there(x[:, ::-1, :, ::2], w[::-1, :, ::2], b.astype("float64")[::-1], g, mask)
    before = [array.get() for array in given]
    y, _ = winograd.convolve(*given[:3])
    winograd.convolve_back(given[3][:, :, ::-1], given[1], given[4])
    expected, _ = textbook.forward(*(array.astype("float64") for array in before[:3]))
    assert y.dtype == "float32"
    assert relative_error(y.get(), expected) < TOLERANCE["float32"]
    for array, same in zip(given, before):
        np.testing.assert_array_equal(array.get(), same)


def typical_error(y, exact):
    return np.sqrt(np.mean((y - exact) ** 2) / np.mean(exact**2))


@ONCE
def test_rounding_is_like_the_cpu_engines(random):
    """In float32, of as many channels as there are in VGG19's first block."""
    x, w, b, _, _ = case(random, (1, 16, 16, 64), 64, "float32")
    exact, _ = textbook.forward(*(array.astype("float64") for array in (x, w, b)))
    ours = typical_error(winograd.convolve(*there(x, w, b))[0].get(), exact)
    assert ours < 1.3 * typical_error(on_cpu.convolve(x, w, b)[0], exact)
    assert ours < 3e-6


@ONCE
def test_in_tf32_rounding_is_six_or_seven_times_a_direct_convolutions(random):
    x, w, b, _, _ = case(random, (1, 16, 16, 64), 64, "float32")
    exact, _ = textbook.forward(*(array.astype("float64") for array in (x, w, b)))
    direct, _ = textbook.forward(rounded_to_tf32(x).astype("float64"), rounded_to_tf32(w), b)
    with products.precision("tf32"):
        ours, _ = winograd.convolve(*there(x, w, b))
    assert 5 < typical_error(ours.get(), exact) / typical_error(direct, exact) < 9


class TestPieces:
    def test_all_tiles_once_and_none_too_large(self, monkeypatch, random):
        for _ in range(50):
            monkeypatch.setattr(winograd, "NUMBERS", int(random.integers(1, 5000)))
            shape, channels = (*random.integers(0, 4, 1), *random.integers(0, 40, 2)), int(random.integers(1, 20))
            pieces = winograd.pieces(shape, channels)
            tiles = [tile for first, count in pieces for tile in range(first, first + count)]
            assert tiles == list(range(shape[0] * -(-shape[1] // 4) * -(-shape[2] // 4)))
            assert all(count == 1 or 36 * count * channels <= winograd.NUMBERS for _, count in pieces)

    def test_vgg19_at_512_pixels(self):
        assert len(winograd.pieces((1, 512, 512), 128)) == 2
        assert len(winograd.pieces((1, 256, 256), 192)) == 1

    def test_workspace_is_what_is_allocated(self, random, monkeypatch, small_pieces):
        x, w, _, _, _ = case(random, (1, 9, 10, 2), 2, "float64")
        sizes, empty = [], device.empty
        monkeypatch.setattr(device, "empty", lambda shape, dtype: sizes.append(np.prod(shape)) or empty(shape, dtype))
        winograd.convolve(*there(x, w))
        U, y, *pieces = sizes
        assert (U, y) == (36 * 4, 9 * 10 * 2)
        largest = max(D + M for D, M in zip(pieces[::2], pieces[1::2]))
        assert winograd.workspace(x.shape, w.shape) == {"D and M": largest, winograd.KERNEL: U}

    def test_rows_too_long_to_count(self, monkeypatch):
        monkeypatch.setattr(winograd, "LONGEST_ROW", 8)
        with pytest.raises(ValueError, match="too wide"):
            winograd.convolve(device.zeros((1, 2, 3, 2), "float32"), device.zeros((3, 3, 2, 3), "float32"))


class TestSessions:
    @pytest.fixture
    def made(self, monkeypatch):
        """Whether a kernel was flipped, for each that was transformed."""
        flips, launch = [], winograd._launch_pairs

        def watched(kernel, array, *arguments):
            flips.append(arguments[-1])
            launch(kernel, array, *arguments)

        monkeypatch.setattr(winograd, "_launch_pairs", watched)
        return flips

    def there_and_back(self, x, w, b, g):
        return winograd.convolve(x, w, b)[0].get(), winograd.convolve_back(g, w).get()

    def test_a_kernel_is_transformed_once_for_each_way(self, random, made):
        arrays = there(*case(random, (1, 5, 5, 3), 2, "float64")[:4])
        expected = self.there_and_back(*arrays)
        assert made == [False, True]
        with sessions.session(keep_kernels=True):
            for keep in (True, False):
                with sessions.session(keep_kernels=keep):  # part of the one around it
                    for array, wanted in zip(self.there_and_back(*arrays), expected):
                        np.testing.assert_array_equal(array, wanted)
        assert made == [False, True] * 2
        self.there_and_back(*arrays)
        assert made == [False, True] * 3

    def test_kernels_and_dtypes_are_told_apart(self, random, made):
        x, w, b, g = there(*case(random, (1, 5, 5, 3), 2, "float64")[:4])
        with sessions.session(keep_kernels=True):
            y, _ = self.there_and_back(x, w, b, g)
            doubled, _ = self.there_and_back(x, w * 2, b, g)  # the kernel is gone, the session has it still
            self.there_and_back(x, w * 3, b, g)
            self.there_and_back(x.astype("float32"), w, b, g.astype("float32"))
        np.testing.assert_allclose(doubled - b.get(), 2 * (y - b.get()), rtol=1e-10, atol=1e-12)
        assert len(made) == 8

    def test_a_session_that_keeps_nothing(self, random, made):
        arrays = there(*case(random, (1, 5, 5, 3), 2, "float64")[:4])
        with sessions.session():
            self.there_and_back(*arrays)
            self.there_and_back(*arrays)
        assert len(made) == 4


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("(even + odd) + THREE_HALVES * (d3 + d2)", "(even + odd) + THREE_HALVES * (d3 - d2)"),
        (
            "if (row < rows && column < columns)\n                (y",
            "if (row <= rows && column < columns)\n                (y",
        ),
        ("from.column -= 1;", ""),
        ("TILE * (tile % across)", "TILE * (tile % down)"),
    ],
)
@ONCE
def test_planted_mistakes_are_seen(random, monkeypatch, right, wrong):
    text = kernels.source("winograd")
    assert text.count(right) == 1
    monkeypatch.setattr(kernels, "source", lambda file: text.replace(right, wrong))
    monkeypatch.setattr(kernels, "_module", kernels._module.__wrapped__)
    monkeypatch.setattr(kernels, "_kernel", kernels._kernel.__wrapped__)
    with contextlib.suppress(KernelFault):  # the emulator may be the first to see it
        assert not np.max(errors(random, (2, 5, 9, 2), 3, "float64")) < 1e-4  # NaN is no success either


@pytest.mark.parametrize(("architecture", "real"), [("sm_75", "float"), ("sm_90", "float"), ("sm_90", "double")])
@ONCE
def test_everything_stays_in_registers(tmp_path, architecture, real):
    """A stack frame would mean that a thread's numbers lie in memory."""
    if not shutil.which("nvcc"):
        pytest.skip("nvcc is not installed")
    command = ["nvcc", "-std=c++17", f"-arch={architecture}", f"-DREAL={real}", "--ptxas-options=-v", "-cubin"]
    file = kernels.FOLDER / "winograd.cu"
    run = subprocess.run([*command, "-o", str(tmp_path / "cubin"), str(file)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    frames = re.findall(r"(\d+) bytes stack frame, (\d+) bytes spill stores", run.stdout + run.stderr)
    assert frames == [("0", "0")] * len(kernels.signatures("winograd"))
