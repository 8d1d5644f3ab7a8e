"""gdb's types as `Type` layouts. Fields are read from gdb only when somebody asks for them."""

from __future__ import annotations

from typing import Dict, Tuple

import gdb

from addrspace_gdb.debugger.gdb.text import text_of
from addrspace_gdb.target.layout import Type

_KINDS = {
    gdb.TYPE_CODE_STRUCT: "struct",
    gdb.TYPE_CODE_ARRAY: "array",
    gdb.TYPE_CODE_PTR: "pointer",
    gdb.TYPE_CODE_FUNC: "pointer",
    gdb.TYPE_CODE_BOOL: "bool",
    gdb.TYPE_CODE_FLT: "float",
}
_CHARS = (gdb.TYPE_CODE_INT, gdb.TYPE_CODE_CHAR, gdb.TYPE_CODE_ENUM)


def convert(source: gdb.Type) -> Type:
    """The layout of `source`, typedefs stripped; nested types are converted when first looked at."""
    bare = source.strip_typedefs()
    kind = _KINDS.get(bare.code, "other")
    if bare.code in _CHARS:
        kind = "int" if _is_signed(bare) else "uint"
    size = int(bare.sizeof) if bare.code != gdb.TYPE_CODE_FUNC else 0
    made = Type(name=text_of(lambda: str(source)), size=size, kind=kind)
    if kind == "struct":
        made.load_fields = lambda: _fields(bare)
    elif kind == "array":
        low, high = bare.range()
        made.count = max(0, int(high) - int(low) + 1)
        made.element = convert(bare.target())
    elif kind == "pointer" and bare.code == gdb.TYPE_CODE_PTR:
        made.load_fields = lambda: {"*": (0, convert(bare.target()))}
    return made


def _is_signed(bare: gdb.Type) -> bool:
    signed = getattr(bare, "is_signed", None)  # gdb 12 has it; kept optional for odd builds
    return bool(signed) if signed is not None else not str(bare).startswith("u")


def _fields(bare: gdb.Type) -> Dict[str, Tuple[int, Type]]:
    made: Dict[str, Tuple[int, Type]] = {}
    for field in bare.fields():
        position = getattr(field, "bitpos", None)
        if field.name and position is not None and field.type is not None:
            made[field.name] = (position // 8, convert(field.type))
    return made
