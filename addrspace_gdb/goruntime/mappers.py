"""Mappings that Go code made itself, through syscall.Mmap or golang.org/x/sys/unix.Mmap.

Both packages keep what they have mapped in a map[*byte][]byte, whose key is the address of the last byte
(src/syscall/syscall_unix.go, mmapper). How a map lies in memory differs from release to release; here the
objects behind it are searched for an entry's four words, which nothing else has: a pointer to the last byte,
and a slice that begins on a page and is as long as its capacity.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import compress
from typing import Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.common.sizes import size as in_words
from addrspace_gdb.goruntime.mspan import IN_USE, Spans
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.sizeclasses import PAGE_SHIFT

# The packages, and the function that the user calls.
MAPPERS = {"syscall": "syscall.Mmap", "golang.org/x/sys/unix": "unix.Mmap"}
# As what a target that has no symbols knows the mmapper, to which the variable points.
POINTED = "*{}.mapper"
MUTEX = 8  # bytes of the sync.Mutex before the map
_HOPS = 6  # from the mapper to the entries of its map: a header, a directory, a table, groups
_MAX_BYTES = 64 << 20  # of objects that are searched
_SLOTS = 8  # of a bucket up to Go 1.23: its keys stand before all its values (src/runtime/map.go)
_VALUE = 3  # words


class GoMapping(NamedTuple):
    """What one call has mapped, in bytes as it was asked for."""

    start: int
    end: int
    function: str

    @property
    def label(self) -> str:
        """Who made it and how large: those of one size are listed together."""
        return f"{self.function} of {in_words(self.end - self.start)}"

    def pages(self, page_size: int) -> Tuple[int, int]:
        """[start, end) of the whole pages."""
        return self.start, -(-self.end // page_size) * page_size


def go_mappings(runtime: Runtime, spans: Spans, page_size: int) -> List[GoMapping]:
    """All that are there, ascending. Nothing of a program without symbols whose code is not to be had."""
    found: Set[GoMapping] = set()
    search: Optional[_Search] = None
    for package, function in MAPPERS.items():
        try:
            mapper = _mapper(runtime, package)
            if mapper is None:
                continue
            at = runtime.word_at(mapper + MUTEX)
            search = search or _Search(runtime, spans, page_size)
            found.update(GoMapping(start, end, function) for start, end in search.entries(at))
        except UnreadableError:
            continue
    return sorted(found)


def _mapper(runtime: Runtime, package: str) -> Optional[int]:
    """Where the package's mmapper is; None if the program has none."""
    variable = runtime.target.symbol(f"{package}.mapper")
    if variable is not None:
        return runtime.word_at(variable.address)
    found = runtime.target.symbol(POINTED.format(package)) if runtime.target.facts.is_go else None
    return found.address if found is not None else None


class _Search:
    """Looks for entries in objects of the heap."""

    def __init__(self, runtime: Runtime, spans: Spans, page_size: int) -> None:
        self._runtime, self._inside = runtime, page_size - 1
        columns = spans.columns
        rows = list(compress(range(len(spans)), map(IN_USE.__eq__, columns["state"])))
        rows.sort(key=columns["start"].__getitem__)
        self._starts, self._elements = ([columns[name][row] for row in rows] for name in ("start", "element"))
        self._ends = [columns["start"][row] + (columns["pages"][row] << PAGE_SHIFT) for row in rows]
        self._left = _MAX_BYTES

    def entries(self, address: int) -> Iterator[Tuple[int, int]]:
        """What the map at `address` says is mapped."""
        seen: Set[Tuple[int, int]] = set()
        level = {address}
        for _ in range(_HOPS):
            objects = {found for found in map(self._object, level) if found is not None} - seen
            seen |= objects
            level = set()
            for start, size in sorted(objects):
                if size > self._left:
                    self._runtime.problems.add("mmap: the list of mappings is too large; cut short")
                    return
                self._left -= size
                words = self._runtime.words(start, size // self._runtime.word, "mmap: a list of mappings")
                yield from self._found(words)
                level.update(words)

    def _object(self, address: int) -> Optional[Tuple[int, int]]:
        """The object that holds the address: its start and size."""
        at = bisect_right(self._starts, address) - 1
        if at < 0 or address >= self._ends[at] or not self._elements[at]:
            return None
        start, size = self._starts[at], self._elements[at]
        return start + (address - start) // size * size, size

    def _found(self, words: Sequence[int]) -> Iterator[Tuple[int, int]]:
        for key in range(len(words) - _VALUE):
            if words[key]:
                yield from self._entry(words, key, key + 1)
        head = 8 // self._runtime.word  # a byte of each key's hash; and since Go 1.22 an object's header
        size = head + _SLOTS * (1 + _VALUE) + 1
        for first in (0, head):
            for keys in range(first + head, len(words) - size + head + 1, size):
                for slot in range(_SLOTS):
                    yield from self._entry(words, keys + slot, keys + _SLOTS + _VALUE * slot)

    def _entry(self, words: Sequence[int], key: int, value: int) -> Iterator[Tuple[int, int]]:
        start, length, capacity = words[value : value + _VALUE]
        if start and not start & self._inside and 0 < length == capacity and words[key] == start + length - 1:
            yield start, start + length
