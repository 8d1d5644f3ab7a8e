"""Words of memory, a page at a time: lists of malloc lead back and forth between neighbours."""

from __future__ import annotations

import sys
from array import array
from typing import Dict, List, Optional

from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.process.pointers import Read

_PAGE = 4096  # bytes: no page is touched but those that are asked for


class PagedWords:
    """Pointers and sizes at their addresses, which must be multiples of their size."""

    def __init__(self, read: Read, pointer_size: int, byte_order: str) -> None:
        self.size = pointer_size
        self._read, self._swap = read, byte_order != sys.byteorder
        self._pages: Dict[int, Optional[array[int]]] = {}

    def _page(self, number: int) -> Optional[array[int]]:
        if number not in self._pages:
            try:
                words = array("Q" if self.size == 8 else "I", self._read(number * _PAGE, _PAGE))
                if self._swap:
                    words.byteswap()
                self._pages[number] = words
            except (UnreadableError, OverflowError):
                self._pages[number] = None
        return self._pages[number]

    def at(self, address: int) -> Optional[int]:
        """The word there; None where it cannot be read or is not aligned."""
        if address % self.size:
            return None
        page = self._pages.get(address // _PAGE) or self._page(address // _PAGE)
        return page[address % _PAGE // self.size] if page is not None else None

    def some(self, address: int, count: int) -> Optional[List[int]]:
        """`count` words; None where not all of them can be read."""
        found = [self.at(address + at * self.size) for at in range(count)]
        whole = [one for one in found if one is not None]
        return whole if len(whole) == count else None
