"""How fast, how large, how exact: this package measured, on the CPU or on a GPU, beside PyTorch if it is installed.

What is measured, a contender, runs in a process of its own (`worker`), so that peak memory can be told apart and one
that dies does not end the others; `measure` sends the requests, `plan` has the settings of a run.
"""
