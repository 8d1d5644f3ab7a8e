"""What MemStats.BuckHashSys counts: the profiler's buckets (src/runtime/mprof.go), and pointer masks."""

from __future__ import annotations

from array import array
from typing import Iterator, List, NamedTuple, Sequence, Tuple

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
    # Of memory profiles, by bucket: bytes of an object, and objects in use at the last published collection;
    # where there was none yet, those in use now.
    sizes: array[int]
    in_use: array[int]

    @property
    def size(self) -> int:
        """Bytes of all."""
        return self.fixed * len(self.addresses) + self.word * sum(self.frames)

    def bytes_of(self, frames: int) -> int:
        """Of a bucket with so many frames."""
        return self.fixed + self.word * frames

    def each(self) -> Iterator[Tuple[int, int]]:
        """What each of them takes, in no order."""
        for address, frames in zip(self.addresses, self.frames):
            yield address, address + self.bytes_of(frames)

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
    found = Buckets(name, fixed, word, array("Q"), array("Q"), array("Q"), array("q"))
    follow, depth, size = (layout.scalar(field).offset // word for field in ("allnext", "nstk", "size"))
    memory = record == "memRecord"
    cycles = _cycles(runtime) if memory else []
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
        if memory:
            found.sizes.append(words[index + size])
            counts = index + layout.size // word + frames
            if counts + cycles[0][1] >= len(words):
                low, high, words = blocks.around(at, found.bytes_of(frames))
                index = (at - low) // word
                counts = index + layout.size // word + frames
            found.in_use.append(words[counts + cycles[0][0]] - words[counts + cycles[0][1]])
        at = words[index + follow]
    if memory and not any(found.in_use):
        _count_unpublished(found, blocks, layout.size, cycles)
    return found


def _cycles(runtime: Runtime) -> List[Tuple[int, int]]:
    """Where in a memRecord the words are that count what was allocated and what was freed: of the published
    cycle, and of those that are not yet."""
    cycle, word = runtime.layout("runtime.memRecordCycle"), runtime.word
    record = runtime.layout("runtime.memRecord")
    starts = [record.locate("active").offset]
    later = record.locate("future")
    starts += [later.offset + number * cycle.size for number in range(later.type.count)]
    more, less = (cycle.scalar(name).offset for name in ("allocs", "frees"))
    return [((start + more) // word, (start + less) // word) for start in starts]


def _count_unpublished(found: Buckets, blocks: Blocks, header: int, cycles: List[Tuple[int, int]]) -> None:
    """As runtime.MemProfile does it where no collection has published anything."""
    for row, (at, frames) in enumerate(zip(found.addresses, found.frames)):
        low, _, words = blocks.around(at, found.bytes_of(frames))
        first = (at - low + header) // found.word + frames
        found.in_use[row] = sum(words[first + more] - words[first + less] for more, less in cycles)


def stack_of(runtime: Runtime, bucket: int, frames: int) -> Sequence[int]:
    """The pcs of a bucket's stack, innermost first. Raises UnreadableError."""
    at = bucket + runtime.layout("runtime.bucket").size
    return runtime.words(at, frames, "the stack of a profile's bucket")
