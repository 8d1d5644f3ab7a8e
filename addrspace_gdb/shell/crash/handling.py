"""What the kernel starts when a program dies, and waits for: read, keep, hand on, and be gone in time.

The reports are made by a child: whatever becomes of that, this process ends in time, and the core is handed
on. When it ends its standard input is closed, and the kernel goes on to end the process (do_coredump in
fs/coredump.c).
"""

from __future__ import annotations

import argparse
import math
import os
import select
import signal
import time
from typing import NoReturn, Optional

from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.process.core_head import ComingCore, CoreHead
from addrspace_gdb.shell.crash import journal
from addrspace_gdb.shell.crash.forwarding import forward
from addrspace_gdb.shell.crash.installing import earlier
from addrspace_gdb.shell.crash.limits import GRACE, bound, end_with_parent, leave_stdin
from addrspace_gdb.shell.crash.place import place
from addrspace_gdb.shell.crash.told import Told, expanded, signal_name, told

_STDIN = 0
_NAP = 0.005  # seconds


def handle(options: argparse.Namespace) -> int:
    """Keep the crash of the process that `options` name; 0 or 1."""
    started = time.monotonic()
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # hard, whatever this process is doing
    signal.alarm(math.ceil(options.time) + GRACE)
    what = told(options.words)
    core = ComingCore(_Input(started + options.time).read)
    problem: Optional[str] = None
    try:
        head = core.head()
    except ProblemError as error:
        problem = f"process {what.pid} died of {signal_name(what.signal)} and is not kept: {error}"
    else:
        problem = _report(what, head, options, started)
    if options.forward:
        _hand_on(what, core, options)
    if problem:
        journal.failed(problem)
    return 0 if problem is None else 1


class _Input:
    """Standard input, for so long."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._poll = select.poll()
        self._poll.register(_STDIN, select.POLLIN)

    def read(self, size: int) -> bytes:
        """At most so many bytes, none at the end. ProblemError if none come in time."""
        left = self._deadline - time.monotonic()
        if left <= 0 or not self._poll.poll(1000 * left):
            raise ProblemError("its core does not come")
        try:
            return os.read(_STDIN, size)
        except OSError as error:
            raise ProblemError(f"its core cannot be read: {error.strerror}") from None


def _hand_on(what: Told, core: ComingCore, options: argparse.Namespace) -> None:
    """To the handler that was there before."""
    try:
        command = expanded(earlier(place(options.folder)), what.values)
    except ProblemError as error:
        journal.failed(str(error))
        return
    problem = forward(command, core.data, options.time)
    if problem:
        journal.failed(problem)


def _report(what: Told, head: CoreHead, options: argparse.Namespace, started: float) -> Optional[str]:
    """Have the reports made; a line if they were not, "" if the child has said it."""
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        _in_child(what, head, options, started, parent)
    status = _ended(child, started + options.time)
    if status is None:
        os.kill(child, signal.SIGKILL)
        _ended(child, time.monotonic() + 1)
        return f"the reports on process {what.pid} took longer than {options.time:g} s and were ended"
    if status in (0, 1):
        return "" if status else None
    return f"the reports on process {what.pid} ended with status {status}"


def _ended(child: int, deadline: float) -> Optional[int]:
    """The exit status of a child, -n after signal n, once it has ended; None if it has not in time."""
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
        if time.monotonic() >= deadline:
            return None
        time.sleep(_NAP)


def _in_child(
    what: Told, head: CoreHead, options: argparse.Namespace, started: float, parent: int
) -> NoReturn:
    status = 2
    try:
        leave_stdin()
        end_with_parent(parent)
        bound(options.time - (time.monotonic() - started))
        from addrspace_gdb.shell.crash.keeping import keep

        status = 0 if keep(what, head, options, started) else 1
    finally:
        os._exit(status)
