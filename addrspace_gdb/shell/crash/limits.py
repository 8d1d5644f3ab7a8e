"""How long the reports may take, and how much memory."""

from __future__ import annotations

import os
import resource
import signal

GRACE = 2  # seconds after which a process is ended hard if its own clock failed to
_OWN = 0.9  # the part of the time that reports have before they are ended gently
_MOST_MEMORY = 1 << 30  # bytes
_AGAIN = 0.2  # seconds
_STDIN = 0
_PR_SET_PDEATHSIG = 1  # prctl(2)


class TimeUpError(BaseException):
    """The time is up: what is done is kept."""


def end_with_parent(parent: int) -> None:
    """Have the kernel end this process when `parent`, which made it, ends, in whatever way."""
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def bound(seconds: float) -> None:
    """From now on at most so much time, and so much memory."""
    signal.alarm(0)
    signal.signal(signal.SIGALRM, _time_is_up)
    signal.setitimer(signal.ITIMER_REAL, max(0.01, _OWN * seconds), _AGAIN)  # should it be swallowed
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    most = _MOST_MEMORY if hard == resource.RLIM_INFINITY else min(hard, _MOST_MEMORY)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


def unbind() -> None:
    """Whoever made this process still ends it in time."""
    signal.setitimer(signal.ITIMER_REAL, 0)


def leave_stdin() -> None:
    """Hold our standard input open no longer: the kernel waits for whoever does."""
    nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    os.dup2(nowhere, _STDIN)


def _time_is_up(_number: int, _frame: object) -> None:
    raise TimeUpError
