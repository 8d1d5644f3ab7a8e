"""An address in a span of the heap: its slot, what the slot holds, and of which type."""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_right
from typing import Dict, List, NamedTuple, Optional, Tuple

from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.goruntime.callers import Callers
from addrspace_gdb.goruntime.mheap import Arena
from addrspace_gdb.goruntime.mprof import bucket_stack
from addrspace_gdb.goruntime.mspan import IN_USE, MANUAL
from addrspace_gdb.goruntime.proc import is_live
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.rtype import RType, Types
from addrspace_gdb.goruntime.sizeclasses import PAGE_SHIFT
from addrspace_gdb.goruntime.slots import Masks, SlotReader, SpanRow, malloc_header
from addrspace_gdb.goruntime.specials import sampled_bucket
from addrspace_gdb.goruntime.symtab import Symtab
from addrspace_gdb.space.heap.spans import LARGE, SMALL, USER_ARENA, kind_of
from addrspace_gdb.space.reading.whole import Reading
from addrspace_gdb.space.where.answers import Object
from addrspace_gdb.space.where.field_path import field_path
from addrspace_gdb.target.protocol import Target

_BLOCK = 512  # entries of heapArena.spans that are read together
_TINY = 5  # tinySpanClass, src/runtime/malloc.go: 16 bytes, no pointers, several objects in one
_MAX_CLOSURE = 1 << 10  # bytes
_RUNTIMES_OWN = ("runtime.", "internal/runtime/")


class _Span(NamedTuple):
    row: SpanRow
    kind: str
    masks: Optional[Masks]
    marked: int
    problem: Optional[str]
    type: Optional[RType]  # of a large object


class HeapPlaces:
    """Finds objects. Each span is read once."""

    def __init__(self, reading: Reading, target: Target, runtime: Runtime, types: Types, tables: Symtab):
        self._reading, self._target, self._runtime = reading, target, runtime
        self._types, self._tables, self._callers = types, tables, Callers(tables)
        self._arenas = reading.go.arenas.arenas
        self._starts = [arena.start for arena in self._arenas]
        self._blocks: Dict[int, array[int]] = {}
        self._spans: Dict[int, Optional[_Span]] = {}
        self._reader: Optional[SlotReader] = None
        self._word = struct.Struct(("<" if runtime.order == "little" else ">") + "QI"[runtime.word == 4])
        self._runtimes_own: Optional[Dict[int, str]] = None

    def arena(self, address: int) -> Optional[Arena]:
        """The arena that the address lies in."""
        index = bisect_right(self._starts, address) - 1
        found = self._arenas[index] if index >= 0 else None
        return found if found is not None and address < found.end else None

    def find(self, address: int, fields: bool = True) -> Optional[Object]:
        """The object there; None if the address is in no span of objects. With `fields`, by DWARF."""
        arena = self.arena(address)
        if arena is None or not arena.metadata:
            return None
        mspan = self._mspan(arena, address)
        span = self._span(mspan) if mspan else None
        if span is None or not span.row.start <= address < span.row.end:
            return None
        if span.row.state == MANUAL:
            return None
        return self._object(arena, mspan, span, address, fields)

    def _mspan(self, arena: Arena, address: int) -> int:
        """heapArena.spans of the page (spanOf in src/runtime/mheap.go); 0 for none."""
        page = (address - arena.start) >> PAGE_SHIFT
        first = page // _BLOCK * _BLOCK
        where = arena.metadata + self._offset + first * self._runtime.word
        block = self._blocks.get(where)
        if block is None:
            block = self._blocks[where] = self._read_block(where)
        return block[page - first] if page - first < len(block) else 0

    @property
    def _offset(self) -> int:
        return self._runtime.layout("runtime.heapArena").locate("spans").offset

    def _read_block(self, where: int) -> array[int]:
        return self._runtime.words(where, _BLOCK, "heapArena.spans")

    def _span(self, mspan: int) -> Optional[_Span]:
        if mspan not in self._spans:
            try:
                self._spans[mspan] = self._read_span(mspan)
            except (UnreadableError, KeyError, ProblemError):
                self._spans[mspan] = None
        return self._spans[mspan]

    @property
    def slots(self) -> SlotReader:
        """Made when the first span is looked at: it reads every allocation bit."""
        if self._reader is None:
            self._reader = SlotReader(self._runtime, self._reading.go.spans)
        return self._reader

    def _read_span(self, mspan: int) -> Optional[_Span]:
        row = self.slots.read(mspan)
        if row.state not in (IN_USE, MANUAL):
            return None
        kind = kind_of(row.spanclass, row.state, row.user, row.element)
        if kind not in (SMALL, LARGE, USER_ARENA):
            return _Span(row, kind, None, 0, None, None)
        problem = self.slots.impossible(row)
        masks = self.slots.masks(row) if problem is None else None
        if masks is None:
            return _Span(row, kind, None, 0, problem or "its bits cannot be read", None)
        type_ = self._large_type(mspan) if kind == LARGE else None
        return _Span(row, kind, masks, self.slots.marked(row) or 0, None, type_)

    def _large_type(self, mspan: int) -> Optional[RType]:
        """mspan.largeType (Go 1.22): of objects over 32 KiB with pointers."""
        place = self._runtime.layout("runtime.mspan").find("largeType")
        pointer = self._runtime.word_at(mspan + place.offset) if place is not None else 0
        return self._types.at(pointer) if pointer else None

    def _object(self, arena: Arena, mspan: int, span: _Span, address: int, fields: bool) -> Object:
        row, slotted = span.row, span.kind in (SMALL, LARGE, USER_ARENA)
        found = Object(
            arena=arena.start,
            span=(row.start, row.end),
            mspan=mspan,
            holds=span.kind,
            size_class=row.spanclass >> 1 if slotted else None,
            noscan=bool(row.spanclass & 1) if slotted else None,
            slot=None,
            base=None,
            size=None,
            offset=None,
            state=None,
            marked=None,
            header=0,
            type=None,
            room=None,
            said_by="",
            what="",
            field=None,
            problem=span.problem,
        )
        if span.masks is None:
            return found
        index, offset = divmod(address - row.start, row.element)
        if index >= row.slots:
            return found._replace(what="tail waste: behind the last slot of the span")
        state = next((n for n, mask in zip(Masks._fields, span.masks) if mask >> index & 1), "free")
        found = found._replace(
            slot=index,
            base=address - offset,
            size=row.element,
            offset=offset,
            state=state,
            marked=bool(span.marked >> index & 1),
        )
        described = self._described(found, span, fields)
        return described._replace(allocated=self._allocated(described)) if fields else described

    def _allocated(self, found: Object) -> List[Tuple[str, str, int]]:
        """Where it was allocated, if it was sampled for the heap profile."""
        if found.base is None or found.size is None or found.state == "free":
            return []
        low = found.base - found.span[0]
        try:
            bucket = sampled_bucket(self._runtime, found.mspan, low, low + found.size)
            stack = bucket_stack(self._runtime, bucket) if bucket else ()
        except (UnreadableError, KeyError, ProblemError):
            return []
        frames = [frame for frame in map(self._callers.frame, stack) if frame is not None]
        shown = [frame for frame in frames if not frame.function.startswith(_RUNTIMES_OWN)]
        return [(frame.name, frame.file, frame.line) for frame in shown]

    def _described(self, found: Object, span: _Span, fields: bool) -> Object:
        """With the type, where the runtime keeps it, and what else can be seen."""
        header = malloc_header(self.slots, span.row)
        found = found._replace(header=header, what=self._what(found, span.row, header))
        if found.state == "free":
            return found
        type_, said_by = (span.type, "largeType of its span") if span.type else (None, "")
        if header and found.base is not None:
            type_, said_by = self._from_header(found.base), "malloc header"
        return self._typed(found, type_, said_by, fields) if type_ is not None else found

    def _from_header(self, base: int) -> Optional[RType]:
        try:
            (pointer,) = self._word.unpack(self._target.read(base, self._word.size))
        except UnreadableError:
            return None
        return self._types.at(pointer)

    def _typed(self, found: Object, type_: RType, said_by: str, fields: bool) -> Object:
        assert found.size is not None and found.offset is not None
        room = (found.size - found.header) // type_.size if type_.size else None
        field = None
        at = found.offset - found.header
        if fields and at >= 0 and type_.size:
            layout = self._target.type(type_.full_name)
            index, rest = divmod(at, type_.size)
            field = field_path(layout, rest) if layout is not None and layout.size == type_.size else None
            if room and room > 1 and index < room:
                field = f"[{index}]{field or ''}"
        return found._replace(type=type_.name, room=room, said_by=said_by, field=field or None)

    def _what(self, found: Object, row: SpanRow, header: int) -> str:
        if found.base is None or found.state == "free":
            return ""
        own = self._own().get(found.base + header)
        if own:
            return own
        if row.spanclass == _TINY:
            return "small values without pointers, perhaps several"
        if row.element > _MAX_CLOSURE:
            return ""
        try:
            (first,) = self._word.unpack(self._target.read(found.base + header, self._word.size))
        except UnreadableError:
            return ""
        function = self._tables.find(first) if first else None
        if function is None or function.entry != first:
            return ""
        return f"its first word is the entry of {self._tables.printed(function.name)}: a closure"

    def _own(self) -> Dict[int, str]:
        """Objects that the runtime itself made in the heap, by address."""
        if self._runtimes_own is None:
            go = self._reading.go
            found = {
                address: f"the g of {'' if is_live(status) else 'dead '}goroutine {goid}"
                for address, goid, status in go.goroutines.rows("address", "goid", "status")
            }
            for m in go.scheduler.ms:
                found[m.address] = f"the m of m{m.id} (thread {m.procid})"
                found[m.g0] = f"the g0 of m{m.id}"
                found[m.gsignal] = f"the gsignal of m{m.id}"
            found.update((p.address, f"the p of P {p.id}") for p in go.scheduler.ps)
            self._runtimes_own = found
        return self._runtimes_own
