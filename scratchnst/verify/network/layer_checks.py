"""How the operations of a chain are composed: gradients that meet are added, weights in loss and gradient are equal.

`check_network` compares `Network.backward` with `scratchnst.verify.network.walk`, which calls the same operations: a
difference is a mistake in their composition.

`check_objective` finds the weight of each term in the loss and in the gradient.  The loss is linear in the terms'
values, over some pictures, and the gradient in the terms' gradients, ::

    loss(x) = sum_t a_t value_t(x),       grad = sum_t b_t dvalue_t/dx                              (a)

so least squares give a and b.  The gradient is that of the loss if a = b, whatever the weights should be.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from scratchnst.arrays import Array
from scratchnst.models.network import Network
from scratchnst.transfer.objective import Objective
from scratchnst.verify.check import check_gradient
from scratchnst.verify.diagnosis.diagnosis import diagnose
from scratchnst.verify.methods.kinks import network_pattern
from scratchnst.verify.network.walk import Step, Walk
from scratchnst.verify.report import InputReport, Report, WorstElement

AGREEMENT = 1e-9  # relative, of the same sums in another order
FITTED = 1e-5  # relative, of least-squares solutions
NEGLIGIBLE = 1e-9  # part of the gradient of a term whose weight cannot be found

WALK = "walk back through the table"
SUM = "sum of the terms"


@dataclass(frozen=True)
class Summand:
    """One term of an objective, with its weight: a loss of the features at `layers`, or of the image without any."""

    name: str
    weight: float
    loss_name: str
    loss: Any
    layers: tuple[str, ...] = ()
    targets: tuple[Array, ...] = ()
    shifts: tuple[Any, ...] = ()

    def steps(self, walk: Walk, image: Array) -> list[Step]:
        """The loss, unweighted, at the features of a walk, as a function of each layer's; the others stay."""
        shifts = self.shifts or len(self.layers) * (0.0,)
        seen = [walk.outputs[layer] + np.array(shift) for layer, shift in zip(self.layers, shifts)] or [image]
        if len(seen) == 1:
            forward = lambda F: self.loss.forward(F, *self.targets)  # noqa: E731
            return [Step(self.name, self.loss_name, seen[0], self.targets, forward, self.loss.backward)]
        first, second = seen
        return [
            Step(
                f"{self.name} at {self.layers[0]}",
                "",
                first,
                (),
                lambda F: self.loss.forward(F, second, *self.targets),
                lambda grad_y, cache: self.loss.backward(grad_y, cache)[0],
            ),
            Step(
                f"{self.name} at {self.layers[1]}",
                "",
                second,
                (),
                lambda K: self.loss.forward(first, K, *self.targets),
                lambda grad_y, cache: self.loss.backward(grad_y, cache)[1],
            ),
        ]

    def value(self, walk: Walk, image: Array) -> float:
        """The loss, unweighted."""
        step, *_ = self.steps(walk, image)
        return step.forward(step.x)[0]

    def gradient(self, walk: Walk, image: Array) -> Array:
        """The gradient with respect to the image, unweighted."""
        gradients = [step.backward(1.0, step.forward(step.x)[1]) for step in self.steps(walk, image)]
        return walk.backward(dict(zip(self.layers, gradients))) if self.layers else gradients[0]


def _summands(objective: Objective) -> list[Summand]:
    """The terms of equation 7."""
    terms = [
        Summand(term.name, term.weight, term.loss_name, term.loss, term.layers, (term.target,), term.shifts)
        for term in objective.summands
    ]
    on_pixels = (
        Summand(term.name, term.weight, term.loss_name, term.loss, targets=term.targets)
        for term in objective.pixel_summands
    )
    return [*terms, *on_pixels]


def taps_of(objective: Objective) -> list[str]:
    """The layers that the objective's terms tap."""
    return list(dict.fromkeys(layer for term in objective.summands for layer in term.layers))


def loss_steps(objective: Objective, walk: Walk, image: Array) -> Iterator[Step]:
    """The operations nearest the loss, one for each term, that of the image first."""
    for summand in sorted(_summands(objective), key=lambda summand: bool(summand.layers)):
        yield from summand.steps(walk, image)


def check_network(network: Network, walk: Walk, image: Array, seed: int = 0) -> Report:
    """Check that `network.backward` goes through every row of the table and adds the gradients that meet.

    Gradients come in at one row at a time, in the order of the table, then at all: the first row that fails is wrong.
    """
    random = np.random.default_rng(seed)
    upstream = {row.name: random.standard_normal(walk.outputs[row.name].shape) for row in walk.rows}
    try:
        features, _ = network.forward(image, list(upstream))
        if not all(_close(features[name], walk.outputs[name]) for name in upstream):
            return _whole_network(network, image, {name: upstream[name] for name in walk.taps}, seed)
        for taps in [*({name: grad_y} for name, grad_y in upstream.items()), upstream]:
            given, right = _back(network, image, taps), walk.backward(taps)
            if not _close(given, right):
                found = _left_out(walk, taps, given) or _lost_taps(walk, taps, given)
                return _compared(WALK, given, right, found=found)
    except Exception as error:
        return Report(WALK, problems=(f"The network raises {type(error).__name__}: {error}.",))
    return _compared(WALK, given, right)


def check_objective(objective: Objective, walk: Walk, image: Array, seed: int = 0) -> Report:
    """Check that each term has the same weight in the objective's gradient and in its loss, equation (a)."""
    summands = _summands(objective)
    try:
        loss, given = objective(image[0].copy())
        given = np.asarray(given).reshape(image.shape)
        values = [each.value(walk, image) for each in summands]
        gradients = np.stack([each.gradient(walk, image) for each in summands])
        meant = np.array([each.weight for each in summands])
        in_loss, agreement = meant, AGREEMENT
        if not _close(loss, meant @ values):
            in_loss, agreement = _weights_in_loss(objective, walk, summands, image, seed), 10 * FITTED
        if in_loss is None:
            return _whole_objective(objective, image, seed)
    except Exception as error:
        return Report(SUM, problems=(f"The objective raises {type(error).__name__}: {error}.",))
    right = np.tensordot(in_loss, gradients, 1)
    return _compared(SUM, given, right, agreement, _unlike_weights(summands, in_loss, gradients, given))


def _close(a, b, agreement=AGREEMENT):
    scale = max(np.abs(a).max(initial=0), np.abs(b).max(initial=0))
    return np.shape(a) == np.shape(b) and bool(np.all(np.abs(a - b) <= agreement * scale))


def _back(network, image, taps):
    _, cache = network.forward(image, list(taps))
    return network.backward({name: gradient.copy() for name, gradient in taps.items()}, cache)


def _left_out(walk, taps, given):
    """The kind of operation whose backward is left out, if one tap is given."""
    for operation in dict.fromkeys(step.operation for step in walk.steps_back()):
        try:
            without = walk.backward(taps, {operation})
        except Exception:  # shapes need not match without it
            continue
        if len(taps) == 1 and _close(given, without):
            text = f"your gradient equals the right one without the backward of {operation} on the way back"
            return f"{operation}-left-out", f"{text}, first seen from {next(iter(taps))} on."
    return None


def _lost_taps(walk, taps, given):
    """Which of several taps' gradients are not in the given one, or not once."""
    parts = np.stack([walk.backward({name: gradient}).ravel() for name, gradient in taps.items()], axis=1)
    shares = _least_squares(parts, np.ravel(given))
    if shares is None or np.shape(given) != walk.backward(taps).shape:
        return None
    lost = [name for name, share in zip(taps, shares) if abs(share) < FITTED]
    if lost:
        text = f"your gradient equals the right one without what comes in at {', '.join(lost)}"
        return "gradient-overwritten", f"{text}: where several gradients meet, add them, do not overwrite."
    text = ", ".join(f"{name} {share:.4g}" for name, share in zip(taps, shares) if abs(share - 1) > FITTED)
    return "shares", f"your gradient counts what comes in at the taps not once but so often: {text}."


def _weights_in_loss(objective, walk, summands, image, seed):
    """The weight a of each term in the loss, from values at some pictures; None if the loss is no such sum."""
    random = np.random.default_rng(seed)
    rows, losses = [], []
    for _ in range(2 * len(summands) + 3):
        picture = image * random.uniform(0.5, 1) + random.uniform(0, 100) * random.standard_normal(image.shape)
        other = Walk(objective.network, picture, walk.taps)
        rows.append([each.value(other, picture) for each in summands])
        losses.append(objective(picture[0].copy())[0])
    return _least_squares(np.array(rows), np.array(losses))


def _least_squares(columns, wanted):
    """The factors of columns whose sum is `wanted`, or None if there are none."""
    scale = np.linalg.norm(columns, axis=0)
    if not scale.all() or len(wanted) != len(columns):
        return None
    factors = np.linalg.lstsq(columns / scale, wanted, rcond=None)[0] / scale
    return factors if _close(columns @ factors, wanted, FITTED) else None


def _unlike_weights(summands, in_loss, gradients, given):
    """Key and words for the terms whose weights in loss and gradient differ; None if all differ by one factor."""
    parts = np.abs(gradients).reshape(len(summands), -1).max(axis=1) * [each.weight for each in summands]
    known = np.flatnonzero(parts > NEGLIGIBLE * parts.max())
    in_gradient = _least_squares(gradients[known].reshape(len(known), -1).T, given.ravel())
    if in_gradient is None:
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = in_gradient / in_loss[known]
    if np.ptp(ratios) <= 10 * FITTED * np.abs(ratios).max():
        return None
    return _joined([_unlike(summands[each], in_loss[each], b) for each, b in zip(known, in_gradient)])


def _unlike(summand, a, b):
    """(key, words, name) of a term with weight a in the loss and b in the gradient; None if they are equal."""
    weight = summand.weight

    def same(found, assumed):
        return abs(found - assumed) <= 10 * FITTED * max(abs(found), abs(assumed), weight)

    known = (
        ("term-missing-in-gradient", "is in the loss, but its gradient is left out", a, 0),
        ("term-missing-in-loss", "is in the gradient, but not in the loss", 0, b),
        ("weight-missing-in-gradient", "lacks its weight in the gradient", weight, 1),
        ("weight-missing-in-loss", "lacks its weight in the loss", 1, weight),
        ("weight-twice-in-gradient", "has its weight twice in the gradient", weight, weight**2),
        ("sign-in-gradient", "has the wrong sign in the gradient", a, -a),
        ("twice-in-gradient", "is counted twice in the gradient", a, 2 * a),
    )
    if same(a, b):
        return None
    for key, words, in_loss, in_gradient in known:
        if same(a, in_loss) and same(b, in_gradient):
            return key, words, summand.name
    return "weights-differ", f"weighs {b:.6g} in the gradient and {a:.6g} in the loss", summand.name


def _joined(findings):
    """One key and one sentence of the findings on all terms; None if there are none."""
    names: dict[tuple[str, str], list[str]] = {}
    for key, words, name in filter(None, findings):
        names.setdefault((key, words), []).append(name)
    if not names:
        return None
    keys = " and ".join(dict.fromkeys(key for key, _ in names))
    return keys, f"{'; '.join(f'{_listed(several)} {words}' for (_, words), several in names.items())}."


def _listed(names):
    return names[0] if len(names) == 1 else f"each of {', '.join(names)}"


def _compared(name, given, right, agreement=AGREEMENT, found=None) -> Report:
    """The report on the comparison of an image's gradient with the right one."""
    given, right = np.asarray(given, float), np.asarray(right, float)
    if given.shape != right.shape:
        return Report(name, problems=(f"The gradient has the shape {given.shape}, the image {right.shape}.",))
    error = np.abs(given - right)
    index = tuple(int(place) for place in np.unravel_index(np.nanargmax(error), error.shape))
    scale = np.abs(right).max() or 1.0
    report = InputReport(
        "image",
        given.shape,
        "float64",
        "pass",
        checked=given.size,
        judged=given.size,
        total=given.size,
        relative_error=float(error.max() / scale),
        worst=WorstElement(index, float(given[index]), float(right[index])),
        got=given,
        expected=right,
    )
    if error.max() <= agreement * scale:
        return Report(name, (report,))
    if found is None and (diagnosis := diagnose([right], 0.0, None, given, right)):
        found = diagnosis.key, diagnosis.sentence
    key, sentence = found or (None, None)
    reason = f"The gradient is wrong; at {index} it is {given[index]:.10g} and should be {right[index]:.10g}."
    wrong = replace(
        report, verdict="fail", reasons=(reason,), caught_by=("chain",), diagnosis=sentence, diagnosis_key=key
    )
    return Report(name, (wrong,))


def _whole_network(network, image, upstream, seed) -> Report:
    """Check the network as a whole, where its forward is not what its table says."""

    def loss(image):
        features, cache = network.forward(image, list(upstream))
        return float(sum(np.sum(upstream[name] * features[name]) for name in upstream)), cache

    report = check_gradient(
        lambda image: loss(image)[0],
        image,
        lambda image: network.backward({name: gradient.copy() for name, gradient in upstream.items()}, loss(image)[1]),
        kinks=lambda image: network_pattern(network, loss(image)[1]),
        samples=16,
        seed=seed,
        name=WALK,
    )
    note = "Network.forward does not compute what its table says; it was checked as a whole."
    return replace(report, notes=(*report.notes, note))


def _whole_objective(objective, image, seed) -> Report:
    """Check the objective as a whole, where its loss is no sum of its terms."""
    report = check_gradient(lambda x: objective(x), image[0], samples=16, seed=seed, name=SUM)
    note = "The loss is no weighted sum of its terms; it was checked as a whole."
    return replace(report, notes=(*report.notes, note))
