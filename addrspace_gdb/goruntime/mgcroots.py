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
    """Words that are pointers: where they are, and what they hold."""

    addresses: array[int]
    values: array[int]


def global_slots(runtime: Runtime, modules: Sequence[Module], low: int, high: int) -> Iterator[Slots]:
    """The pointers in variables that lead to [low, high), some at a time. What cannot be read is told."""
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
                runtime, (start, min(end, start + mask.length * runtime.word)), mask.address, (low, high)
            )


def _block(runtime: Runtime, where: Tuple[int, int], mask: int, heap: Tuple[int, int]) -> Iterator[Slots]:
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
        yield within(
            array("Q", compress(range(at, at + size, word), bits)), array("Q", compress(words, bits)), heap
        )


def within(addresses: array[int], values: array[int], heap: Tuple[int, int]) -> Slots:
    """Those of the slots that lead to [low, high)."""
    low, high = heap
    inside = [low <= value < high for value in values]
    return Slots(array("Q", compress(addresses, inside)), array("Q", compress(values, inside)))


def _words(runtime: Runtime, raw: bytes) -> array[int]:
    found = array("Q" if runtime.word == 8 else "I", raw)
    if runtime.order != sys.byteorder:
        found.byteswap()
    return found
