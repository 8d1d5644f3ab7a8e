"""Pointers in variables of packages: data and bss by the masks that the linker made (src/runtime/mgcmark.go,
markrootBlock), and what the queues of finalizers and cleanups hold."""

from __future__ import annotations

import sys
from array import array
from itertools import compress
from typing import Iterator, NamedTuple, Sequence, Tuple

from addrspace_gdb.common.problems import UnreadableError
from addrspace_gdb.goruntime.moduledata import Module
from addrspace_gdb.goruntime.record import Runtime

_CHUNK = 1 << 22  # bytes of variables that are read at a time: a multiple of what a byte of a mask is for
_MAX_DATA = 1 << 34  # bytes of variables of one module
_BITS = [bytes(value >> bit & 1 for bit in range(8)) for value in range(256)]


class Slots(NamedTuple):
    """Words that are pointers: where they are, what they hold, and what stands before and behind them."""

    addresses: array[int]
    values: array[int]
    before: array[int]
    behind: array[int]


def none_yet() -> Slots:
    """No slots, to add some."""
    return Slots(array("Q"), array("Q"), array("Q"), array("Q"))


def ascending(slots: Slots) -> Slots:
    """The same in the order of their addresses: modules may lie in any."""
    order = sorted(range(len(slots.addresses)), key=slots.addresses.__getitem__)
    return Slots(*(array("Q", map(column.__getitem__, order)) for column in slots))


def static_range(modules: Sequence[Module]) -> Tuple[int, int]:
    """From the first variable with pointers of the first module to behind the last."""
    if not modules:
        return 0, 0
    first = modules[0]
    return min(first["data"], first["bss"]), max(first["edata"], first["ebss"])


def global_slots(runtime: Runtime, modules: Sequence[Module], low: int, high: int) -> Iterator[Slots]:
    """The pointers in variables that lead to [low, high), or to other variables of the first module, some at
    a time. What cannot be read is told."""
    ranges = ((low, high), static_range(modules))
    for module in modules:
        if module.bad:
            continue
        for name, mask in (("data", module.gcdatamask), ("bss", module.gcbssmask)):
            start, end = module[name], module[f"e{name}"]
            if mask is None or not start < end <= start + _MAX_DATA:
                if start != end:
                    runtime.problems.add(
                        f"{name} of {module.modulename or 'the program'} has no mask of its pointers"
                    )
                continue
            yield from _block(
                runtime, (start, min(end, start + mask.length * runtime.word)), mask.address, ranges
            )


Ranges = Tuple[Tuple[int, int], Tuple[int, int]]


def _block(runtime: Runtime, where: Tuple[int, int], mask: int, ranges: Ranges) -> Iterator[Slots]:
    word, (start, end) = runtime.word, where
    for at in range(start, end, _CHUNK):
        size = min(_CHUNK, end - at)
        try:
            raw = runtime.target.read(mask + (at - start) // word // 8, (size // word + 7) // 8)
            words = _words(runtime, runtime.target.read(at, size // word * word))
        except UnreadableError as error:
            runtime.problems.add(f"variables of packages: {error}; left out")
            continue
        bits = b"".join(map(_BITS.__getitem__, raw))
        yield within(at, words, bits, ranges)


def within(start: int, words: array[int], bits: bytes, ranges: Ranges) -> Slots:
    """Those of the words from `start` on that have a bit and lead to one of the ranges."""
    (low, high), (static, end) = ranges
    places = compress(range(len(words)), bits)
    found = [at for at in places if low <= words[at] < high or static <= words[at] < end]
    last, size = len(words) - 1, words.itemsize
    return Slots(
        array("Q", [start + at * size for at in found]),
        array("Q", map(words.__getitem__, found)),
        array("Q", [words[at - 1] if at else 0 for at in found]),
        array("Q", [words[at + 1] if at < last else 0 for at in found]),
    )


def _words(runtime: Runtime, raw: bytes) -> array[int]:
    found = array("Q" if runtime.word == 8 else "I", raw)
    if runtime.order != sys.byteorder:
        found.byteswap()
    return found
