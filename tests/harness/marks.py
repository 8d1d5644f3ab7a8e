"""What the collector marked, object by object, beside what the graph of the heap reaches."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional

from addrspace_gdb.commands.heap_graph import HeapGraph, graph_of
from addrspace_gdb.commands.session import Settings
from addrspace_gdb.common.problems import Problems
from addrspace_gdb.debugger.direct.base import DirectTarget
from addrspace_gdb.debugger.direct.core_file import CoreTarget
from addrspace_gdb.debugger.direct.live import LiveTarget
from addrspace_gdb.debugger.direct.session import DirectSession
from addrspace_gdb.goruntime.mspan import IN_USE
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.slots import Masks, SlotReader
from addrspace_gdb.shell.hints import SHELL

FREE, UNREACHED, REACHED = range(3)  # states of the worker


class Compared(NamedTuple):
    """Addresses of the objects that differ; those allocated since the last collection it cannot know."""

    marked: int
    not_reached: List[str]  # marked
    not_marked: List[str]  # reached
    since: int  # reached, and younger than the marks


class Look:
    """One process or core, with its graph and the collector's own bits."""

    def __init__(self, graph: HeapGraph, masks: Dict[int, Masks], sizes: Dict[int, int]) -> None:
        self.graph, self._masks, self._sizes = graph, masks, sizes

    def compare(self) -> Compared:
        """Go through every slot of every span."""
        said = self.graph.ask("states")
        states = said.columns["states"][1]
        missing: List[str] = []
        extra: List[str] = []
        at = since = marked = 0
        for start, slots in zip(said.column("starts"), said.column("slots")):
            masks, size = self._masks[start], self._sizes[start]
            for slot in range(slots):
                state, bit = states[at + slot], 1 << slot
                assert (state != FREE) == bool(masks.allocated & bit)
                marked += bool(masks.live & bit)
                if masks.live & bit and state != REACHED:
                    missing.append(f"{start + slot * size:#x} of {size}")
                elif state == REACHED and not masks.live & bit:
                    since += bool(masks.since & bit)
                    if not masks.since & bit:
                        extra.append(f"{start + slot * size:#x} of {size}")
            at += slots
        return Compared(marked, missing, extra, since)


@contextmanager
def session_of(pid: Optional[int], core: Optional[Path], program: Path) -> Iterator[DirectSession]:
    """A process, which runs again afterwards, or a core."""
    base: DirectTarget
    if core is not None:
        base = CoreTarget(str(core), str(program), "", None, SHELL)
    else:
        assert pid is not None
        base = LiveTarget(pid, None, SHELL)
    session = DirectSession(base, Settings(100, True, False, "quiet"), "")
    session.prepare()
    if isinstance(base, LiveTarget):
        base.hold(10, lambda: "it does not stop")
    try:
        yield session
    finally:
        if isinstance(base, LiveTarget):
            base.release()


@contextmanager
def looked_at(pid: Optional[int], core: Optional[Path], program: Path) -> Iterator[Look]:
    """A process, which runs again afterwards, or a core."""
    with session_of(pid, core, program) as session:
        graph = graph_of(session)
        reader = SlotReader(Runtime(session.target(), Problems()), graph.reading.go.spans)
        reader.gather()
        rows = [reader.row(at) for at in range(len(reader.columns["state"]))]
        found = {row.start: reader.masks(row) for row in rows if row.state == IN_USE and not row.quarantined}
        masks = {start: one for start, one in found.items() if one is not None}
        sizes = {row.start: row.element for row in rows}
    yield Look(graph, masks, sizes)
