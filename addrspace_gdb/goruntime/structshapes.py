"""Shapes of the runtime's own structs (g, sudog, _defer, m, p …), whose types no descriptor names: by debug
information, else by the tables of layouts."""

from __future__ import annotations

from functools import partial
from typing import Callable, Dict, List, Optional, Tuple

from addrspace_gdb.goruntime.shape import (
    DYNAMIC,
    FUNCTION,
    MANY,
    MAX_POINTERS,
    NOTHING,
    ONE,
    TEXT,
    UNKNOWN,
    Named,
    Pointer,
    Shape,
    placed,
)
from addrspace_gdb.goruntime.typeshapes import Shapes
from addrspace_gdb.target.layout import Type

_MAX_DEPTH = 16
_RUNTIME = "runtime"
_INTERFACES = ("runtime.eface", "runtime.iface")


class StructShapes:
    """Shapes by the names of structs."""

    def __init__(
        self,
        shapes: Shapes,
        layout_of: Callable[[str], Optional[Type]],
        known: Callable[[str], int],
        word: int,
    ) -> None:
        """`known`: the shape of a type by debug information, NOTHING where that has none of that name."""
        self._shapes, self._layout_of, self._known, self._word = shapes, layout_of, known, word
        self._numbers: Dict[str, int] = {}
        self._pending: List[Tuple[int, Type]] = []

    def of(self, name: str) -> int:
        """The number of the shape of `runtime.g`, say; NOTHING where it is not known."""
        if name not in self._numbers:
            self._numbers[name] = self._known(name) or self._by_layout(name)
        return self._numbers[name]

    def _by_layout(self, name: str) -> int:
        layout = self._layout_of(name)
        if layout is None or layout.kind != "struct" or not layout.size:
            return NOTHING
        number = self._shapes.reserve()
        self._pending.append((number, layout))
        return number

    def pointer_to(self, name: str) -> int:
        """The number of the shape of a pointer to it: tables have those."""
        text = f"*{name}"
        if text not in self._numbers:
            self._numbers[text] = self._known(text) or self._made_pointer(text, self.of(name))
        return self._numbers[text]

    def _made_pointer(self, text: str, target: int) -> int:
        number = self._shapes.reserve()
        pointer = Pointer(0, ONE if target else UNKNOWN, target)
        self._shapes.put(number, Shape(text, "pointer", None, self._word, self._word, [pointer]))
        return number

    def without_pointers(self, name: str) -> int:
        """The number of the shape of a struct that is allocated as if it had none, and may be larger."""
        number = self._shapes.reserve()
        self._shapes.put(number, Shape(name, "struct", _RUNTIME, self._word, 0, (), open=True))
        return number

    def finish(self) -> bool:
        """Make every shape that another one leads to; whether there was any."""
        found = bool(self._pending)
        while self._pending:
            number, layout = self._pending.pop()
            pointers = self._pointers(layout, 0)
            size = layout.size
            made = Shape(layout.name, "struct", _RUNTIME, size, size, pointers, open=True)
            self._shapes.put(number, made, partial(_path, layout))
        return found

    def _pointers(self, layout: Type, depth: int) -> List[Pointer]:
        """Those of a value, by their offsets."""
        if depth > _MAX_DEPTH:
            return []
        if layout.kind == "pointer":
            return [self._pointer(layout)]
        if layout.name == "string":
            return [Pointer(0, MANY, TEXT)]
        if layout.name in _INTERFACES:
            return [Pointer(self._word, DYNAMIC)]
        if layout.kind == "array" and layout.element is not None:
            inner, size = self._pointers(layout.element, depth + 1), layout.element.size
            if not inner:
                return []
            return placed((at * size, inner) for at in range(min(layout.count, MAX_POINTERS)))
        fields = sorted(layout.fields.values(), key=lambda field: field[0])
        return placed((offset, self._pointers(inner_type, depth + 1)) for offset, inner_type in fields)

    def _pointer(self, layout: Type) -> Pointer:
        if layout.name == "func":
            return Pointer(0, ONE, FUNCTION)
        led = layout.fields.get("*")
        target = self.of(led[1].name) if led is not None and led[1].kind == "struct" else NOTHING
        return Pointer(0, ONE if target else UNKNOWN, target)


def _path(layout: Type, within: int) -> Named:
    """The field that has a byte."""
    text = ""
    for _ in range(_MAX_DEPTH):
        if layout.kind == "array" and layout.element is not None and layout.element.size:
            index, within = divmod(within, layout.element.size)
            text, layout = f"{text}[{index}]", layout.element
            continue
        found = [
            (name, offset, inner)
            for name, (offset, inner) in layout.fields.items()
            if offset <= within < offset + inner.size
        ]
        if layout.kind != "struct" or not found:
            break
        name, offset, layout = found[0]
        text, within = f"{text}.{name}", within - offset
    return Named(text, 0, within)
