"""The notes of a Linux core: threads, command line, auxiliary vector, signal, mapped files.

Layouts: include/linux/elfcore.h (elf_prstatus, elf_prpsinfo), include/linux/elfcore-compat.h, and
fill_files_note in fs/binfmt_elf.c (NT_FILE); registers as in arch/*/include/asm/ptrace.h.
"""

from __future__ import annotations

import struct
from itertools import chain
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

from addrspace_gdb.common.escape import decoded, unescaped
from addrspace_gdb.common.problems import Problems
from addrspace_gdb.common.signals import number_and_code
from addrspace_gdb.process.elf_notes import iter_notes
from addrspace_gdb.process.elf_structs import pairs, structs_of

NT_PRSTATUS, NT_PRPSINFO, NT_AUXV = 1, 3, 6
NT_SIGINFO, NT_FILE = 0x53494749, 0x46494C45
NT_386_TLS, NT_ARM_TLS = 0x200, 0x401

AT_PHDR, AT_PHNUM, AT_PAGESZ, AT_ENTRY = 3, 5, 6, 9
AT_RANDOM, AT_EXECFN, AT_SYSINFO_EHDR = 25, 31, 33

_FAULTS = (4, 5, 7, 8, 11)  # SIGILL SIGTRAP SIGBUS SIGFPE SIGSEGV: siginfo has si_addr
_MAX_THREADS = 1 << 22  # PID_MAX_LIMIT, include/linux/threads.h


class PrstatusLayout(NamedTuple):
    """Where a machine's elf_prstatus keeps what we want: byte offsets, and the size of a register."""

    pid: int
    pc: int
    sp: int
    tls: Optional[int]  # None: in a note of its own
    size: int


_PRSTATUS: Dict[str, PrstatusLayout] = {
    "EM_X86_64": PrstatusLayout(32, 112 + 16 * 8, 112 + 19 * 8, 112 + 21 * 8, 8),
    "EM_386": PrstatusLayout(24, 72 + 12 * 4, 72 + 15 * 4, None, 4),
    "EM_AARCH64": PrstatusLayout(32, 112 + 32 * 8, 112 + 31 * 8, None, 8),
    "EM_ARM": PrstatusLayout(24, 72 + 15 * 4, 72 + 13 * 4, None, 4),
    "EM_LOONGARCH": PrstatusLayout(32, 112 + 33 * 8, 112 + 3 * 8, 112 + 2 * 8, 8),
    "EM_PPC64": PrstatusLayout(32, 112 + 32 * 8, 112 + 8, 112 + 13 * 8, 8),
    "EM_RISCV": PrstatusLayout(32, 112, 112 + 2 * 8, 112 + 4 * 8, 8),
    "EM_S390": PrstatusLayout(32, 112 + 8, 112 + 17 * 8, None, 8),
}
_I386_GS = 72 + 10 * 4


class CoreThread(NamedTuple):
    """A thread at the time of the dump. What the machine's layout does not give is None."""

    tid: int
    signal: int  # the signal it was stopped with, 0: none
    pc: Optional[int]
    sp: Optional[int]
    fs_base: Optional[int]  # the thread pointer, whatever the machine calls it
    general: bytes = b""  # its general registers, as the kernel has them (process.registers)


class CoreSignal(NamedTuple):
    """The signal that killed the process. `address` is set where the kernel gives a faulting address."""

    number: int
    code: int
    address: Optional[int]
    sender: Optional[int] = None  # the process that sent it, where one did


class MappedFile(NamedTuple):
    """An entry of NT_FILE: `offset` is in bytes."""

    start: int
    end: int
    offset: int
    path: str


class CoreNotes(NamedTuple):
    """Everything the notes say."""

    threads: List[CoreThread]
    pid: Optional[int]
    command: Optional[str]  # the command line, as ps shows it (80 bytes at most)
    auxv: Dict[int, int]
    signal: Optional[CoreSignal]
    files: List[MappedFile]
    page_size: Optional[int]
    by_gdb: bool  # written by gdb's gcore, whose NT_FILE counts in bytes


def read_notes(  # noqa: C901  a branch for each kind of note
    segments: Sequence[bytes], machine: str, pointer_size: int, byte_order: str, problems: Problems
) -> CoreNotes:
    """Decode the contents of a core's PT_NOTE segments; damaged notes are reported and left out."""
    prefix = "<" if byte_order == "little" else ">"
    threads: List[CoreThread] = []
    selectors: Dict[int, int] = {}  # i386: index of the thread to its %gs
    auxv: Dict[int, int] = {}
    files: List[MappedFile] = []
    pid: Optional[int] = None
    command: Optional[str] = None
    signal: Optional[CoreSignal] = None
    unit = 0
    notes = chain.from_iterable(iter_notes(data, byte_order) for data in segments)
    for owner, kind, text in notes:
        if owner not in (b"CORE", b"LINUX"):
            continue
        try:
            if kind == NT_PRSTATUS and len(threads) < _MAX_THREADS:
                threads.append(_thread(text, machine, prefix))
                if machine == "EM_386":
                    selectors[len(threads) - 1] = struct.unpack_from(prefix + "I", text, _I386_GS)[0]
            elif kind == NT_PRPSINFO:
                pid, command = _process(text, pointer_size, prefix)
            elif kind == NT_AUXV:
                auxv = _auxv(text, pointer_size, prefix)
            elif kind == NT_SIGINFO and signal is None:
                signal = siginfo(text, pointer_size, byte_order, machine == "EM_MIPS")
            elif kind == NT_FILE:
                files, unit = _files(text, pointer_size, prefix, problems)
            elif kind in (NT_386_TLS, NT_ARM_TLS) and threads:
                base = _tls(text, kind, selectors.get(len(threads) - 1, 0), prefix)
                threads[-1] = threads[-1]._replace(fs_base=base)
        except struct.error:
            problems.add(f"core: note {kind:#x} is too short")
    for page_size in (auxv.get(AT_PAGESZ, 0), unit):
        if 1 << 10 <= page_size <= 1 << 26 and page_size & (page_size - 1) == 0:
            return CoreNotes(threads, pid, command, auxv, signal, files, page_size, unit == 1)
    return CoreNotes(threads, pid, command, auxv, signal, files, None, unit == 1)


def _thread(text: memoryview, machine: str, prefix: str) -> CoreThread:
    signal = struct.unpack_from(prefix + "h", text, 12)[0]
    layout = _PRSTATUS.get(machine)
    if layout is None:  # pr_pid stands behind two words of signal masks on every machine
        tid = struct.unpack_from(prefix + "i", text, 32 if len(text) > 200 else 24)[0]
        return CoreThread(tid, signal, None, None, None, bytes(text[112 if len(text) > 200 else 72 :]))
    register = prefix + ("Q" if layout.size == 8 else "I")
    return CoreThread(
        tid=struct.unpack_from(prefix + "i", text, layout.pid)[0],
        signal=signal,
        pc=struct.unpack_from(register, text, layout.pc)[0],
        sp=struct.unpack_from(register, text, layout.sp)[0],
        fs_base=None if layout.tls is None else struct.unpack_from(register, text, layout.tls)[0],
        general=bytes(text[112 if layout.size == 8 else 72 :]),
    )


def _tls(text: memoryview, kind: int, selector: int, prefix: str) -> Optional[int]:
    """The thread pointer of arm64, or on i386 the base of the user_desc that %gs selects."""
    if kind == NT_ARM_TLS:
        return int(struct.unpack_from(prefix + "Q", text)[0])
    for at in range(0, len(text) - 15, 16):
        entry, base = struct.unpack_from(prefix + "2I", text, at)
        if entry == selector >> 3:
            return int(base)
    return None


def _process(text: memoryview, pointer_size: int, prefix: str) -> Tuple[int, str]:
    pid_at, arguments_at = (24, 56) if pointer_size == 8 else (12, 44)
    pid = struct.unpack_from(prefix + "i", text, pid_at)[0]
    raw = bytes(text[arguments_at : arguments_at + 80]).split(b"\0", 1)[0]
    return pid, decoded(raw).rstrip(" ")


def _auxv(text: memoryview, pointer_size: int, prefix: str) -> Dict[int, int]:
    structs = structs_of(pointer_size, "little" if prefix == "<" else "big")
    return pairs(structs, bytes(text[:4096]))


def siginfo(text: Union[bytes, memoryview], pointer_size: int, byte_order: str, mips: bool) -> CoreSignal:
    """siginfo_t: si_signo, si_errno, si_code, then (aligned) si_addr for a fault that the CPU raised. `mips`:
    its numbers and order.

    `pointer_size` is that of whom it was written for. si_code <= 0 is a signal that somebody sent, 0x80
    (SI_KERNEL) a fault without an address. struct.error if it is too short.
    """
    prefix = "<" if byte_order == "little" else ">"
    number, code = number_and_code(struct.unpack_from(prefix + "3i", text), mips)
    at, form = (16, "Q") if pointer_size == 8 else (12, "I")
    if number in _FAULTS and 0 < code < 0x80:
        return CoreSignal(number, code, struct.unpack_from(prefix + form, text, at)[0])
    sender = struct.unpack_from(prefix + "i", text, at)[0] if code <= 0 else None
    return CoreSignal(number, code, None, sender)


def _files(
    text: memoryview, pointer_size: int, prefix: str, problems: Problems
) -> Tuple[List[MappedFile], int]:
    """The files and the unit of their offsets, in bytes.

    NT_FILE: count, page_size, count times (start, end, offset in pages), then the paths with NULs. gdb's
    gcore writes page_size 1 and offsets in bytes, and paths as /proc/PID/maps has them.
    """
    word = "Q" if pointer_size == 8 else "I"
    count, unit = struct.unpack_from(f"{prefix}2{word}", text)
    entry = struct.Struct(f"{prefix}3{word}")
    start = 2 * pointer_size
    most = (len(text) - start) // (entry.size + 1)  # every entry has at least the NUL of its path
    if count > most:
        problems.add(f"core: NT_FILE claims {count} files, {most} fit at most")
        return [], 0
    table = text[start : start + count * entry.size]
    paths = bytes(text[start + count * entry.size :]).split(b"\0")
    files = [
        MappedFile(low, high, pages * unit, unescaped(decoded(path)) if unit == 1 else decoded(path))
        for (low, high, pages), path in zip(entry.iter_unpack(table), paths)
        if low < high and path
    ]
    return files, unit
