"""One moment of a process as the page has it: what is small as JSON, what is long as packed columns."""

from __future__ import annotations

import time
from operator import sub
from typing import Any, Dict, List, NamedTuple, Optional

from addrspace_gdb.goruntime.slots import SlotReader
from addrspace_gdb.space.heap.summary import Heap
from addrspace_gdb.space.moments.snapshot import GoroutineTable, Regions, Snapshot
from addrspace_gdb.space.reading.goroutines import GoroutineReading
from addrspace_gdb.space.reading.whole import Reading
from addrspace_gdb.space.regions.model import AddressSpace
from addrspace_gdb.views.documents.form import addrspace_json, target_json
from addrspace_gdb.views.kit.text import as_spoken
from addrspace_gdb.views.web.heap import heap_part, types_part
from addrspace_gdb.views.web.pack import Packed
from addrspace_gdb.views.web.stacks import pieces_part, stacks_part


class Moment(NamedTuple):
    """A moment: its JSON and the columns that go with it."""

    document: Dict[str, Any]
    packed: Packed


class Parts(NamedTuple):
    """What was read and worked out of a process; the parts that are None could not be, or were not asked."""

    space: AddressSpace
    reading: Reading
    heap: Optional[Heap]
    slots: Optional[SlotReader]
    goroutines: Optional[GoroutineReading]
    rss: Optional[Dict[str, Any]]  # rss/1
    types: Optional[Dict[str, Any]]  # types/1
    retained: Optional[Dict[str, Any]]  # retained/1
    sites: Optional[List[Dict[str, Any]]]
    taken: Optional[float]  # seconds since the epoch
    span_types: Optional[Dict[int, Optional[str]]]  # of most objects, by where a span starts; None: not known


def moment_of(parts: Parts) -> Moment:
    """The moment that was read."""
    packed = Packed()
    whole = addrspace_json(parts.space)
    for long in ("regions", "mappings", "schema", "unmapped"):
        del whole[long]
    document: Dict[str, Any] = {
        **whole,
        "name": _name(parts),
        "taken": stamp(parts.taken),
        "regions": regions_part(Regions(parts.space.regions), packed),
        "gc_phase": parts.reading.go.gc_phase,
        "selected": parts.space.picture.selected,
        "commands": commands(),
        "rss": parts.rss and {**parts.rss, "findings": list(map(_spoken, parts.rss["findings"]))},
        "types": parts.types,
        "retained": parts.retained,
        "sites": parts.sites,
        "heap": None,
        "goroutine_stacks": None,
    }
    if parts.heap is not None and parts.slots is not None:
        document["heap"] = heap_part(parts.heap, parts.slots, parts.reading.residency, packed)
        if parts.span_types is not None:
            document["heap"]["types"] = types_part(parts.slots.columns, parts.span_types, packed)
    if parts.goroutines is not None:
        document["goroutine_stacks"] = stacks_part(parts.goroutines, packed)
        document["pieces"] = pieces_part(parts.goroutines, packed)
    document["columns"] = packed.columns
    return Moment(document, packed)


_COMMANDS = ("whereis", "regions", "spans", "goroutine-stacks")


def commands() -> Dict[str, str]:
    """How the commands that the page gives to copy are typed where it was made."""
    names = {one: one if one == "goroutine-stacks" else f"addrspace {one}" for one in _COMMANDS}
    return {one: as_spoken(f"`{name}`").strip("`") for one, name in names.items()}


def _spoken(finding: Dict[str, Any]) -> Dict[str, Any]:
    return {**finding, "sentence": as_spoken(finding["sentence"])}


def _name(parts: Parts) -> str:
    info = parts.space.target
    return f"pid {info.pid or '?'}" if info.kind == "live" else f"{info.kind} of pid {info.pid or '?'}"


def stamp(seconds: Optional[float]) -> Optional[str]:
    """Seconds since the epoch as a text; None stays None."""
    return None if seconds is None else time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(seconds))


def regions_part(regions: Regions, packed: Packed) -> List[List[Optional[str]]]:
    """What regions can be; where they are goes into the columns. Of resident bytes 0 is not known, 1 none."""
    packed.add("region.start", regions.starts, delta=True)
    packed.add("region.size", map(sub, regions.ends, regions.starts))
    packed.add("region.resident", (resident + 1 for resident in regions.residents))
    packed.add("region.what", regions.ids)
    return [list(what) for what in regions.whats]


def moment_of_dump(snapshot: Snapshot) -> Moment:
    """A moment that `addrspace-gdb dump --format json` wrote: regions, classes and stacks, no spans."""
    packed = Packed()
    document: Dict[str, Any] = {
        "target": target_json(snapshot.target),
        "name": snapshot.name,
        "taken": stamp(snapshot.taken),
        "regions": regions_part(snapshot.regions, packed),
        "areas": _areas(snapshot.regions),
        "goroutines": None,
        "memstats": snapshot.memstats,
        "spans": None if snapshot.spans is None else [one._asdict() for one in snapshot.spans],
        "notes": snapshot.notes,
        "problems": snapshot.problems,
        "checks": [],
        "commands": commands(),
        "heap": None,
        "goroutine_stacks": None,
    }
    if snapshot.goroutines is not None:
        document["goroutines"] = {"total": len(snapshot.goroutines), "by_status": {}}
        document["goroutine_stacks"] = _stacks(snapshot.goroutines)
    document["columns"] = packed.columns
    return Moment(document, packed)


def _areas(regions: Regions) -> List[Dict[str, Any]]:
    """What each area adds up to."""
    found: Dict[str, List[Optional[int]]] = {}
    for region in regions:
        sums = found.setdefault(region.area, [0, 0])
        sums[0] = (sums[0] or 0) + region.size
        sums[1] = None if sums[1] is None or region.resident is None else sums[1] + region.resident
    return [{"area": area, "size": size, "resident": there} for area, (size, there) in found.items()]


def _stacks(table: GoroutineTable) -> Optional[Dict[str, Any]]:
    """The stacks of a dump that has them."""
    if table.stacks is None:
        return None
    texts: Dict[str, int] = {}
    told: List[Dict[str, Any]] = [
        {
            "frames": [texts.setdefault(_tabbed(frame), len(texts)) for frame in reversed(stack.frames)],
            "function": stack.function,
            "system": stack.system,
            "count": 0,
            "size": 0,
            "used": None,
            "resident": None,
            "states": {},
        }
        for stack in table.stacks
    ]
    for number, size in zip(table.ids, table.sizes):
        told[number]["count"] += 1
        told[number]["size"] += size
    return {"texts": list(texts), "stacks": told, "left_out": "a dump does not list single goroutines"}


def _tabbed(frame: str) -> str:
    """ "FUNCTION FILE:LINE" with a tab between the two."""
    function, _, place = frame.rpartition(" ")
    return f"{function}\t{place}"
