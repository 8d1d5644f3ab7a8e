"""maps and smaps, well-formed and hostile; and text from the target made safe."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import pytest
from test_process_support import smaps_by_line

from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import Problems
from addrspace_gdb.process.mappings import (
    Mapping,
    file_path,
    is_anonymous,
    is_deleted,
    parse_maps,
    parse_smaps_totals,
)


def one(line: bytes) -> Mapping:
    problems = Problems()
    found = parse_maps(line, problems)
    assert len(found) == 1
    assert not problems
    return found[0]


def test_fields_of_a_line() -> None:
    line = b"7f0d1e404000-7f0d1e55a000 r-xp 00026000 fe:00 326269                     /usr/lib/libc.so.6\n"
    assert one(line) == Mapping(
        0x7F0D1E404000, 0x7F0D1E55A000, "r-xp", "/usr/lib/libc.so.6", 0x26000, 326269, "fe:00"
    )


@pytest.mark.parametrize(
    ("text", "file", "name"),
    [
        (b"[stack]", None, "[stack]"),
        (b"[anon: Go: heap]", None, "[anon: Go: heap]"),
        (b"/memfd:x (deleted)", "/memfd:x (deleted)", ""),
        (b"/SYSV00000000 (deleted)", "/SYSV00000000 (deleted)", ""),
        (b"/dev/zero (deleted)", "/dev/zero (deleted)", ""),
        (b"/tmp/a b\\012c ", "/tmp/a b\nc ", ""),
        (b"/tmp/\xff\xc2\x85\x0cx", "/tmp/\udcff\x85\x0cx", ""),
        (b"anon_inode:[io_uring]", "anon_inode:[io_uring]", ""),
        (b"", None, ""),
    ],
)
def test_names(text: bytes, file: str | None, name: str) -> None:
    mapping = one(b"1000-2000 rw-p 00000000 00:00 0          " + text + b"\n")
    assert (mapping.file, mapping.name) == (file, name)
    assert is_deleted(mapping) == text.endswith(b" (deleted)")
    if is_deleted(mapping):
        assert file_path(mapping) == (file or "")[: -len(" (deleted)")]


def test_malformed_lines_are_skipped_and_named() -> None:
    good = b"1000-2000 rw-p 00000000 00:00 0 \n"
    hostile = [
        b"2000-1000 rw-p 0 00:00 0\n",
        b"zz-2000 rw-p 0 00:00 0\n",
        b"1000\n",
        b"1000-2000-3000 rw-p 0 00:00 0\n",
        b"3000-1ffffffffffffffffff rw-p 0 00:00 0\n",
        b"3000-4000 rw-pp 0 00:00 0\n",
        b"3000-4000 rw-p 0 00:00 \x1b[2J\n",
        b"\x00\x01\x02\n",
    ]
    for line in hostile:
        problems = Problems()
        assert [m.start for m in parse_maps(line + good, problems)] == [0x1000]
        assert len(problems) == 1
        assert "\x1b" not in next(iter(problems))
    assert parse_maps(b"") == []
    assert parse_maps(os.urandom(5000), Problems()) == []


def test_own_mappings_against_map_files(tmp_path: Path) -> None:
    """The kernel's own links name the ranges of all file mappings."""
    odd = tmp_path / "new\nline \N{SNOWMAN}"
    odd.write_bytes(b"x" * 5000)
    deleted = tmp_path / "gone"
    deleted.write_bytes(b"y" * 5000)
    with odd.open("rb") as a, deleted.open("rb") as b:
        first = mmap.mmap(a.fileno(), 0, prot=mmap.PROT_READ)
        second = mmap.mmap(b.fileno(), 0, prot=mmap.PROT_READ)
    deleted.unlink()
    mappings = parse_maps(Path("/proc/self/maps").read_bytes())
    links = {f"{m.start:x}-{m.end:x}": m for m in mappings if m.file}
    assert set(os.listdir("/proc/self/map_files")) == set(links)
    files = [file_path(m) for m in mappings]
    assert str(odd) in files
    assert str(deleted) in files
    assert any(m.name == "[stack]" for m in mappings)
    assert any(is_anonymous(m) for m in mappings)
    first.close()
    second.close()


def test_smaps_totals_against_a_plain_reading() -> None:
    data = Path("/proc/self/smaps").read_bytes()
    oracle = {e["start"]: e["end"] for e in smaps_by_line(os.getpid())}
    totals = parse_smaps_totals(data)
    assert list(totals) == sorted(totals)
    assert set(totals) == set(oracle)


def test_smaps_totals_and_hostile_entries() -> None:
    entry = b"%x-%x rw-p 0 00:00 0  %s\nSize: 4 kB\nRss:    %s kB\nPss: 0 kB\nSwap: 8 kB\nSwapPss: 1 kB\n"
    good = entry % (0x1000, 0x2000, b"/x\\012Rss:", b"4")
    problems = Problems()
    assert parse_smaps_totals(good + entry % (0x3000, 0x4000, b"", b"-1") + good, problems) == {
        0x1000: (4096, 8192)
    }
    assert len(problems) == 1
    without_swap = good.replace(b"Swap:", b"Nope:")
    assert parse_smaps_totals(without_swap + good.replace(b"1000-", b"5000-"), problems) == {
        0x5000: (4096, 8192)
    }
    assert parse_smaps_totals(good[:-60]) == {}
    assert parse_smaps_totals(os.urandom(2000) + b"\nSize:" + os.urandom(2000), Problems()) == {}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/usr/bin/päth \N{SNOWMAN}", "/usr/bin/päth \N{SNOWMAN}"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("a\nb\tc\rd\0", "a\\nb\\tc\\rd\\x00"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\udcff\udc80", "\\xff\\x80"),
        ("\ud800", "\\ud800"),
        ("\u2028\x9b", "\\u2028\\x9b"),
        ("\U000e0001", "\\U000e0001"),
        ("", ""),
    ],
)
def test_printable(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(shown) == shown
    shown.encode("utf-8")
