"""Is this a Go program whose symbols are here, and is the core one of this very program?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, List, Optional, Sequence

from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError, Problems, UnreadableError
from addrspace_gdb.goruntime.buildinfo import parse_version, version_of
from addrspace_gdb.goruntime.symtab import go_minor
from addrspace_gdb.goruntime.versions import NEWEST, OLDEST
from addrspace_gdb.process.mappings import Mapping
from addrspace_gdb.space.regions.model import TargetInfo
from addrspace_gdb.target.protocol import MapsFiles, ProcFiles, Target

if TYPE_CHECKING:  # what is for cores, or for saying what is wrong, is imported there
    from addrspace_gdb.process.corefile import Core
    from addrspace_gdb.process.elf import Image


def require_go(
    target: Target,
    core: Optional[Core],
    mappings: Sequence[Mapping],
    proc: Optional[ProcFiles],
    problems: Problems,
) -> None:
    """Stop with one line unless the runtime can be read. Raises ProblemError."""
    if core is not None and not any(m.dumped > 0 and m.permissions[1] == "w" for m in core.mappings):
        cut = (
            f"it is truncated: {core.missing:,} bytes of it are missing"
            if core.missing
            else "see coredump_filter"
        )
        raise ProblemError(f"the core holds nothing that the process could write to ({cut})")
    another = _another(target, core, proc)
    if another is not None:
        problems.add(another)
    _hold_runtime(target)
    missing = [name for name in ("runtime.mheap_", "runtime.allgs") if target.symbol(name) is None]
    if not missing:
        _same_layouts(target)
        return
    name = target.executable or (core.executable if core is not None else None) or "the program"
    shown = printable(name)
    if target.facts.is_go:
        cut = (
            f"; the core is truncated: {core.missing:,} bytes of it are missing"
            if core and core.missing
            else ""
        )
        raise ProblemError(f"{shown} is a Go program without symbols, and {_why_not(target, missing)}{cut}")
    image = _image(target, core, mappings, proc)
    if image is None or target.executable is None:
        raise ProblemError(
            f"no symbol {missing[0]}: the debugger has no symbols of {shown}; {target.hints.load_symbols}"
            + ("" if mappings or core is not None else " (and its mappings cannot be read)")
        )
    if _has_go_code(image):
        raise ProblemError(
            f"{shown} is a Go program without symbols, and its module data was not found in memory (a core "
            f"that lacks it, or no access to the mappings); {target.hints.unstripped}"
        )
    raise ProblemError(f"{shown} is not a Go program: it has no {missing[0]} and no Go section")


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
        raise ProblemError(f"the Go runtime's own variables: {error}{error.hint}") from None


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


def circumstance_notes(target: Target) -> List[str]:
    """Notes for a Go newer than any whose source was read, for a replayed recording, and for files that could
    not be read in place of memory."""
    replayed = "a recording is replayed: memory is that of then, mappings and resident bytes are those of now"
    notes = [*([replayed] if target.facts.replaying else []), *_version_notes(target)]
    backed = target.file_backed() if isinstance(target, MapsFiles) else None
    return notes + (backed.notes if backed is not None else [])


def _version_notes(target: Target) -> List[str]:
    minor = go_minor(target)
    if target.facts.guessed:
        return [
            f"go1.{minor} is newer than go1.{NEWEST}, whose layouts are used as a guess for want of DWARF; "
            "what could be verified fits"
        ]
    if minor is not None and minor > NEWEST:
        return [f"go1.{minor} is newer than go1.{NEWEST}, the last one this was made for; check with --check"]
    return []


def _another(target: Target, core: Optional[Core], proc: Optional[ProcFiles]) -> Optional[str]:
    """Why the debugger's program is not the process's or core's. Raises ProblemError if nothing fits."""
    path = target.executable
    if path is None:
        return None
    if core is not None:
        from addrspace_gdb.space.reading.same_build import other_build

        return other_build(path, core, target.read, target.hints)
    if proc is None or not proc.local or _same_file(path, proc.path("exe")):
        return None
    from addrspace_gdb.space.reading.same_build import other_running

    return other_running(path, proc.path("exe"), target.hints)


def _same_file(path: str, other: str) -> bool:
    try:
        return os.path.samefile(path, other)
    except OSError:
        return False


def _image(
    target: Target, core: Optional[Core], mappings: Sequence[Mapping], proc: Optional[ProcFiles]
) -> Optional[Image]:
    """The program's file, as the debugger, the process or the core names it."""
    from addrspace_gdb.process.elf import read_image
    from addrspace_gdb.process.loaded import open_path

    names = [target.executable, core.executable if core is not None else None]
    paths = [name for name in names if name]
    paths += [open_path(proc, m) for m in mappings if m.file is not None and m.file in names][:1]
    for path in paths:
        try:
            return read_image(path)
        except ProblemError:
            continue
    return None


def target_info(target: Target, core: Optional[Core], version: Optional[str], page_size: int) -> TargetInfo:
    """What was looked at; a core knows its pid and program better than the debugger."""
    pid = core.pid if core is not None and core.pid else target.pid
    executable = target.executable or (core.executable if core is not None else None)
    return TargetInfo(
        target.kind,
        pid,
        executable,
        target.facts.core_name,
        target.arch,
        target.pointer_size,
        page_size,
        version,
    )
