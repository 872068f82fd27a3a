"""Are these gradients right?  Checks for any function, and the textbook checked with them."""

from scratchnst.verify.check import check_backward, check_gradient
from scratchnst.verify.report import GradientError, InputReport, Report

__all__ = ["GradientError", "InputReport", "Report", "check_backward", "check_gradient"]
