"""What a process and a core file have in common as targets: symbols, threads, expressions; and no types.

Types are those of the layout tables (goruntime/layouts); a release that has none needs a debugger, which
reads debug information.
"""

from __future__ import annotations

import io
from functools import cached_property
from typing import Dict, List, Optional, Sequence

from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.debugger.direct.expressions import Evaluator, Memory
from addrspace_gdb.debugger.direct.objects import LoadedFile, Objects, held_in_memory
from addrspace_gdb.process.corenotes import AT_SYSINFO_EHDR, CoreThread
from addrspace_gdb.process.elf import read_header
from addrspace_gdb.process.elf_structs import structs_of
from addrspace_gdb.process.registers import RegisterSet, register_set
from addrspace_gdb.target.hints import Hints
from addrspace_gdb.target.layout import Type
from addrspace_gdb.target.protocol import (
    Facts,
    FrameVariable,
    Named,
    ProcFiles,
    Symbol,
    Target,
    Thread,
    ThreadRegisters,
    Value,
)

_PAGE, _MAX_VDSO = 4096, 1 << 20  # bytes


class Stopped:
    """A thread as it is read, its registers as the kernel has them; `names` are those of its architecture."""

    def __init__(
        self, tid: int, general: bytes, tls: Optional[int], names: Optional[RegisterSet], byte_order: str
    ) -> None:
        self.tid, self.tls = tid, tls
        self._general, self._names, self._order = general, names, byte_order

    @cached_property
    def registers(self) -> Dict[str, int]:
        """By their names; none for an architecture that is not known."""
        return self._names.decode(self._general, self._order) if self._names is not None else {}


class _Typed:
    """What expressions are about: symbols of the runtime with their types."""

    def __init__(self, target: DirectTarget, known: Optional[Target]) -> None:
        self.pointer_size, self.byte_order = target.pointer_size, target.byte_order
        self.read, self.register = target.read, target.register
        self.hints = target.hints
        self.symbol = target.symbol if known is None else known.symbol


class DirectTarget:
    """A target that reads for itself. The first of its threads is the selected one, unless a debugger has
    another."""

    kind: str
    pid: Optional[int]
    executable: Optional[str]
    core_file: Optional[str] = None
    arch: str
    pointer_size: int
    byte_order: str

    def __init__(self, hints: Hints) -> None:
        self.hints = hints
        self._threads: Optional[List[Thread]] = None
        self._stopped: Optional[List[Stopped]] = None
        self._objects: Optional[Objects] = None
        self.known: Optional[Target] = None  # this target with the runtime's layouts, once there is one

    # What each kind does in its own way

    def _read(self, address: int, size: int) -> bytes:
        """Exactly `size` bytes, more than none, at an address that is one. UnreadableError."""
        raise NotImplementedError

    def _load_objects(self) -> Objects:
        """The files that are loaded."""
        raise NotImplementedError

    def _read_threads(self) -> List[Stopped]:
        """Every thread, the selected one first."""
        raise NotImplementedError

    def auxv(self) -> Dict[int, int]:
        """The auxiliary vector."""
        raise NotImplementedError

    # What some of them share

    def _of_notes(self, thread: CoreThread) -> Stopped:
        """A thread by its note in a core."""
        return Stopped(thread.tid, thread.general, thread.fs_base, self.set, self.byte_order)

    # The protocol

    @property
    def facts(self) -> Facts:
        """Nothing that is found in memory: `goruntime.stripped` adds that."""
        return Facts()

    @property
    def set(self) -> Optional[RegisterSet]:
        """Names and places of the registers."""
        return register_set(self.arch)

    @property
    def objects(self) -> Objects:
        """The files that are loaded, and their symbols."""
        if self._objects is None:
            self._objects = self._load_objects()
        return self._objects

    def forget_objects(self) -> None:
        """Others have been loaded since."""
        self._objects = None

    def read(self, address: int, size: int) -> bytes:
        """Exactly `size` bytes at `address`."""
        if size == 0:
            return b""
        if size < 0 or address < 0 or address + size > 1 << (8 * self.pointer_size):
            raise UnreadableError(address, size)
        return self._read(address, size)

    def symbol(self, name: str) -> Optional[Symbol]:
        """A variable or function by its linker name."""
        return self.objects.symbol(name)

    def type(self, name: str) -> Optional[Type]:
        """None: nobody here reads debug information."""
        return None

    @property
    def stopped(self) -> List[Stopped]:
        """Every thread with its registers, the selected one first."""
        if self._stopped is None:
            self._stopped = self._read_threads()
        return self._stopped

    @property
    def selected(self) -> Optional[Stopped]:
        """The selected thread; None if there is none."""
        return next(iter(self.stopped), None)

    def threads(self) -> List[Thread]:
        """Every thread, numbered from 1 on in their order."""
        if self._threads is None:
            self._threads = [self.thread(number, one) for number, one in enumerate(self.stopped, 1)]
        return self._threads

    def thread(self, number: int, one: Stopped) -> Thread:
        """One of them as the protocol has it, under a debugger's number."""
        return Thread(
            number,
            one.tid,
            one is self.selected,
            lambda: self._registers(one),
            lambda: tuple(one.registers.values()),
        )

    def _registers(self, one: Stopped) -> ThreadRegisters:
        names, known = self.set, one.registers
        if names is None:
            return ThreadRegisters()
        tls = one.tls if names.tls is None else known.get(names.tls)
        link = known.get(names.link) if names.link else None
        return ThreadRegisters(known.get(names.pc), known.get(names.sp), tls, link)

    def proc_files(self) -> Optional[ProcFiles]:
        """None where there is no process."""
        return None

    def evaluate(self, expression: str) -> int:
        """An address from an expression."""
        return Evaluator(self._typed()).value(expression)

    def values(self, expression: str) -> List[Value]:
        """Every address that an expression comes to."""
        return Evaluator(self._typed()).values(expression)

    def _typed(self) -> Memory:
        return _Typed(self, self.known)

    def names_at(self, addresses: Sequence[int]) -> List[Optional[Named]]:
        """The symbol that holds each address."""
        return [self.objects.name_at(address) or self._vdso_name(address) for address in addresses]

    def _vdso_name(self, address: int) -> Optional[Named]:
        found = self._vdso
        inside = found is not None and found.loaded.start <= address < found.loaded.end
        return found.name_at(address) if found is not None and inside else None

    @cached_property
    def _vdso(self) -> Optional[LoadedFile]:
        """The library that the kernel has put into the process, called as gdb calls it."""
        start = self.auxv().get(AT_SYSINFO_EHDR)
        if not start:
            return None
        name = f"system-supplied DSO at {start:#x}"
        try:
            return held_in_memory(start, self.read(start, self._vdso_size(start, name)), name)
        except (UnreadableError, ProblemError):
            return None

    def _vdso_size(self, start: int, name: str) -> int:
        """Bytes of its image, which ends with the section headers."""
        header = read_header(io.BytesIO(self.read(start, _PAGE)), name)
        section = structs_of(self.pointer_size, self.byte_order).section
        return min(header.shoff + header.shnum * section.size, _MAX_VDSO)

    def frame_variables(self, pc: int) -> List[FrameVariable]:
        """Variables in the frame of the function at `pc`."""
        return self.objects.frame_variables(pc)

    def debug_file(self, address: int) -> Optional[str]:
        """Where the debug information is of what lies at an address."""
        return self.objects.debug_file(address)

    def instruction(self, pc: int) -> Optional[str]:
        """None: nobody here disassembles."""
        return None

    def register(self, name: str) -> Optional[int]:
        """A register of the selected thread."""
        names, selected = self.set, self.selected
        if selected is None or names is None:
            return None
        usual = {"pc": names.pc, "sp": names.sp}.get(name, name)
        return selected.registers.get(usual)
