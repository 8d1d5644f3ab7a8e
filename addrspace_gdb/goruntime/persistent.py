"""What the runtime allocates from persistentalloc's chunks, as far as its owner can be found again.

persistentalloc (src/runtime/malloc.go) frees nothing and keeps no list of what it handed out. mspans
(mheap_.allspans), the Ps' mcaches, profile buckets and records of single objects are on lists of their own.
"""

from __future__ import annotations

from functools import cached_property
from itertools import chain, compress
from operator import gt, sub
from typing import Iterable, Iterator, List, Optional, Sequence, Tuple

from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.common.sizes import size as in_words
from addrspace_gdb.goruntime.all_of_go import GoView
from addrspace_gdb.goruntime.malloc import Owned
from addrspace_gdb.goruntime.mprof import Buckets, counted_bytes, read_buckets
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.specials import Specials, read_specials

SPAN_STRUCTURES, CACHES, BUCKETS = "span structures", "mcaches", "profile buckets"


class PersistentOwners:
    """What was read of them; the ranges are worked out when they are asked for."""

    def __init__(self, runtime: Runtime, go: GoView) -> None:
        """What cannot be found is told, and stays with "persistent allocations"."""
        self._spans: Tuple[Sequence[int], int] = ((), 0)  # where each begins, and its bytes
        self._caches: List[Owned] = []
        self._buckets: List[Buckets] = []
        self._specials: List[Specials] = []
        if not go.spans.total:  # no runtime that is known here: none has no spans at all
            return
        problems = runtime.problems
        try:
            self._spans = go.spans.addresses, runtime.layout("runtime.mspan").size
        except KeyError as error:
            problems.add(f"{SPAN_STRUCTURES}: {error}; they count as persistent allocations")
        try:
            self._caches.extend(_caches(runtime, go))
        except (UnreadableError, KeyError) as error:
            problems.add(f"{CACHES}: {error}; they count as persistent allocations")
        try:
            self._specials = read_specials(runtime, go.spans.columns)
        except (UnreadableError, KeyError) as error:
            problems.add(f"specials: {error}; they count as persistent allocations")
        try:
            self._buckets = read_buckets(runtime)
        except (UnreadableError, ProblemError, KeyError) as error:
            problems.add(f"{BUCKETS}: {error}; {_left(runtime)} count as persistent allocations")

    @property
    def memory(self) -> Optional[Buckets]:
        """The buckets of the heap profile; None if there are none."""
        return next((one for one in self._buckets if one.sizes), None)

    @cached_property
    def owned(self) -> List[Owned]:
        """Ranges inside the chunks, ascending within each kind; they may touch but not overlap in a sound
        heap."""
        return self._others + _as_buckets(one.ranges() for one in self._buckets)

    @property
    def each(self) -> List[Owned]:
        """The same with every bucket by itself."""
        return self._others + _as_buckets(one.each() for one in self._buckets)

    @property
    def _others(self) -> List[Owned]:
        of_kinds = ((one.kind, runs(sorted(one.addresses), one.size)) for one in self._specials)
        found = [Owned(*run, SPAN_STRUCTURES) for run in runs(*self._spans)] + self._caches
        return found + [Owned(*run, kind) for kind, runs_ in of_kinds for run in runs_]


def _as_buckets(lists: Iterable[Iterator[Tuple[int, int]]]) -> List[Owned]:
    return [Owned(start, end, BUCKETS) for start, end in chain.from_iterable(lists)]


def _left(runtime: Runtime) -> str:
    """How much the runtime counts of what could not be walked."""
    try:
        return f"all {in_words(counted_bytes(runtime))} of them by BuckHashSys"
    except (UnreadableError, ProblemError, KeyError):
        return "they"


def runs(addresses: Sequence[int], size: int) -> List[Tuple[int, int]]:
    """Ascending objects of one size as runs; a gap too small for another object (the end of a fixalloc
    chunk, src/runtime/mfixalloc.go) belongs to the run."""
    if not addresses:
        return []
    last = len(addresses) - 1
    steps = map(sub, addresses[1:], addresses)
    breaks = list(compress(range(last), map(gt, steps, [2 * size - 1] * last)))
    firsts = [0, *(at + 1 for at in breaks)]
    return [(addresses[a], addresses[b] + size) for a, b in zip(firsts, [*breaks, last])]


def _caches(runtime: Runtime, go: GoView) -> Iterator[Owned]:
    size = runtime.layout("runtime.mcache").size
    for start, end in runs(sorted({p.mcache for p in go.scheduler.ps if p.mcache}), size):
        yield Owned(start, end, CACHES)
