"""The module that stands for ``cupy``: as much of it as this package uses."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from scratchnst.emulator import cublas, launch
from scratchnst.emulator.arrays import inside, ndarray, outside

float32, float64 = np.float32, np.float64
newaxis = None


def _of_numpy(name):
    function = getattr(np, name)

    def ours(*arguments, **keywords):
        keywords = {key: inside(value) for key, value in keywords.items()}
        return outside(function(*map(inside, arguments), **keywords))

    return ours


for _name in (
    "abs add arange ascontiguousarray clip concatenate empty_like exp full isfinite matmul maximum minimum ones "
    "pad sqrt square stack sum where zeros zeros_like"
).split():
    globals()[_name] = _of_numpy(_name)


def asarray(array: Any, dtype: Any = None) -> ndarray:
    """Return an array of ours: of a list, a copy of one of NumPy's, or itself."""
    if isinstance(array, ndarray):
        return array if dtype is None or array.dtype == dtype else array.astype(dtype)
    return ndarray(np.array(array, dtype))


def array(array: Any, dtype: Any = None) -> ndarray:
    """Return a copy."""
    return ndarray(np.array(inside(array) if isinstance(array, ndarray) else array, dtype))


def asnumpy(array: Any) -> np.ndarray:
    return array.get() if isinstance(array, ndarray) else np.asarray(array)


def empty(shape: Any, dtype: Any = float) -> ndarray:
    """Return an array of NaN, or of the largest numbers: whoever forgets to write will be seen."""
    dtype = np.dtype(dtype)
    return ndarray(np.full(shape, np.nan if dtype.kind == "f" else np.iinfo(dtype).max if dtype.kind in "iu" else True, dtype))


class RawModule:
    """Kernels of a source; the options are those of g++ as well."""

    def __init__(self, *, code: str, options: tuple[str, ...] = (), backend: str = "nvrtc"):
        self.code, self.options = code, options

    def get_function(self, name: str) -> Any:
        return launch.kernel(self.code, name, tuple(option for option in self.options if option.startswith("-D")))


class cuda:
    """Stands for ``cupy.cuda``."""

    cublas = cublas
    device = SimpleNamespace(get_cublas_handle=cublas.get_cublas_handle)
    runtime = SimpleNamespace(CUDA_R_32F=cublas.CUDA_R_32F, CUDA_R_64F=cublas.CUDA_R_64F)
