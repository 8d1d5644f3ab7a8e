"""The heap as a whole: spans by state, objects by size class, large objects, free runs, the page map."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional

from addrspace_gdb.common.gcpause import no_cycle_collection
from addrspace_gdb.goruntime.own_objects import Own, read_own_objects
from addrspace_gdb.goruntime.own_slots import OwnKind, OwnSlots, by_kind, count_own
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.slotcount import Slots, count_slots
from addrspace_gdb.goruntime.slots import SlotReader
from addrspace_gdb.space.heap.pages import (
    RESERVED,
    USES,
    ArenaUse,
    FreeRuns,
    UseRun,
    arena_uses,
    free_runs,
    page_runs,
)
from addrspace_gdb.space.reading.cached import cached
from addrspace_gdb.space.reading.whole import Reading
from addrspace_gdb.space.regions.model import TargetInfo
from addrspace_gdb.target.protocol import Target


class SpanState(NamedTuple):
    """Spans of one state: how many, their bytes, and the resident ones of them."""

    state: str
    spans: int
    size: Optional[int]  # None: objects of the runtime that stand for no memory
    resident: Optional[int]


class Heap(NamedTuple):
    """Everything `addrspace heap` shows."""

    info: TargetInfo
    arenas: List[ArenaUse]
    uses: Dict[str, int]  # bytes of all arenas by use
    resident: Dict[str, Optional[int]]
    states: List[SpanState]
    slots: Slots
    own: List[OwnKind]  # of the objects those that are the runtime's
    free: FreeRuns
    pages: List[UseRun]
    gc_phase: Optional[str]
    notes: List[str]
    problems: List[str]

    @property
    def grown(self) -> int:
        """Bytes that the heap has grown into: all but what is only reserved."""
        return sum(size for use, size in self.uses.items() if use != RESERVED)


def heap_of(reading: Reading, target: Target) -> Heap:
    """The heap of a reading: nothing more is read of `target` if the slots were gathered."""
    with no_cycle_collection():
        slots, own = slots_of(reading, target), by_kind(own_of(reading, target))
        go = reading.go
        pages = page_runs(go)
        arenas = arena_uses(go.arenas.arenas, pages, reading.residency)
        uses = {use: sum(arena.uses[use] for arena in arenas) for use in USES}
        resident: Dict[str, Optional[int]] = {
            use: _sum([reading.residency.resident(run.start, run.end) for run in pages if run.use == use])
            for use in USES
        }
        states = _states(reading, slots, pages)
    notes = [*_notes(slots, go.gc_phase), *reading.residency.notes, *reading.problems.left_out]
    if reading.residency.reason:
        notes.append(reading.residency.reason)
    problems = list(reading.problems)
    return Heap(
        reading.info,
        arenas,
        uses,
        resident,
        states,
        slots,
        own,
        free_runs(pages, go.pages.padding),
        pages,
        go.gc_phase,
        notes,
        problems,
    )


def gather_slots(reading: Reading, target: Target) -> SlotReader:
    """Read every bit of the object slots, and what leads to the runtime's own objects: `target` must be where
    the reading left it.

    Raises UnreadableError, ProblemError and KeyError where the runtime's books cannot be read.
    """

    def read() -> SlotReader:
        reader = SlotReader(Runtime(target, reading.problems), reading.go.spans)
        reader.gather()
        return reader

    found = cached(reading, gather_slots, read)
    gather_own(reading, target)
    return found


def gather_own(reading: Reading, target: Target) -> Own:
    """What leads to the runtime's own objects, read once. Raises as `gather_slots`."""
    runtime = Runtime(target, reading.problems)
    return cached(reading, gather_own, lambda: read_own_objects(runtime, reading.go))


def slots_of(reading: Reading, target: Target) -> Slots:
    """Object slots of the reading, counted once. Raises as `gather_slots`."""
    resident = reading.residency.resident_runs if reading.residency.known else None
    reader = gather_slots(reading, target)
    return cached(reading, slots_of, lambda: count_slots(reader, reading.go.spans, resident))


def own_of(reading: Reading, target: Target) -> List[OwnSlots]:
    """Slots of the runtime's own objects, counted once. Raises as `gather_slots`."""
    reader, own = gather_slots(reading, target), gather_own(reading, target)
    resident = reading.residency.resident_runs if reading.residency.known else None
    return cached(reading, own_of, lambda: count_own(reader, reading.go.spans, own, resident))


def pinned_of(reading: Reading, target: Target) -> int:
    """How many objects a runtime.Pinner holds. Raises as `gather_slots`."""
    reader = gather_slots(reading, target)
    return cached(reading, pinned_of, reader.count_pinned)


def swapped_own(reading: Reading, target: Target) -> List[OwnSlots]:
    """The same with what of them is in swap as `resident`."""
    reader, own = gather_slots(reading, target), gather_own(reading, target)
    return count_own(reader, reading.go.spans, own, reading.residency.swapped_runs)


def _sum(parts: List[Optional[int]]) -> Optional[int]:
    return None if None in parts else sum(part or 0 for part in parts)


def _states(reading: Reading, slots: Slots, pages: List[UseRun]) -> List[SpanState]:
    spans = reading.go.spans
    rows = []
    for name, wanted in (
        ("small objects", [c for c in slots.classes if c.size_class]),
        ("large objects", [c for c in slots.classes if not c.size_class and not c.user]),
        ("user arenas", [c for c in slots.classes if c.user]),
    ):
        resident = _sum([c.resident.total if c.resident is not None else None for c in wanted])
        rows.append(SpanState(name, sum(c.spans for c in wanted), sum(c.size for c in wanted), resident))
    stacks = [span for span in spans.manual if span.element]
    others = [span for span in spans.manual if not span.element]
    count = reading.residency.resident
    for name, manual in (("stacks", stacks), ("GC work buffers and the like", others)):
        resident = _sum([count(span.start, span.start + span.size) for span in manual])
        rows.append(SpanState(name, len(manual), sum(span.size for span in manual), resident))
    freed, size = slots.quarantined
    rows.append(SpanState("freed user arenas", freed, size, None))
    dead = spans.total - spans.in_use - len(spans.manual) - freed
    rows.append(SpanState("not in use", dead, None, None))
    return [row for row in rows if row.spans]


def _notes(slots: Slots, phase: Optional[str]) -> List[str]:
    notes = []
    if slots.unswept:
        notes.append(
            f"the collector is sweeping: {slots.unswept:,} spans are not swept yet; "
            "what it found dead in them counts as allocated in MemStats until they are"
        )
    if phase is not None and phase != "off":
        notes.append(f"the collector is in its phase {phase}: live is what the collection before it found")
    if slots.transit[0]:
        notes.append(
            f"{slots.transit[0]:,} objects are being allocated at this moment: their slots are taken, "
            "MemStats does not have them yet"
        )
    return notes
