"""Goroutines that are blocked on something that only the program itself can do, and what they wait for.

These are the rules of Go's goroutineleak profile (isMaybeRunnable and setSyncObjectsUntraceable in
src/runtime/mgc.go, internalBlocked in mgcmark.go; Go 1.26 with GOEXPERIMENT, 1.27), for every release: a
goroutine that waits for a file, a timer or the collector is not blocked in this sense.

It waits in sudogs, one for each case of a select. They name the channel, or the semaphore in a Mutex and the
like. Up to Go 1.25 the sudog of a sync.Cond does not say which one that is; but then only the sync.Cond leads
to the sudog, which stands for it here.
"""

from __future__ import annotations

from array import array
from itertools import compress
from typing import Iterable, Iterator, List, NamedTuple, Sequence, Set

from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.goruntime.columns import read_columns
from addrspace_gdb.goruntime.mspan import Spans
from addrspace_gdb.goruntime.proc import GSCAN, LEAKED, WAITING, Goroutines
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.sema import waiting_sudogs
from addrspace_gdb.goruntime.waitreason import read_wait_reasons

_NOTHING = ("select (no cases)", "chan receive (nil chan)", "chan send (nil chan)")
_CHANNELS = ("select", "chan receive", "chan send")
_WAIT_GROUP = "sync.WaitGroup.Wait"
_SYNC = ("sync.Cond.Wait", "sync.Mutex.Lock", "sync.RWMutex.RLock", "sync.RWMutex.Lock", _WAIT_GROUP)
_SEMAPHORE = "semacquire"  # what a WaitGroup says up to Go 1.24, and a Mutex up to 1.19
_MAX_SUDOGS = 1 << 26


class Waits(NamedTuple):
    """Columns: who is blocked, what each of those waits for, and which pointers lead there."""

    blocked: array[int]  # goroutines, by position; those that wait for nothing at all are no `waiters`
    waiters: array[int]  # again
    awaited: array[int]  # the address that each of those waits for
    sudogs: array[int]  # that have a pointer
    hidden: array[int]  # to this


def read_waits(runtime: Runtime, goroutines: Goroutines, spans: Spans) -> Waits:
    """Read the sudogs. UnreadableError, KeyError and ProblemError where the runtime lacks what that takes."""
    reasons = read_wait_reasons(runtime)
    if not reasons:
        raise ProblemError("what this release's goroutines wait for is not known")
    sync = _SYNC if _WAIT_GROUP in reasons else (*_SYNC, _SEMAPHORE)
    found = Waits(*(array("q") for _ in Waits._fields))
    found.blocked.extend(_of_reasons(goroutines, reasons, _NOTHING))
    for names, field in ((_CHANNELS, "c"), (sync, "elem")):
        positions = _of_reasons(goroutines, reasons, names)
        firsts = [*filter(None, map(goroutines.columns["waiting"].__getitem__, positions))]
        if field == "c":
            sudogs: Iterable[int] = _cases(runtime, firsts)
        else:
            sudogs = {*firsts, *waiting_sudogs(runtime, goroutines.columns, spans)}
        _put(found, goroutines, positions, _read(runtime, sudogs, field))
    return found


def _of_reasons(goroutines: Goroutines, reasons: Sequence[str], names: Sequence[str]) -> List[int]:
    """The positions of those that wait for one of these reasons."""
    columns = goroutines.columns
    wanted = {number for number, text in enumerate(reasons) if text in names}
    statuses = {one for one in set(columns["status"]) if one & ~GSCAN in (WAITING, LEAKED)}
    wait = compress(range(len(goroutines)), map(wanted.__contains__, columns["waitreason"]))
    return [at for at in wait if columns["status"][at] in statuses]


def _cases(runtime: Runtime, firsts: Sequence[int]) -> Set[int]:
    """The sudogs of channels: of a select one for each case, from the first on."""
    layout, known = runtime.layout("runtime.sudog"), set(firsts)
    at = sorted(known)
    while at:
        found = read_columns(runtime, at, layout, {"next": "waitlink"}, "sudogs")
        at = sorted({*found["next"]} - known - {0})
        known.update(at)
        if len(known) > _MAX_SUDOGS:
            raise ProblemError(f"goroutines wait in more than {_MAX_SUDOGS:,} sudogs")
    return known


def _read(runtime: Runtime, sudogs: Iterable[int], field: str) -> Iterator[Sequence[int]]:
    """Each sudog, its g, and what `field` of it points to: since Go 1.26 in a struct, whose `vp` is 0 while
    the collector is not to follow it (maybeTraceablePtr)."""
    layout = runtime.layout("runtime.sudog")
    inner = f"{field}.maybeTraceablePtr.vu" if field == "c" else f"{field}.vu"
    fields = {"g": layout.scalar("g"), "to": layout.scalar(inner, field)}
    found = read_columns(runtime, sorted(sudogs), layout, fields, "sudogs")
    return zip(found["address"], found["g"], found["to"])


def _put(
    found: Waits, goroutines: Goroutines, positions: Sequence[int], sudogs: Iterator[Sequence[int]]
) -> None:
    """Add those of the goroutines that have a sudog; the others may be about to run."""
    addresses = goroutines.columns["address"]
    known = {addresses[at]: at for at in positions}
    blocked = set()
    for sudog, g, to in sudogs:
        at = known.get(g)
        if at is None:
            continue
        blocked.add(at)
        found.waiters.append(at)
        found.awaited.append(_address(to or sudog))
        if to:
            found.sudogs.append(sudog)
            found.hidden.append(_address(to))
    found.blocked.extend(sorted(blocked))


def _address(number: int) -> int:
    """As a signed number; what is no address is one of nothing."""
    return number if number < 1 << 63 else -1
