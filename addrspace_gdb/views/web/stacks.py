"""Goroutines for the page: folded into the stacks they share, and one by one where they are not too many."""

from __future__ import annotations

from array import array
from collections import Counter
from operator import sub
from typing import Any, Dict, List, Optional, Sequence, Tuple

from addrspace_gdb.goruntime.columns import pick
from addrspace_gdb.goruntime.stackpieces import KINDS
from addrspace_gdb.goruntime.traceback import Walk
from addrspace_gdb.goruntime.waitreason import state_text
from addrspace_gdb.space.goroutines.by_frame import living
from addrspace_gdb.space.goroutines.columns import residents, sizes_of, useds
from addrspace_gdb.space.goroutines.equal_stacks import equal_stacks
from addrspace_gdb.space.goroutines.listing import is_system
from addrspace_gdb.space.goroutines.user_frame import user_spot
from addrspace_gdb.space.reading.goroutines import GoroutineReading
from addrspace_gdb.views.web.pack import Packed

FRAMES = 128  # innermost frames that are kept of a stack
_MOST_ROWS = 200_000  # goroutines that are listed one by one


class _Texts:
    """Texts by number, each once."""

    def __init__(self) -> None:
        self.all: List[str] = []
        self._numbers: Dict[str, int] = {}

    def number(self, text: str) -> int:
        """The number of a text."""
        known = self._numbers.get(text)
        if known is None:
            known = self._numbers[text] = len(self.all)
            self.all.append(text)
        return known


class _Stack:
    """A stack and what its goroutines have together."""

    def __init__(self, frames: Sequence[str], function: Optional[str], system: bool) -> None:
        self.frames, self.function, self.system = frames, function, system
        self.count = self.size = self.used = 0
        self.resident: Optional[int] = 0
        self.states: Counter[str] = Counter()

    def told(self, texts: _Texts) -> Dict[str, Any]:
        """As JSON has it: frames, the outermost first, by the numbers of their texts."""
        frames = [texts.number(text) for text in self.frames]
        return {**vars(self), "frames": frames, "states": dict(self.states.most_common())}


def stacks_part(reading: GoroutineReading, packed: Packed) -> Dict[str, Any]:
    """The stacks with what they sum up to; columns of single goroutines are put into `packed`."""
    positions = living(reading)
    each = len(positions) <= _MOST_ROWS
    stacks, of = _fold(reading, positions, each)
    texts, left_out = _Texts(), None
    told = [stack.told(texts) for stack in stacks]
    if not each:
        left_out = f"{len(positions):,} goroutines are too many to be in this file one by one"
    else:
        _rows(reading, of, packed)
    return {"texts": texts.all, "stacks": told, "left_out": left_out}


def _fold(
    reading: GoroutineReading, positions: Sequence[int], each: bool
) -> Tuple[List[_Stack], Dict[int, int]]:
    """The stacks that differ as Go prints them, and with `each` which of them every goroutine has, by its
    position."""
    found: Dict[Tuple[str, ...], int] = {}
    stacks: List[_Stack] = []
    of: Dict[int, int] = {}
    for walk, _, some in equal_stacks(reading, positions):
        key, function = _printed(reading, walk)
        number = found.get(key)
        if number is None:
            number = found[key] = len(stacks)
            stacks.append(_Stack(key, function, is_system(reading, some[0])))
        _sum_up(reading, stacks[number], some)
        if each:
            of.update(dict.fromkeys(some, number))
    return stacks, of


def _printed(reading: GoroutineReading, walk: Walk) -> Tuple[Tuple[str, ...], Optional[str]]:
    """The frames outermost first, and the user's function."""
    frames = reading.unwinder.frames(walk) if walk.pcs else []
    lines = [
        f"{f.name or 'code that is not Go'}\t{f.file}:{f.line}" for f in reading.unwinder.printed(frames)
    ]
    lines = lines[:FRAMES] if lines else ["frames not known\t"]
    return tuple(reversed(lines)), user_spot(frames).function


def _sum_up(reading: GoroutineReading, stack: _Stack, some: List[int]) -> None:
    columns = reading.goroutines.columns
    stack.count += len(some)
    stack.size += sum(max(0, size) for size in pick(sizes_of(reading), some))
    stack.used += sum(max(0, used) for used in pick(useds(reading), some))
    resident = pick(residents(reading), some)
    if stack.resident is not None:
        stack.resident = None if None in resident else stack.resident + sum(one or 0 for one in resident)
    states = Counter(zip(pick(columns["status"], some), pick(columns["waitreason"], some)))
    for (status, reason), count in states.items():
        stack.states[state_text(reading.reasons, status, reason)] += count


def _rows(reading: GoroutineReading, of: Dict[int, int], packed: Packed) -> None:
    """Each goroutine, by its number."""
    columns = reading.goroutines.columns
    order = sorted(of, key=columns["goid"].__getitem__)
    packed.add("g.goid", pick(columns["goid"], order), delta=True)
    packed.add("g.lo", pick(columns["lo"], order))
    packed.add("g.size", (max(0, size) for size in pick(sizes_of(reading), order)))
    packed.add("g.stack", map(of.__getitem__, order))


def pieces_part(reading: GoroutineReading, packed: Packed) -> Dict[str, Any]:
    """Every piece of stack memory by address, whose it is; nothing where there are very many."""
    pieces = reading.stacks.pieces
    if len(pieces) > _MOST_ROWS:
        return {"kinds": []}
    packed.add("piece.start", pieces.starts, delta=True)
    packed.add("piece.size", map(sub, pieces.ends, pieces.starts))
    packed.add("piece.owner", array("Q", pieces.owners))
    packed.add_bytes("piece.kind", bytes(pieces.kinds))
    return {"kinds": list(KINDS)}
