"""Spans one by one: filtered and sorted for a table, or a single one with its slots."""

from __future__ import annotations

from operator import itemgetter
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

from addrspace_gdb.common.gcpause import no_cycle_collection
from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.goruntime.mspan import IN_USE, MANUAL
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.sizeclasses import PAGE_SHIFT
from addrspace_gdb.goruntime.slotcount import Parts
from addrspace_gdb.goruntime.slots import (
    CACHED,
    CACHED_UNSWEPT,
    FIELDS,
    SWEEP_STATES,
    SWEEPING,
    UNSWEPT,
    Masks,
    SlotReader,
    SpanRow,
    malloc_header,
    popcount,
    span_of,
)
from addrspace_gdb.space.reading.whole import Reading
from addrspace_gdb.target.protocol import Target

SMALL, LARGE, USER_ARENA, FREED_ARENA, STACK, OTHER = (
    "small objects",
    "large object",
    "user arena",
    "freed user arena",
    "stacks",
    "GC work",
)
KINDS = {
    "small": SMALL,
    "large": LARGE,
    "user-arena": USER_ARENA,
    "freed-arena": FREED_ARENA,
    "stacks": STACK,
    "other": OTHER,
}
STATES = (*KINDS, "unswept", "cached")


class Span(NamedTuple):
    """One span. Counts of slots are None where the span has none or they cannot be known."""

    address: int  # of the mspan
    row: SpanRow
    kind: str
    sweep: str  # "swept", "cached", "not swept" ...; empty for what is never swept
    objects: Optional[Parts]
    waste: Optional[int]  # bytes behind the last slot
    resident: Optional[int]
    problem: Optional[str]

    @property
    def slotted(self) -> bool:
        """Whether it holds slots for objects."""
        return self.kind in (SMALL, LARGE, USER_ARENA)


class Slot(NamedTuple):
    """The slot that an address lies in."""

    number: int
    base: int  # address of the slot
    offset: int  # of the address asked for in the slot
    state: str  # "live", "since", "dead", "free", as in Parts
    marked: bool  # by the collection that runs, or by the last one where the span is not swept
    header: int  # bytes at its beginning that are the runtime's (malloc header); the object follows


class SpanCard(NamedTuple):
    """One span in full. `slot` is None behind the last slot, and where there are no slots."""

    asked: int
    span: Span
    masks: Optional[Masks]
    marked: int
    slot: Optional[Slot]


class Filter(NamedTuple):
    """Which spans; everything given must hold, states are alternatives."""

    size_class: Optional[int] = None
    states: Tuple[str, ...] = ()
    noscan: Optional[bool] = None
    min_size: int = 0
    low: int = 0
    high: int = 1 << 64


class Chosen(NamedTuple):
    """The spans that a filter leaves: their mspans' addresses in order, and what they add up to."""

    addresses: List[int]
    size: int
    slots: int
    used: int  # slots, by allocCount


_PAGES = FIELDS.index("npages")


def _used(row: Tuple[int, ...]) -> int:
    _, _, _, _, _, _, _, allocated, _, _, _, element, _ = row
    return -allocated * element


def _free(row: Tuple[int, ...]) -> int:
    _, _, _, slots, _, _, _, allocated, _, _, _, element, _ = row
    return -(slots - allocated) * element


# Of the fields of a SpanRow, which are not made into one here: there may be half a million.
SORTS: Dict[str, Callable[[Tuple[int, ...]], int]] = {
    "address": itemgetter(FIELDS.index("startAddr")),
    "size": lambda row: -row[_PAGES],
    "used": _used,
    "free": _free,
}  # the largest first


class SpanReader:
    """Spans of one reading; `target` must be where the reading left it."""

    def __init__(self, reading: Reading, target: Target) -> None:
        self._reading = reading
        self._runtime = Runtime(target, reading.problems)
        self._slots = SlotReader(self._runtime, reading.go.spans)

    def choose(self, which: Filter, sort: str) -> Chosen:
        """The spans that `which` leaves, sorted."""
        key, keep = SORTS[sort], self._keeper(which)
        found: List[Tuple[int, int]] = []
        size = slots = used = 0
        with no_cycle_collection():
            for address, row in self._slots.rows((IN_USE, MANUAL)):
                if keep(row):
                    _, pages, _, count, _, _, _, allocated, _, state, _, _, _ = row
                    found.append((key(row), address))
                    size += pages << PAGE_SHIFT
                    if state == IN_USE:
                        slots += count
                        used += allocated
            found.sort()
        return Chosen([address for _, address in found], size, slots, used)

    def _keeper(self, which: Filter) -> Callable[[Tuple[int, ...]], bool]:
        """A test of a SpanRow's fields."""
        kinds = {KINDS[state] for state in which.states if state in KINDS}
        unswept, cached = "unswept" in which.states, "cached" in which.states

        def keep(row: Tuple[int, ...]) -> bool:
            start, pages, _, _, _, _, sweepgen, _, class_, state, _, _, _ = row
            size = pages << PAGE_SHIFT
            if not which.low < start + size or start >= which.high or size < which.min_size:
                return False
            in_use = state == IN_USE
            if which.size_class is not None and not (in_use and class_ >> 1 == which.size_class):
                return False
            if which.noscan is not None and not (in_use and bool(class_ & 1) == which.noscan):
                return False
            if not which.states or kind_of(row) in kinds:
                return True
            sweep = (sweepgen - self._slots.generation) & 0xFFFFFFFF
            if unswept and in_use and sweep in (UNSWEPT, SWEEPING, CACHED_UNSWEPT):
                return True
            return cached and in_use and sweep in (CACHED, CACHED_UNSWEPT)

        return keep

    def span(self, address: int) -> Span:
        """The span of the mspan at `address`. Raises UnreadableError."""
        row = self._slots.read(address)
        resident = self._reading.residency.resident(row.start, row.end)
        kind = kind_of(row)
        if kind not in (SMALL, LARGE, USER_ARENA):
            return Span(address, row, kind, "", None, None, resident, None)
        wrong = self._slots.impossible(row)
        sweep = SWEEP_STATES.get(self._slots.state(row), "?")
        masks = self._slots.masks(row) if wrong is None else None
        if masks is None:
            why = wrong or "its bits cannot be read"
            return Span(address, row, kind, sweep, None, None, resident, why)
        live, since, dead = map(popcount, masks)
        objects = Parts(live, since, dead, row.slots - live - since - dead)
        return Span(address, row, kind, sweep, objects, row.size - row.slots * row.element, resident, None)

    def card(self, asked: int) -> SpanCard:
        """The span that holds an address. ProblemError if none does."""
        try:
            address = span_of(self._runtime, self._reading.go.arenas, asked)
            row = self._slots.read(address) if address else None
        except UnreadableError as error:
            raise ProblemError(f"the span of {asked:#x} cannot be found: {error}") from None
        if (
            address is None
            or row is None
            or row.state not in (IN_USE, MANUAL)
            or not row.start <= asked < row.end
        ):
            raise ProblemError(
                f"{asked:#x} is in no span (`addrspace regions {asked:#x}` says what is there)"
            )
        span = self.span(address)
        masks = self._slots.masks(row) if span.objects is not None else None
        marked = (self._slots.marked(row) or 0) if masks is not None else 0
        return SpanCard(asked, span, masks, marked, self._slot(asked, row, masks, marked))

    def _slot(self, asked: int, row: SpanRow, masks: Optional[Masks], marked: int) -> Optional[Slot]:
        if masks is None:
            return None
        index, offset = divmod(asked - row.start, row.element)
        if index >= row.slots:
            return None
        state = next((name for name, mask in zip(Masks._fields, masks) if mask >> index & 1), "free")
        header = malloc_header(self._slots, row)
        return Slot(index, asked - offset, offset, state, bool(marked >> index & 1), header)


def kind_of(row: Tuple[int, ...]) -> str:
    """What a span with these fields (a SpanRow's) is for."""
    _, _, _, _, _, _, _, _, class_, state, user, element, _ = row
    if state == MANUAL:
        return STACK if element else OTHER
    if user:
        return FREED_ARENA if class_ == 1 else USER_ARENA
    return SMALL if class_ > 1 else LARGE
