"""What a shape is, of which goruntime/typeshapes.py makes one for each type, and its pointers."""

from __future__ import annotations

from itertools import islice
from typing import Callable, Iterable, List, NamedTuple, Optional, Sequence, Tuple

# How a pointer leads to its target, as worker/propagating.py has it.
UNKNOWN, ONE, MANY, DYNAMIC, DIRECTORY, EITHER = range(6)
# Shapes that every table has.
NOTHING, TINY, TEXT, FUNCTION = range(4)
MAX_POINTERS = 1 << 12  # of one value that are told apart


class Pointer(NamedTuple):
    """A word of a value that is a pointer."""

    offset: int  # bytes
    how: int
    target: int = NOTHING  # number of a shape
    other: int = NOTHING  # of DIRECTORY and EITHER: what else it may lead to, by its tag or its slot


def placed(parts: Iterable[Tuple[int, Sequence[Pointer]]]) -> List[Pointer]:
    """The pointers of values that stand at those offsets, no more than are told apart: damaged types claim
    any number of parts within parts."""
    moved = (one._replace(offset=start + one.offset) for start, pointers in parts for one in pointers)
    return list(islice(moved, MAX_POINTERS))


class Shape(NamedTuple):
    """A kind of value. `period`: bytes after which the pointers are at the same places again; `open`: an
    object of it may be larger than it says."""

    name: str
    kind: str  # of the type; "map", "channel", "function", "text" for what has none
    package: Optional[str]
    size: int
    period: int
    pointers: Sequence[Pointer]
    open: bool = False
    first: int = NOTHING  # the shape of what it begins with


class Direct(NamedTuple):
    """What an interface's second word leads to, by the type in its first."""

    how: int
    target: int


class Named(NamedTuple):
    """The name of a part of a value, as far as it goes. The rest is byte `rest` of a value of the `type` that
    stands there: the address of a descriptor, or 0."""

    text: str
    type: int
    rest: int


PathOf = Callable[[int], Named]


def named_parts(parts: Sequence[Tuple[int, str]]) -> PathOf:
    """Names what begins at those offsets, ascending from 0 on, and goes to the next one."""

    def path(within: int) -> Named:
        start, name = max((one for one in parts if one[0] <= within), default=(0, ""))
        return Named(name, 0, within - start)

    return path


Hidden = Callable[[str, Optional[str], int], Optional[Sequence[Pointer]]]
