"""What MemStats.BuckHashSys counts: the profiler's buckets (src/runtime/mprof.go), and pointer masks."""

from __future__ import annotations

from array import array
from typing import Iterator, List, NamedTuple, Tuple

from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.goruntime.malloc import PERSISTENT_CHUNK, persistent_chunks
from addrspace_gdb.goruntime.moduledata import modules
from addrspace_gdb.goruntime.record import Blocks, Runtime

_LISTS = (("mbuckets", "memRecord"), ("bbuckets", "blockRecord"), ("xbuckets", "blockRecord"))
_MAX_DEPTH = 1 << 12  # frames of a stack; maxProfStackDepth is 1024
_MAX = 1 << 25  # buckets, where BuckHashSys is damaged
_FEW = 1 << 20  # bytes of buckets for which it does not pay to read all chunks


class Buckets(NamedTuple):
    """The buckets of one list, the newest first."""

    name: str
    fixed: int  # bytes of a bucket without its stack
    word: int
    addresses: array[int]
    frames: array[int]  # of the stack of each

    @property
    def size(self) -> int:
        """Bytes of all."""
        return self.fixed * len(self.addresses) + self.word * sum(self.frames)

    def each(self) -> Iterator[Tuple[int, int]]:
        """What each of them takes, in no order."""
        for address, frames in zip(self.addresses, self.frames):
            yield address, address + self.fixed + self.word * frames

    def ranges(self) -> Iterator[Tuple[int, int]]:
        """What they take, ascending; those side by side are one range."""
        start = end = 0
        for low, high in sorted(self.each()):
            if low != end:
                if start:
                    yield start, end
                start = low
            end = high
        if start:
            yield start, end


def profile_bytes(runtime: Runtime) -> int:
    """Bytes of the hash table, of every bucket of memory, block and mutex profiles, and of pointer masks.

    Raises UnreadableError for a bucket that cannot be read or holds an impossible stack.
    """
    found = read_buckets(runtime)
    hashed = runtime.layout("runtime.buckhashArray").size if found else 0
    return hashed + sum(one.size for one in found) + _masks(runtime)


def _masks(runtime: Runtime) -> int:
    """GC masks of the modules' data and bss: progToPointerMask (src/runtime/mbitmap.go) adds a byte."""
    masks = [mask for m in modules(runtime.target, runtime.problems) for mask in (m.gcdatamask, m.gcbssmask)]
    return sum(-(-mask.length // 8) + 1 for mask in masks if mask is not None)


def counted_bytes(runtime: Runtime) -> int:
    """Bytes of all buckets, as the runtime counts them."""
    counted = runtime.variable("runtime.memstats").number("buckhash_sys")
    return max(0, counted - runtime.layout("runtime.buckhashArray").size - _masks(runtime))


def read_buckets(runtime: Runtime) -> List[Buckets]:
    """The buckets of each list; none where nothing was ever profiled. Raises as `profile_bytes`."""
    if not runtime.global_word("runtime.buckhash"):
        return []
    blocks = Blocks(runtime)
    counted = counted_bytes(runtime)
    if counted > _FEW:
        blocks.load((chunk, PERSISTENT_CHUNK) for chunk in persistent_chunks(runtime))
    layout = runtime.layout("runtime.bucket")
    most = min(_MAX, counted // layout.size + 1)  # the runtime has not paid for more
    return [_read_list(runtime, blocks, name, record, most) for name, record in _LISTS]


def _read_list(runtime: Runtime, blocks: Blocks, name: str, record: str, most: int) -> Buckets:
    layout, word = runtime.layout("runtime.bucket"), runtime.word
    fixed = layout.size + runtime.layout(f"runtime.{record}").size
    found = Buckets(name, fixed, word, array("Q"), array("Q"))
    follow, depth = (layout.scalar(field).offset // word for field in ("allnext", "nstk"))
    at = runtime.global_word(f"runtime.{name}")
    low = high = 0
    words = memoryview(b"")
    while at:
        if not (low <= at and at + layout.size <= high):
            low, high, words = blocks.around(at, layout.size)
        index = (at - low) // word
        frames = words[index + depth]
        if frames > _MAX_DEPTH:
            raise UnreadableError(at, layout.size)
        if len(found.addresses) >= most:
            runtime.problems.add(f"runtime.{name}: the list does not end after {most:,} buckets; cut short")
            break
        found.addresses.append(at)
        found.frames.append(frames)
        at = words[index + follow]
    return found
