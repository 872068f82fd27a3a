"""``python -m scratchnst``, and the command ``scratchnst``."""

from __future__ import annotations

import os
import signal
import sys


def main() -> int:
    """Set up the process, run the command line and return its exit status."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as nohup sets it
        signal.signal(signal.SIGINT, lambda number, _: os._exit(128 + number))  # without a word: nothing is there yet
    from scratchnst.messages import complain  # only now: it takes time
    from scratchnst.system import signals, startup, streams

    try:
        streams.prepare()
        startup.prepare()
        lack = startup.lack_of_memory()
        if lack:
            complain(lack)
            return 2
        from scratchnst.cli import main as run  # not before: it imports NumPy

        signals.interrupt()
        return run()
    except KeyboardInterrupt:  # outside of the command line, which handles it
        complain("interrupted before there was anything to save.")
        return signals.status()
    finally:
        signals.ignore()


if __name__ == "__main__":
    if not getattr(sys.flags, "safe_path", False):
        sys.path.append(sys.path.pop(0))  # the current folder, in which anything may lie: `python -m` puts it first
    sys.exit(main())
