"""Other machines: the workers of a Dask cluster, see https://distributed.dask.org.

What a task needs travels with it, by way of the scheduler, which gives the tasks of a worker that dies to another one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pydoc import locate
from queue import Empty, SimpleQueue
from typing import Any

import dask
from distributed import CancelledError, Client, KilledWorker, TimeoutError
from distributed.comm import get_address_host_port, normalize_address

from scratchnst import __version__
from scratchnst.errors import UserError

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
        return sum(self._threads().values())

    @property
    def workers(self) -> int:
        """The workers that are there now."""
        return len(self._threads())

    def _threads(self) -> dict[str, int]:
        try:
            return self.client.nthreads()
        except OSError:
            raise self._gone() from None

    def shared(self, value: Any) -> Any:
        """Return what stands for a value in the arguments of tasks: a worker gets it once.

        It is the result of a task, which the scheduler can compute anew if the workers that have it die.
        """
        return self.client.submit(_same, value, pure=False)

    def begin(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return the task of calling a function."""
        return self.client.submit(function, *arguments, pure=False, retries=RETRIES)

    def result(self, task: Any) -> Any:
        """Wait for the result of a task as long as there are workers."""
        while True:
            try:
                return task.result(timeout=PATIENCE)
            except TimeoutError:
                self._check_workers()

    def replies(self, jobs: Iterable[tuple[Callable[..., Any], tuple]], what: str) -> Iterator[tuple[int, Any]]:
        """Yield the number of each job and what its function returns, or the UserError that it raises, as they come.

        `what` the jobs have to do with is told if workers die of one.
        """
        begun: dict[int, Any] = {}
        ended: SimpleQueue[int] = SimpleQueue()
        for number, (function, arguments) in enumerate(jobs):
            begun[number] = task = self.begin(function, *arguments)
            task.add_done_callback(lambda _, number=number: ended.put(number))
            while len(begun) >= TASKS_OF_A_THREAD * self.threads:
                yield self._reply(begun, ended, what)
        while begun:
            yield self._reply(begun, ended, what)

    def _reply(self, begun: dict[int, Any], ended: SimpleQueue[int], what: str) -> tuple[int, Any]:
        """Wait for the next of some tasks, and return its number and reply."""
        while True:
            try:
                number = ended.get(timeout=PATIENCE)
                break
            except Empty:
                self._check_workers()
        try:
            with self.errors_told(what):
                return number, self.result(begun.pop(number))
        except Lost:
            raise
        except UserError as error:
            return number, error

    def _check_workers(self) -> None:
        if not self.threads:
            raise Lost(f"no worker is left at {self.address}: start some, and the same command goes on.")

    @contextmanager
    def errors_told(self, what: str) -> Iterator[None]:
        """Make a UserError of what goes wrong on the other machines with `what` they work on."""
        try:
            yield
        except (UserError, MemoryError):
            raise
        except KilledWorker as error:
            raise UserError(
                f"workers of {self.address} died of the same {what} {error.allowed_failures + 1} times: give them more "
                "memory, or choose a smaller --size."
            ) from None
        except CancelledError:
            raise self._gone() from None
        except Exception as error:
            raise UserError(
                f"the cluster at {self.address} fails ({type(error).__name__}: {error}): see what its workers print."
            ) from None

    def _gone(self) -> UserError:
        return Lost(f"the scheduler at {self.address} is gone: start it anew, and the same command goes on.")


class Lost(UserError):
    """The scheduler is gone, or all its workers."""


@contextmanager
def connected(address: str, module: str) -> Iterator[Cluster]:
    """Connect to a scheduler for the block.

    Parameters
    ----------
    address : of the scheduler
    module : the name of one that needs all that a worker needs

    Raises
    ------
    UserError
        If it cannot be reached, has no workers, or one of the machines has no scratchnst or another version.
    """
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what users are told is in the errors
    settings = {"distributed.admin.large-graph-warning-threshold": "1 TB"}  # frames and pictures are large
    with dask.config.set(settings), _client(address) as client:
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
        except TimeoutError:
            raise UserError(f"{address} has no workers: start some by dask worker {address} --nthreads 1.") from None
        _check_versions(address, client, module)
        yield Cluster(address, client)


def _client(address: str) -> Client:
    try:
        get_address_host_port(normalize_address(address), strict=True)  # Client leaves threads behind if it has none
        return Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise UserError(f"no scheduler answers at {address} ({error}): start one by dask scheduler.") from None


def _check_versions(address: str, client: Client, module: str) -> None:
    """Raise a UserError unless the scheduler and its workers have this version of scratchnst."""
    name = f"{module}.__version__"
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


def _same(value: Any) -> Any:
    return value
