"""Paths from roots to objects: every step against the memory of the process, and how they read."""

from __future__ import annotations

import json
import os
import random
import re
import signal
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import jsonschema
import pytest
from harness import full_matrix
from harness.build import Builder
from harness.command import cli
from harness.debuggers import Gdb, gdbs
from harness.marks import REACHED, UNREACHED, session_of
from harness.pprof_file import read_pprof
from harness.processes import Process, Processes
from harness.scenes import attach, gcore
from harness.toolchains import Toolchain

from addrspace_gdb.commands.heap_graph import TypedGraph, typed_graph_of
from addrspace_gdb.commands.holding import Finder
from addrspace_gdb.space.graph.holding import Held
from addrspace_gdb.views.documents.schema import schema
from addrspace_gdb.views.holders import chain_words, path_words

EACH_ONCE = True  # not every combination: tests/conftest.py
ALSO_OLD = True

Json = Dict[str, Any]
VARIANTS = ("plain", "stripped")
if full_matrix():
    VARIANTS += ("pie", "cgo", "race", "noopt", "386", "arenas", "nogreenteagc")  # type: ignore[assignment]
OBJECTS = 400 if full_matrix() else 150  # of each program
FIELDS = {  # how the last object before each ends, and what it is reached as
    "chained": r"\*main\.node \.next \(20 times\) → \*main\.node \.value → \*main\.user",
    "ringed": r"\*main\.node \.value → \*main\.user",
    "listed": r"\*main\.list \[4\]\.to → \*main\.user",
    "sliced": r"\[\]main\.list \[2\]\[1\]\.to → \*main\.user",
    "deep": r"\*main\.large \.middle\.text → \*main\.user",
    "valued": r"map\[string\]\*main\.user \[value\] → \*main\.user",
    "keyed": r"map\[\*main\.user\]int \[key\] → \*main\.user",
    "sent": r"chan \*main\.user \[0\] → \*main\.user",
    "captured": r"func main\.caught\.func1 (\+\d+|\.\w+) → .*",
    "shared": r"\*main\.request \.body\.who → \*main\.user",
}
VARIABLES = {  # with debug information
    "in state": "main.state.table[3] -> *main.user",
    "in app": "main.app.users -> map[string]*main.user [value] -> *main.user",
    "deep in app": "main.app.first.deep[1] -> *main.user",
}


@pytest.fixture
def frozen(processes: Processes) -> Any:
    """Starts a program that stands still once it is ready."""

    def start(path: object) -> Process:
        live = processes.start([str(path)]).wait_ready()
        os.kill(live.pid, signal.SIGSTOP)
        return live

    return start


def objects(live: Process) -> Dict[str, int]:
    """Where the program says that its objects are."""
    text = live.output["stdout"].decode()
    return {name: int(at, 16) for name, at in re.findall(r"^object (.+) (0x[0-9a-f]+)$", text, re.MULTILINE)}


def holders(target: object, report: str, *options: str, plain: str = "") -> Json:
    done = cli(
        "dump", str(target), "--format", "json", "--report", report, *options, ADDRSPACE_GRAPH_PLAIN=plain
    )
    assert done.returncode == 0, done.stderr
    document: Json = json.loads(done.stdout)
    jsonschema.validate(document, schema("holders/1"))
    assert not document["problems"]
    return document


class Memory:
    """The memory of a process that stands still."""

    def __init__(self, pid: int, word: int) -> None:
        self._file = open(f"/proc/{pid}/mem", "rb", buffering=0)  # noqa: SIM115
        self._word = word

    def word(self, address: int) -> int:
        """What a pointer there holds."""
        return int.from_bytes(os.pread(self._file.fileno(), self._word, address), "little")

    def check(self, held: Held) -> int:
        """Every step of every path; how many there are."""
        steps = 0
        for path in held.paths:
            first = path.steps[0]
            if path.root.address is not None:
                assert first.address <= self.word(path.root.address) < first.address + first.size, path
            for one, following in zip(path.steps, path.steps[1:]):
                assert one.offset is not None and one.offset + self._word <= one.size
                value = self.word(one.address + one.offset)
                assert following.address <= value < following.address + following.size, (one, following)
                steps += 1
            last = path.steps[-1]
            assert last == held.object and not path.skipped
        return steps


def sampled(graph: TypedGraph) -> Tuple[List[int], List[int]]:
    """Numbers of objects by chance: that are reached, and that are not."""
    states = graph.ask("states").columns["states"][1]
    chance = random.Random(len(states))
    found = []
    for wanted in (REACHED, UNREACHED):
        numbers = [number for number, state in enumerate(states) if state == wanted]
        found.append(sorted(chance.sample(numbers, min(OBJECTS, len(numbers)))))
    return found[0], found[1]


def helds(graph: TypedGraph, numbers: List[int]) -> Iterator[Held]:
    finder = Finder(graph)
    for number in numbers:
        yield finder.held("", 0, number, 4)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_step_is_in_memory(
    variant: str, go: Toolchain, build_program: Builder, processes: Processes
) -> None:
    binary = build_program("kept", go, variant)
    live = processes.start([str(binary.path)]).wait_ready()
    with session_of(live.pid, None, binary.path) as session:
        graph = typed_graph_of(session)
        memory = Memory(live.pid, session.target().pointer_size)
        reached, rest = sampled(graph)
        found = list(helds(graph, reached))
        assert all(held.paths and held.roots for held in found)
        assert sum(memory.check(held) for held in found) > 2 * len(found)
        assert not any(held.paths or held.roots for held in helds(graph, rest))
        assert not graph.problems
        kinds = {path.root.kind for held in found for path in held.paths}
    assert "global" in kinds


@pytest.mark.parametrize("variant", VARIANTS)
def test_fields_are_named_as_in_the_program(
    variant: str, go: Toolchain, build_program: Builder, frozen: Any
) -> None:
    binary = build_program("held", go, variant)
    live = frozen(binary.path)
    places = objects(live)
    with session_of(live.pid, None, binary.path) as session:
        graph = typed_graph_of(session)
        memory = Memory(live.pid, session.target().pointer_size)
        finder = Finder(graph)
        nodes = graph.find(list(places.values()))
        found = {name: finder.held(name, at, node, 20) for (name, at), node in zip(places.items(), nodes)}
        assert sum(map(memory.check, found.values())) > 40
        wrong = {}
        for name, pattern in FIELDS.items():
            texts = [" → ".join(chain_words(path)) for path in found[name].paths]
            if not any(re.search(f"(^|→ ){pattern}$", text) for text in texts):
                wrong[name] = texts
        assert not wrong
        if variant != "stripped":
            paths = {name: [path_words(path, 8) for path in found[name].paths] for name in VARIABLES}
            assert paths == {name: [text] for name, text in VARIABLES.items()}
        for name in ("lost", "with it", "opened"):
            assert not found[name].roots and not found[name].paths
        check_finalized(found["finalized"], places["opened"])
        check_goroutines(found["shared"])


def check_finalized(held: Held, opened: int) -> None:
    (path,) = held.paths
    assert (path.root.kind, path.root.address) == ("finalizers", None)
    assert [one.address for one in path.steps] == [opened, held.object.address]


def check_goroutines(held: Held) -> None:
    (path,) = [one for one in held.paths if one.root.name == "main.serve"]
    assert path.many == 5 and path.root.exact
    assert path.root.started is not None and path.root.started.startswith("main.main.")  # its go statement
    assert path.root.address is not None and len(path.steps) == 2


def test_text_says_it_in_gos_words(newest_go: Toolchain, build_program: Builder, frozen: Any) -> None:
    live = frozen(build_program("held", newest_go).path)
    places = objects(live)
    asked = [hex(places["shared"]), hex(places["inside"] + 40), hex(places["lost"])]
    shared, inside, lost = cli("holders", str(live.pid), *asked, "--width", "200").stdout.split("\n\n")
    assert "is held by 6 roots:" in shared
    assert "\n  5 goroutines main.serve local req → *main.request .body.who → *main.user" in shared
    assert ", 40 bytes into 0x" in inside and "is held by 1 root:\n  main.inside → " in inside
    sentence = "is held by nothing: no root leads to it, and the collector will free it."
    assert " ".join(lost.split()).endswith(sentence)
    narrow = cli("holders", str(live.pid), hex(places["deep"]), "--width", "40", "--ascii").stdout
    assert max(
        map(len, narrow.splitlines())
    ) <= 40 and "-> *main.large .middle.text -> *main.user" in " ".join(narrow.split())


def test_whereis_says_what_an_object_is_and_who_holds_it(
    newest_go: Toolchain, build_program: Builder, frozen: Any
) -> None:
    live = frozen(build_program("held", newest_go).path)
    places = objects(live)
    deep, lost = hex(places["deep"] + 8), hex(places["lost"])
    text = " ".join(cli("whereis", str(live.pid), "--graph", deep, lost, "--width", "200").stdout.split())
    assert "type main.user, by the pointers that lead to it held by main.kept" in text
    assert "→ *main.large .middle.text → *main.user" in text
    assert "held by nothing: no root leads to it, and the collector will free it" in text
    document = json.loads(cli("whereis", str(live.pid), "--graph", deep, lost, "--format", "json").stdout)
    jsonschema.validate(document, schema("whereis/1"))
    first, second = document["places"]
    assert first["holders"]["type"] == "main.user" and len(first["holders"]["paths"]) == 1
    assert (second["holders"]["roots"], second["holders"]["paths"]) == (0, [])
    plain = json.loads(cli("whereis", str(live.pid), deep, "--format", "json").stdout)
    assert "holders" not in plain["places"][0]


def test_a_profile_of_what_is_kept(
    newest_go: Toolchain, build_program: Builder, frozen: Any, tmp_path: Path
) -> None:
    live = frozen(build_program("held", newest_go).path)
    kept = json.loads(cli("retained", str(live.pid), "--format", "json").stdout)
    file = tmp_path / "retained.pb.gz"
    assert cli("profile", "retained", str(live.pid), "-o", str(file)).returncode == 0
    profile = read_pprof(file)
    assert profile.default == "retained_space"
    stacks = [[location[2][0][0] for location in one.stack] for one in profile.samples]
    for value, what in enumerate(("objects", "bytes")):
        numbers = [one.values[value] for one in profile.samples]
        assert sum(numbers) == kept["totals"]["reached"][what]
        below = sum(number for stack, number in zip(stacks, numbers) if stack[-1] == "main.kept")
        (row,) = [one for one in kept["retained"] if one["root"] == "main.kept"]
        assert below == row[what]
    assert any(stack[:2] == ["main.user", "main.node"] for stack in stacks)


def test_rss_says_who_keeps_most_alive(
    newest_go: Toolchain, build_program: Builder, processes: Processes
) -> None:
    live = processes.start([str(build_program("held", newest_go).path), "large"]).wait_ready()
    document = json.loads(cli("rss", str(live.pid), "--graph", "--format", "json").stdout)
    jsonschema.validate(document, schema("rss/1"))
    (kept,) = [one for one in document["findings"] if one["kind"] == "kept"]
    assert kept["bytes"] >= 64 << 20
    assert " is kept alive by main.hoard ([][]uint8) alone, 65 objects; " in kept["sentence"]
    plain = json.loads(cli("rss", str(live.pid), "--format", "json").stdout)
    assert "kept" not in [one["kind"] for one in plain["findings"]]


def test_what_only_several_roots_hold_is_named_with_the_next_step(
    newest_go: Toolchain, build_program: Builder, processes: Processes
) -> None:
    live = processes.start([str(build_program("held", newest_go).path), "together"]).wait_ready()
    os.kill(live.pid, signal.SIGSTOP)
    text = cli("retained", str(live.pid)).stdout
    verdict, *rest = text.split("\n\n")
    said = re.fullmatch(
        r"No single root keeps a tenth of the 64\.\d MiB that are reachable; several roots together hold "
        r"main\.ledger, which keeps 64\.0 MiB \(9\d\.\d%\): "
        r"`addrspace-gdb holders (\d+) (0x[0-9a-f]+)` says which roots\.",
        " ".join(verdict.split()),
    )
    assert said and said[1] == str(live.pid), verdict
    assert re.search(rf"64\.0 MiB.* 66  · {said[2]}  main\.ledger\n", rest[0]), rest[0]
    roots = cli("holders", str(live.pid), said[2]).stdout
    assert "main.first" in roots and "main.second" in roots and "goroutine" in roots
    report = json.loads(cli("rss", str(live.pid), "--graph", "--format", "json").stdout)
    (kept,) = [one for one in report["findings"] if one["kind"] == "kept"]
    assert " is kept alive by main.ledger, which several roots hold, 66 objects; " in kept["sentence"]
    assert f"`addrspace holders {int(said[2], 16):#x}`" in kept["sentence"]


def test_nonsense_is_refused_in_one_line(newest_go: Toolchain, build_program: Builder, frozen: Any) -> None:
    live = frozen(build_program("held", newest_go).path)
    for words, why in (
        (["0x10"], "addrspace-gdb: 0x10 is not an object of the heap"),
        ([], "missing EXPR"),
        (["0xc000000000", "--limit", "x"], "'x' is not a number"),
    ):
        done = cli("holders", str(live.pid), *words)
        assert done.returncode in (1, 2) and why in done.stderr and "Traceback" not in done.stderr


def test_gdb_says_the_same(newest_go: Toolchain, build_program: Builder, frozen: Any, gdb_exe: Gdb) -> None:
    live = frozen(build_program("held", newest_go).path)
    report = report_of(live)
    ours = holders(live.pid, report, "--debugger", "none")
    assert len(ours["objects"]) == len(objects(live))
    assert ours == holders(live.pid, report, "--gdb", str(gdb_exe.path))


def report_of(live: Process) -> str:
    """The command that asks for every object."""
    return " ".join(["holders", *map(hex, objects(live).values())])


def test_cores_and_plain_python_say_the_same(
    newest_go: Toolchain, build_program: Builder, frozen: Any, tmp_path: Path
) -> None:
    binary = build_program("held", newest_go)
    live = frozen(binary.path)
    core = tmp_path / "core"
    gcore(gdbs()[0], attach(live, binary), core)
    report = report_of(live)
    ours = holders(core, report)["objects"]
    assert ours == holders(live.pid, report, plain="1")["objects"]
    few = holders(core, f"{report} --limit 1")["objects"]
    assert all(len(one["paths"]) <= 1 for one in few)
    assert all(len(one["paths"]) + one["more"] >= len(all_["paths"]) for one, all_ in zip(few, ours))


def test_parts_of_variables_and_of_types_that_only_debug_information_knows(
    newest_go: Toolchain, build_program: Builder, frozen: Any
) -> None:
    live = frozen(build_program("fifty", newest_go).path)
    kept = json.loads(cli("retained", str(live.pid), "&'main.world3'", "--format", "json").stdout)
    fields = set()
    for child in kept["retained"][0]["children"]:
        said = json.loads(cli("holders", str(live.pid), child["address"], "--format", "json").stdout)
        jsonschema.validate(said, schema("holders/1"))
        fields.add(said["objects"][0]["paths"][0]["root"]["field"])
    names = [
        ".leaves",
        ".list",
        ".tree",
        ".entries",
        ".items",
        ".grid.at",
        ".named",
        ".single",
        ".inner",
        ".boxes",
    ]
    assert fields <= {*names, *(f".pairs[{number}]" for number in range(7))} and len(fields) > 2, fields
