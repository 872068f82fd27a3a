"""Load a network from a file or by its name."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from scratchnst.errors import UserError
from scratchnst.models import pyramid, transform_net
from scratchnst.models.network import Network
from scratchnst.weights.assembly import assemble
from scratchnst.weights.formats import (
    caffe,
    hdf5,
    keras,
    matconvnet,
    native,
    numpy_archive,
    pytorch,
    quantised,
    safetensors,
    unknown,
)
from scratchnst.weights.published import checksum
from scratchnst.weights.vgg19 import cached_vgg19

ENVIRONMENT_VARIABLE = "SCRATCHNST_VGG19"
NAMES = ("distilled", "pyramid", "vgg19")
LARGEST_FILE = 1 << 31  # bytes; VGG19 with its classifier and what Adam keeps of it has 1.7e9
DISTILLED = Path(__file__).with_name("distilled.h5")  # ships with the package
# In the order in which they are tried, after HDF5, which is opened once: quantised files are PyTorch's too, and
# Caffe's, which have no magic number, come last.
READERS = (matconvnet, keras, quantised, pytorch, safetensors, numpy_archive, caffe)
REMEMBERED = 3  # networks: what looks at pictures, and what paints a start

_remembered: Callable[..., Network] | None = None


@contextmanager
def remembering() -> Iterator[None]:
    """Within the block, read no file of weights again that is as it was when it was read last."""
    global _remembered
    before, _remembered = (
        _remembered,
        _remembered or lru_cache(REMEMBERED)(lambda path, _, *how: _from_file(path, *how)),
    )
    try:
        yield
    finally:
        _remembered = before


def load_network(source: str | os.PathLike | None = None, preprocessing: str | None = None) -> Network:
    """Return a network that looks at pictures; see `load_any`, whose arguments these are.

    Raises
    ------
    UserError
        As `load_any`, and if it is a network that paints.
    """
    network = load_any(source, preprocessing)
    if transform_net.paints(network):
        raise UserError(f"{source} is a network that paints, and no loss can be made of it: use scratchnst fast.")
    return network


def load_any(source: str | os.PathLike | None = None, preprocessing: str | None = None) -> Network:
    """Return a network.

    Parameters
    ----------
    source : the name "distilled" (the small network that ships with the package), "pyramid" (the filter pyramid,
        made from a seed) or "vgg19" (the file that ``scratchnst weights get vgg19`` has put into the cache), or a
        weights file: our own layout, or VGG19 or VGG16 in one of the formats that weights/README.md lists, recognised
        by its contents.  None takes the file that the environment variable SCRATCHNST_VGG19 names; if it is not set,
        VGG19 in the cache; if it is not there, the distilled network
    preprocessing : "oxford" or "torchvision", what a VGG expects, where its file cannot tell

    Raises
    ------
    UserError
        If there is no such file or name, the file does not hold a complete and finite network, or its preprocessing
        is not known.
    """
    source, _ = choose_source(source)
    if source == "pyramid":
        return pyramid.build()
    file = source_file(source)
    if file is None:
        raise UserError("VGG19 is not in the cache: run scratchnst weights get vgg19, or name a weights file.")
    if not os.path.isfile(file):
        problem = "is not a file" if os.path.exists(file) else "does not exist"
        raise UserError(f"the weights file {file} {problem}: give a weights file, or a name: {', '.join(NAMES)}.")
    if _remembered is not None:
        there = os.stat(file)
        return _remembered(file, (there.st_size, there.st_mtime_ns), preprocessing)
    return _from_file(file, preprocessing)


def choose_source(source: str | os.PathLike | None = None) -> tuple[str, str]:
    """Return the name or the file that `load_network` takes, and the reason in a few words."""
    if source is not None:
        return os.path.expanduser(source), "as asked"
    file = os.environ.get(ENVIRONMENT_VARIABLE)
    if file:
        return os.path.expanduser(file), f"from the file that {ENVIRONMENT_VARIABLE} names"
    if cached_vgg19():
        return "vgg19", "from the cache"
    return "distilled", "which ships with the program; for the paper's network run: scratchnst weights get vgg19"


def source_file(source: str) -> Path | None:
    """Return the file of a network, given its name or the file's; None if it has none."""
    by_name = {"pyramid": None, "distilled": DISTILLED, "vgg19": cached_vgg19()}
    return by_name.get(source, Path(source))


def _from_file(path, preprocessing):
    """Recognise the format by the file's contents, read it and check it."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise UserError(f"it has more than {LARGEST_FILE} bytes, which no file of VGG's weights has: give another.")
        if hdf5.is_hdf5(path):
            return _from_hdf5(path, preprocessing)
        for reader in READERS:
            if reader.recognises(path):
                weights = reader.read(path)
                return assemble(weights, preprocessing, _provenance(path, reader.NAME))
        kind = unknown.describe(path)
    except UserError as error:
        raise UserError(f"{path} cannot be used: {error}") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): change that or give another file.") from None
    raise UserError(f"{path} is of no format of weights that is known here; {kind}.")


def _from_hdf5(path, preprocessing):
    """Our own layout or Keras's."""
    with hdf5.opened(path, native.ATTRIBUTES) as file:
        if not native.recognises(file):
            return assemble(keras.convolutions(file), preprocessing, _provenance(path, keras.NAME))
        if preprocessing is not None:
            raise UserError("the file tells its preprocessing: leave out --preprocessing.")
        return native.read(file, _provenance(path, native.NAME))


def _provenance(path, layout):
    """Where a network comes from; to be asked when its file has turned out to be one, since all of it is read."""
    return {"file": path.name, "sha256": checksum(path, "sha256"), "layout": layout}
