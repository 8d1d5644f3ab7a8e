"""The accounting tree of one reading: the partition by owner, stacks by use, heap objects by slot."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from itertools import compress
from operator import and_, le, lt
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

from addrspace_gdb.common.gcpause import no_cycle_collection
from addrspace_gdb.common.lanes import differences
from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.common.sizes import size as in_words
from addrspace_gdb.goruntime import stackpieces
from addrspace_gdb.goruntime.columns import chosen
from addrspace_gdb.goruntime.own_slots import OwnSlots
from addrspace_gdb.goruntime.persistent import PersistentOwners
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.slotcount import Parts, Slots, count_slots
from addrspace_gdb.goruntime.stack_use import ascending_sps, live_stacks
from addrspace_gdb.space.heap.summary import gather_slots, own_of, pinned_of, slots_of, swapped_own
from addrspace_gdb.space.reading.claims import THREAD_STACK, all_claims, rest_in, stack_kind
from addrspace_gdb.space.reading.whole import Reading
from addrspace_gdb.space.regions import region as areas
from addrspace_gdb.space.regions.overlay import normalise, overlay
from addrspace_gdb.space.regions.partition import partition, total
from addrspace_gdb.space.regions.region import RUNTIME, Claim, Region
from addrspace_gdb.space.rss import places as places
from addrspace_gdb.space.rss.amounts import amount_of
from addrspace_gdb.space.rss.c_heap import CHeap, split_c_heap
from addrspace_gdb.space.rss.extents import split_extents
from addrspace_gdb.space.rss.tree import Amount, Leaves, Node, Path, added, under
from addrspace_gdb.target.protocol import Target

_PARTS = ("survived the last GC", "allocated since", "dead, not swept yet", "free slots in used spans")
PART_NAMES = (*_PARTS, "tail waste", "of damaged spans")
_IN_USE_UNKNOWN = "in use vs. free inside malloc is not tracked"


class LiveClass(NamedTuple):
    """The program's objects of one size class, or all large ones, that were live at the last collection."""

    element: int  # bytes of a slot; 0 for large objects, which differ
    objects: int
    size: int


@dataclass
class RssTree:
    """The tree, and what else was found on the way to it."""

    root: Node
    regions: List[Region]
    slots: Optional[Slots]
    locked: int = 0  # bytes of what is resident that the process has locked
    live_class: Optional[LiveClass] = None  # the objects of one size that are most of what is live
    pinned: int = 0  # objects that a runtime.Pinner holds
    notes: List[str] = field(default_factory=list)


def gather_tree(target: Target, reading: Reading) -> PersistentOwners:
    """Read what the tree needs beside `reading`; `target` has not moved since that was read.

    Returns what persistentalloc's chunks hold.
    """
    if reading.other is None:
        try:
            gather_slots(reading, target)
        except (UnreadableError, ProblemError, KeyError):
            pass  # the tree says so
    return PersistentOwners(Runtime(target, reading.problems), reading.go)


def rss_tree(
    target: Target, reading: Reading, owners: PersistentOwners, c_heap: CHeap, by_class: bool = False
) -> RssTree:
    """Build it of what was read; `owners` is what `gather_tree` returned, `c_heap` what `gather_c_heap` did.

    Its sums hold whatever is damaged: what cannot be split is one leaf, and a note says why.
    """
    with no_cycle_collection():
        regions = _regions(reading, owners)
        leaves = _leaves(regions)
        notes: List[str] = []
        _note(notes, "goroutine stacks", _split_stacks(leaves, reading))
        for kind in (areas.MAIN_STACK_KIND, THREAD_STACK):
            _note(notes, f"{kind}s", _split_threads(leaves, reading, kind))
        slots = _slots(target, reading)
        if slots is not None:
            parts = _object_parts(slots, _swapped(target, reading), reading.residency.known, by_class)
            parts = _own_apart(parts, _own_amounts(target, reading, by_class))
            _note(notes, "heap objects", leaves.split(places.OBJECTS, parts))
        _split_c(leaves, notes, reading, regions, c_heap)
        locked = _note_locked(leaves, regions)
        root = leaves.tree(places.ROOT, places.ORDER)
        if slots is None:
            return RssTree(root, regions, slots, locked, notes=notes)
        live = _live_class(slots, own_of(reading, target))
        return RssTree(root, regions, slots, locked, live, pinned_of(reading, target), notes)


def _leaves(regions: List[Region]) -> Leaves:
    """Each region in its place, those together that differ in nothing but where they are."""
    alike: Dict[Tuple[object, ...], List[Region]] = {}
    for region in regions:
        alike.setdefault((region.file, *region[2:6]), []).append(region)  # area, kind, label, permissions
    leaves = Leaves()
    for some in alike.values():
        size = sum(region.size for region in some)
        kept = size if places.is_kept(some[0]) else 0
        there, swapped = total(one.resident for one in some), total(one.swapped for one in some)
        leaves.add(places.place(some[0]), Amount(size, there, swapped, kept))
    return leaves


def _live_class(slots: Slots, own: List[OwnSlots]) -> Optional[LiveClass]:
    """The class that is more than half of what was live, the runtime's own objects left out."""
    found: Dict[int, LiveClass] = {}
    for one in slots.classes:
        known = found.get(one.element, LiveClass(one.element, 0, 0))
        objects, size = known.objects + one.objects.live, known.size + one.bytes.live
        found[one.element] = LiveClass(one.element, objects, size)
    for mine in own:
        known = found[mine.key[2]]
        objects = mine.bytes.live // known.element if known.element else 0
        found[known.element] = LiveClass(known.element, known.objects - objects, known.size - mine.bytes.live)
    most = max(found.values(), key=lambda one: one.size, default=None)
    return most if most is not None and 2 * most.size > sum(one.size for one in found.values()) else None


_LOCKED = "is locked in memory (mlock, mlockall): resident, touched or not, until it is unlocked"


def _note_locked(leaves: Leaves, regions: List[Region]) -> int:
    """Say what the process has locked, at the root and at what was returned; returns the resident bytes."""
    held = [region for region in regions if region.locked]
    amounts = {
        path: sum(region.resident or 0 for region in held if not path or places.place(region) == path)
        for path in ((), places.RETURNED)
    }
    for path, amount in amounts.items():
        if amount:
            leaves.notes[path] = f"{in_words(amount)} of it {_LOCKED}"
    return amounts[()]


def _split_c(leaves: Leaves, notes: List[str], reading: Reading, regions: List[Region], found: CHeap) -> None:
    """C's heap into its parts, as far as they are known."""
    _note(notes, "parts of C's heap", split_c_heap(leaves, reading, regions, found))
    _note(notes, "jemalloc's extents", split_extents(leaves, reading, regions, found.extents))
    if found.malloc is None and found.extents is None:
        leaves.notes[places.C_HEAP] = _IN_USE_UNKNOWN


def _note(notes: List[str], what: str, why: Optional[str]) -> None:
    if why is not None:
        notes.append(f"{what} are not split: {why}")


def _regions(reading: Reading, owners: PersistentOwners) -> List[Region]:
    """The partition, with owners inside persistentalloc's chunks."""
    claims = all_claims(reading, each_goroutine=False)
    inner = normalise(Claim(owned.start, owned.end, RUNTIME, owned.kind) for owned in owners.owned)
    chunks = [c for c in claims if c.area == RUNTIME and c.kind == "persistent allocations"]
    claims = overlay(claims, _inside(inner, chunks))
    return partition(reading.mappings, claims, rest_in(reading), reading.residency)


def _inside(claims: List[Claim], around: List[Claim]) -> List[Claim]:
    """The ascending claims that lie whole in one of the ascending ranges `around`."""
    kept: List[Claim] = []
    at = 0
    for claim in claims:
        while at < len(around) and around[at].end <= claim.start:
            at += 1
        if at < len(around) and around[at].start <= claim.start and claim.end <= around[at].end:
            kept.append(claim)
    return kept


def _split_stacks(leaves: Leaves, reading: Reading) -> Optional[str]:
    """Stacks of goroutines into what lies above their sp and what lies below."""
    pieces, _ = reading.go.stacks.unnamed
    live = chosen({"start": pieces.starts, "end": pieces.ends}, pieces.mask(stackpieces.GOROUTINE))
    starts, ends = live["start"], live["end"]
    sps = _all_sps(reading, starts, ends)
    if sps is not None and starts:
        ranges = {"used": (sps, ends), "unused": (starts, sps)}
    else:
        ranges = dict(_by_use(starts, ends, _stack_pointers(reading, starts)))
    parts = {under(places.STACKS, name): amount_of(reading.residency, *both) for name, both in ranges.items()}
    return leaves.split(places.STACKS_OF_GOROUTINES, parts)


def _by_use(starts: array[int], ends: array[int], sps: array[int]) -> Iterator[Tuple[str, _Ranges]]:
    """What of stacks is used, what is not, and those of which that is not known; sps may be anything."""
    known = bytes(map(and_, map(lt, starts, sps), map(le, sps, ends)))
    for name, lows, highs, rows in (
        ("used", sps, ends, known),
        ("unused", starts, sps, known),
        ("use not known", starts, ends, known.translate(_NOT)),
    ):
        if 1 in rows:
            yield name, (array("Q", compress(lows, rows)), array("Q", compress(highs, rows)))


_Ranges = Tuple["array[int]", "array[int]"]
_NOT = bytes([1, 0]) + bytes(254)


def _split_threads(leaves: Leaves, reading: Reading, kind: str) -> Optional[str]:
    """Stacks of C threads in the same way; what deeper calls have touched stays resident below. A core does
    not say whether any did."""
    below = places.LEFT_BEHIND if reading.residency.known else "unused"
    have = {stack.tid for stack in reading.thread_stacks}  # of the others no register was read
    sps = {thread.tid: thread.sp or 0 for thread in reading.threads if thread.tid in have}
    of_g0 = {m.procid: m.g0_sp for m in reading.go.scheduler.ms}
    found: Dict[str, List[Tuple[int, int]]] = {"used": [], below: [], "use not known": []}
    for stack in reading.thread_stacks:
        if stack_kind(stack) != kind:
            continue
        tid = stack.tid or 0  # on a goroutine's stack it is where it left its own
        own = (sp for sp in (sps.get(tid, 0), of_g0.get(tid, 0)) if stack.start < sp <= stack.end)
        sp = next(own, None)
        if sp is None:
            found["use not known"].append((stack.start, stack.end))
        else:
            found["used"].append((sp, stack.end))
            found[below].append((stack.start, sp))
    path = (*places.THREADS, kind)
    columns = {name: [array("Q", part) for part in zip(*ranges)] for name, ranges in found.items() if ranges}
    parts = {under(path, name): amount_of(reading.residency, *both) for name, both in columns.items()}
    return leaves.split(path, parts)


def _all_sps(reading: Reading, starts: array[int], ends: array[int]) -> Optional[array[int]]:
    """The sp on each of these ascending stacks; None if they are not those of all goroutines, or not all sps
    are on their own: else those sorted are in the order of the stacks."""
    if reading.stack_use.unknown or reading.stack_use.goroutines != len(starts):
        return None
    sps = ascending_sps(reading.go.goroutines, reading.running)
    deep = differences(sps, starts)
    return sps if deep is not None and all(deep) and differences(ends, sps) is not None else None


def _stack_pointers(reading: Reading, starts: array[int]) -> array[int]:
    """The sp on each stack that begins at one of the ascending `starts`; 0 where that is not known."""
    los, his, sps = live_stacks(reading.go.goroutines, reading.running)
    if los == starts:
        return sps
    found = {lo: sp for lo, hi, sp in zip(los, his, sps) if lo < sp <= hi}
    return array("Q", (found.get(start, 0) for start in starts))


def _slots(target: Target, reading: Reading) -> Optional[Slots]:
    if reading.other is not None:
        return None
    try:
        return slots_of(reading, target)
    except (UnreadableError, ProblemError, KeyError) as error:
        reading.problems.add(f"object slots: {error}")
        return None


def _swapped(target: Target, reading: Reading) -> Optional[Slots]:
    """The slots again, with what of them is in swap as `resident`; None where nothing is."""
    if not _is_swapped(reading):
        return None
    return count_slots(gather_slots(reading, target), reading.go.spans, reading.residency.swapped_runs)


def _is_swapped(reading: Reading) -> bool:
    """Whether anything is in swap."""
    runs = reading.residency.swapped_runs
    return reading.residency.known and bool(len(runs) or not runs.splittable)


def _object_parts(slots: Slots, swapped: Optional[Slots], known: bool, by_class: bool) -> Dict[Path, Amount]:
    """Every part of the slots as a leaf under the objects."""
    others = swapped.classes if swapped is not None else [None] * len(slots.classes)
    found: Dict[Path, Amount] = {}
    for one, other in zip(slots.classes, others):
        nothing = Parts() if known else None
        there = _amounts(one.bytes, one.resident, other.resident if other is not None else nothing)
        for name, amount in zip(PART_NAMES, there):
            place = under(places.OBJECTS, _class_name(one.user, one.element)) if by_class else places.OBJECTS
            path = under(place, name)
            if amount.size:
                found[path] = found.get(path, Amount()).plus(amount)
    return found


def _amounts(size: Parts, resident: Optional[Parts], swapped: Optional[Parts]) -> List[Amount]:
    return [
        Amount(
            whole,
            resident[at] if resident is not None else None,
            swapped[at] if swapped is not None else None,
            whole,
        )
        for at, whole in enumerate(size)
    ]


_Objects = Dict[Tuple[Path, int], Dict[str, Amount]]  # by their class and which of Parts, by kind


def _own_amounts(target: Target, reading: Reading, by_class: bool) -> _Objects:
    """What the runtime's own objects amount to."""
    own = own_of(reading, target)
    swapped = swapped_own(reading, target) if _is_swapped(reading) else []
    others = {(one.kind, one.key): one.resident for one in swapped}
    known = reading.residency.known
    found: _Objects = {}
    for one in own:
        _, user, element = one.key
        place = under(places.OBJECTS, _class_name(bool(user), element)) if by_class else places.OBJECTS
        swap = others.get((one.kind, one.key)) if swapped else (Parts() if known else None)
        for at, amount in enumerate(_amounts(one.bytes, one.resident, swap)):
            if amount.size:
                of_part = found.setdefault((place, at), {})
                of_part[one.kind] = of_part.get(one.kind, Amount()).plus(amount)
    return found


def _own_apart(parts: Dict[Path, Amount], own: _Objects) -> Dict[Path, Amount]:
    """The leaves of the objects with those of the runtime taken out of them, and beside them by kind."""
    made = dict(parts)
    for (place, at), kinds in own.items():
        of_program = under(place, PART_NAMES[at])
        rest = made.get(of_program, Amount()).minus(added(list(kinds.values())))
        if not rest.possible:
            continue
        made[of_program] = rest
        for kind, amount in kinds.items():
            path = under(place, places.OWN, kind)
            made[path] = made.get(path, Amount()).plus(amount)
    return {path: amount for path, amount in made.items() if amount.size}


def _class_name(user: bool, element: int) -> str:
    if user:
        return "user arenas"
    if not element:
        return "large objects"
    return f"objects of {in_words(element)}"
