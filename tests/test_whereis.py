"""`addrspace whereis` and `$goregion` against what a Go program says of its own addresses."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Tuple

import jsonschema
import pytest
from harness.build import Builder
from harness.debuggers import gdbs
from harness.gdbrun import Scene, run_gdb
from harness.scenes import open_core
from harness.toolchains import Toolchain

from addrspace_gdb.commands.whereis import take_apart
from addrspace_gdb.space.regions.partition import Partition
from addrspace_gdb.space.regions.region import Region
from addrspace_gdb.space.where.field_path import field_path
from addrspace_gdb.space.where.image import package_of
from addrspace_gdb.target.layout import Type
from addrspace_gdb.views.documents.schema import schema

EACH_ONCE = True  # not every combination: tests/conftest.py

ALSO_OLD = True  # Go 1.19 and 1.20 too, in the matrix

Place = Dict[str, Any]

SIDE = Path(__file__).with_name("whereis_side.py")
RANDOM = 30_000


class Asked(NamedTuple):
    """The oracle's places, and the answers beside them: asked a few at a time, and all at once."""

    go: Toolchain
    kind: str
    text: str
    pairs: List[Tuple[Place, Place]]
    many: List[Tuple[Place, Place]]
    random: Dict[str, Any]

    def of(self, kind: str) -> List[Tuple[Place, Place]]:
        return [(said, found) for said, found in self.pairs if said["kind"] == kind]


TOUR = (
    "echo \\n=card\\n",
    "addrspace whereis main.Numbers",
    "echo \\n=table\\n",
    "addrspace whereis main.Said main.Writer main.Greeting *(void**)$rsp@4 $rsp + 8 $pc",
    "echo \\n=goroutine\\n",
    "addrspace whereis goroutine:1",
    "echo \\n=region\\n",
    "p $goregion($sp)",
    "p $goregion($sp, 1)",
    "p $goregion($pc)",
    "p $goregion(&'main.Table')",
    "p $goregion('main.Numbers'.array)",
    "p $goregion(24)",
    "p $goregion(-1)",
    'p $_streq($goregion($sp), "goroutine-stacks")',
    "echo \\n=end\\n",
)


def ask(go: Toolchain, scene: Scene, folder: Path, kind: str, *more: str) -> Asked:
    oracle, answers, chance = folder / "oracle", folder / f"answers-{kind}", folder / f"random-{kind}"
    commands = [f"source {SIDE}", f"whereis-places {oracle} {answers}", f"whereis-random {chance} {RANDOM}"]
    run = run_gdb(gdbs()[0], [*commands, *TOUR, *more], scene, load=True, timeout=180, cwd=folder)
    assert answers.exists() and chance.exists(), run.stdout[-3000:] + run.stderr[-3000:]
    assert "Traceback" not in run.stderr and "internal error" not in run.stderr, run.stderr[-3000:]
    said = json.loads(oracle.read_text())
    found = json.loads(answers.read_text())
    assert len(said) == len(found["few"]) == len(found["many"])
    pairs, many = (list(zip(said, found[name])) for name in ("few", "many"))
    return Asked(go, kind, run.stdout, pairs, many, json.loads(chance.read_text()))


@pytest.fixture(scope="module")
def both(go: Toolchain, build_program: Builder, tmp_path_factory: pytest.TempPathFactory) -> Dict[str, Asked]:
    """The program at its breakpoint, and its core."""
    if not gdbs():
        pytest.skip("no gdb")
    binary = build_program("whereabouts", go)
    folder = tmp_path_factory.mktemp("whereis")
    # Preemption would let a goroutine park elsewhere than the oracle saw it.
    enter = ["set environment GODEBUG asyncpreemptoff=1", "break main.breakpoint"]
    scene = Scene("live", binary.path, [*enter, f"run {folder / 'oracle'} </dev/null >/dev/null"], ("kill",))
    core = folder / "core"
    live = ask(go, scene, folder, "live", f"generate-core-file {core}")
    try:
        return {"live": live, "core": ask(go, open_core(core, binary.path), folder, "core")}
    finally:
        core.unlink()


@pytest.fixture(params=["live", "core"])
def asked(request: pytest.FixtureRequest, both: Dict[str, Asked]) -> Asked:
    return both[request.param]


def test_every_answer_is_about_its_address_and_as_the_schema_says(asked: Asked) -> None:
    validator = jsonschema.Draft202012Validator(schema("whereis/1"))
    target = {"kind": "live", "pid": 1, "executable": None, "arch": "amd64", "pointer_size": 8}
    target.update(page_size=4096, go_version=None)
    for pairs in (asked.pairs, asked.many):
        places = [found for _, found in pairs]
        validator.validate({"schema": "whereis/1", "target": target, "places": places, "problems": []})
        for said, found in pairs:
            assert int(found["address"], 16) == said["address"]
            low, high = (int(found["region"][end], 16) for end in ("start", "end"))
            assert low <= said["address"] < high
            mapped = found["mapping"] is not None
            assert mapped == (found["area"] not in ("free", "null", "kernel", "non-canonical"))
            if asked.kind == "core" or not mapped:
                assert found["resident"] is None


def test_many_addresses_are_answered_as_few_are(asked: Asked) -> None:
    """But for what debug information adds."""
    for (said, few), (_, many) in zip(asked.pairs, asked.many):
        for name in ("area", "kind", "label", "region", "mapping", "code", "descriptor", "gap"):
            assert few[name] == many[name], said
        if few["object"] is not None:
            assert {**few["object"], "field": None} == {**many["object"], "field": None}


def test_heap_objects(asked: Asked) -> None:
    assert len(asked.of("heap")) > 25
    for said, found in asked.of("heap"):
        where = found["object"]
        assert found["area"] == "heap" and where is not None, said
        assert where["state"] in ("live", "since"), said
        if "base" in said:
            assert int(where["base"], 16) + where["header"] <= said["base"], said
            if said.get("size", 0) >= 16:  # smaller ones share a slot
                assert int(where["base"], 16) + where["header"] == said["base"], said
            assert where["offset"] == said["address"] - int(where["base"], 16)
        if "size" in said:
            assert where["size"] - where["header"] >= said["size"], said
            # Waste is an eighth at most, but for the smallest sizes (src/runtime/sizeclasses.go), and pages.
            assert where["size"] < max(said["size"] * 1.2, said["size"] + 64) or said["size"] > 32768, said
        if said.get("noscan"):
            assert where["noscan"] is True, said
        elif said.get("type"):
            assert where["noscan"] is False, said


def test_types_of_objects_are_known_where_the_runtime_records_them(asked: Asked) -> None:
    recorded = asked.go.release >= (1, 22)
    checked = 0
    for said, found in asked.of("heap"):
        where, kind = found["object"], said.get("type")
        if kind in ("main.Wide", "main.Huge"):
            checked += 1
            assert where["type"] == (kind if recorded else None), said
            assert where["said_by"] == (
                {"main.Wide": "malloc header", "main.Huge": "largeType of its span"}[kind]
                if recorded
                else None
            )
        elif kind:
            assert where["type"] in (None, kind), said
    assert checked == 4
    by_name = {said["name"]: found["object"] for said, found in asked.of("heap")}
    if recorded:
        assert by_name["header"]["field"] == ".Tail"
        assert by_name["large scan"]["field"] == ".Tail"
        assert by_name["header start"]["field"] is None  # the address of the first field is the object's
        offset = 900 % 848
        assert by_name["channel buffer"]["field"].startswith("[1]") and offset < 848
        assert by_name["channel buffer"]["room"] >= 20


def test_closures_are_seen(asked: Asked) -> None:
    closures = [(said, found) for said, found in asked.of("heap") if said.get("function")]
    assert len(closures) == 2
    for said, found in closures:
        assert f"entry of {said['function']}: a closure" in found["object"]["seen"]
    for said, found in asked.of("rodata"):
        assert found["area"] == "globals" and said["function"] in found["symbol"]["seen"]


def test_collected_and_returned_memory(asked: Asked) -> None:
    ((_, free),) = asked.of("free")
    assert free["area"] == "heap" and free["object"]["state"] == "free"
    assert free["object"]["type"] is None
    ((_, returned),) = asked.of("returned")
    assert (returned["area"], returned["kind"]) == ("heap", "returned pages")
    if asked.kind == "live":
        assert returned["resident"] is False


def test_frames_of_goroutines(asked: Asked) -> None:
    assert len(asked.of("stack")) == 6
    for said, found in asked.of("stack"):
        where = found["stack"]
        assert found["area"] == "goroutine-stacks" and found["label"] == f"goroutine {said['goid']}"
        assert where["goid"] == said["goid"] and where["use"] == "frame"
        assert where["frame"]["function"] == said["function"]
        assert int(where["sp"], 16) <= int(where["frame"]["sp"], 16) <= said["address"]
        if said["name"] == "marked":  # passed on the stack: DWARF of every version has it
            assert where["frame"]["variable"] == "marked" and where["frame"]["within"] == 8
            assert where["frame"]["part"] == "arguments and results"
        elif asked.go.release >= (1, 27):  # older compilers leave this array out of the debug information
            assert where["frame"]["variable"] == "local" and where["frame"]["within"] == 24
        else:
            assert where["frame"]["variable"] in ("local", None)
    ((_, dead),) = asked.of("dead stack")
    assert dead["area"] == "goroutine-stacks" and dead["stack"]["use"] == "stale"


def test_globals(asked: Asked) -> None:
    assert len(asked.of("global")) == 3
    for said, found in asked.of("global"):
        where = found["symbol"]
        assert found["area"] == "globals" and where["name"] == said["name"] and where["package"] == "main"
        assert where["offset"] == said["address"] - said["base"]
        assert where["type"] == said["type"] and where["field"].lstrip(".") == said["text"]


def test_string_literals(asked: Asked) -> None:
    ((said, found),) = asked.of("string")
    assert found["area"] == "globals" and found["symbol"]["text"].startswith(said["text"])


def test_type_descriptors_and_itabs(asked: Asked) -> None:
    assert len(asked.of("type")) == 14
    for said, found in asked.of("type"):
        where = found["descriptor"]
        assert where["sort"] == "type descriptor" and where["type"] == said["type"], said
        assert int(where["address"], 16) == said["base"]
        assert where["offset"] == said["address"] - said["base"]
    assert len(asked.of("itab")) == 2
    for said, found in asked.of("itab"):
        where = found["descriptor"]
        assert (where["sort"], where["type"], where["interface"]) == ("itab", said["type"], said["text"])


def test_functions_with_file_and_line(asked: Asked) -> None:
    assert len(asked.of("function")) == 5
    for said, found in asked.of("function"):
        where = found["code"]
        assert found["area"] == "code" and int(where["entry"], 16) == said["base"]
        last = where["chain"][-1]
        assert where["function"] == last["function"] == said["function"]
        assert (where["chain"][0]["file"], where["chain"][0]["line"]) == (said["file"], said["line"])


def test_the_chain_of_inlined_calls(asked: Asked) -> None:
    ((said, found),) = asked.of("inlined")
    assert [one["function"] for one in found["code"]["chain"]] == said["chain"]
    assert len(said["chain"]) == 3
    assert found["code"]["chain"][0]["line"] == said["line"]


def test_what_the_program_mapped_itself(asked: Asked) -> None:
    for said, found in asked.of("mmap"):
        assert found["area"] == "foreign", said
    ((said, found),) = asked.of("file")
    if asked.kind == "live":
        assert found["area"] == "mapped-files"
        assert found["mapping"]["offset"] == 7
    assert found["mapping"]["file"] == said["name"]
    ((_, gone),) = asked.of("gone")
    if gone["area"] != "runtime":  # which may have mapped something there since
        assert gone["area"] == "free" and gone["gap"]["above"] is not None
    assert int(gone["gap"]["above"]["start"], 16) > int(gone["address"], 16)


def test_random_addresses_agree_with_the_partition(asked: Asked) -> None:
    assert asked.random["count"] >= RANDOM and asked.random["wrong"] == []
    unmapped = {"free", "null", "kernel", "non-canonical"}
    assert unmapped | {"heap", "goroutine-stacks", "globals", "code", "runtime"} <= set(asked.random["areas"])
    parts = {"heap", "stack", "code", "type", "symbol", "runtime", "gap"}
    assert set(asked.random["parts"]) == parts


def section(text: str, name: str) -> str:
    return text.split(f"={name}\n", 1)[1].split("\n=", 1)[0]


def test_the_card(asked: Asked) -> None:
    text = section(asked.text, "card")
    at = next(said for said in asked.pairs if said[0]["name"] == "slice")[0]["base"]
    assert text.splitlines()[0].startswith(f"{at:#014x}  400 x int64, 3,200-byte slot, noscan, allocated")
    names = [line[:14].strip() for line in text.splitlines()[1:] if line[:14].strip()]
    assert names == [
        *("expression", "area", "region", "mapping", "page", "value", "pointer", "arena", "span", "object"),
        *("state", "type"),
    ]
    assert re.search(r"^  pointer     0x[0-9a-f]+: globals, main.Numbers, \[\]int64$", text, re.MULTILINE)
    assert text.strip() and all(len(line) <= 100 for line in text.splitlines())


def test_the_table(asked: Asked) -> None:
    lines = section(asked.text, "table").strip("\n").splitlines()
    assert lines[0].split() == ["Expression", "Address", "Area", "What"]
    assert lines and all(len(line) <= 100 for line in lines)
    lines = [line for line in lines if not line.startswith(" " * 10)]  # without what is wrapped
    assert len(lines) == 10
    said, writer, greeting = lines[1:4]
    at = next(one for one in asked.pairs if one[0]["name"] == "said")[0]["address"]
    assert f"{at:#014x}" in said and "main.Node" in said and "heap" in said
    assert "os.File" in writer
    assert "string literal 'greetings from the read-only" in greeting
    assert [line.split()[0] for line in lines[4:8]] == [f"*(void**)$rsp@4[{n}]" for n in range(4)]
    assert "main.main" in lines[4]  # the return address of main.breakpoint
    assert lines[8].startswith("$rsp + 8") and "goroutine 1" in lines[8]
    assert lines[9].startswith("$pc") and "main.breakpoint" in lines[9]


def test_a_goroutine_by_its_number(asked: Asked) -> None:
    text = section(asked.text, "goroutine")
    assert "the g of goroutine 1" in text and "goroutine 1, main.breakpoint" in text
    assert "goroutine:1 g" in text and "goroutine:1 sp" in text


def test_the_convenience_function(asked: Asked) -> None:
    shown = re.findall(r"^\$\d+ = (.*)$", section(asked.text, "region"), re.MULTILINE)
    assert shown[-1] in ("1", "true")
    assert shown[:-1] == [
        '"goroutine-stacks"',
        '"goroutine-stacks: goroutine 1"',
        '"code"',
        '"globals"',
        '"heap"',
        '"null"',
        '"kernel"',
    ]


def test_errors_are_one_line(build_program: Builder, newest_go: Toolchain, tmp_path: Path) -> None:
    binary = build_program("whereabouts", newest_go)
    enter = ["break main.breakpoint", f"run {tmp_path / 'oracle'} </dev/null >/dev/null"]
    scene = Scene("live", binary.path, enter, ("kill",))
    wrong = {
        "addrspace whereis": "missing address",
        "addrspace whereis nonsense": "cannot evaluate 'nonsense': No symbol \"nonsense\" in current context",
        "addrspace whereis 1.5": "'1.5' is a float64, not an address",
        "addrspace whereis goroutine:99999": "there is no goroutine 99999",
        "addrspace whereis *(void**)0@4": "cannot read 32 bytes at 0x0",
        "addrspace whereis *(void**)$rsp@99999999": "elements",
        "addrspace whereis --output /nonexistent/x $sp": "no directory /nonexistent",
        "p $goregion()": "$goregion: give an address",
    }
    for command, text in wrong.items():
        run = run_gdb(gdbs()[0], [command], scene._replace(leave=()), load=True, cwd=tmp_path)
        last = [line for line in run.stderr.splitlines() if line.startswith(("addrspace", "Error"))]
        assert len(last) == 1 and text in last[0], run.stderr
        assert run.status == 1


def test_random_addresses_of_a_made_up_partition() -> None:
    chance = random.Random(1)
    cuts = sorted(chance.sample(range(1, 1 << 30), 2000))
    mapped: List[Region] = []
    unmapped: List[Region] = []
    for number, (start, end) in enumerate(zip([0, *cuts], [*cuts, 1 << 64])):
        kind = f"kind {number}"
        made = Region(start, end, "heap" if number % 2 else "free", kind, "", "", None, None, None)
        (mapped if number % 2 else unmapped).append(made)
    partition = Partition(mapped, unmapped, [], 8)
    edges = [
        edge for region in mapped for edge in (region.start - 1, region.start, region.end - 1, region.end)
    ]
    chosen = [chance.randrange(1 << 30) for _ in range(300_000)] + [
        chance.getrandbits(64) for _ in range(1000)
    ]
    for address in [*edges, 0, (1 << 64) - 1, *chosen]:
        region = partition.region(address)
        assert region.start <= address < region.end and region.kind.startswith("kind")
        below, above = partition.neighbours(address)
        if region.area == "free":
            assert below is None or below.end <= address
            assert above is None or address < above.start
            assert below is not None or above is not None


@pytest.mark.parametrize(
    ("line", "expressions", "options"),
    [
        ("$rax $rbx *(void**)$rsp@16", ["$rax", "$rbx", "*(void**)$rsp@16"], ""),
        ("&'main.T b' 0x10", ["&'main.T b'", "0x10"], ""),
        ('"*(void **) $rsp" $pc', ["*(void **) $rsp", "$pc"], ""),
        ("*(void **)$rsp@2", ["*(void **)$rsp@2"], ""),
        ("$rsp + 8 $pc", ["$rsp + 8", "$pc"], ""),
        ("--format json $sp", ["$sp"], "--format json"),
        ("$sp --format json --output a b", ["$sp"], "--format json --output a b"),
        ("a[b c] -16", ["a[b c]", "-16"], ""),
        ("", [], ""),
    ],
)
def test_taking_a_line_apart(line: str, expressions: List[str], options: str) -> None:
    assert take_apart(line) == (expressions, options)


def test_paths_of_fields() -> None:
    number = Type("int64", 8, "int")
    inner = Type("inner", 16, "struct", load_fields=lambda: {"A": (0, number), "B": (8, number)})
    rows = Type("[4]inner", 64, "array", element=inner, count=4)
    outer = Type("outer", 80, "struct", load_fields=lambda: {"Head": (0, number), "Rows": (8, rows)})
    assert field_path(outer, 0) == ""
    assert field_path(outer, 8 + 16 * 2 + 8) == ".Rows[2].B"
    assert field_path(outer, 8 + 16 * 2 + 11) == ".Rows[2].B + 3"
    assert field_path(outer, 76) == " + 76"  # padding
    assert field_path(outer, 80) is None
    assert field_path(outer, -1) is None
    assert field_path(Type("[0]int64", 0, "array", element=number), 0) == ""


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("main.main", "main"),
        ("encoding/json.(*Decoder).Decode", "encoding/json"),
        ("example.com/a%2eb.Value", "example.com/a.b"),
        ("main.Map[example.com/x.T]", "main"),
        ("type:.eq.main.Node", None),
        ("go:itab.*os.File,io.Writer", None),
        ("_end", None),
    ],
)
def test_packages_of_symbols(name: str, package: str) -> None:
    assert package_of(name) == package
