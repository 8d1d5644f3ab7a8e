"""What stands out in the tree: at most three findings, what can be acted on first, and always one."""

from __future__ import annotations

from typing import Callable, List, NamedTuple, Optional, Tuple

from addrspace_gdb.goruntime import own_objects
from addrspace_gdb.process.memory_cgroup import MemoryLimit
from addrspace_gdb.space.rss import places as places
from addrspace_gdb.space.rss.c_heap import FREE_PATHS
from addrspace_gdb.space.rss.tree import Amount, Node, Path, under

MAX_FINDINGS = 3
SMALLEST = 32 << 20  # bytes: less is not worth a sentence
_NEAR = (4, 5)  # of what a cgroup may take
SHARE = 5  # at least 1/5 of the whole

STACKS, FREE_STACKS, FREE_HEAP, RETURNED = "stacks", "free-stacks", "free-heap", "returned-resident"
ENDED, OWN_OBJECTS = "ended-goroutines", "runtime-objects"
GARBAGE, FRAGMENTS, LIVE = "allocated-since-gc", "free-slots", "live-objects"
C_HEAP, C_FREE, FILES, THREADS = "c-heap", "c-heap-free", "mapped-files", "thread-stacks"
MAPPINGS, FINALIZERS = "own-mappings", "finalizers"
RUNTIME, SWAPPED, RACE, SANITIZER = "runtime", "swapped", "race-detector", "sanitizer"
LOCKED, JIT, CODE = "locked", "jit-code", "code"
LIMIT = "memory-limit"
KEPT = "kept"
NOTHING = "nothing-stands-out"


class Finding(NamedTuple):
    """Memory that is worth a sentence: `amount` bytes of `whole`, the process or what its cgroup may take."""

    kind: str
    amount: int
    whole: int


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
    _Rule(LIVE, (under(places.OBJECTS, "survived the last GC"),), 2, 64 << 20),
    _Rule(RUNTIME, (places.RUNTIME,)),
    _Rule(C_HEAP, (places.C_HEAP,), but=FREE_PATHS),
    _Rule(C_FREE, FREE_PATHS),
    _Rule(MAPPINGS, (places.OWN_MAPPINGS,)),
    _Rule(JIT, (places.JIT,)),
    _Rule(FILES, (places.FILES,)),
    _Rule(THREADS, (places.THREADS,)),
    _Rule(RACE, (places.RACE,)),
    _Rule(SANITIZER, (places.SANITIZER,)),
    _Rule(CODE, (places.PROGRAM, places.LIBRARIES), 2),
)


# In which order: first what names the place to look at, then memory with an owner who can do something about
# it, a leak of goroutines that are little by themselves, what passes by itself or by a setting, and what is
# usual. In each the largest first.
_FIRST, _OWNED, _BESIDE, _PASSING, _USUAL = range(5)
_RANKS = {
    **dict.fromkeys((GARBAGE, FREE_STACKS, FRAGMENTS, SWAPPED), _PASSING),
    **dict.fromkeys((FILES, RACE, SANITIZER, CODE), _USUAL),
}


class Facts(NamedTuple):
    """What is known beside the tree."""

    locked: int = 0  # bytes of what is resident that the process has locked
    leak: bool = False  # whether very many goroutines are in one place
    finalizers: Optional[int] = None  # bytes of objects that wait for theirs; None: none that matters
    limit: Optional[MemoryLimit] = None  # of its memory cgroup
    kept: Optional[int] = None  # bytes of what one root alone keeps alive; None: nobody asked, or none does


def findings(root: Node, facts: Facts = Facts()) -> List[Finding]:  # noqa: B008  (it is a tuple)
    """Those to say. Judged by resident bytes, on a core by what is kept."""
    whole = root.figure
    if not whole:
        return []
    ranked = [(_rank(one, facts), -one.amount, one) for one in _found(root, whole, facts)]
    chosen = [one for _, _, one in sorted(ranked)[:MAX_FINDINGS]]
    return chosen or [_nothing(root, whole)]


def _rank(one: Finding, facts: Facts) -> int:
    if one.kind in (FINALIZERS, LIMIT, KEPT):
        return _FIRST
    if one.kind == STACKS and facts.leak:
        return _FIRST if one.amount * SHARE >= one.whole else _BESIDE
    return _RANKS.get(one.kind, _OWNED)


def _found(root: Node, whole: int, facts: Facts) -> List[Finding]:
    known = root.resident is not None
    figure: Callable[[Amount], int] = (lambda a: a.resident or 0) if known else (lambda a: a.kept)
    found = []
    for rule in _RULES:
        if rule.kind in (RUNTIME, THREADS) and not known:
            continue  # what is reserved there is far more than is ever touched
        amount = sum(figure(root.find(*path)) for path in rule.paths)
        amount -= sum(figure(root.find(*path)) for path in rule.but)
        much = amount * rule.share >= whole or (rule.kind == STACKS and facts.leak)
        if amount >= rule.smallest and much:
            found.append(Finding(rule.kind, amount, whole))
    returned = figure(root.find(*places.RETURNED)) if known else 0
    if returned >= SMALLEST and returned * 2 * SHARE >= whole:
        found.append(Finding(RETURNED, returned, whole))
    if facts.locked >= SMALLEST and 2 * facts.locked >= whole and 2 * returned < facts.locked:
        found.append(Finding(LOCKED, facts.locked, whole))
    if facts.finalizers is not None:
        # Most live objects of a process in which finalizers are stuck are live for that reason alone.
        found = [one for one in found if one.kind != LIVE or one.amount > 2 * facts.finalizers]
        found.append(Finding(FINALIZERS, min(whole, facts.finalizers), whole))
    if facts.kept is not None and facts.kept >= SMALLEST and facts.kept * SHARE >= whole:
        found = [one for one in found if one.kind != LIVE or one.amount > 2 * facts.kept]
        found.append(Finding(KEPT, min(whole, facts.kept), whole))
    limit = facts.limit
    if limit is not None and limit.used * _NEAR[1] >= limit.limit * _NEAR[0]:
        found.append(Finding(LIMIT, limit.used, limit.limit))
    swapped = root.swapped or 0
    if swapped >= SMALLEST and swapped * SHARE >= whole:
        found.append(Finding(SWAPPED, swapped, whole))
    return found


def _nothing(root: Node, whole: int) -> Finding:
    """What is most where nothing stands out."""
    _, amount = largest(root)
    return Finding(NOTHING, amount, whole)


GO_HEAP, GOROUTINE_STACKS = "the Go heap", "goroutine stacks"
_GROUPS = (
    (GO_HEAP, (places.HEAP,)),
    (GOROUTINE_STACKS, (places.STACKS,)),
    ("the runtime's own memory", (places.RUNTIME,)),
    ("code and data of the program and its libraries", (places.PROGRAM, places.LIBRARIES)),
    ("C's heap", (places.C_HEAP,)),
    ("stacks of C threads", (places.THREADS,)),
    ("mapped files", (places.FILES,)),
    ("memory that the program mapped itself", (places.OWN_MAPPINGS,)),
    ("code made at run time", (places.JIT,)),
    ("the race detector's memory", (places.RACE,)),
    ("a sanitizer's memory", (places.SANITIZER,)),
)


def largest(root: Node) -> Tuple[str, int]:
    """The largest part of a process in a few words, and its figure."""

    def figure(path: Path) -> int:
        node = root.node(*path)
        return node.figure if node is not None else 0

    sums = [(sum(map(figure, paths)), name) for name, paths in _GROUPS]
    amount, name = max(sums)
    return name, amount
