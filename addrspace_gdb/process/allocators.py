"""Allocators of C that are not glibc's, by the name of their library or by functions that they have.

They take memory with mmap and put nothing at its beginning that tells it apart.
"""

from __future__ import annotations

import os
import re
from typing import Callable, Iterable, NamedTuple, Optional, Tuple

from addrspace_gdb.common.escape import printable

LIKELY = "likely "  # how the kinds of regions begin that most probably are an allocator's


class Allocator(NamedTuple):
    """One that is loaded."""

    name: str
    file: str  # the base name of its library; empty where the program has it within
    statistics: str  # how it is made to say what it holds; empty where it cannot

    @property
    def kind(self) -> str:
        """What a region is called that most probably is its."""
        return f"{LIKELY}{self.name}'s"


class _Known(NamedTuple):
    name: str
    libraries: str  # a pattern of their base names
    functions: Tuple[str, ...]  # that it alone has
    statistics: str = ""


_KNOWN = (
    _Known(
        "jemalloc",
        r"libjemalloc\w*\.so[.\d]*",
        ("mallctlnametomib", "je_mallctlnametomib", "_rjem_mallctlnametomib"),
        "malloc_stats_print, or MALLOC_CONF=stats_print:true at exit",
    ),
    _Known(
        "tcmalloc",
        r"libtcmalloc\w*\.so[.\d]*",
        ("tc_malloc", "TCMallocInternalMalloc"),
        "MallocExtension's GetStats, or MALLOCSTATS=1 at exit",
    ),
    _Known(
        "mimalloc",
        r"libmimalloc[\w-]*\.so[.\d]*",
        ("mi_malloc", "mi_stats_print"),
        "mi_stats_print, or MIMALLOC_SHOW_STATS=1 at exit",
    ),
    _Known("musl malloc", r"(ld-musl-[\w-]+|libc\.musl-[\w-]+)\.so\.1", ("__malloc_context", "__mal")),
    _Known("snmalloc", r"libsnmalloc\w*(-\w+)?\.so[.\d]*", ("sn_malloc",)),
    _Known("tbbmalloc", r"libtbbmalloc(_proxy)?\.so[.\d]*", ()),
    _Known("scudo", r"libscudo\.so|libclang_rt\.scudo_standalone[\w-]*\.so", ()),
    _Known("hardened_malloc", r"libhardened_malloc[\w-]*\.so", ()),
    _Known("rpmalloc", r"librpmalloc\w*\.so", ("rpmalloc_initialize",)),
    _Known("Hoard", r"libhoard\.so", ()),
)


def loaded_allocator(libraries: Iterable[str], has: Callable[[str], bool]) -> Optional[Allocator]:
    """The allocator among the paths of loaded libraries, else the one that the program has within, whose
    functions `has` knows by name. None: glibc's, or none at all."""
    names = sorted(os.path.basename(path) for path in libraries)
    for one in _KNOWN:
        file = next((name for name in names if re.fullmatch(one.libraries, name)), None)
        if file is not None:
            return Allocator(one.name, printable(file), one.statistics)
    for one in _KNOWN:
        if any(map(has, one.functions)):
            return Allocator(one.name, "", one.statistics)
    return None
