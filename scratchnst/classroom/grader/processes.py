"""What the grader asks of the system, so that a learner's code and all that it starts end with it: Linux has it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal

END_WITH_PARENT, ADOPT_ORPHANS = 1, 36  # PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER of prctl


def adopt_orphans(adopts: bool = True) -> None:
    """Become the parent of descendants whose own parent has ended, even if they have left its session."""
    _prctl(ADOPT_ORPHANS, int(adopts))


def go_on_in_a_child() -> None:
    """Go on in a child with a session of its own, where the system can; this process ends as the child does.

    So the parent that code in the child may end is not the grader.  The child ends with its parent.
    """
    if not hasattr(os, "fork"):
        return
    child = os.fork()
    if not child:
        os.setsid()
        _prctl(END_WITH_PARENT, signal.SIGKILL)
        return
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code < 0:
        with contextlib.suppress(OSError, ValueError):  # SIGKILL cannot be set
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def _prctl(option: int, value: int) -> None:
    with contextlib.suppress(AttributeError, OSError, TypeError):  # systems without prctl
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
