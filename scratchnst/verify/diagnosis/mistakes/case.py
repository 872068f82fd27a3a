"""What mistakes are written with: the gradient to be diagnosed, and a mistake with the gradient that results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from scratchnst.arrays import Array

ACTIVATION = ("image", "row", "column", "channel")  # axes of activations (N, H, W, C)


@dataclass(frozen=True)
class GradientCase:
    """A gradient to be diagnosed, in float64 NumPy arrays.

    Attributes
    ----------
    inputs : arrays that the operation was given
    output : what its forward returned
    grad_y : upstream gradient, of the output's shape
    right : the right gradient with respect to inputs[position], NaN where it is not known
    position : which input
    """

    inputs: tuple[Array, ...]
    output: Array
    grad_y: Array
    right: Array
    position: int = 0

    @property
    def x(self) -> Array:
        """The input whose gradient is diagnosed."""
        return self.inputs[self.position]


@dataclass(frozen=True)
class KnownMistake:
    """One mistake: its key, words that continue "your gradient equals ...", and the gradient that results from it.

    A mistake may have free numbers, such as a slope: its gradients are then ``gradient + sum_i number_i free[i]``,
    and {0}, {1} ... in `text` stand for the numbers that fit.
    """

    key: str
    text: str
    gradient: Array
    free: tuple[Array, ...] = ()


@dataclass(frozen=True)
class Region:
    """Elements outside of which a mistake leaves the gradient right; the text continues "... is right but"."""

    key: str
    text: str
    mask: Array


@dataclass(frozen=True)
class InputMistakes:
    """The known mistakes in the gradient with respect to one input of an operation.

    Attributes
    ----------
    right : the gradient by the operation's equation, or None where the case cannot be this operation's
    mistakes : with the gradients that result from them
    factors : constant factor -> (key, text) of the mistake that it points to
    any_factor : (key, text) of any other constant factor, with {factor} and one over it, {inverse}
    quantities : symbol -> (number, meaning), of which a constant factor may be a product
    highest_power : of such a number in a factor
    axes : names of the axes of the input
    regions : outside of which mistakes of this operation leave the gradient right
    kinks : mask of elements on a kink, where the derivative is a convention
    """

    right: Callable[[GradientCase], Array | None]
    mistakes: Callable[[GradientCase], Iterator[KnownMistake]]
    factors: Mapping[float, tuple[str, str]] = field(default_factory=dict)
    any_factor: tuple[str, str] | None = None
    quantities: Callable[[GradientCase], dict[str, tuple[int, str]]] = lambda case: {}
    highest_power: int = 1
    axes: tuple[str, ...] = ACTIVATION
    regions: Callable[[GradientCase], Iterable[Region]] = lambda case: ()
    kinks: Callable[[GradientCase], Array] = lambda case: np.zeros(case.x.shape, bool)


def image_quantities(case: GradientCase) -> dict[str, tuple[int, str]]:
    """The numbers of images, pixels and channels of an input (N, H, W, C)."""
    images, height, width, channels = case.x.shape
    return {
        "images": (images, "the number of images"),
        "H": (height, "rows"),
        "W": (width, "columns"),
        "C": (channels, "channels"),
    }


def paper_quantities(case: GradientCase) -> dict[str, tuple[int, str]]:
    """The paper's N and M of an input (N, H, W, C), and the number of images."""
    images, height, width, channels = case.x.shape
    return {"N": (channels, "channels"), "M": (height * width, "pixels"), "images": (images, "the number of images")}


def upstream_mistakes(gradient: Callable[[Array], Array], grad_y: Array) -> Iterator[KnownMistake]:
    """Mistakes in the use of the upstream gradient; `gradient` is the operation's backward as a function of it."""
    for key, words, other in (
        ("ignored", "an upstream gradient of ones: grad_y is left out, multiply by it", np.ones_like(grad_y)),
        ("squared", "grad_y squared: grad_y is multiplied in twice", grad_y**2),
        ("absolute", "|grad_y|: the sign of grad_y is lost", np.abs(grad_y)),
    ):
        yield KnownMistake(f"upstream-{key}", f"the right one for {words}", gradient(other))
    if grad_y.ndim > 1 and len(grad_y) > 1:
        text = "the right one with the images of grad_y in another order: image n of x belongs to image n of grad_y"
        for mixed in (grad_y[::-1], np.roll(grad_y, 1, 0), np.roll(grad_y, -1, 0)):
            yield KnownMistake("images-mixed-up", text, gradient(mixed))
        sentence = "the right one with the first image of grad_y for every image: index grad_y with n"
        yield KnownMistake("images-first-for-all", sentence, gradient(np.broadcast_to(grad_y[:1], grad_y.shape)))


def shifts() -> Iterator[tuple[int, int, str]]:
    """The eight neighbours of a pixel, (rows, columns, words)."""
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            words = [{-1: "up", 1: "down"}.get(down), {-1: "left", 1: "right"}.get(right)]
            if down or right:
                yield down, right, " and ".join(word for word in words if word)


def crop(full: Array, top: int, left: int, height: int, width: int) -> Array:
    """Cut rows top ... top + height and columns left ... out of (N, H, W, C), with zeros beyond its border."""
    padding = max(0, -top, -left, top + height - full.shape[1], left + width - full.shape[2])
    padded = np.pad(full, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    return padded[:, top + padding : top + padding + height, left + padding : left + padding + width]


def without_border(x: Array, rows: int, columns: int) -> Array:
    """Return `x` (N, H, W, C) with zeros in the outermost `rows` and `columns` on each side."""
    inside = np.zeros_like(x)
    middle = np.s_[:, rows : max(rows, x.shape[1] - rows), columns : max(columns, x.shape[2] - columns)]
    inside[middle] = x[middle]
    return inside
