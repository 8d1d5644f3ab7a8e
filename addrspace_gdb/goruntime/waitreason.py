"""What a goroutine is doing and for how long, in the words of Go's own dump (goroutineheader)."""

from __future__ import annotations

import time
from typing import List, NamedTuple, Optional

from addrspace_gdb.common.escape import decoded
from addrspace_gdb.common.problems import ProblemError, Problems, UnreadableError
from addrspace_gdb.goruntime.buildinfo import version_of
from addrspace_gdb.goruntime.proc import GSCAN, LEAKED, SYSCALL, WAITING, Goroutines, status_word
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.target.protocol import ProcFiles, Target

_MAX_REASONS = 256
_MAX_TEXT = 128  # bytes
_SECOND = 1_000_000_000
_TIME_NAMESPACE = "timens_offsets"


def read_wait_reasons(runtime: Runtime) -> List[str]:
    """runtime.waitReasonStrings (src/runtime/runtime2.go), the target's own table if it has symbols.

    The numbers shift with nearly every release: without symbols it is the version's. Empty if unknown.
    """
    symbol = runtime.target.symbol("runtime.waitReasonStrings")
    if symbol is None:
        from addrspace_gdb.goruntime.layouts import layouts_of

        layouts = layouts_of(version_of(runtime.target) or "", runtime.target.arch)[0]
        return list(layouts.wait_reasons) if layouts is not None else []
    word = runtime.word
    size = symbol.size or (symbol.type.size if symbol.type else 0)
    headers = runtime.words(symbol.address, min(size // word, 2 * _MAX_REASONS), "runtime.waitReasonStrings")
    return [_text(runtime, headers[at], headers[at + 1]) for at in range(0, len(headers) - 1, 2)]


def wait_reasons(target: Target) -> List[str]:
    """The same of a target of which nothing else is wanted."""
    return read_wait_reasons(Runtime(target, Problems()))


def _text(runtime: Runtime, address: int, size: int) -> str:
    if not 0 < size <= _MAX_TEXT:
        return ""
    try:
        return decoded(runtime.target.read(address, size))
    except UnreadableError:
        return ""


def wait_reason(reasons: List[str], status: int, number: int) -> Optional[str]:
    """The reason a waiting (since Go 1.26 also a leaked) goroutine has; None if it has none.

    0 is waitReasonZero: nothing was said. "unknown wait reason" is what Go says for a number it lacks.
    """
    if status & ~GSCAN not in (WAITING, LEAKED) or number == 0:
        return None
    text = reasons[number] if number < len(reasons) else ""
    return text or (f"wait reason {number}" if not reasons else "unknown wait reason")


def state_text(reasons: List[str], status: int, number: int, durable: bool = False) -> str:
    """What stands first between the brackets of Go's dump: `chan receive`, `running`, `select (scan)`.

    durable: it waits within its synctest bubble, which some of the reasons say already.
    """
    text = wait_reason(reasons, status, number) or status_word(status)
    if status & ~GSCAN == LEAKED:
        text += " (leaked)"
    text += " (scan)" if status & GSCAN else ""
    return text + (" (durable)" if durable and not text.endswith("(durable)") else "")


class Clock(NamedTuple):
    """runtime.nanotime (CLOCK_MONOTONIC) when the target stopped; `exact` False: it was that or later."""

    now: Optional[int]
    exact: bool

    def waited(self, since: int, status: int) -> Optional[int]:
        """Nanoseconds since g.waitsince. None where that says nothing: the collector, which alone sets it
        (src/runtime/mgcmark.go), has not run since the goroutine began to wait, or it waits no more: it
        keeps the time until it runs again."""
        if since <= 0 or self.now is None or status & ~GSCAN not in (WAITING, LEAKED, SYSCALL):
            return None
        return max(0, self.now - since)


def read_clock(runtime: Runtime, goroutines: Goroutines) -> Clock:
    """This machine's clock for a live process; the latest time the runtime took down anywhere else."""
    target = runtime.target
    proc = target.proc_files()
    if target.kind == "live" and proc is not None and proc.local:
        shift = _namespace_shift(proc)
        if shift is not None:
            return Clock(time.clock_gettime_ns(time.CLOCK_MONOTONIC) + shift, True)
    known = [*_stamps(runtime), max(goroutines.column("waitsince"), default=0)]
    latest = max(known)
    return Clock(latest if latest > 0 else None, False)


def _namespace_shift(proc: ProcFiles) -> Optional[int]:
    """How much the target's CLOCK_MONOTONIC is ahead of ours: time_namespaces(7). 0 on old kernels."""
    try:
        theirs = _offset(proc.read(_TIME_NAMESPACE))
    except OSError:
        return 0
    try:
        with open(f"/proc/self/{_TIME_NAMESPACE}", "rb") as file:
            return theirs - _offset(file.read())
    except (OSError, ValueError):
        return None


def _offset(text: bytes) -> int:
    for line in text.splitlines():
        fields = line.split()
        if len(fields) == 3 and fields[0] in (b"monotonic", b"1"):
            return int(fields[1]) * _SECOND + int(fields[2])
    return 0


def _stamps(runtime: Runtime) -> List[int]:
    """Times of nanotime that the scheduler and the collector keep."""
    found = [0]
    for variable, fields in (
        ("runtime.sched", ("lastpoll", "procresizetime")),
        ("runtime.memstats", ("last_gc_nanotime",)),
    ):
        try:
            record = runtime.variable(variable)
            found += [record.number(field) for field in fields if record.has(field)]
        except (UnreadableError, ProblemError):
            continue
    return [stamp for stamp in found if 0 <= stamp < 1 << 62]
