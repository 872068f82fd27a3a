"""Everything of a network but its weights, as JSON in our own layout; what anyone may have written is checked."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from typing import Any

from scratchnst.errors import UserError
from scratchnst.models.layers import IMAGE, Layer, strides
from scratchnst.models.network import Defaults, Network, Preprocessing
from scratchnst.weights.formats.untrusted import shown

# VGG19 has 21 layers, and features that are 32 times smaller than the image.
MOST_LAYERS = 256
LARGEST_STRIDE = 1 << 12
LARGEST_NUMBER = 1e9  # of preprocessing and weights; 1 over it is the smallest std
LONGEST_NAME = 64
DEEPEST = 16  # values within values

_SEPARATORS = re.compile("[/:,]")  # of a path in the file, and of --style-layers


def describe(network: Network) -> str:
    """Return the JSON that `parse` reads."""
    names = [field.name for field in fields(network) if field.name not in ("parameters", "engine")]
    values = {name: getattr(network, name) for name in names}
    return json.dumps(values | {"layers": [_row(layer) for layer in network.layers]}, default=asdict)


def parse(text: str, provenance: Mapping[str, Any], content_weight: str = "content_weight_per_feature") -> Network:
    """Return the network, without weights, that `describe` has described.

    Parameters
    ----------
    text : the JSON
    provenance : of the file itself; what the text says of the origin stands under "origin"
    content_weight : what the text calls the default content weight

    Raises
    ------
    UserError
        If a value is missing, is of another type than it must be or too large, or the values do not make a network.
    """
    try:
        described = json.loads(text, parse_constant=_refuse)
        _check(described)
        network = Network(
            name=described["name"],
            layers=tuple(_layer(**row) for row in described["layers"]),
            parameters={},
            preprocessing=_preprocessing(**described["preprocessing"]),
            defaults=_defaults(content_weight, **described["defaults"]),
            provenance={**provenance, "origin": described["provenance"]},
            pooling=described["pooling"],
            normalized=described["normalized"],
        )
        found = strides(network.layers, network.sources(), IMAGE).values()
        if min(found) < 1:
            raise ValueError("its features are larger than the image")
        if max(found) > LARGEST_STRIDE:
            raise ValueError(f"its pools make features more than {LARGEST_STRIDE} times smaller than the image")
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        reason = shown(f"there is no {error}" if isinstance(error, KeyError) else str(error), most=200)
        raise UserError(f"its description of the network is incomplete or wrong ({reason}): write it anew.") from None
    return network


def _row(layer):
    """A row of the table, for JSON: "source" is the row that it reads or null, and "sources" are several."""
    if len(layer.sources) > 1:
        return asdict(layer)
    return {"name": layer.name, "kind": layer.kind, "source": layer.sources[0] if layer.sources else None}


def _layer(name, kind, source=None, sources=()):
    """The row that `_row` describes."""
    if source and sources:
        raise ValueError(f"layer {name} has a source and sources as well")
    return Layer(name, kind, (source,) if source else tuple(sources))


def _preprocessing(channels, scale, mean, std):
    if not isinstance(mean, list) or not isinstance(std, list):
        raise ValueError("mean or std is no list of numbers")
    _check_numbers("preprocessing", [scale, *mean, *std])
    settings = Preprocessing(channels, scale, tuple(mean), tuple(std))
    if min(std) < 1 / LARGEST_NUMBER:
        raise ValueError(f"std is less than {1 / LARGEST_NUMBER}")
    return settings


def _defaults(content_weight, **values):
    values["content_weight_per_feature"] = values.pop(content_weight)
    for name, value in values.items():
        if name.endswith("layers"):
            _check_table(name, value)
        _check_numbers(name, value.values() if name.endswith("layers") else [value])
    return Defaults(**values)


# ---------------------------------------------------------------------------------------------- checks


def _check(described):
    """Raise a ValueError or KeyError for values that the classes of which a network consists do not check."""
    _check_depth(described)
    _check_table("the whole", described)
    for name in ("preprocessing", "defaults", "provenance"):
        _check_table(name, described[name])
    if not _is_word(described["name"]):
        raise ValueError("the name of the network is no short text of printable characters")
    rows = described["layers"]
    if not isinstance(rows, list) or not 1 <= len(rows) <= MOST_LAYERS:
        raise ValueError(f"layers is no list of 1 to {MOST_LAYERS} layers")
    for row in rows:
        _check_table("a layer", row)
        if not isinstance(row.get("sources", []), list) or not isinstance(row["kind"], str):
            raise ValueError("a layer has sources that are no list, or a kind that is no text")
        for name in (row["name"], row.get("source") or IMAGE, *row.get("sources", ())):
            _check_layers_name(name)
    if not isinstance(described["normalized"], bool):
        raise ValueError("normalized is neither true nor false")


def _refuse(constant):
    raise ValueError(f"{constant} is no number")


def _check_depth(value, depth=0):
    if depth > DEEPEST:
        raise ValueError(f"values are more than {DEEPEST} deep in others")
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check_depth(inner, depth + 1)


def _check_table(what, value):
    if not isinstance(value, dict):
        raise ValueError(f"{what} is no table of values")


def _check_layers_name(name):
    if not _is_word(name) or _SEPARATORS.search(name):
        raise ValueError(f"a layer is called {name!r}, not 1 to {LONGEST_NAME} printable characters without / : ,")


def _is_word(name):
    return isinstance(name, str) and 1 <= len(name) <= LONGEST_NAME and name.isprintable()


def _check_numbers(what: str, values: Iterable[Any]) -> None:
    for value in values:
        if type(value) not in (int, float) or not abs(value) <= LARGEST_NUMBER:
            raise ValueError(f"{what} has {value!r} in place of a number of at most {LARGEST_NUMBER:.0e}")
