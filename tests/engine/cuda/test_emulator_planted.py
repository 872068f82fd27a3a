"""The harness proves itself: mistakes planted in the kernels' sources are found, and without them nothing is.

Each line below is a mistake that somebody could make.  It must show as wrong numbers beside the textbook's, or as a
report of the emulator; which of the two, and of what, stands beside it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import kernels_at_work
import pytest
from kernels_at_work import FILES, mistakes, planted

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="the emulator needs g++, which is not installed")

NUMBERS = "wrong numbers"
BEYOND = "has written .* after its last element"
BARRIER = "not all threads reach the same barrier"

# Texts of the sources
INSIDE = "if (index < count)\n        y[index]"  # relu.cu
WRITE_Y = "if (row < rows && column < columns)\n                (y"  # winograd.cu
NEXT_PIXEL = "index += THREADS) {\n                int v"  # tiled_gradient.cu
HALVES = "        __syncthreads();\n        if (thread < half)"  # block_sum.cuh
BEFORE_PRODUCTS = "        __syncthreads();\n\n        for (int c = 0"  # tiled.cu
LAST_PIXEL = "pixel < pixels * (strip + 1) / strips"  # instance_norm.cu
END_OF_CHUNK = "        __syncthreads();\n    }\n\n    const int p"
BEFORE_SUMS = "            __syncthreads();\n\n            real sum"  # tiled_gradient.cu


def without_barrier(text):
    return text.replace("__syncthreads();", "")


PLANTED = [
    # One element too many
    ("relu", INSIDE, INSIDE.replace("<", "<="), BEYOND),
    ("average_pool", "(place >= length)", "(place > length)", BEYOND),
    ("reflection_pad", "(place >= length)", "(place > length)", BEYOND),
    ("windows", "(place >= Q * length)", "(place > Q * length)", BEYOND),
    ("column_sums", "if (column >= columns)", "if (column > columns)", BEYOND),
    ("column_sums", "row < rows * (strip + 1) / strips", "row <= rows * (strip + 1) / strips", NUMBERS),
    ("total_variation", "if (place < row - channels)", "if (place <= row - channels)", NUMBERS),
    ("total_variation", "% height < height - 1", "% height < height", NUMBERS),
    ("naive", "[index] = sum > 0", "[index + 1] = sum > 0", BEYOND),
    ("tiled", "u >= 0 && u < height", "u >= 0 && u <= height", NUMBERS),
    ("winograd", WRITE_Y, WRITE_Y.replace(" && column < columns", ""), BEYOND),
    ("instance_norm", LAST_PIXEL, LAST_PIXEL.replace("< pixels", "<= pixels"), NUMBERS),
    ("instance_norm", "strip = index / columns;", "strip = index / columns + 1;", BEYOND),
    # A neighbour instead of the element itself
    ("relu", "x[index] < 0 ? 0 : x[index]", "x[index + 1] < 0 ? 0 : x[index]", NUMBERS),
    ("preprocess", "= x[reversed ? index - channel + 2", "= x[reversed ? index + 2", NUMBERS),
    ("sums", "int index = threadIdx.x;", "int index = threadIdx.x + 1;", NUMBERS),
    ("tiled", "patch[row + i][(column", "patch[row + i + 1][(column", NUMBERS),
    ("winograd", "    from.row -= 1;", "", NUMBERS),
    # A wrong stride
    ("average_pool", "2LL * q * channels", "2LL * q * (channels - 1)", NUMBERS),
    ("reflection_pad", "mirrored(row % (height + 2 * rows)", "mirrored(row % (height + rows)", NUMBERS),
    ("windows", "% P) * stride + i", "% P) + i", NUMBERS),
    ("naive", "weights + (long long)c * outputs", "weights + (long long)c * channels", NUMBERS),
    ("instance_norm", "/ (pixels * channels) * channels", "/ pixels * channels", NUMBERS),
    ("instance_norm", "(2 * strip + 1) * columns", "(strip + 1) * columns", NUMBERS),
    ("winograd", "[(long long)point * tiles * channels] = numbers", "[(long long)point * tiles] = numbers", NUMBERS),
    # Left unwritten
    ("squares", "difference[index] = d;", "", NUMBERS),
    ("instance_norm", "positive[index] = value > 0;", ";", NUMBERS),
    ("max_pool", "winner[(long long)row * length + place] = first;", "", NUMBERS),
    ("tiled_gradient", NEXT_PIXEL, NEXT_PIXEL.replace("THREADS", "2 * THREADS"), NUMBERS),
    # A missing barrier
    ("squares", HALVES, without_barrier(HALVES), NUMBERS),
    ("sums", HALVES, without_barrier(HALVES), NUMBERS),
    ("tiled", BEFORE_PRODUCTS, without_barrier(BEFORE_PRODUCTS), NUMBERS),
    ("tiled", END_OF_CHUNK, without_barrier(END_OF_CHUNK), NUMBERS),
    ("tiled_gradient", BEFORE_SUMS, without_barrier(BEFORE_SUMS), NUMBERS),
    # A barrier that not all threads reach
    ("tiled", END_OF_CHUNK, END_OF_CHUNK.replace("__sync", "if (row) __sync"), BARRIER),
    ("tiled_gradient", "if (u < 0 || u >= height)", "if (u < 0 || u >= height || lane == 1)", BARRIER),
    ("total_variation", HALVES, HALVES.replace("__sync", "if (thread < half) __sync"), BARRIER),
    # A race that shows in one order only
    ("squares", "if (thread < half)", "if (thread <= half)", NUMBERS),
    # Arguments that are not what the kernel takes
    ("column_sums", "const double* parts, real* sums", "const real* parts, real* sums", "parts is of float32"),
    ("relu", "const real* x, real* y", "real* x, const real* y", "assignment of read-only location"),
    # Plain arithmetic
    ("relu", "y[index] > 0 ? grad_y", "y[index] >= 0 ? grad_y", NUMBERS),
    ("instance_norm", "(u + (along", "(g[index] + (along", NUMBERS),
    ("relu", "x[index] < 0 ? 0 : x[index]", "max(x[index], (real)0)", NUMBERS),
    ("max_pool", "if (other > largest)\n            first", "if (other >= largest)\n            first", NUMBERS),
    ("reflection_pad", "2 * (length - 1) - i", "2 * length - 1 - i", NUMBERS),
    ("windows", "2 * (length - 1) - u", "2 * length - 1 - u", NUMBERS),
    ("windows", "if (p >= P ||", "if (", NUMBERS),
    ("windows", "window_row >= last - first", "window_row > last - first", NUMBERS),
    ("winograd", "THIRD * (w0 + w2 + w1)", "THIRD * (w0 + w2 - w1)", NUMBERS),
]  # fmt: skip


PLANTED_IDS = [f"{number} {file}" for number, (file, *_) in enumerate(PLANTED)]


def test_every_kernel_is_at_work_and_has_a_mistake_planted():
    assert sorted(kernels_at_work.WORK) == FILES
    assert {file for file, *_ in PLANTED} == set(FILES)


@pytest.mark.parametrize("order", ["forward", "reverse"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("file", FILES)
def test_as_they_are_the_kernels_make_no_mistake(file, dtype, order):
    assert mistakes(file, dtype, order) == []


@pytest.mark.parametrize(("file", "text", "replacement", "_"), PLANTED, ids=PLANTED_IDS)
def test_what_is_to_be_replaced_is_there(file, text, replacement, _):
    with planted(file, text, replacement):
        pass


@pytest.mark.slow
@pytest.mark.parametrize(("file", "text", "replacement", "report"), PLANTED, ids=PLANTED_IDS)
def test_a_planted_mistake_is_found(file, text, replacement, report):
    with planted(file, text, replacement):
        found = mistakes(file, order="forward") + mistakes(file, order="reverse")
    assert any(re.search(report, mistake) for mistake in found), found
    assert mistakes(file) == []


def test_a_text_that_no_longer_occurs_is_told():
    with pytest.raises(LookupError, match="occurs 0 times"), planted("relu", "nothing of the kind", ""):
        pass


# ---- AddressSanitizer ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sanitized():
    """Return a function that runs Python with AddressSanitizer; kernels have UndefinedBehaviourSanitizer as well."""
    library = subprocess.run(["g++", "-print-file-name=libasan.so"], capture_output=True, text=True).stdout.strip()
    if not Path(library).is_file():
        pytest.skip("AddressSanitizer's library (libasan) is not installed")
    options = {"LD_PRELOAD": library, "ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "print_stacktrace=1"}

    def run(*arguments):
        command = [sys.executable, *arguments]
        return subprocess.run(command, env={**os.environ, **options}, capture_output=True, text=True)

    return run


AT_WORK = kernels_at_work.__file__


@pytest.mark.slow
def test_no_kernel_touches_what_lies_outside_of_its_arrays(sanitized):
    done = sanitized(AT_WORK)
    assert done.stdout == "nothing is wrong\n", done.stderr
    assert done.returncode == 0


SUITES = ["test_operations.py", "test_convolution.py", "test_strided_convolution.py", "test_instance_norm.py"]


@pytest.mark.slow
@pytest.mark.parametrize("suite", SUITES)
def test_nor_does_any_in_the_tests_of_the_engines(sanitized, suite):
    """Odd shapes, single pixels, batches, empty images, in either order; what checks gradients only repeats them."""
    chosen = ["-m", "not slow", "-k", "emulated and not checker"]
    done = sanitized("-m", "pytest", "-q", "-p", "no:cacheprovider", *chosen, str(Path(__file__).parents[1] / suite))
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d{3} passed", done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "text", "replacement", "report"),
    [
        # Read, and then forgotten: no number is wrong
        ("winograd", "= (nearest(from.row + step, height) - top)", "= (from.row + step - top)", "heap-buffer-overflow"),
        ("relu", INSIDE, "const volatile real next = x[index + 1];\n    " + INSIDE, "heap-buffer-overflow"),
        ("tiled", "for (int c = 0; c < CHUNK; ++c)", "for (int c = 0; c <= CHUNK; ++c)", "out of bounds|overflow"),
        ("tiled_gradient", "pixels[q + j][channel]", "pixels[q + j + 1][channel]", "out of bounds|overflow"),
        ("naive", "positive[index] =", "positive[index + 1] =", "heap-buffer-overflow"),
    ],
)  # fmt: skip
def test_the_sanitizers_find_what_leaves_no_trace(sanitized, file, text, replacement, report):
    done = sanitized(AT_WORK, file, text, replacement)
    assert done.returncode != 0
    assert re.search(rf"(AddressSanitizer: |runtime error: ).*({report})", done.stderr), done.stderr or done.stdout
    assert f"{file}.cu:" in done.stderr
