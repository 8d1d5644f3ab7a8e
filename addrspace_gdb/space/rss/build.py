"""The accounting tree of one reading: the partition by owner, stacks by use, heap objects by slot."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from itertools import compress
from operator import and_, le, lt
from typing import Dict, List, Optional

from addrspace_gdb.common.gcpause import no_cycle_collection
from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.common.sizes import size as in_words
from addrspace_gdb.goruntime import stackpieces
from addrspace_gdb.goruntime.malloc import Owned
from addrspace_gdb.goruntime.persistent import persistent_owners
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.slotcount import ClassSlots, Parts, Slots, count_slots
from addrspace_gdb.goruntime.stack_use import live_stacks
from addrspace_gdb.space.heap.summary import gather_slots, slots_of
from addrspace_gdb.space.reading.claims import all_claims, rest_in
from addrspace_gdb.space.reading.whole import Reading
from addrspace_gdb.space.regions.overlay import normalise, overlay
from addrspace_gdb.space.regions.partition import partition
from addrspace_gdb.space.regions.region import RUNTIME, Claim, Region
from addrspace_gdb.space.rss import places as places
from addrspace_gdb.space.rss.amounts import amount_of
from addrspace_gdb.space.rss.c_heap import CHeap, split_c_heap
from addrspace_gdb.space.rss.extents import split_extents
from addrspace_gdb.space.rss.tree import Amount, Leaves, Node, Path, under
from addrspace_gdb.target.protocol import Target

_PARTS = ("live at the last GC", "allocated since", "dead, not swept yet", "free slots in used spans")
PART_NAMES = (*_PARTS, "tail waste", "of damaged spans")
_IN_USE_UNKNOWN = "which of it C's malloc has handed out and which is free there is not known"


@dataclass
class RssTree:
    """The tree, and what else was found on the way to it."""

    root: Node
    regions: List[Region]
    slots: Optional[Slots]
    notes: List[str] = field(default_factory=list)


def gather_tree(target: Target, reading: Reading) -> List[Owned]:
    """Read what the tree needs beside `reading`; `target` has not moved since that was read.

    Returns what persistentalloc's chunks hold.
    """
    try:
        gather_slots(reading, target)
    except (UnreadableError, ProblemError, KeyError):
        pass  # the tree says so
    return persistent_owners(Runtime(target, reading.problems), reading.go)


def rss_tree(
    target: Target, reading: Reading, owners: List[Owned], c_heap: CHeap, by_class: bool = False
) -> RssTree:
    """Build it of what was read; `owners` is what `gather_tree` returned, `c_heap` what `gather_c_heap` did.

    Its sums hold whatever is damaged: what cannot be split is one leaf, and a note says why.
    """
    with no_cycle_collection():
        regions = _regions(reading, owners)
        leaves = Leaves()
        for region in regions:
            kept = region.size if places.is_kept(region) else 0
            leaves.add(places.place(region), Amount(region.size, region.resident, region.swapped, kept))
        notes: List[str] = []
        _note(notes, "goroutine stacks", _split_stacks(leaves, reading))
        slots = _slots(target, reading)
        if slots is not None:
            parts = _object_parts(slots, _swapped(target, reading), reading.residency.known, by_class)
            _note(notes, "heap objects", leaves.split(places.OBJECTS, parts))
        _note(notes, "parts of C's heap", split_c_heap(leaves, reading, regions, c_heap))
        _note(notes, "jemalloc's extents", split_extents(leaves, reading, regions, c_heap.extents))
        if c_heap.malloc is None and c_heap.extents is None:
            leaves.notes[places.C_HEAP] = _IN_USE_UNKNOWN
        return RssTree(leaves.tree(places.ROOT, places.ORDER), regions, slots, notes)


def _note(notes: List[str], what: str, why: Optional[str]) -> None:
    if why is not None:
        notes.append(f"{what} are not split: {why}")


def _regions(reading: Reading, owners: List[Owned]) -> List[Region]:
    """The partition, with owners inside persistentalloc's chunks."""
    claims = all_claims(reading, each_goroutine=False)
    inner = normalise(Claim(owned.start, owned.end, RUNTIME, owned.kind) for owned in owners)
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
    pieces = reading.go.stacks.pieces
    mask = pieces.mask(stackpieces.GOROUTINE)
    starts, ends = (array("Q", compress(column, mask)) for column in (pieces.starts, pieces.ends))
    sps = _stack_pointers(reading, starts)
    known = bytes(map(and_, map(lt, starts, sps), map(le, sps, ends)))
    parts: Dict[Path, Amount] = {}
    for name, lows, highs, rows in (
        ("used", sps, ends, known),
        ("unused", starts, sps, known),
        ("use not known", starts, ends, known.translate(_NOT)),
    ):
        if 1 in rows:
            some = [
                column if 0 not in rows else array("Q", compress(column, rows)) for column in (lows, highs)
            ]
            parts[under(places.STACKS, name)] = amount_of(reading.residency, *some)
    return leaves.split(places.STACKS_OF_GOROUTINES, parts)


_NOT = bytes([1, 0]) + bytes(254)


def _stack_pointers(reading: Reading, starts: array[int]) -> array[int]:
    """The sp on each stack that begins at one of the ascending `starts`; 0 where that is not known."""
    los, his, sps = live_stacks(reading.go.goroutines, reading.running)
    if los == starts:
        return sps
    found = {lo: sp for lo, hi, sp in zip(los, his, sps) if lo < sp <= hi}
    return array("Q", (found.get(start, 0) for start in starts))


def _slots(target: Target, reading: Reading) -> Optional[Slots]:
    try:
        return slots_of(reading, target)
    except (UnreadableError, ProblemError, KeyError) as error:
        reading.problems.add(f"object slots: {error}")
        return None


def _swapped(target: Target, reading: Reading) -> Optional[Slots]:
    """The slots again, with what of them is in swap as `resident`; None where nothing is."""
    runs = reading.residency.swapped_runs
    if not reading.residency.known or (not len(runs) and runs.splittable):
        return None
    return count_slots(gather_slots(reading, target), reading.go.spans, runs)


def _object_parts(slots: Slots, swapped: Optional[Slots], known: bool, by_class: bool) -> Dict[Path, Amount]:
    """Every part of the slots as a leaf under the objects."""
    others = swapped.classes if swapped is not None else [None] * len(slots.classes)
    found: Dict[Path, Amount] = {}
    for one, other in zip(slots.classes, others):
        nothing = Parts() if known else None
        there = _amounts(one.bytes, one.resident, other.resident if other is not None else nothing)
        for name, amount in zip(PART_NAMES, there):
            path = under(places.OBJECTS, _class_name(one), name) if by_class else under(places.OBJECTS, name)
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


def _class_name(one: ClassSlots) -> str:
    if one.user:
        return "user arenas"
    if not one.element:
        return "large objects"
    return f"objects of {in_words(one.element)}"
