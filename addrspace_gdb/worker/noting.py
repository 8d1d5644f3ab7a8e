"""What the types of objects are worked out from, noted while the heap is read: where in its object each
pointer stands, where in another it leads to, and what stands beside it (an interface has its type there)."""

from __future__ import annotations

from bisect import bisect_left
from typing import List, NamedTuple, Sequence, Set, Tuple

from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.worker.arrays import (
    COMPILED,
    Ints,
    distinct,
    grown,
    joined,
    kernel,
    moved,
    reserved,
    trimmed,
    zeros,
)
from addrspace_gdb.worker.scanning import Batch, Edges, Masks, Part, put_edges, scan_spans
from addrspace_gdb.worker.spans import Heap

# What a tag says of the words beside a pointer; higher ones stand for places in the ranges of types.
NO_TAG, NEXT_IS_ZERO, FIRST_TAG = range(3)
FAR = 65535  # bytes
TAGS = 1 << 16  # of which the last is for all places that there is no other for
_MAX_PLACES = 1 << 28
HEADER_BYTES = 8


class Notes(NamedTuple):
    """By edge, in one number: which word of its object's value it is, from bit 32 on; from bit 16 on how many
    bytes from the start of its target's value it leads to; and its tag. 65535 and more bytes stand in
    `far_into`, for the edges that are in `far`."""

    packed: Ints
    met: Ints  # by place: the tag that stands for it
    many: Ints  # how many tags stand for one, and how many edges are far
    far: Ints
    far_into: Ints


class Jotted(NamedTuple):
    """Notes of one part: `packed` without the tags of types, the edges that have such and the places of
    these, those that lead far and how far, and in `many` how many there are of both."""

    packed: Ints
    tagged: Ints
    places: Ints
    far: Ints
    far_into: Ints
    objects: Ints
    pcs: Ints
    many: Ints


class Ranges(NamedTuple):
    """Where types and itabs lie: starts, ends, and the place of the first word of each."""

    starts: Ints
    ends: Ints
    places: Ints


class Codes(NamedTuple):
    """Objects that begin with the address of code."""

    objects: Ints
    addresses: Ints


@kernel
def describe(count: int, part: Part, batch: Batch, jotted: Jotted, where: Ranges) -> None:
    """Take notes of the edges of a part."""
    words, at, within, into = part.words, batch.at, batch.within, batch.into
    packed, tagged, places, far, far_into = (
        jotted.packed,
        jotted.tagged,
        jotted.places,
        jotted.far,
        jotted.far_into,
    )
    starts, ends, first_places, shift = where.starts, where.ends, where.places, part.shift
    ranges, end_of_words, some, further = len(starts), len(words), 0, 0
    lowest, highest = 1 << 62, 0
    for r in range(ranges):
        lowest, highest = min(lowest, starts[r]), max(highest, ends[r])
    for e in range(count):
        j, inner, tag = at[e], into[e], 0
        if inner >= 65535:
            far[further], far_into[further] = e, inner
            further += 1
            inner = 65535
        before = words[j - 1] if j > 0 else -1
        place = -1
        if lowest <= before < highest:
            for r in range(ranges):
                if starts[r] <= before < ends[r]:
                    place = first_places[r] + ((before - starts[r]) >> shift)
        if place >= 0:
            tagged[some], places[some] = e, place
            some += 1
        elif j + 1 < end_of_words and words[j + 1] == 0:
            tag = 1
        packed[e] = (within[e] << 32) | (inner << 16) | tag
    jotted.many[0], jotted.many[1] = some, further


@kernel
def number_tags(first: int, jotted: Jotted, notes: Notes) -> None:
    """What only one part at a time can do, and in order: give its places their tags, and put what leads far
    with the others. `first`: the number of its first edge."""
    packed, met, many = jotted.packed, notes.met, notes.many
    for k in range(jotted.many[0]):
        place = jotted.places[k]
        tag = met[place]
        if tag == 0:
            tag = min(2 + many[0], 65535)
            many[0] += 1
            met[place] = tag
        packed[jotted.tagged[k]] += tag
    for k in range(jotted.many[1]):
        notes.far[many[1]], notes.far_into[many[1]] = first + jotted.far[k], jotted.far_into[k]
        many[1] += 1


@kernel
def begin_with_code(begin: int, end: int, part: Part, heap: Heap, code: Ints, jotted: Jotted) -> None:
    """Note the objects of these spans that begin with an address in [code[0], code[1])."""
    count, state, words = 0, heap.state, part.words
    for s in range(begin, end):
        if heap.kinds[s] != 0 and heap.kinds[s] != 3:
            at, step = (heap.starts[s] - part.base) >> part.shift, heap.sizes[s] >> part.shift
            if heap.kinds[s] == 2:
                at += 8 >> part.shift
            for number in range(heap.first[s], heap.first[s] + heap.slots[s]):
                if state[number] != 0 and code[0] <= words[at] < code[1]:
                    jotted.objects[count], jotted.pcs[count] = number, words[at]
                    count += 1
                at += step
    jotted.many[2] = count


@kernel
def scan_and_note(
    begin: int,
    end: int,
    part: Part,
    heap: Heap,
    masks: Masks,
    type_of: Ints,
    batch: Batch,
    jotted: Jotted,
    where: Ranges,
    code: Ints,
) -> int:
    """The edges of spans of small objects, and what there is to note of them; how many. (Each call of what
    is compiled lets other threads in, who may keep this one waiting.)"""
    count = scan_spans(begin, end, part, heap, masks, type_of, batch)
    describe(count, part, batch, jotted, where)
    begin_with_code(begin, end, part, heap, code, jotted)
    return count


@kernel
def put_noted(
    first: int, count: int, batch: Batch, edges: Edges, begin: int, end: int, jotted: Jotted, notes: Notes
) -> None:
    """Put the edges of a part and their notes with the others."""
    put_edges(first, count, batch, edges, begin, end)
    packed = notes.packed
    for e in range(count):
        packed[first + e] = jotted.packed[e]


class Noting:
    """Makes the notes, part by part."""

    def __init__(self, ranges: Sequence[Tuple[int, int]], code: Tuple[int, int], shift: int) -> None:
        """`ranges`: of types and itabs; `code`: of functions. ProblemError if that is too much."""
        self._shift, self._bounds = shift, list(ranges)
        columns = [zeros(len(ranges)) for _ in range(3)]
        place = 0
        for number, (start, end) in enumerate(ranges):
            for column, value in zip(columns, (start, end, place)):
                column[number] = value
            place += (end - start) >> shift
        if place > _MAX_PLACES:
            raise ProblemError(
                f"types take {place << shift >> 20:,} MiB, which is more than can be looked at"
            )
        self.where = Ranges(*columns)
        self.notes = Notes(zeros(1), zeros(place + 1, "H"), zeros(2), zeros(1, "i"), zeros(1))
        self.code = zeros(2)
        self.code[0], self.code[1] = code
        self._begun: List[Codes] = []  # objects that begin with code, part by part
        self._words: Set[int] = set()  # of parts that are described only later
        self._pcs: Set[int] = set()

    def glance(self, part: Part) -> None:
        """Note which types stand in a part that is to be described later: all that can be, and more."""
        for start, end in self._bounds:
            self._words.update(word for word in part.words if start <= word < end)
        start, end = self.code
        self._pcs.update(word for word in part.words if start <= word < end)

    def jotter(self, room: int) -> Jotted:
        """Room for the notes of so many edges."""
        packed, tagged, places, far, far_into, objects, pcs = (zeros(room, code) for code in "qiiiqiq")
        return Jotted(packed, tagged, places, far, far_into, objects, pcs, zeros(3))

    def reserve(self, most: int) -> bool:
        """Take room for so many edges, once for all; whether there is any."""
        packed = reserved(most, "q")
        if packed is not None:
            self.notes = self.notes._replace(packed=packed)
        return packed is not None

    def make_room(self, jotted: Jotted, room: int) -> None:
        """For the notes of the next part too; `room` for edges in all."""
        if len(self.notes.packed) < room:
            self.notes = self.notes._replace(packed=moved(self.notes.packed, room))
        far = int(self.notes.many[1]) + int(jotted.many[1])
        if len(self.notes.far) < far:
            columns = (grown(one, far * 3 // 2) for one in (self.notes.far, self.notes.far_into))
            self.notes = self.notes._replace(**dict(zip(("far", "far_into"), columns)))

    def add(self, first: int, jotted: Jotted) -> None:
        """What is done in order with the notes of the next part, whose first edge is number `first`."""
        number_tags(first, jotted, self.notes)
        count = int(jotted.many[2])
        if count:
            found = jotted.objects[:count], jotted.pcs[:count]
            self._begun.append(Codes(joined([found[0]], "i"), joined([found[1]], "q")))

    def finish(self, count: int) -> None:
        """There are no more."""
        self.notes = self.notes._replace(packed=trimmed(self.notes.packed, max(1, count)))

    def within_of(self, edge: int) -> int:
        """Which word of its object's value a pointer is."""
        return int(self.notes.packed[edge]) >> 32

    def into_of(self, edge: int) -> int:
        """How many bytes from the start of an object its pointer leads."""
        notes = self.notes
        found = int(notes.packed[edge]) >> 16 & FAR
        if found < FAR:
            return found
        return int(notes.far_into[bisect_left(notes.far, edge, 0, int(notes.many[1]))])

    def codes(self) -> Codes:
        """All of them."""
        objects = joined([one.objects for one in self._begun] or [zeros(0, "i")], "i")
        return Codes(objects, joined([one.addresses for one in self._begun] or [zeros(0)], "q"))

    def functions(self) -> List[int]:
        """Addresses of code that objects begin with."""
        return sorted(self._pcs) if not COMPILED else distinct(self.codes().addresses)

    def words(self) -> List[int]:
        """The types and itabs that were met beside pointers."""
        if not COMPILED:
            return sorted(word for word in self._words if not word % (1 << self._shift))
        met = self.notes.met.nonzero()[0].tolist()
        return [self._word(place) for place in met]

    def _word(self, place: int) -> int:
        starts, places = self.where.starts, self.where.places
        r = max(number for number in range(len(places)) if places[number] <= place)
        return int(starts[r]) + ((place - int(places[r])) << self._shift)

    def tag_of(self, word: int) -> int:
        """The tag that stands for a word in the ranges."""
        for number, (start, end) in enumerate(self._bounds):
            if start <= word < end:
                return int(self.notes.met[int(self.where.places[number]) + ((word - start) >> self._shift)])
        return NO_TAG
