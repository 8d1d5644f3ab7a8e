"""What every reading of a target begins with: its core file, its mappings, and what it is."""

from __future__ import annotations

import os
import re
from functools import cached_property
from typing import TYPE_CHECKING, List, Optional

from addrspace_gdb.common.problems import ProblemError, Problems
from addrspace_gdb.goruntime.buildinfo import version_of
from addrspace_gdb.goruntime.symtab import go_minor
from addrspace_gdb.goruntime.versions import NEWEST
from addrspace_gdb.process.auxv import page_size_of
from addrspace_gdb.process.mapping_list import Listed, list_mappings, open_core
from addrspace_gdb.process.mappings import Mapping
from addrspace_gdb.space.regions.model import TargetInfo
from addrspace_gdb.target.protocol import MapsFiles, ProcFiles, Target

if TYPE_CHECKING:
    from addrspace_gdb.process.corefile import Core

_WAY_TO_OPEN = re.compile(r"/proc/\d+/exe")  # no name, but a way to open what may have none any more


class Opening:
    """A target that stands still and is about to be read.

    What is damaged goes into `problems`, and first of all that a core is truncated: most else comes of that.
    The list of mappings is read when it is first asked for.
    """

    def __init__(self, target: Target, problems: Problems) -> None:
        """Raises ProblemError if its core file is not a usable one."""
        self.target, self.problems = target, problems
        self.core: Optional[Core] = open_core(target)
        self.page_size = page_size_of(target, self.core)  # bytes
        if self.cut:
            problems.add(f"the core is {self.cut}")

    @property
    def cut(self) -> str:
        """What the core lacks of itself, as the end of a sentence; empty if nothing."""
        missing = self.core.missing if self.core is not None else 0
        return f"truncated: {missing:,} bytes of it are missing" if missing else ""

    @cached_property
    def listed(self) -> Listed:
        """Every mapping, and how they were come by. Raises ProblemError where no list is to be had."""
        if self.target.kind == "core" and self.core is None:
            raise ProblemError(
                f"the debugger does not say which core file it has open; {self.target.hints.open_again}"
            )
        return list_mappings(self.target, self.core, self.problems)

    @property
    def mappings(self) -> List[Mapping]:
        """The mappings, for those who can do without: none where no list is to be had."""
        listed = self._listed_if_any
        return listed.mappings if listed is not None else []

    @property
    def proc(self) -> Optional[ProcFiles]:
        """Where more can be read of the mappings; None: nothing can."""
        listed = self._listed_if_any
        return listed.proc if listed is not None else None

    @cached_property
    def _listed_if_any(self) -> Optional[Listed]:
        try:
            return self.listed
        except ProblemError:
            return None

    @property
    def pid(self) -> Optional[int]:
        """Of the process; a core knows it better than the debugger."""
        return self.core.pid if self.core is not None and self.core.pid else self.target.pid

    @property
    def executable(self) -> Optional[str]:
        """Path of the program, as the debugger or the core names it; of a process whose program has no name
        any more, as the kernel does: "/srv/api (deleted)"."""
        path = self.target.executable or (self.core.executable if self.core is not None else None)
        if path is not None and _WAY_TO_OPEN.fullmatch(path):
            proc = self.target.proc_files()
            try:
                return os.readlink(path) if proc is not None and proc.local else path
            except OSError:
                return path
        return path

    @property
    def info(self) -> TargetInfo:
        """What is looked at."""
        target = self.target
        return TargetInfo(
            target.kind,
            self.pid,
            self.executable,
            target.facts.core_name,
            target.arch,
            target.pointer_size,
            self.page_size,
            version_of(target),
        )

    @property
    def notes(self) -> List[str]:
        """Notes, by now: for a Go newer than any whose source was read, for a replayed recording, and for
        files that could not be read in place of memory."""
        replayed = (
            "a recording is replayed: memory is that of then, mappings and resident bytes are those of now"
        )
        target = self.target
        notes = [*([replayed] if target.facts.replaying else []), *_version_notes(target)]
        backed = target.file_backed() if isinstance(target, MapsFiles) else None
        return notes + (backed.notes if backed is not None else [])


def _version_notes(target: Target) -> List[str]:
    minor = go_minor(target)
    if target.facts.guessed:
        guess = f"go1.{minor} is newer than go1.{NEWEST}, whose layouts are used as a guess for want of DWARF"
        return [f"{guess}; what could be verified fits"]
    if minor is not None and minor > NEWEST:
        return [f"go1.{minor} is newer than go1.{NEWEST}, the last one this was made for; check with --check"]
    return []
