"""Checks of an engine: its operations one after the other, then the full objective."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np

from scratchnst.engine import Engine, textbook
from scratchnst.errors import UserError
from scratchnst.images import samples
from scratchnst.models import vgg
from scratchnst.models.network import Network
from scratchnst.transfer.objective import Objective
from scratchnst.verify.catalogue import check_objective, check_operation
from scratchnst.verify.network.chain import ChainReport, check_chain
from scratchnst.verify.numpy_engine import as_numpy_engine
from scratchnst.verify.operations import GPU_SIZE, ON_A_GPU, OPERATIONS, module_name
from scratchnst.verify.report import Report

OBJECTIVE = "objective"
OPERATION_SIDE, OBJECTIVE_SIDE = 5, 16  # pixels
CHANNELS = 4  # of the small network
GPU_SAMPLES = 8  # elements of an operation's input that are compared one by one on a GPU, where images are larger
SAMPLES = 24  # elements of the objective's gradient that are compared one by one, beside all of them together


def check_engine(
    network: Network,
    wanted: Sequence[str] | None = None,
    seed: int = 0,
    side: int | None = None,
    *,
    every_element: bool = False,
    on_element: Callable[[int, int], None] | None = None,
) -> Iterator[Report]:
    """Check operations of a network's engine and its full objective, and yield a report for each.

    Parameters
    ----------
    network : with its engine
    wanted : names of operations, and "objective"; None: all that the engine has of its own, and the objective
    seed : of everything random
    side : of the images in pixels; None: small, on a GPU more than a block of threads
    every_element : compare every element of the objective's gradient
    on_element : as in `check_gradient`, of the objective

    Raises
    ------
    UserError
        If the engine has no such operation, or the images are too small.
    """
    engine = network.engine
    if side == 1 and any("pool" in name for name in _chosen(engine, wanted)):
        raise UserError("images of one pixel have no squares to pool: take a size of 2 or more.")
    how: dict[str, Any] = {"size": OPERATION_SIDE}
    if engine.compiles_kernels:
        how = {"size": GPU_SIZE, "operations": ON_A_GPU, "samples": GPU_SAMPLES}
    how["size"] = side or how["size"]
    for name in _chosen(engine, wanted):
        if name == OBJECTIVE:
            yield check_objective(
                network,
                *_pictures(side),
                seed,
                samples=None if every_element else SAMPLES,
                on_element=on_element,
            )
            continue
        module = getattr(as_numpy_engine(engine), module_name(name), None)
        ways = engine.ways if name == "conv2d" else ()
        for way in ways or (None,):
            with engine.conv2d.using(way) if way else nullcontext():
                report = check_operation(name, seed, module=module, **how)
            yield replace(report, name=f"{name} {way}") if way else report


def first_wrong_operation(network: Network, seed: int = 0, side: int | None = None) -> ChainReport:
    """Check the operations within the full objective one by one, see `check_chain`."""
    content, style = _pictures(side)
    objective = Objective(network.on(as_numpy_engine(network.engine)), content, [style], dtype="float64")
    return check_chain(objective, np.random.default_rng(seed).uniform(0, 255, objective.shape), seed=seed)


def small_network(seed: int = 0) -> Network:
    """Return a VGG19 of few channels with random weights, deep enough for the paper's layers."""
    random = np.random.default_rng(seed)
    layers, parameters, depth = vgg.table(), {}, 3
    for name in vgg.kernel_shapes():
        w = random.standard_normal((3, 3, depth, CHANNELS)) * np.sqrt(2 / (9 * depth))
        parameters[name] = w.astype(np.float32), (0.1 * random.standard_normal(CHANNELS)).astype(np.float32)
        depth = CHANNELS
    return Network("random vgg19", layers, parameters, vgg.PREPROCESSINGS["torchvision"], vgg.defaults(layers))


def _chosen(engine: Engine, wanted: Sequence[str] | None) -> list[str]:
    """The names wanted, of the operations that an engine has: the textbook all, another those of its own."""
    known = list(OPERATIONS)
    if engine is not textbook:
        known = [name for name in known if module_name(name) in engine.own and not name.startswith("equation")]
    for name in wanted or ():
        if name not in (*known, OBJECTIVE):
            raise UserError(f"the engine {engine.name} has no {name} of its own; it has {', '.join(known)}.")
    return list(wanted or [*known, OBJECTIVE])


def _pictures(side: int | None) -> tuple[np.ndarray, np.ndarray]:
    side = side or OBJECTIVE_SIDE
    return samples.draw_pair(side, max(side, samples.SMALLEST_SIDE))
