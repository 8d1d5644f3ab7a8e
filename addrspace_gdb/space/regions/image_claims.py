"""What the loaded ELF files claim: sections of the program and its Go modules, segments of libraries."""

from __future__ import annotations

import os
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.goruntime.moduledata import Module
from addrspace_gdb.process.corefile import Core
from addrspace_gdb.process.elf import (
    Image,
    Section,
    Segment,
    read_headers,
    read_image,
    same_segments,
)
from addrspace_gdb.process.loaded import LoadedImage, image_at, loaded_at
from addrspace_gdb.process.mappings import Mapping, is_anonymous
from addrspace_gdb.space.regions.overlay import normalise, overlay
from addrspace_gdb.space.regions.region import CODE, GLOBALS, SHARED_LIBS, Claim
from addrspace_gdb.target.protocol import ProcFiles, Target

_SHF_ALLOC, _SHF_EXECINSTR, _SHF_TLS = 2, 4, 0x400
_PF_X, _PF_W = 1, 2
# What only a file with Go code in it has; with -buildmode=pie and c-shared the table has the longer name.
GO_SECTIONS = (".gopclntab", ".go.buildinfo", ".data.rel.ro.gopclntab")
PADDING = "padding"  # between sections, and from the last one to the end of its page

# Section names of a Go image and what they hold (cmd/link/internal/ld/data.go). Go 1.26 added .go.module,
# 1.27 .go.type and .go.func.
_KINDS = {
    ".typelink": "types",
    ".go.type": "types",
    ".itablink": "itabs",
    ".gopclntab": "pclntab",
    ".go.func": "func data",
    ".go.module": "module data",
    ".go.buildinfo": "build info",
}


class Loaded(NamedTuple):
    """The files that were loaded as code, by what they are to the process."""

    program: List[LoadedImage]  # the executable and every Go module
    libraries: List[LoadedImage]
    files: Dict[str, str]  # name in the mappings to "program" or "library"
    notes: List[str]  # files whose sections are not known, and why


def find_images(
    mappings: Sequence[Mapping],
    target: Target,
    core: Optional[Core],
    modules: Sequence[Module],
    page_size: int,
) -> Loaded:
    """Every loaded ELF file, by the file itself or by its headers in memory.

    The program may have another path in the mappings of a core than the debugger has it from, and the files
    that a core names may be others on this machine: its memory goes before them.
    """
    found = Loaded([], [], {}, [])
    by_file = _candidates(mappings)
    proc = target.proc_files()
    main = core.executable if core is not None else _main_file(by_file, proc, target.executable)
    for file, own in by_file.items():
        of_file = [module for module in modules if any(m.start <= module["text"] < m.end for m in own)]
        program = file == main or bool(of_file)
        in_memory = _in_memory(target, own, file, page_size)
        image, problem = None, ""
        if core is None or in_memory is None or program:
            given = target.executable if core is not None and file == main else None
            image, problem = _of_file(file, own, proc, given, in_memory, page_size)
        if image is None and in_memory is not None:
            image = _with_sections(in_memory, of_file) if program else in_memory
        if problem and (image is None or program):
            found.notes.append(f"{printable(os.path.basename(file))}: its sections are not known ({problem})")
        if image is None and not program and not any("x" in m.permissions for m in own):
            continue
        found.files[file] = "program" if program else "library"
        if image is not None:
            (found.program if program else found.libraries).append(image)
    return found


def _in_memory(target: Target, own: List[Mapping], file: str, page_size: int) -> Optional[LoadedImage]:
    """What the first page of the file says, where that is mapped and can be read."""
    first = next((m for m in own if m.offset == 0), None)
    if first is None:
        return None
    try:
        return loaded_at(read_headers(target.read(first.start, page_size), file), own, file, page_size)
    except (ProblemError, UnreadableError):
        return None


def _of_file(
    file: str,
    own: List[Mapping],
    proc: Optional[ProcFiles],
    given: Optional[str],
    in_memory: Optional[LoadedImage],
    page_size: int,
) -> Tuple[Optional[LoadedImage], str]:
    """The image by the file `given` or by the one that is mapped, and why not: it may be another by now."""
    problem = ""
    for path in filter(None, (given, file)):
        try:
            if path == file:
                image = image_at(file, own, proc, page_size)
            else:
                image = loaded_at(read_image(path, file), own, file, page_size)
        except ProblemError as error:
            problem = str(error)
            continue
        if image is None or in_memory is None or _same(image.image, in_memory.image):
            return image, ""
        problem = f"{printable(path)} is another file by now"
    return None, problem


def _same(image: Image, other: Image) -> bool:
    return same_segments(image, other) and image.build_id == other.build_id


# What a module says of itself, by the names of the sections: first address, and the one behind the last.
_OF_MODULE = (
    (".text", "text", "etext"),
    (".noptrdata", "noptrdata", "enoptrdata"),
    (".data", "data", "edata"),
    (".bss", "bss", "ebss"),
    (".noptrbss", "noptrbss", "enoptrbss"),
)


def _with_sections(loaded: LoadedImage, modules: Sequence[Module]) -> LoadedImage:
    """The image with what its modules tell of their sections; the rest of a segment counts as one."""
    known = sorted(
        (module[start] - loaded.bias, module[end] - loaded.bias, name)
        for module in modules
        for name, start, end in _OF_MODULE
        if module[start] < module[end]
    )
    sections: List[Section] = []
    for segment in loaded.image.segments:
        at, stop = segment.vaddr, segment.vaddr + segment.memsz
        for start, end, name in [k for k in known if at <= k[0] and k[1] <= stop] + [(stop, stop, "")]:
            if at < start:
                sections.append(Section(_kind_of(segment), at, start - at, _SHF_ALLOC, 0, True))
            if max(at, start) < end:
                sections.append(Section(name, max(at, start), end - max(at, start), _SHF_ALLOC, 0, True))
            at = max(at, end)
    return loaded._replace(image=loaded.image._replace(sections=sections))


def _kind_of(segment: Segment) -> str:
    return "text" if segment.flags & _PF_X else "data" if segment.flags & _PF_W else "rodata"


def other_runtimes(loaded: Loaded) -> List[str]:
    """A note if Go code was loaded that is no module of the runtime that is shown: it has its own."""
    others = [i.image for i in loaded.libraries if any(s.name in GO_SECTIONS for s in i.image.sections)]
    if not others:
        return []
    names = ", ".join(printable(os.path.basename(image.path)) for image in others)
    count, its = (
        ("1 more Go runtime is", "its")
        if len(others) == 1
        else (f"{len(others)} more Go runtimes are", "their")
    )
    what = f"{count} in the process, in {names}: {its} goroutines and heap are not shown"
    return [f"{what}, and {its} memory counts as foreign"]


def anonymous_tails(loaded: Loaded, page_size: int) -> List[Tuple[int, int]]:
    """The whole pages of each image's bss, which no file is behind: the kernel merges what is mapped beside
    them with them."""
    found = []
    for image in loaded.program + loaded.libraries:
        for segment in image.image.segments:
            ends = (image.bias + segment.vaddr + size for size in (segment.filesz, segment.memsz))
            low, high = (-(-end // page_size) * page_size for end in ends)
            if low < high:
                found.append((low, high))
    return found


def _candidates(mappings: Sequence[Mapping]) -> Dict[str, List[Mapping]]:
    """Mappings by file, for files with executable mappings (in a core permissions may be unknown)."""
    by_file: Dict[str, List[Mapping]] = {}
    for mapping in mappings:
        if mapping.file is not None and not is_anonymous(mapping):
            by_file.setdefault(mapping.file, []).append(mapping)
    return {
        file: own
        for file, own in by_file.items()
        if any("x" in m.permissions for m in own)
        or (any("?" in m.permissions[:3] for m in own) and any(m.offset == 0 for m in own))
    }


def _main_file(
    by_file: Dict[str, List[Mapping]], proc: Optional[ProcFiles], executable: Optional[str]
) -> Optional[str]:
    """The program's name in the mappings: /proc/PID/exe, else the debugger's path or its last part."""
    if proc is not None and proc.local:
        try:
            exe = os.readlink(proc.path("exe"))
            if exe in by_file:
                return exe
        except OSError:
            pass
    if executable is None:
        return None
    if executable in by_file:
        return executable
    base = os.path.basename(executable)
    return next((file for file in by_file if os.path.basename(file) == base), None)


def image_claims(loaded: Loaded, page_size: int) -> List[Claim]:
    """Claims of every image: sections of the program over its whole pages, segments of libraries."""
    pages = normalise(c for image in loaded.program for c in _page_claims(image, page_size))
    sections = normalise(c for image in loaded.program for c in _section_claims(image))
    libraries = normalise(c for image in loaded.libraries for c in _segment_claims(image, page_size))
    return overlay(libraries, overlay(pages, sections))


def _page_claims(loaded: LoadedImage, page_size: int) -> Iterator[Claim]:
    """Whole pages of each segment: what lies between sections and up to the end of the last page."""
    for segment in loaded.image.segments:
        start = loaded.bias + segment.vaddr
        end = start + segment.memsz
        area = CODE if segment.flags & _PF_X else GLOBALS
        yield Claim(start // page_size * page_size, -(-end // page_size) * page_size, area, PADDING)


def _section_claims(loaded: LoadedImage) -> Iterator[Claim]:
    sections = [s for s in loaded.image.sections if s.size and not s.flags & _SHF_TLS and s.address]
    if not sections:
        yield from _program_segments(loaded)
    code = [(s.vaddr, s.vaddr + s.memsz) for s in loaded.image.segments if s.flags & _PF_X]
    first = min((s.address for s in sections if s.flags & _SHF_EXECINSTR), default=1 << 64)
    for section in sections:
        # Notes and the like before the instructions of a text segment count as their company. Constants that
        # gold and older linkers put behind them do not.
        executable = any(start <= section.address < end for start, end in code)
        executable = executable and (section.address < first or bool(section.flags & _SHF_EXECINSTR))
        kind = _KINDS.get(section.name, section.name.lstrip(".") or "section")
        start = loaded.bias + section.address
        yield Claim(start, start + section.size, CODE if executable else GLOBALS, printable(kind))


def _program_segments(loaded: LoadedImage) -> Iterator[Claim]:
    """An image without section headers is described by its segments."""
    for segment in loaded.image.segments:
        area = CODE if segment.flags & _PF_X else GLOBALS
        start = loaded.bias + segment.vaddr
        yield Claim(start, start + segment.memsz, area, _kind_of(segment))


def _segment_claims(loaded: LoadedImage, page_size: int) -> Iterator[Claim]:
    label = printable(os.path.basename(loaded.image.path))
    for segment in loaded.image.segments:
        start = loaded.bias + segment.vaddr
        in_file = start + segment.filesz
        yield Claim(start, in_file, SHARED_LIBS, _kind_of(segment), label)
        if segment.memsz > segment.filesz:
            end = -(-(start + segment.memsz) // page_size) * page_size
            yield Claim(in_file, end, SHARED_LIBS, "bss", label)
