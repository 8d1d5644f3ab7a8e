"""Whether a file is the program that a core is of."""

from __future__ import annotations

from typing import Callable, Optional

from addrspace_gdb.problems import ProblemError, UnreadableError
from addrspace_gdb.process.corefile import Core
from addrspace_gdb.process.corenotes import AT_ENTRY
from addrspace_gdb.process.elf import build_ids, load_bias, read_headers, read_image, same_segments
from addrspace_gdb.process.escape import printable


def other_build(path: str, core: Core, read: Callable[[int, int], bytes]) -> Optional[str]:
    """Why the file at `path` is not the program that made the core, None if it is or cannot be told.

    By the build ids in the first page of the program, which the kernel puts into a core (strip(1) leaves
    them as they are); where the core lacks it, by where the segments and the entry point lie. Raises
    ProblemError if the two have nothing to do with each other.
    """
    try:
        image = read_image(path)
        with open(path, "rb") as file:
            head = file.read(core.page_size)
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
        bias = load_bias(image, own, core.executable, core.page_size) if own else 0
        entry = core.auxv.get(AT_ENTRY)
        if bias is None or (own and entry is not None and entry != image.entry + bias):
            raise ProblemError(f"{another}; give the right one with `file FILE`") from None
        return None
    if not same_segments(image, in_core):
        raise ProblemError(f"{another}; give the right one with `file FILE`")
    return (
        None
        if build_ids(head) == build_ids(page)
        else f"{another}: names, lines and code may be those of another program"
    )
