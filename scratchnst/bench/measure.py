"""The measurements: contenders in processes of their own, taking turns.

All contenders of a size are set up first.  Then they are checked: gradients that differ belong to different functions,
and their times say nothing.  Then each does one evaluation in turn, so that whatever else the machine does meanwhile
falls on all of them alike, round after round; the first round warms up and does not count.  Where one is lost, that is
written down and the others go on.
"""

from __future__ import annotations

import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from scratchnst.bench import accuracy, device_ladder, device_limit, ladder, limit, problem
from scratchnst.bench.names import COPY, EMULATED, OURS, PRODUCT, SGEMM, is_tf32, tf32
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
        kept for the next ones, which saves them time and costs them memory.  Else they are as their users have them
    tell : called with what is going on
    device : where everybody computes; on a GPU in float32 and in TF32
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
class Result:
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
    """A process and what is known of its contender; once lost it does nothing any more."""

    def __init__(self, process: Process, result: Result):
        self.process, self.result = process, result

    def ask(self, do: str, **arguments: Any) -> dict[str, Any] | None:
        """Return the reply to a request, or None if the contender is lost."""
        if self.result.failure:
            return None
        try:
            return self.process.ask(do, **arguments)
        except Lost as lost:
            self.lose(str(lost))
            return None

    def set_up(self) -> None:
        self.ask("set_up", **self.process.settings)

    def evaluate(self, counts: bool, **arguments: Any) -> None:
        """Evaluate and, if it counts, note the time."""
        reply = self.ask("evaluate", **arguments)
        if reply and counts:
            self.result.seconds.append(reply["seconds"])

    def note(self, do: str, **arguments: Any) -> None:
        """Add the reply to a request to the facts."""
        self.result.facts.update(self.ask(do, **arguments) or {})

    def lose(self, why: str) -> None:
        """Let the contender take no more part."""
        self.result.failure = why
        self.process.end()


@contextmanager
def contestants(names: Sequence[str], size: int, conditions: Conditions) -> Iterator[list[Contestant]]:
    """Start and set up contenders, each in a process of its own; all are ended in the end."""
    with ExitStack() as stack:
        started = []
        for name in names:
            plain = name.startswith("torch") and not conditions.prepare_peers
            libraries = conditions.libraries(name)
            process = Process(name, size, conditions.threads, plain, conditions.device, libraries)
            stack.enter_context(process)
            started.append(Contestant(process, Result(name, size)))
        for contestant in started:
            conditions.tell(f"{contestant.result.contender} at {size}x{size}: set up")
            contestant.set_up()
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
            contestant.evaluate(counts=turn > 0, **arguments)


def speed(size: int, repeats: int, conditions: Conditions) -> list[Result]:
    """Measure time and peak memory of one evaluation by us and by the peers, and the machine's rate of products.

    Ours comes first.  Its facts have the operations of its matrix products, a limit's the rate in operations a second.
    """
    names = [*conditions.solvers, *conditions.limits]
    with contestants(names, size, conditions) as all_of_them:
        solvers = all_of_them[: len(conditions.solvers)]
        _check_agreement(solvers)
        take_turns(all_of_them, repeats, conditions)
        for solver in solvers:
            reply = solver.ask("peak") or {"bytes": None}
            solver.result.facts["peak_bytes"] = reply.pop("bytes")
            solver.result.facts.update(reply)
        if conditions.device != "cpu":
            _ask_for_more(solvers)
    operations = _operations(size, conditions.device)
    for contestant in all_of_them:
        name, median, facts = contestant.result.contender, contestant.result.median, contestant.result.facts
        if name in conditions.in_each_precision(OURS):
            facts["operations"] = operations
        elif name in conditions.limits and median:
            facts["operations_per_second"] = _operations_of_the_limit(conditions.device) / median
    return [contestant.result for contestant in all_of_them]


def _ask_for_more(solvers):
    """Note the steps of our evaluations on a GPU, and the versions of what the peers compute with."""
    for solver in solvers:
        solver.note("steps" if solver.result.contender in (OURS, tf32(OURS)) else "check")


def _operations(size, device):
    """The operations of our matrix products in one evaluation."""
    network = problem.random_network(0, problem.NARROWER) if device == EMULATED else problem.random_network()
    layers = network.defaults.content_layers, network.defaults.style_layers
    return limit.operations(network, *layers, size, (conv2d_on_cpu if device == "cpu" else conv2d_on_gpu).choose)


def _operations_of_the_limit(device):
    return limit.sgemm_operations() if device == "cpu" else device_limit.product_operations(device)


def whole_run(name: str, size: int, iterations: int, conditions: Conditions) -> list[Result]:
    """Measure a run from white noise by one contender: seconds, evaluations and the loss at the end."""
    with contestants([name], size, conditions) as (contestant,):
        conditions.tell(f"{name} at {size}x{size}: {iterations} iterations")
        contestant.note("run", iterations=iterations)
        return [contestant.result]


def climb(repeats: int, conditions: Conditions) -> list[Result]:
    """Measure every rung of the ladder, see `scratchnst.bench.ladder`: time, extra memory and error of a layer."""
    size = ladder.SIDE
    with contestants(ladder.RUNGS, size, conditions) as rungs:
        for rung in rungs:
            rung.note("check")
        take_turns(rungs, repeats, conditions)
    for rung in rungs:
        share = ladder.share(rung.result.contender, size)
        rung.result.seconds = [seconds / share for seconds in rung.result.seconds]
        rung.result.facts["computed_share"] = share
    return [rung.result for rung in rungs]


def climb_on_device(repeats: int, conditions: Conditions) -> list[Result]:
    """Measure every rung of a GPU's ladder, see `scratchnst.bench.device_ladder`, and what it has at best beside them.

    A rung's facts have its error and its steps; those of a large product the rate in operations a second, those of the
    large copy in bytes.
    """
    device = conditions.device
    limits = [*conditions.limits, COPY]
    with contestants([*device_ladder.RUNGS, *limits], device_ladder.side(device), conditions) as all_of_them:
        rungs, (*large_products, copy) = all_of_them[: -len(limits)], all_of_them[-len(limits) :]
        for rung in rungs:
            rung.note("check")
        take_turns(all_of_them, repeats, conditions, calls=CALLS)
        for rung in rungs:
            rung.note("steps")
    for product in large_products:
        if product.result.median:
            rate = device_limit.product_operations(device) / product.result.median
            product.result.facts["operations_per_second"] = rate
    if copy.result.median:
        copy.result.facts["bytes_per_second"] = device_limit.copy_bytes(device) / copy.result.median
    return [contestant.result for contestant in all_of_them]


def device_facts(conditions: Conditions) -> dict[str, Any]:
    """Return what a GPU's figures depend on, see `scratchnst.bench.device_facts`.

    Raises
    ------
    UserError
        If the device cannot be used.
    """
    with Process("facts", 1, conditions.threads, False, conditions.device, []) as process:
        try:
            process.ask("set_up", **process.settings)
            return process.ask("check")
        except Lost as lost:
            raise UserError(str(lost)) from None


def exactness(conditions: Conditions) -> list[Result]:
    """Compare gradient and end of a run with the textbook's, see `scratchnst.bench.accuracy`."""
    results, settings = [], accuracy.settings(conditions.device)
    for do, arguments in (("check", {}), ("run", {"iterations": settings["iterations"]})):
        size = settings[do]
        with contestants(["accuracy"], size, conditions) as (contestant,):
            conditions.tell(f"accuracy at {size}x{size}: {do}")
            contestant.note(do, **arguments)
            results.append(contestant.result)
    return results


def _check_agreement(solvers):
    """Compare every gradient with ours, the first; whoever computes another function is lost."""
    with tempfile.TemporaryDirectory() as directory:
        reference = None
        for number, solver in enumerate(solvers):
            file = Path(directory) / f"{number}.npy"
            reply = solver.ask("check", file=str(file))
            if reply is None:
                continue
            solver.result.facts["loss"] = reply["loss"]
            if number == 0:
                reference = reply["loss"], np.load(file)
            elif reference:
                _compare(solver, reply["loss"], np.load(file), *reference)


def _compare(solver, loss, gradient, our_loss, ours):
    """Note how far loss and gradient are from ours."""
    agreement = TF32_AGREEMENT if is_tf32(solver.result.contender) else AGREEMENT
    loss_distance = abs(loss / our_loss - 1)
    distance = float(np.linalg.norm(gradient - ours) / np.linalg.norm(ours))
    solver.result.facts.update(loss_distance=loss_distance, gradient_distance=distance)
    if not max(loss_distance, distance) < agreement:
        solver.lose(f"computes another function: its gradient is {distance:.0e} from ours")
