"""Sudogs of goroutines that wait in semaphores and condition variables: src/runtime/sema.go.

A goroutine waits for a sync.Mutex, RWMutex or WaitGroup in a semaphore. Since Go 1.26 its `waiting` is the
sudog, in sync.Cond.Wait too. Up to 1.25 the table of semaphores leads to it. To that of a sync.Cond leads
only a list in the program's own sync.Cond; but the goroutine's stack has it, for when notifyListWait goes
on.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_right
from itertools import compress
from typing import Dict, Iterator, Optional, Sequence, Set, Tuple

from addrspace_gdb.goruntime.buildinfo import parse_version, version_of
from addrspace_gdb.goruntime.columns import Columns
from addrspace_gdb.goruntime.mspan import Spans
from addrspace_gdb.goruntime.record import Runtime, pieces
from addrspace_gdb.goruntime.sizeclasses import PAGE_SHIFT
from addrspace_gdb.goruntime.waitreason import read_wait_reasons

_TABLE = "runtime.semtable"
_IN_WAITING = 26  # N of Go 1.N that has them in g.waiting
_COND_WAIT = "sync.Cond.Wait"
# Bytes from a goroutine's sp on: the frames of gopark and notifyListWait, not optimised or with -race too.
_NEAR = 1024


def waiting_sudogs(runtime: Runtime, goroutines: Columns, spans: Spans) -> Iterator[int]:
    """Those that the goroutines' own `waiting` does not name. UnreadableError."""
    minor = parse_version(version_of(runtime.target) or "")[0]
    if minor is not None and minor >= _IN_WAITING:
        return
    sudogs = _Sudogs(runtime, spans)
    if runtime.has(_TABLE):
        for root in runtime.variable(_TABLE).elements(""):
            yield from sudogs.tree(root.number("root.treap"))
    yield from _of_conditions(runtime, goroutines, sudogs)


class _Sudogs:
    """Reads sudogs, a span at a time: those that wait together mostly lie together."""

    def __init__(self, runtime: Runtime, spans: Spans) -> None:
        self._runtime, layout, columns = runtime, runtime.layout("runtime.sudog"), spans.columns
        links = (layout.scalar(name).offset // runtime.word for name in ("g", "prev", "next", "waitlink"))
        self._g, self._left, self._right, self._link = links
        sizes = columns["element"]
        alike = [row for row, size in enumerate(sizes) if layout.size <= size < 2 * layout.size]
        alike.sort(key=columns["start"].__getitem__)
        self._starts, self._sizes = ([columns[name][row] for row in alike] for name in ("start", "element"))
        self._ends = [columns["start"][row] + (columns["pages"][row] << PAGE_SHIFT) for row in alike]
        self._words: Dict[int, Sequence[int]] = {}  # of a span, by its place

    def _at(self, address: int) -> Optional[Tuple[Sequence[int], int]]:
        """Words with the sudog in them, and where it begins there; None: no object of that size is there."""
        place = bisect_right(self._starts, address) - 1
        if place < 0 or address >= self._ends[place] or (address - self._starts[place]) % self._sizes[place]:
            return None
        start, size = self._starts[place], self._ends[place] - self._starts[place]
        if place not in self._words:
            self._words[place] = self._runtime.words(start, size // self._runtime.word, "sudogs")
        words = self._words[place]
        return (words, (address - start) // self._runtime.word) if words else None

    def g(self, address: int) -> int:
        """The goroutine of the sudog there; 0 if there is none."""
        found = self._at(address)
        return found[0][found[1] + self._g] if found is not None else 0

    def tree(self, root: int) -> Iterator[int]:
        """Those of one root of the table: a tree of addresses that are waited for, each with a list."""
        todo = [root]
        seen: Set[int] = set()
        while todo:
            at = todo.pop()
            while at and at not in seen:
                found = self._at(at)
                if found is None:
                    self._runtime.problems.add(
                        f"semaphores: {at:#x} is no sudog; what follows it is left out"
                    )
                    break
                seen.add(at)
                yield at
                words, first = found
                todo += [words[first + self._left], words[first + self._right]]
                at = words[first + self._link]


def _of_conditions(runtime: Runtime, goroutines: Columns, sudogs: _Sudogs) -> Iterator[int]:
    """Those of goroutines in sync.Cond.Wait: near their sp is a pointer to a sudog that points to them."""
    waits = bytes(text == _COND_WAIT for text in read_wait_reasons(runtime)).ljust(256, b"\0")
    chosen = goroutines["waitreason"].tobytes().translate(waits)
    names = ("address", "sp", "hi")
    rows = zip(*(compress(goroutines[name], chosen) for name in names))
    near = sorted((sp, min(hi - sp, _NEAR), g) for g, sp, hi in rows if sp < hi)
    for (_, _, g), data in zip(near, pieces(runtime.target, [(sp, size) for sp, size, _ in near])):
        words = array("Q" if runtime.word == 8 else "I", bytes(data or b""))
        if runtime.order != sys.byteorder:
            words.byteswap()
        yield from [at for at in {*words} if sudogs.g(at) == g]
