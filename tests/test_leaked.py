"""`goroutine-stacks --leaked`: what can never run again, and equal to Go's own profile where it has one."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any, Collection, Dict, List, Set

import jsonschema
import pytest
from harness import full_matrix, leakprofile
from harness.build import Builder
from harness.command import assert_refused, cli
from harness.debuggers import Gdb
from harness.gdbrun import Scene, run_gdb
from harness.held import stop
from harness.leakprofile import Held, leaked_in
from harness.processes import Process, Processes
from harness.scenes import attach, gcore
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
ALWAYS = ("Mixed", "Cockroach1055", "Moby30408")


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


@pytest.mark.parametrize("variant", ["plain", "stripped"] if full_matrix() else ["stripped"])
def test_a_core_says_the_same(
    variant: str, go: Toolchain, build_program: Builder, processes: Processes, gdb_exe: Gdb, tmp_path: Path
) -> None:
    binary = build_program("leaked", go, variant)
    live = stop(parked(processes, binary.path))
    core = tmp_path / "core"
    gcore(gdb_exe, attach(live, binary), core)
    of_core = leaked(core, "--exe", str(binary.path))
    assert functions(of_core) == LEAKS
    of_process = leaked(live.pid)
    assert of_core["leaked"] == of_process["leaked"]
    assert goids(of_core) == goids(of_process)


def test_gdb_says_the_same_and_again_in_one_session(
    newest_go: Toolchain, build_program: Builder, processes: Processes, gdb_exe: Gdb, tmp_path: Path
) -> None:
    binary, found = build_program("leaked", newest_go), tmp_path / "leaked.json"
    live = stop(parked(processes, binary.path))
    ours = leaked(live.pid, "--frames", "--debugger", "none")
    lines = [
        f"goroutine-stacks --leaked --format json --frames --output {found}",
        "goroutine-stacks --leaked --function leakHolding",
        "goroutine-stacks --leaked --limit 1",
        "goroutine-stacks --status leaked",
    ]
    run = run_gdb(gdb_exe, lines, attach(live, binary), load=True)
    theirs: Json = json.loads(found.read_text())
    for one in (ours, theirs):
        for row in one["goroutines"]:
            assert row["stack"]["used"] and "wait_time" in row
            del row["wait_time"]  # by the clock
    assert ours == theirs
    many, said = sum(LEAKS.values()), run.stdout + run.stderr
    assert f"1 of {many} goroutines can never run again; it keeps 1.0 MiB of the heap" in run.stdout, said
    assert f"\n{many} goroutines can never run again; they keep 1.0 MiB of the heap" in run.stdout
    assert 'no goroutine has the status or wait reason "leaked"' in run.stderr  # the collector found none


def test_what_a_system_call_left_in_registers_is_no_root(
    newest_go: Toolchain, build_program: Builder, gdb_exe: Gdb, tmp_path: Path
) -> None:
    """Of the goroutine that says "ready": Go has no register that a callee must keep."""
    binary, heap, found = build_program("leaked", newest_go), tmp_path / "heap.json", tmp_path / "leaked.json"
    enter = ["catch syscall write", "condition 1 $rdi == 1", "run </dev/null >/dev/null"]
    lines = [
        f"addrspace heap --format json --output {heap}",
        f"python large = json.load(open({str(heap)!r}))['large']",
        "python gdb.execute('set $r12 = ' + [one['address'] for one in large if one['size'] == 1 << 20][0])",
        f"goroutine-stacks --leaked --function leakHolding --format json --output {found}",
        "goroutine-stacks 1",
        'printf "r12 is %p\\n", $r12',
    ]
    run = run_gdb(
        gdb_exe, ["python import json", *lines], Scene("live", binary.path, enter, ("kill",)), load=True
    )
    (block,) = (one for one in json.loads(heap.read_text())["large"] if one["size"] == 1 << 20)
    assert f"r12 is {block['address']}\n" in run.stdout
    assert re.search(r"\bgoroutine 1 .*\bsyscall\b", run.stdout), run.stdout
    (held,) = json.loads(found.read_text())["goroutines"]
    assert held["keeps"]["bytes"] >= 1 << 20


def test_text_begins_with_the_verdict(
    newest_go: Toolchain, build_program: Builder, processes: Processes
) -> None:
    live = parked(processes, build_program("leaked", newest_go).path)

    def said(*options: str) -> str:
        command = ("goroutine-stacks", str(live.pid), "--leaked", *options)
        done = cli(*command, ADDRSPACE_GRAPH_PLAIN="1")
        assert done.returncode == 0, done.stderr
        return done.stdout

    many = sum(LEAKS.values())
    text = said("--width", "100")
    assert text.startswith(f"{many} goroutines can never run again; they keep 1.0 MiB of the heap and ")
    assert "Nothing that can run leads to what they wait for." in text
    assert re.search(r" chan receive .* 1\.0 MiB  main\.leakHolding ", text)
    stacks = said("--group", "stack", "--limit", "all")
    together = r"\n2 goroutines .* \[sync\.Cond\.Wait \(leaked\)\]\n  keeps \d+ B of the heap; .*\n(?:.+\n)+"
    found = re.search(together, stacks)
    assert found and "main.leakTogether " in found.group()
    assert all(len(line) <= 72 for line in said("--width", "72").splitlines())
    one = said("--function", "leakHolding", "--frames")
    assert one.startswith(f"1 of {many} goroutines can never run again; it keeps 1.0 MiB of the heap")
    assert "goroutine" in one and "leaked/main.go" in one
    done = cli("goroutine-stacks", str(live.pid), "--leaked", "--function", "liveGlobal")
    assert_refused(done, f"none of {many} leaked goroutines matches")
    done = cli("goroutine-stacks", str(live.pid), "--leaked", "--by-frame")
    assert_refused(done, "goroutine-stacks: --leaked and --by-frame exclude each other")
    assert live.running()


def test_where_nothing_is_leaked_that_is_said(
    newest_go: Toolchain, build_program: Builder, processes: Processes, oracle_file: Path
) -> None:
    live = parked(processes, build_program("parked", newest_go).path, str(oracle_file), "64")
    text = cli("goroutine-stacks", str(live.pid), "--leaked", ADDRSPACE_GRAPH_PLAIN="1").stdout
    assert " ".join(text.split()).startswith("No goroutine is leaked: each of the ")
    document = leaked(live.pid, plain="1")
    assert document["goroutines"] == [] and document["leaked"]["blocked"] >= 60
    assert document["leaked"]["keep"] == {"bytes": 0, "objects": 0, "stacks": 0}


def test_go_s_own_profile_of_our_program_is_the_same_and_so_is_ours_without_numba(
    newest_go: Toolchain, build_program: Builder, processes: Processes
) -> None:
    live = parked(processes, build_program("leaked", newest_go).path, "profile")
    text = live.output["stdout"].decode()
    found = goids(leaked(live.pid, plain="1"))
    assert found == leaked_in(text) and len(found) == sum(LEAKS.values())


def wrong(held: Held) -> List[str]:
    """What Go's collector found before and we do not, and what we find and it does not afterwards: leaks may
    come while the program runs, but none goes."""
    before = held.leaked()
    document = leaked(held.process.pid, plain="" if full_matrix() else "1")
    after = held.leaked()
    ours = goids(document)
    missing, more = sorted(before - ours), sorted(ours - after)
    return [f"not found: {missing}, too many: {more}, {document['notes']}"] if missing or more else []


def compare_programs(go: Toolchain, processes: Processes, only: Collection[str] = ()) -> None:
    """Those programs of Go's own, or all."""
    differ: Dict[str, List[str]] = {}
    for folder in leakprofile.FOLDERS:
        for name in leakprofile.names(go, folder):
            if not only or name in only:
                found = wrong(Held(processes, leakprofile.build(go, folder), name))
                processes.kill_all()
                differ.update({name: found} if found else {})
    assert not differ


def test_of_go_s_own_programs_we_find_what_its_collector_finds(
    newest_go: Toolchain, processes: Processes
) -> None:
    compare_programs(newest_go, processes, ALWAYS)


@pytest.mark.matrix
def test_of_all_of_go_s_own_programs_we_find_what_its_collector_finds(
    go: Toolchain, processes: Processes
) -> None:
    try:
        compare_programs(go, processes)
    except Unavailable as problem:
        pytest.skip(str(problem))
