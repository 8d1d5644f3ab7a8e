"""Masks of types: those that are there, those that must be made, and types that cannot be."""

from __future__ import annotations

import struct
from typing import Dict, List, Optional

import pytest

from addrspace_gdb.common.problems import Problems, UnreadableError
from addrspace_gdb.goruntime.gctypes import GcType, GcTypes
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.stackmaps import set_bits

ARRAY, INTERFACE, POINTER, SLICE, STRING, STRUCT, UINT64 = 17, 20, 22, 23, 24, 25, 11
ON_DEMAND, PROGRAM = 16, 64


class Memory:
    """A process that has nothing but types."""

    arch, pointer_size, byte_order, pid = "amd64", 8, "little", None

    def __init__(self) -> None:
        self.bytes: Dict[int, int] = {}

    def read(self, address: int, size: int) -> bytes:
        try:
            return bytes(self.bytes[at] for at in range(address, address + size))
        except KeyError:
            raise UnreadableError(address, size) from None

    def put(self, address: int, data: bytes) -> int:
        self.bytes.update(enumerate(data, address))
        return address

    def type(
        self, at: int, size: int, covered: int, kind: int, flag: int = 0, data: int = 0, more: bytes = b""
    ) -> int:
        head = struct.pack("<QQIBBBBQQii", size, covered, 0, flag, 8, 8, kind, 0, data, 0, 0)
        return self.put(at, head + more)


def types(memory: Memory, minor: int = 26) -> GcTypes:
    runtime = Runtime(memory, Problems())  # type: ignore[arg-type]
    return GcTypes(runtime, minor)


def words(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}Q", *numbers)


def entry(memory: Memory, flag: int = 0, data: int = 0, kind: int = STRUCT) -> int:
    """struct { a string; b uint64; c any; d []byte; e [2]*T }: 1 0 0 0 1 1 0 0 1 1."""
    parts = [
        memory.type(0x2000, 16, 8, STRING),
        memory.type(0x2100, 8, 0, UINT64),
        memory.type(0x2200, 16, 16, INTERFACE),
        memory.type(0x2300, 24, 8, SLICE),
        memory.type(0x2400, 16, 16, ARRAY, more=words(memory.type(0x2500, 8, 8, POINTER), 0, 2)),
    ]
    offsets = [0, 16, 24, 40, 64]
    fields = [number for part, offset in zip(parts, offsets) for number in (0, part, offset)]
    memory.put(0x3000, words(*fields))
    return memory.type(0x1000, 80, 80, kind, flag, data, words(0, 0x3000, 5, 5))


MADE = GcType(10, 10, bytes((0b00110001, 0b11)))


def test_a_mask_that_is_there_is_taken() -> None:
    memory = Memory()
    at = entry(memory, data=memory.put(0x4000, b"\x0f\x01"))
    assert types(memory).at(at) == GcType(10, 10, b"\x0f\x01")
    there = entry(memory, ON_DEMAND, memory.put(0x5000, words(0x4000)))
    assert types(memory).at(there) == GcType(10, 10, b"\x0f\x01")


@pytest.mark.parametrize(
    ("minor", "flag", "kind", "data"),
    [
        (26, ON_DEMAND, STRUCT, words(0)),  # not needed yet
        (26, ON_DEMAND, STRUCT, words(0x9000)),  # not in the core
        (26, 0, STRUCT, None),
        (22, 0, STRUCT | PROGRAM, words(0x4000)),
    ],
)
def test_a_mask_is_made_of_the_type(minor: int, flag: int, kind: int, data: Optional[bytes]) -> None:
    memory = Memory()
    at = entry(memory, flag, memory.put(0x5000, data) if data is not None else 0, kind)
    assert types(memory, minor).at(at) == MADE


def test_an_array_has_the_mask_of_its_element() -> None:
    memory = Memory()
    at = memory.type(0x6000, 80 << 20, 80 << 20, ARRAY, ON_DEMAND, 0, words(entry(memory), 0, 1 << 20))
    assert types(memory).at(at) == MADE
    assert types(memory).at(0x2100) == GcType(1, 0, b"")


def huge(memory: Memory) -> List[int]:
    circle = memory.put(0x7100, words(0, 0x7000, 0))
    many = memory.put(0x7400, words(0, 0x2500, 1 << 40))
    return [
        memory.type(0x6000, 1 << 60, 1 << 60, STRUCT),
        memory.type(0x6100, 1 << 40, 1 << 40, STRUCT, 0, 0),
        memory.type(0x6200, 8, 16, POINTER),
        memory.type(0x7000, 8, 8, STRUCT, 0, 0, words(0, circle, 1, 1)),
        memory.type(0x7200, 64, 64, STRUCT, 0, 0, words(0, 0x7100, 1 << 50, 1)),
        memory.type(0x7300, 16, 16, STRUCT, 0, 0, words(0, many, 1, 1)),
        memory.type(0x7500, 32, 32, ARRAY, 0, 0, words(0x7500, 0, 1)),
        0x8000,
    ]


def test_types_that_cannot_be_are_told_and_known_no_more() -> None:
    memory = Memory()
    entry(memory)
    for at in huge(memory):
        found = types(memory)
        assert found.at(at) is None and found.at(at) is None
        assert len(found._runtime.problems) == 1


def test_bits_are_numbered_from_the_lowest() -> None:
    assert (
        set_bits(b"\x81\x02", 16) == (0, 7, 9)
        and set_bits(b"\xff\xff", 3) == (0, 1, 2)
        and not set_bits(b"", 0)
    )
