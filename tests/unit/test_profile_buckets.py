"""Lists of profile buckets that are damaged: what is found of them is kept, and what is left out is said."""

from __future__ import annotations

import struct
from typing import Dict, Optional

import pytest

from addrspace_gdb.common.problems import Problems, UnreadableError
from addrspace_gdb.goruntime import mprof
from addrspace_gdb.goruntime.layouts import layouts_of
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.runs import Stacks
from addrspace_gdb.target.protocol import Symbol

HASH, MEMSTATS, HEADS = 0x10000, 0x20000, 0x30000
BUCKETS = 0x40000


class Memory:
    """A process that has nothing but profile buckets, `count` of them with a stack of two frames."""

    arch, pointer_size, byte_order, pid = "amd64", 8, "little", None

    def __init__(self, count: int) -> None:
        found, _ = layouts_of("go1.26.6", "amd64")
        assert found is not None
        self.layouts = found
        self.end = 0x1000000
        self.size = 48 + 16 + self._size("runtime.memRecord")
        self.words: Dict[int, int] = {HASH: 0x5000, HEADS: BUCKETS, HEADS + 8: 0, HEADS + 16: 0}
        memstats = found.type("runtime.mstats")
        assert memstats is not None
        hashed = self._size("runtime.buckhashArray")
        self.counted = MEMSTATS + memstats.scalar("buckhash_sys").offset
        self.words[self.counted] = hashed + count * self.size
        for number in range(count):
            at = BUCKETS + number * self.size
            self.words.update({at + 8: at + self.size if number + 1 < count else 0, at + 32: 64, at + 40: 2})
            self.words[at + 48], self.words[at + 56] = 0x7000 + number, 0x8000  # the stack
            self.words[at + 64] = number  # allocated in the published cycle

    def _size(self, name: str) -> int:
        found = self.layouts.type(name)
        assert found is not None
        return found.size

    def read(self, address: int, size: int) -> bytes:
        if not 0x1000 <= address < self.end or address + size > self.end:
            raise UnreadableError(address, size)
        return b"".join(struct.pack("<Q", self.words.get(address + at, 0)) for at in range(0, size, 8))[:size]

    def type(self, name: str) -> object:
        return self.layouts.type(name)

    def symbol(self, name: str) -> Optional[Symbol]:
        heads = {"mbuckets": HEADS, "bbuckets": HEADS + 8, "xbuckets": HEADS + 16}
        places = {"runtime.buckhash": HASH, "runtime.memstats": MEMSTATS}
        places.update({f"runtime.{name}": at for name, at in heads.items()})
        return Symbol(name, places[name], 0, self.layouts.variable(name)) if name in places else None

    def proc_files(self) -> None:
        return None


@pytest.fixture(autouse=True)
def no_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mprof, "_masks", lambda runtime: 0)


def read(memory: Memory) -> tuple[mprof.Buckets, list[str]]:
    problems = Problems()
    found, *_ = mprof.read_buckets(Runtime(memory, problems))  # type: ignore[arg-type]
    return found, list(problems)


def test_a_sound_list_is_read_whole() -> None:
    memory = Memory(70_000 // 100)
    found, told = read(memory)
    assert (len(found.addresses), told) == (700, [])
    assert found.size == 700 * memory.size
    assert list(found.ranges()) == [(BUCKETS, BUCKETS + 700 * memory.size)]
    assert list(found.in_use) == list(range(700)) and set(found.sizes) == {64}


@pytest.mark.parametrize(
    ("offset", "value", "why"),
    [
        (8, 0xDEAD000000, "leads to 0xdead000000, which cannot be read"),
        (8, BUCKETS, "does not end after"),
        (40, 1 << 20, "leads to a bucket with an impossible stack"),
    ],
)
def test_what_a_damaged_list_leaves_out_is_said(offset: int, value: int, why: str) -> None:
    memory = Memory(100)
    memory.words[BUCKETS + 9 * memory.size + offset] = value
    found, (told,) = read(memory)
    assert told.startswith(f"runtime.mbuckets: the list {why}")
    assert "the rest is left out, by BuckHashSys all buckets have" in told
    assert list(found.ranges()) == [(BUCKETS, BUCKETS + (9 if offset == 40 else 10) * memory.size)]


def test_stacks_are_kept_apart_from_counts() -> None:
    memory = Memory(300)
    problems = Problems()
    found = mprof.read_profile(Runtime(memory, problems), "mbuckets")  # type: ignore[arg-type]
    assert found is not None and not list(problems)
    runs = found.stacks.runs()
    stacks = [[pc for run in stack for pc in runs[run]] for stack in found.stacks]
    assert stacks == [[0x7000 + number, 0x8000] for number in range(300)]
    assert mprof.read_profile(Runtime(memory, problems), "bbuckets") is None  # type: ignore[arg-type]


@pytest.mark.parametrize("depth", [0, 1, 7, 8, 9, 16, 17, 4096])
def test_runs_make_the_stack_again(depth: int) -> None:
    stacks = Stacks(8, "little")
    wanted = [[1 << 40 | number * 16 + other for number in range(depth)] for other in (0, 1, 0)]
    for stack in wanted:
        stacks.add(b"before" + struct.pack(f"<{depth}Q", *stack), 6, 6 + 8 * depth)
    runs = stacks.runs()
    assert [[pc for run in stack for pc in runs[run]] for stack in stacks] == wanted
    assert len(runs) == 2 * -(-depth // 8) and all(len(run) <= 8 for run in runs)


@pytest.mark.parametrize(
    ("offset", "value", "why"),
    [
        (8, 0xDEAD000000, "leads to 0xdead000000, which cannot be read"),
        (8, BUCKETS, "does not end after"),
        (8, BUCKETS - 5, "leads to 0x3fffb, where no bucket can be"),
        (40, 1 << 20, "leads to a bucket with an impossible stack"),
        (40, (1 << 64) - 1, "leads to a bucket with an impossible stack"),
        (40, 4096, "leads to"),
    ],
)
def test_a_profile_of_a_damaged_list_has_what_comes_before(offset: int, value: int, why: str) -> None:
    memory = Memory(100)
    memory.words[BUCKETS + 9 * memory.size + offset] = value
    memory.end = BUCKETS + 100 * memory.size
    problems = Problems()
    found = mprof.read_profile(Runtime(memory, problems), "mbuckets")  # type: ignore[arg-type]
    (told,) = problems
    assert told.startswith(f"runtime.mbuckets: the list {why}")
    assert found is not None
    columns = (found.addresses, found.frames, found.sizes, found.allocs, found.frees, found.alloc_bytes)
    assert {len(column) for column in columns} == {len(found.stacks)} and len(found.stacks) >= 9
    assert len(found.stacks) <= 401  # no more than have room in what BuckHashSys counts
