"""Object slots of spans in use: which are allocated, free, marked (src/runtime/mbitmap.go, mgcsweep.go).

A slot is allocated if it lies below freeindex or its bit in allocBits is set. Sweeping a span makes the
marks of the collection its allocBits; so in a swept span allocBits say what lived at the last collection,
and what else is allocated came since. Until a span is swept the marks are still in gcmarkBits, and in
the span itself where it has inline mark bits; what is allocated there without a mark is dead, though
MemStats counts it until it is swept.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from itertools import compress
from typing import Callable, Dict, Iterable, List, NamedTuple, Optional, Set, Tuple

from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.goruntime.columns import Columns, nonzero, pick
from addrspace_gdb.goruntime.gcbits import GcBits, green_tea
from addrspace_gdb.goruntime.mheap import Arenas
from addrspace_gdb.goruntime.mspan import FAULT_CLASS, FIELDS, IN_USE, PAGE, Spans
from addrspace_gdb.goruntime.record import Runtime, pieces
from addrspace_gdb.goruntime.sizeclasses import PAGE_SHIFT, class_sizes

# sweepgen of a span less that of the heap (src/runtime/mheap.go, all versions), modulo 2^32.
SWEPT, UNSWEPT, SWEEPING, CACHED_UNSWEPT, CACHED = 0, (1 << 32) - 2, (1 << 32) - 1, 1, 3
SWEEP_STATES = {
    SWEPT: "swept",
    UNSWEPT: "not swept",
    SWEEPING: "being swept",
    CACHED_UNSWEPT: "cached, not swept",
    CACHED: "cached",
}
_SETTLED = (SWEPT, CACHED)
_IS_IN_USE = bytes(state == IN_USE for state in range(256))
_WORD = 0xFFFFFFFF  # sweepgen is a uint32

MAX_SLOTS = 1 << 16  # nelems is 16 bits wide
_FIRST_OF_TWO = int.from_bytes(b"\x55" * 256, "little")  # of every pair of bits
_INLINE_SMALLEST = 16  # gcUsesSpanInlineMarkBits, src/runtime/mgcmark_greenteagc.go

popcount: Callable[[int], int] = getattr(int, "bit_count", lambda n: bin(n).count("1"))  # Python 3.10 has it


class SpanRow(NamedTuple):
    """The fields of one mspan that say what its slots hold, under the names of the columns of spans."""

    start: int
    pages: int
    freeindex: int
    slots: int
    alloc_bits: int
    mark_bits: int
    sweepgen: int
    allocated: int  # allocCount
    spanclass: int  # size class << 1 | noscan
    state: int
    user: int  # a chunk of a user arena
    element: int  # elemsize
    limit: int  # end of the object that a large span holds

    @property
    def size(self) -> int:
        """Bytes of the span."""
        return self.pages << PAGE_SHIFT

    @property
    def end(self) -> int:
        """One past its last byte."""
        return self.start + self.size

    @property
    def quarantined(self) -> bool:
        """A chunk of a user arena that was freed: see mspan.FAULT_CLASS."""
        return bool(self.user) and self.spanclass == FAULT_CLASS


class Masks(NamedTuple):
    """Slots of one span, a bit each, disjoint; what is in none of them is free."""

    live: int  # at the last collection
    since: int  # allocated since then
    dead: int  # not reached by the last collection, and not yet swept

    @property
    def allocated(self) -> int:
        """As MemStats counts."""
        return self.live | self.since | self.dead


class SlotReader:
    """Spans and their bits. `generation` is mheap_.sweepgen."""

    def __init__(self, runtime: Runtime, spans: Spans) -> None:
        self.runtime = runtime
        self._spans = spans.columns
        layout = runtime.layout("runtime.mspan")
        self.generation = runtime.variable("runtime.mheap_").number("sweepgen")
        self.gc_bits = GcBits(runtime, len(spans))
        self.bits = self.gc_bits.bits
        self.inline = _inline_marks(runtime)
        self.heap_bits = 8 * runtime.word * runtime.word  # gc.MinSizeForMallocHeader (Go 1.22)
        self.headers = layout.has("largeType")  # Go 1.22
        self.expected = _expected_sizes(runtime)  # elemsize by span class, 0 where it varies or is not known
        self._marks: Dict[int, Optional[bytes]] = {}  # inline mark bits by the start of their span

    @property
    def columns(self) -> Columns:
        """Those of the spans."""
        return self._spans

    def gather(self) -> None:
        """Read what it takes to tell the slots of every span, so that the process may be let go."""
        spans = self._spans
        unswept, pinned = self._unswept(), list(nonzero(spans["pinner_bits"]))
        self.gc_bits.gather(spans["alloc_bits"])
        self.gc_bits.gather(array("Q", pick(spans["mark_bits"], unswept)))
        self.gc_bits.gather(array("Q", pick(spans["pinner_bits"], pinned)))
        if self.inline is None:
            return
        offset, size = self.inline
        starts = sorted(row.start for row in map(self.row, unswept) if self.has_inline_marks(row))
        found = pieces(self.runtime.target, [(start + offset, size) for start in starts])
        self._marks = {start: bytes(data) if data is not None else None for start, data in zip(starts, found)}

    def _unswept(self) -> List[int]:
        """Positions of the spans in use whose marks are not their allocBits yet."""
        states, sweepgens = self._spans["state"], self._spans["sweepgen"]
        if array(sweepgens.typecode, [self.generation & _WORD]) * len(sweepgens) == sweepgens:
            return []
        settled = self.settled_sweepgens(sweepgens)
        if settled.issuperset(sweepgens):
            return []
        others = compress(range(len(states)), [one not in settled for one in sweepgens])
        return [at for at in others if states[at] == IN_USE]

    def settled_sweepgens(self, sweepgens: Iterable[int]) -> Set[int]:
        """Those of `sweepgens` that spans have whose allocBits say what lived at the last collection."""
        return {one for one in set(sweepgens) if (one - self.generation) & _WORD in _SETTLED}

    def count_pinned(self) -> int:
        """Objects that a runtime.Pinner holds: the first of two bits a slot (src/runtime/pinner.go)."""
        found = 0
        spans = self._spans
        for at in nonzero(spans["pinner_bits"]):
            bits = self.bits(spans["pinner_bits"][at], 2 * spans["slots"][at])
            found += popcount((bits or 0) & _FIRST_OF_TWO)
        return found

    def row(self, at: int) -> SpanRow:
        """The span at a position in the columns."""
        return SpanRow(*[self._spans[name][at] for name in SpanRow._fields])

    def read(self, address: int) -> SpanRow:
        """The mspan at `address`, from the columns if it is of a span. Raises UnreadableError."""
        addresses = self._spans["address"]
        at = bisect_left(addresses, address)
        if at < len(addresses) and addresses[at] == address:
            return self.row(at)
        record = self.runtime.record("runtime.mspan", address)
        paths = (FIELDS[name] for name in SpanRow._fields)
        return SpanRow(*[record.number(path) if record.has(path) else 0 for path in paths])

    def impossible(self, row: SpanRow) -> Optional[str]:
        """What about the span cannot be, in words; None if it can."""
        _, pages, freeindex, slots, _, _, sweepgen, allocated, class_, _, _, element, _ = row
        if not 0 < slots < MAX_SLOTS or element == 0 or slots * element > pages << PAGE_SHIFT:
            return f"{slots:,} slots of {element:,} bytes do not fit"
        if freeindex > slots or allocated > slots:
            return f"freeindex {freeindex:,}, allocCount {allocated:,} of {slots:,} slots"
        size_class = class_ >> 1
        if size_class == 0:
            if slots != 1:
                return f"a large object in {slots:,} slots"
        elif any(self.expected) and self.expected[class_] != element:
            return f"objects of {element:,} bytes in size class {size_class}"
        if self.state(row) not in SWEEP_STATES:
            return f"sweepgen {sweepgen:,}, the heap's is {self.generation:,}"
        return None

    def state(self, row: SpanRow) -> int:
        """SWEPT, UNSWEPT ..., for a span that is possible."""
        return (row.sweepgen - self.generation) & _WORD

    def masks(self, row: SpanRow) -> Optional[Masks]:
        """What each slot of a possible span holds; None if its bits cannot be read."""
        below = (1 << row.freeindex) - 1
        bits = self.bits(row.alloc_bits, row.slots)
        if bits is None:
            return None
        if self.state(row) in _SETTLED:
            return Masks(bits, below & ~bits, 0)
        marked = self.marked(row)
        if marked is None:
            return None
        if self.state(row) == SWEEPING and self._just_swept(row, bits, marked):
            return Masks(bits, below & ~bits, 0)
        taken = bits | below
        return Masks(marked & taken, 0, taken & ~marked)

    @staticmethod
    def _just_swept(row: SpanRow, bits: int, marked: int) -> bool:
        """Whether a sweeper has exchanged the bits and only the new sweepgen is missing (mspan.sweep)."""
        return not marked and row.freeindex == 0 and popcount(bits) == row.allocated

    def marked(self, row: SpanRow) -> Optional[int]:
        """Slots marked by the collection that runs, or by the last one if the span is not swept.

        With Green Tea (Go 1.25) small objects have their marks in the span's first page until it is swept.
        """
        marks = self.bits(row.mark_bits, row.slots)
        if marks is None or not self.has_inline_marks(row):
            return marks
        raw = self._inline_marks(row.start)
        return None if raw is None else marks | int.from_bytes(raw, "little") & ((1 << row.slots) - 1)

    def _inline_marks(self, start: int) -> Optional[bytes]:
        if start not in self._marks:
            assert self.inline is not None
            try:
                self._marks[start] = self.runtime.target.read(start + self.inline[0], self.inline[1])
            except UnreadableError:
                self._marks[start] = None
        return self._marks[start]

    def has_inline_marks(self, row: SpanRow) -> bool:
        """gcUsesSpanInlineMarkBits: small objects whose heap bits are in the span."""
        return self.inline is not None and _INLINE_SMALLEST <= row.element <= self.heap_bits


def _expected_sizes(runtime: Runtime) -> List[int]:
    try:
        sizes = class_sizes(runtime)
    except (KeyError, UnreadableError) as error:
        runtime.problems.add(f"size classes: {error}; object sizes are taken from the spans")
        sizes = []
    return [sizes[i >> 1] if i >> 1 < len(sizes) else 0 for i in range(256)]


def _inline_marks(runtime: Runtime) -> Optional[Tuple[int, int]]:
    """Where in a span its inline marks are, and their bytes; None where spans have none.

    spanInlineMarkBits (src/runtime/mgcmark_greenteagc.go) stand at the end of the first page.
    """
    type_ = runtime.target.type("runtime.spanInlineMarkBits") if green_tea(runtime) else None
    place = type_.find("marks") if type_ is not None else None
    if type_ is None or place is None:
        return None
    return PAGE - type_.size + place.offset, place.size


def span_of(runtime: Runtime, arenas: Arenas, address: int) -> Optional[int]:
    """The mspan that the runtime finds for an address (spanOf in src/runtime/mheap.go); None for none.

    It may be of a span that is gone: its state and range say. Raises UnreadableError.
    """
    for arena in arenas.arenas:
        if arena.start <= address < arena.end and arena.metadata:
            offset = runtime.layout("runtime.heapArena").locate("spans").offset
            page = (address - arena.start) >> PAGE_SHIFT
            return runtime.word_at(arena.metadata + offset + page * runtime.word) or None
    return None


def malloc_header(reader: SlotReader, row: SpanRow) -> int:
    """Bytes at the beginning of a slot that hold the object's type; 0 for none.

    Since Go 1.22 (mallocHeaderSize, src/runtime/malloc.go), for small objects with pointers whose
    pointer bits are not in the span.
    """
    small = row.spanclass > 1 and not row.spanclass & 1
    return 8 if reader.headers and small and row.element > reader.heap_bits else 0
