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
    distinct,
    filled,
    moved,
    of_bytes,
    order_of,
    picked,
    reserved,
    trimmed,
    zeros,
)
from addrspace_gdb.worker.budget import Budget
from addrspace_gdb.worker.noting import Noting, describe, put_noted, scan_and_note
from addrspace_gdb.worker.ranges import BITS, Range, plan_blocks, ranges
from addrspace_gdb.worker.scanning import ARENA_ONE, ARENA_TWO, LARGE, Batch, Edges, Masks, Part
from addrspace_gdb.worker.spans import allocated, heap_of
from addrspace_gdb.worker.stream import Words
from addrspace_gdb.worker.turns import Turns, hands

_PAGE_SHIFT = 13
_PAGE = 1 << _PAGE_SHIFT
PLAIN_LIMIT = 64 << 20  # bytes of objects with pointers that are looked at without numba
_MAX_EDGES = 1 << 31
_FIRST = 1 << 12  # edges that there is room for
_SURE = 8  # parts of the heap of which one was read, before the rest is reckoned from it
_LEARN, _PUT = range(2)  # gates

# What is asked of a type: bytes are told in words, as space/graph says.
TypesOf = Callable[[Sequence[int]], Message]


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


class Place(NamedTuple):
    """Where the edges of a part are put: the first, how many, and [begin, end) of the index, where they count
    from the first of the part on."""

    first: int
    many: int
    begin: int
    end: int


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
        self.heap = heap_of(self.spans, budget)
        self.objects = int(self.heap.first[len(self.spans["starts"])])
        self.types = TypeTable(types_of)
        self.type_of = zeros(self.objects, "i")
        self.noting = noting(said, self._shift) if header.get("typed") else None
        self.edges = Edges(zeros(_FIRST, "i"), zeros(self.objects + 1, "i"), zeros(1))
        self.count = 0
        self._room = _FIRST  # for edges, before their number is looked at again
        self._is_reserved = False  # there is room for all that can be
        self._ranges = ranges(self.spans)
        self._done, self._whole = 0, sum(one.size for one in self._ranges)  # bytes
        self.allocated = self._find_allocated()

    def limit(self, budget: Budget) -> None:
        """What it may take. ProblemError if that is too little."""
        self._budget = budget
        budget.check(self.objects, 0, 0, self._whole)

    def lost(self, holes: Sequence[Tuple[int, int]]) -> int:
        """Bytes of what could not be read, but for what lies between spans and was read with them."""
        if not holes:
            return 0
        starts = self.spans["starts"].tolist()
        ends = [start + (count << _PAGE_SHIFT) for start, count in zip(starts, self.spans["pages"].tolist())]
        return sum(size for address, size in holes if not self._is_between(address, starts, ends))

    def _is_between(self, address: int, starts: Sequence[int], ends: Sequence[int]) -> bool:
        at = bisect_right(starts, address) - 1
        return at >= 0 and ends[at] <= address < self.heap.high

    def _find_allocated(self) -> int:
        """Which slots hold an object, by freeindex and allocBits."""
        places, bits = self._allocation_bits()
        return allocated(self.heap, self.spans["freeindex"], places, bits)

    def _allocation_bits(self) -> Tuple[Ints, Ints]:
        """The allocBits of all spans, block by block, and where those of each begin."""
        wanted, slots = self.spans["alloc_bits"], self.spans["slots"]
        places, rows = filled(len(wanted), -1), zeros(3 * len(wanted))
        count = int(plan_blocks(order_of(wanted), wanted, slots, BITS, rows, places))
        listed = rows[: 3 * count].tolist()
        blocks = []
        for at in range(0, len(listed), 3):
            address, needed, most = listed[at : at + 3]
            block = self._words.ahead(address, needed, most)
            blocks.append(bytes(block) + bytes(most - len(block)))
        return places, of_bytes(b"".join(blocks) or b"\0", "B")

    def read(self) -> Iterator[None]:
        """Stream the heap: first all that needs the process, then, after a pause, what does not."""
        if not COMPILED:
            yield from self._read_first()
            return
        self._is_reserved = self._reserve()
        several = [Hand(self) for _ in range(min(hands(), max(1, len(self._ranges))))]
        Turns(len(self._ranges), 2).run([hand.work for hand in several])
        self._finish()
        yield

    def _read_first(self) -> Iterator[None]:
        """Where scanning takes a hundred times as long as reading."""
        if self._whole > PLAIN_LIMIT:
            raise ProblemError(
                f"{self._whole >> 20:,} MiB of objects with pointers are more than the {PLAIN_LIMIT >> 20} "
                "that can be looked at without numba: pip install 'addrspace-gdb[graph]'"
            )
        parts = [self.part(one, None) for one in self._ranges]
        for one, part in zip(self._ranges, parts):
            self.types.learn(self.headers(one, part))
            if self.noting is not None:
                self.noting.glance(part)
        yield
        hand = Hand(self)
        for one, part in zip(self._ranges, parts):
            scanned = hand.scan(one, part, self.types.masks)
            self.put(hand, self.take(one, hand, scanned))
        self._finish()

    def range(self, number: int) -> Range:
        """What is read together, by number."""
        return self._ranges[number]

    def part(self, one: Range, buffer: Optional[bytearray]) -> Part:
        """Read it: into the buffer, if there is one."""
        words = self._words.read(one.address, one.size, buffer)
        bits = dead = _NOTHING
        if self.heap.kinds[one.begin] in (ARENA_TWO, ARENA_ONE):
            bits, dead = self._arena_bits(one)
        return Part(words, one.address, self._shift, self._tail, bits, dead)

    def headers(self, one: Range, part: Part) -> List[int]:
        """The types that it names."""
        if one.offset >= 0:
            large = self.heap.kinds[one.begin] == LARGE
            return [int(self.spans["large_types"][one.begin])] if large else []
        if not one.headers:
            return []
        found = zeros(int(self.heap.first[one.end] - self.heap.first[one.begin]))
        number = int(scanning.read_headers(one.begin, one.end, part, self.heap, found))
        return distinct(found[:number])

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

    def scan(self, one: Range, part: Part, masks: Masks, hand: Hand) -> Tuple[int, bool]:
        """The edges of a part: how many, and whether its large object has no more."""
        noting, batch = self.noting, hand.batch
        if one.offset < 0:
            spans = one.begin, one.end, part, self.heap, masks, self.type_of, batch
            if noting is None:
                return int(scanning.scan_spans(*spans)), False
            return int(scan_and_note(*spans, hand.jotted, noting.where, noting.code)), False
        many, closed = self._scan_large(one, part, masks, batch)
        if noting is not None:
            describe(many, part, batch, hand.jotted, noting.where)
            hand.jotted.many[2] = 0
        return many, closed

    def _scan_large(self, one: Range, part: Part, masks: Masks, batch: Batch) -> Tuple[int, bool]:
        number, s = int(self.heap.first[one.begin]), one.begin
        if not self.heap.state[number]:
            return 0, True
        kind, type_ = int(self.heap.kinds[s]), -1
        if kind == LARGE:
            type_ = int(scanning.type_number(masks.types, int(self.spans["large_types"][s])))
        if type_ >= 0:
            self.type_of[number] = masks.numbers[type_]
        stop = max(0, min(one.size, int(self.heap.sizes[s]) - one.offset)) >> self._shift
        many, closed = scanning.scan_large(
            stop, one.offset >> self._shift, kind, type_, part, self.heap, masks, batch
        )
        return int(many), bool(closed)

    def _reserve(self) -> bool:
        most = min(self._whole >> self._shift, _MAX_EDGES) + _FIRST
        to = reserved(most, "i")
        if to is None or (self.noting is not None and not self.noting.reserve(most)):
            return False
        self.edges = self.edges._replace(to=to)
        return True

    @property
    def is_reserved(self) -> bool:
        """Whether edges stay where they are put, so that several can put theirs at a time."""
        return self._is_reserved

    def take(self, one: Range, hand: Hand, scanned: Tuple[int, bool]) -> Place:
        """The place for the edges of the next part; what has to be done in order is done."""
        (many, closed), first, number = scanned, self.count, int(self.heap.first[one.begin])
        self._done += one.size
        if one.offset > 0 and self._ended == number:
            self.edges.index[number + 1] = first
            return Place(first, 0, 0, 0)
        self._make_room(first + many, one.size)
        last = int(self.heap.first[one.end]) if one.offset < 0 else number
        if self.noting is not None:
            self.noting.make_room(hand.jotted, len(self.edges.to))
            self.noting.add(first, hand.jotted)
        self.edges.wild[0] += hand.batch.wild[0]
        self.count += many
        if one.offset >= 0:
            self.edges.index[number + 1] = self.count
            self._ended = number if closed else self._ended
            return Place(first, many, 0, 0)
        return Place(first, many, number + 1, last + 1)

    def put(self, hand: Hand, place: Place) -> None:
        """Put the edges of a part where their place is."""
        put = place.first, place.many, hand.batch, self.edges, place.begin, place.end
        if self.noting is None:
            scanning.put_edges(*put)
        else:
            put_noted(*put, hand.jotted, self.noting.notes)

    _ended = -1  # the large object that has no more pointers

    def _make_room(self, need: int, last: int) -> None:
        """For so many edges in all; `last`: bytes of the part that was read last."""
        if need >= _MAX_EDGES:
            raise ProblemError(f"more than {self.count:,} pointers are more than can be told apart (2^31)")
        if need <= self._room:
            return
        if self._budget is not None:
            self._budget.check(self.objects, self.count, self._done - last, self._whole)
        room = 2 * need
        if self._done * _SURE >= self._whole:  # as many again in what is left, and a little more
            room = need * self._whole // self._done + need // 16
        self._room = room
        if not self._is_reserved:
            self.edges = self.edges._replace(to=moved(self.edges.to, room))

    def _finish(self) -> None:
        """Objects without pointers have no edges: theirs begin where the last ones end."""
        scanning.carry(self.edges.index)
        self.edges = self.edges._replace(to=trimmed(self.edges.to, self.count))
        if self.noting is not None:
            self.noting.finish(self.count)


_NOTHING = zeros(1, "B")


class Hand:
    """What one of the threads has to work with."""

    def __init__(self, graph: Graph) -> None:
        self._graph, self._buffer = graph, bytearray()
        self._make(0)

    def _make(self, room: int) -> None:
        self._room, noting = room, self._graph.noting
        to, at, within, into = (zeros(room, code) for code in "iiiq")
        self.batch = Batch(to, at, within, into, self._graph.edges.index, zeros(1))
        if noting is not None:
            self.jotted = noting.jotter(room)

    def work(self, job: int, turns: Turns) -> None:
        """Read a part and put its edges with the others."""
        graph = self._graph
        one = graph.range(job)
        if len(self._buffer) < one.size:
            self._buffer = bytearray(one.size)
        part = graph.part(one, self._buffer)
        met = graph.headers(one, part)
        if met:
            with turns.at(_LEARN, job):
                graph.types.learn(met)
        else:
            turns.skip(_LEARN, job)
        scanned = self.scan(one, part, graph.types.masks)
        with turns.at(_PUT, job):
            place = graph.take(one, self, scanned)
            if not graph.is_reserved:
                graph.put(self, place)
        if graph.is_reserved:
            graph.put(self, place)

    def scan(self, one: Range, part: Part, masks: Masks) -> Tuple[int, bool]:
        """Find the edges of a part, and what there is to note of them."""
        if self._room < len(part.words):
            self._make(len(part.words))
        self.batch.wild[0] = 0
        return self._graph.scan(one, part, masks, self)


def noting(said: Message, shift: int) -> Noting:
    """What takes the notes that types are worked out from."""
    ranges = list(zip(said.column("range_starts").tolist(), said.column("range_ends").tolist()))
    return Noting(ranges, (said.header["code"][0], said.header["code"][1]), shift)


def _numbers(said: Message, name: str) -> Ints:
    """A column of the message, as wide as kernels have it."""
    return of_bytes(said.column(name), "q")
