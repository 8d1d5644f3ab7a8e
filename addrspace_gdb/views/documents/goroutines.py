"""`goroutine-stacks/1`: the JSON of `goroutine-stacks`, as its schema in views/documents/schema says it.

A hundred thousand goroutines differ in few things: what they share is encoded once.
"""

from __future__ import annotations

from itertools import compress, islice, repeat
from operator import add, mod
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple

from addrspace_gdb.goruntime.columns import pick
from addrspace_gdb.goruntime.labels import read_labels
from addrspace_gdb.goruntime.proc import is_live, status_word
from addrspace_gdb.goruntime.synctest import Bubble
from addrspace_gdb.goruntime.traceback import Frame, Walk
from addrspace_gdb.goruntime.waitreason import wait_reason
from addrspace_gdb.space.goroutines.columns import odd, residents, sizes_of, useds
from addrspace_gdb.space.goroutines.equal_stacks import fold_of
from addrspace_gdb.space.goroutines.leaks import Leaks
from addrspace_gdb.space.goroutines.list_columns import columns_of
from addrspace_gdb.space.goroutines.listing import Listing, find_users, function_at
from addrspace_gdb.space.goroutines.user_frame import Spot, spots
from addrspace_gdb.space.goroutines.walk import start_of
from addrspace_gdb.space.graph.kept import Size
from addrspace_gdb.space.reading.goroutines import GoroutineReading
from addrspace_gdb.views.documents.form import encode, target_json
from addrspace_gdb.views.goroutine_rows import Shared

SCHEMA = "goroutine-stacks/1"
_PART = 1024  # rows that are handed on together


def goroutines_json(
    listing: Listing,
    frames: Optional[int] = None,
    notes: Sequence[str] = (),
    leaks: Optional[Leaks] = None,
    keeps: Optional[Mapping[int, Size]] = None,
    problems: Sequence[str] = (),
) -> Iterator[str]:
    """The document, bit by bit. `frames`: at most so many of each goroutine; None leaves the key out.

    `leaks`: of all that are leaked; `keeps`: what each of those listed keeps.
    """
    target = encode(target_json(listing.reading.info))
    yield f'{{\n "schema": {encode(SCHEMA)},\n "target": {target},\n "goroutines": ['
    rows = _rows(listing, frames) if keeps is None else _keeping(_rows(listing, frames), listing, keeps)
    for number, part in enumerate(iter(lambda: list(islice(rows, _PART)), [])):
        yield ",\n  " if number else "\n  "
        yield ",\n  ".join(part)
    yield "\n ],\n" if len(listing) else "],\n"
    if leaks is not None:
        yield f' "leaked": {encode(_leaks(leaks))},\n'
    reading = listing.reading
    said = dict.fromkeys([*reading.notes, *reading.problems.left_out, *notes])
    yield f' "notes": {encode(list(said))},\n'
    yield f' "problems": {encode(list(dict.fromkeys([*reading.problems, *problems])))}\n}}\n'


def _leaks(leaks: Leaks) -> Dict[str, Any]:
    return {
        "blocked": leaks.blocked,
        "goroutines": leaks.leaked,
        "listed": leaks.listed,
        "keep": {"bytes": leaks.kept.bytes, "objects": leaks.kept.objects, "stacks": leaks.stacks},
    }


def _keeping(rows: Iterator[str], listing: Listing, keeps: Mapping[int, Size]) -> Iterator[str]:
    """The rows with what each goroutine keeps."""
    for at, text in zip(listing.positions, rows):
        size = keeps[at]
        yield f'{text[:-1]}, "keeps": {{"bytes": {size.bytes}, "objects": {size.objects}}}}}'


# One goroutine. The pieces that many have in common are text already.
_ROW = (
    '{"goid": %d, %s, %s, "stack": {"lo": "0x%x", "hi": "0x%x", "size": %d, "used": %s, "resident": %s}, '
    '%s, "sp": %s, %s, %s, %s}'
)


def _rows(listing: Listing, frames: Optional[int]) -> Iterator[str]:
    """One object a goroutine, as text: those that are alike from one template, others one by one."""
    if frames is not None or not listing.positions:
        yield from _each(listing, frames)
        return
    reading, positions = listing.reading, listing.positions
    columns = reading.goroutines.columns
    apart = _apart(listing)
    numbers = zip(*(pick(columns[name], positions) for name in ("goid", "lo", "hi", "sp")))
    texts = map(mod, _templates(listing), numbers)
    last = -1
    for row, text in zip(apart, _each(listing.part([positions[row] for row in apart]), None)):
        yield from islice(texts, row - last - 1)
        next(texts)
        yield text
        last = row
    yield from texts


def _apart(listing: Listing) -> List[int]:
    """Which rows are of goroutines that are not simply parked, or the runtime's, in a bubble or main."""
    reading, positions = listing.reading, listing.positions
    columns = reading.goroutines.columns
    starts = pick(columns["startpc"], positions)
    system = {pc for pc in set(starts) if reading.tables.is_system_goroutine(pc, reading.fing_running)}
    rows = range(len(positions))
    apart = odd(reading).union(reading.bubbles)
    found = set(compress(rows, map(apart.__contains__, positions)))
    found.update(compress(rows, map(system.__contains__, starts)))
    found.update(compress(rows, map((1).__eq__, pick(columns["goid"], positions))))
    return sorted(found)


_SHARED = ("status", "waitreason", "waitsince", "lockedm", "labels", "pc", "startpc", "gopc", "parent")


def _templates(listing: Listing) -> Iterator[str]:
    """A row for `%` with goid, lo, hi and sp; goroutines that are alike in all else have the same object."""
    reading, positions = listing.reading, listing.positions
    shared = _Shares(listing)

    def template(key: Tuple[Any, ...]) -> str:
        status, reason, since, lock, labels, pc, start, gopc, parent, size, used, resident, user = key
        stands = spots(reading.unwinder, pc)[0]
        parts = (
            shared.states[(status, reason), since, lock, labels, None],
            shared.runs[False, None],
            f'"size": {size}, "used": {used}, "resident": {encode(resident)}',
            shared.pcs[pc],
            shared.places[stands, user],
            shared.ends[start, gopc, parent],
        )
        state, run, amounts, at, place, end = (part.replace("%", "%%") for part in parts)
        return (
            f'{{"goid": %d, {state}, {run}, "stack": {{"lo": "0x%x", "hi": "0x%x", {amounts}}}, '
            f'{at}, "sp": "0x%x", {place}, {end}, "problem": null}}'
        )

    find_users(listing, positions)
    columns = reading.goroutines.columns
    items = [pick(columns[name], positions) for name in _SHARED]
    amounts = [pick(column, positions) for column in (sizes_of(reading), useds(reading), residents(reading))]
    users = listing.users.of(positions)
    return map(Shared(template).__getitem__, zip(*items, *amounts, users))


def _each(listing: Listing, frames: Optional[int]) -> Iterator[str]:
    """Each goroutine's object, nothing taken for granted."""
    c = columns_of(listing)
    shared = _Shares(listing)
    columns = listing.reading.goroutines.columns
    since, locks, labels = (
        map(columns[name].__getitem__, listing.positions) for name in ("waitsince", "lockedm", "labels")
    )
    bubbles = listing.reading.bubbles
    inside = map(bubbles.get, listing.positions) if bubbles else repeat(None)
    his = map(add, c.los, c.sizes)
    sps = [f'"{sp:#x}"' if sp is not None else "null" for sp in c.sps]
    places = map(shared.places.__getitem__, zip(c.stands, c.users))
    ends = map(shared.ends.__getitem__, zip(c.starts, c.gopcs, c.parents))
    return map(
        _ROW.__mod__,
        zip(
            c.goids,
            map(shared.states.__getitem__, zip(c.states, since, locks, labels, inside)),
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
            _problems(listing, c.useds) if frames is None else _frames(listing, frames),
        ),
    )


def _problems(listing: Listing, useds: Sequence[Optional[int]]) -> Iterable[str]:
    """The last key of each row: what is wrong where it is not known how much of the stack is used."""
    good = '"problem": null'
    if None not in useds:
        return repeat(good)
    return [
        good if used is not None else f'"problem": {encode(_problem(listing, at))}'
        for at, used in zip(listing.positions, useds)
    ]


def _problem(listing: Listing, at: int) -> Optional[str]:
    alive = is_live(listing.reading.goroutines.columns["status"][at])
    return start_of(listing.reading, at).problem if alive else None


def _known(numbers: List[Optional[int]]) -> Sequence[object]:
    return ["null" if n is None else n for n in numbers] if None in numbers else numbers


class _Shares:
    """Pieces of rows, each encoded once."""

    def __init__(self, listing: Listing) -> None:
        self._reading = listing.reading
        self._starts = Shared(self._start)
        self._makers = Shared(self._maker)
        self.states = Shared(self._state)
        self.runs = Shared(lambda key: f'"system": {encode(key[0])}, "thread": {encode(key[1])}')
        self.pcs = Shared(lambda pc: f'"pc": {encode(hex(pc)) if pc is not None else "null"}')
        self.places = Shared(_place)
        self.ends = Shared(self._end)

    def _state(self, key: Tuple[Tuple[int, int], int, int, int, Optional[Bubble]]) -> str:
        (status, number), since, lock, labels, bubble = key
        reading = self._reading
        found = {
            "status": status_word(status),
            "wait_reason": wait_reason(reading.reasons, status, number),
            "wait_time": reading.clock.waited(since, status),
            "locked_to": self._lock(lock),
            "labels": read_labels(reading.runtime, labels, reading.tables.minor),
            "bubble": {"id": bubble.id, "durable": bubble.durable} if bubble else None,
        }
        return encode(found)[1:-1]

    def _lock(self, address: int) -> Optional[Dict[str, Optional[int]]]:
        if not address:
            return None
        m = next((one for one in self._reading.scheduler.ms if one.address == address), None)
        return {"m": m.id, "thread": m.procid or None} if m else {"m": None, "thread": None}

    def _start(self, pc: int) -> str:
        return f'"start_function": {encode(function_at(self._reading, pc))}'

    def _maker(self, gopc: int) -> str:
        creator = self._reading.unwinder.creator(gopc, 0)
        return encode(creator.name) if creator else ""

    def _end(self, key: Tuple[int, int, int]) -> str:
        start, gopc, parent = key
        name = self._makers[gopc]
        by = f'{{"goid": {parent or "null"}, "function": {name}}}' if name else "null"
        return f'{self._starts[start]}, "created_by": {by}'


def _place(key: Tuple[Spot, Spot]) -> str:
    stands, user = key
    where = f'"file": {encode(user.file)}, "line": {encode(user.line)}'
    return f'"function": {encode(stands.function)}, "user_function": {encode(user.function)}, {where}'


def _frames(listing: Listing, limit: int) -> Iterator[str]:
    """The last keys of each row with frames: what is wrong may be why they end too early."""
    reading = listing.reading
    texts = _FrameTexts(reading, limit)
    statuses, sps = reading.goroutines.columns["status"], reading.goroutines.columns["sp"]
    fold = fold_of(reading)
    fold.add(listing.positions)
    for at in listing.positions:
        _, found, shared = fold.one(at)
        whole = len(found.pcs) < limit and is_live(statuses[at])
        problem = found.problem if whole else _problem(listing, at)
        frames = texts.of(found, sps[at] - found.sps[0] if shared else 0, shared)
        yield f'"problem": {encode(problem)}, "frames": [{frames}]'


class _FrameTexts:
    """Frames as JSON, but for the sps made once for all goroutines that share a walk."""

    def __init__(self, reading: GoroutineReading, limit: int) -> None:
        self._unwinder, self._limit = reading.unwinder, limit
        self._known = Shared(_frame)
        self._shared: Dict[int, Tuple[str, List[int]]] = {}  # by the id of a walk, which the fold keeps

    def of(self, found: Walk, apart: int, shared: bool) -> str:
        """The frames of a walk, with sps that are so much larger."""
        made = self._shared.get(id(found)) if shared else None
        if made is None:
            made = self._made(found)
            if shared:
                self._shared[id(found)] = made
        text, sps = made
        return text % tuple([sp + apart for sp in sps])

    def _made(self, found: Walk) -> Tuple[str, List[int]]:
        limit = self._limit
        few = found._replace(pcs=found.pcs[:limit], sps=found.sps[:limit])
        frames = self._unwinder.frames(few)[:limit]
        texts = [self._known[frame._replace(sp=0, cfa=None, problem=None)] for frame in frames]
        return ", ".join(texts), [frame.sp for frame in frames]


def _frame(frame: Frame) -> str:
    """A frame with a place for its sp."""
    name, file = encode(frame.name), encode(frame.file if frame.file != "?" else None)
    size = frame.size if frame.inlined or frame.size else "null"
    text = f'{{"function": {name}, "file": {file}, "line": {frame.line or "null"}, "pc": "{frame.pc:#x}", '
    return text.replace("%", "%%") + f'"sp": "0x%x", "frame_size": {size}}}'
