"""What the kernel itself counts of a process: /proc/PID/status, smaps_rollup, and pages of a special kind.

proc_pid_status(5); Documentation/filesystems/proc.rst (Linux 6.18) for the fields of smaps_rollup.
"""

from __future__ import annotations

from typing import Dict, NamedTuple, Optional, Sequence

from addrspace_gdb.process.mappings import Mapping
from addrspace_gdb.process.pagemap import PageKinds, scan_kinds
from addrspace_gdb.target.protocol import ProcFiles

_USER_END = 1 << 63


class KernelCounts(NamedTuple):
    """One process in the kernel's own numbers, bytes. A field that the kernel does not give is None."""

    size: Optional[int]  # VmSize
    rss: Optional[int]  # VmRSS
    anonymous: Optional[int]  # RssAnon
    file: Optional[int]  # RssFile
    shared_memory: Optional[int]  # RssShmem
    swapped: Optional[int]  # VmSwap
    page_tables: Optional[int]  # VmPTE: the process costs it, VmRSS does not count it
    threads: Optional[int]
    proportional: Optional[int]  # Pss: pages that N processes share count as 1/N
    shared: Optional[int]  # resident pages that another process has mapped as well
    lazily_free: Optional[int]  # LazyFree: MADV_FREE, taken when the kernel needs them
    locked: Optional[int]  # VmLck: mlock and mlockall, resident or not
    huge: Optional[int]  # in huge pages: AnonHugePages, ShmemPmdMapped, FilePmdMapped
    merged: Optional[int]  # KSM: pages of equal contents that the kernel has made one (Linux 6.6)
    hugetlb: Optional[int]  # HugetlbPages: on top, in no RSS
    summed: Optional[int]  # Rss of smaps_rollup: the page tables walked, not a counter
    kinds: Optional[PageKinds]


def read_kernel_counts(proc: Optional[ProcFiles], mappings: Sequence[Mapping]) -> Optional[KernelCounts]:
    """Read them of a stopped process; None where there is no /proc (cores). Costs one page table walk."""
    return with_walk(count_at_once(proc, mappings), read_walk(proc)) if proc is not None else None


def count_at_once(proc: ProcFiles, mappings: Sequence[Mapping]) -> KernelCounts:
    """All of them but those that `with_walk` adds."""
    status = _numbers(proc, "status")
    return KernelCounts(
        size=status.get("VmSize"),
        rss=status.get("VmRSS"),
        anonymous=status.get("RssAnon"),
        file=status.get("RssFile"),
        shared_memory=status.get("RssShmem"),
        swapped=status.get("VmSwap"),
        page_tables=status.get("VmPTE"),
        threads=status.get("Threads"),
        proportional=None,
        shared=None,
        lazily_free=None,
        locked=status.get("VmLck"),
        huge=None,
        merged=None,
        hugetlb=status.get("HugetlbPages"),
        summed=None,
        kinds=_kinds(proc, mappings),
    )


def read_walk(proc: ProcFiles) -> Dict[str, int]:
    """What the kernel walks the page tables for."""
    return _numbers(proc, "smaps_rollup")


def with_walk(counts: KernelCounts, walk: Dict[str, int]) -> KernelCounts:
    """The counts with those that `walk` has."""
    shared = [walk.get("Shared_Clean"), walk.get("Shared_Dirty")]
    return counts._replace(
        proportional=walk.get("Pss"),
        shared=None if None in shared else sum(filter(None, shared)),
        lazily_free=walk.get("LazyFree"),
        huge=_sum(walk, "AnonHugePages", "ShmemPmdMapped", "FilePmdMapped"),
        merged=walk.get("KSM"),
        summed=walk.get("Rss"),
    )


def _sum(counts: Dict[str, int], *names: str) -> Optional[int]:
    """Of the counters that this kernel has; None if it has none of them."""
    known = [counts[name] for name in names if name in counts]
    return sum(known) if known else None


def locks_memory(proc: Optional[ProcFiles]) -> bool:
    """Whether the process has locked any of its memory."""
    return proc is not None and bool(_numbers(proc, "status").get("VmLck"))


def _kinds(proc: ProcFiles, mappings: Sequence[Mapping]) -> Optional[PageKinds]:
    user = [mapping for mapping in mappings if mapping.end <= _USER_END]
    if not proc.local or not user:
        return None
    try:
        return scan_kinds(proc.path("pagemap"), min(m.start for m in user), max(m.end for m in user))
    except OSError:
        return None


def _numbers(proc: ProcFiles, name: str) -> Dict[str, int]:
    """The lines "Name: N kB" (bytes) and "Name: N" of a file; empty where it cannot be read."""
    try:
        text = proc.read(name)
    except OSError:
        return {}
    found: Dict[str, int] = {}
    for line in text.decode("ascii", "replace").split("\n"):
        key, _, value = line.partition(":")
        fields = value.split()
        if len(fields) in (1, 2) and fields[0].isdecimal() and len(fields[0]) < 19:
            found[key] = int(fields[0]) * (1024 if fields[1:] == ["kB"] else 1)
    return found
