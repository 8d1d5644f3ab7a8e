"""Processes that stand still, or should not: what /proc says of their threads."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Dict, List, Tuple

from harness.processes import Process


def _fields(status: Path) -> Dict[str, str]:
    lines = status.read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":\t") for line in lines)}


def state(pid: int) -> Tuple[str, str]:
    """The state of a process, a letter, and who traces it ("0": nobody)."""
    fields = _fields(Path(f"/proc/{pid}/status"))
    return fields["State"][:1], fields["TracerPid"]


def until(pid: int, wanted: str) -> None:
    """Wait for a process to be in a state."""
    deadline = time.monotonic() + 90
    while state(pid)[0] != wanted:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def until_it_catches_signals(pid: int) -> None:
    """Until a command of ours catches SIGHUP: from then on signals are this project's, not Python's. Or has
    ended: where SIGHUP is ignored (nohup) it stays so."""
    while True:
        try:
            fields = _fields(Path(f"/proc/{pid}/status"))
        except OSError:
            return
        if fields["State"][:1] == "Z" or int(fields["SigCgt"], 16) & 1 << (signal.SIGHUP - 1):
            return
        time.sleep(0.002)


def stop(process: Process) -> Process:
    """Stop a process by a signal, so that several can look at the same."""
    os.kill(process.pid, signal.SIGSTOP)
    until(process.pid, "T")
    return process


def stopped_or_traced(pid: int) -> List[str]:
    """Every thread of a process that is not as where nobody looks at it."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            fields = _fields(task / "status")
        except OSError:
            continue
        if fields["State"][:1] in "tT" or fields["TracerPid"] != "0":
            found.append(f"{task.name} {fields['State']} {fields['TracerPid']}")
    return found
