"""Where in the accounting tree a region stands: names of its nodes, and the order of siblings."""

from __future__ import annotations

import os
from typing import Dict

from addrspace_gdb.common.escape import printable
from addrspace_gdb.goruntime import specials, stackpieces
from addrspace_gdb.goruntime.persistent import BUCKETS, CACHES, SPAN_STRUCTURES
from addrspace_gdb.process import allocators, libc
from addrspace_gdb.process.mappings import NO_ACCESS
from addrspace_gdb.space.regions import go_claims, sanitizers, unclaimed
from addrspace_gdb.space.regions import region as areas
from addrspace_gdb.space.regions.region import Region
from addrspace_gdb.space.rss.tree import LEFT_OVER, Path

ROOT = "process"
GO, OTHERS = "Go", "Non-Go"
HEAP: Path = (GO, "heap")
OBJECTS: Path = (*HEAP, "objects")
OWN = "the runtime's own objects"
FREE: Path = (*HEAP, "free pages")
RETURNED: Path = (*HEAP, "pages returned to the OS")
RESERVED: Path = (*HEAP, "reserved, not yet used")
TRANSIT: Path = (*HEAP, "pages in transit")
STACKS: Path = (GO, "goroutine stacks")
STACKS_OF_GOROUTINES: Path = (*STACKS, "of goroutines")
RUNTIME: Path = (GO, "runtime")
PROGRAM: Path = (GO, "program")
BSS: Path = (*PROGRAM, "bss")
C_HEAP: Path = (OTHERS, "C heap")
LIBRARIES: Path = (OTHERS, "shared libraries")
JIT: Path = (OTHERS, unclaimed.JIT)
THREADS: Path = (OTHERS, "thread stacks")
FILES: Path = (OTHERS, "mapped files")
OWN_MAPPINGS: Path = (OTHERS, "the program's own mappings")
RACE: Path = (OTHERS, sanitizers.RACE)
SANITIZER: Path = (OTHERS, "sanitizer")
KERNEL: Path = (OTHERS, "kernel pages")

LEFT_BEHIND = "left behind by deeper calls"
WORK = "GC work"
RECORDS = "records of single objects"
BITMAPS = "heap bitmaps and arena metadata"

_HEAP: Dict[str, Path] = {
    go_claims.SMALL_OBJECTS: OBJECTS,
    go_claims.LARGE_OBJECTS: OBJECTS,
    go_claims.USER_ARENA: OBJECTS,
    go_claims.FREED_ARENA: (*HEAP, "freed user arenas"),
    go_claims.FREE_PAGES: FREE,
    go_claims.RETURNED_PAGES: RETURNED,
    go_claims.RESERVED: RESERVED,
    go_claims.TRANSIT_PAGES: TRANSIT,
    go_claims.STACK_SPAN: (*STACKS, "in transit"),
    go_claims.WORK_BUFFERS: (*RUNTIME, WORK, go_claims.WORK_BUFFERS),
    go_claims.BITMAPS: (*RUNTIME, BITMAPS, go_claims.BITMAPS),
}
_STACKS: Dict[str, Path] = {
    stackpieces.GOROUTINE: STACKS_OF_GOROUTINES,
    stackpieces.DEAD_GOROUTINE: (*STACKS, "of dead goroutines"),
    stackpieces.SYSTEM_STACK: (*STACKS, "threads' own (g0, signals)"),
    stackpieces.SIGNAL_STACK: (*STACKS, "threads' own (g0, signals)"),
    stackpieces.CRASH_STACK: (*STACKS, "threads' own (g0, signals)"),
    stackpieces.FREE_POOL: (*STACKS, "free in pools"),
    stackpieces.FREE_CACHE: (*STACKS, "free in pools"),
    stackpieces.FREE_LARGE: (*STACKS, "free in pools"),
}
# By owner; the kinds are those of goruntime/malloc.py, trace.py and persistent.py.
_RUNTIME: Dict[str, str] = {
    SPAN_STRUCTURES: "spans",
    "span list": "spans",
    "span set": "spans",
    CACHES: "caches",
    "arena index": BITMAPS,
    "arena metadata": BITMAPS,
    "arena list": BITMAPS,
    "mark bits": BITMAPS,
    "pointer masks": BITMAPS,
    "page summaries": "page summaries",
    "page bitmaps": "page summaries",
    "page ranges": "page summaries",
    "scavenge index": "page summaries",
    "span queue": WORK,
    BUCKETS: "profiling",
    **dict.fromkeys(specials.KINDS, RECORDS),
}
_OTHER = "other"
_SYMBOLS = ("pclntab", "symtab", "gosymtab")
_LIBC = (libc.BRK, libc.ARENA, libc.ARENA_RESERVE, libc.MMAPPED)
_GIVEN_BACK = (
    *(go_claims.RETURNED_PAGES, go_claims.RESERVED, go_claims.FREED_ARENA),
    libc.ARENA_RESERVE,
)

# Siblings stand as in this list; what is not in it comes after, the largest first.
_SEQUENCE = (
    *(GO, OTHERS),
    *("heap", "goroutine stacks", "runtime", "program"),
    *("objects", "free pages", "pages returned to the OS", "freed user arenas"),
    *("reserved, not yet used", "pages in transit"),
    *("survived the last GC", "allocated since", "dead, not swept yet", OWN, "free slots in used spans"),
    "tail waste",
    *("of goroutines", "used", "unused", LEFT_BEHIND, "use not known", "of dead goroutines"),
    *("threads' own (g0, signals)", "free in pools", "in transit"),
    *("spans", "caches", BITMAPS, "page summaries", WORK, "profiling", RECORDS, _OTHER),
    *("code", "read-only data", "symbol tables", "data", "bss", "padding"),
    *("shared libraries", "C heap", JIT[1], "thread stacks", "mapped files", OWN_MAPPINGS[1]),
    *(RACE[1], SANITIZER[1], KERNEL[1]),
    *("in use", "free in malloc's lists", "free at the end"),
    LEFT_OVER,
)
ORDER: Dict[str, int] = {name: place for place, name in enumerate(_SEQUENCE)}


def place(region: Region) -> Path:
    """The leaf that the region belongs to."""
    area, kind = region.area, region.kind
    if area == areas.HEAP:
        return _HEAP.get(kind, (*HEAP, kind))
    if area == areas.GOROUTINE_STACKS:
        return _STACKS.get(kind, (*STACKS, "in transit"))
    if area == areas.RUNTIME:
        return (*RUNTIME, _RUNTIME.get(kind, _OTHER), kind)
    if area in (areas.CODE, areas.GLOBALS):
        return _program(region)
    return _others(region)


def _program(region: Region) -> Path:
    """By what it is to a Go program; sections of C in it by their permissions."""
    kind = region.kind
    if kind == "padding":
        return (*PROGRAM, "padding")
    if region.area == areas.CODE:
        return (*PROGRAM, "code")
    if kind in _SYMBOLS:
        return (*PROGRAM, "symbol tables")
    if kind in ("bss", "noptrbss"):
        return BSS
    writable = "w" in region.permissions or kind in ("data", "noptrdata")
    return (*PROGRAM, "data" if writable else "read-only data")


def _others(region: Region) -> Path:
    area, kind = region.area, region.kind
    if area == areas.SHARED_LIBS:
        return (*LIBRARIES, region.label or _file(region) or kind)
    if area == areas.THREAD_STACKS:
        return (*THREADS, kind)
    if area == areas.MAPPED_FILES:
        return (*FILES, _file(region) or kind)
    if area == areas.VDSO:
        return (*KERNEL, kind)
    if kind == unclaimed.JIT:
        return (*JIT, region.label or "anonymous memory")
    if kind in _LIBC or kind.startswith(allocators.LIKELY):
        return (*C_HEAP, kind)
    if kind.startswith(sanitizers.RACE):
        return (*RACE, kind)
    if kind.startswith(sanitizers.OF_C):
        return (*SANITIZER, kind)
    return (*OWN_MAPPINGS, f"{kind}: {region.label}" if region.label else kind)


def _file(region: Region) -> str:
    return printable(os.path.basename(region.file)) if region.file else ""


def is_kept(region: Region) -> bool:
    """Whether the process may use it and has it: neither only reserved (no access) nor returned to the OS,
    nor a file that it can only read there, whose pages the kernel brings and takes as it likes."""
    if region.kind in _GIVEN_BACK:
        return False
    if region.area == areas.MAPPED_FILES and "w" not in region.permissions:
        return False
    return region.file is not None or region.permissions[:3] not in NO_ACCESS
