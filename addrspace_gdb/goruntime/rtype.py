"""Type descriptors (src/internal/abi/type.go) and itabs (src/runtime/iface.go), named as Go prints them.

Descriptors of the linker lie between moduledata.types and .etypes, together with the names they use; those
that reflect makes lie in the heap, and their names are found through a table that is not read here.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_right
from itertools import compress
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.goruntime.moduledata import Module
from addrspace_gdb.goruntime.record import MAX_READ, Runtime
from addrspace_gdb.process.dwarf.gonames import with_path, without_shapes

# internal/abi/type.go, Kind; up to Go 1.25 two flag bits stand above it (KindMask).
_KINDS = (
    *("", "bool", "int", "int8", "int16", "int32", "int64", "uint", "uint8", "uint16", "uint32", "uint64"),
    *("uintptr", "float32", "float64", "complex64", "complex128", "array", "chan", "func", "interface"),
    *("map", "pointer", "slice", "string", "struct", "unsafe pointer"),
)
_KIND_MASK = 31
_UNCOMMON, _EXTRA_STAR, _NAMED = 1, 2, 4  # TFlag
_MAX_NAME = 4096  # bytes
_MAX_SIZE = 1 << 47  # of a value, in bytes
_MAX_METHODS = 1 << 12
_MAX_FIELDS = 1 << 14
_FLAGS = frozenset(
    int.from_bytes(bytes((tflag, align, align, kind | bits)), "little")
    for tflag in range(64)
    for align in (1, 2, 4, 8)
    for bits in (0, 32, 64, 96)
    for kind in range(1, len(_KINDS))
)  # what tflag, align, fieldAlign and kind can be, as one number


class RType(NamedTuple):
    """A type descriptor. `size` is of a value of the type, `extent` of the descriptor itself, in bytes."""

    address: int
    name: str  # "*main.Node", as reflect.Type.String has it
    kind: str  # "struct", "pointer" ...
    size: int
    extent: int
    package: Optional[str]  # path of the package, of named types

    @property
    def full_name(self) -> str:
        """With the package's path, as debug information has it: "encoding/json.Decoder"."""
        return with_path(self.name, self.package)


class Itab(NamedTuple):
    """The method table of a concrete type for an interface."""

    address: int
    type: Optional[str]
    interface: Optional[str]
    extent: int  # bytes


class Types:
    """The type descriptors of every module. What is damaged is no descriptor; nothing raises."""

    def __init__(self, runtime: Runtime, modules: Sequence[Module]) -> None:
        self._runtime = runtime
        self._target = runtime.target
        self._modules = [m for m in modules if m.get("types") and m["types"] < (m.get("etypes") or 0)]
        order, word = ("<" if runtime.order == "little" else ">"), runtime.word
        self._order = order
        # size ptrBytes hash tflag align fieldAlign kind equal gcdata str ptrToThis
        self._head = struct.Struct(order + ("QQI4BQQii" if word == 8 else "III4BIIii"))
        self._known: Dict[int, Optional[RType]] = {}
        self._known_itabs: Dict[int, Optional[Itab]] = {}
        self._indexes: Dict[int, Sequence[int]] = {}  # by position of the module
        self._itabs: Optional[List[int]] = None

    def holds(self, address: int) -> bool:
        """Whether the address lies among the linker's descriptors and their names."""
        return self._module(address) is not None

    def _module(self, address: int) -> Optional[int]:
        for index, module in enumerate(self._modules):
            if module["types"] <= address < module["etypes"]:
                return index
        return None

    def at(self, address: int) -> Optional[RType]:
        """The descriptor that begins at `address`; None if none does, or its name cannot be found."""
        if address not in self._known:
            try:
                self._known[address] = self._decode(address)
            except (UnreadableError, struct.error, IndexError, OverflowError):
                self._known[address] = None
        return self._known[address]

    def containing(self, address: int) -> Optional[RType]:
        """The descriptor that `address` lies in; None between descriptors (names, padding)."""
        index = self._module(address)
        if index is None:
            return None
        found = self.at(address)
        if found is not None:
            return found
        starts = self._index(index)
        at = bisect_right(starts, address) - 1
        while at >= 0 and address - starts[at] < 1 << 16:
            found = self.at(starts[at])
            if found is not None:
                return found if address < found.address + found.extent else None
            at -= 1
        return None

    def _index(self, number: int) -> Sequence[int]:
        """Where descriptors may begin: words whose flags, alignment and kind are possible."""
        if number not in self._indexes:
            module, word = self._modules[number], self._runtime.word
            low, size = module["types"], module["etypes"] - module["types"]
            try:
                data = self._target.read(low, min(size, MAX_READ))
            except UnreadableError:
                data = b""
            flags = memoryview(data)[2 * word + 4 :]
            words = array("I", flags[: len(flags) // 4 * 4].tobytes())[:: word // 4]
            if self._order == ">":
                words.byteswap()
            hits = map(_FLAGS.__contains__, words)
            self._indexes[number] = list(compress(range(low, low + len(words) * word, word), hits))
        return self._indexes[number]

    def _decode(self, address: int) -> Optional[RType]:
        word = self._runtime.word
        if not address or address % word or not self.holds(address):
            return None
        raw = self._target.read(address, self._head.size)
        size, with_pointers, _, tflag, align, field_align, kind, _, _, name_offset, _ = self._head.unpack(raw)
        kind &= _KIND_MASK
        possible = align == field_align and align in (1, 2, 4, 8) and tflag < 64
        if not possible or not 0 < kind < len(_KINDS) or not with_pointers <= size <= _MAX_SIZE:
            return None
        name = self._name(address, name_offset)
        if name is None:
            return None
        if tflag & _EXTRA_STAR:
            if not name.startswith("*"):
                return None
            name = name[1:]
        name = without_shapes(name)
        extent, package = self._extent(address, _KINDS[kind], bool(tflag & _UNCOMMON))
        return RType(address, name, _KINDS[kind], size, extent, package if tflag & _NAMED else None)

    def _name(self, address: int, offset: int) -> Optional[str]:
        """resolveNameOff in src/runtime/type.go, for descriptors of the linker."""
        index = self._module(address)
        if index is None or offset <= 0:
            return None
        module = self._modules[index]
        return self._name_at(module["types"] + offset, module["etypes"])

    def _name_at(self, at: int, end: int) -> Optional[str]:
        """abi.Name: a byte of flags, the length as a varint, and the text."""
        if at + 2 > end:
            return None
        raw = self._target.read(at, min(64, end - at))
        length, used = raw[1] & 0x7F, 2
        while raw[used - 1] & 0x80 and used < 5:
            length |= (raw[used] & 0x7F) << (7 * (used - 1))
            used += 1
        if raw[0] > 31 or not 0 < length <= _MAX_NAME or at + used + length > end:
            return None
        if used + length > len(raw):
            raw = self._target.read(at, used + length)
        try:
            text = raw[used : used + length].decode("utf-8")
        except UnicodeDecodeError:
            return None
        return text if text.isprintable() else None

    def _extent(self, address: int, kind: str, uncommon: bool) -> Tuple[int, Optional[str]]:
        """Bytes of a descriptor: abi.Type, what its kind adds, the uncommon part, and lists behind it; and
        the package's path, which the uncommon part has."""
        word, head = self._runtime.word, self._head.size
        fixed, behind = head, 0
        if kind == "array":
            fixed += 3 * word
        elif kind == "chan":
            fixed += 2 * word
        elif kind == "func":
            counts = self._numbers(address + head, "HH")
            fixed += word
            behind = (counts[0] + (counts[1] & 0x7FFF)) * word  # OutCount's top bit says variadic
        elif kind == "interface":
            fixed += 4 * word
            behind = min(self._word(address + head + 2 * word), _MAX_METHODS) * 8  # abi.Imethod
        elif kind == "map":
            fixed += self._map_part()
        elif kind in ("pointer", "slice"):
            fixed += word
        elif kind == "struct":
            fixed += 4 * word
            behind = min(self._word(address + head + 2 * word), _MAX_FIELDS) * 3 * word
        if not uncommon:
            return fixed + behind, None
        # abi.UncommonType: pkgPath, mcount, xcount, moff, unused; methods are 16 bytes each (abi.Method).
        path, methods, _, offset, _ = self._numbers(address + fixed, "iHHII")
        package = self._name(address, path)
        if methods > _MAX_METHODS or offset > 1 << 20:
            return fixed + 16 + behind, package
        return max(fixed + 16 + behind, fixed + offset + methods * 16 if methods else 0), package

    def _map_part(self) -> int:
        """What abi.MapType adds; Go 1.24 made it larger (Swiss maps), 1.27 larger still."""
        for name in ("internal/abi.MapType", "internal/abi.SwissMapType", "internal/abi.OldMapType"):
            found = self._target.type(name)
            if found is not None and found.size > self._head.size:
                return found.size - self._head.size
        return 4 * self._runtime.word + 8

    def _numbers(self, address: int, form: str) -> Tuple[int, ...]:
        layout = struct.Struct(self._order + form)
        return layout.unpack(self._target.read(address, layout.size))

    def _word(self, address: int) -> int:
        return self._runtime.word_at(address)

    def itab_addresses(self) -> List[int]:
        """Where itabs begin, ascending: the linker's and those made at run time."""
        if self._itabs is None:
            self._itabs = _itab_table(self._runtime)
        return self._itabs

    def itab(self, address: int) -> Optional[Itab]:
        """The itab that `address` lies in, of the linker's and of those made at run time."""
        itabs = self.itab_addresses()
        at = bisect_right(itabs, address) - 1
        if at < 0 or address - itabs[at] > 1 << 16:
            return None
        found = self.itab_at(itabs[at])
        return found if found is not None and address < found.address + found.extent else None

    def itab_at(self, address: int) -> Optional[Itab]:
        """The itab that begins at `address`, if its two types can be named."""
        if address not in self._known_itabs:
            self._known_itabs[address] = self._decode_itab(address)
        return self._known_itabs[address]

    def _decode_itab(self, address: int) -> Optional[Itab]:
        word = self._runtime.word
        try:
            interface, type_ = self._word(address), self._word(address + word)
            methods = self._word(interface + self._head.size + 2 * word)
        except (UnreadableError, OverflowError):
            return None
        first, second = self.at(type_), self.at(interface)
        if (first is None and second is None) or methods > _MAX_METHODS:
            return None
        # inter, type, hash and padding up to the methods: alike in all versions on 64-bit machines.
        extent = 3 * word + (4 if word == 4 else 0) + word * max(1, methods)
        return Itab(address, first.name if first else None, second.name if second else None, extent)


def _itab_table(runtime: Runtime) -> List[int]:
    """Every itab, ascending, from runtime.itabTable (itabTableType): size, count, then `size` entries; none
    where that cannot be found."""
    try:
        table = runtime.global_word("runtime.itabTable")
        size = runtime.word_at(table)
    except UnreadableError:
        return []
    except ProblemError as error:
        runtime.problems.add(f"itabs: {error}; what interfaces with methods hold is not known")
        return []
    if size > 1 << 22:
        return []
    found = runtime.words(table + 2 * runtime.word, size, "runtime.itabTable")
    return sorted(address for address in found if address)
