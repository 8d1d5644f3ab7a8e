"""Stack memory piece by piece: spans cut by who owns what of them. A million pieces are columns."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from itertools import compress
from typing import Iterator, List, Mapping, NamedTuple, Sequence, Tuple

from addrspace_gdb.common.lanes import changes, unequal

# What a piece of a manual span is.
GOROUTINE = "goroutine"
DEAD_GOROUTINE = "dead goroutine"
SYSTEM_STACK = "g0 stack"
SIGNAL_STACK = "signal stack"
CRASH_STACK = "crash stack"
FREE_POOL = "free stack (pool)"
FREE_CACHE = "free stack (P cache)"
FREE_LARGE = "free stack (large)"
UNCLAIMED = "stack in transit"

KINDS = (
    *(GOROUTINE, DEAD_GOROUTINE, SYSTEM_STACK, SIGNAL_STACK, CRASH_STACK),
    *(FREE_POOL, FREE_CACHE, FREE_LARGE, UNCLAIMED),
)
_NUMBERS = {kind: number for number, kind in enumerate(KINDS)}


class Piece(NamedTuple):
    """[start, end) of stack memory, what it is and whose: a goid for goroutines, an M's id for g0."""

    start: int
    end: int
    kind: str
    owner: int


class StackSpan(NamedTuple):
    """A span of stacks."""

    start: int
    end: int
    element: int  # bytes of a stack
    free: Mapping[int, str]  # address of free slots, in it and elsewhere, to which list they are in


class Pieces:
    """Pieces side by side: kinds are a byte each, their place in `KINDS`."""

    def __init__(self) -> None:
        self.starts, self.ends, self.owners = array("Q"), array("Q"), array("Q")
        self.kinds = bytearray()

    def __len__(self) -> int:
        return len(self.starts)

    def __iter__(self) -> Iterator[Piece]:
        return iter(self.some(0, len(self)))

    def add(self, start: int, end: int, kind: str, owner: int) -> None:
        """Add one piece."""
        self.starts.append(start)
        self.ends.append(end)
        self.owners.append(owner)
        self.kinds.append(_NUMBERS[kind])

    def extend(self, other: Pieces, first: int, after: int) -> None:
        """Add [first, after) of `other`."""
        self.starts.extend(other.starts[first:after])
        self.ends.extend(other.ends[first:after])
        self.owners.extend(other.owners[first:after])
        self.kinds += other.kinds[first:after]

    def some(self, first: int, after: int) -> List[Piece]:
        """Those in [first, after)."""
        kinds = map(KINDS.__getitem__, self.kinds[first:after])
        columns = (self.starts[first:after], self.ends[first:after], kinds, self.owners[first:after])
        return list(map(Piece, *columns))

    def chosen(self, mask: bytes) -> Pieces:
        """Those where `mask`, a byte a piece, has 1."""
        made = Pieces()
        made.starts, made.ends, made.owners = (
            array("Q", compress(column, mask)) for column in (self.starts, self.ends, self.owners)
        )
        made.kinds = bytearray(compress(self.kinds, mask))
        return made

    def mask(self, kind: str) -> bytes:
        """A byte a piece, 1 for those of that kind."""
        number = _NUMBERS[kind]
        return bytes(self.kinds.translate(bytes(one == number for one in range(256))))

    def merged(self) -> List[Tuple[int, int, str]]:
        """Neighbours of one kind as one."""
        starts, ends, kinds = self.starts, self.ends, self.kinds
        if not starts:
            return []
        rows = range(1, len(starts))
        apart = compress(rows, unequal(starts[1:], ends[:-1]))
        firsts = sorted({0, *apart, *compress(rows, changes(bytes(kinds)))})
        lasts = [*(first - 1 for first in firsts[1:]), len(starts) - 1]
        return [(starts[first], ends[last], KINDS[kinds[first]]) for first, last in zip(firsts, lasts)]


def with_others(claims: Pieces, others: List[Piece]) -> Pieces:
    """`claims`, which ascend, with the `others` among them."""
    if others:
        made, done = Pieces(), 0
        for piece in sorted(others):
            at = bisect_left(claims.starts, piece.start, done)
            made.extend(claims, done, at)
            made.add(*piece)
            done = at
        made.extend(claims, done, len(claims))
        claims = made
    if all(unequal(claims.starts[1:], claims.starts[:-1])):
        return claims
    made = Pieces()  # which of those with one start comes first, everything else says
    for piece in sorted(claims):
        made.add(*piece)
    return made


def cut(places: Sequence[StackSpan], owners: Pieces) -> Tuple[Pieces, List[Piece]]:
    """Cut the ascending, disjoint `places` among the `owners` that begin in them. Also the owners that begin
    in none.

    Places that are full of stacks, as nearly all are, are taken as they lie in the columns.
    """
    starts, ends, many = owners.starts, owners.ends, len(owners)
    breaks = [*compress(range(many), unequal(ends[:-1], starts[1:])), many]
    made, outside = Pieces(), []
    held = at = broken = 0  # the owners from `held` to `at` fill places, and wait to be copied together
    for place in places:
        begin, after = at, at + (place.end - place.start) // max(place.element, 1)
        if begin == many or starts[begin] != place.start:
            begin = bisect_left(starts, place.start, at)
        if not begin < after < many or starts[after] < place.end or starts[after - 1] >= place.end:
            after = bisect_left(starts, place.end, begin)
        while breaks[broken] < begin:
            broken += 1
        whole = breaks[broken] >= after - 1 and begin < after
        full = whole and starts[begin] == place.start and ends[after - 1] == place.end
        if begin != at or not full:
            made.extend(owners, held, at)
            outside += owners.some(at, begin)
            held = begin
        if not full:
            for piece in _pieces(place, owners.some(begin, after)):
                made.add(*piece)
            held = after
        at = after
    made.extend(owners, held, at)
    return made, outside + owners.some(at, len(owners))


def _pieces(place: StackSpan, owned: List[Piece]) -> Iterator[Piece]:
    """Cut one place: owned stacks first, then free slots, then what nobody claims."""
    taken = 0
    at, end = place.start, place.end
    step = max(place.element, 1)
    while at < end:
        if taken < len(owned) and owned[taken].start < at:
            taken += 1  # overlaps the one before: garbage, counted once
        elif taken < len(owned) and owned[taken].start == at:
            owner = owned[taken]
            yield owner if owner.end <= end else owner._replace(end=end)
            at = min(owner.end, end)
            taken += 1
        else:
            until = min(end, at - (at - place.start) % step + step)
            if taken < len(owned):
                until = min(until, owned[taken].start)
            yield Piece(at, until, place.free.get(at, UNCLAIMED), 0)
            at = until
