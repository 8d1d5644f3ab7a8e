"""A core file as the process it was: mappings, names, threads, signal. For gdb's cores and the kernel's.

The debugger reads the memory; this reads the headers and the notes, and of memory only the program
headers of the executable.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from functools import lru_cache
from typing import IO, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError, Problems
from addrspace_gdb.process.corenotes import (
    AT_ENTRY,
    AT_EXECFN,
    AT_PHDR,
    AT_PHNUM,
    AT_RANDOM,
    AT_SYSINFO_EHDR,
    CoreNotes,
    CoreSignal,
    CoreThread,
    MappedFile,
    read_notes,
)
from addrspace_gdb.process.elf import Header, Segment, read_header, read_segments
from addrspace_gdb.process.elf_structs import PF_R, PF_W, PF_X, PT_LOAD, PT_NOTE, PT_PHDR, structs_of
from addrspace_gdb.process.mappings import Mapping
from addrspace_gdb.process.regular import open_regular, read_at
from addrspace_gdb.process.segment_mappings import program_files

_PN_XNUM = 0xFFFF
_MAX_NOTES = 512 << 20  # bytes: about 3 KiB a thread, 100 a mapping
_HEAP_DISTANCE = 1 << 30  # how far arch_randomize_brk moves brk: 32 MiB, on 64-bit machines up to 1 GiB
_UNKNOWN = "????"


class Core(NamedTuple):
    """What a core file says about its process."""

    path: str
    machine: str  # "EM_X86_64" ...
    pointer_size: int
    byte_order: str
    mappings: List[Mapping]  # sorted; `dumped` is what the file really holds
    threads: List[CoreThread]  # the first is the one that died (kernel) or was selected (gdb)
    pid: Optional[int]
    command: Optional[str]
    executable: Optional[str]  # path, from the mapping that holds the program headers or the entry point
    auxv: Dict[int, int]
    signal: Optional[CoreSignal]
    page_size: int
    truncated: bool
    missing: int  # bytes that the headers promise and the file does not have
    notes: List[str]  # what was inferred or is damaged


def read_core(path: str, program: Optional[str] = None) -> Core:
    """Read the core file at `path`. Raises ProblemError, one line, where it is not a usable one.

    Mappings are the PT_LOAD segments (permissions from p_flags; the fourth is "?": a core does not say
    private or shared), with files from NT_FILE, and the ranges that only NT_FILE lists, which are mapped
    but not in the core: permissions "????". gdb's gcore gives every segment PF_R: what it does not call
    writable or executable may as well be PROT_NONE, "?--?" for anonymous memory. It also leaves out
    [vvar]. Names in brackets are inferred from the auxiliary vector (see `_name`). Of a core that lists no
    files, `program`, the executable, tells what of it is mapped.
    """
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return _read(path, program, ())
    return _read(path, program, (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns))


@lru_cache(maxsize=2)
def _read(path: str, program: Optional[str], _version: Tuple[int, ...]) -> Core:
    """A core of many mappings takes a while, and several ask for it; who gets it changes nothing in it."""
    with open_regular(path) as stream:
        try:
            core = _read_core(stream, path)
        except OSError as error:
            raise ProblemError(f"cannot read {printable(path)}: {error.strerror}") from error
    return core if program is None or any(m.file for m in core.mappings) else _with_program(core, program)


def _with_program(core: Core, program: str) -> Core:
    """The core with the files that the program's headers tell of: qemu's cores have no NT_FILE."""
    files = program_files(core.machine, core.pointer_size, core.auxv, core.page_size, program)
    cut: List[Mapping] = []
    for mapping in core.mappings:
        cut += _cut(mapping, files)
    return core._replace(mappings=cut, executable=core.executable or (program if files else None))


def _cut(mapping: Mapping, files: Sequence[MappedFile]) -> Iterator[Mapping]:
    """The mapping in pieces, those that lie in a file with its name."""
    at = mapping.start
    edges = {edge for f in files for edge in (f.start, f.end) if mapping.start < edge < mapping.end}
    for end in [*sorted(edges), mapping.end]:
        file = next((f for f in files if f.start <= at < f.end), None)
        dumped = min(max(0, mapping.start + mapping.dumped - at), end - at)
        yield _mapping(at, end, mapping.permissions, file, dumped)._replace(name=mapping.name)
        at = end


def _read_core(stream: IO[bytes], path: str) -> Core:
    problems = Problems()
    header = read_header(stream, path)
    if header.type != "CORE":
        raise ProblemError(f"{printable(path)} is an ELF file but not a core (type {printable(header.type)})")
    length = os.fstat(stream.fileno()).st_size
    segments = _core_segments(stream, header, path, length)
    missing = sum(max(0, s.offset + s.filesz - max(length, s.offset)) for s in segments)
    found = _notes(stream, header, segments, path, missing, problems)
    mappings = _join(segments, found, length, header, problems)
    if not mappings:
        raise ProblemError(f"{printable(path)} is a core without memory{' (truncated)' if missing else ''}")
    if missing:
        problems.add(f"the core is truncated: {missing} bytes are missing")
    executable = _executable(mappings, found.auxv)
    bss_end = _image_end(stream, header, segments, found.auxv)
    return Core(
        path,
        header.machine,
        header.pointer_size,
        header.byte_order,
        _name(mappings, found.auxv, executable, bss_end),
        found.threads,
        found.pid,
        found.command,
        executable,
        found.auxv,
        found.signal,
        found.page_size or 4096,
        missing > 0,
        missing,
        list(problems),
    )


def promised_size(stream: IO[bytes], path: str) -> Optional[int]:
    """Bytes of the core file whose beginning is in `stream`, by its headers; None where those are cut.

    Raises ProblemError where it is not a core at all.
    """
    header = read_header(stream, path)
    if header.type != "CORE":
        raise ProblemError(f"{printable(path)} is not a core file (ELF type {printable(header.type)})")
    structs = structs_of(header.pointer_size, header.byte_order)
    size = structs.program.size
    known = os.fstat(stream.fileno()).st_size
    if header.phnum == _PN_XNUM and known < header.phoff + 2 * size:
        return None
    try:
        segments = _core_segments(stream, header, path, known)
    except ProblemError:
        if header.phnum > known // size:
            return None
        raise
    ends = [segment.offset + segment.filesz for segment in segments]
    return max([*ends, header.shoff + header.shnum * structs.section.size])


def core_segments(stream: IO[bytes], path: str) -> List[Segment]:
    """The program headers of the core in `stream`. ProblemError unless the file holds all of them."""
    return _core_segments(stream, read_header(stream, path), path, os.fstat(stream.fileno()).st_size)


def counted(stream: IO[bytes], header: Header, path: str) -> Header:
    """The header with the number of its program headers, of which the first must be there.

    Where there are too many for the field the count is in the section header, which the kernel writes last
    and a truncated file lacks. Notes follow the program headers directly (elf_core_dump in fs/binfmt_elf.c).
    """
    if header.phnum != _PN_XNUM:
        return header
    first = read_segments(stream, header._replace(phnum=1), path)
    size = structs_of(header.pointer_size, header.byte_order).program.size
    if first and first[0].type == PT_NOTE and first[0].offset > header.phoff:
        return header._replace(phnum=(first[0].offset - header.phoff) // size)
    return header


def part_of(path: str, offset: int, size: int) -> bytes:
    """Of the file that was there a moment ago; less than `size` where it has become shorter."""
    try:
        with open_regular(path) as file:
            return read_at(file, offset, size)
    except (OSError, ProblemError):
        return b""


def _core_segments(stream: IO[bytes], header: Header, path: str, length: int) -> List[Segment]:
    """The program headers; ProblemError unless the file holds all of them."""
    header = counted(stream, header, path)
    segments = read_segments(stream, header, path)
    if len(segments) < max(header.phnum, 1):
        raise ProblemError(f"{printable(path)} is truncated: {length} bytes do not hold its program headers")
    return segments


def _notes(
    stream: IO[bytes],
    header: Header,
    segments: Sequence[Segment],
    path: str,
    missing: int,
    problems: Problems,
) -> CoreNotes:
    places = [s for s in segments if s.type == PT_NOTE]
    if sum(s.filesz for s in places) > _MAX_NOTES:
        raise ProblemError(f"{printable(path)} claims more than {_MAX_NOTES >> 20} MiB of notes: damaged")
    parts = [part for part in (read_at(stream, s.offset, s.filesz) for s in places) if part]
    if not parts and missing:
        raise ProblemError(
            f"{printable(path)} is truncated: {missing} bytes are missing, its notes among them"
        )
    if not parts:
        raise ProblemError(f"{printable(path)} has no notes: no threads and no mapped files are known")
    return read_notes(parts, header.machine, header.pointer_size, header.byte_order, problems)


def _join(
    segments: Sequence[Segment], notes: CoreNotes, length: int, header: Header, problems: Problems
) -> List[Mapping]:
    """The union of the segments and the mapped files, cut where either begins or ends."""
    limit = 1 << 8 * header.pointer_size
    spans: List[Segment] = []
    for segment in sorted(segments, key=lambda s: s.vaddr):
        end = segment.vaddr + segment.memsz
        if segment.type != PT_LOAD or segment.memsz == 0:
            continue
        if end > limit or (spans and segment.vaddr < spans[-1].vaddr + spans[-1].memsz):
            problems.add(f"core: the segment at {segment.vaddr:#x} overlaps another or is too long")
            continue
        spans.append(segment)
    known: List[MappedFile] = []
    for file in sorted(notes.files):
        if file.end > limit or (known and file.start < known[-1].end):
            problems.add(f"core: the mapped file at {file.start:#x} overlaps another")
            continue
        known.append(file)
    pieces = _pieces(spans, known, length)
    if notes.by_gdb:
        doubtful = (m.file is None and m.permissions == "r--?" for m in pieces)
        pieces = [m._replace(permissions="?--?") if doubt else m for m, doubt in zip(pieces, doubtful)]
    return sorted(pieces + _undumped(spans, known))


def _pieces(spans: Sequence[Segment], files: Sequence[MappedFile], length: int) -> List[Mapping]:
    """The segments, cut at the edges of mapped files."""
    found: List[Mapping] = []
    ends = [file.end for file in files]
    for segment in spans:
        at, end = segment.vaddr, segment.vaddr + segment.memsz
        held = max(0, min(segment.filesz, segment.memsz, length - segment.offset))
        index = bisect_right(ends, at)
        while at < end:
            file: Optional[MappedFile] = None
            stop = end
            if index < len(files) and files[index].start < end:
                if files[index].start <= at:
                    file = files[index]
                    stop = min(end, file.end)
                    index += 1
                else:
                    stop = files[index].start
            dumped = min(max(0, segment.vaddr + held - at), stop - at)
            found.append(_mapping(at, stop, _permissions(segment.flags), file, dumped))
            at = stop
    return found


def _undumped(spans: Sequence[Segment], files: Sequence[MappedFile]) -> List[Mapping]:
    """What NT_FILE lists outside every segment."""
    found: List[Mapping] = []
    ends = [span.vaddr + span.memsz for span in spans]
    for file in files:
        at = file.start
        index = bisect_right(ends, at)
        while at < file.end:
            below = spans[index].vaddr if index < len(spans) else file.end
            if at < below:
                found.append(_mapping(at, min(below, file.end), _UNKNOWN, file, 0))
            at = max(at, ends[index]) if index < len(spans) else file.end
            index += 1
    return found


def _mapping(start: int, end: int, permissions: str, file: Optional[MappedFile], dumped: int) -> Mapping:
    if file is None:
        return Mapping(start, end, permissions, None, dumped=dumped)
    return Mapping(start, end, permissions, file.path, file.offset + start - file.start, dumped=dumped)


def _permissions(flags: int) -> str:
    return "".join(c if flags & bit else "-" for c, bit in (("r", PF_R), ("w", PF_W), ("x", PF_X))) + "?"


def _at(mappings: Sequence[Mapping], address: Optional[int]) -> Optional[int]:
    """Index of the mapping that holds `address`."""
    if not address:
        return None
    index = bisect_right([m.start for m in mappings], address) - 1
    return index if index >= 0 and address < mappings[index].end else None


def _executable(mappings: Sequence[Mapping], auxv: Dict[int, int]) -> Optional[str]:
    for key in (AT_PHDR, AT_ENTRY):
        index = _at(mappings, auxv.get(key))
        if index is not None and mappings[index].file is not None:
            return mappings[index].file
    return None


def _image_end(
    stream: IO[bytes], header: Header, segments: Sequence[Segment], auxv: Dict[int, int]
) -> Optional[int]:
    """Where the executable's .bss ends, from its program headers in the dumped memory at AT_PHDR."""
    address, count = auxv.get(AT_PHDR, 0), auxv.get(AT_PHNUM, 0)
    size = count * structs_of(header.pointer_size, header.byte_order).program.size
    for segment in segments:
        if segment.type == PT_LOAD and segment.vaddr <= address < segment.vaddr + segment.filesz:
            if count > 1024 or address + size > segment.vaddr + segment.filesz:
                return None
            place = header._replace(phoff=segment.offset + address - segment.vaddr, phnum=count)
            headers = read_segments(stream, place, "")
            itself = [s.vaddr for s in headers if s.type == PT_PHDR]
            ends = [s.vaddr + s.memsz for s in headers if s.type == PT_LOAD]
            if not itself or not ends or len(headers) < count:
                return None
            return address - itself[0] + max(ends)
    return None


def _name(
    mappings: List[Mapping], auxv: Dict[int, int], executable: Optional[str], bss_end: Optional[int]
) -> List[Mapping]:
    """Give the kernel's names to what the auxiliary vector identifies.

    [stack] holds AT_RANDOM (or AT_EXECFN), [vdso] begins at AT_SYSINFO_EHDR, [vvar] is the read-only
    memory directly below it. [heap] is inferred: the first anonymous read-write mapping past the end of
    the executable's .bss, within 1 GiB of it, before any other file.
    """
    named = list(mappings)

    def name(index: int, text: str) -> None:
        named[index] = named[index]._replace(name=text)

    stack = _at(mappings, auxv.get(AT_RANDOM) or auxv.get(AT_EXECFN))
    if stack is not None and mappings[stack].file is None:
        name(stack, "[stack]")
    vdso = _at(mappings, auxv.get(AT_SYSINFO_EHDR))
    if vdso is not None and mappings[vdso].start == auxv[AT_SYSINFO_EHDR]:
        name(vdso, "[vdso]")
        below = vdso - 1
        while below >= 0 and _is_vvar(mappings[below], mappings[below + 1].start):
            name(below, "[vvar]")
            below -= 1
    if mappings[-1].start >= 1 << 63:
        name(len(mappings) - 1, "[vsyscall]")
    heap = _heap(named, executable, bss_end)
    if heap is not None:
        name(heap, "[heap]")
    return named


def _is_vvar(mapping: Mapping, end: int) -> bool:
    return mapping.end == end and mapping.file is None and mapping.permissions[1:3] == "--"


def _heap(mappings: Sequence[Mapping], executable: Optional[str], bss_end: Optional[int]) -> Optional[int]:
    own = [i for i, m in enumerate(mappings) if executable is not None and m.file == executable]
    if not own:
        return None
    last = own[-1]
    image_end = mappings[last].end
    bss = _is_data(mappings, last + 1) and mappings[last + 1].start == image_end
    if bss_end is not None:
        bss = bss and bss_end > image_end
        image_end = max(image_end, bss_end)
    index = last + 2 if bss else last + 1
    if _is_data(mappings, index) and mappings[index].start - image_end <= _HEAP_DISTANCE:
        return index
    return None


def _is_data(mappings: Sequence[Mapping], index: int) -> bool:
    """Whether there is an anonymous, unnamed read-write mapping at `index`."""
    if index >= len(mappings):
        return False
    mapping = mappings[index]
    return mapping.file is None and not mapping.name and mapping.permissions[:2] == "rw"
