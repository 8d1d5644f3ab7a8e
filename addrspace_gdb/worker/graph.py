"""The graph of one heap: made from what the debugger's side says of its spans, and from its memory."""

from __future__ import annotations

from bisect import bisect_right
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.common.messages import Message
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.worker import scanning
from addrspace_gdb.worker.arrays import (
    COMPILED,
    Ints,
    cut,
    distinct,
    filled,
    grown,
    of_bytes,
    order_of,
    picked,
    zeros,
)
from addrspace_gdb.worker.budget import Budget
from addrspace_gdb.worker.noting import Noting
from addrspace_gdb.worker.scanning import ARENA_ONE, ARENA_TWO, LARGE, NONE, Edges, Heap, Masks, Part
from addrspace_gdb.worker.stream import Words

_PART = 8 << 20  # bytes of the heap that are read at a time
_GAP = 1 << 16  # bytes of objects without pointers that are read with their neighbours
_PAGE_SHIFT = 13
_PAGE = 1 << _PAGE_SHIFT
_MAX_GROUPS = 1 << 22  # of 64 MiB, from the lowest address to the highest
_MAX_USED = 1 << 15  # of them that have spans: 2 TiB
PLAIN_LIMIT = 64 << 20  # bytes of objects with pointers that are looked at without numba
_MAX_EDGES = 1 << 31
_BITS = 1 << 16  # bytes of allocation bits that are read at a time
_FIRST = 1 << 12  # edges that there is room for: a power of two
_ALL = (1 << 62) - 1
_OTHER, _SMALL, _LARGE = range(3)  # sorts of spans

# What is asked of a type: bytes are told in words, as space/graph says.
TypesOf = Callable[[Sequence[int]], Message]


class Range(NamedTuple):
    """Spans [begin, end) that are read together, or a part of a large object."""

    begin: int
    end: int
    address: int
    size: int
    offset: int  # of the part in the object; -1: whole spans


class TypeTable:
    """The types that were met, with the masks of their pointers."""

    def __init__(self, types_of: TypesOf) -> None:
        self._types_of = types_of
        self.addresses: List[int] = []  # by number, less 1
        self._rows: Dict[int, Tuple[int, int, int, int]] = {}
        self._bits = bytearray()
        self.unknown = 0  # types that cannot be
        self.masks = self._sorted()

    def learn(self, met: Sequence[int]) -> None:
        """Ask for those that are not known."""
        new = [one for one in met if one and one not in self._rows]
        if not new:
            return
        said = self._types_of(new)
        words, covered, places = (said.column(name) for name in ("words", "covered", "places"))
        for row, address in enumerate(new):
            place = len(self._bits) + places[row]
            self.addresses.append(address)
            self._rows[address] = (max(1, words[row]), covered[row], place, len(self.addresses))
            self.unknown += not words[row]
        self._bits += said.columns["bits"][1]
        self.masks = self._sorted()

    def _sorted(self) -> Masks:
        rows = sorted((address, *row) for address, row in self._rows.items())
        columns = [zeros(len(rows)) for _ in range(5)]
        for number, row in enumerate(rows):
            for column, value in zip(columns, row):
                column[number] = value
        types, words, covered, places, numbers = columns
        return Masks(types, words, covered, places, of_bytes(bytes(self._bits) or b"\0", "B"), numbers)

    def place(self, address: int) -> int:
        """Where a type stands in the masks; -1: nothing is known of it."""
        return scanning.type_number(self.masks.types, address)


class Graph:
    """Objects and the edges between them."""

    def __init__(
        self, said: Message, words: Words, types_of: TypesOf, budget: Optional[Budget] = None
    ) -> None:
        """`said` is what space/graph/telling.py makes. ProblemError if that is more than can be held."""
        header = said.header
        self._budget = budget
        self._words, self._word, self._tail = words, int(header["word"]), int(header["tail"])
        self._shift = 3 if self._word == 8 else 2
        self._arenas = list(
            zip(*(said.column(name) for name in ("arena_starts", "arena_ends", "arena_bits", "arena_dead")))
        )
        columns = {
            name: _numbers(said, name)
            for name in (
                "starts",
                "pages",
                "sizes",
                "slots",
                "kinds",
                "freeindex",
                "alloc_bits",
                "large_types",
            )
        }
        order = order_of(columns["starts"])
        self.spans = {name: picked(column, order) for name, column in columns.items()}
        self.heap = self._heap()
        self.objects = int(self.heap.first[len(self.spans["starts"])])
        self.types = TypeTable(types_of)
        self.type_of = zeros(self.objects, "i")
        self.noting = noting(said, self._shift) if header.get("typed") else None
        mask = _ALL if self.noting is not None else _FIRST - 1
        to, at = zeros(_FIRST, "i"), zeros(_FIRST, "i")
        self.edges = Edges(to, zeros(self.objects + 1, "i"), zeros(1), at, mask)
        self.count = 0
        self._done = self._whole = 0  # bytes
        self.allocated = self._find_allocated()

    def limit(self, budget: Budget) -> None:
        """What it may take. ProblemError if that is too little."""
        self._budget = budget
        self._whole = sum(one.size for one in self._ranges())
        budget.check(self.objects, 0, 0, self._whole)

    def lost(self, holes: Sequence[Tuple[int, int]]) -> int:
        """Bytes of what could not be read, but for what lies between spans and was read with them."""
        if not holes:
            return 0
        starts, ends, _ = self._extents()
        return sum(size for address, size in holes if not self._is_between(address, starts, ends))

    def _is_between(self, address: int, starts: Sequence[int], ends: Sequence[int]) -> bool:
        at = bisect_right(starts, address) - 1
        return at >= 0 and ends[at] <= address < self.heap.high

    def _heap(self) -> Heap:
        spans = self.spans
        starts, pages, slots = spans["starts"], spans["pages"], spans["slots"]
        count = len(starts)
        first = zeros(count + 1)
        scanning.add_slots(slots, first)
        total = int(first[count])
        if total >= 1 << 31:
            raise ProblemError(f"{total:,} slots for objects are more than can be told apart (2^31)")
        low = int(starts[0]) >> 26 << 26 if count else 0
        high = max(
            (start + (many << _PAGE_SHIFT) for start, many in zip(starts.tolist(), pages.tolist())), default=0
        )
        if (high - low) >> 26 >= _MAX_GROUPS:
            raise ProblemError("the heap reaches over more addresses than a process has")
        groups = filled(((high - low) >> 26) + 1, -1, "i")
        used = scanning.group_pages(groups, starts, pages, low)
        if used > _MAX_USED:
            raise ProblemError(
                f"spans take {used >> 4:,} GiB of addresses, which is more than can be looked at"
            )
        if self._budget is not None:  # a damaged core may claim anything
            self._budget.begin(total, 4 * used * scanning.PAGES)
        table = zeros(used * scanning.PAGES, "i")
        scanning.fill_pages(table, groups, starts, pages, low)
        state = zeros(total, "B")
        sizes, rows = spans["sizes"], zeros(4 * count)
        scanning.fill_rows(rows, starts, sizes, slots, first)
        kinds = spans["kinds"]
        return Heap(low, high, groups, table, starts, pages, sizes, slots, first, kinds, state, rows)

    def _find_allocated(self) -> int:
        """Which slots hold an object, by freeindex and allocBits."""
        places, bits = self._allocation_bits()
        return scanning.allocated(self.heap, self.spans["freeindex"], places, bits)

    def _allocation_bits(self) -> Tuple[Ints, Ints]:
        """The allocBits of all spans, block by block, and where those of each begin."""
        wanted, slots = self.spans["alloc_bits"], self.spans["slots"]
        places = filled(len(wanted), -1)
        blocks: List[bytes] = []
        low = high = done = 0
        addresses, counts = wanted.tolist(), slots.tolist()
        for s in order_of(wanted):
            address, size = addresses[s], (counts[s] + 7) >> 3
            if not address:
                continue
            if not low <= address <= address + size <= high:
                done += high - low
                block = self._words.ahead(address, size, max(size, _BITS - address % _BITS))
                low, high = address, address + len(block)
                blocks.append(bytes(block))
            places[s] = done + address - low
        return places, of_bytes(b"".join(blocks) or b"\0", "B")

    def read(self) -> Iterator[None]:
        """Stream the heap: first all that needs the process, then, after a pause, what does not."""
        if not COMPILED:
            yield from self._read_first()
            return
        ranges = list(self._ranges())
        for one, following in zip(ranges, [*ranges[1:], None]):
            part = self._part(one, False)
            if following is not None:
                self._words.expect(following.address, following.size)
            self._scan(one, part)
        self._finish()
        yield

    def _read_first(self) -> Iterator[None]:
        """Where scanning takes a hundred times as long as reading."""
        ranges = list(self._ranges())
        total = sum(one.size for one in ranges)
        if total > PLAIN_LIMIT:
            raise ProblemError(
                f"{total >> 20:,} MiB of objects with pointers are more than the {PLAIN_LIMIT >> 20} that "
                "can be looked at without numba: pip install 'addrspace-gdb[graph]'"
            )
        parts = [self._part(one, True) for one in ranges]
        if self.noting is not None:
            for part in parts:
                self.noting.glance(part)
        yield
        for one, part in zip(ranges, parts):
            self._scan(one, part)
        self._finish()

    def _ranges(self) -> Iterator[Range]:
        starts, ends, sorts = self._extents()
        at, count = 0, len(starts)
        while at < count:
            begin, start = at, starts[at]
            at += 1
            if sorts[begin] == _LARGE:
                for offset in range(0, ends[begin] - start, _PART):
                    size = min(_PART, ends[begin] - start - offset)
                    yield Range(begin, at, start + offset, size, offset)
            elif sorts[begin] == _SMALL:
                last, end = ends[begin], at
                while end < count and sorts[end] != _LARGE and last <= starts[end] <= last + _GAP:
                    if ends[end] - start > _PART:
                        break
                    end += 1
                    if sorts[end - 1] == _SMALL:
                        last, at = ends[end - 1], end
                yield Range(begin, at, start, last - start, -1)

    def _extents(self) -> Tuple[List[int], List[int], List[int]]:
        """Where each span begins and ends, and whether it is of small objects, a large one or neither."""
        starts, pages, kinds, slots = (
            self.spans[name].tolist() for name in ("starts", "pages", "kinds", "slots")
        )
        ends = [start + (count << _PAGE_SHIFT) for start, count in zip(starts, pages)]
        whole = (LARGE, ARENA_TWO, ARENA_ONE)
        sorts = [
            _OTHER if kind == NONE else _LARGE if kind in whole and many == 1 else _SMALL
            for kind, many in zip(kinds, slots)
        ]
        return starts, ends, sorts

    def _part(self, one: Range, keep: bool) -> Part:
        """Read it, and ask for the types that it names."""
        kind = self.heap.kinds[one.begin]
        words = self._words.read(one.address, one.size, keep)
        bits = dead = _NOTHING
        if kind in (ARENA_TWO, ARENA_ONE):
            bits, dead = self._arena_bits(one)
        part = Part(words, one.address, self._shift, self._tail, bits, dead)
        if one.offset < 0:
            found = zeros(int(self.heap.first[one.end] - self.heap.first[one.begin]))
            number = scanning.read_headers(one.begin, one.end, part, self.heap, found)
            self.types.learn(distinct(found[:number]))
        elif kind == LARGE:
            self.types.learn([int(self.spans["large_types"][one.begin])])
        return part

    def _arena_bits(self, one: Range) -> Tuple[Ints, Ints]:
        """The bits of the range's words, arena by arena. Where there is none, nothing is a pointer."""
        bits, dead = bytearray(), bytearray()
        at, end = one.address, one.address + one.size
        while at < end:
            found = next((arena for arena in self._arenas if arena[0] <= at < arena[1]), None)
            size = (min(end, found[1]) if found is not None else at + _PAGE) - at
            self._add_bits(found, at, size, bits, dead)
            at += size
        return of_bytes(bits + b"\0", "B"), of_bytes(dead + b"\0", "B")

    def _add_bits(
        self, arena: Optional[Tuple[int, ...]], at: int, size: int, bits: bytearray, dead: bytearray
    ) -> None:
        """Append those of whole pages."""
        two = arena is None or not arena[3]
        count, unit = size >> self._shift, self._shift + 3
        many = count >> (2 if two else 3)
        if arena is None:
            bits += bytes(count >> 2)
            dead += bytes(count >> unit >> 3)
            return
        first = (at - arena[0]) >> self._shift
        if two:
            bits += self._words.bytes(arena[2] + (first >> 2), many)
            return
        bits += self._words.bits(arena[2] + (first >> 3), many)
        dead += self._words.bytes(arena[3] + (first >> unit >> 3), count >> unit >> 3)

    def _scan(self, one: Range, part: Part) -> None:
        self._done += one.size
        need = self.count + (one.size >> self._shift)
        if need >= _MAX_EDGES:
            raise ProblemError(f"more than {self.count:,} pointers are more than can be told apart (2^31)")
        if need > len(self.edges.to):
            if self._budget is not None:
                self._budget.check(self.objects, self.count, self._done - one.size, self._whole)
            room = max(need, len(self.edges.to) * 3 // 2)
            self.edges = self.edges._replace(to=grown(self.edges.to, room))
            if self.noting is not None:
                self.edges = self.edges._replace(at=grown(self.edges.at, room))
        first = self.count
        self._scan_part(one, part)
        if self.noting is not None:
            self.noting.add(first, self.count, part, self.heap, self.edges)
            if one.offset < 0:
                self.noting.add_codes(one.begin, one.end, part, self.heap)

    def _scan_part(self, one: Range, part: Part) -> None:
        if one.offset < 0:
            self.count = scanning.scan_spans(
                one.begin, one.end, part, self.heap, self.types.masks, self.type_of, self.edges, self.count
            )
            return
        number = int(self.heap.first[one.begin])
        if self.heap.state[number] and one.offset not in self._closed(number, one.offset):
            self._scan_large(one, part, number)
        self.edges.index[number + 1] = self.count

    def _scan_large(self, one: Range, part: Part, number: int) -> None:
        kind, s = int(self.heap.kinds[one.begin]), one.begin
        type_ = self.types.place(int(self.spans["large_types"][s])) if kind == LARGE else -1
        if type_ >= 0:
            self.type_of[number] = self.types.masks.numbers[type_]
        stop = max(0, min(one.size, int(self.heap.sizes[s]) - one.offset)) >> self._shift
        self.count, closed = scanning.scan_large(
            stop,
            one.offset >> self._shift,
            kind,
            type_,
            part,
            self.heap,
            self.types.masks,
            self.edges,
            self.count,
        )
        if closed:
            self._ended = number

    _ended = -1  # the large object that has no more pointers

    def _closed(self, number: int, offset: int) -> Tuple[int, ...]:
        return (offset,) if offset and self._ended == number else ()

    def _finish(self) -> None:
        """Objects without pointers have no edges: theirs begin where the last ones end."""
        scanning.carry(self.edges.index)
        at = cut(self.edges.at, self.count) if self.noting is not None else _NOTHING
        self.edges = self.edges._replace(to=cut(self.edges.to, self.count), at=at)


_NOTHING = zeros(1, "B")


def noting(said: Message, shift: int) -> Noting:
    """What takes the notes that types are worked out from."""
    ranges = list(zip(said.column("range_starts").tolist(), said.column("range_ends").tolist()))
    return Noting(ranges, (said.header["code"][0], said.header["code"][1]), shift)


def _numbers(said: Message, name: str) -> Ints:
    """A column of the message, as wide as kernels have it."""
    return of_bytes(said.column(name), "q")
