"""Names and lines of text addresses, over all modules, as Go's own tracebacks have them.

It needs neither DWARF nor ELF symbols of functions: everything comes from the pclntab in memory
(src/runtime/symtab.go, src/runtime/symtabinl.go).
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from typing import Dict, Iterable, List, NamedTuple, Optional, Tuple

from addrspace_gdb.common.problems import Problems, UnreadableError
from addrspace_gdb.goruntime import funcid
from addrspace_gdb.goruntime.buildinfo import parse_version, version_of
from addrspace_gdb.goruntime.inltree import InlinedCall, InlineTrees
from addrspace_gdb.goruntime.moduledata import Module, modules
from addrspace_gdb.goruntime.pclntab import Func, FuncTable, TableError
from addrspace_gdb.target.protocol import Target

__all__ = ["Func", "Location", "Module", "Symtab", "go_minor", "load", "modules"]

_DAMAGE = (UnreadableError, TableError, struct.error, KeyError)


class Location(NamedTuple):
    """A logical function at an instruction: the function itself, or one that was inlined into it."""

    function: str  # the linker's name: `main.Map[go.shape.int]`
    name: str  # as Go prints it: `main.Map[...]`
    file: str  # "?" if the table has none
    line: int  # 0 if the table has none
    kind: str  # the FuncID by name: "normal", "wrapper", "goexit" ... (see funcid.py)
    inlined: bool
    start_line: int  # of the func keyword


class _Loaded(NamedTuple):
    table: FuncTable
    trees: InlineTrees


class Symtab:
    """The function tables of every module. Damage is put into `problems` and read as "not known"."""

    def __init__(
        self, target: Target, found: Iterable[Module], problems: Problems, minor: Optional[int] = None
    ) -> None:
        self.minor, self.problems = minor, problems
        self._target = target
        self._modules = sorted((m for m in found if not m.bad), key=lambda module: module["minpc"])
        self._starts = [module["minpc"] for module in self._modules]
        self._loaded: List[Optional[_Loaded]] = [None] * len(self._modules)
        self._failed: Dict[int, bool] = {}
        self._kinds: Tuple[str, ...] = ()
        self._found: Dict[int, Optional[Func]] = {}
        self._locations: Dict[int, Tuple[Location, ...]] = {}
        self._calls: Dict[int, Tuple[int, ...]] = {}  # the pcs of each of those

    @property
    def byte_order(self) -> str:
        """The target's: "little" or "big"."""
        return self._target.byte_order

    @property
    def pointer_size(self) -> int:
        """The target's, in bytes."""
        return self._target.pointer_size

    @property
    def arch(self) -> str:
        """The target's, by Go's name."""
        return self._target.arch

    def _load(self, pc: int) -> Optional[_Loaded]:
        """The tables of the module whose Go text holds `pc` (findmoduledatap)."""
        index = bisect_right(self._starts, pc) - 1
        if index < 0 or pc >= self._modules[index]["maxpc"] or index in self._failed:
            return None
        loaded = self._loaded[index]
        if loaded is None:
            try:
                table = FuncTable(self._target, self._modules[index])
            except _DAMAGE as error:
                self._failed[index] = True
                self.problems.add(f"function table: {error}")
                return None
            loaded = self._loaded[index] = _Loaded(table, InlineTrees(self._target, table))
        return loaded

    def find(self, pc: int) -> Optional[Func]:
        """The function that holds `pc`; None for C code, data, and what is damaged."""
        try:
            return self._found[pc]
        except KeyError:
            pass
        func = None
        loaded = self._load(pc)
        if loaded:
            try:
                func = loaded.table.find(pc)
            except _DAMAGE as error:
                self.problems.add(f"function at {pc:#x}: {error}")
        self._found[pc] = func
        return func

    def table_of(self, pc: int) -> Optional[FuncTable]:
        """The function table of the module whose text holds `pc`; None if there is none, or it is damaged."""
        loaded = self._load(pc)
        return loaded.table if loaded is not None else None

    def function_name(self, pc: int) -> Optional[str]:
        """The linker's name of the function that holds `pc` (not of one inlined there), or None."""
        func = self.find(pc)
        return func.name if func else None

    def printed(self, name: str) -> str:
        """A linker name as Go prints it: type arguments are shown as [...]."""
        return funcid.printed_name(name, self.minor)

    def kind(self, func_id: int) -> str:
        """The special function that a FuncID number stands for in this Go version, by name."""
        if not self._kinds:
            self._kinds = funcid.kinds(self.minor, None if self.minor is not None else self._largest_id())
        return self._kinds[func_id] if func_id < len(self._kinds) else funcid.NORMAL

    def _largest_id(self) -> Optional[int]:
        """The greatest FuncID in the runtime's own module: the number of wrappers."""
        loaded = next((self._load(m["minpc"]) for m in self._modules if m.has_main), None)
        if loaded is None:
            return None
        try:
            return max(loaded.table.function(n).func_id for n in range(len(loaded.table)))
        except _DAMAGE as error:
            self.problems.add(f"function table: {error}")
            return None

    def file_line(self, pc: int) -> Tuple[str, int]:
        """Source position of the instruction at `pc`, of what is inlined there; ("?", 0) if not known.

        For a return address give the address before it, which lies in the call.
        """
        locations = self.locations(pc)
        return (locations[0].file, locations[0].line) if locations else ("?", 0)

    def inlined(self, pc: int) -> List[Tuple[str, str, int]]:
        """(printed name, file, line) of each logical frame at the instruction `pc`, innermost first."""
        return [(place.name, place.file, place.line) for place in self.locations(pc)]

    def locations(self, pc: int) -> Tuple[Location, ...]:
        """The logical frames at the instruction `pc`, innermost first; empty if `pc` is in no function."""
        found = self._locations.get(pc)
        if found is None:
            found = self._locations[pc] = self._locate(pc)
        return found

    def call_pcs(self, pc: int) -> Tuple[int, ...]:
        """The instruction in each of the logical frames at `pc` (`locations`): of a frame that another is
        inlined into, the mark of that."""
        if self.locations(pc):
            return self._calls[pc]
        return ()

    def _locate(self, pc: int) -> Tuple[Location, ...]:
        func, loaded = self.find(pc), self._load(pc)
        if func is None or loaded is None:
            return ()
        try:
            chain = loaded.trees.chain(func, pc)
        except _DAMAGE as error:
            self.problems.add(f"inlining at {pc:#x}: {error}")
            chain = [(pc, None)]
        self._calls[pc] = tuple(at for at, _ in chain)
        return tuple(self._location(loaded.table, func, at, call) for at, call in chain)

    def _location(self, table: FuncTable, func: Func, pc: int, call: Optional[InlinedCall]) -> Location:
        name, file, line = func.name, "?", 0
        try:
            name = table.name_at(call.name_offset) if call else name
            file, line = table.file_line(func, pc)
        except _DAMAGE as error:
            self.problems.add(f"source line at {pc:#x}: {error}")
        return Location(
            function=name,
            name=self.printed(name),
            file=file,
            line=line,
            kind=self.kind(call.func_id if call else func.func_id),
            inlined=call is not None,
            start_line=call.start_line if call else func.start_line,
        )

    def sp_delta(self, pc: int) -> Optional[int]:
        """funcspdelta: bytes between sp at `pc` and the return address (on x86); None if not known."""
        func, loaded = self.find(pc), self._load(pc)
        if func is None or loaded is None or not func.pcsp:
            return None
        try:
            delta = loaded.table.value(func, func.pcsp, pc)
        except _DAMAGE as error:
            self.problems.add(f"stack size at {pc:#x}: {error}")
            return None
        return delta if delta >= 0 else None

    def is_system_goroutine(
        self, start_pc: int, running_finalizer: bool = False, running_cleanups: bool = False
    ) -> bool:
        """Whether a goroutine that started at `start_pc` is the runtime's own (see funcid.py)."""
        func = self.find(start_pc)
        if func is None:
            return False
        kind = self.kind(func.func_id)
        return funcid.is_system_goroutine(func.name, kind, running_finalizer, running_cleanups)

    def functions(self) -> Iterable[Func]:
        """Every function of every module in address order; what is damaged is left out and reported."""
        for module in self._modules:
            loaded = self._load(module["minpc"])
            for index in range(len(loaded.table) if loaded else 0):
                try:
                    yield loaded.table.function(index)  # type: ignore[union-attr]
                except _DAMAGE as error:
                    self.problems.add(f"function {index} of the table: {error}")


def load(target: Target, problems: Problems) -> Symtab:
    """The symbol tables of `target`; an empty one, with the reason in `problems`, if it has none."""
    return Symtab(target, modules(target, problems), problems, go_minor(target))


def go_minor(target: Target) -> Optional[int]:
    """N of Go 1.N (`go1.26.6`, `devel go1.28-...`); None if unknown."""
    return parse_version(version_of(target) or "").minor
