"""What the heap consists of, as rows: objects and bytes by type, package or kind of type."""

from __future__ import annotations

from collections import Counter
from typing import Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.common.messages import Message
from addrspace_gdb.goruntime.shape import FUNCTION, Shape
from addrspace_gdb.space.graph.kept import Size, Totals, several_name, told_apart
from addrspace_gdb.space.regions.model import TargetInfo

TYPE, PACKAGE, KIND = "type", "package", "kind"
BYTES, OBJECTS, NAME = "bytes", "objects", "name"
UNTYPED, CLOSURE = "unknown", "closure"
_PER_SHAPE = 4  # one reached, one not, several reached, several not


class Row(NamedTuple):
    """Objects of one type, or of one package or kind. `name` is None where no type is known."""

    name: Optional[str]
    kind: str  # of the type; UNTYPED
    package: Optional[str]
    reached: Size
    unreached: Size
    slot: Optional[int] = None  # bytes of each object, where no type is known
    pointers: Optional[bool] = None  # whether they have any, where no type is known

    @property
    def size(self) -> Size:
        """All of them."""
        return self.reached + self.unreached


class Sites(NamedTuple):
    """What the places say where objects were allocated of which the heap profile has samples."""

    samples: int
    known: int  # whose place says a type
    typed: Size  # objects that have their types by that: samples, and what they lead to
    conflicts: int  # samples that have another type


class Clash(NamedTuple):
    """What an object is, and what a pointer to it says that it is."""

    type: str
    said: str


class Counted(NamedTuple):
    """Everything that `addrspace types` shows."""

    info: TargetInfo
    totals: Totals
    rows: List[Row]  # in the order that was asked for
    by: str
    unreached: bool  # only what nothing leads to was asked for
    untyped: Size
    untyped_reached: Size  # of that what is reached
    conflicts: int  # pointers that say another type than is known
    examples: List[Clash]  # some of them
    misplaced: int  # pointers where the object's type has none
    sites: Sites
    notes: List[str]
    problems: List[str]


NameOf = Callable[[int], Optional[str]]  # the function at an address


def rows_of(said: Message, shapes: Sequence[Shape], function_at: NameOf) -> List[Row]:
    """A row for each type, closure's function, and size of what has no type."""
    closures = list(_closures(said, function_at))
    named = sum((row.reached for row in closures), Size()), sum((row.unreached for row in closures), Size())
    return _together([*_of_shapes(said, shapes, named), *closures, *_untyped(said)], _of_type)


def clashes(pairs: Sequence[Tuple[int, int]], shapes: Sequence[Shape]) -> List[Clash]:
    """Conflicts of shapes by the names of those, each once, the most frequent first."""
    found = Counter(Clash(shapes[known].name, shapes[said].name) for known, said in pairs)
    return [one for one, _ in found.most_common()]


def _of_shapes(said: Message, shapes: Sequence[Shape], closures: Tuple[Size, Size]) -> Iterator[Row]:
    objects, bytes_ = said.column("objects"), said.column("bytes")
    for number, shape in enumerate(shapes):
        sizes = [
            Size(bytes_[at], objects[at]) for at in range(_PER_SHAPE * number, _PER_SHAPE * (number + 1))
        ]
        if number == FUNCTION:  # those whose code is known have rows of their own
            reached, unreached = (sizes[at] + sizes[at + 2] for at in range(2))
            sizes = [reached.less(closures[0]), unreached.less(closures[1]), Size(), Size()]
        for several in (0, 2):
            reached, unreached = sizes[several : several + 2]
            if reached.objects or unreached.objects:
                yield _row(shape, several > 0, reached, unreached)


def _row(shape: Shape, several: bool, reached: Size, unreached: Size) -> Row:
    kind = "array" if several and not shape.open else shape.kind
    return Row(name_of(shape, several), kind, shape.package, reached, unreached)


def name_of(shape: Shape, several: bool) -> str:
    """What objects are called that have one value of a shape, or several."""
    return several_name(shape) if several else shape.name


def _closures(said: Message, function_at: NameOf) -> Iterator[Row]:
    names = ("pcs", "pc_sizes", "pc_reached", "pc_unreached")
    for pc, size, reached, unreached in zip(*(said.column(name) for name in names)):
        name = function_at(pc)
        yield Row(
            f"func {name}" if name else "func",
            CLOSURE,
            package_of(name),
            Size(size * reached, reached),
            Size(size * unreached, unreached),
        )


def package_of(function: Optional[str]) -> Optional[str]:
    """The path of the package that a function is of."""
    if not function:
        return None
    folder, slash, rest = function.rpartition("/")
    return folder + slash + rest.partition(".")[0]


def _untyped(said: Message) -> Iterator[Row]:
    names = ("no_sizes", "no_pointers", "no_reached", "no_unreached")
    for size, pointers, reached, unreached in zip(*(said.column(name) for name in names)):
        first, second = Size(size * reached, reached), Size(size * unreached, unreached)
        yield Row(None, UNTYPED, None, first, second, size, bool(pointers))


def _of_type(row: Row) -> Tuple[object, ...]:
    return row.name, row.kind, row.package, row.slot, row.pointers


def _together(rows: Iterable[Row], key: Callable[[Row], Tuple[object, ...]]) -> List[Row]:
    found: Dict[Tuple[object, ...], Row] = {}
    for row in rows:
        known = found.get(key(row))
        if known is not None:
            reached, unreached = known.reached + row.reached, known.unreached + row.unreached
            row = known._replace(reached=reached, unreached=unreached)
        found[key(row)] = row
    return list(found.values())


def grouped(rows: Sequence[Row], by: str) -> List[Row]:
    """The rows by package or kind. What has no type is one row."""
    if by == TYPE:
        return list(rows)
    made = [
        Row(
            (row.package or "") if by == PACKAGE and row.kind != UNTYPED else row.kind,
            UNTYPED if row.kind == UNTYPED else by,
            row.package if by == PACKAGE else None,
            row.reached,
            row.unreached,
        )
        for row in rows
    ]
    nameless = [row._replace(name=None) if row.kind == UNTYPED else row for row in made]
    return _together(nameless, lambda row: (row.name, row.kind))


def with_paths(found: Counted) -> Counted:
    """With the paths of packages, where rows could not be told apart without them."""
    names = told_apart([(row.name, row.package) for row in found.rows])
    return found._replace(rows=[row._replace(name=name) for row, name in zip(found.rows, names)])


def ordered(rows: Sequence[Row], sort: str, unreached: bool) -> List[Row]:
    """Sorted; `unreached`: by those that nothing leads to, and no others."""

    def size(row: Row) -> Size:
        return row.unreached if unreached else row.size

    wanted = [row for row in rows if size(row).objects]
    if sort == NAME:
        return sorted(wanted, key=lambda row: (row.name is None, row.name or "", row.slot or 0))
    at = 0 if sort == BYTES else 1
    return sorted(wanted, key=lambda row: (-size(row)[at], row.name or "", row.slot or 0))


def untyped(rows: Sequence[Row]) -> Tuple[Size, Size]:
    """What has no type, and what of that is reached."""
    none = [row for row in rows if row.kind == UNTYPED]
    return sum((row.size for row in none), Size()), sum((row.reached for row in none), Size())
