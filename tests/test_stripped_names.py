"""gdb knows the functions of a stripped program by name once a goroutine was selected."""

from __future__ import annotations

import io
import os
import re
import subprocess
from pathlib import Path
from typing import Dict, Tuple

import pytest
from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from goroutine_frames import FRAME, between, marked
from harness.build import Binary, Builder
from harness.debuggers import Gdb
from harness.gdbrun import Scene, run_gdb
from harness.processes import Processes
from harness.scenes import attach, gcore, start
from harness.toolchains import Toolchain

from addrspace_gdb.process.symbolfile import symbol_file


def bare(full: Binary, folder: Path) -> Binary:
    """The program without symbols, of which the harness knows none either."""
    stripped = folder / full.program
    subprocess.run(["strip", "-o", str(stripped), str(full.path)], check=True)
    return full._replace(path=stripped)


def functions(path: Path) -> Dict[str, Tuple[int, int]]:
    """Address and size of the functions in a symbol table."""
    with open(path, "rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        return {
            s.name: (s["st_value"], s["st_size"])
            for s in table.iter_symbols()
            if s["st_info"]["type"] == "STT_FUNC" and s["st_shndx"] != "SHN_UNDEF"
        }


@pytest.mark.parametrize("variant", ["plain", "pie"])
def test_frames_are_named_as_the_backtrace_names_them(
    gdb_exe: Gdb, go: Toolchain, build_program: Builder, processes: Processes, tmp_path: Path, variant: str
) -> None:
    full = build_program("shapes", go, variant)
    binary = bare(full, tmp_path)
    process = start(processes, binary, tmp_path / "oracle")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    commands = [
        "set print demangle off",
        *marked(switched="goroutine 1", frame="frame", locals="info locals", bt="bt", up="up", down="down"),
        *marked(every="goroutine-apply all -q frame", there="p/x (long)&'main.breakpoint'"),
        *marked(code="x/i &'main.breakpoint'", selected="goroutine 1"),
        "break *&'main.breakpoint'",
    ]
    run = run_gdb(gdb_exe, commands, attach(process, binary), load=True, env={"TMPDIR": str(scratch)})
    out = run.stdout
    frames = [FRAME.fullmatch(line) for line in between(out, "bt").splitlines() if line.startswith("#")]
    names = [frame.group(2) for frame in frames if frame]
    assert names[-3:] == ["main.main", "runtime.main", "runtime.goexit"]
    # The frame is as gdb has it, without file and line; the line that says what was selected has them.
    assert re.search(r"^#1 +0x[0-9a-f]+ in \S+ \(\)$", between(out, "frame"), re.MULTILINE)
    assert re.search(r"^#1 .* at .*\.go:\d+$", between(out, "switched"), re.MULTILINE)
    assert between(out, "locals") == "No symbol table info available."
    shown = [between(out, name) for name in ("frame", "up", "down", "every", "code")]
    assert not any("??" in text for text in shown)
    assert between(out, "every").count("\n#") > 50
    # The address is that of the full program, moved as a whole.
    moved = int(between(out, "there").split("= ")[1], 16) - functions(full.path)["main.breakpoint"][0]
    assert moved % 4096 == 0 and bool(moved) is (variant == "pie")
    assert "<main.breakpoint>:" in between(out, "code")
    assert f"Breakpoint 1 at {moved + functions(full.path)['main.breakpoint'][0]:#x}" in out
    assert os.listdir(scratch) == []  # the file goes when gdb does


def test_in_a_core_too(
    gdb_exe: Gdb, newest_go: Toolchain, build_program: Builder, processes: Processes, tmp_path: Path
) -> None:
    binary = bare(build_program("shapes", newest_go, "pie"), tmp_path)
    process = start(processes, binary, tmp_path / "oracle")
    core = gcore(gdb_exe, attach(process, binary), tmp_path / "core")
    commands = ["set print demangle off", "goroutine 1", *marked(up="up", top="frame 1")]
    out = run_gdb(gdb_exe, commands, core, load=True).stdout
    assert re.search(r"^#1 +0x[0-9a-f]+ in runtime\.gopark \(\)$", between(out, "top"), re.MULTILINE)
    assert "??" not in between(out, "up")


def test_a_stripped_library(
    gdb_exe: Gdb, newest_go: Toolchain, build_program: Builder, processes: Processes, tmp_path: Path
) -> None:
    """The functions of a c-shared library in a program of C, which has its own symbols."""
    built = build_program("cshared", newest_go, "c-shared")
    assert built.library is not None
    library = tmp_path / "library.so"
    subprocess.run(["strip", "-o", str(library), str(built.library)], check=True)
    binary = built._replace(library=library)
    process = start(processes, binary, tmp_path / "oracle")
    commands = ["set print demangle off", *marked(every="goroutine-apply all -q frame")]
    out = run_gdb(gdb_exe, commands, attach(process, binary), load=True).stdout
    frames = [line for line in between(out, "every").splitlines() if line.startswith("#")]
    assert len(frames) > 5 and not any("??" in line for line in frames)
    assert any("runtime.gopark" in line for line in frames)


@pytest.mark.parametrize("arch", ["amd64", "386", "arm", "s390x", "riscv64"])
def test_the_file_is_one_of_symbols(newest_go: Toolchain, build_program: Builder, arch: str) -> None:
    """In either byte order and both widths, by another's reader; sections are the program's."""
    program = build_program("shapes", newest_go, f"stripped@{arch}").path
    with open(program, "rb") as file:
        own = ELFFile(file)
        text = own.get_section_by_name(".text")
        start, size = text["sh_addr"], text["sh_size"]
        named = [("main.main", start, 16), ("main.\\xff", start + 16, size - 16), ("none", start + size, 1)]
        made = ELFFile(io.BytesIO(symbol_file(file, named)))
        sections = {s.name: (s["sh_addr"], s["sh_size"]) for s in own.iter_sections() if s["sh_flags"] & 2}
        assert (made["e_entry"], made["e_machine"]) == (own["e_entry"], own["e_machine"])
    assert made.elfclass == own.elfclass and made.little_endian == own.little_endian
    kept = {s.name: (s["sh_addr"], s["sh_size"]) for s in made.iter_sections() if s["sh_flags"] & 2}
    assert kept == sections
    symbols = list(made.get_section_by_name(".symtab").iter_symbols())[1:]
    assert [(s.name, s["st_value"], s["st_size"]) for s in symbols] == named[:2]
    assert all(made.get_section(s["st_shndx"]).name == ".text" for s in symbols)


@pytest.mark.parametrize("name", [b".noptrdata\0", b".data\0"])
def test_damaged_names_of_sections_are_not_handed_on(
    gdb_exe: Gdb, newest_go: Toolchain, build_program: Builder, tmp_path: Path, name: bytes
) -> None:
    """gdb would warn of each section that our file of names has not, in the bytes that the damage left."""
    program = build_program("shapes", newest_go, "stripped").path
    data = program.read_bytes()
    at = data.rindex(b"\0" + name) + 2
    damaged = tmp_path / "damaged"
    damaged.write_bytes(data[:at] + b"\xff\x01" + data[at + 2 :])
    damaged.chmod(0o755)
    with open(damaged, "rb") as file, pytest.raises(ELFError, match="damaged name"):
        symbol_file(file, [])
    process = [f"run {tmp_path / 'oracle'} >/dev/null", "print $current_goid()"]
    run = run_gdb(gdb_exe, process, Scene("live", damaged, [], ["kill"]), load=True)
    assert "$1 = " in run.stdout and "not found in" not in run.stdout + run.stderr, run.stderr
