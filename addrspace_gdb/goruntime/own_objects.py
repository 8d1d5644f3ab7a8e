"""Objects in the heap that are the runtime's own: gs, sudogs, timers, defer records, Ms and Ps, tables.

They are allocated as any other object and count in HeapAlloc. Lists lead to them (src/runtime/proc.go,
runtime2.go, time.go). A sudog that waits in a semaphore or a sync.Cond is on none of those that are followed
here, and counts as the program's.
"""

from __future__ import annotations

from array import array
from itertools import chain, compress
from typing import Dict, Iterable, Iterator, List, Sequence, Set, Tuple

from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.goruntime.all_of_go import GoView
from addrspace_gdb.goruntime.columns import read_columns
from addrspace_gdb.goruntime.record import Runtime, Slice
from addrspace_gdb.goruntime.waitreason import read_wait_reasons

ENDED = "g structs of goroutines that ended"
GS, SUDOGS, TIMERS = "g structs", "sudogs", "timers"
DEFERS, THREADS, TABLES = "defer records", "Ms and Ps", "lists and tables"
KINDS = (ENDED, GS, SUDOGS, TIMERS, DEFERS, THREADS, TABLES)
OF_THE_LIVING = (GS, SUDOGS, TIMERS, DEFERS)

_MAX = 1 << 25  # objects of a kind
# Bytes of the largest slot that holds nothing but a timer: time.Timer's, whose timer is within it.
LARGEST_TIMER = 144

Own = Dict[str, "array[int]"]


def read_own_objects(runtime: Runtime, go: GoView) -> Own:
    """Addresses in the objects by kind, ascending. What is damaged is told, and counts as the program's."""
    found = {kind: array("Q") for kind in KINDS}
    gs, ended = go.goroutines.column("address"), go.goroutines.ended
    found[ENDED] = array("Q", compress(gs, ended))
    threads, ps = go.scheduler.ms, go.scheduler.ps
    of_threads = chain.from_iterable((m.g0, m.gsignal) for m in threads)
    found[GS] = _ascending([*compress(gs, ended.translate(_NOT)), *of_threads])
    found[THREADS] = _ascending([*(m.address for m in threads), *(p.address for p in ps)])
    for kind, source in ((SUDOGS, _sudogs), (TIMERS, _timers), (DEFERS, _defers), (TABLES, _tables)):
        try:
            found[kind] = _ascending(source(runtime, go))
        except (UnreadableError, ProblemError, KeyError) as error:
            runtime.problems.add(f"{kind}: {error}; they count as objects of the program")
    return found


_NOT = bytes([1, 0]) + bytes(254)


def _ascending(addresses: Iterable[int]) -> array[int]:
    """Each once; 0 is none."""
    return array("Q", sorted({*addresses} - {0}))


def _sudogs(runtime: Runtime, go: GoView) -> Iterator[int]:
    """Those that goroutines wait in, and those in the caches of the Ps and of all."""
    many, rest = _waiting(runtime, go)
    yield from rest
    yield from _linked(runtime, "sudog", "waitlink", many)
    for p in go.scheduler.ps:
        yield from _slice(runtime, "runtime.p", p.address, "sudogcache")
    first = runtime.variable("runtime.sched").number("sudogcache")
    follow = runtime.layout("runtime.sudog").scalar("next").offset
    yield from runtime.chain(first, follow, "sched.sudogcache", _MAX)


def _waiting(runtime: Runtime, go: GoView) -> Tuple[List[int], List[int]]:
    """The first sudog of each goroutine: of those that wait in a select, which has one for each case, and of
    the others, which have one."""
    selects = {number for number, text in enumerate(read_wait_reasons(runtime)) if "select" in text}
    parts: Tuple[List[int], List[int]] = ([], [])
    for first, reason in go.goroutines.rows("waiting", "waitreason"):
        if first:
            parts[reason not in selects].append(first)
    return parts


def _linked(runtime: Runtime, name: str, link: str, firsts: Sequence[int]) -> Iterator[int]:
    """Structs of very many short lists, all of one place in their lists at a time."""
    layout, seen = runtime.layout(f"runtime.{name}"), 0
    at = sorted({*firsts} - {0})
    known: Set[int] = set()
    while at:
        known.update(at)
        seen += len(at)
        if seen > _MAX:
            runtime.problems.add(f"{name}s: there are more than {_MAX:,}; the rest is left out")
            return
        yield from at
        columns = read_columns(runtime, at, layout, {"next": link}, f"{name}s")
        at = sorted({*columns["next"]} - known - {0})


def _slice(runtime: Runtime, struct: str, address: int, path: str, words: int = 1) -> Sequence[int]:
    """The words of a slice whose elements have `words` each, and its length counts those."""
    place = runtime.layout(struct).locate(path)
    data, length, capacity = runtime.words(address + place.offset, 3, f"{struct}.{path}") or (0, 0, 0)
    return runtime.slice_words(Slice(data, length * words, capacity * words), f"{struct}.{path}", _MAX)


def _timers(runtime: Runtime, go: GoView) -> Iterator[int]:
    """Those in the Ps' heaps, and those that goroutines keep for their next time.Sleep."""
    yield from go.goroutines.column("timer")
    for p in go.scheduler.ps:
        yield from _timer_heap(runtime, p.address)


def _timer_heap(runtime: Runtime, p: int) -> Sequence[int]:
    """p.timers; from Go 1.23 on its elements are {*timer, int64}."""
    if not runtime.layout("runtime.p").has("timers.heap"):
        return _slice(runtime, "runtime.p", p, "timers")
    each = 1 + 8 // runtime.word
    return _slice(runtime, "runtime.p", p, "timers.heap", each)[::each]


def _defers(runtime: Runtime, go: GoView) -> Iterator[int]:
    """Records of running calls that are not on the goroutine's stack, and those in the pools."""
    rows = go.goroutines.rows("defer", "lo", "hi")
    yield from _linked(runtime, "_defer", "link", [at for at, lo, hi in rows if at and not lo <= at < hi])
    for p in go.scheduler.ps:
        yield from _slice(runtime, "runtime.p", p.address, "deferpool")
    first = runtime.variable("runtime.sched").number("deferpool")
    yield from runtime.chain(first, runtime.layout("runtime._defer").scalar("link").offset, "sched.deferpool")


def _tables(runtime: Runtime, go: GoView) -> Iterator[int]:
    """Backing arrays: of allgs, of allp, of the Ps' timers; and the table of itabs once it has grown."""
    for name in ("allgs", "allp"):
        yield runtime.variable(f"runtime.{name}").slice("").data
    heap = "timers.heap" if runtime.layout("runtime.p").has("timers.heap") else "timers"
    offset = runtime.layout("runtime.p").locate(heap).offset
    for p in go.scheduler.ps:
        yield runtime.word_at(p.address + offset)
    if runtime.has("runtime.itabTable"):
        yield runtime.global_word("runtime.itabTable")
