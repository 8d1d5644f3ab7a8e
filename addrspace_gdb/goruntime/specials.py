"""Records that the runtime keeps of single objects: finalizers, cleanups, samples of the profiler and others.

src/runtime/mheap.go, special. Each span has a list of them. They lie in persistentalloc's chunks, those of
one kind side by side (fixalloc).
"""

from __future__ import annotations

from array import array
from typing import Dict, List, NamedTuple, Tuple

from addrspace_gdb.goruntime.columns import Columns, read_columns
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.symtab import go_minor

FINALIZERS, CLEANUPS, WEAK = "finalizer records", "cleanup records", "weak handles"
PROFILE, PINS, OTHERS = "records of profiled objects", "pin counters", "other records of objects"
KINDS = (FINALIZERS, CLEANUPS, WEAK, PROFILE, PINS, OTHERS)

_MAX = 1 << 25
_MAX_SAMPLED = 1 << 20
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
    """Every record that is a root. Raises UnreadableError, ProblemError and KeyError."""
    numbers, found = _numbers(runtime), []
    of = {
        special: (start, element)
        for special, start, element in zip(spans["specials"], spans["start"], spans["element"])
        if special and element
    }
    for columns in _levels(runtime, spans):
        after = {}
        for at, number, follow, offset in zip(
            *(columns[name] for name in ("address", "kind", "next", "offset"))
        ):
            start, element = of[at]
            if follow:
                after[follow] = of[at]
            kind = numbers.get(number, (OTHERS, ""))[0]
            if kind in _SCANNED:
                words, address = _scanned(runtime, kind, at)
                found.append(Rooted(kind, start + offset // element * element, words, address))
        of = after
    return found


class Sampled(NamedTuple):
    """Objects that the heap profile has samples of: the addresses of their slots, and of their buckets."""

    objects: array[int]
    buckets: array[int]
    whole: bool  # False: there are more


def read_sampled(runtime: Runtime, spans: Columns) -> Sampled:
    """Those of every span; no more than are looked at. Raises UnreadableError, ProblemError and KeyError."""
    numbers = _numbers(runtime)
    wanted = {number for number, (kind, _) in numbers.items() if kind == PROFILE}
    of = {
        special: (start, element)
        for special, start, element in zip(spans["specials"], spans["start"], spans["element"])
        if special and element
    }
    records: Dict[int, int] = {}  # objects by the addresses of their records
    for columns in _levels(runtime, spans):
        after = {}
        for at, number, follow, offset in zip(
            *(columns[name] for name in ("address", "kind", "next", "offset"))
        ):
            start, element = of[at]
            if follow:
                after[follow] = of[at]
            if number in wanted:
                records[at] = start + offset // element * element
        of = after
        if len(records) >= _MAX_SAMPLED:
            break
    layout = runtime.layout("runtime.specialprofile")
    found = read_columns(runtime, sorted(records), layout, {"bucket": "b"}, "records of profiled objects")
    objects = array("Q", map(records.__getitem__, found["address"]))
    return Sampled(objects, array("Q", found["bucket"]), len(records) < _MAX_SAMPLED)


def _scanned(runtime: Runtime, kind: str, address: int) -> Tuple[array[int], int]:
    name, fields = _SCANNED[kind]
    layout = runtime.layout(f"runtime.{name}")
    place = layout.locate(*fields)
    first = address + place.offset
    return runtime.words(first, place.size // runtime.word, kind), first


def _numbers(runtime: Runtime) -> _Numbers:
    minor = go_minor(runtime.target) or 0
    return FROM_25 if minor >= 25 else _FROM_23 if minor >= 23 else _FIRST


def _levels(runtime: Runtime, spans: Columns) -> List[Columns]:
    """The first record of every span's list, then the second ones, and so on."""
    layout = runtime.layout("runtime.special")
    levels: List[Columns] = []
    at = sorted({*spans["specials"]} - {0})
    known = set(at)
    while at:
        levels.append(read_columns(runtime, at, layout, _FIELDS, "specials"))
        at = sorted({*levels[-1]["next"]} - known - {0})
        known.update(at)
        if len(known) > _MAX:
            runtime.problems.add(f"specials: there are more than {_MAX:,}; the rest is left out")
            break
    return levels
