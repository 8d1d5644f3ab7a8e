"""A difference as text: the two moments, the diagram with its growth, and a table for each sort of change."""

from __future__ import annotations

from typing import Dict, Iterator, List, Optional, Sequence, Tuple

from addrspace_gdb.common import sizes
from addrspace_gdb.space.moments.diff import Change, ClassChange, Difference
from addrspace_gdb.space.moments.diff_goroutines import GoroutineChanges, GroupChange, StackMove
from addrspace_gdb.space.moments.diff_ranges import RangeChange
from addrspace_gdb.space.moments.snapshot import Snapshot, What
from addrspace_gdb.views.diff_sentence import sentence
from addrspace_gdb.views.diffbox import diff_box
from addrspace_gdb.views.kit import tokens
from addrspace_gdb.views.kit.glyphs import Glyphs, glyphs
from addrspace_gdb.views.kit.table import Column, fitted, table
from addrspace_gdb.views.kit.text import Line, clean, clip, clip_function, clip_left
from addrspace_gdb.views.kit.units import growth, more
from addrspace_gdb.views.memstats import paragraph
from addrspace_gdb.views.stackparts import duration, place, program

_SECOND = 10**9
_NONE = 1 << 16  # columns where nothing is cut
_WITH_PLACE = 92  # columns from which a place in a file has room
_FEW = 3  # kinds that grow fastest
_FUNCTION = "User function"
_COPIED = "Stacks that were copied to another address"
_LAST = 16  # columns for the last one, at least
_NAME, _OTHERS = 20, 78  # columns for a function at least, and for the columns beside it

Row = Tuple[str, ...]


def diff_text(
    diff: Difference, limit: int, width: Optional[int] = 100, unicode: bool = True
) -> Iterator[tokens.Pair]:
    """All of it; of each table the first `limit` rows. `width` None cuts no cell (for files)."""
    look = _Look(diff, limit, width, unicode)
    yield from look.title()
    if diff.anything:
        for line in [*look.verdict(), *look.totals(), *look.fastest()]:
            yield from line
        if diff.memory:
            yield tokens.NEWLINE
            for line in diff_box(diff, min(width or 100, 120), unicode):
                yield from line
        else:
            yield from look.line().put(tokens.TEXT, "all memory is as it was")
        for part in (look.kinds(), look.ranges(), look.spans(), look.goroutines(), look.moved()):
            yield from part
    else:
        yield from look.line().put(tokens.TEXT, "nothing has changed")
    yield from look.notes()


class _Look:
    """What is shown, and how."""

    def __init__(self, diff: Difference, limit: int, width: Optional[int], unicode: bool) -> None:
        self._diff, self._limit, self._width, self._unicode = diff, limit, width, unicode
        self._g: Glyphs = glyphs(unicode)

    def line(self) -> Line:
        return Line(self._width or _NONE, self._unicode)

    def title(self) -> Line:
        """Which moments, of what."""
        before, after = self._diff.before, self._diff.after
        arrow = "→" if self._unicode else "->"
        facts = [f"{self._clean(before.name)} {arrow} {self._clean(after.name)}"]
        if self._diff.same_process:
            facts += [_process(after), after.target.go_version or "Go version ?"]
            if before.taken is not None and after.taken is not None:
                facts.append(f"{duration(max(0, round((after.taken - before.taken) * _SECOND)))} apart")
        else:
            facts += [f"{_process(before)} {arrow} {_process(after)}"]
        return self.line().put(tokens.HEADING, self._g.dot.join(map(self._clean, facts)))

    def verdict(self) -> Iterator[Line]:
        """What the change is, in one sentence."""
        return paragraph("", sentence(self._diff), self._width or _NONE, self._unicode)

    def totals(self) -> Iterator[Line]:
        """How much all of it has grown."""
        total, goroutines = self._diff.total, self._diff.goroutines
        facts = [
            f"virtual {sizes.size(total.after.size)} {growth(total.size)}".rstrip(),
            f"resident {sizes.size(total.after.resident)} {growth(total.resident)}".rstrip(),
        ]
        if goroutines is not None:
            text = sizes.plural(goroutines.after, "goroutine")
            text += f" {more(goroutines.after - goroutines.before)}".rstrip()
            if goroutines.born or goroutines.gone:
                text += f" ({len(goroutines.born or ()):,} born, {len(goroutines.gone or ()):,} gone)"
            facts.append(text)
        return paragraph("", self._g.dot.join(facts), self._width or _NONE, self._unicode)

    def fastest(self) -> Iterator[Line]:
        """What grows most, and how much a minute where the time between is known."""
        found = self._diff.fastest[:_FEW]
        timed = self._diff.minutes is not None
        parts = [
            f"{one.area}: {self._clean(one.kind or '')} "
            + (self._per_minute(one.growth) if timed else growth(one.growth))
            for one in found
        ]
        text = f"growing fastest: {'; '.join(parts)}" if parts else ""
        if timed:
            text = "; ".join(filter(None, [f"a minute: {self._rates()}", text]))
        if text:
            yield from paragraph("", text, self._width or _NONE, self._unicode)

    def _rates(self) -> str:
        """A minute, of everything."""
        total, goroutines, minutes = self._diff.total, self._diff.goroutines, self._diff.minutes or 1.0
        facts = [f"virtual {self._per_minute(total.size) or '+0 B'}"]
        if total.resident is not None:
            facts.append(f"resident {self._per_minute(total.resident) or '+0 B'}")
        if goroutines is not None:
            facts.append(f"goroutines {(goroutines.after - goroutines.before) / minutes:+,.0f}")
        return ", ".join(facts)

    def _per_minute(self, grown: Optional[int]) -> str:
        minutes = self._diff.minutes
        return "" if grown is None or minutes is None else growth(round(grown / minutes))

    def kinds(self) -> Iterator[tokens.Pair]:
        """Areas and their kinds that differ, what has grown most first."""
        rows: List[Row] = []
        for area in sorted(self._diff.areas, key=lambda one: -one.growth):
            kinds = [one for one in self._diff.kinds if one.area == area.area and one.differs]
            kinds.sort(key=lambda one: -one.growth)
            if len(kinds) > 1:
                rows.append(self._kind(area, area.area or "", "all of it"))
            rows += [
                self._kind(one, "" if len(kinds) > 1 else area.area or "", one.kind or "") for one in kinds
            ]
        yield from self._table(
            "What changed",
            [
                Column("Area", "left", tokens.NAME),
                Column("Size", "right", tokens.SIZE),
                Column("Change", "right", tokens.GROWTH),
                Column("Resident", "right", tokens.SIZE),
                Column("Change", "right", tokens.GROWTH),
                Column("A minute", "right", tokens.GROWTH),
                Column("Kind", "left", tokens.TEXT),
            ],
            rows,
            len(rows),
            (2, 1),
        )

    def _kind(self, one: Change, area: str, kind: str) -> Row:
        now = sizes.size(one.after.size), growth(one.size)
        resident = sizes.size(one.after.resident), growth(one.resident)
        return (area, *now, *resident, self._per_minute(one.resident), self._clean(kind))

    def ranges(self) -> Iterator[tokens.Pair]:
        """Regions that came, went, or became something else."""
        pointer_size = self._diff.after.target.pointer_size
        rows = [self._range(one, pointer_size) for one in self._diff.ranges[: self._limit]]
        columns = [
            Column("", "left", tokens.GROWTH),
            Column("Range", "left", tokens.ADDRESS),
            Column("Size", "right", tokens.SIZE),
            Column("Resident", "right", tokens.SIZE),
            Column("What", "left", tokens.TEXT),
        ]
        yield from self._table("Regions that came, went or changed", columns, rows, len(self._diff.ranges))

    def _range(self, one: RangeChange, pointer_size: int) -> Row:
        start, end = (sizes.address(n, pointer_size) for n in (one.start, one.end))
        sign = "+" if one.was is None else "-" if one.now is None else "~"
        resident = one.was_resident if one.now is None else one.now_resident
        text = _what(one.now or one.was)
        if one.was is not None and one.now is not None:
            text = _became(one.was, one.now)
        amount = "" if resident is None else sizes.size(resident)
        return sign, f"{start}-{end}", sizes.size(one.end - one.start), amount, self._clean(text)

    def spans(self) -> Iterator[tokens.Pair]:
        """Span classes that differ."""
        found = self._diff.spans or []
        columns = [
            Column("Object", "right", tokens.NAME),
            Column("Spans", "right", tokens.SIZE),
            Column("Change", "right", tokens.GROWTH),
            Column("Bytes", "right", tokens.SIZE),
            Column("Change", "right", tokens.GROWTH),
            Column("Objects", "right", tokens.SIZE),
            Column("Change", "right", tokens.GROWTH),
            Column("", "left", tokens.QUIET),
        ]
        found = sorted(found, key=lambda one: -one.growth("bytes"))  # what has grown most first
        rows = [_span(one) for one in found[: self._limit]]
        yield from self._table("Spans by class", columns, rows, len(found), (2, 1))

    def goroutines(self) -> Iterator[tokens.Pair]:
        """Goroutines by the stack they share."""
        changes = self._diff.goroutines
        if changes is None:
            return
        if changes.groups is None:
            yield from self._ungrouped(changes)
            return
        columns = [
            Column("Now", "right", tokens.SIZE),
            Column("Change", "right", tokens.GROWTH),
            Column("Born", "right", tokens.TEXT),
            Column("Gone", "right", tokens.TEXT),
            Column("Grown", "right", tokens.TEXT),
            Column("Stacks", "right", tokens.SIZE),
            Column("Change", "right", tokens.GROWTH),
            Column(_FUNCTION, "left", tokens.NAME),
            Column("At", "left", tokens.QUIET),
        ]
        groups = sorted(_alike(changes.groups), key=lambda one: one.before - one.after)
        rows = [self._group(one) for one in groups[: self._limit]]
        yield from self._table("Goroutines by stack", columns, rows, len(groups), (4, 6, 3))

    def _ungrouped(self, changes: GoroutineChanges) -> Iterator[tokens.Pair]:
        """Only numbers, where the frames are not known."""
        for word, goids in (("born", changes.born), ("gone", changes.gone)):
            if goids:
                few = ", ".join(map(str, goids[:10])) + (", ..." if len(goids) > 10 else "")
                yield tokens.NEWLINE
                line = self.line().put(tokens.HEADING, f"{sizes.plural(len(goids), 'goroutine')} {word}")
                yield from line.put(tokens.QUIET, f"  goid {few}")

    def _group(self, one: GroupChange) -> Row:
        counts = [sizes.count(n) if n else "" for n in (one.born, one.gone, one.grown)]
        name = self._clean(one.stack.function or "not known")
        with_place = self._width is None or self._width >= _WITH_PLACE
        if self._width is not None and with_place:
            name = clip_function(name, max(_NAME, self._width - _OTHERS), self._unicode)
        size = sizes.size(one.size_after), growth(one.size_after - one.size_before)
        where = self._clean(_short(one.stack.place)) if with_place else ""
        return (sizes.count(one.after), more(one.after - one.before), *counts, *size, name, where)

    def moved(self) -> Iterator[tokens.Pair]:
        """Stacks that were copied."""
        found = self._diff.goroutines.moved if self._diff.goroutines is not None else None
        pointer_size = self._diff.after.target.pointer_size
        columns = [
            Column("Goid", "right", tokens.TEXT),
            Column("Was at", "left", tokens.ADDRESS),
            Column("Size", "right", tokens.SIZE),
            Column("Is at", "left", tokens.ADDRESS),
            Column("Size", "right", tokens.SIZE),
            Column("Change", "right", tokens.GROWTH),
            Column(_FUNCTION, "left", tokens.NAME),
        ]
        rows = [self._move(one, pointer_size) for one in (found or [])[: self._limit]]
        yield from self._table(_COPIED, columns, rows, len(found or []), (5, 2))

    def _move(self, one: StackMove, pointer_size: int) -> Row:
        was, now = (sizes.address(n, pointer_size) for n in (one.was_lo, one.lo))
        name = (one.stack.function or "not known") if one.stack is not None else ""
        numbers = was, sizes.size(one.was_size), now, sizes.size(one.size), growth(one.size - one.was_size)
        return (str(one.goid), *numbers, self._clean(name))

    def notes(self) -> Iterator[tokens.Pair]:
        """What could not be compared, and what is damaged."""
        before, after = self._diff.before, self._diff.after
        problems = list(dict.fromkeys([*before.problems, *after.problems]))
        said = [("problem: ", text) for text in problems]
        said += [
            ("note: ", text) for text in dict.fromkeys([*self._diff.lacking, *before.notes, *after.notes])
        ]
        if said:
            yield tokens.NEWLINE
        for prefix, text in said:
            for line in paragraph(prefix, self._clean(text), self._width or _NONE, self._unicode):
                yield from line

    def _table(
        self, title: str, columns: Sequence[Column], rows: List[Row], total: int, giving: Sequence[int] = ()
    ) -> Iterator[tokens.Pair]:
        """A titled table, without the columns that are empty, and without those `giving` if it is too wide;
        nothing if there is nothing to show."""
        if not rows:
            return
        yield tokens.NEWLINE
        yield from self.line().put(tokens.HEADING, title)
        kept = [at for at in range(len(columns)) if any(row[at] for row in rows)]
        chosen = [columns[at] for at in kept]
        few = [tuple(row[at] for at in kept) for row in rows]
        yield from table(*self._fit(chosen, few, [kept.index(at) for at in giving if at in kept]))
        if total > len(rows):
            text = f"{sizes.plural(total - len(rows), 'more row')}: --limit all shows every one"
            yield from self.line().put(tokens.QUIET, text)

    def _fit(
        self, columns: Sequence[Column], rows: List[Row], giving: Sequence[int]
    ) -> Tuple[Sequence[Column], Sequence[Row]]:
        """The last cells cut: where they end in a file at their beginning, functions where they say least."""
        function = columns[-1].heading == _FUNCTION

        def cut(text: str, width: int, unicode: bool) -> str:
            by = clip_function if function else clip_left if "/" in text else clip
            return by(text, width, unicode)

        return fitted(columns, rows, self._width, giving, _LAST, self._unicode, cut)

    def _clean(self, text: str) -> str:
        return clean(text, self._unicode)


def _process(side: Snapshot) -> str:
    target = side.target
    pid = f"pid {target.pid or sizes.UNKNOWN}"
    how = {"live": pid, "core": f"core of {pid}"}.get(target.kind, f"{target.kind} {pid}")
    return f"{program(target.executable)} ({how})"


def _what(what: Optional[What]) -> str:
    """In one line: "foreign: anonymous memory rw-p"."""
    if what is None:
        return ""
    text = f"{what.area}: {what.kind}"
    if what.label:
        text += f" {what.label}"
    if what.permissions:
        text += f" {what.permissions}"
    return text + (f" {what.file}" if what.file and what.file not in what.label else "")


def _became(was: What, now: What) -> str:
    """What is different of the two."""
    if was._replace(permissions=now.permissions) == now:
        label = f" {now.label}" if now.label else ""  # last, where there may be no room for it
        return f"{_what(now._replace(label=''))}, was {was.permissions}{label}"
    return f"{_what(now)}, was {_what(was)}"


def _span(one: ClassChange) -> Row:
    now = one.after
    object_ = f"{one.size:,} B" if one.size else "large"
    row: List[str] = []
    for name in ("spans", "bytes", "objects"):
        count = getattr(now, name) if now is not None else 0
        show = (sizes.size, growth) if name == "bytes" else (sizes.count, more)
        row += [show[0](count), show[1](one.growth(name))]
    return (object_, *row, "noscan" if one.noscan else "")


def _alike(groups: Sequence[GroupChange]) -> List[GroupChange]:
    """Stacks that read alike here (the same user's function and line; of the runtime's own the function) as
    one; only those that differ then."""
    found: Dict[Tuple[Optional[str], Optional[str], bool], GroupChange] = {}
    for one in groups:
        key = one.stack.function, None if one.stack.system else one.stack.place, one.stack.system
        found[key] = _both(found[key], one) if key in found else one
    return [
        one
        for one in found.values()
        if one.before != one.after or one.born or one.gone or one.size_before != one.size_after
    ]


def _both(a: GroupChange, b: GroupChange) -> GroupChange:
    return a._replace(
        before=a.before + b.before,
        after=a.after + b.after,
        born=None if a.born is None or b.born is None else a.born + b.born,
        gone=None if a.gone is None or b.gone is None else a.gone + b.gone,
        grown=None if a.grown is None or b.grown is None else a.grown + b.grown,
        size_before=a.size_before + b.size_before,
        size_after=a.size_after + b.size_after,
    )


def _short(text: Optional[str]) -> str:
    if text is None:
        return ""
    file, _, line = text.rpartition(":")
    return place(file, int(line) if line.isdecimal() else None)
