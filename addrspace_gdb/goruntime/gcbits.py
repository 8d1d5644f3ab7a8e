"""Mark and allocation bits of spans, a bit a slot (src/runtime/mheap.go: gcBits, gcBitsArenas).

They are carved from 64 KiB chunks. A span's bits are read from the chunk that holds them, and the chunks
are read whole; bits that lie in none (a damaged list or pointer) are read by themselves, a few of them.
"""

from __future__ import annotations

import re
import sys
from array import array
from bisect import bisect_right
from itertools import islice
from typing import Dict, Iterable, Iterator, List, Optional, Sequence, Set, Tuple

from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.process.kept_memory import LetGoError
from addrspace_gdb.target.protocol import kept_of

# Lists of gcBitsArenas. Chunks on `free` hold nothing of value.
IN_USE = ("next", "current", "previous")
EVERY_LIST = ("free", *IN_USE)

_MAX_BITS = 256  # bytes of bits that one span may have: two bitmaps of 1024 slots (gc.MaxObjsPerSpan)
_TOP_SHIFT = 40  # above which bits of addresses are nearly always the same
_SPARE = 16 << 20
_MAX_SINGLE = 1 << 12  # reads outside the chunks
_MAX_LOST = 1 << 8  # of them that fail before no more are tried


def chunks(runtime: Runtime, lists: Sequence[str]) -> Iterator[Tuple[int, int]]:
    """Address and size of each chunk on the `lists` of gcBitsArenas."""
    arenas = runtime.variable("runtime.gcBitsArenas")
    layout = runtime.layout("runtime.gcBitsArena")
    follow = layout.scalar("next", "gcBitsHeader.next").offset
    for name in lists:
        for chunk in runtime.chain(arenas.number(name), follow, f"gcBitsArenas.{name}"):
            yield chunk, layout.size


class GcBits:
    """The bits of every span, as integers whose bit n stands for slot n."""

    def __init__(self, runtime: Runtime, spans: int) -> None:
        self._runtime = runtime
        self._starts: List[int] = []
        self._blocks: List[bytes] = []
        self._low = self._high = 0  # the block that was asked for last
        self._block = b""
        self._single = self._lost = 0
        self._others: Dict[Tuple[int, int], Optional[int]] = {}  # bits that lie in no chunk
        self._read(sorted(set(chunks(runtime, IN_USE))), spans * _MAX_BITS + _SPARE)

    def _read(self, found: List[Tuple[int, int]], budget: int) -> None:
        """Read chunks, neighbours together; by themselves where that fails."""
        at = 0
        while at < len(found) and budget > 0:
            first, (start, size) = at, found[at]
            at += 1
            while at < len(found) and found[at][0] == start + size and size < budget:
                size += found[at][1]
                at += 1
            budget -= size
            if not self._keep(start, size) and at - first > 1:
                for chunk in found[first:at]:
                    self._keep(*chunk)

    def _keep(self, start: int, size: int) -> bool:
        try:
            self._blocks.append(self._runtime.target.read(start, size))
        except UnreadableError:
            return False
        self._starts.append(start)
        return True

    def bits(self, address: int, count: int) -> Optional[int]:
        """The first `count` bits at `address`; None if they cannot be read."""
        size = (count + 7) >> 3
        here = self._low <= address and address + size <= self._high
        if not here and not self._find(address, size):
            return self._alone(address, count)
        at = address - self._low
        return int.from_bytes(self._block[at : at + size], "little") & ((1 << count) - 1)

    def many(self, addresses: Iterable[int], counts: Iterable[int]) -> Iterator[int]:
        """The bits of many spans, as `bits` gives them one by one; -1 for those that cannot be read."""
        low, high, block = self._low, self._high, self._block
        for address, count in zip(addresses, counts):
            size = (count + 7) >> 3
            if low <= address and address + size <= high:
                at = address - low
                yield int.from_bytes(block[at : at + size], "little") & ((1 << count) - 1)
                continue
            bits = self.bits(address, count)
            low, high, block = self._low, self._high, self._block
            yield -1 if bits is None else bits

    def raw(self, addresses: Iterable[int], sizes: Iterable[int]) -> Iterator[bytes]:
        """So many bytes of the bits of many spans, as they are; none for those that cannot be read."""
        low, high, block = self._low, self._high, self._block
        for address, size in zip(addresses, sizes):
            if not (low <= address and address + size <= high):
                if not self._find(address, size):
                    bits = self._alone(address, size * 8)
                    yield b"" if bits is None else bits.to_bytes(size, "little")
                    continue
                low, high, block = self._low, self._high, self._block
            yield block[address - low : address - low + size]

    def gather(self, addresses: array[int]) -> None:
        """Read what bits there may be at these addresses outside the chunks, of a process that is let
        go before they are looked at."""
        if kept_of(self._runtime.target) is None:
            return
        for place in islice(sorted(self._outside(addresses)), _MAX_SINGLE):
            for start, size in ((place, 2 * _MAX_BITS), (place, _MAX_BITS), (place + _MAX_BITS, _MAX_BITS)):
                try:
                    self._runtime.target.read(start, size)
                except UnreadableError:
                    continue
                if start == place and size > _MAX_BITS:
                    break

    def _outside(self, addresses: array[int]) -> Set[int]:
        """The multiples of _MAX_BITS below those addresses from where bits may not end in the same block."""
        places, base = _places(addresses, self._starts[0] if self._starts else 0)
        for start, block in zip(self._starts, self._blocks):
            first, last = -(-start // _MAX_BITS) - base, (start + len(block)) // _MAX_BITS - 2 - base
            places.difference_update(range(max(0, first), last + 1))
        return {(place + base) * _MAX_BITS for place in places if place + base > 0}

    def _find(self, address: int, size: int) -> bool:
        """Make the block with [address, address + size) the current one."""
        index = bisect_right(self._starts, address) - 1
        if index < 0 or address + size > self._starts[index] + len(self._blocks[index]):
            return False
        self._low, self._block = self._starts[index], self._blocks[index]
        self._high = self._low + len(self._block)
        return True

    def _alone(self, address: int, count: int) -> Optional[int]:
        key = (address, count)
        if key not in self._others:
            self._others[key] = self._read_alone(address, count)
        return self._others[key]

    def _read_alone(self, address: int, count: int) -> Optional[int]:
        if not address or self._single >= _MAX_SINGLE or self._lost >= _MAX_LOST:
            return None
        self._single += 1
        try:
            raw = self._runtime.target.read(address, (count + 7) >> 3)
        except (UnreadableError, LetGoError):
            self._lost += 1
            return None
        return int.from_bytes(raw, "little") & ((1 << count) - 1)


def _places(addresses: array[int], near: int) -> Tuple[Set[int], int]:
    """Which multiples of _MAX_BITS are the next below the addresses, less a number, which comes with them.
    Nearly all are in the same 1 TiB as `near`: then the middle four bytes of each say it."""
    data, top = addresses.tobytes(), near >> _TOP_SHIFT
    if (
        sys.byteorder == "big"
        or addresses.itemsize != 8
        or (data[6::8] + data[7::8]).strip(b"\0")
        or top > 255
    ):
        return {address // _MAX_BITS for address in addresses}, 0
    base = top << _TOP_SHIFT - 8
    found = set(array("I", data[1:] + bytes(1))[0::2]) if data else set()
    for other in re.finditer(b"[^" + re.escape(bytes([top])) + b"]", data[5::8], re.DOTALL):
        found.add(addresses[other.start()] // _MAX_BITS - base)
    return found, base


def green_tea(runtime: Runtime) -> bool:
    """Whether the Green Tea collector is on: an experiment in Go 1.25, the default since 1.26.

    Only then do spans have inline mark bits and workers a queue of spans (src/runtime/mgcmark_greenteagc.go);
    otherwise the queue's type is empty (mgcmark_nogreenteagc.go). That of the bits is empty too, and then
    debug information leaves it out, which says nothing: layouts list what some build of a release has.
    """
    work = runtime.target.type("runtime.gcWork")
    queue = work.find("spanq") if work is not None else None
    return queue is not None and queue.size > 0
