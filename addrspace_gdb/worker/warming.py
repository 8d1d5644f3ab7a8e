"""Compiles every kernel for the numbers that it will be given, by working on a heap of two objects."""

from __future__ import annotations

from array import array
from typing import Dict, List, Tuple

from addrspace_gdb.common.messages import Message
from addrspace_gdb.worker import propagating
from addrspace_gdb.worker.arrays import filled, joined, of_bytes, zeros
from addrspace_gdb.worker.debuginfo import Codes, find_entries
from addrspace_gdb.worker.graph import Graph
from addrspace_gdb.worker.holding import Holders, Ways
from addrspace_gdb.worker.leaking import leaked
from addrspace_gdb.worker.majority import commonest_shapes
from addrspace_gdb.worker.narrowing import narrowed
from addrspace_gdb.worker.propagating import Shapes
from addrspace_gdb.worker.scanning import put_states, total
from addrspace_gdb.worker.stacks import Roots, Stacks, roots_of
from addrspace_gdb.worker.stream import Memory, Words
from addrspace_gdb.worker.summing import summed
from addrspace_gdb.worker.tree import Dominators, Rooted
from addrspace_gdb.worker.typed import Typed

_START = 1 << 32
_TYPE = 1 << 20
_WAITERS, _AWAITED = ("first", "blocked", "waiters"), ("awaited", "sudogs", "hidden")
_KINDS = range(6)  # a span of each kind


def warm(order: str, word: int = 8, typed: bool = False) -> None:
    """Do all that is done for a real heap; `typed`: also what gives its objects types."""
    size = 8192
    memory = Memory(-1, [], lambda address, many: bytes(many))
    graph = Graph(_spans(word, size, typed), Words(memory, word, order), _types_of)
    for _ in graph.read():
        pass
    columns = {"parents": [0], "values": [_START], "owners": [0], "finalized": [_START]}
    rooted = Rooted(graph, Message({"finalizer": 0}, _columns(columns)))
    reached = rooted.reached()
    total(graph.heap, reached, True)
    put_states(graph.heap.state, reached, zeros(graph.objects, "B"))
    tree = Dominators(rooted)
    tree.children(rooted.start, 1)
    nothing = Codes(*(zeros(1) for _ in Codes._fields))
    find_entries(of_bytes(b"\0", "B"), joined([[0, 1, 0]], "q"), 1, nothing, zeros(1), zeros(1))
    if graph.noting is not None:
        made = Typed(graph, graph.noting, _shapes(), [_TYPE])
        made.counted(reached)
        commonest_shapes(graph.heap.state, graph.heap.first, graph.heap.sizes, made)
        groups = filled(rooted.nodes, -1, "i")
        propagating.put_groups(made.found.shapes, made.shapes.slots, graph.heap, zeros(4), groups)
        tree.grouped([rooted.start], groups, 1)
        holders = Holders(rooted, graph.noting, word)
        narrowed(graph, graph.noting, holders.search(0)[0])
        ways = Ways(holders, 0, made, lambda _, __: made)
        ways.all()
        ways.steps(0)
        summed(rooted, tree, made, [0], [-1])
    tree.kept_by(rooted.start, 1)
    roots_of(Message({"low": 0, "high": 2, "no_frame": 0, "first": 1, "every": 0, "names": 1}, _stacks()))
    waits = {**{name: [0] for name in _WAITERS}, **{name: [_START] for name in _AWAITED}}
    leaked(rooted, Message({}, _columns(waits)))  # the graph is another then


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
    columns.update(root_values=[_START], root_hows=[1], root_targets=[1], closure_pcs=[], closure_shapes=[])
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
