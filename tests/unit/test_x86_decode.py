"""Instructions of x86 by their bytes, without a disassembler."""

from __future__ import annotations

from typing import List, Optional, Tuple

import pytest

from addrspace_gdb.process.x86_access import READ, UPDATE, WRITE, code_pointer
from addrspace_gdb.process.x86_decode import decode
from addrspace_gdb.process.x86_opcodes import GROUPS, ONE, TWO

PC = 0x400000
REGISTERS = {"rax": 0x1000, "rbx": 0x10, "rdx": 0x4000, "rsi": 0x2000, "rdi": 0x3000, "r12": 0x500}


def test_the_tables_are_whole() -> None:
    assert len(ONE) == len(TWO) == 256
    assert all(len(forms) == 8 for forms in GROUPS.values())
    assert set(GROUPS) == {
        (where, op) for where, table in enumerate((ONE, TWO)) for op, form in enumerate(table) if form == "g"
    }


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("48 8b 48 18", [(READ, 0x1018)]),  # mov 0x18(%rax),%rcx
        ("48 89 48 f8", [(WRITE, 0xFF8)]),  # mov %rcx,-8(%rax)
        ("48 8b 0c d8", [(READ, 0x1080)]),  # mov (%rax,%rbx,8),%rcx
        ("49 8b 0c 24", [(READ, 0x500)]),  # mov (%r12),%rcx
        ("48 8b 05 00 01 00 00", [(READ, PC + 7 + 0x100)]),  # mov 0x100(%rip),%rax
        ("48 c7 05 00 01 00 00 01 00 00 00", [(WRITE, PC + 11 + 0x100)]),  # movq $1,0x100(%rip)
        ("48 8b 04 25 11 47 00 00", [(READ, 0x4711)]),  # mov 0x4711,%rax
        ("67 8b 08", [(READ, 0x1000)]),  # mov (%eax),%ecx
        ("80 38 00", [(READ, 0x1000)]),  # cmpb $0,(%rax)
        ("f0 0f b1 08", [(UPDATE, 0x1000)]),  # lock cmpxchg %ecx,(%rax)
        ("f3 48 a5", [(READ, 0x2000), (WRITE, 0x3000)]),  # rep movsq
        ("64 48 8b 0c 25 f8 ff ff ff", [(READ, None)]),  # mov %fs:-8,%rcx
        ("ff 12", [(READ, 0x4000)]),  # call *(%rdx)
        ("8f 00", [(WRITE, 0x1000)]),  # pop (%rax)
        ("48 0f ab 08", [(UPDATE, None)]),  # bts %rcx,(%rax)
        ("d9 7c 24 06", [(WRITE, None)]),  # fnstcw 6(%rsp), and rsp is not known
        ("c5 fe 6f 06", [(READ, 0x2000)]),  # vmovdqu (%rsi),%ymm0
        ("c4 c1 7e 7f 44 24 20", [(WRITE, 0x520)]),  # vmovdqu %ymm0,0x20(%r12)
        ("62 f1 fe 48 6f 46 01", [(READ, 0x2040)]),  # vmovdqu64 0x40(%rsi),%zmm0
        ("62 f2 7d 49 90 04 08", [(READ, None)]),  # vpgatherdd (%rax,%zmm1),%zmm0{%k1}
        ("48 8d 48 18", []),  # lea
        ("0f 1f 44 00 00", []),  # nopl
        ("31 c0", []),  # xor %eax,%eax
        ("0f 20 c0", None),  # mov %cr0,%rax
        ("8f e9 78 c0 c0", None),  # XOP
        ("48 8b", None),  # cut off
        ("", None),
        ("66 66 66 66 66 66 66 66 66 66 66 66 66 66 66 90", None),  # too long
    ],
)
def test_operands_in_memory(code: str, expected: Optional[List[Tuple[str, Optional[int]]]]) -> None:
    data = bytes.fromhex(code)
    decoded = decode(data, PC, REGISTERS.get)
    if expected is None:
        assert decoded is None
        return
    assert decoded is not None and decoded.length == len(data)
    assert [tuple(one) for one in decoded.accesses] == expected
    assert decode(data + bytes(15), PC, REGISTERS.get) == decoded


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        ("48 8b 0a", "mov    (%rdx),%rcx", True),
        ("4c 8b 02", "mov    (%rdx),%r8", True),
        ("ff 12", "call   *(%rdx)", True),
        ("ff 22", "jmp    *(%rdx)", True),
        ("8b 0a", "mov    (%rdx),%ecx", False),
        ("44 8b 02", "mov    (%rdx),%r8d", False),
        ("49 8b 0a", "mov    (%r10),%rcx", False),
        ("48 8b 4a 08", "mov    0x8(%rdx),%rcx", False),
        ("48 89 0a", "mov    %rcx,(%rdx)", False),
        ("ff d2", "call   *%rdx", False),
        ("64 48 8b 0a", "mov    %fs:(%rdx),%rcx", False),
    ],
)
def test_code_out_of_a_func_value(code: str, text: str, expected: bool) -> None:
    decoded = decode(bytes.fromhex(code), PC, REGISTERS.get)
    assert decoded is not None and decoded.code_pointer == code_pointer(text) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("8b 0d 11 47 00 00", [(READ, 0x4711)]),  # mov 0x4711,%ecx
        ("a3 11 47 00 00", [(WRITE, 0x4711)]),  # mov %eax,0x4711
        ("89 4c 98 fc", [(WRITE, 0x103C)]),  # mov %ecx,-4(%eax,%ebx,4)
        ("40", []),  # inc %eax
        ("c5 fe 6f 06", [(READ, None)]),  # vmovdqu (%esi),%ymm0
        ("c5 08", [(READ, 0x1000)]),  # lds (%eax),%ecx
        ("67 8b 07", None),  # mov (%bx),%eax
    ],
)
def test_32_bits(code: str, expected: Optional[List[Tuple[str, Optional[int]]]]) -> None:
    decoded = decode(bytes.fromhex(code), PC, {"eax": 0x1000, "ebx": 0x10}.get, 32)
    assert (decoded and [tuple(one) for one in decoded.accesses]) == expected


def test_code_out_of_a_func_value_in_32_bits() -> None:
    codes = ("8b 0a", "ff 12", "8b 4a 04", "8a 0a")
    found = [decode(bytes.fromhex(code), PC, REGISTERS.get, 32) for code in codes]
    texts = ("mov    (%edx),%ecx", "call   *(%edx)", "mov    0x4(%edx),%ecx", "mov    (%edx),%cl")
    assert [one and one.code_pointer for one in found] == [True, True, False, False]
    assert [code_pointer(text) for text in texts] == [True, True, False, False]
