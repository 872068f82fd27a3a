"""A batch in parts, some of them computed by other processes.

The operations on crops are short, and threads of one process spend more than they gain in waiting for each other and
for Python's lock.  Processes meet once a step: workers are sent the network as it is and a part of the batch, and send
back what is learnt from it, while this process computes a part itself.  Seconds a step of four crops of 128 pixels, the
least of many, on two cores of an AMD EPYC that other programs used as well ::

    loss network     one thread   two threads   two processes
    distilled        0.34         0.53          0.21
    VGG19            0.77         0.91          0.47

Each part is computed by itself and on one thread in any case, so the results are the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle, islice
from typing import Any, NoReturn

from scratchnst.engine import cpu
from scratchnst.engine.cpu import threads
from scratchnst.errors import UserError
from scratchnst.models.network import Network
from scratchnst.system import signals, startup
from scratchnst.system.child import Parent
from scratchnst.system.process import Ended, Process
from scratchnst.training.batch import Batch, Outcome, gradients
from scratchnst.training.perceptual_loss import PerceptualLoss
from scratchnst.training.style_training import alone


class Processes:
    """Computes the parts of a batch on all cores, a thread each: a `scratchnst.training.style_training.Share`.

    It is a context manager that ends the workers.  They are started for the first batch that the CPU engine computes:
    as many processes, with this one, as there are threads set, but no more than parts.  Each holds the loss network.
    If a worker is lost, as where memory is short, this process goes on alone.

    Parameters
    ----------
    warn : called with a sentence if that happens
    """

    def __init__(self, warn: Callable[[str], None]):
        self.warn = warn
        self.workers: list[Process] = []
        self._loss: PerceptualLoss | None = None  # that the workers have
        self._is_alone = False

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_) -> None:
        self.end()

    def __call__(self, network: Network, loss: PerceptualLoss, parts: list[Batch]) -> list[Outcome]:
        """Return what a network learns from each part of a batch.

        Raises
        ------
        UserError
            If the loss is not finite.
        """
        if network.engine is not cpu:
            return alone(network, loss, parts)
        number = 0 if self._is_alone else min(threads.count(), len(parts)) - 1
        with threads.counted(1):
            try:
                return self._shared(network, loss, parts, number)
            except (Ended, OSError) as error:
                self.end()
                self._is_alone = True
                self.warn(f"a process that shared the training is lost ({error}): it goes on without, more slowly.")
                return alone(network, loss, parts)
            except BaseException:  # what workers still send belongs to no other batch
                self.end()
                raise

    def _shared(self, network, loss, parts, number):
        """The same, with so many workers; None stands for this process."""
        self._start(number)
        if loss is not self._loss:
            for each in self.workers:
                each.send(loss)
            self._loss = loss
        computing: list[Process | None] = list(islice(cycle([None, *self.workers]), len(parts)))
        for worker, part in zip(computing, parts):
            if worker is not None:
                worker.send((network, part))
        own = [gradients(network, loss, part) for worker, part in zip(computing, parts) if worker is None]
        return [own.pop(0) if worker is None else _outcome(worker.receive()) for worker in computing]

    def _start(self, number):
        """Let there be so many workers."""
        if len(self.workers) != number:
            self.end()
        while len(self.workers) < number:
            self.workers.append(Process(__name__, plain=startup.record() is None))

    def end(self) -> None:
        """End the workers; the next batch starts others."""
        while self.workers:
            self.workers[-1].end()
            self.workers.pop()
        self._loss = None


def work(parent: Parent) -> NoReturn:
    """Compute, in a worker: a loss that comes is that of the parts, (network, part), that come after it."""
    signals.ignore()  # the parent, which they are for as well, keeps what was learnt and ends this process
    threads.set_count(1)
    loss: Any = None
    while True:
        request = parent.receive()
        if isinstance(request, PerceptualLoss):
            loss = request
            continue
        network, part = request
        try:
            parent.send(gradients(network, loss, part))
        except Exception as error:
            parent.send(error)


def _outcome(reply):
    """What a worker has found, or its error."""
    if isinstance(reply, UserError):
        raise reply
    if isinstance(reply, Exception):
        raise Ended(f"{type(reply).__name__}: {reply}")
    return reply
