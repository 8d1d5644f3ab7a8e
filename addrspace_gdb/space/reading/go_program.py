"""Is this a Go program whose symbols are here, and is the core one of this very program?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Optional, Sequence

from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.goruntime.buildinfo import parse_version, version_of
from addrspace_gdb.goruntime.symtab import go_minor
from addrspace_gdb.goruntime.versions import NEWEST, OLDEST, unreadable
from addrspace_gdb.space.reading.opening import Opening
from addrspace_gdb.space.reading.other_go import program_image
from addrspace_gdb.target.protocol import Target

if TYPE_CHECKING:  # what is for saying what is wrong is imported there
    from addrspace_gdb.process.elf import Image


def require_go(opening: Opening, other: Optional[str]) -> None:
    """One line unless the runtime can be read. Raises ProblemError. `other` is what `other_go` says."""
    target, core = opening.target, opening.core
    if core is not None and not any(m.dumped > 0 and m.permissions[1] == "w" for m in core.mappings):
        why = f"it is {opening.cut}" if opening.cut else "see coredump_filter"
        raise ProblemError(f"the core holds nothing that the process could write to ({why})")
    if other is not None:
        raise ProblemError(other)
    another = _another(opening)
    if another is not None:
        opening.problems.add(another)
    _hold_runtime(target)
    missing = [name for name in ("runtime.mheap_", "runtime.allgs") if target.symbol(name) is None]
    if missing:
        raise ProblemError(_without_symbols(opening, missing))
    _same_layouts(target)


def _without_symbols(opening: Opening, missing: Sequence[str]) -> str:
    """Why the variables `missing` of the runtime are not known, and what to do."""
    target, core = opening.target, opening.core
    shown = printable(opening.executable or "the program")
    if target.facts.is_go:
        cut = f"; the core is {opening.cut}" if opening.cut else ""
        return f"{shown} is a Go program without symbols, and {_why_not(target, missing)}{cut}"
    image = program_image(opening)
    if image is None or target.executable is None:
        unlisted = "" if opening.mappings or core is not None else " (and its mappings cannot be read)"
        give = f"the debugger has no symbols of {shown}; {target.hints.load_symbols}"
        return f"no symbol {missing[0]}: {give}{unlisted}"
    if _has_go_code(image):
        return (
            f"{shown} is a Go program without symbols, and its module data was not found in memory (a core "
            f"that lacks it, or no access to the mappings); {target.hints.unstripped}"
        )
    return f"{shown} is not a Go program: it has no {missing[0]} and no Go section"


def _has_go_code(image: Image) -> bool:
    from addrspace_gdb.space.regions.image_claims import GO_SECTIONS

    return any(section.name in GO_SECTIONS for section in image.sections)


def _hold_runtime(target: Target) -> None:
    """Raises ProblemError if the core lacks the variables of the runtime."""
    heap = target.symbol("runtime.mheap_")
    try:
        if heap is not None and target.kind == "core":
            target.read(heap.address, max(8, heap.size))
    except UnreadableError as error:
        raise unreadable(error) from None


def _why_not(target: Target, missing: Sequence[str]) -> str:
    """Why the runtime's variables were not found without symbols."""
    from addrspace_gdb.goruntime.layouts import layouts_of

    version = version_of(target)
    give = target.hints.unstripped
    if version is None:
        return f"its Go version is not known; {give}"
    minor = parse_version(version).minor
    if minor is None or minor < OLDEST:
        return f"{printable(version)} is not supported: the layouts are known from go1.{OLDEST} on"
    if layouts_of(version, target.arch)[0] is None:
        return f"no layouts are known for {printable(version)} on {target.arch}; {give}"
    newer = f" ({printable(version)} is newer than the layouts known here)" if minor > NEWEST else ""
    return f"{' and '.join(missing)} cannot be found in it{newer}; {give}"


def _same_layouts(target: Target) -> None:
    minor = go_minor(target)
    if minor is not None and minor < OLDEST:
        raise ProblemError(f"go1.{minor} is not supported: the layouts are known from go1.{OLDEST} on")


def _another(opening: Opening) -> Optional[str]:
    """Why the debugger's program is not the process's or core's. Raises ProblemError if nothing fits."""
    target, core = opening.target, opening.core
    path = target.executable
    if path is None:
        return None
    if core is not None:
        from addrspace_gdb.space.reading.same_build import other_build

        return other_build(path, core, target.read, target.hints)
    proc = target.proc_files()
    if proc is None or not proc.local or _same_file(path, proc.path("exe")):
        return None
    from addrspace_gdb.space.reading.same_build import other_running

    return other_running(path, proc.path("exe"), target.hints)


def _same_file(path: str, other: str) -> bool:
    try:
        return os.path.samefile(path, other)
    except OSError:
        return False
