"""Damage: moduledata, pclntab and stacks that no linker or compiler made."""

from __future__ import annotations

import random
import struct
from pathlib import Path
from typing import Dict, Iterator, List

import pytest
from symtab_programs import build, running, versions
from symtab_target import FakeTarget, ProcessTarget
from test_traceback_dump import Inspected

from addrspace_gdb.common.problems import Problems
from addrspace_gdb.goruntime.moduledata import modules
from addrspace_gdb.goruntime.pclntab import decode_pc_values
from addrspace_gdb.goruntime.symtab import Symtab, load
from addrspace_gdb.goruntime.traceback import Frame, Saved, Stack, Unwinder
from addrspace_gdb.target.layout import Located

pytestmark = pytest.mark.skipif(not versions(), reason="no Go toolchain in the cache")


@pytest.fixture(scope="module")
def inspected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inspected]:
    where = tmp_path_factory.mktemp("damage")
    with running(build("parked", versions()[-1], "plain", where), where) as program:
        process = Inspected(program)
        yield process
        process.close()


def snapshot(target: ProcessTarget) -> Dict[int, bytearray]:
    """Every mapping of the executable, as bytes to damage."""
    ranges = {}
    for line in Path(f"/proc/{target.pid}/maps").read_text().splitlines():
        if line.endswith(str(target.executable)):
            low, high = (int(text, 16) for text in line.split()[0].split("-"))
            ranges[low] = bytearray(target.read(low, high - low))
    return ranges


def put(fake: FakeTarget, address: int, data: bytes) -> None:
    for start, memory in fake.ranges.items():
        if start <= address < start + len(memory):
            memory[address - start : address - start + len(data)] = data
            return
    raise AssertionError(f"{address:#x} is not in the snapshot")


def field(inspected: Inspected, path: str) -> Located:
    layout = inspected.target.type("runtime.moduledata")
    assert layout
    return layout.scalar(path)


def query(symtab: Symtab, inspected: Inspected, pcs: List[int]) -> List[Frame]:
    for pc in pcs:
        symtab.function_name(pc)
        symtab.inlined(pc)
        symtab.sp_delta(pc)
        symtab.is_system_goroutine(pc)
    unwinder = Unwinder(symtab)
    frames: List[Frame] = []
    for g in inspected.gs[5:40:5]:
        frames += unwinder.unwind(inspected.stack(g), g.pc, g.sp, limit=2000)
        unwinder.printed(frames)
        unwinder.creator(g.gopc, 1)
    return frames


def test_random_damage_never_raises(inspected: Inspected) -> None:
    chance = random.Random(20)
    good = snapshot(inspected.target)
    (module,) = modules(inspected.target, Problems())
    table = module.slice("pclntable")
    areas = [
        (module.address, module.size),
        (module["pcHeader"], 64),
        (module["pcHeader"], table.address + table.length - module["pcHeader"]),
        (table.address, 1 << 14),
        (module["gofunc"], 1 << 12),
    ]
    pcs = [chance.randrange(module["text"], module["etext"]) for _ in range(60)]
    complaints = 0
    for _ in range(150):
        fake = FakeTarget({start: bytearray(data) for start, data in good.items()}, inspected.target)
        for start, size in areas:
            for _ in range(chance.choice((0, 1, 3, 200))):
                put(fake, start + chance.randrange(size), bytes([chance.randrange(256)]))
        problems = Problems()
        query(load(fake, problems), inspected, pcs)
        assert all("\n" not in line for line in problems)
        complaints += bool(problems)
    assert complaints > 50


def test_a_module_list_that_runs_in_a_circle(inspected: Inspected) -> None:
    fake = FakeTarget(snapshot(inspected.target), inspected.target)
    (module,) = modules(fake, Problems())
    put(fake, module.address + field(inspected, "next").offset, struct.pack("<Q", module.address))
    problems = Problems()
    assert len(modules(fake, problems)) == 1
    assert "does not end" in "".join(problems)


@pytest.mark.parametrize("path", ["ftab.len", "pctab.len", "funcnametab.len", "cutab.len", "textsectmap.len"])
@pytest.mark.parametrize("value", [0, 1, 1 << 20, 1 << 60, (1 << 64) - 1])
def test_impossible_lengths(inspected: Inspected, path: str, value: int) -> None:
    fake = FakeTarget(snapshot(inspected.target), inspected.target)
    (module,) = modules(fake, Problems())
    put(fake, module.address + field(inspected, path).offset, struct.pack("<Q", value))
    symtab = load(fake, Problems())
    query(symtab, inspected, [module["text"] + 1000 * n for n in range(50)])
    if path == "ftab.len":
        assert symtab.find(module["text"] + 100) is None
        assert symtab.problems


def test_no_symbol_no_modules() -> None:
    problems = Problems()
    symtab = load(FakeTarget({}), problems)
    assert symtab.find(0x401000) is None
    assert symtab.locations(0x401000) == ()
    assert "runtime.firstmoduledata" in "".join(problems)


def test_stack_pointers_outside_the_stack(inspected: Inspected) -> None:
    g = next(g for g in inspected.gs if g.status == 4 and g.pc)
    stack = inspected.stack(g)
    for sp in (0, 8, g.lo - 8, g.hi - 1, g.hi, g.hi + 4096, 1 << 60, (1 << 64) - 8):
        for pc in (g.pc, 0, 1, (1 << 64) - 1):
            frames = inspected.unwinder.unwind(stack, pc, sp, bp=sp)
            assert not frames or frames[-1].problem
            walk = inspected.unwinder.walk(stack, pc, sp, saved=Saved(stack, pc, sp))
            assert walk.problem
    whole = inspected.unwinder.unwind(stack, g.pc, g.sp)
    assert whole[-1].problem is None
    cut = inspected.unwinder.unwind(Stack(g.lo, stack.data[: g.sp - g.lo + 40]), g.pc, g.sp)
    assert cut == [*whole[: len(cut) - 1], whole[len(cut) - 1]._replace(problem=cut[-1].problem)]
    assert cut[-1].problem and "outside the stack" in cut[-1].problem


def test_a_return_address_that_is_none(inspected: Inspected) -> None:
    g = next(g for g in inspected.gs if g.status == 4 and g.pc)
    stack = inspected.stack(g)
    frames = inspected.unwinder.unwind(stack, g.pc, g.sp)
    second = frames[0].cfa
    assert second
    data = bytearray(stack.data)
    data[second - 8 - g.lo : second - g.lo] = struct.pack("<Q", 0x1234)
    broken = inspected.unwinder.unwind(Stack(g.lo, bytes(data)), g.pc, g.sp)
    assert broken[-1].problem == f"the return address 0x1234 of {frames[0].function} is in no Go function"
    assert [f.function for f in broken] == [f.function for f in frames if f.sp == g.sp]


def test_frames_are_limited(inspected: Inspected) -> None:
    deepest = max((inspected.frames(g) for g in inspected.gs if g.status == 4), key=len)
    g = next(g for g in inspected.gs if inspected.frames(g) == deepest)
    walk = inspected.unwinder.walk(inspected.stack(g), g.pc, g.sp, limit=10)
    assert len(walk.pcs) == 10
    assert walk.problem == "the stack has more than 10 frames"


def test_frame_pointers_lead_out_of_code_that_is_not_go(inspected: Inspected) -> None:
    """As for a thread in C code that keeps frame pointers: two foreign frames above a goroutine's own."""
    g = next(g for g in inspected.gs if g.status == 4 and g.pc)
    stack = inspected.stack(g)
    frames = inspected.unwinder.unwind(stack, g.pc, g.sp)
    low = g.lo
    data = bytearray(stack.data)
    at = g.sp - low
    assert at > 64
    data[at - 48 : at - 32] = struct.pack("<QQ", g.sp - 16, 0x2000)
    data[at - 16 : at] = struct.pack("<QQ", 0, g.pc)
    found = inspected.unwinder.unwind(Stack(low, bytes(data)), 0x1000, g.sp - 64, bp=g.sp - 48, trap=True)
    assert [frame.pc for frame in found[:2]] == [0x1000, 0x2000]
    assert [frame.function for frame in found[:2]] == [None, None]
    assert found[2:] == frames


def test_tables_that_do_not_end() -> None:
    assert decode_pc_values(b"\x02\x04\x02\x04", 1, 100) is None
    assert decode_pc_values(b"", 1, 100) is None
    assert decode_pc_values(b"\x80" * 50, 1, 100) is None
    assert decode_pc_values(b"\x02\x04\x03\x02\x00", 4, 100) == ([16, 24], [0, -2])
    assert decode_pc_values(b"\x02\x04\x02\x04", 1, 8) == ([4, 8], [0, 1])
