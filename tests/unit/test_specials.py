"""Records of objects that are roots: lists that run to and fro between the pieces of memory they lie in."""

from __future__ import annotations

import random
import struct
from array import array
from typing import Dict, List, Optional

import pytest

from addrspace_gdb.common.problems import Problems, UnreadableError
from addrspace_gdb.goruntime import specials
from addrspace_gdb.goruntime.layouts import layouts_of
from addrspace_gdb.goruntime.malloc import PERSISTENT_CHUNK
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.specials import CLEANUPS, FINALIZERS, WEAK, Rooted, read_rooted
from addrspace_gdb.target.layout import Type
from addrspace_gdb.target.protocol import Symbol

HEAD, CHUNKS, APART = 0x1000, (0x1000000, 0x5000000, 0x3000000), 0x9000000
SPANS, ELEMENT = 40, 48
KINDS = {2: FINALIZERS, 3: WEAK, 4: "", 7: CLEANUPS}  # of Go 1.25 and later; 4 are samples


class Memory:
    """Records of every kind, in random places, most of them in the three chunks."""

    arch, pointer_size, byte_order, pid = "amd64", 8, "little", None

    def __init__(self, rng: random.Random) -> None:
        found, _ = layouts_of("go1.27.3", "amd64")
        assert found is not None
        self.layouts, self.words = found, {HEAD: CHUNKS[0]}
        self.words.update(zip(CHUNKS, (*CHUNKS[1:], 0)))
        places = [at for chunk in CHUNKS for at in range(chunk + 64, chunk + PERSISTENT_CHUNK - 64, 4096)]
        self._places = rng.sample([*places, APART], len(places) + 1)
        self.expected: List[Rooted] = []
        self.firsts = array("Q", (self._list(rng, row) for row in range(SPANS)))
        self.reads: List[int] = []

    def layout(self, name: str) -> Type:
        found = self.layouts.type(name)
        assert found is not None
        return found

    def _list(self, rng: random.Random, row: int) -> int:
        at = first = self._places.pop() if row % 5 else 0
        depth = 0
        while at:
            number, offset = rng.choice([*KINDS]), rng.randrange(0, 4096)
            layout = self.layout("runtime.special")
            follow = self._places.pop() if rng.random() < 0.8 and len(self._places) > SPANS else 0
            self.words[at + layout.scalar("next").offset] = follow
            self.words[at + layout.scalar("offset").offset] = offset
            self.words[at + layout.scalar("kind").offset] = number
            self._expect(row, at, number, offset)
            at, depth = follow, depth + 1
        return first

    def _expect(self, row: int, at: int, number: int, offset: int) -> None:
        if KINDS[number]:
            name, fields = specials._SCANNED[KINDS[number]]
            place = self.layout(f"runtime.{name}").locate(*fields)
            held = array("Q", (0xA000 + at + word for word in range(place.size // 8)))
            for word, value in enumerate(held):
                self.words[at + place.offset + 8 * word] = value
            object_ = row * 8192 + offset // ELEMENT * ELEMENT
            self.expected.append(Rooted(KINDS[number], object_, held, at + place.offset))

    @property
    def spans(self) -> Dict[str, array[int]]:
        starts = array("Q", range(0, SPANS * 8192, 8192))
        return {"specials": self.firsts, "start": starts, "element": array("Q", [ELEMENT]) * SPANS}

    def read(self, address: int, size: int) -> bytes:
        ends = [(chunk, chunk + PERSISTENT_CHUNK) for chunk in CHUNKS]
        known = [*ends, (HEAD, HEAD + 8), (APART, APART + 64)]
        if not any(low <= address and address + size <= end for low, end in known):
            raise UnreadableError(address, size)
        self.reads.append(address)
        first = address & -8
        words = (self.words.get(at, 0) for at in range(first, address + size, 8))
        data = b"".join(struct.pack("<Q", word) for word in words)
        return data[address - first : address - first + size]

    def type(self, name: str) -> object:
        return self.layouts.type(name)

    def symbol(self, name: str) -> Optional[Symbol]:
        return Symbol(name, HEAD, 8) if name == "runtime.persistentChunks" else None

    def proc_files(self) -> None:
        return None


@pytest.fixture(autouse=True)
def of_1_27(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(specials, "go_minor", lambda target: 27)


@pytest.mark.parametrize("seed", range(8))
def test_all_lists_are_gone_along_and_each_chunk_is_read_once(seed: int) -> None:
    memory, problems = Memory(random.Random(seed)), Problems()
    found = read_rooted(Runtime(memory, problems), memory.spans)  # type: ignore[arg-type]
    assert sorted(found, key=lambda one: one.address) == sorted(memory.expected, key=lambda one: one.address)
    assert len(found) > 40 and not list(problems)
    assert [memory.reads.count(chunk) for chunk in CHUNKS] == [2, 2, 2]  # once for the list of chunks


@pytest.mark.parametrize("to", ["itself", "nowhere", "odd"])
def test_a_damaged_list_is_told_and_the_others_are_gone_along(to: str) -> None:
    memory, problems = Memory(random.Random(1)), Problems()
    first = memory.firsts[1]
    memory.words[first] = {"itself": first, "nowhere": 0xDEAD000, "odd": first + 3}[to]
    memory.words[first + memory.layout("runtime.special").scalar("kind").offset] = 4
    found = read_rooted(Runtime(memory, problems), memory.spans)  # type: ignore[arg-type]
    (told,) = problems
    assert told.startswith("specials: ") and told.endswith("the rest of a list is left out")
    others = {one.address for one in memory.expected if not 8192 <= one.object < 2 * 8192}
    assert others == {one.address for one in found}
