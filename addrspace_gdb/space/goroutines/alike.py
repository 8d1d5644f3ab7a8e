"""Goroutines that stand alike, at one pc with as much of their stacks in use, looked at together.

Nearly always such stacks are equal in all that matters: the words where one of them has its return addresses
hold the same in the others. Copied side by side, those words are columns, which are compared as they are; a
path is followed word by word only for the first of them.
"""

from __future__ import annotations

import sys
from array import array
from collections import defaultdict
from itertools import accumulate, chain, compress
from operator import and_, lt, sub
from typing import Callable, Dict, Iterator, List, Literal, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.goruntime.columns import nonzero, pick
from addrspace_gdb.goruntime.proc import MAX_STACK
from addrspace_gdb.goruntime.record import Runtime, direct_pid
from addrspace_gdb.process.vm_readv import TOGETHER, is_there, read_runs
from addrspace_gdb.space.goroutines.walk import is_plain
from addrspace_gdb.space.reading.goroutines import GoroutineReading

_MAX_TRIED = 8  # paths that goroutines which stand alike are compared with

Path = Sequence[Tuple[int, int]]  # number of a word above sp, and the pc that it holds


class Alike(NamedTuple):
    """Goroutines at one pc with `size` bytes of their stacks in use."""

    pc: int
    size: int
    positions: List[int]


def alike(reading: GoroutineReading, positions: Sequence[int]) -> Tuple[List[Alike], List[int]]:
    """Those that are simply parked with a sound stack, together; and the positions of all others."""
    mask = parked(reading, positions)
    if mask is None:
        return [], list(positions)
    pcs, sps, his = (pick(reading.goroutines.columns[name], positions) for name in ("pc", "sp", "hi"))
    rows, word = range(len(mask)), reading.runtime.word
    found: Dict[Tuple[int, int], List[int]] = defaultdict(list)
    for row, key in compress(zip(rows, zip(pcs, map(sub, his, sps))), mask):
        found[key].append(row)
    together = []
    for (pc, size), some in found.items():
        if 0 < size <= MAX_STACK and size % word == 0:
            together.append(Alike(pc, size, some if positions == rows else list(pick(positions, some))))
        else:
            for row in some:
                mask[row] = 0
    return together, list(compress(positions, mask.translate(_NOT)))


def parked(reading: GoroutineReading, positions: Sequence[int]) -> Optional[bytearray]:
    """1 for those that are simply parked, with their sp above the low end of the stack; None where this
    machine's order of bytes is not theirs."""
    if sys.byteorder != reading.runtime.order:
        return None
    columns = (reading.goroutines.columns[name] for name in ("lo", "sp", "status", "syscallsp"))
    los, sps, statuses, calls = (pick(column, positions) for column in columns)
    plain = {status: is_plain(status) for status in set(statuses)}
    if all(plain.values()):
        mask = bytearray(map(lt, los, sps))
    else:
        mask = bytearray(map(and_, map(plain.__getitem__, statuses), map(lt, los, sps)))
    for row in chain(nonzero(calls), odd_rows(sps, reading.runtime.word), _live_rows(reading, positions)):
        mask[row] = 0
    return mask


_NOT = bytes([1, 0]) + bytes(254)


def odd_rows(sps: Sequence[int], word: int) -> Iterator[int]:
    """Where a stack pointer, or a size, is no multiple of a word: hardly ever, which their lowest bytes say
    soonest."""
    column = sps if isinstance(sps, array) else array("Q", sps)
    data, step = column.tobytes(), column.itemsize
    lowest = data[0 if sys.byteorder == "little" else step - 1 :: step]
    if lowest.translate(None, bytes(range(0, 256, word))):
        yield from compress(range(len(sps)), map((word - 1).__and__, sps))


def _live_rows(reading: GoroutineReading, positions: Sequence[int]) -> Iterator[int]:
    """Where those are that threads run."""
    if isinstance(positions, range):
        return (positions.index(at) for at in reading.live if at in positions)
    return compress(range(len(positions)), map(reading.live.__contains__, positions))


class SideBySide:
    """Some of those that are alike, with the first bytes above their sps side by side."""

    def __init__(self, of: Alike, positions: List[int], words: memoryview) -> None:
        self.of, self.positions = of, positions
        self._words, self._width = words, len(words) // max(1, len(positions))  # of each

    def stack(self, row: int) -> array[int]:
        """The words of one of them."""
        words = array(self._words.format)
        words.frombytes(self._words[row * self._width : (row + 1) * self._width].tobytes())
        return words

    def column(self, number: int, rows: Sequence[int]) -> array[int]:
        """That word of each of the rows."""
        whole = array(self._words.format, self._words[number :: self._width].tobytes())
        return whole if len(rows) == len(self.positions) else array(whole.typecode, pick(whole, rows))

    def on(self, path: Path, rows: Sequence[int]) -> Sequence[int]:
        """Those of the `rows` whose return addresses are those of the path."""
        if len(rows) == len(self.positions) and self._all_on(path):
            return rows
        for number, pc in path:
            column = self._words[number :: self._width].tolist()
            rows = [row for row in rows if column[row] == pc]
        return rows

    def by_path(
        self, tried: List[Tuple[Path, int]], follow: Callable[[int], Tuple[Path, int, bool]]
    ) -> Iterator[Tuple[Sequence[int], int]]:
        """The positions of those on one path together, and its number.

        `tried`: paths that goroutines of this kind were found on, each with its number, to which more are
        added. `follow` says of one row which path it is on, its number, and whether others may be on it.
        """
        for rows, number in self.rows_by_path(tried, follow):
            yield pick(self.positions, rows), number

    def rows_by_path(
        self, tried: List[Tuple[Path, int]], follow: Callable[[int], Tuple[Path, int, bool]]
    ) -> Iterator[Tuple[Sequence[int], int]]:
        """The same by their rows."""
        rows: Sequence[int] = range(len(self.positions))
        for path, number in tried:
            on, rows = self._parted(path, rows)
            yield on, number
        while rows:
            path, number, common = follow(rows[0])
            on, rows = rows[:1], rows[1:]
            if common and rows and len(tried) < _MAX_TRIED:
                tried.append((path, number))
                more, rows = self._parted(path, rows)
                on = [*on, *more]
            yield on, number

    def _parted(self, path: Path, rows: Sequence[int]) -> Tuple[Sequence[int], Sequence[int]]:
        """Those of the `rows` that are on the path, and the others."""
        on = self.on(path, rows)
        if len(on) == len(rows):
            return rows, ()
        known = set(on)
        return on, [row for row in rows if row not in known]

    def _all_on(self, path: Path) -> bool:
        count, code = len(self.positions), self._words.format
        return all(self._words[number :: self._width] == array(code, [pc]) * count for number, pc in path)


def side_by_side(
    reading: GoroutineReading, together: Sequence[Alike], most: int = TOGETHER
) -> Optional[Iterator[Tuple[Alike, List[int], Optional[SideBySide]]]]:
    """The first `most` bytes above the sp of each of them, some at a time: of what they are, their positions,
    and the bytes, None if they cannot be read so. None where that is no way to read."""
    if not is_there():
        return None
    order = list(chain.from_iterable(one.positions for one in together))
    sps = array("Q", pick(reading.goroutines.columns["sp"], order))
    pid = direct_pid(reading.runtime.target, sps, most)
    if pid is None:
        return None  # no stack lies in a file, but a damaged stack pointer may
    return _blocks(reading.runtime, pid, together, sps, most)


def _blocks(
    runtime: Runtime, pid: int, together: Sequence[Alike], sps: array[int], most: int
) -> Iterator[Tuple[Alike, List[int], Optional[SideBySide]]]:
    sizes = array("Q")
    for one in together:
        sizes.extend(array("Q", [min(one.size, most)]) * len(one.positions))
    places = array("Q", accumulate(sizes, initial=0))
    code: Literal["Q", "I"] = "Q" if runtime.word == 8 else "I"
    groups = iter(together)
    group, start, end = None, 0, 0  # the group that is read, and where its positions are in all
    for first, after, data in read_runs(pid, sps, sizes, places):
        runtime.progress.step("stacks", first, len(sps))
        at = first
        while at < after:
            while at >= end:
                group = next(groups)
                start, end = end, end + len(group.positions)
            assert group is not None
            until = min(after, end)
            some = group.positions[at - start : until - start]
            block = None
            if data is not None:
                bytes_ = data[places[at] - places[first] : places[until] - places[first]]
                block = SideBySide(group, some, bytes_.cast(code))
            yield group, some, block
            at = until
