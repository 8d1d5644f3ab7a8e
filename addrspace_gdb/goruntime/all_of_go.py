"""Everything the Go runtime knows about its memory, read in one pass while the process stands still."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Dict, List, Optional, Sequence

from addrspace_gdb.common.problems import ProblemError, Problems, UnreadableError
from addrspace_gdb.common.progress import Progress
from addrspace_gdb.goruntime.buildinfo import version_of
from addrspace_gdb.goruntime.columns import Columns
from addrspace_gdb.goruntime.malloc import Owned, read_owned
from addrspace_gdb.goruntime.mheap import Arenas, read_arenas
from addrspace_gdb.goruntime.mpagealloc import PageRun, Pages, base_padding, page_cache, read_pages
from addrspace_gdb.goruntime.mspan import FIELDS, Spans, read_spans
from addrspace_gdb.goruntime.mstats import gc_phase, read_memstats
from addrspace_gdb.goruntime.proc import Goroutines, Scheduler, read_goroutines, read_scheduler
from addrspace_gdb.goruntime.record import Record, Runtime
from addrspace_gdb.goruntime.stack import Stacks, no_stacks, read_stacks
from addrspace_gdb.goruntime.symtab import go_minor
from addrspace_gdb.goruntime.versions import unreadable
from addrspace_gdb.process.mappings import Mapping
from addrspace_gdb.target.protocol import Target


@dataclass
class GoView:
    """One reading of the runtime."""

    version: Optional[str]
    arenas: Arenas
    spans: Spans
    pages: Pages
    goroutines: Goroutines
    scheduler: Scheduler
    stacks: Stacks
    owned: List[Owned]
    memstats: Optional[Dict[str, int]]
    gc_phase: Optional[str]
    cgo: bool
    race: bool


def read_go(
    target: Target, problems: Problems, progress: Optional[Progress] = None, mappings: Sequence[Mapping] = ()
) -> GoView:
    """Read the runtime of `target`. ProblemError if it is not a Go program or its symbols are missing."""
    runtime = Runtime(target, problems, progress)
    try:
        return _read(runtime, mappings)
    except (UnreadableError, KeyError) as error:
        raise unreadable(error) from None


def no_go(runtime: Runtime) -> GoView:
    """What there is to say of a program that has no Go runtime that is known here."""
    columns: Columns = {name: array("Q") for name in ("address", *FIELDS)}
    spans, goroutines, scheduler = Spans(columns, []), Goroutines(), Scheduler([], [])
    return GoView(
        version_of(runtime.target),
        Arenas(),
        spans,
        Pages([], [], []),
        goroutines,
        scheduler,
        no_stacks(spans, goroutines, scheduler),
        [],
        None,
        None,
        cgo=True,  # for all that is known
        race=False,
    )


def _read(runtime: Runtime, mappings: Sequence[Mapping]) -> GoView:
    heap = runtime.variable("runtime.mheap_")
    pages = read_pages(runtime, heap)
    grown = sum(end - start for start, end in pages.in_use)
    spans = read_spans(runtime, heap, grown)
    arenas = read_arenas(runtime, heap, spans.user_arenas)
    goroutines = read_goroutines(runtime, grown)
    scheduler = read_scheduler(runtime, mappings)
    cached: List[PageRun] = []
    for p in scheduler.ps:
        cached.extend(page_cache(p.page_cache))
    pages.cached.extend(sorted(cached))
    if (go_minor(runtime.target) or 0) >= 26:
        pages = pages._replace(padding=base_padding(pages, min(spans.columns["start"], default=None)))
    return GoView(
        version_of(runtime.target),
        arenas,
        spans,
        pages,
        goroutines,
        scheduler,
        read_stacks(runtime, spans, goroutines, scheduler),
        read_owned(runtime, heap, arenas, scheduler),
        _memstats(runtime, heap, scheduler),
        gc_phase(runtime),
        cgo=runtime.has("runtime.iscgo") and bool(runtime.global_number("runtime.iscgo", 1)),
        race=runtime.has("runtime.racedatastart") or runtime.has("__tsan_init"),
    )


def _memstats(runtime: Runtime, heap: Record, scheduler: Scheduler) -> Optional[Dict[str, int]]:
    try:
        return read_memstats(runtime, heap, scheduler)
    except (UnreadableError, ProblemError, KeyError) as error:
        runtime.problems.add(f"memory statistics: {error}")
        return None
