"""The mappings that the kernel makes of a program's segments, for targets that do not list them."""

from __future__ import annotations

from typing import Dict, Iterator, List, Sequence

from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.process.corenotes import AT_ENTRY, MappedFile
from addrspace_gdb.process.elf import Segment, read_image
from addrspace_gdb.process.elf_structs import PF_R, PF_W, PF_X
from addrspace_gdb.process.mappings import Mapping


def program_files(
    machine: str, pointer_size: int, auxv: Dict[int, int], page_size: int, program: str
) -> List[MappedFile]:
    """What of the executable `program` is mapped in a process of that machine; empty if that is not known."""
    try:
        image = read_image(program)
    except ProblemError:
        return []
    if image.pointer_size != pointer_size or image.machine != machine:
        return []
    bias = auxv[AT_ENTRY] - image.entry if AT_ENTRY in auxv else 0
    if bias < 0 or (image.type == "EXEC" and bias):
        return []
    found = pieces(image.segments, bias, page_size, program)
    return [MappedFile(p.start, p.end, p.offset, program) for p in found if p.file is not None]


def pieces(segments: Sequence[Segment], bias: int, page: int, name: str) -> Iterator[Mapping]:
    """The mappings that a kernel makes of segments: a part of the file, then anonymous memory for .bss."""
    done = 0
    for segment in sorted(segments, key=lambda s: s.vaddr):
        start = max((bias + segment.vaddr) // page * page, done)
        in_file = max(-(-(bias + segment.vaddr + segment.filesz) // page) * page, start)
        end = max(-(-(bias + segment.vaddr + segment.memsz) // page) * page, in_file)
        offset = segment.offset - (bias + segment.vaddr - start)
        flags = segment.flags
        access = "".join(c if flags & bit else "-" for c, bit in (("r", PF_R), ("w", PF_W), ("x", PF_X)))
        if segment.filesz and start < in_file and offset >= 0:
            yield Mapping(start, in_file, access + "?", name, offset)
        else:
            in_file = start
        if in_file < end:
            yield Mapping(in_file, end, access + "?", None)
        done = max(done, end)
