"""Compiles every kernel for the numbers that it will be given, by working on a heap of two objects."""

from __future__ import annotations

from array import array
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from addrspace_gdb.common.messages import Message
from addrspace_gdb.worker import counting
from addrspace_gdb.worker.arrays import filled, joined, of_bytes, zeros
from addrspace_gdb.worker.debuginfo import Codes, find_entries
from addrspace_gdb.worker.graph import Graph
from addrspace_gdb.worker.holding import Holders, Ways
from addrspace_gdb.worker.leaking import leaked
from addrspace_gdb.worker.majority import commonest_shapes
from addrspace_gdb.worker.propagating import Shapes
from addrspace_gdb.worker.spans import objects_at, put_states, total
from addrspace_gdb.worker.stacks import Roots, Stacks, roots_of
from addrspace_gdb.worker.stream import Memory, Words
from addrspace_gdb.worker.summing import summed
from addrspace_gdb.worker.tree import Dominators, Rooted
from addrspace_gdb.worker.typed import Typed

_START = 1 << 32
_TYPE = 1 << 20
_WAITERS, _AWAITED = ("first", "blocked", "waiters"), ("awaited", "sudogs", "hidden")
_KINDS = range(6)  # a span of each kind


def warm(order: str, word: int = 8, typed: bool = False, want: str = "") -> None:
    """Do all that is done for a real heap, or, if what will be asked is among `WANTS`, all that this takes;
    `typed`: also what gives its objects types."""
    size = 8192
    memory = Memory(-1, [], lambda address, many: bytes(many))
    graph = Graph(_spans(word, size, typed), Words(memory, word, order), _types_of)
    for _ in graph.read():
        pass
    columns = {"parents": [0], "values": [_START], "owners": [0], "finalized": [_START]}
    rooted = Rooted(graph, Message({"finalizer": 0}, _columns(columns)))
    nothing = Codes(*(zeros(1) for _ in Codes._fields))
    find_entries(of_bytes(b"\0", "B"), joined([[0, 1, 0]], "q"), 1, nothing, zeros(1), zeros(1))
    made = Typed(graph, graph.noting, _shapes(), [_TYPE]) if graph.noting is not None else None
    objects_at(zeros(1), zeros(1), graph.heap)
    roots_of(Message({"low": 0, "high": 2, "no_frame": 0, "first": 1, "every": 0, "names": 1}, _stacks()))
    for one in WANTS.get(want, (_reached, _tree, _ways, _spans_of, _leaked)):
        one(rooted, made, word)


def _reached(rooted: Rooted, made: Optional[Typed], _word: int) -> None:
    reached, heap = rooted.reached(), rooted.graph.heap
    total(heap, reached, True)
    put_states(heap.state, reached, zeros(rooted.graph.objects, "B"))
    if made is not None:
        made.counted(reached)


def _tree(rooted: Rooted, made: Optional[Typed], _word: int) -> None:
    tree, heap = Dominators(rooted), rooted.graph.heap
    tree.children(rooted.start, 1)
    tree.kept_by(rooted.start, 1)
    total(heap, tree.number, True)
    if made is not None:
        groups = filled(rooted.nodes, -1, "i")
        counting.put_groups(made.found.shapes, made.shapes.slots, heap, zeros(4), groups)
        tree.grouped([rooted.start], groups, 1)
        summed(rooted, tree, made, [0], [-1])


def _ways(rooted: Rooted, made: Optional[Typed], word: int) -> None:
    noting = rooted.graph.noting
    if made is not None and noting is not None:
        holders = Holders(rooted, noting, word)
        ways = Ways(holders, 0, made, lambda _, __: made)
        ways.all()
        ways.steps(0)


def _spans_of(rooted: Rooted, made: Optional[Typed], _word: int) -> None:
    heap = rooted.graph.heap
    if made is not None:
        commonest_shapes(heap.state, heap.first, heap.sizes, made)


def _leaked(rooted: Rooted, _made: Optional[Typed], _word: int) -> None:
    waits = {**{name: [0] for name in _WAITERS}, **{name: [_START] for name in _AWAITED}}
    leaked(rooted, Message({}, _columns(waits)))  # the graph is another then


WANTS: Dict[str, Sequence[Callable[[Rooted, Optional[Typed], int], None]]] = {
    "types": (_reached,),
    "retained": (_tree,),
    "holders": (_ways,),
}


def _spans(word: int, size: int, typed: bool) -> Message:
    spans = [*_KINDS, *_KINDS[3:]]
    many = len(spans)
    columns = {
        "starts": [_START + (number << 20) for number in range(many)],
        "pages": [1] * many,
        "sizes": [1024] * len(_KINDS) + [size] * (many - len(_KINDS)),
        "slots": [4] * len(_KINDS) + [1] * (many - len(_KINDS)),
        "kinds": spans,
        "freeindex": [1] * many,
        "alloc_bits": [0] * many,
        "large_types": [_TYPE] * many,
        "arena_starts": [_START],
        "arena_ends": [_START + (1 << 26)],
        "arena_bits": [_START],
        "arena_dead": [_START],
    }
    if typed:
        columns.update(range_starts=[_TYPE], range_ends=[_TYPE + word])
    return Message({"word": word, "tail": 128, "typed": typed, "code": [0, 1]}, _columns(columns))


def _shapes() -> Message:
    """One shape, with a pointer to another of its kind."""
    columns = {name: [0, 1] for name in Shapes._fields if name not in ("begin", "offsets")}
    columns.update(begin=[0, 0, 1], offsets=[0, 0])
    columns.update(type_shapes=[0, 1], word_hows=[1], word_targets=[1])
    for who in ("root", "site"):
        columns.update({f"{who}_values": [_START], f"{who}_hows": [1], f"{who}_targets": [1]})
    columns.update(closure_pcs=[], closure_shapes=[])
    return Message({}, _columns(columns))


def _stacks() -> Dict[str, Tuple[str, bytes]]:
    """One goroutine with one word of stack."""
    ones = (
        "block_rows",
        "shape_widths",
        "shape_end",
        "shape_last",
        "object_ends",
        "object_end",
        "words",
        "all_hi",
    )
    names = [*Stacks._fields, "all_started", "all_goid", "record_rows", "record_values"]
    columns = {name: [0] for name in (*names, *(f"apart_{name}" for name in Roots._fields))}
    return _columns({**columns, **{name: [1] for name in ones}})


def _types_of(addresses: object) -> Message:
    return Message({}, {**_columns({"words": [2], "covered": [1], "places": [0]}), "bits": ("B", b"\1")})


def _columns(lists: Dict[str, List[int]]) -> Dict[str, Tuple[str, bytes]]:
    return {name: ("q", array("q", numbers).tobytes()) for name, numbers in lists.items()}
