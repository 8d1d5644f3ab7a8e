"""A typed piece of the target's memory: an address, a layout and the bytes, read in one go."""

from __future__ import annotations

import struct
import sys
from array import array
from bisect import bisect_left, bisect_right
from collections import deque
from itertools import compress, zip_longest
from operator import sub
from typing import Deque, Iterable, Iterator, List, Literal, NamedTuple, Optional, Sequence, Set, Tuple, Union

from addrspace_gdb.common.problems import ABSENT, ProblemError, Problems, UnreadableError
from addrspace_gdb.common.progress import Progress
from addrspace_gdb.process.proc_mem import read_ranges
from addrspace_gdb.target.layout import Located, Type
from addrspace_gdb.target.protocol import FileMemory, MapsFiles, Target

MAX_READ = 1 << 28  # no single structure of the runtime is larger; a length beyond it is garbage


Order = Literal["little", "big"]


class Slice(NamedTuple):
    """A Go slice header (src/runtime/slice.go): data pointer, length and capacity in elements."""

    data: int
    length: int
    capacity: int


class Runtime:
    """Lookups in the target's Go runtime, with what was found damaged on the way."""

    def __init__(self, target: Target, problems: Problems, progress: Optional[Progress] = None) -> None:
        self.target = target
        self.problems = problems
        self.progress = progress or Progress()
        self.word = target.pointer_size

    @property
    def _does_without(self) -> bool:
        """Whether the target answers for a Go program that has no symbols (goruntime/stripped/target.py)."""
        return self.target.facts.is_go

    def layout(self, name: str) -> Type:
        """The layout of a runtime type. ProblemError if there is no debug information for it."""
        return self._checked(self.target.type(name), name)

    def _checked(self, found: Optional[Type], name: str) -> Type:
        if found is None or (found.kind == "struct" and not found.fields):
            if self._does_without:
                raise ProblemError(f"{name} {ABSENT}")
            raise ProblemError(
                f"no debug information for {name}, and no table of its layout: not a Go program, or a Go "
                f"version that is not known; {self.target.hints.unstripped}"
            )
        return found

    def address(self, name: str) -> int:
        """The address of a runtime variable. ProblemError if there is no such symbol."""
        found = self.target.symbol(name)
        if found is None:
            if self._does_without:
                raise ProblemError(f"{name} {ABSENT}")
            raise ProblemError(
                f"no symbol {name}, and it is not found without: not a Go program, or one that is damaged; "
                f"{self.target.hints.unstripped}"
            )
        return found.address

    def has(self, name: str) -> bool:
        """Whether the variable exists in this version of the runtime."""
        return self.target.symbol(name) is not None

    def record(self, type_name: str, address: int) -> Record:
        """Read one struct whole. Raises UnreadableError."""
        return Record(self, self.layout(type_name), address)

    def variable(self, name: str) -> Record:
        """Read a global variable whole, laid out as its own type says. Raises UnreadableError."""
        address = self.address(name)
        symbol = self.target.symbol(name)
        return Record(self, self._checked(symbol.type if symbol else None, name), address)

    def word_at(self, address: int) -> int:
        """One pointer-sized integer. Raises UnreadableError."""
        return int.from_bytes(self.target.read(address, self.word), self.order)

    def global_word(self, name: str) -> int:
        """The pointer or uintptr that the variable `name` holds."""
        return self.word_at(self.address(name))

    def global_number(self, name: str, size: int) -> int:
        """The unsigned number of `size` bytes that the variable `name` holds."""
        return int.from_bytes(self.target.read(self.address(name), size), self.order)

    @property
    def order(self) -> Order:
        """The byte order, in the form int.from_bytes wants."""
        return "little" if self.target.byte_order == "little" else "big"

    def words(self, address: int, count: int, what: str) -> array[int]:
        """`count` pointer-sized integers in one read; empty, and a problem told, if that cannot be."""
        size = count * self.word
        if not 0 <= size <= MAX_READ:
            self.problems.add(f"{what}: a length of {count} is not plausible; left out")
            return array("Q")
        try:
            raw = array("Q" if self.word == 8 else "I", self.target.read(address, size))
        except UnreadableError:
            self.problems.add(f"{what}: {count} entries at {address:#x} cannot be read; left out")
            return array("Q")
        if self.order == "big":
            raw.byteswap()
        return raw if self.word == 8 else array("Q", raw)

    def slice_words(self, header: Slice, what: str, limit: int) -> array[int]:
        """The pointers or integers of a Go slice; empty, and a problem told, if its header is damaged."""
        if not 0 <= header.length <= min(header.capacity, limit):
            self.problems.add(f"{what}: a length of {header.length} is not plausible; left out")
            return array("Q")
        return self.words(header.data, header.length, what)

    def chain(self, first: int, next_offset: int, what: str, limit: int = 1 << 20) -> Iterator[int]:
        """Addresses of a linked list; stops, and tells a problem, at a cycle or an unreadable node."""
        seen: Set[int] = set()
        at = first
        while at:
            if at in seen or len(seen) >= limit:
                self.problems.add(
                    f"{what}: the list does not end after {len(seen)} entries; the rest is left out"
                )
                return
            seen.add(at)
            try:
                following = self.word_at(at + next_offset)
            except UnreadableError:
                self.problems.add(f"{what}: entry {at:#x} cannot be read; the rest of the list is left out")
                return
            yield at
            at = following


class Record:
    """One struct of the target, read whole; fields are decoded when asked for."""

    def __init__(
        self, runtime: Runtime, type_: Type, address: int, data: Optional[memoryview] = None
    ) -> None:
        self.runtime = runtime
        self.type = type_
        self.address = address
        if data is None:
            if type_.size > MAX_READ:
                raise UnreadableError(address, type_.size)
            data = memoryview(runtime.target.read(address, type_.size))
        self.data = data

    def number(self, *paths: str) -> int:
        """The integer, bool or pointer in the first of `paths` that exists; looks through atomic wrappers."""
        place = self.type.scalar(*paths)
        raw = self.data[place.offset : place.offset + place.size]
        return int.from_bytes(raw, self.runtime.order, signed=place.type.kind == "int")

    def real(self, path: str) -> float:
        """The float64 at `path`."""
        place = self.type.scalar(path)
        code = ("<" if self.runtime.order == "little" else ">") + ("d" if place.size == 8 else "f")
        return float(struct.unpack_from(code, self.data, place.offset)[0])

    def has(self, path: str) -> bool:
        """Whether this version of the struct has the field."""
        return self.type.has(path)

    def at(self, path: str) -> int:
        """The address of the field."""
        return self.address + self.type.locate(path).offset

    def sub(self, path: str) -> Record:
        """The struct embedded at `path`, on the same bytes."""
        place = self.type.locate(path)
        piece = self.data[place.offset : place.offset + place.size]
        return Record(self.runtime, place.type, self.address + place.offset, piece)

    def slice(self, *paths: str) -> Slice:
        """The slice header at the first of `paths` that exists."""
        place: Located = self.type.locate(*paths)
        word = self.runtime.word
        raw = self.data[place.offset : place.offset + 3 * word]
        parts = [int.from_bytes(raw[i * word : (i + 1) * word], self.runtime.order) for i in range(3)]
        return Slice(*parts)

    def elements(self, path: str) -> Iterator[Record]:
        """Each struct of the array at `path`, on the same bytes."""
        place = self.type.locate(path)
        if place.type.element is None:
            raise KeyError(f"{self.type.name}.{path} is not an array")
        size = place.type.element.size
        for index in range(place.type.count):
            offset = place.offset + index * size
            yield Record(
                self.runtime, place.type.element, self.address + offset, self.data[offset : offset + size]
            )


_TOGETHER, _MAX_GROUPS = 32, 6  # ranges of a group, groups that are held


class Blocks:
    """Words of structs of which many lie near each other, as those of one list do: read in large blocks."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._code: Literal["Q", "I"] = "Q" if runtime.word == 8 else "I"
        self._starts: List[int] = []
        self._blocks: List[memoryview] = []
        self._expected: List[Tuple[int, int, int]] = []  # first address, end, and number of the group
        self._groups: List[List[Tuple[int, int]]] = []
        self._held: Deque[int] = deque()  # groups, the one that was read first in front

    def load(self, ranges: Iterable[Tuple[int, int]]) -> None:
        """Read (address, size) that many words will be asked of. What cannot be read is no problem."""
        wanted = sorted(ranges)
        for (start, _), data in zip(wanted, pieces(self._runtime.target, wanted)):
            if data is not None:
                self._hold(start, data)

    def expect(self, ranges: Sequence[Tuple[int, int]]) -> None:
        """Tell (address, size) of which words will be asked, about in that order. They are read in groups
        when a word of one is wanted; groups of long ago are forgotten, so that much can be gone through."""
        self._groups = [list(ranges[at : at + _TOGETHER]) for at in range(0, len(ranges), _TOGETHER)]
        self._expected = sorted(
            (start, start + size, number)
            for number, group in enumerate(self._groups)
            for start, size in group
        )

    def _expects(self, address: int) -> bool:
        """Whether the address is in a group that was not held; it is read then, as far as it can be."""
        at = bisect_right(self._expected, (address, 1 << 64, 0)) - 1
        if at < 0 or not address < self._expected[at][1] or self._expected[at][2] in self._held:
            return False
        number = self._expected[at][2]
        if len(self._held) >= _MAX_GROUPS:
            self._forget(self._held.popleft())
        self._held.append(number)
        group = sorted(self._groups[number])
        for (start, _), data in zip(group, pieces(self._runtime.target, group)):
            if data is not None:
                self._hold(start, data)
        return True

    def _forget(self, number: int) -> None:
        for start, _ in self._groups[number]:
            at = bisect_right(self._starts, start) - 1
            if at >= 0 and self._starts[at] == start:
                del self._starts[at], self._blocks[at]

    def _hold(self, start: int, data: Bytes) -> memoryview:
        raw = bytes(data)
        if self._runtime.order != sys.byteorder:
            swapped = array(self._code, raw)
            swapped.byteswap()
            raw = swapped.tobytes()
        at = bisect_right(self._starts, start)
        self._starts.insert(at, start)
        self._blocks.insert(at, memoryview(raw).cast(self._code))
        return self._blocks[at]

    def around(self, address: int, size: int) -> Tuple[int, int, memoryview]:
        """The first address and the end of a block with [address, address + size) in it, and its words, whose
        `obj` are the bytes of them in this machine's order. Raises UnreadableError."""
        at = bisect_right(self._starts, address) - 1
        word = self._runtime.word
        if at >= 0 and not (address - self._starts[at]) % word:
            start, words = self._starts[at], self._blocks[at]
            if address + size <= start + len(words) * word:
                return start, start + len(words) * word, words
        if self._expects(address):
            return self.around(address, size)
        small = -(-size // word) * word
        data = self._runtime.target.read(address, small)
        return address, address + small, self._hold(address, data)


_GAP = 4096  # neighbours closer than this are read together
_RUN = 1 << 20
_MAX_LOST = 1 << 12  # reads that fail
_FEW = 4  # pieces for which it does not pay to open a file

Bytes = Union[bytes, memoryview]


def pieces(target: Target, ranges: Sequence[Tuple[int, int]]) -> Iterator[Optional[Bytes]]:
    """The bytes of each (address, size), to be used before the next are asked for; None if unreadable."""
    proc = target.proc_files() if len(ranges) > _FEW else None
    direct: Iterator[Optional[memoryview]] = iter(())
    if proc is not None and proc.local:
        backed = target.file_backed() if isinstance(target, MapsFiles) else None
        direct = read_ranges(proc.path("mem"), ranges, backed.covers if backed is not None else None)
    for (address, size), data in zip_longest(ranges, direct):
        yield data if data is not None else _read(target, address, size)


def direct_pid(target: Target, addresses: Sequence[int], size: int, ascending: bool = False) -> Optional[int]:
    """The process from which `size` bytes at each of the `addresses` may be read past
    `Target.read`: one of this machine that has no file there. None where there is no such way."""
    proc = target.proc_files()
    if proc is None or not proc.local or target.pid is None:
        return None
    backed = target.file_backed() if isinstance(target, MapsFiles) else None
    in_files = backed is not None and _in_files(backed, addresses, size, ascending)
    return None if in_files else target.pid


def _in_files(backed: FileMemory, addresses: Sequence[int], size: int, ascending: bool) -> bool:
    """Whether any of those bytes are a file's. Mostly no file is mapped between the stacks at all."""
    if not addresses:
        return False
    low, high = (addresses[0], addresses[-1]) if ascending else (min(addresses), max(addresses))
    if not backed.covers(low, high + size - low):
        return False
    return backed.covers_any(addresses if ascending else sorted(addresses), size)


def _read(target: Target, address: int, size: int) -> Optional[bytes]:
    try:
        return target.read(address, size)
    except UnreadableError:
        return None


def bulk(
    runtime: Runtime, addresses: Sequence[int], size: int, what: str
) -> Iterator[Tuple[memoryview, int, Sequence[int]]]:
    """Read many structs of `size` bytes at the ascending `addresses` in few large reads.

    Yields (bytes, address of the first byte, the addresses in it); the bytes are to be used before the next
    are asked for. What cannot be read is left out and told as a problem of `what`.
    """
    failed = 0
    parts = list(stretches(addresses, size + _GAP, _RUN))
    ranges = [(addresses[first], addresses[after - 1] + size - addresses[first]) for first, after in parts]
    for (first, after), data in zip(parts, pieces(runtime.target, ranges)):
        run = addresses[first:after]
        runtime.progress.step(what, first, len(addresses))
        if data is not None:
            yield memoryview(data), run[0], run
        else:
            failed += 1
            if failed > _MAX_LOST:
                runtime.problems.add(f"{what}: so many of them cannot be read that the rest is left out")
                return
            yield from _one_by_one(runtime, run, size, what)


def stretches(addresses: Sequence[int], near: int, longest: int) -> Iterator[Tuple[int, int]]:
    """Split ascending addresses where neighbours are more than `near` apart, and into stretches that reach
    over no more than `longest`. Yields the indices of the first and one past the last of each."""
    gaps = compress(range(1, len(addresses)), map(near.__lt__, map(sub, addresses[1:], addresses)))
    first = 0
    for after in [*gaps, len(addresses)]:
        while first < after:
            last = bisect_left(addresses, addresses[first] + longest, first + 1, after)
            yield first, last
            first = last


def _one_by_one(
    runtime: Runtime, run: Sequence[int], size: int, what: str
) -> Iterator[Tuple[memoryview, int, Sequence[int]]]:
    lost = 0
    for address in run:
        try:
            yield memoryview(runtime.target.read(address, size)), address, [address]
        except UnreadableError:
            lost += 1
            if lost >= _MAX_LOST:
                runtime.problems.add(f"{what}: so many of them cannot be read that the rest is left out")
                break
    if lost:
        runtime.problems.add(f"{what}: {lost} of them cannot be read (first near {run[0]:#x}); left out")
