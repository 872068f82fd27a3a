"""Many runs: by processes of this machine or by the workers of a cluster, each picture and its record as by `job.run`.

A process has few threads, since those of one process wait for each other.  Seconds an evaluation of equation 7, the
median of five, on two cores of an AMD EPYC that other programs used as well ::

    network, pixels     two processes of one thread     one process of two threads
    distilled, 64       0.014                           0.037
    distilled, 128      0.035                           0.100
    distilled, 256      0.120                           0.225
    VGG19, 128          0.27                            0.32
    VGG19, 256          0.91                            1.54
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

from scratchnst.engine import cpu
from scratchnst.engine.cpu import threads
from scratchnst.errors import FileError, UserError
from scratchnst.messages import complain
from scratchnst.system import pool, signals
from scratchnst.system.capacity import capacity
from scratchnst.system.child import Parent
from scratchnst.system.process import Ended
from scratchnst.transfer import done, job
from scratchnst.transfer.computation import computing_as
from scratchnst.transfer.forecast import Forecast, forecast
from scratchnst.transfer.preparation import check_outputs, ignore, prepare
from scratchnst.transfer.settings import ARBITRARY, Settings
from scratchnst.weights.load import remembering

# Settings on which the time of an evaluation does not depend, but for the number of pixels.
WITHOUT_SPEED = {
    *("content", "styles", "output", "content_weight", "style_weight", "tv_weight", "style_weights", "seed"),
    *("size", "scales", "iterations", "least_gain", "init", "fast_model", "fast_style", "save_every", "log"),
    *("checkpoint_every", "video", "video_every", "depth", "keep"),
}

Refuse = Callable[["Run", UserError], None]


@dataclass(frozen=True)
class Run:
    """Settings, which name a network, the SHA-256 of each file that they name, and the words of the command line."""

    settings: Settings
    inputs: dict[str, str]
    command: Sequence[str] = ()


@dataclass(frozen=True)
class Plan:
    """How runs are shared among processes.

    Attributes
    ----------
    runs : those that can be done
    seconds : of each at most, alone in a process; None on an emulated GPU, where it is not measured
    peak : bytes that the largest takes
    threads : of each process
    memory_limit : bytes that each process may take; None leaves it to the run's settings
    """

    runs: list[Run]
    seconds: list[float | None]
    peak: int
    threads: list[int]
    memory_limit: int | None

    def seconds_left(self, at_a_time: int, numbers: Iterable[int] | None = None) -> float | None:
        """Return how long runs, by their numbers, or all, will take, so many at a time; None if it is not known."""
        left = self.seconds if numbers is None else [self.seconds[number] for number in numbers]
        known = [seconds for seconds in left if seconds is not None]
        return max(sum(known) / at_a_time, *known, 0.0) if len(known) == len(left) else None


def plan(runs: Sequence[Run], refuse: Refuse, processes: int | None = None, count: int | None = None) -> Plan:
    """Look at settings and at the sizes of the pictures, and share the runs among processes.

    The speed is measured once for all runs that differ in pictures, weights and sizes alone.

    Parameters
    ----------
    runs : any
    refuse : called with each run that cannot be done, and the reason
    processes : by default one for each thread, but no more than the memory allows, and one on a GPU
    count : threads of all processes together, by default as many as there are cores
    """
    count = count or threads.default_count()
    at_once = min(processes or count, len(runs))
    seconds: dict[int, float | None] = {}
    found: list[Forecast] = []
    on_gpu = False
    with remembering():
        for group in _alike(runs, refuse):
            largest = _largest(runs, group, max(1, count // at_once), refuse)
            per_pixel: float | None = 0.0
            if largest is not None:
                number, one = largest
                found.append(one)
                per_pixel = None if one.seconds is None else one.seconds / group[number]
                on_gpu |= one.on_gpu
            seconds |= {number: None if per_pixel is None else pixels * per_pixel for number, pixels in group.items()}
    peak = max([one.estimate.peak for one in found], default=0)
    if processes is None and found:
        at_once = 1 if on_gpu else min(at_once, max(1, _limit(runs, found) // peak))
    at_once = min(at_once, len(seconds))
    able = sorted(seconds)
    return Plan(
        [runs[number] for number in able],
        [seconds[number] for number in able],
        peak,
        [max(1, count // at_once + (number < count % at_once)) for number in range(at_once)],
        None if at_once <= 1 or on_gpu or not found else _limit(runs, found) // at_once,
    )


def _alike(runs: Sequence[Run], refuse: Refuse) -> list[dict[int, float]]:
    """Return groups of runs whose evaluations take as long: number -> pixels of all evaluations."""
    groups: dict[str, dict[int, float]] = {}
    for number, run in enumerate(runs):
        try:
            evaluated = _evaluated(run.settings)
        except UserError as error:
            refuse(run, error)
        else:
            groups.setdefault(_speed(run.settings), {})[number] = evaluated
    return list(groups.values())


def _evaluated(settings: Settings) -> float:
    """Return how many pixels all steps of a run compute; none if it is painted in one pass."""
    with computing_as(settings, ignore) as engine:
        if settings.method == ARBITRARY:
            check_outputs(settings, settings.pictures)
            return 0.0
        return sum(math.prod(shape) * iterations for shape, iterations in prepare(settings, engine).scales)


def _speed(settings: Settings) -> str:
    """Return what tells settings apart by which an evaluation takes another time."""
    given = {name: value for name, value in settings.to_json().items() if name not in WITHOUT_SPEED}
    return json.dumps([given, settings.content is None, len(settings.styles)], sort_keys=True)


def _largest(runs: Sequence[Run], group: dict[int, float], count: int, refuse: Refuse) -> tuple[int, Forecast] | None:
    """Return the number of a group's largest run, and what it takes; runs that take too much leave the group."""
    for number in sorted(group, key=lambda number: group[number], reverse=True):
        if not group[number]:
            return None
        try:
            return number, forecast(replace(runs[number].settings, threads=count))
        except UserError as error:
            del group[number]
            refuse(runs[number], error)
    return None


def _limit(runs: Sequence[Run], found: Sequence[Forecast]) -> int:
    """Return the bytes that all processes together may take."""
    given = runs[0].settings.memory_limit
    return min(capacity(cpu), *(one.limit for one in found)) if given is None else given


def here(plan: Plan) -> Iterator[tuple[int, UserError | None]]:
    """Do the runs of a plan in processes of this machine: yield the number of each, and None or what went wrong.

    Raises
    ------
    FileError
        If a picture cannot be written, as where the disk is full.
    """
    jobs = [(run, plan.memory_limit) for run in plan.runs]
    for number, reply in pool.replies(__name__, [(count,) for count in plan.threads], jobs):
        if isinstance(reply, Ended):
            reply = UserError(
                f"the processes that painted {plan.runs[number].settings.output} ended ({reply}): choose a smaller "
                "--size, or fewer --processes."
            )
        elif isinstance(reply, FileError) or not isinstance(reply, UserError | None):
            raise reply
        yield number, reply


def work(parent: Parent, count: int) -> NoReturn:
    """Do runs, in a process of so many threads."""
    signals.ignore()  # the parent ends this process
    with remembering():
        while True:
            run, memory_limit = parent.receive()
            own = {} if memory_limit is None else {"memory_limit": memory_limit}
            try:
                paint(replace(run.settings, threads=count, **own), run.command)
                done.note_inputs(run.settings, run.inputs)
                parent.send(None)
            except Exception as error:
                parent.send(error)


def paint(settings: Settings, command: Sequence[str]) -> None:
    """Do a run by whichever method."""
    if settings.method == ARBITRARY:
        job.paint(settings, command=command)
    else:
        job.run(settings, warn=complain, command=command)
