"""Where returns, calls and jumps go, and how Go calls a func value through any register."""

from __future__ import annotations

from typing import Optional

import pytest

from addrspace_gdb.process.x86_closures import loads_code
from addrspace_gdb.process.x86_jumps import CALL, JUMP, RETURN, Jump, calls_before, divisor, is_trap, jump

REGISTERS = {"rax": 0x1000, "rcx": 0, "rdi": 0x1_0000_0007, "r12": 0x12, "eax": 0x10}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("c3", Jump(RETURN, None)),
        ("f3 c3", Jump(RETURN, None)),
        ("c2 08 00", Jump(RETURN, None)),
        ("ff d0", Jump(CALL, 0x1000)),
        ("41 ff d4", Jump(CALL, 0x12)),
        ("3e ff e0", Jump(JUMP, 0x1000)),
        ("ff 10", Jump(CALL, None)),
        ("ff 60 18", Jump(JUMP, None)),
        ("ff c0", None),  # inc %eax
        ("e8 00 00 00 00", None),
        ("", None),
    ],
)
def test_where_it_goes(code: str, expected: Optional[Jump]) -> None:
    assert jump(bytes.fromhex(code), REGISTERS.get) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("f7 f9", 0),  # idiv %ecx
        ("f7 ff", 7),  # idiv %edi
        ("48 f7 ff", 0x1_0000_0007),  # idiv %rdi
        ("f7 3b", None),  # idivl (%rbx)
        ("f6 f9", None),  # idiv %cl
        ("f7 d9", None),  # neg %ecx
    ],
)
def test_what_a_division_divides_by(code: str, expected: Optional[int]) -> None:
    assert divisor(bytes.fromhex(code), REGISTERS.get) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("90 90 e8 01 02 03 04", True),
        ("90 90 90 90 90 ff d0", True),
        ("90 90 90 90 ff 50 18", True),
        ("90 ff 90 00 20 00 00", True),
        ("90 90 90 90 90 ff e0", False),
        ("90 90 90 90 48 89 c3", False),
    ],
)
def test_what_stands_before_a_return_address(code: str, expected: bool) -> None:
    assert calls_before(bytes.fromhex(code)) == expected


def test_a_trap() -> None:
    assert is_trap(b"\x0f\x0b") and not is_trap(b"\x0f\x05")


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("48 8b 0a ff d1", True),  # mov (%rdx),%rcx; call *%rcx
        ("48 8b 37 48 89 fa ff d6", True),  # mov (%rdi),%rsi; mov %rdi,%rdx; call *%rsi
        ("48 8b 31 48 89 ca ff e6", True),  # ... jmp *%rsi
        ("4d 8b 23 4c 89 da 48 89 c3 41 ff d4", True),  # mov (%r11),%r12; mov %r11,%rdx; ...; call *%r12
        ("49 8b 34 24 4c 89 e2 ff d6", True),  # mov (%r12),%rsi
        ("49 8b 75 00 4c 89 ea ff d6", True),  # mov 0x0(%r13),%rsi
        ("48 8b 37 ff d6", False),  # rdx does not point to it
        ("48 8b 37 48 89 fa 48 89 c6 ff d6", False),  # rsi is another by then
        ("48 8b 77 08 48 89 fa ff d6", False),  # mov 0x8(%rdi),%rsi: a method
        ("48 8b 37 48 89 fa ff 56 18", False),
        ("48 8b 37", False),
    ],
)
def test_a_func_value_that_is_called(code: str, expected: bool) -> None:
    assert loads_code(bytes.fromhex(code), 0x401000) == expected
