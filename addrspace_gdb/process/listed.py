"""The list of mappings, wherever it comes from: /proc, a core, or, where there is neither, the program."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Dict, List, NamedTuple, Optional, Sequence

from addrspace_gdb.debugger.target import Auxiliary, ProcFiles, Target
from addrspace_gdb.problems import ProblemError, Problems
from addrspace_gdb.process.mappings import Mapping, parse_maps

if TYPE_CHECKING:
    from addrspace_gdb.process.corefile import Core

PAGE_SIZE = 4096  # where nothing says another size
_AT_PAGESZ = 6  # include/uapi/linux/auxvec.h


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


def auxiliary_vector(target: Target, core: Optional[Core]) -> Dict[int, int]:
    """The auxiliary vector, empty where it is not known."""
    if core is not None:
        return core.auxv
    return target.auxv() if isinstance(target, Auxiliary) else {}


def page_size_of(target: Target, core: Optional[Core]) -> int:
    """Bytes of a page of the target, as the kernel told it."""
    if core is not None:
        return core.page_size
    if target.kind == "live":
        return os.sysconf("SC_PAGE_SIZE")
    size = auxiliary_vector(target, None).get(_AT_PAGESZ, 0)
    return size if 1 << 10 <= size <= 1 << 26 and not size & (size - 1) else PAGE_SIZE


def list_mappings(target: Target, core: Optional[Core], problems: Optional[Problems] = None) -> Listed:
    """Every mapping of `target`, or what is known without a list. Raises ProblemError."""
    if core is not None:
        return Listed(core.mappings, None, False)
    proc = target.proc_files()
    reason = "the remote stub does not give access to /proc; use gdbserver, or dump a core there"
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
        from addrspace_gdb.process.inferred import infer_mappings

        known = infer_mappings(target)
        if known:
            return Listed(known, None, True)
    raise ProblemError(reason)


def add(mappings: Sequence[Mapping], more: Sequence[Mapping]) -> List[Mapping]:
    """Both lists as one; where they overlap, what `mappings` says counts."""
    found = list(mappings)
    for mapping in more:
        at = mapping.start
        for known in sorted(m for m in mappings if m.start < mapping.end and m.end > mapping.start):
            if known.start > at:
                found.append(mapping._replace(start=at, end=known.start))
            at = max(at, known.end)
        if at < mapping.end:
            found.append(mapping._replace(start=at))
    return sorted(found)
