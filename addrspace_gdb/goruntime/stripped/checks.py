"""What a variable of the runtime must look like: an address is believed only if this holds there.

Each check says of a candidate whether the variable lies there, or None: nothing there speaks for or against
it, as in lists that are empty, and in a process that has not begun.

The process may stand still at any instruction: between two that belong together as well. What is not so then,
only for a moment, refutes nothing.
"""

from __future__ import annotations

import re
from array import array
from typing import Callable, Dict, Iterator, List, Optional, Set, Tuple

from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.goruntime.buildinfo import read_string
from addrspace_gdb.goruntime.mspan import MANUAL, PAGE
from addrspace_gdb.goruntime.proc import GSCAN, STATUS
from addrspace_gdb.goruntime.record import Record, Runtime, Slice
from addrspace_gdb.goruntime.stackpool import SMALLEST_STACK
from addrspace_gdb.goruntime.stripped import small_checks
from addrspace_gdb.goruntime.stripped.variables import CONFIRMED, POSSIBLE, REFUTED
from addrspace_gdb.target.layout import Type

_MAX_SPANS, _SAMPLE = 1 << 32, 32
_MAX_PS = 1 << 16
_MAX_MS = 1 << 20
MIN_HEAP = 4 << 20  # defaultHeapMinimum, src/runtime/mgcpacer.go
PROT_READ_WRITE = 3  # mman.h
_BUCKETS = 179999  # buckHashSize, src/runtime/mprof.go
_PIECE = 8192  # entries of that table that are read at once
_MAX_COUNTER = 1 << 46  # bytes: no counter is larger
_BEGINS = 1024  # bytes of a chunk in which something stands once it is used
USUAL_THREADS = 10000  # sched.maxmcount, unless debug.SetMaxThreads was called (src/runtime/proc.go)
_MOVING_MS = 16  # at most, usually
_GOIDS_OF_P = 16  # _GoidCacheBatch, src/runtime/proc.go

_NEVER_EMPTY = ("allm", "allp", "gcController", "memstats", "sched")  # where there are goroutines

_VERSION = re.compile(r"(go1\.\d+|devel )")

Find = Callable[[str], Optional[int]]
TypeOf = Callable[[str], Optional[Type]]


class Shapes:
    """The checks by variable name. `find` gives another variable's address, `type_of` its type."""

    def __init__(self, runtime: Runtime, find: Find, type_of: TypeOf) -> None:
        self._runtime, self._find, self._type_of = runtime, find, type_of
        self._checks: Dict[str, Callable[[Record], Optional[bool]]] = {
            "allgs": self._allgs,
            "allp": self._allp,
            "gcCleanups": lambda record: small_checks.cleanups(runtime, record),
            "gcBitsArenas": self._gc_bits,
            "debug": small_checks.debug,
            "gcCPULimiter": small_checks.limiter,
            "gcController": self._controller,
            "gcrash": small_checks.crash_stack,
            "gomaxprocs": self._procs,
            "isIdleInSynctest": small_checks.idle_reasons,
            "memstats": self._memstats,
            "mheap_": self._mheap,
            "printBacklog": small_checks.backlog,
            "scavenge": small_checks.scavenge,
            "scavenger": self._scavenger,
            "sched": self._sched,
            "semtable": lambda record: small_checks.semaphores(runtime, record),
            "stackLarge": self._stack_large,
            "stackpool": self._stackpool,
            "sweep": self._sweep,
            "ticks": small_checks.ticks,
            "trace": self._trace,
            "vgetrandomAlloc": self._getrandom,
            "work": self._work,
        }
        self._words: Dict[str, Callable[[int, int], bool]] = {
            "allfin": lambda _, value: small_checks.is_block_of_finalizers(runtime, value),
            "allglen": lambda _, value: 0 <= self._slice("allgs").length - value <= 1,  # allgadd sets it last
            "allgptr": lambda _, value: self._begins_allgs(value),
            "allm": self._allm,
            "bbuckets": lambda _, value: small_checks.is_bucket(runtime, value, small_checks.BLOCK_PROFILE),
            "buckhash": self._buckhash,
            "fing": lambda _, value: value in self._goroutines,
            "itabTable": lambda _, value: small_checks.itabs(runtime, value),
            "mbuckets": lambda _, value: small_checks.is_bucket(runtime, value, small_checks.MEMORY_PROFILE),
            "persistentChunks": self._chunks,
            "xbuckets": lambda _, value: small_checks.is_bucket(runtime, value, small_checks.MUTEX_PROFILE),
        }

    def verify(self, name: str, address: int) -> int:
        """Whether the variable `name` of package runtime is at `address`: REFUTED, POSSIBLE or CONFIRMED."""
        type_ = self._type_of(name)
        if type_ is None or not type_.size or address % min(self._runtime.word, type_.size):
            return REFUTED
        try:
            record = Record(self._runtime, type_, address)
            if not any(record.data):
                return REFUTED if name in _NEVER_EMPTY and self._has_begun() else POSSIBLE
            if name in self._words:
                fits: Optional[bool] = self._words[name](address, self._runtime.word_at(address))
            elif name in self._checks:
                fits = self._checks[name](record)
            else:
                fits = self._small(name, address, int.from_bytes(record.data, self._runtime.order))
        except (UnreadableError, ProblemError, KeyError, ArithmeticError):  # a divisor may be 0
            return REFUTED
        return POSSIBLE if fits is None else CONFIRMED if fits else REFUTED

    def _has_begun(self) -> bool:
        """Whether there is a goroutine: schedinit (src/runtime/proc.go) has run then."""
        return self._slice("allgs").length > 0

    def _small(self, name: str, address: int, value: int) -> Optional[bool]:
        """A small number confirms nothing: the address that most functions refer to is taken."""
        if name == "buildVersion":
            text = read_string(self._runtime.target, address)
            return text is not None and _VERSION.match(text) is not None
        if name == "startingStackSize":
            return value >= SMALLEST_STACK and value & value - 1 == 0
        return None if value <= small_checks.MAX_VALUES.get(name, -1) else False

    @property
    def _goroutines(self) -> array[int]:
        """Addresses of all g."""
        return self._runtime.slice_words(self._slice("allgs"), "runtime.allgs", _MAX_SPANS)

    def _slice(self, name: str) -> Slice:
        address, type_ = self._find(name), self._type_of(name)
        if address is None or type_ is None:
            raise KeyError(name)
        return Record(self._runtime, type_, address).slice("")

    def _mheap(self, heap: Record) -> bool:
        """Its allocators know the sizes of what they allocate: they vouch for the layouts as well."""
        for allocator, name in (("spanalloc", "mspan"), ("cachealloc", "mcache")):
            if heap.number(f"{allocator}.size") != self._runtime.layout(f"runtime.{name}").size:
                return False
        spans = heap.slice("allspans")
        if not 0 < spans.length <= spans.capacity < _MAX_SPANS:
            return False
        return all(map(self._is_span, filter(None, self._sampled(spans))))  # recordspan counts it first

    def _sampled(self, header: Slice) -> Iterator[int]:
        """Some of the elements, one by one: what only looks like a slice is refuted by the first."""
        for index in range(0, header.length, max(1, header.length // _SAMPLE)):
            yield self._runtime.word_at(header.data + index * self._runtime.word)

    def _is_span(self, address: int) -> bool:
        span = self._runtime.record("runtime.mspan", address)
        start, pages = span.number("startAddr"), span.number("npages")
        return start % PAGE == 0 and pages < _MAX_COUNTER // PAGE and span.number("state") <= MANUAL

    def _allgs(self, record: Record) -> bool:
        """Goroutines have numbers of their own, known states, and stacks of whole KiB.

        A g has no number yet while it is being made, which every running goroutine may be doing; and allgadd
        counts it before it is in its place.
        """
        header = record.slice("")
        if not 0 < header.length <= header.capacity < _MAX_SPANS:
            return False
        goids: List[int] = []
        for pointer in filter(None, self._sampled(header)):
            g = self._runtime.record("runtime.g", pointer)
            if not self._is_g(g):
                return False
            goids.append(g.number("goid"))
        known = [goid for goid in goids if goid > 0]
        return len(set(known)) == len(known) >= max(1, len(goids) // 2)

    @staticmethod
    def _is_g(g: Record) -> bool:
        lo, hi = g.number("stack.lo"), g.number("stack.hi")  # one after the other where a stack is copied
        return (
            lo % 1024 == hi % 1024 == 0
            and abs(hi - lo) < _MAX_COUNTER
            and g.number("atomicstatus") & ~GSCAN in STATUS
        )

    def _begins_allgs(self, address: int) -> bool:
        """Also those of before allgs grew, until allgadd says where it is now."""
        data = self._slice("allgs").data
        return address == data or self._runtime.word_at(address) == self._runtime.word_at(data)

    def _allp(self, record: Record) -> bool:
        """Every p has its index; the last ones are still to be made while procresize makes more."""
        header = record.slice("")
        if not 0 < header.length <= header.capacity <= _MAX_PS:
            return False
        made = [p for p in self._runtime.words(header.data, header.length, "allp") if p]
        ids = [self._runtime.record("runtime.p", p).number("id") for p in made]
        return bool(ids) and ids == list(range(len(ids)))

    def _allm(self, _: int, first: int) -> bool:
        """Every m on the list has a g0 that points back to it."""
        return len(self._ms(first)) > 0

    def _ms(self, first: int) -> List[int]:
        layout = self._runtime.layout("runtime.m")
        found: List[int] = []
        link = layout.scalar("alllink").offset
        for address in self._runtime.chain(first, link, "allm", _MAX_MS):
            m = Record(self._runtime, layout, address)
            g0 = m.number("g0")
            # A new m has no g0 of its own yet, and then one that does not know it (allocm).
            if g0 and self._runtime.record("runtime.g", g0).number("m") not in (0, address):
                return []
            found.append(address)
        return found

    def _sched(self, record: Record) -> Optional[bool]:
        """nmidlelocked is below 0 for as long as sysmon takes a P from a system call (retake).

        What stands a few fields before it may look like all of this, and has a time for the limit of threads.
        """
        idle, made, most, locked, ps = (
            record.number(name) for name in ("nmidle", "mnext", "maxmcount", "nmidlelocked", "npidle")
        )
        allm = self._find("allm")
        ms = self._ms(self._runtime.word_at(allm)) if allm is not None else []
        if not 0 <= idle <= made or len(ms) > min(made, most) or abs(locked) > made or not 0 <= ps <= _MAX_PS:
            return False
        room = _GOIDS_OF_P * (self._slice("allp").capacity + 1)
        goid = self._newest_goid()
        if not goid <= record.number("goidgen") < max(1 << 40, goid + room):
            return False
        if most == USUAL_THREADS:
            return True
        begun = made - record.number("nmfreed") - len(ms)  # that begin or end, or m0, which only waits
        return None if abs(begun) <= _MOVING_MS else False

    def _newest_goid(self) -> int:
        """Of the last goroutine that is in its place in allgs; 0 if none is."""
        header, word = self._slice("allgs"), self._runtime.word
        last = [self._runtime.word_at(header.data + i * word) for i in range(header.length)[-2:]]
        newest = next(filter(None, reversed(last)), 0)
        return self._runtime.record("runtime.g", newest).number("goid") if newest else 0

    def _memstats(self, record: Record) -> bool:
        heap = self._record("mheap_")
        spans, caches = record.number("mspan_sys"), record.number("mcache_sys")
        if spans % heap.number("spanalloc.nalloc") or caches % heap.number("cachealloc.nalloc"):
            return False
        inside = heap.number("spanalloc.inuse") <= spans < _MAX_COUNTER
        stacks = sum(g.number("inStacks") for g in record.elements("heapStats.stats")) % (1 << 64)
        return (
            inside
            and heap.number("cachealloc.inuse") <= caches < _MAX_COUNTER
            and stacks % 1024 == 0 < stacks < _MAX_COUNTER
        )

    def _record(self, name: str) -> Record:
        address, type_ = self._find(name), self._type_of(name)
        if address is None or type_ is None:
            raise KeyError(name)
        return Record(self._runtime, type_, address)

    def _controller(self, record: Record) -> Optional[bool]:
        """heapMinimum is GOGC's share of 4 MiB, which setGCPercent sets first; the heap's parts are pages."""
        percent, least = record.number("gcPercent"), record.number("heapMinimum")
        parts = [record.number(name) for name in ("heapInUse", "heapFree", "heapReleased")]
        if not parts[0] or any(part % PAGE or part >= _MAX_COUNTER for part in parts):
            return False
        if least == least_heap(percent):
            return True
        return None if least in (least_heap(-1), least_heap(-(-least * 100 // MIN_HEAP))) else False

    def _gc_bits(self, record: Record) -> Optional[bool]:
        """Lists of arenas that know how much of them is used, and lie on pages of their own.

        Spans get their bits from `next`, which becomes `current` when a cycle begins: one after the other, so
        that two are the same for a moment. Several that ask for the last bits count them beyond the end.
        """
        layout = self._runtime.layout("runtime.gcBitsArena")
        heads = [record.number(name) for name in ("free", "next", "current", "previous")]
        arenas = [Record(self._runtime, layout, head) for head in heads if head]
        links = [arena.number("next", "gcBitsHeader.next") for arena in arenas]
        used = [arena.number("free", "gcBitsHeader.free") for arena in arenas[bool(heads[0]) :]]
        whole = all(address % 4096 == 0 for address in (*heads, *links))
        for link in filter(None, links):
            self._runtime.word_at(link)
        if not whole or not any(heads[1:3]) or any(size > 2 * layout.size for size in used):
            return False
        return True if len({arena.address for arena in arenas}) == len(arenas) else None

    def _lists(self, lists: List[Record]) -> Optional[bool]:
        """mSpanLists: both ends are spans, or neither; None if all are empty.

        While a span is put in or taken out one end is there without the other, which says nothing.
        """
        ends = [(one.number("first"), one.number("last")) for one in lists]
        if not all(self._is_span(end) for both in ends for end in both if end):
            return False
        return True if any(first and last for first, last in ends) else None

    def _stackpool(self, record: Record) -> Optional[bool]:
        lists = [item.sub("item.span") for item in record.elements("")]
        for order, one in enumerate(lists):
            first = one.number("first")
            if first:
                span = self._runtime.record("runtime.mspan", first)
                if span.number("elemsize") != SMALLEST_STACK << order or span.number("state") != MANUAL:
                    return False
        return self._lists(lists)

    def _stack_large(self, record: Record) -> Optional[bool]:
        pool = self._find("stackpool")
        if pool is not None and pool <= record.address < pool + self._size("stackpool"):
            return False
        lists = list(record.elements("free"))
        firsts = [(order, one.number("first")) for order, one in enumerate(lists)]
        return self._lists(lists) if all(self._is_stack(f, order) for order, f in firsts if f) else False

    def _is_stack(self, address: int, order: int) -> bool:
        """Whether a span is one free stack of 1 << `order` pages, or a few more; since Go 1.26 half as
        many (stacklog2, src/runtime/stack.go)."""
        span = self._runtime.record("runtime.mspan", address)
        pages = span.number("npages")
        return pages.bit_length() in (order, order + 1) and span.number("elemsize") == pages * PAGE

    def _size(self, name: str) -> int:
        type_ = self._type_of(name)
        return type_.size if type_ is not None else 0

    def _work(self, record: Record) -> Optional[bool]:
        """Collections begun are those ended, or one more."""
        lists = self._lists([record.sub(f"wbufSpans.{name}") for name in ("free", "busy")])
        ended, begun = self._record("memstats").number("numgc"), record.number("cycles")
        if lists is False or not ended <= begun <= ended + 1:
            return False
        return True if ended else lists

    def _trace(self, record: Record) -> Optional[bool]:
        names = [name for name in ("reading", "empty", "fullHead", "buf", "cpuLogBuf") if record.has(name)]
        buffers = [record.number(name) for name in names]
        return None if all(self._is_trace_buffer(buffer) for buffer in buffers if buffer) else False

    def _is_trace_buffer(self, address: int) -> bool:
        buffer = self._runtime.record("runtime.traceBuf", address)
        link, used = buffer.number("link", "traceBufHeader.link"), buffer.number("pos", "traceBufHeader.pos")
        return address % 4096 == link % 4096 == 0 and 0 <= used <= buffer.type.size

    def _getrandom(self, record: Record) -> Optional[bool]:
        states, size = record.slice("states"), record.number("stateSize")
        if not size:
            return None
        if record.number("mmapProt") != PROT_READ_WRITE:
            return False
        return states.length <= states.capacity < _MAX_SPANS and size < 1 << 16

    def _procs(self, record: Record) -> Optional[bool]:
        """The length of allp, but for a moment in procresize."""
        value = record.number("")
        return True if value == self._slice("allp").length else None if 0 < value <= _MAX_PS else False

    def _sweep(self, record: Record) -> Optional[bool]:
        return self._has_g(record) if small_checks.sweep(record) else False

    def _scavenger(self, record: Record) -> Optional[bool]:
        return self._has_g(record) if 0 <= record.real("targetCPUFraction") <= 1 else False

    def _has_g(self, record: Record) -> Optional[bool]:
        """The goroutine that does it in the background; there is none before the program's main begins."""
        if record.number("parked") > 1:
            return False
        if not record.number("g"):
            return None
        g = self._runtime.record("runtime.g", record.number("g"))
        return self._is_g(g) and g.number("goid") > 0

    def _chunks(self, _: int, first: int) -> bool:
        """All chunks, so those of the Ps too: not the list that begins with globalAlloc's chunk.

        A new chunk, of which nothing is used yet, is a P's before it is on the list (persistentalloc1).
        """
        chain = set(self._runtime.chain(first, 0, "persistentChunks", _MAX_MS))
        pointers = self._runtime.slice_words(self._slice("allp"), "allp", _MAX_PS)
        used = {self._runtime.record("runtime.p", p).number("palloc.base") for p in pointers if p}
        new = used - {0} - chain
        return all(self._is_new(chunk, chain) for chunk in new) and all(chunk % 4096 == 0 for chunk in chain)

    def _is_new(self, chunk: int, chain: Set[int]) -> bool:
        """Whether the chunk is linked to those of `chain` at most, and nothing stands in it yet."""
        word = self._runtime.word
        linked = self._runtime.word_at(chunk)
        return (not linked or linked in chain) and not any(self._runtime.target.read(chunk + word, _BEGINS))

    def _buckhash(self, _: int, table: int) -> bool:
        """A bucket stands in the table where its hash says."""
        layout = self._runtime.layout("runtime.bucket")
        for first in range(0, _BUCKETS, _PIECE):
            count = min(_PIECE, _BUCKETS - first)
            words = self._runtime.words(table + first * self._runtime.word, count, "buckhash")
            used = [(first + index, word) for index, word in enumerate(words) if word]
            if used:
                hashes = ((index, Record(self._runtime, layout, word).number("hash")) for index, word in used)
                return all(hash_ % _BUCKETS == index for index, hash_ in hashes)
        return False


def least_heap(percent: int) -> int:
    """heapMinimum for GOGC's `percent`, or -1 for off, in the runtime's unsigned arithmetic."""
    return MIN_HEAP * percent % (1 << 64) // 100


NAMES: Tuple[str, ...] = ("mheap_", "allgs", "allm", "allp", "sched")  # without them nothing can be shown
