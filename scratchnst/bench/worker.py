"""The process of one contender: it answers requests, see `scratchnst.bench.service`, until its parent is gone."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import NoReturn

from scratchnst.bench.service import Service
from scratchnst.system.child import Parent


def work(parent: Parent, libraries: Sequence[str]) -> NoReturn:
    """Answer the requests that come, (name, arguments), each by a dict.

    Parameters
    ----------
    parent : where they come from
    libraries : modules to import at once, while other workers start
    """
    for name in libraries:
        with suppress(ImportError):  # the contender reports it
            import_module(name)
    service = Service()
    while True:
        do, arguments = parent.receive()
        parent.send(service.answer(do, **arguments))
