"""What a run needs before its first step: files that may be written, the network, the scales, and the pictures."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from scratchnst import files, images
from scratchnst.engine import Engine
from scratchnst.engine.devices import AUTO
from scratchnst.errors import UserError
from scratchnst.fast.fast_style import SHIPPED, FastStyle
from scratchnst.files import check_not_in_use, check_suffix
from scratchnst.images import colour_control, masks
from scratchnst.models.network import Network
from scratchnst.transfer import checkpoint, computation, film, one_pass
from scratchnst.transfer.layer_weights import named
from scratchnst.transfer.objective import STYLE_FITS, Objective
from scratchnst.transfer.record import check_replaceable
from scratchnst.transfer.scales import automatic_shapes, scale_shapes, share_iterations
from scratchnst.transfer.settings import ARBITRARY, FAST, LARGEST_SIZE, ONE_PASS, STARTS, Settings
from scratchnst.transfer.side_outputs import check_stages
from scratchnst.weights.load import choose_source, load_network, source_file

BYTES_PER_PIXEL = 12  # of an image in memory, float32
BYTES_PER_MASK = 4 * 4  # a pixel: as it is read, grown, with the margin, and divided among styles; all float32
RECORD = 256 << 10  # bytes that a record takes at most

Shape = tuple[int, int]  # height and width
Scales = list[tuple[Shape, int]]  # with iterations


def ignore(*_: Any) -> None:
    """Do nothing: the callback where none is given."""


@dataclass(frozen=True)
class Prepared:
    """A run before its pictures are read.

    Attributes
    ----------
    settings : as given, but for the network, which is named, and the styles of a start that is painted in one pass
    network : on the engine
    shapes : (height, width) of each scale, the coarsest first
    style_shapes : of a canvas, an image with its margin, -> those of the styles beside it
    inputs : every file that is read
    """

    settings: Settings
    network: Network
    shapes: list[Shape]
    style_shapes: Callable[[Shape], list[Shape]]
    inputs: list[Path]

    @property
    def largest_output(self) -> int:
        """The bytes that the picture and its record take at most: a format that cannot compress noise adds little."""
        height, width = self.shapes[-1]
        channels = 3 if self.written_as.alpha is None else 4
        profile = len(self.written_as.profile or b"")
        return height * (channels * self.settings.depth // 8 * width + 1) * 101 // 100 + profile + RECORD

    @cached_property
    def written_as(self) -> images.Finish:
        """How the picture is written."""
        return written_as(self.settings, self.shapes[-1])

    @property
    def scales(self) -> Scales:
        """Shape and iterations of each scale that will be run."""
        return share_iterations(self.settings.iterations, self.shapes)

    def canvas(self, shape: Shape) -> Shape:
        """Return the shape of a scale with the margin around it."""
        height, width = shape
        return height + 2 * self.settings.margin, width + 2 * self.settings.margin

    @property
    def files(self) -> list[tuple[Path, Shape]]:
        """Every picture's file, with the (height, width) that are wanted of it at most; that of the start is last."""
        first, *others = self.settings.pictures
        finest, init_file = self.shapes[-1], _init_file(self.settings)
        found = [(first, finest), *zip(others, self.style_shapes(self.canvas(finest)))]
        return found if init_file is None else [*found, (init_file, finest)]

    @property
    def bytes_of_pictures(self) -> int:
        """How much memory the pictures take once they are read."""
        canvases = [self.canvas(shape) for shape in self.shapes]
        if self.settings.colors != colour_control.STYLE:
            canvases.append(canvases[-1])  # there are two of each at a time, as they are and as they are painted from
        pixels = sum(math.prod(shape) for canvas in canvases for shape in (canvas, *self.style_shapes(canvas)))
        return pixels * BYTES_PER_PIXEL + self._bytes_of_masks

    @property
    def _bytes_of_masks(self) -> int:
        """How much memory the masks take, with those of the finest scale's layers."""
        of_content = len(self.settings.masks) + bool(self.settings.keep_mask)
        canvas = self.canvas(self.shapes[-1])
        of_styles = sum(map(math.prod, self.style_shapes(canvas))) if self.settings.style_masks else 0
        return BYTES_PER_MASK * (of_content * math.prod(canvas) + of_styles)

    def read(self) -> None:
        """Read the pictures now, or raise the UserError for the first that cannot be read or takes too much memory."""
        _ = self.init, self.pictures, self.masks, self.written_as

    @cached_property
    def init(self) -> str | np.ndarray:
        """Where to start: a name or an image, read from its file or painted in one pass."""
        start = self._start()
        is_painted_grey = self.settings.colors == colour_control.CONTENT and not isinstance(start, str)
        return colour_control.luminance(start) if is_painted_grey else start

    def _start(self):
        if self.settings.init == ARBITRARY:
            return one_pass.paint(self.settings, self.network.engine, self.shapes[-1]).image
        if self.settings.init == FAST:
            model = FastStyle.load(self.settings.fast_model, self.network.engine)
            photo = images.resize(self._load(*self.files[0]), *self.shapes[-1])
            colors, matching = self.settings.colors, self.settings.color_matching
            return model(photo, self.settings.fast_style, colors=colors, color_matching=matching)
        return self.settings.init if self.settings.init in STARTS else self._load(*self.files[-1])

    @cached_property
    def pictures(self) -> dict[Shape, tuple[np.ndarray | None, list[np.ndarray]]]:
        """Content and styles of each scale, with the margin, each scaled from the picture in the file."""
        first, *others = self.files[: len(self.settings.pictures)]
        picture = self._load(*first)
        canvases = {shape: images.extend(images.resize(picture, *shape), self.settings.margin) for shape in self.shapes}
        del picture
        has_content = self.settings.content is not None
        found = {shape: (canvas, []) if has_content else (None, [canvas]) for shape, canvas in canvases.items()}
        for number, file in enumerate(others):
            style = self._load(*file)
            for shape, (_, styles) in found.items():
                styles.append(images.resize(style, *self.style_shapes(self.canvas(shape))[number]))
        return found

    @cached_property
    def masks(self) -> Masks:
        """The masks in the finest scale's sizes, without the margin."""
        settings, finest = self.settings, self.shapes[-1]
        styles = self.style_shapes(self.canvas(finest)) if settings.style_masks else []
        found = Masks(
            [self._mask(mask, finest) for mask in settings.masks],
            [self._mask(mask, shape) for mask, shape in zip(settings.style_masks, styles)],
            None if settings.keep_mask is None else self._mask(settings.keep_mask, finest),
        )
        if found.keep is not None and found.keep.min() == 1:
            raise UserError(f"{settings.keep_mask} keeps all of the content: give a mask that is not all white.")
        return found

    def _mask(self, mask: str, shape: Shape) -> np.ndarray:
        file = masks.file_of(mask)
        computation.check_room_to_read(file, images.size(file), self.network.engine, self.settings.memory_limit)
        found = masks.grow(masks.resize(masks.read(mask), *shape), self.settings.grow_masks)
        if not found.any():
            shrunk = " when it is shrunk" if self.settings.grow_masks < 0 else ""
            raise UserError(f"the mask {mask} is all black{shrunk}, so it says nothing: give one with white in it.")
        return found

    @property
    def _style_blend(self) -> list[float] | None:
        """Each style's share of the weights; with masks, where each style is alone, that times their number."""
        weights, times = self.settings.style_weights, len(self.settings.styles) if self.settings.masks else 1
        return None if weights is None else [times * weight / sum(weights) for weight in weights]

    def _load(self, path, wanted):
        computation.check_room_to_read(path, wanted, self.network.engine, self.settings.memory_limit)
        return images.load(path, wanted)

    def objective_at(self, height: int, width: int, tile: int | None = None) -> Objective:
        """Return the Objective of a scale, in tiles of that side if it is given."""
        content, styles = self.pictures[height, width]
        if content is not None:
            colors, matching = self.settings.colors, self.settings.color_matching
            content, styles = colour_control.prepared(content, styles, colors, matching)
        return self.objective(content, styles, self.masks.at(height, width, self.settings.margin), tile)

    def finish(self, image: np.ndarray) -> np.ndarray:
        """Return an image (H, W, 3) of a scale as the picture that it is: with the chroma that was left out."""
        content, _ = self.pictures[image.shape[:2]]
        if content is None or self.settings.colors != colour_control.CONTENT:
            return image
        return colour_control.with_chroma_of(image.clip(0, 255), images.crop(content, self.settings.margin))

    def objective(
        self, content: np.ndarray | None, styles: list[np.ndarray], masks: Masks | None = None, tile: int | None = None
    ) -> Objective:
        """Return the Objective of images of any scale, with their masks."""
        masks = masks or Masks()
        settings = self.settings
        canvas = np.shape(styles[0] if content is None else content)[:2]
        # Weights of sums over pixels are those of the finest scale, where there are more pixels.
        fewer = math.prod(self.canvas(self.shapes[-1])) / math.prod(canvas)
        return Objective(
            self.network,
            content,
            styles,
            content_layers={} if content is None else settings.content_layers,
            style_layers=settings.style_layers if styles else {},
            content_weight=_times(settings.content_weight, fewer),
            style_weight=settings.style_weight,
            style_blend=self._style_blend,
            masks=masks.contents or None,
            style_masks=masks.styles or None,
            keep=masks.keep,
            guides=settings.guides,
            tv_weight=_times(settings.tv_weight, fewer),
            style_loss=settings.style_loss,
            tv=settings.tv,
            laplacian_weight=settings.laplacian_weight,
            layer_weights=settings.layer_weights,
            activation_shift=settings.activation_shift,
            correlations=settings.correlations,
            pooling=settings.pooling,
            padding=settings.padding,
            normalized=settings.normalize,
            style_fit=None,  # they are fitted
            dtype=settings.dtype,
            tile=tile,
        )


@dataclass(frozen=True)
class Masks:
    """The masks of a run, (H, W), 0 to 1: where styles count, where they are looked at, and where content is kept."""

    contents: list[np.ndarray] = field(default_factory=list)
    styles: list[np.ndarray] = field(default_factory=list)
    keep: np.ndarray | None = None

    def at(self, height: int, width: int, margin: int) -> Masks:
        """Return the masks of a scale, those of the content with the margin around them."""

        def scaled(mask):
            return images.extend(masks.resize(mask, height, width)[..., np.newaxis], margin)[..., 0]

        return Masks(
            [scaled(mask) for mask in self.contents], self.styles, None if self.keep is None else scaled(self.keep)
        )


def prepare(settings: Settings, engine: Engine, tell: Callable[[str], None] = ignore) -> Prepared:
    """Check the outputs, load the network, and choose the scales for the sizes of the pictures.

    Raises
    ------
    UserError
        As for `run`, but for pictures that are damaged, which are read later.
    """
    source, reason = choose_source(settings.network)
    models = {FAST: settings.fast_model or SHIPPED, ARBITRARY: one_pass.model_file(settings)}
    inputs = [settings.content, *settings.styles, _init_file(settings), models.get(settings.init), source_file(source)]
    inputs += map(masks.file_of, settings.all_masks)
    check_outputs(settings, inputs)
    network = load_network(source, settings.preprocessing).on(engine)
    shapes, style_shapes = _fit_pictures(settings, network)
    images.check_format(settings.output, *shapes[-1])
    if settings.video:
        film.check_shape(settings.video, *shapes[-1])
    if settings.init == ARBITRARY:
        one_pass.check(settings, shapes[-1])
    tell(f"network: {network.name}, {reason}")
    _tell_of_masks(settings, images.size(settings.pictures[0]), tell)
    fast_style = _fast_style(settings) if settings.init == FAST else settings.fast_style
    settings = replace(settings, network=source, fast_style=fast_style)
    return Prepared(settings, network, shapes, style_shapes, [Path(path) for path in inputs if path])


def written_as(settings: Settings, shape: Shape) -> images.Finish:
    """Return how the picture of a (height, width) is written, or raise a UserError; see `images.finish_of`."""
    return images.finish_of(settings.pictures[0], shape, settings.keep, settings.depth)


def _tell_of_masks(settings: Settings, content: Shape, tell: Callable[[str], None]) -> None:
    """Check that there are the masks' pictures, and tell of those that are squeezed to fit."""
    fits = [(mask, content) for mask in (*settings.masks, *([settings.keep_mask] if settings.keep_mask else ()))]
    fits += [(mask, images.size(style)) for mask, style in zip(settings.style_masks, settings.styles)]
    for mask, (height, width) in fits:
        given = images.size(masks.file_of(mask))
        if abs(given[1] * height - given[0] * width) > 0.02 * given[0] * width:
            tell(f"mask: {mask}, {given[1]}x{given[0]} pixels, is squeezed onto a picture of {width}x{height} pixels")


def _fast_style(settings: Settings) -> dict[str, float]:
    """Return the styles of the network that paints the start, or raise a UserError if it has none for the pictures."""
    model = FastStyle.load(settings.fast_model)
    if settings.fast_style is not None:
        model.mixture(settings.fast_style)
        return dict(settings.fast_style)
    found = {picture: model.learnt_from(picture) for picture in settings.styles}
    strange = next((picture for picture, name in found.items() if name is None), None)
    if strange is not None:
        where = settings.fast_model or "the network that ships"
        raise UserError(
            f"no style of {where} is learnt from {strange}: name one by --fast-style, of "
            f"{', '.join(model.names)}, or train one by scratchnst train style {strange}."
        )
    return {str(name): 1.0 for name in found.values()}


def _fit_pictures(settings: Settings, network: Network) -> tuple[list[Shape], Callable[[Shape], list[Shape]]]:
    """Return the shapes of the scales and, for an image's shape, those of the styles that do not give it theirs."""
    content_layers = _names(settings.content_layers, network.defaults.content_layers)
    asked = settings.style_layers
    style_layers = _names(None if asked is None else named(network, asked), network.defaults.style_layers)
    layers = [*(content_layers if settings.content else ()), *(style_layers if settings.styles else ())]
    first, *others = settings.pictures
    given = picture_size(first, network, content_layers if settings.content else style_layers)
    height, width = images.fitted_shape(given, settings.size)  # the picture gets the first one's proportions
    longer = max(height, width)
    computation.check_room(height, width, network.engine, settings)
    network.check_layers(layers)
    check_scaled(first, given, (height, width), longer, network, layers)
    sizes = [picture_size(path, network, style_layers) for path in others]
    finest = max(height, width) + 2 * settings.margin
    own_size = bool(settings.style_size or settings.style_scale)

    def style_shapes(shape):
        fitted = [STYLE_FITS[settings.style_fit](size, *shape) for size in sizes]
        factors = style_factors(settings, fitted, max(shape) / finest)
        return [(max(1, round(h * factor)), max(1, round(w * factor))) for (h, w), factor in zip(fitted, factors)]

    def check(height, width):
        network.check_size(height, width, layers)
        for path, scaled in zip(others, style_shapes((height, width))):
            check_style(path, scaled, longer, network, style_layers, own_size)

    check(height, width)
    return choose_scales(height, width, check, settings), style_shapes


def style_factors(settings: Settings, fitted: Sequence[Shape], scale: float) -> list[float]:
    """Return by what styles that are fitted to a canvas are enlarged; `scale` is the canvas's size in the finest's."""

    def each(values, otherwise):
        return [otherwise] * len(fitted) if values is None else values * (1 if len(values) > 1 else len(fitted))

    sides, factors = each(settings.style_size, None), each(settings.style_scale, 1.0)
    return [
        factor * (1.0 if side is None else side * scale / max(shape))
        for shape, side, factor in zip(fitted, sides, factors)
    ]


def check_outputs(settings: Settings, inputs: Iterable[str | Path | None]) -> None:
    """Make sure, before anything is computed, that all outputs can be written and overwrite no input.

    Raises
    ------
    UserError
        If one cannot, two of the files are the same, or a file that no run has made is in the place of the record or
        of a stage.
    """
    check_suffix(settings.output, images.PICTURE_SUFFIXES)
    images.check_finish(settings.output, settings.depth, settings.keep)
    inputs, outputs = list(inputs), [settings.output, settings.record, checkpoint.state_file(settings.output)]
    if settings.log:
        outputs.append(settings.log)
    if settings.video:
        outputs += [settings.video, film.frames_file(settings.video)]
        film.check(settings.video)
    files.check_outputs(outputs, inputs)
    check_replaceable(settings.record, settings.output)
    checkpoint.check_replaceable(checkpoint.state_file(settings.output))
    if settings.log:
        check_not_in_use(settings.log)
    check_stages(settings, [*inputs, *outputs])


def picture_size(path: Path, network: Network, layers: Iterable[str]) -> tuple[int, int]:
    """Return the (height, width) of a file's picture, if it has, before it is scaled, what the deepest layer needs.

    Raises
    ------
    UserError
        If the file holds no picture, one of `layers` is unknown, or the picture is too small for the deepest.
    """
    layers = list(layers)
    network.check_layers(layers)
    height, width = images.size(path)
    try:
        network.check_size(height, width, layers)
    except UserError as error:
        raise UserError(f"{path} cannot be used: {error}") from None
    return height, width


def check_scaled(
    path: Path, given: tuple[int, int], scaled: tuple[int, int], size: int, network: Network, layers: Iterable[str]
) -> None:
    """Raise a UserError that names the size to ask for if a picture is, after scaling, too small for the deepest layer.

    Parameters
    ----------
    path, given : the picture's file, and its height and width there
    scaled : its height and width at `size` pixels of the longer side
    """
    deepest, side = network.smallest_side(layers)
    if min(scaled) < side:
        height, width = scaled
        enough = math.ceil(side * max(given) / min(given))
        raise UserError(
            f"{path} has {width}x{height} pixels at --size {size} and is too small for layer {deepest} of "
            f"{network.name}: {_larger(enough)}, or layers above it."
        )


def check_style(
    path: Path, scaled: Shape, size: int, network: Network, layers: Iterable[str], own_size: bool = False
) -> None:
    """The same for a style, of which `scaled` is the shape at `size` pixels of the content's longer side.

    `own_size` tells that --style-size or --style-scale have a part in it.
    """
    deepest, side = network.smallest_side(layers)
    if min(scaled) >= side:
        return
    height, width = scaled
    times = side / (min(scaled) - 0.5)  # it may have been rounded up
    advice = f"{_larger(math.ceil(size * times))}, --style-fit squeeze"
    if own_size:
        advice = f"enlarge it {math.ceil(10 * times) / 10:g} times by --style-size or --style-scale"
    raise UserError(
        f"the style {path} has {width}x{height} pixels at --size {size} and is too small for layer {deepest} of "
        f"{network.name}: {advice}, or layers above it."
    )


def _larger(size: int) -> str:
    """Say which size is needed, if there is such a one."""
    return f"take --size {size} or more" if size <= LARGEST_SIZE else "take a part of it"


def _init_file(settings: Settings) -> Path | None:
    """Return the file of the image to start from; None if the start is none of a file."""
    return None if settings.init in (*STARTS, *ONE_PASS) else init_path(settings.init)


def init_path(init: str) -> Path:
    """Return the file of the image to start from, if there is one."""
    if not os.path.exists(init):
        raise UserError(f"there is no file {init} to start from: name one, or one of {', '.join(STARTS)}.")
    return Path(init)


def choose_scales(
    height: int, width: int, check: Callable[[int, int], None], settings: Settings
) -> list[tuple[int, int]]:
    """Return the (height, width) of each scale up to `height` and `width`, the coarsest first.

    "auto" adds a scale with each doubling of the longer side above 128, as long as `check` raises no UserError at the
    (height, width) of the coarsest; it is only one if the start is a finished picture, whose details would be lost.

    Raises
    ------
    UserError
        If the coarsest of a given number of scales is too small.
    """
    if settings.scales != AUTO:
        shapes = scale_shapes(height, width, int(settings.scales))
        try:
            check(*shapes[0])
        except UserError as error:
            raise UserError(f"--scales {settings.scales} are too many: {error}") from None
        return shapes
    return automatic_shapes(height, width, check) if settings.init in STARTS else [(height, width)]


def _names(layers: Iterable[str] | None, defaults: Iterable[str]) -> list[str]:
    return list(defaults if layers is None else layers)


def _times(weight: float | None, factor: float) -> float | None:
    """`weight` times `factor`, or None, the network's own."""
    return None if weight is None else weight * factor
