"""Which files gdb will open on its own for a core or a process, and that they are files.

Their names come from the core's list of mapped files (NT_FILE) and from the dynamic linker's list in the
memory of the target (struct link_map of elf/link.h, found by DT_DEBUG): whoever made those chose the names.
gdb opens whatever has such a name. A FIFO makes it wait for ever, and opening a device can do anything.
"""

from __future__ import annotations

import io
import os
import stat
from typing import Dict, Iterable, Iterator, List, Optional, Set

from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.process.core_memory import memory_of
from addrspace_gdb.process.corefile import read_core
from addrspace_gdb.process.corenotes import AT_EXECFN, AT_PHDR, AT_PHNUM
from addrspace_gdb.process.elf import Header, Segment, read_header, read_segments
from addrspace_gdb.process.elf_structs import PT_DYNAMIC, PT_PHDR, pairs, structs_of
from addrspace_gdb.process.pointers import Read, Words
from addrspace_gdb.process.regular import open_regular
from addrspace_gdb.shell.hints import SHELL
from addrspace_gdb.space.reading.same_build import other_build

_DT_DEBUG = 21
_MAX_HEADERS, _MAX_ENTRIES, _MAX_OBJECTS = 256, 4096, 1 << 14
_LONGEST_NAME = 4096  # PATH_MAX
_LONGEST_AUXV = 1 << 16
_HARMLESS = (None, stat.S_IFREG, stat.S_IFDIR)  # to open, or to try to
_PIECE = 256  # bytes of a name that are read at once; divides a page


def recorded_program(path: str) -> Optional[str]:
    """The program that the core at `path` names, if it is here and is still the one that made it.

    ProblemError if the core is not a usable one.
    """
    core = read_core(path)
    if core.executable is None or not _is_file(core.executable):
        return None
    try:
        other = other_build(core.executable, core, memory_of(core), SHELL)
    except ProblemError:
        return None
    return core.executable if other is None else None


def vet_core(path: str, program: Optional[str], sysroot: Optional[str], place: str) -> Optional[str]:
    """The sysroot that gdb may have for the core at `path` and the `program` that it is given.

    That is `sysroot` itself where all that gdb would open are files, else the folder `place`, filled with
    links to those that are. ProblemError if the core is not a usable one, or names what cannot be kept out.
    """
    core = read_core(path)
    names = [mapping.file for mapping in core.mappings if mapping.file is not None]
    try:
        target = _Words(memory_of(core), core.pointer_size, core.byte_order, core.auxv)
    except ProblemError:
        target = None
    if target is not None:
        names += target.linked(program)
        if program is None:
            _check_program(target.text(core.auxv.get(AT_EXECFN, 0)), place)
    return _vetted(names, sysroot or "", place) or sysroot


def _check_program(name: bytes, place: str) -> None:
    """gdb 17 and newer open what the core's program was started as, in no sysroot. ProblemError."""
    if _kind(os.path.join(os.path.dirname(place), os.fsdecode(name))) not in _HARMLESS:
        shown = printable(os.fsdecode(name))
        raise ProblemError(f"the core's program, {shown}, is not a file here; name the right one: --exe FILE")


def vet_process(pid: int, program: Optional[str], sysroot: Optional[str], place: str) -> Optional[str]:
    """As `vet_core`, for a process of this machine, which is not stopped for it."""
    exe = f"/proc/{pid}/exe"
    try:
        with open(exe, "rb") as file:
            header = read_header(file, exe)
        with open(f"/proc/{pid}/auxv", "rb") as file:
            auxv = _auxiliary(file.read(_LONGEST_AUXV), header)
    except (OSError, ProblemError):
        return sysroot  # gdb will say what it makes of it
    target = _Words(_process_memory(pid), header.pointer_size, header.byte_order, auxv)
    names = target.linked(exe) + (target.linked(program) if program else [])
    return _vetted(names, sysroot or f"/proc/{pid}/root", place) or sysroot


def _auxiliary(data: bytes, header: Header) -> Dict[int, int]:
    """The auxiliary vector (getauxval(3)) by number."""
    return pairs(structs_of(header.pointer_size, header.byte_order), data)


def _process_memory(pid: int) -> Read:
    def read(address: int, size: int) -> bytes:
        try:
            with open(f"/proc/{pid}/mem", "rb", buffering=0) as file:
                file.seek(address)
                data = file.read(size)
        except (OSError, OverflowError, ValueError):
            data = b""
        if len(data) != size:
            raise UnreadableError(address, size)
        return data

    return read


class _Words(Words):
    """Memory of the target, in which the dynamic linker's list is found."""

    def __init__(self, read: Read, pointer_size: int, byte_order: str, auxv: Dict[int, int]) -> None:
        super().__init__(read, pointer_size, byte_order)
        self._bytes, self._auxv = read, auxv
        self._header = Header("", "", pointer_size, byte_order, 0, 0, 0, 0, 0, 0)

    def linked(self, program: Optional[str]) -> List[str]:
        """Names of all objects in the list, by the headers of the file `program` and by those in memory."""
        found: List[str] = []
        for headers in (self._of_file(program), self._of_memory()):
            itself = next((s.vaddr for s in headers if s.type == PT_PHDR), 0)
            bias = self._auxv.get(AT_PHDR, 0) - itself if itself else 0
            for segment in headers:
                if segment.type == PT_DYNAMIC:
                    found += self._names(bias + segment.vaddr, segment.memsz)
        return found

    @staticmethod
    def _of_file(program: Optional[str]) -> List[Segment]:
        if program is None:
            return []
        try:
            with open_regular(program, program) as file:
                return read_segments(file, read_header(file, program), program)
        except ProblemError:
            return []

    def _of_memory(self) -> List[Segment]:
        address, count = self._auxv.get(AT_PHDR, 0), self._auxv.get(AT_PHNUM, 0)
        if not 0 < count <= _MAX_HEADERS:
            return []
        try:
            size = structs_of(self._header.pointer_size, self._header.byte_order).program.size
            data = self._bytes(address, count * size)
            return read_segments(io.BytesIO(data), self._header._replace(phnum=count), "the program")
        except (UnreadableError, ProblemError):
            return []

    def _names(self, dynamic: int, size: int) -> Iterator[str]:
        """Names in the list that the dynamic section at `dynamic` leads to: DT_DEBUG, struct r_debug."""
        entries = self.at(dynamic, min(size // self.size, _MAX_ENTRIES) // 2 * 2) or ()
        debug = next((value for tag, value in zip(entries[::2], entries[1::2]) if tag == _DT_DEBUG), 0)
        first = self.at(debug + self.size, 1) if debug else None
        at = first[0] if first else 0
        seen: Set[int] = set()
        while at and at not in seen and len(seen) < _MAX_OBJECTS:
            seen.add(at)
            fields = self.at(at, 4)  # l_addr, l_name, l_ld, l_next
            if fields is None:
                return
            name = self.text(fields[1])
            if name:
                yield os.fsdecode(name)
            at = fields[3]

    def text(self, address: int) -> bytes:
        """The string there, as much of it as can be read."""
        found = b""
        while len(found) < _LONGEST_NAME:
            try:
                piece = self._bytes(address + len(found), _PIECE - (address + len(found)) % _PIECE)
            except UnreadableError:
                break
            found += piece
            if b"\0" in piece:
                break
        return found.partition(b"\0")[0]


def _vetted(names: Iterable[str], root: str, place: str) -> Optional[str]:
    """None if none of `names`, below the folder `root`, is there without being a file; else `place`.

    In `place` there are then links to those that are files. ProblemError for a name that leads out of it.
    """
    distinct = sorted(set(names))
    wrong = [name for name in distinct if _kind(root + name) not in _HARMLESS]
    if not wrong:
        return None
    os.makedirs(place, mode=0o700, exist_ok=True)
    for name in distinct:
        normal = os.path.normpath(name)
        if name in wrong and (not os.path.isabs(name) or name != normal):
            raise ProblemError(
                f"{printable(name)}, which the process says it had loaded, is no file and would be opened; "
                "name a folder with its files: --sysroot DIR"
            )
        if os.path.isabs(name) and _kind(root + name) == stat.S_IFREG:
            link = place + normal
            os.makedirs(os.path.dirname(link), exist_ok=True)
            if not os.path.lexists(link):
                os.symlink(os.path.realpath(root + name) if not root else root + normal, link)
    return place


def _kind(path: str) -> Optional[int]:
    """What is there; None: nothing."""
    try:
        return stat.S_IFMT(os.stat(path).st_mode)
    except (OSError, ValueError):
        return None


def _is_file(path: str) -> bool:
    return _kind(path) == stat.S_IFREG
