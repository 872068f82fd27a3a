"""A convolution and its ReLU in one, `scratchnst.engine.convolution.Conv2d.forward_relu`."""

from scratchnst.engine.cuda.conv2d import backward, backward_input, backward_parameters
from scratchnst.engine.cuda.conv2d import forward_relu as forward

__all__ = ["backward", "backward_input", "backward_parameters", "forward"]
