"""Stacks that are copied and looked at later, against the same stacks looked at where they are."""

from __future__ import annotations

from pathlib import Path
from typing import List, Tuple

import pytest
from harness.build import Builder
from harness.processes import Processes
from harness.scenes import start
from harness.toolchains import Toolchain

from addrspace_gdb.commands.session import Settings
from addrspace_gdb.debugger.direct.live import LiveTarget
from addrspace_gdb.debugger.direct.session import DirectSession
from addrspace_gdb.shell.hints import SHELL
from addrspace_gdb.space.goroutines import stack_copies
from addrspace_gdb.space.goroutines.equal_stacks import Fold
from addrspace_gdb.space.reading.goroutines import GoroutineReading, read_for_goroutines

GOROUTINES = 2000
_FAR = 1 << 46  # where nothing is mapped


def _looked_at(fold: Fold, count: int) -> List[Tuple[List[int], object, bool, List[int]]]:
    return [
        (equal.walk.pcs, equal.walk.problem, equal.shared, equal.positions)
        for equal in fold.alike(range(count))
    ]


def _spoil(reading: GoroutineReading) -> None:
    """Stacks as damage makes them: where no memory is, of no size, larger than any, and of an odd size."""
    columns = reading.goroutines.columns
    for at, used in ((1003, 64), (1500, 0), (1501, 1 << 20), (1502, 1 << 45), (1503, 61)):
        columns["lo"][at], columns["sp"][at], columns["hi"][at] = _FAR, _FAR + 64, _FAR + 64 + used


@pytest.mark.parametrize("damaged", [False, True], ids=["sound", "damaged"])
@pytest.mark.parametrize("room", [0, 1 << 20, stack_copies.ROOM])
def test_copies_are_looked_at_as_the_stacks_are(
    room: int, damaged: bool, newest_go: Toolchain, build_program: Builder, processes: Processes,
    oracle_file: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    live = start(processes, build_program("parked", newest_go), oracle_file, str(GOROUTINES))
    monkeypatch.setattr(stack_copies, "_MANY", 100)
    monkeypatch.setattr(stack_copies, "ROOM", room)
    base = LiveTarget(live.pid, None, SHELL)
    target = DirectSession(base, Settings(100, True, False, "quiet"), "").target()
    base.hold(30, lambda: "late")
    try:
        reading = read_for_goroutines(target)
        if damaged:
            _spoil(reading)
        count = len(reading.goroutines)
        there, copied = Fold(reading), Fold(reading)
        there.add(range(count))
        assert copied.copy()
        copied.copied()
        assert copied.has_copies
    finally:
        base.release()
    assert _looked_at(copied, count) == _looked_at(there, count)
    assert not copied.has_copies and copied.knows(range(count))
    assert sum(len(equal.positions) for equal in copied.alike(range(count))) == count >= GOROUTINES
