"""Is the file that the debugger was given the program that runs, or that made the core, to the build?"""

from __future__ import annotations

from typing import Callable, Optional, Sequence

from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.process.corefile import Core
from addrspace_gdb.process.corenotes import AT_ENTRY
from addrspace_gdb.process.elf import (
    Image,
    build_ids,
    read_headers,
    read_image,
    same_segments,
)
from addrspace_gdb.process.loaded import load_bias
from addrspace_gdb.process.mappings import Mapping
from addrspace_gdb.process.regular import open_regular, read_at
from addrspace_gdb.target.hints import Hints

_HEADER = 4096  # bytes at the beginning of a program: its headers, and the notes with its build ids
_MAX_COMPARED = 1 << 20  # bytes of read-only data
_MAX_CODE, _PIECE = 1 << 30, 1 << 20  # bytes that are compared, and at once
_MAY_BE_WRONG = "names, lines and code may be those of another program"


def other_build(path: str, core: Core, read: Callable[[int, int], bytes], hints: Hints) -> Optional[str]:
    """Why the file at `path` is not the program that made the core, None if it is or cannot be told.

    By the build ids in the first page of the program, which the kernel puts into a core (strip(1) leaves
    them as they are); where the core lacks it, by where the segments and the entry point lie. Raises
    ProblemError if the two have nothing to do with each other.
    """
    try:
        image = read_image(path)
        with open_regular(path) as file:
            head = read_at(file, 0, core.page_size)
    except (ProblemError, OSError):
        return None
    own = [m for m in core.mappings if m.file is not None and m.file == core.executable]
    another = (
        f"{printable(path)} is not the program that made this core (another build of "
        f"{printable(core.executable or '')}?)"
    )
    first = next((m for m in own if m.offset == 0), None)
    try:
        page = read(first.start, core.page_size) if first is not None and first.dumped >= len(head) else b""
        in_core = read_headers(page, path)
    except (ProblemError, UnreadableError):
        if not _same_readonly(path, own, read):
            raise ProblemError(f"{another}; {hints.right_program()}") from None
        bias = load_bias(image, own, core.executable, core.page_size) if own else 0
        entry = core.auxv.get(AT_ENTRY)
        if bias is None or (own and entry is not None and entry != image.entry + bias):
            raise ProblemError(f"{another}; {hints.right_program()}") from None
        return None
    if not same_segments(image, in_core):
        raise ProblemError(f"{another}; {hints.right_program()}")
    return None if build_ids(head) == build_ids(page) else f"{another}: {_MAY_BE_WRONG}"


def _same_readonly(path: str, own: Sequence[Mapping], read: Callable[[int, int], bytes]) -> bool:
    """Whether read-only parts that the core holds are those of the file; True if it holds none.

    Cores that qemu writes leave out a program's header.
    """
    held = next((m for m in own if m.dumped >= _HEADER and "w" not in m.permissions), None)
    if held is None:
        return True
    size = min(held.dumped, _MAX_COMPARED)
    try:
        with open_regular(path) as file:
            return read_at(file, held.offset, size) == read(held.start, size)
    except (OSError, ProblemError, UnreadableError):
        return True


def other_running(path: str, exe: str, hints: Hints) -> Optional[str]:
    """As `other_build`, for /proc/PID/exe, another file than `path`: by the two files, for memory that is
    read gets resident."""
    try:
        image, running = read_image(path), read_image(exe)
        if _same_code(path, image, exe, running):
            return None  # what was stripped, or linked with `-s -w`, differs in all else
    except (ProblemError, OSError):
        return None
    another = f"{printable(path)} is not the program that runs in this process (another build of it?)"
    if not same_segments(image, running):
        raise ProblemError(f"{another}; {hints.right_program(exe)}")
    return f"{another}: {_MAY_BE_WRONG}"


def _same_code(path: str, image: Image, exe: str, running: Image) -> bool:
    """Whether both files have the same instructions at the same addresses. Raises OSError, ProblemError."""
    mine, its = (next((s for s in one.sections if s.name == ".text"), None) for one in (image, running))
    if mine is None or its is None or (mine.address, mine.size) != (its.address, its.size):
        return False
    with open_regular(path) as file, open_regular(exe) as other:
        for at in range(0, min(mine.size, _MAX_CODE), _PIECE):
            size = min(_PIECE, mine.size - at)
            piece = read_at(file, mine.offset + at, size)
            if piece != read_at(other, its.offset + at, size):
                return False
            if len(piece) < size:
                break  # both end early
    return True
