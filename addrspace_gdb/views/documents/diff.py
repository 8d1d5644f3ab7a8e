"""A difference as JSON: `diff/1`, as its schema in views/documents/schema says it."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from addrspace_gdb.space.moments.diff import Bytes, Change, ClassChange, Difference, HeapGrowth
from addrspace_gdb.space.moments.diff_goroutines import GoroutineChanges, GroupChange, StackMove
from addrspace_gdb.space.moments.diff_ranges import Flow, Kind, RangeChange
from addrspace_gdb.space.moments.snapshot import Snapshot, What
from addrspace_gdb.views.diff_sentence import sentence
from addrspace_gdb.views.documents.form import target_json

SCHEMA = "diff/1"


def diff_json(diff: Difference) -> Dict[str, Any]:
    """All of it."""
    before, after = diff.before, diff.after
    return {
        "schema": SCHEMA,
        "before": moment_json(before),
        "after": moment_json(after),
        "same_process": diff.same_process,
        "seconds": None if diff.minutes is None else round(60 * diff.minutes, 3),
        "sentence": sentence(diff),
        "total": _bytes(diff.total),
        "areas": [{"area": one.area, **_bytes(one)} for one in diff.areas],
        "kinds": [{"area": one.area, "kind": one.kind, **_bytes(one)} for one in diff.kinds],
        "ranges": [_range(one) for one in diff.ranges],
        "flows": [_flow(one) for one in diff.flows],
        "heap": _heap(diff.heap),
        "spans": None if diff.spans is None else [_span(one) for one in diff.spans],
        "goroutines": _goroutines(diff.goroutines),
        "lacking": list(diff.lacking),
        "notes": list(dict.fromkeys([*before.notes, *after.notes])),
        "problems": list(dict.fromkeys([*before.problems, *after.problems])),
    }


def moment_json(side: Snapshot) -> Dict[str, Any]:
    """Which moment: a snapshot, or a dump in a file. `taken` is in seconds since the epoch."""
    return {
        "name": side.name,
        "origin": side.origin,
        "taken": side.taken,
        "inferior": side.inferior,
        "target": target_json(side.target),
    }


def _bytes(one: Change) -> Dict[str, Any]:
    return {
        "before": _amount(one.before),
        "after": _amount(one.after),
        "size_change": one.size,
        "resident_change": one.resident,
    }


def _amount(one: Bytes) -> Dict[str, Any]:
    return {"size": one.size, "resident": one.resident, "regions": one.regions}


def _what(what: Optional[What]) -> Optional[Dict[str, Any]]:
    return None if what is None else dict(what._asdict())


def _range(one: RangeChange) -> Dict[str, Any]:
    return {
        "start": hex(one.start),
        "end": hex(one.end),
        "size": one.end - one.start,
        "change": "came" if one.was is None else "went" if one.now is None else "became",
        "before": _what(one.was),
        "after": _what(one.now),
        "resident_before": one.was_resident,
        "resident_after": one.now_resident,
    }


def _kind(kind: Optional[Kind]) -> Optional[Dict[str, str]]:
    return None if kind is None else {"area": kind[0], "kind": kind[1]}


def _flow(one: Flow) -> Dict[str, Any]:
    return {"before": _kind(one.was), "after": _kind(one.now), "bytes": one.bytes, "ranges": one.ranges}


def _heap(heap: Optional[HeapGrowth]) -> Optional[Dict[str, Any]]:
    if heap is None:
        return None
    return {"top_before": hex(heap.top_before), "top_after": hex(heap.top_after), "grown_upward": heap.above}


def _span(one: ClassChange) -> Dict[str, Any]:
    made: Dict[str, Any] = {"size": one.size or None, "noscan": one.noscan}
    for name in ("spans", "bytes", "objects"):
        before = getattr(one.before, name) if one.before is not None else 0
        made[name] = {"before": before, "after": before + one.growth(name), "change": one.growth(name)}
    return made


def _goroutines(changes: Optional[GoroutineChanges]) -> Optional[Dict[str, Any]]:
    if changes is None:
        return None
    return {
        "before": changes.before,
        "after": changes.after,
        "born": _goids(changes.born),
        "gone": _goids(changes.gone),
        "moved": None if changes.moved is None else [_move(one) for one in changes.moved],
        "groups": None if changes.groups is None else [_group(one) for one in changes.groups],
    }


def _goids(goids: Optional[List[int]]) -> Optional[List[int]]:
    return None if goids is None else list(goids)


def _move(one: StackMove) -> Dict[str, Any]:
    return {
        "goid": one.goid,
        "before": {"lo": hex(one.was_lo), "hi": hex(one.was_lo + one.was_size), "size": one.was_size},
        "after": {"lo": hex(one.lo), "hi": hex(one.lo + one.size), "size": one.size},
        "function": one.stack.function if one.stack is not None else None,
        "place": one.stack.place if one.stack is not None else None,
    }


def _group(one: GroupChange) -> Dict[str, Any]:
    return {
        "function": one.stack.function,
        "place": one.stack.place,
        "system": one.stack.system,
        "frames": list(one.stack.frames),
        "before": one.before,
        "after": one.after,
        "born": one.born,
        "gone": one.gone,
        "grown": one.grown,
        "stack_bytes_before": one.size_before,
        "stack_bytes_after": one.size_after,
        "born_goids": list(one.born_goids),
        "gone_goids": list(one.gone_goids),
    }
