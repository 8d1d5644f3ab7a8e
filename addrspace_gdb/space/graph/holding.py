"""Who holds an object: paths from roots to it, equal ones as one."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.space.graph.owners import Owner
from addrspace_gdb.space.regions.model import TargetInfo


class Root(NamedTuple):
    """Where a path begins."""

    kind: str  # of owners.py: "global", "function" of a goroutine, or a kind of records
    name: str  # of the variable, or of the function whose frame it is; "": not known, or no frame
    address: Optional[int]  # of the word that points to the first object; None: a register, or not known
    offset: Optional[int] = None  # bytes of that word from the beginning of the variable, global or local
    goid: Optional[int] = None
    started: Optional[str] = None  # the function that the goroutine started in
    local: Optional[str] = None  # the variable in the frame, where debug information tells
    exact: bool = True  # False: the word was taken for a pointer and may be none
    field: Optional[str] = None  # of the variable, ".conns[3]", where its type is known


class Step(NamedTuple):
    """An object on a path."""

    address: int
    size: int
    type: Optional[str]  # None: not known
    role: str  # of parts.py
    several: bool  # the object has room for more than one value of the type
    offset: Optional[int]  # bytes from `address` to the pointer to the next object; None: this is the last
    field: Optional[str]  # the part of the value that is; None: not known
    into: Optional[int]  # bytes from where the next object's value begins to where that pointer leads
    package: Optional[str] = None  # path of the package of a named type


class Path(NamedTuple):
    """From a root to the object."""

    root: Root
    steps: Sequence[Step]
    many: int = 1  # words of the variable, or goroutines, that have an equal one; this is the first
    skipped: int = 0  # objects of a very long path that are left out, behind the first half of the others


class Held(NamedTuple):
    """An object that was asked for."""

    expression: str
    asked: int  # the address that it came to
    object: Step
    paths: List[Path]  # the shortest first
    more: int  # paths that are not listed, equal ones as one
    roots: int  # words that lead to it; 0: it is not reachable
    partial: bool = False  # not everything could be read: there may be more


class Holding(NamedTuple):
    """Everything that `addrspace holders` shows."""

    info: TargetInfo
    objects: List[Held]
    notes: List[str]
    problems: List[str]


class Way(NamedTuple):
    """What the worker says of a path: the number of the root (-1: an object with a finalizer, what that leads
    to is kept), the first object, how many they are, and a number that equal ways have."""

    root: int
    first: int
    length: int
    alike: int


class Group(NamedTuple):
    """Equal ways: the first, and how many there are; of goroutines how many of those."""

    way: Way
    many: int
    last: int  # whose the last of them is


class Roots(NamedTuple):
    """Whose each root is, by number, and where in a frame it stands."""

    owners: Sequence[Owner]
    of: Sequence[int]
    places: Sequence[int]


def folded(ways: Sequence[Way], roots: Roots) -> List[Group]:
    """The ways, the shortest first; those from one variable that are equal are one, and those from frames of
    equal goroutines."""
    found: Dict[Tuple[object, ...], Group] = {}
    for way in ways:
        number = roots.of[way.root] if way.root >= 0 else -1
        owner = roots.owners[number]
        key: Tuple[object, ...] = (number, way.alike)
        if way.root >= 0 and owner.kind == "function":
            key = (owner.name, roots.places[way.root], owner.exact, way.alike)
            number = owner.parent
        known = found.get(key)
        if known is None:
            found[key] = Group(way, 1, number)
        elif owner.kind != "function" or known.last != number:
            found[key] = known._replace(many=known.many + 1, last=number)
    return list(found.values())


def merged(paths: Sequence[Path]) -> List[Path]:
    """Paths that read the same are one: several places of a frame may be one variable."""
    found: Dict[Tuple[object, ...], Path] = {}
    for path in paths:
        root = path.root
        key: Tuple[object, ...] = (root.kind, root.name, root.address)
        if root.kind == "function":
            steps = tuple((one.type, one.size, one.field, one.offset) for one in path.steps)
            key = (root.kind, root.name, root.local, root.offset, root.exact, steps)
        known = found.get(key)
        found[key] = path if known is None else known._replace(many=known.many + path.many)
    return list(found.values())
