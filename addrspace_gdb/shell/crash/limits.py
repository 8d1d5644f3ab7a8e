"""How long the reports may take, and how much memory."""

from __future__ import annotations

import faulthandler
import os
import resource
import signal

GRACE = 2  # seconds after which a process is ended hard if its own clock failed to
_OWN = 0.9  # the part of the time that reports have before they are ended gently
_MOST_MEMORY = 1 << 30  # bytes
_AGAIN = 0.2  # seconds
_STDIN = 0


class TimeUpError(BaseException):
    """The time is up: what is done is kept."""


def bound(seconds: float) -> None:
    """At most so much time and memory; the parent's standard input is not held open."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, _STDIN)
    # Hard, also while no Python runs, and if nobody is there to end this process.
    faulthandler.dump_traceback_later(max(0.1, seconds + GRACE), exit=True, file=nowhere)
    signal.alarm(0)
    signal.signal(signal.SIGALRM, _time_is_up)
    signal.setitimer(signal.ITIMER_REAL, max(0.01, _OWN * seconds), _AGAIN)  # should it be swallowed
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    most = _MOST_MEMORY if hard == resource.RLIM_INFINITY else min(hard, _MOST_MEMORY)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


def _time_is_up(_number: int, _frame: object) -> None:
    raise TimeUpError
