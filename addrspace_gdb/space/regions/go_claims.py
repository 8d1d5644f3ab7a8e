"""What the Go runtime claims of the address space: arenas, pages, spans, stacks, its own memory."""

from __future__ import annotations

from typing import Dict, Iterator, List

from addrspace_gdb.common.problems import Problems
from addrspace_gdb.goruntime import mpagealloc, mspan, stackpieces
from addrspace_gdb.goruntime.all_of_go import GoView
from addrspace_gdb.space.regions.overlay import normalise, overlay
from addrspace_gdb.space.regions.region import GOROUTINE_STACKS, HEAP, RUNTIME, THREAD_STACKS, Claim

# Kinds of the heap area, in the words of the runtime.
RESERVED = "reserved"  # address space of an arena that the heap has not grown into
FREE_PAGES = "free pages"  # kept by the runtime
RETURNED_PAGES = "returned pages"  # given back to the OS (scavenged)
PAGE_CACHE = "page cache"  # label of free pages that one P holds
BASE_PADDING = "base padding"  # label of pages left out to randomise the heap's base (Go 1.26): returned
TRANSIT_PAGES = "pages in transit"  # allocated, but no span yet (stopped inside the allocator)
SMALL_OBJECTS = "small objects"
LARGE_OBJECTS = "large objects"
USER_ARENA = "user arena"
FREED_ARENA = "freed user arena"  # no memory behind it any more
WORK_BUFFERS = "GC work buffers"
BITMAPS = "pointer bitmaps"
STACK_SPAN = "stack span"

_SPANS: Dict[int, str] = {
    mspan.SMALL: SMALL_OBJECTS,
    mspan.LARGE: LARGE_OBJECTS,
    mspan.USER_ARENA: USER_ARENA,
    mspan.FREED_ARENA: FREED_ARENA,
    mspan.MANUAL_RUN: STACK_SPAN,
}
_PAGES: Dict[int, str] = {
    mpagealloc.FREE: FREE_PAGES,
    mpagealloc.RETURNED: RETURNED_PAGES,
    mpagealloc.ALLOCATED: TRANSIT_PAGES,
}


def heap_claims(go: GoView, each_goroutine: bool) -> List[Claim]:
    """Every claim within the heap's arenas, sorted and disjoint.

    With `each_goroutine` every goroutine's stack is a claim of its own; without, neighbours are one.
    """
    heap = normalise(Claim(a.start, a.end, HEAP, RESERVED) for a in go.arenas.arenas)
    heap = overlay(heap, normalise(_pages(go)))
    heap = overlay(heap, normalise(_cached(go)))
    if go.pages.padding is not None:
        heap = overlay(heap, [Claim(*go.pages.padding, HEAP, RETURNED_PAGES, BASE_PADDING)])
    heap = overlay(heap, [Claim(s, e, HEAP, _SPANS[kind]) for s, e, kind in go.spans.runs])
    manual = [Claim(s, e, HEAP, WORK_BUFFERS) for s, e in go.stacks.work_buffers]
    manual += [Claim(s, e, HEAP, BITMAPS) for s, e in go.stacks.other_manual]
    heap = overlay(heap, normalise(manual))
    return overlay(heap, _stacks(go, each_goroutine))


def owned_claims(go: GoView, page_size: int, problems: Problems) -> List[Claim]:
    """The runtime's memory outside the arenas, in whole pages, sorted and disjoint."""
    return normalise(_owned(go, page_size), problems, "the runtime's own memory")


def _pages(go: GoView) -> Iterator[Claim]:
    for run in go.pages.runs:
        yield Claim(run.start, run.end, HEAP, _PAGES[run.state])


def _cached(go: GoView) -> Iterator[Claim]:
    for run in go.pages.cached:
        returned = run.state == mpagealloc.RETURNED
        yield Claim(run.start, run.end, HEAP, RETURNED_PAGES if returned else FREE_PAGES, PAGE_CACHE)


def _stacks(go: GoView, each: bool) -> List[Claim]:
    """Stack pieces as claims; they are ascending and disjoint already."""
    if each:
        return [Claim(p.start, p.end, GOROUTINE_STACKS, p.kind, stack_label(p)) for p in go.stacks.pieces]
    return [Claim(start, end, GOROUTINE_STACKS, kind) for start, end, kind in go.stacks.unnamed[0].merged()]


def stack_label(piece: stackpieces.Piece) -> str:
    """Whose stack it is: "goroutine 17", "thread m3"; empty for free ones."""
    if piece.kind in (stackpieces.GOROUTINE, stackpieces.DEAD_GOROUTINE):
        return f"goroutine {piece.owner}" if piece.owner else ""
    if piece.kind in (stackpieces.SYSTEM_STACK, stackpieces.SIGNAL_STACK):
        return f"m{piece.owner}"
    return ""


def outside_claims(go: GoView) -> Iterator[Claim]:
    """g0 stacks that the heap does not hold: m0's, cgo threads', a library's own first thread's."""
    for piece in go.stacks.unnamed[1]:
        if piece.kind in (stackpieces.SYSTEM_STACK, stackpieces.SIGNAL_STACK):
            yield Claim(piece.start, piece.end, THREAD_STACKS, piece.kind, stack_label(piece))


def _owned(go: GoView, page_size: int) -> Iterator[Claim]:
    for owned in go.owned:
        yield Claim(*owned.pages(page_size), RUNTIME, owned.kind, owned.label)
