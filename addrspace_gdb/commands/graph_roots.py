"""What the collector begins with, for a heap's graph: read while the process stands still, named later."""

from __future__ import annotations

from typing import Callable, Dict, List, Optional, Sequence, Tuple

from addrspace_gdb.common.messages import Column, Message
from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.goruntime.mgcroots import ascending, global_slots, none_yet
from addrspace_gdb.goruntime.queues import queued_words
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.specials import CLEANUPS, FINALIZERS, WEAK, read_rooted
from addrspace_gdb.goruntime.symtab import modules
from addrspace_gdb.space.goroutines.stack_plans import NO_PLACE, Place
from addrspace_gdb.space.goroutines.stack_roots import StackRoots
from addrspace_gdb.space.graph import owners as kinds
from addrspace_gdb.space.graph.holding import Roots
from addrspace_gdb.space.graph.owners import OF_STACKS, Owners
from addrspace_gdb.space.graph.statics import ExtentOf, leaders
from addrspace_gdb.space.reading.goroutines import GoroutineReading, of_reading
from addrspace_gdb.space.reading.whole import Reading
from addrspace_gdb.target.protocol import Names, Target


class GraphRoots:
    """Every root of the collector, read first and put in order later."""

    def __init__(self, reading: Reading, target: Target, runtime: Runtime, heap: Tuple[int, int]) -> None:
        self._reading, self._target, self._runtime, self._heap = reading, target, runtime, heap
        self._owners = Owners()
        self.slots = none_yet()  # of variables
        self.pointed: Dict[int, int] = {}  # variables by where what they lead to begins, which has no name
        self.conservative = 0  # goroutines of which words were taken for pointers that may be none
        self.unknown = 0  # whose stack could not be walked
        self._stacks: Optional[StackRoots] = None  # once they are read
        self.walkable: Optional[GoroutineReading] = None  # that they are of
        self.of_goroutines: Sequence[int] = ()  # by position the owner that each is; -1: it holds nothing

    def read(self) -> None:
        """All that needs the process."""
        for some in global_slots(self._runtime, modules(self._target, self._runtime.problems), *self._heap):
            for column, more in zip(self.slots, some):
                column.extend(more)
        self.slots = ascending(self.slots)
        _names(self._target, [0])  # so that names can be had without the process
        for part in (self._of_records, self._of_queues, self._of_stacks):
            try:
                part()
            except (UnreadableError, KeyError, ProblemError) as error:
                self._runtime.problems.add(f"roots: {error}; some are missing")

    def _of_records(self) -> None:
        owners = self._owners
        names = {FINALIZERS: kinds.FINALIZERS, CLEANUPS: kinds.CLEANUPS, WEAK: kinds.WEAK}
        low, high = self._heap
        for one in read_rooted(self._runtime, self._reading.go.spans.columns):
            if one.kind == FINALIZERS and low <= one.object < high:  # a damaged record may say anything
                owners.finalized.append(one.object)
            owner = owners.number(0, names[one.kind], "")
            self._put_all(owner, one.address, one.words)

    def _of_queues(self) -> None:
        owner = self._owners.number(0, kinds.QUEUES, "")
        for address, words in queued_words(self._runtime):
            self._put_all(owner, address, words)

    def _put_all(self, owner: int, address: int, values: Sequence[int]) -> None:
        for number, value in enumerate(values):
            self._owners.put(owner, value, address + number * self._runtime.word)

    def _of_stacks(self) -> None:
        self.walkable = of_reading(self._target, self._reading, none_too=True)
        stacks = StackRoots(self.walkable, self._heap, self._owners.names.number)
        stacks.read()
        self._stacks, goids = stacks, self.walkable.goroutines.column("goid")
        self.conservative, self.unknown = len(stacks.inexact), len(stacks.unknown)
        if stacks.unknown:
            at, why = stacks.unknown[0]
            self._runtime.problems.add(
                f"{self.unknown:,} stacks cannot be walked (goroutine {goids[at]}: {why}); every word counts"
            )

    def put_stacks(self, ask: Callable[[Dict[str, object], Dict[str, Column]], Message]) -> None:
        """Have the worker, which is asked, look through what was copied of stacks."""
        if self._stacks is None:
            return
        owners = self._owners
        every = owners.number(0, kinds.GOROUTINES, "")
        header, columns = self._stacks.told()
        more = {"first": len(owners), "every": every, "names": len(owners.names.texts)}
        said = ask({"do": "stacks", **header, **more}, columns)
        names = ("parents", "names", "goids")
        parents, named, goids = (said.column(name) for name in names)
        owners.extend(parents, OF_STACKS, said.columns["kinds"][1], named, goids)
        columns_of_roots = (said.column(name) for name in ("owners", "values", "addresses", "places"))
        owners.put_many(*columns_of_roots)
        self.of_goroutines = said.column("of")
        for at in self._stacks.inexact:
            if self.of_goroutines[at] >= 0:
                owners.doubt(self.of_goroutines[at])

    def owners(self, target: Target, extent_of: ExtentOf) -> Owners:
        """With the variables under their names; `extent_of` as `leaders` has it."""
        low, high = self._heap
        slots = [one for one in zip(self.slots.addresses, self.slots.values) if low <= one[1] < high]
        names = _names(target, [address for address, _ in slots])
        nameless = [at for (at, _), name in zip(slots, names) if name is None]
        led = self._led(target, nameless, extent_of)
        every = self._owners.number(0, kinds.GLOBALS, "")
        for (address, value), name in zip(slots, names):
            start, text = name if name is not None else led.get(address, (address, ""))
            self._owners.put(self._owners.number(every, "global", text, address=start), value, address)
        return self._owners

    def _led(
        self, target: Target, nameless: Sequence[int], extent_of: ExtentOf
    ) -> Dict[int, Tuple[int, str]]:
        """Where composite literals of packages begin, called by the pointers that lead to them."""
        found = leaders(self.slots, nameless, extent_of)
        of_slots = {slot for _, slot in found.values()}
        named = dict(zip(of_slots, _names(target, [*of_slots])))
        made = {}
        for address, (start, slot) in found.items():
            name = named[slot]
            if name is not None and name[0] == slot:
                made[address] = start, f"*{name[1]}"
                self.pointed[start] = slot
        return made

    @property
    def tree(self) -> Owners:
        """Who holds them, without the variables until `owners` was asked for."""
        return self._owners

    @property
    def addresses(self) -> Sequence[int]:
        """By root the address where it stands; 0: in a register, or it is not known."""
        return self._owners.addresses

    def of(self, owners: Sequence[kinds.Owner]) -> Roots:
        """Whose each root is."""
        return Roots(owners, self._owners.owners, self._owners.places)

    def owner(self, root: int) -> kinds.Owner:
        """Whose a root is."""
        return self._owners[self._owners.owners[root]]

    def place(self, root: int) -> Optional[Place]:
        """Where in a frame a root stands, if that is known."""
        number = self._owners.places[root]
        return self._stacks.places[number] if number != NO_PLACE and self._stacks is not None else None


def _names(target: Target, addresses: Sequence[int]) -> List[Optional[Tuple[int, str]]]:
    """Where the variable begins that each address lies in, and its name; None where that is not known."""
    if not isinstance(target, Names):
        return [None] * len(addresses)
    found = target.names_at(addresses)
    return [
        (address - one.offset, one.name) if one is not None else None
        for address, one in zip(addresses, found)
    ]
