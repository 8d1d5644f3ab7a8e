"""Every frame of many goroutines, where most stacks are equal to others: these are walked by their pcs.

A stack is a path in a tree whose branches are pcs from the innermost frame on. Following a path that was
met before costs one look-up a frame; a new end of a path, and whatever is not plain (system calls, running
goroutines, switches of stacks, damage), is left to the unwinder.
"""

from __future__ import annotations

import sys
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.goruntime import funcid
from addrspace_gdb.goruntime.pclntab import SP_WRITE, TOP_FRAME
from addrspace_gdb.goruntime.traceback import Stack, Unwinder, Walk
from addrspace_gdb.space.goroutines.stack_reads import MAX_STACK, Wanted, blocks
from addrspace_gdb.space.goroutines.walk import is_plain, walk
from addrspace_gdb.space.reading.goroutines import GoroutineReading
from addrspace_gdb.target.protocol import LetsGo

_SWITCHES = ("systemstack", "mcall", "morestack", "asmcgocall")


class Same(NamedTuple):
    """A goroutine's position and its frames. Goroutines with equal stacks get the same `Walk` object if
    `shared`; its sps are then those of one of them."""

    at: int
    walk: Walk
    shared: bool


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


def same_stacks(reading: GoroutineReading, positions: Sequence[int]) -> Iterator[Same]:
    """The frames of each goroutine, in no particular order."""
    wanted, apart = sort_out(reading, positions)
    for at in apart:
        yield Same(at, walk(reading, at), False)
    yield from _Tree(reading).follow(wanted)


def sort_out(reading: GoroutineReading, positions: Sequence[int]) -> Tuple[List[Wanted], List[int]]:
    """The stacks of the goroutines that can be walked side by side, and the positions of the others."""
    columns = reading.goroutines.columns
    los, his, sps, calls = (columns[name] for name in ("lo", "hi", "sp", "syscallsp"))
    plain = {status: is_plain(status) for status in set(columns["status"])}
    statuses, live, word = columns["status"], reading.live, reading.runtime.word
    wanted: List[Wanted] = []
    apart: List[int] = []
    by_words = sys.byteorder == reading.runtime.order
    for at in positions:
        sp, hi = sps[at], his[at]
        ok = plain[statuses[at]] and not calls[at] and los[at] < sp < hi and not (sp | hi) % word
        if ok and by_words and at not in live and hi - sp <= MAX_STACK:
            wanted.append((sp, hi, at))
        else:
            apart.append(at)
    return wanted, apart


class _Tree:
    """Paths that were met."""

    def __init__(self, reading: GoroutineReading) -> None:
        self._reading = reading
        self._root: Node = {}
        self._sizes: Dict[int, Optional[int]] = {}

    def follow(self, wanted: Sequence[Wanted]) -> Iterator[Same]:
        """Each goroutine of `wanted`."""
        reading, root, word = self._reading, self._root, self._reading.runtime.word
        target, linked = reading.runtime.target, reading.unwinder.linked
        kept = target.kept if isinstance(target, LetsGo) else None
        pcs, done = reading.goroutines.column("pc"), 0
        for data, members in blocks(target.read, wanted, kept):
            reading.runtime.progress.step("stacks", done, len(wanted))
            done += len(members)
            whole = memoryview(data)[: len(data) // word * word]
            words = whole.cast("Q") if word == 8 else whole.cast("I")
            for start, sp, hi, at in members:
                pc, node, here = pcs[at], root, start // word - 1
                if linked:
                    node, pc = self._linked_path(pc, words, here + 1)
                    yield self._end(node, pc, at, Stack(sp, whole[start : start + hi - sp]))  # type: ignore[arg-type]
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
                yield self._end(node, pc, at, Stack(sp, whole[start : start + hi - sp]))  # type: ignore[arg-type]

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
