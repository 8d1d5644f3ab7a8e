"""Cores of the kernel and of gdb, against the process they were taken from and readelf; and damaged ones."""

from __future__ import annotations

import os
import random
import re
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.segments import NoteSegment
from test_process_support import Child, child, page_size

from addrspace_gdb.common.problems import ProblemError, Problems
from addrspace_gdb.process.corefile import Core, read_core
from addrspace_gdb.process.corenotes import read_notes
from addrspace_gdb.process.elf_notes import iter_notes
from addrspace_gdb.process.mappings import Mapping, parse_maps

CRASH = r"""
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
static char zeros[100000];
static pthread_barrier_t ready;
static void *work(void *arg) {
    printf("thread %ld %lx %lx\n", syscall(SYS_gettid), (long)pthread_self(), (long)&arg);
    pthread_barrier_wait(&ready);
    pause();
    return arg;
}
int main(void) {
    pthread_t t;
    char go;
    pthread_barrier_init(&ready, 0, 3);
    memset(malloc(50000), 7, 50000);
    memset(zeros, 1, sizeof zeros);
    mmap(0, 1 << 22, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), 3, 5000);
    pthread_create(&t, 0, work, 0);
    pthread_create(&t, 0, work, 0);
    pthread_barrier_wait(&ready);
    printf("thread %ld %lx %lx\nready\n", syscall(SYS_gettid), (long)pthread_self(), (long)&go);
    fflush(stdout);
    if (read(0, &go, 1) == 1) *(volatile char *)0x123456789 = 1;
    return 0;
}
"""


class Dumped(NamedTuple):
    """A core, and the maps and facts of its process just before."""

    path: Path
    core: Core
    maps: List[Mapping]
    threads: Dict[int, Tuple[int, int]]  # tid to (thread pointer, an address on its stack)
    pid: int
    by_kernel: bool


def dumped(path: Path, process: Child, maps: List[Mapping], by_kernel: bool) -> Dumped:
    threads = {int(tid): (int(tls, 16), int(sp, 16)) for tid, tls, sp in process.fact("thread")}
    return Dumped(path, read_core(str(path)), maps, threads, process.pid, by_kernel)


def by_kernel(process: Child) -> Dumped:
    pattern = Path("/proc/sys/kernel/core_pattern").read_text()
    if pattern.startswith(("|", "/")):
        pytest.skip("the kernel's cores go elsewhere")
    maps = parse_maps(process.proc().read("maps"))
    process.process.communicate("x", timeout=90)
    cores = [path for path in process.folder.iterdir() if path.name.startswith(pattern.split("%")[0].strip())]
    if not cores:
        pytest.skip("the kernel wrote no core")
    return dumped(cores[0], process, maps, True)


def by_gdb(process: Child) -> Dumped:
    if shutil.which("gdb") is None:
        pytest.skip("no gdb on PATH")
    path = process.folder / "gcore"
    command = ["gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off", "-p", str(process.pid)]
    command += ["-ex", f"generate-core-file {path}"]
    maps = parse_maps(process.proc().read("maps"))
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if not path.exists():
        pytest.skip(f"gdb wrote no core: {result.stderr[-200:]}")
    return dumped(path, process, maps, False)


@pytest.fixture(scope="module", params=["kernel", "gdb"])
def dump(request: pytest.FixtureRequest) -> Iterator[Dumped]:
    for process in child(CRASH, core=True):
        yield by_kernel(process) if request.param == "kernel" else by_gdb(process)


def readelf(*arguments: str) -> str:
    if shutil.which("readelf") is None:
        pytest.skip("no readelf on PATH")
    return subprocess.run(
        ["readelf", "--wide", *arguments], check=True, capture_output=True, text=True, timeout=60
    ).stdout


def test_mappings_are_those_of_the_process(dump: Dumped) -> None:
    """All of them in a kernel core; all but [vvar] in gdb's."""
    ours = {(m.start, m.end): m for m in dump.core.mappings}
    theirs = {(m.start, m.end): m for m in dump.maps}
    assert set(ours) <= set(theirs)
    for missing in set(theirs) - set(ours):
        assert not dump.by_kernel
        assert theirs[missing].name.startswith("[v")
    for span, mapping in ours.items():
        real = theirs[span]
        assert mapping.permissions[3] == "?"
        for ours_is, real_is in zip(mapping.permissions[:3], real.permissions):
            assert ours_is in (real_is, "?") or mapping.name == "[vsyscall]"
        assert dump.by_kernel is False or "?" not in mapping.permissions[:3]
        if real.file and not real.file.startswith("/dev/zero"):
            assert (mapping.file, mapping.offset) == (real.file, real.offset)


def test_names_are_the_kernels(dump: Dumped) -> None:
    theirs = {m.start: m.name.replace("_vclock", "") for m in dump.maps}
    for mapping in dump.core.mappings:
        assert mapping.name == theirs[mapping.start], mapping
    assert {"[stack]", "[heap]", "[vdso]"} <= {m.name for m in dump.core.mappings}


def test_dumped_bytes_are_those_of_readelf(dump: Dumped) -> None:
    rows = re.findall(
        r"^  LOAD +0x\w+ 0x(\w+) 0x\w+ 0x(\w+) 0x(\w+) ", readelf("-l", str(dump.path)), re.MULTILINE
    )
    for start, filesz, memsz in ((int(a, 16), int(f, 16), int(m, 16)) for a, f, m in rows):
        inside = [m for m in dump.core.mappings if start <= m.start < start + memsz]
        assert sum(m.dumped for m in inside) == filesz
        assert sum(m.size for m in inside) == memsz
    total = sum(int(f, 16) for _a, f, _m in rows)
    assert sum(m.dumped for m in dump.core.mappings) == total
    assert not dump.core.truncated


def test_files_are_those_of_another_reader(dump: Dumped) -> None:
    with dump.path.open("rb") as stream:
        parts = [s for s in ELFFile(stream).iter_segments() if isinstance(s, NoteSegment)]
        notes = [note for part in parts for note in part.iter_notes()]
    files = next(n["n_desc"] for n in notes if n["n_type"] == "NT_FILE")
    assert files["num_map_entries"] > 5
    for entry, path in zip(files["Elf_Nt_File_Entry"], files["filename"]):
        inside = [m for m in dump.core.mappings if entry["vm_start"] <= m.start < entry["vm_end"]]
        assert {m.file for m in inside} == {os.fsdecode(path)}
        assert sum(m.size for m in inside) == entry["vm_end"] - entry["vm_start"]
        assert inside[0].offset == entry["page_offset"] * files["page_size"]


def test_threads(dump: Dumped) -> None:
    found = {t.tid: t for t in dump.core.threads}
    assert set(found) == set(dump.threads)
    maps = dump.maps
    for tid, (tls, near) in dump.threads.items():
        thread = found[tid]
        assert thread.fs_base == tls
        stack = next(m for m in maps if m.start <= near < m.end)
        assert thread.sp is not None
        assert stack.start <= thread.sp <= near
        text = next(m for m in maps if m.start <= (thread.pc or 0) < m.end)
        assert "x" in text.permissions
    assert dump.core.threads[0].tid == dump.pid


def test_process_and_signal(dump: Dumped) -> None:
    core = dump.core
    assert (core.pid, core.page_size, core.machine) == (dump.pid, page_size(), "EM_X86_64")
    assert core.executable == str(dump.path.parent / "program")
    assert str(dump.path.parent / "program") in (core.command or "")
    if dump.by_kernel:
        assert core.signal is not None
        assert (core.signal.number, core.signal.address) == (11, 0x123456789)
        assert core.threads[0].signal == 11


def test_a_truncated_core_says_how_much_is_missing(dump: Dumped, tmp_path: Path) -> None:
    size = dump.path.stat().st_size
    rows = re.findall(r"^  LOAD +0x(\w+) 0x\w+ 0x\w+ 0x(\w+) ", readelf("-l", str(dump.path)), re.MULTILINE)
    loads = [(int(offset, 16), int(filesz, 16)) for offset, filesz in rows]
    short = tmp_path / "short"
    for keep in (size - 5000, size // 2) if dump.by_kernel else ():  # gdb writes the notes last
        with dump.path.open("rb") as source:
            short.write_bytes(source.read(keep))
        core = read_core(str(short))
        held = sum(max(0, min(filesz, keep - offset)) for offset, filesz in loads)
        assert core.truncated
        assert core.missing == sum(filesz for _offset, filesz in loads) - held
        assert sum(m.dumped for m in core.mappings) == held
        assert [(m.start, m.end) for m in core.mappings] == [(m.start, m.end) for m in dump.core.mappings]
        assert any(str(core.missing) in note for note in core.notes)
    for keep in (0, 3, 63, 64, 200, 1000, *(() if dump.by_kernel else (size // 2,))):
        with dump.path.open("rb") as source:
            short.write_bytes(source.read(keep))
        with pytest.raises(ProblemError) as caught:
            read_core(str(short))
        assert str(caught.value).isprintable()


def test_damaged_cores_end_in_one_line(dump: Dumped, tmp_path: Path) -> None:
    """Random bytes in headers and notes: a core or one line."""
    with dump.path.open("rb") as source:
        head = source.read(200_000)
    chance = random.Random(5)
    damaged = tmp_path / "damaged"
    read = 0
    for _ in range(100):
        data = bytearray(head)
        for _ in range(chance.randrange(1, 40)):
            data[chance.randrange(4, 12_000)] = chance.choice((0, 0xFF, chance.randrange(256)))
        damaged.write_bytes(data)
        core: Optional[Core] = None
        try:
            core = read_core(str(damaged))
        except ProblemError as error:
            line = str(error)
        if core is None:
            assert line.isprintable()
            continue
        read += 1
        assert all(a.end <= b.start for a, b in zip(core.mappings, core.mappings[1:]))
        assert all(0 <= m.dumped <= m.size for m in core.mappings)
        assert all(note.isprintable() for note in core.notes)
    assert read or not dump.by_kernel


def test_what_is_not_a_core(tmp_path: Path) -> None:
    noise, empty = tmp_path / "noise", tmp_path / "empty"
    noise.write_bytes(os.urandom(100_000))
    empty.touch()
    for path, message in (
        (noise, "not an ELF file"),
        (empty, "is empty"),
        (Path(os.path.realpath("/proc/self/exe")), "not a core"),
        (tmp_path / "absent", "No such file"),
        (tmp_path, "not a regular file"),
    ):
        with pytest.raises(ProblemError, match=message):
            read_core(str(path))


def note(owner: bytes, kind: int, text: bytes) -> bytes:
    padded = text + bytes(-len(text) % 4)
    return struct.pack("<3I", len(owner) + 1, len(text), kind) + (owner + b"\0").ljust(8, b"\0") + padded


def test_notes_of_a_32_bit_process() -> None:
    """elf_prstatus and user_desc of i386, as Documentation and elfcore.h lay them out."""
    status = bytearray(144)
    struct.pack_into("<h", status, 12, 6)
    struct.pack_into("<i", status, 24, 77)
    struct.pack_into("<I", status, 72 + 10 * 4, 0x63)  # %gs: entry 12, GDT, ring 3
    struct.pack_into("<I", status, 72 + 12 * 4, 0x8048123)
    struct.pack_into("<I", status, 72 + 15 * 4, 0xBFFF0000)
    tls = struct.pack("<4I", 11, 1, 0, 0) + struct.pack("<4I", 12, 0xF7D00940, 0, 0)
    files = struct.pack("<2I", 1, 4096) + struct.pack("<3I", 0x8048000, 0x8049000, 2) + b"/bin/x\0"
    data = note(b"CORE", 1, bytes(status)) + note(b"LINUX", 0x200, tls) + note(b"CORE", 0x46494C45, files)
    found = read_notes([data], "EM_386", 4, "little", Problems())
    assert [thread[:5] for thread in found.threads] == [(77, 6, 0x8048123, 0xBFFF0000, 0xF7D00940)]
    assert found.threads[0].general == bytes(status[72:])
    assert found.files == [(0x8048000, 0x8049000, 8192, "/bin/x")]
    assert found.page_size == 4096


def test_gdb_writes_paths_as_the_kernels_maps_have_them() -> None:
    path = b"/a\\012b\0"
    for unit, expected in (
        (1, "/a\nb"),
        (4096, "/a\\012b"),
    ):  # gdb's gcore counts in bytes, the kernel in pages
        files = struct.pack("<2Q", 1, unit) + struct.pack("<3Q", 0x400000, 0x401000, 0) + path
        found = read_notes([note(b"CORE", 0x46494C45, files)], "EM_X86_64", 8, "little", Problems())
        assert [one.path for one in found.files] == [expected]


@pytest.mark.parametrize("count", [1 << 60, (1 << 64) - 1, 3])
def test_impossible_count_of_mapped_files(count: int) -> None:
    text = struct.pack("<2Q", count, 4096) + struct.pack("<3Q", 0x1000, 0x2000, 0) + b"/x\0"
    problems = Problems()
    found = read_notes([note(b"CORE", 0x46494C45, text)], "EM_X86_64", 8, "little", problems)
    assert found.files == []
    assert [str(count) in line for line in problems] == [True]


def test_short_notes_are_reported() -> None:
    kinds = (1, 3, 0x53494749, 0x46494C45)
    data = b"".join(note(b"CORE", kind, b"abc") for kind in kinds)
    problems = Problems()
    found = read_notes([data + b"\xff" * 40], "EM_X86_64", 8, "little", problems)
    assert (found.threads, found.files, found.signal) == ([], [], None)
    assert len(problems) == len(kinds)


def test_a_segment_of_nothing_is_no_million_of_empty_notes() -> None:
    nothing = bytes(64 << 20)  # memory whose program header says that it is notes
    thread = note(b"CORE", 1, bytes(336))
    assert list(iter_notes(thread + nothing, "little"))[1:] == []
    found = read_notes([thread + nothing, nothing, thread], "EM_X86_64", 8, "little", Problems())
    assert len(found.threads) == 2
