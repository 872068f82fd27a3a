"""A trained transform network with the names of its styles: a photograph goes in, a painting comes out."""

from __future__ import annotations

import difflib
import hashlib
import math
import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from scratchnst import weights
from scratchnst.arrays import Array
from scratchnst.engine import Engine, cpu
from scratchnst.engine.cpu import threads
from scratchnst.errors import UserError
from scratchnst.fast import memory, strips
from scratchnst.files import open_input
from scratchnst.images import colour_control
from scratchnst.models import style_encoder, transform_net
from scratchnst.models.network import Network
from scratchnst.system import startup
from scratchnst.weights.formats import native
from scratchnst.weights.load import load_any

SHIPPED = Path(weights.__file__).with_name("styles.h5")
# Pixels from which on several threads of the CPU are faster than one.  Two and one took 0.165 and 0.175 s for 512x512,
# 0.33 and 0.40 s for 768x768; where other programs computed as well, 0.30 and 0.21 s, 0.61 and 0.53 s.
SEVERAL_THREADS = 640 * 640
Mixture = str | int | Mapping[str, float] | Mapping[int, float]


@dataclass(frozen=True)
class Style:
    """A style of a network, and the picture that it was learnt from.

    Attributes
    ----------
    name : short, for the command line
    picture : the name of the file
    sha256 : of the file
    licence : what is known of the picture
    """

    name: str
    picture: str = ""
    sha256: str = ""
    licence: str = ""


@dataclass(frozen=True)
class FastStyle:
    """A transform network and its styles.

    Attributes
    ----------
    network : see `scratchnst.models.transform_net`
    styles : one for each row of its norms
    training : what the file says of how it was trained
    """

    network: Network
    styles: tuple[Style, ...]
    training: Mapping[str, Any]

    @classmethod
    def load(cls, path: str | os.PathLike | None = None, engine: Engine = cpu) -> FastStyle:
        """Read a model, by default the one that ships with the program.

        Raises
        ------
        UserError
            If there is no such file, or it is none of a trained transform network.
        """
        path = SHIPPED if path is None else path
        network = load_any(path)
        if style_encoder.is_in(network):
            raise UserError(f"{path} paints in any style, and has none of its own: use scratchnst arbitrary.")
        if not transform_net.is_transform_net(network):
            raise UserError(
                f"{path} is a network that looks at pictures, not one that paints them: name a file that "
                "scratchnst train style has written."
            )
        origin = network.provenance.get("origin", {})
        try:
            styles = tuple(Style(**style) for style in origin["styles"])
            names = {style.name for style in styles}
            texts = [text for style in styles for text in asdict(style).values()]
            if len(names) != transform_net.number_of_styles(network) or not all(isinstance(t, str) for t in texts):
                raise ValueError("as many names as styles are needed")
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{path} does not say what its styles are called ({error}): train it anew.") from None
        return cls(network.on(engine), styles, {name: origin[name] for name in origin if name != "styles"})

    def save(self, path: Path, dtype: str = "float16") -> None:
        """Write the model, whole or not at all, its parameters as float16 or float32."""
        origin = {**self.training, "styles": [asdict(style) for style in self.styles]}
        native.write(replace(self.network.on(cpu), provenance=origin), path, dtype)

    @property
    def names(self) -> list[str]:
        """The names of the styles."""
        return [style.name for style in self.styles]

    def __call__(
        self,
        photo: Array,
        style: Mixture | None = None,
        strength: float = 1.0,
        in_strips: bool | None = None,
        colors: str = colour_control.STYLE,
        color_matching: str = colour_control.MATCHING,
    ) -> np.ndarray:
        """Return the painting, (H, W, 3) float32, of a photograph (H, W, 3), both RGB 0-255.

        Parameters
        ----------
        photo : of any size from transform_net.SMALLEST_SIDE pixels a side
        style : a name or a number; name or number -> weight for a mixture of several; None is the first style
        strength : 0 gives the photograph, 1 the painting, a number between a mixture of their pixels
        in_strips : whether to compute it in strips, which takes less memory, see `scratchnst.fast.strips`; None: if
            that suits the machine's memory
        colors, color_matching : whose colours the painting has, see `scratchnst.images.colour_control.recoloured`

        Raises
        ------
        UserError
            If a style is unknown, weights are negative or their sum is zero, the strength is not between 0 and 1, the
            photograph is too small, or there are no such colours.
        """
        colour_control.check(colors, color_matching)
        if not 0 <= strength <= 1:
            raise UserError(f"the strength is a number from 0 to 1, not {strength}.")
        mixture = self.mixture(self.names[0] if style is None else style)
        photo = np.asarray(photo, np.float32)
        height, width, _ = photo.shape
        if min(height, width) < transform_net.SMALLEST_SIDE:
            raise UserError(
                f"a picture of {width}x{height} pixels is too small to be painted: give one of at least "
                f"{transform_net.SMALLEST_SIDE} pixels a side."
            )
        if in_strips is None:
            in_strips = memory.needs_strips(self.network, height, width)
        alone = threads.on_this_thread() if height * width < SEVERAL_THREADS else nullcontext()
        with self.network.engine.session(), alone:
            painting = self.painted(photo, mixture, in_strips)
        painting = colour_control.recoloured(painting, photo, colors, color_matching)
        return painting if strength == 1 else photo + np.float32(strength) * (painting - photo)

    def painted(self, photo: np.ndarray, mixture: np.ndarray, in_strips: bool) -> np.ndarray:
        """Return what the network paints of a photograph, in a mixture (S,) of the styles."""
        painter = transform_net.with_styles(self.network, self.network.engine.asarray(mixture[np.newaxis]))
        return _painted_in_strips(painter, photo) if in_strips else _painted_whole(painter, photo)

    def mixture(self, style: Mixture) -> np.ndarray:
        """Return the weight of each style, (S,) float32 with the sum 1; see `__call__`."""
        weights = style if isinstance(style, Mapping) else {style: 1.0}
        given = np.array(list(weights.values()), float)
        if not len(given) or not np.isfinite(given).all() or given.min() < 0 or not math.fsum(given) > 0:
            raise UserError("the weights of styles are numbers of 0 or more, and their sum is not 0.")
        mixture = np.zeros(len(self.styles), np.float32)
        for name, weight in weights.items():
            mixture[self.number(name)] += weight / math.fsum(given)
        return mixture

    def learnt_from(self, picture: Path) -> str | None:
        """Return the name of the style that was learnt from this very file, if there is one."""
        with open_input(picture) as file:
            digest = hashlib.sha256(file.read()).hexdigest()
        return next((style.name for style in self.styles if style.sha256 == digest), None)

    def number(self, name: str | int) -> int:
        """Return the number of a style, from its name or its number, counted from 0.

        Raises
        ------
        UserError
            If there is none; it names the nearest.
        """
        if str(name) in self.names:
            return self.names.index(str(name))
        if str(name).isascii() and str(name).isdigit() and int(name) < len(self.styles):
            return int(name)
        nearest = difflib.get_close_matches(str(name), self.names, 1)
        hint = f" did you mean {nearest[0]}?" if nearest else ""
        raise UserError(f"there is no style {str(name)!r};{hint} the styles are {_listed(self.names)}.")


def _painted_whole(painter: Network, photo: np.ndarray) -> np.ndarray:
    height, width, _ = photo.shape
    output = painter.features(padded(photo, painter.engine), [transform_net.OUTPUT])[transform_net.OUTPUT]
    return picture_of(output, painter.engine, height, width)


def padded(photo: np.ndarray, engine: Engine) -> Array:
    """Return a photograph (H, W, 3) as a batch (1, h, w, 3), continued by reflection to multiples of the stride."""
    padding = [(0, -side % transform_net.STRIDE) for side in photo.shape[:2]]
    return engine.asarray(np.pad(photo, (*padding, (0, 0)), mode="reflect")[np.newaxis])


def picture_of(output: Array, engine: Engine, height: int, width: int) -> np.ndarray:
    """Return the picture (height, width, 3) in a network's output (1, h, w, 3)."""
    return engine.asnumpy(transform_net.to_picture(output))[0, :height, :width].clip(0, 255)


def _painted_in_strips(painter: Network, photo: np.ndarray) -> np.ndarray:
    if not painter.engine.has_own_memory:
        startup.give_memory_back()
    painting = np.empty_like(photo)
    for start, strip in strips.Painter(painter, photo).strips():
        painter.engine.asnumpy(strip).clip(0, 255, out=painting[start : start + len(strip)])
    return painting


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
