"""Records that the runtime keeps of single objects: finalizers, cleanups, samples of the profiler and others.

src/runtime/mheap.go, special. Each span has a list of them. They lie in persistentalloc's chunks, those of
one kind side by side (fixalloc).
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_right
from typing import Dict, Iterable, List, NamedTuple, Sequence, Tuple

from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.goruntime.columns import Columns, read_columns
from addrspace_gdb.goruntime.malloc import PERSISTENT_CHUNK, persistent_chunks
from addrspace_gdb.goruntime.record import Bytes, Runtime, pieces
from addrspace_gdb.goruntime.symtab import go_minor
from addrspace_gdb.target.layout import Located

FINALIZERS, CLEANUPS, WEAK = "finalizer records", "cleanup records", "weak handles"
PROFILE, PINS, OTHERS = "records of profiled objects", "pin counters", "other records of objects"
KINDS = (FINALIZERS, CLEANUPS, WEAK, PROFILE, PINS, OTHERS)

_MAX = 1 << 25
_REST = "the rest of a list is left out"
_MAX_LIST = 1 << 16  # of one span: it has 1,024 objects at most
_FIELDS = {"next": "next", "kind": "kind", "offset": "offset"}

# Numbers (_KindSpecial...), what they are, and the fixalloc in mheap that they come from. Go 1.23 put weak
# handles between the others, 1.25 blocks of tiny objects before them.
_Numbers = Dict[int, Tuple[str, str]]
_FIRST: _Numbers = {
    1: (FINALIZERS, "specialfinalizeralloc"),
    2: (PROFILE, "specialprofilealloc"),
    3: (OTHERS, "specialReachableAlloc"),
    4: (PINS, "specialPinCounterAlloc"),
}
_FROM_23: _Numbers = {
    1: (FINALIZERS, "specialfinalizeralloc"),
    2: (WEAK, "specialWeakHandleAlloc"),
    3: (PROFILE, "specialprofilealloc"),
    4: (OTHERS, "specialReachableAlloc"),
    5: (PINS, "specialPinCounterAlloc"),
    6: (CLEANUPS, "specialCleanupAlloc"),
}
FROM_25: _Numbers = {
    1: (OTHERS, "specialTinyBlockAlloc"),
    2: (FINALIZERS, "specialfinalizeralloc"),
    3: (WEAK, "specialWeakHandleAlloc"),
    4: (PROFILE, "specialprofilealloc"),
    5: (OTHERS, "specialReachableAlloc"),
    6: (PINS, "specialPinCounterAlloc"),
    7: (CLEANUPS, "specialCleanupAlloc"),
    8: (OTHERS, "specialCheckFinalizerAlloc"),
    9: (OTHERS, "specialBubbleAlloc"),
    10: (OTHERS, "specialSecretAlloc"),
}


class Specials(NamedTuple):
    """The records of one kind and size."""

    kind: str
    size: int  # bytes of one
    addresses: array[int]  # in no order


def sampled_bucket(runtime: Runtime, mspan: int, low: int, high: int) -> int:
    """The bucket of the heap profile that counts an object of the span at `mspan`, which takes the bytes
    [low, high) of it; 0 if the object is no sample. Raises UnreadableError and KeyError."""
    numbers = {number for number, (kind, _) in _numbers(runtime).items() if kind == PROFILE}
    layout = runtime.layout("runtime.special")
    first = runtime.record("runtime.mspan", mspan).number("specials")
    for at in runtime.chain(first, layout.scalar("next").offset, "mspan.specials"):
        special = runtime.record("runtime.special", at)
        if special.number("kind") in numbers and low <= special.number("offset") < high:
            return runtime.record("runtime.specialprofile", at).number("b")
    return 0


def read_specials(runtime: Runtime, spans: Columns) -> List[Specials]:
    """Every record, by kind. Damage is told; what follows it in a list is left out.

    Raises UnreadableError and KeyError.
    """
    numbers = _numbers(runtime)
    heap = runtime.variable("runtime.mheap_")
    sizes = {
        number: heap.number(f"{alloc}.size") for number, (_, alloc) in numbers.items() if heap.has(alloc)
    }
    found: Dict[int, array[int]] = {number: array("Q") for number in sizes}
    odd = 0
    for columns in _levels(runtime, spans):
        for at, number in zip(columns["address"], columns["kind"]):
            if number in found:
                found[number].append(at)
            else:
                odd += 1
    if odd:
        runtime.problems.add(f"specials: {odd:,} are of no kind that this release has; left out")
    return [Specials(numbers[n][0], sizes[n], rows) for n, rows in found.items() if rows]


class Rooted(NamedTuple):
    """A record that the collector takes pointers from: what it is of, and which words it scans."""

    kind: str  # FINALIZERS, CLEANUPS or WEAK
    object: int  # address of the slot that it is of
    words: array[int]
    address: int  # of the first of them


# The fields that are scanned (markrootSpans, src/runtime/mgcmark.go). Go 1.26 made two words of a cleanup's.
_SCANNED = {
    FINALIZERS: ("specialfinalizer", ("fn",)),
    CLEANUPS: ("specialCleanup", ("cleanup", "fn")),
    WEAK: ("specialWeakHandle", ("handle",)),
}


def read_rooted(runtime: Runtime, spans: Columns) -> List[Rooted]:
    """Every record that is a root. Damage is told; what follows it in a list is left out.

    Raises UnreadableError, ProblemError and KeyError.
    """
    kinds = {number: kind for number, (kind, _) in _numbers(runtime).items() if kind in _SCANNED}
    chunks, scanned = Chunks(runtime, spans["specials"]), _Scanned(runtime)
    found, offset = [], runtime.layout("runtime.special").scalar("offset")
    for _, at, number, row in sorted(_followed(runtime, chunks, spans["specials"], bytes(kinds))):
        start, element = spans["start"][row], spans["element"][row]
        if element:
            low, _, raw, _ = chunks.around(at)
            first = at - low + offset.offset
            within = int.from_bytes(raw[first : first + offset.size], runtime.order)
            words, address = scanned.of(kinds[number], chunks, at)
            found.append(Rooted(kinds[number], start + within // element * element, words, address))
    return found


def _followed(
    runtime: Runtime, chunks: Chunks, firsts: Sequence[int], wanted: bytes
) -> List[Tuple[int, int, int, int]]:
    """Go along all lists: of the records of the kinds that are wanted how far in their list they are, the
    address, the kind, and the position of the list."""
    layout, shift = runtime.layout("runtime.special"), runtime.word.bit_length() - 1
    follow, kind = layout.scalar("next").offset >> shift, layout.scalar("kind").offset
    odd, takes = runtime.word - 1, [number in wanted for number in range(256)]
    found: List[Tuple[int, int, int, int]] = []
    low = last = 0
    raw = words = memoryview(b"")
    for row, at in enumerate(firsts):
        depth = 0
        try:
            while at:
                if not low <= at <= last or at & odd:
                    low, last, raw, words = chunks.around(at)
                number = raw[at - low + kind]
                if takes[number]:
                    found.append((depth, at, number, row))
                at = words[((at - low) >> shift) + follow]
                depth += 1
                if depth > _MAX_LIST:
                    runtime.problems.add(f"specials: a list does not end after {depth:,}; {_REST}")
                    break
        except UnreadableError as error:
            runtime.problems.add(f"specials: {error}; {_REST}")
    return found


class Chunks:
    """The memory that records lie in, which the runtime takes in large pieces: read a piece at a time."""

    def __init__(self, runtime: Runtime, addresses: Iterable[int]) -> None:
        """Those with the records at some addresses are read at once."""
        self._runtime, self._layout = runtime, runtime.layout("runtime.special")
        known = runtime.has("runtime.persistentChunks")
        self._chunks = sorted(persistent_chunks(runtime)) if known else []
        self._held: Dict[int, Tuple[int, int, memoryview, memoryview]] = {}  # by the first address
        wanted = sorted({self._chunk(address) for address in addresses} - {0})
        for start, data in zip(wanted, pieces(runtime.target, [(one, PERSISTENT_CHUNK) for one in wanted])):
            if data is not None:
                self._hold(start, data)

    def _chunk(self, address: int) -> int:
        """Where the piece begins with the record at an address; 0: it is in none."""
        at = bisect_right(self._chunks, address) - 1
        start = self._chunks[at] if at >= 0 else 0
        return start if address + self._layout.size <= start + PERSISTENT_CHUNK else 0

    def _hold(self, start: int, data: Bytes) -> Tuple[int, int, memoryview, memoryview]:
        words = array("Q" if self._runtime.word == 8 else "I")
        words.frombytes(data)
        raw = memoryview(bytes(data))
        if self._runtime.order != sys.byteorder:
            words.byteswap()
        found = start, start + len(raw) - self._layout.size, raw, memoryview(words)
        self._held[start] = found
        return found

    def around(self, address: int) -> Tuple[int, int, memoryview, memoryview]:
        """Memory with the record at an address: where it begins, the last place where one can be in it, its
        bytes, and its words in this machine's order. UnreadableError."""
        if address % self._runtime.word:
            raise UnreadableError(address, self._layout.size)
        chunk = self._chunk(address)
        found = self._held.get(chunk or address)
        if found is None and chunk:
            data = next(pieces(self._runtime.target, [(chunk, PERSISTENT_CHUNK)]))
            found = self._hold(chunk, data) if data is not None else self._held.get(address)
        if found is None:
            size = -(-self._layout.size // self._runtime.word) * self._runtime.word
            found = self._hold(address, self._runtime.target.read(address, size))
        return found


class _Scanned:
    """The words of records that the collector scans."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._places: Dict[str, Located] = {}  # by kind

    def of(self, kind: str, chunks: Chunks, address: int) -> Tuple[array[int], int]:
        """Those of a record, none if they cannot be read, and where the first of them is."""
        place = self._places.get(kind)
        if place is None:
            name, fields = _SCANNED[kind]
            place = self._places[kind] = self._runtime.layout(f"runtime.{name}").locate(*fields)
        low, _, _, words = chunks.around(address)
        word, first = self._runtime.word, address + place.offset
        at, many = (first - low) // word, place.size // word
        if at + many <= len(words):
            return array("Q", words[at : at + many].tolist()), first
        return self._runtime.words(first, many, kind), first


def _numbers(runtime: Runtime) -> _Numbers:
    minor = go_minor(runtime.target) or 0
    return FROM_25 if minor >= 25 else _FROM_23 if minor >= 23 else _FIRST


def _levels(runtime: Runtime, spans: Columns) -> List[Columns]:
    """The first record of every span's list, then the second ones, and so on."""
    layout = runtime.layout("runtime.special")
    levels: List[Columns] = []
    met = {*spans["specials"]}
    known = {0}
    while True:
        met -= known
        if not met:
            return levels
        known |= met
        if len(known) > _MAX:
            runtime.problems.add(f"specials: there are more than {_MAX:,}; the rest is left out")
            return levels
        levels.append(read_columns(runtime, sorted(met), layout, _FIELDS, "specials"))
        met = {*levels[-1]["next"]}
