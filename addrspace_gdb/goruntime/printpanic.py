"""The value of a panic as Go prints it: printpanicval and printanycustomtype of src/runtime/error.go.

Up to Go 1.25 print writes floats with seven digits and an exponent of three, since 1.26 as few digits as tell
the number (printfloat in src/runtime/print.go).
"""

from __future__ import annotations

import math
import struct
from typing import Optional

from addrspace_gdb.common.escape import MAX_TEXT, decoded
from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.rtype import RType
from addrspace_gdb.goruntime.symtab import go_minor

_INTEGERS = {
    **dict(zip(("int8", "int16", "int32", "int64"), "bhiq")),
    **dict(zip(("uint8", "uint16", "uint32", "uint64"), "BHIQ")),
}
_FLOATS = {"float32": "f", "float64": "d"}
_COMPLEX = {"complex64": "f", "complex128": "d"}
_SHORTEST = 26  # the N of Go 1.N that first wrote floats so
_DIGITS = 7


def panic_value(runtime: Runtime, type_: RType, data: int) -> Optional[str]:
    """The text of an interface with that type and data word; None where the value cannot be read, or where
    Go would have called a method for it."""
    try:
        return _error(runtime, type_, data) or _value(runtime, type_, data)
    except (UnreadableError, struct.error):
        return None


def _error(runtime: Runtime, type_: RType, data: int) -> Optional[str]:
    """Errors whose method we know. The runtime makes strings of all before it prints them."""
    if type_.name == "runtime.errorString":
        return f"runtime error: {string_at(runtime, data)}"
    if type_.name == "*errors.errorString":
        return string_at(runtime, data)
    if type_.name == "runtime.boundsError":
        index = int.from_bytes(runtime.target.read(data, 8), runtime.order, signed=True)
        return f"runtime error: out of range, {index} with {runtime.word_at(data + 8)}"
    return None


def _value(runtime: Runtime, type_: RType, data: int) -> Optional[str]:
    basic = type_.name == type_.kind
    if type_.kind == "string":
        text = string_at(runtime, data)
        return text if basic or text is None else f'{type_.name}("{text}")'
    number = _number(runtime, type_.kind, data)
    if number is None:
        return f"({type_.name}) {data:#x}"
    bare = basic or type_.kind in _COMPLEX  # which has parentheses of its own
    return (number if basic else type_.name + number) if bare else f"{type_.name}({number})"


def _number(runtime: Runtime, kind: str, data: int) -> Optional[str]:
    """The text of a bool or number; None for another kind."""
    if kind in ("int", "uint", "uintptr"):
        kind = ("int" if kind == "int" else "uint") + ("64" if runtime.word == 8 else "32")
    if kind == "bool":
        return "true" if runtime.target.read(data, 1) != b"\0" else "false"
    code = _INTEGERS.get(kind) or _FLOATS.get(kind) or _COMPLEX.get(kind)
    if code is None:
        return None
    form = struct.Struct(("<" if runtime.order == "little" else ">") + code * (2 if kind in _COMPLEX else 1))
    values = form.unpack(runtime.target.read(data, form.size))
    if kind in _INTEGERS:
        return str(values[0])
    texts = [_float(value, code, go_minor(runtime.target)) for value in values]
    if kind in _FLOATS:
        return texts[0]
    return f"({texts[0]}{texts[1] if texts[1][0] in '+-' else '+' + texts[1]}i)"


def _float(value: float, code: str, minor: Optional[int]) -> str:
    """`code` is struct's of its type."""
    old = minor is not None and minor < _SHORTEST
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if old:
        mantissa, _, exponent = f"{value:+.{_DIGITS - 1}e}".partition("e")
        return f"{mantissa}e{int(exponent):+04d}"
    return _shortest(value, code)


def _shortest(value: float, code: str) -> str:
    """strconv.AppendFloat(v, 'g', -1, bits): the fewest digits that are read back as the same number."""
    texts = (f"{value:.{digits}e}" for digits in range(17))
    text = next((text for text in texts if _same(float(text), value, code)), f"{value:.17e}")
    mantissa, _, exponent = text.partition("e")
    behind = len(mantissa.partition(".")[2]) - int(exponent)
    return f"{value:.{max(0, behind)}f}" if -4 <= int(exponent) < 6 else f"{mantissa}e{int(exponent):+03d}"


def _same(one: float, other: float, code: str) -> bool:
    try:
        return struct.pack(code, one) == struct.pack(code, other)
    except OverflowError:
        return False


def string_at(runtime: Runtime, header: int) -> Optional[str]:
    """A Go string, by the address of its header. Raises UnreadableError."""
    word = runtime.word
    address, size = runtime.word_at(header), runtime.word_at(header + word)
    if size > 1 << 30:
        return None
    return decoded(runtime.target.read(address, min(size, MAX_TEXT)), size)
