"""The number of threads, the pool, BLAS held to one thread and given back, memory that is reused."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
import weakref

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController

from scratchnst.engine.cpu import threads


@pytest.fixture(autouse=True)
def as_before():
    yield
    threads.set_count(None)


def blas_threads():
    return [library["num_threads"] for library in ThreadpoolController().select(user_api="blas").info()]


@pytest.fixture
def blas_on_two():
    """BLAS on two threads, as its user may have set it."""
    threads._blas.cache_clear()  # another test may have brought SciPy's BLAS since
    with ThreadpoolController().select(user_api="blas").limit(limits=2):
        yield blas_threads()


@pytest.mark.parametrize(
    ("variable", "cores", "expected"),
    [
        (None, 4, 4),
        ("2", 4, 2),
        ("8", 4, 4),
        ("3,2", 4, 3),
        ("0", 4, 4),
        ("many", 4, 4),
        ("", 4, 4),
        (" 1 ", 4, 1),
        ("²", 4, 4),
    ],
)
def test_default_count(monkeypatch, variable, cores, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(cores)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if variable is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", variable)
    assert threads.default_count() == threads.count() == expected


def test_default_count_without_affinity(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert threads.count() == 1


def test_the_number_set_counts():
    threads.set_count(7)
    assert threads.count() == 7
    threads.set_count(None)
    assert threads.count() == threads.default_count()
    for wrong in (0, -1, 1.5, "2"):
        with pytest.raises(ValueError, match="whole number of 1 or more"):
            threads.set_count(wrong)


@pytest.mark.parametrize("number", [1, 2, 5])
def test_every_job_is_done_once_by_at_most_so_many_threads(number):
    threads.set_count(number)
    done, lock, busy, busiest = [], threading.Lock(), 0, 0
    all_at_once = threading.Barrier(number)

    def job(value):
        nonlocal busy, busiest
        with lock:
            busy += 1
            busiest = max(busiest, busy)
        if value < number:
            all_at_once.wait(10)
        with lock:
            busy -= 1
            done.append(value)

    threads.run(job, [(value,) for value in range(40)])
    assert sorted(done) == list(range(40))
    assert busiest == number
    threads.run(job, [])


def test_two_callers_share_the_threads():
    """Two transfers in one process keep no more threads busy than one."""
    threads.set_count(2)
    lock, busy, busiest = threading.Lock(), 0, 0

    def job():
        nonlocal busy, busiest
        with lock:
            busy += 1
            busiest = max(busiest, busy)
        time.sleep(0.002)
        with lock:
            busy -= 1

    callers = [threading.Thread(target=threads.run, args=(job, [()] * 20)) for _ in range(2)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert busiest <= 2


@pytest.mark.parametrize("number", [1, 2])
def test_the_first_error_ends_the_rest(number):
    threads.set_count(number)
    begun = []

    def job(value):
        begun.append(value)
        time.sleep(0.001)
        if value == 3:
            raise KeyError("the third")

    with pytest.raises(KeyError, match="the third"):
        threads.run(job, [(value,) for value in range(100)])
    count = len(begun)
    assert count < 10
    time.sleep(0.01)
    assert len(begun) == count  # nobody works on behind our back
    threads.run(begun.append, [(0,)])  # and the pool still works


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system cannot interrupt after a while")
@pytest.mark.parametrize("number", [1, 2])
def test_ctrl_c_leaves_no_job_behind(number, blas_on_two):
    threads.set_count(number)
    begun = []

    def job(value):
        begun.append(value)
        time.sleep(0.001)

    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        with pytest.raises(KeyboardInterrupt):
            threads.run(job, [(value,) for value in range(10_000)])
    finally:
        signal.signal(signal.SIGALRM, before)
    count = len(begun)
    time.sleep(0.01)
    assert len(begun) == count < 10_000
    assert blas_threads() == blas_on_two


def test_an_error_keeps_nothing_alive():
    """Once it has been dealt with, and without the help of the garbage collector."""
    threads.set_count(2)

    def fail():
        image = np.zeros(3)
        seen.append(weakref.ref(image))
        raise KeyError(image)

    for _ in range(3):
        seen: list[weakref.ref] = []
        gc.disable()
        try:
            threads.run(fail, [()] * 2)
        except KeyError:
            pass
        finally:
            gc.enable()
        assert all(reference() is None for reference in seen)


def test_jobs_that_run_jobs_do_not_wait_for_themselves():
    threads.set_count(2)
    done = []
    threads.run(
        lambda a: threads.run(lambda b: done.append((a, b)), [(b,) for b in range(3)]), [(a,) for a in range(4)]
    )
    assert sorted(done) == [(a, b) for a in range(4) for b in range(3)]


def test_within_a_block_the_caller_does_all_jobs():
    threads.set_count(3)
    done = []
    with threads.on_this_thread():
        threads.run(lambda number: done.append((number, threading.get_ident())), [(n,) for n in range(5)])
    assert done == [(n, threading.get_ident()) for n in range(5)]
    others = set()
    barrier = threading.Barrier(2, timeout=10)

    def job():
        others.add(threading.get_ident())
        barrier.wait()

    threads.run(job, [(), ()])
    assert len(others) == 2


def test_errstate_of_the_caller_holds_in_the_threads():
    threads.set_count(2)

    def job():
        np.float32(1e30) * np.full(2, 1e30, "float32")

    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        threads.run(job, [()] * 4)
    with np.errstate(over="ignore"):
        threads.run(job, [()] * 4)


@pytest.mark.parametrize("number", [1, 3])
def test_sums_are_in_order_whoever_is_done_first(number):
    """1e16 + 1 is 1e16 in float64, so that every other order has another sum."""
    threads.set_count(number)
    values = [1.0, 1e16, -1e16, 1.0, 1e16, -1e16, 3.0]

    def job(position):
        time.sleep(0.001 * (len(values) - position))
        return values[position]

    positions = [(position,) for position in range(len(values))]
    assert threads.total(job, positions) == sum(values[3:]) == 3.0
    arrays = threads.total(lambda position: np.array([job(position), 1.0]), positions)
    np.testing.assert_array_equal(arrays, [3, 7])
    assert threads.total(job, []) == 0.0


def test_blas_has_one_thread_in_jobs_and_its_own_afterwards(blas_on_two):
    threads.set_count(2)
    seen = []
    threads.run(lambda: seen.append(blas_threads()), [()] * 4)
    assert seen == [[1] * len(blas_on_two)] * 4
    assert blas_threads() == blas_on_two
    with pytest.raises(ZeroDivisionError):
        threads.run(lambda: 1 / 0, [()])
    assert blas_threads() == blas_on_two


@pytest.mark.parametrize("moment", range(3))
def test_blas_gets_its_threads_back_whenever_ctrl_c_comes(moment, monkeypatch, blas_on_two):
    """On the way in, and twice on the way out."""
    original, calls = threads._take_control, iter(range(100))

    def interrupted():
        if next(calls) == moment:
            raise KeyboardInterrupt
        original()

    monkeypatch.setattr(threads, "_take_control", interrupted)
    with pytest.raises(KeyboardInterrupt), threads.blas_on_one_thread():
        pass
    assert blas_threads() == blas_on_two
    with threads.blas_on_one_thread():
        assert blas_threads() == [1] * len(blas_on_two)
    assert blas_threads() == blas_on_two


def test_blas_stays_on_one_thread_until_the_outermost_block_ends(blas_on_two):
    with threads.blas_on_one_thread():
        with threads.blas_on_one_thread():
            pass
        assert blas_threads() == [1] * len(blas_on_two)
    assert blas_threads() == blas_on_two


def test_blas_gets_its_threads_back_when_the_last_one_leaves(blas_on_two):
    inside, leave = threading.Event(), threading.Event()

    def another():
        with threads.blas_on_one_thread():
            inside.set()
            leave.wait(10)

    with threads.blas_on_one_thread():
        thread = threading.Thread(target=another)
        thread.start()
        inside.wait(10)
    assert blas_threads() == [1] * len(blas_on_two)  # the other one is still at work
    leave.set()
    thread.join()
    assert blas_threads() == blas_on_two


def test_memory_is_reused_by_name_and_thread():
    first = threads.buffer("test", (3, 4), "float32")
    assert first.shape == (3, 4)
    assert first.dtype == "float32"
    first[...] = 7
    again = threads.buffer("test", (4,), "float32")
    assert np.shares_memory(first, again)
    assert not np.shares_memory(first, threads.buffer("test too", (3, 4), "float32"))
    others = []
    thread = threading.Thread(target=lambda: others.append(threads.buffer("test", (3, 4), "float32")))
    thread.start()
    thread.join()
    assert not np.shares_memory(first, others[0])


def test_memory_grows_and_is_given_back():
    small = threads.buffer("test", (10,), "uint8")
    large = threads.buffer("test", (400,), "uint8")
    assert large.size == 400
    assert not np.shares_memory(small, large)
    assert np.shares_memory(large, threads.buffer("test", (100,), "uint8"))
    assert not np.shares_memory(large, threads.buffer("test", (99,), "uint8"))
    assert threads.buffer("test", (0, 3), "float64").shape == (0, 3)


@pytest.mark.parametrize(
    ("length", "longest", "expected"),
    [
        (10, 4, [(0, 3), (3, 6), (6, 10)]),
        (4, 4, [(0, 4)]),
        (5, 4, [(0, 2), (2, 5)]),
        (2, 0, [(0, 1), (1, 2)]),
        (0, 4, []),
    ],
)
def test_pieces(length, longest, expected):
    assert threads.pieces(length, longest) == expected


def test_strips():
    assert threads.strips((2, 5, 9, 9), 3) == [(0, 0, 2), (0, 2, 5), (1, 0, 2), (1, 2, 5)]


FORK = """
import os, threading, warnings
import numpy as np
from scratchnst.engine.cpu import conv2d, threads
from threadpoolctl import ThreadpoolController

warnings.simplefilter("ignore")  # newer Pythons warn of any fork beside threads
blas = ThreadpoolController().select(user_api="blas")
blas.limit(limits=2)
threads.set_count(2)
x, w, b = np.ones((1, 64, 64, 32), "f"), np.ones((3, 3, 32, 32), "f"), np.zeros(32, "f")
expected, _ = conv2d.forward(x, w, b)

def child(inside):
    y, _ = conv2d.forward(x, w, b)
    assert (y == expected).all()
    assert all(library["num_threads"] == (1 if inside else 2) for library in blas.info()), blas.info()

def stay():
    with threads.blas_on_one_thread():
        entered.set()
        leave.wait(30)

entered, leave = threading.Event(), threading.Event()
other = threading.Thread(target=stay)
for inside in (False, True, False):
    with threads.blas_on_one_thread() if inside else open(os.devnull):
        pid = os.fork()
        if pid == 0:
            child(inside)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
    if inside:  # and once more while only another thread is at work
        other.start()
        entered.wait(30)
leave.set()
other.join()
child(False)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_computes_with_threads_of_its_own():
    subprocess.run([sys.executable, "-c", FORK], check=True, timeout=60)
