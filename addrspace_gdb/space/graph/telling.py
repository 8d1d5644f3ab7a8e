"""What the worker is told of the heap: its spans, where their pointer bits are, and where its memory is."""

from __future__ import annotations

from array import array
from itertools import compress
from typing import Dict, List, NamedTuple

from addrspace_gdb.common.messages import Column
from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.goruntime.columns import read_columns
from addrspace_gdb.goruntime.gcbits import green_tea
from addrspace_gdb.goruntime.gctypes import GcTypes
from addrspace_gdb.goruntime.mheap import Arenas
from addrspace_gdb.goruntime.mspan import FAULT_CLASS, IN_USE, PAGE
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.slots import SlotReader
from addrspace_gdb.space.reading.whole import Reading

# Kinds of spans, as worker/scanning.py has them.
_NONE, _IN_SPAN, _HEADER, _LARGE, _ARENA_TWO, _ARENA_ONE = range(6)
_MAX_SLOTS = 1 << 16


class Told(NamedTuple):
    """A message, and the bounds of the heap."""

    header: Dict[str, object]
    columns: Dict[str, Column]
    low: int
    high: int


def tell_heap(reading: Reading, runtime: Runtime, reader: SlotReader) -> Told:
    """The spans of objects that can be. What cannot be is told as a problem, and left out.

    ProblemError and KeyError where this release's pointer bits are not known.
    """
    spans = reading.go.spans.columns
    mask = _possible(runtime, reader, spans["state"])
    rows = {name: array("Q", compress(spans[name], mask)) for name in _NAMES}
    kinds = _kinds(runtime, reader, rows)
    large = _large_types(runtime, rows["address"], kinds)
    columns: Dict[str, Column] = {new: rows[old] for old, new in _NAMES.items()}
    columns.update(kinds=kinds, large_types=large, **_arenas(runtime, reading.go.arenas))
    starts, pages = rows["start"], rows["pages"]
    header: Dict[str, object] = {"word": runtime.word, "order": runtime.order, "tail": _tail(runtime)}
    high = max((start + many * PAGE for start, many in zip(starts, pages)), default=0)
    return Told(header, columns, min(starts, default=0), high)


_NAMES = {
    "start": "starts",
    "pages": "pages",
    "element": "sizes",
    "slots": "slots",
    "freeindex": "freeindex",
    "alloc_bits": "alloc_bits",
    "spanclass": "classes",
    "user": "users",
    "address": "spans",
}
_SHAPE = ("state", "spanclass", "user", "element", "slots", "pages", "freeindex")


def _possible(runtime: Runtime, reader: SlotReader, states: array[int]) -> bytes:
    """1 for the spans whose slots fit into them."""
    spans = reader.columns
    shapes = list(zip(*(spans[name] for name in _SHAPE)))
    fits = {one: _fits(*one) for one in set(shapes)}
    mask = bytes(map(fits.__getitem__, shapes))
    odd = sum(not fits[one] and not _is_nothing(*one[:3]) for one in shapes)
    if odd:
        runtime.problems.add(f"{odd:,} spans have slots that do not fit; their objects are left out")
    return mask


def _fits(state: int, class_: int, user: int, element: int, slots: int, pages: int, freeindex: int) -> bool:
    if _is_nothing(state, class_, user):
        return False
    return 0 < slots < _MAX_SLOTS and element > 0 and slots * element <= pages * PAGE and freeindex <= slots


def _is_nothing(state: int, class_: int, user: int) -> bool:
    """Whether a span has no objects: also a freed user arena."""
    return state != IN_USE or bool(user and class_ == FAULT_CLASS)


def _kinds(runtime: Runtime, reader: SlotReader, rows: Dict[str, array[int]]) -> array[int]:
    """Where the pointer bits of each span's objects are."""
    arena = _arena_kind(runtime)
    shapes = list(zip(rows["spanclass"], rows["element"]))
    kinds = {one: _kind(reader, arena, *one) for one in set(shapes)}
    return array("Q", map(kinds.__getitem__, shapes))


def _kind(reader: SlotReader, arena: int, class_: int, element: int) -> int:
    if class_ & 1:
        return _NONE
    if not reader.headers:
        return arena
    if element <= reader.heap_bits:
        return _IN_SPAN
    return _HEADER if class_ > 1 else _LARGE


def _arena_kind(runtime: Runtime) -> int:
    """Up to Go 1.19 two bits a word, a byte for four of them; then one bit, in words, until Go 1.22."""
    return _ARENA_ONE if runtime.layout("runtime.heapArena").has("noMorePtrs") else _ARENA_TWO


def _large_types(runtime: Runtime, addresses: array[int], kinds: array[int]) -> array[int]:
    """The type of each large object with pointers, 0 for other spans."""
    wanted = array("Q", compress(addresses, map(_LARGE.__eq__, kinds)))
    found = array("Q", bytes(8 * len(addresses)))
    if not wanted:
        return found
    rows = read_columns(
        runtime, wanted, runtime.layout("runtime.mspan"), {"type": "largeType"}, "large objects"
    )
    types = dict(zip(rows["address"], rows["type"]))
    for at in compress(range(len(addresses)), map(_LARGE.__eq__, kinds)):
        found[at] = types.get(addresses[at], 0)
    return found


def _tail(runtime: Runtime) -> int:
    """Bytes between a span's pointer bits and its end: Green Tea's marks."""
    type_ = runtime.target.type("runtime.spanInlineMarkBits") if green_tea(runtime) else None
    return type_.size if type_ is not None else 0


def _arenas(runtime: Runtime, arenas: Arenas) -> Dict[str, array[int]]:
    """Where the bits of each arena are, up to Go 1.21."""
    layout = runtime.layout("runtime.heapArena")
    listed = [one for one in arenas.arenas if one.metadata] if layout.has("bitmap") else []
    bits = layout.locate("bitmap").offset if listed else 0
    dead = layout.locate("noMorePtrs").offset if listed and layout.has("noMorePtrs") else None
    return {
        "arena_starts": array("Q", [one.start for one in listed]),
        "arena_ends": array("Q", [one.end for one in listed]),
        "arena_bits": array("Q", [one.metadata + bits for one in listed]),
        "arena_dead": array("Q", [one.metadata + dead if dead is not None else 0 for one in listed]),
    }


def tell_types(types: GcTypes, addresses: List[int]) -> Dict[str, Column]:
    """The masks of types that the worker met; `words` is 0 for one that cannot be."""
    words, covered, places = array("q"), array("q"), array("q")
    bits = bytearray()
    for address in addresses:
        found = types.at(address)
        words.append(found.words if found is not None else 0)
        covered.append(found.covered if found is not None else 0)
        places.append(len(bits))
        bits += found.mask if found is not None else b""
    return {"words": words, "covered": covered, "places": places, "bits": bytes(bits)}


def tell_memory(runtime: Runtime, address: int, size: int) -> bytes:
    """Memory that the worker cannot read for itself; empty if it cannot be read."""
    try:
        return runtime.target.read(address, size)
    except (UnreadableError, ProblemError):
        return b""
