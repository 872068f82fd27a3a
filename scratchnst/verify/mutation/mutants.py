"""A test of the gradient checker: mistakes are planted in the textbook, one at a time, and each must be caught.

A mutant is a new module, executed from the source of one of this package's modules with a small change; the imported
module stays as it is.  Operations are checked one by one, networks and objectives by `check_chain` and as a whole.
"""

from __future__ import annotations

import inspect
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np

from scratchnst.models.layers import Layer
from scratchnst.models.network import Defaults, Network, Preprocessing
from scratchnst.transfer.objective import Objective
from scratchnst.verify.catalogue import check_objective, check_operation
from scratchnst.verify.diagnosis.deviation import DESCRIPTIONS
from scratchnst.verify.mutation.planted import MUTANTS, SOUND, Mutant
from scratchnst.verify.network.chain import check_chain
from scratchnst.verify.operations import OPERATIONS, module_name
from scratchnst.verify.report import Report

SIDE, LARGE = 5, 46  # pixels; LARGE gives more pixels than a convolution takes in one strip
TARGETS_IN_FLOAT64 = ("content_loss", "style_loss")  # whose results are in float64, as their targets are
SAMPLES, LARGE_SAMPLES = 24, 12  # elements compared one by one; all are, where something is wrong


@dataclass(frozen=True)
class MutantResult:
    """What the checks found of one mutant.

    Attributes
    ----------
    mutant : what was planted
    caught : whether any check did not pass
    methods : by which it was caught
    diagnosis, sentence : the keys and the sentence of the diagnosis
    outcome : "named", "described", "unnamed", "misnamed" or "missed"; for a sound change "passed" or "false alarm"
    seconds : how long it took
    """

    mutant: Mutant
    caught: bool
    methods: tuple[str, ...]
    diagnosis: str
    sentence: str
    outcome: str
    seconds: float


def run_mutants(seed: int = 0, mutants: Iterable[Mutant] = (*MUTANTS, *SOUND)) -> Iterator[MutantResult]:
    """Check the mutants one after the other, each with inputs drawn with `seed`."""
    for mutant in mutants:
        start = time.perf_counter()
        module = mutated(mutant)
        room, _, name = mutant.module.partition(".")
        is_operation = room in ("ops", "losses")
        reports = check_module(module, name, seed) if is_operation else check_assembly(module, seed)
        yield _row(mutant, reports, time.perf_counter() - start)


def mutated(mutant: Mutant) -> ModuleType:
    """Return the mutant's module with its patches, executed anew.

    Raises
    ------
    ValueError
        If the text of a patch is not in the module's source exactly once.
    """
    original = import_module(f"scratchnst.{mutant.module}")
    source = inspect.getsource(original)
    for old, new in mutant.patches:
        if source.count(old) != 1:
            raise ValueError(
                f"{mutant.module} holds {old!r} {source.count(old)} times, not once: mend {mutant.name!r}."
            )
        source = source.replace(old, new)
    module = ModuleType(original.__name__)
    module.__file__ = original.__file__
    exec(compile(source, f"<{mutant.module}: {mutant.name}>", "exec"), module.__dict__)
    return module


def check_module(module: ModuleType, name: str, seed: int = 0) -> list[Report]:
    """Check an operation's module in its cases up to the first wrong one: in float64, in float32, for large images."""
    reports: list[Report] = []
    for keep_dtype, side, samples in ((False, SIDE, SAMPLES), (True, SIDE, SAMPLES), (False, LARGE, LARGE_SAMPLES)):
        for case in OPERATIONS:
            if module_name(case) == name and not (keep_dtype and name in TARGETS_IN_FLOAT64):
                reports.append(check_operation(case, seed, side, samples=samples, module=module, keep_dtype=keep_dtype))
                if not reports[-1].passed:
                    return reports
    return reports


def check_assembly(module: ModuleType, seed: int = 0) -> list[Report]:
    """Check a module of the network or of the objective: the first wrong link, if there is one, then the whole."""
    random = np.random.default_rng(seed)
    network = small_network(random, getattr(module, "Network", Network))
    objective = getattr(module, "Objective", Objective)
    content, style, x = random.uniform(0, 255, (3, 7, 9, 3))
    chain = check_chain(
        objective(network, content, [style], dtype="float64", **WEIGHTS), x, samples=LARGE_SAMPLES, seed=seed
    )
    whole = check_objective(network, content, style, seed, samples=SAMPLES, objective=objective, **WEIGHTS)
    first = [replace(chain.first, name="chain")] if chain.first else []
    return [*first, whole]


def small_network(random: np.random.Generator, kind: type[Network] = Network) -> Network:
    """Return a network with every kind of row, a row that two others read, and few channels."""
    channels = {"conv1": (3, 4), "conv2": (4, 5), "side": (4, 2)}
    parameters = {
        name: (random.standard_normal((3, 3, *shape)) / np.sqrt(5 * shape[0]), 0.1 * random.standard_normal(shape[1]))
        for name, shape in channels.items()
    }
    table = (("conv1", "conv"), ("pool1", "pool"), ("conv2", "conv"), ("side", "linear", ("pool1",)))
    return kind(
        "small",
        tuple(Layer(*row) for row in table),
        parameters,
        Preprocessing("BGR", 1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        Defaults({"conv2": 1.0}, {"conv1": 1.0}, 1.0),
    )


# Two terms tap conv2, one taps the side branch; no weight is 1, and each term is a sizeable part of the gradient.
WEIGHTS: dict[str, Any] = {
    "content_layers": {"conv2": 2.0, "side": 0.7},
    "style_layers": {"conv1": 60.0, "conv2": 150.0},
    "content_weight": 0.3,
    "style_weight": 9.0,
    "tv_weight": 3e-5,
}


def _row(mutant, reports, seconds) -> MutantResult:
    wrong = [report for report in reports if not report.passed]
    methods = dict.fromkeys(method for report in wrong for method in _methods(report))
    found = [each for report in wrong for each in report.inputs if each.diagnosis_key]
    first = found[0] if found else None
    text = "\n".join(str(report) for report in wrong)
    return MutantResult(
        mutant,
        bool(wrong),
        tuple(methods),
        first.diagnosis_key if first else "",
        first.diagnosis if first else text,
        _outcome(mutant, wrong, found, text),
        seconds,
    )


def _methods(report):
    """The methods by which a report found something wrong; `check_chain` counts as one."""
    if report.name == "chain":
        yield "chain"
    elif report.problems:
        yield "refused"
    for each in report.inputs if report.name != "chain" else ():
        if each.verdict != "pass":
            yield from each.caught_by or ("refused" if each.verdict == "error" else "doubts",)


def _outcome(mutant, wrong, found, text):
    if mutant in SOUND:
        return "false alarm" if wrong else "passed"
    if not wrong:
        return "missed"
    keys = set(mutant.key.split(" or "))
    claims = [set(each.diagnosis_key.split(" or ")) for each in found]
    if any(not claim & keys and not any(map(_is_description, claim)) for claim in claims):
        return "misnamed"
    if mutant.key and claims and claims[0] & keys:
        return "named"
    return "described" if mutant.words and re.search(mutant.words, text) else "unnamed"


def _is_description(key):
    """Whether a key describes how the gradient deviates and names no mistake."""
    return key in DESCRIPTIONS or key.startswith(("factor ", "where "))
