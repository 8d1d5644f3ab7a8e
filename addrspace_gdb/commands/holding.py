"""Paths to an object: asked of the worker, and named."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Tuple

from addrspace_gdb.commands.heap_graph import TypedGraph
from addrspace_gdb.goruntime.shape import FUNCTION
from addrspace_gdb.space.graph import owners as kinds
from addrspace_gdb.space.graph.holding import Group, Held, Path, Root, Step, Way, folded, merged
from addrspace_gdb.space.where.answers import Where
from addrspace_gdb.target.protocol import FrameVariable, Names, Target

_MAX_NAMED = 200  # frames whose variables are looked up: debug information is read for each function


class Locals:
    """Names what stands in frames, by debug information."""

    def __init__(self, target: Target) -> None:
        self._names: Optional[Names] = target if isinstance(target, Names) else None
        self._known: Dict[int, Sequence[FrameVariable]] = {}

    def at(self, pc: int, offset: int) -> Tuple[Optional[str], Optional[int]]:
        """The variable that lies so many bytes from the canonical frame address, and where in it that is."""
        if self._names is None or (pc not in self._known and len(self._known) >= _MAX_NAMED):
            return None, None
        if pc not in self._known:
            self._known[pc] = self._names.frame_variables(pc)
        hits = [one for one in self._known[pc] if one.offset <= offset < one.offset + max(1, one.size)]
        if not hits:
            return None, None
        best = min(hits, key=lambda one: (one.size, one.name, one.offset))  # two may share a place
        return best.name, offset - best.offset + best.within


class Finder:
    """Asks for one heap."""

    def __init__(self, graph: TypedGraph) -> None:
        self._graph, self._locals = graph, Locals(graph.target)

    def held(self, expression: str, address: int, node: int, most: Optional[int]) -> Held:
        """Who holds an object; `most` paths of them."""
        said = self._graph.ask("holders", node=node)
        rows = zip(*(said.column(name) for name in Way._fields))
        ways = [Way(*row) for row in rows]
        groups = folded(ways, self._graph.roots.of(self._graph.owners))
        paths = merged(self._paths(node, groups[:most]))
        rest = len(groups) - len(groups[:most])
        object_, partial = self._step(said.header["object"]), bool(self._graph.problems)
        return Held(expression, address, object_, paths, rest, len(ways), partial)

    def _paths(self, node: int, groups: Sequence[Group]) -> List[Path]:
        first = [group.way.first for group in groups]
        found = self._graph.ask("way", node=node, first=first).header["ways"] if first else []
        return [
            Path(self._root(group.way), [self._step(one) for one in steps], group.many, skipped)
            for group, (steps, skipped) in zip(groups, found)
        ]

    def _root(self, way: Way) -> Root:
        graph = self._graph
        if way.root < 0:
            return Root(kinds.FINALIZERS, "", None)
        owner, address = graph.roots.owner(way.root), graph.roots.addresses[way.root] or None
        if owner.kind == "global":
            offset = address - owner.address if address is not None else None
            field = graph.root_field(owner.address, offset) if offset is not None else None
            return Root(owner.kind, owner.name, address, offset, field=field)
        if owner.kind != "function":
            return Root(owner.kind, owner.name, address)
        goroutine = graph.owners[owner.parent]
        place = graph.roots.place(way.root)
        local, offset = self._locals.at(*place) if place is not None else (None, None)
        return Root(
            owner.kind, owner.name, address, offset, goroutine.goid, goroutine.name, local, goroutine.exact
        )

    def _step(self, said: Sequence[Any]) -> Step:
        address, size, shape, several, code, offset, within, into = said
        part = self._graph.parts.part(shape, several, within)
        type_ = part.type
        if shape == FUNCTION:
            name = self._graph.function_at(code)
            type_ = f"func {name}" if name else "func"
        last = offset < 0
        return Step(
            address,
            size,
            type_,
            part.role,
            several,
            None if last else offset,
            None if last else part.field,
            None if last else into,
            part.package,
        )


def with_holders(graph: TypedGraph, places: Sequence[Where]) -> List[Where]:
    """The places, those in objects with their types and the nearest that holds them. ProblemError."""
    finder, found = Finder(graph), []
    nodes = graph.find([where.address for where in places])
    for where, node in zip(places, nodes):
        held = finder.held(where.value.expression, where.address, node, 1) if node >= 0 else None
        found.append(_with_type(where, held) if held is not None else where)
    return found


def _with_type(where: Where, held: Held) -> Where:
    """With the type, where nothing else says it."""
    heap, type_ = where.heap, held.object.type
    if heap is not None and heap.type is None and type_ is not None:
        heap = heap._replace(
            type=f"[...]{type_}" if held.object.several else type_, said_by="pointers that lead to it"
        )
    return where._replace(holding=held, heap=heap)
