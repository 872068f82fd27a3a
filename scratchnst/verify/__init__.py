"""Gradient checks for any function, and their application to the textbook's operations and networks."""

from scratchnst.verify.check import check_backward, check_gradient
from scratchnst.verify.report import GradientError, InputReport, Report

__all__ = ["GradientError", "InputReport", "Report", "check_backward", "check_gradient"]
