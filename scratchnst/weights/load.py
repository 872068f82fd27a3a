"""Which network runs: a file's, or one known by name."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from scratchnst import pyramid
from scratchnst.errors import UserError
from scratchnst.network import Network
from scratchnst.weights import keras, native
from scratchnst.weights.holding import assemble

ENVIRONMENT_VARIABLE = "SCRATCHNST_VGG19"
NAMED = {"pyramid": pyramid.build}
READERS = (keras,)  # asked in this order what they recognise; our own layout is asked before them


def load_network(source: str | os.PathLike | None = None, preprocessing: str | None = None) -> Network:
    """Return a network.

    Parameters
    ----------
    source : the name "pyramid" (the filter pyramid, which needs no file), or a weights file: our own layout, or VGG19
        or VGG16 in one of the formats that weights/README.md lists, recognised by what the file holds.  None takes the
        file that the environment variable SCRATCHNST_VGG19 names, and, where it is not set, the filter pyramid.
    preprocessing : "oxford" or "torchvision", what a VGG expects, where its file cannot tell

    Raises
    ------
    UserError
        If there is no such file or name, the file does not hold a complete and finite network, or its preprocessing
        is not known.
    """
    source, _ = choose_source(source)
    if source in NAMED:
        return NAMED[source]()
    if not os.path.isfile(source):
        problem = "is not a file" if os.path.exists(source) else "does not exist"
        raise UserError(f"the weights file {source} {problem}: give a weights file, or a name: {', '.join(NAMED)}.")
    return _from_file(Path(source), preprocessing)


def choose_source(source: str | os.PathLike | None = None) -> tuple[str, str]:
    """Return the name or the file that `load_network` takes, and why this one, in a few words."""
    if source is not None:
        return str(source), "as asked"
    file = os.environ.get(ENVIRONMENT_VARIABLE)
    if file:
        return file, f"from the file that {ENVIRONMENT_VARIABLE} names"
    return "pyramid", f"which needs no weights; for the paper's network set {ENVIRONMENT_VARIABLE} to a file"


def _from_file(path, preprocessing):
    """Recognise the format by what the file holds, read it and check it."""
    try:
        provenance = {"file": path.name, "sha256": _sha256(path)}
        if native.recognises(path):
            if preprocessing is not None:
                raise UserError("the file tells its preprocessing: leave out --preprocessing.")
            return native.read(path, {**provenance, "layout": native.NAME})
        for reader in READERS:
            if reader.recognises(path):
                return assemble(reader.read(path), preprocessing, {**provenance, "layout": reader.NAME})
    except UserError as error:
        raise UserError(f"{path} cannot be used: {error}") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): change that or give another file.") from None
    raise UserError(f"{path} is of no format of weights that is known here: see weights/README.md for those that are.")


def _sha256(path):
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
