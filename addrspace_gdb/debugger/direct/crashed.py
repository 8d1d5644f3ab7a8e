"""A process that is dying, as a target: its memory is there until the kernel has handed on its core.

Its threads stand still, dead but for that (coredump_task_exit in kernel/exit.c): nobody has to hold them.
Their registers and the signal are in the notes of the core.
"""

from __future__ import annotations

from typing import Dict, List, Optional

from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.debugger.direct.base import Stopped
from addrspace_gdb.debugger.direct.of_process import ProcessTarget
from addrspace_gdb.goruntime.threadids import inner_ids
from addrspace_gdb.process.corenotes import CoreNotes
from addrspace_gdb.target.hints import Hints
from addrspace_gdb.target.protocol import StopSignal


class CrashedTarget(ProcessTarget):
    """Process `pid`, as the notes of its core have its threads: the first is the one that died."""

    def __init__(self, pid: int, notes: CoreNotes, hints: Hints) -> None:
        """ProblemError if it is gone, or is not the one that the notes are of."""
        super().__init__(pid, None, hints)
        self._notes = notes
        running = super().auxv()
        if notes.auxv and running and notes.auxv != running:
            raise ProblemError(f"process {pid} is not the one whose core this is")

    def _read_threads(self) -> List[Stopped]:
        outer = self._outer_ids()
        return [self._of_notes(t._replace(tid=outer.get(t.tid, t.tid))) for t in self._notes.threads]

    def _outer_ids(self) -> Dict[int, int]:
        """The numbers that /proc has of threads by those of the notes, which are the process's own."""
        return {} if self._notes.pid == self.pid else inner_ids(self.pid)

    def signal(self) -> Optional[StopSignal]:
        """The signal that it died of."""
        return StopSignal(*self._notes.signal) if self._notes.signal is not None else None

    def auxv(self) -> Dict[int, int]:
        """The auxiliary vector."""
        return self._notes.auxv or super().auxv()
