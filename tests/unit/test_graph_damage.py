"""What damage says of types, before the worker is told of it."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from addrspace_gdb.commands.engine import Source
from addrspace_gdb.goruntime.rtype import Types
from addrspace_gdb.space.graph.shapes import Sizes

ELF = struct.Struct("<16sHHIQQQIHHHHHH")
SEGMENT = struct.Struct("<IIQQQQQQ")


@pytest.mark.parametrize(("size", "slot"), [(0, 0), (24, 8192), (9000, 16384), (1 << 40, 1 << 40)])
def test_without_size_classes_slots_are_pages(size: int, slot: int) -> None:
    sizes = Sizes.__new__(Sizes)
    sizes._classes, sizes._header, sizes._in_span = [], 8, 512
    assert sizes.slot(size, True) == slot


def test_segments_where_no_addresses_are_go_to_no_worker(tmp_path: Path) -> None:
    path, places = tmp_path / "core", (0xC000000000, (1 << 64) - 4096)
    head = ELF.pack(b"\x7fELF\x02\x01\x01".ljust(16, b"\0"), 4, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    segments = b"".join(SEGMENT.pack(1, 6, 4096, place, 0, 4096, 4096, 4096) for place in places)
    path.write_bytes((head + segments).ljust(8192, b"\0"))
    source = Source(None, str(path))
    try:
        assert source.extents == [(places[0], places[0] + 4096, 4096)]
        assert os.pread(source.descriptor, 4, 0) == b"\x7fELF"
    finally:
        source.close()


@pytest.mark.parametrize(
    ("size", "known"), [(8, True), (1 << 40, True), (1 << 60, False), ((1 << 64) - 8, False)]
)
def test_types_larger_than_all_memory_are_none(size: int, known: bool) -> None:
    memory = bytearray(0x1000)
    struct.pack_into("<QQI4BQQii", memory, 0x100, size, 0, 7, 0, 8, 8, 2, 0, 0, 0x200, 0)
    memory[0x200:0x205] = b"\0\3int"
    target = SimpleNamespace(read=lambda address, many: bytes(memory[address - 0x1000 :][:many]))
    runtime: Any = SimpleNamespace(target=target, word=8, order="little")
    modules: Any = [{"types": 0x1000, "etypes": 0x2000}]
    found = Types(runtime, modules).at(0x1100)
    assert (found is not None and found.name == "int" and found.size == size) == known
