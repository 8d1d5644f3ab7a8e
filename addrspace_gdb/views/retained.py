"""Who keeps what alive, as text: the verdict, then a row for each root."""

from __future__ import annotations

from typing import Iterator, Optional, Sequence, Tuple

from addrspace_gdb.common import sizes
from addrspace_gdb.space.graph import owners as kinds
from addrspace_gdb.space.graph.kept import OBJECT, PACKAGE, ROOT, SHARED, TYPE, UNTYPED, Retained, Row
from addrspace_gdb.views.kit import tokens
from addrspace_gdb.views.kit.glyphs import glyphs
from addrspace_gdb.views.kit.table import Column, fitted, table
from addrspace_gdb.views.kit.text import clean

# What objects are below that only several roots keep together, by the kind of the owner above those.
SHARED_BY = {
    kinds.ALL: "roots of several kinds together",
    kinds.GLOBALS: "several variables together",
    kinds.GOROUTINES: "several groups of goroutines together",
}
NOT_READ = "are reached by nothing that could be read"  # of objects, where there are problems
VERDICT_LINES = 12  # at most: it ends with a command, which may not be cut
_NAMED_FIRST = 3  # suspects
_MIN_NAME = 24
_MAX_TYPE = 40  # letters of a type in the verdict


def verdict_line(found: Retained) -> str:
    """Who keeps most, as far as it could be read."""
    text = _verdict(found)
    if not found.problems:
        return text
    return f"This is partial (see the problems below): {text[0].lower()}{text[1:]}"


def _verdict(found: Retained) -> str:
    whole = f"the {sizes.size(found.totals.reached.bytes)} that are reachable"
    if found.asked:
        return f"Of {whole}:"
    if found.by != ROOT:
        return _by_groups(found, whole)
    suspects = [_suspect(row, found) for row in found.suspects[:_NAMED_FIRST]]
    if not suspects:
        return f"No single root keeps a tenth of {whole}{_together(found)}."
    alone = "by itself" if len(suspects) == 1 else "each by itself"
    shared = f". S{_holding(found)}" if found.suspects_shared else ""
    return f"Of {whole}, {_listed(suspects)} alive {alone}{_deeper(found, '; ', 'what')}{shared}."


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _holding(found: Retained) -> str:
    """The objects that keep much and that only several roots hold, and how to see which."""
    shared, size_ = found.suspects_shared[:_NAMED_FIRST], found.info.pointer_size
    first, *more = [_object_suspect(row, found) for row in shared]
    names = _listed([f"{first[0]}, which keeps {first[1]}", *(" ".join(one) for one in more)])
    where = sizes.address(shared[0].address or 0, size_)
    return f"everal roots together hold {names}: `addrspace holders {where}` says which roots"


def _object_suspect(row: Row, found: Retained) -> Tuple[str, str]:
    where = sizes.address(row.address or 0, found.info.pointer_size)
    kept = f"{sizes.size(row.size.bytes)} ({sizes.share(row.size.bytes, found.totals.reached.bytes)})"
    if row.type is None:
        return f"an object at {where}", kept
    return (row.type if len(row.type) <= _MAX_TYPE else f"the object at {where}"), kept


def _together(found: Retained) -> str:
    """What is below objects that several roots hold, if it is much."""
    if found.suspects_shared:
        return f"; s{_holding(found)}"
    kept, whole = sum(row.size.bytes for row in found.rows if row.kind == SHARED), found.totals.reached.bytes
    if 2 * kept < whole or not whole:
        return ""
    share = sizes.share(kept, whole)
    return f"; several together keep {sizes.size(kept)} ({share}){_deeper(found, ': ', 'which objects')}"


def _deeper(found: Retained, mark: str, what: str) -> str:
    """How to see more, unless it is shown below."""
    only = found.suspects or found.rows  # what several hold is shown without being asked for
    if any(row.children for row in only):
        return ""
    return f"{mark}`addrspace retained --depth 2` shows through {what}"


def _by_groups(found: Retained, whole: str) -> str:
    first = next(iter(found.suspects), None)
    if first is None:
        return f"The objects of no single {found.by} keep a tenth of {whole}."
    name = first.name or "no package"
    what = f"objects of {name}" if found.by == TYPE else f"objects of types of {name}"
    share = sizes.share(first.size.bytes, found.totals.reached.bytes)
    return (
        f"Of {whole}, {what} keep {sizes.size(first.size.bytes)} ({share}), with all that only they lead to."
    )


def _suspect(row: Row, found: Retained) -> str:
    share = sizes.share(row.size.bytes, found.totals.reached.bytes)
    if row.type is not None and len(row.type) > _MAX_TYPE:
        row = row._replace(type=None)
    return f"{name_of(row, found.info.pointer_size)} keeps {sizes.size(row.size.bytes)} ({share})"


def name_of(row: Row, pointer_size: int) -> str:
    """A root or object in words."""
    if row.kind == SHARED:
        return SHARED_BY.get(row.name or kinds.ALL, "several together")
    if row.kind == OBJECT:
        where = sizes.address(row.address or 0, pointer_size)
        what = f"{where}  {row.type}" if row.type else f"{where}  {sizes.size(row.own)}"
        return f"{row.name}: {what}" if row.name else what
    if row.kind == UNTYPED:
        return "objects whose type is not known"
    if row.kind in (TYPE, PACKAGE):
        return row.name or "types of no package"
    if row.kind == "global":
        name = row.name or f"variable at {sizes.address(row.address or 0, pointer_size)}"
        return f"{name} ({row.type})" if row.type else name
    if row.kind == "group":
        return f"{sizes.plural(row.goroutines, 'goroutine')} of {row.name}"
    if row.kind == "goroutine":
        return f"goroutine {row.address} of {row.name}"
    if row.kind == "function":
        return f"{row.name}" if row.name else "outside its frames"
    return row.kind


def retained_table(
    found: Retained, rows: Sequence[Row], width: Optional[int], unicode: bool
) -> Iterator[tokens.Pair]:
    """One row a root or object, those below it indented."""
    lines = list(_lines(rows, 0, found, unicode))
    columns = [
        Column("Keeps", "right", tokens.SIZE),
        Column("of all", "right", tokens.QUIET),
        Column("Objects", "right", tokens.SIZE),
        Column(found.by.capitalize(), "left", tokens.NAME),
    ]
    yield from table(*fitted(columns, lines, width, (), _MIN_NAME, unicode))


def _lines(
    rows: Sequence[Row], level: int, found: Retained, unicode: bool
) -> Iterator[Tuple[str, str, str, str]]:
    whole = found.totals.reached.bytes
    for row in rows:
        indent = level * glyphs(unicode).level
        name = indent + clean(name_of(row, found.info.pointer_size), unicode)
        if not row.exact:
            name += "  (not exact)"
        size = row.size
        yield sizes.size(size.bytes), sizes.share(size.bytes, whole), sizes.count(size.objects), name
        yield from _lines(row.children, level + 1, found, unicode)
        if row.children and row.more:
            rest = sizes.plural(row.more, "smaller one")
            kept = size.bytes - sum(child.size.bytes for child in row.children) - (row.own or 0)
            yield sizes.size(kept), sizes.share(kept, whole), "", indent + glyphs(unicode).level + rest


def whole_line(found: Retained) -> str:
    """What is reached and what is not."""
    reached, rest = found.totals.reached, found.totals.unreached
    text = f"{sizes.size(reached.bytes)} in {sizes.plural(reached.objects, 'object')} are reached"
    if not rest.objects:
        return f"{text}, which is all that is allocated"
    more = f"{sizes.size(rest.bytes)} in {sizes.plural(rest.objects, 'object')}"
    return f"{text}; {more} {NOT_READ if found.problems else 'wait for the collector'}"
