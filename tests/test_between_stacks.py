"""Threads between two stacks: in gogo, which goes from the scheduler's to a goroutine's, and in the vDSO.

A signal may come at each of these instructions, and a debugger may stop there; the goroutine has its frames.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

import pytest
from harness.build import Builder
from harness.debuggers import Gdb
from harness.gdbrun import run_gdb
from harness.scenes import launch_to_breakpoint
from harness.toolchains import Toolchain

Json = Dict[str, Any]
STEPS = 24  # instructions: all of gogo, and some of the function that it goes on in


# The thread is on its g0 for a goroutine that runs (_Grunning). The g is in r14 on amd64.
G = "(('runtime.g' *)$r14)"
ON_G0 = f"{G}->m->g0 == {G} && {G}->m->curg != 0 && {G}->m->curg->atomicstatus.value == 2"


@pytest.mark.parametrize("where", ["gogo", f"runtime.nanotime1 if {ON_G0}"], ids=["gogo", "vdso"])
def test_frames_at_every_instruction(
    where: str, gdb_exe: Gdb, go: Toolchain, build_program: Builder, tmp_path: Path
) -> None:
    """With one thread for Go code, which gdb stops in the scheduler."""
    binary = build_program("owners", go)
    scene = launch_to_breakpoint(binary, tmp_path / "oracle.json", "yielding")
    scene = scene._replace(enter=["set environment GOMAXPROCS 1", *scene.enter])
    commands = ["delete", "set language c", f"break {where}", "continue", "delete", "set language auto"]
    commands += ["set scheduler-locking on"]
    files = [tmp_path / f"{step}.json" for step in range(STEPS)]
    for file in files:
        commands += [f"goroutine-stacks --frames --system --format json --output {file}", "stepi"]
    run = run_gdb(gdb_exe, commands, scene, load=True)
    documents: List[Json] = [json.loads(file.read_text()) for file in files]
    whole = 0
    for document in documents:
        assert document["problems"] == []
        assert [one["problem"] for one in document["goroutines"] if one["problem"]] == [], run.stdout
        for one in document["goroutines"]:
            if one["status"] == "running":
                whole += 1
                names = [frame["function"] for frame in one["frames"]]
                assert names[-1] in ("runtime.goexit", "runtime.rt0_go"), names
    assert whole >= STEPS // 2
