"""Every thread of a process, stopped; and let go as it was."""

from __future__ import annotations

import errno
import os
import time
from typing import Callable, Dict, List, NamedTuple, Optional, Set

from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.debugger.direct.ptrace import NT_386_TLS, NT_ARM_TLS, NT_PRSTATUS, Ptrace

_FIRST_NAP, _LONGEST_NAP = 0.00005, 0.005  # seconds between two looks at what has not stopped
_OWN_SET = {"386": NT_386_TLS, "arm64": NT_ARM_TLS}  # where the thread pointer is in a set of its own


class Held(NamedTuple):
    """A stopped thread."""

    tid: int
    general: bytes  # registers as the kernel has them (process.registers); empty: they cannot be read
    tls: bytes  # the set with the thread pointer, where that is another


class Refused(Exception):
    """The kernel does not let us hold the process: `error` says why."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


class Seized:
    """The threads of process `pid` stand still from `hold` to `release`.

    Should this process end in between, however that may be, the kernel lets them go.
    """

    def __init__(self, pid: int, patience: float, late: Callable[[], str]) -> None:
        """`late` words why the process has not stopped within `patience` seconds."""
        self.pid, self._patience, self._late = pid, patience, late
        self._ptrace = Ptrace()
        self._owed: Dict[int, int] = {}  # of each stopped thread, the signal that it is to get
        self._moving: Set[int] = set()  # seized, and has not stopped yet

    def hold(self) -> None:
        """Stop every thread, those too that are born meanwhile. Refused, or ProblemError if the process is
        gone or does not stop in time: then nothing is held any more once this process ends."""
        deadline = time.monotonic() + self._patience
        try:
            while self._seize_new():
                self._wait(deadline)
        except BaseException:
            self.release()
            raise
        if not self._owed:
            raise ProblemError(f"process {self.pid} has exited")

    def _seize_new(self) -> bool:
        """Seize the threads that are not yet; whether there were any."""
        new = [tid for tid in self._tids() if tid not in self._owed]
        for tid in new:
            try:
                self._ptrace.seize(tid)
                self._moving.add(tid)
                self._ptrace.interrupt(tid)
            except OSError as error:
                if error.errno != errno.ESRCH and not self._is_dead(tid):
                    raise Refused(error) from None
        return bool(self._moving)

    def _tids(self) -> List[int]:
        try:
            return [int(name) for name in os.listdir(f"/proc/{self.pid}/task")]
        except OSError:
            return []

    def _is_dead(self, tid: int) -> bool:
        """Whether a thread has ended; a leader stays listed until the last of its threads has."""
        try:
            with open(f"/proc/{self.pid}/task/{tid}/stat", "rb") as file:
                return file.read().rpartition(b") ")[2][:1] in (b"Z", b"X")
        except OSError:
            return True

    def _wait(self, deadline: float) -> None:
        """Until every thread that was seized has stopped, or is gone."""
        nap = _FIRST_NAP
        while self._moving:
            for tid in list(self._moving):
                self._look(tid)
            if not self._moving:
                return
            if time.monotonic() >= deadline:
                raise ProblemError(self._late())
            time.sleep(nap)
            nap = min(2 * nap, _LONGEST_NAP)

    def _look(self, tid: int) -> None:
        waited = self._ptrace.waited(tid)
        if waited is None:
            return
        self._moving.discard(tid)
        if waited.stopped:
            self._owed[tid] = waited.signal

    def threads(self, arch: str) -> List[Held]:
        """The stopped threads, the leader first, as /proc lists them."""
        return [self._held(tid, arch) for tid in sorted(self._owed, key=lambda tid: (tid != self.pid, tid))]

    def _held(self, tid: int, arch: str) -> Held:
        own = _OWN_SET.get(arch)
        return Held(tid, self._set(tid, NT_PRSTATUS), self._set(tid, own) if own is not None else b"")

    def _set(self, tid: int, kind: int) -> bytes:
        try:
            return self._ptrace.registers(tid, kind)
        except OSError:
            return b""

    def siginfo(self, tid: int) -> Optional[bytes]:
        """siginfo_t of the signal that a stopped thread is about to get, None if there is none."""
        return self._ptrace.siginfo(tid) if self._owed.get(tid) else None

    def release(self) -> None:
        """Let every thread go, each with the signal that it is owed. What has not stopped cannot be let go
        so: it stops for a moment when it gets there, and goes on when this process ends."""
        for tid in [*self._moving]:
            self._look(tid)
        while self._owed:
            tid, signal = self._owed.popitem()
            try:
                self._ptrace.detach(tid, signal)
            except OSError:
                pass  # it was killed meanwhile
