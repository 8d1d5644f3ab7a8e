"""How much memory the graph may take, and what it will need: said before all of it is taken."""

from __future__ import annotations

import os
from typing import NamedTuple, Optional

from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.common.sizes import plural, size
from addrspace_gdb.process.local_proc import LocalProc
from addrspace_gdb.process.memory_cgroup import read_memory_limit

_SURE = 8  # parts of the heap of which one was read, before the rest is reckoned from it
_USUAL = 2  # edges of an object, before anything is known
_STEP = 1 << 28  # what is proposed is a multiple of it


class Costs(NamedTuple):
    """Bytes that an object and an edge take at the most, all arrays together that are there at one time."""

    object: int
    edge: int


# Counted in worker/graph.py, noting.py, typed.py and tree.py; measured with 10.1 M objects and 18.8 M edges.
_OF_GRAPH = Costs(17, 4)
_OF_TYPES = Costs(10, 8)
_OF_TREE = Costs(38, 4)


class Budget:
    """The limit, by which everything is measured."""

    def __init__(self, limit: Optional[int], typed: bool, tree: bool) -> None:
        """`limit`: bytes, None: half of what is free. `typed`: objects get types; `tree`: who keeps what will
        be asked."""
        parts = [_OF_GRAPH, *([_OF_TYPES] if typed else []), *([_OF_TREE] if tree else [])]
        self._costs = Costs(*(sum(column) for column in zip(*parts)))
        self._asked = limit is not None
        self.limit = limit if limit is not None else free_memory() // 2
        self._base = resident()

    def _need(self, objects: int, edges: int) -> int:
        return self._base + objects * self._costs.object + edges * self._costs.edge

    def begin(self, objects: int, table: int) -> None:
        """Before anything is made; `table`: bytes of what finds objects. ProblemError."""
        self._base += table
        self.check(objects, 0, 0, 0)

    def check(self, objects: int, edges: int, done: int, whole: int) -> None:
        """`done` of `whole` bytes of the heap have been read, and have those edges. ProblemError if all of it
        will need more than the limit."""
        if done * _SURE >= whole > 0:
            edges = usual = edges * whole // max(1, done)
        else:
            usual = max(edges, _USUAL * objects)
        if self._need(objects, edges) <= self.limit:
            return
        need = self._need(objects, usual)
        asked = -(-(need + (need >> 4)) // _STEP) * _STEP
        whose = "--memory" if self._asked else "half of what is free"
        raise ProblemError(
            f"the heap's graph ({plural(objects, 'slot')} for objects) needs about {size(need)} and may take "
            f"{size(self.limit)} ({whose}): --memory {asked >> 20}M allows it; `addrspace heap` needs none, "
            "and a core can be looked at on another machine"
        )


def free_memory() -> int:
    """Bytes that this process could take: those of the machine, or what its cgroup leaves."""
    free = 1 << 62
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            free = next(int(line.split()[1]) << 10 for line in file if line.startswith("MemAvailable:"))
    except (OSError, ValueError, StopIteration):
        pass
    limit = read_memory_limit(LocalProc(os.getpid()))
    return free if limit is None else min(free, max(0, limit.limit - limit.used))


def resident() -> int:
    """Bytes that this process has."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
