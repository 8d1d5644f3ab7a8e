"""One sample of a process that is watched: what its memory is spent on, its goroutines by who made them, and
its objects by size. What takes the process is read by `gather`; the rest is worked out when it runs again."""

from __future__ import annotations

from collections import Counter
from heapq import nlargest
from itertools import compress
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.common.gcpause import no_cycle_collection
from addrspace_gdb.common.problems import ProblemError, Problems, UnreadableError
from addrspace_gdb.goruntime import mgc
from addrspace_gdb.goruntime.mprof import read_buckets
from addrspace_gdb.goruntime.mstats import Sources
from addrspace_gdb.goruntime.proc import Goroutines, Scheduler, is_live
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.waitreason import state_text
from addrspace_gdb.space.counters.statistics import rows_of
from addrspace_gdb.space.goroutines.listing import Listing, find_users, function_at
from addrspace_gdb.space.reading.claims import all_claims, rest_in
from addrspace_gdb.space.reading.goroutines import GoroutineReading, of_reading
from addrspace_gdb.space.reading.whole import Reading, read
from addrspace_gdb.space.regions.partition import partition
from addrspace_gdb.space.rss import places
from addrspace_gdb.space.rss.sites import Site, read_sites
from addrspace_gdb.space.rss.tree import Path
from addrspace_gdb.target.protocol import Target

RSS, LIVE, GOROUTINES, THREADS = "rss", "heap_live", "goroutines", "threads"
IN_USE, FREE, STACKS, RUNTIME = "heap_in_use", "heap_free", "stacks", "runtime"
PROGRAM, C_HEAP, MAPPED, THREAD_STACKS = "program", "c_heap", "mapped", "thread_stacks"
FILES, OTHER = "files", "other"
PARTS = (IN_USE, FREE, STACKS, RUNTIME, PROGRAM, C_HEAP, MAPPED, THREAD_STACKS, FILES, OTHER)
FIGURES = (RSS, LIVE, *PARTS, GOROUTINES, THREADS)
COUNTS = (GOROUTINES, THREADS)  # which are no bytes

# The longest beginning of a path in the tree of `rss` says which part a leaf is in.
_PARTS: Dict[Path, str] = {
    places.HEAP: FREE,
    places.OBJECTS: IN_USE,
    places.STACKS: STACKS,
    places.RUNTIME: RUNTIME,
    places.PROGRAM: PROGRAM,
    places.C_HEAP: C_HEAP,
    places.OWN_MAPPINGS: MAPPED,
    places.THREADS: THREAD_STACKS,
    places.FILES: FILES,
    places.LIBRARIES: FILES,
}
_LOOKED_AT = 64  # goroutines of a crowd, to say where they are

_NAMED = 10  # crowds, those of most, whose functions are looked up

Makers = Tuple[Optional[str], Optional[str]]  # the function that goroutines started in, and who started them
CrowdKey = Tuple[int, int]  # pcs: of the function that goroutines started in, and of their go statement


class Crowd(NamedTuple):
    """Goroutines that one go statement started, by what most of them do. None: not known."""

    function: Optional[str]  # the user's function that they are in
    state: str
    started: Optional[str]  # the function that they started in
    created_by: Optional[str]


class Gathered(NamedTuple):
    """What was read while the process stood still."""

    reading: Reading
    marked: Optional[int]  # bytes that survived the last collection
    cycles: Optional[int]  # collections that were completed
    crowds: Dict[CrowdKey, int]
    newest: int  # the greatest number of a goroutine
    makers: Dict[CrowdKey, Makers]  # of the largest of them
    leading: Optional[Tuple[CrowdKey, Crowd]]  # the crowd that has grown most
    sites: Sequence[Site]  # where what is in use was allocated


class Sample(NamedTuple):
    """One sample; bytes are resident ones, but for what survived the last collection. None: not known."""

    figures: Dict[str, Optional[int]]  # by FIGURES
    cycles: Optional[int]
    crowds: Dict[CrowdKey, int]
    makers: Dict[CrowdKey, Makers]
    newest: int
    objects: Dict[int, int]  # bytes of allocated objects by the size of one; 0: large ones
    sites: Dict[Tuple[str, str], int]  # bytes, estimated, by function and FILE:LINE
    leading: Optional[Tuple[CrowdKey, Crowd]]
    problems: List[str]


def gather(target: Target, first: Callable[[CrowdKey], int], born_after: int, born_before: int) -> Gathered:
    """Read what a sample takes of a process that stands still. `first`: how many goroutines a crowd had at
    the first sample. Those whose numbers lie between the last two arguments have been there for a while.

    ProblemError, UnreadableError.
    """
    with no_cycle_collection():
        reading = read(target)
        goroutines = reading.go.goroutines
        crowds = crowds_of(goroutines)
        walkable = _walkable(target, reading)
        leader = max(crowds, key=lambda key: (crowds[key] - first(key), crowds[key]), default=None)
        leading = None
        if leader is not None and walkable is not None:
            leading = leader, _crowd(walkable, leader, born_after, born_before)
        marked, cycles = _collected(target)
        sites = _sites(target, reading, walkable)
        return Gathered(
            reading,
            marked,
            cycles,
            crowds,
            max(goroutines.column("goid"), default=0),
            _makers_of_largest(walkable, crowds) if walkable is not None else {},
            leading,
            sites,
        )


def crowds_of(goroutines: Goroutines) -> Dict[CrowdKey, int]:
    """How many goroutines each go statement has started that exist."""
    found: Counter[CrowdKey] = Counter()
    for (start, made, status), count in Counter(goroutines.rows("startpc", "gopc", "status")).items():
        if is_live(status):
            found[start, made] += count
    return dict(found)


def _walkable(target: Target, reading: Reading) -> Optional[GoroutineReading]:
    try:
        return of_reading(target, reading, none_too=True)
    except ProblemError:
        return None


def _crowd(reading: GoroutineReading, key: CrowdKey, born_after: int, born_before: int) -> Crowd:
    """What most of a crowd do: of those that have been there for a while, if there are any."""
    columns, dead = reading.goroutines.columns, reading.goroutines.dead
    mask = map(key.__eq__, zip(columns["startpc"], columns["gopc"]))
    there = [at for at in compress(range(len(dead)), mask) if not dead[at]]
    goids = columns["goid"]
    stayed = [at for at in there if born_after < goids[at] <= born_before] or there
    some = stayed[:: max(1, len(stayed) // _LOOKED_AT)]
    listing = Listing(reading, some)
    find_users(listing, some)
    doing: Counter[Tuple[Optional[str], Tuple[int, int]]] = Counter(
        (listing.users[at].function, (columns["status"][at], columns["waitreason"][at])) for at in some
    )
    (function, state), *_ = (one for one, _ in doing.most_common(1))
    return Crowd(function, state_text(reading.reasons, *state), *_makers(reading, key))


def _makers_of_largest(reading: GoroutineReading, crowds: Dict[CrowdKey, int]) -> Dict[CrowdKey, Makers]:
    return {key: _makers(reading, key) for key in nlargest(_NAMED, crowds, key=crowds.__getitem__)}


def _makers(reading: GoroutineReading, key: CrowdKey) -> Makers:
    start, made = key
    creator = reading.unwinder.creator(made, 0) if made else None
    return function_at(reading, start), creator.name if creator is not None else None


def _collected(target: Target) -> Tuple[Optional[int], Optional[int]]:
    """Bytes that survived the last collection, and how many there were."""
    sources = Sources(Runtime(target, Problems()), Scheduler([], []))
    fields = [one for name in _OF_GC for one in mgc.VALUES if one.name == name]
    marked, cycles = (row.value for row in rows_of(fields, sources, {}))
    return _whole(marked), _whole(cycles)


_OF_GC = ("heap.marked", "cycles.completed")


def _whole(value: Optional[float]) -> Optional[int]:
    return None if value is None else int(value)


def _sites(target: Target, reading: Reading, walkable: Optional[GoroutineReading]) -> Sequence[Site]:
    """Of a program that keeps a heap profile."""
    if walkable is None:
        return ()
    try:
        runtime = Runtime(target, reading.problems)
        memory = next((one for one in read_buckets(runtime) if one.sizes), None)
        found = read_sites(runtime, memory, walkable.unwinder) if memory is not None else None
    except (UnreadableError, ProblemError, KeyError):
        return ()
    return found.top if found is not None and found.is_kept(reading.go.spans.object_bytes) else ()


def sampled(gathered: Gathered) -> Sample:
    """The sample; nothing is read for it."""
    reading = gathered.reading
    with no_cycle_collection():
        parts = _parts(reading)
        rss = None if None in parts.values() else sum(amount or 0 for amount in parts.values())
        counts = reading.goroutines
        figures = {
            RSS: rss,
            LIVE: gathered.marked,
            **parts,
            GOROUTINES: counts.total if counts is not None else None,
            THREADS: len(reading.threads),
        }
        return Sample(
            figures,
            gathered.cycles,
            gathered.crowds,
            gathered.makers,
            gathered.newest,
            _objects(reading),
            {
                (site.spot.function or "", f"{site.spot.file}:{site.spot.line}"): site.size
                for site in gathered.sites
            },
            gathered.leading,
            list(reading.problems),
        )


def _parts(reading: Reading) -> Dict[str, Optional[int]]:
    """Resident bytes by part; their sum is that of all mappings."""
    claims = all_claims(reading, each_goroutine=False)
    parts: Dict[str, Optional[int]] = dict.fromkeys(PARTS, 0)
    for region in partition(reading.mappings, claims, rest_in(reading), reading.residency):
        part, known = _part(places.place(region)), region.resident
        before = parts[part]
        parts[part] = None if known is None or before is None else before + known
    return parts


def _part(path: Path) -> str:
    found = (_PARTS[path[:length]] for length in range(len(path), 0, -1) if path[:length] in _PARTS)
    return next(found, OTHER)


def _objects(reading: Reading) -> Dict[int, int]:
    spans = reading.go.spans
    found: Counter[int] = Counter()
    for one in spans.classes.values():
        found[one.size] += one.size * one.objects if one.size else one.bytes
    return dict(found)
