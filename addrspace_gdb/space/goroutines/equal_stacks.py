"""Every frame of many goroutines, where most stacks are equal to others: these are walked by their pcs.

A stack is a path in a tree whose branches are pcs from the innermost frame on. Goroutines that stand alike
(alike.py) are compared with the path of one of them; following a path that was met before costs one look-up a
frame; a new end of a path, and whatever is not plain (system calls, running goroutines, switches of stacks,
damage), is left to the unwinder.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from itertools import chain
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Protocol, Sequence, Set, Tuple

from addrspace_gdb.goruntime import funcid
from addrspace_gdb.goruntime.columns import pick
from addrspace_gdb.goruntime.pclntab import SP_WRITE, TOP_FRAME
from addrspace_gdb.goruntime.proc import MAX_STACK
from addrspace_gdb.goruntime.traceback import Stack, Unwinder, Walk
from addrspace_gdb.process.vm_readv import TOGETHER, Room
from addrspace_gdb.space.goroutines.alike import Path, SideBySide, alike, side_by_side
from addrspace_gdb.space.goroutines.stack_copies import Copies, copies_of
from addrspace_gdb.space.goroutines.stack_reads import Wanted, blocks
from addrspace_gdb.space.goroutines.walk import walk
from addrspace_gdb.space.reading.cached import once
from addrspace_gdb.space.reading.goroutines import GoroutineReading

_SWITCHES = ("systemstack", "mcall", "morestack", "asmcgocall")


class Same(NamedTuple):
    """A goroutine's position and its frames. Goroutines with equal stacks get the same `Walk` object if
    `shared`; its sps are then those of one of them."""

    at: int
    walk: Walk
    shared: bool


class Equal(NamedTuple):
    """Goroutines with one walk. Unless it is `shared` there is one of them, or they are dead."""

    walk: Walk
    shared: bool
    positions: List[int]


class Taker(Protocol):
    """Takes words of the stacks while these are looked at: of goroutines that share the walk of a number."""

    def take(self, number: int, walk: Walk, block: SideBySide, rows: Sequence[int]) -> None:
        """Those of the block in these rows."""

    def take_one(self, number: int, walk: Walk, at: int, words: memoryview) -> None:
        """The one at a position; `words` are those of its stack."""


class _End(NamedTuple):
    """The last frame of a path."""

    walk: Walk


Node = Dict[int, Any]  # pc to (words to the caller's return address, Node) or to _End


def plain_size(unwinder: Unwinder, pc: int) -> Optional[int]:
    """Bytes of the frame at `pc`, if its caller simply follows; None if that takes a closer look."""
    func = unwinder.symtab.find(pc)
    if func is None or func.flags & (TOP_FRAME | SP_WRITE):
        return None
    kind = unwinder.symtab.kind(func.func_id)
    if kind in _SWITCHES or funcid.is_injected(kind):
        return None
    return unwinder.size(pc) or None


def equal_stacks(reading: GoroutineReading, positions: Sequence[int]) -> List[Equal]:
    """As `same_stacks`, with those together that have equal stacks."""
    fold = fold_of(reading)
    fold.add(positions)
    return fold.alike(positions)


def same_stacks(reading: GoroutineReading, positions: Sequence[int]) -> Iterator[Same]:
    """The frames of each goroutine: those that are not simply parked first, then in the order of the sps."""
    fold = fold_of(reading)
    fold.add(positions)
    yield from fold.of(positions)


def walk_of(reading: GoroutineReading, at: int) -> Walk:
    """The physical frames of one goroutine, as `walk.walk` has them."""
    fold = fold_of(reading)
    if not fold.knows((at,)):
        return walk(reading, at)
    _, found, shared = fold.one(at)
    if not shared:
        return found
    apart = reading.goroutines.column("sp")[at] - found.sps[0]
    return found if not apart else found._replace(sps=[sp + apart for sp in found.sps])


@once
def fold_of(reading: GoroutineReading) -> Fold:
    """The stacks of the reading that were looked at."""
    return Fold(reading)


class Fold:
    """The walks of goroutines, one for all that have equal stacks."""

    def __init__(self, reading: GoroutineReading) -> None:
        self._reading, self._tree = reading, _Tree(reading)
        self._walks: List[Tuple[Walk, bool]] = [
            (Walk([], [], None, False), False)
        ]  # and whether it is shared
        self._shared: Dict[int, int] = {}  # id of a walk that is shared to its number
        self._los, self._his = (reading.goroutines.column(name) for name in ("lo", "hi"))
        self._numbers = array("I", bytes(4 * len(reading.goroutines)))  # by position; 0: not looked at
        self._apart: Set[int] = set()  # positions of those that are not simply parked
        self._taker: Optional[Taker] = None
        self._copies: Optional[Copies] = None  # stacks that are not looked at yet

    def copy(self, room: Optional[Room] = None) -> bool:
        """Begin to copy the stacks of all goroutines, which `copied` must end while the process stands still;
        False if that is no way to read them, or there are few."""
        self._copies = copies_of(self._reading, room)
        return self._copies is not None

    @property
    def has_copies(self) -> bool:
        """Whether there are stacks that are to be looked at when the process runs again."""
        return self._copies is not None

    def copied(self) -> None:
        """Wait for the copies, and look at what lives and is not among them: the others need the process
        no more."""
        copies, self._copies = self._copies, None
        assert copies is not None
        for positions in copies.lacking(self._reading.goroutines.dead):
            self.add(positions)
        self._copies = copies

    def _look_at_copies(self) -> None:
        copies, self._copies = self._copies, None
        if copies is None:
            return
        self._taker = None
        tried: Dict[Tuple[int, int], List[Tuple[Path, int]]] = {}
        for block in copies.blocks():
            self._together(block, tried.setdefault((block.of.pc, block.of.size), []))
        self.add(range(len(self._numbers)))  # what is left are the dead

    def add(self, positions: Sequence[int], taker: Optional[Taker] = None) -> None:
        """Look at those goroutines, which takes the process. The `taker` gets those that were not looked at
        before, and share a walk."""
        self._look_at_copies()
        numbers = self._numbers
        if 0 not in pick(numbers, positions):
            return
        if any(pick(numbers, positions)):
            positions = [at for at in positions if not numbers[at]]
        together, apart = alike(self._reading, positions)
        for at in self._without_dead(apart):
            self._put(Same(at, walk(self._reading, at), False))
        self._apart.update(apart)
        self._taker = taker
        if not together:
            return
        small = [one for one in together if one.size <= TOGETHER]
        blocks = side_by_side(self._reading, small)
        if blocks is None:
            self._one_by_one([at for one in together for at in one.positions])
            return
        if len(small) < len(together):
            self._one_by_one([at for one in together if one.size > TOGETHER for at in one.positions])
        tried: Dict[Tuple[int, int], List[Tuple[Path, int]]] = {}
        for group, some, block in blocks:
            if block is None:
                self._one_by_one(some)
            else:
                self._together(block, tried.setdefault((group.pc, group.size), []))

    def _without_dead(self, positions: Sequence[int]) -> Sequence[int]:
        """Of the dead ones one is as another: they get a walk together. The others."""
        is_dead = self._reading.goroutines.dead
        dead = [at for at in positions if is_dead[at]]
        if dead:
            number = self._put(Same(dead[0], walk(self._reading, dead[0]), False))
            for at in dead:
                self._numbers[at] = number
        return [at for at in positions if not is_dead[at]] if dead else positions

    def _put(self, same: Same) -> int:
        """Note what one goroutine has; the number of its walk."""
        number = self._shared.get(id(same.walk), 0) if same.shared else 0
        if not number:
            number = len(self._walks)
            self._walks.append((same.walk, same.shared))
            if same.shared:
                self._shared[id(same.walk)] = number
        self._numbers[same.at] = number
        return number

    def _one_by_one(self, positions: Sequence[int]) -> None:
        columns = self._reading.goroutines.columns
        sps, his = columns["sp"], columns["hi"]
        for same, words in self._tree.follow([(sps[at], his[at], at) for at in positions]):
            number = self._put(same)
            if self._taker is not None and same.shared:
                self._taker.take_one(number, same.walk, same.at, words)

    def _together(self, block: SideBySide, tried: List[Tuple[Path, int]]) -> None:
        """Compare goroutines that are alike with the paths that others of them are on."""

        def follow(row: int) -> Tuple[Path, int, bool]:
            same, path = self._tree.trace(block.positions[row], block.stack(row))
            return path, self._put(same), same.shared

        for rows, number in block.rows_by_path(tried, follow):
            for at in pick(block.positions, rows):
                self._numbers[at] = number
            walk, shared = self._walks[number]
            if self._taker is not None and shared:
                self._taker.take(number, walk, block, rows)

    def of(self, positions: Sequence[int]) -> Iterator[Same]:
        """What those goroutines have, which were looked at."""
        self._look_at_copies()
        walks, numbers = self._walks, self._numbers
        for at in self._ordered(positions):
            yield Same(at, *walks[numbers[at]])

    def _ordered(self, positions: Sequence[int]) -> Iterator[int]:
        """Those that are not simply parked first, then in the order of the sps."""
        apart, sps = self._apart, self._reading.goroutines.column("sp")
        first = [at for at in positions if at in apart] if apart else []
        rest = [at for at in positions if at not in apart] if apart else positions
        return chain(first, sorted(rest, key=sps.__getitem__))

    def knows(self, positions: Sequence[int]) -> bool:
        """Whether those goroutines were looked at."""
        self._look_at_copies()
        return bool(positions) and 0 not in pick(self._numbers, positions)

    def one(self, at: int) -> Same:
        """What a goroutine has that was looked at: nothing if the other end of its stack is garbage."""
        self._look_at_copies()
        lo, hi = self._los[at], self._his[at]
        if not 0 < lo <= hi <= lo + MAX_STACK:
            return Same(at, walk(self._reading, at), False)
        return Same(at, *self._walks[self._numbers[at]])

    def alike(self, positions: Sequence[int]) -> List[Equal]:
        """The same, with those together that share a walk, in the order of their first ones."""
        self._look_at_copies()
        found: Dict[int, List[int]] = defaultdict(list)
        numbers = self._numbers
        for at in self._ordered(positions):
            found[numbers[at]].append(at)
        return [Equal(*self._walks[number], some) for number, some in found.items()]


class _Tree:
    """Paths that were met."""

    def __init__(self, reading: GoroutineReading) -> None:
        self._reading = reading
        self._root: Node = {}
        self._sizes: Dict[int, Optional[int]] = {}

    def follow(self, wanted: Sequence[Wanted]) -> Iterator[Tuple[Same, memoryview]]:
        """Each goroutine of `wanted`, and the words of its stack."""
        reading, root, word = self._reading, self._root, self._reading.runtime.word
        target, linked = reading.runtime.target, reading.unwinder.linked
        pcs, done = reading.goroutines.column("pc"), 0
        for data, members in blocks(target.read, wanted):
            reading.runtime.progress.step("stacks", done, len(wanted))
            done += len(members)
            whole = memoryview(data)[: len(data) // word * word]
            words = whole.cast("Q") if word == 8 else whole.cast("I")
            for start, sp, hi, at in members:
                pc, node, here = pcs[at], root, start // word - 1
                own = words[here + 1 : here + 1 + (hi - sp) // word]
                if linked:
                    node, pc = self._linked_path(pc, words, here + 1)
                    yield self._end(node, pc, at, Stack(sp, whole[start : start + hi - sp])), own  # type: ignore[arg-type]
                    continue
                try:
                    while True:
                        found = node.get(pc)
                        if found is None:
                            found = self._learn(node, pc)
                            if found is None:
                                break
                        step, node = found
                        here += step
                        pc = words[here]
                except (ValueError, IndexError):  # an _End, which has no branches; beyond the stack
                    pass
                yield self._end(node, pc, at, Stack(sp, whole[start : start + hi - sp])), own  # type: ignore[arg-type]

    def trace(self, at: int, words: array[int]) -> Tuple[Same, Path]:
        """One goroutine whose stack is `words`, and where on it its return addresses are."""
        columns, linked = self._reading.goroutines.columns, self._reading.unwinder.linked
        pc, node, here, size = columns["pc"][at], self._root, 0 if linked else -1, 0
        path: List[Tuple[int, int]] = []
        try:
            while True:
                found = node.get(pc) or self._learn(node, pc)
                if found is None:
                    break
                step, node = found
                # With a link register the return address is in the lowest word of the caller's frame.
                here, size = (here + size, step) if linked else (here + step, 0)
                pc = words[here]
                path.append((here, pc))
        except (ValueError, IndexError):  # as in `follow`
            pass
        return self._end(node, pc, at, Stack(columns["sp"][at], words.tobytes())), path

    def _linked_path(self, pc: int, words: memoryview, here: int) -> Tuple[Node, int]:
        """Where the path ends of a stack whose sp is at index `here`, and the pc that has no branch there.

        A frame has its return address in its lowest word here.
        """
        node, size = self._root, 0
        try:
            while True:
                found = node.get(pc)
                if found is None:
                    found = self._learn(node, pc)
                    if found is None:
                        break
                here += size
                size, node = found
                pc = words[here]
        except (ValueError, IndexError):
            pass
        return node, pc

    def _learn(self, node: Node, pc: int) -> Optional[Tuple[int, Node]]:
        """The branch for `pc`; None, which ends the path, if the frame is not plain."""
        if pc not in self._sizes:
            self._sizes[pc] = plain_size(self._reading.unwinder, pc)
        size = self._sizes[pc]
        if size is None:
            return None
        branch: Tuple[int, Node] = (size // self._reading.runtime.word, {})
        node[pc] = branch
        return branch

    def _end(self, node: Node, pc: int, at: int, stack: Stack) -> Same:
        """What the path that ended before `pc` in `node` is."""
        known = node.get(pc)
        if isinstance(known, _End):
            return Same(at, known.walk, True)
        columns = self._reading.goroutines.columns
        found = self._reading.unwinder.walk(stack, columns["pc"][at], stack.low, lr=columns["lr"][at])
        if not stack.data:
            found = Walk([], [], "its stack cannot be read", False)
        elif found.problem is None and known is None and found.pcs[-1] == pc:
            node[pc] = _End(found)
            return Same(at, found, True)
        return Same(at, found, False)
