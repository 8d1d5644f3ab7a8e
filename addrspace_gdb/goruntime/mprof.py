"""What MemStats.BuckHashSys counts: the profiler's buckets (src/runtime/mprof.go), and pointer masks."""

from __future__ import annotations

import sys
from array import array
from functools import partial
from operator import sub
from typing import Callable, Dict, Iterable, Iterator, List, Literal, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.common.sizes import size as in_words
from addrspace_gdb.goruntime.malloc import PERSISTENT_CHUNK, persistent_chunks
from addrspace_gdb.goruntime.moduledata import modules
from addrspace_gdb.goruntime.record import Blocks, Runtime
from addrspace_gdb.goruntime.runs import Stacks
from addrspace_gdb.target.layout import Type

_LISTS = {"mbuckets": "memRecord", "bbuckets": "blockRecord", "xbuckets": "blockRecord"}
_MAX_DEPTH = 1 << 12  # frames of a stack; maxProfStackDepth is 1024
_MAX = 1 << 25  # buckets, where BuckHashSys is damaged


class Buckets(NamedTuple):
    """The buckets of one list, the newest first, and what they count.

    Of memory profiles as runtime.MemProfile has it: at the last published collection, or by now where there
    was none.
    """

    name: str
    fixed: int  # bytes of a bucket without its stack
    word: int
    addresses: array[int]
    frames: array[int]  # of the stack of each
    stacks: Stacks  # none if they were not asked for
    # Of memory profiles, by bucket: bytes of an object, objects that were allocated and freed, and the bytes
    # of both, which Go counts up to 1.26.
    sizes: array[int]
    allocs: array[int]
    frees: array[int]
    alloc_bytes: array[int]
    free_bytes: array[int]
    # Of block and mutex profiles: blockRecord, `counts` a float64 as its bits.
    counts: array[int]
    cycles: array[int]

    @property
    def in_use(self) -> List[int]:
        """Objects of each that are in use."""
        return list(map(sub, self.allocs, self.frees))

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
            if low < end:
                continue  # a damaged list may come back to itself
            if low > end:
                if start:
                    yield start, end
                start = low
            end = high
        if start:
            yield start, end


def profile_bytes(runtime: Runtime) -> int:
    """Bytes of the hash table, of every bucket of memory, block and mutex profiles, and of pointer masks.

    A list that is damaged is told, and counts as far as it goes.
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
    """The buckets of each list; none where nothing was ever profiled. Damage is told."""
    lists = _Lists(runtime)
    return [lists.read(name) for name in _LISTS] if lists.any else []


def read_profile(runtime: Runtime, name: str) -> Optional[Buckets]:
    """The buckets of `mbuckets`, `bbuckets` or `xbuckets` with their stacks; None where there are none."""
    lists = _Lists(runtime)
    found = lists.read(name, True) if lists.any else None
    return found if found is not None and found.addresses else None


class _Fields(NamedTuple):
    """Places in words: of a bucket's header, and of each number that is counted the words to add up."""

    follow: int
    depth: int
    size: int
    counted: Dict[str, Tuple[int, ...]]  # by the column, behind the stack


class _Lists:
    """Reads lists of buckets."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._layout = runtime.layout("runtime.bucket")
        self.any = bool(runtime.global_word("runtime.buckhash"))
        if not self.any:
            return
        self._blocks = Blocks(runtime)
        counted = counted_bytes(runtime)
        if runtime.has("runtime.persistentChunks"):
            self._blocks.expect([(chunk, PERSISTENT_CHUNK) for chunk in persistent_chunks(runtime)])
        self._most = min(_MAX, counted // self._layout.size + 1)  # the runtime has not paid for more

    def read(self, name: str, stacks: bool = False) -> Buckets:
        """The list `name`, with the stacks if they are wanted."""
        runtime, record = self._runtime, self._runtime.layout(f"runtime.{_LISTS[name]}")
        columns = [array("Q") for _ in range(9)]
        addresses, frames, *others = columns
        fixed = self._layout.size + record.size
        kept = Stacks(runtime.word, sys.byteorder)  # of words that were swapped already
        found = Buckets(name, fixed, runtime.word, addresses, frames, kept, *others)
        first = runtime.global_word(f"runtime.{name}")
        try:
            self._fill(first, found, record, stacks)
        except UnreadableError as error:
            self._cut(name, f"leads to {error.address:#x}, which cannot be read")
        except OverflowError:
            self._cut(name, "leads to a bucket with an impossible stack")
        except ValueError as error:
            self._cut(name, f"leads to {error.args[0]:#x}, where no bucket can be")
        return found

    def _fill(self, first: int, found: Buckets, record: Type, stacks: bool) -> None:
        fields = self._fields(record, published=True)
        if self._follow(first, found, fields, stacks):
            self._cut(found.name, f"does not end after {self._most:,} entries")
        if found.allocs and not any(found.allocs) and not any(found.frees):
            self._count_unpublished(found, self._fields(record, published=False))

    def _fields(self, record: Type, published: bool) -> _Fields:
        word, header = self._runtime.word, self._layout
        counted: Dict[str, Tuple[int, ...]] = {}
        if record.has("active"):
            starts = _cycles(self._runtime, record, published)
            cycle = self._runtime.layout("runtime.memRecordCycle")
            for name in ("allocs", "frees", "alloc_bytes", "free_bytes"):
                if cycle.has(name):
                    place = cycle.scalar(name).offset
                    counted[name] = tuple((start + place) // word for start in starts)
        else:
            for column, name in (("counts", "count"), ("cycles", "cycles")):
                counted[column] = (record.scalar(name).offset // word,)
        places = [header.scalar(name).offset // word for name in ("allnext", "nstk", "size")]
        return _Fields(places[0], places[1], places[2], counted)

    def _cut(self, name: str, why: str) -> None:
        told = f"runtime.{name}: the list {why}; the rest is left out"
        bytes_ = in_words(counted_bytes(self._runtime))
        self._runtime.problems.add(f"{told}, by BuckHashSys all buckets have {bytes_}")

    def _follow(self, at: int, found: Buckets, fields: _Fields, stacks: bool) -> int:
        """Put the buckets into `found`; returns the address of the next one, 0 at the end.
        Raises UnreadableError, OverflowError and ValueError."""
        word, header, fixed = found.word, self._layout.size // found.word, found.fixed
        take, take_stack = _taker(found, fields, self._runtime), found.stacks.add
        depth, follow, size = fields.depth, fields.follow, fields.size
        put, put_frames, put_size = found.addresses.append, found.frames.append, found.sizes.append
        around, least, sized = self._blocks.around, self._layout.size, "allocs" in fields.counted
        low = high = count = 0
        words, raw = memoryview(b""), b""
        while at and count < self._most:
            if not low <= at or at + least > high:
                if at % word:
                    raise ValueError(at)
                low, high, words = around(at, least)
                raw = words.obj  # type: ignore[assignment]
            index = (at - low) // word
            frames = words[index + depth]
            if frames > _MAX_DEPTH:
                raise OverflowError
            if at + fixed + word * frames > high:
                low, high, words = around(at, fixed + word * frames)
                raw, index = words.obj, (at - low) // word  # type: ignore[assignment]
            counts = index + header + frames
            if stacks:
                take_stack(raw, (index + header) * word, counts * word)
            take(words, counts)
            if sized:
                put_size(words[index + size])
            put(at)
            put_frames(frames)
            count += 1
            at = words[index + follow]
        return at

    def _count_unpublished(self, found: Buckets, fields: _Fields) -> None:
        """As runtime.MemProfile does it where no collection has published anything."""
        header = self._layout.size
        for name in fields.counted:
            del getattr(found, name)[:]
        take = _taker(found, fields, self._runtime)
        for at, frames in zip(found.addresses, found.frames):
            low, _, words = self._blocks.around(at, found.bytes_of(frames))
            take(words, (at - low + header) // found.word + frames)


Take = Callable[[memoryview, int], None]
Append = Callable[[int], None]


def _taker(found: Buckets, fields: _Fields, runtime: Runtime) -> Take:
    """What appends the counts that begin at an index of some words to the columns."""
    mask = (1 << 8 * found.word) - 1
    if "counts" in fields.counted:
        return partial(_take_record, found, fields, runtime.order)
    columns = [(getattr(found, name).append, places) for name, places in fields.counted.items()]
    pairs = [(append, *places) for append, places in columns if len(places) == 2]

    def take(words: memoryview, at: int) -> None:
        for append, places in columns:
            append(sum(words[at + place] for place in places) & mask)

    def take_pairs(words: memoryview, at: int) -> None:
        for append, one, other in pairs:
            append(words[at + one] + words[at + other] & mask)

    if len(pairs) == len(columns) == 2:
        return partial(_take_two, mask, *pairs[0], *pairs[1])
    return take_pairs if len(pairs) == len(columns) else take


def _take_two(
    mask: int,
    append: Append,
    one: int,
    other: int,
    append_too: Append,
    one_too: int,
    other_too: int,
    words: memoryview,
    at: int,
) -> None:
    """What there is since Go 1.27: objects allocated, and freed."""
    append(words[at + one] + words[at + other] & mask)
    append_too(words[at + one_too] + words[at + other_too] & mask)


def _take_record(
    found: Buckets, fields: _Fields, order: Literal["little", "big"], words: memoryview, at: int
) -> None:
    """Numbers of 8 bytes, also where a word has 4."""
    for name, (place,) in fields.counted.items():
        value = words[at + place]
        if found.word == 4:
            first, second = value, words[at + place + 1]
            value = first | second << 32 if order == "little" else first << 32 | second
        getattr(found, name).append(value)


def _cycles(runtime: Runtime, record: Type, published: bool) -> List[int]:
    """Where in a memRecord the cycles begin that count: the published one with the one that is to be
    published next, which runtime.MemProfile does on the way; or all of them."""
    size = runtime.layout("runtime.memRecordCycle").size
    later = record.locate("future")
    numbers: Iterable[int] = range(later.type.count)
    if published:
        cycle = read_cycle(runtime)
        numbers = [] if cycle is None else [cycle % later.type.count]
    return [record.locate("active").offset, *(later.offset + number * size for number in numbers)]


def read_cycle(runtime: Runtime) -> Optional[int]:
    """The number of the heap profile's cycle (mProfCycle); None where it is not known."""
    if not runtime.has("runtime.mProfCycle"):
        return None
    return runtime.variable("runtime.mProfCycle").number("value") >> 1  # the last bit: whether it is flushed


class Bucket(NamedTuple):
    """Of a bucket: bytes of each object, and the innermost pcs of its stack."""

    size: int
    stack: Sequence[int]


def read_some(runtime: Runtime, buckets: Iterable[int], most: int) -> Dict[int, Bucket]:
    """Those buckets by their addresses, with `most` pcs of each. What is damaged is left out.
    Raises UnreadableError and KeyError."""
    layout, word = runtime.layout("runtime.bucket"), runtime.word
    depth, size = (layout.scalar(name).offset // word for name in ("nstk", "size"))
    header, blocks = layout.size // word, Blocks(runtime)
    if runtime.has("runtime.persistentChunks"):
        blocks.expect([(chunk, PERSISTENT_CHUNK) for chunk in persistent_chunks(runtime)])
    found = {}
    for at in buckets:
        try:
            low, _, words = blocks.around(at, layout.size)
            index = (at - low) // word
            frames, bytes_ = min(words[index + depth], most), words[index + size]
            low, _, words = blocks.around(at, layout.size + word * frames)
        except (UnreadableError, OverflowError, IndexError):
            continue
        index = (at - low) // word + header
        found[at] = Bucket(bytes_, words[index : index + frames].tolist())
    return found


def bucket_stack(runtime: Runtime, bucket: int) -> Sequence[int]:
    """The pcs of the stack of the bucket at that address; none if it is damaged. Raises UnreadableError."""
    frames = runtime.record("runtime.bucket", bucket).number("nstk")
    return stack_of(runtime, bucket, frames) if frames <= _MAX_DEPTH else ()


def stack_of(runtime: Runtime, bucket: int, frames: int) -> Sequence[int]:
    """The pcs of a bucket's stack, innermost first. Raises UnreadableError."""
    at = bucket + runtime.layout("runtime.bucket").size
    return runtime.words(at, frames, "the stack of a profile's bucket")
