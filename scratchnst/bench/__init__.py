"""How fast, how large, how exact: this package measured, on the CPU or on a GPU, beside PyTorch if it is installed.

What is measured is called a contender.  Each runs in a process of its own (`worker`), so that the process's peak memory
is the contender's, and the others go on if one fails; `measure` sends them their tasks, and `plan` has
the settings of a run.
"""
