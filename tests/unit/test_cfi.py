"""Frames of C by .eh_frame: a file made here, with what compilers write."""

from __future__ import annotations

import struct
from typing import Dict, List, Tuple

from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.process.cfi import CUnwinder
from addrspace_gdb.process.elf_structs import structs_of
from addrspace_gdb.process.mappings import Mapping

START, STACK = 0x400000, 0x7F0000
HDR, FRAMES = 0x1000, 0x1100  # of the file
DYNAMIC = 0x2800
INNER, MIDDLE, NAKED = 0x2000, 0x2100, 0x2200
OUTSIDE = 0x500000  # code of somebody else


CALLS: List[int] = []  # return addresses that a call stands before
DAMAGE: List[int] = []  # places in the file


def entry(start: int, length: int, code: bytes, place: int) -> bytes:
    """An FDE that lies `place` bytes into the section, whose CIE begins it."""
    body = struct.pack("<iiIB", place + 4, START + start - (START + FRAMES + place + 8), length, 0) + code
    body += bytes(-len(body) % 4)
    return struct.pack("<I", len(body)) + body


def image() -> bytes:
    cie = b"\0\0\0\0\1zR\0\1\x78\x10\1\x1b" + b"\x0c\7\x08\x90\1"  # CFA rsp+8, return address at -8
    cie = struct.pack("<I", len(cie) + -len(cie) % 4) + cie + bytes(-len(cie) % 4)
    # push %rbp; mov %rsp,%rbp; push %rbx
    code = b"\x41\x0e\x10\x86\2\x43\x0d\6\x41\x83\3"
    first = entry(INNER, 0x80, code, len(cie))
    second = entry(MIDDLE, 0x40, b"\x44\x0e\x20", len(cie) + len(first))  # sub $0x18,%rsp
    frames = cie + first + second
    places = [(INNER, len(cie)), (MIDDLE, len(cie) + len(first))]
    table = b"".join(struct.pack("<ii", start - HDR, FRAMES + at - HDR) for start, at in places)
    head = b"\1\x1b\3\x3b" + struct.pack("<iI", FRAMES - HDR - 4, len(places)) + table
    structs = structs_of(8, "little")
    file = b"\x7fELF\2\1\1" + bytes(9) + structs.file.pack(2, 62, 1, 0, 64, 0, 0, 64, 56, 3, 0, 0, 0)
    segments = [(1, 5, 0, START, START, 0x3000, 0x3000, 0x1000)]
    segments += [(0x6474E550, 4, HDR, START + HDR, START + HDR, len(head), len(head), 4)]
    segments += [(2, 6, DYNAMIC, START + DYNAMIC, START + DYNAMIC, 0x60, 0x60, 8)]
    file += b"".join(structs.program.pack(*segment) for segment in segments)
    file = file.ljust(HDR, b"\0") + head
    return (file.ljust(FRAMES, b"\0") + frames).ljust(DYNAMIC, b"\0") + imports()


def imports() -> bytes:
    """The dynamic section: its slots hold addresses of functions, of which INNER is called "measure"."""
    strtab, symtab, rela, slots = (START + DYNAMIC + at for at in (0x100, 0x140, 0x1C0, 0x240))
    tags = {5: strtab, 6: symtab, 23: rela, 2: 48}
    symbols = bytes(24) + struct.pack("<I20x", 1) + struct.pack("<I20x", 7)
    slot = (slots - START, slots + 8 - START)
    rows = struct.pack("<QQqQQq", START + slot[0], 1 << 32 | 7, 0, START + slot[1], 2 << 32 | 7, 0)
    data = b"".join(struct.pack("<QQ", *tag) for tag in tags.items())
    data = data.ljust(0x100, b"\0") + b"\0other\0measure\0"
    data = data.ljust(0x140, b"\0") + symbols
    data = data.ljust(0x1C0, b"\0") + rows
    data = data.ljust(0x240, b"\0") + struct.pack("<QQ", START + NAKED, START + INNER)
    return data.ljust(0x3000 - DYNAMIC, b"\0")


class Memory:
    def __init__(self, stack: Dict[int, int]) -> None:
        words = [stack.get(STACK + 8 * index, 0) for index in range(64)]
        file = bytearray(image())
        for back in CALLS:
            file[back - START - 2 : back - START] = b"\xff\xd0"
        for at in DAMAGE:
            file[at] ^= 0xFF
        self._parts = [(START, bytes(file)), (STACK, struct.pack("<64Q", *words))]

    def read(self, address: int, size: int) -> bytes:
        for start, data in self._parts:
            if start <= address and address + size <= start + len(data):
                return data[address - start : address - start + size]
        raise UnreadableError(address, size)


OF_C = Mapping(START, START + 0x3000, "r-xp", "/lib/c.so")


def test_a_function_without_a_symbol_has_the_name_it_is_imported_by() -> None:
    unwinder = CUnwinder("amd64", "little", Memory({}).read, [OF_C])
    names = {entry: unwinder.imported_as(START + MIDDLE, START + entry) for entry in (INNER, NAKED, MIDDLE)}
    assert names == {INNER: "measure", NAKED: "other", MIDDLE: None}
    assert unwinder.imported_as(OUTSIDE, START + INNER) is None


def walked(registers: Dict[str, int], stack: Dict[int, int]) -> Tuple[List[Tuple[int, int]], int]:
    """(pc, sp) of each frame of C, and the pc of who called them."""
    mappings = [
        Mapping(START, START + 0x3000, "r-xp", "/lib/c.so"),
        Mapping(OUTSIDE, OUTSIDE + 1, "r-xp", "/go"),
    ]
    unwinder = CUnwinder("amd64", "little", Memory(stack).read, mappings)
    found = unwinder.walk(registers.get, lambda pc: OUTSIDE <= pc < OUTSIDE + 0x1000)
    return [(frame.pc, frame.sp) for frame in found.frames], found.pc


# What is on the stack: the frame of INNER (rbx, rbp, return address), that of MIDDLE, its return address.
WHOLE = {
    STACK + 16: 0x1234,  # rbx
    STACK + 24: STACK + 200,  # rbp
    STACK + 32: START + MIDDLE + 0x20,
    STACK + 40 + 24: OUTSIDE + 0x10,
}


def test_through_a_frame_pointer_and_a_fixed_frame() -> None:
    registers = {"rip": START + INNER + 0x40, "rsp": STACK, "rbp": STACK + 24}
    frames, outside = walked(registers, WHOLE)
    assert frames == [(START + INNER + 0x40, STACK), (START + MIDDLE + 0x20, STACK + 40)]
    assert outside == OUTSIDE + 0x10


def test_at_the_first_instruction_the_frame_is_the_return_address() -> None:
    registers = {"rip": START + INNER, "rsp": STACK + 32, "rbp": 0}
    assert walked(registers, WHOLE)[0] == [(START + INNER, STACK + 32), (START + MIDDLE + 0x20, STACK + 40)]


def test_after_the_push_of_the_frame_pointer() -> None:
    registers = {"rip": START + INNER + 1, "rsp": STACK + 24, "rbp": 0}
    assert walked(registers, WHOLE) == (
        [(START + INNER + 1, STACK + 24), (START + MIDDLE + 0x20, STACK + 40)],
        OUTSIDE + 0x10,
    )


def test_a_function_that_nothing_describes_ends_it() -> None:
    registers = {"rip": START + NAKED, "rsp": STACK, "rbp": 0}
    assert walked(registers, WHOLE) == ([(START + NAKED, STACK)], 0)


def test_a_call_of_nothing_has_its_caller() -> None:
    """The word at sp is behind a call; without one it is no caller."""
    back = START + MIDDLE + 0x30
    stack = {STACK: back, STACK + 8 + 24: OUTSIDE + 0x10}
    registers = {"rip": 0, "rsp": STACK, "rbp": 0}
    assert walked(registers, stack)[0] == [(0, STACK)]
    CALLS.append(back)
    try:
        assert walked(registers, stack) == ([(0, STACK), (back, STACK + 8)], OUTSIDE + 0x10)
    finally:
        CALLS.clear()


def test_an_overwritten_return_address_ends_it() -> None:
    registers = {"rip": START + INNER + 0x40, "rsp": STACK, "rbp": STACK + 24}
    frames, outside = walked(registers, {**WHOLE, STACK + 32: 0x4141414141414141})
    assert (frames, outside) == ([(START + INNER + 0x40, STACK)], 0)


def test_registers_that_are_not_known_end_it() -> None:
    assert walked({"rip": START + INNER + 0x40, "rsp": STACK}, WHOLE) == ([(START + INNER + 0x40, STACK)], 0)


def test_damaged_tables_end_it() -> None:
    for at in range(FRAMES, FRAMES + 0x80):
        DAMAGE.append(at)
        try:
            walked({"rip": START + INNER + 0x40, "rsp": STACK, "rbp": STACK + 24}, WHOLE)
            walked({"rip": START + MIDDLE + 8, "rsp": STACK, "rbp": STACK + 24}, WHOLE)
        finally:
            DAMAGE.clear()
