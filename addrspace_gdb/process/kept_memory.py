"""What was read of a process while it stood still, kept so that the rest can be done when it runs again.

Nothing is read of a process that has been let go: its memory is another by then.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Callable, Dict, List, Optional, Tuple

from addrspace_gdb.common.problems import UnreadableError

Read = Callable[[int, int], bytes]

_MAX_KEPT = 256 << 20  # bytes of all single reads; columns and the like hold what is read in bulk


class LetGoError(RuntimeError):
    """Something is asked for that was not read in time: a mistake of ours."""


class KeptMemory:
    """Reads through to a process until it is let go; then only what was read before can be had."""

    def __init__(self, read: Read, most: int = _MAX_KEPT) -> None:
        """`read` raises UnreadableError; `most` bytes are kept."""
        self._read, self._room = read, most
        self._kept: Dict[Tuple[int, int], Optional[bytes]] = {}  # None: it could not be read
        self._order: List[Tuple[int, int]] = []  # the keys, once the process is gone
        self.let_go = False
        self.whole = True  # False: more was read than is kept, so the process must stay until all is done

    def read(self, address: int, size: int) -> bytes:
        """Exactly `size` bytes. UnreadableError, also where that was so before; LetGoError."""
        key = (address, size)
        if key in self._kept:
            known = self._kept[key]
            if known is None:
                raise UnreadableError(address, size)
            return known
        return self._of_kept(address, size) if self.let_go else self._keep(address, size)

    def _keep(self, address: int, size: int) -> bytes:
        try:
            data = self._read(address, size)
        except UnreadableError:
            self._kept[address, size] = None
            raise
        if size <= self._room:
            self._kept[address, size] = data
            self._room -= size
        else:
            self.whole = False
        return data

    def release(self) -> None:
        """The process goes on."""
        self.let_go = True
        self._order = sorted(key for key, data in self._kept.items() if data is not None)

    def _of_kept(self, address: int, size: int) -> bytes:
        last = bisect_right(self._order, (address, 1 << 64))
        for start, length in reversed(self._order[max(0, last - 8) : last]):
            data = self._kept[start, length]
            if address + size <= start + length and data is not None:
                return data[address - start : address - start + size]
        raise LetGoError(f"{size} bytes at {address:#x} were not read while the process stood still")
