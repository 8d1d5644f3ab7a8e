"""The geometry of the address space, for this machine and for others."""

from __future__ import annotations

from pathlib import Path
from typing import List, Tuple

import pytest
from test_process_support import LocalFiles

from addrspace_gdb.process.geometry import gaps, geometry, null_end
from addrspace_gdb.process.mappings import Mapping, parse_maps

LOCAL = LocalFiles(1)
REMOTE = LocalFiles(1, local=False)


def at(*ranges: Tuple[int, int]) -> List[Mapping]:
    return [Mapping(start, end, "rw-p", None) for start, end in ranges]


def test_amd64_halves() -> None:
    found = geometry("amd64", 8, at((0x400000, 0x500000)), None)
    assert (found.user_end, found.kernel_start, found.levels) == (1 << 47, (1 << 64) - (1 << 47), 4)
    assert found.non_canonical == (1 << 47, (1 << 64) - (1 << 47))
    assert found.mmap_min_addr is None
    assert len(found.notes) == 2
    vsyscall = at((0x400000, 0x500000), (0xFFFFFFFFFF600000, 0xFFFFFFFFFF601000))
    assert geometry("amd64", 8, vsyscall, None).levels == 4


def test_amd64_with_five_levels() -> None:
    found = geometry("amd64", 8, at((1 << 50, (1 << 50) + 4096)), REMOTE)
    assert (found.user_end, found.levels) == (1 << 56, 5)
    assert found.non_canonical == (1 << 56, (1 << 64) - (1 << 56))


def test_this_machine() -> None:
    flags = Path("/proc/cpuinfo").read_text().split()
    found = geometry("amd64", 8, parse_maps(Path("/proc/self/maps").read_bytes()), LOCAL)
    assert found.levels == (5 if "la57" in flags else 4)
    assert found.mmap_min_addr == int(Path("/proc/sys/vm/mmap_min_addr").read_text())


@pytest.mark.parametrize(("top", "bits"), [((1 << 39) - 4096, 39), (0xFFFFF0000000, 48), (1 << 51, 52)])
def test_arm64(top: int, bits: int) -> None:
    found = geometry("arm64", 8, at((top - 4096, top)), REMOTE)
    assert (found.user_end, found.kernel_start) == (1 << bits, (1 << 64) - (1 << bits))


def test_386() -> None:
    small = geometry("386", 4, at((0x8048000, 0x8049000), (0xBFFDF000, 0xC0000000)), REMOTE)
    assert (small.user_end, small.kernel_start, small.non_canonical) == (0xC0000000, 0xC0000000, None)
    large = geometry("386", 4, at((0xFFFDD000, 0xFFFFE000)), REMOTE)
    assert (large.user_end, large.kernel_start) == (1 << 32, None)


def test_unknown_architecture() -> None:
    found = geometry("vax", 8, at((0x1000, 0x2000)), None)
    assert (found.user_end, found.kernel_start, found.levels) == (0x2000, None, None)
    assert any("vax" in note for note in found.notes)
    assert geometry("vax", 8, [], None).user_end == 1 << 63


def test_gaps_and_mappings_fill_the_user_half() -> None:
    mappings = parse_maps(Path("/proc/self/maps").read_bytes())
    found = geometry("amd64", 8, mappings, LOCAL)
    free = gaps(mappings, found)
    inside = [m for m in mappings if m.end <= found.user_end]
    total = null_end(mappings, found) + sum(end - start for start, end in free) + sum(m.size for m in inside)
    assert total == found.user_end
    assert not any(m.start < end and start < m.end for start, end in free for m in inside)


def test_null_area_gives_way_to_mappings() -> None:
    low = at((0x1000, 0x2000))
    found = geometry("amd64", 8, low, None)
    assert null_end(low, found) == 0x1000
    assert null_end(at((0, 0x1000)), found) == 0
    assert gaps(at((0, 0x1000)), found) == [(0x1000, 1 << 47)]
    assert null_end([], found) == 0x10000
    assert null_end([], found._replace(mmap_min_addr=0)) == 0
    assert gaps([], found) == [(0x10000, 1 << 47)]


def test_gaps_of_overlapping_mappings() -> None:
    """A remote stub may list anything."""
    odd = at((0x20000, 0x90000), (0x30000, 0x40000), (0x80000, 0xA0000), (1 << 46, 1 << 48))
    assert gaps(odd, geometry("386", 8, [], REMOTE)._replace(user_end=1 << 47)) == [
        (0x10000, 0x20000),
        (0xA0000, 1 << 46),
    ]
