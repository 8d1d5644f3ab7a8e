"""Expressions without a debugger."""

from __future__ import annotations

import struct
from typing import Dict, List, Optional

import pytest

from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.debugger.direct.expressions import MAX_ELEMENTS, Evaluator
from addrspace_gdb.shell.hints import SHELL
from addrspace_gdb.target.protocol import Symbol

BASE = 0x1000


class Memory:
    """64 words from BASE on, the word at an address is that address plus 7."""

    def __init__(self, pointer_size: int = 8, byte_order: str = "little") -> None:
        self.pointer_size, self.byte_order = pointer_size, byte_order
        self.hints = SHELL
        code = ("<" if byte_order == "little" else ">") + ("Q" if pointer_size == 8 else "I")
        self.data = b"".join(struct.pack(code, BASE + i * pointer_size + 7) for i in range(64))
        self.symbols: Dict[str, Symbol] = {
            "main.pointer": Symbol("main.pointer", BASE + 8, pointer_size),
            "main.flag": Symbol("main.flag", BASE, 1),
            "net/http.Table": Symbol("net/http.Table", BASE + 16, 48),
            "main.(*T).Run": Symbol("main.(*T).Run", 0x401000, 99),
        }

    def read(self, address: int, size: int) -> bytes:
        if not BASE <= address <= address + size <= BASE + len(self.data):
            raise UnreadableError(address, size)
        return self.data[address - BASE : address - BASE + size]

    def symbol(self, name: str) -> Optional[Symbol]:
        return self.symbols.get(name)

    def register(self, name: str) -> Optional[int]:
        return {"rsp": BASE + 24, "rip": 0x401234}.get(name)


@pytest.mark.parametrize(
    ("expression", "number", "held_at", "size"),
    [
        ("0x2a", 42, None, None),
        ("17", 17, None, None),
        ("$rsp", BASE + 24, None, None),
        ("$rsp + 8", BASE + 32, None, None),
        ("$rsp+8-0x10", BASE + 16, None, None),
        ("0 - 1", (1 << 64) - 1, None, None),
        ("*$rsp", BASE + 31, BASE + 24, None),
        ("*($rsp + 8)", BASE + 39, BASE + 32, None),
        ("*$rsp + 1", BASE + 32, None, None),
        ("*(void**)$rsp", BASE + 31, BASE + 24, None),
        ("*(main.T ** *) $rsp", BASE + 31, BASE + 24, None),
        ("*(byte*)$rsp", 0x1F, BASE + 24, None),
        ("*(uint16*)($rsp + 8)", 0x1027, BASE + 32, None),
        ("(void*)$rsp", BASE + 24, None, None),
        ("(int64*)$rsp + 8", BASE + 32, None, None),
        ("**0x1000", None, None, None),
        ("&main.pointer", BASE + 8, None, None),
        ("main.pointer", BASE + 15, BASE + 8, None),
        ("main.flag", 7, BASE, None),
        ("net/http.Table", BASE + 16, None, 48),
        ("&net/http.Table + 8", BASE + 24, None, None),
        ("&'main.(*T).Run'", 0x401000, None, None),
        ("((0x1000))", BASE, None, None),
    ],
)
def test_values(expression: str, number: Optional[int], held_at: Optional[int], size: Optional[int]) -> None:
    (value,) = Evaluator(Memory()).values(expression)
    assert value.expression == expression
    if number is None:  # a word that is not aligned
        assert value.held_at == BASE + 7
        return
    assert (value.address, value.held_at, value.size) == (number, held_at, size)
    assert Evaluator(Memory()).value(expression) == number


@pytest.mark.parametrize(
    ("pointer_size", "byte_order"), [(8, "little"), (8, "big"), (4, "little"), (4, "big")]
)
def test_elements(pointer_size: int, byte_order: str) -> None:
    memory = Memory(pointer_size, byte_order)
    values = Evaluator(memory).values("*(void**)0x1000@2")
    assert [(v.address - 7, v.held_at) for v in values] == [(at, at) for at in (BASE, BASE + pointer_size)]
    small = [v.address for v in Evaluator(memory).values(f"*(uint16*)0x1000@{pointer_size // 2}")]
    assert [number for number in small if number] == [0x1007]
    assert [v.held_at for v in Evaluator(memory).values("main.flag@3")] == [BASE, BASE + 1, BASE + 2]
    values = Evaluator(memory).values("main.pointer@3")
    places = [BASE + 8 + i * pointer_size for i in range(3)]
    assert [(v.expression, v.address, v.held_at) for v in values] == [
        (f"main.pointer@3[{i}]", place + 7, place) for i, place in enumerate(places)
    ]
    assert len(Evaluator(memory).values("main.flag @ 0x10")) == 16


def wrong(expression: str) -> str:
    with pytest.raises(ProblemError) as caught:
        Evaluator(Memory()).values(expression)
    return str(caught.value)


REFUSED: List[str] = [
    *("", " ", "+", "1 +", "(1", "1)", "1 2", "&17", "&$rsp", "*", "a = 1", "x++", "f()", "a[0]", "a->b"),
    *("$_shell(1)", "(int)1", "&", "'", "\n", "1;2", "#", "0x", "1.5", "a b", "@", "@3", "{int}3", "`x`"),
    "(" * 100 + "1" + ")" * 100,
    "*" * 1000 + "1",
]


@pytest.mark.parametrize("expression", REFUSED)
def test_what_needs_a_debugger_says_so(expression: str) -> None:
    line = wrong(expression)
    assert "\n" not in line
    assert "needs a debugger" in line or "there is no " in line


def test_what_cannot_be_is_one_line() -> None:
    assert wrong("$xyz") == "there is no register $xyz, or it is not known"
    assert wrong("no.such") == "there is no symbol no.such"
    assert wrong("*1") == "cannot evaluate '*1': cannot read 8 bytes at 0x1"
    assert "elements; at most" in wrong(f"main.pointer@{MAX_ELEMENTS + 1}")
    assert "elements; at most" in wrong("main.pointer@0")
    assert "is not in memory" in wrong("$rsp@3")
    assert "cannot read" in wrong("main.pointer@1000")
