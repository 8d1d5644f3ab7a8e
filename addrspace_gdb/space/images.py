"""What the loaded ELF files claim: sections of the program and its Go modules, segments of libraries."""

from __future__ import annotations

import os
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.debugger.target import ProcFiles
from addrspace_gdb.problems import ProblemError
from addrspace_gdb.process.elf import Image, LoadedImage, image_at, load_bias, read_image
from addrspace_gdb.process.escape import printable
from addrspace_gdb.process.mappings import Mapping, is_anonymous
from addrspace_gdb.space.overlay import normalise, overlay
from addrspace_gdb.space.region import CODE, GLOBALS, SHARED_LIBS, Claim

_SHF_TLS = 0x400
_PF_X, _PF_W = 1, 2
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
    proc: Optional[ProcFiles],
    executable: Optional[str],
    texts: Sequence[int],
    page_size: int,
) -> Loaded:
    """Open every loaded ELF file. `executable` is the program as the debugger knows it (it may have
    another path in the mappings of a core); `texts` are addresses in the Go modules' code."""
    found = Loaded([], [], {}, [])
    by_file = _candidates(mappings)
    main = _main_file(by_file, proc, executable)
    for file, own in by_file.items():
        program = file == main or any(m.start <= text < m.end for m in own for text in texts)
        try:
            image = image_at(file, own, proc, page_size)
        except ProblemError as error:
            image = _given(executable, own, file, page_size) if file == main else None
            if image is None:
                found.notes.append(
                    f"{printable(os.path.basename(file))}: its sections are not known ({error})"
                )
        if image is None and not program and not any("x" in m.permissions for m in own):
            continue
        found.files[file] = "program" if program else "library"
        if image is not None:
            (found.program if program else found.libraries).append(image)
    return found


# What only a file with Go code in it has; with -buildmode=pie and c-shared the table has the longer name.
GO_SECTIONS = (".gopclntab", ".go.buildinfo", ".data.rel.ro.gopclntab")


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
    return [
        f"{count} in the process, in {names}: {its} goroutines and heap are not shown, and {its} memory "
        "counts as foreign"
    ]


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


def _given(executable: Optional[str], own: List[Mapping], file: str, page_size: int) -> Optional[LoadedImage]:
    """The program's image from the file that the debugger was given instead of the recorded one."""
    if executable is None:
        return None
    try:
        image = read_image(executable)
    except ProblemError:
        return None
    bias = load_bias(image, own, file, page_size)
    if bias is None:
        return None
    start, end = _extent(image)
    return LoadedImage(image, bias, bias + start, bias + end)


def _extent(image: Image) -> Tuple[int, int]:
    return (
        min(s.vaddr for s in image.segments),
        max(s.vaddr + s.memsz for s in image.segments),
    )


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
    for section in sections:
        # Go's linker puts the build id's note into the text segment: it counts as code's company there.
        executable = any(start <= section.address < end for start, end in code)
        kind = _KINDS.get(section.name, section.name.lstrip(".") or "section")
        start = loaded.bias + section.address
        yield Claim(start, start + section.size, CODE if executable else GLOBALS, printable(kind))


def _program_segments(loaded: LoadedImage) -> Iterator[Claim]:
    """An image without section headers is described by its segments."""
    for segment in loaded.image.segments:
        area = CODE if segment.flags & _PF_X else GLOBALS
        kind = "text" if segment.flags & _PF_X else "data" if segment.flags & _PF_W else "rodata"
        start = loaded.bias + segment.vaddr
        yield Claim(start, start + segment.memsz, area, kind)


def _segment_claims(loaded: LoadedImage, page_size: int) -> Iterator[Claim]:
    label = printable(os.path.basename(loaded.image.path))
    for segment in loaded.image.segments:
        start = loaded.bias + segment.vaddr
        in_file = start + segment.filesz
        kind = "text" if segment.flags & _PF_X else "data" if segment.flags & _PF_W else "rodata"
        yield Claim(start, in_file, SHARED_LIBS, kind, label)
        if segment.memsz > segment.filesz:
            end = -(-(start + segment.memsz) // page_size) * page_size
            yield Claim(in_file, end, SHARED_LIBS, "bss", label)
