"""Hands a core on, as it comes and as it was, to the handler that was there before."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from typing import List, Optional

from addrspace_gdb.common.escape import printable

_STDIN = 0
_CHUNK = 1 << 18  # bytes
_GRACE = 5  # seconds after which this process is ended hard if its own clock failed to


def forward(command: List[str], head: memoryview, patience: float) -> Optional[str]:
    """Run `command` with `head`, and then the rest of our standard input, as its own; why that failed.

    For `patience` seconds at most nothing may move, and as long the handler may go on when it has all: then
    it is left to itself.
    """
    name = printable(command[0])
    try:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, close_fds=False, cwd="/")
    except OSError as error:
        return f"the core cannot be handed on to {name}: {error.strerror}"
    assert process.stdin is not None
    with process.stdin as pipe:
        try:
            whole = _Pump(pipe.fileno(), patience).run(head)
        except OSError:  # EPIPE: it has had enough
            whole = True
    signal.alarm(int(patience) + _GRACE)
    try:
        status = process.wait(patience)
    except subprocess.TimeoutExpired:
        return f"{name} has not ended {patience:g} s after it had the whole core, and is left to itself"
    if not whole:
        return f"the core was not handed on to {name} in full: nothing moved for {patience:g} s"
    return f"{name}, which the core was handed on to, ended with status {status}" if status else None


class _Pump:
    """Moves bytes into a pipe, and gives up when nothing moves."""

    def __init__(self, into: int, patience: float) -> None:
        self._into, self._patience = into, patience
        os.set_blocking(into, False)

    def run(self, head: memoryview) -> bool:
        """Whether everything was moved. OSError if nobody takes it any more."""
        if not self._put(head):
            return False
        while self._ready(_STDIN, select.POLLIN):
            data = os.read(_STDIN, _CHUNK)
            if not data:
                return True
            if not self._put(memoryview(data)):
                return False
        return False

    def _put(self, data: memoryview) -> bool:
        while data:
            if not self._ready(self._into, select.POLLOUT):
                return False
            try:
                data = data[os.write(self._into, data[:_CHUNK]) :]
            except BlockingIOError:
                time.sleep(0.001)  # there is room, but less than goes in at once
        return True

    def _ready(self, descriptor: int, event: int) -> bool:
        signal.alarm(int(self._patience) + _GRACE)
        poll = select.poll()
        poll.register(descriptor, event)
        return bool(poll.poll(1000 * self._patience))
