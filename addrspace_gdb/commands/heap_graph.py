"""The heap as a graph, for the commands that ask who keeps what: read while the process stands still, worked
out by the worker when it runs again."""

from __future__ import annotations

import re
import sys
from array import array
from functools import cached_property
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple, Type, TypeVar

from addrspace_gdb.commands.engine import Engine, Source, begun_for, columns_of, taken
from addrspace_gdb.commands.graph_roots import GraphRoots
from addrspace_gdb.commands.graph_types import Debugged, GraphTypes, Met, StaticRoots
from addrspace_gdb.commands.options import Parser
from addrspace_gdb.commands.session import Session
from addrspace_gdb.commands.values import size_value
from addrspace_gdb.common.messages import Column, Message
from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.common.sizes import plural
from addrspace_gdb.goruntime.gctypes import GcTypes
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.rtype import Types
from addrspace_gdb.goruntime.shape import NOTHING, Shape
from addrspace_gdb.goruntime.slots import SlotReader
from addrspace_gdb.goruntime.symtab import go_minor, modules
from addrspace_gdb.goruntime.typefields import TypeFields
from addrspace_gdb.goruntime.typeshapes import Shapes
from addrspace_gdb.space.graph.allocated import Allocated, gather_allocated
from addrspace_gdb.space.graph.kept import Size, Totals, several_name
from addrspace_gdb.space.graph.owners import Owners
from addrspace_gdb.space.graph.parts import Parts
from addrspace_gdb.space.graph.shapes import Seeds, code_range, ranges
from addrspace_gdb.space.graph.telling import tell_heap, tell_memory, tell_types
from addrspace_gdb.space.heap.summary import gather_own
from addrspace_gdb.space.reading.cached import cached, forget
from addrspace_gdb.space.reading.goroutines import of_reading
from addrspace_gdb.target.protocol import Target

# What the compiler calls functions that are made with what they capture (cmd/compile/internal/ir/func.go).
_CLOSURE = re.compile(r"\.(func|gowrap|dwrap|deferwrap)\d|·dwrap·|-fm$|-range\d")


class Use(NamedTuple):
    """What a graph is made for, which decides how much memory it takes: bytes that it may have (None: half of
    what is free), and whether somebody will ask who keeps what. `want`: the command that will ask, whose
    answer is begun before it does; any other is given too."""

    memory: Optional[int] = None
    tree: bool = True
    want: str = ""


USUAL = Use()


class HeapGraph:
    """One heap, read; the worker has the graph."""

    typed = False  # objects get types, as far as they can be known

    def __init__(self, session: Session, use: Use = USUAL) -> None:
        """Read all that needs the process. ProblemError, UnreadableError, KeyError."""
        self._use = use
        self.reading, self.target = session.reading(), session.target()
        self._runtime = Runtime(self.target, self.reading.problems)
        go = self.reading.go
        if not (go.spans.total or go.arenas.arenas or self.reading.problems):
            raise ProblemError("there is no heap yet: the runtime has not been initialised")
        self.minor = go_minor(self.target)
        self._names: Dict[int, Optional[str]] = {0: None}  # of types, by address
        self._functions: Dict[int, Optional[str]] = {}  # by address
        self._engine, source = _started(self.target)
        self._engine.progress = session.progress
        self._read(source)

    def _read(self, source: Source) -> None:
        runtime = self._runtime
        reader = SlotReader(runtime, self.reading.go.spans)
        told = tell_heap(self.reading, runtime, reader)
        self._heap = (told.low, told.high)
        self.roots = GraphRoots(self.reading, self.target, runtime, self._heap)
        self.roots.read()
        of_go = modules(self.target, runtime.problems)
        self._types = GraphTypes(runtime, of_go, reader)
        masks = GcTypes(self._types.runtime, self.minor)
        named = self._types.named
        self._debugged = Debugged(self.target, self._engine)

        def serve(said: Message) -> Tuple[Dict[str, object], Dict[str, Column]]:
            if said.header["want"] == "types":
                met = said.column("types").tolist()
                self._names.update((one, _name(named, one)) for one in met)
                return {}, tell_types(masks, met)
            return {}, {"memory": tell_memory(runtime, said.header["address"], said.header["size"])}

        names = ("extent_starts", "extent_ends", "extent_offsets")
        columns = {**told.columns, **columns_of(source.extents, names)}
        header = {"do": "heap", "given": source.descriptor >= 0, **told.header, **self._use._asdict()}
        if self.typed:
            where = ranges(of_go, named)
            self.parts = Parts(self._types.shapes, TypeFields(self._types.runtime, where), runtime.word)
            header.update(typed=True, code=list(code_range(of_go)))
            columns["range_starts"] = array("Q", [start for start, _ in where])
            columns["range_ends"] = array("Q", [end for _, end in where])
        self._met(self._engine.ask(header, columns, serve))

    @property
    def has_ended(self) -> bool:
        """Whether its worker answers no more."""
        return self._engine.has_ended

    def _met(self, said: Message) -> None:
        """Read what belongs to what the worker met."""

    def _name_functions(self, addresses: Sequence[int]) -> None:
        tables = of_reading(self.target, self.reading, none_too=True).tables
        self._functions = {one: tables.function_name(one) for one in addresses}
        found = {one: tables.find(one) for one in addresses}
        self._closures = {
            pc: one.name
            for pc, one in found.items()
            if one is not None and one.entry == pc and _CLOSURE.search(one.name)
        }

    def function_at(self, address: int) -> Optional[str]:
        """The function whose address an object begins with."""
        return self._functions.get(address)

    @cached_property
    def _found(self) -> Dict[str, Any]:
        """What the worker says once it has the roots, which takes the process no more."""
        assert self._stacked
        found = self._engine.ask(*self.roots.owners(self.target, self._extent_of).told()).header
        if found["lost"]:
            lost = f"{found['lost']:,} bytes of the heap cannot be read; what they lead to may be missing"
            self.reading.problems.add(lost)
        return found

    @cached_property
    def _stacked(self) -> bool:
        """Once the roots on stacks are known, which takes the process no more."""
        self.roots.put_stacks(self._engine.ask)
        return True

    def _extent_of(self, slot: int, behind: int) -> Optional[int]:
        """How many bytes the variable at a slot leads to, by its type and the word behind the pointer."""
        return self._types.extent_of(self._debugged, slot, behind)

    def root_type(self, address: int) -> Optional[str]:
        """The type of the variable at an address, by debug information."""
        slot = self.roots.pointed.get(address)
        if slot is None:
            return self._debugged.type_name(address)
        pointer = self._debugged.type_name(slot) or ""
        return pointer[1:] if pointer.startswith("*") else None

    def pointed_by(self, address: int) -> Optional[int]:
        """Where that begins which the variable there leads to, if it is a variable without a name."""
        return next((start for start, slot in self.roots.pointed.items() if slot == address), None)

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
    def owners(self) -> Owners:
        """Who holds roots."""
        assert self._found
        return self.roots.tree

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

    def type_of(self, address: int, *_: int) -> Tuple[Optional[str], Optional[str]]:
        """The type of an object that has this before it, and its package's path, where they are known."""
        return self.type_name(address), None

    @property
    def notes(self) -> List[str]:
        """What cannot be known, and why."""
        notes = [*self.reading.problems.left_out, *self._debugged.notes]
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
        return self._engine.ask({"do": do, **more}, {}, meanwhile=lambda: self.problems)


class TypedGraph(HeapGraph):
    """The same with types."""

    typed = True

    def _met(self, said: Message) -> None:
        self._seeds = Seeds(said.column("types"), said.column("words"))
        self._types.hold([*self._seeds.words, *self.roots.slots.before])
        self._name_functions(said.column("functions"))
        self._own = gather_own(self.reading, self.target)
        self._allocated = self._sampled()

    def _sampled(self) -> Allocated:
        """Where objects were allocated of which the heap profile has samples."""
        tables = of_reading(self.target, self.reading, none_too=True).tables
        try:
            return gather_allocated(self.reading, self._runtime, tables, self._types.named)
        except (UnreadableError, ProblemError, KeyError) as error:
            self.reading.problems.add(f"samples of the heap profile: {error}; what they say is left out")
            return Allocated([], {})

    @property
    def notes(self) -> List[str]:
        """As HeapGraph has them."""
        if self._allocated.whole:
            return super().notes
        some = f"only {self.sampled[0]:,} samples of the heap profile were looked at"
        return [*super().notes, f"{some}; there are more"]

    @property
    def sampled(self) -> Tuple[int, int]:
        """Objects of which the heap profile has samples, and those whose place in the program says a type."""
        samples = self._allocated.samples
        return len(samples), sum(one.site is not None for one in samples)

    @property
    def shapes(self) -> Shapes:
        """What types are made of."""
        return self._types.shapes

    def type_of(self, address: int, *known: int) -> Tuple[Optional[str], Optional[str]]:
        """`known`: its shape, and 1 for several values of it."""
        shape = self.shapes.all[known[0]] if known else self.shapes.all[NOTHING]
        if not shape.name:
            return super().type_of(address)
        return several_name(shape) if known[1] else shape.name, shape.package

    def root_field(self, address: int, offset: int) -> Optional[str]:
        """The part of the variable at an address that has a byte, as far as its type is known."""
        assert self._found and self._shaped
        slot = self.roots.pointed.get(address)
        shape = self._types.of_variable(self._debugged, address if slot is None else slot)
        if slot is not None:
            shape = next((one.target for one in self.shapes.all[shape].pointers), NOTHING)
        return self.parts.part(shape, False, offset).field

    @property
    def shapes_told(self) -> Sequence[Shape]:
        """All of them, as the worker knows them."""
        assert self._found and self._shaped
        return self.shapes.all

    @cached_property
    def _shaped(self) -> bool:
        """Once the worker has been told of types, which takes the process no more."""
        roots = StaticRoots(self.roots.slots, self._heap)
        met = Met(self._own, self._closures, self._allocated)
        columns = self._types.told(self._seeds, self._debugged, roots, met)
        self._engine.ask({"do": "shapes"}, columns)
        return True

    def grouped(self, groups: Sequence[int], many: int, nodes: Sequence[int]) -> Message:
        """What the objects of each group of shapes keep, below the nodes, or of all."""
        assert self._found and self._shaped
        header: Dict[str, object] = {"do": "grouped", "many": many, "nodes": list(nodes)}
        return self._engine.ask(header, {"groups": array("q", groups)})

    def ask(self, do: str, **more: Any) -> Message:
        """As HeapGraph has it."""
        assert self._found and self._shaped
        return super().ask(do, **more)


Made = TypeVar("Made", bound=HeapGraph)


def made_once(session: Session, kind: Type[Made], use: Use = USUAL) -> Made:
    """The graph of the selected inferior, made once for a reading, and again if its worker has ended: by an
    interrupt, or it was killed. Raises as HeapGraph."""
    reading = session.reading()
    found = cached(reading, kind, lambda: kind(session, use))
    if found.has_ended:
        forget(reading, kind)
        found = cached(reading, kind, lambda: kind(session, use))
    return found


def typed_graph_of(session: Session, use: Use = USUAL) -> TypedGraph:
    """The one with types."""
    return made_once(session, TypedGraph, use)


def graph_of(session: Session, use: Use = USUAL) -> HeapGraph:
    """The one without."""
    return made_once(session, HeapGraph, use)


def add_memory(made: Parser) -> None:
    """The option that limits what the worker takes."""
    made.add_argument(
        "--memory",
        type=size_value,
        metavar="SIZE",
        help="memory that the worker may use: 512M, 6G (default: half of what is free)",
    )


def prepare(pid: Optional[int], core: Optional[str], typed: bool, want: str) -> None:
    """Start the worker, and let it compile what is not compiled yet, before the process is stopped."""
    engine = begun_for(pid, core)
    warm: Dict[str, object] = {"do": "warm", "order": sys.byteorder, "typed": typed, "want": want}
    if pid is None:
        engine.begin(warm)  # a core stands still anyhow
    else:
        engine.ask(warm, {})


def _started(target: Target) -> Tuple[Engine, Source]:
    """A worker for that target: the one that waits for it, or another."""
    proc = target.proc_files()
    pid = target.pid if proc is not None and proc.local else None
    core = target.core_file if target.kind == "core" else None
    return taken(pid, core)


def _name(types: Types, address: int) -> Optional[str]:
    found = types.at(address) if address else None
    return found.name if found is not None else None
