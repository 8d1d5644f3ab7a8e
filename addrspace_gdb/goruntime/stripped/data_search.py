"""Where the runtime's variables may lie in a core without the program's code: by what the data looks like.

The kernel leaves the program's code and read-only data out of a core. When the file is gone too, there are
no functions to follow; the data segments are searched for each variable's shape instead, and what is found
is verified as always. Small variables that look like any other number cannot be found this way.
"""

from __future__ import annotations

import struct
from array import array
from typing import Callable, Dict, Iterable, Iterator, List, NamedTuple, Set, Tuple

from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.goruntime.layouts import Layouts
from addrspace_gdb.goruntime.moduledata import Module
from addrspace_gdb.goruntime.record import Record, Runtime
from addrspace_gdb.goruntime.stripped.checks import MIN_HEAP, PROT_READ_WRITE, USUAL_THREADS, Find, least_heap

_PIECE, _MAX_SEARCHED = 1 << 16, 1 << 26  # bytes that are read at once, and in all
_PAGE = 1 << 12
_ZEROES = bytes(_PAGE)
_MAX_GOROUTINES, _MAX_PS = 1 << 25, 1 << 12
_MAX_FOUND = 4096  # places
_DAMAGE = (UnreadableError, ProblemError, KeyError, ArithmeticError)  # a divisor may be 0


class _Words(NamedTuple):
    """Words that stand next to each other."""

    start: int
    words: array[int]


def written(data: bytearray) -> List[Tuple[int, int]]:
    """Where in it, from and to, something else than zeroes stands, by pages, and a page before and behind it:
    what is looked for may have words that are 0."""
    found: List[Tuple[int, int]] = []
    for at in range(0, len(data), _PAGE):
        if not data.startswith(_ZEROES[: len(data) - at], at):
            begin, end = max(0, at - _PAGE), min(len(data), at + 2 * _PAGE)
            if found and begin <= found[-1][1]:
                begin, _ = found.pop()
            found.append((begin, end))
    return found


class Scan:
    """Candidates for a variable by its name, from all data of the module."""

    def __init__(self, runtime: Runtime, module: Module, layouts: Layouts, find: Find) -> None:
        self._runtime, self._module, self._layouts, self._find = runtime, module, layouts, find
        self._read: List[_Words] = []
        self._spans: Set[int] = set()
        self._searches: Dict[str, Callable[[], Iterable[int]]] = {
            "allgs": lambda: self._slices(_MAX_GOROUTINES),
            "allgptr": lambda: self._beside("allgs", 0),
            "allglen": lambda: self._beside("allgs", runtime.word),
            "allm": self._allm,
            "allp": lambda: self._slices(_MAX_PS),
            "buckhash": self._pages,
            "gcBitsArenas": self._gc_bits,
            "gcController": self._controller,
            "memstats": self._memstats,
            "mheap_": self._mheap,
            "persistentChunks": self._pages,
            "sched": self._sched,
            "stackLarge": lambda: self._lists("stackLarge", "free", ""),
            "stackpool": lambda: self._lists("stackpool", "", "item.span"),
            "vgetrandomAlloc": self._getrandom,
            "work": self._work,
        }

    def candidates(self, name: str) -> Iterable[int]:
        """Addresses where the variable `name` of package runtime may lie; empty if it has no shape."""
        search = self._searches.get(name)
        try:
            return list(search())[:_MAX_FOUND] if search is not None else []
        except _DAMAGE:
            return []

    def _data(self) -> List[_Words]:
        """All of it but for zeroes: a bss may be tens of megabytes that nobody has written to."""
        if not self._read:
            start, end = self._module.data
            end = min(end, start + _MAX_SEARCHED)
            start, data = start & -8, bytearray()
            for at in range(start, end, _PIECE):
                try:
                    data += self._runtime.target.read(at, min(_PIECE, end - at) & -8)
                except UnreadableError:
                    self._add(start, data)
                    data, start = bytearray(), at + _PIECE
            self._add(start, data)
        return self._read

    def _add(self, start: int, data: bytearray) -> None:
        for begin, end in written(data):
            words = array("Q" if self._runtime.word == 8 else "I", bytes(data[begin:end]))
            if self._runtime.order == "big":
                words.byteswap()
            self._read.append(_Words(start + begin, words))

    def _each(self) -> Iterator[Tuple[int, int]]:
        """Address and value of every word that is not 0."""
        word = self._runtime.word
        for start, words in self._data():
            yield from ((start + i * word, value) for i, value in enumerate(words) if value)

    def _offset(self, variable: str, path: str) -> int:
        type_ = self._layouts.variable(f"runtime.{variable}")
        if type_ is None:
            raise KeyError(variable)
        return type_.scalar(path).offset

    def _variable(self, name: str) -> Record:
        address, type_ = self._find(name), self._layouts.variable(f"runtime.{name}")
        if address is None or type_ is None:
            raise KeyError(name)
        return Record(self._runtime, type_, address)

    def _beside(self, name: str, offset: int) -> List[int]:
        """allglen and allgptr repeat what allgs says, for readers without a lock."""
        address = self._find(name)
        return [] if address is None else [address + offset]

    def _slices(self, most: int) -> List[int]:
        """Slices that are not empty, longest first."""
        found: List[Tuple[int, int]] = []
        word = self._runtime.word
        for start, words in self._data():
            triples = zip(words, words[1:], words[2:])
            found += [
                (-length, start + i * word)
                for i, (data, length, room) in enumerate(triples)
                if 0 < length <= room <= 2 * most and length <= most and data % word == 0 and data > _PIECE
            ]
        return [address for _, address in sorted(found)]

    def _mheap(self) -> List[int]:
        size = self._runtime.layout("runtime.mspan").size
        offset = self._offset("mheap_", "spanalloc.size")
        return [address - offset for address, value in self._each() if value == size]

    def _allm(self) -> List[int]:
        """Pointers to an m, by how many follow on its list; the variable points to the longest."""
        layout = self._runtime.layout("runtime.m")
        g0, link = layout.scalar("g0").offset, layout.scalar("alllink").offset
        back = self._runtime.layout("runtime.g").scalar("m").offset
        known: Dict[int, bool] = {}
        found: List[Tuple[int, int]] = []
        for address, value in self._each():
            if value not in known:
                known[value] = value % 8 == 0 and value > _PIECE and self._is_m(value, g0, back)
            if known[value]:
                found.append((-len(list(self._runtime.chain(value, link, "allm"))), address))
        return [address for _, address in sorted(found)]

    def _is_m(self, address: int, g0: int, back: int) -> bool:
        try:
            return self._runtime.word_at(self._runtime.word_at(address + g0) + back) == address
        except (UnreadableError, OverflowError):
            return False

    def _sched(self) -> Iterator[int]:
        code = struct.Struct("<I" if self._runtime.order == "little" else ">I").pack(USUAL_THREADS)
        offset = self._offset("sched", "maxmcount")
        for start, words in self._data():
            if self._runtime.order == "big":
                words = array(words.typecode, words)
                words.byteswap()
            raw = words.tobytes()
            at = raw.find(code)
            while at >= 0:
                yield start + at - offset
                at = raw.find(code, at + 1)

    def _memstats(self) -> List[int]:
        """mspan_sys and mcache_sys are whole chunks of what mheap_'s allocators hand out."""
        heap = self._variable("mheap_")
        spans, used = heap.number("spanalloc.nalloc"), heap.number("spanalloc.inuse")
        offset = self._offset("memstats", "mspan_sys")
        return [
            a - offset for a, value in self._each() if value % spans == 0 and used <= value < 2 * used + spans
        ]

    def _controller(self) -> List[int]:
        offset = self._offset("gcController", "heapMinimum")
        back = offset - self._offset("gcController", "gcPercent")
        found = []
        for address, value in self._each():
            if value == least_heap(-1) or value * 100 // MIN_HEAP < 1 << 31:
                try:
                    raw = self._runtime.target.read(address - back, 4)
                except UnreadableError:
                    continue
                if least_heap(int.from_bytes(raw, self._runtime.order, signed=True)) == value:
                    found.append(address - offset)
        return found

    def _pages(self) -> List[int]:
        """Pointers to memory straight from the OS, outside the heap."""
        return [address for address, value in self._each() if value % 4096 == 0]

    def _gc_bits(self) -> List[int]:
        """Those with most lists that are not empty first: zeroes are everywhere."""
        offset = self._offset("gcBitsArenas", "free")
        found: List[Tuple[int, int]] = []
        word = self._runtime.word
        for start, words in self._data():
            for i, four in enumerate(zip(words, words[1:], words[2:], words[3:])):
                if any(four) and not (four[0] | four[1] | four[2] | four[3]) & 4095:
                    found.append((four.count(0), start + i * word - offset))
        return [address for _, address in sorted(found)]

    def _span_pointers(self) -> Iterator[Tuple[int, int]]:
        """Words that point to a span."""
        if not self._spans:
            header = self._variable("mheap_").slice("allspans")
            self._spans = set(self._runtime.slice_words(header, "mheap_.allspans", 1 << 25))
        spans = self._spans
        return ((address, value) for address, value in self._each() if value in spans)

    def _lists(self, name: str, path: str, inside: str) -> Iterator[int]:
        """The variable, from a pointer in one of the mSpanLists of its array."""
        type_ = self._layouts.variable(f"runtime.{name}")
        place = type_.locate(path) if type_ is not None else None
        if place is None or place.type.element is None:
            return
        element = place.type.element
        first = place.offset + element.locate(f"{inside}.first".lstrip(".")).offset
        for address, _ in self._span_pointers():
            for index in range(place.type.count):
                yield address - first - index * element.size

    def _work(self) -> Iterator[int]:
        offsets = [self._offset("work", f"wbufSpans.{name}.first") for name in ("busy", "free")]
        return (address - offset for address, _ in self._span_pointers() for offset in offsets)

    def _getrandom(self) -> List[int]:
        """What the kernel said how to map the states: readable and writable, and flags."""
        offset = self._offset("vgetrandomAlloc", "mmapProt")
        if offset % self._runtime.word or self._runtime.word != 8 or self._runtime.order == "big":
            return []
        wanted = PROT_READ_WRITE
        return [a - offset for a, v in self._each() if v & 0xFFFFFFFF == wanted and 0 < v >> 32 < 1 << 20]
