"""Neural style transfer with every derivative written by hand.

from scratchnst import Objective, load_network, normalize, stylize

network = load_network()                                                           # or a file, or a name
objective = Objective(network, content=photo, styles=[painting], normalized=True)  # images (H, W, 3), 0-255
picture = stylize(objective, iterations=200).image

from scratchnst import FastStyle

picture = FastStyle.load("model.h5")(photo, style="wave")                          # a network that was trained for it

from scratchnst import ArbitraryStyle

picture = ArbitraryStyle.load()(photo, painting)                                   # one that paints in any style
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # as in typing, which takes long to import, and until then Ctrl-C is Python's own
if TYPE_CHECKING:
    from typing import Any

    from scratchnst.fast.arbitrary_style import ArbitraryStyle
    from scratchnst.fast.fast_style import FastStyle
    from scratchnst.models.normalize import normalize
    from scratchnst.transfer.objective import Objective
    from scratchnst.transfer.scales import scale_shapes, stylize_by_scales
    from scratchnst.transfer.stylize import stylize
    from scratchnst.weights.load import load_network

__version__ = "0.1.0"

__all__ = [
    "ArbitraryStyle",
    "FastStyle",
    "Objective",
    "load_network",
    "normalize",
    "scale_shapes",
    "stylize",
    "stylize_by_scales",
]

# The modules of these names, which are imported at first use: `scratchnst.system.startup`, of this package too, has to
# run before NumPy is imported.
_HOMES = {
    "ArbitraryStyle": "scratchnst.fast.arbitrary_style",
    "FastStyle": "scratchnst.fast.fast_style",
    "Objective": "scratchnst.transfer.objective",
    "load_network": "scratchnst.weights.load",
    "normalize": "scratchnst.models.normalize",
    "scale_shapes": "scratchnst.transfer.scales",
    "stylize": "scratchnst.transfer.stylize",
    "stylize_by_scales": "scratchnst.transfer.scales",
}
_MODULES = ("images", "verify")  # available as attributes without an import


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value  # so that it is found the next time
        return value
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
