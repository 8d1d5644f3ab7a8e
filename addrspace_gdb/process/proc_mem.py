"""Memory of a process of this machine from /proc/PID/mem, as debuggers read it, into a buffer of our own.

Most of the time is the kernel's, about 0.7 us a page; a new buffer for each read costs nearly as much again.
"""

from __future__ import annotations

import os
from typing import Callable, Iterator, Optional, Sequence, Tuple

_MAX_READ = 1 << 26  # bytes: nobody asks for more at a time
_STEP = 4096  # bytes: no machine's pages are smaller


def read_ranges(
    path: str, ranges: Sequence[Tuple[int, int]], spared: Optional[Callable[[int, int], bool]] = None
) -> Iterator[Optional[memoryview]]:
    """The bytes of each (address, size), to be used before the next are asked for; None if not all of them
    can be read, or if they are `spared`. Nothing at all if `path`, a /proc/PID/mem, cannot be opened."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        largest = max((size for _, size in ranges if size <= _MAX_READ), default=0)
        buffer = memoryview(bytearray(largest + _STEP))
        for address, size in ranges:
            # The kernel copies page by page from where the read begins: two pages each time unless aligned.
            before = address % _STEP
            wanted = 0 < size <= _MAX_READ and not (spared is not None and spared(address, size))
            fits = wanted and _fill(file, buffer[: before + size], address - before)
            yield buffer[before : before + size] if fits else None
    finally:
        os.close(file)


def _fill(file: int, buffer: memoryview, address: int) -> bool:
    """Whether all of `buffer` could be read."""
    done = 0
    try:
        while done < len(buffer):
            count = os.preadv(file, [buffer[done:]], address + done)
            if count <= 0:
                return False
            done += count
    except (OSError, OverflowError, ValueError):
        return False
    return True
