"""The decoder of instructions against gdb's disassembler, over the code of real programs."""

from __future__ import annotations

import random
import re
import subprocess
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

import pytest
from elftools.elf.elffile import ELFFile
from harness.build import Builder
from harness.debuggers import Gdb, gdbs
from harness.toolchains import Toolchain

from addrspace_gdb.process.x86_access import accesses, code_pointer
from addrspace_gdb.process.x86_decode import MAX_LENGTH, Decoded, decode

_LINE = re.compile(r"\s*(0x[0-9a-f]+)(?: <[^>]*>)?:\s*(.*)")
_REGISTERS = {
    64: ("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", *(f"r{number}" for number in range(8, 16))),
    32: ("eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"),
}
_EVEX = 0x62
_LIBRARIES = (Path("/lib/x86_64-linux-gnu/libc.so.6"), Path("/lib64/libc.so.6"))


class Code(NamedTuple):
    """Of an ELF file."""

    start: int
    data: bytes


@pytest.fixture
def gdb() -> Gdb:
    """One is enough: they all have the same disassembler."""
    if not gdbs():
        pytest.skip("no gdb")
    return gdbs()[0]


def section(path: Path) -> Code:
    with open(path, "rb") as file:
        text = ELFFile(file).get_section_by_name(".text")
        return Code(text["sh_addr"], text.data())


def disassembled(gdb: Gdb, path: Path, start: int, count: int) -> Iterator[Tuple[int, int, str]]:
    """(Address, address of the next one, text), by a gdb that has no process."""
    command = [str(gdb.path), "-nx", "-q", "-batch", "-iex", "set debuginfod enabled off", str(path)]
    command += ["-ex", f"x/{count}i {start:#x}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    found = [match.groups() for match in map(_LINE.match, done.stdout.splitlines()) if match]
    for (at, text), (following, _) in zip(found, found[1:]):
        yield int(at, 16), int(following, 16), text


def same(decoded: Decoded, length: int, text: str, code: bytes, bits: int, registers: Dict[str, int]) -> bool:
    wanted = accesses(text, registers.get, bits)
    found = decoded.accesses
    if code[0] == _EVEX:  # what a distance counts in is not known of all
        pairs = zip(found, wanted)
        found = [one if one.address is not None else one._replace(address=by.address) for one, by in pairs]
    return decoded.length == length and found == wanted and decoded.code_pointer == code_pointer(text)


def compare(
    gdb: Gdb, path: Path, count: int, bits: int = 64, start: Optional[int] = None
) -> Tuple[int, int, int]:
    """How many instructions were seen, and how many of them are not understood, or use memory."""
    code = section(path)
    chance = random.Random(bits)
    registers = {name: chance.getrandbits(bits) for name in _REGISTERS[bits]}
    seen = unknown = memory = 0
    wrong: List[str] = []
    for at, following, text in disassembled(gdb, path, start or code.start, count):
        data = code.data[at - code.start : at - code.start + MAX_LENGTH]
        if len(data) < MAX_LENGTH:
            break
        decoded = decode(data, at, registers.get, bits)
        seen, unknown = seen + 1, unknown + (decoded is None)
        memory += decoded is not None and decoded.accesses != []
        if decoded is not None and not same(decoded, following - at, text, data, bits, registers):
            wrong.append(f"{at:#x} {data.hex(' ')} {text}: {decoded}")
    assert not wrong, "\n".join(wrong[:20])
    return seen, unknown, memory


@pytest.mark.parametrize(("variant", "bits"), [("stripped", 64), ("386", 32)])
def test_the_code_of_go(
    newest_go: Toolchain, build_program: Builder, gdb: Gdb, variant: str, bits: int
) -> None:
    binary = build_program("shapes", newest_go, variant)
    seen, unknown, memory = compare(gdb, binary.path, 40_000, bits)
    assert seen > 39_000 and memory > seen / 5 and unknown == 0


def function_before(path: Path, address: int) -> int:
    """The last function that begins before an address."""
    with open(path, "rb") as file:
        symbols = ELFFile(file).get_section_by_name(".dynsym").iter_symbols()
        functions: List[int] = [
            symbol["st_value"] for symbol in symbols if symbol["st_info"]["type"] == "STT_FUNC"
        ]
    return max(start for start in functions if start < address)


def test_the_code_of_the_c_library(gdb: Gdb) -> None:
    """Its last fifth has the functions of strings, with vectors of every size."""
    path = next((p for p in _LIBRARIES if p.exists()), None)
    if path is None:
        pytest.skip("no glibc for amd64 where distributions have it")
    code = section(path)
    start = function_before(path, code.start + len(code.data) * 4 // 5)
    seen, unknown, memory = compare(gdb, path, 60_000, start=start)
    assert seen > 30_000 and memory > seen / 5 and unknown < seen / 100
