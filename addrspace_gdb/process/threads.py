"""Stacks of OS threads: the main stack, pthread stacks with their guards, cached stacks.

A pthread's stack is a block that ends with its `struct pthread`, which records the block: glibc's
nptl/descr.h has `stackblock`, `stackblock_size` and `guardsize` in a row since 2.4. The block is found by
these three words, so it is right also where the kernel has merged mappings, or where the guard is not a
mapping of its own (glibc >= 2.42, MADV_GUARD_INSTALL). The guard's address is the start of the block.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.process.mappings import NO_ACCESS, Mapping, is_anonymous
from addrspace_gdb.process.pointers import Read, Words
from addrspace_gdb.target.protocol import Thread

STACK, GUARD, TLS, CACHED = "stack", "guard", "tls", "cached thread stack"
MAIN_THREAD = "main thread"  # the note of its stack

_DESCRIPTOR = 4096  # struct pthread is smaller in every glibc (2304 bytes in 2.36 on amd64)
_MAX_BLOCK = 1 << 40  # bytes
_MAX_ABOVE = 1 << 24  # thread-local storage between the thread pointer and the end of the block


class ThreadStack(NamedTuple):
    """A range that belongs to a thread's stack block. `tid` is None where no thread owns it."""

    start: int
    end: int
    tid: Optional[int]
    kind: str  # "stack", "guard", "tls", "cached thread stack"
    note: str


class _Block(NamedTuple):
    start: int
    end: int
    guard: int  # bytes at the start


def thread_stacks(
    threads: Sequence[Thread],
    mappings: Sequence[Mapping],
    read: Read,
    pointer_size: int = 8,
    byte_order: str = "little",
    page_size: int = 4096,
    main_tid: Optional[int] = None,
) -> List[ThreadStack]:
    """Every stack range that libc or the kernel made for a thread, sorted, disjoint.

    `main_tid` is the thread that the kernel started the program with (the process id): libc made no block
    for it, whatever its neighbourhood looks like.

    A thread whose thread pointer is not libc's (Go without cgo points it into its own `m`) has none here.
    The main thread's thread-local storage is one anonymous mapping made by the dynamic linker: kind "tls".
    Signal stacks are not known to libc nor to the kernel's lists.
    """
    finder = _Finder(mappings, Words(read, pointer_size, byte_order), page_size)
    found = [_main_stack(threads, m) for m in mappings if m.name == "[stack]"]
    blocks: Dict[_Block, Thread] = {}
    for thread in threads:
        block = finder.live(thread) if thread.tid != main_tid else None
        if block is not None:
            blocks.setdefault(block, thread)
    for block, thread in blocks.items():
        found += _ranges(block, thread.tid, STACK, f"thread {thread.number}")
    if finder.seen_libc:
        for block in finder.cached(list(blocks)):
            found += _ranges(block, None, CACHED, "of a thread that has ended")
    with_block = {thread.tid for thread in blocks.values()}
    found += [piece for t in threads if t.tid not in with_block for piece in finder.static_tls(t, found)]
    return _disjoint(found)


def _main_stack(threads: Sequence[Thread], mapping: Mapping) -> ThreadStack:
    inside = (t.tid for t in threads if t.sp is not None and mapping.start <= t.sp < mapping.end)
    return ThreadStack(mapping.start, mapping.end, next(inside, None), STACK, MAIN_THREAD)


def _ranges(block: _Block, tid: Optional[int], kind: str, note: str) -> List[ThreadStack]:
    stack = ThreadStack(block.start + block.guard, block.end, tid, kind, note)
    if not block.guard:
        return [stack]
    return [ThreadStack(block.start, block.start + block.guard, tid, GUARD, note), stack]


def _disjoint(found: Sequence[ThreadStack]) -> List[ThreadStack]:
    kept: List[ThreadStack] = []
    for stack in sorted(found, key=lambda s: (s.start, -s.end)):
        if stack.start < stack.end and (not kept or stack.start >= kept[-1].end):
            kept.append(stack)
    return kept


class _Finder:
    """Looks for blocks in anonymous read-write mappings."""

    def __init__(self, mappings: Sequence[Mapping], words: Words, page_size: int) -> None:
        self._mappings = sorted(mappings)
        self._starts = [m.start for m in self._mappings]
        self._words = words
        self._page = page_size
        self._place: Optional[int] = None  # of the record, from the thread pointer: the same for all
        self.seen_libc = False

    def _index(self, address: Optional[int]) -> Optional[int]:
        """Index of the anonymous read-write mapping that holds `address`."""
        if not address:
            return None
        index = bisect_right(self._starts, address) - 1
        if index < 0 or address >= self._mappings[index].end:
            return None
        return index if _is_data(self._mappings[index]) else None

    def live(self, thread: Thread) -> Optional[_Block]:
        """The block of `thread`, when its thread pointer is a pthread's."""
        index = self._index(thread.tls)
        if index is None or thread.tls is None:
            return None
        tls, mapping = thread.tls, self._mappings[index]
        own = self._words.at(tls, 1)
        points_to_itself = own is not None and own[0] == tls  # tcbhead_t.tcb, on x86; arm64 has none
        self.seen_libc |= points_to_itself
        block = self._described(tls, mapping, points_to_itself)
        if block is not None:
            self.seen_libc = True
            return block
        return self._by_mappings(index, tls) if points_to_itself or own is None else None

    def _described(self, tls: int, mapping: Mapping, points_to_itself: bool) -> Optional[_Block]:
        """The block that the descriptor of this thread pointer records, where it last was or anywhere.

        The descriptor begins at the thread pointer on x86 and ends there on arm64.
        """
        first = tls - (0 if points_to_itself else _DESCRIPTOR)
        places = [(first, tls + _DESCRIPTOR)]
        if self._place is not None:
            places.insert(0, (tls + self._place, tls + self._place + 3 * self._words.size))
        for low, high in places:
            low = max(mapping.start, low)
            for at, block in self._recorded(low, min(mapping.end, high)):
                if block.start + block.guard < tls < block.end <= tls + _MAX_ABOVE:
                    self._place = at - tls
                    return block
        return None

    def _recorded(self, low: int, high: int) -> List[Tuple[int, _Block]]:
        """Where three words in a row of [low, high) are a possible block, and which."""
        size = self._words.size
        words = self._words.at(low, (high - low) // size) if low < high else None
        found: List[Tuple[int, _Block]] = []
        if words is None or not any(words):
            return found
        inside = self._page - 1
        for index in [at for at, start in enumerate(words[:-2]) if start and not start & inside]:
            start, length, guard = words[index : index + 3]
            if (
                0 < length < _MAX_BLOCK
                and not guard & inside
                and guard < length
                and self._covers(start + guard, start + length)
            ):
                found.append((low + index * size, _Block(start, start + length, guard)))
        return found

    def _covers(self, start: int, end: int) -> bool:
        """Whether [start, end) lies in one anonymous read-write mapping."""
        index = self._index(start)
        return index is not None and end <= self._mappings[index].end

    def _by_mappings(self, index: int, tls: int) -> Optional[_Block]:
        """Without glibc's record (musl; a core without the page): by the PROT_NONE guard below.

        Then the thread descriptor is taken to be on the block's last page, as it is in both libraries.
        """
        mapping, below = self._mappings[index], self._mappings[index - 1] if index else None
        if below is None or below.end != mapping.start or not _is_guard(below) or mapping.name:
            return None
        guard = min(below.size, self._page)
        end = min(mapping.end, tls + self._page - tls % self._page)
        return _Block(mapping.start - guard, end, guard)

    def static_tls(self, thread: Thread, others: Sequence[ThreadStack]) -> List[ThreadStack]:
        """The memory around libc's descriptor of a thread that has no block, the main thread: its mapping,
        less the blocks of `others` that the kernel merged with it."""
        index = self._index(thread.tls)
        if index is None or thread.tls is None:
            return []
        tls, mapping = thread.tls, self._mappings[index]
        own = self._words.at(tls, 1)
        below = self._mappings[index - 1] if index else None
        in_image = below is not None and below.end == mapping.start and below.file is not None
        if own is None or own[0] != tls or mapping.name or in_image:
            return []
        start = max([mapping.start, *(o.end for o in others if o.end <= tls)])
        end = min([mapping.end, *(o.start for o in others if o.start > tls)])
        return [ThreadStack(start, end, thread.tid, TLS, f"thread {thread.number}")]

    def cached(self, live: Sequence[_Block]) -> List[_Block]:
        """Blocks that glibc keeps for later threads (nptl/allocatestack.c, stack_cache).

        Looked for at the end of mappings above a guard, and below blocks that share a mapping.
        """
        known = {block.end for block in live}
        shared = {self._index(block.end - 1) for block in live}
        ends = [m.end for i, m in enumerate(self._mappings) if i in shared or self._is_guarded(i)]
        ends += [block.start for block in live]
        found: List[_Block] = []
        while ends:  # each block that is found puts one below it there
            end = ends.pop()
            if end in known or self._index(end - 1) is None:
                continue
            known.add(end)
            last = end - self._page
            match = [b for _, b in self._recorded(last, end) if b.end == end and b.start + b.guard < last]
            if match:
                found.append(match[0])
                ends.append(match[0].start)
        return found

    def _is_guarded(self, index: int) -> bool:
        """Whether this may be a stack above a guard: PTHREAD_STACK_MIN is 16 KiB and more."""
        mapping, below = self._mappings[index], self._mappings[index - 1] if index else None
        if below is None or below.end != mapping.start or mapping.size < 2 * self._page:
            return False
        return _is_guard(below) and _is_data(mapping)


def _is_data(mapping: Mapping) -> bool:
    return is_anonymous(mapping) and mapping.permissions[:2] == "rw" and mapping.permissions[3:] != "s"


def _is_guard(mapping: Mapping) -> bool:
    return mapping.file is None and mapping.permissions[:3] in NO_ACCESS
