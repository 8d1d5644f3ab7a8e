"""Expressions without a debugger: numbers, registers, symbols, `*`, `&`, `+`, `-`, parentheses, and `@N`.

Without debug information nothing has a type but the runtime's own variables: a symbol of the size of a
pointer, or of a number, is what it holds, any other is where it lies, and what `*` reads is a pointer, or has
the size that a cast says: `*(uint32*)$rsp`.
"""

from __future__ import annotations

import re
from typing import List, NamedTuple, Optional, Protocol, Sequence

from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.target.hints import Hints
from addrspace_gdb.target.layout import CODES
from addrspace_gdb.target.protocol import Symbol, Value

MAX_ELEMENTS = 1 << 20  # of an array made with @
_MAX_DEPTH = 64  # parentheses and stars
# Bytes of numbers by the names of Go and C that a cast may have; what is a word, as Go has it.
_SIZES = {
    **dict.fromkeys(("bool", "byte", "char", "int8", "uint8"), 1),
    **dict.fromkeys(("short", "int16", "uint16"), 2),
    **dict.fromkeys(("int32", "uint32", "rune", "float32"), 4),
    **dict.fromkeys(("int64", "uint64", "float64"), 8),
}
_WORDS = ("void", "int", "uint", "uintptr", "long")
# A linker's name has dots and slashes, and (*T) or [...] in it; such a one is put in quotes.
_TOKEN = re.compile(
    r"\s*(?:(?P<number>0[xX][0-9a-fA-F]+|\d+)(?![\w.])|\$(?P<register>\w+)"
    r"|'(?P<quoted>[^']+)'|(?P<symbol>[^\W\d][\w.]*(?:/[\w.\-]+)*)|(?P<sign>[-+*&()]))"
)


class Memory(Protocol):
    """What an expression is about."""

    pointer_size: int
    byte_order: str
    hints: Hints

    def read(self, address: int, size: int) -> bytes:
        """Memory. UnreadableError."""

    def symbol(self, name: str) -> Optional[Symbol]:
        """A symbol by its linker name."""

    def register(self, name: str) -> Optional[int]:
        """A register of the selected thread."""


class _Operand(NamedTuple):
    """What part of an expression comes to, and where that lies (None: nowhere in memory)."""

    number: int
    held_at: Optional[int] = None
    size: int = 0  # bytes of what is there, where that is not a pointer
    type: Optional[str] = None  # its name, where that is known
    pointed: int = 0  # bytes of what it points to, if a cast says so
    width: int = 0  # bytes of the number itself, where it lies in memory


class _Beyond(Exception):
    """An expression has what is not understood here."""


class Evaluator:
    """Evaluates for one target."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._mask = (1 << (8 * memory.pointer_size)) - 1

    def value(self, expression: str) -> int:
        """The number that `expression` comes to. ProblemError."""
        return self._operand(expression, expression).number

    def values(self, expression: str) -> List[Value]:
        """Every address that it comes to: one, or `N` of them with @N. ProblemError."""
        first, at, count = expression.rpartition("@")
        if at and first.strip() and count.strip():
            return self._elements(expression, first, self._operand(count, expression).number)
        found = self._operand(expression, expression)
        return [Value(expression, found.number, found.type, found.size or None, held_at=found.held_at)]

    def _operand(self, text: str, whole: str) -> _Operand:
        try:
            return _Parser(self._memory, self._mask, _tokens(text)).parse()
        except _Beyond:
            raise ProblemError(
                f"{printable(whole)!r} {self._memory.hints.beyond}, an expression has numbers, "
                "registers ($rsp), symbols, goroutine:N, *, &, + and @N"
            ) from None
        except UnreadableError as error:
            raise ProblemError(f"cannot evaluate {printable(whole)!r}: {error}") from None

    def _elements(self, whole: str, first: str, count: int) -> List[Value]:
        if not 0 < count <= MAX_ELEMENTS:
            raise ProblemError(
                f"{printable(whole)!r} has {count:,} elements; at most {MAX_ELEMENTS:,} are shown"
            )
        found = self._operand(first, whole)
        start = found.held_at
        if start is None:
            raise ProblemError(f"{printable(whole)!r} is not in memory")
        size = found.width
        try:
            data = self._memory.read(start, count * size)
        except UnreadableError as error:
            raise ProblemError(f"cannot evaluate {printable(whole)!r}: {error}") from None
        numbers = (self._number(data[at : at + size]) for at in range(0, len(data), size))
        return [
            Value(f"{whole}[{index}]", number, held_at=start + index * size)
            for index, number in enumerate(numbers)
        ]

    def _number(self, data: bytes) -> int:
        return int.from_bytes(data, "little" if self._memory.byte_order == "little" else "big")


def _tokens(text: str) -> List[re.Match[str]]:
    found: List[re.Match[str]] = []
    at = 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            raise _Beyond
        found.append(match)
        at = match.end()
    return found


class _Parser:
    """One expression, taken apart from left to right."""

    def __init__(self, memory: Memory, mask: int, tokens: Sequence[re.Match[str]]) -> None:
        self._memory, self._mask, self._tokens = memory, mask, tokens
        self._at = self._depth = 0

    def parse(self) -> _Operand:
        found = self._sum()
        if self._at < len(self._tokens):
            raise _Beyond
        return found

    def _sign(self) -> Optional[str]:
        return self._tokens[self._at]["sign"] if self._at < len(self._tokens) else None

    def _sum(self) -> _Operand:
        found = self._term()
        while self._sign() in ("+", "-"):
            sign = self._sign()
            self._at += 1
            other = self._term().number
            found = _Operand((found.number + (other if sign == "+" else -other)) & self._mask)
        return found

    def _term(self) -> _Operand:
        if self._at >= len(self._tokens) or self._depth >= _MAX_DEPTH:
            raise _Beyond
        token = self._tokens[self._at]
        self._at += 1
        if token["number"]:
            return _Operand(int(token["number"], 0) & self._mask)
        if token["register"]:
            return self._register(token["register"])
        name = token["quoted"] or token["symbol"]
        if name:
            return self._held(self._symbol(name))
        self._depth += 1
        try:
            return self._prefixed(token["sign"])
        finally:
            self._depth -= 1

    def _prefixed(self, sign: str) -> _Operand:
        if sign == "(":
            pointed = self._cast()
            if pointed:
                return self._term()._replace(pointed=pointed, size=0, type=None)
            found = self._sum()
            if self._sign() != ")":
                raise _Beyond
            self._at += 1
            return found
        if sign == "*":
            pointer = self._term()
            return self._loaded(pointer.number, pointer.pointed or self._memory.pointer_size)
        if sign == "&" and self._at < len(self._tokens):
            token = self._tokens[self._at]
            name = token["quoted"] or token["symbol"]
            if name:
                self._at += 1
                return _Operand(self._symbol(name).address)
        raise _Beyond

    def _cast(self) -> int:
        """Bytes of what a pointer to a number or to a pointer points to: `uint32*)`, `void**)`. If that does
        not follow it is 0, and nothing is taken."""
        at, stars = self._at + 1, 0
        while at < len(self._tokens) and self._tokens[at]["sign"] == "*":
            at, stars = at + 1, stars + 1
        named = self._tokens[self._at]["symbol"] if self._at < len(self._tokens) else None
        closed = at < len(self._tokens) and self._tokens[at]["sign"] == ")"
        if named is None or not stars or not closed:
            return 0
        size = self._memory.pointer_size if stars > 1 or named in _WORDS else _SIZES.get(named, 0)
        if size:
            self._at = at + 1
        return size

    def _register(self, name: str) -> _Operand:
        number = self._memory.register(name)
        if number is None:
            raise ProblemError(f"there is no register ${printable(name)}, or it is not known")
        return _Operand(number & self._mask)

    def _symbol(self, name: str) -> Symbol:
        found = self._memory.symbol(name)
        if found is None:
            raise ProblemError(f"there is no symbol {printable(name)}")
        return found

    def _held(self, symbol: Symbol) -> _Operand:
        if symbol.size in CODES and symbol.size <= self._memory.pointer_size:
            found = self._loaded(symbol.address, symbol.size)
            pointed = symbol.type.fields.get("*") if symbol.type is not None else None
            return found if pointed is None else found._replace(type=pointed[1].name, size=pointed[1].size)
        return _Operand(symbol.address, None, symbol.size, symbol.type.name if symbol.type else None)

    def _loaded(self, address: int, size: int) -> _Operand:
        data = self._memory.read(address, size)
        number = int.from_bytes(data, "little" if self._memory.byte_order == "little" else "big")
        return _Operand(number, address, width=size)
