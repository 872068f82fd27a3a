"""Reader of safetensors files (the format: https://github.com/huggingface/safetensors#format).

8 bytes         n, the length of the header, little-endian
n bytes         JSON: array name -> {"dtype": "F32", "shape": [...], "data_offsets": [begin, end]},
                and possibly "__metadata__"
the rest        the arrays, row by row, little-endian; offsets count from here

The library safetensors is not used: it takes headers of 100 MB, and refuses a file whose classifier is incomplete.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

from scratchnst.errors import UserError
from scratchnst.models import vgg
from scratchnst.weights.assembly import FileWeights
from scratchnst.weights.formats.torch_names import OUTPUTS_FIRST, Declared, collect, has_plain_names, meaningful
from scratchnst.weights.formats.untrusted import damage_told, native_numbers, read_exactly

NAME = "safetensors"
LONGEST_HEADER = 1 << 20  # VGG's has some KiB
_DTYPES: dict[str, np.dtype] = {"F16": np.dtype("<f2"), "F32": np.dtype("<f4"), "F64": np.dtype("<f8")}


def recognises(path: Path) -> bool:
    """Return whether the file begins with a plausible length and an opening brace."""
    with path.open("rb") as file:
        head = file.read(9)
    return head[8:] == b"{" and 2 <= int.from_bytes(head[:8], "little") <= LONGEST_HEADER


def read(path: Path) -> FileWeights:
    """Return the convolutions in the file; kernels are taken to be PyTorch's, (C_out, C_in, kh, kw).

    Raises
    ------
    UserError
        If the file is damaged, or does not hold VGG's convolutions as floating-point numbers.
    """
    with path.open("rb") as file, damage_told():
        length = int.from_bytes(read_exactly(file, 8), "little")
        if length > LONGEST_HEADER:
            raise UserError(f"its header claims to be longer than {LONGEST_HEADER} bytes: the file is damaged.")
        try:
            header = json.loads(read_exactly(file, length))
        except (ValueError, RecursionError):
            raise UserError("its header is not JSON: the file is damaged; get it again.") from None
        if not isinstance(header, dict):
            raise UserError("its header is no table of arrays: the file is damaged; get it again.")
        found = {name: _declared(file, 8 + length, name, header[key]) for name, key in meaningful(header).items()}
        return collect(found, OUTPUTS_FIRST, vgg.OXFORD_PREPROCESSING if has_plain_names(found) else None)


def _declared(file, start, name, entry):
    """The array that one entry of the header describes."""
    match entry:
        case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [begin, end]}:
            pass
        case _:
            raise UserError(f"the description of {name} is incomplete: the file is damaged.")
    if any(type(number) is not int or number < 0 for number in [*shape, begin, end]):
        raise UserError(f"the description of {name} has numbers that are not counts: the file is damaged.")
    return Declared(tuple(shape), lambda: _load(file, name, dtype, shape, start + begin, start + end))


def _load(file, name, dtype, shape, begin, end):
    """The numbers between two places of the file."""
    if dtype not in _DTYPES:
        raise UserError(f"{name} is not stored as F16, F32 or F64: save it as F32.")
    if end - begin != math.prod(shape) * _DTYPES[dtype].itemsize:
        raise UserError(f"{name} has a shape that does not fit its place in the file: the file is damaged.")
    file.seek(begin)
    return native_numbers(read_exactly(file, end - begin), _DTYPES[dtype]).reshape(shape)
