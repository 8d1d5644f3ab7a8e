"""What the runtime allocates from persistentalloc's chunks, as far as its owner can be found again.

persistentalloc (src/runtime/malloc.go) frees nothing and keeps no list of what it handed out. mspans
(mheap_.allspans), the Ps' mcaches and profile buckets are on lists of their own.
"""

from __future__ import annotations

from itertools import compress
from operator import gt, sub
from typing import Iterator, List, Sequence, Tuple

from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.goruntime.all_of_go import GoView
from addrspace_gdb.goruntime.malloc import Owned
from addrspace_gdb.goruntime.mprof import buckets
from addrspace_gdb.goruntime.record import Runtime

SPAN_STRUCTURES, CACHES, BUCKETS = "span structures", "mcaches", "profile buckets"
_MAX_SINGLE = 1 << 16  # profile buckets, which are met one by one


def persistent_owners(runtime: Runtime, go: GoView) -> List[Owned]:
    """Ranges inside the chunks, ascending within each kind; they may touch but not overlap in a sound heap.

    What cannot be found stays with "persistent allocations": no problem is told here.
    """
    found: List[Owned] = []
    for source in (_spans(runtime, go), _caches(runtime, go), _buckets(runtime)):
        try:
            found.extend(source)
        except (UnreadableError, ProblemError, KeyError):
            continue
    return found


def _spans(runtime: Runtime, go: GoView) -> Iterator[Owned]:
    size = runtime.layout("runtime.mspan").size
    for start, end in runs(go.spans.addresses, size):
        yield Owned(start, end, SPAN_STRUCTURES)


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


def _buckets(runtime: Runtime) -> Iterator[Owned]:
    if not runtime.global_word("runtime.buckhash"):
        return
    for count, (start, size) in enumerate(buckets(runtime)):
        if count == _MAX_SINGLE:
            return
        yield Owned(start, start + size, BUCKETS)
