r"""Distillation: a student, a small network, is trained to reproduce a teacher's features (G. Hinton, O. Vinyals,
J. Dean, "Distilling the knowledge in a neural network", 2015; A. Romero et al., "FitNets", ICLR 2015).

Let f be the teacher's C features at a pixel of one of its layers, and U (C, k) the k principal axes of f over many
pictures: the orthonormal eigenvectors of sum f f^T with the largest eigenvalues.  The student is to output the k
numbers U^T f, an easier task than f.  Little is lost: for Gram matrices G and A of features that lie in the span of U,
|U^T G U - U^T A U| = |G - A|, and |U^T F - U^T P| = |F - P|.  So the losses of the student are the teacher's, except
for features outside that span and for the student's own errors.

With s_l the student's output at layer l, t_l = U_l^T f_l and the mean taken over pixels and axes::

    L = sum_l mean((s_l - t_l)^2) / m_l,            m_l = mean(t_l^2) over the first pictures         (a)
    dL/ds_l = 2 (s_l - t_l) / (size of s_l  m_l)                                                        (b)

`Network.backward_parameters` carries this to every kernel and bias, and Adam updates them.

The student's last step to s_l is linear, s = W^T h with h the features that the likeness layer reads and a 1 for the
bias.  These features are correlated, so that Adam is slow to find W.  Where the rest stays, (a) is a problem of least
squares.  After the last step W is its solution over the examples in memory, with a little shrinkage; so it is before
the first step of a student that begins with the weights of another::

    (sum h h^T + r I) W = sum h t^T,            r = SHRINKAGE times the mean of the diagonal of sum h h^T

The teacher is normalised first, as it is before a transfer.

A transfer optimises an image for the student's loss, and so finds images on which the student errs.  Therefore images
from transfers with the student, intermediate ones too, are added to the training examples, with the teacher's features
as targets (S. Ross, G. Gordon, J. A. Bagnell, "A reduction of imitation learning ... to no-regret online learning",
AISTATS 2011).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from scratchnst import images
from scratchnst.errors import UserError
from scratchnst.losses import gram
from scratchnst.models import student, vgg
from scratchnst.models.network import Defaults, Network
from scratchnst.models.normalize import normalize
from scratchnst.optimize.adam import adam
from scratchnst.system.signals import one_interrupt
from scratchnst.training import crops
from scratchnst.transfer.objective import Objective
from scratchnst.transfer.stylize import stylize

STEPS = 15000  # of Adam
SIDE = 128  # pixels of a crop
BATCH = 3  # crops a step
NORMALISED_ON = 32  # pictures at most
POOL = 192  # examples in memory, replaced a few at a time, since the teacher is slower than the student
CROPS, CROPS_EVERY = 4, 8  # new examples from pictures, and the steps between them
TRANSFER_EVERY, TRANSFER_FROM = 24, 300  # steps between transfers with the student, and the first of them
TRANSFER_STAGES = (4, 12, 32)  # iterations of a transfer after which its image becomes an example
CONTENT_FACTORS = (1.0, 16.0)  # of the content weight in a transfer: between these, at random
RATE, WARM_UP = 2e-3, 100  # Adam's highest rate, and the steps until it is reached
SHRINKAGE = 1e-5
KEEP_EVERY = 100  # steps between checkpoints


@dataclass(frozen=True)
class Example:
    """A crop (H, W, 3) and the teacher's features on it: layer -> (H_l, W_l, k)."""

    image: np.ndarray
    targets: Mapping[str, np.ndarray]


class Teacher:
    """A network, normalised on some of `pictures`, with the principal axes of its features.

    Attributes
    ----------
    network : the normalised network
    axes : layer -> U (C, k)
    """

    def __init__(self, network: Network, pictures: Sequence[np.ndarray]):
        random = np.random.default_rng(0)  # the same axes when a student of these pictures is trained further
        some = pictures[:: -(-len(pictures) // NORMALISED_ON)]
        self.network = normalize(network, [images.fit(picture, 256) for picture in some], student.AXES)
        with network.engine.session(keep_kernels=True):
            moments = second_moments(self.network, [crops.draw(random, pictures, SIDE) for _ in range(POOL // 2)])
        self.axes = {name: principal_axes(moments[name], k) for name, k in student.AXES.items()}

    def examples(self, pictures: Sequence[np.ndarray]) -> list[Example]:
        """Return images (H, W, 3) of one size with their features on the axes."""
        if not pictures:
            return []
        features, _ = self.network.forward(np.stack(pictures), self.axes, training=False)
        targets = {name: features[name] @ U for name, U in self.axes.items()}
        return [
            Example(picture, {name: target[number] for name, target in targets.items()})
            for number, picture in enumerate(pictures)
        ]


def second_moments(network: Network, pictures: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Return layer -> sum f f^T (C, C), float64, over all pixels of `pictures`, for the layers to be reproduced."""
    moments: dict[str, np.ndarray] = {}
    for picture in pictures:
        features, _ = network.forward(picture[np.newaxis], student.AXES, training=False)
        for name, feature in features.items():
            G, _ = gram.forward(feature.astype(np.float64))
            moments[name] = moments.get(name, 0) + G[0]
    return moments


def principal_axes(second_moment: np.ndarray, count: int) -> np.ndarray:
    """Return U (C, count), float32: orthonormal, the axes on which the features are largest."""
    _, vectors = np.linalg.eigh(second_moment)  # in ascending order
    return vectors[:, ::-1][:, :count].astype(np.float32)


def distil(
    network: Network,
    pictures: Sequence[np.ndarray],
    steps: int = STEPS,
    seed: int = 0,
    start: Network | None = None,
    rate: float = RATE,
    done: int = 0,
    on_step: Callable[[int, float], None] | None = None,
    keep: Callable[[int, Network], None] | None = None,
) -> Network:
    """Return a student trained to reproduce the features of `network`, whose engine, one of the CPU, computes.

    Parameters
    ----------
    network : VGG19, at least as far as conv5_1
    pictures : images (H, W, 3), RGB 0-255, of any sizes
    steps : of Adam, each on `BATCH` crops
    seed : of the crops and of the first weights
    start : a student that was trained before: every layer of the same name and shape begins with its weights
    rate : Adam's highest
    done : how many of the steps `start` has been trained for already: training goes on at the rate of the next one,
        with other crops, and with Adam's means at zero
    on_step : called with the number of the step and the loss, equation (a), divided by the number of layers
    keep : called with the number of steps done and the student, every `KEEP_EVERY` steps and when it is interrupted

    Raises
    ------
    UserError
        If the network lacks a layer, or `start` is no student.
    """
    network.check_layers(student.AXES)
    random = np.random.default_rng([seed, done] if done else seed)
    pupil = student.build(random, defaults(network))
    if start is not None:
        pupil = with_parameters_of(start, pupil)
    loss = DistillationLoss(Teacher(network, pictures), pictures, pupil.on(network.engine), random, done)
    if start is not None:  # whose likeness layers may be those of another training
        loss.network = with_solved_likeness(loss.network, loss.examples)
    x, number = loss.flat(), done

    def report(flat, value):
        nonlocal x, number
        x, number = flat, number + 1
        arm()  # it goes on: a signal before, if there was one, was lost
        if on_step:
            on_step(number, value)
        if keep and number % KEEP_EVERY == 0:
            keep(number, loss.network_with(x))

    def rate_at(step):
        return rate * rate_factor(done + step, steps, done)

    with one_interrupt() as arm:  # a second signal does not disturb what is kept after the first one
        try:
            final = adam(loss, x, steps - done, callback=report, rate=rate_at)
        except KeyboardInterrupt:
            if keep:
                keep(number, loss.network_with(x))
            raise
    return with_solved_likeness(loss.network_with(final.x), loss.examples)


def with_parameters_of(start: Network, pupil: Network) -> Network:
    """Return `pupil` with the parameters of `start` in all layers of the same name and shape.

    Raises
    ------
    UserError
        If there are none, or `start` expects other preprocessing.
    """
    same = {
        name: start.parameters[name]
        for name, arrays in pupil.parameters.items()
        if [array.shape for array in arrays] == [array.shape for array in start.parameters.get(name, ())]
    }
    if not same or start.preprocessing != pupil.preprocessing:
        raise UserError(f"{start.name} is no student of this kind: give a file that was distilled, or none.")
    return replace(pupil, parameters={**pupil.parameters, **same})


class DistillationLoss:
    """Equation (a) on another batch at every call, and its gradient, as a function of all parameters in one vector."""

    def __init__(
        self,
        teacher: Teacher,
        pictures: Sequence[np.ndarray],
        network: Network,
        random: np.random.Generator,
        done: int = 0,
    ):
        self.teacher, self.pictures, self.network, self.random = teacher, pictures, network, random
        self.step = done
        with teacher.network.engine.session(keep_kernels=True):
            self.examples = [teacher.examples([self._crop()])[0] for _ in range(POOL)]
        self.energy = {
            name: float(np.mean([np.mean(example.targets[name] ** 2) for example in self.examples]))
            for name in student.AXES
        }

    def __call__(self, flat: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the loss, divided by the number of layers, and its gradient at parameters `flat`."""
        network = self.network_with(flat)
        self._replace_examples(network)
        batch = [self.examples[number] for number in self.random.choice(POOL, BATCH, replace=False)]
        loss, grad_parameters = loss_and_gradient(network, batch, self.energy)
        return loss, flatten(grad_parameters[name] for name in network.parameters)

    def flat(self) -> np.ndarray:
        """Return the student's parameters as one vector."""
        return flatten(self.network.parameters.values())

    def network_with(self, flat: np.ndarray) -> Network:
        """Return the student with the parameters in the vector `flat`."""
        parameters, start = {}, 0
        for name, (w, b) in self.network.parameters.items():
            middle, end = start + w.size, start + w.size + b.size
            parameters[name] = flat[start:middle].reshape(w.shape), flat[middle:end]
            start = end
        return replace(self.network, parameters=parameters).astype("float32")

    def _replace_examples(self, network):
        """Replace some of the examples by new ones."""
        self.step += 1
        new = []
        if self.step % CROPS_EVERY == 0:
            new += [self._crop() for _ in range(CROPS)]
        if self.step % TRANSFER_EVERY == 0 and self.step >= TRANSFER_FROM:
            new += self._transfer(network)
        for example in self.teacher.examples(new):
            self.examples[self.random.integers(POOL)] = example

    def _crop(self):
        return crops.draw(self.random, self.pictures, SIDE)

    def _transfer(self, network):
        """Return the images after TRANSFER_STAGES of a transfer with the student, one crop in the style of another.

        It starts from noise or from the content, and the content has more or less weight, at random.
        """
        weight = network.content_weight(SIDE, SIDE)
        weight *= np.exp(self.random.uniform(*np.log(CONTENT_FACTORS)))
        objective = Objective(network, self._crop(), [self._crop()], content_weight=weight)
        init = "noise" if self.random.random() < 0.5 else "content"
        stages = []

        def keep(iterate):
            if iterate.iteration in TRANSFER_STAGES:
                stages.append(np.float32(iterate.image))

        seed = int(self.random.integers(2**31))
        result = stylize(objective, init, iterations=TRANSFER_STAGES[-1], seed=seed, on_step=keep)
        if result.stop_reason == "interrupted":
            raise KeyboardInterrupt  # `stylize` has ended only the transfer
        return stages


def loss_and_gradient(
    network: Network, examples: Sequence[Example], energy: Mapping[str, float]
) -> tuple[float, dict[str, tuple[np.ndarray, ...]]]:
    """Return equation (a) divided by the number of layers, with m_l = energy[l], and its gradient by all parameters."""
    batch = np.stack([example.image for example in examples])
    outputs, cache = network.forward(batch, [student.likeness(name) for name in energy])
    loss, grad_outputs = 0.0, {}
    for name, m in energy.items():
        s = outputs[student.likeness(name)]
        difference = s - np.stack([example.targets[name] for example in examples])
        weight = 1 / (len(energy) * m * s.size)
        loss += weight * float(np.sum(difference**2, dtype=np.float64))
        grad_outputs[student.likeness(name)] = 2 * weight * difference  # equation (b)
    return loss, network.backward_parameters(grad_outputs, cache)


def with_solved_likeness(network: Network, examples: Sequence[Example]) -> Network:
    """Return the student with the likeness layers that are best for `examples`, by least squares."""
    squares: dict[str, Any] = defaultdict(float)
    products: dict[str, Any] = defaultdict(float)
    for example in examples:
        features, _ = network.forward(example.image[np.newaxis], example.targets, training=False)
        for name, target in example.targets.items():
            h = features[name].reshape(-1, features[name].shape[3]).astype(np.float64)
            h = np.column_stack([h, np.ones(len(h))])
            squares[name] += h.T @ h
            products[name] += h.T @ target.reshape(len(h), -1)
    parameters = dict(network.parameters)
    for name, square in squares.items():
        shrinkage = SHRINKAGE * np.trace(square) / len(square) * np.eye(len(square))
        W = np.linalg.solve(square + shrinkage, products[name]).astype(np.float32)
        parameters[student.likeness(name)] = W[np.newaxis, np.newaxis, :-1], W[-1]
    return replace(network, parameters=parameters)


def flatten(pairs) -> np.ndarray:
    """Return the numbers of all arrays in (w, b), (w, b), ... as one float64 vector."""
    return np.concatenate([array.ravel() for pair in pairs for array in pair]).astype(np.float64)


def rate_factor(step: int, steps: int, done: int = 0) -> float:
    """Return Adam's rate relative to the highest: half a cosine over all steps, and a linear rise in the first WARM_UP.

    Of a training that goes on after `done` steps, it rises again from there.
    """
    return min(1.0, (step - done) / WARM_UP) * (0.5 + 0.5 * np.cos(np.pi * step / (steps + 1)))


def defaults(network: Network) -> Defaults:
    """Return the student's defaults: the complete VGG19's, with other weights, see `student`.

    Equation 4 divides by the squared number of channels, and the default content weight by the number of features: of
    both the student has k, the teacher C.
    """
    of_teacher = vgg.defaults(vgg.table())
    shares = {name: k / network.parameters[name][0].shape[3] for name, k in student.AXES.items()}
    content_layers = {**of_teacher.content_layers, **student.CONTENT_FACTORS}
    return replace(
        of_teacher,
        content_layers={student.likeness(name): weight * shares[name] for name, weight in content_layers.items()},
        style_layers={
            student.likeness(name): weight * shares[name] ** 2 * student.STYLE_FACTORS[name]
            for name, weight in of_teacher.style_layers.items()
        },
    )
