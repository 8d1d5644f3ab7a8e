"""What every profile is made of: the runtime, the frames of its pcs, the mapped code, and when that was."""

from __future__ import annotations

import os
import time
from typing import Iterable

from addrspace_gdb.common.problems import Problems, UnreadableError
from addrspace_gdb.common.progress import Progress
from addrspace_gdb.goruntime import symtab
from addrspace_gdb.goruntime.callers import Callers
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.versions import unreadable
from addrspace_gdb.space.profiles.image import code_mappings
from addrspace_gdb.space.profiles.locations import Locations
from addrspace_gdb.space.reading.go_program import require_go
from addrspace_gdb.space.reading.goroutines import GoroutineReading
from addrspace_gdb.space.reading.opening import Opening
from addrspace_gdb.space.reading.other_go import other_go
from addrspace_gdb.target.protocol import Target, kept_of


class Source:
    """A target that is a Go program."""

    def __init__(self, target: Target, progress: Progress) -> None:
        """ProblemError where it is none that can be read."""
        problems = Problems()
        opening = Opening(target, problems)
        try:
            require_go(opening, other_go(opening))
        except (UnreadableError, KeyError) as error:
            raise unreadable(error) from None
        self.target, self.problems = target, problems
        self.runtime = Runtime(target, problems, progress)
        modules = symtab.modules(target, problems)
        self.callers = Callers(symtab.Symtab(target, modules, problems, symtab.go_minor(target)))
        self.info, self.notes = opening.info, opening.notes
        self.time = time_of(target)
        self.mappings = code_mappings(target, opening.mappings, [one["minpc"] for one in modules])

    @property
    def minor(self) -> int:
        """N of Go 1.N; a large number where that is not known."""
        minor = self.callers.symtab.minor
        return 1 << 10 if minor is None else minor

    def use(self, reading: GoroutineReading) -> None:
        """Share what a reading of goroutines has: its function tables and its problems."""
        self.callers, self.runtime = Callers(reading.tables), reading.runtime
        self.problems, self.notes = reading.problems, reading.notes

    def locations(self) -> Locations:
        """An empty list of locations."""
        return Locations(self.callers, self.mappings)

    def learn(self, pcs: Iterable[int]) -> None:
        """Look at the functions of pcs while the process stands still, if it is to be let go."""
        if kept_of(self.target) is None:
            return
        for pc in pcs:
            self.callers.frame(pc)
            self.callers.function_at(pc)


def time_of(target: Target) -> int:
    """Nanoseconds since 1970: now, or when a core was written."""
    try:
        return os.stat(target.core_file).st_mtime_ns if target.core_file else time.time_ns()
    except OSError:
        return 0
