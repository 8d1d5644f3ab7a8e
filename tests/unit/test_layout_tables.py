"""The tables of struct layouts as data, and addresses in machine code: pure parts, without a process."""

from __future__ import annotations

import re

import pytest

from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.goruntime.buildinfo import MAGIC, find_build_info, parse_version
from addrspace_gdb.goruntime.layouts import Layouts, known_minors, layouts_of
from addrspace_gdb.goruntime.stripped.code_references import operands

ARCHES = ("386", "amd64", "arm", "arm64", "loong64", "mips64le", "ppc64le", "riscv64", "s390x")


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("go1.26.6", (26, 6, set())),
        ("go1.20", (20, 0, set())),
        ("go1.27.3 X:nogreenteagc,arenas", (27, 3, {"nogreenteagc", "arenas"})),
        ("devel go1.28-3a1f2b", (28, 0, set())),
        ("(devel)", (None, 0, set())),
    ],
)
def test_versions(text: str, version: object) -> None:
    minor, patch, experiments = parse_version(text)
    assert (minor, patch, set(experiments)) == version


@pytest.mark.parametrize("minor", known_minors())
@pytest.mark.parametrize("arch", ARCHES)
def test_every_table_holds_together(minor: int, arch: str) -> None:
    """Fields follow each other, lie in their struct, and every type that is named is in the table."""
    layouts = Layouts(minor, 99, arch)
    types, variables = layouts.names
    assert layouts.known and len(layouts.size_classes) == 68 and layouts.wait_reasons[0] == ""
    found = 0
    for name in types:
        type_ = layouts.type(name)
        if type_ is None:
            continue
        found += 1
        end = 0
        for field, (offset, inner) in type_.fields.items():
            assert inner.kind != "other" or inner.size, f"{name}.{field}"
            assert end <= offset and offset + inner.size <= type_.size, f"{name}.{field}"
            end = offset
    assert found > 90
    wanted = (
        "mheap_",
        "allgs",
        "allm",
        "allp",
        "sched",
        "work",
        "memstats",
        "gcController",
        "firstmoduledata",
    )
    for name in wanted:
        variable = layouts.variable(f"runtime.{name}")
        assert variable is not None and variable.size > 0
    assert "runtime.stackpool" in variables


def test_patch_releases_and_experiments() -> None:
    """Go 1.19.4 gave mspan a field, Go 1.24.6 gave m one; Go without Green Tea has no span queues in a P."""
    sizes = [layouts_of(f"go1.19.{patch}", "amd64")[0] for patch in (2, 4, 8)]
    assert [t.type("runtime.mspan").size for t in sizes if t] == [136, 144, 144]  # type: ignore[union-attr]
    ms = [layouts_of(f"go1.24.{patch}", "amd64")[0] for patch in (0, 5, 6)]
    assert [t.type("runtime.m").has("allpSnapshot") for t in ms if t] == [  # type: ignore[union-attr]
        False,
        False,
        True,
    ]
    usual, without = (layouts_of(f"go1.26.6{x}", "amd64")[0] for x in ("", " X:nogreenteagc"))
    assert usual and without
    one, other = usual.type("runtime.p"), without.type("runtime.p")
    assert one and other and one.size != other.size


def test_what_there_is_no_table_for() -> None:
    newest = known_minors()[-1]
    found, guess = layouts_of(f"go1.{newest + 1}.2", "amd64")
    assert found is not None and found.minor == newest and guess
    for version, arch in (("go1.18.1", "amd64"), ("", "amd64"), ("go1.26.6", "sparc64")):
        assert layouts_of(version, arch)[0] is None
    assert layouts_of("go1.26.6 X:staticlockranking", "amd64")[0] is None


def test_operands_of_amd64() -> None:
    code = bytes.fromhex(
        "488d0500100000"  # lea 0x1000(%rip),%rax: 0x400007 + 0x1000
        "833d0020000000"  # cmpl $0,0x2000(%rip): an immediate byte follows
        "c705003000000a000000"  # movl $10,0x3000(%rip): four follow
        "66c70500400000ffff"  # movw: two
        "f6050050000001"  # testb $1
        "0fb60500600000"  # movzbl
    )
    found = list(operands("amd64", code, 0x400000))
    assert [hex(address) for address in found] == [
        "0x401007",
        "0x40200e",
        "0x403018",
        "0x404021",
        "0x405028",
        "0x40602f",
    ]


def test_operands_of_386_and_arm64() -> None:
    assert 0x8123456 in operands("386", b"\x90\x8b\x05\x56\x34\x12\x08\xc3", 0x8040000)
    # adrp x27, +1 page; ldr x0, [x27, #0x48]; add x1, x27, #0x10
    code = b"".join(word.to_bytes(4, "little") for word in (0xB000001B, 0xF9402760, 0x91004361))
    assert list(operands("arm64", code, 0x10000)) == [0x11048, 0x11010]
    assert list(operands("vax", code, 0)) == []


def memory(data: bytes, start: int) -> object:
    def read(address: int, size: int) -> bytes:
        if not start <= address <= address + size <= start + len(data):
            raise UnreadableError(address, size)
        return data[address - start : address - start + size]

    return read


@pytest.mark.parametrize(
    ("version", "size"), [(b"go1.26.6 X:arenas", None), (b"go1.26.6", 200), (b"x", None)]
)
def test_build_information(version: bytes, size: object) -> None:
    """A damaged length, or text that is no version, is no build information."""
    length = bytes([size if isinstance(size, int) else len(version)])
    data = bytes(16) + MAGIC + b"\x08\x02" + bytes(16) + length + version + b"\0"
    found = find_build_info(data, memory(data, 0x1000), 0x1000)  # type: ignore[arg-type]
    good = size is None and re.match(rb"go1", version)
    assert (found.version.encode() if found else None) == (version if good else None)
