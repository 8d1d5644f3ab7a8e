"""Go programs whose runtime is another one, or disguised: of them can be told what the kernel tells."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Optional

from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.goruntime.pclntab import MAGICS
from addrspace_gdb.process.regular import open_regular

if TYPE_CHECKING:
    from addrspace_gdb.process.elf import Image, Section
    from addrspace_gdb.space.reading.opening import Opening

# Functions that only these runtimes have: libgo's go-go.c, TinyGo's src/internal/task and src/runtime.
_MARKS = {
    "__go_go": "gccgo",
    "tinygo_startTask": "TinyGo",
    "tinygo_scanCurrentStack": "TinyGo",
    "tinygo_rewind": "TinyGo",
}
# Of Go 1.2 to 1.15 and of 1.16 and 1.17: those are too old, and not obfuscated (debug/gosym).
_OLD_MAGICS = (0xFFFFFFFB, 0xFFFFFFFA)
_SHOWN = "of it only mappings and resident bytes can be shown, by addrspace, regions and rss"
_TABLES = (".gopclntab", ".data.rel.ro.gopclntab")


def other_go(opening: Opening) -> Optional[str]:
    """What kind of Go program it is, and what follows; None if it may be one of the usual kind."""
    target = opening.target
    shown = printable(opening.executable or "the program")
    built = _built_by(opening)  # first: gccgo's runtime has an mheap_ too
    if built is not None:
        return f"{shown} was built by {built}, which has a runtime of its own: {_SHOWN}"
    magic = _unknown_magic(opening) if target.symbol("runtime.mheap_") is None else None
    if magic is None:
        return None
    return (
        f"{shown} is obfuscated: its function table has the unknown magic {magic:#010x}, as garble makes it; "
        + _SHOWN
    )


def _built_by(opening: Opening) -> Optional[str]:
    target = opening.target
    for mapping in opening.mappings:
        name = os.path.basename(mapping.file or "")
        if name.startswith("libgo.so"):
            return f"gccgo ({printable(name)})"
    return next((kind for name, kind in _MARKS.items() if target.symbol(name) is not None), None)


def _unknown_magic(opening: Opening) -> Optional[int]:
    """The first word of the program's function table, if no release of Go writes it."""
    image = program_image(opening)
    section = _table(image) if image is not None else None
    if image is None or section is None or section.size < 4 or not section.in_file:
        return None
    try:
        with open_regular(image.path) as file:
            file.seek(section.offset)
            first = file.read(4)
    except (OSError, ProblemError):
        return None
    magic = int.from_bytes(first, "little" if image.byte_order == "little" else "big")
    return magic if len(first) == 4 and magic not in (*MAGICS, *_OLD_MAGICS) else None


def _table(image: Image) -> Optional[Section]:
    return next((section for section in image.sections if section.name in _TABLES), None)


def program_image(opening: Opening) -> Optional[Image]:
    """The program's file, as the debugger, the process or the core names it."""
    from addrspace_gdb.process.elf import read_image
    from addrspace_gdb.process.loaded import open_path

    core = opening.core
    names = [opening.target.executable, core.executable if core is not None else None]
    paths = [name for name in names if name]
    mapped = next((m for m in opening.mappings if m.file is not None and m.file in names), None)
    if mapped is not None:
        paths.append(open_path(opening.proc, mapped))
    for path in paths:
        try:
            return read_image(path)
        except ProblemError:
            continue
    return None
