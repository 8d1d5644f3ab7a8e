"""Memory of C's sanitizers and of Go's race detector (go build -race, -asan, -msan), by where it lies.

They keep records of every byte of the program at fixed addresses. Those of linux/amd64 are known here, from
LLVM's compiler-rt, which gcc's libraries follow: tsan_platform.h ("Go on linux/amd64"), asan_mapping.h and
asan_allocator.h, msan.h and msan_allocator.cpp. Elsewhere their memory stays anonymous memory.
"""

from __future__ import annotations

from typing import Callable, NamedTuple, Sequence

from addrspace_gdb.process.mappings import Mapping, is_anonymous

RACE, ADDRESS, MEMORY = "race detector", "AddressSanitizer", "MemorySanitizer"
OF_C = (ADDRESS, MEMORY)  # how the kinds of their regions begin

_TIB = 1 << 40


class _Range(NamedTuple):
    start: int
    end: int
    kind: str


_RACE = (_Range(16 * _TIB, 64 * _TIB, "shadow"),)
_ADDRESS = (_Range(0x7FFF7000, 0x10007FFF8000, "shadow"), _Range(96 * _TIB, 100 * _TIB + 0x2000, "heap"))
_MEMORY = (
    _Range(1 * _TIB, 16 * _TIB, "shadow"),
    _Range(16 * _TIB, 17 * _TIB, "gap"),
    _Range(17 * _TIB, 32 * _TIB, "origins"),
    _Range(32 * _TIB, 48 * _TIB, "shadow"),
    _Range(48 * _TIB, 64 * _TIB, "origins"),
    _Range(64 * _TIB, 80 * _TIB, "gap"),
    _Range(80 * _TIB, 81 * _TIB, "shadow"),
    _Range(96 * _TIB, 97 * _TIB, "origins"),
    _Range(97 * _TIB, 112 * _TIB, "gap"),
    _Range(112 * _TIB, 116 * _TIB + 0x2000, "heap"),
)


def sanitizer_of(mappings: Sequence[Mapping], arch: str, race: bool) -> Callable[[Mapping], str]:
    """A function that names a mapping which nobody else claims: "AddressSanitizer shadow", or "" if it is
    not a sanitizer's. `race`: the program has Go's race detector, whose library makes all such mappings."""
    if race:
        return lambda mapping: f"{RACE} {_within(_RACE, mapping) or 'memory'}"
    if arch != "amd64":
        return lambda mapping: ""
    starts = {mapping.start for mapping in mappings if is_anonymous(mapping)}
    for name, ranges in ((ADDRESS, _ADDRESS), (MEMORY, _MEMORY)):
        if all(one.start in starts for one in ranges if one.kind == "shadow"):
            return _named(name, ranges)
    return lambda mapping: ""


def _named(name: str, ranges: Sequence[_Range]) -> Callable[[Mapping], str]:
    def named(mapping: Mapping) -> str:
        kind = _within(ranges, mapping)
        return f"{name} {kind}" if kind else ""

    return named


def _within(ranges: Sequence[_Range], mapping: Mapping) -> str:
    return next((one.kind for one in ranges if one.start <= mapping.start < one.end), "")
