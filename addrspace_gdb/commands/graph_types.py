"""Types of the heap's objects and of what holds them: gathered while the process stands still, told to the
worker when it runs again."""

from __future__ import annotations

from functools import cached_property
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.commands.engine import Engine
from addrspace_gdb.common.messages import Column
from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.goruntime.aliases import put_aliases
from addrspace_gdb.goruntime.constants import ConstantsTarget
from addrspace_gdb.goruntime.debugshapes import DebugShapes
from addrspace_gdb.goruntime.gostructs import GoStructs
from addrspace_gdb.goruntime.mgcroots import Slots
from addrspace_gdb.goruntime.moduledata import Module
from addrspace_gdb.goruntime.own_objects import Own
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.rtype import Types
from addrspace_gdb.goruntime.shape import FUNCTION, NOTHING, Direct
from addrspace_gdb.goruntime.slots import SlotReader
from addrspace_gdb.goruntime.structshapes import StructShapes
from addrspace_gdb.goruntime.typeshapes import Shapes
from addrspace_gdb.process.dwarf.gotypes import GoType
from addrspace_gdb.space.graph.allocated import Allocated, say_allocated
from addrspace_gdb.space.graph.counted import package_of
from addrspace_gdb.space.graph.own import say_own
from addrspace_gdb.space.graph.shapes import Seeds, Sizes, tell_shapes
from addrspace_gdb.space.graph.statics import Said, Statics
from addrspace_gdb.target.protocol import DebugFiles, Target

_LANDMARKS = tuple(f"runtime.{name}" for name in ("mheap_", "sched", "firstmoduledata", "work", "memstats"))


class Static(NamedTuple):
    """A variable of a package where it lies in the process, with the place of its type."""

    name: str
    address: int
    type: int


class _Found(NamedTuple):
    variables: List[Static]
    types: List[GoType]
    closures: Dict[int, List[Tuple[int, int, str]]]


class Debugged:
    """Variables of packages and their types, by debug information; none where there is none."""

    def __init__(self, target: Target, engine: Engine) -> None:
        """Finds the file. The worker reads it when it is asked."""
        self._engine = engine
        self._landmarks = {name: symbol.address for name in _LANDMARKS if (symbol := target.symbol(name))}
        where = next(iter(self._landmarks.values()), 0)
        self._path = target.debug_file(where) if where and isinstance(target, DebugFiles) else None
        self.notes: List[str] = []

    @cached_property
    def _found(self) -> _Found:
        nothing = _Found([], [], {})
        if self._path is None:
            return nothing
        try:
            said = self._engine.ask({"do": "variables", "path": self._path}, {}).header
        except ProblemError as error:
            self.notes.append(str(error))
            return nothing
        types = [GoType(*row) for row in said["types"]]
        found = [Static(*row) for row in said["variables"]]
        bias = self._bias(found)
        if bias is None:
            self.notes.append("debug information is of another program; types of variables are not known")
            return nothing
        closures = {pc + bias: captures for pc, captures in said["closures"]}
        return _Found([one._replace(address=one.address + bias) for one in found], types, closures)

    def _bias(self, found: Sequence[Static]) -> Optional[int]:
        """How far from where the file says variables lie; None if they do not agree."""
        biases = {self._landmarks[one.name] - one.address for one in found if one.name in self._landmarks}
        return biases.pop() if len(biases) == 1 else None

    @property
    def variables(self) -> List[Static]:
        """All of them. Asks the worker once."""
        return self._found.variables

    @property
    def types(self) -> List[GoType]:
        """What their types are places in."""
        return self._found.types

    @property
    def closures(self) -> Dict[int, List[Tuple[int, int, str]]]:
        """What closures capture, by the address of their code: where in it, places of types, names."""
        return self._found.closures

    @cached_property
    def places(self) -> Dict[int, int]:
        """The places of the types of variables, by their addresses."""
        return {one.address: one.type for one in self.variables}

    def type_name(self, address: int) -> Optional[str]:
        """The type of the variable that begins there."""
        place = self.places.get(address)
        return self.types[place].name or None if place is not None else None


class StaticRoots(NamedTuple):
    """Pointers in variables, and the bounds of the heap."""

    slots: Slots
    heap: Tuple[int, int]


class Met(NamedTuple):
    """What was found in the process: the runtime's own objects, functions of closures, sampled objects."""

    own: Own
    closures: Dict[int, str]
    allocated: Allocated


class GraphTypes:
    """What is known of types beside the heap itself."""

    def __init__(self, runtime: Runtime, modules: Sequence[Module], reader: SlotReader) -> None:
        """Reads descriptors. UnreadableError, KeyError."""
        ranges = [(one["types"], one["etypes"] or 0) for one in modules if one.get("types")]
        self.runtime = Runtime(ConstantsTarget(runtime.target, ranges), runtime.problems, runtime.progress)
        self.named = Types(self.runtime, modules)
        self.shapes = Shapes(self.runtime, self.named)
        self.shapes.hidden = GoStructs(self.shapes, runtime.word).pointers
        self._sizes = Sizes(runtime, reader)
        self._range = ranges[0] if ranges else (0, 0)
        self.runtime.layout("runtime.hchan")
        self._debug: Optional[DebugShapes] = None

    def hold(self, words: Sequence[int]) -> None:
        """Read the itabs among these words."""
        itabs = frozenset(self.named.itab_addresses())
        for one in itabs.intersection(words):
            try:
                self.runtime.target.read(one, 2 * self.runtime.word)
                self.named.itab_at(one)
            except UnreadableError:
                continue

    def of_variable(self, debugged: Debugged, address: int) -> int:
        """The shape of the variable that begins there, once all was told; NOTHING: it is not known."""
        place = debugged.places.get(address)
        return self._debug.of(place) if self._debug is not None and place is not None else NOTHING

    def extent_of(self, debugged: Debugged, address: int, behind: int) -> Optional[int]:
        """How many bytes the variable that begins there leads to, if it is a pointer, a slice or a string;
        `behind` is the word behind its first."""
        place = debugged.places.get(address)
        type_ = debugged.types[place] if place is not None else None
        if type_ is None or type_.kind not in ("pointer", "slice", "string"):
            return None
        size: Optional[int] = 1
        if type_.kind != "string":
            size = self._element_size(type_, debugged.types)
        return size if size is None or type_.kind == "pointer" else size * behind

    def _element_size(self, type_: GoType, types: Sequence[GoType]) -> Optional[int]:
        """Of what a pointer or slice leads to."""
        if not type_.descriptor:
            return next((types[place].size for _, place, _ in type_.parts), None)
        start, end = self._range
        address = start + type_.descriptor if type_.descriptor < end - start else type_.descriptor
        try:
            element = self.named.at(self.runtime.word_at(address + (48 if self.runtime.word == 8 else 32)))
        except (UnreadableError, OverflowError):  # what is damaged leads anywhere
            return None
        return element.size if element is not None else None

    def _say_allocated(self, met: Met, said: Said) -> None:
        def closure(code: int, type_: int) -> int:
            name = met.closures.get(code)
            if name is not None and said.closures.get(code, FUNCTION) == FUNCTION:
                said.closures[code] = self.shapes.closure(f"func {name}", package_of(name), type_)
            return said.closures.get(code, NOTHING)

        say_allocated(met.allocated, self.named, self.shapes, self._sizes.slot, closure, said)

    def told(
        self,
        seeds: Seeds,
        debugged: Debugged,
        roots: StaticRoots,
        met: Met,
    ) -> Dict[str, Column]:
        """All shapes, and what roots say of objects, and what else was met."""
        shapes, said, word = self.shapes, Said(), self.runtime.word
        debug = self._debug = DebugShapes(shapes, debugged.types, *self._range, word)
        structs = StructShapes(shapes, self.runtime.target.type, debug.named, word)
        shapes.struct = structs.of

        def finish() -> None:
            shapes.finish()
            while debug.finish() or structs.finish():
                shapes.finish()

        def of_word(one: int) -> Direct:
            direct = shapes.of_word(one)
            finish()
            return direct

        def more() -> None:
            first = [(one.address, debug.of(one.type)) for one in debugged.variables]
            for pc, name in met.closures.items():
                captures = debugged.closures.get(pc)
                own_shape = (
                    debug.closure(f"func {name}", package_of(name), captures) if captures else FUNCTION
                )
                said.closures[pc] = own_shape
            say_own(met.own, structs, said)
            self._say_allocated(met, said)
            timer = structs.of("runtime.timer")
            finish()
            Statics(roots.slots, roots.heap, word).walk(first, shapes.all, of_word, said)
            put_aliases(shapes, timer, word)

        return tell_shapes(shapes, self._sizes, seeds, word, more, said)
