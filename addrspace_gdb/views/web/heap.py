"""The heap for the page: every span, what its slots hold, what pages are used for and which are in memory."""

from __future__ import annotations

from array import array
from collections import Counter
from itertools import compress, islice, repeat
from operator import gt, rshift
from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.goruntime.columns import Columns
from addrspace_gdb.goruntime.columns import pick as in_order
from addrspace_gdb.goruntime.mheap import Arena
from addrspace_gdb.goruntime.sizeclasses import PAGE_SHIFT
from addrspace_gdb.goruntime.slotcount import MAX_OBJS_PER_SPAN
from addrspace_gdb.goruntime.slots import SWEEP_STATES, SlotReader, popcount
from addrspace_gdb.process.residency import Residency
from addrspace_gdb.space.heap.pages import USES, UseRun
from addrspace_gdb.space.heap.spans import LARGE, SMALL, USER_ARENA, kind_of
from addrspace_gdb.space.heap.summary import Heap
from addrspace_gdb.views.documents.heap import heap_json
from addrspace_gdb.views.web.pack import Packed, packed_size

_PAGE = 12  # bits: what residency is told in
_MOST_BITS = 1 << 20  # characters that the slots of all spans may take in the file
_MOST_UNSWEPT = 50_000  # spans that are looked at one by one
_MOST_LARGE = 2000  # rows of large objects
_SLOTTED = (SMALL, LARGE, USER_ARENA)
_KEY = ("spanclass", "state", "user", "element", "sweepgen", "slots")
_WORD = 0xFFFFFFFF


def heap_part(heap: Heap, reader: SlotReader, residency: Residency, packed: Packed) -> Dict[str, Any]:
    """What the page has of the heap beside the columns, which are put into `packed`."""
    told = heap_json(heap._replace(pages=[], arenas=[]))  # which are columns here
    arenas = [arena.arena for arena in heap.arenas]
    _pages(heap.pages, packed)
    known = residency.known and _residency(residency, arenas, packed)
    kinds, slots = _spans(reader, packed)
    large = sorted(told["large"], key=lambda one: (-one["size"], one["address"]))
    return {
        "arenas": [[hex(arena.start), hex(arena.end)] for arena in arenas],
        "uses": told["uses"],
        "use_names": list(USES),
        "resident_known": known,
        "bytes": told["bytes"],
        "objects": told["objects"],
        "classes": told["classes"],
        "large": {"count": len(large), "rows": large[:_MOST_LARGE]},
        "free_runs": told["free_runs"],
        "span_kinds": kinds,
        "slots": slots,
    }


def _pages(runs: Sequence[UseRun], packed: Packed) -> None:
    number = {use: at for at, use in enumerate(USES)}
    packed.add("run.page", [run.start >> PAGE_SHIFT for run in runs], delta=True)
    packed.add("run.pages", [run.size >> PAGE_SHIFT for run in runs])
    packed.add_bytes("run.use", bytes(number[run.use] for run in runs))


def _residency(residency: Residency, arenas: Sequence[Arena], packed: Packed) -> bool:
    """The runs of pages of the heap that are in memory; False if of some it is not known."""
    settled = residency.resident_runs.settled()
    pieces: List[Tuple[int, int]] = []
    for start, end in _joined(arenas):
        found = settled.pieces(start, end)
        if found is None:
            return False
        pieces += found
    packed.add("res.page", [low >> _PAGE for low, _ in pieces], delta=True)
    packed.add("res.pages", [(high - low) >> _PAGE for low, high in pieces])
    return True


def _joined(arenas: Sequence[Arena]) -> Iterator[Tuple[int, int]]:
    start = end = 0
    for arena in arenas:
        if arena.start != end:
            if end:
                yield start, end
            start = arena.start
        end = arena.end
    if end:
        yield start, end


def _spans(reader: SlotReader, packed: Packed) -> Tuple[List[Dict[str, Any]], Optional[str]]:
    """The spans by address, as columns; the kinds they are of, and why slots are left out if they are."""
    columns = reader.columns
    key = [columns[name] for name in _KEY]
    numbers = {one: at for at, one in enumerate(sorted(set(zip(*key))))}
    order = sorted(range(len(key[0])), key=columns["start"].__getitem__)
    pick = {name: array("Q", in_order(columns[name], order)) for name in _COLUMNS}
    kinds = in_order(array("I", map(numbers.__getitem__, zip(*key))), order)
    told = [_kind(reader, *key) for key in numbers]
    packed.add("span.page", map(rshift, pick["start"], repeat(PAGE_SHIFT)), delta=True)
    packed.add("span.pages", pick["pages"])
    packed.add("span.used", pick["allocated"])
    packed.add("span.kind", kinds)
    return told, _slots(_Slots(reader, pick, order, kinds, told), packed)


def types_part(columns: Columns, types: Mapping[int, Optional[str]], packed: Packed) -> List[Optional[str]]:
    """The types of most objects of spans, those that fill most first; a column gets the number of each span's
    plus 1, and 0 where a span has no objects."""
    filled: Counter[Optional[str]] = Counter()
    for start, pages in zip(columns["start"], columns["pages"]):
        if start in types:
            filled[types[start]] += pages
    names = [name for name, _ in filled.most_common()]
    numbers = {name: at for at, name in enumerate(names, 1)}
    of_span = {start: numbers[types[start]] for start in columns["start"] if start in types}
    packed.add("span.type", (of_span.get(start, 0) for start in sorted(columns["start"])))
    return names


_COLUMNS = ("start", "pages", "allocated", "freeindex", "alloc_bits")


def _kind(
    reader: SlotReader, class_: int, state: int, user: int, element: int, sweepgen: int, slots: int
) -> Dict[str, Any]:
    """What spans of one kind have in common."""
    kind = kind_of(class_, state, user, element)
    expected = reader.expected[class_]
    slotted = kind in _SLOTTED and (kind != SMALL or not expected or element == expected)
    sweep = (sweepgen - reader.generation) & _WORD
    return {
        "holds": kind,
        "size_class": class_ >> 1 if slotted else None,
        "noscan": bool(class_ & 1) if slotted else None,
        "element": element,
        "slots": slots if slotted else 0,
        "sweep": SWEEP_STATES.get(sweep, "?") if slotted else None,
        "settled": bool(reader.settled_sweepgens([sweepgen])),
    }


class _Slots(NamedTuple):
    """The spans in the order of their addresses."""

    reader: SlotReader
    pick: Columns
    order: Sequence[int]  # where each is in the reader's columns
    kinds: Sequence[int]
    told: Sequence[Dict[str, Any]]  # of each kind

    def are(self, test: Callable[[Dict[str, Any]], bool]) -> bytes:
        """1 for those whose kind passes."""
        passes = [test(kind) for kind in self.told]
        return bytes(map(passes.__getitem__, self.kinds))

    def sound(self, mask: bytes) -> bytes:
        """The mask without the spans that say more objects than they have slots."""
        left = bytearray(mask)
        slots = [kind["slots"] for kind in self.told]
        for name in ("freeindex", "allocated"):
            over = bytes(map(gt, self.pick[name], map(slots.__getitem__, self.kinds)))
            for at in compress(range(len(mask)), over) if any(over) else ():
                left[at] = 0
        return bytes(left)


def _slots(spans: _Slots, packed: Packed) -> Optional[str]:
    """The bits of every slot: live at the last collection, and of spans not swept yet those that are taken.

    `span.bits` has how many bytes of them each span has; 0: not known, or no slots. Where they are left out
    `span.live` has how many survived the last collection, plus 1.
    """
    plain = spans.sound(spans.are(lambda kind: kind["settled"] and 0 < kind["slots"] <= MAX_OBJS_PER_SPAN))
    others = spans.are(lambda kind: kind["slots"] > 0 and not kind["settled"])
    bytes_of = [(kind["slots"] + 7) >> 3 for kind in spans.told]
    sizes = map(bytes_of.__getitem__, compress(spans.kinds, plain))
    live = list(spans.reader.gc_bits.raw(compress(spans.pick["alloc_bits"], plain), sizes))
    data = b"".join(live)
    if packed_size(data) > _MOST_BITS:
        counts = iter([popcount(int.from_bytes(bits, "little")) for bits in live])
        packed.add("span.live", (next(counts) + 1 if one else 0 for one in plain))
        return "the slots of so many spans would make this file too large"
    found = dict(_unswept(spans, list(islice(compress(range(len(others)), others), _MOST_UNSWEPT))))
    by_span = array("Q", bytes(8 * len(plain)))
    for at, bits in zip(compress(range(len(plain)), plain), live):
        by_span[at] = len(bits)
    if found:
        known = iter(live)
        data = b"".join([next(known) if one else found.get(at, b"") for at, one in enumerate(plain)])
        for at, text in found.items():
            by_span[at] = len(text) // 2
    packed.add("span.bits", by_span)
    packed.add("span.freeindex", spans.pick["freeindex"])
    packed.add_bytes("slots", data)
    return None


def _unswept(spans: _Slots, positions: Sequence[int]) -> Iterator[Tuple[int, bytes]]:
    """Of spans that are not swept the bits of live slots, then those of all that are taken."""
    for at in positions:
        row = spans.reader.row(spans.order[at])
        masks = spans.reader.masks(row) if spans.reader.impossible(row) is None else None
        if masks is not None:
            size = (row.slots + 7) >> 3
            yield at, masks.live.to_bytes(size, "little") + masks.allocated.to_bytes(size, "little")
