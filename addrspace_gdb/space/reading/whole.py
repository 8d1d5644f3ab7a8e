"""One reading of the process: everything that needs it to stand still, in one pass, bulk reads first."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from itertools import compress
from typing import Any, Dict, List, Optional, Set, Tuple

from addrspace_gdb.common.gcpause import no_cycle_collection
from addrspace_gdb.common.problems import ProblemError, Problems
from addrspace_gdb.common.progress import Progress
from addrspace_gdb.goruntime import symtab
from addrspace_gdb.goruntime.all_of_go import GoView, no_go, read_go
from addrspace_gdb.goruntime.in_motion import unsettled
from addrspace_gdb.goruntime.mappers import GoMapping, go_mappings
from addrspace_gdb.goruntime.mstats import Sources
from addrspace_gdb.goruntime.proc import M, count_by_status, is_live
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.stack_use import StackUse, running_sp, stack_use, what_runs
from addrspace_gdb.goruntime.traceback import Unwinder
from addrspace_gdb.process.allocators import Allocator, loaded_allocator
from addrspace_gdb.process.elfsymbols import symbol_tables
from addrspace_gdb.process.geometry import Geometry, geometry
from addrspace_gdb.process.kernelcounts import KernelCounts, locks_memory
from addrspace_gdb.process.libc import libc_ranges
from addrspace_gdb.process.linker import find_r_debug, linker_ranges
from addrspace_gdb.process.mappings import Mapping, add, parse_smaps_totals, with_flags
from addrspace_gdb.process.pointers import Words
from addrspace_gdb.process.residency import Residency, read_residency
from addrspace_gdb.process.threads import ThreadStack, thread_stacks
from addrspace_gdb.space.reading.at_work import finalizes, running_cleanups
from addrspace_gdb.space.reading.forked import forked
from addrspace_gdb.space.reading.go_program import require_go
from addrspace_gdb.space.reading.opening import Opening
from addrspace_gdb.space.reading.other_go import other_go
from addrspace_gdb.space.reading.page_tables import PageTables
from addrspace_gdb.space.reading.signals import before_signals
from addrspace_gdb.space.regions.image_claims import Loaded, anonymous_tails, find_images, other_runtimes
from addrspace_gdb.space.regions.model import GoroutineCounts, TargetInfo
from addrspace_gdb.space.regions.runtime_mappings import INFERRED, runtime_mappings
from addrspace_gdb.target.protocol import Target, Thread


@dataclass(frozen=True, eq=False)
class Reading:
    """What was read. Composing the partition from it touches the process no more."""

    info: TargetInfo
    mappings: List[Mapping]
    residency: Residency
    go: GoView
    loaded: Loaded
    threads: List[Thread]
    main_thread: Optional[Thread]
    thread_stacks: List[ThreadStack]
    libc: List[Tuple[int, int, str]]
    linker: List[Tuple[int, int]]
    geometry: Geometry
    running: Dict[int, int]  # sp of the threads that run goroutines, by g (stack_use.running_sp)
    goroutines_known: bool  # whether that there are none is sure
    system: Set[int]  # pcs at which goroutines of the runtime started
    cleaning: int  # of them those that run cleanups of the user, and are the user's so long
    functions: int  # in the Go modules' tables
    selected: Optional[str]
    smaps: Optional[Dict[int, Tuple[int, int]]]  # only for checks
    kernel: Optional[KernelCounts]  # only for checks
    inferred: bool  # whether mappings are
    other: Optional[str]  # why the runtime cannot be read: it is another one; None: it was read
    in_motion: List[str]  # what the runtime was in the middle of; only for checks
    go_mappings: List[GoMapping] = field(default_factory=list)  # by syscall.Mmap and the like
    allocator: Optional[Allocator] = None  # of C, if it is not glibc's
    said: List[str] = field(default_factory=list)
    problems: Problems = field(default_factory=Problems)
    kept: Dict[object, Any] = field(default_factory=dict, init=False, repr=False)

    # A million goroutines are not counted while the process stands still.

    @cached_property
    def goroutines(self) -> Optional[GoroutineCounts]:
        """How many there are; None if they could not be read."""
        if not self.goroutines_known:
            return None
        found = self.go.goroutines
        by_status = count_by_status(found)
        own = Counter(
            compress(found.column("status"), map(self.system.__contains__, found.column("startpc")))
        )
        system = sum(count for status, count in own.items() if is_live(status))
        return GoroutineCounts(sum(by_status.values()), by_status, max(0, system - self.cleaning))

    @cached_property
    def stack_use(self) -> StackUse:
        """What live goroutines use of their stacks."""
        return stack_use(self.go.goroutines, self.running)

    @cached_property
    def notes(self) -> List[str]:
        """What cannot be known, and why."""
        unknown = self.stack_use.unknown
        outside = f"{unknown} goroutines have a stack pointer outside their stack; not counted as used"
        return [*self.said, *([outside] if unknown else []), *([INFERRED] if self.inferred else [])]


def read(
    target: Target, check: bool = False, progress: Optional[Progress] = None, other_too: bool = False
) -> Reading:
    """Read `target`. ProblemError if it cannot be; lesser damage is in the reading's problems.

    With `other_too` also what the kernel knows of a Go program whose runtime is another one.
    """
    with no_cycle_collection():
        return required(_read(target, check, progress or Progress()), other_too)


def required(reading: Reading, other_too: bool) -> Reading:
    """The reading. ProblemError if it is one of another runtime, and that will not do."""
    if reading.other is not None and not other_too:
        raise ProblemError(reading.other)
    return reading


def _read(target: Target, check: bool, progress: Progress) -> Reading:
    problems = Problems()
    opening = Opening(target, problems)
    core, page_size = opening.core, opening.page_size
    mappings, proc, inferred = opening.listed
    # First of all: reading the target's memory makes more of its files resident, and require_go may.
    pages = PageTables(proc, check)
    residency = read_residency(proc, mappings, page_size, problems, target.byte_order)
    check = check and not residency.emulated
    if check:
        pages.count(target, mappings, residency)
    listed = None if check or residency.emulated or not locks_memory(proc) else pages.smaps(problems)
    other = other_go(opening)
    if other is None:
        require_go(opening, other)
        go = read_go(target, problems, progress, mappings)
    else:
        problems.add(other)
        go = no_go(Runtime(target, problems))
    if inferred:
        mappings = add(mappings, runtime_mappings(go, target.arch, page_size))
    progress.step("symbols and files")
    tables = symtab.load(target, problems if other is None else Problems())
    threads = target.threads()
    modules = symtab.modules(target, problems) if other is None else []
    loaded = find_images(mappings, target, core, modules, page_size)
    main = next((t for t in threads if t.tid == opening.pid), None)
    main_tid = main.tid if main is not None else None
    word, order = target.pointer_size, target.byte_order
    # Without libc no thread but the first can have a block of its, and there may be thousands to look at.
    of_libc = threads if _has_libc(loaded, go.cgo) else [main] if main is not None else []
    stacks = thread_stacks(of_libc, mappings, target.read, word, order, page_size, main_tid)
    finalizing = other is None and finalizes(Runtime(target, problems))
    starts = set(go.goroutines.column("startpc"))
    system = {pc for pc in starts if tables.is_system_goroutine(pc, finalizing)}
    cut_short: List[str] = []
    made = go_mappings(Runtime(target, problems), go.spans, page_size)
    of_others = [(s.start, s.end) for s in stacks] + [one.pages(page_size) for one in made]
    libc = _libc(target, mappings, go, loaded, of_others, page_size, cut_short)
    text = pages.smaps(problems) if check else listed
    reading = Reading(
        info=opening.info,
        mappings=with_flags(mappings, text) if text is not None else mappings,
        residency=residency,
        go=go,
        loaded=loaded,
        threads=threads,
        main_thread=main,
        thread_stacks=stacks,
        go_mappings=made,
        libc=libc,
        linker=_linker(target, mappings, loaded, main, page_size),
        geometry=geometry(target.arch, target.pointer_size, mappings, proc),
        running=running_sp(go.scheduler, threads, _Before(tables, target)),
        goroutines_known=bool(len(go.goroutines)) or not (other or problems or problems.left_out),
        system=system,
        cleaning=sum(1 for _ in running_cleanups(Runtime(target, problems), go.goroutines, tables, system)),
        functions=sum(max(0, m.slice("ftab").length - 1) for m in modules),
        selected=_selected(threads, go, tables),
        smaps=parse_smaps_totals(text, problems) if check and text is not None else None,
        kernel=pages.counts if check else None,
        inferred=inferred,
        other=other,
        in_motion=unsettled(Sources(Runtime(target, Problems()), go.scheduler))
        if check and not other
        else [],
        said=cut_short,
        allocator=_allocator(target, loaded, go.cgo),
        problems=problems,
    )
    _take_notes(reading, opening)
    return reading


class _Before:
    """Where a thread's sp was when the first of the signals came that it handles."""

    def __init__(self, tables: symtab.Symtab, target: Target) -> None:
        self._tables, self._target = tables, target

    def __call__(self, m: M, thread: Thread) -> Optional[int]:
        found = before_signals(Unwinder(self._tables), self._target, thread, m.gsignal_stack[1])
        return found.sp if found is not None else None


def _has_libc(loaded: Loaded, cgo: bool) -> bool:
    """Whether anything in the process may have called malloc: a dynamic program, or a static C library."""
    return cgo or bool(loaded.libraries) or any(i.image.interp for i in loaded.program)


def _allocator(target: Target, loaded: Loaded, cgo: bool) -> Optional[Allocator]:
    """The allocator that C has instead of glibc's, by what is loaded and by the program's own symbols."""
    if not _has_libc(loaded, cgo):
        return None
    tables = symbol_tables(target.executable) if target.executable is not None else None
    own = (
        [table for table in (tables.full, tables.dynamic) if table is not None] if tables is not None else []
    )
    interpreters = [image.image.interp for image in loaded.program if image.image.interp]
    libraries = [*interpreters, *(image.image.path for image in loaded.libraries)]
    return loaded_allocator(libraries, lambda name: any(table.find(name) is not None for table in own))


def _libc(
    target: Target,
    mappings: List[Mapping],
    go: GoView,
    loaded: Loaded,
    of_others: List[Tuple[int, int]],
    page_size: int,
    said: List[str],
) -> List[Tuple[int, int, str]]:
    """What malloc holds, looked for outside everything that has another owner; `said` gets what is cut."""
    if not _has_libc(loaded, go.cgo):
        return []
    owned = [o.pages(page_size) for o in go.owned] + [(a.start, a.end) for a in go.arenas.arenas]
    owned += of_others + anonymous_tails(loaded, page_size)
    owned.sort()
    starts = [start for start, _ in owned]

    def excluded(start: int, end: int) -> bool:
        at = bisect_right(starts, start)
        return (at > 0 and owned[at - 1][1] > start) or (at < len(owned) and owned[at][0] < end)

    word, order = target.pointer_size, target.byte_order
    return libc_ranges(mappings, target.read, page_size, excluded, owned, word, order, said.append)


def _linker(
    target: Target, mappings: List[Mapping], loaded: Loaded, main: Optional[Thread], page_size: int
) -> List[Tuple[int, int]]:
    """Memory of the dynamic linker. gdb may know nothing of it where the program needs no library."""
    symbol = target.symbol("_r_debug")
    address = symbol.address if symbol is not None else None
    interpreters = {os.path.basename(i.image.interp) for i in loaded.program if i.image.interp}
    linker = next((i for i in loaded.libraries if os.path.basename(i.image.path) in interpreters), None)
    if address is None and linker is not None:
        address = find_r_debug(linker)
    words = Words(target.read, target.pointer_size, target.byte_order)
    main_tls = main.tls if main is not None else None
    return linker_ranges(address, linker, mappings, words, main_tls, page_size)


def _selected(threads: List[Thread], go: GoView, tables: symtab.Symtab) -> Optional[str]:
    """Where the selected thread is, in words."""
    thread = next((t for t in threads if t.selected), None)
    if thread is None:
        return None
    text = f"thread {thread.number} ({thread.tid})"
    if thread.pc is not None:
        name = tables.function_name(thread.pc)
        text += f" at {thread.pc:#x}" + (f" in {name}" if name else "")
    run = what_runs(thread, go.goroutines, go.scheduler)
    if run.goid is not None and run.stack == "goroutine":
        return f"{text}, on the stack of goroutine {run.goid}"
    where = {"g0": "g0", "signal": "the signal stack"}.get(run.stack, "a stack of its own")
    text += f", on {where}" + (f" of m{run.m.id}" if run.m is not None and run.stack != "other" else "")
    return text + (f" for goroutine {run.goid}" if run.goid is not None else "")


def _take_notes(reading: Reading, opening: Opening) -> None:
    """Say what cannot be known, and why, but for what stacks say."""
    notes = reading.said
    if opening.core is not None:
        notes.extend(opening.core.notes)
    notes.extend(reading.problems.left_out)
    if reading.residency.reason:
        notes.append(reading.residency.reason)
    notes.extend(reading.residency.notes)
    notes.extend(opening.notes)
    notes.extend(reading.geometry.notes)
    notes.extend(reading.loaded.notes)
    notes.extend(other_runtimes(reading.loaded))
    notes.extend(forked(opening.target, reading.go.scheduler, reading.threads))
