"""The operations to which every engine falls back: all modules of `scratchnst.ops` and `scratchnst.losses`.

They compute on NumPy's arrays and CuPy's alike.
"""

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

from scratchnst import losses, ops
from scratchnst.engine.textbook import (
    conv2d_relu,
    instance_norm_relu,
    reflected_conv2d,
    replicated_conv2d,
    upsampled_conv2d,
)


def modules_of(package: ModuleType) -> list[ModuleType]:
    """Return all modules of a package."""
    return [import_module(f"{package.__name__}.{module.name}") for module in iter_modules(package.__path__)]


COMBINED = (conv2d_relu, instance_norm_relu, reflected_conv2d, replicated_conv2d, upsampled_conv2d)
OPERATIONS = (*modules_of(ops), *modules_of(losses), *COMBINED)
