"""Layouts: paths, atomic wrappers, bulk decoders, and lists that do not end."""

from __future__ import annotations

import struct
from typing import Dict, List, Optional, Tuple

import pytest

from addrspace_gdb.common.problems import ProblemError, Problems, UnreadableError
from addrspace_gdb.goruntime.record import Record, Runtime, bulk
from addrspace_gdb.shell.hints import SHELL
from addrspace_gdb.target.layout import Type
from addrspace_gdb.target.protocol import Facts, ProcFiles, Symbol, Thread

U64 = Type("uint64", 8, "uint")
U32 = Type("uint32", 4, "uint")
I64 = Type("int64", 8, "int")


def made(name: str, size: int, **fields: Tuple[int, Type]) -> Type:
    return Type(name, size, "struct", load_fields=lambda: dict(fields))


ATOMIC = made("atomic.Uint32", 4, value=(0, U32))
BOX = made("mSpanStateBox", 4, s=(0, ATOMIC))
SPAN = made("mspan", 32, next=(0, U64), startAddr=(8, U64), state=(20, BOX), when=(24, I64))


class Memory:
    """A Target over a few bytes."""

    kind, arch, byte_order, pointer_size = "live", "amd64", "little", 8
    pid: Optional[int] = None
    executable: Optional[str] = None
    core_file: Optional[str] = None
    facts, hints = Facts(), SHELL

    def __init__(self, base: int, data: bytes, types: Optional[Dict[str, Type]] = None) -> None:
        self.base, self.data, self.types = base, data, types or {}
        self.reads: List[Tuple[int, int]] = []

    def read(self, address: int, size: int) -> bytes:
        self.reads.append((address, size))
        at = address - self.base
        if at < 0 or at + size > len(self.data):
            raise UnreadableError(address, size)
        return self.data[at : at + size]

    def symbol(self, name: str) -> Optional[Symbol]:
        return None

    def type(self, name: str) -> Optional[Type]:
        return self.types.get(name)

    def threads(self) -> List[Thread]:
        return []

    def proc_files(self) -> Optional[ProcFiles]:
        return None

    def evaluate(self, expression: str) -> int:
        return 0


def test_scalar_looks_through_wrappers_in_wrappers() -> None:
    assert SPAN.scalar("state")[:2] == (20, 4)
    with pytest.raises(KeyError, match="mspan.nothing"):
        SPAN.scalar("nothing")


def test_decoder_reads_fields_in_the_order_of_the_struct() -> None:
    order = SPAN.order("when", "state", "startAddr")
    assert order == ["startAddr", "state", "when"]
    raw = struct.pack("<QQIIq", 1, 0xC000000000, 99, 2, -5)
    assert SPAN.decoder(*order).unpack_from(raw) == (0xC000000000, 2, -5)


def test_a_list_with_a_cycle_ends_and_says_so() -> None:
    memory = Memory(0x1000, struct.pack("<QQ", 0x1008, 0x1000))
    problems = Problems()
    assert list(Runtime(memory, problems).chain(0x1000, 0, "a list")) == [0x1000, 0x1008]
    assert "does not end" in next(iter(problems))


def test_a_list_into_nowhere_keeps_what_came_before() -> None:
    memory = Memory(0x1000, struct.pack("<Q", 0xDEAD0000))
    problems = Problems()
    assert list(Runtime(memory, problems).chain(0x1000, 0, "a list")) == [0x1000]
    assert "0xdead0000 cannot be read" in next(iter(problems))


@pytest.mark.parametrize("length", [1 << 60, 1 << 40, -1])
def test_an_impossible_length_is_not_read(length: int) -> None:
    memory = Memory(0x1000, bytes(64))
    problems = Problems()
    assert len(Runtime(memory, problems).words(0x1000, length, "an array")) == 0
    assert memory.reads == []
    assert "not plausible" in next(iter(problems))


def test_bulk_reads_neighbours_together_and_loses_only_what_is_unreadable() -> None:
    memory = Memory(0x1000, bytes(range(256)) * 64)
    problems = Problems()
    runtime = Runtime(memory, problems)
    addresses = [0x1000, 0x1020, 0x1040, 0x4FF0, 0x9000]  # the last two reach past the end
    seen = [a for _, _, run in bulk(runtime, addresses, 32, "things") for a in run]
    assert seen == [0x1000, 0x1020, 0x1040]
    assert memory.reads[0] == (0x1000, 0x60)
    assert "cannot be read" in next(iter(problems))


def test_record_reads_numbers_slices_and_subs() -> None:
    header = made("slice", 24, array=(0, U64), len=(8, I64), cap=(16, I64))
    outer = made("outer", 32, items=(0, header), state=(24, BOX))
    memory = Memory(0x1000, struct.pack("<QqqII", 0xAA, 3, 4, 7, 0), {"outer": outer})
    runtime = Runtime(memory, Problems())
    record = runtime.record("outer", 0x1000)
    assert record.slice("items") == (0xAA, 3, 4)
    assert record.number("state") == 7
    assert record.sub("items").number("len") == 3
    assert isinstance(record.sub("items"), Record)
    with pytest.raises(ProblemError, match="no debug information for missing"):
        runtime.record("missing", 0x1000)


def test_problems_are_bounded_and_not_repeated() -> None:
    problems = Problems()
    for i in range(1000):
        problems.add(f"line {i}")
        problems.add("line 0")
    lines = list(problems)
    assert len(lines) == Problems.MAX_LINES + 1
    assert "more problems" in lines[-1]
