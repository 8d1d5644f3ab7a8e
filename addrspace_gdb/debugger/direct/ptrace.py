"""ptrace(2) through ctypes: the five requests that it takes to look at a process.

Nothing here sends a signal. A thread that is seized and interrupted stops by itself, and goes on by itself
when its tracer ends, however that ends (kernel/ptrace.c, exit_ptrace). Requests of linux/ptrace.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
from typing import NamedTuple, Optional

_DETACH = 17
_GETSIGINFO, _GETREGSET, _SEIZE, _INTERRUPT = 0x4202, 0x4204, 0x4206, 0x4207
_WALL = 0x40000000  # threads too, linux/wait.h
_REPORTS = os.WEXITED | os.WSTOPPED | _WALL
_SIGINFO_SIZE = 128  # SI_MAX_SIZE
_MAX_SET = 4096  # bytes of a register set that we ask for

NT_PRSTATUS, NT_386_TLS, NT_ARM_TLS = 1, 0x200, 0x401


class _IoVec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class Waited(NamedTuple):
    """What a thread has reported."""

    stopped: bool  # False: it is gone
    signal: int = 0  # that it was about to be given when it stopped, and is owed; 0: none


class Ptrace:
    """The calls, by the thread that made the object: the kernel knows a tracer by its thread."""

    def __init__(self) -> None:
        self._call = ctypes.CDLL(None, use_errno=True).ptrace
        self._call.restype = ctypes.c_long
        self._call.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
        self._buffer = ctypes.create_string_buffer(_MAX_SET)
        self._vector = _IoVec(ctypes.addressof(self._buffer), _MAX_SET)

    def _do(self, request: int, tid: int, address: int = 0, data: int = 0) -> None:
        """OSError if the kernel refuses."""
        if self._call(request, tid, address, data) == -1:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def seize(self, tid: int) -> None:
        """Become the tracer of a thread, which runs on."""
        self._do(_SEIZE, tid)

    def interrupt(self, tid: int) -> None:
        """Have a seized thread stop as soon as it can."""
        self._do(_INTERRUPT, tid)

    def detach(self, tid: int, signal: int) -> None:
        """Let a stopped thread go, with the signal that it is owed."""
        self._do(_DETACH, tid, 0, signal)

    def waited(self, tid: int) -> Optional[Waited]:
        """What a seized thread has reported; None: nothing yet.

        A stop is looked at and left unclaimed. Claiming it takes the signal from the thread, which would be
        lost if this process were killed before it gave it back (kernel/exit.c, wait_task_stopped).
        """
        try:
            found = os.waitid(os.P_PID, tid, _REPORTS | os.WNOHANG | os.WNOWAIT)
            if found is None:
                return None
            if found.si_code not in (os.CLD_TRAPPED, os.CLD_STOPPED):
                os.waitpid(tid, os.WNOHANG | _WALL)
                return Waited(False)
        except ChildProcessError:
            return Waited(False)
        # With an event the signal is that of the event: SIGTRAP, or what a stopped process was stopped by.
        return Waited(True, 0 if found.si_status >> 8 else found.si_status)

    def registers(self, tid: int, kind: int = NT_PRSTATUS) -> bytes:
        """A register set of a stopped thread, as the kernel has it. OSError if it has none of that kind."""
        self._vector.length = _MAX_SET
        self._do(_GETREGSET, tid, kind, ctypes.addressof(self._vector))
        return self._buffer.raw[: self._vector.length]

    def siginfo(self, tid: int) -> Optional[bytes]:
        """siginfo_t of a stopped thread, None if it stopped for no signal."""
        try:
            self._do(_GETSIGINFO, tid, 0, ctypes.addressof(self._buffer))
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ESRCH):
                return None
            raise
        return self._buffer.raw[:_SIGINFO_SIZE]
