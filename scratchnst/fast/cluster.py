"""Paint the frames of a video on other machines, by the workers of a Dask cluster, see `scratchnst.system.cluster`.

Each task is some frames that follow each other.  They and the network travel with the tasks.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from scratchnst import __version__  # noqa: F401 workers are asked for it here
from scratchnst.engine.cpu import threads
from scratchnst.fast.video import Frame, Look, in_order
from scratchnst.system import cluster

MOST_FRAMES, MOST_BYTES = 8, 4 << 20  # of a task; one frame may have more bytes


class Cluster(cluster.Cluster):
    """The workers of a scheduler, which paint frames."""

    def paint(self, look: Look, frames: Iterable[Frame]) -> Generator[Frame, None, None]:
        """Yield the painted frames in their order: a `scratchnst.fast.video.Painter`.

        Raises
        ------
        UserError
            If the scheduler or all workers are gone, or frames cannot be painted.
        """
        with self.errors_told("frames"):
            known = self.shared(look)

            def begin(part: list[Frame]) -> Any:
                return self.begin(_painted, known, part)

            for task in in_order(begin, _tasks(frames), lambda: cluster.TASKS_OF_A_THREAD * self.threads):
                yield from self.result(task)


@contextmanager
def connected(address: str) -> Iterator[Cluster]:
    """Connect to a scheduler for the block, see `scratchnst.system.cluster.connected`."""
    with cluster.connected(address, __name__) as found:
        yield Cluster(found.address, found.client)


def _tasks(frames: Iterable[Frame]) -> Iterator[list[Frame]]:
    """Yield the frames of one task after the other."""
    part: list[Frame] = []
    for frame in frames:
        part.append(frame)
        if len(part) == MOST_FRAMES or (len(part) + 1) * frame.picture.nbytes > MOST_BYTES:
            yield part
            part = []
    if part:
        yield part


def _painted(look: Look, frames: list[Frame]) -> list[Frame]:
    """Paint frames on a worker: its threads paint some each, so one of them needs no others."""
    threads.set_count(1)
    return [look.paint(frame) for frame in frames]
