"""Arrays of the emulated GPU: CuPy's results, and CuPy's refusals."""

from __future__ import annotations

import copy
import functools
import gc
import inspect
import itertools
import math
import re

import numpy as np
import pytest

from scratchnst.engine.cuda import emulator
from scratchnst.engine.cuda.emulator import arrays, cublas, cuda, library


@pytest.fixture
def cupy():
    """The emulator in CuPy's place."""
    with emulator.installed():
        import cupy

        yield cupy


NUMBERS = np.array([[1.5, -2.0, 3.0], [0.0, 4.0, -1.0]], np.float32)


# ---- Nothing that CuPy does not have --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real():
    """CuPy itself: it can be imported, and looked at, on a machine without a GPU."""
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed: what the emulator offers is not compared with it")
    try:
        return functools.reduce(getattr, ("cuda", "cublas"), cupy) and cupy
    except ImportError as problem:
        pytest.skip(f"CuPy lacks cuBLAS: {problem}")


def signature(function):
    """Return the signature of a function, also of one that has it in the first line of its documentation; or None."""
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        line = re.match(r"[\w.]+\((.*)\)", (getattr(function, "__doc__", None) or "").strip())
    if line is None:
        return None
    parameters = re.sub(r"\b(_ndarray_base|Py_ssize_t|int|bool|size_t|intptr_t) (?=\w)", "", line[1]).replace("\\", "")
    try:
        return inspect.signature(eval(f"lambda {parameters}: None"))
    except SyntaxError:
        return None


def lacking(ours, theirs):
    """Return the parameters of our function that theirs does not have in the same place."""
    if not callable(ours):
        return []
    our, their = signature(ours), signature(theirs)
    if our is None or their is None:
        return []
    if any(one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD) for one in their.parameters.values()):
        return []
    named = [one for one in our.parameters.values() if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    placed = [one.name for one in named if one.default is one.empty and one.kind is not one.KEYWORD_ONLY]
    missing = [one.name for one in named if one.name not in their.parameters and one.name not in placed]
    return missing + placed[len(their.parameters) :]


def offers():
    """Return the name of everything that the emulator offers, with it, and how it is found in CuPy."""
    places = {
        "": (library, [name for name in vars(library) if not name.startswith("_")]),
        "ndarray": (arrays.ndarray, [name for name in vars(arrays.ndarray) if not name.startswith("_")]),
        "linalg": (library.linalg, list(vars(library.linalg))),
        "cuda": (cuda, cuda.__all__),
        "cuda.cublas": (cublas, cublas_names()),
    }
    for part in ("runtime", "driver", "device", "compiler", "memory"):
        name, ours = f"cuda.{part}", getattr(cuda, part)
        places[name] = ours, [one for one in vars(ours) if not one.startswith("_") and one != "TEXTS"]
    for name in ("Device", "Event", "MemoryPool", "MemoryPointer"):
        ours = getattr(cuda, name)
        places[f"cuda.{name}"] = ours, [one for one in vars(ours) if not one.startswith("_")]
    for place, (ours, names) in places.items():
        for name in names:
            yield f"{place}.{name}".lstrip("."), getattr(ours, name)


def cublas_names():
    return [name for name in vars(cublas) if re.match("CUBLAS|gemm|getVersion", name)]


OURS_ALONE = {"cuda.MemoryPool.enter"}


def test_there_is_nothing_that_cupy_does_not_have(real):
    strange = {}
    for path, ours in offers():
        try:
            theirs = functools.reduce(getattr, path.split("."), real)
        except AttributeError:
            strange[path] = "is not there"
        else:
            if lacking(ours, theirs):
                strange[path] = f"does not take {lacking(ours, theirs)}"
    assert strange.keys() == OURS_ALONE, strange


def test_numbers_that_stand_for_something_are_cupys(real):
    for name in cublas_names():
        if name.startswith("CUBLAS_"):
            assert getattr(cublas, name) == getattr(real.cuda.cublas, name), name
    for name in ("CUDA_R_32F", "CUDA_R_64F"):
        assert getattr(cuda.runtime, name) == getattr(real.cuda.runtime, name)


def test_what_is_raised_is_of_cupys_kind(real):
    for name in ("memory.OutOfMemoryError", "runtime.CUDARuntimeError", "driver.CUDADriverError"):
        part, error = name.split(".")
        ours, theirs = (getattr(getattr(module, part), error) for module in (cuda, real.cuda))
        assert ours.__mro__[1:] == theirs.__mro__[1:]


# ---- Arithmetic -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "bool"])
@pytest.mark.parametrize(
    "number", [2, 2.5, True, np.float64(2), np.float32(2), np.int32(2), np.bool_(True)], ids=lambda one: repr(one)
)
def test_numbers_beside_arrays_promote_as_in_numpy_2(cupy, dtype, number):
    ours, theirs = cupy.ones(3, dtype), np.ones(3, dtype)
    for result, expected in ((ours * number, theirs * number), (number * ours, number * theirs)):
        assert isinstance(result, cupy.ndarray)
        assert result.dtype == expected.dtype
        assert (result.get() == expected).all()


def test_operators_and_functions_compute_what_numpys_do(cupy):
    a, b = NUMBERS, np.array([2, 3, -1], np.float32)
    x, y = cupy.asarray(a), cupy.asarray(b)
    pairs = [
        (x + y, a + b), (x - 1, a - 1), (2 / (y * y), 2 / (b * b)), (-x, -a), (abs(x), abs(a)), (x**2, a**2),
        (x > y, a > b), ((x > 0) & (x < 2), (a > 0) & (a < 2)), (x @ y, a @ b), (y @ y, b @ b), (x.T, a.T),
        (np.sqrt(abs(x)), np.sqrt(abs(a))), (cupy.maximum(x, 0), np.maximum(a, 0)), (x.sum(0), a.sum(0)),
        (cupy.sum(x, axis=1, dtype="float64"), a.sum(1, dtype=float)), (np.sum(x, keepdims=True), a.sum(keepdims=True)),
        (cupy.where(x > 0, x, 0), np.where(a > 0, a, 0)), (cupy.concatenate([x, x]), np.concatenate([a, a])),
        (np.stack([y, y], axis=-1), np.stack([b, b], -1)), (x.reshape(3, -1), a.reshape(3, -1)),
        (x.transpose(1, 0), a.T), (x[:, ::-1], a[:, ::-1]), (x[x > 0], a[a > 0]), (x[..., None], a[..., None]),
        (x[0], a[0]), (x.clip(-1, 1), a.clip(-1, 1)), (np.clip(x, 0, None), a.clip(0)), (x.max(), a.max()),
        (np.linalg.norm(x), np.linalg.norm(a)), (cupy.linalg.norm(x, axis=1), np.linalg.norm(a, axis=1)),
        (np.zeros_like(x), np.zeros_like(a)), (x.astype("float64"), a.astype(float)), (x.argmax(), a.argmax()),
        (cupy.pad(x, ((0, 0), (1, 1)), mode="edge"), np.pad(a, ((0, 0), (1, 1)), mode="edge")),
        (cupy.add(x, y, cupy.empty((2, 3), "float32")), a + b), (cupy.arange(3), np.arange(3)),
        (cupy.asarray([x[0], y]), np.array([a[0], b])), (np.isfinite(x), np.isfinite(a)), (x.ravel(), a.ravel()),
    ]  # fmt: skip
    for position, (ours, theirs) in enumerate(pairs):
        assert isinstance(ours, cupy.ndarray), position
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape), position
        np.testing.assert_array_equal(ours.get(), theirs)


def test_a_reduction_to_one_number_is_an_array_without_dimensions(cupy):
    x = cupy.asarray(NUMBERS)
    for number in (x.sum(), x[0, 0], x[0] @ x[1], x.mean(dtype="float64"), np.sqrt(x.max())):
        assert isinstance(number, cupy.ndarray)
        assert number.shape == ()
    assert float(x.sum()) == NUMBERS.sum()
    assert math.sqrt(x.max()) == 2
    assert bool(x[0, 0] > 1)
    assert int(x[0, 0]) == 1
    assert f"{x[0, 0]:.2f}" == "1.50"


def test_what_is_done_in_place_is_done_to_the_same_array(cupy):
    x = cupy.asarray(NUMBERS)
    same, view = x, x[1]
    x += 1
    x *= x
    x[0] = 7
    x[:, 2] = cupy.asarray([8.0, 9.0])
    x[x == 1] = -1.0
    assert x is same
    assert x.tolist() == [[7, 7, 8], [-1, 25, 9]]
    assert view.tolist() == [-1, 25, 9]
    assert cupy.add(x, 1, out=x) is x
    assert np.multiply(x, 2, out=x) is x
    assert x.dtype == "float32"
    x.fill(0)
    cupy.copyto(x, cupy.ones(3))
    assert x.sum() == 6
    with pytest.raises(TypeError, match="cast"):
        x.astype("int32").__iadd__(0.5)


def test_an_overflow_says_nothing_as_on_a_gpu(cupy):
    assert np.isinf((cupy.ones(2, "float32") * np.float32(3e38) * 10).get()).all()
    assert np.isnan((cupy.zeros(2) / 0).get()).all()


# ---- Refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "mixed",
    [
        lambda cupy, x, a: x + a,
        lambda cupy, x, a: a + x,
        lambda cupy, x, a: a @ x.T,
        lambda cupy, x, a: x > a,
        lambda cupy, x, a: x.__iadd__(a),
        lambda cupy, x, a: a.__iadd__(x),
        lambda cupy, x, a: x.__setitem__(slice(None), a),
        lambda cupy, x, a: a.__setitem__(slice(None), x),
        lambda cupy, x, a: x[a > 0],
        lambda cupy, x, a: np.add(x, x, out=a),
        lambda cupy, x, a: np.add(a, a, out=x),
        lambda cupy, x, a: cupy.add(x, x, out=a),
        lambda cupy, x, a: cupy.sum(x, out=np.zeros(())),
        lambda cupy, x, a: x.sum(out=np.zeros(())),
        lambda cupy, x, a: np.concatenate([x, a]),
        lambda cupy, x, a: cupy.stack([x, a]),
        lambda cupy, x, a: cupy.asarray([x, a]),
        lambda cupy, x, a: np.array([x, x]),
        lambda cupy, x, a: np.asarray(x),
        lambda cupy, x, a: np.where(a > 0, x, 0),
        lambda cupy, x, a: cupy.where(x > 0, x, a),
        lambda cupy, x, a: cupy.dot(x, a.T),
        lambda cupy, x, a: x.dot(a.T),
        lambda cupy, x, a: cupy.maximum(a, 0),
        lambda cupy, x, a: cupy.sum(a),
        lambda cupy, x, a: cupy.zeros_like(a),
        lambda cupy, x, a: cupy.copyto(x, a),
        lambda cupy, x, a: x.fill(a),
        lambda cupy, x, a: x + np.array(1.0),
        lambda cupy, x, a: x * [1, 2, 3],
        lambda cupy, x, a: x.__setitem__(0, [1, 2, 3]),
        lambda cupy, x, a: cupy.sum([1, 2, 3]),
        lambda cupy, x, a: cupy.maximum([1, 2, 3], x),
        lambda cupy, x, a: np.add.reduce(x),
        lambda cupy, x, a: np.add(x, 1, where=x > 0),
        lambda cupy, x, a: x.sum(initial=1),
        lambda cupy, x, a: np.sum(x, where=x > 0),
        lambda cupy, x, a: np.median(x),
        lambda cupy, x, a: x[0, 0].__iter__(),
        lambda cupy, x, a: hash(x),
    ],
)  # fmt: skip
def test_what_cupy_refuses(cupy, mixed):
    x, a = cupy.asarray(NUMBERS), NUMBERS.copy()
    with pytest.raises(TypeError):
        mixed(cupy, x, a)
    assert (x.get() == NUMBERS).all()
    assert (a == NUMBERS).all()


def test_an_array_of_several_numbers_is_neither_true_nor_a_number(cupy):
    x = cupy.asarray(NUMBERS)
    with pytest.raises(ValueError, match="ambiguous"):
        bool(x)
    for ask in (float, int, lambda one: one.item()):
        with pytest.raises(ValueError, match="size 1"):
            ask(x)
    with pytest.raises(ValueError, match="Unsupported dtype"):
        cupy.asarray(["text"])


def test_attributes_that_numpys_have_and_cupys_have_not(cupy):
    x = cupy.asarray(NUMBERS)
    for name in ("ctypes", "newbyteorder", "__array_interface__", "setflags", "searchsorted_"):
        assert not hasattr(x, name)
    assert not hasattr(x.flags, "writeable")
    assert not hasattr(cupy, "median")


def test_iteration_gives_arrays(cupy):
    x = cupy.asarray(NUMBERS)
    assert [one.tolist() for one in x] == NUMBERS.tolist()
    assert len(x) == 2


# ---- Memory ---------------------------------------------------------------------------------------------------------


def test_new_arrays_hold_no_usable_numbers(cupy):
    x = cupy.zeros(3, "float32")
    for array in (cupy.empty(3, "float32"), cupy.empty_like(x), cupy.ndarray(3, "float32"), cupy.empty(3)):
        assert np.isnan(array.get()).all()
    assert (cupy.empty(3, "int32").get() == 2**31 - 1).all()
    assert cupy.empty_like(x, shape=(2, 2)).shape == (2, 2)
    for order in "CF":
        array = cupy.empty((2, 3), order=order)
        assert array.flags.c_contiguous == (order == "C")
        assert cupy.empty_like(array).flags.c_contiguous == (order == "C")


def test_copies_are_copies_and_views_are_views(cupy):
    host = NUMBERS.copy()
    x = cupy.asarray(host)
    host[...] = 0
    assert (x.get() == NUMBERS).all()
    assert cupy.asarray(x) is x
    assert cupy.asarray(x, "float64").dtype == "float64"
    assert cupy.ascontiguousarray(x) is x
    assert cupy.ascontiguousarray(x.T).flags.c_contiguous
    for other in (cupy.array(x), x.copy(), copy.copy(x), copy.deepcopy(x)):
        assert not cupy.shares_memory(other, x)
    assert cupy.shares_memory(x, x[1:])
    x.get()[...] = 0
    assert (cupy.asnumpy(x) == NUMBERS).all()


def test_addresses_are_those_of_the_numbers(cupy):
    x = cupy.zeros((4, 5), "float32")
    assert x[2].data.ptr == x.data.ptr + 2 * 5 * 4
    assert cupy.zeros((0, 5)).data.ptr == 0


def taken_whole(cupy, pool):
    """Arrays that fill what is free in blocks of which other tests' arrays, still alive, take a part."""
    fillers, size = [], pool.free_bytes()
    while size >= 512:
        before = pool.total_bytes()
        filler = cupy.empty(size // 512 * 512, "uint8")
        if pool.total_bytes() == before:
            fillers.append(filler)
            size = min(size, pool.free_bytes())
        else:
            del filler
            pool.free_all_blocks()
            size //= 2
    return fillers


@pytest.fixture
def pool(cupy):
    """The account of the GPU's memory, without a limit afterwards."""
    pool = cupy.get_default_memory_pool()
    gc.collect()  # arrays of other tests may wait in cycles of references
    pool.free_all_blocks()
    fillers = taken_whole(cupy, pool)
    yield pool
    del fillers
    pool.set_limit(size=0)
    pool.free_all_blocks()


def test_the_memory_of_arrays_counts_while_they_live(cupy, pool):
    before = pool.used_bytes()
    x = cupy.zeros((100, 100), "float32")
    one = -(-x.nbytes // 512) * 512
    assert pool.used_bytes() == before + one
    view, product = x[:50].reshape(-1), x * 2
    assert pool.used_bytes() == before + 2 * one
    pool.peak = pool.used_bytes()
    del x, product
    assert pool.used_bytes() == before + one  # the view keeps it
    assert pool.total_bytes() - pool.used_bytes() == pool.free_bytes() == one
    free, capacity = cupy.cuda.Device().mem_info
    assert capacity - free == pool.total_bytes()
    pool.free_all_blocks()
    assert pool.total_bytes() == pool.used_bytes()
    assert pool.peak == before + 2 * one
    del view
    assert pool.used_bytes() == before


def test_out_of_memory(cupy, pool):
    x = cupy.zeros(1000)
    pool.set_limit(size=pool.used_bytes() + 10_000)
    with pytest.raises(cupy.cuda.memory.OutOfMemoryError, match=r"allocating 16,384 bytes.*limit set to"):
        cupy.concatenate([x, x])
    with pytest.raises(MemoryError):
        cupy.asarray(np.zeros(2000))
    y = x + 1
    with pytest.raises(MemoryError):
        y * 2
    del y
    x + 1
    pool.set_limit(fraction=0.5)
    assert pool.get_limit() == cupy.cuda.runtime.memGetInfo()[1] // 2
    with pytest.raises(ValueError, match="exclusive"):
        pool.set_limit(size=1, fraction=0.5)


def test_memory_is_cut_out_of_free_blocks_and_one_in_use_is_kept(cupy, pool):
    before, unit = pool.total_bytes(), 512
    whole = cupy.empty(10 * unit, "uint8")
    del whole
    first, second, third = (cupy.empty(count * unit, "uint8") for count in (2, 3, 1))
    assert pool.total_bytes() == before + 10 * unit, "all three are parts of the block"
    del first, third
    more = cupy.empty(6 * unit, "uint8")
    assert pool.total_bytes() == before + 16 * unit, "seven are free, but two here and five there"
    pool.free_all_blocks()
    assert pool.total_bytes() == before + 16 * unit, "a part of each block is in use"
    del second, more
    large = cupy.empty(9 * unit, "uint8")
    assert pool.total_bytes() == before + 16 * unit, "neighbours have become one"
    pool.free_all_blocks()
    assert pool.total_bytes() == before + 10 * unit
    del large


def test_room_in_pieces_is_no_room(cupy, pool):
    unit = 512
    pool.set_limit(size=pool.total_bytes() + 10 * unit)
    whole = cupy.empty(10 * unit, "uint8")
    del whole
    parts = [cupy.empty(2 * unit, "uint8") for _ in range(5)]
    del parts[1], parts[2]
    assert pool.free_bytes() == 4 * unit
    with pytest.raises(cupy.cuda.memory.OutOfMemoryError):
        cupy.empty(3 * unit, "uint8")


def test_transfers_are_recorded(cupy):
    with emulator.transfers() as outer:
        x = cupy.asarray(NUMBERS)
        with emulator.transfers() as inner:
            float((x * 2 + x.sum())[0, 0])
            x.get()
            x.get(out=np.empty_like(NUMBERS))
        cupy.asarray(NUMBERS)
        x.tolist()
        cupy.zeros(3)
    assert inner.to_host == [4, 24, 24]
    assert inner.to_device == []
    assert outer.to_host == [4, 24, 24, 24]
    assert outer.to_device == [24, 24]


# ---- The GPU --------------------------------------------------------------------------------------------------------


def test_the_gpu_itself(cupy):
    assert cupy.cuda.is_available()
    assert cupy.cuda.runtime.getDeviceCount() == 1
    properties = cupy.cuda.runtime.getDeviceProperties(0)
    assert properties["name"].decode()
    with cupy.cuda.Device(0) as device:
        device.synchronize()
        assert device.compute_capability == f"{properties['major']}{properties['minor']}"
        assert device.id == int(device) == 0
    for use in (cupy.cuda.Device(3).use, cupy.cuda.Device(3).synchronize, cupy.cuda.Device(3).__enter__):
        with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="cudaErrorInvalidDevice"):
            use()


def test_events_tell_the_time_between_them(cupy):
    start, end = cupy.cuda.Event(), cupy.cuda.Event()
    with pytest.raises(cupy.cuda.runtime.CUDARuntimeError):
        cupy.cuda.get_elapsed_time(start, end)
    for event in (start, end):
        event.record()
        event.synchronize()
    assert cupy.cuda.get_elapsed_time(start, end) >= 0


def test_all_names_are_looked_at():
    paths = [path for path, _ in offers()]
    for path in ("zeros", "ndarray.sum", "cuda.runtime.memGetInfo", "linalg.norm", "cuda.Device.use"):
        assert path in paths
    assert not [path for path, _ in itertools.groupby(paths) if paths.count(path) > 1]
