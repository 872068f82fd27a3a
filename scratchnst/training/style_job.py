"""From settings to a trained model: `scratchnst.training.style_training` with pictures, a loss network and a file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np

from scratchnst import __version__, images
from scratchnst.engine import Engine
from scratchnst.errors import UserError
from scratchnst.fast.fast_style import FastStyle, Style
from scratchnst.files import open_input
from scratchnst.models import transform_net
from scratchnst.models.layers import IMAGE, strides
from scratchnst.models.network import Network
from scratchnst.training import photographs
from scratchnst.training.perceptual_loss import PerceptualLoss, Weights
from scratchnst.training.photographs import LEAST_SPREAD, Photographs
from scratchnst.training.style_training import Plan, Training
from scratchnst.weights.load import load_network

CONTENT_LAYERS = ("conv3_3", "like_conv3_1")  # of VGG, and of the distilled network
LARGEST_STRIDE = 8  # of a style layer: of a crop of 128 pixels it has 16x16 positions
MEASURED = 16  # crops on which the content's energy is measured
FINISH = 0.3  # of the training's time
HELD_OUT, ENOUGH = 2, 8  # photographs for previews, if there are enough
SMALLEST_SIDE = 32  # pixels of a crop, or of a style

T = TypeVar("T")


class Trainable(Protocol):
    """What settings of all trainings have: see `StyleSettings`."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def folder(self) -> Path | None: ...
    @property
    def network(self) -> str: ...
    @property
    def finish(self) -> str | None: ...
    @property
    def licences(self) -> Path | None: ...
    @property
    def plan(self) -> Plan: ...


@dataclass(frozen=True)
class StyleSettings:
    """What a training is given.

    Attributes
    ----------
    paintings : files of the styles to be learnt
    folder : of photographs; None takes those at hand
    style_size : longer side in pixels at which the paintings are looked at, one for all or one for each
    weights : of the terms of the perceptual loss
    network : of the loss, a name or a file
    finish : of the loss in the last FINISH of the training, a name or a file; None leaves it as it is
    widths, blocks : of the network to be trained
    start : a model whose parameters the training begins with
    add_to : a model to which the styles are added: its kernels stay as they are
    licences : a text that says of each picture, by its file's name, whose it is
    plan : how long, and on what
    """

    paintings: tuple[Path, ...]
    folder: Path | None = None
    style_size: int | tuple[int, ...] = 256
    weights: Weights = field(default_factory=Weights)
    network: str = "distilled"
    finish: str | None = None
    widths: tuple[int, ...] = transform_net.WIDTHS
    blocks: int = transform_net.BLOCKS
    start: Path | None = None
    add_to: Path | None = None
    licences: Path | None = None
    plan: Plan = field(default_factory=Plan)


@dataclass(frozen=True)
class StyleJob:
    """A training that is ready to run.

    Attributes
    ----------
    training : see `style_training.run`
    styles : of the model, in the order of its norms' rows
    origin : what the model's file will say of the training
    held_out : photographs that are not trained on
    """

    training: Training
    styles: tuple[Style, ...]
    origin: dict[str, Any]
    held_out: tuple[np.ndarray, ...]

    def model(self) -> FastStyle:
        """Return the model as it is now."""
        return FastStyle(self.training.network, self.styles, {**self.origin, **done(self.training)})


def done(training: Training) -> dict[str, Any]:
    """Return what a model's file says of how far its training has come."""
    state = training.state
    return {
        "iterations done": state.iteration,
        "seconds": round(state.seconds, 1),
        "losses": asdict(state.losses) if state.losses else None,
    }


def prepare(settings: StyleSettings, engine: Engine, tell: Callable[[str], None]) -> StyleJob:
    """Read all that a training needs; `tell` is called with what the user should know of it.

    Raises
    ------
    UserError
        If a picture, a folder or a network cannot be used.
    """
    if settings.start and settings.add_to:
        raise UserError("--start and --add-to exclude each other: leave out one of them.")
    check_side(settings.plan.side)
    sizes = _for_each(settings, "--style-size", settings.style_size)
    paintings = [_painting(path, size) for path, size in zip(settings.paintings, sizes)]
    network, styles, old = _network(settings, _styles(settings))
    found, held_out = to_train_on(settings, tell)
    trained = tuple(range(old, len(styles))) if old else None
    plan = replace(settings.plan, trained=trained)
    # Pictures of the old styles are not at hand, nor needed: no image of a batch is painted in them.
    pictures = [paintings[0]] * old + paintings
    weights = _weights(settings, old)
    losses = losses_of(settings, found, pictures, weights, engine, tell)
    training = Training(network.on(engine), losses, found, plan)
    names = [path.name for path in settings.paintings]
    return StyleJob(training, styles, origin_of(settings, names, losses, found), held_out)


def check_side(side: int) -> None:
    """Raise a UserError unless crops of so many pixels a side can be trained on."""
    if side < SMALLEST_SIDE or side % transform_net.STRIDE:
        raise UserError(f"a crop of {side} pixels cannot be trained on: give --size a multiple of 4, from 32 on.")


def to_train_on(settings: Trainable, tell: Callable[[str], None]) -> tuple[Photographs, tuple[np.ndarray, ...]]:
    """Return the photographs to train on, and some that are held out."""
    folder, side = settings.folder, settings.plan.side
    found = photographs.from_folder(folder, side, tell) if folder else photographs.at_hand(side)
    held_out = found.hold_out(HELD_OUT) if len(found) >= ENOUGH else ()
    tell(f"{len(found)} photographs to train on{'' if folder else ', those at hand: --images names yours'}")
    return found, held_out


def losses_of(
    settings: Trainable,
    found: Photographs,
    pictures: Sequence[np.ndarray],
    weights: Weights,
    engine: Engine,
    tell: Callable[[str], None],
) -> dict[float, PerceptualLoss]:
    """Return the loss of each part of a training, for styles that have these pictures."""
    plan = settings.plan
    crops = engine.asarray(found.crops(np.random.default_rng([plan.seed, 1]), MEASURED, plan.side))

    def loss_of(source):
        seeing = load_network(source).astype("float32").on(engine)
        return PerceptualLoss(seeing, pictures, crops, weights, *loss_layers(seeing))

    losses = {0.0: loss_of(settings.network)}
    if settings.finish and settings.finish != settings.network:
        losses[1 - FINISH] = loss_of(settings.finish)
    tell("the loss is by " + ", ".join(f"{loss.network.name} from {start:.0%} on" for start, loss in losses.items()))
    return losses


def loss_layers(network: Network) -> tuple[list[str], list[str]]:
    """Return the content and the style layers of a loss network: those that see little of a crop's borders.

    Raises
    ------
    UserError
        If it has none.
    """
    names, side = [layer.name for layer in network.layers], strides(network.layers, network.sources(), IMAGE)
    content = [name for name in CONTENT_LAYERS if name in names] or list(network.defaults.content_layers)
    style = [name for name in network.defaults.style_layers if side[name] <= LARGEST_STRIDE]
    if not content or not style:
        raise UserError(f"{network.name} has no layers for both losses: take VGG19, or the distilled network.")
    return content[:1], style


def _weights(settings: StyleSettings, old: int) -> Weights:
    """The weights of the loss, with one for each style; `old` ones are not trained."""
    given = _for_each(settings, "--style-weight", settings.weights.style)
    return replace(settings.weights, style=(0.0,) * old + given)


def _for_each(settings: StyleSettings, option: str, given: T | tuple[T, ...]) -> tuple[T, ...]:
    """A number for each painting, of one for all or of as many."""
    numbers = given if isinstance(given, tuple) else (given,) * len(settings.paintings)
    if len(numbers) != len(settings.paintings):
        raise UserError(
            f"{len(numbers)} numbers for {len(settings.paintings)} paintings: give {option} one number, or one for "
            "each painting."
        )
    return numbers


def _painting(path: Path, size: int) -> np.ndarray:
    """A style's picture, scaled."""
    shape = images.fitted_shape(images.size(path), size)
    if min(shape) < SMALLEST_SIDE:
        raise UserError(
            f"{path} has {shape[1]}x{shape[0]} pixels at this size: a style needs at least {SMALLEST_SIDE} a side, "
            "choose a larger --style-size or another picture."
        )
    picture = images.resize(images.load(path, shape), *shape)
    if picture.std() < LEAST_SPREAD:
        raise UserError(f"{path} is of one colour, and has no style to be learnt: choose another picture.")
    return picture


def _styles(settings: StyleSettings) -> list[Style]:
    """The styles to be learnt, named after their files."""
    text = _text(settings.licences).splitlines() if settings.licences else []
    styles, taken = [], set()
    for path in settings.paintings:
        name = style_name(path)
        if name in taken:
            raise UserError(f"two paintings would be called {name}: rename one of the files.")
        taken.add(name)
        licence = next((line.strip() for line in text if path.name in line), "")
        styles.append(Style(name, path.name, _sha256(path), licence))
    return styles


def style_name(path: Path) -> str:
    """Return the name of the style that is learnt from a file: small letters, digits and _."""
    return re.sub(r"[^0-9a-z]+", "_", path.stem.lower()).strip("_") or "style"


def _network(settings: StyleSettings, new: Sequence[Style]) -> tuple[Network, tuple[Style, ...], int]:
    """The network to begin with, its styles, and how many of these it has already."""
    random = np.random.default_rng(settings.plan.seed)
    if settings.add_to:
        model = FastStyle.load(settings.add_to)
        for style in new:
            if style.name in model.names:
                raise UserError(f"{settings.add_to} has a style {style.name} already: rename the painting's file.")
        old = len(model.styles)
        mixture = np.concatenate([np.eye(old, dtype=np.float32), _beginnings(model, new)])
        return transform_net.with_styles(model.network, mixture), (*model.styles, *new), old
    if settings.start:
        model = FastStyle.load(settings.start)
        return transform_net.with_styles(model.network, _beginnings(model, new)), tuple(new), 0
    return transform_net.build(random, len(new), settings.widths, settings.blocks), tuple(new), 0


def _beginnings(model: FastStyle, styles: Sequence[Style]) -> np.ndarray:
    """The mixture of a model's styles that each style begins as: its namesake, or the mean of all."""
    mean = {name: 1.0 for name in model.names}
    return np.stack([model.mixture(style.name if style.name in model.names else mean) for style in styles])


def origin_of(
    settings: Trainable, paintings: list[str], losses: Mapping[float, PerceptualLoss], found: Photographs
) -> dict[str, Any]:
    """Return what a model's file says of its training; `paintings` are the names of files."""
    given = {name: value.name if isinstance(value, Path) else value for name, value in asdict(settings).items()}
    given["paintings"] = paintings
    given |= {name: given[name] and Path(given[name]).name for name in ("network", "finish")}
    return {
        "program": f"scratchnst {__version__}",
        "settings": given,
        "loss networks": [
            {
                "from": start,
                "network": {"name": loss.network.name, **loss.network.provenance},
                "content layers": loss.content_layers,
                "style layers": loss.style_layers,
            }
            for start, loss in losses.items()
        ],
        "photographs": found.names,
        "licences": _text(settings.licences) if settings.licences else None,
    }


def _text(path: Path) -> str:
    try:
        with open_input(path) as file:
            return file.read().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as text ({error}): name another file.") from None


def _sha256(path: Path) -> str:
    with open_input(path) as file:
        return hashlib.sha256(file.read()).hexdigest()
