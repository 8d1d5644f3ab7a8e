"""`heap/1` and `arenas/1`: the heap's JSON, as the schemas in views/documents/schema say it."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence

from addrspace_gdb.goruntime.slotcount import ClassSlots, Large, Parts
from addrspace_gdb.space.heap.pages import ArenaUse
from addrspace_gdb.space.heap.summary import Heap
from addrspace_gdb.space.regions.model import TargetInfo
from addrspace_gdb.space.rss.sites import Site, Sites
from addrspace_gdb.views.documents.form import target_json

HEAP_SCHEMA = "heap/1"
ARENAS_SCHEMA = "arenas/1"


def heap_json(
    heap: Heap, sites: Optional[Sites] = None, types: Optional[Mapping[int, str]] = None
) -> Dict[str, Any]:
    """Everything `addrspace heap` knows; `types` are names of large objects' types, by where those start."""
    slots = heap.slots
    return {
        "schema": HEAP_SCHEMA,
        "target": target_json(heap.info),
        "gc_phase": heap.gc_phase,
        "uses": [
            {"use": use, "size": size, "resident": heap.resident[use]} for use, size in heap.uses.items()
        ],
        "spans": [state._asdict() for state in heap.states],
        "objects": parts_json(slots.objects),
        "bytes": parts_json(slots.bytes),
        "resident": parts_json(slots.resident),
        "runtime_objects": [one._asdict() for one in heap.own],
        "classes": [_class(one) for one in slots.classes],
        "large": [_large(one, (types or {}).get(one.start)) for one in slots.large],
        "sites": None if sites is None else [_site(one) for one in sites.top],
        "free_runs": _free(heap),
        "arenas": [arena_json(arena) for arena in heap.arenas],
        "pages": [{"start": hex(r.start), "end": hex(r.end), "use": r.use} for r in heap.pages],
        "notes": heap.notes,
        "problems": heap.problems,
    }


def parts_json(parts: Optional[Parts]) -> Optional[Dict[str, int]]:
    """The parts by name."""
    return None if parts is None else dict(parts._asdict())


def _class(one: ClassSlots) -> Dict[str, Any]:
    return {
        "class": one.size_class,
        "noscan": one.noscan,
        "user_arena": one.user,
        "object_size": one.element or None,
        "spans": one.spans,
        "size": one.size,
        "slots": one.slots,
        "objects": parts_json(one.objects),
        "bytes": parts_json(one.bytes),
        "resident": parts_json(one.resident),
    }


def _site(one: Site) -> Dict[str, Any]:
    where = one.spot
    place = {"function": where.function, "file": where.file, "line": where.line}
    return {**place, "bytes": one.size, "of": one.whole}


def _large(one: Large, type_: Optional[str]) -> Dict[str, Any]:
    return {
        "address": hex(one.start),
        "size": one.used,
        "span": one.size,
        "noscan": one.noscan,
        "user_arena": one.user,
        "state": one.part,
        "type": type_,
    }


def _free(heap: Heap) -> Dict[str, Any]:
    free, longest = heap.free, heap.free.longest
    return {
        "runs": free.runs,
        "size": free.size,
        "longest": None if longest is None else {"start": hex(longest.start), "size": longest.size},
        "by_length": [
            {"pages": one.pages, "runs": one.runs, "size": one.size, "returned": one.returned}
            for one in free.by_length
        ],
    }


def arena_json(arena: ArenaUse) -> Dict[str, Any]:
    """One arena."""
    return {
        "start": hex(arena.arena.start),
        "end": hex(arena.arena.end),
        "size": arena.size,
        "user": arena.arena.user,
        "resident": arena.resident,
        "uses": arena.uses,
        "metadata": hex(arena.arena.metadata) if arena.arena.metadata else None,
    }


def arenas_json(info: TargetInfo, arenas: Sequence[ArenaUse], problems: List[str]) -> Dict[str, Any]:
    """The document of `addrspace arenas`."""
    return {
        "schema": ARENAS_SCHEMA,
        "target": target_json(info),
        "arenas": [arena_json(arena) for arena in arenas],
        "problems": problems,
    }
