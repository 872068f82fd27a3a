"""The emulated GPU: kernels run as a GPU runs them, and what a GPU would let pass is told."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import numpy as np
import pytest

from scratchnst.engine.cuda import emulator
from scratchnst.engine.cuda.emulator import compiler
from scratchnst.errors import UserError

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="the emulator needs g++, which is not installed")


@pytest.fixture(params=["forward", "reverse"])
def cupy(request):
    """The emulator in CuPy's place, in either order."""
    with emulator.installed(request.param):
        import cupy

        yield cupy


def kernel(cupy, signature, body, before="", options=()):
    """Return the kernel ``f(signature)`` that does `body`."""
    code = f'{before}\nextern "C" __global__ void f({signature})\n{{\n{textwrap.dedent(body)}\n}}\n'
    return cupy.RawModule(code=code, options=options).get_function("f")


def floats(cupy, *numbers):
    return cupy.asarray(np.array(numbers, np.float32))


# ---- Threads, blocks and barriers -----------------------------------------------------------------------------------


def test_every_thread_of_every_block_runs_once_and_knows_its_place(cupy):
    places = cupy.zeros((2 * 3 * 4 * 5 * 2 * 3, 6), "int32")
    f = kernel(
        cupy,
        "int* places",
        """
        int block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
        int thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
        int* place = places + 6 * (thread + blockDim.x * blockDim.y * blockDim.z * block);
        int mine[] = {int(blockIdx.z), int(blockIdx.y), int(blockIdx.x),
                      int(threadIdx.z), int(threadIdx.y), int(threadIdx.x)};
        for (int i = 0; i < 6; ++i) place[i] += mine[i];
        """,
    )
    f((2, 3, 4), (5, 2, 3), (places,))
    sides = 4, 3, 2, 3, 2, 5
    assert (places.get() == np.indices(sides).reshape(6, -1).T).all()


def test_threads_wait_for_each_other_at_a_barrier(cupy):
    x = cupy.arange(256, dtype="float32")
    turned = kernel(
        cupy,
        "float* x",
        """
        __shared__ float all[256];
        all[threadIdx.x] = x[threadIdx.x];
        __syncthreads();
        x[threadIdx.x] = all[255 - threadIdx.x];
        """,
    )
    turned((1,), (256,), (x,))
    assert (x.get() == np.arange(256)[::-1]).all()


def test_without_the_barrier_the_others_numbers_are_not_there_yet(cupy):
    x = cupy.arange(256, dtype="float32")
    body = "__shared__ float all[256]; all[threadIdx.x] = x[threadIdx.x]; x[threadIdx.x] = all[255 - threadIdx.x];"
    kernel(cupy, "float* x", body)((1,), (256,), (x,))
    assert np.isnan(x.get()).sum() == 128


def test_a_barrier_that_is_missing_at_the_end_of_a_round(cupy):
    """The next round's number is there before all have read this round's."""
    body = """
        __shared__ float number;
        float sum = 0;
        for (int round = 0; round < 3; ++round) {{
            if (threadIdx.x == {writer}) number = round;
            __syncthreads();
            sum += number;
            {barrier}
        }}
        x[threadIdx.x] = sum;
    """
    right, wrong = [], []
    for writer in (0, 63):
        for found, barrier in ((right, "__syncthreads();"), (wrong, "")):
            x = cupy.zeros(64, "float32")
            kernel(cupy, "float* x", body.format(writer=writer, barrier=barrier))((1,), (64,), (x,))
            found.append((x.get() == 3).all())
    assert right == [True, True]
    assert False in wrong


def test_shared_memory_is_poisoned_before_every_block(cupy):
    x = cupy.zeros((4, 32), "float32")
    body = "__shared__ float s[32]; x[32 * blockIdx.x + threadIdx.x] = s[threadIdx.x]; s[threadIdx.x] = 1;"
    kernel(cupy, "float* x", body)((4,), (32,), (x,))
    assert np.isnan(x.get()).all()


def test_local_variables_hold_nothing_usable(cupy):
    if not compiler._knows(compiler._POISONED_VARIABLES):
        pytest.skip("this version of g++ cannot poison local variables")
    x = floats(cupy, 0)
    kernel(cupy, "float* x", "volatile float sum[8]; x[0] = sum[3];")((1,), (1,), (x,))
    assert abs(float(x)) > 1e30


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("if (threadIdx.x < 7) __syncthreads();", "waits in line"),
        ("if (threadIdx.x == 9) return; __syncthreads();", "has returned"),
        (
            "if (threadIdx.x < 7)\n__syncthreads();\nelse\n__syncthreads();",
            "waits in line 5 of kernel.cu, thread .* in line 7 of kernel.cu",
        ),
        ("if (threadIdx.x < 32) __syncthreads();", "waits in line"),
        ("if (threadIdx.x % 32 < 7) __syncwarp();", "waits in line"),
        ("for (int i = 0; i < threadIdx.x; ++i) __syncthreads();", "has returned"),
        ("__shfl_down_sync(0xFFFF, 1, 1);", "shuffles in line 4 of kernel.cu with a mask"),
    ],
)
def test_a_barrier_that_not_all_threads_reach(cupy, body, complaint):
    f = kernel(cupy, "", body)
    with pytest.raises(emulator.KernelFault, match=f"f: .*{complaint}"):
        f((2,), (64,), ())
    turned = kernel(cupy, "float* x", "__syncthreads(); x[threadIdx.x] = threadIdx.x;")
    x = cupy.zeros(64, "float32")
    turned((1,), (64,), (x,))  # and afterwards all is as before
    assert (x.get() == np.arange(64)).all()


@pytest.mark.parametrize("threads", [1, 31, 32, 33, 100, 1024])
def test_warps_of_32_threads_have_barriers_and_shuffles_of_their_own(cupy, threads):
    x = cupy.zeros(threads, "float32")
    body = """
        float sum = threadIdx.x;
        if (threadIdx.x / warpSize % 2 == 0)
            for (int by = 1; by < warpSize; by *= 2)
                sum += __shfl_xor_sync(0xFFFFFFFF, sum, by);
        x[threadIdx.x] = sum;
    """
    kernel(cupy, "float* x", body)((1,), (threads,), (x,))
    expected = np.arange(threads, dtype=float)
    for first in range(0, threads, 64):
        warp = expected[first : first + 32]
        warp[...] = warp.sum() if len(warp) == 32 else np.nan  # the lanes that are not there have no numbers
    assert np.array_equal(x.get(), expected, equal_nan=True)


def test_shuffles_up_down_and_from_a_lane(cupy):
    x = cupy.zeros((3, 32), "float64")
    body = """
        double mine = threadIdx.x;
        x[threadIdx.x] = __shfl_up_sync(0xFFFFFFFF, mine, 2);
        x[threadIdx.x + 32] = __shfl_down_sync(0xFFFFFFFF, mine, 2);
        x[threadIdx.x + 64] = __shfl_sync(0xFFFFFFFF, mine, 5);
    """
    kernel(cupy, "double* x", body)((1,), (32,), (x,))
    lanes = np.arange(32)
    up, down = np.where(lanes < 2, lanes, lanes - 2), np.where(lanes > 29, lanes, lanes + 2)
    assert (x.get() == [up, down, np.full(32, 5)]).all()


def test_the_order_is_the_one_asked_for():
    for order, last in (("forward", 4 * 64 - 1), ("reverse", 0)):
        with emulator.installed(order):
            import cupy

            x = cupy.zeros(1, "int32")
            kernel(cupy, "int* x", "x[0] = blockIdx.x * blockDim.x + threadIdx.x;")((4,), (64,), (x,))
            assert int(x) == last


# ---- What the language offers ---------------------------------------------------------------------------------------


def test_min_and_max_are_cudas(cupy):
    nan = np.nan
    x = cupy.zeros(6, "float32")
    body = "x[0] = max(nan, 0.f); x[1] = min(2, nan); x[2] = max(2, 3ll); x[3] = min(3u, 2); x[4] = max(1.5, 2.f);"
    kernel(cupy, "float* x, float nan", body + "x[5] = min(-1.f, 0.);")((1,), (1,), (x, np.float32(nan)))
    assert x.tolist() == [0, 2, 3, 2, 2, -1]


def test_functions_and_types_without_a_header(cupy):
    x = cupy.zeros(9, "float32")
    body = """
        x[0] = fma(2.f, 3.f, 1.f); x[1] = sqrtf(4); x[2] = rsqrt(4.f); x[3] = fabs(-1.f); x[4] = isfinite(x[0]);
        float4 four = make_float4(1, 2, 3, 4);
        x[5] = four.w; x[6] = __ldg(&x[5]); x[7] = twice(TWO); x[8] = TABLE[1];
    """
    before = """
        __constant__ float TABLE[2] = {5, 6};
        __device__ __forceinline__ float twice(float x) { return 2 * x; }
    """
    kernel(cupy, "float* __restrict__ x", body, before, ("-DTWO=2", "--use_fast_math"))((1,), (1,), (x,))
    assert x.tolist() == [7, 2, 0.5, 1, 1, 4, 4, 4, 6]


@pytest.mark.parametrize(
    "body",
    ["atomicAdd(x, 1.f);", "extern __shared__ float all[]; x[0] = all[0];", "x[0] = 1", "goto nowhere;"],
)
def test_what_is_no_cuda_or_not_offered_does_not_compile(cupy, body):
    with pytest.raises(cupy.cuda.compiler.CompileException, match=r"kernel\.cu:4"):
        kernel(cupy, "float* x", body)


def test_a_kernel_that_is_not_there(cupy):
    with pytest.raises(cupy.cuda.driver.CUDADriverError, match="NOT_FOUND"):
        cupy.RawModule(code="").get_function("f")


def test_without_gpp_the_user_is_told_what_to_install(cupy, monkeypatch):
    compiler._command.cache_clear()
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(UserError, match=r"g\+\+.*install"):
        kernel(cupy, "", "// compiled by nobody yet")
    monkeypatch.undo()
    compiler._command.cache_clear()


def test_several_processes_may_compile_the_same_source_at_once(tmp_path):
    program = """
        from scratchnst.engine.cuda.emulator import compiler
        code = 'extern "C" __global__ void f(float* x) { x[0] = 1; }'
        print(compiler.compile(code, ())["f"].parameters[0].type)
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}

    def run(_):
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    with ThreadPoolExecutor() as threads:
        assert list(threads.map(run, range(3))) == ["float32\n"] * 3
    (folder,) = tmp_path.iterdir()
    assert len(list(folder.iterdir())) == 1
    assert folder.stat().st_mode & 0o077 == 0


def test_a_folder_that_somebody_else_could_write_into_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr(compiler.tempfile, "tempdir", str(tmp_path))
    compiler._folder.cache_clear()
    folder = compiler._folder()
    assert folder.stat().st_mode & 0o022 == 0
    folder.chmod(0o777)
    compiler._folder.cache_clear()
    assert compiler._folder() != folder
    compiler._folder.cache_clear()


# ---- A launch -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("grid", "block"),
    [
        ((1,), (1025,)),
        ((1,), (32, 33)),
        ((1,), (1, 1, 65)),
        ((1, 65536), (1,)),
        ((1, 1, 65536), (1,)),
        ((2**31,), (1,)),
    ],
)
def test_a_configuration_that_a_gpu_refuses(cupy, grid, block):
    with pytest.raises(cupy.cuda.driver.CUDADriverError, match="CUDA_ERROR_INVALID_VALUE"):
        kernel(cupy, "", "")(grid, block, ())


def test_grid_and_block_are_tuples(cupy):
    for grid, block in (([1], (1,)), ((1,), [1]), (1, (1,)), ((1,), 32)):
        with pytest.raises(TypeError):
            kernel(cupy, "", "")(grid, block, ())


def test_more_threads_than_launch_bounds_promise(cupy):
    code = 'extern "C" __global__ void __launch_bounds__(2 * SIDE, 4) f(float* x) { x[0] = 1; }'
    f = cupy.RawModule(code=code, options=("-DSIDE=8",)).get_function("f")
    x = floats(cupy, 0)
    f((1,), (16,), (x,))
    assert float(x) == 1
    with pytest.raises(cupy.cuda.driver.CUDADriverError):
        f((1,), (17,), (x,))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint8"])
@pytest.mark.parametrize("size", [1, 3, 1000, 2_000_000])
def test_a_number_written_beside_an_array(cupy, dtype, size):
    element = {"float32": "float", "float64": "double", "int32": "int", "uint8": "unsigned char"}[dtype]
    x, y = cupy.zeros(size, dtype), cupy.zeros(size, dtype)
    f = kernel(cupy, f"const {element}* x, {element}* y, long long index", "y[index] = x[0];")
    far = f"{500 * x.itemsize} bytes after its last"
    for index, side in ((-1, "right before its first"), (size, "right after its last"), (size + 500, far)):
        with pytest.raises(emulator.KernelFault, match=rf"f, argument 1 \(y\): .* written {side} element"):
            f((1,), (1,), (x, y, index))
    f((1,), (1,), (x, y, size - 1))


def test_a_view_has_its_guards_at_its_own_ends(cupy):
    x = cupy.zeros((5, 4), "float32")
    f = kernel(cupy, "float* x, int index", "x[index] = 1;")
    for index in (-1, 4):
        with pytest.raises(emulator.KernelFault, match=r"its (first|last) element"):
            f((1,), (1,), (x[2], np.int32(index)))
    f((1,), (1,), (x[2], np.int32(3)))
    assert x.sum() == x[2, 3] == 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_number_read_beside_an_array_shows_in_the_result(cupy, dtype):
    element = {"float32": "float", "float64": "double"}[dtype]
    x, y = cupy.ones(10, dtype), cupy.empty(2, dtype)
    f = kernel(cupy, f"const {element}* x, {element}* y", "y[0] = x[-1]; y[1] = x[10];")
    f((1,), (1,), (x, y))
    assert np.isfinite(y.get()).all()
    assert (y.get() > 1e15).all()


def test_what_is_left_unwritten_is_not_a_number(cupy):
    y = cupy.empty(10, "float32")
    kernel(cupy, "float* y", "if (threadIdx.x != 7) y[threadIdx.x] = 0;")((1,), (10,), (y,))
    assert np.flatnonzero(np.isnan(y.get())).tolist() == [7]


def test_what_is_declared_const_must_not_change(cupy):
    f = kernel(cupy, "const float* x", "const_cast<float*>(x)[0] = 1;")
    with pytest.raises(emulator.KernelFault, match=r"argument 0 \(x\).*const"):
        f((1,), (1,), (floats(cupy, 0),))


def test_one_array_for_two_parameters(cupy):
    x = cupy.arange(8, dtype="float32")
    step = "y[threadIdx.x] = x[threadIdx.x] + 1;"
    kernel(cupy, "const float* x, float* y", step)((1,), (8,), (x, x))
    assert x.tolist() == list(range(1, 9))
    with pytest.raises(emulator.KernelFault, match=r"argument 1 \(y\) overlaps with argument 0 \(x\)"):
        kernel(cupy, "const float* __restrict__ x, float* y", step)((1,), (8,), (x, x))
    with pytest.raises(emulator.KernelFault, match="overlaps"):
        kernel(cupy, "const float* x, float* y", step)((1,), (4,), (x[:4], x[2:6]))
    kernel(cupy, "const float* x, float* y", step)((1,), (4,), (x[:4], x[4:]))
    assert x.tolist() == [1, 2, 3, 4, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("parameter", "good", "bad"),
    [
        ("int n", [np.int32(1)], [1, 1.0, np.int64(1), np.uint32(1), np.float32(1)]),
        ("long long n", [1, np.int64(1)], [np.int32(1), 1.0, True]),
        ("float n", [np.float32(1)], [1.0, 1, np.int32(1)]),
        ("double n", [1.0, np.float64(1)], [1, np.float32(1)]),
        ("bool n", [True, np.bool_(True)], [1, np.uint8(1)]),
        ("const float* n", [np.uint64(0)], [0, None, np.uint64(8), np.zeros(1, np.float32), np.int64(0)]),
    ],
)
def test_numbers_of_another_type_than_the_parameters(cupy, parameter, good, bad):
    f = kernel(cupy, parameter, "")
    for value in good:
        f((1,), (1,), (value,))
    for value in bad:
        with pytest.raises(emulator.KernelFault, match=r"f, argument 0 \(n\)"):
            f((1,), (1,), (value,))


def test_arrays_of_another_type_than_the_parameters(cupy):
    f = kernel(cupy, "const float* x, unsigned char* mask", "")
    x, mask = cupy.zeros((4, 4), "float32"), cupy.zeros(4, bool)
    f((1,), (1,), (x, mask))
    f((1,), (1,), (x, cupy.zeros(4, "uint8")))
    wrong = [(x.astype("float64"), mask), (x, x), (x.T, mask), (x[:, 1:], mask), (x,), (x, mask, mask)]
    for arguments in wrong:
        with pytest.raises(emulator.KernelFault, match=r"^f"):
            f((1,), (1,), arguments)


def test_an_array_without_numbers_is_a_null_pointer(cupy):
    y = cupy.zeros(1, "int32")
    kernel(cupy, "const float* x, int* y", "y[0] = x == nullptr;")((1,), (1,), (cupy.zeros((0, 3), "float32"), y))
    assert int(y) == 1


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("x[1ll << 45] = 1;", "reads or writes where there is no memory"),
        ("x[0] = x[-(1ll << 45)];", "reads or writes where there is no memory"),
        ("((float*)nullptr)[threadIdx.x] = 1;", "reads or writes where there is no memory"),
        ("x[0] = int(threadIdx.x) / zero;", "divides an integer by zero"),
    ],
)
def test_what_would_kill_the_program(cupy, body, said):
    x = cupy.zeros(8, "float32")
    f = kernel(cupy, "float* x, int zero", f"__syncthreads(); if (threadIdx.x >= 3) {{ {body} }} __syncthreads();")
    for _ in range(2):
        with pytest.raises(emulator.KernelFault, match=rf"f: thread \([37], 0, 0\) {said}"):
            f((2,), (8,), (x, np.int32(0)))
    kernel(cupy, "float* x", "__syncthreads(); x[threadIdx.x] = 1;")((1,), (8,), (x,))
    assert x.sum() == 8


def test_a_folder_for_kernels_that_is_somebody_elses(monkeypatch, tmp_path):
    """Another user may have made it, or it may be no folder at all."""
    monkeypatch.setattr(compiler.tempfile, "tempdir", str(tmp_path))
    (tmp_path / f"scratchnst-emulator-{os.getuid()}").touch()
    found = compiler._folder.__wrapped__()
    assert found.is_dir()
    assert found.parent == tmp_path


def test_only_arrays_of_its_own_can_be_made_contiguous(cupy):
    with pytest.raises(TypeError, match="incorrect type"):
        cupy.ascontiguousarray(np.ones(3))


@pytest.mark.parametrize("body", ["", "__syncthreads();"])
def test_a_loop_without_end_is_told(body):
    loop = f"for (volatile int i = 0; i == 0;) {{ {body} }}"
    with emulator.installed():
        import cupy

        f = kernel(cupy, "", f"if (blockIdx.x == 1) {loop}", options=("-DPATIENCE=100",))
        with pytest.raises(emulator.KernelFault, match="has not come to its end: is there a loop without one"):
            f((3,), (8,), ())
        f((1,), (8,), ())


def test_ctrl_c_ends_a_kernel():
    with emulator.installed():
        import cupy

        f = kernel(cupy, "int n", "for (volatile int i = 0; i == 0 && n;) __syncthreads();")
        f((1,), (8,), (np.int32(0),))
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            f((1,), (8,), (np.int32(1),))
        f((1,), (8,), (np.int32(0),))


def test_a_launch_with_dynamic_shared_memory_is_refused(cupy):
    with pytest.raises(emulator.KernelFault, match="dynamic shared memory"):
        kernel(cupy, "", "")((1,), (1,), (), shared_mem=16)


# ---- In CuPy's place ------------------------------------------------------------------------------------------------


def test_a_cupy_that_is_imported_is_back_afterwards(monkeypatch):
    real = {name: ModuleType(name) for name in ("cupy", "cupy.cuda", "cupy.linalg")}
    for name, module in real.items():
        monkeypatch.setitem(sys.modules, name, module)
    with emulator.installed():
        import cupy.cuda
        from cupy.cuda import cublas

        assert cupy is not real["cupy"]
        assert cupy.cuda.cublas is cublas
        assert "cupy.linalg" not in sys.modules
        with emulator.installed("reverse"):
            import cupy as again
        assert again is cupy is sys.modules["cupy"]
    assert {name: sys.modules[name] for name in real} == real
    assert "cupy.cuda.cublas" not in sys.modules


def test_without_cupy_there_is_none_afterwards(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "cupy"]:
        monkeypatch.delitem(sys.modules, name)
    with emulator.installed():
        pass
    assert "cupy" not in sys.modules


def test_an_order_that_there_is_not():
    with pytest.raises(ValueError, match="forward or reverse"), emulator.installed("backward"):
        pass
    assert "cupy" not in sys.modules


def test_numpy_1_computes_other_dtypes_than_cupy(monkeypatch):
    monkeypatch.setattr(np, "__version__", "1.26.4")
    with pytest.raises(UserError, match=r"NumPy 2.*1\.26\.4"), emulator.installed():
        pass
