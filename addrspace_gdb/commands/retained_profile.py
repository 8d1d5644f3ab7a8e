"""`addrspace profile retained`: the dominator tree by roots and types."""

from __future__ import annotations

from typing import Dict, Iterator, List, Sequence, Tuple

from addrspace_gdb.commands.heap_graph import TypedGraph
from addrspace_gdb.common.messages import Message
from addrspace_gdb.common.sizes import size
from addrspace_gdb.space.graph.owners import Owner
from addrspace_gdb.space.profiles.retained import Kept
from addrspace_gdb.views.retained import SHARED_BY


class _Labels:
    """Numbers below 0 for texts."""

    def __init__(self) -> None:
        self.texts: List[str] = [""]
        self._numbers: Dict[str, int] = {"": 0}

    def number(self, text: str) -> int:
        """0 for no text."""
        number = self._numbers.setdefault(text, -len(self.texts))
        if -number == len(self.texts):
            self.texts.append(text)
        return number


def kept_rows(graph: TypedGraph) -> List[Kept]:
    """All that is reachable, by what keeps it. ProblemError."""
    labels = _Labels()
    owners = graph.owners
    own = [labels.number(_name(owner)) for owner in owners]
    shared = [labels.number(SHARED_BY.get(owner.kind, "")) for owner in owners]
    said = graph.ask("paths", own=own, shared=shared)
    return list(_rows(said, labels.texts, graph))


def _name(owner: Owner) -> str:
    """What a frame of it is called; empty if it has none of its own."""
    if owner.kind in SHARED_BY or owner.kind == "goroutine":
        return ""
    if owner.kind == "global":
        return owner.name or f"variable at {owner.address:#x}"
    if owner.kind == "group":
        return f"goroutines of {owner.name}"
    if owner.kind == "function":
        return f"frame of {owner.name}" if owner.name else "outside their frames"
    return owner.kind


def _rows(said: Message, texts: Sequence[str], graph: TypedGraph) -> Iterator[Kept]:
    before, labels, bytes_, objects = (said.column(one) for one in ("before", "labels", "bytes", "objects"))
    names: List[Tuple[str, ...]] = [()]
    for at in range(1, len(before)):
        names.append((_label(labels[at], texts, graph), *names[before[at]]))
        if objects[at]:
            yield Kept(names[at], objects[at], bytes_[at])


def _label(label: int, texts: Sequence[str], graph: TypedGraph) -> str:
    if label < 0:
        return texts[-label]
    shapes = graph.shapes.all
    if label >= 2 * len(shapes):
        return f"objects of {size(label - 2 * len(shapes))}"
    name = shapes[label >> 1].name
    return f"[...]{name}" if label & 1 else name
