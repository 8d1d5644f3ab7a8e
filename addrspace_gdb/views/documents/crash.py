"""The JSON of a crash that was kept: `crash/1`, what it was, and `crash-threads/1`, its threads."""

from __future__ import annotations

import time
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence

from addrspace_gdb.common.escape import printable
from addrspace_gdb.space.regions.model import TargetInfo
from addrspace_gdb.views.documents.form import target_json

SCHEMA = "crash/1"
THREADS = "crash-threads/1"


class KeptThread(NamedTuple):
    """A thread by its note in the core."""

    tid: int  # as the process's own namespace has it
    signal: int  # 0: none
    registers: Dict[str, int]


class About(NamedTuple):
    """Who died, of what, when and where."""

    target: Optional[TargetInfo]  # None: it was gone
    command: str
    build_id: Optional[str]
    go_build_id: Optional[str]
    pid: int
    tid: int
    signal_number: Optional[int]
    signal_name: str
    signal_code: Optional[int]
    signal_address: Optional[int]
    time: float  # seconds since the epoch
    host: str
    threads: List[KeptThread]  # the one that died first


class Done(NamedTuple):
    """A report."""

    report: str
    files: List[str]
    size: int  # bytes
    seconds: float
    problem: Optional[str]  # why there is not all of it


def crash_json(
    about: About,
    complete: bool,
    seconds: float,
    done: Sequence[Done],
    missing: Sequence[str],
    problems: Sequence[str],
) -> Dict[str, Any]:
    """crash/1."""
    return {
        "schema": SCHEMA,
        "target": target_json(about.target) if about.target is not None else None,
        "command": about.command,
        "build_id": about.build_id,
        "go_build_id": about.go_build_id,
        "pid": about.pid,
        "tid": about.tid,
        "signal": {
            "number": about.signal_number,
            "name": about.signal_name,
            "code": about.signal_code,
            "address": hex(about.signal_address) if about.signal_address is not None else None,
        },
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(about.time)),
        "host": about.host,
        "threads": len(about.threads),
        "complete": complete,
        "seconds": round(seconds, 3),
        "reports": [_done(one) for one in done],
        "missing": list(missing),
        "problems": list(problems),
    }


def _done(one: Done) -> Dict[str, Any]:
    return {
        "report": one.report,
        "files": one.files,
        "size": one.size,
        "seconds": round(one.seconds, 3),
        "problem": one.problem,
    }


def threads_json(threads: Sequence[KeptThread]) -> Dict[str, Any]:
    """crash-threads/1."""
    return {"schema": THREADS, "threads": [_thread(thread) for thread in threads]}


def _thread(thread: KeptThread) -> Dict[str, Any]:
    registers = {name: hex(value) for name, value in thread.registers.items()}
    return {"tid": thread.tid, "signal": thread.signal, "registers": registers}


def thread_pieces(threads: Sequence[KeptThread]) -> Iterator[str]:
    """The same for a person."""
    for thread in threads:
        yield f"thread {thread.tid}\n"
        for name, value in thread.registers.items():
            yield f"  {printable(name):<10} {value:#x}\n"
