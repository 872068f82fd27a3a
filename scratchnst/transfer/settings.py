"""The settings of a run, in Python and as JSON."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from numbers import Integral, Real
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from scratchnst.engine.devices import AUTO, ENGINES, parse
from scratchnst.errors import UserError
from scratchnst.files import names_a_file
from scratchnst.images.colour_control import COLORS, MATCHING, MATCHINGS, STYLE
from scratchnst.images.finish import DEPTHS, KEEPABLE
from scratchnst.models.guides import SIMPLE, WAYS
from scratchnst.models.network import PADDINGS, POOLINGS, ZERO
from scratchnst.models.vgg import PREPROCESSINGS
from scratchnst.optimize import OPTIMIZERS
from scratchnst.transfer.layer_weights import EQUAL, LAYER_WEIGHTS
from scratchnst.transfer.objective import (
    CORRELATIONS,
    GRAM,
    KEEP,
    LAYERS,
    SQUARED,
    STYLE_FITS,
    STYLE_LOSSES,
    TOTAL_VARIATIONS,
)
from scratchnst.transfer.stylize import MARGIN, OPTIMIZER

LARGEST_SIZE = 16384  # pixels; more does not fit into any memory
LARGEST_MARGIN = 256
SMALLEST_TILE = 64  # pixels; the layers see more around it
LARGEST_GROWTH = 256  # pixels by which masks are grown or shrunk
MOST_THREADS = 4096
LARGEST_SCALES = 15  # each doubles the size
DTYPES = ("float32", "float64")
STARTS = ("noise", "content", "style")
FAST = "fast"  # another start: what a trained network paints in one pass
ARBITRARY = "arbitrary"  # another: what one paints in any style; as a method, that in place of the optimisation
ONE_PASS = (FAST, ARBITRARY)
METHODS = ("optimise", ARBITRARY)
WITH_WAYS = [engine for engine in ENGINES.values() if engine.ways]  # the engines that convolve in several ways
CONVOLUTIONS = (AUTO, *dict.fromkeys(way for engine in WITH_WAYS for way in engine.conv2d.WAYS))

# Each field of `Settings` is annotated with a rule: value -> the value in its own type, or a ValueError that says what
# it must be.


def _whole(lowest: int, highest: int | None, value: Any) -> int:
    in_range = isinstance(value, Integral) and lowest <= int(value) and (highest is None or int(value) <= highest)
    if isinstance(value, bool) or not in_range:
        limits = f"of {lowest} or more" if highest is None else f"from {lowest} to {highest}"
        raise ValueError(f"a whole number {limits}")
    return int(value)


def _number(value: Any) -> float:
    try:
        number = float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan
    except OverflowError:
        number = math.inf
    if not 0 <= number < math.inf:
        raise ValueError("a number of 0 or more")
    return number


def _decay(value: Any) -> float:
    number = _number(value)
    if number >= 1:
        raise ValueError("a number of 0 or more, and below 1")
    return number


def _signed(value: Any) -> float:
    number = float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan
    if not math.isfinite(number):
        raise ValueError("a finite number")
    return number


def _choice(names: Iterable[str], value: Any) -> str:
    if not isinstance(value, str) or value not in names:
        raise ValueError(f"one of {', '.join(names)}")
    return value


def _instance(kind: type | tuple[type, ...], name: str, value: Any) -> Any:
    if not isinstance(value, kind):
        raise ValueError(name)
    return value


_FLAG = partial(_instance, bool, "true or false")
_TEXT = partial(_instance, str, "a name or a file")


def _path(value: Any) -> Path:
    if not names_a_file(os.fspath(_instance((str, os.PathLike), "the name of a file", value))):
        raise ValueError("the name of a file")
    return Path(os.path.expanduser(value))


def _paths(value: Any) -> tuple[Path, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ValueError("a list of files")
    return tuple(_path(item) for item in value)


def _scales(value: Any) -> int | str:
    return AUTO if value == AUTO else _whole(1, LARGEST_SCALES, value)


def _device(value: Any) -> str:
    parse(_TEXT(value))
    return value


def _several(rule: Callable[[Any], Any], what: str, value: Any) -> tuple:
    if not isinstance(value, (list, tuple)) or not value:
        raise ValueError(what)
    return tuple(rule(item) for item in value)


def _positive(value: Any) -> float:
    number = _number(value)
    if not number:
        raise ValueError("numbers above 0")
    return number


def _mask(value: Any) -> str:
    if not isinstance(value, (str, os.PathLike)) or not names_a_file(os.fspath(value)):
        raise ValueError("the name of a file, or FILE#RRGGBB")
    return os.path.expanduser(os.fspath(value))


def _masks(value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ValueError("a list of files, or of FILE#RRGGBB")
    return tuple(_mask(item) for item in value)


def _shares(value: Any) -> tuple[float, ...]:
    """Weights of a blend, as given: their sum must not be 0."""
    found = _several(_number, "a list of numbers of 0 or more", value)
    if not sum(found):
        raise ValueError("numbers of 0 or more, one of which at least is above 0")
    return found


def _layers(value: Any) -> dict[str, float] | tuple[str, ...]:
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return {name: _number(weight) for name, weight in value.items()}
    if isinstance(value, (list, tuple)) and all(isinstance(name, str) for name in value):
        return tuple(value)
    raise ValueError("a list of layers or a table of layers and their weights")


def _mixture(value: Any) -> dict[str, float]:
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return {name: _number(weight) for name, weight in value.items()}
    raise ValueError("a table of styles and their weights")


def _depth(value: Any) -> int:
    if isinstance(value, bool) or value not in DEPTHS:
        raise ValueError(f"one of {', '.join(map(str, DEPTHS))}")
    return int(value)


def _keep(value: Any) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or any(one not in KEEPABLE for one in value):
        raise ValueError(f"a list of {', '.join(KEEPABLE)}")
    return tuple(dict.fromkeys(value))


_COUNT = partial(_whole, 1, None)
_side = partial(_whole, 1, LARGEST_SIZE)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that a run needs: the settings of `transfer` and `reconstruct`, see their help.

    Without content, the picture has the shape of the first style, and the style alone is imitated; without styles, the
    content alone.  None is the default of the network or of the machine.

    Attributes
    ----------
    content, styles : files with pictures
    output : the file for the picture; the record is written beside it, with the suffix .json
    network : a name or a weights file, see `scratchnst.weights.load.load_network`
    preprocessing, pooling, padding, normalize : as for `load_network` and `Objective`
    content_layers, style_layers : layer name -> weight, or names that share a weight of 1; ("all",) is all of them
    layer_weights, activation_shift, correlations : of style, as for `Objective`
    content_weight, style_weight, tv_weight : of equation 7, as for `Objective`, at the finest scale
    style_loss, tv : which style loss and which total variation, see `objective.STYLE_LOSSES`, `TOTAL_VARIATIONS`
    laplacian_weight : as for `Objective`
    size : pixels of the longer side; 0 keeps the size of the content, or of the first style where there is none
    style_fit : "keep" or "squeeze", how styles are scaled to the content's size, see `objective.fit_style`
    style_size : pixels of a style's longer side in place of that, at the finest scale: one number for all, or one each
    style_scale : by what a style so scaled is enlarged: one number for all, or one each
    style_weights : one a style, of their sum; by default they count alike
    masks : where each style counts, see `scratchnst.images.masks`; none is everywhere
    style_masks : where each style is looked at; none is everywhere
    keep_mask : where the content stays as it is
    guides : how masks are carried to the layers, one of `scratchnst.models.guides.WAYS`
    grow_masks : by how many pixels of the picture, or of a style, its masks are grown, or, below 0, shrunk
    colors, color_matching : whose colours the picture has, see `scratchnst.images.colour_control`
    scales : a number, or "auto"; see `scratchnst.transfer.scales`
    method : "optimise", or "arbitrary", what a network paints in one pass in any style, see `job.paint`
    init : "noise", "content", "style", "fast", what a network paints in one pass, "arbitrary", what one for any style
        does, a file, or "auto": content where there are content and style, else noise
    fast_model : a file with a network that paints in one pass, or the one that ships
    fast_style : of "fast", its styles and their weights, or those that were learnt from the styles' files
    iterations, optimizer, seed, bounded, margin, least_gain, average : as for `stylize`
    carry_moments : as for `stylize_by_scales`
    device, engine : as for `scratchnst.engine.devices.computing`
    convolution : the way to convolve, of those that the engine has, or "auto"
    tf32 : whether a GPU may round the factors of products to 10 bits
    threads : how many the CPU computes on
    dtype : "float32" or "float64"
    tile : side in pixels of the tiles in which larger scales are computed; by default, if they take too much memory
    memory_limit : bytes, of the GPU's memory on a GPU
    depth : bits a channel of the picture, 8 or 16
    keep : "profile" and "alpha", what the picture keeps of the content's file, see `scratchnst.images.finish_of`
    save_every : after how many steps each stage is saved
    log : a file for one JSON object an evaluation
    video, video_every : a file for a film of the run, and after how many steps it has a frame
    checkpoint_every : after how many steps the state is written, from which a killed run goes on; None is once in a
        minute

    Raises
    ------
    UserError
        If a value has the wrong type or is out of range, or there is no picture.
    """

    content: Annotated[Path | None, _path] = None
    styles: Annotated[tuple[Path, ...], _paths] = ()
    output: Annotated[Path, _path]
    network: Annotated[str | None, _TEXT] = None
    preprocessing: Annotated[str | None, partial(_choice, PREPROCESSINGS)] = None
    pooling: Annotated[str | None, partial(_choice, POOLINGS)] = None
    padding: Annotated[str, partial(_choice, PADDINGS)] = ZERO
    normalize: Annotated[bool, _FLAG] = True
    content_layers: Annotated[Mapping[str, float] | tuple[str, ...] | None, _layers] = None
    style_layers: Annotated[Mapping[str, float] | tuple[str, ...] | None, _layers] = None
    layer_weights: Annotated[str, partial(_choice, LAYER_WEIGHTS)] = EQUAL
    activation_shift: Annotated[float, _signed] = 0.0
    correlations: Annotated[str, partial(_choice, CORRELATIONS)] = LAYERS
    content_weight: Annotated[float | None, _number] = None
    style_weight: Annotated[float | None, _number] = None
    tv_weight: Annotated[float | None, _number] = None
    style_loss: Annotated[str, partial(_choice, STYLE_LOSSES)] = GRAM
    tv: Annotated[str, partial(_choice, TOTAL_VARIATIONS)] = SQUARED
    laplacian_weight: Annotated[float, _number] = 0.0
    size: Annotated[int, partial(_whole, 0, LARGEST_SIZE)] = 512
    style_fit: Annotated[str, partial(_choice, STYLE_FITS)] = KEEP
    style_size: Annotated[tuple[int, ...] | None, partial(_several, _side, "a list of whole numbers")] = None
    style_scale: Annotated[tuple[float, ...] | None, partial(_several, _positive, "a list of numbers above 0")] = None
    style_weights: Annotated[tuple[float, ...] | None, _shares] = None
    masks: Annotated[tuple[str, ...], _masks] = ()
    style_masks: Annotated[tuple[str, ...], _masks] = ()
    keep_mask: Annotated[str | None, _mask] = None
    guides: Annotated[str, partial(_choice, WAYS)] = SIMPLE
    grow_masks: Annotated[int, partial(_whole, -LARGEST_GROWTH, LARGEST_GROWTH)] = 0
    colors: Annotated[str, partial(_choice, COLORS)] = STYLE
    color_matching: Annotated[str, partial(_choice, MATCHINGS)] = MATCHING
    scales: Annotated[int | str, _scales] = AUTO
    method: Annotated[str, partial(_choice, METHODS)] = METHODS[0]
    init: Annotated[str, _TEXT] = AUTO
    fast_model: Annotated[Path | None, _path] = None
    fast_style: Annotated[Mapping[str, float] | None, _mixture] = None
    iterations: Annotated[int, _COUNT] = 120
    optimizer: Annotated[str, partial(_choice, OPTIMIZERS)] = OPTIMIZER
    seed: Annotated[int, partial(_whole, 0, None)] = 0
    bounded: Annotated[bool, _FLAG] = False
    margin: Annotated[int, partial(_whole, 0, LARGEST_MARGIN)] = MARGIN
    least_gain: Annotated[float, _number] = 0.01
    average: Annotated[float | None, _decay] = None
    carry_moments: Annotated[bool, _FLAG] = False
    device: Annotated[str, _device] = AUTO
    engine: Annotated[str | None, partial(_choice, ENGINES)] = None
    convolution: Annotated[str, partial(_choice, CONVOLUTIONS)] = AUTO
    tf32: Annotated[bool, _FLAG] = False
    threads: Annotated[int | None, partial(_whole, 1, MOST_THREADS)] = None
    dtype: Annotated[str, partial(_choice, DTYPES)] = "float32"
    tile: Annotated[int | None, partial(_whole, SMALLEST_TILE, None)] = None
    memory_limit: Annotated[int | None, _COUNT] = None
    depth: Annotated[int, _depth] = 8
    keep: Annotated[tuple[str, ...], _keep] = ()
    save_every: Annotated[int | None, _COUNT] = None
    log: Annotated[Path | None, _path] = None
    video: Annotated[Path | None, _path] = None
    video_every: Annotated[int, _COUNT] = 1
    checkpoint_every: Annotated[int | None, _COUNT] = None

    def __post_init__(self):
        annotations = get_type_hints(type(self), include_extras=True)
        for one in fields(self):
            value = getattr(self, one.name)
            if value is None and one.default is None:
                continue
            (rule,) = annotations[one.name].__metadata__
            try:
                object.__setattr__(self, one.name, rule(value))
            except ValueError as error:
                raise UserError(f"the setting {one.name} must be {error}, not {value!r}.") from None
        if self.content is None and not self.styles:
            raise UserError("there is nothing to imitate: name a content picture, a style picture or both.")
        if self.init == AUTO:
            object.__setattr__(self, "init", "content" if self.content and self.styles else "noise")
        if self.colors != STYLE and not (self.content and self.styles):
            raise UserError(
                f"the setting colors {self.colors!r} needs a content and a style picture: name both, or leave it out."
            )
        self._check_start()
        if self.carry_moments and self.optimizer != "adam":
            raise UserError(
                "only Adam has moments to be carried over: take --optimizer adam, or leave out --carry-moments."
            )
        self._check_styles()
        if self.tile is not None and not self.may_be_tiled:
            raise UserError(
                "neither the style loss sliced nor a padding other than zero knows tiles: leave out the tile."
            )

    def _check_styles(self) -> None:
        """Raise a UserError unless what is given for each style is given once, or for each."""
        for name in ("masks", "style_masks"):
            given = len(getattr(self, name))
            if given not in (0, len(self.styles)):
                raise UserError(
                    f"the number of {name.replace('_', ' ')} is {given}, and that of styles {len(self.styles)}: give "
                    "one for each style."
                )
        if self.content is None and (self.masks or self.keep_mask):
            raise UserError("masks are of the content picture, and there is none: leave them out.")
        for name, alike in (("style_size", True), ("style_scale", True), ("style_weights", False)):
            values = getattr(self, name)
            if values is None or len(values) == len(self.styles) or (alike and len(values) == 1):
                continue
            count = f"{len(self.styles)} style{'s'[: len(self.styles) != 1]}"
            raise UserError(
                f"{name.replace('_', '-')} has {len(values)} numbers for {count}: give "
                f"{'one for all, or ' if alike else ''}one for each style."
            )
        if self.content is None and (self.style_size or self.style_scale):
            raise UserError("without a content picture the size is that of the style: leave out style-size and -scale.")

    def _check_start(self) -> None:
        """Raise a UserError if the start is not there, or is what is looked for."""
        in_one_pass = self.init in ONE_PASS or self.method == ARBITRARY
        if in_one_pass and not (self.content and self.styles):
            raise UserError("what is painted in one pass needs a content and a style picture: start from noise.")
        there = {"content": self.content, "style": self.styles}
        if self.init in there and not there[self.init]:
            raise UserError(f"there is no {self.init} picture to start from: name one, or start from noise.")
        if self.init in there and not (self.content and self.styles):
            raise UserError(f"the {self.init} picture is what is looked for: start from noise.")

    @property
    def pictures(self) -> list[Path]:
        """Content and styles; the result gets the shape of the first."""
        return [*([] if self.content is None else [self.content]), *self.styles]

    @property
    def may_be_tiled(self) -> bool:
        """Whether nothing needs the whole of the image or of a layer at once."""
        return self.padding == ZERO and self.style_loss != "sliced"

    @property
    def all_masks(self) -> list[str]:
        """Every mask."""
        return [*self.masks, *self.style_masks, *([] if self.keep_mask is None else [self.keep_mask])]

    @property
    def record(self) -> Path:
        """The file of the record."""
        return self.output.with_suffix(".json")

    def to_json(self) -> dict[str, Any]:
        """Return the settings for JSON, as `from_json` takes them."""
        return {one.name: _plain(getattr(self, one.name)) for one in fields(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any], **others: Any) -> Settings:
        """Return the settings in JSON data; `others` replace those of the same name.

        Raises
        ------
        UserError
            If a setting is unknown, there is no output, or a value is refused, see `Settings`.
        """
        values = {**data, **others}
        names = [one.name for one in fields(cls)]
        unknown = next((name for name in values if name not in names), None)
        if unknown is not None:
            raise UserError(f"there is no setting {unknown!r}; those that are: {', '.join(names)}.")
        if "output" not in values:
            raise UserError("the settings name no output: add one.")
        return cls(**values)


def _plain(value: Any) -> Any:
    """Return a value with JSON's types."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
