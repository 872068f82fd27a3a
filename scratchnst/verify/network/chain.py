"""The first wrong operation in the gradient of a network or an objective.

Every operation of the chain is checked by itself, at the input that it has in this network for this picture, with a
random upstream gradient, so that a wrong backward does not affect the other checks.  Then
`scratchnst.verify.network.layer_checks` checks how they are composed: gradients that meet are added, and each term has
the same weight in loss and gradient.  By the chain rule the whole gradient is right if all of these are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import numpy as np

from scratchnst.arrays import Array
from scratchnst.models.network import Network
from scratchnst.transfer.objective import Objective
from scratchnst.verify.check import check_backward
from scratchnst.verify.network import layer_checks
from scratchnst.verify.network.walk import Step, Walk, default_taps
from scratchnst.verify.report import VERDICTS, Report, WithVerdict

JITTER = 1e-3  # size of the noise that separates ties and moves zeros off their kink, over the largest activation


@dataclass(frozen=True)
class ChainReport(WithVerdict):
    """What was found of a chain of operations: `str(report)` is the text.

    Attributes
    ----------
    name : of the network or objective
    reports : one for each operation, from the loss to the pixels, then those on their composition
    seconds : duration of the checks
    """

    name: str
    reports: tuple[Report, ...]
    seconds: float = 0.0

    @property
    def wrong(self) -> tuple[Report, ...]:
        """The reports that did not pass, the one nearest the loss first."""
        return tuple(report for report in self.reports if not report.passed)

    @property
    def first(self) -> Report | None:
        """The first wrong one, coming from the loss, or else the first that could not be judged; None if all pass."""
        wrong = sorted(self.wrong, key=lambda report: report.verdict == "inconclusive")
        return wrong[0] if wrong else None

    @property
    def verdict(self) -> str:
        """The worst verdict of all."""
        return max((report.verdict for report in self.reports), key=VERDICTS.index)

    def as_dict(self) -> dict[str, Any]:
        """Return the report without its arrays, ready for `json.dumps`."""
        return {
            "name": self.name,
            "verdict": self.verdict,
            "passed": self.passed,
            "first": self.first.name if self.first else None,
            "wrong": [report.name for report in self.wrong],
            "reports": [report.as_dict() for report in self.reports],
            "seconds": self.seconds,
        }

    def __str__(self) -> str:
        lines = [f"{self.name}: {self.verdict} ({len(self.reports)} links, each checked by itself)"]
        if self.first:
            lines.append(f"  The first one wrong, coming from the loss, is {self.first.name}:")
            lines += [f"    {line}" for line in str(self.first).splitlines()]
        others = [report.name for report in self.wrong if report is not self.first]
        if others:
            lines.append(f"  Not right, besides: {', '.join(others)}.")
        return "\n".join(lines)


def check_chain(
    chain: Network | Objective,
    x: Array,
    *,
    taps: Iterable[str] | None = None,
    samples: int | None = 16,
    seed: int = 0,
    raising: bool = False,
    on_link: Callable[[int, int], None] | None = None,
) -> ChainReport:
    """Check every operation of a network or an objective at picture `x`, and how they are put together.

    Parameters
    ----------
    chain : a Network or an Objective; checked in float64
    x : (H, W, 3) array, RGB 0-255
    taps : layers where gradients come in, of a network; by default those of its default losses and every row that no
        other reads
    samples, raising : as in `check_gradient`, for each activation
    seed : of samples and upstream gradients
    on_link : called with (done, total) after each operation

    Raises
    ------
    UserError
        If a tap is not in the network, or the picture is too small for it.
    GradientError
        If `raising` and the verdict is not "pass".
    """
    start = time.perf_counter()
    if hasattr(chain, "layers"):
        objective, network = None, cast(Network, chain).astype("float64")
        image = np.array(x, "float64").reshape(1, *np.shape(x))
        walk = Walk(network, image, list(taps or default_taps(network)))
    else:
        objective = cast(Objective, chain).astype("float64")
        network = objective.network
        image = np.array(x, "float64").reshape(1, *objective.shape)
        walk = Walk(network, image, layer_checks.taps_of(objective))
    steps = [*(layer_checks.loss_steps(objective, walk, image) if objective else ()), *walk.steps_back()]
    links: list[Callable[[], Report]] = [partial(check_step, step, samples, seed) for step in steps]
    links.append(partial(layer_checks.check_network, network, walk, image, seed))
    if objective:
        links.append(partial(layer_checks.check_objective, objective, walk, image, seed))
    reports = []
    for link in links:
        reports.append(link())
        if on_link:
            on_link(len(reports), len(links))
    name = f"objective of {network.name}" if objective else network.name
    report = ChainReport(name, tuple(reports), time.perf_counter() - start)
    return report.raise_if_wrong() if raising else report


def check_step(step: Step, samples: int | None = 16, seed: int = 0) -> Report:
    """Check one operation at its input in the chain.

    If too few elements can be judged there, as where most squares of a max pool are zero, a little noise is added.
    """
    report = _checked(step, samples, seed)
    if report.verdict != "inconclusive":
        return report
    noise = np.random.default_rng(seed).standard_normal(step.x.shape)
    moved = _checked(replace(step, x=step.x + JITTER * np.abs(step.x).max() * noise), samples, seed)
    note = (
        f"At the activations themselves too much sits on kinks; they were moved by about {JITTER:.0e} of the largest."
    )
    return report if moved.verdict == "inconclusive" else replace(moved, notes=(*moved.notes, note))


def _checked(step, samples, seed):
    return check_backward(
        step.forward,
        step.backward,
        [step.x],
        names=["x"],
        operation=step.operation,
        constants=step.parameters,
        samples=samples,
        seed=seed,
        name=step.name,
    )
