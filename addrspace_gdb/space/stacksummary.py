"""All goroutine stacks in a few numbers."""

from __future__ import annotations

from collections import Counter
from typing import Dict, List, NamedTuple, Optional, Tuple

from addrspace_gdb.goruntime.proc import is_live
from addrspace_gdb.goruntime.waitreason import state_text
from addrspace_gdb.space.goroutine_reading import GoroutineReading
from addrspace_gdb.space.goroutines import used_of, without_system
from addrspace_gdb.space.stackresidency import resident_total


class Most(NamedTuple):
    """The goroutine that has most of something, and how many bytes."""

    goid: int
    size: int


class StackSummary(NamedTuple):
    """Goroutines and stack memory of a process. Sizes in bytes; None: not known."""

    total: int  # goroutines that exist, the runtime's too
    system: int
    dead: int  # g structs that wait to be used again
    by_state: Dict[str, int]  # by Go's own word, most frequent first
    in_use: Optional[int]  # MemStats.StackInuse
    allocated: int  # stacks of goroutines that exist
    used: int  # hi - sp of those whose sp is known
    unknown: int  # goroutines whose sp is not
    resident: Optional[int]  # of the stacks of goroutines that exist
    dead_stacks: int
    free: Optional[int]  # in the pools
    largest: Optional[Most]
    deepest: Optional[Most]  # most used


def summarise(reading: GoroutineReading) -> StackSummary:
    """Add up every goroutine, whatever was filtered."""
    columns = reading.goroutines.columns
    pairs = Counter(zip(columns["status"], columns["waitreason"]))
    states: Dict[str, int] = {}
    for (status, number), count in pairs.items():
        if is_live(status):
            word = state_text(reading.reasons, status, number)
            states[word] = states.get(word, 0) + count
    alive = {status for status in set(columns["status"]) if is_live(status)}
    living = [at for at, status in enumerate(columns["status"]) if status in alive]
    los, his = columns["lo"], columns["hi"]
    sizes = [his[at] - los[at] for at in living]
    used, unknown, deepest = _used(reading, living)
    dead = len(columns["status"]) - len(living)
    largest = max(range(len(living)), key=sizes.__getitem__, default=None)
    everything = sum(his) - sum(los)
    return StackSummary(
        total=len(living),
        system=len(living) - len(without_system(reading, living)),
        dead=dead,
        by_state=dict(sorted(states.items(), key=lambda item: (-item[1], item[0]))),
        in_use=reading.in_use,
        allocated=sum(sizes),
        used=used,
        unknown=unknown,
        resident=resident_total(reading.residency, [los[at] for at in living], [his[at] for at in living]),
        dead_stacks=everything - sum(sizes),
        free=reading.free.total if reading.free is not None else None,
        largest=Most(columns["goid"][living[largest]], sizes[largest]) if largest is not None else None,
        deepest=deepest,
    )


def _used(reading: GoroutineReading, living: List[int]) -> Tuple[int, int, Optional[Most]]:
    columns = reading.goroutines.columns
    los, his, sps, calls = columns["lo"], columns["hi"], columns["sp"], columns["syscallsp"]
    live, total, unknown, most, who = reading.live, 0, 0, -1, -1
    for at in living:
        if calls[at] or at in live:
            found = used_of(reading, at)
        else:
            sp = sps[at]
            found = his[at] - sp if los[at] < sp <= his[at] else None
        if found is None:
            unknown += 1
            continue
        total += found
        if found > most:
            most, who = found, at
    return total, unknown, Most(columns["goid"][who], most) if who >= 0 else None
