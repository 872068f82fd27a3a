"""Checks of networks and objectives, operation by operation."""
