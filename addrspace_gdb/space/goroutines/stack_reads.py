"""The bytes of many stacks, in few reads."""

from __future__ import annotations

from typing import Callable, Iterator, List, Sequence, Tuple

from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.goruntime.record import Bytes, pieces, stretches
from addrspace_gdb.target.protocol import Target

_GAP = 8192  # a read call costs as much as reading this much more
_RUN = 1 << 20  # bytes: larger reads are slower, their memory is new each time

Read = Callable[[int, int], bytes]
Wanted = Tuple[int, int, int]  # start, end, whose
Member = Tuple[int, int, int, int]  # where its bytes begin in the block, then as it was wanted
Block = Tuple[Bytes, List[Member]]


def blocks(read: Read, wanted: Sequence[Wanted]) -> Iterator[Block]:
    """Bytes for every range of `wanted`, neighbours together, in ascending order. A range that cannot be read
    comes alone, with no bytes."""
    for run in _runs(sorted(wanted)):
        low = run[0][0]
        try:
            data = read(low, max(end for _, end, _ in run) - low)
            yield data, [(start - low, start, end, at) for start, end, at in run]
        except UnreadableError:
            for one in run:
                yield _alone_in_block(read, one)


def _alone_in_block(read: Read, one: Wanted) -> Block:
    return _alone(read, one)[1], [(0, *one)]


def windows(
    target: Target, sps: Sequence[int], his: Sequence[int], size: int
) -> Iterator[Tuple[int, Bytes, int, int]]:
    """The bytes of [sp, min(sp + size, hi)) of many disjoint stacks in ascending order, neighbours together.

    Yields the address of the first byte, the bytes (until the next are asked for), and the first and one past
    the last of the stacks. A stack that cannot be read comes alone, with no bytes.
    """
    parts = list(stretches(sps, size + _GAP, _RUN))
    ranges = [(sps[first], min(sps[after - 1] + size, his[after - 1]) - sps[first]) for first, after in parts]
    for (first, after), (low, _), data in zip(parts, ranges, pieces(target, ranges)):
        if data is not None:
            yield low, data, first, after
        else:
            for one in range(first, after):
                start, alone = _alone(target.read, (sps[one], min(sps[one] + size, his[one]), one))
                yield start, alone, one, one + 1


def _alone(read: Read, one: Wanted) -> Tuple[int, bytes]:
    try:
        return one[0], read(one[0], one[1] - one[0])
    except UnreadableError:
        return one[0], b""


def _runs(wanted: Sequence[Wanted]) -> Iterator[List[Wanted]]:
    run: List[Wanted] = []
    reach = limit = 0
    for one in wanted:
        start, end, _ = one
        if run and start <= reach and start < limit:
            run.append(one)
        else:
            if run:
                yield run
            run, limit, reach = [one], start + _RUN, 0
        if end + _GAP > reach:
            reach = end + _GAP
    if run:
        yield run
