"""`goroutine-stacks/1`: the JSON of `goroutine-stacks`, as its schema in views/schema says it.

A hundred thousand goroutines differ in few things: what they share is encoded once.
"""

from __future__ import annotations

import json
from itertools import islice
from operator import add
from typing import Iterator, List, Optional, Sequence, Tuple

from addrspace_gdb.goruntime.proc import status_word
from addrspace_gdb.goruntime.traceback import Frame
from addrspace_gdb.goruntime.waitreason import wait_reason
from addrspace_gdb.space.goroutine_columns import columns_of
from addrspace_gdb.space.goroutines import Listing, frames_of, function_at
from addrspace_gdb.space.userframe import Spot
from addrspace_gdb.views.goroutine_rows import Shared
from addrspace_gdb.views.jsonform import target_json

SCHEMA = "goroutine-stacks/1"
_PART = 1024  # rows that are handed on together
_encode = json.JSONEncoder(ensure_ascii=True, allow_nan=False).encode


def goroutines_json(
    listing: Listing, frames: Optional[int] = None, notes: Sequence[str] = ()
) -> Iterator[str]:
    """The document, bit by bit. `frames`: at most so many of each goroutine; None leaves the key out."""
    target = _encode(target_json(listing.reading.info))
    yield f'{{\n "schema": {_encode(SCHEMA)},\n "target": {target},\n "goroutines": ['
    rows = _rows(listing)
    if frames is not None:
        rows = _with_frames(listing, rows, frames)
    for number, part in enumerate(iter(lambda: list(islice(rows, _PART)), [])):
        yield ",\n  " if number else "\n  "
        yield ",\n  ".join(part)
    yield "\n ],\n" if len(listing) else "],\n"
    yield f' "notes": {_encode([*listing.reading.notes, *notes])},\n'
    yield f' "problems": {_encode(list(listing.reading.problems))}\n}}\n'


# One goroutine. The pieces that many have in common are text already.
_ROW = (
    '{"goid": %d, %s, %s, "stack": {"lo": "0x%x", "hi": "0x%x", "size": %d, "used": %s, "resident": %s}, '
    '%s, "sp": %s, %s, %s}'
)


def _rows(listing: Listing) -> Iterator[str]:
    """One object a goroutine, as text. All loops over goroutines are the interpreter's own."""
    c = columns_of(listing)
    shared = _Shares(listing)
    his = map(add, c.los, c.sizes)
    sps = [f'"{sp:#x}"' if sp is not None else "null" for sp in c.sps]
    places = map(shared.places.__getitem__, zip(c.stands, c.users))
    ends = map(shared.ends.__getitem__, zip(c.starts, c.gopcs, c.parents))
    return map(
        _ROW.__mod__,
        zip(
            c.goids,
            map(shared.states.__getitem__, c.states),
            map(shared.runs.__getitem__, c.runs),
            c.los,
            his,
            c.sizes,
            _known(c.useds),
            _known(c.residents),
            map(shared.pcs.__getitem__, c.pcs),
            sps,
            places,
            ends,
        ),
    )


def _known(numbers: List[Optional[int]]) -> Sequence[object]:
    return ["null" if n is None else n for n in numbers] if None in numbers else numbers


class _Shares:
    """Pieces of rows, each encoded once."""

    def __init__(self, listing: Listing) -> None:
        self._reading = listing.reading
        self._starts = Shared(self._start)
        self._makers = Shared(self._maker)
        self.states = Shared(self._state)
        self.runs = Shared(lambda key: f'"system": {_encode(key[0])}, "thread": {_encode(key[1])}')
        self.pcs = Shared(lambda pc: f'"pc": {_encode(hex(pc)) if pc is not None else "null"}')
        self.places = Shared(_place)
        self.ends = Shared(self._end)

    def _state(self, key: Tuple[int, int]) -> str:
        reason = wait_reason(self._reading.reasons, *key)
        return f'"status": {_encode(status_word(key[0]))}, "wait_reason": {_encode(reason)}'

    def _start(self, pc: int) -> str:
        return f'"start_function": {_encode(function_at(self._reading, pc))}'

    def _maker(self, gopc: int) -> str:
        creator = self._reading.unwinder.creator(gopc, 0)
        return _encode(creator.name) if creator else ""

    def _end(self, key: Tuple[int, int, int]) -> str:
        start, gopc, parent = key
        name = self._makers[gopc]
        by = f'{{"goid": {parent or "null"}, "function": {name}}}' if name else "null"
        return f'{self._starts[start]}, "created_by": {by}'


def _place(key: Tuple[Spot, Spot]) -> str:
    stands, user = key
    where = f'"file": {_encode(user.file)}, "line": {_encode(user.line)}'
    return f'"function": {_encode(stands.function)}, "user_function": {_encode(user.function)}, {where}'


def _with_frames(listing: Listing, rows: Iterator[str], limit: int) -> Iterator[str]:
    shared = Shared(_frame)
    for at, row in zip(listing.positions, rows):
        frames = [
            shared[frame._replace(sp=0, cfa=None, problem=None)] % frame.sp
            for frame in frames_of(listing.reading, at, limit)
        ]
        yield f'{row[:-1]}, "frames": [{", ".join(frames)}]}}'


def _frame(frame: Frame) -> str:
    """A frame with a place for its sp."""
    name, file = _encode(frame.name), _encode(frame.file if frame.file != "?" else None)
    size = frame.size if frame.inlined or frame.size else "null"
    text = f'{{"function": {name}, "file": {file}, "line": {frame.line or "null"}, "pc": "{frame.pc:#x}", '
    return text.replace("%", "%%") + f'"sp": "0x%x", "frame_size": {size}}}'
