"""The measurements: contenders in processes of their own, taking turns.

All contenders of a size are set up first.  Then they are checked: gradients that differ belong to different functions,
whose times cannot be compared.  Then each does one evaluation in turn, round after round, so that whatever else the
machine does meanwhile slows all of them alike; the first round warms up and does not count.  Where a contender is lost,
the reason is noted and the others go on.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scratchnst.bench import accuracy, device_ladder, ladder, limit, problem, trainer
from scratchnst.bench.names import COPY, EMULATED, OURS, PEERS, PRODUCT, SGEMM, TRAINING, doing, is_tf32, tf32
from scratchnst.bench.process import Lost, Process
from scratchnst.engine.cpu import conv2d as conv2d_on_cpu
from scratchnst.engine.cuda import conv2d as conv2d_on_gpu
from scratchnst.errors import UserError

REST = 0.3  # seconds between turns: threads of BLAS and OpenMP spin for a while when they have nothing to do
AGREEMENT, TF32_AGREEMENT = 1e-2, 1e-1  # relative, of gradients; those of different functions differ by about 1
CALLS = 10  # of a rung between two looks at the clock: a GPU has the next one waiting


@dataclass(frozen=True)
class Conditions:
    """What holds for all measurements.

    Attributes
    ----------
    threads : of every contender
    peers : names of those beside us, see `scratchnst.bench.peer`
    prepare_peers : whether to set up their processes as the command line does its own: the memory of large arrays is
        kept for the next ones, which saves time and costs memory.  Else they are as their users have them
    tell : called with what is being measured
    device : where all contenders compute; on a GPU in float32 and in TF32
    deadline : by `time.monotonic`, after which no other size, rung or run begins
    """

    threads: int
    peers: Sequence[str] = ()
    prepare_peers: bool = False
    tell: Callable[[str], None] = lambda message: None
    device: str = "cpu"
    deadline: float = math.inf

    @property
    def solvers(self) -> list[str]:
        """Us and the peers, in each precision."""
        return self.in_each_precision(OURS, *self.peers)

    @property
    def limits(self) -> list[str]:
        """What shows how fast products of matrices can be, in each precision."""
        return [SGEMM] if self.device == "cpu" else self.in_each_precision(PRODUCT)

    @property
    def is_late(self) -> bool:
        """Whether the deadline is over."""
        return time.monotonic() > self.deadline

    def in_each_precision(self, *names: str) -> list[str]:
        """Return the names, on a GPU also those in TF32."""
        return [*names] if self.device == "cpu" else [*names, *map(tf32, names)]

    def libraries(self, name: str) -> list[str]:
        """Return what a contender's process may import while the others are being set up."""
        if self.device in ("cpu", EMULATED):
            return []
        return ["torch"] if name.startswith("torch") else ["cupy"]


@dataclass
class ContenderResult:
    """What is known of one contender at one size.

    Attributes
    ----------
    contender : its name
    size : side of the images in pixels
    seconds : of each evaluation that counts
    facts : what it said besides
    failure : why it was lost, or None
    """

    contender: str
    size: int
    seconds: list[float] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    failure: str | None = None

    @property
    def median(self) -> float | None:
        """Median seconds of an evaluation, None if it was lost."""
        return statistics.median(self.seconds) if self.seconds and not self.failure else None

    def as_dict(self) -> dict[str, Any]:
        """Return everything, for JSON."""
        return {
            "contender": self.contender,
            "size": self.size,
            "median_seconds": self.median,
            "seconds": self.seconds,
            **self.facts,
            "failure": self.failure,
        }


class Contestant:
    """A contender's process and what is known of it; once lost it is asked nothing any more."""

    def __init__(self, process: Process, result: ContenderResult):
        self.process, self.result, self.name = process, result, result.contender

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Return the reply to a request, empty if the contender is lost."""
        if self.result.failure:
            return {}
        try:
            return self.process.ask(do, **arguments)
        except Lost as lost:
            self.lose(str(lost))
            return {}

    def note(self, do: str, **arguments: Any) -> None:
        """Add the reply to a request to the facts."""
        self.result.facts.update(self.ask(do, **arguments))

    def lose(self, why: str) -> None:
        """End the process, and note why."""
        self.result.failure = why
        self.process.end()


@contextmanager
def contestants(
    names: Sequence[str], size: int, conditions: Conditions, task: str | None = None
) -> Iterator[list[Contestant]]:
    """Start and set up contenders, each in a process of its own; all are ended in the end.

    `task` is that of us and of the peers, if it is another than the usual one.
    """
    with ExitStack() as stack:
        started = []
        for name in names:
            plain = name.startswith("torch") and not conditions.prepare_peers
            known_as = doing(name, task) if name in (OURS, *PEERS) else name
            process = Process(known_as, size, conditions.threads, plain, conditions.device, conditions.libraries(name))
            started.append(Contestant(stack.enter_context(process), ContenderResult(name, size)))
        for contestant in started:
            conditions.tell(f"{contestant.name} at {size}x{size}: set up")
            contestant.ask("set_up", **contestant.process.settings)
        yield started


def take_turns(contestants: Sequence[Contestant], repeats: int, conditions: Conditions, **arguments: Any) -> None:
    """Let each contender evaluate, one after the other, `repeats` times, after one round that does not count.

    After the deadline, no round begins but the first that counts.
    """
    side = contestants[0].result.size
    for turn in range(repeats + 1):
        if turn > 1 and conditions.is_late:
            break
        conditions.tell(f"{side}x{side}: round {turn} of {repeats}" if turn else f"{side}x{side}: warm-up")
        for contestant in contestants:
            time.sleep(REST if conditions.device == "cpu" else 0)
            reply = contestant.ask("evaluate", **arguments)
            if reply and turn:
                contestant.result.seconds.append(reply["seconds"])


def speed(size: int, repeats: int, conditions: Conditions) -> list[ContenderResult]:
    """Measure time and peak memory of one evaluation by us and by the peers, and the machine's rate of products.

    Ours comes first.  Its facts have the operations of its matrix products, a limit's the rate in operations a second.
    """
    ours = conditions.in_each_precision(OURS)
    with contestants([*conditions.solvers, *conditions.limits], size, conditions) as all_of_them:
        solvers = all_of_them[: len(conditions.solvers)]
        _check_agreement(solvers)
        take_turns(all_of_them, repeats, conditions)
        for solver in solvers:
            peak = {"bytes": None, **solver.ask("peak")}
            solver.result.facts.update(peak_bytes=peak.pop("bytes"), **peak)
            if conditions.device != "cpu":  # what the peers check are the versions of what they compute with
                solver.note("steps" if solver.name in ours else "check")
    operations = _operations(size, conditions.device)
    for solver in solvers:
        if solver.name in ours:
            solver.result.facts["operations"] = operations
    return _with_rates(all_of_them, conditions)


def _operations(size, device):
    """The operations of our matrix products in one evaluation."""
    network = problem.random_network(0, problem.NARROWER) if device == EMULATED else problem.random_network()
    layers = network.defaults.content_layers, network.defaults.style_layers
    return limit.operations(network, *layers, size, (conv2d_on_cpu if device == "cpu" else conv2d_on_gpu).choose)


def _with_rates(contestants, conditions):
    """Return what was measured; facts of the limits get their operations, or bytes, a second."""
    for contestant in contestants:
        median = contestant.result.median
        if median and contestant.name in (*conditions.limits, COPY):
            unit, amount = limit.amounts(conditions.device)[contestant.name]
            contestant.result.facts[f"{unit}_per_second"] = amount / median
    return [contestant.result for contestant in contestants]


def training(task: str, repeats: int, conditions: Conditions) -> list[ContenderResult]:
    """Measure a step of a training, see `scratchnst.bench.trainer`, by us and by the peers.

    Ours comes first; its facts have `trainer.facts`.  With the first task, on a GPU or on one thread, all have
    "pieces": the seconds of each piece, in every round.  On several threads our step is shared by processes, and so
    has no pieces that follow each other.
    """
    has_pieces = task == TRAINING[0] and (conditions.device != "cpu" or conditions.threads == 1)
    size, limits = trainer.problem_of(conditions.device)[1].side, conditions.limits[:1]
    with contestants([OURS, *conditions.peers, *limits], size, conditions, task) as all_of_them:
        solvers = all_of_them[: -len(limits)]
        _check_agreement(solvers)
        take_turns(all_of_them, repeats, conditions)
        for turn in range(repeats if has_pieces else 0):
            conditions.tell(f"{size}x{size}: pieces, round {turn + 1} of {repeats}")
            for solver in solvers:
                time.sleep(REST if conditions.device == "cpu" else 0)
                for name, seconds in solver.ask("pieces").items():
                    solver.result.facts.setdefault("pieces", {}).setdefault(name, []).append(seconds)
    for contestant in all_of_them:
        contestant.result.facts |= {"task": task}
    solvers[0].result.facts |= trainer.facts(conditions.device)
    return _with_rates(all_of_them, conditions)


def painting(task: str, size: int, repeats: int, conditions: Conditions) -> list[ContenderResult]:
    """Measure time and peak memory of painting a photograph in one pass, by us and by the peers.

    `task` is one of `names.PAINTING`.
    """
    with contestants([OURS, *conditions.peers], size, conditions, task) as solvers:
        _check_agreement(solvers, ("mean", "painting"))
        take_turns(solvers, repeats, conditions)
        for solver in solvers:
            solver.result.facts["peak_bytes"] = solver.ask("peak").get("bytes")
    return [solver.result for solver in solvers]


def whole_run(name: str, size: int, iterations: int, conditions: Conditions) -> list[ContenderResult]:
    """Measure a run from white noise by one contender: seconds, evaluations and the loss at the end."""
    with contestants([name], size, conditions) as (contestant,):
        conditions.tell(f"{name} at {size}x{size}: {iterations} iterations")
        contestant.note("run", iterations=iterations)
        return [contestant.result]


def climb(repeats: int, conditions: Conditions) -> list[ContenderResult]:
    """Measure every rung of the ladder, see `scratchnst.bench.ladder`: time, extra memory and error of a layer."""
    size = ladder.SIDE
    with contestants(ladder.RUNGS, size, conditions) as rungs:
        for rung in rungs:
            rung.note("check")
        take_turns(rungs, repeats, conditions)
    for rung in rungs:
        share = ladder.share(rung.name, size)
        rung.result.seconds = [seconds / share for seconds in rung.result.seconds]
        rung.result.facts["computed_share"] = share
    return [rung.result for rung in rungs]


def climb_on_device(repeats: int, conditions: Conditions) -> list[ContenderResult]:
    """Measure every rung of a GPU's ladder, see `scratchnst.bench.device_ladder`, and what it has at best beside them.

    A rung's facts have its error and its steps; those of a large product the rate in operations a second, those of the
    large copy in bytes.
    """
    names, (side, _) = [*device_ladder.RUNGS, *conditions.limits, COPY], device_ladder.layer(conditions.device)
    with contestants(names, side, conditions) as all_of_them:
        rungs = all_of_them[: len(device_ladder.RUNGS)]
        for rung in rungs:
            rung.note("check")
        take_turns(all_of_them, repeats, conditions, calls=CALLS)
        for rung in rungs:
            rung.note("steps")
    return _with_rates(all_of_them, conditions)


def device_facts(conditions: Conditions) -> dict[str, Any]:
    """Return what a GPU's figures depend on, see `scratchnst.bench.machine.DeviceFacts`.

    Raises
    ------
    UserError
        If the device cannot be used.
    """
    with contestants(["facts"], 1, conditions) as (contestant,):
        contestant.note("check")
    if contestant.result.failure:
        raise UserError(contestant.result.failure)
    return contestant.result.facts


def exactness(conditions: Conditions) -> list[ContenderResult]:
    """Compare gradient and end of a run with the textbook's, see `scratchnst.bench.accuracy`."""
    results, settings = [], accuracy.settings(conditions.device)
    for do, arguments in (("check", {}), ("run", {"iterations": settings["iterations"]})):
        size = settings[do]
        with contestants(["accuracy"], size, conditions) as (contestant,):
            conditions.tell(f"accuracy at {size}x{size}: {do}")
            contestant.note(do, **arguments)
            results.append(contestant.result)
    return results


def _check_agreement(solvers, names=("loss", "gradient")):
    """Compare loss and gradient of each with ours, the first; one that computes another function is lost.

    Where they are another number and array, `names` says what they are called.
    """
    ours = None
    for number, solver in enumerate(solvers):
        reply = solver.ask("gradient")
        if not reply:
            continue
        solver.result.facts[names[0]] = reply["loss"]
        if number == 0:
            ours = reply
        elif ours:
            _compare(solver, reply, ours, names)


def _compare(solver, reply, ours, names):
    """Note how far loss and gradient are from ours."""
    agreement = TF32_AGREEMENT if is_tf32(solver.name) else AGREEMENT
    loss_distance = abs(reply["loss"] / ours["loss"] - 1)
    distance = float(np.linalg.norm(reply["gradient"] - ours["gradient"]) / np.linalg.norm(ours["gradient"]))
    solver.result.facts |= {f"{name}_distance": each for name, each in zip(names, (loss_distance, distance))}
    if not max(loss_distance, distance) < agreement:
        solver.lose(f"computes another function: its {names[1]} is {distance:.0e} from ours")
