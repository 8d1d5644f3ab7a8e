"""The type that a call gets, from bytes that Go's toolchains made for every architecture."""

from __future__ import annotations

import random
from typing import Dict, Tuple

import pytest

from addrspace_gdb.goruntime.call_arguments import _MACHINES, WINDOW, argument, call_before

# Architecture, release, number of the argument, address behind the call, the bytes in front of that, and as
# `go tool nm` and the descriptor there have it: the function that is called and the type that it gets.
CALLS: Tuple[Tuple[str, int, int, int, str, int, int], ...] = (
    (
        "amd64",
        27,
        1,
        0x47DB28,
        "0000554889e54883ec48b848000000488d1d32330a00b901000000e8b8faf9ff",
        0x41D5E0,
        0x520E50,
    ),
    (
        "amd64",
        27,
        4,
        0x47DB5E,
        "0a004839d9734b48894424404889d0bf01000000488d356fd90900e86295ffff",
        0x4770C0,
        0x51B4C8,
    ),
    (
        "amd64",
        27,
        0,
        0x47DEFD,
        "cccccc493b66107653554889e54883ec104889c3488d05f0860900e8033df9ff",
        0x411C00,
        0x5165E8,
    ),
    (
        "amd64",
        27,
        4,
        0x47DF3E,
        "0c004839d9734b48894424404889d0bf01000000488d350f770b00e84294ffff",
        0x477380,
        0x535648,
    ),
    (
        "386",
        27,
        1,
        0x80C7D04,
        "000083ec24c70424480000008d059849150889442404c644240801e8ecf7f9ff",
        0x80674F0,
        0x8154998,
    ),
    (
        "386",
        27,
        4,
        0x80C7D45,
        "24894c240489442408c744240c010000008d05f813150889442410e8bbbdffff",
        0x80C3B00,
        0x81513F8,
    ),
    (
        "386",
        27,
        0,
        0x80C80AB,
        "ffff3b6108764d83ec0c8d0578cd14088904248b44241089442404e8d531f9ff",
        0x805B280,
        0x814CD78,
    ),
    (
        "arm",
        27,
        1,
        0x9A710,
        "2ce02de54800a0e304008de5ec009fe508008de50100a0e30c00cde59f57feeb",
        0x30590,
        0x128068,
    ),
    (
        "arm",
        27,
        4,
        0x9A75C,
        "04208de508108de50c008de50100a0e310008de5a8009fe514008de5b5eeffeb",
        0x96234,
        0x124AC8,
    ),
    (
        "arm",
        27,
        0,
        0x9AB88,
        "01005de11500009a10e02de55c009fe504008de514009de508008de54c21feeb",
        0x230BC,
        0x120438,
    ),
    (
        "arm64",
        27,
        1,
        0x87F3C,
        "fe0f1af8fd831ff8fd2300d1000980d2010500b021202191e20340b21e88fe97",
        0x29FB0,
        0x128848,
    ),
    (
        "arm64",
        27,
        4,
        0x87F74,
        "5f0001eb82020054e02b00f9e00303aae30340b2c40400f084003b911ce8ff97",
        0x81FE0,
        0x122EC0,
    ),
    (
        "arm64",
        27,
        0,
        0x88318,
        "09030054fe0f1ef8fd831ff8fd2300d1e10300aaa00400d000200091175bfe97",
        0x1EF70,
        0x11E008,
    ),
    (
        "arm64",
        27,
        4,
        0x87F74,
        "5f0001eb82020054e02b00f9e00303aae30340b224060090840015911ce8ff97",
        0x81FE0,
        0x14B540,
    ),
    (
        "loong64",
        27,
        1,
        0x92ACC,
        "61a0fe2963a0fe026100c029042081030515001aa500d40206048003feab9755",
        0x2C270,
        0x13A500,
    ),
    (
        "loong64",
        27,
        4,
        0x92B04,
        "e504c002c554006c6440c12904011500070480036814001a08e1ed02ff538757",
        0x8B250,
        0x134B78,
    ),
    (
        "loong64",
        27,
        0,
        0x92EF8,
        "8066004061a0ff2963a0ff026100c02985001500c413001a8460f302feafd854",
        0x207A0,
        0x12FCD8,
    ),
    (
        "ppc64le",
        27,
        1,
        0x94D58,
        "e8ffff4ba602e87f79ffe1fb480060381400803c988d84380100a0382d7bf94b",
        0x2C880,
        0x138D98,
    ),
    (
        "ppc64le",
        27,
        4,
        0x94D90,
        "4020257c60008040800061f8783be37c0100c0381300e03ce834e7384591ff4b",
        0x8DED0,
        0x1334E8,
    ),
    (
        "ppc64le",
        27,
        0,
        0x951B8,
        "200061e8e4ffff4ba602e87fd1ffe1fb781b647c1300603c20e763381db2f84b",
        0x203D0,
        0x12E720,
    ),
    (
        "ppc64",
        27,
        1,
        0x94F98,
        "4bffffe87fe802a6fbe1ff79386000483c80001438848d3038a000014bf979ad",
        0x2C940,
        0x138D30,
    ),
    (
        "ppc64",
        27,
        4,
        0x94FD0,
        "7c25204040800060f86100807ce33b7838c000013ce0001338e734984bff9145",
        0x8E110,
        0x133498,
    ),
    (
        "ppc64",
        27,
        0,
        0x953F8,
        "e86100204bffffe47fe802a6fbe1ffd17c641b783c6000133863e6d04bf8b0bd",
        0x204B0,
        0x12E6D0,
    ),
    (
        "riscv64",
        27,
        1,
        0x6D65C,
        "6ff05fff233411fa130181fa06e013058004977509009385a5910546ef908ba8",
        0x268E0,
        0x103F68,
    ),
    (
        "riscv64",
        27,
        4,
        0x6D68E,
        "0a00033646fd938514006375b604aae836858546171709001307e70befd0efa1",
        0x6A8A8,
        0xFE740,
    ),
    (
        "riscv64",
        27,
        0,
        0x6D9AA,
        "efe2efe822656ff01fff233411fe211106e0aa8517c508001305a500ef002b85",
        0x1D9F8,
        0xF99A8,
    ),
    (
        "s390x",
        27,
        1,
        0x9B9F2,
        "ff24e3ff0fa0ff71e3e0f0000024a7290048c0300004c2e3a7490001c0e5fffca7aa",
        0x30940,
        0x133FA8,
    ),
    (
        "s390x",
        27,
        4,
        0x9BA2A,
        "00d9ec430030a065e320f0580024b9040021a7590001c06000049705c0e5ffffdbae",
        0x97180,
        0x12E828,
    ),
    (
        "s390x",
        27,
        0,
        0x9BECE,
        "e3e0ffe8ff24e3ff0fe8ff71e3e0f0000024b9040032c02000046d07c0e5fffc357c",
        0x229C0,
        0x1298D0,
    ),
    (
        "amd64",
        19,
        0,
        0x458945,
        "86b30000004883ec5048896c2448488d6c2448488d05a1bf000090e8bb29fbff",
        0x40B300,
        0x4648E0,
    ),
    (
        "amd64",
        19,
        0,
        0x45897F,
        "904839cf734b4889442440488d058f5f00004889ca4889f14889d6e821aafeff",
        0x4433A0,
        0x45E900,
    ),
    (
        "amd64",
        19,
        0,
        0x458D25,
        "554883ec1848896c2410488d6c24104889c3488d05e25300006690e87baffaff",
        0x403CA0,
        0x45E100,
    ),
    (
        "386",
        19,
        0,
        0x80A0527,
        "8b89fcffffff3b61080f86af00000083ec248d05a0960a08890424e86919fbff",
        0x8051E90,
        0x80A96A0,
    ),
    (
        "386",
        19,
        0,
        0x80A0566,
        "24208d2d40600a08892c24894c2404894424088954240c895c2410e8eac5feff",
        0x808CB50,
        0x80A6040,
    ),
    (
        "386",
        19,
        0,
        0x80A08AB,
        "ffff3b6108764a83ec0c8d05e04d0a088904248b4c2410894c2404e815abfaff",
        0x804B3C0,
        0x80A4DE0,
    ),
    (
        "arm64",
        19,
        0,
        0x66D84,
        "ff6330eb49070054fe0f1af8fd831ff8fd2300d1a0000090008023912ccefe97",
        0x1A630,
        0x7A8E0,
    ),
    (
        "arm64",
        19,
        0,
        0x66DC4,
        "630340f9440400917f0004ebe2020054e02b00f9600000d000002491b4b2ff97",
        0x53890,
        0x74900,
    ),
    (
        "arm64",
        19,
        0,
        0x671D8,
        "89030054fe0f1ef8fd831ff8fd2300d1e10300aa600000b0000004919fb0fe97",
        0x13450,
        0x74100,
    ),
    (
        "ppc64le",
        19,
        0,
        0x69110,
        "a602a87c2dddff4be8ffff4ba602e87f79ffe1fb0800603cc0a76338b50dfb4b",
        0x19EC0,
        0x7A7C0,
    ),
    (
        "ppc64le",
        19,
        0,
        0x6914C,
        "64008040800061f80700603c804863387833c47c783be67c7843077de9c9fe4b",
        0x55B30,
        0x74880,
    ),
    (
        "ppc64le",
        19,
        0,
        0x69568,
        "200061e8e4ffff4ba602e87fd1ffe1fb781b647c0700603c80406338dd9dfa4b",
        0x13340,
        0x74080,
    ),
    (
        "amd64",
        22,
        4,
        0x45DA3A,
        "f3070048ffc34839d97302eb02eb13bf01000000488d352b680000e8268afeff",
        0x446460,
        0x464260,
    ),
)
# What those of arm find behind their functions.
WORDS: Dict[int, int] = {
    0x9A7F0: 0x128068,
    0x9A800: 0x124AC8,
    0x9A934: 0x125EEC,
    0x9ABD8: 0x120438,
    0x9AD44: 0x128068,
}


@pytest.mark.parametrize("row", CALLS, ids=lambda row: f"{row[0]}-1.{row[1]}-{row[2]}-{row[3]:#x}")
def test_the_type_is_what_the_instructions_load(row: Tuple[str, int, int, int, str, int, int]) -> None:
    arch, minor, number, end, code, target, type_ = row
    call = call_before(arch, bytes.fromhex(code), end)
    assert call is not None and call.target == target
    assert argument(arch, minor, call, number, WORDS.get) == type_
    assert argument(arch, minor, call, 3, WORDS.get) in (None, 1)  # 386 has numbers in the same way


AMD64, END = "488d1d32330a00", 0x47DB28  # lea 0xa3332(%rip), %rbx


@pytest.mark.parametrize(
    ("between", "known"),
    [
        ("b901000000", True),  # mov $1, %ecx
        ("4c89c0", True),  # mov %r8, %rax
        ("4889442418", True),  # mov %rax, 0x18(%rsp)
        ("48895c2410", True),  # mov %rbx, 0x10(%rsp)
        ("0f11442430", True),  # movups %xmm0, 0x30(%rsp)
        ("833d94ee0c0000", True),  # cmpl $0, 0xcee94(%rip)
        ("7412", True),  # je
        ("4889c3", False),  # mov %rax, %rbx
        ("488b5c2410", False),  # mov 0x10(%rsp), %rbx
        ("31db", False),  # xor %ebx, %ebx
        ("4883c308", False),  # add $8, %rbx
        ("480f44d8", False),  # cmove %rax, %rbx
        ("bb05000000", False),  # mov $5, %ebx
        ("e800000000", False),  # call
        ("eb00", False),  # jmp
        ("5b", False),  # pop %rbx
        ("0f0b", False),  # ud2
    ],
)
def test_what_stands_between_may_change_it(between: str, known: bool) -> None:
    code = bytes.fromhex(AMD64 + between + "e8b8faf9ff")
    call = call_before("amd64", code, END)
    assert call is not None
    loaded = END - len(code) + 7 + 0xA3332
    assert argument("amd64", 27, call, 1, WORDS.get) == (loaded if known else None)


def test_what_is_no_call_is_none() -> None:
    for arch in _MACHINES:
        assert call_before(arch, b"", END) is None and call_before(arch, bytes(8), END) is None
    assert call_before("mips", bytes(8), END) is None


@pytest.mark.parametrize("arch", _MACHINES)
def test_any_bytes_are_survived(arch: str) -> None:
    random_ = random.Random(7)
    code = next(row for row in CALLS if row[0] == arch)[4]
    made = bytes.fromhex(code)[-{"s390x": 6}.get(arch, 5 if arch in ("amd64", "386") else 4) :]
    for _ in range(400):
        call = call_before(arch, random_.randbytes(random_.randrange(WINDOW)) + made, END)
        assert call is not None
        found = argument(arch, 27, call, random_.randrange(5), lambda _: random_.randrange(1 << 32))
        assert found is None or isinstance(found, int)
