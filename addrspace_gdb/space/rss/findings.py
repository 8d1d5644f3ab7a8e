"""What stands out in the tree: at most three findings, and what is needed to say them in a sentence."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.goruntime import own_objects
from addrspace_gdb.goruntime.mgcpacer import NEVER
from addrspace_gdb.goruntime.proc import is_live
from addrspace_gdb.goruntime.waitreason import state_text
from addrspace_gdb.process.threads import CACHED, MAIN_THREAD, STACK, ThreadStack
from addrspace_gdb.space.counters.collector import GCState, read_gc
from addrspace_gdb.space.goroutines.chosen import Chosen
from addrspace_gdb.space.goroutines.listing import Listing, choose, find_users, system_of
from addrspace_gdb.space.goroutines.queued import Queued, read_queued
from addrspace_gdb.space.reading.goroutines import GoroutineReading, of_reading
from addrspace_gdb.space.reading.whole import Reading
from addrspace_gdb.space.rss import places as places
from addrspace_gdb.space.rss.build import RssTree
from addrspace_gdb.space.rss.c_heap import FREE_PATHS, CUse
from addrspace_gdb.space.rss.tree import Amount, Node, Path, under
from addrspace_gdb.target.protocol import Target

MAX_FINDINGS = 3
SMALLEST = 32 << 20  # bytes: less is not worth a sentence
SAMPLE = 1 << 15  # goroutines that are looked at to say where most are: a share is right to 1 %
SHARE = 5  # at least 1/5 of the whole
_STUCK, _MANY = 10 * 10**9, 1000  # nanoseconds in one finalizer, and how many wait for it
_LIMITLESS = 1 << 60  # a heap goal beyond it is none

STACKS, FREE_STACKS, FREE_HEAP, RETURNED = "stacks", "free-stacks", "free-heap", "returned-resident"
ENDED, OWN_OBJECTS = "ended-goroutines", "runtime-objects"
GARBAGE, FRAGMENTS, LIVE = "allocated-since-gc", "free-slots", "live-objects"
C_HEAP, C_FREE, MAPPINGS, FILES, THREADS = (
    "c-heap",
    "c-heap-free",
    "own-mappings",
    "mapped-files",
    "thread-stacks",
)
RUNTIME, SWAPPED, RACE, SANITIZER = "runtime", "swapped", "race-detector", "sanitizer"
FINALIZERS, LOCKED, JIT = "finalizers", "locked", "jit-code"


class Finding(NamedTuple):
    """Memory that is worth a sentence: `amount` bytes of `whole`."""

    kind: str
    amount: int
    whole: int


class Busiest(NamedTuple):
    """Where most goroutines are; `many` of the `among` that were looked at."""

    many: int
    among: int
    sample: bool  # whether those were not all
    function: str
    state: str  # in which most of those are


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
    queued: Queued = Queued(None, [], [])
    largest_of_runtime: Optional[Tuple[str, int]] = None  # if it is more than half of the runtime's own
    asked_huge: bool = False  # whether the process asked for huge pages where those returned pages are
    mapped: Optional[Mapped] = None  # what is most of the program's own mappings
    threads: Optional[ThreadUse] = None
    ended: int = 0  # goroutines of which only the g struct is left
    c_heap: Optional[CUse] = None


class _Rule(NamedTuple):
    kind: str
    paths: Tuple[Path, ...]
    share: int = SHARE  # at least one of so many parts of the whole
    smallest: int = SMALLEST
    but: Tuple[Path, ...] = ()  # nodes below those paths that do not count


_IDLE_STACKS = (under(places.STACKS, "free in pools"), under(places.STACKS, "of dead goroutines"))
_RULES = (
    _Rule(STACKS, tuple(under(places.STACKS, n) for n in ("used", "unused", "use not known"))),
    _Rule(FREE_STACKS, _IDLE_STACKS),
    _Rule(ENDED, (under(places.OBJECTS, places.OWN, own_objects.ENDED),)),
    _Rule(OWN_OBJECTS, tuple(under(places.OBJECTS, places.OWN, kind) for kind in own_objects.OF_THE_LIVING)),
    _Rule(FREE_HEAP, (places.FREE,)),
    _Rule(GARBAGE, (under(places.OBJECTS, "allocated since"), under(places.OBJECTS, "dead, not swept yet"))),
    _Rule(FRAGMENTS, (under(places.OBJECTS, "free slots in used spans"),)),
    _Rule(LIVE, (under(places.OBJECTS, "live at the last GC"),), 2, 64 << 20),
    _Rule(RUNTIME, (places.RUNTIME,)),
    _Rule(C_HEAP, (places.C_HEAP,), but=FREE_PATHS),
    _Rule(C_FREE, FREE_PATHS),
    _Rule(MAPPINGS, (places.OWN_MAPPINGS,)),
    _Rule(JIT, (places.JIT,)),
    _Rule(FILES, (places.FILES,)),
    _Rule(THREADS, (places.THREADS,)),
    _Rule(RACE, (places.RACE,)),
    _Rule(SANITIZER, (places.SANITIZER,)),
)


def findings(root: Node, locked: int = 0) -> List[Finding]:
    """The largest first. Judged by resident bytes, on a core by what is kept.

    `locked`: how many of the resident bytes the process has locked.
    """
    known = root.resident is not None
    whole = root.resident if root.resident is not None else root.kept
    if not whole:
        return []
    figure: Callable[[Amount], int] = (lambda a: a.resident or 0) if known else (lambda a: a.kept)
    found = []
    for rule in _RULES:
        if rule.kind == RUNTIME and not known:
            continue  # what it has reserved there for later is far more than it ever touches
        amount = sum(figure(root.find(*path)) for path in rule.paths)
        amount -= sum(figure(root.find(*path)) for path in rule.but)
        if amount >= rule.smallest and amount * rule.share >= whole:
            found.append(Finding(rule.kind, amount, whole))
    returned = figure(root.find(*places.RETURNED)) if known else 0
    if returned >= SMALLEST and returned * 2 * SHARE >= whole:
        found.append(Finding(RETURNED, returned, whole))
    if locked >= SMALLEST and 2 * locked >= whole and 2 * returned < locked:
        found.append(Finding(LOCKED, locked, whole))
    swapped = root.swapped or 0
    if swapped >= SMALLEST and swapped * SHARE >= whole:
        found.append(Finding(SWAPPED, swapped, whole))
    return sorted(found, key=lambda one: -one.amount)[:MAX_FINDINGS]


def with_finalizers(read: Background, reading: Reading, root: Node, locked: int) -> List[Finding]:
    """The findings, first of them what waits for finalizers. Most live objects of a process in which they are
    stuck are live for that reason alone."""
    first = _of_finalizers(read, reading, root)
    rest = findings(root, locked)
    if first:
        rest = [one for one in rest if one.kind != LIVE or one.amount > 2 * first[0].amount]
    return [*first, *rest][:MAX_FINDINGS]


def _of_finalizers(read: Background, reading: Reading, root: Node) -> List[Finding]:
    """What the objects take whose finalizers wait, if that is much, or if the one that runs is stuck."""
    queues = read.queued.queues
    whole = root.resident if root.resident is not None else root.kept
    if queues is None or not queues.finalizers or not whole:
        return []
    amount = min(whole, reading.go.spans.slot_bytes(queues.objects))
    stuck = any((worker.goroutine.waited or 0) >= _STUCK for worker in read.queued.workers)
    much = amount >= SMALLEST and amount * SHARE >= whole
    return [Finding(FINALIZERS, amount, whole)] if much or (stuck and queues.finalizers >= _MANY) else []


class Background(NamedTuple):
    """What sentences may mention, read while the process stands still."""

    queued: Queued
    gc: Optional[GCState]
    parked: Optional[Listing]  # goroutines with the user's frames, of many a sample; None: not needed


def gather_background(target: Target, reading: Reading) -> Background:
    """Read it, as far as it can be."""
    try:
        gc: Optional[GCState] = read_gc(target)
    except (UnreadableError, ProblemError, KeyError):
        gc = None
    return Background(read_queued(target, reading), gc, _parked(target, reading))


def _parked(target: Target, reading: Reading) -> Optional[Listing]:
    if reading.go.stacks.in_use < SMALLEST:
        return None
    try:
        goroutines = of_reading(target, reading, none_too=True)
    except ProblemError:
        return None
    many = len(goroutines.goroutines) > SAMPLE
    listing = _sampled(goroutines) if many else choose(goroutines, Chosen(system=False))
    find_users(listing, listing.positions)
    return listing


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
    returned: Tuple[str, ...] = (),
) -> Circumstances:
    """What those sentences mention."""
    kinds, root = {one.kind for one in found}, tree.root
    gc = read.gc if kinds & {FREE_HEAP, GARBAGE, FREE_STACKS} else None
    values = _gc_values(gc) if gc is not None else {}
    return Circumstances(
        resident=root.resident is not None,
        goroutines=reading.goroutines.total if reading.goroutines is not None else 0,
        busiest=_busiest(read.parked) if STACKS in kinds and read.parked is not None else None,
        gc_age=gc.age if gc is not None else None,
        gc_age_exact=gc is not None and gc.age_exact,
        cycles=values.get("cycles.completed"),
        limit=values.get("settings.memory_limit") if values.get("settings.memory_limit_set") else None,
        gc_off=bool(values.get("settings.gogc_off")),
        goal=_goal(values.get("heap.goal")),
        returned=returned,
        queued=read.queued,
        largest_of_runtime=_most_of(root.node(*places.RUNTIME)),
        mapped=_mapped(tree),
        threads=_thread_use(root, reading.thread_stacks),
        asked_huge=any(m.asked_huge for m in reading.mappings),
        ended=reading.go.goroutines.ended.count(1),
    )


def _most_of(node: Optional[Node]) -> Optional[Tuple[str, int]]:
    """The leaf that is more than half of a node, and its figure."""
    largest = max(node.leaves(), key=lambda leaf: leaf.figure) if node is not None else None
    if node is None or largest is None or 2 * largest.figure <= node.figure:
        return None
    return largest.name, largest.figure


def _mapped(tree: RssTree) -> Optional[Mapped]:
    most = _most_of(tree.root.node(*places.OWN_MAPPINGS))
    if most is None:
        return None
    path = (*places.OWN_MAPPINGS, most[0])
    return Mapped(*most, sum(places.place(region) == path for region in tree.regions))


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


def _busiest(listing: Listing) -> Optional[Busiest]:
    """The user's function in which most goroutines are, and what most of those do."""
    users = listing.users.of(listing.positions)
    functions = Counter(spot.function for spot in users)
    (function, many), *_ = functions.most_common(1) or [(None, 0)]
    if function is None:
        return None
    columns = listing.reading.goroutines.columns
    there = [at for at, user in zip(listing.positions, users) if user.function == function]
    pick = (map(columns[name].__getitem__, there) for name in ("status", "waitreason"))
    (state, _), *_ = Counter(zip(*pick)).most_common(1)
    sample = len(listing.reading.goroutines) > SAMPLE
    return Busiest(many, len(users), sample, function, state_text(listing.reading.reasons, *state))
