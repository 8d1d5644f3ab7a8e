"""Where a value of a type has pointers, and what each of them leads to: types as shapes.

A shape is more than a type: what a map or a channel leads to has no descriptor that a program could name, so
the runtime's own structs have shapes of their own for every map and channel. Struct layouts are those of
src/runtime/map.go (up to Go 1.23), src/internal/runtime/maps (since) and src/runtime/chan.go.
"""

from __future__ import annotations

import struct
from functools import cached_property
from itertools import chain
from typing import Callable, Dict, FrozenSet, List, Optional, Sequence, Set, Tuple

from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.rtype import RType, Types
from addrspace_gdb.goruntime.sametypes import channel_name, is_atomic_pointer
from addrspace_gdb.goruntime.shape import (
    DIRECTORY,
    DYNAMIC,
    FUNCTION,
    MANY,
    MAX_POINTERS,
    NOTHING,
    ONE,
    TEXT,
    UNKNOWN,
    Direct,
    Hidden,
    Named,
    PathOf,
    Pointer,
    Shape,
    placed,
)

_MAX_DEPTH = 32
_MAX_SHAPES = 1 << 20
# Pointers of an hchan, src/runtime/chan.go.
_OF_CHANNEL = ("buf", "timer", "recvq.first", "recvq.last", "sendq.first", "sendq.last", "bubble")
_FIELDS_OF_STRUCT = 3  # words: name, type, offset


class Shapes:
    """Shapes by number, made as they are asked for. What is damaged has no pointers that lead anywhere."""

    def __init__(self, runtime: Runtime, types: Types) -> None:
        self._runtime, self._types, self._word = runtime, types, runtime.word
        self._head = 48 if self._word == 8 else 32  # bytes of abi.Type
        self.all: List[Shape] = [
            Shape("", "", None, 0, 0, ()),
            Shape("several small values", "tiny", None, 0, 0, (), open=True),
            Shape("string", "string", None, 1, 1, (), open=True),
            Shape("func", "func", None, self._word, 0, (), open=True),
        ]
        self._numbers: Dict[Tuple[str, int], int] = {}
        self._flat: Dict[int, Sequence[Pointer]] = {}
        self._origins: Dict[int, Tuple[str, int]] = {}
        self._pending: List[Tuple[int, str, int]] = []
        self._described: Dict[int, int] = {}  # addresses of descriptors by number
        self._others: List[int] = []
        self._channels: Dict[int, int] = {}  # types of channels, one for each type of elements
        self.vague: Set[int] = set()  # what stands before an object says too little if it is one of these
        self._paths: Dict[int, PathOf] = {}
        self.struct: Callable[[str], int] = lambda name: NOTHING  # the shape of one of the runtime's structs
        self.hidden: Hidden = lambda name, package, size: None  # pointers of structs that say too little

    @cached_property
    def _itabs(self) -> FrozenSet[int]:
        return frozenset(self._types.itab_addresses())

    def of_type(self, address: int) -> int:
        """The shape of a value of the type there; NOTHING if there is no type."""
        return self._number("type", address) if self._types.at(address) is not None else NOTHING

    def origin(self, number: int) -> Tuple[str, int]:
        """What a shape was made of: "type", or what of a map or "channel", and the address of its type;
        ("", 0) for those that every table has."""
        if len(self._origins) < len(self._numbers):
            self._origins = {known: key for key, known in self._numbers.items()}
        return self._origins.get(number, ("", 0))

    @cached_property
    def channel_fields(self) -> Dict[int, str]:
        """The pointers of a channel, by offset in bytes."""
        layout = self._runtime.layout("runtime.hchan")
        return {layout.locate(path).offset: f".{path}" for path in _OF_CHANNEL if layout.has(path)}

    def of_word(self, word: int) -> Direct:
        """What stands behind the first word of an interface: a type, or an itab."""
        type_ = self._types.at(word)
        address = word
        if type_ is None:
            try:
                if word not in self._itabs or self._types.itab_at(word) is None:
                    return Direct(UNKNOWN, NOTHING)
                address = self._runtime.word_at(word + self._word)
            except UnreadableError:
                return Direct(UNKNOWN, NOTHING)
        return self._direct(address, 0)

    def closure(self, name: str, package: Optional[str], address: int) -> int:
        """The shape of a closure that is allocated as a struct of that type."""
        type_, number = self._types.at(address), self.reserve()
        if type_ is not None and number != NOTHING:
            found = sorted(self._pointers(address, 0))
            made = Shape(name, "closure", package, type_.size, 0, found, open=True, first=FUNCTION)
            self.put(number, made, lambda within: Named("", address, within))
        return number

    def of_map(self, address: int, inner: Optional[str], size: int) -> Direct:
        """What was allocated for a map of that type: by what of the runtime's own it is, or so many bytes of
        what has keys and elements in it."""
        part = self._third(address)
        type_ = self._types.at(part)
        if inner in _PARTS_OF_MAP:
            return Direct(ONE, self._number(_PARTS_OF_MAP[inner], address))
        if inner is not None or type_ is None or not type_.size or size < type_.size:
            return Direct(UNKNOWN, NOTHING)
        if self._is_swiss(address):
            return Direct(MANY, self.of_type(part))
        return Direct(MANY, self._number("buckets", address))

    def of_channel(self, address: int, whole: bool) -> Direct:
        """What was allocated for a channel of that type: it itself, or its elements where they are apart."""
        inner = self._runtime.word_at(address + self._head)
        if whole or not self._pointers(inner, 0):
            return Direct(ONE, self._number("channel", address))
        return Direct(MANY, self.of_type(inner))

    def _direct(self, address: int, depth: int) -> Direct:
        """An interface holds values that are one pointer themselves, others by a pointer to them."""
        type_ = self._types.at(address)
        if type_ is None or depth > _MAX_DEPTH:
            return Direct(UNKNOWN, NOTHING)
        if type_.size == self._word and type_.kind in _IS_POINTER:
            (pointer,) = self._pointers(address, 0)
            return Direct(pointer.how, pointer.target)
        if type_.size == self._word and type_.kind in ("struct", "array"):
            inner = self._only(type_)
            if inner is not None:
                return self._direct(inner, depth + 1)
        return Direct(ONE, self._number("type", address))

    def _only(self, type_: RType) -> Optional[int]:
        """The type of the only part of a struct or array, if it is as large as that and a pointer."""
        inner = self._inner(type_)
        at = self._types.at(inner) if inner is not None else None
        fits = at is not None and at.size == type_.size and at.kind in (*_IS_POINTER, "struct", "array")
        return inner if fits else None

    @property
    def described(self) -> Dict[int, int]:
        """The addresses of descriptors by the numbers of their shapes."""
        return self._described

    def fields(self, number: int) -> Sequence[Tuple[int, ...]]:
        """Names, types and offsets of a struct's fields, as numbers; none of what is damaged."""
        try:
            return self._members(self._described[number])
        except UnreadableError:
            return ()

    def _members(self, address: int) -> List[Tuple[int, int, int]]:
        word = self._word
        start, count = (self._runtime.word_at(address + self._head + at * word) for at in (1, 2))
        if count > MAX_POINTERS:
            return []
        found = self._runtime.words(start, _FIELDS_OF_STRUCT * count, "fields of a struct")
        return list(zip(found[::3], found[1::3], found[2::3]))

    def reserve(self) -> int:
        """The number of a shape that somebody else makes, and then puts there; NOTHING if there are too many.
        Until then nothing is known of it."""
        if len(self.all) >= _MAX_SHAPES:
            return NOTHING
        self.all.append(Shape("?", "", None, 0, 0, ()))
        return len(self.all) - 1

    def put(self, number: int, shape: Shape, path: Optional[PathOf] = None) -> None:
        """That shape, which was reserved; `path` names its parts."""
        if number != NOTHING:
            self.all[number] = shape
            self._others.append(number)
            if path is not None:
                self._paths[number] = path

    def path(self, number: int, within: int) -> Optional[Named]:
        """What stands at a byte of a shape that somebody else put there; None: that is not known."""
        return self._paths[number](within) if number in self._paths else None

    def merged(self) -> List[int]:
        """For each shape the one that stands for it: a type that somebody else put there may have a
        descriptor as well, which something led to."""
        found = list(range(len(self.all)))
        first: Dict[Tuple[str, Optional[str], int], int] = {}
        for number in chain(self._described, self._others):
            shape = self.all[number]
            if "[...]" in shape.name:  # of a generic type: arguments are not known, and may be others
                continue
            known = first.setdefault((shape.name, shape.package, shape.size), number)
            found[number] = number if number in self._described else known
        return found

    def finish(self) -> None:
        """Make every shape that another one leads to."""
        while self._pending:
            number, sort, address = self._pending.pop()
            try:
                self.all[number] = self._make(sort, address)
            except (UnreadableError, struct.error, ValueError):
                self.all[number] = self.all[number]._replace(pointers=(), open=True)

    def _number(self, sort: str, address: int) -> int:
        key = (sort, address)
        if key not in self._numbers:
            number = self.reserve()
            if number == NOTHING:
                return NOTHING
            self._numbers[key] = number
            if sort == "type":
                self._described[number] = address
            self._pending.append((number, sort, address))
        return self._numbers[key]

    def _make(self, sort: str, address: int) -> Shape:
        return {
            "type": self._of_type,
            "map": self._of_map,
            "buckets": self._of_buckets,
            "overflow": self._of_overflow,
            "overflow list": self._of_overflow_list,
            "swiss": self._of_swiss,
            "directory": self._of_directory,
            "table": self._of_table,
            "channel": self._of_channel,
        }[sort](address)

    def _of_type(self, address: int) -> Shape:
        type_ = self._types.at(address)
        if type_ is None:
            return self.all[NOTHING]
        inner, period, repeated = self._inner(type_), type_.size, address
        if type_.kind == "array" and inner is not None:
            element = self._types.at(inner)
            period, repeated = (element.size if element is not None else 0), inner
        first = self.of_type(inner) if inner is not None else NOTHING
        pointers = sorted(self._pointers(repeated, 0))
        return Shape(
            type_.name, type_.kind, type_.package, type_.size, period, pointers, not type_.size, first
        )

    def _inner(self, type_: RType) -> Optional[int]:
        """The type of the first element or field."""
        if type_.kind == "array":
            return self._runtime.word_at(type_.address + self._head)
        if type_.kind == "struct":
            fields = self._fields(type_.address)
            return next((inner for inner, offset in fields if not offset), None)
        return None

    def _fields(self, address: int) -> List[Tuple[int, int]]:
        """Types and offsets of a struct's fields."""
        return [(type_, offset) for _, type_, offset in self._members(address)]

    def _pointers(self, address: int, depth: int) -> Sequence[Pointer]:
        """Those of a value of a type, by their offsets."""
        if address not in self._flat:
            type_ = self._types.at(address)
            found = self._parts(type_, depth) if type_ is not None and depth < _MAX_DEPTH else ()
            self._flat[address] = found[:MAX_POINTERS]
        return self._flat[address]

    def _parts(self, type_: RType, depth: int) -> Sequence[Pointer]:
        kind, at = type_.kind, type_.address
        hidden = self.hidden(type_.name, type_.package, type_.size) if kind == "struct" else None
        if hidden is not None:
            return hidden
        if kind in ("struct", "array"):
            return self._of_parts(type_, depth)
        if kind == "string":
            return [Pointer(0, MANY, TEXT)]
        if kind == "interface":
            return [Pointer(self._word, DYNAMIC)]
        if kind == "func":
            return [Pointer(0, ONE, FUNCTION)]
        if kind == "map":
            return [Pointer(0, ONE, self._number("swiss" if self._is_swiss(at) else "map", at))]
        if kind == "chan":
            element = self._runtime.word_at(at + self._head)
            return [Pointer(0, ONE, self._number("channel", self._channels.setdefault(element, at)))]
        if kind == "unsafe pointer":
            return [Pointer(0, UNKNOWN)]
        if kind in ("pointer", "slice"):
            element = self.of_type(self._runtime.word_at(at + self._head))
            return [Pointer(0, ONE if kind == "pointer" else MANY, element)]
        return ()

    def _of_parts(self, type_: RType, depth: int) -> Sequence[Pointer]:
        if type_.kind == "struct":
            parts = self._fields(type_.address)
            if is_atomic_pointer(type_.name, type_.package):
                return self._led_by_none(parts[0][0] if parts else 0, depth)
        else:
            inner = self._runtime.word_at(type_.address + self._head)
            element = self._types.at(inner)
            if element is None or not element.size or not self._pointers(inner, depth + 1):
                return ()
            count = min(type_.size // element.size, MAX_POINTERS)
            parts = [(inner, number * element.size) for number in range(count)]
        return placed((offset, self._pointers(part, depth + 1)) for part, offset in parts)

    def _led_by_none(self, array: int, depth: int) -> Sequence[Pointer]:
        """The pointer of an atomic.Pointer, which leads to what the array before it has none of."""
        type_ = self._types.at(array)
        inner = self._inner(type_) if type_ is not None and type_.kind == "array" else None
        return self._pointers(inner, depth + 1) if inner is not None else [Pointer(0, UNKNOWN)]

    def _is_swiss(self, address: int) -> bool:
        """Since Go 1.24: a group begins with a control word, and a bucket with an array of bytes."""
        first = self._inner_of(self._third(address))
        return first is not None and first.kind != "array"

    def _third(self, address: int) -> int:
        """The type of a map's buckets or groups, which follows those of its keys and elements."""
        return self._runtime.word_at(address + self._head + 2 * self._word)

    def _inner_of(self, address: int) -> Optional[RType]:
        type_ = self._types.at(address)
        inner = self._inner(type_) if type_ is not None else None
        return self._types.at(inner) if inner is not None else None

    def _runtimes(self, address: int, what: str, kind: str, words: int, pointers: Sequence[Pointer]) -> Shape:
        """A struct of the runtime's for a map or channel."""
        type_ = self._types.at(address)
        name, package = (type_.name, type_.package) if type_ is not None else ("?", None)
        size = words * self._word
        return Shape(f"{what} of {name}" if what else name, kind, package, size, size, pointers)

    def _of_map(self, address: int) -> Shape:
        """hmap: count, 8 bytes, buckets, oldbuckets, nevacuate, extra."""
        word, buckets = self._word, self._number("buckets", address)
        first = word + 8  # count; flags, B, noverflow and hash0
        pointers = [
            Pointer(first, MANY, buckets),
            Pointer(first + word, MANY, buckets),
            Pointer(first + 3 * word, ONE, self._number("overflow", address)),
        ]
        return self._runtimes(address, "", "map", (first + 4 * word) // word, pointers)

    def _of_buckets(self, address: int) -> Shape:
        bucket = self._third(address)
        type_ = self._types.at(bucket)
        size = type_.size if type_ is not None else 0
        own = self._number("buckets", address)
        last = size - self._word
        pointers = [one for one in sorted(self._pointers(bucket, 0)) if one.offset != last]
        if type_ is not None and len(pointers) != len(self._pointers(bucket, 0)):
            pointers.append(Pointer(last, MANY, own))
        made = self._runtimes(address, "buckets", "map", size // self._word, pointers)
        return made._replace(first=self.of_type(bucket))  # which stands before large ones

    def _of_overflow(self, address: int) -> Shape:
        """mapextra."""
        word, lists = self._word, self._number("overflow list", address)
        pointers = [Pointer(0, ONE, lists), Pointer(word, ONE, lists)]
        pointers.append(Pointer(2 * word, MANY, self._number("buckets", address)))
        return self._runtimes(address, "overflow", "map", 3, pointers)

    def _of_overflow_list(self, address: int) -> Shape:
        """*[]*bmap."""
        return self._runtimes(address, "list of overflow buckets", "map", 3, [])

    def _of_swiss(self, address: int) -> Shape:
        """maps.Map: used, seed, dirPtr, dirLen, four bytes, clearSeq."""
        at = 8 + self._word
        group, directory = self.of_type(self._third(address)), self._number("directory", address)
        size = at + 3 * self._word + 8  # the bytes are as many as fill a word
        pointer = Pointer(at, DIRECTORY, directory, group)
        return self._runtimes(address, "", "map", size // self._word, [pointer])

    def _of_directory(self, address: int) -> Shape:
        pointer = Pointer(0, ONE, self._number("table", address))
        return self._runtimes(address, "directory", "map", 1, [pointer])

    def _of_table(self, address: int) -> Shape:
        """maps.table: 7 bytes, index, and groups: data and lengthMask."""
        at = 8 + self._word
        pointer = Pointer(at, MANY, self.of_type(self._third(address)))
        return self._runtimes(address, "table", "map", (at + self._word + 8) // self._word, [pointer])

    def _of_channel(self, address: int) -> Shape:
        """hchan: what has no pointers lies in the object itself."""
        layout, word = self._runtime.layout("runtime.hchan"), self._word
        buffer = layout.scalar("buf").offset
        element = self.of_type(self._runtime.word_at(address + self._head))
        found = [Pointer(buffer, MANY, element)]
        for offset, path in self.channel_fields.items():
            if offset != buffer:
                target = self.struct(_LED_TO.get(path, ""))
                found.append(Pointer(offset, ONE if target else UNKNOWN, target))
        made = self._runtimes(address, "", "chan", layout.size // word, sorted(found))
        return made._replace(name=channel_name(made.name), open=True)


# What the runtime itself allocates for maps, by the name of its type.
_PARTS_OF_MAP = {
    "maps.Map": "swiss",
    "maps.table": "table",
    "*maps.table": "directory",
    "runtime.hmap": "map",
    "runtime.mapextra": "overflow",
    "[]*runtime.bmap": "overflow list",
}
# Structs of the runtime's that a channel leads to.
_LED_TO = {
    **dict.fromkeys((".recvq.first", ".recvq.last", ".sendq.first", ".sendq.last"), "runtime.sudog"),
    ".timer": "runtime.timer",
    ".bubble": "runtime.synctestBubble",
}
_IS_POINTER = ("pointer", "map", "chan", "func", "unsafe pointer")
