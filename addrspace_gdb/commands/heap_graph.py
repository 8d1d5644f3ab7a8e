"""The heap as a graph, for the commands that ask who keeps what: read while the process stands still, worked
out by the worker when it runs again."""

from __future__ import annotations

import sys
from array import array
from functools import cached_property
from typing import Any, Dict, List, Optional, Sequence, Tuple

from addrspace_gdb.commands.engine import Engine, Source, columns_of
from addrspace_gdb.commands.session import Session
from addrspace_gdb.common.messages import Column, Message
from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.common.sizes import plural
from addrspace_gdb.goruntime.gctypes import GcTypes
from addrspace_gdb.goruntime.mgcroots import global_slots
from addrspace_gdb.goruntime.queues import queued_words
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.rtype import Types
from addrspace_gdb.goruntime.slots import SlotReader
from addrspace_gdb.goruntime.specials import CLEANUPS, FINALIZERS, WEAK, read_rooted
from addrspace_gdb.goruntime.symtab import go_minor, modules
from addrspace_gdb.goruntime.typefields import TypeFields
from addrspace_gdb.goruntime.typeshapes import Shapes
from addrspace_gdb.space.goroutines.stack_roots import NO_PLACE, Place, StackRoots
from addrspace_gdb.space.graph import owners as kinds
from addrspace_gdb.space.graph.holding import Roots
from addrspace_gdb.space.graph.kept import Size, Totals
from addrspace_gdb.space.graph.owners import Owners
from addrspace_gdb.space.graph.parts import Parts
from addrspace_gdb.space.graph.shapes import Seeds, Sizes, code_range, ranges, tell_shapes
from addrspace_gdb.space.graph.telling import tell_heap, tell_memory, tell_types
from addrspace_gdb.space.reading.cached import cached
from addrspace_gdb.space.reading.goroutines import of_reading
from addrspace_gdb.space.reading.whole import Reading
from addrspace_gdb.target.protocol import Names, Target


class HeapGraph:
    """One heap, read; the worker has the graph."""

    typed = False  # objects get types, as far as they can be known

    def __init__(self, session: Session) -> None:
        """Read all that needs the process. ProblemError, UnreadableError, KeyError."""
        self.reading, self.target = session.reading(), session.target()
        self._runtime = Runtime(self.target, self.reading.problems)
        self.minor = go_minor(self.target)
        self._names: Dict[int, Optional[str]] = {0: None}  # of types, by address
        self._functions: Dict[int, Optional[str]] = {}  # by address
        self._engine, source = _started(self.target)
        self._read(source)

    def _read(self, source: Source) -> None:
        runtime = self._runtime
        reader = SlotReader(runtime, self.reading.go.spans)
        told = tell_heap(self.reading, runtime, reader)
        self._heap = (told.low, told.high)
        self.roots = _Roots(self.reading, self.target, runtime, self._heap)
        self.roots.read()
        types = GcTypes(runtime, self.minor)
        of_go = modules(self.target, runtime.problems)
        named = Types(runtime, of_go)
        self.shapes = Shapes(runtime, named)
        sizes = Sizes(runtime, reader) if self.typed else None

        def serve(said: Message) -> Tuple[Dict[str, object], Dict[str, Column]]:
            if said.header["want"] == "types":
                met = said.column("types").tolist()
                self._names.update((one, _full_name(named, one)) for one in met)
                return {}, tell_types(types, met)
            if said.header["want"] == "shapes" and sizes is not None:
                self._name_functions(said.column("functions"))
                seeds = Seeds(said.column("types"), said.column("words"))
                return {}, tell_shapes(self.shapes, sizes, seeds, runtime.word)
            return {}, {"memory": tell_memory(runtime, said.header["address"], said.header["size"])}

        names = ("extent_starts", "extent_ends", "extent_offsets")
        columns = {**told.columns, **columns_of(source.extents, names)}
        header = {"do": "heap", "descriptor": source.descriptor, **told.header}
        if self.typed:
            where = ranges(of_go, named)
            self.parts = Parts(self.shapes, TypeFields(runtime, where), runtime.word)
            header.update(typed=True, code=list(code_range(of_go)))
            columns["range_starts"] = array("Q", [start for start, _ in where])
            columns["range_ends"] = array("Q", [end for _, end in where])
        self._engine.ask(header, columns, serve)

    def _name_functions(self, addresses: Sequence[int]) -> None:
        tables = of_reading(self.target, self.reading, none_too=True).tables
        self._functions = {one: tables.function_name(one) for one in addresses}

    def function_at(self, address: int) -> Optional[str]:
        """The function whose address an object begins with."""
        return self._functions.get(address)

    @cached_property
    def _found(self) -> Dict[str, Any]:
        """What the worker says once it has the roots, which takes the process no more."""
        found = self._engine.ask(*self.roots.owners(self.target).told()).header
        if found["lost"]:
            lost = f"{found['lost']:,} bytes of the heap cannot be read; what they lead to may be missing"
            self.reading.problems.add(lost)
        return found

    @cached_property
    def totals(self) -> Totals:
        """How much there is."""
        found = self.ask("totals").header
        allocated = Size(found["bytes"], found["objects"])
        return Totals(allocated, Size(found["reached_bytes"], found["reached"]))

    @property
    def first(self) -> int:
        """The node of owner 0; those before it are objects."""
        return int(self._found["owners_at"])

    @property
    def owners(self) -> List[kinds.Owner]:
        """Who holds roots."""
        return self.roots.all if self._found else []

    @cached_property
    def _kept(self) -> Message:
        return self.ask("owners")

    def kept(self, owner: int) -> Size:
        """What an owner keeps."""
        return Size(self._sizes[0][owner], self._sizes[1][owner])

    @cached_property
    def _sizes(self) -> Tuple[array[int], array[int]]:
        return self._kept.column("bytes"), self._kept.column("objects")

    def find(self, addresses: Sequence[int]) -> List[int]:
        """The nodes of the objects that hold these addresses, -1 for none."""
        column = array("q", [address if address < 1 << 63 else -1 for address in addresses])
        assert self._found
        return self._engine.ask({"do": "find"}, {"addresses": column}).column("nodes").tolist()

    def type_name(self, address: int) -> Optional[str]:
        """The name of a type that the worker met."""
        return self._names.get(address)

    @property
    def notes(self) -> List[str]:
        """What cannot be known, and why."""
        notes = list(self.reading.problems.left_out)
        if self.roots.conservative:
            some = plural(self.roots.conservative, "goroutine")
            notes.append(
                f"{some} stopped where the compiler's maps say nothing: words on their stacks were taken for "
                "pointers, and may be none"
            )
        return notes

    @property
    def problems(self) -> List[str]:
        """What is damaged."""
        return list(self.reading.problems)

    def ask(self, do: str, **more: Any) -> Message:
        """Anything else, once the roots are there."""
        assert self._found
        return self._engine.ask({"do": do, **more}, {})


class TypedGraph(HeapGraph):
    """The same with types."""

    typed = True


def typed_graph_of(session: Session) -> TypedGraph:
    """The graph with types of the selected inferior, made once for a reading. Raises as HeapGraph."""
    return cached(session.reading(), TypedGraph, lambda: TypedGraph(session))


def graph_of(session: Session) -> HeapGraph:
    """The graph of the selected inferior, made once for a reading. Raises as HeapGraph."""
    return cached(session.reading(), HeapGraph, lambda: HeapGraph(session))


def prepare_typed(pid: Optional[int], core: Optional[str]) -> None:
    """The same for a graph with types."""
    prepare(pid, core, True)


def prepare(pid: Optional[int], core: Optional[str], typed: bool = False) -> None:
    """Start the worker, and let it compile what is not compiled yet, before the process is stopped."""
    source = Source(pid, core)
    try:
        engine = Engine(source)
        engine.ask({"do": "warm", "order": sys.byteorder, "typed": typed}, {})
        _PREPARED.append((pid, core, engine, source))
    finally:
        source.close()


_PREPARED: List[Tuple[Optional[int], Optional[str], Engine, Source]] = []


def _started(target: Target) -> Tuple[Engine, Source]:
    """A worker for that target: the one that waits for it, or another."""
    proc = target.proc_files()
    pid = target.pid if proc is not None and proc.local else None
    core = target.core_file if target.kind == "core" else None
    while _PREPARED:
        for_pid, for_core, engine, source = _PREPARED.pop()
        if (for_pid is not None and for_pid == pid) or (for_core is not None and target.kind == "core"):
            return engine, source
    source = Source(pid if core is None else None, core)
    try:
        return Engine(source), source
    finally:
        source.close()


def _full_name(types: Types, address: int) -> Optional[str]:
    found = types.at(address) if address else None
    return found.full_name if found is not None else None


class _Roots:
    """Every root of the collector, read first and put in order later."""

    def __init__(self, reading: Reading, target: Target, runtime: Runtime, heap: Tuple[int, int]) -> None:
        self._reading, self._target, self._runtime, self._heap = reading, target, runtime, heap
        self._owners = Owners()
        self._addresses, self._values = array("Q"), array("Q")  # of variables
        self.conservative = 0  # goroutines of which words were taken for pointers that may be none
        self.unknown = 0  # whose stack could not be walked
        self.places: Sequence[Place] = ()  # in frames, by the numbers that roots have

    def read(self) -> None:
        """All that needs the process."""
        for slots in global_slots(self._runtime, modules(self._target, self._runtime.problems), *self._heap):
            self._addresses.extend(slots.addresses)
            self._values.extend(slots.values)
        _names(self._target, [0])  # so that names can be had without the process
        for part in (self._of_records, self._of_queues, self._of_stacks):
            try:
                part()
            except (UnreadableError, KeyError, ProblemError) as error:
                self._runtime.problems.add(f"roots: {error}; some are missing")

    def _of_records(self) -> None:
        owners = self._owners
        names = {FINALIZERS: kinds.FINALIZERS, CLEANUPS: kinds.CLEANUPS, WEAK: kinds.WEAK}
        for one in read_rooted(self._runtime, self._reading.go.spans.columns):
            if one.kind == FINALIZERS:
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
        walkable = of_reading(self._target, self._reading, none_too=True)
        stacks = StackRoots(walkable, self._heap)
        owners, goids = self._owners, walkable.goroutines.column("goid")
        starts = walkable.goroutines.column("startpc")
        every = owners.number(0, kinds.GOROUTINES, "")
        for found in stacks.read(range(len(walkable.goroutines))):
            self.conservative += not found.exact
            if not found.roots:
                continue
            started = walkable.tables.function_name(starts[found.at]) or "?"
            group = owners.number(every, "group", started)
            owner = owners.number(group, "goroutine", started, goid=goids[found.at], exact=found.exact)
            for root in found.roots:
                holder = owners.number(owner, "function", root.function)
                owners.put(holder, root.value, root.address, root.place)
        self.places = stacks.places
        self.unknown = len(stacks.unknown)
        if stacks.unknown:
            at, why = stacks.unknown[0]
            self._runtime.problems.add(
                f"{self.unknown:,} stacks cannot be walked (goroutine {goids[at]}: {why}); every word counts"
            )

    def owners(self, target: Target) -> Owners:
        """With the variables under their names."""
        names = _names(target, self._addresses)
        every = self._owners.number(0, kinds.GLOBALS, "")
        for address, value, name in zip(self._addresses, self._values, names):
            start, text = name if name is not None else (address, "")
            self._owners.put(self._owners.number(every, "global", text, address=start), value, address)
        self._addresses, self._values = array("Q"), array("Q")
        return self._owners

    @property
    def all(self) -> List[kinds.Owner]:
        """The owners."""
        return self._owners.all

    @property
    def addresses(self) -> Sequence[int]:
        """By root the address where it stands; 0: in a register, or it is not known."""
        return self._owners.addresses

    def of(self, owners: Sequence[kinds.Owner]) -> Roots:
        """Whose each root is."""
        return Roots(owners, self._owners.owners, self._owners.places)

    def owner(self, root: int) -> kinds.Owner:
        """Whose a root is."""
        return self._owners.all[self._owners.owners[root]]

    def place(self, root: int) -> Optional[Place]:
        """Where in a frame a root stands, if that is known."""
        number = self._owners.places[root]
        return self.places[number] if number != NO_PLACE else None


def _names(target: Target, addresses: Sequence[int]) -> List[Optional[Tuple[int, str]]]:
    """Where the variable begins that each address lies in, and its name; None where that is not known."""
    if not isinstance(target, Names):
        return [None] * len(addresses)
    found = target.names_at(addresses)
    return [
        (address - one.offset, one.name) if one is not None else None
        for address, one in zip(addresses, found)
    ]
