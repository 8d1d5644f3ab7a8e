"""The runtime's variables are found where there are no symbols, whatever the process was about to do.

A process stands still at any instruction: while a list has but one of its ends, a goroutine is counted but
not in its place, or a counter is below 0 until the end of a function.
"""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Dict, List, Optional, Tuple

from harness import full_matrix
from harness.build import Builder
from harness.debuggers import Gdb
from harness.gdbrun import Scene, run_gdb
from harness.processes import Processes
from harness.scenes import start
from harness.toolchains import Toolchain

from addrspace_gdb.debugger.direct.base import DirectTarget
from addrspace_gdb.debugger.direct.live import LiveTarget
from addrspace_gdb.goruntime.stripped.target import Findings, StrippedTarget
from addrspace_gdb.goruntime.stripped.variables import FIELDS, PARTS, PREFIX, WHOLE
from addrspace_gdb.shell.hints import SHELL

EACH_ONCE = True  # not every combination: tests/conftest.py

ALSO_OLD = True  # Go 1.19 and 1.20 too, in the matrix

SIDE = Path(__file__).with_name("moments_side.py")
# Beside each other in the code: while they are empty nothing tells them apart, and nothing needs to.
ALIKE = (
    "bbuckets",
    "xbuckets",
    "buckhash",
    "printBacklog",
    "printBacklogIndex",
    "extraMInUse",
    "extraMLength",
)
MOMENTS = 100 if full_matrix() else 40
# They run on the system's stack, which does not move while they are stepped through.
FUNCTIONS = (
    "runtime.allgadd",  # counts a goroutine before it is in its place
    "runtime.retake",  # nmidlelocked is -1
    "runtime.recordspan",  # as allgadd, spans
    "runtime.nextMarkBitArenaEpoch",  # two lists are the same
    "runtime.(*gcControllerState).setGCPercent",  # one after the other
)
MORE = (
    "runtime.(*mSpanList).insert",  # a list has but one of its ends
    "runtime.(*mSpanList).remove",
    "runtime.(*mSpanList).takeAll",
    "runtime.persistentalloc1",
    "runtime.stackpoolalloc",
)


def test_no_instruction_hides_a_variable(
    gdb_exe: Gdb, go: Toolchain, build_program: Builder, tmp_path: Path
) -> None:
    binary = build_program("restless", go)
    result = tmp_path / "steps.json"
    functions = (*FUNCTIONS, *(MORE if full_matrix() else ()))
    enter = [f"handle {signal} nostop noprint pass" for signal in ("SIGURG", "SIGSEGV")]
    enter += [f"source {SIDE}", "tbreak main.main", "run >/dev/null"]
    scene = Scene("live", binary.path, enter, ("kill",))
    done = run_gdb(
        gdb_exe, [f"step-through {result} 60 {' '.join(functions)}"], scene, load=True, timeout=300
    )
    assert result.exists(), done.stdout[-2000:] + done.stderr[-2000:]
    stepped: Dict[str, Tuple[int, Dict[str, List[str]]]] = json.loads(result.read_text())
    assert {function: refuted for function, (_, refuted) in stepped.items() if refuted} == {}
    assert all(steps >= 10 for steps, _ in stepped.values()) and len(stepped) == len(functions)


def test_at_any_moment(
    go: Toolchain, build_program: Builder, processes: Processes, oracle_file: Path
) -> None:
    """They are looked for anew each time."""
    process = start(processes, build_program("restless", go), oracle_file)
    base, dice = LiveTarget(process.pid, None, SHELL), random.Random(1)
    base.objects.load()
    for moment in range(MOMENTS):
        time.sleep(dice.random() * 0.03)
        base.hold(60, lambda: "it does not stop")
        try:
            assert (moment, elsewhere(base)) == (moment, {})
        finally:
            base.release()


def elsewhere(base: DirectTarget) -> Dict[str, Tuple[int, Optional[int]]]:
    """Variables that are not found where the symbols say: where they are, and what was found."""
    found: Dict[str, Tuple[int, Optional[int]]] = {}
    stripped = StrippedTarget(base, False, Findings())
    for name in (*WHOLE, *PARTS, *FIELDS):
        real, ours = base.symbol(PREFIX + name), stripped.symbol(PREFIX + name)
        if real is None or name == "buildVersion":  # which is not looked for where there is build information
            continue
        address = ours.address if ours is not None else None
        if address != real.address and (name not in ALIKE or any(base.read(real.address, real.size))):
            found[name] = real.address, address
    return found
