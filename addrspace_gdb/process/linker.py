"""The dynamic linker's own memory: what ld.so took from the kernel before there was a malloc.

It keeps its list of loaded objects (struct link_map, elf/link.h) and the main thread's thread-local
storage in anonymous pages of its own.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Dict, Iterator, List, Optional, Sequence, Set, Tuple

from addrspace_gdb.process.loaded import LoadedImage
from addrspace_gdb.process.mappings import Mapping, is_anonymous
from addrspace_gdb.process.pointers import Words
from addrspace_gdb.process.regular import open_regular

_PF_W = 2
_MAX_DATA = 1 << 20  # bytes
_MAX_OBJECTS = 1 << 14
_SMALL = 64 << 10  # ld.so asks for a page or two at a time; a larger mapping has merged with another


def find_r_debug(linker: LoadedImage) -> Optional[int]:
    """Run-time address of `_r_debug` in the loaded dynamic linker, from its own symbol table."""
    from elftools.elf.elffile import ELFFile  # imported late, as in elf.py
    from elftools.elf.sections import SymbolTableSection

    try:
        with open_regular(linker.image.path) as stream:
            table = ELFFile(stream).get_section_by_name(".dynsym")
            if not isinstance(table, SymbolTableSection):
                return None
            found = table.get_symbol_by_name("_r_debug") or []
            return linker.bias + int(found[0]["st_value"]) if found else None
    except Exception:  # elftools raises many kinds for a damaged file
        return None


def linker_ranges(
    r_debug: Optional[int],
    linker: Optional[LoadedImage],
    mappings: Sequence[Mapping],
    words: Words,
    main_tls: Optional[int],
    page_size: int,
) -> List[Tuple[int, int]]:
    """Anonymous ranges that ld.so uses; they may contain memory with a surer owner.

    Found by what points to them: the link_maps behind `r_debug` (address of `_r_debug`, elf/link.h), the
    writable data of `linker`, and `main_tls`, the main thread's thread pointer. Each may be None.
    """
    known = list(_link_maps(r_debug, words)) if r_debug else []
    known += _data_words(linker, words) if linker is not None else []
    own = words.at(main_tls, 1) if main_tls and known else None
    if main_tls and own is not None and own[0] == main_tls:  # libc's tcbhead_t, not Go's own use of it
        known += [main_tls, max(main_tls - _SMALL, 0)]  # static TLS lies below the thread pointer on x86
    data = [m for m in mappings if is_anonymous(m) and m.permissions[:2] == "rw" and not m.name]
    starts = [m.start for m in data]
    lowest: Dict[int, int] = {}
    for address in known:
        index = bisect_right(starts, address) - 1
        if index >= 0 and address < data[index].end:
            lowest[index] = min(lowest.get(index, address), address)
    ranges = []
    for index, low in sorted(lowest.items()):
        mapping = data[index]
        start = mapping.start if mapping.size <= _SMALL else low // page_size * page_size
        if mapping.end - start <= 2 * _SMALL:
            ranges.append((start, mapping.end))
    return ranges


def _data_words(linker: LoadedImage, words: Words) -> List[int]:
    """Every word of the linker's writable data."""
    found: List[int] = []
    for segment in linker.image.segments:
        if segment.flags & _PF_W and segment.memsz <= _MAX_DATA:
            start = linker.bias + segment.vaddr + -segment.vaddr % words.size
            found.extend(words.at(start, segment.memsz // words.size) or ())
    return found


def _link_maps(r_debug: int, words: Words) -> Iterator[int]:
    """Addresses of the link_maps: {l_addr, l_name, l_ld, l_next, ...}."""
    first = words.at(r_debug + words.size, 1)
    at = first[0] if first else 0
    seen: Set[int] = set()
    while at and at not in seen and len(seen) < _MAX_OBJECTS:
        seen.add(at)
        yield at
        following = words.at(at + 3 * words.size, 1)
        at = following[0] if following else 0
