"""Train a transform network on a painting or several, by the hand-written backward.

A step takes a batch of crops x, paints them, y = f(x), and goes back from the perceptual loss L::

    dL/dy                      `scratchnst.training.perceptual_loss`, through the loss network
    dL/d(output of f)          `transform_net.to_output`, since y = SPREAD output + MEAN
    dL/d(kernels, scales ...)  `Network.backward_parameters`, up the table of f
    dL/d(rows of the norms)    `transform_net.of_styles`, from the images of the batch to the styles

Adam moves each array of parameters, by gradients whose norm is bounded.  Its rate rises linearly over WARM_UP steps and
falls as half a cosine to LAST_RATE of the highest.  A norm's row is moved by the images of one style alone, so with
several styles the norms learn NORM_RATE times as fast.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from scratchnst.arrays import Array
from scratchnst.errors import UserError
from scratchnst.files import open_input, write_atomically
from scratchnst.images.grain import SIDE, grain
from scratchnst.models import style_predictor, transform_net
from scratchnst.models.network import Network
from scratchnst.optimize.adam import Moments
from scratchnst.training import steadiness
from scratchnst.training.batch import DIVERGED, Batch, Outcome, gradients, mean
from scratchnst.training.perceptual_loss import Losses, PerceptualLoss
from scratchnst.training.photographs import Photographs
from scratchnst.training.style_pool import StylePool

WARM_UP, LAST_RATE = 20, 0.05
NORM_RATE = 6.0
LARGEST_GRADIENT = 30.0  # of all parameters; usual ones are 3 to 20
MEMORY = 0.05  # share of the newest losses in their running mean
OF_ITSELF = 0.1
PART = 2  # images of a part on the CPU, which a process computes

Share = Callable[[Network, PerceptualLoss, list[Batch]], list[Outcome]]


def alone(network: Network, loss: PerceptualLoss, parts: list[Batch]) -> list[Outcome]:
    """Return what a network learns from each part of a batch."""
    return [gradients(network, loss, part) for part in parts]


@dataclass(frozen=True)
class Plan:
    """How long and on what a training runs.

    Attributes
    ----------
    iterations, minutes : when it ends; one of them is None
    batch, side : crops a step, and their pixels
    rate : Adam's highest
    seed : of all chance
    trained : the styles to be trained, by number; None trains all, and all other parameters
    """

    iterations: int | None = 1000
    minutes: float | None = None
    batch: int = 4
    side: int = 128
    rate: float = 2e-3
    seed: int = 0
    trained: tuple[int, ...] | None = None


Place = tuple[str, int]  # of a parameter: its layer, and its number there


@dataclass(frozen=True)
class State:
    """Where a training stands after a step; what follows depends on nothing else.

    Attributes
    ----------
    parameters, moments : of the network, and of Adam for those that are trained
    random : the state of the generator that crops come from
    iteration, seconds : done so far
    losses : their running mean
    range : mean, least and largest value of what was painted last
    """

    parameters: Mapping[str, tuple[Array, ...]]
    moments: Mapping[Place, Moments]
    random: Mapping[str, Any]
    iteration: int = 0
    seconds: float = 0.0
    losses: Losses | None = None
    range: tuple[float, float, float] = (math.nan, math.nan, math.nan)


class Training:
    """A network while it is trained.

    Parameters
    ----------
    network : a transform network, with a row in its norms for every style of the losses; its engine computes
    losses : part of the training that is done, 0 at first -> the loss of what is painted from then on
    photographs : to take crops of
    plan : of this training
    share : computes the parts of a batch, one after the other unless something else is given
    pool : the styles of the losses, if the network has a predictor; OF_ITSELF of its batches are crops in their own
        style, to be painted as they are

    Attributes
    ----------
    state : after the last step
    """

    def __init__(
        self,
        network: Network,
        losses: Mapping[float, PerceptualLoss],
        photographs: Photographs,
        plan: Plan,
        share: Share = alone,
        pool: StylePool | None = None,
    ):
        self._network, self.losses, self.photographs, self.plan, self.share = network, losses, photographs, plan, share
        self.pool = pool
        self.norms, self.count = transform_net.norms(network), transform_net.number_of_styles(network)
        self.faster = self.norms if self.count > 1 and not pool else []
        moments = {
            (name, place): Moments.of(array)
            for name, learnt in style_predictor.learnt(network).items()
            for place, array in enumerate(network.parameters[name])
            if learnt[place] and (plan.trained is None or name in self.norms)
        }
        random = np.random.default_rng(plan.seed).bit_generator.state
        self.state = State(network.parameters, moments, random)

    @property
    def network(self) -> Network:
        """The network as it is now."""
        return replace(self._network, parameters=self.state.parameters)

    @property
    def progress(self) -> float:
        """The part that is done, 0 to 1."""
        if self.plan.minutes is not None:
            return min(1.0, self.state.seconds / (60 * self.plan.minutes))
        return min(1.0, self.state.iteration / (self.plan.iterations or 1))

    @property
    def loss(self) -> PerceptualLoss:
        """The loss of the next step."""
        return self.losses[max(start for start in self.losses if start <= self.progress)]

    @property
    def _images_at_once(self):
        return self.plan.batch if self._network.engine.has_own_memory else PART

    @property
    def rate(self) -> float:
        """Adam's rate in the next step."""
        fall = LAST_RATE + (1 - LAST_RATE) * (0.5 + 0.5 * math.cos(math.pi * self.progress))
        return self.plan.rate * fall * min(1.0, (self.state.iteration + 1) / WARM_UP)

    def step(self) -> None:
        """Train on one batch.

        Raises
        ------
        UserError
            If the loss or a gradient is no longer finite.
        """
        started, before, random = time.perf_counter(), self.state, np.random.default_rng()
        random.bit_generator.state = before.random
        batch = self._batch(random)
        outcome = mean(self.share(self.network, self.loss, batch.parts(self._images_at_once)))
        parameters, moments = self.moved(outcome.gradients)
        y, losses = outcome.painted, outcome.losses
        self.state = State(
            parameters,
            moments,
            random.bit_generator.state,
            before.iteration + 1,
            before.seconds + time.perf_counter() - started,
            self._running_mean(losses, batch),
            (float(y.mean()), float(y.min()), float(y.max())),
        )

    def _running_mean(self, losses, batch):
        """The losses' running mean, in which crops in their own style do not count."""
        before = self.state.losses
        if batch.of_itself or before is None:
            return before if batch.of_itself else losses
        return before.times(1 - MEMORY).plus(losses.times(MEMORY))

    def _batch(self, random):
        """A batch of new crops."""
        engine, plan, steady = self._network.engine, self.plan, self.loss.weights.steady
        crops = self.photographs.crops(random, plan.batch, plan.side + (steadiness.SHIFT if steady else 0))
        batch = Batch(crops, self._styles_of_batch(random))
        if steady:
            x, later, shift = steadiness.frames(random, crops)
            batch = replace(batch, x=x, later=engine.asarray(later), shift=shift)
        if self.pool:
            of_itself = random.random() < OF_ITSELF
            z = self.pool.of(batch.x) if of_itself else self.pool.statistics(batch.styles)
            noise = np.stack([grain(*crop.shape[:2], *random.integers(SIDE, size=2)) for crop in batch.x])
            batch = replace(batch, statistics=engine.asarray(z), grain=engine.asarray(noise), of_itself=of_itself)
        return replace(batch, x=engine.asarray(batch.x))

    def _styles_of_batch(self, random):
        """The number of each image's style: all styles in turn, or any of a pool."""
        if self.pool:
            return self.pool.numbers(random, self.plan.batch, self.state.iteration)
        styles = self.plan.trained or range(self.count)
        first = self.state.iteration * self.plan.batch
        return [styles[(first + number) % len(styles)] for number in range(self.plan.batch)]

    def _bounded(self, gradients):
        """The gradients of what is trained, scaled down together where their norm is more than LARGEST_GRADIENT.

        Each norm of the network multiplies the gradient of an image of nearly one colour by a large number.
        """
        gradients = {(name, place): gradients[name][place] for name, place in self.state.moments}
        squares = sum(float((array.astype("float64") ** 2).sum()) for array in gradients.values())
        if not math.isfinite(squares):
            raise UserError(DIVERGED)
        factor = min(1.0, LARGEST_GRADIENT / max(math.sqrt(squares), 1e-30))
        return {place: array * array.dtype.type(factor) for place, array in gradients.items()}

    def moved(self, gradients: Mapping[str, tuple[Array, ...]]) -> tuple[dict, dict]:
        """Return parameters and moments after one step of Adam, by gradients whose norm is bounded.

        Raises
        ------
        UserError
            If a gradient is not finite.
        """
        bounded = self._bounded(gradients)
        parameters = {name: list(arrays) for name, arrays in self.state.parameters.items()}
        moments = {place: each.after(bounded[place]) for place, each in self.state.moments.items()}
        for (name, place), each in moments.items():
            faster = NORM_RATE if name in self.faster else 1.0
            parameters[name][place] = parameters[name][place] - each.step(faster * self.rate)
        return {name: tuple(arrays) for name, arrays in parameters.items()}, moments

    def save(self, path: Path, origin: Mapping[str, Any]) -> None:
        """Write all that `restore` needs to go on exactly from here; `origin` says which training it is."""
        state, asnumpy = self.state, self._network.engine.asnumpy
        arrays: dict[str, Any] = {}
        for name, parameters in state.parameters.items():
            for place, array in enumerate(parameters):
                arrays[f"{name}/{place}"] = asnumpy(array)
        for (name, place), moments in state.moments.items():
            arrays[f"{name}/{place}/m"], arrays[f"{name}/{place}/v"] = asnumpy(moments.m), asnumpy(moments.v)
        told = {
            "origin": origin,
            "random": state.random,
            "iteration": state.iteration,
            "seconds": state.seconds,
            "losses": asdict(state.losses) if state.losses else None,
        }
        buffer = BytesIO()
        np.savez(buffer, state=np.array(json.dumps(told)), **arrays)
        write_atomically(path, buffer.getvalue())

    def restore(self, path: Path, origin: Mapping[str, Any]) -> None:
        """Go on from a file that `save` wrote.

        Raises
        ------
        UserError
            If it cannot be read, or is of another training.
        """
        try:
            with open_input(path) as file, np.load(file, allow_pickle=False) as arrays:
                told = json.loads(str(arrays["state"]))
                if told["origin"] == json.loads(json.dumps(origin)):
                    self.state = self._state_of(told, arrays)
                    return
        except FileNotFoundError:
            raise UserError(f"there is no training to go on with, {path}: leave out --resume.") from None
        except Exception as error:  # whatever a damaged archive raises
            raise UserError(f"{path} is no whole checkpoint ({error}): delete it, and begin anew.") from None
        raise UserError(f"{path} is of another training: give the arguments that it was begun with.")

    def _state_of(self, told, arrays):
        """The state in a checkpoint; anything is raised for one that is not of this network."""

        def read(key, like):
            array = arrays[key]
            if array.shape != like.shape or array.dtype != like.dtype:
                raise ValueError(f"{key} has the shape {array.shape}")
            return self._network.engine.asarray(array)

        parameters = {
            name: tuple(read(f"{name}/{place}", array) for place, array in enumerate(each))
            for name, each in self.state.parameters.items()
        }
        moments = {
            (name, place): Moments(
                read(f"{name}/{place}/m", each.m), read(f"{name}/{place}/v", each.v), int(told["iteration"])
            )
            for (name, place), each in self.state.moments.items()
        }
        losses = Losses(**told["losses"]) if told["losses"] else None
        return State(parameters, moments, told["random"], int(told["iteration"]), float(told["seconds"]), losses)


def entry(training: Training) -> dict[str, Any]:
    """Return a line of the log, for JSON: the state after a step, but for its arrays."""
    state = training.state
    mean, least, largest = state.range
    return {
        "iteration": state.iteration,
        "seconds": round(state.seconds, 3),
        "losses": asdict(state.losses) if state.losses else None,
        "painted": {"mean": mean, "least": least, "largest": largest},
    }


def run(
    training: Training,
    on_step: Callable[[Training], None],
    keep: Callable[[Training], None],
    every: float,
    warn: Callable[[str], None],
) -> None:
    """Train to the end of the plan; `keep` is called every so many seconds, at the end and when interrupted.

    A UserError that it raises before the end is told to `warn`, and the training goes on: a disk that is full may have
    room again.
    """
    kept = time.monotonic()
    try:
        while training.progress < 1:
            training.step()
            on_step(training)
            if time.monotonic() - kept >= every:
                kept = time.monotonic()
                try:
                    keep(training)
                except UserError as error:
                    warn(f"what was learnt is not kept for now: {error}")
    finally:
        keep(training)
