"""How far down the stack of a g0 reaches that C's library made.

Go takes its lower bound from pthread_getattr_np (src/runtime/cgo/pthread_unix.c, x_cgo_getstackbound; before
Go 1.27 gcc_stack_unix.c, and up to 1.20 the size of a default thread). For the main thread that is anything:
musl's library gives nearly 0, and so does glibc where the stack has no limit give a place below other
mappings. A stack does not reach through them.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Callable, List, Sequence, Tuple

from addrspace_gdb.process.mappings import Mapping

Bounds = Tuple[int, int]


def within_mappings(mappings: Sequence[Mapping]) -> Callable[[Bounds], Bounds]:
    """A function that cuts a stack's bounds, (lo, hi), where the memory at its top ends and there is other
    memory between that and lo. `mappings` ascend; bounds that no mapping holds are left as they are."""
    ends: List[int] = [mapping.end for mapping in mappings]

    def cut(bounds: Bounds) -> Bounds:
        lo, hi = bounds
        at = bisect_left(ends, hi)
        if lo >= hi or at == len(mappings) or mappings[at].start >= hi:
            return bounds
        while at and ends[at - 1] == mappings[at].start and mappings[at - 1].permissions.startswith("rw"):
            at -= 1
        foreign = at > 0 and ends[at - 1] > lo
        return (mappings[at].start, hi) if foreign and mappings[at].start > lo else bounds

    return cut
