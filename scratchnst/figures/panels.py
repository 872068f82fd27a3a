"""What each of the paper's figures consists of: for every picture its label and the settings in which it differs.

The paper's alpha/beta
----------------------
Equation 1, as printed, is a sum over all features; equations 4 and 5 are means over positions, filters and layers.  So
the alpha/beta at which content and style are in balance falls as the image grows: at 512x384 pixels, with normalised
weights, it is below 1e-7.  The figures of the paper have 1e-3 there, thousands of times as much, with which equation 1
as printed would leave nothing of the style.  So the paper's numbers belong to a content loss on another scale; in the
code that its authors published later, it is a mean, too.

What can be taken over are the factors between the pictures.  Those with 1e-3, in Figures 5 and 6, show content and
style in balance, and for that the default alpha of a network is chosen.  Here, therefore, the paper's 1e-3 is this
default, and 1e-4, 1e-2 and 1e-1 are a tenth, ten times and a hundred times as much; beta is the default for all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from scratchnst import images
from scratchnst.errors import UserError
from scratchnst.models.network import Network
from scratchnst.models.student import likeness
from scratchnst.transfer import computation, presets
from scratchnst.transfer.preparation import ignore, prepare
from scratchnst.transfer.settings import Settings

BLOCKS = range(1, 6)  # of VGG19, that end in a pool each
NOISES = 4
BALANCED = "1e-3"  # the paper's alpha/beta whose picture is balanced
RATIOS = ("1e-4", "1e-3", "1e-2", "1e-1")
QUICK = {"size": 160, "iterations": 100}


@dataclass(frozen=True)
class Panel:
    """A picture of a figure.

    Attributes
    ----------
    label : what is written above it
    picture : its file; None if it could not be made
    settings : the run that makes it; None for a picture that is given
    inset : the file of a picture that is shown small in its corner
    """

    label: str
    picture: Path | None
    settings: Settings | None = None
    inset: Path | None = None


@dataclass(frozen=True)
class Figure:
    """A figure of the paper: its title, rows of panels, and what there is to see."""

    title: str
    rows: tuple[tuple[Panel, ...], ...]
    caption: str

    @property
    def runs(self) -> list[tuple[Panel, Settings]]:
        """The panels to be made, and their settings."""
        return [(panel, panel.settings) for row in self.rows for panel in row if panel.settings is not None]


@dataclass(frozen=True)
class Material:
    """What the panels of a figure have in common.

    Attributes
    ----------
    content, styles : files with pictures
    network : as loaded
    settings : those of `Settings` that all runs share, the network among them
    output : the file of the figure; the panels' pictures and records lie in `folder`, beside it
    """

    content: Path
    styles: tuple[Path, ...]
    network: Network
    settings: Mapping[str, Any]
    output: Path

    @property
    def folder(self) -> Path:
        """Where the panels' pictures and records lie."""
        return self.output.with_name(f"{self.output.stem}-panels")

    def run(self, **others: Any) -> Settings:
        """Return the settings of a run as in the paper, of content and first style unless `others` say otherwise."""
        common = {"content": self.content, "styles": self.styles[:1], **presets.read("paper"), **self.settings}
        return Settings(**{**common, "output": self.output, **others})

    def panel(self, name: str, label: str, inset: bool = False, **others: Any) -> Panel:
        """Return a panel to be made by the `run` with `others`."""
        settings = self.run(**others, output=self.folder / f"{name}.png")
        return Panel(label, settings.output, settings, settings.styles[0] if inset else None)

    def tap(self, *layers: str) -> str | None:
        """Return the network's first layer that imitates one of VGG19's `layers` or, failing that, has its name."""
        names = [row.name for row in self.network.layers]
        wanted = [*map(likeness, layers), *layers]
        return next((name for name in wanted if name in names), None)

    def taps(self, number: int) -> list[str]:
        """Return the network's layers for the convolution of that number in each of VGG19's blocks."""
        found = [tap for block in BLOCKS if (tap := self.tap(f"conv{block}_{number}"))]
        if not found:
            raise UserError(
                f"the network {self.network.name} has no layer like VGG's conv1_{number}, which this figure shows: "
                "name a VGG or the distilled network."
            )
        return found

    def alpha(self, ratio: str) -> float | None:
        """Return the content weight for the paper's alpha/beta; None, the default, for that of a balanced picture."""
        return None if ratio == BALANCED else self.alpha_at(ratio)

    def alpha_at(self, ratio: str, layers: Mapping[str, float] | None = None) -> float:
        """Return the same as a number, the default being that of `layers`, name -> weight."""
        return alpha_at(float(ratio), self.network, self.run(), layers)


def alpha_at(ratio: float, network: Network, settings: Settings, layers: Mapping[str, float] | None = None) -> float:
    """Return the content weight of a run for an alpha/beta on the paper's scale, where beta is the default.

    Parameters
    ----------
    ratio : 1e-3 is the default of the network
    network, settings : of the run, which has a content
    layers : name -> weight, whose default is taken
    """
    height, width = images.fitted_shape(images.size(cast(Path, settings.content)), settings.size)
    default = network.content_weight(height + 2 * settings.margin, width + 2 * settings.margin, layers)
    return float(f"{default * ratio / float(BALANCED):.4g}")


def reconstructions(material: Material) -> Figure:
    """Figure 1: what the layers of the network keep of the content and of the style."""
    content = [Panel("content", material.content)]
    for letter, layer in zip("abcde", material.taps(2)):
        label = f"{letter}  {layer}"
        content.append(material.panel(f"content-{layer}", label, styles=(), content_layers=(layer,)))
    style, layers = [Panel("style", material.styles[0])], material.taps(1)
    for count, (letter, layer) in enumerate(zip("abcde", layers), start=1):
        label = f"{letter}  {'+ ' if count > 1 else ''}{layer}"
        style.append(material.panel(f"style-{layer}", label, content=None, style_layers=layers[:count]))
    return Figure(
        "Figure 1: Image representations in a convolutional network",
        (tuple(style), tuple(content)),
        "Above: white noise optimised until its Gram matrices match those of the style at the layer named and all to "
        "the left of it. Below: until its features match those of the content at the layer named, alone.",
    )


def styles(material: Material) -> Figure:
    """Figure 3: one photograph in several styles."""
    panels = [Panel("A  content", material.content)]
    for number, style in enumerate(material.styles, start=1):
        label = f"{chr(ord('A') + number)}  {style.stem}"
        panels.append(material.panel(f"style-{number}", label, inset=True, styles=(style,)))
    return Figure(
        "Figure 3: The content of a photograph in the style of several pictures",
        _in_rows(panels, 2 if len(panels) in (2, 4, 6) else 3),
        "In the corner of each picture: the picture that gave the style. All from white noise, with the same weights.",
    )


def ratios(material: Material) -> Figure:
    """Figure 4: content against style."""
    panels = [
        material.panel(f"ratio-{ratio}", f"alpha/beta {ratio}", content_weight=material.alpha(ratio))
        for ratio in RATIOS
    ]
    return Figure(
        "Figure 4: Relative weight of content and style",
        _in_rows(panels, 2),
        f"alpha/beta on the paper's scale: its {BALANCED} is the network's default alpha here, with beta = 1; the "
        "others are a tenth of it, ten times and a hundred times as much.",
    )


def content_layers(material: Material) -> Figure:
    """Figure 5: a low content layer against a high one."""
    low, high = material.tap("conv2_2", "conv2_1"), material.tap("conv4_2")
    high = high or next(iter(material.network.defaults.content_layers))
    if low is None or low == high:
        raise UserError(
            f"the network {material.network.name} has no two layers like VGG's conv2_2 and conv4_2, which this figure "
            "compares: name a VGG or the distilled network."
        )
    alpha = material.alpha_at(BALANCED, {high: 1.0})  # equation 1 is a sum: at the low layer, of more features
    panels = [
        material.panel(f"content-{layer}", f"content from {layer}", content_layers=(layer,), content_weight=alpha)
        for layer in (low, high)
    ]
    content = Panel("content and style", material.content, inset=material.styles[0])
    return Figure(
        "Figure 5: Matching the content in different layers",
        ((content, *panels),),
        "With the low layer the picture keeps the photograph's details, and the style lies over them like a texture; "
        "with the high one the style's strokes take their place.",
    )


def starts(material: Material) -> Figure:
    """Figure 6: where the optimisation starts."""
    panels = [
        material.panel("from-content", "A  from the content", init="content"),
        material.panel("from-style", "B  from the style", init="style"),
    ]
    for seed in range(NOISES):
        panels.append(material.panel(f"from-noise-{seed}", f"C  from noise, seed {seed}", init="noise", seed=seed))
    return Figure(
        "Figure 6: Initialisation of the gradient descent",
        _in_rows(panels, 2),
        "The same loss from different starts.",
    )


def photographs(material: Material) -> Figure:
    """Figure 7: the style of a photograph.

    The paper has ten times as much alpha as for its other figures.  By the scale used here that is too much: Tuebingen
    in the light of a sunset stayed the photograph that it was, and with three times the default nearly so.
    """
    picture = material.panel("picture", "C  result", init="content")
    return Figure(
        "Figure 7: Photorealistic style transfer",
        ((Panel("A  content", material.content), Panel("B  style", material.styles[0]), picture),),
        "Started from the content, with the default alpha.",
    )


def check(figure: Figure, output: Path) -> None:
    """Raise the error that the deepest run of a figure would raise before its first step; they come last."""
    _, settings = figure.runs[-1]
    with computation.computing_as(settings, ignore) as engine:
        prepare(replace(settings, output=output), engine).read()


FIGURES: dict[int, Callable[[Material], Figure]] = {
    1: reconstructions,
    3: styles,
    4: ratios,
    5: content_layers,
    6: starts,
    7: photographs,
}


def _in_rows(panels: list[Panel], columns: int) -> tuple[tuple[Panel, ...], ...]:
    return tuple(tuple(panels[start : start + columns]) for start in range(0, len(panels), columns))
