"""Two names for the same bytes, by what Go's own packages do: objects that one part of a program knows by one
type and another part by another, and that are no contradiction."""

from __future__ import annotations

from typing import List

from addrspace_gdb.goruntime.typeshapes import NOTHING, TEXT, Shapes

_TIMERS = ("time.Timer", "time.Ticker")
_ALLOCATED = "runtime.timeTimer"


def put_aliases(shapes: Shapes, timer: int, word: int) -> None:
    """Once all shapes are made. `timer`: the number of runtime.timer's."""
    _bytes_are_text(shapes)
    _widen_timers(shapes, timer, word)


def _bytes_are_text(shapes: Shapes) -> None:
    """A string may be made of a slice without copying, and a slice of a string (unsafe.String,
    strings.Builder): what both lead to is text, which for that begins with a byte."""
    number = next((at for at in _named(shapes, "uint8") if shapes.all[at].size == 1), NOTHING)
    shapes.all[TEXT] = shapes.all[TEXT]._replace(first=number)


def _widen_timers(shapes: Shapes, timer: int, word: int) -> None:
    """Since Go 1.23 time.NewTimer and time.NewTicker return the beginning of a timeTimer
    (src/runtime/time.go): the channel and a bool, behind which the runtime's timer stands."""
    rest = [one._replace(offset=one.offset + 2 * word) for one in shapes.all[timer].pointers]
    whole = next(iter(_named(shapes, _ALLOCATED)), NOTHING)
    for name in _TIMERS:
        for number in _named(shapes, name):
            shape = shapes.all[number]
            if shape.package == "time" and shape.size == 2 * word and not shape.open:
                pointers = [*shape.pointers, *rest]
                shapes.all[number] = shape._replace(period=0, pointers=pointers, open=True, first=whole)


def _named(shapes: Shapes, name: str) -> List[int]:
    return [number for number, shape in enumerate(shapes.all) if shape.name == name]
