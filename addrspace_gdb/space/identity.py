"""Is this a Go program whose symbols are here, and is the core one of this very program?"""

from __future__ import annotations

from typing import List, Optional, Sequence

from addrspace_gdb.debugger.target import ProcFiles, Target
from addrspace_gdb.goruntime.buildinfo import version_of
from addrspace_gdb.goruntime.layouts import layouts_of, parse_version
from addrspace_gdb.goruntime.symtab import go_minor
from addrspace_gdb.problems import ProblemError, UnreadableError
from addrspace_gdb.process.corefile import Core
from addrspace_gdb.process.elf import Image, open_path, read_image
from addrspace_gdb.process.escape import printable
from addrspace_gdb.process.mappings import Mapping
from addrspace_gdb.space.images import GO_SECTIONS
from addrspace_gdb.space.model import TargetInfo

OLDEST, NEWEST = 19, 27  # Go 1.N that the layouts were read for
_HEADER = 4096  # the first page: ELF header, program headers, and Go's build id


def require_go(
    target: Target, core: Optional[Core], mappings: Sequence[Mapping], proc: Optional[ProcFiles]
) -> None:
    """Stop with one line unless the runtime can be read. Raises ProblemError."""
    if core is not None:
        _same_program(target, core)
    missing = [name for name in ("runtime.mheap_", "runtime.allgs") if target.symbol(name) is None]
    if not missing:
        _same_layouts(target)
        return
    name = target.executable or (core.executable if core is not None else None) or "the program"
    shown = printable(name)
    if getattr(target, "is_go", False):
        raise ProblemError(f"{shown} is a Go program without symbols, and {_why_not(target, missing)}")
    image = _image(target, core, mappings, proc)
    if image is None or target.executable is None:
        raise ProblemError(
            f"no symbol {missing[0]}: gdb has no symbols of {shown}; load them with `file FILE`"
        )
    if any(section.name in GO_SECTIONS for section in image.sections):
        raise ProblemError(
            f"{shown} is a Go program without symbols, and its module data was not found in memory (a core "
            "that lacks it, or no access to the mappings); give gdb the unstripped file with "
            "`symbol-file FILE`"
        )
    raise ProblemError(f"{shown} is not a Go program: it has no {missing[0]} and no Go section")


def _why_not(target: Target, missing: Sequence[str]) -> str:
    """Why the runtime's variables were not found without symbols."""
    version = version_of(target)
    give = "give gdb the unstripped file with `symbol-file FILE`"
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


def version_notes(target: Target) -> List[str]:
    """A note for a Go newer than any whose source was read."""
    minor = go_minor(target)
    if getattr(target, "guessed", False):
        return [
            f"go1.{minor} is newer than go1.{NEWEST}, whose layouts are used as a guess for want of DWARF; "
            "what could be verified fits"
        ]
    if minor is not None and minor > NEWEST:
        return [f"go1.{minor} is newer than go1.{NEWEST}, the last one this was made for; check with --check"]
    return []


def _image(
    target: Target, core: Optional[Core], mappings: Sequence[Mapping], proc: Optional[ProcFiles]
) -> Optional[Image]:
    """The program's file, as the debugger, the process or the core names it."""
    names = [target.executable, core.executable if core is not None else None]
    paths = [name for name in names if name]
    paths += [open_path(proc, m) for m in mappings if m.file is not None and m.file in names][:1]
    for path in paths:
        try:
            return read_image(path)
        except ProblemError:
            continue
    return None


def _same_program(target: Target, core: Core) -> None:
    """The first page of the program, as the core has it, must be that of the file that gdb was given."""
    if target.executable is None or core.executable is None:
        return
    first = next((m for m in core.mappings if m.file == core.executable and m.offset == 0), None)
    if first is None or first.dumped < _HEADER:
        return
    try:
        in_core = target.read(first.start, _HEADER)
        with open(target.executable, "rb") as file:
            in_file = file.read(_HEADER)
    except (OSError, UnreadableError):
        return
    if in_core != in_file:
        raise ProblemError(
            f"{printable(target.executable)} is not the program that made this core (another build of "
            f"{printable(core.executable)}?); give gdb the right one with `file FILE`"
        )


def target_info(target: Target, core: Optional[Core], version: Optional[str], page_size: int) -> TargetInfo:
    """What was looked at; a core knows its pid and program better than the debugger."""
    pid = core.pid if core is not None and core.pid else target.pid
    executable = target.executable or (core.executable if core is not None else None)
    return TargetInfo(
        target.kind,
        pid,
        executable,
        target.core_file,
        target.arch,
        target.pointer_size,
        page_size,
        version,
    )
