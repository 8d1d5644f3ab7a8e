"""What the types of objects are worked out from, noted while the heap is read: where in its object each
pointer stands, where in another it leads to, and what stands beside it (an interface has its type there)."""

from __future__ import annotations

from bisect import bisect_left
from typing import List, NamedTuple, Sequence, Set, Tuple

from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.worker.arrays import COMPILED, Ints, distinct, grown, inlined, joined, kernel, zeros
from addrspace_gdb.worker.scanning import Edges, Heap, Part

# What a tag says of the words beside a pointer; higher ones stand for places in the ranges of types.
NO_TAG, NEXT_IS_ZERO, FIRST_TAG = range(3)
FAR = 65535  # bytes
TAGS = 1 << 16  # of which the last is for all places that there is no other for
_MAX_PLACES = 1 << 28
HEADER_BYTES = 8


class Notes(NamedTuple):
    """By edge: `into`, bytes from the start of the object that it leads to, and `tags`. 65535 and more bytes
    stand in `far_into`, for the edges that are in `far`."""

    into: Ints
    tags: Ints
    met: Ints  # by place: the tag that stands for it
    many: Ints  # how many tags stand for one, and how many edges are far
    far: Ints
    far_into: Ints


class Ranges(NamedTuple):
    """Where types and itabs lie: starts, ends, and the place of the first word of each."""

    starts: Ints
    ends: Ints
    places: Ints


class Codes(NamedTuple):
    """Objects that begin with the address of code."""

    objects: Ints
    addresses: Ints


@inlined
def body_at(value: int, low: int, groups: Ints, table: Ints, rows: Ints, sizes: Ints, kinds: Ints) -> int:
    """Where the object that an address lies in begins, behind its header. It lies in one."""
    page = (value - low) >> 13
    s = table[(groups[page >> 13] << 13) + (page & 8191)] - 1
    start = rows[s << 2]
    k = ((value - start) * rows[(s << 2) + 1]) >> 32
    body = start + k * sizes[s]
    if kinds[s] == 2:
        body += 8
    return body  # type: ignore[no-any-return]


@kernel
def describe(
    first: int, last: int, part: Part, heap: Heap, edges: Edges, notes: Notes, where: Ranges
) -> None:
    """Note those edges, which are of this part."""
    words, at, into, tags, met, many, far, far_into = (
        part.words,
        edges.at,
        notes.into,
        notes.tags,
        notes.met,
        notes.many,
        notes.far,
        notes.far_into,
    )
    low, groups, table, rows, sizes, kinds = (
        heap.low,
        heap.groups,
        heap.table,
        heap.rows,
        heap.sizes,
        heap.kinds,
    )
    starts, ends, first_places = where.starts, where.ends, where.places
    ranges, end_of_words, base, shift = len(starts), len(words), part.base, part.shift
    lowest, highest = 1 << 62, 0
    for r in range(ranges):
        lowest, highest = min(lowest, starts[r]), max(highest, ends[r])
    for e in range(first, last):
        j = at[e]
        address, value = base + (j << shift), words[j]
        at[e] = (address - body_at(address, low, groups, table, rows, sizes, kinds)) >> shift
        inner = value - body_at(value, low, groups, table, rows, sizes, kinds)
        if inner >= 65535:
            far[many[1]], far_into[many[1]] = e, inner
            many[1] += 1
            inner = 65535
        into[e] = inner
        tag = 0
        if j > 0:
            before = words[j - 1]
            if lowest <= before < highest:
                for r in range(ranges):
                    if starts[r] <= before < ends[r]:
                        place = first_places[r] + ((before - starts[r]) >> shift)
                        tag = met[place]
                        if tag == 0:
                            tag = min(2 + many[0], 65535)
                            many[0] += 1
                            met[place] = tag
        if tag == 0 and j + 1 < end_of_words and words[j + 1] == 0:
            tag = 1
        tags[e] = tag


@kernel
def begin_with_code(
    begin: int, end: int, part: Part, heap: Heap, code: Ints, objects: Ints, pcs: Ints
) -> int:
    """The objects of these spans that begin with an address in [code[0], code[1]); how many."""
    count = 0
    for s in range(begin, end):
        if heap.kinds[s] != 0 and heap.kinds[s] != 3:
            at, step = (heap.starts[s] - part.base) >> part.shift, heap.sizes[s] >> part.shift
            if heap.kinds[s] == 2:
                at += 8 >> part.shift
            for number in range(heap.first[s], heap.first[s] + heap.slots[s]):
                if heap.state[number] != 0 and code[0] <= part.words[at] < code[1]:
                    objects[count] = number
                    pcs[count] = part.words[at]
                    count += 1
                at += step
    return count


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
        self.notes = Notes(
            zeros(1, "H"), zeros(1, "H"), zeros(place + 1, "H"), zeros(2), zeros(1, "i"), zeros(1)
        )
        self._code = zeros(2)
        self._code[0], self._code[1] = code
        self._codes: List[Codes] = []
        self._words: Set[int] = set()  # of parts that are described only later
        self._pcs: Set[int] = set()

    def glance(self, part: Part) -> None:
        """Note which types stand in a part that is to be described later: all that can be, and more."""
        for start, end in self._bounds:
            self._words.update(word for word in part.words if start <= word < end)
        start, end = self._code
        self._pcs.update(word for word in part.words if start <= word < end)

    def add(self, first: int, last: int, part: Part, heap: Heap, edges: Edges) -> None:
        """Those edges are of this part."""
        if len(self.notes.into) < len(edges.to):
            into, tags = (grown(one, len(edges.to)) for one in (self.notes.into, self.notes.tags))
            self.notes = self.notes._replace(into=into, tags=tags)
        room = int(self.notes.many[1]) + last - first
        if len(self.notes.far) < room:
            far, far_into = (grown(one, room) for one in (self.notes.far, self.notes.far_into))
            self.notes = self.notes._replace(far=far, far_into=far_into)
        describe(first, last, part, heap, edges, self.notes, self.where)

    def into_of(self, edge: int) -> int:
        """How many bytes from the start of an object its pointer leads."""
        notes = self.notes
        found = int(notes.into[edge])
        if found < FAR:
            return found
        return int(notes.far_into[bisect_left(notes.far, edge, 0, int(notes.many[1]))])

    def add_codes(self, begin: int, end: int, part: Part, heap: Heap) -> None:
        """Those spans are in this part."""
        room = int(heap.first[end] - heap.first[begin])
        objects, pcs = zeros(room, "i"), zeros(room)
        count = int(begin_with_code(begin, end, part, heap, self._code, objects, pcs))
        if count:
            self._codes.append(Codes(joined([objects[:count]], "i"), joined([pcs[:count]], "q")))

    def codes(self) -> Codes:
        """All of them."""
        objects = joined([one.objects for one in self._codes] or [zeros(0, "i")], "i")
        return Codes(objects, joined([one.addresses for one in self._codes] or [zeros(0)], "q"))

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
