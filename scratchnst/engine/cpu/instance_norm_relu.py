"""An instance normalisation and its ReLU in one, `scratchnst.engine.instance_norm.InstanceNorm.forward_relu`."""

from scratchnst.engine.cpu.instance_norm import backward, backward_input, backward_parameters
from scratchnst.engine.cpu.instance_norm import forward_relu as forward

__all__ = ["backward", "backward_input", "backward_parameters", "forward"]
