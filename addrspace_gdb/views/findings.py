"""Findings as plain sentences: what takes the memory, what belongs to it, and what to do or look at next."""

from __future__ import annotations

import os
from typing import Callable, Dict

from addrspace_gdb.common import sizes
from addrspace_gdb.goruntime.persistent import BUCKETS
from addrspace_gdb.goruntime.specials import CLEANUPS, FINALIZERS, WEAK
from addrspace_gdb.process.allocators import Allocator
from addrspace_gdb.space.goroutines.queued import FINALIZER
from addrspace_gdb.space.rss import findings as kinds
from addrspace_gdb.space.rss.balances import HUGE, LAZY, LOCKED
from addrspace_gdb.space.rss.build import LiveClass
from addrspace_gdb.space.rss.circumstances import Circumstances
from addrspace_gdb.space.rss.findings import Finding
from addrspace_gdb.space.rss.sites import Site
from addrspace_gdb.views.queued import at_work
from addrspace_gdb.views.stackparts import waited


def sentence(found: Finding, about: Circumstances) -> str:
    """One sentence, ASCII but for names of the target."""
    return _SENTENCES[found.kind](found, about)


def _much(found: Finding, about: Circumstances) -> str:
    """ "1.9 GiB (61.2% of RSS)"."""
    whole = "RSS" if about.resident else "what the process keeps"
    return f"{sizes.size(found.amount)} ({sizes.share(found.amount, found.whole)} of {whole})"


def _stacks(found: Finding, about: Circumstances) -> str:
    text = f"{_much(found, about)} is goroutine stacks: {sizes.plural(about.goroutines, 'goroutine')}"
    if about.busiest is not None:
        most = about.busiest
        many = f"about {100 * most.many / most.among:.0f}%" if most.sample else sizes.count(most.many)
        text += f", {many} of them in {most.function}" + (f" ({most.state})" if most.state else "")
        text += f", created by {most.made_by}" if most.made_by else ""
    return f"{text}; see `goroutine-stacks --group stack`."


def _free_stacks(found: Finding, about: Circumstances) -> str:
    text = f"{_much(found, about)} is stacks that no goroutine uses any more, kept for new ones"
    return f"{text}; a collection frees those in the pools; {_last_gc(about)}."


def _ended(found: Finding, about: Circumstances) -> str:
    text = f"{_much(found, about)} is g structs of {sizes.plural(about.ended, 'goroutine')} that ended"
    return f"{text}: the runtime never frees them; fewer at the same time would leave fewer behind."


def _own_objects(found: Finding, about: Circumstances) -> str:
    many = sizes.plural(about.goroutines, "goroutine")
    text = f"{_much(found, about)} is what the runtime itself has in the heap for {many}"
    return f"{text} (g structs, sudogs, timers); see `goroutine-stacks --group stack`."


def _free_heap(found: Finding, about: Circumstances) -> str:
    text = f"{_much(found, about)} is free heap that Go has kept; {_last_gc(about)}, {_limit(about)}"
    return f"{text}; debug.FreeOSMemory returns it, a lower GOGC or GOMEMLIMIT keeps it from coming back."


def _garbage(found: Finding, about: Circumstances) -> str:
    text = f"{_much(found, about)} was allocated since the last GC and may be garbage"
    return f"{text}; {_last_gc(about)}, {_next_gc(about)}, {_limit(about)}."


def _last_gc(about: Circumstances) -> str:
    if about.cycles == 0:
        return "GC has not run yet"
    if about.gc_age is None:
        return "when GC last ran is not known"
    return f"GC ran {waited(about.gc_age, about.gc_age_exact, False)} ago"


def _next_gc(about: Circumstances) -> str:
    if about.goal is not None:
        return f"the next one aims at a heap of {sizes.size(about.goal)}"
    return "GOGC is off" if about.gc_off else "no heap size starts the next one"


def _limit(about: Circumstances) -> str:
    return f"memory limit {sizes.size(about.limit)}" if about.limit is not None else "no memory limit set"


def _fragments(found: Finding, about: Circumstances) -> str:
    text = (
        f"{_much(found, about)} is free slots between live objects: fragmentation, which no setting returns"
    )
    return f"{text}; see `addrspace heap` for the size classes."


def _live(found: Finding, about: Circumstances) -> str:
    text = f"{_much(found, about)} is objects that survived the last GC"
    if about.sites:
        text += ", allocated " + " and ".join(_site(site, found.amount) for site in about.sites)
    elif about.live_class is not None:
        text += f", most of it {_objects(about.live_class)}"
    if about.pinned * _PINNED >= found.amount:
        text += f"; {sizes.plural(about.pinned, 'object')} are pinned (runtime.Pinner) and stay until Unpin"
    if about.sites:
        return f"{text} (by its own heap profile, sampled; `addrspace profile heap` has all of it)."
    if about.profiled:
        return f"{text}; a heap profile (pprof -inuse_space) says who allocated them."
    return f"{text}; no heap profile is kept (a program without runtime/pprof has none)."


_PINNED = 4096  # bytes that a pinned object may hold for pins to be worth a mention


def _site(site: Site, most: int) -> str:
    """ "in main.handle (main.go:35) about 76.2 MiB, 62.1%"; the share alone where more was allocated than
    the `most` that is resident of it."""
    where = site.spot
    line = f" ({os.path.basename(where.file)}:{where.line})" if where.file and where.line else ""
    amount = f"{sizes.size(site.size)}, " if site.size <= most else ""
    return f"in {where.function}{line} about {amount}{sizes.share(site.size, site.whole)}"


def _objects(some: LiveClass) -> str:
    if some.element:
        return f"{sizes.plural(some.objects, 'object')} of {sizes.size(some.element)}"
    if some.objects == 1:
        return f"one object of {sizes.size(some.size)}"
    average = sizes.size(some.size // max(1, some.objects))
    return f"{sizes.plural(some.objects, 'large object')}, {average} each on average"


# What is most of the runtime's own memory, and what that means.
_OF_RUNTIME = {
    BUCKETS: "one for each stack that was ever profiled, never freed: MemProfileRate and the rates of the "
    "block and mutex profiles say how many come",
    FINALIZERS: "one for each object with a finalizer (runtime.SetFinalizer, runtime.Pinner)",
    CLEANUPS: "one for each cleanup that waits for its object (runtime.AddCleanup)",
    WEAK: "one for each object with a weak pointer (weak.Make, unique.Make)",
}


def _runtime(found: Finding, about: Circumstances) -> str:
    text = f"{_much(found, about)} is the runtime's own bookkeeping"
    if about.largest_of_runtime is None:
        return f"{text}; see `addrspace rss --depth 4` for its owners."
    kind, amount = about.largest_of_runtime
    why = f", {_OF_RUNTIME[kind]}" if kind in _OF_RUNTIME else "; see `addrspace rss --depth 4`"
    return f"{text}, {sizes.size(amount)} of it {kind}{why}."


def _allocators(found: Finding, about: Circumstances, allocator: Allocator) -> str:
    name = f"{allocator.name} ({allocator.file})" if allocator.file else allocator.name
    if about.c_heap is not None and about.c_heap.extents:
        text = f"{_much(found, about)} is outside Go, in use in the heap of {name}: live data, or a leak in C"
        return f"{text}. Go's profiles do not see it; jemalloc's own do (MALLOC_CONF=prof:true)."
    text = f"{_much(found, about)} is outside Go, most likely in the heap of {name}, C's allocator here"
    if not allocator.statistics:
        return f"{text}. Go's profiles do not see it; a profiler for C does."
    return f"{text}. How much of that is in use it says itself: {allocator.statistics}."


def _c_heap(found: Finding, about: Circumstances) -> str:
    if about.c_heap is not None and about.c_heap.allocator is not None:
        return _allocators(found, about, about.c_heap.allocator)
    if about.c_heap is None or not about.c_heap.split:
        text = f"{_much(found, about)} is outside Go, in C's heap"
        return f"{text}: Go's profiles and memory limit do not see it; a profiler for C does, or malloc_info."
    text = f"{_much(found, about)} is outside Go, in use in C's heap: live data, or a leak in C"
    return f"{text}. Go's profiles do not see it; a profiler for C, such as heaptrack, says who took it."


def _c_free(found: Finding, about: Circumstances) -> str:
    if about.c_heap is not None and about.c_heap.extents:
        text = f"{_much(found, about)} is free memory that jemalloc keeps for later, no leak"
        return f"{text}: it returns it after dirty_decay_ms, when its threads call it, or by arena.N.purge."
    arenas = about.c_heap.arenas if about.c_heap is not None else 0
    kept = f"kept by C's malloc in {sizes.plural(arenas, 'arena')}"
    text = f"{_much(found, about)} is free memory {kept} for later, no leak"
    less = ", and a small MALLOC_ARENA_MAX keeps less" if arenas > 2 else ""
    return f"{text}: malloc_trim(0) returns its whole pages{less}."


def _mappings(found: Finding, about: Circumstances) -> str:
    text = f"{_much(found, about)} is outside Go, in memory that the program mapped itself (mmap)"
    if about.mapped is not None and ": " in about.mapped.name:
        most = about.mapped
        text += f", {sizes.size(most.figure)} of it {most.name}, {sizes.plural(most.mappings, 'mapping')}"
    return f"{text}; see `addrspace regions foreign resident`."


def _jit(found: Finding, about: Circumstances) -> str:
    text = f"{_much(found, about)} is executable memory without a file: code made at run time (JIT)"
    return f"{text}; see `addrspace regions JIT`."


def _files(found: Finding, about: Circumstances) -> str:
    if not about.resident:
        return f"{_much(found, about)} is mapped files; see `addrspace regions mapped-files`."
    text = f"{_much(found, about)} is pages of mapped files"
    return f"{text}: the kernel can drop clean ones when memory is short; they are no leak by themselves."


def _threads(found: Finding, about: Circumstances) -> str:
    text = f"{_much(found, about)} is stacks of C threads"
    use = about.threads
    if use is not None and about.resident:
        text = f"{_much(found, about)} is stacks of {sizes.plural(use.live, 'C thread')}: "
        text += f"{sizes.size(use.used)} in use, {sizes.size(use.left)} left behind by deeper calls"
        if use.ended:
            text += f", {sizes.size(use.cached)} of {sizes.plural(use.ended, 'thread')} that ended"
        return f"{text}; fewer calls of C at the same time make fewer threads."
    return f"{text}; see `addrspace regions thread-stacks`."


def _race(found: Finding, about: Circumstances) -> str:
    return f"{_much(found, about)} is the race detector's (go build -race)."


def _sanitizer(found: Finding, about: Circumstances) -> str:
    return f"{_much(found, about)} is a sanitizer's records and its own heap (go build -asan or -msan)."


def _returned(found: Finding, about: Circumstances) -> str:
    text = f"{_much(found, about)} has been returned to the OS and is still resident"
    if LOCKED in about.returned:
        text += ": the process has locked it (mlock, mlockall), and the kernel takes nothing that is locked"
        return f"{text}; lock only what must never be swapped, or munlockall."
    if HUGE in about.returned:
        if about.asked_huge:
            return f"{text}: huge pages hold it, which were asked for there (madvise, MADV_HUGEPAGE)."
        return f"{text}: huge pages hold it; see /sys/kernel/mm/transparent_hugepage/enabled."
    if LAZY in about.returned:
        return f"{text}: the kernel takes it when it needs memory (GODEBUG=madvdontneed=0)."
    return f"{text}, for a reason that cannot be seen from here."


def _finalizers(found: Finding, about: Circumstances) -> str:
    queues = about.queued.queues
    count = queues.finalizers if queues is not None else 0
    text = f"{_much(found, about)} is {sizes.plural(count, 'object')} that wait for their finalizer"
    busy = [at_work(one, unicode=False) for one in about.queued.workers if one.work == FINALIZER]
    if not busy:
        return f"{text}, and what these refer to stays too; see `addrspace gc`."
    return f"{text}: {busy[0]}, and finalizers run one after the other; what the objects refer to stays too."


def _locked(found: Finding, about: Circumstances) -> str:
    text = f"{_much(found, about)} is locked in memory (mlock, mlockall)"
    return f"{text}: it is resident, touched or not, and what Go returns of it to the OS stays."


def _memory_limit(found: Finding, about: Circumstances) -> str:
    share = sizes.share(found.amount, found.whole)
    text = f"{sizes.size(found.amount)} is taken of the {sizes.size(found.whole)} ({share}) that its memory"
    text += " cgroup may take, at which the kernel kills"
    group = about.group
    if group is not None and group.kills:
        text += f" ({sizes.plural(group.kills, 'process', 'processes')} of it so far)"
    if group is not None and group.score is not None and group.score <= _NEVER_KILLED:
        text += ", though never this process (oom_score_adj)"
    if about.limit is None:
        return f"{text}; GOMEMLIMIT is not set: some 90% of that would make Go collect before."
    if about.limit > found.whole:
        return f"{text}; GOMEMLIMIT is {sizes.size(about.limit)}, too much to make Go collect before."
    return f"{text}; GOMEMLIMIT is {sizes.size(about.limit)}, and what is not Go's counts here too."


_NEVER_KILLED = -1000  # OOM_SCORE_ADJ_MIN


def _code(found: Finding, about: Circumstances) -> str:
    text = f"{_much(found, about)} is code and data of the program and its libraries"
    return f"{text}, which is as large as they are; what comes from files the kernel can drop and read again."


def _kept(found: Finding, about: Circumstances) -> str:
    keeper = about.keeper
    if keeper is None:
        return f"{_much(found, about)} is kept alive by one root; see `addrspace retained`."
    if keeper.address is not None:
        text = f"{_much(found, about)} is kept alive by {keeper.name}, which several roots hold"
        holders = f"`addrspace holders {keeper.address:#x}` says which"
        return f"{text}, {sizes.plural(keeper.objects, 'object')}; {holders}."
    text = f"{_much(found, about)} is kept alive by {keeper.name} alone"
    return f"{text}, {sizes.plural(keeper.objects, 'object')}; `addrspace retained --depth 2` shows how."


def _nothing(found: Finding, about: Circumstances) -> str:
    whole = "is resident" if about.resident else "is kept"
    text = f"Nothing stands out: {sizes.size(found.whole)} {whole}"
    text += f", the largest part of it, {sizes.size(found.amount)}, is {about.largest}"
    return f"{text}; {_LOOK.get(about.largest, '`addrspace rss --depth 4` has every part')}."


_LOOK = {
    kinds.GO_HEAP: "`addrspace heap` says what is in it",
    kinds.GOROUTINE_STACKS: "`goroutine-stacks --group stack` says whose",
}


def _swapped(found: Finding, about: Circumstances) -> str:
    return (
        f"{sizes.size(found.amount)} more is in swap: RSS leaves it out, and a collection will read it back."
    )


_SENTENCES: Dict[str, Callable[[Finding, Circumstances], str]] = {
    kinds.STACKS: _stacks,
    kinds.FREE_STACKS: _free_stacks,
    kinds.ENDED: _ended,
    kinds.OWN_OBJECTS: _own_objects,
    kinds.FREE_HEAP: _free_heap,
    kinds.GARBAGE: _garbage,
    kinds.FRAGMENTS: _fragments,
    kinds.LIVE: _live,
    kinds.RUNTIME: _runtime,
    kinds.C_HEAP: _c_heap,
    kinds.C_FREE: _c_free,
    kinds.MAPPINGS: _mappings,
    kinds.JIT: _jit,
    kinds.FILES: _files,
    kinds.THREADS: _threads,
    kinds.RACE: _race,
    kinds.SANITIZER: _sanitizer,
    kinds.RETURNED: _returned,
    kinds.LOCKED: _locked,
    kinds.CODE: _code,
    kinds.LIMIT: _memory_limit,
    kinds.KEPT: _kept,
    kinds.NOTHING: _nothing,
    kinds.SWAPPED: _swapped,
    kinds.FINALIZERS: _finalizers,
}
