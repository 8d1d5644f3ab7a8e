"""The tree of resident memory as a profile: the path of each leaf is a stack of frames that are names."""

from __future__ import annotations

from functools import cached_property
from typing import Callable, Iterator, List, Sequence, Tuple

from addrspace_gdb.space.profiles.locations import NamedPlaces
from addrspace_gdb.space.profiles.model import Sample, ValueType
from addrspace_gdb.space.rss.tree import Node


class RssProfile:
    """`rss`: resident bytes, or where they are not known what is kept, and size. The whole is RSS."""

    kind, period, period_type = "rss", 0, None

    def __init__(self, tree: Callable[[], Node], time: int) -> None:
        """`tree` is worked out when it is asked for."""
        self._make, self.time = tree, time
        self.notes: List[str] = []
        self.made = NamedPlaces()

    @cached_property
    def _root(self) -> Node:
        return self._make()

    @property
    def default(self) -> str:
        """The figure of the tree."""
        return self.types[0].type

    @property
    def types(self) -> Sequence[ValueType]:
        """See model.Profile."""
        figure = "kept" if self._root.resident is None else "resident"
        return ValueType(figure, "bytes"), ValueType("size", "bytes")

    def samples(self) -> Iterator[Sample]:
        """One for each leaf, in the order of the tree."""
        for path, node in _leaves(self._root, ()):
            if node.figure or node.size:
                yield Sample((node.figure, node.size), self.made.named(path), ())


def _leaves(node: Node, above: Tuple[str, ...]) -> Iterator[Tuple[Tuple[str, ...], Node]]:
    """Each leaf with the names from it up to the root."""
    path = (node.name, *above)
    if not node.children:
        yield path, node
    for child in node.children:
        yield from _leaves(child, path)
