"""The runtime's own memory outside the heap arenas, each piece by its owner (src/runtime/malloc.go ff.).

Everything here came straight from the OS through sysAlloc or sysReserve; the ranges are rounded up to
whole pages as mmap does. Small runtime structures live inside the persistentalloc chunks.
"""

from __future__ import annotations

from typing import Iterator, List, NamedTuple, Tuple

from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.goruntime.gcbits import EVERY_LIST, chunks
from addrspace_gdb.goruntime.mheap import Arenas
from addrspace_gdb.goruntime.moduledata import modules
from addrspace_gdb.goruntime.proc import Scheduler
from addrspace_gdb.goruntime.record import Record, Runtime
from addrspace_gdb.goruntime.trace import tracer_memory

PERSISTENT_CHUNK = 256 << 10  # persistentChunkSize, src/runtime/malloc.go, all versions
MAX_PERSISTENT = 64 << 10  # maxBlock there: larger requests go to sysAlloc by themselves
_MAX_OWNED = 1 << 46  # bytes of one range


class Owned(NamedTuple):
    """Memory [start, end) that one runtime structure owns; `label` adds detail."""

    start: int
    end: int
    kind: str
    label: str = ""

    def pages(self, page_size: int) -> Tuple[int, int]:
        """[start, end) of the whole pages that it lies in: the kernel gives no less, and what is left of the
        last one is nobody else's. Where a structure ends is not where other memory may begin."""
        return self.start // page_size * page_size, -(-self.end // page_size) * page_size


def read_owned(runtime: Runtime, heap: Record, arenas: Arenas, scheduler: Scheduler) -> List[Owned]:
    """Every piece of runtime memory outside the heap. Damaged structures are told and left out."""
    found: List[Owned] = []
    sources = (
        _arena_index(arenas),
        _page_allocator(runtime, heap),
        _arrays(heap),
        _span_sets(heap),
        _persistent(runtime),
        _mark_bits(runtime),
        _profiler(runtime),
        _span_queues(runtime),
        _getrandom(runtime, scheduler),
        (Owned(start, end, kind) for start, end, kind in tracer_memory(runtime, scheduler)),
        _pointer_masks(runtime),
        _linear(heap),
    )
    for source in sources:
        try:
            found.extend(owned for owned in source if _plausible(runtime, owned))
        except (UnreadableError, ProblemError, KeyError) as error:
            runtime.problems.add(f"runtime memory: {error}; one of its owners is left out")
    return found


def _plausible(runtime: Runtime, owned: Owned) -> bool:
    if 0 < owned.start < owned.end <= 1 << (8 * runtime.word) and owned.end - owned.start <= _MAX_OWNED:
        return True
    if owned.start != owned.end:
        runtime.problems.add(
            f"{owned.kind}: the range {owned.start:#x}-{owned.end:#x} is not plausible; left out"
        )
    return False


def _arena_index(arenas: Arenas) -> Iterator[Owned]:
    """mheap_.arenas' L2 tables, and each arena's heapArena."""
    for address, size in arenas.index:
        yield Owned(address, address + size, "arena index")
    for arena in arenas.arenas:
        if arena.metadata:
            yield Owned(arena.metadata, arena.metadata + arenas.metadata_size, "arena metadata")


def _page_allocator(runtime: Runtime, heap: Record) -> Iterator[Owned]:
    """mheap_.pages: five radix levels reserved whole, chunk bitmaps, the scavenger's index."""
    place = heap.type.locate("pages.summary")
    header = 3 * runtime.word
    for level in range(place.type.count):
        at = heap.address + place.offset + level * header
        data, _, capacity = runtime.words(at, 3, "mheap_.pages.summary") or (0, 0, 0)
        size = capacity * _element_size(runtime, "runtime.pallocSum", 8)  # a uint64
        yield Owned(data, data + size, "page summaries")
    chunks = heap.type.locate("pages.chunks")
    if chunks.type.element is not None and "*" in chunks.type.element.fields:
        size = chunks.type.element.fields["*"][1].size
        pointers = runtime.words(heap.address + chunks.offset, chunks.type.count, "mheap_.pages.chunks")
        for pointer in pointers:
            if pointer:
                yield Owned(pointer, pointer + size, "page bitmaps")
    index = heap.slice("pages.scav.index.chunks")
    # Up to Go 1.20 the elements are bytes, with a bit for each of eight chunks.
    size = index.capacity * _element_size(runtime, "runtime.atomicScavChunkData", 1)
    yield Owned(index.data, index.data + size, "scavenge index")


def _element_size(runtime: Runtime, name: str, otherwise: int) -> int:
    found = runtime.target.type(name)
    return found.size if found is not None and found.size else otherwise


def _arrays(heap: Record) -> Iterator[Owned]:
    """Arrays that outgrew persistentalloc or never used it."""
    word = heap.runtime.word
    spans = heap.slice("allspans")
    yield Owned(spans.data, spans.data + spans.capacity * word, "span list")
    for name in ("allArenas", "heapArenas", "userArenaArenas"):
        if heap.has(name):
            header = heap.slice(name)
            if header.capacity * word > MAX_PERSISTENT:
                yield Owned(header.data, header.data + header.capacity * word, "arena list")
    ranges = heap.slice("pages.inUse.ranges")
    if ranges.capacity * 2 * word > MAX_PERSISTENT:
        yield Owned(ranges.data, ranges.data + ranges.capacity * 2 * word, "page ranges")


def _span_sets(heap: Record) -> Iterator[Owned]:
    """Spines of the central lists' spanSets (src/runtime/mspanset.go) that are too large for a chunk."""
    word = heap.runtime.word
    for central in heap.elements("central"):
        for name in ("mcentral.partial", "mcentral.full"):
            for spans in central.elements(name):
                size = spans.number("spineCap") * word
                if size > MAX_PERSISTENT:
                    spine = spans.number("spine.p", "spine")
                    yield Owned(spine, spine + size, "span set")


def _persistent(runtime: Runtime) -> Iterator[Owned]:
    for chunk in persistent_chunks(runtime):
        yield Owned(chunk, chunk + PERSISTENT_CHUNK, "persistent allocations")


def persistent_chunks(runtime: Runtime) -> Iterator[int]:
    """persistentalloc's chunks; the first word of each links to the one before."""
    first = runtime.global_word("runtime.persistentChunks")
    return runtime.chain(first, 0, "runtime.persistentChunks")


def _mark_bits(runtime: Runtime) -> Iterator[Owned]:
    """gcBitsArenas' four lists (src/runtime/mheap.go): mark and allocation bits of spans."""
    for chunk, size in chunks(runtime, EVERY_LIST):
        yield Owned(chunk, chunk + size, "mark bits")


def _profiler(runtime: Runtime) -> Iterator[Owned]:
    """The hash table of profile buckets (src/runtime/mprof.go)."""
    table = runtime.global_word("runtime.buckhash")
    if table:
        size = _element_size(runtime, "runtime.buckhashArray", 179999 * runtime.word)  # buckHashSize
        yield Owned(table, table + size, "profile buckets")


def _span_queues(runtime: Runtime) -> Iterator[Owned]:
    """Rings of the Green Tea collector's span queues (src/runtime/mgcmark_greenteagc.go, Go 1.26)."""
    if not runtime.has("runtime.work"):  # a core without the program's code, and no collection in it
        return
    work = runtime.variable("runtime.work")
    if not work.has("spanSPMCs.list") or not work.number("spanSPMCs.list.obj"):
        return  # with GOEXPERIMENT=nogreenteagc the list is there, empty, and spanSPMC has no fields
    layout = runtime.layout("runtime.spanSPMC")
    # listHeadManual holds the address of the object, and its nodes those of objects (list_manual.go).
    follow = layout.locate("allnode").offset + runtime.layout("runtime.listNodeManual").scalar("next").offset
    for address in runtime.chain(work.number("spanSPMCs.list.obj"), follow, "work.spanSPMCs"):
        queue = Record(runtime, layout, address)
        ring = queue.number("ring")
        yield Owned(ring, ring + queue.number("cap") * runtime.word, "span queue")


def _getrandom(runtime: Runtime, scheduler: Scheduler) -> Iterator[Owned]:
    """Pages of the vDSO getrandom states (src/runtime/vgetrandom_linux.go, Go 1.24)."""
    if not runtime.has("runtime.vgetrandomAlloc"):
        return
    alloc = runtime.variable("runtime.vgetrandomAlloc")
    states, size = alloc.slice("states"), alloc.number("stateSize")
    known = list(runtime.slice_words(states, "vgetrandomAlloc.states", 1 << 20))
    for state in known + [m.vgetrandom for m in scheduler.ms]:
        if state:
            yield Owned(state & -4096, state + max(1, size), "getrandom states")


def _pointer_masks(runtime: Runtime) -> Iterator[Owned]:
    """GC masks of very large data and bss segments (progToPointerMask, src/runtime/mbitmap.go)."""
    for module in modules(runtime.target, runtime.problems):
        for mask in (module.gcdatamask, module.gcbssmask):
            if mask is not None:
                size = -(-mask.length // 8) + 1
                if size > MAX_PERSISTENT:
                    yield Owned(mask.address, mask.address + size, "pointer masks")


def _linear(heap: Record) -> Iterator[Owned]:
    """32-bit only: arenas and their metadata come from one reservation each (linearAlloc)."""
    for name, kind in (("heapArenaAlloc", "arena metadata"), ("arena", "heap reservation")):
        linear = heap.sub(name)
        base, end = -(-linear.number("next") // 4096) * 4096, linear.number("end")
        if base and end > base:
            yield Owned(base, end, kind, "reserved")
