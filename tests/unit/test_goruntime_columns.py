"""Columns of many structs against decoding each one by itself."""

from __future__ import annotations

import ctypes
import os
import random
import struct
import sys
from array import array
from typing import Any, Dict, Tuple

import pytest

from addrspace_gdb.common.problems import Problems, UnreadableError
from addrspace_gdb.goruntime.columns import places, read_columns
from addrspace_gdb.goruntime.proc import DEAD, GSCAN, WAITING, Goroutines
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.shell.hints import SHELL
from addrspace_gdb.target.layout import Type
from addrspace_gdb.target.protocol import Facts

_KINDS = {"B": 1, "H": 2, "I": 4, "Q": 8, "q": 8, "i": 4}
_FIELDS = {"byte": (3, "B"), "short": (6, "H"), "word": (8, "I"), "signed": (12, "i"), "time": (16, "q")}


class Memory:
    """A target that is nothing but bytes."""

    pointer_size = 8
    facts, hints = Facts(), SHELL

    def __init__(self, byte_order: str, size: int, hole: Tuple[int, int]) -> None:
        self.byte_order = byte_order
        self.data = random.Random(7).randbytes(size)
        self.hole = hole

    def proc_files(self) -> Any:
        """None."""

    def read(self, address: int, size: int) -> bytes:
        """Part of it, unless it touches the hole."""
        if address + size > len(self.data) or (address < self.hole[1] and address + size > self.hole[0]):
            raise UnreadableError(address, size)
        return self.data[address : address + size]


def _layout(size: int, extra: int) -> Type:
    def load() -> Dict[str, Tuple[int, Type]]:
        fields = {
            name: (at, Type(name, _KINDS[code], "int" if code.islower() else "uint"))
            for name, (at, code) in _FIELDS.items()
        }
        fields["wide"] = (extra, Type("wide", 8, "uint"))
        return fields

    return Type("thing", size, "struct", load_fields=load)


@pytest.mark.parametrize("byte_order", ["little", "big"])
@pytest.mark.parametrize(("size", "extra"), [(32, 24), (36, 28), (44, 36)])
def test_columns_equal_structs_one_by_one(byte_order: str, size: int, extra: int) -> None:
    chance = random.Random(size)
    addresses, at = [], 8
    while at < 9_000_000:  # more than is held before it becomes columns
        addresses.append(at)
        at += chance.choice([48, 48, 48, 48, 48, 56, 64, 4800, 96])
    memory = Memory(byte_order, 9_100_000, (100_000, 106_000))
    problems = Problems()
    runtime = Runtime(memory, problems)  # type: ignore[arg-type]
    names = {name: name for name in [*_FIELDS, "wide"]}
    found = read_columns(runtime, addresses, _layout(size, extra), names, "things")
    kept = [a for a in addresses if a + size <= 100_000 or a >= 106_000]
    assert found["address"].tolist() == kept
    assert len(kept) < len(addresses)
    assert any("cannot be read" in text for text in problems)
    order = "<" if byte_order == "little" else ">"
    for name, (offset, code) in [*_FIELDS.items(), ("wide", (extra, "Q"))]:
        unpack = struct.Struct(order + code).unpack_from
        assert found[name].tolist() == [unpack(memory.data, a + offset)[0] for a in kept], name


class _Here:
    """/proc of this process, as far as it is asked."""

    local = True

    def path(self, name: str) -> str:
        """A file of it."""
        return f"/proc/self/{name}"


class OwnMemory(Memory):
    """The same bytes as a part of this process; what is asked for one by one is counted."""

    pid = os.getpid()

    def __init__(self, size: int) -> None:
        super().__init__(sys.byteorder, size, (0, 0))
        self.held = ctypes.create_string_buffer(self.data, size)
        self.start = ctypes.addressof(self.held)
        self.asked = 0

    def proc_files(self) -> Any:
        """Those of this process."""
        return _Here()

    def read(self, address: int, size: int) -> bytes:
        """As of `Memory`."""
        self.asked += 1
        return super().read(address - self.start, size)


@pytest.mark.parametrize("beyond", [0, 2])
def test_columns_of_a_process_are_read_at_once(beyond: int) -> None:
    chance = random.Random(beyond)
    memory = OwnMemory(3_000_000)
    memory.start += -memory.start % 8
    offsets, at = [], 0
    while at < 2_900_000:
        offsets.append(at)
        at += chance.choice([40] * 90 + [64, 4800])
    addresses = [memory.start + offset for offset in offsets] + [1 << 62, (1 << 62) + 64][:beyond]
    problems = Problems()
    runtime = Runtime(memory, problems)  # type: ignore[arg-type]
    skipped = memory.start - ctypes.addressof(memory.held)
    found = read_columns(runtime, addresses, _layout(36, 28), {"wide": "short", "time": "time"}, "things")
    assert found["address"].tolist() == addresses[: len(offsets)]
    for name, offset, code in (("wide", 6, "H"), ("time", 16, "q")):
        unpack = struct.Struct(code).unpack_from
        assert found[name].tolist() == [unpack(memory.data, skipped + o + offset)[0] for o in offsets]
    assert bool(problems) == bool(beyond) and (memory.asked > 0) == bool(beyond)


def test_no_structs_no_rows() -> None:
    runtime = Runtime(Memory("little", 64, (0, 0)), Problems())  # type: ignore[arg-type]
    found = read_columns(runtime, [], _layout(32, 24), {"byte": "byte"}, "things")
    assert {name: len(column) for name, column in found.items()} == {"byte": 0, "address": 0}


def test_places_are_those_of_whole_items() -> None:
    column = array("Q", [1, 1 << 8, 1 << 56, 0, 1])
    assert [list(places(column, value)) for value in (1, 1 << 8, 0, 2, 1 << 64)] == [[0, 4], [1], [3], [], []]


def test_a_living_goroutine_goes_before_dead_ones_of_its_number() -> None:
    goroutines = Goroutines(
        {
            "goid": array("Q", [7, 7, 7, 8, 8, 0]),
            "status": array("I", [DEAD, WAITING | GSCAN, WAITING, DEAD, DEAD, WAITING]),
        }
    )
    assert [goroutines.of_goid(goid) for goid in (7, 8, 9, 0, 1 << 70)] == [2, 4, None, None, None]
