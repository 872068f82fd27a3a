"""The machine: what is set up at the start of a program, and what there is: processor, BLAS, memory, GPU; processes.

Nothing is imported here, because the program imports this package before NumPy may be imported.
"""
