"""One setting for the number of threads, and the one pool that all operations of this engine share.

An operation cuts its work into jobs; `run` hands them to the pool's threads, each of which takes the next job when it
has done its last.  Several threads of a process may use the pool at once.

While any operation runs, BLAS is limited to one thread, since ours are busy already.  That is a setting of the whole
process, so it is undone when the last operation ends.  (OpenBLAS built on OpenMP has a setting for every thread; there
it is set once for each of the pool's threads.)
"""

from __future__ import annotations

import contextvars
import math
import operator
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from scratchnst.arrays import Array


class _State:
    """What the threads of this process share; a forked child starts with its own."""

    def __init__(self, chosen: int | None = None):
        self.lock = threading.Lock()
        self.chosen = chosen
        self.executor: ThreadPoolExecutor | None = None
        self.size = 0  # threads of the executor
        self.limiting: set[int] = set()  # the threads that limit BLAS to one thread
        self.limit: Any = None  # gives BLAS its threads back


class _Local(threading.local):
    """What belongs to one thread."""

    def __init__(self):
        self.in_pool = False
        self.buffers: dict[str, Array] = {}


_state = _State()
_local = _Local()


def count() -> int:
    """Return the number of threads: the one set, else that of the cores this process may use.

    The environment variable OMP_NUM_THREADS lowers the latter.
    """
    return _state.chosen or default_count()


def set_count(number: int | None) -> None:
    """Set the number of threads for the whole process; None restores the default.

    Raises
    ------
    ValueError
        If the number is not a whole number of 1 or more.
    """
    if number is not None and (not isinstance(number, (int, np.integer)) or number < 1):
        raise ValueError(f"the number of threads must be a whole number of 1 or more, not {number!r}")
    with _state.lock:
        _state.chosen = None if number is None else int(number)


@contextmanager
def counted(number: int | None) -> Iterator[None]:
    """Let there be `number` threads within the block, see `set_count`."""
    before = _state.chosen
    set_count(number)
    try:
        yield
    finally:
        set_count(before)


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def chosen() -> int | None:
    """Return what was set by `set_count`, or None."""
    return _state.chosen


def default_count() -> int:
    """Return the number of cores that this process may use, or OMP_NUM_THREADS where that is less."""
    cores = usable_cores()
    wanted = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()  # "4,2" is 4 here, 2 in nested regions
    return min(cores, int(wanted)) if wanted.isdecimal() and int(wanted) > 0 else cores


def run(job: Callable[..., None], arguments: Iterable[tuple]) -> None:
    """Call ``job(*a)`` for every a of `arguments`, on as many threads as are set, and return when all are done.

    Jobs start in the order given.  An exception ends the rest and is raised here.  A single job is done by the caller,
    and so are those of a job that calls `run`: it would wait for threads of the pool that wait for it.
    """
    waiting = deque(arguments)
    workers = 1 if _local.in_pool else min(count(), len(waiting))
    if workers <= 1:
        with _blas(per_thread=True).limit(limits=1):
            return _work(job, waiting)
    futures: list[Future] = []
    try:
        _submit(workers, job, waiting, futures)
        wait(futures)
    finally:  # after Ctrl-C no job is left that still writes
        waiting.clear()
        wait(futures)
    while futures:  # popped, since an exception refers to this frame: with its future here there would be a cycle
        futures.pop().result()


@contextmanager
def on_this_thread() -> Iterator[None]:
    """Let the calling thread do all jobs within the block itself, which is faster where they are short."""
    before, _local.in_pool = _local.in_pool, True
    try:
        yield
    finally:
        _local.in_pool = before


def total(job: Callable[..., Any], arguments: Iterable[tuple]) -> Any:
    """Return the sum of ``job(*a)``, numbers or new arrays, over `arguments`.

    It is added up in their order, whichever is done first, so that it is the same at every run.
    """
    done: dict[int, Any] = {}
    lock, added, result = threading.Lock(), 0, None

    def store(position, *argument):
        nonlocal added, result
        part = job(*argument)
        with lock:
            done[position] = part
            while added in done:
                part = done.pop(added)
                result = part if result is None else operator.iadd(result, part)
                added += 1

    run(store, ((position, *argument) for position, argument in enumerate(arguments)))
    return 0.0 if result is None else result


@contextmanager
def blas_on_one_thread() -> Iterator[None]:
    """Limit BLAS to one thread; when the last block of any thread ends, it has as many as before."""
    thread = threading.get_ident()
    if thread in _state.limiting:
        yield
        return
    try:
        _enter(thread)
        yield
    finally:
        try:
            _leave(thread)
        except BaseException:  # Ctrl-C has come in between
            _leave(thread)
            raise


def buffer(name: str, shape: tuple[int, ...], dtype: Any) -> Array:
    """Return an uninitialised array that belongs to the calling thread, in memory that this name had before.

    It is valid until the thread asks for the same name again.  Memory of which less than a quarter is asked for is
    given back: deep layers need large buffers, shallow layers need the memory for activations.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = _local.buffers.get(name)
    if memory is None or not size <= memory.size <= 4 * size:
        memory = None
        _local.buffers.pop(name, None)  # free it before the new one is there
        _local.buffers[name] = memory = np.empty(max(size, 1), np.uint8)
    return memory[:size].view(dtype).reshape(shape)


def release() -> None:
    """Give back the memory of the calling thread's buffers and of the pool's, whose threads end."""
    with _state.lock:
        executor, _state.executor = _state.executor, None
    if executor is not None:
        executor.shutdown()
    _local.buffers.clear()


def pieces(length: int, longest: int) -> list[tuple[int, int]]:
    """Cut range(length) into as few pieces as possible, none longer than `longest`: (start, stop) of each."""
    number = -(-length // max(longest, 1))
    ends = [length * end // number for end in range(number + 1)] if number else [0]
    return list(pairwise(ends))


def strips(shape: tuple[int, ...], rows: int) -> list[tuple[int, int, int]]:
    """Cut images (N, H, ...) into strips of at most `rows` rows: (image, top, bottom) of each."""
    count, height = shape[:2]
    return [(image, *piece) for image in range(count) for piece in pieces(height, rows)]


def _work(job, waiting):
    """Do jobs until none is left.

    The pool's threads enter `blas_on_one_thread`, not their caller: Ctrl-C interrupts the main thread alone.
    """
    with blas_on_one_thread():
        while True:
            try:
                argument = waiting.popleft()
            except IndexError:
                return
            try:
                job(*argument)
            except BaseException:
                waiting.clear()
                raise


def _submit(workers, job, waiting, futures):
    """Let `workers` threads of the pool work, in the caller's context (its np.errstate, for one).

    Their futures are added to `futures` one by one, so that all are there if Ctrl-C comes.
    """
    with _state.lock:
        if _state.executor is None or _state.size != count():
            before, _state.executor = _state.executor, None
            if before is not None:
                before.shutdown(wait=False)  # what it has begun it ends
            _state.size = count()
            _state.executor = ThreadPoolExecutor(_state.size, "scratchnst", _enter_pool)
        for _ in range(workers):
            futures.append(_state.executor.submit(contextvars.copy_context().run, _work, job, waiting))


def _enter_pool():
    _local.in_pool = True
    _blas(per_thread=True).limit(limits=1)


@cache
def _blas(per_thread: bool) -> ThreadpoolController:
    """Return what sets the threads of the BLAS libraries that have such a setting for each thread, or of the others.

    A library that comes later, as SciPy's may, stays as it is: operations use NumPy's.
    """
    libraries = ThreadpoolController().select(user_api="blas")
    chosen = [
        library.filepath
        for library in libraries.lib_controllers
        if (getattr(library, "threading_layer", None) == "openmp") == per_thread
    ]
    return libraries.select(filepath=chosen)


def _enter(thread):
    with _state.lock:
        if not _state.limiting:
            _take_control()
            _state.limit = _blas(per_thread=False).limit(limits=None)  # remembers what there is
            _blas(per_thread=False).limit(limits=1)
        _state.limiting.add(thread)


def _leave(thread):
    """Undo `_enter`, also one that did not come to its end, and also for the second time."""
    with _state.lock:
        _state.limiting.discard(thread)
        if not _state.limiting and _state.limit is not None:
            _restore(_state.limit)
            _state.limit = None


def _take_control():
    """Let the calling thread set the process's BLAS: threadpoolctl lets one thread do so, until told it is done."""
    for library in _blas(per_thread=False).lib_controllers:
        if hasattr(library, "clear_controlling_thread"):  # threadpoolctl 3.7 or later
            library.clear_controlling_thread(force=True)


def _restore(limit):
    _take_control()
    limit.restore_original_limits()
    _take_control()  # so that any thread may set it next


def _after_fork():
    """A forked child has one thread, the one that forked: no pool, and no other thread limits BLAS."""
    global _state
    old, _state = _state, _State(_state.chosen)
    _state.limit, _state.limiting = old.limit, old.limiting & {threading.get_ident()}
    _leave(None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
