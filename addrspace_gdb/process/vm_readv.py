"""Many short pieces of a process's memory in few system calls: process_vm_readv(2).

/proc/PID/mem copies whole pages, twice; this copies what is asked for, once: a third less time for the top of
each of 100,000 stacks.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from functools import partial
from typing import Any, Callable, Iterator, Optional, Tuple

from addrspace_gdb.common.ahead import ahead

AT_ONCE = 1024  # IOV_MAX
_MANY = 16 * AT_ONCE  # pieces for which it pays to read in a thread of its own
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
    wanted = array("Q", bytes(16 * count))
    wanted[0::2], wanted[1::2] = addresses, sizes

    def calls() -> Iterator[Callable[[], Tuple[int, int, Optional[memoryview]]]]:
        # Two in turn: one is filled while the other is looked at.
        buffers = [bytearray(min(places[-1], TOGETHER)) for _ in range(2)]
        bases = [ctypes.addressof(ctypes.c_char.from_buffer(one)) if one else 0 for one in buffers]
        intos = [array("Q", bytes(16 * AT_ONCE)) for _ in range(2)]
        first = turn = 0
        while first < count:
            after = min(bisect_right(places, places[first] + TOGETHER) - 1, first + AT_ONCE)
            yield partial(read, first, after, buffers[turn], bases[turn], intos[turn])
            first, turn = after, 1 - turn

    def read(
        first: int, after: int, buffer: bytearray, base: int, into: array[int]
    ) -> Tuple[int, int, Optional[memoryview]]:
        start = places[first]
        into[0 : 2 * (after - first) : 2] = array("Q", map((base - start).__add__, places[first:after]))
        into[1 : 2 * (after - first) : 2] = sizes[first:after]
        from_ = wanted.buffer_info()[0] + 16 * first
        got = call(pid, into.buffer_info()[0], after - first, from_, after - first, 0)
        whole = got == sum(sizes[first:after])
        return first, after, memoryview(buffer)[: places[after] - start] if whole else None

    yield from ahead(calls()) if count > _MANY else (one() for one in calls())


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
