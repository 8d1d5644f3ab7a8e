"""An address in the program or a library: function, symbol, type descriptor, itab, string literal."""

from __future__ import annotations

import os
from typing import Dict, Optional, Sequence, Tuple

from addrspace_gdb.common.escape import decoded
from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.goruntime.rtype import Types
from addrspace_gdb.goruntime.symtab import Symtab
from addrspace_gdb.space.where.answers import InCode, InSymbol, InType
from addrspace_gdb.space.where.field_path import field_path
from addrspace_gdb.target.layout import Type
from addrspace_gdb.target.protocol import Named, Names, Target

# cmd/link/internal/ld/symtab.go; up to Go 1.19 a dot follows "go".
_STRINGS, _STRINGS_119, _BEHIND_STRINGS = "go:string.*", "go.string.*", "runtime.gcbits.*"
_MAX_TEXT = 64  # bytes of a string literal that are shown


class ImagePlaces:
    """Names what the linker placed."""

    def __init__(self, target: Target, types: Types, tables: Symtab) -> None:
        self._target, self._types, self._tables = target, types, tables
        self._names: Optional[Names] = target if isinstance(target, Names) else None
        self._named: Dict[int, Optional[Named]] = {}
        self._strings: Optional[Tuple[int, int]] = None
        self._types_of: Dict[str, Optional[Type]] = {}

    def name(self, addresses: Sequence[int]) -> None:
        """Ask the debugger for the symbols of many addresses at once."""
        found = self._names.names_at(addresses) if self._names is not None else [None] * len(addresses)
        self._named.update(zip(addresses, found))

    def code(self, address: int) -> Optional[InCode]:
        """The Go function whose text holds the address."""
        func = self._tables.find(address)
        if func is None:
            return None
        chain = [(place.name, place.file, place.line) for place in self._tables.locations(address)]
        return InCode(self._tables.printed(func.name), func.entry, address - func.entry, chain)

    def type(self, address: int) -> Optional[InType]:
        """The type descriptor or itab."""
        itab = self._types.itab(address)
        if itab is not None:
            offset = address - itab.address
            return InType("itab", itab.address, offset, itab.type, None, itab.interface)
        found = self._types.containing(address)
        if found is None:
            return None
        offset = address - found.address
        return InType("type descriptor", found.address, offset, found.name, found.kind, None)

    def symbol(self, address: int, go: bool, fields: bool, size: Optional[int] = None) -> Optional[InSymbol]:
        """The symbol. `go`: it is of a Go image. With `fields`, type and field by debug information.

        `size`: how many bytes of text there are, where a string is asked for.
        """
        if address not in self._named:
            self.name([address])
        named = self._named[address]
        if named is None:
            return None
        named = self._string(address, named)
        layout = self._layout(named.name) if fields else None
        inside = layout is not None and named.offset < max(1, layout.size)
        return InSymbol(
            name=named.name,
            offset=named.offset,
            package=package_of(named.name) if go else None,
            section=named.section,
            file=os.path.basename(named.file) if named.file else None,
            type=layout.name if layout is not None and inside else None,
            size=layout.size if layout is not None and inside else None,
            field=field_path(layout, named.offset) or None if layout is not None and inside else None,
            text=self._text(address, named, size),
            whole=size is not None and size <= _MAX_TEXT,
            seen=self._func_value(address) if go else "",
        )

    def _func_value(self, address: int) -> str:
        """A func value without captured variables is a word in read-only data: the entry of its function."""
        if address % self._tables.pointer_size:
            return ""
        try:
            raw = self._target.read(address, self._tables.pointer_size)
        except UnreadableError:
            return ""
        entry = int.from_bytes(raw, "little" if self._tables.byte_order == "little" else "big")
        func = self._tables.find(entry) if entry else None
        return f"the func value of {self._tables.printed(func.name)}" if func and func.entry == entry else ""

    def _string(self, address: int, named: Named) -> Named:
        """The symbol of all string literals shares its address with others, which debuggers may prefer."""
        if self._strings is None:
            begin = self._target.symbol(_STRINGS) or self._target.symbol(_STRINGS_119)
            end = self._target.symbol(_BEHIND_STRINGS)
            self._strings = begin.address if begin else 0, end.address if end else 0
        low, high = self._strings
        shares = address - named.offset == low <= address < high
        return named._replace(name=_STRINGS, offset=address - low) if shares else named

    def _layout(self, name: str) -> Optional[Type]:
        if name not in self._types_of:
            found = self._target.symbol(name)
            self._types_of[name] = found.type if found is not None else None
        return self._types_of[name]

    def _text(self, address: int, named: Named, size: Optional[int]) -> Optional[str]:
        """What stands in the string literals from here; they have no ends, so it may run into the next."""
        if named.name != _STRINGS:
            return None
        try:
            raw = self._target.read(address, min(_MAX_TEXT, size if size is not None else _MAX_TEXT))
        except UnreadableError:
            return None
        return decoded(raw) or None


def package_of(name: str) -> Optional[str]:
    """The path of the package that a linker name of Go begins with; None where it has none.

    The linker writes a dot in the last part of a path as %2e (objabi.PathToPrefix).
    """
    head = name.partition("[")[0]
    slash = head.rfind("/")
    dot = head.find(".", slash + 1)
    colon = head.find(":")
    if dot <= 0 or (0 <= colon < dot) or head[dot + 1 : dot + 2].isdigit():  # C's static variables: buffer.0
        return None
    return head[:dot].replace("%2e", ".")
