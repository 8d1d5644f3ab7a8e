"""`goroutine-stacks --leaked`: what can never run again, and equal to Go's own profile where it has one."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any, Dict, List, Set, Tuple

import jsonschema
import pytest
from harness import full_matrix, leakprofile
from harness.build import Builder
from harness.command import cli
from harness.leakprofile import Held
from harness.processes import Process, Processes
from harness.toolchains import Toolchain, Unavailable

from addrspace_gdb.views.documents.schema import schema

EACH_ONCE = True  # not every combination: tests/conftest.py
ALSO_OLD = True

Json = Dict[str, Any]
VARIANTS = ("plain", "stripped")
if full_matrix():
    VARIANTS += ("pie", "cgo", "race", "noopt", "386", "greentea", "experiments")  # type: ignore[assignment]

LEAKS = Counter(
    {
        **dict.fromkeys(("Receive", "Send", "Range", "NilReceive", "NilSend", "EmptySelect", "Select"), 1),
        **dict.fromkeys(("Mutex", "ReadLock", "WriteLock", "WaitGroup", "Cond", "Holding", "FromAlive"), 1),
        "Together": 2,
        "Both": 2,
        "Crossed": 2,
        "Chain": 1,
        "ChainEnd": 1,
    }
)
# By default one of each kind that Go's own programs have. ADDRSPACE_MATRIX=1 runs them all.
ALWAYS = {"Mixed", "Cond", "MutexHeap", "DaisyChain", "Cockroach1055", "Moby30408"}


def leaked(target: object, *more: str, plain: str = "") -> Json:
    command = ("goroutine-stacks", str(target), "--leaked", "--format", "json", *more)
    done = cli(*command, ADDRSPACE_GRAPH_PLAIN=plain)
    assert done.returncode == 0, done.stderr
    document: Json = json.loads(done.stdout)
    jsonschema.validate(document, schema("goroutine-stacks/1"))
    assert not document["problems"]
    return document


def goids(document: Json) -> Set[int]:
    return {row["goid"] for row in document["goroutines"]}


def functions(document: Json) -> Counter[str]:
    """The users' functions, without what they all begin with."""
    found = [re.sub(r"\.func\d+$", "", row["user_function"]) for row in document["goroutines"]]
    assert all(name.startswith("main.leak") for name in found), found
    return Counter(name[len("main.leak") :] for name in found)


def parked(processes: Processes, path: Path, *more: str) -> Process:
    return processes.start([str(path), *more]).wait_ready()


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_nothing_can_wake_is_found_and_nothing_else(
    variant: str, go: Toolchain, build_program: Builder, processes: Processes
) -> None:
    live = parked(processes, build_program("leaked", go, variant).path)
    document = leaked(live.pid)
    assert functions(document) == LEAKS
    assert live.running()
    said = document["leaked"]
    assert said["goroutines"] == said["listed"] == sum(LEAKS.values())
    assert said["blocked"] > said["goroutines"] + 15
    assert all(row["status"] == "leaked" for row in document["goroutines"])
    kept = {row["user_function"]: row["keeps"] for row in document["goroutines"]}
    assert 1 << 20 < kept["main.leakHolding"]["bytes"] < (1 << 20) + 4096
    assert kept["main.leakNilSend"] == {"bytes": 0, "objects": 0}
    assert said["keep"]["bytes"] > sum(one["bytes"] for one in kept.values())  # some they hold together
    assert said["keep"]["stacks"] == sum(row["stack"]["size"] for row in document["goroutines"])


def wrong(held: Held) -> List[str]:
    """What Go's collector finds before and after us, and we do not, or the other way round."""
    before = held.leaked()
    document = leaked(held.process.pid)
    after = held.leaked()
    ours = goids(document)
    missing, more = sorted(before - ours), sorted(ours - after)
    return [f"not found: {missing}, too many: {more}, {document['notes']}"] if missing or more else []


def check(folder: str, name: str, go: Toolchain, processes: Processes) -> None:
    try:
        program = leakprofile.build(go, folder)
    except Unavailable as problem:
        pytest.skip(str(problem))
    held = Held(processes, program, name)
    assert not wrong(held)


def programs(go: Toolchain) -> List[Tuple[str, str]]:
    return [(folder, name) for folder in leakprofile.FOLDERS for name in leakprofile.names(go, folder)]


def test_go_s_own_programs_have_what_its_profile_has(newest_go: Toolchain, processes: Processes) -> None:
    for folder, name in programs(newest_go):
        if name in ALWAYS:
            check(folder, name, newest_go, processes)
            processes.kill_all()
