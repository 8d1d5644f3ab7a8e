"""What the sentences of the findings mention besides: read of the stopped process, or worked out after."""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from random import Random
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.common.problems import ProblemError, Problems, UnreadableError
from addrspace_gdb.goruntime.mgcpacer import NEVER
from addrspace_gdb.goruntime.mprof import Buckets
from addrspace_gdb.goruntime.proc import is_live
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.sizeclasses import PAGE_SHIFT
from addrspace_gdb.goruntime.stackpool import stack_in_use
from addrspace_gdb.goruntime.waitreason import state_text
from addrspace_gdb.process.memory_cgroup import MemoryLimit, read_memory_limit
from addrspace_gdb.process.threads import CACHED, MAIN_THREAD, STACK, ThreadStack
from addrspace_gdb.space.counters.collector import GCState, read_gc
from addrspace_gdb.space.goroutines.chosen import Chosen
from addrspace_gdb.space.goroutines.equal_stacks import fold_of
from addrspace_gdb.space.goroutines.listing import Listing, choose, find_users, system_of
from addrspace_gdb.space.goroutines.queued import Queued, read_queued
from addrspace_gdb.space.reading.goroutines import GoroutineReading, of_reading
from addrspace_gdb.space.reading.whole import Reading
from addrspace_gdb.space.rss import places as places
from addrspace_gdb.space.rss.build import LiveClass, RssTree
from addrspace_gdb.space.rss.c_heap import CUse
from addrspace_gdb.space.rss.findings import (
    FREE_HEAP,
    FREE_STACKS,
    GARBAGE,
    LIMIT,
    SHARE,
    SMALLEST,
    STACKS,
    Finding,
    largest,
)
from addrspace_gdb.space.rss.sites import Site, Sites, read_sites
from addrspace_gdb.space.rss.tree import Amount, Node
from addrspace_gdb.target.protocol import Target

EXACT = 1 << 15  # goroutines all of which are looked at to say where most are
SAMPLE = 1 << 13  # that are looked at where there are more: a share is right to about 1 %
_LIMITLESS = 1 << 60  # a heap goal beyond it is none
_STUCK, _WAITING = 10 * 10**9, 1000  # nanoseconds in one finalizer, and how many wait for it
_LEAK = 1000  # goroutines of which half are in one place
_MAKERS = 64  # go statements whose functions are looked up


class Busiest(NamedTuple):
    """Where most goroutines are; `many` of the `among` that were looked at."""

    many: int
    among: int
    sample: bool  # whether those were not all
    function: str
    state: str  # in which most of those are
    made_by: Optional[str] = None  # the function that started most of those


class Mapped(NamedTuple):
    """Mappings of one name, most of those that the program made."""

    name: str
    figure: int
    mappings: int


class ThreadUse(NamedTuple):
    """The stacks of C threads, in bytes of memory."""

    live: int  # threads
    ended: int  # whose stacks are kept for new ones
    used: int
    left: int  # below what is used now
    cached: int  # of those that ended


class Keeper(NamedTuple):
    """A variable, or goroutines, or an object that several roots hold, and what is kept alive by it alone."""

    name: str
    bytes: int
    objects: int
    address: Optional[int] = None  # of such an object


class Circumstances(NamedTuple):
    """What the sentences mention besides; None where it is not known or not needed."""

    resident: bool  # whether `whole` is RSS; else what the process keeps (cores)
    goroutines: int
    busiest: Optional[Busiest]
    gc_age: Optional[int]  # nanoseconds since the last cycle ended
    gc_age_exact: bool
    cycles: Optional[int]
    limit: Optional[int]  # None: no memory limit
    gc_off: bool  # GOGC=off
    goal: Optional[int]  # heap size that the next cycle aims at; None: none
    returned: Tuple[str, ...]  # why returned memory is resident: names of steps in rss/balances.py
    largest_of_runtime: Optional[Tuple[str, int]] = None  # if it is more than half of the runtime's own
    asked_huge: bool = False  # whether the process asked for huge pages where those returned pages are
    mapped: Optional[Mapped] = None  # what is most of the program's own mappings
    threads: Optional[ThreadUse] = None
    ended: int = 0  # goroutines of which only the g struct is left
    sites: Sequence[Site] = ()  # where most of what is live was allocated
    profiled: bool = True  # whether the process keeps a heap profile
    live_class: Optional[LiveClass] = None  # the objects that are most of what is live
    pinned: int = 0  # objects that a runtime.Pinner holds
    largest: str = ""  # what is most of the process
    queued: Queued = Queued(None, [], [])  # finalizers and cleanups that wait
    c_heap: Optional[CUse] = None
    group: Optional[MemoryLimit] = None  # the limit of its memory cgroup
    keeper: Optional[Keeper] = None  # the root that keeps most of the heap alive


class Parked:
    """Goroutines with the user's frames, of many a sample: looked at when somebody asks."""

    def __init__(self, reading: GoroutineReading) -> None:
        self._reading = reading

    @cached_property
    def listing(self) -> Listing:
        """Which they are."""
        many = len(self._reading.goroutines) > EXACT
        listing = _sampled(self._reading) if many else choose(self._reading, Chosen(system=False))
        find_users(listing, listing.positions)
        return listing

    @cached_property
    def makers(self) -> Dict[int, str]:
        """The functions of the commonest go statements, by the pc of these."""
        gopcs = self._reading.goroutines.columns["gopc"]
        common = Counter(map(gopcs.__getitem__, self.listing.positions)).most_common(_MAKERS)
        creators = ((pc, self._reading.unwinder.creator(pc, 0)) for pc, _ in common)
        return {pc: creator.name for pc, creator in creators if creator is not None}


class Background(NamedTuple):
    """What sentences may mention, read while the process stands still."""

    gc: Optional[GCState]
    parked: Optional[Parked]  # None: not needed
    sites: Optional[Sites]  # of the heap profile; None: not needed, or there are no samples
    queued: Queued
    group: Optional[MemoryLimit] = None


def gather_background(
    target: Target,
    reading: Reading,
    memory: Optional[Buckets] = None,
    goroutines: Optional[GoroutineReading] = None,
) -> Background:
    """Read it, as far as it can be. `memory`: the buckets of the heap profile; `goroutines`: those of the
    reading, if somebody has looked at them already."""
    try:
        gc: Optional[GCState] = read_gc(target)
    except (UnreadableError, ProblemError, KeyError):
        gc = None
    # Without runs and pieces: those are worked out when the process has been let go.
    heap = sum(reading.go.spans.columns["pages"]) << PAGE_SHIFT
    stacks = stack_in_use(Runtime(target, Problems()))
    has_stacks = stacks is None or stacks >= SMALLEST
    if goroutines is None and (has_stacks or (memory is not None and heap >= SMALLEST)):
        try:
            goroutines = of_reading(target, reading, none_too=True)
        except ProblemError:
            pass
    queued, group = read_queued(target, reading, goroutines), read_memory_limit(target.proc_files())
    if goroutines is None:
        return Background(gc, None, None, queued, group)
    parked = Parked(goroutines) if has_stacks else None
    if parked is not None and not fold_of(goroutines).has_copies:
        _ = parked.makers
    sites = _sites(target, goroutines, memory) if memory is not None and heap >= SMALLEST else None
    return Background(gc, parked, sites, queued, group)


def _sites(target: Target, goroutines: GoroutineReading, memory: Buckets) -> Optional[Sites]:
    try:
        return read_sites(Runtime(target, Problems()), memory, goroutines.unwinder)
    except (UnreadableError, ProblemError, KeyError):
        return None


def _sampled(reading: GoroutineReading) -> Listing:
    """Some of the user's goroutines, always the same ones."""
    statuses, system = reading.goroutines.columns["status"], set(system_of(reading))
    some = sorted(Random(SAMPLE).sample(range(len(statuses)), SAMPLE))
    return Listing(reading, [at for at in some if is_live(statuses[at]) and at not in system])


def circumstances(
    read: Background,
    reading: Reading,
    found: List[Finding],
    tree: RssTree,
    busiest: Optional[Busiest] = None,
    returned: Tuple[str, ...] = (),
) -> Circumstances:
    """What those sentences mention."""
    live = tree.root.find(*places.OBJECTS, "survived the last GC").size
    kinds, root = {one.kind for one in found}, tree.root
    gc = read.gc if kinds & {FREE_HEAP, GARBAGE, FREE_STACKS, LIMIT} else None
    values = _gc_values(gc) if gc is not None else {}
    return Circumstances(
        resident=root.resident is not None,
        goroutines=reading.goroutines.total if reading.goroutines is not None else 0,
        busiest=busiest if STACKS in kinds else None,
        gc_age=gc.age if gc is not None else None,
        gc_age_exact=gc is not None and gc.age_exact,
        cycles=values.get("cycles.completed"),
        limit=values.get("settings.memory_limit") if values.get("settings.memory_limit_set") else None,
        gc_off=bool(values.get("settings.gogc_off")),
        goal=_goal(values.get("heap.goal")),
        returned=returned,
        largest_of_runtime=_most_of(root.node(*places.RUNTIME)),
        mapped=_mapped(tree, reading),
        threads=_thread_use(root, reading.thread_stacks),
        asked_huge=any(m.asked_huge for m in reading.mappings),
        ended=reading.go.goroutines.ended.count(1),
        sites=read.sites.worth_naming(live) if read.sites is not None else (),
        profiled=read.sites is not None and read.sites.is_kept(live),
        live_class=tree.live_class,
        pinned=tree.pinned,
        largest=largest(root)[0],
        queued=read.queued,
        group=read.group,
    )


def finalizer_bytes(read: Background, reading: Reading) -> Optional[int]:
    """What the objects take whose finalizers wait, if that is much, or if the one that runs is stuck."""
    queues = read.queued.queues
    if queues is None or not queues.finalizers:
        return None
    amount = reading.go.spans.slot_bytes(queues.objects)
    stuck = any((worker.goroutine.waited or 0) >= _STUCK for worker in read.queued.workers)
    in_use = reading.go.spans.in_use_bytes
    much = amount >= SMALLEST and amount * SHARE >= in_use
    return amount if much or (stuck and queues.finalizers >= _WAITING) else None


def is_leak(reading: Reading, busiest: Optional[Busiest]) -> bool:
    """Whether so many goroutines are in one place that it looks like a leak of them."""
    if busiest is None or reading.goroutines is None or reading.goroutines.total < _LEAK:
        return False
    return 2 * busiest.many >= busiest.among


def _most_of(node: Optional[Node]) -> Optional[Tuple[str, int]]:
    """The leaf that is more than half of a node, and its figure."""
    most = max(node.leaves(), key=lambda leaf: leaf.figure) if node is not None else None
    if node is None or most is None or 2 * most.figure <= node.figure:
        return None
    return most.name, most.figure


def _mapped(tree: RssTree, reading: Reading) -> Optional[Mapped]:
    most = _most_of(tree.root.node(*places.OWN_MAPPINGS))
    if most is None:
        return None
    path = (*places.OWN_MAPPINGS, most[0])
    calls = sum(most[0].endswith(one.label) for one in reading.go_mappings)  # the kernel may have merged them
    return Mapped(*most, calls or sum(places.place(region) == path for region in tree.regions))


def _thread_use(root: Node, stacks: List[ThreadStack]) -> ThreadUse:
    node = root.node(*places.THREADS) or Node("", Amount())
    figures = {
        name: sum(n.figure for n in node.leaves() if n.name == name) for name in ("used", _LEFT, CACHED)
    }
    live = sum(one.kind == STACK and one.note != MAIN_THREAD for one in stacks)
    return ThreadUse(live, sum(one.kind == CACHED for one in stacks), *figures.values())


_LEFT = places.LEFT_BEHIND


def _goal(goal: Optional[int]) -> Optional[int]:
    return goal if goal is not None and goal < min(_LIMITLESS, NEVER) else None


def _gc_values(gc: GCState) -> Dict[str, Optional[int]]:
    names = ("cycles.completed", "settings.memory_limit", "settings.memory_limit_set", "settings.gogc_off")
    return {name: gc.get(name) for name in (*names, "heap.goal")}


def busiest_of(read: Background) -> Optional[Busiest]:
    """The user's function in which most goroutines are, what most of those do, and who made them."""
    if read.parked is None:
        return None
    listing, makers = read.parked.listing, read.parked.makers
    users = listing.users.of(listing.positions)
    functions = Counter(spot.function for spot in users)
    (function, many), *_ = functions.most_common(1) or [(None, 0)]
    if function is None:
        return None
    columns = listing.reading.goroutines.columns
    there = [at for at, user in zip(listing.positions, users) if user.function == function]
    pick = (map(columns[name].__getitem__, there) for name in ("status", "waitreason"))
    (state, _), *_ = Counter(zip(*pick)).most_common(1)
    sample = len(listing.reading.goroutines) > EXACT
    (maker, made), *_ = Counter(makers.get(columns["gopc"][at]) for at in there).most_common(1)
    made_by = maker if 2 * made >= many else None
    return Busiest(many, len(users), sample, function, state_text(listing.reading.reasons, *state), made_by)
