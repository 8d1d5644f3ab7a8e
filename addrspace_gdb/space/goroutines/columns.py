"""What is computed for every goroutine at once, kept with the reading: order of the stacks, resident bytes.

Loops over a million goroutines are the interpreter's own wherever that can be.
"""

from __future__ import annotations

import sys
from array import array
from collections import Counter
from itertools import compress, islice
from operator import ge, le, lt, sub
from typing import Dict, Optional, Sequence, Set, Tuple

from addrspace_gdb.goruntime.columns import pick
from addrspace_gdb.goruntime.proc import MAX_STACK, is_live
from addrspace_gdb.space.goroutines.residency import FEW, not_resident, resident_many, runs_alone
from addrspace_gdb.space.goroutines.walk import is_plain, start_of
from addrspace_gdb.space.reading.cached import once
from addrspace_gdb.space.reading.goroutines import GoroutineReading


def residents(reading: GoroutineReading) -> Sequence[Optional[int]]:
    """Resident bytes of each goroutine's stack, by position; None where that is not known."""
    return _looked_at(reading)[1]


def disjoint(reading: GoroutineReading) -> bool:
    """Whether no two stacks overlap, and none ends below its start."""
    return _looked_at(reading)[0]


@once
def _looked_at(reading: GoroutineReading) -> Tuple[bool, Sequence[Optional[int]]]:
    """`disjoint` and `residents`: both take the bounds in the order of the addresses."""
    columns, order, residency = reading.goroutines.columns, reading.goroutines.by_stack, reading.residency
    los, his = pick(columns["lo"], order), pick(columns["hi"], order)
    apart = all(map(le, los, his)) and all(map(le, his, islice(los, 1, None)))
    few = len(residency.resident_runs) * FEW < len(order)
    if not (apart and few and residency.known and runs_alone(residency)):
        return apart, resident_many(residency, columns["lo"], columns["hi"], order)
    found = array("Q", sizes_of(reading).tobytes())
    for index, size in not_resident(residency.resident_runs, los, his).items():
        found[order[index]] = size
    return apart, found


def odd(reading: GoroutineReading) -> Set[int]:
    """Positions of the goroutines that are not simply parked with a sound stack: only a closer look
    (`start_of`) tells where they stand, or what is wrong with them."""
    return _odd_and_used(reading)[0]


def useds(reading: GoroutineReading) -> array[int]:
    """Bytes used (hi - sp) of each goroutine's stack, by position; -1 where that is not known."""
    return _odd_and_used(reading)[1]


@once
def _odd_and_used(reading: GoroutineReading) -> Tuple[Set[int], array[int]]:
    columns = reading.goroutines.columns
    los, his, sps = columns["lo"], columns["hi"], columns["sp"]
    rows, mask = range(len(los)), reading.runtime.word - 1
    found, used = set(reading.live), differences(his, sps)
    found.update(compress(rows, columns["syscallsp"]))
    # Nearly always all is well, which whole columns say soonest.
    lowest = sps.tobytes()[0 if sys.byteorder == "little" else sps.itemsize - 1 :: sps.itemsize]
    if lowest.translate(None, bytes(range(0, 256, mask + 1))):
        found.update(compress(rows, map(mask.__and__, sps)))
    if not all(map(lt, los, sps)):
        found.update(compress(rows, map(ge, los, sps)))
    if used and not 0 <= min(used) <= max(used) < MAX_STACK:
        found.update(at for at, size in enumerate(used) if not 0 <= size < MAX_STACK)
    other = {status for status, _ in states(reading) if not is_plain(status)}
    if other:
        found.update(compress(rows, map(other.__contains__, columns["status"])))
    statuses = columns["status"]
    gone = {status for status in other if not is_live(status)}
    for at in found:
        start = start_of(reading, at) if statuses[at] not in gone else None
        used[at] = -1 if start is None or start.problem else his[at] - start.sp
    return found, used


@once
def states(reading: GoroutineReading) -> Dict[Tuple[int, int], int]:
    """How many goroutines have each (atomicstatus, waitreason), dead ones too."""
    columns = reading.goroutines.columns
    return Counter(zip(columns["status"], columns["waitreason"]))


@once
def sizes_of(reading: GoroutineReading) -> array[int]:
    """Bytes of each goroutine's stack, by position."""
    return differences(reading.goroutines.columns["hi"], reading.goroutines.columns["lo"])


def differences(more: Sequence[int], less: Sequence[int]) -> array[int]:
    """more - less, item by item; garbage may be negative."""
    try:
        return array("q", map(sub, more, less))
    except OverflowError:  # bounds 2^63 apart: no stack
        most = (1 << 63) - 1
        return array("q", (max(-most, min(most, a - b)) for a, b in zip(more, less)))
