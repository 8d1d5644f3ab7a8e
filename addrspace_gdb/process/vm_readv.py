"""Many short pieces of a process's memory in few system calls: process_vm_readv(2).

/proc/PID/mem copies whole pages, twice; this copies what is asked for, once: a third less time for the top of
each of 100,000 stacks.
"""

from __future__ import annotations

import mmap
from array import array
from bisect import bisect_right
from functools import partial
from typing import Any, Callable, Iterator, List, Optional, Tuple

from addrspace_gdb.common.ahead import AHEAD, ahead
from addrspace_gdb.common.later import Later

AT_ONCE = 1024  # IOV_MAX
_POPULATE = 23  # MADV_POPULATE_WRITE, include/uapi/asm-generic/mman-common.h
_MANY = 16 * AT_ONCE  # pieces for which it pays to read in other threads
TOGETHER = 1 << 18  # bytes: what stays in a processor's cache until it is looked at


def read_runs(
    pid: int, addresses: array[int], sizes: array[int], places: array[int]
) -> Iterator[Tuple[int, int, Optional[memoryview]]]:
    """`sizes` bytes at each of the `addresses`, one behind the other at `places`, which ascend from 0 on, and
    of which there is one more: the end. None of them may take more than TOGETHER.

    Yields as many at a time as go together: the first and one past the last of them, and their bytes, to be
    used before the next are asked for; None if not all of them can be read. Nothing at all where the system
    or Python's ctypes lacks the call.
    """
    call = _call()
    if call is None:
        return
    import ctypes

    count = len(addresses)
    turns = AHEAD + 1 if count > _MANY else 1
    wanted = array("Q", bytes(16 * count))
    wanted[0::2], wanted[1::2] = addresses, sizes
    packed = sum(sizes) == places[-1]  # then they go into one piece, as the kernel has them

    def calls() -> Iterator[Callable[[], Tuple[int, int, Optional[memoryview]]]]:
        # In turn: one is looked at while the others are filled.
        buffers = [bytearray(min(places[-1], TOGETHER)) for _ in range(turns)]
        bases = [ctypes.addressof(ctypes.c_char.from_buffer(one)) if one else 0 for one in buffers]
        intos = [array("Q", bytes(16 * AT_ONCE)) for _ in range(turns)]
        first = turn = 0
        while first < count:
            after = min(bisect_right(places, places[first] + TOGETHER) - 1, first + AT_ONCE)
            yield partial(read, first, after, buffers[turn], bases[turn], intos[turn])
            first, turn = after, (turn + 1) % turns

    def read(
        first: int, after: int, buffer: bytearray, base: int, into: array[int]
    ) -> Tuple[int, int, Optional[memoryview]]:
        start, length = places[first], places[after] - places[first]
        if packed:
            pieces, most = 1, length
            into[0], into[1] = base, length
        else:
            pieces, most = after - first, sum(sizes[first:after])
            into[0 : 2 * pieces : 2] = array("Q", map((base - start).__add__, places[first:after]))
            into[1 : 2 * pieces : 2] = sizes[first:after]
        from_ = wanted.buffer_info()[0] + 16 * first
        got = call(pid, into.buffer_info()[0], pieces, from_, after - first, 0)
        return first, after, memoryview(buffer)[:length] if got == most else None

    yield from ahead(calls()) if turns > 1 else (one() for one in calls())


class Room:
    """Memory of our own for copies. The kernel makes new pages about as fast as it copies into them: so many
    as are expected are made in a thread, before there is anything to copy."""

    def __init__(self, size: int, expected: int = 0) -> None:
        """Bytes; what is not touched costs nothing."""
        self.size = size
        self.held = mmap.mmap(-1, max(1, size))
        self._made = Later(partial(self._make, min(size, expected)))

    def _make(self, size: int) -> None:
        if size and is_there():
            import ctypes

            advise = ctypes.CDLL(None).madvise
            advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
            advise(self.address, size, _POPULATE)  # EINVAL before Linux 5.14: then they are made one by one

    @property
    def address(self) -> int:
        """Where it is."""
        import ctypes

        return ctypes.addressof(ctypes.c_char.from_buffer(self.held))

    def end(self) -> None:
        """Wait until the pages are made."""
        self._made.end()


class Pieces:
    """Pieces of memory that are copied one behind the other, as many as there is room for, in a thread."""

    def __init__(self, pid: int, addresses: array[int], sizes: array[int], room: Room) -> None:
        """`sizes` bytes at each of the `addresses`. The copying begins at once."""
        self._pid, self._sizes, self._room = pid, sizes, room
        self._wanted = array("Q", bytes(16 * len(sizes)))
        self._wanted[0::2], self._wanted[1::2] = addresses, sizes
        self._runs = [*self._fitting(room.size)]
        self._work = Later(self._copy)

    def _fitting(self, room: int) -> Iterator[Tuple[int, int, int]]:
        """The first and one past the last of those that are copied at a time, and their bytes."""
        for first in range(0, len(self._sizes), AT_ONCE):
            size = sum(self._sizes[first : first + AT_ONCE])
            room -= size
            if room < 0:
                return
            yield first, min(first + AT_ONCE, len(self._sizes)), size

    def _copy(self) -> List[Tuple[int, int]]:
        self._room.end()
        call, missed, base = _call(), [], self._room.address
        from_, into = self._wanted.buffer_info()[0], array("Q", [0, 0])
        for first, after, size in self._runs:
            into[0], into[1] = base, size
            got = call(self._pid, into.buffer_info()[0], 1, from_ + 16 * first, after - first, 0)
            if got != size:
                missed.append((first, after))
            base += size
        return missed

    @property
    def count(self) -> int:
        """How many of them there was room for: the first ones."""
        return self._runs[-1][1] if self._runs else 0

    @property
    def missed(self) -> List[Tuple[int, int]]:
        """The first and one past the last of those that were not copied because some could not be read, once
        all that can be are there."""
        return self._work.found

    @property
    def data(self) -> memoryview:
        """The bytes, once they are there."""
        self._work.end()
        return memoryview(self._room.held)


def is_there() -> bool:
    """Whether the system, and Python's ctypes, have the call."""
    return _call() is not None


def _call() -> Any:
    """process_vm_readv; None where there is none."""
    try:
        import ctypes  # 4 ms

        call = ctypes.CDLL(None, use_errno=True).process_vm_readv
    except (ImportError, OSError, AttributeError):
        return None
    call.restype = ctypes.c_ssize_t
    pointer, number = ctypes.c_void_p, ctypes.c_ulong
    call.argtypes = (ctypes.c_int, pointer, number, pointer, number, number)
    return call
