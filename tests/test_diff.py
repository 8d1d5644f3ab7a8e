"""`addrspace snapshot` and `addrspace diff` on a program that does a known amount of everything between two
stops; the oracle is the program's own account, runtime.MemStats, Go's goroutine dumps and smaps at both."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Tuple

import jsonschema
import pytest
from harness import full_matrix
from harness.build import Binary, Builder, build
from harness.command import cli
from harness.debuggers import Gdb, gdbs
from harness.dumps import goroutine_dump_parse
from harness.gdbrun import Scene, run_gdb
from harness.oracles import dump_command, memstats_command, read_memstats
from harness.processes import Processes
from harness.smaps import parse_smaps
from harness.toolchains import NEWEST, OLDEST, PINNED, Unavailable, toolchain

from addrspace_gdb.views.documents.schema import schema

EACH_ONCE = True  # not every combination: tests/conftest.py

VERSIONS = PINNED if full_matrix() else (OLDEST, "1.26.6", NEWEST)
BORN, DYING, OBJECTS = 7, 4, 3000  # constants of the program
GLOBALS = (
    *("Came", "CameSize", "CameTouched", "Went", "WentSize", "Changed", "ChangedSize"),
    *("DeepBefore", "DeepAfter"),
)
SMAPS = "python open({!r}, 'wb').write(open(f'/proc/{{gdb.selected_inferior().pid}}/smaps', 'rb').read())"
TOLD = """python exec({!r})"""
TELL = """
import json
told = {{name: int(gdb.parse_and_eval("'main.%s'" % name)) for name in {!r}}}
with open({!r}, "w") as file:
    json.dump(told, file)
"""
COUNT_READINGS = """
import addrspace_gdb.space.reading.whole as side
count, plain = [0], side.read
def counting(*arguments):
    count[0] += 1
    return plain(*arguments)
side.read = counting
"""


def tried(command: str) -> str:
    """A gdb command whose error is printed and ends nothing."""
    code = f"import gdb\ntry:\n gdb.execute({command!r})\nexcept gdb.error as error:\n"
    code += " gdb.write('ERROR ' + str(error) + '\\n')"
    return f"python exec({code!r})"


def marked(*commands: str) -> List[str]:
    return [line for command in commands for line in ("echo \\n=====\\n", tried(command))]


def scene(binary: Binary) -> Scene:
    enter = ["handle SIGSEGV nostop noprint pass", "set environment GODEBUG asyncpreemptoff=1"]
    enter += ["break main.breakpoint", "run </dev/null >/dev/null"]
    return Scene("live", binary.path, enter, ("kill",))


class Run(NamedTuple):
    """What a session with the program `moments` left behind."""

    folder: Path
    answers: List[str]
    binary: Binary

    def json(self, name: str) -> Dict[str, Any]:
        document: Dict[str, Any] = json.loads((self.folder / name).read_text())
        return document


def stop(folder: Path, number: int) -> List[str]:
    """Take the oracles of a stop; smaps last, just before what is tested reads."""
    return [
        memstats_command(folder / f"memstats{number}"),
        dump_command(folder / f"dump{number}"),
        TOLD.format(TELL.format(GLOBALS, str(folder / f"told{number}"))),
        SMAPS.format(str(folder / f"smaps{number}")),
    ]


def session(gdb: Gdb, version: str, folder: Path, cores: bool) -> Run:
    try:
        binary = build("moments", toolchain(version))
    except Unavailable as problem:
        pytest.skip(str(problem))
    core = [f"generate-core-file {folder}/core{{}}"] if cores else []
    commands = [
        *stop(folder, 1),
        *marked("addrspace snapshot before"),
        *marked(f"addrspace --format json --output {folder}/one.json"),
        tried(f"addrspace --format json --stacks --output {folder}/one-stacks.json"),
        *(line.format(1) for line in core),
        "continue",
        *stop(folder, 2),
        *marked(
            f"addrspace diff before --format json --output {folder}/diff.json",
            f"addrspace --format json --output {folder}/two.json",
            f"addrspace --format json --stacks --output {folder}/two-stacks.json",
            "addrspace diff",
            "addrspace diff before --limit 2",
            "addrspace snapshot after",
            "addrspace snapshot",
            f"addrspace snapshot --format json --output {folder}/snapshots.json",
            f"addrspace diff {folder}/one.json now --format json --output {folder}/from-file.json",
        ),
        *(line.format(2) for line in core),
        "continue",
        *marked(f"addrspace diff --format json --output {folder}/nothing.json", "addrspace diff"),
        *marked(f"addrspace diff before after --format json --output {folder}/again.json"),
    ]
    done = run_gdb(gdb, commands, scene(binary), load=True)
    assert "Traceback" not in done.stdout + done.stderr, done.stderr[-3000:]
    return Run(folder, done.stdout.split("\n=====\n")[1:], binary)


@pytest.fixture(scope="module", params=VERSIONS, ids=lambda version: f"go{version}")
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A session on each Go version, with each gdb in turn."""
    if not gdbs():
        pytest.skip("no gdb")
    chosen = gdbs()[VERSIONS.index(request.param) % len(gdbs())]
    folder = tmp_path_factory.mktemp("moments")
    yield session(chosen, request.param, folder, request.param == NEWEST)
    for core in folder.glob("core?"):  # a gigabyte each
        core.unlink()


def test_documents_are_what_their_schemas_say(run: Run) -> None:
    for name in ("diff.json", "nothing.json", "again.json", "from-file.json"):
        jsonschema.validate(run.json(name), schema("diff/1"))
    jsonschema.validate(run.json("snapshots.json"), schema("snapshots/1"))
    for name in ("one.json", "two.json", "one-stacks.json", "two-stacks.json"):
        jsonschema.validate(run.json(name), schema("addrspace/1"))
    assert not any(run.json(name)["problems"] for name in ("diff.json", "nothing.json"))


def test_sizes_and_resident_bytes_are_those_of_smaps(run: Run) -> None:
    total = run.json("diff.json")["total"]
    for side, number in (("before", 1), ("after", 2)):
        mappings = parse_smaps((run.folder / f"smaps{number}").read_bytes())
        assert total[side]["size"] == sum(m.end - m.start for m in mappings)
        assert total[side]["resident"] == sum(m.rss for m in mappings)
    assert total["size_change"] == total["after"]["size"] - total["before"]["size"] != 0


def test_parts_add_up_and_flows_explain_every_growth(run: Run) -> None:
    diff = run.json("diff.json")
    for field in ("size_change", "resident_change"):
        assert sum(kind[field] for kind in diff["kinds"]) == diff["total"][field]
        for area in diff["areas"]:
            parts = [kind[field] for kind in diff["kinds"] if kind["area"] == area["area"]]
            assert sum(parts) == area[field]
    for kind in diff["kinds"]:
        own = {"area": kind["area"], "kind": kind["kind"]}
        came = sum(flow["bytes"] for flow in diff["flows"] if flow["after"] == own)
        went = sum(flow["bytes"] for flow in diff["flows"] if flow["before"] == own)
        assert came - went == kind["size_change"], own


def test_what_was_mapped_and_unmapped(run: Run) -> None:
    told, diff = json.loads((run.folder / "told2").read_text()), run.json("diff.json")
    found = {}
    for entry in diff["ranges"]:
        found[entry["change"], int(entry["start"], 16), entry["size"]] = entry
    came = found["came", told["Came"], told["CameSize"]]
    assert came["after"]["area"] == "foreign" and came["before"] is None
    assert came["resident_after"] == told["CameTouched"]
    # Whole, but for what the runtime may have mapped into the hole since.
    first, end = told["Went"], told["Went"] + told["WentSize"]
    hole = [key for key in found if first <= key[1] < end]
    assert sum(size for _, _, size in hole) == told["WentSize"]
    for key in hole:
        entry = found.pop(key)
        assert entry["before"]["area"] == "foreign"
        assert (key[0], entry["after"]) == ("went", None) or entry["after"]["area"] != "foreign"
    became = found["became", told["Changed"], told["ChangedSize"] // 2]
    assert (became["before"]["permissions"], became["after"]["permissions"]) == ("rw-p", "r--p")
    others = [key for key, entry in found.items() if "foreign" in str(entry["after"] or entry["before"])]
    assert len(others) == 2


def test_objects_by_class_are_those_of_memstats(run: Run) -> None:
    one, two = (read_memstats(run.folder / f"memstats{n}") for n in (1, 2))
    live = [{e["Size"]: e["Mallocs"] - e["Frees"] for e in side["BySize"]} for side in (one, two)]
    expected = {size: live[1][size] - live[0][size] for size in live[0] if live[1][size] != live[0][size]}
    ours: Counter[int] = Counter()
    for entry in run.json("diff.json")["spans"]:
        if entry["size"] is not None:
            ours[entry["size"]] += entry["objects"]["change"]
    (huge,) = [e for e in run.json("diff.json")["spans"] if e["size"] is None and e["noscan"]]
    assert [huge[name]["change"] for name in ("spans", "bytes", "objects")] == [1, 8 << 20, 1]
    assert {size: change for size, change in ours.items() if change} == expected
    assert expected[1152] == OBJECTS
    (large,) = [e for e in run.json("diff.json")["spans"] if e["size"] == 1152 and e["noscan"]]
    assert large["objects"]["change"] == OBJECTS
    assert (
        sum(e["bytes"]["change"] for e in run.json("diff.json")["spans"])
        == two["HeapInuse"] - one["HeapInuse"]
    )


def test_the_heap_grew_upward_by_what_memstats_say(run: Run) -> None:
    one, two = (read_memstats(run.folder / f"memstats{n}") for n in (1, 2))
    heap = run.json("diff.json")["heap"]
    grown = sum(two[name] - one[name] for name in ("HeapSys", "StackSys"))
    assert heap["grown_upward"] == grown > 0
    assert int(heap["top_after"], 16) - int(heap["top_before"], 16) == grown


def test_goroutines_are_those_of_the_dumps(run: Run) -> None:
    sides = [goroutine_dump_parse((run.folder / f"dump{n}").read_text()) for n in (1, 2)]
    before, after = ({g.goid for g in side} for side in sides)
    changes = run.json("diff.json")["goroutines"]
    assert changes["born"] == sorted(after - before) and len(changes["born"]) == BORN
    assert changes["gone"] == sorted(before - after) and len(changes["gone"]) == DYING
    groups = {(g["function"], g["born"], g["gone"]): g for g in changes["groups"]}
    born = groups["main.born", BORN, 0]
    assert (born["before"], born["after"]) == (0, BORN)
    assert born["born_goids"] == changes["born"][:5] and born["frames"][-1].startswith("main.born ")
    dying = groups["main.dying", 0, DYING]
    assert (dying["before"], dying["after"]) == (DYING, 0)
    assert not any(g["function"] == "main.staying" for g in changes["groups"])


def test_a_stack_that_was_copied(run: Run) -> None:
    told = json.loads((run.folder / "told2").read_text())
    changes = run.json("diff.json")["goroutines"]
    (deep,) = [move for move in changes["moved"] if move["function"] == "main.descend"]
    was, now = (range(int(deep[side]["lo"], 16), int(deep[side]["hi"], 16)) for side in ("before", "after"))
    assert told["DeepBefore"] in was and told["DeepAfter"] in now
    assert len(now) > len(was) and not {was.start, was.stop - 1} & set(now)
    dump = goroutine_dump_parse((run.folder / "dump2").read_text())
    assert [g.goid for g in dump if any(f.function == "main.deep" for f in g.frames)] == [deep["goid"]]
    (group,) = [g for g in changes["groups"] if g["function"] == "main.descend"]
    assert group["grown"] == 1 and group["stack_bytes_after"] == len(now)


def test_text_says_the_same_in_100_columns(run: Run) -> None:
    text = run.answers[5]
    assert max(map(len, text.splitlines())) <= 100
    assert text.startswith("last → now")
    for expected in (
        "(7 born, 4 gone)",
        "↑ grew upward",
        "the heap ended here",
        "Regions that came, went or changed",
        "anonymous memory r--p, was rw-p",
        "Stacks that were copied to another address",
    ):
        assert expected in text, expected
    (row,) = [line for line in text.splitlines() if line.lstrip().startswith("1,152 B")]
    assert "+3,000" in row and row.endswith("noscan")
    assert "more rows: --limit all" in run.answers[6]


def test_snapshots_are_listed(run: Run) -> None:
    assert run.answers[0].startswith("snapshot before: ")
    listed = run.answers[8].splitlines()
    assert [line.split()[0] for line in listed if line] == ["Name", "before", "after"]
    document = run.json("snapshots.json")["snapshots"]
    assert [one["name"] for one in document] == ["before", "after"]
    assert all(0 < one["bytes_kept"] < 64 << 10 for one in document)


def test_without_arguments_it_is_since_the_last_stop(run: Run) -> None:
    diff = run.json("nothing.json")
    assert (diff["before"]["name"], diff["after"]["name"]) == ("last", "now")
    assert diff["total"]["size_change"] == 0 and not diff["ranges"]
    assert not diff["goroutines"]["born"] and not diff["goroutines"]["gone"]
    assert run.answers[-2].startswith("last → now")
    assert "main.born" not in run.answers[-2]


def test_two_snapshots_say_later_what_they_said_then(run: Run) -> None:
    then, later = run.json("diff.json"), run.json("again.json")
    for name in ("total", "areas", "kinds", "ranges", "flows", "heap", "spans", "goroutines"):
        assert then[name] == later[name], name


def assert_as_live(diff: Dict[str, Any], live: Dict[str, Any], resident: bool) -> None:
    """A difference of dumps says what the live one says, less what dumps do not have."""
    for name in ("areas", "kinds"):
        for ours, theirs in zip(diff[name], live[name]):
            assert ours["area"] == theirs["area"] and ours["size_change"] == theirs["size_change"]
            if resident and ours["area"] != "code":
                assert ours["before"]["resident"] is not None
    for ours, theirs in zip(diff["ranges"], live["ranges"]):
        assert [ours[n] for n in ("start", "end", "change")] == [
            theirs[n] for n in ("start", "end", "change")
        ]
    assert diff["heap"] == live["heap"] and diff["spans"] == live["spans"]
    for name in ("born", "gone"):
        assert diff["goroutines"][name] == live["goroutines"][name]
    places: List[List[Tuple[Any, ...]]] = [
        [(m["goid"], m["before"], m["after"]) for m in side["goroutines"]["moved"]] for side in (diff, live)
    ]
    assert places[0] == places[1]


def test_dumps_are_compared_from_the_shell(run: Run) -> None:
    one, two = str(run.folder / "one.json"), str(run.folder / "two.json")
    done = cli("diff", one, two, "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    diff = json.loads(done.stdout)
    jsonschema.validate(diff, schema("diff/1"))
    assert_as_live(diff, run.json("diff.json"), True)
    assert diff["goroutines"]["groups"] is None and any("frames are not in" in t for t in diff["lacking"])
    text = cli("diff", one, two, "--width", "100")
    assert text.returncode == 0 and "7 goroutines born  goid " in text.stdout
    assert max(map(len, text.stdout.splitlines())) <= 100
    assert_dumps_with_stacks(run)
    mixed = run.json("from-file.json")
    assert mixed["before"]["origin"] == "dump" and mixed["after"]["origin"] == "snapshot"
    assert_as_live(mixed, run.json("diff.json"), True)


def assert_dumps_with_stacks(run: Run) -> None:
    """With --stacks a dump has all that a snapshot has of goroutines."""
    done = cli("diff", *(str(run.folder / f"{n}-stacks.json") for n in ("one", "two")), "--format", "json")
    assert done.returncode == 0, done.stderr
    diff = json.loads(done.stdout)
    assert not diff["lacking"]
    for name in ("born", "gone", "groups", "moved"):
        assert diff["goroutines"][name] == run.json("diff.json")["goroutines"][name], name


def test_cores_of_two_moments(run: Run) -> None:
    if not (run.folder / "core1").exists():
        pytest.skip("cores are made with the newest Go only")
    cores = Scene("core", run.binary.path, [f"core-file {run.folder}/core1"])
    out = run.folder / "cores.json"
    commands = [
        tried("addrspace snapshot one"),
        tried(f"addrspace --format json --output {run.folder}/core1.json"),
        f"core-file {run.folder}/core2",
        tried(f"addrspace --format json --output {run.folder}/core2.json"),
        tried(f"addrspace diff one --format json --output {out}"),
        tried("addrspace diff one"),
    ]
    done = run_gdb(gdbs()[0], commands, cores, load=True)
    assert out.exists(), done.stdout[-2000:] + done.stderr[-2000:]
    diff, live = json.loads(out.read_text()), run.json("diff.json")
    jsonschema.validate(diff, schema("diff/1"))
    assert_as_cores(diff, live)
    assert [g for g in diff["goroutines"]["groups"] if g["born"] or g["gone"]] == [
        g for g in live["goroutines"]["groups"] if g["born"] or g["gone"]
    ]
    assert "resident ? ?" in done.stdout
    shell = cli("diff", f"{run.folder}/core1.json", f"{run.folder}/core2.json", "--format", "json")
    assert shell.returncode == 0, shell.stderr
    assert_as_cores(json.loads(shell.stdout), live)


def assert_as_cores(diff: Dict[str, Any], live: Dict[str, Any]) -> None:
    assert diff["total"]["resident_change"] is None and diff["same_process"]
    assert diff["heap"] == live["heap"] and diff["spans"] == live["spans"]
    for name in ("born", "gone"):
        assert diff["goroutines"][name] == live["goroutines"][name]
    ranges = {(e["change"], e["start"], e["end"]) for e in diff["ranges"] if "foreign" in str(e)}
    theirs = {(e["change"], e["start"], e["end"]) for e in live["ranges"] if "foreign" in str(e)}
    assert ranges == theirs


@pytest.fixture
def moments(build_program: Builder, newest_go: Any) -> Scene:
    """The program at its first stop."""
    return scene(build_program("moments", newest_go))


def test_nothing_is_read_at_stops_where_nothing_was_asked(gdb_exe: Gdb, moments: Scene) -> None:
    commands = [
        f"python exec({COUNT_READINGS!r})",
        "continue",
        "python print('readings', count[0])",
        *marked("addrspace diff"),
        "continue",
        "python print('readings', count[0])",
        *marked("addrspace diff", "addrspace diff", "python print('readings', count[0])"),
    ]
    done = run_gdb(gdb_exe, commands, moments, load=True)
    answers = done.stdout.split("\n=====\n")
    assert "readings 0" in answers[0]
    assert "this one is now the baseline" in answers[1] and "readings 1" in answers[1]
    assert answers[2].startswith("last → now") and answers[3].startswith("last → now")
    assert "readings 2" in answers[4], "the same stop is read once"


def test_every_stop_until_it_is_off(gdb_exe: Gdb, moments: Scene) -> None:
    commands = [
        *marked("addrspace diff --every"),
        "continue",
        *marked("addrspace diff --every off", "addrspace diff --every off", "continue"),
    ]
    done = run_gdb(gdb_exe, commands, moments, load=True)
    first, off, again, rest = done.stdout.split("\n=====\n")[1:]
    assert first.startswith("at each stop: what has changed since baseline")
    assert "baseline → now" in first and "(7 born, 4 gone)" in first
    assert "not" not in off.split("\n")[0] or "no difference is shown at stops any more" in off
    assert "it was off already" in again
    assert "baseline → now" not in rest and "hit Breakpoint" in rest


def test_every_stop_since_the_stop_before(gdb_exe: Gdb, moments: Scene) -> None:
    done = run_gdb(
        gdb_exe, [*marked("addrspace diff last --every"), "continue", "continue"], moments, load=True
    )
    stops = done.stdout.split("last → now")
    assert len(stops) == 3 and "(7 born, 4 gone)" in stops[1] and "(7 born" not in stops[2]


def test_a_process_that_was_started_again_is_another(gdb_exe: Gdb, moments: Scene) -> None:
    commands = [*marked("addrspace snapshot first"), "run </dev/null >/dev/null"]
    commands += marked("addrspace diff", "addrspace diff first")
    done = run_gdb(gdb_exe, commands, moments, load=True)
    _, default, named = done.stdout.split("\n=====\n")[1:]
    assert "this one is now the baseline" in default
    assert "the two moments are of different processes" in named and "born" not in named.splitlines()[1]


BAD = (
    ("addrspace diff nothing", "no snapshot is called 'nothing'; there is none yet"),
    ("addrspace diff last now", "no snapshot was taken at an earlier stop"),
    ("addrspace diff a b c", "give two moments at most"),
    ("addrspace diff --every off x", "takes no moments"),
    ("addrspace diff --every --format json", "goes with no other form"),
    ("addrspace diff --limit x", "is not a number"),
    ("addrspace diff --format json", "there is nothing yet to compare it with"),
    ("addrspace diff /nonexistent.json", "cannot read /nonexistent.json: No such file"),
    ("addrspace diff now --output /nonexistent/x", "no directory"),
    ("addrspace snapshot now", "'now' has a meaning of its own"),
    ("addrspace snapshot 'a b'", "is not a name"),
    ("addrspace snapshot \x1b[31m", "is not a name"),
    ("addrspace snapshot x.json", "is not a name"),
    ("addrspace snapshot a b", "give one name"),
    ("addrspace snapshot --delete x", "no snapshot is called 'x'"),
    ("addrspace compare 1", "give two inferiors or two dumps"),
    ("addrspace compare 1 2", "there is no inferior 2"),
    ("addrspace compare 1 x", "'x' is neither an inferior's number nor *.json"),
    ("addrspace compare 1 1 $nothing+", "cannot evaluate"),
)


def test_bad_input_is_one_line(gdb_exe: Gdb, moments: Scene) -> None:
    done = run_gdb(gdb_exe, marked(*(command for command, _ in BAD)), moments, load=True)
    answers = done.stdout.split("\n=====\n")[1:]
    for answer, (command, expected) in zip(answers, BAD):
        assert answer.startswith("ERROR addrspace: "), (command, answer)
        assert expected in answer and len(answer.strip().splitlines()) == 1, (command, answer)
        assert "\x1b" not in answer


def test_without_a_process(gdb_exe: Gdb) -> None:
    for command in ("addrspace snapshot x", "addrspace diff", "addrspace compare 1 1"):
        done = run_gdb(gdb_exe, [command], load=True)
        assert done.status == 1 and "no process" in done.stderr and done.stderr.count("\n") <= 1, done.stderr


def test_a_program_that_is_not_go(gdb_exe: Gdb, build_program: Builder) -> None:
    binary = build_program("c_only")
    program = Scene("live", binary.path, [f"break {binary.breakpoint}", "run </dev/null >/dev/null"])
    for command in ("addrspace snapshot x", "addrspace diff", "addrspace compare 1 1"):
        done = run_gdb(gdb_exe, [command], program, load=True)
        assert done.status == 1 and "is not a Go program" in done.stderr, done.stderr


def test_dumps_of_a_running_process_from_the_shell(
    build_program: Builder, newest_go: Any, processes: Processes, tmp_path: Path
) -> None:
    """dump --stacks twice, diff -o: nothing was born, nothing is gone, and the frames are known."""
    process = processes.start([str(build_program("moments", newest_go).path), "wait"]).wait_ready()
    files = [tmp_path / "one.json", tmp_path / "two.json"]
    for file in files:
        done = cli("dump", str(process.pid), "--format", "json", "--stacks", "-o", str(file))
        assert done.returncode == 0, done.stderr
        jsonschema.validate(json.loads(file.read_text()), schema("addrspace/1"))
    assert cli("dump", str(process.pid), "--stacks").returncode == 1
    out = tmp_path / "diff.json"
    done = cli("diff", *map(str, files), "--format", "json", "-o", str(out))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    diff = json.loads(out.read_text())
    jsonschema.validate(diff, schema("diff/1"))
    assert diff["same_process"] and not diff["lacking"] and diff["goroutines"]["born"] == []
    dumped = {stack["function"]: stack["goids"] for stack in json.loads(files[0].read_text())["stacks"]}
    assert len(dumped["main.born"]) == BORN and len(dumped["main.staying"]) == 9
    assert process.running()
