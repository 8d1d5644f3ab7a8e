"""The list of mappings, wherever it comes from: /proc, a core, or, where there is neither, the program."""

from __future__ import annotations

from typing import TYPE_CHECKING, List, NamedTuple, Optional

from addrspace_gdb.common.problems import ProblemError, Problems
from addrspace_gdb.process.mappings import Mapping, parse_maps
from addrspace_gdb.target.protocol import ProcFiles, Target

if TYPE_CHECKING:
    from addrspace_gdb.process.corefile import Core


class Listed(NamedTuple):
    """The mappings in address order, and how they were come by."""

    mappings: List[Mapping]
    proc: Optional[ProcFiles]  # where more can be read of them; None: nothing can
    inferred: bool  # no list was to be had: there may be more mappings than these


def open_core(target: Target) -> Optional[Core]:
    """The core file that `target` is, None for a process. Raises ProblemError."""
    if target.kind != "core" or target.core_file is None:
        return None
    from addrspace_gdb.process.corefile import read_core

    return read_core(target.core_file, target.executable)


def missing_of(target: Target) -> int:
    """Bytes that the core file lacks of itself; 0 for a whole one, and for a process. ProblemError."""
    core = open_core(target)
    return core.missing if core is not None else 0


def list_mappings(target: Target, core: Optional[Core], problems: Optional[Problems] = None) -> Listed:
    """Every mapping of `target`, or what is known without a list. Raises ProblemError."""
    if core is not None:
        return Listed(core.mappings, None, False)
    proc = target.proc_files()
    server = target.hints.server
    reason = f"the remote stub does not give access to /proc; use {server}, or dump a core there"
    try:
        if proc is not None:
            found = parse_maps(proc.read("maps"), problems)
            if not found:
                raise ProblemError(f"{proc.path('maps')} is empty: the process has exited")
            return Listed(sorted(found), proc, False)
    except OSError as error:
        file = proc.path("maps") if proc is not None else ""
        reason = f"the process's mappings cannot be read ({file}): {error.strerror or error}"
    if target.kind == "remote":
        from addrspace_gdb.process.mapping_guess import infer_mappings

        known = infer_mappings(target)
        if known:
            return Listed(known, None, True)
    raise ProblemError(reason)
