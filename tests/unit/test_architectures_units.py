"""What differs between architectures, without any of them: names, address spaces, instructions, emulation."""

from __future__ import annotations

from typing import List, Optional, Tuple

import pytest

from addrspace_gdb.common.problems import Problems
from addrspace_gdb.debugger.gdb.registers import REGISTERS, go_arch, pointer_size
from addrspace_gdb.goruntime.ports import PORTS
from addrspace_gdb.goruntime.stripped.code_references import DECODERS, operands
from addrspace_gdb.process.geometry import gaps, geometry, null_end
from addrspace_gdb.process.mappings import Mapping
from addrspace_gdb.process.residency import read_residency


@pytest.mark.parametrize(
    ("name", "order", "width", "arch"),
    [
        ("i386:x86-64:intel", "little", 8, "amd64"),
        ("i386", "little", 4, "386"),
        ("i386:x64-32", "little", 4, "i386:x64-32"),
        ("aarch64", "little", 8, "arm64"),
        ("armv7", "little", 4, "arm"),
        ("riscv:rv64", "little", 8, "riscv64"),
        ("s390:64-bit", "big", 8, "s390x"),
        ("powerpc:common64", "little", 8, "ppc64le"),
        ("powerpc:common64", "big", 8, "ppc64"),
        ("mips:isa64r2", "little", 8, "mips64le"),
        ("mips:isa32", "big", 4, "mips"),
        ("Loongarch64", "little", 8, "loong64"),
        ("sparc:v9", "big", 8, "sparc:v9"),
    ],
)
def test_go_has_its_own_names(name: str, order: str, width: int, arch: str) -> None:
    assert go_arch(name, order, lambda: width) == arch
    assert pointer_size(arch) in (width, None)


def test_every_architecture_is_in_every_table() -> None:
    assert set(REGISTERS) == set(PORTS)
    assert set(DECODERS) == set(PORTS) - {"mips", "mipsle"}
    assert all((REGISTERS[arch].link is not None) == port.link for arch, port in PORTS.items())


@pytest.mark.parametrize("arch", sorted(set(PORTS) - {"mips", "mipsle"}))
def test_every_address_is_somewhere(arch: str) -> None:
    width = pointer_size(arch) or 0
    mappings = [Mapping(0x10000, 0x20000, "r-xp", "/x"), Mapping(0x40000000, 0x40800000, "rw-p", None)]
    shape = geometry(arch, width, mappings, None)
    parts = [(0, null_end(mappings, shape)), *((m.start, m.end) for m in mappings), *gaps(mappings, shape)]
    parts += [shape.non_canonical] if shape.non_canonical else []
    parts += [(shape.kernel_start, 1 << 8 * width)] if shape.kernel_start is not None else []
    parts = sorted(set(parts))
    assert [one for one in parts if one[0] < one[1]] == _joined(parts, 1 << 8 * width)


def _joined(parts: List[Tuple[int, int]], end: int) -> List[Tuple[int, int]]:
    found, at = [], 0
    for start, stop in parts:
        if start < stop:
            assert start == at, (hex(start), hex(at))
            found.append((start, stop))
            at = stop
    assert at == end
    return found


@pytest.mark.parametrize(
    ("arch", "code", "wanted"),
    [
        # a short instruction; auipc s1,0x3e5; lwu s1,-632(s1)
        ("riscv64", "", None),
        # larl %r1,. + 2 * 0x225baa
        ("s390x", "c01000225baa", [0x41000 + 2 * 0x225BAA]),
        # adrp x0, page + 0x1000; add x0, x0, #0x10; ldr x1, [x0, #8] does not count: x0 has the whole address
        ("arm64", "000000b0 00400091 010440f9", [0x42010]),
        # lis r3,0x29; addi r3,r3,-3776
        ("ppc64le", "2900603c 40f16338", [0x290000 - 3776]),
        # lui at,0x43; ld at,0x4c00(at)
        ("mips64le", "4300013c 004c21dc", [0x434C00]),
        # pcalau12i $r4,0x230; addi.d $r4,$r4,232
        ("loong64", "0446001a 84a0c302", [0x41000 + 0x230000 + 232]),
        # ldr r0,[pc,#-8]: itself
        ("arm", "08001fe5", [0xE51F0008]),
    ],
)
def test_operands(arch: str, code: str, wanted: Optional[List[int]]) -> None:
    raw = bytes.fromhex(code.replace(" ", "")) if wanted is not None else RISCV
    found = list(operands(arch, raw, 0x41000))
    assert found == (wanted if wanted is not None else [0x41002 + 0x3E5000 - 632])


RISCV = b"\x89\x45" + (0x003E5497).to_bytes(4, "little") + (0xD884E483).to_bytes(4, "little")


class Emulated:
    """/proc files as qemu-user 10 serves them: true maps, and an smaps in which nothing is resident."""

    local = False

    def path(self, name: str) -> str:
        return f"/proc/7/{name}"

    def read(self, name: str, offset: int = 0, size: Optional[int] = None) -> bytes:
        assert name == "smaps"
        sizes = "\nSize: 64 kB\nRss: 0 kB\nSwap: 0 kB\n"
        return "".join(f"{n:x}0000-{n + 1:x}0000 r-xp 0 00:00 0{sizes}" for n in (1, 2, 3)).encode()


def test_an_emulators_smaps_is_not_believed() -> None:
    residency = read_residency(Emulated(), [Mapping(0x10000, 0x20000, "r-xp", None)], 4096, Problems())
    assert residency.emulated and residency.resident(0x10000, 0x20000) is None
    assert residency.reason is not None and "emulator" in residency.reason
