"""ELF headers against readelf, load bias against the running process, and damaged files."""

from __future__ import annotations

import os
import random
import re
import shutil
import struct
import subprocess
from pathlib import Path
from typing import List

import pytest
from test_process_support import LocalFiles, needs_cc

from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.process import elf
from addrspace_gdb.process.elf import build_ids, read_image
from addrspace_gdb.process.elf_structs import MAGIC, structs_of
from addrspace_gdb.process.loaded import image_at, load_bias, open_path
from addrspace_gdb.process.mappings import Mapping, parse_maps

needs_readelf = pytest.mark.skipif(shutil.which("readelf") is None, reason="no readelf on PATH")


def readelf(*arguments: str) -> str:
    command = ["readelf", "--wide", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def own_mappings() -> List[Mapping]:
    return parse_maps(Path("/proc/self/maps").read_bytes())


@needs_cc
@needs_readelf
@pytest.mark.parametrize(
    ("flags", "static", "kind"),
    [
        (["-g"], False, "DYN"),
        (["-no-pie", "-s"], False, "EXEC"),
        (["-static"], True, "EXEC"),
        (["-static-pie"], True, "DYN"),
        (["-shared", "-fPIC"], False, "DYN"),
    ],
)
def test_headers_are_those_of_readelf(tmp_path: Path, flags: List[str], static: bool, kind: str) -> None:
    source, program = tmp_path / "p.c", str(tmp_path / "p")
    source.write_text("int zeros[5000]; int main(void) { return zeros[3]; }\n")
    subprocess.run(["cc", *flags, "-Wl,--build-id", "-o", program, str(source)], check=True, timeout=60)
    image = read_image(program)
    assert (image.type, image.static, image.pointer_size, image.byte_order) == (kind, static, 8, "little")
    loads = re.findall(
        r"^  LOAD +0x(\w+) 0x(\w+) 0x\w+ 0x(\w+) 0x(\w+) ", readelf("-l", program), re.MULTILINE
    )
    assert [(s.offset, s.vaddr, s.filesz, s.memsz) for s in image.segments] == [
        tuple(int(x, 16) for x in row) for row in loads
    ]
    rows = re.findall(
        r"^ +\[ *\d+\] (\S+) +(\w+) +(\w{16}) (\w+) (\w+) \w\w +([A-Z]+) ",
        readelf("-S", program),
        re.MULTILINE,
    )
    allocated = [
        (name, int(address, 16), int(offset, 16), int(size, 16), kind != "NOBITS")
        for name, kind, address, offset, size, flag in rows
        if "A" in flag and not ("T" in flag and kind == "NOBITS")
    ]
    assert [(s.name, s.address, s.offset, s.size, s.in_file) for s in image.sections] == allocated
    build_id = re.search(r"Build ID: (\w+)", readelf("-n", program))
    assert build_id is not None
    assert image.build_id == build_id.group(1)
    assert image.has_dwarf == ("-g" in flags)
    assert image.has_symtab == ("-s" not in flags)
    interp = re.search(r"interpreter: (\S+)\]", readelf("-l", program))
    assert image.interp == (interp.group(1) if interp else None)
    assert hex(image.entry) in readelf("-h", program)


def test_load_bias_of_every_library_of_this_process() -> None:
    """The dynamic linker's own entry point and each image's text must land in executable mappings."""
    mappings = own_mappings()
    names = {m.file for m in mappings if m.file and "x" in m.permissions}
    checked = 0
    for name in sorted(names):
        loaded = image_at(name, mappings, LocalFiles(os.getpid()))
        assert loaded is not None
        for section in loaded.image.sections:
            if section.name == ".text":
                holder = next(m for m in mappings if m.start <= section.address + loaded.bias < m.end)
                assert (holder.file, "x" in holder.permissions) == (name, True)
                at = section.address + loaded.bias - holder.start + holder.offset
                assert at == section.offset
                checked += 1
        assert min(m.start for m in mappings if m.file == name) == loaded.start
    assert checked >= 2


def test_load_bias_ignores_a_mapping_for_reading() -> None:
    """A debugger or dlopen's caller may have mapped the whole file as data, too."""
    mappings = own_mappings()
    libc = next(m.file for m in mappings if m.file and re.search(r"/libc[.-].*so", m.file))
    own = [m for m in mappings if m.file == libc]
    image = read_image(libc)
    bias = load_bias(image, own)
    data = Mapping(0x10000000, 0x10000000 + own[-1].end - own[0].start, "r--p", libc)
    assert bias == load_bias(image, [data, *own]) == own[0].start
    assert load_bias(image, []) is None
    assert image_at("/nowhere", mappings) is None


def test_a_deleted_executable_is_still_opened(tmp_path: Path) -> None:
    program = tmp_path / "sleeper"
    shutil.copy(shutil.which("sleep") or "", program)
    with subprocess.Popen([str(program), "60"]) as process:
        try:
            while str(program) not in Path(f"/proc/{process.pid}/maps").read_text():
                assert process.poll() is None
            expected = read_image(str(program))
            inode = program.stat().st_ino
            program.unlink()
            program.write_text("another program")
            proc = LocalFiles(process.pid)
            mappings = parse_maps(proc.read("maps"))
            mapping = next(m for m in mappings if m.file == f"{program} (deleted)")
            assert os.stat(open_path(proc, mapping)).st_ino == inode
            loaded = image_at(mapping.file or "", mappings, proc)
            assert loaded is not None
            assert loaded.image.build_id == expected.build_id
        finally:
            process.kill()


def test_open_path_without_a_local_process() -> None:
    mapping = Mapping(0x1000, 0x2000, "r--p", "/some/file")
    assert open_path(None, mapping) == "/some/file"
    assert open_path(LocalFiles(1, local=False), mapping) == "/some/file"
    with pytest.raises(ProblemError, match="no file"):
        open_path(None, mapping._replace(file=None))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"#!/bin/sh\n", "not an ELF file"),
        (b"\x7fELF", "damaged ELF header"),
        (b"\x7fELF\x02\x01" + bytes(10), "truncated ELF header"),
        (b"\x7fELF\x09\x01" + bytes(100), "damaged ELF header"),
    ],
)
def test_what_is_not_elf(tmp_path: Path, data: bytes, message: str) -> None:
    file = tmp_path / "odd\x1b[31m"
    file.write_bytes(data)
    with pytest.raises(ProblemError, match=message) as caught:
        read_image(str(file))
    assert str(caught.value).isprintable()


def test_what_is_not_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo", tmp_path / "none", "/dev/zero", "/nul\0byte"):
        with pytest.raises(ProblemError):
            read_image(str(path))


def test_damaged_headers_end_in_one_line(tmp_path: Path) -> None:
    """Random bytes anywhere in the headers, and impossible counts: an image or one line, never more."""
    good = Path("/proc/self/exe").read_bytes()[: 1 << 16]
    file = tmp_path / "p"
    chance = random.Random(7)
    lines: List[str] = []
    for _ in range(300):
        data = bytearray(good[: chance.choice((len(good), 70, 500, 5000))])
        for _ in range(chance.randrange(1, 30)):
            data[chance.randrange(4, min(len(data), 1200))] = chance.randrange(256)
        file.write_bytes(data)
        try:
            image = read_image(str(file))
        except ProblemError as error:
            lines.append(str(error))
            continue
        load_bias(image, own_mappings(), os.readlink("/proc/self/exe"))
    assert lines
    assert all(line.isprintable() for line in lines)
    for at, form, value in (
        (32, "<Q", 1 << 62),
        (40, "<Q", (1 << 64) - 1),
        (56, "<H", 0xFFFF),
        (60, "<H", 0xFFFF),
    ):
        data = bytearray(good)
        struct.pack_into(form, data, at, value)
        file.write_bytes(data)
        read_image(str(file))


def test_a_note_of_more_bytes_than_there_can_be_costs_itself() -> None:
    """A segment's size is whatever a damaged file says."""
    structs = structs_of(8, "little")
    ident = MAGIC + b"\x02\x01\x01" + bytes(9)
    header = structs.file.pack(2, 62, 1, 0, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    for size in (1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1):
        segment = structs.program.pack(4, 4, 120, 0, 0, size, size, 4)
        assert build_ids(ident + header + segment) == []
        note = struct.pack("<3I4s4s", 4, 4, 3, b"GNU\0", b"abcd")
        assert build_ids(ident + header + segment + note) == [b"abcd"]


def test_the_usual_names_are_those_of_pyelftools() -> None:
    assert len(elf._GO_MACHINES) == 9 and len(elf._TYPES) == 3
    for number, name in elf._GO_MACHINES.items():
        assert elf._name_of("ENUM_E_MACHINE", number) == name
    for number, name in elf._TYPES.items():
        assert elf._name_of("ENUM_E_TYPE", number) == f"ET_{name}"
