"""Stands for ``cupy.cuda.cublas``."""
