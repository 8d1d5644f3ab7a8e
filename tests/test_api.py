"""What scripts in gdb are promised: the same as the commands say, as plain objects."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from harness.build import Builder
from harness.debuggers import Gdb
from harness.gdbrun import run_gdb
from harness.scenes import launch_to_breakpoint
from harness.toolchains import Toolchain

EACH_ONCE = True  # not every combination: tests/conftest.py
EVERY_GDB = True
SCRIPT = """
import json
import gdb
from addrspace_gdb.debugger.gdb import api

goroutines = api.goroutines()
stack = next(one for one in goroutines if one.goid == 1)
told = {
    "regions": [[r.start, r.end, r.area, r.kind, r.label, r.size, r.resident] for r in api.regions()],
    "heap": sum(r.size for r in api.regions("heap")),
    "goroutines": [one._asdict() for one in goroutines],
    "few": len(api.goroutines("--status waiting")),
    "where": api.whereis(stack.sp),
    "main": api.whereis("&main.Oracle"),
    "rss": api.document("addrspace rss --by-class"),
    "errors": [],
}
for ask, line in ((api.regions, "nosuch"), (api.whereis, "no("), (api.document, "info threads")):
    try:
        ask(line)
    except gdb.GdbError as error:
        told["errors"].append(str(error))
with open(OUT, "w") as file:
    json.dump(told, file)
"""


def test_objects_say_what_the_commands_say(
    gdb_exe: Gdb, newest_go: Toolchain, build_program: Builder, tmp_path: Path
) -> None:
    scene = launch_to_breakpoint(build_program("shapes", newest_go), tmp_path / "oracle")
    script = tmp_path / "script.py"
    script.write_text(f"OUT = {str(tmp_path / 'told')!r}\n{SCRIPT}")
    asked = {"space": "addrspace", "stacks": "goroutine-stacks", "rss": "addrspace rss --by-class"}
    lines = [f"{line} --format json -o {tmp_path / name}" for name, line in asked.items()]
    run = run_gdb(gdb_exe, [f"source {script}", *lines], scene, load=True)
    assert run.stderr.count("Error") == 0 and (tmp_path / "told").exists(), run.stderr
    told = json.loads((tmp_path / "told").read_text())
    space, stacks, rss = (json.loads((tmp_path / name).read_text()) for name in asked)
    assert sum(r[5] for r in told["regions"]) == sum(r["size"] for r in space["regions"])
    assert told["heap"] == sum(r["size"] for r in space["regions"] if r["area"] == "heap")
    ours = {one["goid"]: one for one in told["goroutines"]}
    theirs = [one for one in stacks["goroutines"] if not one["system"]]
    assert sorted(ours) == [one["goid"] for one in theirs] and told["few"] < len(ours)
    for one in theirs:
        mine = ours[one["goid"]]
        assert (mine["used"], mine["function"]) == (one["stack"]["used"], one["user_function"])
        assert mine["hi"] - mine["lo"] == one["stack"]["size"]
        made = one["created_by"]
        assert mine["created_by"] == (made["function"] if made is not None else None)
    assert told["where"]["area"] == "goroutine-stacks"
    assert told["main"]["area"] == "globals"
    assert told["rss"]["schema"] == "rss/1" and told["rss"]["tree"]["size"] == rss["tree"]["size"]
    assert len(told["errors"]) == 3 and all(text.startswith("addrspace: ") for text in told["errors"])
    assert pytest.approx(told["rss"]["tree"]["resident"], rel=0.05) == rss["tree"]["resident"]
