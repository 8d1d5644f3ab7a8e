"""Which bits of spans may lie outside the chunks: looked for in whole columns, against one by one."""

from __future__ import annotations

import random
from array import array
from typing import Dict, List, Tuple

import pytest

from addrspace_gdb.common.problems import Problems, UnreadableError
from addrspace_gdb.goruntime import gcbits
from addrspace_gdb.goruntime.gcbits import GcBits
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.process.kept_memory import KeptMemory

_CHUNK = 1 << 16
_PAGE = 4096


class _Memory:
    """A process with pages of memory, which is to be let go; of a target only what bits are read with."""

    pointer_size, byte_order = 8, "little"

    def __init__(self, pages: Dict[int, bytes]) -> None:
        self._pages = pages
        self.kept = KeptMemory(self._read)
        self.read = self.kept.read

    def _read(self, address: int, size: int) -> bytes:
        found = b""
        while len(found) < size:
            page, offset = divmod(address + len(found), _PAGE)
            if page not in self._pages:
                raise UnreadableError(address, size)
            found += self._pages[page][offset : offset + size - len(found)]
        return found


def _bits(memory: _Memory, chunks: List[Tuple[int, int]], monkeypatch: pytest.MonkeyPatch) -> GcBits:
    monkeypatch.setattr(gcbits, "chunks", lambda runtime, lists: iter(chunks))
    monkeypatch.setattr(gcbits, "kept_of", lambda target: target.kept)
    return GcBits(Runtime(memory, Problems()), 100)  # type: ignore[arg-type]


@pytest.mark.parametrize("high", [0x7F30, 0xC0, 0x1_7F30], ids=["mmap", "low", "beyond what is usual"])
def test_bits_are_the_same_after_the_process_was_let_go(high: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(high)
    base = high << 32
    starts = [base + 0x1B0000, base + 0x240000, base + 0x2E2000, base + 0x2F2000]
    chunks = [(start, _CHUNK) for start in starts]
    pages = {
        page: chance.randbytes(_PAGE)
        for start in (*starts, base + 0x300000, 0xC000000000)
        for page in range(start // _PAGE, (start + _CHUNK) // _PAGE + 1)
    }
    wanted = [
        (chance.choice(starts) + 64 * chance.randrange(1024), chance.randrange(1, 1024)) for _ in range(3000)
    ]
    wanted += [(start + _CHUNK - back, 1024) for start in starts for back in (8, 128, 136, 256)]
    wanted += [(0xC000000000 + 8 * at, 100) for at in range(40)] + [(base + 0x300008, 16)]
    wanted += [(0, 10), (8, 10), (0x123456789000, 10), (base + (1 << 40) + 0x1B0000, 10)]
    expected = []
    here = _bits(_Memory(pages), chunks, monkeypatch)
    for address, count in wanted:
        expected.append(here.bits(address, count))
    memory = _Memory(pages)
    later = _bits(memory, chunks, monkeypatch)
    later.gather(array("Q", (address for address, _ in wanted)))
    memory.kept.release()
    assert [later.bits(address, count) for address, count in wanted] == expected
    assert None in expected and expected[-1] is None and expected[-5] is not None


def test_no_chunks_and_no_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = _Memory({})
    bits = _bits(memory, [], monkeypatch)
    bits.gather(array("Q"))
    bits.gather(array("Q", [0, 1 << 63]))
    memory.kept.release()
    assert bits.bits(1 << 63, 8) is None
