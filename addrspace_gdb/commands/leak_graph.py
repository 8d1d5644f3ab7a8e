"""Goroutines that nothing can wake: found by the graph of the heap, with what they keep."""

from __future__ import annotations

from array import array
from dataclasses import replace
from functools import cached_property
from typing import Any, Dict, List, Sequence

from addrspace_gdb.commands.engine import Source
from addrspace_gdb.commands.heap_graph import HeapGraph, made_once
from addrspace_gdb.commands.session import Session
from addrspace_gdb.common.messages import Column
from addrspace_gdb.goruntime.blocked import read_waits
from addrspace_gdb.goruntime.proc import Goroutines
from addrspace_gdb.space.goroutines.equal_stacks import fold_of
from addrspace_gdb.space.goroutines.leaks import Kept, put_leaked
from addrspace_gdb.space.graph import owners as kinds
from addrspace_gdb.space.graph.kept import Size
from addrspace_gdb.space.graph.owners import GOROUTINE, GROUP, Owners
from addrspace_gdb.space.reading.cached import hand_on
from addrspace_gdb.space.reading.goroutines import GoroutineReading, of_reading

_MAIN = 1  # the goid of main.main's: that it waits forever is how many programs are made
_STUCK = "leaked goroutines"


class LeakGraph(HeapGraph):
    """The graph, of use for this alone: what goroutines wait for gets hidden in it."""

    def _read(self, source: Source) -> None:
        super()._read(source)
        found = self.roots.walkable or of_reading(self.target, self.reading, none_too=True)
        columns = found.goroutines.columns
        own = {**columns, "status": array(columns["status"].typecode, columns["status"])}
        self.goroutines: GoroutineReading = replace(found, goroutines=Goroutines(own))
        hand_on(found, fold_of, self.goroutines)
        self._home: Dict[int, int] = {}  # what the owners hang on at first that leaked goroutines are
        self._waits = read_waits(self._runtime, found.goroutines, self.reading.go.spans)

    @cached_property
    def _found(self) -> Dict[str, Any]:
        self._numbers  # noqa: B018  before the worker gets the owners
        return super()._found

    @cached_property
    def _numbers(self) -> array[int]:
        """The owner that each goroutine is, by position; one without roots is made here. -1: it is dead."""
        assert self._stacked
        tree, dead = self._tree, self.goroutines.goroutines.dead
        found = array("q", self.roots.of_goroutines or [-1] * len(dead))
        left = [at for at, number in enumerate(found) if number < 0 and not dead[at]]
        for number, at in enumerate(left, len(tree)):
            found[at] = number
        goids = array("Q", map(self.goroutines.goroutines.column("goid").__getitem__, left))
        nameless = array("I", [tree.names.number("")]) * len(left)
        tree.extend(array("q", [self._every]) * len(left), [GOROUTINE], bytes(len(left)), nameless, goids)
        return found

    @property
    def _tree(self) -> Owners:
        return self.roots.tree

    @property
    def _every(self) -> int:
        """The owner of all goroutines."""
        return self._tree.number(0, kinds.GOROUTINES, "")

    @property
    def blocked(self) -> int:
        """How many goroutines wait for what only the program can do."""
        return len(self._waits.blocked)

    @cached_property
    def leaked(self) -> List[int]:
        """The positions of those that can never run again; that is their state from now on."""
        waits = self._waits
        goids = self.goroutines.goroutines.column("goid")
        assert self._found
        said = self._engine.ask({"do": "leaked"}, self._told())
        every = map(waits.blocked.__getitem__, said.column("places"))
        found = sorted(at for at in every if goids[at] != _MAIN)
        put_leaked(self.goroutines, found)
        return found

    def _told(self) -> Dict[str, Column]:
        waits, number_of, every = self._waits, self._numbers, self._every
        blocked = set(waits.blocked)
        first = [number for number in self.owners.below(0) if number != every]
        first += [number for at, number in enumerate(number_of) if number >= 0 and at not in blocked]
        return {
            "first": array("q", first),
            "blocked": array("q", map(number_of.__getitem__, waits.blocked)),
            "waiters": array("q", map(number_of.__getitem__, waits.waiters)),
            **{name: getattr(waits, name) for name in ("awaited", "sudogs", "hidden")},
        }

    @property
    def all_notes(self) -> List[str]:
        """What cannot be known of the goroutines or of the heap, and why."""
        return list(dict.fromkeys([*self.goroutines.notes, *self.goroutines.problems.left_out, *self.notes]))

    @property
    def all_problems(self) -> List[str]:
        """What is damaged of either."""
        return list(dict.fromkeys([*self.goroutines.problems, *self.problems]))

    def _hold_awaited(self) -> None:
        """What a leaked goroutine waits for it also keeps, by its sudog, of which nobody else knows."""
        if self._home:
            return
        tree, stuck = self._tree, set(self.leaked)
        self._home = {number: tree.parents[number] for number in map(self._numbers.__getitem__, stuck)}
        for at, address in zip(self._waits.waiters, self._waits.awaited):
            if at in stuck and address >= 0:
                tree.put(self._numbers[at], address)

    def keeps(self, groups: Sequence[Sequence[int]]) -> Kept:
        """What the leaked goroutines keep, of which each is in one of the groups."""
        if not any(groups):
            return Kept(Size(), [Size()] * len(groups), {})
        owners, number_of = self._tree, self._numbers
        self._hold_awaited()
        for number, home in self._home.items():
            owners.parents[number] = home
        stuck = owners.number(0, _STUCK, "")
        numbers = [owners.number(stuck, GROUP, "", number + 1) for number in range(len(groups))]
        for number, group in zip(numbers, groups):
            for at in group:
                owners.parents[number_of[at]] = number
        self._engine.ask(*owners.told())
        said = self._engine.ask({"do": "owners"}, {})
        bytes_, objects = said.column("bytes"), said.column("objects")

        def size(number: int) -> Size:
            return Size(bytes_[number], objects[number])

        return Kept(
            size(stuck),
            [size(number) for number in numbers],
            {at: size(number_of[at]) for group in groups for at in group},
        )


def leak_graph_of(session: Session) -> LeakGraph:
    """That of the selected inferior, made once for a reading. Raises as HeapGraph."""
    return made_once(session, LeakGraph)
