"""The finished answer that views draw: one address space, every byte of it attributed once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, List, NamedTuple, Optional, Tuple

from addrspace_gdb.goruntime.mspan import SpanClass
from addrspace_gdb.process.mappings import Mapping
from addrspace_gdb.space.regions.region import Region


class TargetInfo(NamedTuple):
    """What was looked at. Fields that are not known are None."""

    kind: str  # "live", "core" or "remote"
    pid: Optional[int]
    executable: Optional[str]
    core_file: Optional[str]
    arch: str
    pointer_size: int
    page_size: int
    go_version: Optional[str]


class MappingUse(NamedTuple):
    """A mapping and what of it is in memory; None where it cannot be known."""

    mapping: Mapping
    resident: Optional[int]
    swapped: Optional[int]


class AreaTotal(NamedTuple):
    """What one area adds up to. `resident` is None as soon as one of its regions is unknown."""

    area: str
    size: int
    resident: Optional[int]
    swapped: Optional[int]
    regions: int


class GoroutineCounts(NamedTuple):
    """Goroutines that exist (not dead), by the status words of Go's own dump (src/runtime/traceback.go)."""

    total: int
    by_status: Dict[str, int]
    system: int  # of them the runtime's own, which Go's dump leaves out


class Row(NamedTuple):
    """One row of the diagram. Rows stand in address order, the highest first."""

    name: str  # "Kernel Space", "Go Heap", "Main Thread Stack" ...
    area: str
    start: int
    end: int  # one past the last byte; for the topmost row 2**64
    size: Optional[int]  # bytes that belong to the row (less than end - start when it has several pieces)
    resident: Optional[int]  # None: not known; unmapped rows (kernel, free ...) have None too
    pieces: int  # 1: one run of addresses; more: other rows' memory lies between; 0: there is none
    growth: str  # "up", "down" or ""
    detail: str  # one line of living detail, plain text, already escaped
    marks: Tuple[str, ...]  # "pc", "sp" of the selected thread, when they point into this row
    mapped: bool  # False: kernel, non-canonical, free, null
    inside: Optional[str] = None  # name of the row this one is carved out of (goroutine stacks: "Go Heap")


class Check(NamedTuple):
    """One invariant: two numbers from independent sources that must agree."""

    name: str
    ours: Optional[int]
    theirs: Optional[int]
    source: str  # who `theirs` is: "smaps", "runtime.MemStats" ...
    because: Tuple[str, ...] = ()  # why they may differ at this moment

    @property
    def ok(self) -> Optional[bool]:
        """None when one side cannot be known, or when they differ and there is a reason for it."""
        if self.ours is None or self.theirs is None:
            return None
        return self.ours == self.theirs or (None if self.because else False)


@dataclass
class Picture:
    """The diagram before it is drawn: header facts, rows, what is selected, notes."""

    target: TargetInfo
    rows: List[Row]
    threads: int
    goroutines: Optional[GoroutineCounts]
    gc_phase: Optional[str]  # "off", "mark", "mark termination", "sweep"
    virtual: int  # bytes mapped
    resident: Optional[int]
    swapped: Optional[int]
    selected: Optional[str]  # "thread 1 (4242): goroutine 17, main.worker" or None
    notes: List[str] = field(default_factory=list)  # what cannot be known, and why
    problems: List[str] = field(default_factory=list)  # what is damaged


@dataclass
class AddressSpace:
    """The partition of one process."""

    target: TargetInfo
    mappings: List[MappingUse]
    regions: List[Region]  # sorted, disjoint, cover every mapping exactly
    unmapped: List[Region]  # kernel, non-canonical, free gaps, null: the rest of the 2^64 addresses
    areas: List[AreaTotal]
    goroutines: Optional[GoroutineCounts]
    memstats: Optional[Dict[str, int]]
    checks: List[Check]
    picture: Picture
    spans: Optional[List[SpanClass]] = None  # None: not read
