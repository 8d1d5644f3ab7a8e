"""The dynamic linker's own memory: what ld.so took from the kernel before there was a malloc.

It keeps its list of loaded objects (struct link_map, elf/link.h) and the main thread's thread-local
storage in anonymous pages of its own.
"""

from __future__ import annotations

from typing import Iterator, List, Optional, Sequence, Set, Tuple

from addrspace_gdb.process.mappings import Mapping, is_anonymous
from addrspace_gdb.process.words import Words

_MOST_OBJECTS = 1 << 14
_SMALL = 64 << 10  # ld.so asks for a page or two at a time; a larger mapping has merged with another


def linker_ranges(
    r_debug: Optional[int],
    mappings: Sequence[Mapping],
    words: Words,
    main_tls: Optional[int],
    page_size: int,
) -> List[Tuple[int, int]]:
    """Anonymous ranges that ld.so uses; they may contain memory with a surer owner.

    `r_debug` is the address of `_r_debug` (elf/link.h: version, then the first link_map), None if there
    is no dynamic linker; `main_tls` is the main thread's thread pointer.
    """
    if not r_debug:
        return []
    known = list(_link_maps(r_debug, words))
    if main_tls:
        known.append(max(main_tls - _SMALL, 0))  # static TLS lies below the thread pointer on x86
        known.append(main_tls)
    found = set()
    for address in known:
        mapping = next((m for m in mappings if m.start <= address < m.end), None)
        if mapping is not None and is_anonymous(mapping) and mapping.permissions[:2] == "rw":
            low = address // page_size * page_size
            found.add((mapping.start if mapping.size <= _SMALL else max(mapping.start, low), mapping.end))
    return sorted(found)


def _link_maps(r_debug: int, words: Words) -> Iterator[int]:
    """Addresses of the link_maps: {l_addr, l_name, l_ld, l_next, ...}."""
    first = words.at(r_debug + words.size, 1)
    at = first[0] if first else 0
    seen: Set[int] = set()
    while at and at not in seen and len(seen) < _MOST_OBJECTS:
        seen.add(at)
        yield at
        following = words.at(at + 3 * words.size, 1)
        at = following[0] if following else 0
