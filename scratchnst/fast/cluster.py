"""Paint the frames of a video on other machines, by the workers of a Dask cluster, see https://distributed.dask.org.

Each task is some frames that follow each other.  They and the network travel with the tasks, by way of the scheduler,
which gives those of a worker that dies to another one.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pydoc import locate
from typing import Any

import dask
from distributed import CancelledError, Client, KilledWorker, TimeoutError
from distributed.comm import get_address_host_port, normalize_address

from scratchnst import __version__
from scratchnst.engine.cpu import threads
from scratchnst.errors import UserError
from scratchnst.fast.video import Frame, Look, in_order

MOST_FRAMES, MOST_BYTES = 8, 4 << 20  # of a task; one frame may have more bytes
TASKS_OF_A_THREAD = 2  # that are sent to the scheduler at a time
RETRIES = 3  # of a task that ends with an error
PATIENCE = 10.0  # seconds to wait for the scheduler, and for a worker where there is none


@dataclass(frozen=True)
class Cluster:
    """The workers of a scheduler.

    Attributes
    ----------
    address : of the scheduler
    client : the connection to it
    """

    address: str
    client: Client

    @property
    def threads(self) -> int:
        """The threads of all workers that are there now."""
        try:
            return sum(self.client.nthreads().values())
        except OSError:
            raise self._gone() from None

    def paint(self, look: Look, frames: Iterable[Frame]) -> Generator[Frame, None, None]:
        """Yield the painted frames in their order: a `scratchnst.fast.video.Painter`.

        Raises
        ------
        UserError
            If the scheduler or all workers are gone, or frames cannot be painted.
        """
        with self._errors_told():
            # The result of a task, which the scheduler can compute anew if the workers that have it die.
            known = self.client.submit(_same, look, pure=False)

            def begin(part: list[Frame]) -> Any:
                return self.client.submit(_painted, known, part, pure=False, retries=RETRIES)

            for task in in_order(begin, _tasks(frames), lambda: TASKS_OF_A_THREAD * self.threads):
                yield from self._result(task)

    def _result(self, task: Any) -> list[Frame]:
        """Wait for the frames of a task as long as there are workers."""
        while True:
            try:
                return task.result(timeout=PATIENCE)
            except TimeoutError:
                if not self.threads:
                    raise UserError(
                        f"no worker is left at {self.address}: start some, and the same command goes on."
                    ) from None

    @contextmanager
    def _errors_told(self) -> Iterator[None]:
        """Make a UserError of what goes wrong on the other machines."""
        try:
            yield
        except (UserError, MemoryError):
            raise
        except KilledWorker as error:
            raise UserError(
                f"workers of {self.address} died of the same frames {error.allowed_failures + 1} times: give them more "
                "memory, or choose a smaller --size."
            ) from None
        except CancelledError:
            raise self._gone() from None
        except Exception as error:
            raise UserError(
                f"the cluster at {self.address} fails ({type(error).__name__}: {error}): see what its workers print."
            ) from None

    def _gone(self) -> UserError:
        return UserError(f"the scheduler at {self.address} is gone: start it anew, and the same command goes on.")


@contextmanager
def connected(address: str) -> Iterator[Cluster]:
    """Connect to a scheduler for the block.

    Raises
    ------
    UserError
        If it cannot be reached, has no workers, or one of the machines has no scratchnst or another version.
    """
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what users are told is in the errors
    settings = {"distributed.admin.large-graph-warning-threshold": "1 TB"}  # frames are large
    with dask.config.set(settings), _client(address) as client:
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
        except TimeoutError:
            raise UserError(f"{address} has no workers: start some by dask worker {address} --nthreads 1.") from None
        _check_versions(address, client)
        yield Cluster(address, client)


def _client(address: str) -> Client:
    try:
        get_address_host_port(normalize_address(address), strict=True)  # Client leaves threads behind if it has none
        return Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise UserError(f"no scheduler answers at {address} ({error}): start one by dask scheduler.") from None


def _check_versions(address: str, client: Client) -> None:
    """Raise a UserError unless the scheduler and its workers have this version of scratchnst."""
    name = f"{__name__}.__version__"  # of this module, which needs all that a worker needs
    try:
        found = {address: client.run_on_scheduler(locate, name), **client.run(locate, name)}
    except Exception as error:
        raise UserError(
            f"{address} and its workers cannot import scratchnst ({error}): install scratchnst[cluster] there."
        ) from None
    for machine, version in found.items():
        if version != __version__:
            raise UserError(
                f"{machine} has {f'scratchnst {version}' if version else 'no scratchnst'}: install scratchnst[cluster] "
                f"{__version__} there, as it is here."
            )


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


def _same(look: Look) -> Look:
    return look


def _painted(look: Look, frames: list[Frame]) -> list[Frame]:
    """Paint frames on a worker: its threads paint some each, so one of them needs no others."""
    threads.set_count(1)
    return [look.paint(frame) for frame in frames]
