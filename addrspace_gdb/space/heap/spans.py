"""Spans one by one: filtered and sorted for a table, or a single one with its slots."""

from __future__ import annotations

from itertools import compress
from operator import add, mul, sub
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.common.gcpause import no_cycle_collection
from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.goruntime.columns import Columns
from addrspace_gdb.goruntime.mspan import IN_USE, MANUAL, PAGE
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.sizeclasses import PAGE_SHIFT
from addrspace_gdb.goruntime.slotcount import Parts
from addrspace_gdb.goruntime.slots import (
    CACHED,
    CACHED_UNSWEPT,
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


class SpanFilter(NamedTuple):
    """Which spans; everything given must hold, states are alternatives."""

    size_class: Optional[int] = None
    states: Tuple[str, ...] = ()
    noscan: Optional[bool] = None
    min_size: int = 0
    low: int = 0
    high: int = 1 << 64


_TOLD_BY = ("spanclass", "state", "user", "element", "sweepgen")  # the arguments of _keeps


class ChosenSpans(NamedTuple):
    """The spans that a filter leaves: their mspans' addresses in order, and what they add up to."""

    addresses: List[int]
    size: int
    slots: int
    used: int  # slots, by allocCount


Keys = Callable[[Columns], Sequence[int]]


def _used(spans: Columns) -> List[int]:
    return list(map(mul, spans["allocated"], spans["element"]))


def _free(spans: Columns) -> List[int]:
    return list(map(mul, map(sub, spans["slots"], spans["allocated"]), spans["element"]))


# What to sort by; the largest first, but for addresses.
SORTS: Dict[str, Keys] = {
    "address": lambda spans: spans["start"],
    "size": lambda spans: spans["pages"],
    "used": _used,
    "free": _free,
}


class SpanReader:
    """Spans of one reading; `target` must be where the reading left it."""

    def __init__(self, reading: Reading, target: Target) -> None:
        self._reading = reading
        self._runtime = Runtime(target, reading.problems)
        self._slots = SlotReader(self._runtime, reading.go.spans)

    def choose(self, which: SpanFilter, sort: str) -> ChosenSpans:
        """The spans that `which` leaves, sorted; those that are equal in it by their mspans' addresses."""
        spans = self._reading.go.spans.columns
        with no_cycle_collection():
            rows = self._rows(which)
            in_use = list(compress(rows, map(IN_USE.__eq__, map(spans["state"].__getitem__, rows))))

            def total(name: str, some: Sequence[int]) -> int:
                return sum(map(spans[name].__getitem__, some))

            size, slots, used = total("pages", rows), total("slots", in_use), total("allocated", in_use)
            keys = SORTS[sort](spans)
            rows = sorted(rows, key=keys.__getitem__, reverse=sort != "address")
            addresses = list(map(spans["address"].__getitem__, rows))
        return ChosenSpans(addresses, size << PAGE_SHIFT, slots, used)

    def _rows(self, which: SpanFilter) -> Sequence[int]:
        """Positions of the spans that `which` leaves. Whole columns say it, and few values are in most."""
        spans = self._reading.go.spans.columns
        rows: Sequence[int] = range(len(spans["address"]))
        if which.low or which.high < 1 << 64:
            ends = map(add, spans["start"], map(PAGE.__mul__, spans["pages"]))
            bounds = zip(spans["start"], ends)
            rows = [at for at, (start, end) in enumerate(bounds) if which.low < end and start < which.high]
        if which.min_size:
            pages = -(-which.min_size >> PAGE_SHIFT)
            rows = list(compress(rows, map(pages.__le__, map(spans["pages"].__getitem__, rows))))
        if which.size_class is not None or which.noscan is not None or which.states:
            columns = [spans[name] for name in _TOLD_BY]
            kept = {one: self._keeps(which, *one) for one in set(zip(*columns))}
            masks = list(map(kept.__getitem__, zip(*columns)))
            rows = list(compress(rows, map(masks.__getitem__, rows)))
        return rows

    def _keeps(
        self, which: SpanFilter, class_: int, state: int, user: int, element: int, sweepgen: int
    ) -> bool:
        """Whether a span with those fields is of the class and in the state that `which` asks for."""
        in_use = state == IN_USE
        if which.size_class is not None and not (in_use and class_ >> 1 == which.size_class):
            return False
        if which.noscan is not None and not (in_use and bool(class_ & 1) == which.noscan):
            return False
        if not which.states or kind_of(class_, state, user, element) in map(KINDS.get, which.states):
            return True
        sweep = (sweepgen - self._slots.generation) & 0xFFFFFFFF
        if "unswept" in which.states and in_use and sweep in (UNSWEPT, SWEEPING, CACHED_UNSWEPT):
            return True
        return "cached" in which.states and in_use and sweep in (CACHED, CACHED_UNSWEPT)

    def span(self, address: int) -> Span:
        """The span of the mspan at `address`. Raises UnreadableError."""
        row = self._slots.read(address)
        resident = self._reading.residency.resident(row.start, row.end)
        kind = kind_of(row.spanclass, row.state, row.user, row.element)
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


def kind_of(class_: int, state: int, user: int, element: int) -> str:
    """What a span with these fields (a SpanRow's) is for."""
    if state == MANUAL:
        return STACK if element else OTHER
    if user:
        return FREED_ARENA if class_ == 1 else USER_ARENA
    return SMALL if class_ > 1 else LARGE
