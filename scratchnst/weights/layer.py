"""One convolution's kernel and bias out of a file, checked before anything uses them."""

from __future__ import annotations

import h5py
import numpy as np

from scratchnst.errors import UserError


def read_layer(
    name: str, kernel: h5py.Dataset, bias: h5py.Dataset, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Return (w, b) as float32 arrays from the HDF5 datasets `kernel` and `bias`.

    `shape` is what the kernel's must be, (kh, kw, C_in, C_out).  It is compared before anything is read, so a
    file that declares something huge costs nothing.

    Raises
    ------
    UserError
        If a shape is another, the numbers are not floating-point, or one of them is NaN or infinite.
    """
    if kernel.shape != shape or bias.shape != shape[3:]:
        raise UserError(
            f"layer {name} should have a kernel of shape {shape} and a bias of shape {shape[3:]}, but the weights "
            f"file holds {kernel.shape} and {bias.shape}: it belongs to another network."
        )
    if kernel.dtype.kind != "f" or bias.dtype.kind != "f":
        raise UserError(f"layer {name} of the weights file holds {kernel.dtype} where floating-point numbers belong.")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is told below
        w, b = (array[()].astype(np.float32) for array in (kernel, bias))
    if not (np.isfinite(w).all() and np.isfinite(b).all()):
        raise UserError(f"layer {name} of the weights file holds NaN or infinite numbers: get the file again.")
    return w, b
