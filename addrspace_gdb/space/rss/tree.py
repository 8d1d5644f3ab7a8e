"""The accounting tree: every byte of every mapping in one leaf, every node the sum of its children."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

Path = Tuple[str, ...]
LEFT_OVER = "not accounted for"


def under(path: Path, *names: str) -> Path:
    """The path of a node below that at `path`."""
    return path + names


class Amount(NamedTuple):
    """Bytes. `resident` and `swapped` are None where they cannot be known."""

    size: int = 0  # of address space
    resident: Optional[int] = 0
    swapped: Optional[int] = 0
    kept: int = 0  # of the size what is neither only reserved nor returned to the OS, nor a file to read

    def plus(self, other: Amount) -> Amount:
        """The sum; unknown as soon as one is."""
        return Amount(
            self.size + other.size,
            None if self.resident is None or other.resident is None else self.resident + other.resident,
            None if self.swapped is None or other.swapped is None else self.swapped + other.swapped,
            self.kept + other.kept,
        )

    def minus(self, other: Amount) -> Amount:
        """The rest; unknown as soon as one is."""
        return Amount(
            self.size - other.size,
            None if self.resident is None or other.resident is None else self.resident - other.resident,
            None if self.swapped is None or other.swapped is None else self.swapped - other.swapped,
            self.kept - other.kept,
        )

    @property
    def possible(self) -> bool:
        """Whether such an amount of memory can be: nothing below zero, nothing beyond the size."""
        parts = [part for part in (self.resident, self.swapped, self.kept) if part is not None]
        return all(0 <= part <= self.size for part in parts)


def added(amounts: Sequence[Amount]) -> Amount:
    """All of them together."""
    total = Amount()
    for amount in amounts:
        total = total.plus(amount)
    return total


@dataclass
class Node:
    """One row of the tree. `note` says what about it cannot be known, or what it is."""

    name: str
    amount: Amount
    children: List[Node] = field(default_factory=list)
    note: str = ""

    @property
    def size(self) -> int:
        """Bytes of address space."""
        return self.amount.size

    @property
    def resident(self) -> Optional[int]:
        """Bytes in memory."""
        return self.amount.resident

    @property
    def swapped(self) -> Optional[int]:
        """Bytes in swap."""
        return self.amount.swapped

    @property
    def kept(self) -> int:
        """Bytes of the size that are neither only reserved nor returned to the OS."""
        return self.amount.kept

    @property
    def figure(self) -> int:
        """What it is judged by: resident bytes, or where they are not known what is kept."""
        return self.kept if self.resident is None else self.resident

    def node(self, *names: str) -> Optional[Node]:
        """The node at that path below this one."""
        node: Optional[Node] = self
        for name in names:
            node = next((child for child in node.children if child.name == name), None) if node else None
        return node

    def find(self, *names: str) -> Amount:
        """What the node at that path below this one amounts to; nothing where there is none."""
        node = self.node(*names)
        return node.amount if node is not None else Amount()

    def leaves(self) -> Iterator[Node]:
        """Those below it that have none below them, or itself."""
        return (node for _, node in self.walk() if not node.children)

    def walk(self, depth: int = 0) -> Iterator[Tuple[int, Node]]:
        """This node and everything under it, each with its depth, parents first."""
        yield depth, self
        for child in self.children:
            yield from child.walk(depth + 1)


class Leaves:
    """The leaves on the way, by path below the root."""

    def __init__(self) -> None:
        self.amounts: Dict[Path, Amount] = {}
        self.notes: Dict[Path, str] = {}

    def add(self, path: Path, amount: Amount) -> None:
        """Put that much more into a leaf."""
        self.amounts[path] = self.amounts.get(path, Amount()).plus(amount)

    def split(self, path: Path, parts: Dict[Path, Amount]) -> Optional[str]:
        """Replace the leaf at `path` by `parts`, whose paths begin there, and what they leave of it.

        Returns why not, in words, if the parts are more than the leaf or their residency is not known
        while the leaf's is: the leaf stays whole then, so that sums hold and nothing known is lost.
        """
        leaf = self.amounts.get(path)
        if leaf is None:
            return None if not added(list(parts.values())).size else "parts of something that is not there"
        whole = added(list(parts.values()))
        if leaf.resident is not None and whole.resident is None:
            return "which of its pages are in memory is not known"
        rest = leaf.minus(whole)
        if not rest.possible or not all(part.possible for part in parts.values()):
            return "its parts are more than the whole"
        del self.amounts[path]
        for name, part in parts.items():
            self.add(name, part)
        if rest.size:
            self.add((*path, LEFT_OVER), rest)
        return None

    def tree(self, name: str, order: Dict[str, int]) -> Node:
        """The whole tree. Siblings stand in `order` (by name, those not in it after them, largest first)."""
        return _node(name, (), list(self.amounts.items()), order, self.notes)


def _node(
    name: str, path: Path, leaves: List[Tuple[Path, Amount]], order: Dict[str, int], notes: Dict[Path, str]
) -> Node:
    depth = len(path)
    groups: Dict[str, List[Tuple[Path, Amount]]] = {}
    own: List[Amount] = []
    for leaf, amount in leaves:
        if len(leaf) == depth:
            own.append(amount)
        else:
            groups.setdefault(leaf[depth], []).append((leaf, amount))
    children = [_node(key, (*path, key), group, order, notes) for key, group in groups.items()]
    if own and children:  # a path that is a leaf and has leaves below it
        children.append(Node(LEFT_OVER, added(own)))
    children.sort(key=lambda child: (order.get(child.name, len(order)), -child.figure, child.name))
    total = added([child.amount for child in children]) if children else added(own)
    return Node(name, total, children, notes.get(path, ""))
