"""Objects in the heap that are the runtime's own: gs, sudogs, timers, defer records, Ms and Ps, tables.

They are allocated as any other object and count in HeapAlloc. Lists lead to them (src/runtime/proc.go,
runtime2.go, time.go); for sudogs in semaphores and condition variables see sema.py.
"""

from __future__ import annotations

from array import array
from itertools import chain, compress
from typing import Dict, Iterable, Iterator, List, Sequence, Set, Tuple

from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.goruntime.all_of_go import GoView
from addrspace_gdb.goruntime.columns import nonzero, read_columns
from addrspace_gdb.goruntime.record import Blocks, Runtime, Slice
from addrspace_gdb.goruntime.sema import waiting_sudogs
from addrspace_gdb.goruntime.sizeclasses import PAGE_SHIFT
from addrspace_gdb.goruntime.waitreason import read_wait_reasons

ENDED = "g structs of goroutines that ended"
GS, SUDOGS, TIMERS = "g structs", "sudogs", "timers"
DEFERS, THREADS, TABLES = "defer records", "Ms and Ps", "lists and tables"
KINDS = (ENDED, GS, SUDOGS, TIMERS, DEFERS, THREADS, TABLES)
OF_THE_LIVING = (GS, SUDOGS, TIMERS, DEFERS)

_MAX = 1 << 25  # objects of a kind
_LONG = 64  # sudogs of a list that are read by themselves
# Bytes of the largest slot that holds nothing but a timer: time.Timer's, whose timer is within it.
LARGEST_TIMER = 144


class Own:
    """Addresses in those objects: what lists led to, and what columns of the goroutines have."""

    def __init__(self, go: GoView) -> None:
        self._go = go
        self.listed: Dict[str, Sequence[int]] = {}
        self.itabs = 0  # where the table of itabs is, which is an object once it has grown

    def of(self, kind: str) -> List[int]:
        """The addresses of a kind, ascending, some more than once."""
        return sorted(filter(None, chain(self.listed.get(kind, ()), *self._in_columns(kind))))

    @property
    def threads(self) -> Tuple[List[int], List[int]]:
        """The addresses of Ms, and of Ps."""
        scheduler = self._go.scheduler
        return [m.address for m in scheduler.ms], [p.address for p in scheduler.ps]

    def _in_columns(self, kind: str) -> List[Iterable[int]]:
        goroutines, scheduler = self._go.goroutines, self._go.scheduler
        gs, ended = goroutines.column("address"), goroutines.ended
        if kind == ENDED:
            return [compress(gs, ended)]
        if kind == GS:
            of_threads = chain.from_iterable((m.g0, m.gsignal) for m in scheduler.ms)
            return [compress(gs, ended.translate(_NOT)), of_threads]
        if kind in (SUDOGS, TIMERS):
            return [goroutines.column("waiting" if kind == SUDOGS else "timer")]
        if kind == THREADS:
            return list(self.threads)
        return []


def read_own_objects(runtime: Runtime, go: GoView) -> Own:
    """Follow the lists. What is damaged is told, and counts as the program's."""
    found = Own(go)
    for kind, source in ((SUDOGS, _sudogs), (TIMERS, _timers), (DEFERS, _defers), (TABLES, _tables)):
        try:
            found.listed[kind] = array("Q", source(runtime, go))
        except (UnreadableError, ProblemError, KeyError) as error:
            runtime.problems.add(f"{kind}: {error}; they count as objects of the program")
    if TABLES in found.listed and runtime.has("runtime.itabTable"):
        found.itabs = found.listed[TABLES][-1]
    return found


_NOT = bytes([1, 0]) + bytes(254)


def _sudogs(runtime: Runtime, go: GoView) -> Iterator[int]:
    """More of those that goroutines wait in, and those in the caches of the Ps and of all."""
    columns = go.goroutines.columns
    # A goroutine waits in one, but for a select, which has one for each case.
    selects = {number for number, text in enumerate(read_wait_reasons(runtime)) if "select" in text}
    is_select = bytes(number in selects for number in range(256))
    firsts = compress(columns["waiting"], columns["waitreason"].tobytes().translate(is_select))
    yield from _linked(runtime, "sudog", "waitlink", [*firsts])
    for p in go.scheduler.ps:
        yield from _slice(runtime, "runtime.p", p.address, "sudogcache")
    yield from _central_sudogs(runtime, go)
    yield from waiting_sudogs(runtime, go.goroutines.columns, go.spans)


def _central_sudogs(runtime: Runtime, go: GoView) -> Iterator[int]:
    """sched.sudogcache, which has very many where as many goroutines were woken since the last collection:
    a long list is followed in copies of the spans that have objects of that size."""
    layout, spans = runtime.layout("runtime.sudog"), go.spans.columns
    follow = layout.scalar("next").offset // runtime.word
    most, blocks = _LONG, Blocks(runtime)
    at, seen = runtime.variable("runtime.sched").number("sudogcache"), 0
    while at:
        if seen == _LONG:
            sizes = range(layout.size, 2 * layout.size)
            alike = [row for row, size in enumerate(spans["element"]) if size in sizes]
            most = sum(map(spans["slots"].__getitem__, alike))
            blocks.load((spans["start"][row], spans["pages"][row] << PAGE_SHIFT) for row in alike)
        if seen > most:
            runtime.problems.add(f"sched.sudogcache: the list does not end after {seen:,} sudogs; cut short")
            return
        yield at
        low, _, words = blocks.around(at, layout.size)
        at, seen = words[(at - low) // runtime.word + follow], seen + 1


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
    """Those in the Ps' heaps."""
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
    firsts, los, his = (go.goroutines.column(name) for name in ("defer", "lo", "hi"))
    apart = [firsts[at] for at in nonzero(firsts) if not los[at] <= firsts[at] < his[at]]
    yield from _linked(runtime, "_defer", "link", apart)
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
