"""The same loss and gradient in less memory: the upper layers are computed in horizontal strips, and computed twice.

The activations of the first layers take most of the memory: at 2048x2048 pixels each of VGG19's first two convolutions
has a gigabyte of them, and the way back needs as much again.  But a convolution looks no further than its kernel, so
that a strip of its output needs a strip of its input and a row or two around it.  The table is cut behind pools into
sections.  Once down: each of the upper sections is computed strip by strip, and nothing stays but what the next section
reads, and the sums that losses need of a whole layer, its Gram matrix (equation 3 is a sum over positions, so over
strips).  The last section is computed as a whole.  Then back up: a strip is computed again, this time with what its
backward needs, and its gradient is carried to its source, where the strips' gradients overlap and are added.

The price is the second time, and the rows around a strip, which its neighbours compute as well.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from scratchnst.arrays import Array, array_module
from scratchnst.errors import UserError
from scratchnst.losses import is_joined
from scratchnst.models.layers import IMAGE, Layer, Rows, strides
from scratchnst.models.network import Network

Place = tuple[slice, ...]  # where in a layer (N, H, W, C) a part of it is
Shift = float | tuple[float, ...]  # of the features at a layer: of all, or of each channel
LARGEST = 16 << 20  # bytes of a layer's activations in a strip, where there is no way back: small costs next to nothing


@dataclass(frozen=True)
class Strip:
    """One strip of every layer of a section.

    Attributes
    ----------
    own : name -> rows that belong to this strip and to no other
    needed : name -> these and the rows around them that the layers below look at; also of the section's source
    read : name -> rows of its sources that the layer computes the needed ones from
    computed : name -> rows that come out of that; where the zeros beyond a strip stood for pixels, they are not needed
    """

    own: Mapping[str, Rows]
    needed: Mapping[str, Rows]
    read: Mapping[str, Rows]
    computed: Mapping[str, Rows]


@dataclass(frozen=True)
class Section:
    """Rows of a table of which only the last is read further down, and the strips to compute them in."""

    source: str
    layers: tuple[Layer, ...]
    strips: tuple[Strip, ...]

    @property
    def end(self) -> str:
        return self.layers[-1].name


def cut(
    network: Network,
    taps: Collection[str],
    shape: tuple[int, int],
    largest: float = math.inf,
    together: Iterable[Sequence[str]] = (),
) -> tuple[Section, ...]:
    """Cut what `taps` depend on into sections and these into strips.

    Parameters
    ----------
    network : a Network
    taps : names of the layers whose features are wanted
    shape : (H, W) of the image
    largest : bytes that one layer's activations in a strip should not exceed; what fits is not cut
    together : taps of which the same loss sees the features, so that they must be of the same section

    Returns
    -------
    sections : from the image down; the last one has one strip wherever that fits

    Raises
    ------
    UserError
        If a tap is not in the table, the image is too small for one, or `largest` is less than a byte.
    """
    network.check_layers(taps)
    network.check_size(*shape, taps)
    if not largest >= 1:  # NaN is not, either
        raise UserError(f"the largest strip must be of 1 byte or more, not {largest:g}.")
    wanted, layers = set(taps), network.needed(taps)
    shapes = network.shapes(*shape)
    itemsize = max((array.dtype.itemsize for arrays in network.parameters.values() for array in arrays), default=8)

    def strips_wanted(layers):
        if not all(layer.rule.in_strips for layer in layers):
            return 1
        return max(math.ceil(math.prod(shapes[layer.name]) * itemsize / largest) for layer in layers)

    groups = _groups(network, wanted, together) if layers else []
    counts = [max(strips_wanted(group), 1) for group in groups]
    last = max((number for number, count in enumerate(counts, 1) if count > 1), default=0)
    parts, rest = list(zip(groups[:last], counts)), [layer for group in groups[last:] for layer in group]
    if rest:
        parts.append((tuple(rest), 1))
    sections, source = [], IMAGE
    for group, count in parts:
        sections.append(Section(source, group, _strips(network, source, group, wanted, shapes, count)))
        source = group[-1].name
    return tuple(sections)


def visit(network: Network, sections: Sequence[Section], image: Array, see: Callable[[str, Rows, Array], None]) -> None:
    """Walk down once and show every strip of every layer, without the rows around it, to `see`.

    Parameters
    ----------
    image : (1, H, W, 3) array, RGB 0-255
    see : called with the layer's name, which of its rows, and these, (1, rows, W_l, C_l)
    """
    for section in sections:
        image = _down(network, section, image, see, last=section is sections[-1])


def statistics(network: Network, sections: Sequence[Section], image: Array, terms: Sequence[Any]) -> dict[str, Array]:
    """Return name of each term -> what its loss sees of the features at its layers, and so compares with.

    Parameters
    ----------
    terms : the objective's, with any target.  Where the loss's statistic, see `scratchnst.losses`, is None, it sees the
        features (1, H_l, W_l, C_l) themselves
    """
    parts: dict[str, list[Array]] = defaultdict(list)
    sums: dict[str, Array] = {}
    tapped = _Tapped(network.engine, terms)

    def see(layer, rows, features):
        for term, seen in tapped.come(layer, place(rows), features):
            statistic = term.loss.statistic
            if statistic is None:
                parts[term.name].append(*seen)
            elif is_joined(statistic):
                parts[term.name].append(statistic.forward(*seen)[0])
            else:
                sums[term.name] = _plus(sums.get(term.name), statistic.forward(*seen)[0])

    visit(network, sections, image, see)
    return sums | {name: _joined(network.engine, parts[name]) for name in parts}


def loss_and_gradient(
    network: Network, sections: Sequence[Section], terms: Sequence[Any], image: Array
) -> tuple[dict[str, Any], Array]:
    """Return the value of every term of equation 7 by its name, before weighting, and the gradient of their sum.

    Parameters
    ----------
    terms : the objective's, each with name, layers, shifts, guide, weight, loss and target
    image : (1, H, W, 3) array, RGB 0-255

    Returns
    -------
    values : name of term -> float, or an array without dimensions where the engine makes one
    grad : dL/dimage, (1, H, W, 3)
    """
    losses = Losses(network.engine, terms)

    def add_up(layer, rows, features):
        losses.add_up(layer, place(rows), features)

    sources = [image]
    for section in sections[:-1]:
        sources.append(_down(network, section, sources[-1], add_up, last=False))
    once = len(sections[-1].strips) == 1  # a whole section need not be computed twice
    if not once:
        _down(network, sections[-1], sources[-1], add_up, last=True)
    grad: Any = None
    for section in reversed(sections):
        grad = _back(network, section, sources.pop(), grad, losses, once)
        once = False
    return losses.values, grad


def place(rows: Rows) -> Place:
    """Return where in a layer (N, H, W, C) some rows are."""
    return slice(None), slice(*rows)


class Shifted:
    """Features at layers, with the shifts and the guides that terms see them with.

    Parameters
    ----------
    engine : that computes
    features : layer -> (N, H, W, C)
    place : where in its layer those of a term with a guide are
    """

    def __init__(self, engine: Any, features: Mapping[str, Array], place: Place = ()):
        self.engine, self.features, self.place = engine, features, place
        self.shifted: dict[tuple[str, Shift], Array] = {}

    def by(self, term: Any) -> list[Array]:
        """Return what a term sees, an array for each of its layers."""
        seen = [self._shifted(*each) for each in zip(term.layers, term.shifts or len(term.layers) * (0.0,))]
        if term.guide is None:
            return seen
        return [self.engine.guide.forward(features, term.guide[self.place])[0] for features in seen]

    def back(self, term: Any, grad: Array) -> Array:
        """Return dL/dF of a term with one layer from the gradient of what it sees: the shift is a constant."""
        return grad if term.guide is None else self.engine.guide.backward(grad, term.guide[self.place])

    def _shifted(self, layer, shift):
        features = self.features[layer]
        if not shift:
            return features
        if (layer, shift) not in self.shifted:
            self.shifted[layer, shift] = features + array_module(features).asarray(shift, features.dtype)
        return self.shifted[layer, shift]


class _Tapped:
    """Features of a part, each kept until every term has seen it: that of a pair waits for the deeper layer."""

    def __init__(self, engine, terms):
        self.engine = engine
        self.completed: dict[str, list[Any]] = defaultdict(list)  # layer -> the terms whose last layer it is
        for term in terms:
            self.completed[term.layer].append(term)
        self.uses = Counter(layer for term in terms for layer in term.layers)
        self.features: dict[str, Array] = {}
        self.uses_left: dict[str, int] = {}

    def come(self, layer, place, features):
        """Return the terms that the features of a layer complete, each with what it sees."""
        if layer not in self.uses:
            return []
        self.features[layer], self.uses_left[layer] = features, self.uses[layer]
        shifted = Shifted(self.engine, self.features, place)
        found = [(term, shifted.by(term)) for term in self.completed[layer]]
        for term, _ in found:
            for used in term.layers:
                self.uses_left[used] -= 1
                if not self.uses_left[used]:
                    del self.features[used]
        return found


class Losses:
    """The terms of equation 7, for features that come in parts: first all statistics are added up, then compared.

    Statistics that do not add up are joined.  Terms that see the same share it.
    """

    def __init__(self, engine, terms):
        self.engine = engine
        self.terms: dict[str, list[Any]] = defaultdict(list)  # by the last of the layers that a term sees
        for term in terms:
            self.terms[term.layer].append(term)
        self.taps = {layer for term in terms for layer in term.layers}
        self.values: dict[str, Any] = {term.name: 0.0 for term in terms}
        self.tapped = _Tapped(engine, [term for term in terms if term.loss.statistic is not None])
        self.sums: dict[Any, Any] = {}  # what is seen -> the sum over parts of its statistic, or a list of them
        self.grad_sums: dict[Any, Array] = {}
        self.grads_above: dict[str, Array] = {}  # layer -> dL/dF of a part, of pairs whose deeper layer was passed

    def add_up(self, layer: str, place: Place, features: Array) -> None:
        """Add what a part of a layer, its features at a place, has of the statistics that the layer completes."""
        found = {_seen(term): (term, seen) for term, seen in self.tapped.come(layer, place, features)}
        for key, (term, seen) in found.items():
            part, _ = term.loss.statistic.forward(*seen)
            if is_joined(term.loss.statistic):
                self.sums.setdefault(key, []).append(part)
            else:
                self.sums[key] = _plus(self.sums.get(key), part)

    def backward(
        self, layer: str, place: Place, features: Mapping[str, Array], pixels: int, target: Array | None = None
    ) -> Array:
        """Return dL/dF of a part of a layer, which has `pixels` in all, when the sums are complete.

        `features` are those of the part at this layer and at those above it; `target` is that of the terms on the
        features themselves, where these have none.
        """
        total: Any = self.grads_above.pop(layer, None)
        shifted = Shifted(self.engine, features, place)
        for key, terms in self._by_what_they_see(layer).items():
            (first, *_), statistic = terms, terms[0].loss.statistic
            if key in self.sums:
                self.grad_sums[key] = self._compare(terms, self.sums.pop(key), pixels)
            grads = self._statistic_backward(first, statistic, self.grad_sums[key], shifted)
            if first.above is not None:
                grad_above, grads = grads
                self.grads_above[first.above] = _plus(self.grads_above.get(first.above), grad_above)
            total = _plus(total, shifted.back(first, grads))
        for term in self.terms.get(layer, ()):
            if term.loss.statistic is None:
                value, cache = term.loss.forward(*shifted.by(term), term.target[place] if target is None else target)
                self.values[term.name] = self.values[term.name] + value
                total = _plus(total, term.loss.backward(term.weight, cache))
        return total

    def _statistic_backward(self, term, statistic, grad_S, shifted):
        """The gradient of what a term sees; the cache of a statistic is that, or, of one that is joined, None."""
        if is_joined(statistic):
            return statistic.backward(grad_S[shifted.place], None)
        seen = shifted.by(term)
        return statistic.backward(grad_S, seen[0] if term.above is None else tuple(seen))

    def _compare(self, terms, S, pixels):
        """Return dL/dS of the terms that see no more of an image than S, and note their values."""
        total = None
        if isinstance(S, list):
            S = _joined(self.engine, S)
        for term in terms:
            self.values[term.name], cache = term.loss.distance(S, term.target, pixels)
            total = _plus(total, term.loss.distance_backward(term.weight, cache))
        return total

    def _by_what_they_see(self, layer):
        """What is seen -> the terms that see it, of those that the layer completes."""
        found: dict[Any, list[Any]] = {}
        for term in self.terms.get(layer, ()):
            if term.loss.statistic is not None:
                found.setdefault(_seen(term), []).append(term)
        return found


def _seen(term):
    """What two terms have in common if they see the same: layers, shifts, guide and statistic."""
    return term.layers, term.shifts, id(term.guide), term.loss.statistic


def _down(network, section, source, see, last):
    """Show the section's strips to `see`; return the features of its end, which the next section reads."""
    ends = []
    for strip in section.strips:

        def show(layer, features, strip=strip):
            see(layer, strip.own[layer], features)
            if layer == section.end and not last:
                ends.append(features)

        _forward(network, section, strip, source, show)
    return None if last else _joined(network.engine, ends)


def _back(network, section, source, grad_end, losses, once):
    """Return dL/dsource of a section from dL/dend, which is None for the last one, and the losses on its layers."""
    grad_source, shape = None, source.shape
    for strip in section.strips:
        features: dict[str, Array] = {}

        def keep(layer, own, strip=strip, features=features):
            if layer in losses.taps:
                features[layer] = own
                if once:
                    losses.add_up(layer, place(strip.own[layer]), own)

        caches = _forward(network, section, strip, source, keep)
        if strip is section.strips[-1]:
            source = None  # its memory is free for gradients
        part = _backward(network, section, strip, grad_end, features, caches, losses)
        grad_source = _add(network.engine, grad_source, (0, shape[1]), strip.needed[section.source], part)
    return grad_source


def _forward(network, section, strip, source, see):
    """Compute a strip, show each layer's own rows to `see`, and return what the way back needs."""
    outputs, caches = {}, {}
    first, last = strip.needed[section.source]
    source = source[:, first:last]
    if section.source == IMAGE:
        source, caches[IMAGE] = network.preprocess(source)
    outputs[section.source] = source
    del source
    sources = network.sources()
    readers = Counter(above for layer in section.layers for above in sources[layer.name])

    def rows_read(above, first, last):
        start = strip.needed[above][0]
        return outputs[above][:, first - start : last - start]

    for layer in section.layers:
        name = layer.name
        inputs = (rows_read(above, *strip.read[name]) for above in sources[name])
        y, cache = network.operation(layer).forward(*inputs, *network.arguments(layer))
        caches[name] = layer.rule.without_input(cache)
        del cache
        for above in sources[name]:
            readers[above] -= 1
            if not readers[above]:
                del outputs[above]
        first, last = strip.needed[name]
        y = y[:, first - strip.computed[name][0] : last - strip.computed[name][0]]
        see(name, y[:, strip.own[name][0] - first : strip.own[name][1] - first])
        if readers[name]:
            outputs[name] = y
        del y
    return caches


def _backward(network, section, strip, grad_end, features, caches, losses):
    """Return dL/dsource on the rows of the source that the strip needs."""
    engine, sources = network.engine, network.sources()
    gradients: dict[str, Array] = {}  # of the rows that come out of each layer's operation
    if grad_end is not None:
        first, last = own = strip.own[section.end]
        gradients[section.end] = _add(engine, None, strip.computed[section.end], own, grad_end[:, first:last])
    for layer in reversed(section.layers):
        name = layer.name
        if name in features:
            own = strip.own[name]
            pixels = section.strips[-1].own[name][1] * features[name].shape[2]
            grad_y = losses.backward(name, place(own), features, pixels)
            del features[name]
            gradients[name] = _add(engine, gradients.pop(name, None), strip.computed[name], own, grad_y)
            del grad_y
        grads_x = network.backward_inputs(layer, gradients.pop(name), caches.pop(name))
        for above, grad_x in zip(sources[name], grads_x):
            room = strip.computed.get(above, strip.needed[above])  # the source is not computed here
            gradients[above] = _add(engine, gradients.pop(above, None), room, strip.read[name], grad_x)
        del grads_x, grad_x
    grad_source = gradients.pop(section.source)
    return engine.preprocess.backward(grad_source, caches.pop(IMAGE)) if section.source == IMAGE else grad_source


def _add(engine, total, room, rows, part):
    """Add `part`, a gradient on `rows`, to `total`, that on the rows of `room`, or None."""
    if total is None:
        if room == rows:
            return part
        total = engine.zeros((1, room[1] - room[0], *part.shape[2:]), part.dtype)
    engine.add(total[:, rows[0] - room[0] : rows[1] - room[0]], part)
    return total


def _plus(total, part):
    """Add `part` to `total`, an array of ours, or None."""
    if total is None:
        return part
    total += part
    return total


def _joined(engine, parts):
    """Join strips to one array."""
    if len(parts) == 1:
        return parts[0]
    whole = engine.zeros((1, sum(part.shape[1] for part in parts), *parts[0].shape[2:]), parts[0].dtype)
    start = 0
    while parts:
        part = parts.pop(0)
        whole[:, start : start + part.shape[1]] = part
        start += part.shape[1]
    return whole


def _groups(network, taps, together):
    """Cut the layers that `taps` depend on behind each strided one from which alone all that follows is computed.

    What one loss sees `together` counts as read by the last of it.
    """
    layers, sources = network.needed(taps), network.sources()
    position = {IMAGE: -1} | {layer.name: number for number, layer in enumerate(layers)}
    for *above, last in together:
        sources[last] = (*sources[last], *above)
    groups, start = [], 0
    for number, layer in enumerate(layers[:-1]):
        reads = min(position[source] for below in layers[number + 1 :] for source in sources[below.name])
        if layer.rule.stride > 1 and reads == number:
            groups.append(tuple(layers[start : number + 1]))
            start = number + 1
    return [*groups, tuple(layers[start:])]


def _strips(network, source, layers, taps, shapes, count):
    """Cut a section into `count` strips, or as many as its lowest layer has rows."""
    size_of_row = strides(layers, network.sources(), source)  # in rows of the source
    lowest = max(size_of_row, key=lambda name: size_of_row[name])
    height = shapes[lowest][0]
    edges = [height * number // min(count, height) for number in range(min(count, height) + 1)]

    def own(name, top, bottom):
        share = size_of_row[lowest] // size_of_row[name]
        return top * share, shapes[name][0] if bottom == height else bottom * share

    return tuple(
        _strip(
            network,
            layers,
            {name: own(name, top, bottom) for name in size_of_row},
            taps | {layers[-1].name},
            {name: shapes[name][0] for name in size_of_row},
        )
        for top, bottom in pairwise(edges)
    )


def _strip(network, layers, own, wanted, heights):
    """The strip of which `own` are the rows: see from the end up who needs which."""
    sources = network.sources()
    needed, read, computed = {name: own[name] for name in own if name in wanted}, {}, {}
    for layer in reversed(layers):
        name, height = layer.name, heights[sources[layer.name][0]]
        parameters = network.parameters.get(name, ())
        read[name], computed[name] = layer.rule.computed_from(needed[name], height, parameters)
        for above in sources[name]:
            start, stop = needed.get(above, read[name])
            needed[above] = min(start, read[name][0]), max(stop, read[name][1])
    return Strip(own, needed, read, computed)
