r"""The student learns what the teacher sees (G. Hinton, O. Vinyals, J. Dean, "Distilling the knowledge in a neural
network", 2015; A. Romero et al., "FitNets", ICLR 2015).

Let f be the C numbers that the teacher sees at a pixel of one of its layers, and U (C, k) the k principal axes of f
over many pictures: the eigenvectors of sum f f^T with the largest eigenvalues, orthonormal.  The student is to say
the k numbers U^T f, a smaller task than f.  Little is lost: for Gram matrices G and A of features that lie in the
span of U, |U^T G U - U^T A U| = |G - A|, and |U^T F - U^T P| = |F - P|, so the losses of the student are the
teacher's, but for what lies outside the axes and what it has not learned.

With s_l what the student says at layer l, t_l = U_l^T f_l and the mean taken over pixels and axes::

    L = sum_l mean((s_l - t_l)^2) / m_l,            m_l = mean(t_l^2) over the first pictures         (a)
    dL/ds_l = 2 (s_l - t_l) / (size of s_l  m_l)                                                        (b)

and from there `Network.backward_parameters` carries it to every kernel and bias, and Adam moves them.

The teacher is normalised on the pictures first, as it is before a transfer.

A transfer looks for an image that lowers the student's loss, and so finds what the student misjudges.  Therefore it
paints while it learns, and its pictures, half-done ones too, are lessons like any others: the teacher says what it
sees there (S. Ross, G. Gordon, J. A. Bagnell, "A reduction of imitation learning ... to no-regret online learning",
AISTATS 2011).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from scratchnst import images
from scratchnst.errors import UserError
from scratchnst.losses import gram
from scratchnst.models import student, vgg
from scratchnst.models.network import Defaults, Network
from scratchnst.models.normalize import normalize
from scratchnst.optimize.adam import adam
from scratchnst.training import crops
from scratchnst.transfer.objective import Objective
from scratchnst.transfer.stylize import stylize

SIDE = 128  # pixels of a piece
BATCH = 4  # pieces a step
POOL = 256  # lessons at hand, of which a few are replaced now and then: the teacher is the slower of the two
FRESH_EVERY = 2  # steps between lessons from pictures
PAINT_EVERY, PAINT_FROM = 12, 300  # steps between paintings of the student's own, and the first of them
PAINTED_AT = (4, 15, 50)  # iterations after which a painting becomes a lesson
RATE, WARM_UP = 3e-3, 100  # Adam's rate at its height, and the steps that lead up to it
GENTLE_RATE = 1e-3  # the height for a student that has learned before


@dataclass(frozen=True)
class Lesson:
    """A piece and what the teacher sees on it: layer -> (H_l, W_l, k)."""

    piece: np.ndarray
    targets: Mapping[str, np.ndarray]


class Teacher:
    """A network, normalised on `pictures`, with the principal axes of its features.

    Attributes
    ----------
    network : the normalised network
    axes : layer -> U (C, k)
    """

    def __init__(self, network: Network, pictures: Sequence[np.ndarray]):
        random = np.random.default_rng(0)  # the same axes whenever a student of these pictures goes on
        shown = [images.fit(picture, 256) for picture in pictures]
        self.network = normalize(network, shown, student.AXES)
        pieces = [crops.draw(random, pictures, SIDE) for _ in range(POOL // 2)]
        moments = second_moments(self.network, pieces)
        self.axes = {name: principal_axes(moments[name], k) for name, k in student.AXES.items()}

    def lesson(self, piece: np.ndarray) -> Lesson:
        """Return `piece` (H, W, 3) with the teacher's features on its axes."""
        features, _ = self.network.forward(piece[np.newaxis], self.axes)
        return Lesson(piece, {name: features[name][0] @ U for name, U in self.axes.items()})


def second_moments(network: Network, pieces: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Return layer -> sum f f^T (C, C), float64, over all pixels of `pieces`, for the layers to be learned."""
    moments: dict[str, np.ndarray] = {}
    for piece in pieces:
        features, _ = network.forward(piece[np.newaxis], student.AXES)
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
    steps: int = 5500,
    seed: int = 0,
    start: Network | None = None,
    on_step: Callable[[int, float], None] | None = None,
) -> Network:
    """Return a student of `network`.

    Parameters
    ----------
    network : VGG19, at least as far as conv3_4
    pictures : images (H, W, 3), RGB 0-255, of any sizes
    steps : of Adam, each on `BATCH` pieces of pictures
    seed : of the pieces and of the first weights
    start : a student that has learned before, from the same pictures, and goes on, more gently; None is a new one
    on_step : called with the number of the step and the loss, equation (a), over the layers' number

    Raises
    ------
    UserError
        If the network lacks a layer, or `start` is no student.
    """
    network.check_layers(student.AXES)
    random = np.random.default_rng(seed)
    if start is not None and start.layers != student.build(np.random.default_rng(0), defaults(network)).layers:
        raise UserError(f"{start.name} is no student of this kind: give a file that was distilled, or none.")
    highest_rate = RATE if start is None else GENTLE_RATE
    teacher = Teacher(network, pictures)
    course = Course(teacher, pictures, start or student.build(random, defaults(network)), random)

    def report(parameters, loss):
        if on_step:
            on_step(course.step, loss)

    final = adam(course, course.flat(), steps, callback=report, rate=lambda t: highest_rate * share_of_rate(t, steps))
    return course.network_with(final.x)


class Course:
    """Equation (a) on fresh pieces at every call, as a function of all parameters in one vector, and its gradient."""

    def __init__(self, teacher: Teacher, pictures: Sequence[np.ndarray], network: Network, random: np.random.Generator):
        self.teacher, self.pictures, self.network, self.random = teacher, pictures, network, random
        self.step = 0
        self.lessons = [teacher.lesson(self._piece()) for _ in range(POOL)]
        self.energy = {
            name: float(np.mean([np.mean(lesson.targets[name] ** 2) for lesson in self.lessons]))
            for name in student.AXES
        }

    def __call__(self, flat: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the loss over the number of layers, and its gradient, at parameters `flat`."""
        network = self.network_with(flat)
        self._refresh(network)
        batch = [self.lessons[number] for number in self.random.choice(POOL, BATCH, replace=False)]
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

    def _refresh(self, network):
        """Put new lessons in the place of old ones."""
        self.step += 1
        if self.step % FRESH_EVERY == 0:
            self._replace_one(self._piece())
        if self.step % PAINT_EVERY == 0 and self.step >= PAINT_FROM:
            for painting in self._paint(network):
                self._replace_one(painting)

    def _replace_one(self, piece):
        self.lessons[self.random.integers(POOL)] = self.teacher.lesson(piece)

    def _piece(self):
        return crops.draw(self.random, self.pictures, SIDE)

    def _paint(self, network):
        """Return a painting of the student's, one piece in the style of another, at some of its stages."""
        objective = Objective(network, self._piece(), [self._piece()])
        stages = []

        def keep(progress):
            if progress.iteration in PAINTED_AT:
                stages.append(np.float32(progress.image))

        result = stylize(objective, iterations=PAINTED_AT[-1], seed=int(self.random.integers(2**31)), on_step=keep)
        if result.stop_reason == "interrupted":
            raise KeyboardInterrupt  # which `stylize` takes as the end of the painting, not of the training
        return stages


def loss_and_gradient(
    network: Network, lessons: Sequence[Lesson], energy: Mapping[str, float]
) -> tuple[float, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Return equation (a) over the number of layers, with m_l = energy[l], and its gradient for all parameters."""
    said, cache = network.forward(
        np.stack([lesson.piece for lesson in lessons]), [student.likeness(name) for name in energy]
    )
    loss, grad_said = 0.0, {}
    for name, m in energy.items():
        s = said[student.likeness(name)]
        difference = s - np.stack([lesson.targets[name] for lesson in lessons])
        share = 1 / (len(energy) * m * s.size)
        loss += share * float(np.sum(difference**2, dtype=np.float64))
        grad_said[student.likeness(name)] = 2 * share * difference  # equation (b)
    return loss, network.backward_parameters(grad_said, cache)


def flatten(pairs) -> np.ndarray:
    """Return the numbers of all arrays in (w, b), (w, b), ... as one float64 vector."""
    return np.concatenate([array.ravel() for pair in pairs for array in pair]).astype(np.float64)


def share_of_rate(step: int, steps: int) -> float:
    """Return which share of its height Adam's rate has: up at first, then down along half a cosine to a calm end."""
    return min(1.0, step / WARM_UP) * (0.5 + 0.5 * np.cos(np.pi * step / (steps + 1)))


def defaults(network: Network) -> Defaults:
    """Return the student's defaults: those of a VGG19 that ends at conv3_4, with more weight on the first layers.

    Equation 4 divides by N^2, the squared number of channels, of which the student has k instead of C.
    """
    of_teacher = vgg.defaults(vgg.truncated_table(sum(student.CONVOLUTIONS)))
    shares = {name: (k / network.parameters[name][0].shape[3]) ** 2 for name, k in student.AXES.items()}
    return replace(
        of_teacher,
        content_layers={student.likeness(name): weight for name, weight in of_teacher.content_layers.items()},
        style_layers={
            student.likeness(name): weight * shares[name] * student.STYLE_FACTORS[name]
            for name, weight in of_teacher.style_layers.items()
        },
    )
