"""A `Target` for tests of symtab and traceback: a stopped process through /proc, its ELF file for layouts.

It is not the product's: layouts come from pyelftools, so that nothing of gdb is in the way.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
from functools import partial
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple, cast

from elftools.elf.elffile import ELFFile

from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.shell.hints import SHELL
from addrspace_gdb.target.layout import Type
from addrspace_gdb.target.protocol import Facts, ProcFiles, Symbol, Thread, ThreadRegisters

_STRUCTURES = ("DW_TAG_structure_type", "DW_TAG_base_type", "DW_TAG_typedef")
_ENCODINGS = {0x02: "bool", 0x04: "float", 0x05: "int", 0x07: "uint", 0x08: "uint"}


class ElfLayouts:
    """Symbols and types of a Go executable."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self.elf = ELFFile(self._file)
        table: Any = self.elf.get_section_by_name(".symtab")
        self.symbols: Dict[str, Tuple[int, int]] = {}
        for symbol in table.iter_symbols():
            self.symbols[symbol.name] = (symbol["st_value"], symbol["st_size"])
        self._dwarf = cast(Any, self.elf.get_dwarf_info())
        self._info: bytes = self._dwarf.debug_info_sec.stream.getvalue()
        self._units = [unit.cu_offset for unit in self._dwarf.iter_CUs()]
        self._types: Dict[int, Type] = {}
        self._by_name: Dict[str, Optional[Type]] = {}

    def first_load(self) -> int:
        """The lowest virtual address of the file's segments."""
        return int(min(s["p_vaddr"] for s in self.elf.iter_segments() if s["p_type"] == "PT_LOAD"))

    def type(self, name: str) -> Optional[Type]:
        """The type, by its DWARF name."""
        if name not in self._by_name:
            self._by_name[name] = self._find(name)
        return self._by_name[name]

    def _find(self, name: str) -> Optional[Type]:
        """Find the DIE by its name in the bytes: walking a Go program's whole DWARF takes many seconds."""
        wanted, at = name.encode() + b"\0", -1
        while True:
            at = self._info.find(wanted, at + 1)
            if at < 0:
                return None
            for back in (1, 2):
                try:
                    die = self._dwarf.get_DIE_from_refaddr(at - back)
                    found = die.attributes.get("DW_AT_name")
                except Exception:
                    continue
                if die.tag in _STRUCTURES and found is not None and found.value == name.encode():
                    return self._convert(die)

    def _convert(self, die: Any) -> Type:
        known = self._types.get(die.offset)
        if known is not None:
            return known
        attributes = die.attributes
        name = attributes["DW_AT_name"].value.decode() if "DW_AT_name" in attributes else ""
        if die.tag == "DW_TAG_typedef" and "DW_AT_type" in attributes:
            return self._convert(die.get_DIE_from_attribute("DW_AT_type"))
        size = self.elf.elfclass // 8  # of a pointer, which has no DW_AT_byte_size
        if "DW_AT_byte_size" in attributes:
            size = attributes["DW_AT_byte_size"].value
        if die.tag == "DW_TAG_structure_type":
            result = Type(name, size, "struct", load_fields=lambda: self._members(die))
        elif die.tag == "DW_TAG_base_type":
            result = Type(name, size, _ENCODINGS.get(attributes["DW_AT_encoding"].value, "other"))
        else:
            kind = "pointer" if die.tag in ("DW_TAG_pointer_type", "DW_TAG_subroutine_type") else "other"
            result = Type(name, size, kind)
        self._types[die.offset] = result
        return result

    def _members(self, die: Any) -> Dict[str, Tuple[int, Type]]:
        fields = {}
        for child in die.iter_children():
            if child.tag == "DW_TAG_member":
                member = self._convert(child.get_DIE_from_attribute("DW_AT_type"))
                offset = child.attributes["DW_AT_data_member_location"].value
                fields[child.attributes["DW_AT_name"].value.decode()] = (offset, member)
        return fields


class _Registers(ctypes.Structure):
    """struct user_regs_struct of x86-64 (sys/user.h)."""

    _fields_ = [
        (name, ctypes.c_ulonglong)
        for name in "r15 r14 r13 r12 bp bx r11 r10 r9 r8 ax cx dx si di orig_ax ip cs flags sp ss".split()  # noqa: SIM905
    ] + [(name, ctypes.c_ulonglong) for name in ("fs_base", "gs_base", "ds", "es", "fs", "gs")]


_SINGLESTEP, _GETREGS, _ATTACH, _DETACH = 9, 12, 16, 17  # sys/ptrace.h
_WALL = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
_LIBC.ptrace.restype = ctypes.c_long


class Stepper:
    """One thread of a stopped process under ptrace, run an instruction at a time."""

    def __init__(self, tid: int) -> None:
        self.tid, self._pending = tid, 0
        if _LIBC.ptrace(_ATTACH, tid, None, None) != 0:
            raise OSError(ctypes.get_errno(), f"ptrace attach to {tid}")
        self._wait()

    def _wait(self) -> int:
        return os.waitpid(self.tid, _WALL)[1]

    def registers(self) -> Tuple[int, int, int]:
        """pc, sp and bp."""
        found = _Registers()
        if _LIBC.ptrace(_GETREGS, self.tid, None, ctypes.addressof(found)) != 0:
            raise OSError(ctypes.get_errno(), f"ptrace registers of {self.tid}")
        return found.ip, found.sp, found.bp

    def step(self, deliver: int = 0) -> None:
        """Run one instruction, or begin the handler of the signal `deliver` or of a fault of the last one."""
        if _LIBC.ptrace(_SINGLESTEP, self.tid, None, deliver or self._pending) != 0:
            raise OSError(ctypes.get_errno(), f"ptrace step of {self.tid}")
        stopped_by = os.WSTOPSIG(self._wait())
        self._pending = stopped_by if stopped_by in (signal.SIGSEGV, signal.SIGFPE) else 0

    def close(self) -> None:
        _LIBC.ptrace(_DETACH, self.tid, None, None)


class ProcessTarget:
    """A Target over a process that is stopped and stays so."""

    kind = "live"
    core_file: Optional[str] = None
    arch = "amd64"
    pointer_size = 8
    byte_order = "little"
    facts = Facts()
    hints = SHELL

    def __init__(self, pid: int, executable: Path, layouts: Optional[ElfLayouts] = None) -> None:
        self.pid: Optional[int] = pid
        self.executable: Optional[str] = str(executable)
        self.layouts = layouts or ElfLayouts(executable)
        self._memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
        self._bias = self._load_bias(pid, executable)

    def _load_bias(self, pid: int, executable: Path) -> int:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            if line.endswith(str(executable)):
                return int(line.split("-")[0], 16) - (self.layouts.first_load() & ~0xFFF)
        raise ProblemError(f"{executable} is not mapped")

    def close(self) -> None:
        os.close(self._memory)

    def read(self, address: int, size: int) -> bytes:
        if size == 0:
            return b""
        try:
            data = os.pread(self._memory, size, address)
        except (OSError, OverflowError, MemoryError, ValueError):
            raise UnreadableError(address, size) from None
        if len(data) != size:
            raise UnreadableError(address, size)
        return data

    def symbol(self, name: str) -> Optional[Symbol]:
        found = self.layouts.symbols.get(name) if name else None
        return Symbol(name, found[0] + self._bias, found[1]) if found else None

    def type(self, name: str) -> Optional[Type]:
        return self.layouts.type(name) if "." in name else None

    def threads(self) -> List[Thread]:
        """Threads with their registers, through a short ptrace attach (the process is stopped anyway)."""
        found: List[Thread] = []
        for tid in sorted(int(name) for name in os.listdir(f"/proc/{self.pid}/task")):
            thread = Stepper(tid)
            pc, sp, _ = thread.registers()
            thread.close()
            found.append(Thread(len(found) + 1, tid, not found, partial(ThreadRegisters, pc, sp)))
        return found

    def proc_files(self) -> Optional[ProcFiles]:
        return None

    def evaluate(self, expression: str) -> int:
        raise ProblemError("no expressions here")


class FakeTarget:
    """A Target whose memory is a few byte ranges; for damage that no real process has."""

    kind = "core"
    pid: Optional[int] = None
    executable: Optional[str] = None
    core_file: Optional[str] = None
    arch = "amd64"
    pointer_size = 8
    byte_order = "little"
    facts = Facts()
    hints = SHELL

    def __init__(self, ranges: Dict[int, bytearray], inner: Optional[ProcessTarget] = None) -> None:
        self.ranges, self.inner = ranges, inner

    def read(self, address: int, size: int) -> bytes:
        if size == 0:
            return b""
        for start, data in self.ranges.items():
            if size > 0 and start <= address and address + size <= start + len(data):
                return bytes(data[address - start : address - start + size])
        raise UnreadableError(address, size)

    def symbol(self, name: str) -> Optional[Symbol]:
        return self.inner.symbol(name) if self.inner else None

    def type(self, name: str) -> Optional[Type]:
        return self.inner.type(name) if self.inner else None

    def threads(self) -> List[Thread]:
        return []

    def proc_files(self) -> Optional[ProcFiles]:
        return None

    def evaluate(self, expression: str) -> int:
        raise ProblemError("no expressions here")


def words(data: bytes) -> Tuple[int, ...]:
    """Little-endian 64-bit words."""
    return struct.unpack(f"<{len(data) // 8}Q", data)
