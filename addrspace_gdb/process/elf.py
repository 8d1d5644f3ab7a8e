"""ELF headers: what the executable and the shared libraries put where, read without reading the files.

Only the file header, the two header tables, the section names and a few notes are read. Layouts are those
of the ELF specification (gABI) and include/uapi/linux/elf.h; pyelftools decodes the file header.
"""

from __future__ import annotations

import io
import struct
from typing import IO, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.common.escape import decoded, printable
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.process.elf_notes import iter_notes
from addrspace_gdb.process.regular import open_regular, read_at

PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE, PT_PHDR = 1, 2, 3, 4, 6
PF_X, PF_W, PF_R = 1, 2, 4
_PN_XNUM = 0xFFFF  # the number of program headers is in sh_info of section 0
_SHF_ALLOC, _SHF_TLS, _SHT_NOBITS = 2, 0x400, 8
_NT_GNU_BUILD_ID = 3
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
    from elftools.elf.structs import ELFStructs  # imported late: it costs 25 ms

    ident = read_at(stream, 0, 16)
    if not ident:
        raise ProblemError(f"{printable(path)} is empty")
    if ident[:4] != b"\x7fELF":
        raise ProblemError(f"{printable(path)} is not an ELF file")
    if len(ident) < 16 or ident[4] not in (1, 2) or ident[5] not in (1, 2):
        raise ProblemError(f"{printable(path)} has a damaged ELF header")
    structs = ELFStructs(little_endian=ident[5] == 1, elfclass=32 * ident[4])
    structs.create_basic_structs()
    try:
        raw = structs.Elf_Ehdr.parse(read_at(stream, 0, 64))
    except Exception as error:  # construct raises many kinds; whatever it is, the file is no good
        raise ProblemError(f"{printable(path)} has a truncated ELF header") from error
    pointer = 4 * ident[4]
    order = "little" if ident[5] == 1 else "big"
    wrong_segments = raw.e_phnum and raw.e_phentsize != _PHDR[pointer][1]
    if wrong_segments or (raw.e_shnum and raw.e_shentsize != _SHDR[pointer]):
        raise ProblemError(f"{printable(path)} has a damaged ELF header: odd entry sizes")
    kind = str(raw.e_type)
    header = Header(
        kind[3:] if kind.startswith("ET_") else kind,
        str(raw.e_machine),
        pointer,
        order,
        *(int(raw[name]) for name in ("e_entry", "e_phoff", "e_phnum", "e_shoff", "e_shnum", "e_shstrndx")),
    )
    return _with_large_counts(stream, header)


def _with_large_counts(stream: IO[bytes], header: Header) -> Header:
    """Counts that do not fit in the header are in section 0 (gABI, Section Header)."""
    fits = header.phnum != _PN_XNUM and header.shnum != 0 and header.shstrndx != 0xFFFF
    if fits or not header.shoff:
        return header
    for zero in _sections(stream, header.pointer_size, header.byte_order, header.shoff, 1):
        header = header._replace(
            phnum=zero[7] if header.phnum == _PN_XNUM else header.phnum,
            shnum=header.shnum or zero[5],
            shstrndx=zero[6] if header.shstrndx == 0xFFFF else header.shstrndx,
        )
    return header


# Elf32_Phdr and Elf64_Phdr order their fields differently: format, size, and where each field is.
_PHDR: Dict[int, Tuple[str, int, Tuple[int, ...]]] = {
    4: ("8I", 32, (0, 6, 1, 2, 4, 5)),
    8: ("2I6Q", 56, (0, 1, 2, 3, 5, 6)),
}
_SHDR = {4: 40, 8: 64}


def read_segments(stream: IO[bytes], header: Header, path: str) -> List[Segment]:
    """Every program header that the file still holds. Raises ProblemError for an impossible count."""
    if header.phnum > _MAX_SEGMENTS:
        raise ProblemError(f"{printable(path)} claims {header.phnum} program headers: damaged")
    layout, size, order = _PHDR[header.pointer_size]
    data = read_at(stream, header.phoff, header.phnum * size)
    entry = struct.Struct(("<" if header.byte_order == "little" else ">") + layout)
    whole = data[: len(data) // size * size]
    return [Segment(*(fields[i] for i in order)) for fields in entry.iter_unpack(whole)]


def _sections(
    stream: IO[bytes], pointer: int, order: str, offset: int, count: int
) -> Iterator[Tuple[int, int, int, int, int, int, int, int]]:
    """(name, type, flags, address, offset, size, link, info) of each section header in the file."""
    entry = struct.Struct(("<" if order == "little" else ">") + ("2I4Q2I2Q" if pointer == 8 else "10I"))
    data = read_at(stream, offset, count * entry.size)
    for fields in entry.iter_unpack(data[: len(data) // entry.size * entry.size]):
        yield fields[:8]


def read_image(path: str, shown: Optional[str] = None) -> Image:
    """The headers of the ELF file at `path`; the image is called `shown` where that is another name.

    Raises ProblemError, one line, where the file cannot be opened or is not a usable ELF file. Section
    headers that are missing (sstrip, a truncated file) leave `sections` empty.
    """
    name = shown if shown is not None else path
    with open_regular(path, name) as stream:
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
            for owner, kind, text in iter_notes(
                read_at(stream, segment.offset, segment.filesz), header.byte_order
            ):
                if (owner, kind) in ((b"GNU", _NT_GNU_BUILD_ID), (b"Go", _NT_GO_BUILD_ID)):
                    found.append(bytes(text))
    return found


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
    if header.phoff + header.phnum * _PHDR[header.pointer_size][1] > len(data):
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
    raw = list(_sections(stream, header.pointer_size, header.byte_order, header.shoff, header.shnum))
    table = b""
    if header.shstrndx < len(raw):
        place = raw[header.shstrndx]
        table = read_at(stream, place[4], min(place[5], _MAX_NAMES))
    names: List[str] = []
    allocated: List[Section] = []
    for at, kind, flags, address, offset, size, _link, _info in raw:
        end = table.find(b"\0", at)
        name = decoded(table[at : end if 0 <= end <= at + 4096 else at + 4096])
        names.append(name)
        if flags & _SHF_ALLOC and not (flags & _SHF_TLS and kind == _SHT_NOBITS):
            allocated.append(Section(name, address, size, flags, offset, kind != _SHT_NOBITS))
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
    pair = struct.Struct(
        ("<" if header.byte_order == "little" else ">") + ("2Q" if header.pointer_size == 8 else "2I")
    )
    for segment in headers:
        if segment.type == PT_DYNAMIC:
            data = read_at(stream, segment.offset, min(segment.filesz, _MAX_SMALL))
            for tag, value in pair.iter_unpack(data[: len(data) // pair.size * pair.size]):
                if tag == _DT_FLAGS_1:
                    return bool(value & _DF_1_PIE)
    return False
