"""Words copied from stacks: what leads to the heap, and whose it is, against one stack at a time."""

from __future__ import annotations

import os
import random
from array import array
from collections import Counter
from typing import Dict, Iterator, List, NamedTuple, Sequence, Tuple

os.environ.setdefault("ADDRSPACE_GRAPH_PLAIN", "1")  # before the kernels are made

import pytest

from addrspace_gdb.common.messages import Message
from addrspace_gdb.space.graph.owners import FUNCTION, GOROUTINE, GROUP, OF_STACKS, Owners
from addrspace_gdb.worker.stacks import roots_of

LOW, HIGH = 1 << 30, 1 << 31  # of the heap
SIZE, WORD = 256, 8  # bytes of a stack
Slot = Tuple[int, int]  # bytes from the sp, function


class Shape(NamedTuple):
    slots: List[Slot]
    objects: List[Tuple[int, int, List[Slot]]]  # from and to which byte, and what it has


class Stack(NamedTuple):
    shape: int
    sp: int
    words: List[int]
    held: List[int]  # by records

    def word(self, slot: Slot) -> int:
        return self.words[slot[0] // WORD]


def _shape(rng: random.Random) -> Shape:
    def slots(low: int, high: int, most: int) -> List[Slot]:
        places = rng.sample(range(low, high, WORD), min(most, (high - low) // WORD))
        return [(offset, rng.randrange(3)) for offset in sorted(places)]

    starts = sorted(rng.sample(range(0, SIZE, 32), rng.randrange(4)))
    objects = [(start, start + rng.choice((8, 16, 32)), slots(start, start + 32, 3)) for start in starts]
    return Shape(slots(0, SIZE, rng.randrange(6)), objects)


def _stack(rng: random.Random, number: int, shapes: Sequence[Shape]) -> Stack:
    sp = (1 << 20) + number * 4096

    def value() -> int:
        return rng.choice((0, sp + rng.randrange(SIZE), LOW + rng.randrange(1 << 20), HIGH, (1 << 64) - 1))

    words = [value() for _ in range(SIZE // WORD)]
    return Stack(rng.randrange(len(shapes)), sp, words, [value() for _ in range(rng.choice((0, 0, 3)))])


def _expected(stack: Stack, shape: Shape) -> Iterator[Tuple[int, int, int]]:
    """Value, address, function, one stack by itself."""
    inner, seen = [], set()
    found = [(stack.word(slot), stack.sp + slot[0], slot[1]) for slot in shape.slots]
    found += [(value, 0, 9) for value in stack.held]
    while True:
        for value, address, function in found:
            if stack.sp <= value < stack.sp + SIZE:
                inner.append(value - stack.sp)
            elif LOW <= value < HIGH:
                yield value, address, function
        if not inner:
            return
        offset = inner.pop()
        at = max((n for n, one in enumerate(shape.objects) if one[0] <= offset), default=-1)
        found = []
        if at >= 0 and at not in seen and offset < shape.objects[at][1]:
            seen.add(at)
            found = [(stack.word(slot), stack.sp + slot[0], slot[1]) for slot in shape.objects[at][2]]


def _tell_shapes(shapes: Sequence[Shape], columns: Dict[str, List[int]]) -> None:
    for shape in shapes:
        listed = [*shape.slots, *(slot for one in shape.objects for slot in one[2])]
        offsets = sorted({offset for offset, _ in listed})
        first = len(columns["slot_columns"])
        columns["shape_widths"].append(len(offsets))
        columns["shape_begin"].append(first)
        columns["shape_end"].append(first + len(shape.slots))
        columns["shape_first"].append(len(columns["object_starts"]))
        at = first + len(shape.slots)
        for start, end, slots in shape.objects:
            for name, value in zip(_OBJECTS, (start, end, at, at + len(slots))):
                columns[name].append(value)
            at += len(slots)
        columns["shape_last"].append(len(columns["object_starts"]))
        for offset, function in listed:
            for name, value in zip(_SLOTS, (offsets.index(offset), offset, function, offset + 1)):
                columns[name].append(value)


def _told(stacks: Sequence[Stack], shapes: Sequence[Shape], apart: Sequence[int]) -> Message:
    """As space/goroutines tells it: a block for every shape; those `apart` have their roots listed."""
    columns: Dict[str, List[int]] = {name: [] for name in _NAMES}
    _tell_shapes(shapes, columns)
    for number, shape in enumerate(shapes):
        rows = [at for at, one in enumerate(stacks) if one.shape == number and at not in apart]
        columns["block_shapes"].append(number)
        columns["block_rows"].append(len(rows))
        columns["rows"] += rows
        known = {offset for offset, _ in [*shape.slots, *(slot for one in shape.objects for slot in one[2])]}
        for offset in sorted(known):
            columns["words"] += [stacks[row].words[offset // WORD] for row in rows]
    for at, stack in enumerate(stacks):
        columns["all_sp"].append(stack.sp)
        columns["all_lo"].append(stack.sp)
        columns["all_hi"].append(stack.sp + SIZE)
        columns["all_goid"].append(100 + at)
        columns["all_started"].append(at % 2)
        if at in apart:
            for value, address, function in _expected(stack, shapes[stack.shape]):
                for name, one in zip(_APART, (at, value, address, function, 0)):
                    columns[name].append(one)
        else:
            columns["record_rows"] += [at] * len(stack.held)
            columns["record_values"] += stack.held
    header = {"low": LOW, "high": HIGH, "no_frame": 9, "first": 5, "every": 4, "names": 10}
    return Message(header, {name: ("Q", array("Q", column).tobytes()) for name, column in columns.items()})


_OBJECTS = ("object_starts", "object_ends", "object_begin", "object_end")
_SLOTS = ("slot_columns", "slot_offsets", "slot_functions", "slot_places")
_APART = ("apart_rows", "apart_values", "apart_addresses", "apart_functions", "apart_places")
_NAMES = (
    *("rows", "words", "block_shapes", "block_rows", "record_rows", "record_values"),
    *("shape_widths", "shape_begin", "shape_end", "shape_first", "shape_last"),
    *("all_sp", "all_lo", "all_hi", "all_goid", "all_started"),
    *(*_OBJECTS, *_SLOTS, *_APART),
)


@pytest.mark.parametrize("seed", range(30))
def test_roots_are_those_of_every_stack_by_itself(seed: int) -> None:
    rng = random.Random(seed)
    shapes = [_shape(rng) for _ in range(4)]
    stacks = [_stack(rng, number, shapes) for number in range(40)]
    _, said = roots_of(_told(stacks, shapes, rng.sample(range(40), 5)))
    expected = [
        (at, *one) for at, stack in enumerate(stacks) for one in _expected(stack, shapes[stack.shape])
    ]
    owners, columns = _put({name: array(memoryview(one).format, bytes(one)) for name, one in said.items()})
    found = []
    for number, value, address in zip(owners.owners, owners.values, owners.addresses):
        frame = owners[number]
        goroutine = owners[frame.parent]
        group = owners[goroutine.parent]
        assert (frame.kind, goroutine.kind, group.kind, group.parent) == (FUNCTION, GOROUTINE, GROUP, 4)
        at = goroutine.goid - 100
        assert columns["of"][at] == frame.parent
        assert group.name == goroutine.name == owners.names.texts[at % 2]
        found.append((at, value, address, owners.names.texts.index(frame.name)))
    assert found == expected
    holding = {at for at, *_ in expected}
    groups = {owners[number].name: many for number, many in owners.goroutines().items()}
    assert groups == Counter(owners.names.texts[at % 2] for at in holding)
    assert {at for at, number in enumerate(columns["of"]) if number >= 0} == holding


def _put(columns: Dict[str, array[int]]) -> Tuple[Owners, Dict[str, array[int]]]:
    """As commands/graph_roots.py does it, behind five other owners; and the columns."""
    owners = Owners()
    for name in "abcdefghi":
        owners.names.number(name)
    while len(owners) < 5:
        owners.number(0, "global", "a", len(owners))
    owners.extend(columns["parents"], OF_STACKS, bytes(columns["kinds"]), columns["names"], columns["goids"])
    owners.put_many(*(columns[name] for name in ("owners", "values", "addresses", "places")))
    return owners, columns


def test_very_many_owners_are_as_single_ones() -> None:
    many, single = Owners(), Owners()
    name = many.names.number("f")
    parents, names, goids = array("q", [1, 2, 3]), array("I", [name, name, name]), array("Q", [0, 7, 0])
    many.extend(parents, OF_STACKS, b"\0\1\2", names, goids)
    for parent, kind, goid in zip(parents, OF_STACKS, goids):
        single.number(parent, kind, "f", goid=goid)
    assert many[:] == single[:] and len(many) == 5
    assert many.below(2) == [3] and many.below(0) == [1] and many.goroutines() == {2: 1}
    assert not many.doubtful()
    many.doubt(3)
    assert many.doubtful() == {2, 3} and not many[3].exact
