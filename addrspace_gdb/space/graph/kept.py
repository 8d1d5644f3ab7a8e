"""Who keeps what alive, as rows: each root, or each object, with what would go if it went.

What several roots hold together belongs to none of them: it stands in rows of its own, so that all rows of a
level add up to the whole.
"""

from __future__ import annotations

from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple, TypeVar

from addrspace_gdb.goruntime.shape import Shape
from addrspace_gdb.process.dwarf.gonames import with_path
from addrspace_gdb.space.graph import owners as kinds
from addrspace_gdb.space.graph.owners import Owner, Owners
from addrspace_gdb.space.regions.model import TargetInfo

OBJECT, SHARED, UNTYPED = "object", "shared", "unknown"
ROOT, TYPE, PACKAGE = "root", "type", "package"  # what rows are by
_SUSPECT = 10  # per cent that a row must keep to be named first


class Size(NamedTuple):
    """How much."""

    bytes: int = 0
    objects: int = 0

    def __add__(self, other: object) -> Size:
        """Both."""
        assert isinstance(other, Size)
        return Size(self.bytes + other.bytes, self.objects + other.objects)

    def less(self, other: Size) -> Size:
        """Without the other."""
        return Size(self.bytes - other.bytes, self.objects - other.objects)


class Row(NamedTuple):
    """A root, or an object, and what it keeps."""

    kind: str  # of owners.py, or one of the above
    name: str  # of the variable, function, type, package; "" where the kind says all
    size: Size
    node: int = -1  # in the worker's graph; -1: none
    address: Optional[int] = None  # of the variable or object
    type: Optional[str] = None  # of the variable or object, where it is known
    own: Optional[int] = None  # bytes of the object itself
    goroutines: int = 0  # how many there are in a group
    exact: bool = True  # False: words were taken for pointers that may be none
    children: Sequence[Row] = ()
    more: int = 0  # children that are not listed
    package: Optional[str] = None  # path of the package, of a type


class Totals(NamedTuple):
    """The whole heap."""

    allocated: Size
    reached: Size

    @property
    def unreached(self) -> Size:
        """Objects that nothing leads to: they wait for the collector."""
        return self.allocated.less(self.reached)


class Retained(NamedTuple):
    """Everything that `addrspace retained` shows."""

    info: TargetInfo
    totals: Totals
    rows: List[Row]  # the largest first
    asked: bool  # the rows are of expressions, not of roots
    notes: List[str]
    problems: List[str]
    by: str = ROOT

    @property
    def suspects(self) -> List[Row]:
        """The rows that keep a tenth of what is reached, or more."""
        return [row for row in self.rows if row.kind not in (SHARED, UNTYPED) and self.is_much(row)]

    @property
    def suspects_shared(self) -> List[Row]:
        """The objects that do so and that only several roots hold, as far as they are among the rows."""
        below = [one for row in self.rows if row.kind == SHARED for one in row.children]
        found = [one for one in below if one.kind == OBJECT and self.is_much(one)]
        return sorted(found, key=lambda row: (-row.size.bytes, row.address or 0))

    def is_much(self, row: Row) -> bool:
        """Whether a row keeps a tenth."""
        return row.size.bytes * 100 >= self.totals.reached.bytes * _SUSPECT > 0


Sizes = Callable[[int], Size]  # by the number of an owner


def root_rows(owners: Owners, size_of: Sizes, first: int) -> List[Row]:
    """A row for each variable, group of goroutines and other root; and for what they hold only together.

    `first` is the node of owner 0.
    """
    goroutines, doubtful = owners.goroutines(), owners.doubtful()

    def row_of(number: int) -> Row:
        owner = owners[number]
        size, many = size_of(number), goroutines.get(number, 0)
        exact = number not in doubtful
        return Row(
            owner.kind, owner.name, size, first + number, owner.address or None, goroutines=many, exact=exact
        )

    rows: List[Row] = []
    for number in owners.below(0):
        kind = owners[number].kind
        if kind in (kinds.GLOBALS, kinds.GOROUTINES):
            inner = [row_of(one) for one in owners.below(number)]
            rows += inner
            rows.append(_shared(kind, size_of(number), inner, first + number))
        else:
            rows.append(row_of(number))
    rows.append(_shared("", size_of(0), rows, first))
    found = [row for row in rows if row.size.objects]
    return sorted(found, key=lambda row: (-row.size.bytes, row.kind, row.name, row.address or 0))


def _shared(name: str, whole: Size, rows: Sequence[Row], node: int) -> Row:
    return Row(SHARED, name, whole.less(sum((row.size for row in rows), Size())), node)


class Found(NamedTuple):
    """What the worker says of a node: what it keeps, its largest children, and how many there are."""

    size: Size
    children: List[int]
    many: int


class Node(NamedTuple):
    """What the worker says of an object."""

    address: int
    size: int
    type: Optional[str]
    package: Optional[str] = None


# What is asked of nodes, and of which of them only objects are wanted.
Ask = Callable[[Sequence[int], Sequence[int]], List[Found]]
Look = Callable[[Sequence[int]], List[Node]]


def deepened(
    rows: Sequence[Row], depth: int, owners: Sequence[Owner], first: int, ask: Ask, look: Look
) -> List[Row]:
    """The rows with what is directly below them in the dominator tree, `depth` levels of it."""
    if depth <= 0 or not rows:
        return list(rows)
    known = [row for row in rows if row.node >= 0]
    together = [row.node for row in known if row.kind == SHARED]
    found = dict(zip((row.node for row in known), ask([row.node for row in known], together)))
    nodes = [child for one in found.values() for child in one.children]
    sizes = dict(zip(nodes, (one.size for one in ask(nodes, ())))) if nodes else {}
    objects = [node for node in nodes if node < first]
    places = dict(zip(objects, look(objects))) if objects else {}

    def below(node: int) -> Row:
        if node >= first:
            owner = owners[node - first]
            return Row(
                owner.kind,
                owner.name,
                sizes[node],
                node,
                owner.goid or owner.address or None,
                exact=owner.exact,
            )
        place = places[node]
        made = Row(OBJECT, "", sizes[node], node, place.address, place.type, place.size)
        return made._replace(package=place.package)

    made = []
    for row in rows:
        inner = found.get(row.node)
        if inner is None:
            made.append(row)
            continue
        children = deepened([below(node) for node in inner.children], depth - 1, owners, first, ask, look)
        made.append(row._replace(children=children, more=inner.many - len(children)))
    return made


def with_types(rows: Sequence[Row], type_of: Callable[[int], Optional[str]]) -> List[Row]:
    """The rows with the types of variables; `type_of` has that of the one that begins at an address."""
    return [
        row._replace(
            type=type_of(row.address or 0) if row.kind == "global" else row.type,
            children=with_types(row.children, type_of),
        )
        for row in rows
    ]


def group_of(shapes: Sequence[Shape], by: str) -> Tuple[List[int], List[Row]]:
    """The rows, nothing counted yet, and for each shape two of them: of single values, and of several in one
    object. Row 0 is of objects whose type is not known."""
    rows = [Row(UNTYPED, "", Size())]
    numbers: Dict[Row, int] = {}
    groups = [0, 0]
    for shape in shapes[1:]:
        names = [shape.name, several_name(shape)] if by == TYPE else [shape.package or ""] * 2
        for name in names:
            row = Row(by, name, Size(), package=shape.package)
            if row not in numbers:
                numbers[row] = len(rows)
                rows.append(row)
            groups.append(numbers[row])
    return groups, rows


TypeName = TypeVar("TypeName", str, Optional[str])


def told_apart(names: Sequence[Tuple[TypeName, Optional[str]]]) -> List[TypeName]:
    """The names of types, which come with the paths of their packages: with those where two packages have
    types of one name."""
    first: Dict[str, str] = {}
    twice = {name for name, package in names if package and first.setdefault(name or "", package) != package}
    return [with_path(name, package) if name and name in twice else name for name, package in names]


def with_paths(found: Retained) -> Retained:
    """With the paths of packages, where rows could not be told apart without them."""
    names = told_apart([(row.name, row.package) for row in found.rows])
    return found._replace(rows=[row._replace(name=name) for row, name in zip(found.rows, names)])


def several_name(shape: Shape) -> str:
    """An object that has several values of a shape, as an array."""
    return shape.name if shape.open else f"[...]{shape.name}"


def counted_rows(rows: Sequence[Row], bytes_: Sequence[int], objects: Sequence[int]) -> List[Row]:
    """The rows that keep anything, with what that is; the largest first."""
    found = [row._replace(size=Size(*size)) for row, *size in zip(rows, bytes_, objects) if size[1]]
    return sorted(found, key=lambda row: (-row.size.bytes, row.kind, row.name))


Asked = Tuple[str, int]  # an expression, and the address that it comes to
