"""What whoever uses lldb on a live process should know, told once for each process."""

from __future__ import annotations

from typing import Any, List, Set

from addrspace_gdb.debugger.lldb.api import is_stopped

_ATTACHED = "lldb keeps a breakpoint instruction in this process until `detach`: do not kill lldb before that"
_SIGURG = "Go's SIGURG stops it under lldb; `process handle SIGURG -s false -p true -n false` lets it pass"
_PREEMPTS = "SIGURG"  # what the runtime sends its own threads, many times a second


class Notices:
    """Which processes have been spoken of."""

    def __init__(self) -> None:
        self._told: Set[int] = set()

    def of(self, process: Any) -> List[str]:
        """Lines about a live process that stands still, the first time only."""
        if not is_stopped(process) or "core" in str(process.GetPluginName()):
            return []
        number = int(process.GetUniqueID())
        if number in self._told:
            return []
        self._told.add(number)
        return [_ATTACHED, *([_SIGURG] if _stops(process) else [])]


def _stops(process: Any) -> bool:
    signals = process.GetUnixSignals()
    number = signals.GetSignalNumberFromName(_PREEMPTS)
    return bool(signals.IsValid() and signals.GetShouldStop(number))
