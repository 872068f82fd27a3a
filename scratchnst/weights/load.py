"""Which network runs: a file's, or one known by name."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import h5py

from scratchnst import pyramid
from scratchnst.errors import UserError
from scratchnst.network import Network
from scratchnst.weights import keras, native

ENVIRONMENT_VARIABLE = "SCRATCHNST_VGG19"
NAMED = {"pyramid": pyramid.build}


def load_network(source: str | os.PathLike | None = None) -> Network:
    """Return a network.

    Parameters
    ----------
    source : the name "pyramid" (the filter pyramid, which needs no file), or an HDF5 file: our own layout, or
        Keras's VGG19 "notop".  None takes the file that the environment variable SCRATCHNST_VGG19 names, and,
        where it is not set, the filter pyramid.

    Raises
    ------
    UserError
        If there is no such file or name, or the file does not hold a complete and finite network.
    """
    source, _ = choose_source(source)
    if source in NAMED:
        return NAMED[source]()
    if not os.path.isfile(source):
        problem = "is not a file" if os.path.exists(source) else "does not exist"
        raise UserError(f"the weights file {source} {problem}: give an HDF5 file, or a name: {', '.join(NAMED)}.")
    return _from_file(Path(source))


def choose_source(source: str | os.PathLike | None = None) -> tuple[str, str]:
    """Return the name or the file that `load_network` takes, and why this one, in a few words."""
    if source is not None:
        return str(source), "as asked"
    file = os.environ.get(ENVIRONMENT_VARIABLE)
    if file:
        return file, f"from the file that {ENVIRONMENT_VARIABLE} names"
    return "pyramid", f"which needs no weights; for the paper's network set {ENVIRONMENT_VARIABLE} to a file"


def _from_file(path):
    """Recognise the layout by what the file holds and read it."""
    try:
        provenance = {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        with h5py.File(path, "r") as file:
            for layout in (native, keras):
                if layout.recognises(file):
                    return layout.read(file, {**provenance, "layout": layout.NAME})
    except UserError as error:
        raise UserError(f"{path} cannot be used: {error}") from None
    except PermissionError:
        raise UserError(f"{path} may not be read: change its permissions or give another file.") from None
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise UserError(
            f"{path} is not an HDF5 file, or a damaged one ({str(error).splitlines()[0]}): get it again."
        ) from None
    raise UserError(f"{path} is an HDF5 file, but neither Keras's VGG19 nor a network of scratchnst: give another.")
