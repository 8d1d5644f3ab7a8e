"""A running process of this machine as a target, which ptrace(2) holds."""

from __future__ import annotations

import struct
import sys
from typing import Callable, List, Optional

from addrspace_gdb.debugger.direct.base import Stopped
from addrspace_gdb.debugger.direct.of_process import ProcessTarget
from addrspace_gdb.debugger.direct.seize import Held, Seized
from addrspace_gdb.process.corenotes import siginfo
from addrspace_gdb.process.kept_memory import KeptMemory
from addrspace_gdb.process.process_memory import ProcessMemory
from addrspace_gdb.target.hints import Hints
from addrspace_gdb.target.protocol import StopSignal

_SIGSTOP = 19


class LiveTarget(ProcessTarget):
    """Process `pid`, which stands still from `hold` to `release`; what does not change is read before."""

    def __init__(self, pid: int, program: Optional[str], hints: Hints) -> None:
        """As ProcessTarget has it. ProblemError."""
        super().__init__(pid, program, hints)
        self._seized: Optional[Seized] = None

    def hold(self, patience: float, late: Callable[[], str]) -> None:
        """Stop every thread (Seized.hold)."""
        seized = Seized(self.pid, patience, late)
        seized.hold()
        self._seized, self._threads = seized, None
        # From now on what is read is kept; and which pages are the process's own may have changed.
        self._process = ProcessMemory(self.pid, self._memory, keep=True)
        self._stopped = self._read_threads()

    def release(self) -> None:
        """Let it go on: from now on there is what was read of it, and its files."""
        if self._seized is None:
            return
        try:
            self._process.let_go()
        finally:
            self._seized.release()
            self._seized = None

    @property
    def kept(self) -> Optional[KeptMemory]:
        """What is kept of it; None before it stands still."""
        return self._process.kept

    def _read_threads(self) -> List[Stopped]:
        if self._seized is None:
            return []
        return [self._stopped_thread(held) for held in self._seized.threads(self.arch)]

    def _stopped_thread(self, held: Held) -> Stopped:
        tls = struct.unpack_from("=Q", held.tls)[0] if self.arch == "arm64" and len(held.tls) >= 8 else None
        return Stopped(held.tid, held.general, tls, self.set, self.byte_order)

    def signal(self) -> Optional[StopSignal]:
        """The signal that the first thread is about to get; a stop of ours counts as one by SIGSTOP."""
        self._process.check_held("a signal")
        info = self._seized.siginfo(self.pid) if self._seized is not None else None
        if info is None:
            return StopSignal(_SIGSTOP, 0, None)
        # The kernel writes it for whoever asks, whatever the process itself is.
        return StopSignal(*siginfo(info, struct.calcsize("P"), sys.byteorder, self.arch.startswith("mips")))
