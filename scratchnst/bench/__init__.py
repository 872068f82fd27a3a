"""How fast, how large, how exact: this package measured, on the CPU or on a GPU, beside PyTorch if it is installed.

Whatever is measured, a contender, lives in a process of its own (`worker`), so that its peak memory is its own and
that the death of one does not end the others; `measure` sets the tasks.
"""
