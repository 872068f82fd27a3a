"""Signals that end the program: Ctrl-C, and what timeout, a job scheduler or a closed terminal send.

All are a KeyboardInterrupt, so that what saves a picture after Ctrl-C saves it after the others.  Only the program has
them handled; importing the package as a library changes nothing.  Only the standard library is imported here.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

NUMBERS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]

_received = signal.SIGINT


def interrupt() -> None:
    """Let these signals raise a KeyboardInterrupt; those that are ignored, as nohup sets them, stay so."""
    _handle(_interrupt)


def ignore() -> None:
    """Let nothing disturb the end of the process."""
    _handle(signal.SIG_IGN)


def status() -> int:
    """Return the exit status of a program that was interrupted, as shells have it: 130 after Ctrl-C."""
    return 128 + _received


@contextmanager
def uninterrupted(numbers: Sequence[int] = NUMBERS) -> Iterator[None]:
    """Ignore signals within the block and in processes started there; outside the main thread do nothing."""
    with _handled(dict.fromkeys(numbers, signal.SIG_IGN)):
        yield


@contextmanager
def one_interrupt() -> Iterator[Callable[[], None]]:
    """Let one of these signals interrupt within the block, and none after it until the function yielded is called.

    The program has then nothing left to do but to end, which no signal disturbs either.
    """
    is_armed = True

    def arm() -> None:
        nonlocal is_armed
        is_armed = True

    def once(handler: Callable[..., Any]) -> Callable[..., Any]:
        def handle(number, frame):
            nonlocal is_armed
            if is_armed:
                is_armed = False
                handler(number, frame)

        return handle

    handlers = {number: signal.getsignal(number) for number in NUMBERS}
    try:
        with _handled({number: once(handler) for number, handler in handlers.items() if callable(handler)}):
            yield arm
    finally:
        if not is_armed and _interrupt in handlers.values():
            ignore()


def _interrupt(number: int, frame: Any) -> None:
    global _received
    _received = signal.Signals(number)
    raise KeyboardInterrupt


def _handle(handler: Any) -> None:
    for number in NUMBERS:
        if signal.getsignal(number) not in (signal.SIG_IGN, None):  # None: it was not set by Python
            signal.signal(number, handler)


@contextmanager
def _handled(handlers: Mapping[int, Any]) -> Iterator[None]:
    """Set these handlers within the block, in the main thread, the only one that may."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
