"""The heap from the outside in: arenas, their metadata, and pages (src/runtime/mheap.go, malloc.go)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, List, NamedTuple, Optional, Tuple

from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.goruntime.mspan import PAGE
from addrspace_gdb.goruntime.record import Record, Runtime
from addrspace_gdb.target.layout import Type

# arenaBaseOffset, src/runtime/malloc.go, all versions: amd64 addresses are offset so that the kernel
# half comes first; the other Linux ports start at 0. Arithmetic is modulo 2^64.
_ARENA_BASE_OFFSET = {"amd64": 0xFFFF800000000000}
_MAX_ARENAS = 1 << 22  # arenaL2Bits: the whole 48-bit space in 64 MiB arenas


class Arena(NamedTuple):
    """One heap arena: its addresses and where the runtime keeps its heapArena metadata (0: unknown)."""

    start: int
    end: int
    metadata: int
    user: bool  # from the arena package (GOEXPERIMENT=arenas), not the ordinary heap


@dataclass
class Arenas:
    """Every arena in address order, and what the index that finds them takes."""

    arenas: List[Arena] = field(default_factory=list)
    size: int = 0  # bytes of address space of one arena
    metadata_size: int = 0  # bytes of one heapArena
    index: List[Tuple[int, int]] = field(default_factory=list)  # (address, size) of each L2 table
    next_arena: Optional[int] = None  # mheap_.curArena.end or the hint after it: where the heap grows next


def base_offset(runtime: Runtime) -> int:
    """arenaBaseOffset of the target's architecture."""
    return arena_base_offset(runtime.target.arch)


def arena_base_offset(arch: str) -> int:
    """arenaBaseOffset of Go's `arch`."""
    return _ARENA_BASE_OFFSET.get(arch, 0)


def read_arenas(runtime: Runtime, heap: Record, user_spans: List[int]) -> Arenas:
    """Read the list of arenas; `user_spans` are starts of user-arena spans, which old lists leave out."""
    layout = runtime.layout("runtime.heapArena")
    pages = layout.locate("spans").type.count
    found = Arenas(size=pages * PAGE, metadata_size=layout.size)
    found.index = _index(heap)
    indexes: Dict[int, bool] = {}
    # Go 1.25 renamed allArenas to heapArenas and lists user arenas apart; before, they are in no list.
    for name, user in (("heapArenas", False), ("userArenaArenas", True), ("allArenas", False)):
        if heap.has(name):
            header = heap.slice(name)
            for index in runtime.slice_words(header, f"mheap_.{name}", _MAX_ARENAS):
                indexes.setdefault(index, user)
    offset, limit = base_offset(runtime), 1 << (8 * runtime.word)
    for start in user_spans:
        indexes.setdefault((start - offset) % limit // found.size, True)
    odd = 0
    for index in sorted(indexes, key=lambda i: (i * found.size + offset) % limit):
        start = (index * found.size + offset) % limit
        if index * found.size >= limit or start + found.size > limit:
            odd += 1
            continue
        found.arenas.append(Arena(start, start + found.size, 0, indexes[index]))
    if odd:
        runtime.problems.add(f"mheap_: {odd} arena indexes are out of range; left out")
    _find_metadata(runtime, heap, found, offset, limit)
    found.next_arena = _next_arena(runtime, heap)
    return found


def _index_type(heap: Record) -> Type:
    """The type of mheap_.arenas: [L1]*[L2]*heapArena."""
    return heap.type.locate("arenas").type


def _index(heap: Record) -> List[Tuple[int, int]]:
    outer = _index_type(heap)
    if outer.element is None or "*" not in outer.element.fields:
        return []
    size = outer.element.fields["*"][1].size
    word, at = heap.runtime.word, heap.type.locate("arenas").offset
    tables = []
    for i in range(outer.count):
        pointer = int.from_bytes(heap.data[at + i * word : at + (i + 1) * word], heap.runtime.order)
        if pointer:
            tables.append((pointer, size))
    return tables


def _find_metadata(runtime: Runtime, heap: Record, found: Arenas, offset: int, limit: int) -> None:
    """Fill in each arena's heapArena address from the L2 table (one L1 entry on every 64-bit Linux)."""
    if not found.index:
        return
    table = found.index[0][0]
    lost = 0
    for i, arena in enumerate(found.arenas):
        index = (arena.start - offset) % limit // found.size
        try:
            found.arenas[i] = arena._replace(metadata=runtime.word_at(table + index * runtime.word))
        except UnreadableError:
            lost += 1
    if lost:
        runtime.problems.add(f"mheap_.arenas: metadata of {lost} arenas cannot be found")


def _next_arena(runtime: Runtime, heap: Record) -> Optional[int]:
    """Where the next arena goes: the current hint's address (mheap_.arenaHints, grows upward unless down)."""
    hint = heap.number("arenaHints")
    try:
        return runtime.record("runtime.arenaHint", hint).number("addr") if hint else None
    except UnreadableError:
        runtime.problems.add("mheap_.arenaHints: cannot be read")
        return None
