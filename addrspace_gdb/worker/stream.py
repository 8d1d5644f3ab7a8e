"""The heap's memory, read once in large parts: by a descriptor that the debugger's side has opened, or by
asking that side for it."""

from __future__ import annotations

import os
import sys
from bisect import bisect_right
from threading import Lock
from typing import Callable, List, Optional, Sequence, Tuple, Union

from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.worker.arrays import Ints, of_bytes, widened

_SMALL = 1 << 12  # bytes that are tried by themselves where more cannot be read
_MAX_LOST = 1 << 30  # bytes that cannot be read

Ask = Callable[[int, int], bytes]


class Memory:
    """Memory of the process. Bytes that cannot be read are zeroes, and counted."""

    def __init__(self, descriptor: int, extents: Sequence[Tuple[int, int, int]], ask: Ask) -> None:
        """`extents`: (start, end, offset) of what a core file has, ascending; none: the descriptor is of the
        memory itself, or -1, and then `ask` is asked (empty: it cannot be read)."""
        self._descriptor, self._ask = descriptor, ask
        self._extents = list(extents)
        self._starts = [start for start, _, _ in extents]
        self._lock = Lock()
        self.lost = 0
        self.holes: List[Tuple[int, int]] = []  # addresses and bytes: what cannot be read

    def fill(self, view: memoryview, address: int) -> None:
        """Read as many bytes as there is room for."""
        done = 0
        while done < len(view):
            got = self._some(view[done:], address + done)
            if not got:
                got = self._hole(view[done:], address + done)
            done += got

    def _some(self, view: memoryview, address: int) -> int:
        if self._descriptor < 0:
            data = self._ask(address, len(view))
            view[: len(data)] = data
            return len(data)
        offset, size = self._place(address, len(view))
        if not size:
            return 0
        try:
            return os.preadv(self._descriptor, [view[:size]], offset)
        except OSError:
            return 0

    def _place(self, address: int, size: int) -> Tuple[int, int]:
        """Where in the file an address is, and how many bytes from there on."""
        if not self._extents:
            return address, size
        at = bisect_right(self._starts, address) - 1
        start, end, offset = self._extents[at] if at >= 0 else (0, 0, 0)
        return offset + address - start, max(0, min(size, end - address))

    def _hole(self, view: memoryview, address: int) -> int:
        size = min(len(view), _SMALL - address % _SMALL)
        if size < len(view) and self._descriptor >= 0 and not self._extents:
            got = self._some(view[:size], address)
            if got:
                return got
        view[:size] = bytes(size)
        with self._lock:
            self.lost += size
            self.holes.append((address, size))
        if self.lost > _MAX_LOST:
            raise ProblemError(f"more than {_MAX_LOST >> 30} GiB of the heap's spans cannot be read")
        return size


class Words:
    """Memory as words of the target."""

    def __init__(self, memory: Memory, word: int, order: str) -> None:
        self._memory, self._word = memory, word
        self._code = "q" if word == 8 else "I"
        self._swapped = order != sys.byteorder

    def read(self, address: int, size: int, buffer: Optional[bytearray] = None) -> Ints:
        """The words of `size` bytes, which stand in the buffer, if there is one."""
        view = memoryview(bytearray(size) if buffer is None else buffer)[:size]
        self._memory.fill(view, address)
        return self._words(view)

    def bits(self, address: int, size: int) -> bytearray:
        """Bytes of a bitmap that the runtime keeps in words, the lowest bits first."""
        buffer = bytearray(size)
        self._memory.fill(memoryview(buffer), address)
        if self._swapped:
            _swap(buffer, self._word)
        return buffer

    def ahead(self, address: int, size: int, most: int) -> bytearray:
        """`most` bytes if all of them can be read, else the first `size`, which somebody needs."""
        lost, holes = self._memory.lost, len(self._memory.holes)
        found = self.bytes(address, most)
        if self._memory.lost == lost:
            return found
        self._memory.lost = lost
        del self._memory.holes[holes:]
        return self.bytes(address, size)

    def bytes(self, address: int, size: int) -> bytearray:
        """Bytes as they are."""
        buffer = bytearray(size)
        self._memory.fill(memoryview(buffer), address)
        return buffer

    def _words(self, view: memoryview) -> Ints:
        if self._swapped:
            _swap(view, self._word)
        words = of_bytes(view, self._code)
        return words if self._word == 8 else widened(words)


def _swap(buffer: Union[bytearray, memoryview], word: int) -> None:
    """Turn the bytes of each word round."""
    copy: List[bytes] = [bytes(buffer[at::word]) for at in range(word)]
    for at in range(word):
        buffer[at::word] = copy[word - 1 - at]
