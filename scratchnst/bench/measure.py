"""The measurements: contenders in processes of their own, taking turns.

All contenders of a size are set up first.  Then they are checked: gradients that differ belong to different functions,
and their times say nothing.  Then each does one evaluation in turn, so that whatever else the machine does meanwhile
falls on all of them alike, round after round; the first round warms up and does not count.  Where one is lost, that is
written down and the others go on.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from scratchnst.bench import accuracy, ladder, limit, problem
from scratchnst.bench.peer import PEERS
from scratchnst.bench.process import Lost, Process

OURS, SGEMM = "scratchnst", "sgemm"
REST = 0.3  # seconds between turns: threads of BLAS and OpenMP spin for a while when they have nothing to do
AGREEMENT = 1e-2  # relative, of gradients in float32; those of different functions differ by about 1


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
    """

    threads: int
    peers: Sequence[str] = ()
    prepare_peers: bool = False
    tell: Callable[[str], None] = lambda message: None


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

    def evaluate(self, counts: bool) -> None:
        """Evaluate and, if it counts, note the time."""
        reply = self.ask("evaluate")
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
            plain = name in PEERS and not conditions.prepare_peers
            process = stack.enter_context(Process(name, size, conditions.threads, plain))
            started.append(Contestant(process, Result(name, size)))
        for contestant in started:
            conditions.tell(f"{contestant.result.contender} at {size}x{size}: set up")
            contestant.set_up()
        yield started


def take_turns(contestants: Sequence[Contestant], repeats: int, conditions: Conditions) -> None:
    """Let each contender evaluate, one after the other, `repeats` times, after one round that does not count."""
    side = contestants[0].result.size
    for turn in range(repeats + 1):
        conditions.tell(f"{side}x{side}: round {turn} of {repeats}" if turn else f"{side}x{side}: warm-up")
        for contestant in contestants:
            time.sleep(REST)
            contestant.evaluate(counts=turn > 0)


def speed(size: int, repeats: int, conditions: Conditions) -> list[Result]:
    """Measure time and peak memory of one evaluation by us and by the peers, and the machine's rate of products.

    Ours comes first.  Its facts have the operations of its matrix products, `Sgemm`'s the rate in operations a second.
    """
    with contestants([OURS, *conditions.peers, SGEMM], size, conditions) as all_of_them:
        *solvers, sgemm = all_of_them
        _check_agreement(solvers)
        take_turns(all_of_them, repeats, conditions)
        for solver in solvers:
            reply = solver.ask("peak")
            solver.result.facts["peak_bytes"] = reply and reply["bytes"]
    network = problem.random_network()
    layers = network.defaults.content_layers, network.defaults.style_layers
    solvers[0].result.facts["operations"] = limit.operations(network, *layers, size)
    if sgemm.result.median:
        sgemm.result.facts["operations_per_second"] = limit.sgemm_operations() / sgemm.result.median
    return [contestant.result for contestant in all_of_them]


def whole_run(size: int, iterations: int, conditions: Conditions) -> list[Result]:
    """Measure a run from white noise by us and by the peers: seconds, evaluations and the loss at the end."""
    results = []
    for name in (OURS, *conditions.peers):
        with contestants([name], size, conditions) as (contestant,):
            conditions.tell(f"{name} at {size}x{size}: {iterations} iterations")
            contestant.note("run", iterations=iterations)
            results.append(contestant.result)
    return results


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


def exactness(conditions: Conditions) -> list[Result]:
    """Compare gradient and end of a run with the textbook's, see `scratchnst.bench.accuracy`."""
    results = []
    for size, do, arguments in (
        (accuracy.SIZE, "check", {}),
        (accuracy.RUN_SIZE, "run", {"iterations": accuracy.ITERATIONS}),
    ):
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
    loss_distance = abs(loss / our_loss - 1)
    distance = float(np.linalg.norm(gradient - ours) / np.linalg.norm(ours))
    solver.result.facts.update(loss_distance=loss_distance, gradient_distance=distance)
    if not max(loss_distance, distance) < AGREEMENT:
        solver.lose(f"computes another function: its gradient is {distance:.0e} from ours")
