"""Which field of a value an offset falls into."""

from __future__ import annotations

from typing import Optional

from addrspace_gdb.target.layout import Type

_MAX_DEPTH = 16  # fields within one another


def field_path(type_: Type, offset: int) -> Optional[str]:
    """ ".Inner.B", "[10].Next", ".Name + 8" inside a value; empty for its beginning, None outside it."""
    if not 0 <= offset < max(type_.size, 1):
        return None
    if offset == 0:
        return ""
    path, at, current = "", offset, type_
    for _ in range(_MAX_DEPTH):
        if current.kind == "array" and current.element is not None and current.element.size > 0:
            index, at = divmod(at, current.element.size)
            path, current = f"{path}[{index}]", current.element
            continue
        if current.kind != "struct" or _is_word(current):
            break
        inside = [
            (name, start, field)
            for name, (start, field) in current.fields.items()
            if start <= at < start + field.size
        ]
        if not inside:
            break
        name, start, current = inside[0]
        path, at = f"{path}.{name}", at - start
    return f"{path} + {at}" if at else path


def _is_word(type_: Type) -> bool:
    """Strings, slices and interfaces are one value to a Go programmer."""
    return tuple(type_.fields) in (
        ("str", "len"),
        ("array", "len", "cap"),
        ("_type", "data"),
        ("tab", "data"),
    )
