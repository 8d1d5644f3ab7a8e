"""ELF headers: what the executable and the shared libraries put where, read without reading the files.

Only the file header, the two header tables, the section names and a few notes are read. Layouts are those
in elf_structs.py; pyelftools knows the names of machines and of types of files.
"""

from __future__ import annotations

import io
from typing import IO, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.common.escape import decoded, printable
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.process.elf_notes import iter_notes
from addrspace_gdb.process.elf_structs import (
    IDENT,
    MAGIC,
    PT_DYNAMIC,
    PT_INTERP,
    PT_LOAD,
    PT_NOTE,
    SHF_ALLOC,
    SHF_TLS,
    SHT_NOBITS,
    FileHeader,
    SectionHeader,
    structs_by_ident,
    structs_of,
    whole,
)
from addrspace_gdb.process.regular import open_regular, read_at

_PN_XNUM = 0xFFFF  # the number of program headers is in sh_info of section 0
_NT_GNU_BUILD_ID = 3
_SHT_NOTE = 7
_NT_GO_BUILD_ID = 4  # owner "Go": cmd/link/internal/ld/elf.go
_DT_FLAGS_1, _DF_1_PIE = 0x6FFFFFFB, 0x08000000

_MAX_SEGMENTS = 1 << 20  # vm.max_map_count has been raised to this; a core has one segment a mapping
_MAX_SECTIONS = 1 << 16
_MAX_NAMES = 16 << 20  # bytes of section names
_MAX_SMALL = 1 << 20  # bytes of a note segment, an interpreter path or a dynamic section


class Segment(NamedTuple):
    """A program header."""

    type: int
    flags: int  # PF_R | PF_W | PF_X
    offset: int
    vaddr: int
    filesz: int
    memsz: int


class Section(NamedTuple):
    """A section that occupies memory: SHF_ALLOC, but not .tbss, whose addresses are those of the sections
    behind it. `address` has no load bias."""

    name: str
    address: int
    size: int
    flags: int
    offset: int
    in_file: bool  # False: .bss and its like


class Image(NamedTuple):
    """What the headers of one ELF file say."""

    path: str
    type: str  # "EXEC", "DYN" or "CORE"
    machine: str  # "EM_X86_64" ...
    pointer_size: int
    byte_order: str  # "little" or "big"
    entry: int
    segments: List[Segment]  # PT_LOAD only, in file order
    sections: List[Section]
    build_id: Optional[str]  # GNU build id in hex
    interp: Optional[str]  # the dynamic linker it asks for
    has_dwarf: bool
    has_symtab: bool
    static: bool  # an executable, position-independent or not, that needs no dynamic linker


class Header(NamedTuple):
    """The ELF file header, decoded, with the real number of program headers."""

    type: str
    machine: str
    pointer_size: int
    byte_order: str
    entry: int
    phoff: int
    phnum: int
    shoff: int
    shnum: int
    shstrndx: int


def read_header(stream: IO[bytes], path: str) -> Header:
    """The header of the ELF file in `stream`. Raises ProblemError where it is not one."""
    ident = read_at(stream, 0, IDENT)
    if not ident:
        raise ProblemError(f"{printable(path)} is empty")
    if ident[:4] != MAGIC:
        raise ProblemError(f"{printable(path)} is not an ELF file")
    structs = structs_by_ident(ident)
    if structs is None:
        raise ProblemError(f"{printable(path)} has a damaged ELF header")
    data = read_at(stream, IDENT, structs.file.size)
    if len(data) < structs.file.size:
        raise ProblemError(f"{printable(path)} has a truncated ELF header")
    raw = FileHeader._make(structs.file.unpack(data))
    wrong_segments = raw.phnum and raw.phentsize != structs.program.size
    if wrong_segments or (raw.shnum and raw.shentsize != structs.section.size):
        raise ProblemError(f"{printable(path)} has a damaged ELF header: odd entry sizes")
    header = Header(
        _TYPES.get(raw.type) or _name_of("ENUM_E_TYPE", raw.type).removeprefix("ET_"),
        _GO_MACHINES.get(raw.machine) or _name_of("ENUM_E_MACHINE", raw.machine),
        structs.pointer,
        "little" if structs.order == "<" else "big",
        *(raw.entry, raw.phoff, raw.phnum, raw.shoff, raw.shnum, raw.shstrndx),
    )
    return _with_large_counts(stream, header)


# The usual ones: importing pyelftools' lists takes as long as reading a small process.
_TYPES = {2: "EXEC", 3: "DYN", 4: "CORE"}
_GO_MACHINES = {
    3: "EM_386", 8: "EM_MIPS", 21: "EM_PPC64", 22: "EM_S390", 40: "EM_ARM", 62: "EM_X86_64",
    183: "EM_AARCH64", 243: "EM_RISCV", 258: "EM_LOONGARCH",
}  # fmt: skip


def _name_of(kind: str, number: int) -> str:
    """The name that pyelftools has for a number, the last where it has two; else the number."""
    from elftools.elf import enums

    names: Mapping[str, object] = getattr(enums, kind)
    return {value: name for name, value in names.items()}.get(number, str(number))


def elf_type(path: str) -> Optional[int]:
    """`e_type` of the ELF file at `path` (elf(5)), None if it is not ELF; ProblemError if unreadable."""
    try:
        with open_regular(path) as file:
            head = file.read(IDENT + 4)
    except OSError as error:
        raise ProblemError(f"cannot read {printable(path)}: {error.strerror}") from None
    if len(head) < IDENT + 4 or head[:4] != MAGIC:
        return None
    return int.from_bytes(head[IDENT : IDENT + 2], "big" if head[5] == 2 else "little")


def _with_large_counts(stream: IO[bytes], header: Header) -> Header:
    """Counts that do not fit in the header are in section 0 (gABI, Section Header)."""
    fits = header.phnum != _PN_XNUM and header.shnum != 0 and header.shstrndx != 0xFFFF
    if fits or not header.shoff:
        return header
    for zero in _sections(stream, header, 1):
        header = header._replace(
            phnum=zero.info if header.phnum == _PN_XNUM else header.phnum,
            shnum=header.shnum or zero.size,
            shstrndx=zero.link if header.shstrndx == 0xFFFF else header.shstrndx,
        )
    return header


def read_segments(stream: IO[bytes], header: Header, path: str) -> List[Segment]:
    """Every program header that the file still holds. Raises ProblemError for an impossible count."""
    if header.phnum > _MAX_SEGMENTS:
        raise ProblemError(f"{printable(path)} claims {header.phnum} program headers: damaged")
    structs = structs_of(header.pointer_size, header.byte_order)
    data = read_at(stream, header.phoff, header.phnum * structs.program.size)
    return [Segment(*fields) for fields in structs.segments(data)]


def _sections(stream: IO[bytes], header: Header, count: int) -> Iterator[SectionHeader]:
    """The first `count` section headers, as far as the file has them."""
    structs = structs_of(header.pointer_size, header.byte_order)
    return structs.sections(read_at(stream, header.shoff, count * structs.section.size))


def read_image(path: str, shown: Optional[str] = None) -> Image:
    """The headers of the ELF file at `path`; the image is called `shown` where that is another name.

    Raises ProblemError, one line, where the file cannot be opened or is not a usable ELF file. Section
    headers that are missing (sstrip, a truncated file) leave `sections` empty.
    """
    name = shown if shown is not None else path
    with open_regular(path, name) as stream:
        return image_of(stream, name)


def image_of(stream: IO[bytes], name: str) -> Image:
    """The same of an ELF file that is open."""
    try:
        return _image(stream, read_header(stream, name), name)
    except OSError as error:
        raise ProblemError(f"cannot read {printable(name)}: {error.strerror}") from error


def build_ids(data: bytes) -> List[bytes]:
    """The notes at the beginning of an ELF file that tell builds apart: GNU's build id and Go's own."""
    stream = io.BytesIO(data)
    header = read_header(stream, "")
    found = []
    for segment in read_segments(stream, header, ""):
        if segment.type == PT_NOTE:
            notes = read_at(stream, segment.offset, min(segment.filesz, len(data)))
            for owner, kind, text in iter_notes(notes, header.byte_order):
                if (owner, kind) in ((b"GNU", _NT_GNU_BUILD_ID), (b"Go", _NT_GO_BUILD_ID)):
                    found.append(bytes(text))
    return found


def noted_build_id(path: str) -> str:
    """The GNU build id in the sections of notes of a file, in hex, empty if there is none: Go's own linker
    may name no segment for it. Raises ProblemError and OSError."""
    with open_regular(path) as stream:
        header = read_header(stream, path)
        for section in _sections(stream, header, min(header.shnum, _MAX_SECTIONS)):
            if section.type != _SHT_NOTE:
                continue
            data = read_at(stream, section.offset, min(section.size, _MAX_SMALL))
            for owner, kind, text in iter_notes(data, header.byte_order):
                if owner == b"GNU" and kind == _NT_GNU_BUILD_ID:
                    return bytes(text).hex()
    return ""


def same_segments(image: Image, other: Image) -> bool:
    """Whether two files take the same memory. What strip(1) may change in a file does not count."""
    mine, its = ([(s.vaddr, s.memsz, s.flags) for s in one.segments] for one in (image, other))
    return mine == its


def read_headers(data: bytes, name: str) -> Image:
    """The image called `name` by what is at its beginning, as it lies in memory: no sections are known.

    Raises ProblemError where that is not an ELF file's, or too little.
    """
    stream = io.BytesIO(data)
    header = read_header(stream, name)
    size = structs_of(header.pointer_size, header.byte_order).program.size
    if header.phoff + header.phnum * size > len(data):
        raise ProblemError(f"{printable(name)}: its program headers are not in its first page")
    return _image(stream, header._replace(shoff=0, shnum=0), name)


def _image(stream: IO[bytes], header: Header, name: str) -> Image:
    headers = read_segments(stream, header, name)
    if header.shnum > _MAX_SECTIONS:
        raise ProblemError(f"{printable(name)} claims {header.shnum} sections: damaged")
    names, sections = _named_sections(stream, header)
    interp = _interp(stream, headers)
    return Image(
        path=name,
        type=header.type,
        machine=header.machine,
        pointer_size=header.pointer_size,
        byte_order=header.byte_order,
        entry=header.entry,
        segments=[segment for segment in headers if segment.type == PT_LOAD],
        sections=sections,
        build_id=_build_id(stream, headers, header.byte_order),
        interp=interp,
        has_dwarf=".debug_info" in names or ".zdebug_info" in names,
        has_symtab=".symtab" in names,
        static=interp is None and (header.type == "EXEC" or _is_pie(stream, header, headers)),
    )


def _named_sections(stream: IO[bytes], header: Header) -> Tuple[List[str], List[Section]]:
    """The names of all sections, and those that occupy memory."""
    if not header.shoff:
        return [], []
    raw = list(_sections(stream, header, header.shnum))
    table = b""
    if header.shstrndx < len(raw):
        place = raw[header.shstrndx]
        table = read_at(stream, place.offset, min(place.size, _MAX_NAMES))
    names: List[str] = []
    allocated: List[Section] = []
    for at, kind, flags, address, offset, size, *_ in raw:
        end = table.find(b"\0", at)
        name = decoded(table[at : end if 0 <= end <= at + 4096 else at + 4096])
        names.append(name)
        if flags & SHF_ALLOC and not (flags & SHF_TLS and kind == SHT_NOBITS):
            allocated.append(Section(name, address, size, flags, offset, kind != SHT_NOBITS))
    return names, allocated


def _interp(stream: IO[bytes], headers: Sequence[Segment]) -> Optional[str]:
    for segment in headers:
        if segment.type == PT_INTERP:
            data = read_at(stream, segment.offset, min(segment.filesz, 4096))
            return decoded(data.split(b"\0", 1)[0])
    return None


def _build_id(stream: IO[bytes], headers: Sequence[Segment], byte_order: str) -> Optional[str]:
    for segment in headers:
        if segment.type == PT_NOTE:
            data = read_at(stream, segment.offset, min(segment.filesz, _MAX_SMALL))
            for owner, kind, text in iter_notes(data, byte_order):
                if owner == b"GNU" and kind == _NT_GNU_BUILD_ID:
                    return bytes(text).hex()
    return None


def _is_pie(stream: IO[bytes], header: Header, headers: Sequence[Segment]) -> bool:
    """Whether the dynamic section says DF_1_PIE, as the linker marks executables of type DYN."""
    pair = structs_of(header.pointer_size, header.byte_order).pair
    for segment in headers:
        if segment.type == PT_DYNAMIC:
            data = read_at(stream, segment.offset, min(segment.filesz, _MAX_SMALL))
            for tag, value in whole(pair, data):
                if tag == _DT_FLAGS_1:
                    return bool(value & _DF_1_PIE)
    return False
