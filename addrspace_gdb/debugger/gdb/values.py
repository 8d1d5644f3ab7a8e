"""Expressions of gdb as addresses: Go's strings, slices, interfaces and functions by what they point to."""

from __future__ import annotations

import re
import struct
from contextlib import contextmanager
from typing import Callable, Iterator, List, Optional

import gdb

from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.debugger.gdb.readonly import ONLY_READS, RUNS, NoPrograms, read_only, refusal, would_do
from addrspace_gdb.debugger.gdb.text import output_of
from addrspace_gdb.target.layout import CODES
from addrspace_gdb.target.protocol import Value

_ALL = (1 << 64) - 1
_MAX_FETCHED = 1 << 16  # bytes; of longer values nobody asks the contents
MAX_ELEMENTS = 1 << 20  # of an array made with @

Read = Callable[[int, int], bytes]

# A name of Go with its package, outside quotes: main.table, net/http.DefaultClient.
_QUALIFIED = re.compile(r"(?<![\w.$'\"/>)])([A-Za-z_]\w*(?:/[\w.-]+)*\.[A-Za-z_]\w*)(?!['\"])")

_NUMBERS = (
    gdb.TYPE_CODE_INT,
    gdb.TYPE_CODE_CHAR,
    gdb.TYPE_CODE_BOOL,
    gdb.TYPE_CODE_ENUM,
    gdb.TYPE_CODE_FLAGS,
    gdb.TYPE_CODE_PTR,
    gdb.TYPE_CODE_REF,
    gdb.TYPE_CODE_RANGE,
)


def values_of(expression: str, read: Read, pointer_size: int, byte_order: str) -> List[Value]:
    """Every address that `expression` comes to. ProblemError, in one line, if it comes to none.

    It is read in gdb's current language, and if that cannot, in Go or C.
    """
    expander = _Expander(expression, read, pointer_size, byte_order)
    first, at, count = expression.rpartition("@")
    try:
        if at and first.strip() and count.strip():
            return expander.elements(evaluate(first), int(fetched(evaluate(count), read)))
        return expander.of(evaluate(expression))
    except UnreadableError as error:
        raise ProblemError(f"cannot evaluate {printable(expression)!r}: {error}") from None
    except (gdb.error, OverflowError, ValueError, TypeError) as error:
        raise ProblemError(f"cannot evaluate {printable(expression)!r}: {printable(str(error))}") from None


def evaluate(expression: str) -> gdb.Value:
    """The value of `expression` in gdb's current language, else in C. Raises gdb.error.

    ProblemError where it would do more than read. Convenience variables may be assigned to: they are gdb's.

    Go has no casts to pointers in gdb. Where the program stands in assembly gdb knows Go's names in quotes
    only: they are put in.
    """
    with read_only(), NoPrograms() as programs:
        refused = would_do(expression)
        if refused is None:
            try:
                value = _parsed(expression)
                refused = RUNS if programs.tried else None
            except gdb.error as error:
                refused = RUNS if programs.tried else refusal(error)
                if refused is None:
                    raise
    if refused is not None:
        raise ProblemError(f"cannot evaluate {printable(expression)!r}: {refused}, {ONLY_READS}")
    return value


def _parsed(expression: str) -> gdb.Value:
    """By the first of gdb's readings that has a value."""
    quoted = _QUALIFIED.sub(r"'\1'", expression)
    first: Optional[gdb.error] = None
    telling: Optional[gdb.error] = None
    for form in dict.fromkeys((expression, quoted)):
        for language in (None, "c"):
            try:
                with _language(language):
                    return gdb.parse_and_eval(form)
            except gdb.error as error:
                if refusal(error):
                    raise
                first = first or error
                if not any(word in str(error) for word in ("syntax", "No symbol")):
                    telling = telling or error
    assert first is not None
    raise (first if "No symbol" in str(first) else telling or first) from None


def fetched(value: gdb.Value, read: Read) -> gdb.Value:
    """The value with its contents as `read` has them, where gdb has not read them yet.

    gdb would from the process's memory, which makes pages of files resident. Raises UnreadableError.
    """
    reference = value.type.strip_typedefs().code in (gdb.TYPE_CODE_REF, gdb.TYPE_CODE_RVALUE_REF)
    if reference or not value.is_lazy or value.address is None or not 0 < value.type.sizeof <= _MAX_FETCHED:
        return value
    return gdb.Value(read(int(value.address) & _ALL, value.type.sizeof), value.type)


@contextmanager
def _language(name: Optional[str]) -> Iterator[None]:
    """Run a block in another language of gdb; None: in the current one."""
    before = str(gdb.parameter("language"))
    if name is None or name == before:
        yield
        return
    output_of(f"set language {name}")
    try:
        yield
    finally:
        output_of(f"set language {before}")


class _Expander:
    """Makes addresses of one expression's value."""

    def __init__(self, expression: str, read: Read, pointer_size: int, byte_order: str) -> None:
        self._expression, self._read, self._word = expression, read, pointer_size
        self._order = "<" if byte_order == "little" else ">"
        self._mask = (1 << (8 * pointer_size)) - 1

    def of(self, value: gdb.Value) -> List[Value]:
        bare = value.type.strip_typedefs()
        if bare.code == gdb.TYPE_CODE_ARRAY:
            return [self._lies(value, bare)]
        if bare.code == gdb.TYPE_CODE_FUNC:
            return [self._function(value)]
        if bare.code in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
            return [self._struct(value, bare)]
        if bare.code in _NUMBERS:
            number = int(fetched(value, self._read))
            return [self._number(number, bare)._replace(held_at=self._place(value))]
        raise ProblemError(
            f"{printable(self._expression)!r} is a {printable(str(value.type))}, not an address"
        )

    def _number(self, number: int, bare: gdb.Type) -> Value:
        name, size = None, None
        if bare.code == gdb.TYPE_CODE_PTR:
            pointed = bare.target()
            if pointed.strip_typedefs().code not in (gdb.TYPE_CODE_VOID, gdb.TYPE_CODE_FUNC):
                name, size = str(pointed), int(pointed.sizeof)
        return Value(self._expression, number & self._mask, name, size)

    def _lies(self, value: gdb.Value, bare: gdb.Type) -> Value:
        """The value itself, where it lies in memory."""
        if value.address is None:
            what = printable(str(value.type))
            raise ProblemError(f"{printable(self._expression)!r} is a {what} that is not in memory")
        at = int(value.address) & self._mask
        return Value(self._expression, at, str(value.type), int(bare.sizeof))

    def _function(self, value: gdb.Value) -> Value:
        """A function's code; of a variable with a Go func value, what it points to (runtime.funcval)."""
        assert value.address is not None
        at = int(value.address) & self._mask
        if gdb.block_for_pc(at) is not None:
            return Value(self._expression, at)
        (closure,) = struct.unpack(self._order + self._code, self._read(at, self._word))
        return Value(self._expression, closure, note="what the func value points to", held_at=at)

    @property
    def _code(self) -> str:
        return "Q" if self._word == 8 else "I"

    def _place(self, value: gdb.Value) -> Optional[int]:
        return int(value.address) & self._mask if value.address is not None else None

    def _struct(self, value: gdb.Value, bare: gdb.Type) -> Value:
        names = [field.name for field in bare.fields()]
        found = self._reference(fetched(value, self._read), bare, names)
        return found._replace(held_at=self._place(value)) if found is not None else self._lies(value, bare)

    def _reference(self, value: gdb.Value, bare: gdb.Type, names: List[Optional[str]]) -> Optional[Value]:
        """What a string, slice or interface points to; None for other structs."""
        if names == ["str", "len"]:
            return self._several(value["str"], int(value["len"]), "the bytes of a string")
        if names == ["array", "len", "cap"]:
            return self._several(value["array"], int(value["len"]), "the elements of a slice")
        for first in ("_type", "tab"):
            if names == [first, "data"] and str(bare).startswith("runtime."):
                said_by, data = int(value[first]) & self._mask, int(value["data"]) & self._mask
                return Value(self._expression, data, said_by=said_by, note="the data of an interface")
        return None

    def _several(self, pointer: gdb.Value, count: int, note: str) -> Value:
        element = pointer.type.strip_typedefs().target()
        size = count * int(element.sizeof) if 0 <= count < 1 << 48 else None
        return Value(self._expression, int(pointer) & self._mask, f"{count} x {element}", size, note=note)

    def elements(self, first: gdb.Value, count: int) -> List[Value]:
        """The `count` elements from `first` on: numbers and pointers by value, others by address.

        gdb's own arrays end at its max-value-size.
        """
        if not 0 < count <= MAX_ELEMENTS:
            raise ProblemError(
                f"{printable(self._expression)!r} has {count:,} elements; at most {MAX_ELEMENTS:,} are shown"
            )
        if first.address is None:
            raise ProblemError(f"{printable(self._expression)!r} is not in memory")
        start, size = int(first.address) & self._mask, int(first.type.sizeof)
        inner = first.type.strip_typedefs()
        if inner.code in _NUMBERS and size in CODES:
            numbers = struct.unpack(f"{self._order}{count}{CODES[size]}", self._read(start, count * size))
            pattern = self._number(0, inner)
            return [
                pattern._replace(
                    expression=f"{self._expression}[{at}]", address=number, held_at=start + at * size
                )
                for at, number in enumerate(numbers)
            ]
        name: Optional[str] = str(first.type)
        return [
            Value(f"{self._expression}[{at}]", start + at * size & self._mask, name, size)
            for at in range(count)
        ]
