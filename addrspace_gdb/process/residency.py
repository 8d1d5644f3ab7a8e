"""Resident and swapped bytes, exactly as /proc/PID/smaps counts them, for any range of addresses."""

from __future__ import annotations

import errno
import sys
from itertools import repeat
from typing import Dict, Iterable, List, Optional, Sequence, Tuple

from addrspace_gdb.common.problems import Problems
from addrspace_gdb.process.mappings import Mapping, parse_smaps_totals
from addrspace_gdb.process.page_runs import PageRuns
from addrspace_gdb.process.pagemap import (
    MAYBE_ZERO,
    REAL,
    SWAPPED,
    PagemapReader,
    bytes_by_class,
    runs_of,
    scan,
)
from addrspace_gdb.target.protocol import ProcFiles

_USER_END = 1 << 63  # mappings above it ([vsyscall]) belong to the kernel and count as not resident
_HUGE_ALIGNMENT = 64 << 10  # the smallest hugetlb page of any architecture that concerns us (arm64)
_PAGEMAP_BUDGET = 64 << 30  # bytes of address space whose pagemap the fallback reads at most
_FEWEST = 3  # mappings of any program
_DENIED = (errno.EACCES, errno.EPERM)

Optionals = Iterable[Optional[int]]
Totals = Dict[int, Tuple[int, int]]  # mapping start to (Rss, Swap) in bytes


class Residency:
    """Which bytes of the process are in memory and which in swap.

    Pages are counted by bytes: a resident page gives a range the bytes of it that the range covers. So
    any split of a mapping, also inside a page, adds up to the mapping's Rss and Swap.
    """

    def __init__(self) -> None:
        self.resident_runs = PageRuns()
        self.swapped_runs = PageRuns()
        self.known = True
        self.inexact: List[str] = []  # why a query may be None or differ from smaps
        self.notes: List[str] = []
        self.emulated = False  # the process's /proc files but maps are an emulator's: its own, or made up

    @property
    def exact(self) -> bool:
        """Whether every query has an answer and it is the kernel's own count."""
        return self.known and not self.inexact

    @property
    def reason(self) -> Optional[str]:
        """Why it is not exact; None when it is."""
        return "; ".join(self.inexact) or None

    def resident(self, start: int, end: int) -> Optional[int]:
        """Bytes of [start, end) in memory (smaps: Rss); None where that cannot be known."""
        return self.resident_runs.count(start, end) if self.known else None

    def swapped(self, start: int, end: int) -> Optional[int]:
        """Bytes of [start, end) in swap (smaps: Swap); None where that cannot be known."""
        return self.swapped_runs.count(start, end) if self.known else None

    def of_many(self, starts: Sequence[int], ends: Sequence[int]) -> Tuple[Optionals, Optionals]:
        """`resident` and `swapped` of each of many ranges."""
        if not self.known:
            return repeat(None, len(starts)), repeat(None, len(starts))
        return self.resident_runs.counts(starts, ends), self.swapped_runs.counts(starts, ends)

    def doubt(self, reason: str) -> None:
        """Record once why not every answer is exact."""
        if reason not in self.inexact:
            self.inexact.append(reason)


def read_residency(
    proc: Optional[ProcFiles],
    mappings: Sequence[Mapping],
    page_size: int,
    problems: Problems,
    byte_order: str = sys.byteorder,
) -> Residency:
    """Collect residency of a stopped process by the best way there is.

    1. PAGEMAP_SCAN (Linux >= 6.7, this machine): exact runs. smaps is read as well only where the two
       are known to count differently: swap in use, and what may be hugetlbfs pages.
    2. smaps for each mapping's total, pagemap for the split. The zero page can often be told apart.
    3. smaps alone: ranges that cover a whole mapping, or lie in an empty or full one, have an answer.
    4. Nothing readable: every answer is None, and `reason` says which permission is missing.
    """
    if proc is None:
        return _unknown("resident pages can be read of a running process only, through its /proc files")
    user = sorted(mapping for mapping in mappings if mapping.end <= _USER_END)
    if not user:
        return Residency()
    if proc.local:
        try:
            return _by_scan(proc, user, problems)
        except OSError:
            pass  # an older kernel or no permission: the next way says which if it fails too
    return _by_smaps(proc, user, page_size, problems, byte_order)


def _unknown(reason: str) -> Residency:
    residency = Residency()
    residency.known = False
    residency.doubt(reason)
    return residency


def _explain(proc: ProcFiles, name: str, error: OSError) -> str:
    what = f"{proc.path(name)} cannot be read: {error.strerror or error}"
    if error.errno in _DENIED:
        return f"{what} (needs ptrace permission: the same user, or CAP_SYS_PTRACE)"
    return what


def _by_scan(proc: ProcFiles, user: Sequence[Mapping], problems: Problems) -> Residency:
    residency = Residency()
    low, high = min(m.start for m in user), max(m.end for m in user)
    residency.resident_runs, residency.swapped_runs = scan(proc.path("pagemap"), low, high)
    doubtful = list(user) if swap_in_use(residency) else [m for m in user if _may_be_huge(m, residency)]
    if doubtful:
        try:
            totals = parse_smaps_totals(proc.read("smaps"), problems)
        except OSError as error:
            residency.doubt(_explain(proc, "smaps", error))
            return residency
        _reconcile(residency, doubtful, totals)
    return residency


def swap_in_use(residency: Residency) -> bool:
    """Swapped pages of shared memory have no page table entry: only smaps counts them."""
    if len(residency.swapped_runs):
        return True
    try:
        with open("/proc/swaps", "rb") as file:
            rows = [line.split() for line in file.read(1 << 16).splitlines()[1:]]
    except OSError:
        return True
    return any(len(row) < 5 or row[-2] != b"0" for row in rows)


def _may_be_huge(mapping: Mapping, residency: Residency) -> bool:
    """hugetlbfs pages are in pagemap but not in Rss; nothing in maps says that a file is of that kind."""
    if mapping.file is None or (mapping.start | mapping.end | mapping.offset) % _HUGE_ALIGNMENT:
        return False
    return bool(residency.resident(mapping.start, mapping.end))


def _reconcile(residency: Residency, mappings: Sequence[Mapping], totals: Totals) -> None:
    """Let smaps stand where a mapping's pages are counted differently."""
    huge = 0
    for mapping in mappings:
        if mapping.start not in totals:
            continue
        for runs, total in zip((residency.resident_runs, residency.swapped_runs), totals[mapping.start]):
            counted = runs.count(mapping.start, mapping.end)
            if counted == total:
                continue
            runs.override(mapping.start, mapping.end, total)
            if total == 0 and runs is residency.resident_runs:
                huge += counted or 0
            elif total not in (0, mapping.size):
                residency.doubt("pages in swap or in transit are known by whole mapping only")
    if huge:
        residency.notes.append(f"{huge >> 10} KiB in hugetlbfs pages, which the kernel leaves out of Rss")


def _by_smaps(
    proc: ProcFiles, user: Sequence[Mapping], page_size: int, problems: Problems, byte_order: str
) -> Residency:
    try:
        totals = parse_smaps_totals(proc.read("smaps"), problems)
    except OSError as error:
        return _unknown(_explain(proc, "smaps", error))
    # No process lives so that has code, data and a stack; qemu-user 8.1 and newer answer like that.
    if len(totals) >= _FEWEST and not any(rss for rss, _ in totals.values()):
        residency = _unknown(
            f"{proc.path('smaps')} calls no page at all resident: an emulator made it up for its program"
        )
        residency.emulated = True
        return residency
    residency = Residency()
    reader = PagemapReader(proc, page_size, byte_order)
    chosen = _affordable(user, totals)
    denied: Optional[str] = None
    zero = 0
    for mapping in user:
        total = totals.get(mapping.start)
        if total == (0, 0):
            continue
        if total is not None and mapping.start in chosen and denied is None:
            try:
                classes = reader.classes(mapping.start, mapping.end)
            except OSError as error:
                denied = _explain(proc, "pagemap", error)
            else:
                zero += _add_pages(residency, mapping, classes, total, page_size)
                continue
        _add_whole(residency, mapping, total, denied)
    if zero:
        residency.notes.append(f"{zero >> 10} KiB of zero pages are counted that Rss does not count")
    return residency


def _affordable(user: Sequence[Mapping], totals: Totals) -> Dict[int, bool]:
    """Starts of the mappings whose pagemap is worth reading: the smallest first, within the budget."""
    chosen: Dict[int, bool] = {}
    budget = _PAGEMAP_BUDGET
    for mapping in sorted(user, key=lambda m: m.size):
        rss, swap = totals.get(mapping.start, (0, 0))
        if rss + swap == 0 or (swap == 0 and rss == mapping.size):
            continue
        if mapping.size > budget:
            break
        budget -= mapping.size
        chosen[mapping.start] = True
    return chosen


def _add_whole(
    residency: Residency, mapping: Mapping, total: Optional[Tuple[int, int]], denied: Optional[str]
) -> None:
    """Only the mapping's totals are known, or not even those."""
    for index, runs in enumerate((residency.resident_runs, residency.swapped_runs)):
        amount = total[index] if total is not None else None
        if amount == mapping.size:
            runs.append(mapping.start, mapping.end)
        elif amount != 0:
            runs.override(mapping.start, mapping.end, amount)
            if total is None:
                residency.doubt(f"smaps does not list the mapping at {mapping.start:#x}")
            else:
                large = f"the mapping at {mapping.start:#x} is too large for its pagemap to be read"
                residency.doubt(denied or large)


def _add_pages(
    residency: Residency, mapping: Mapping, classes: bytes, total: Tuple[int, int], page_size: int
) -> int:
    """Add the mapping's pages; returns bytes of zero pages that could not be told from real ones.

    A page that is neither file-backed nor exclusive is the zero page or one shared by fork: which, the
    mapping's Rss decides when it fits one of the two readings.
    """
    amount = bytes_by_class(classes, page_size)
    drop = amount[REAL] == total[0]
    surplus = 0 if drop else amount[REAL] + amount[MAYBE_ZERO] - total[0]
    for kind, start, end in runs_of(classes, mapping.start, page_size):
        if kind == SWAPPED:
            residency.swapped_runs.append(start, end)
        elif kind == REAL or not drop:
            residency.resident_runs.append(start, end)
    if amount[SWAPPED] != total[1]:
        residency.swapped_runs.override(mapping.start, mapping.end, total[1])
        residency.doubt("pages of shared memory in swap are known by whole mapping only")
    if 0 < surplus <= amount[MAYBE_ZERO]:
        residency.doubt("zero pages cannot be told from pages shared by fork")
        return surplus
    if surplus:  # hugetlbfs, device pages: pagemap and Rss count different things
        residency.resident_runs.override(mapping.start, mapping.end, total[0])
        if total[0] not in (0, mapping.size):
            residency.doubt("Rss of some mappings is known by whole mapping only")
    return 0
