"""Stand-ins for the processes of the contenders of the bench, for its tests: neither clock nor process is real."""

from __future__ import annotations

import numpy as np

from scratchnst.bench.process import Lost


class FakeProcesses:
    """`asked` holds every request in order, `plays` what a contender replies to a request in place of the usual."""

    def __init__(self):
        self.asked, self.ended, self.evaluations = [], [], {}
        self.plain, self.libraries = {}, {}
        self.plays = {}

    def __call__(self, contender, size, threads, plain, device, libraries):
        self.plain[contender], self.libraries[contender] = plain, libraries
        return FakeProcess(
            self, contender, {"contender": contender, "size": size, "threads": threads, "device": device}
        )


class FakeProcess:
    def __init__(self, processes, name, settings):
        self.processes, self.name, self.settings = processes, name, settings

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        self.processes.ended.append(self.name)

    def ask(self, do, **arguments):
        self.processes.asked.append((self.name, do))
        play = self.processes.plays.get((self.name, do), getattr(self, f"_{do}", None))
        return play(**arguments)

    def _set_up(self, contender, size, threads, device):
        return {}

    def _check(self):
        return {"error": 1e-6, "extra_bytes": 1000}

    def _gradient(self):
        return {"loss": 4.0, "gradient": np.ones((2, 2, 3))}

    def _evaluate(self, calls=1):
        """100 s for the warm-up, then 1, 2, 3 s ..."""
        count = self.processes.evaluations[self.name] = self.processes.evaluations.get(self.name, -1) + 1
        return {"seconds": count or 100.0}

    def _pieces(self):
        return {"conv1": 0.25, "norm3": 0.05, "adam": 0.125}

    def _peak(self):
        return {"bytes": 5_000_000}

    def _run(self, iterations):
        return {"run_seconds": 2.0, "iterations": iterations, "evaluations": iterations + 4, "loss": 0.5}


def lost(why):
    def play(**arguments):
        raise Lost(why)

    return play
