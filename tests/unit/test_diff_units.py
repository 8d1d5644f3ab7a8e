"""Pure parts of the difference: ranges against a comparison byte by byte, and files that are not dumps."""

from __future__ import annotations

import copy
import json
import os
import random
from array import array
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

import pytest
from harness.command import cli
from jsonschema import Draft202012Validator

from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.goruntime.mspan import SpanClass
from addrspace_gdb.space.goroutines.stack_keys import StackKey
from addrspace_gdb.space.moments.diff import difference
from addrspace_gdb.space.moments.diff_ranges import changes
from addrspace_gdb.space.moments.dump_file import read_dump
from addrspace_gdb.space.moments.snapshot import GoroutineTable, Moments, Regions, Snapshot
from addrspace_gdb.space.regions.model import TargetInfo
from addrspace_gdb.space.regions.region import Region
from addrspace_gdb.views.diff import diff_text
from addrspace_gdb.views.diff_sentence import sentence
from addrspace_gdb.views.documents import schema as schemas
from addrspace_gdb.views.documents.diff import diff_json
from addrspace_gdb.views.kit.render import render
from addrspace_gdb.views.kit.text import cells

KINDS = [
    ("heap", "small objects"),
    ("heap", "free pages"),
    ("goroutine-stacks", "goroutine"),
    ("foreign", "anonymous memory"),
    ("runtime", "mark bits"),
]
INFO = TargetInfo("live", 1, "/srv/app", None, "amd64", 8, 4096, "go1.26.6")


def random_regions(seed: random.Random, top: int = 60) -> List[Region]:
    """Disjoint regions, some of them neighbours, with holes."""
    found: List[Region] = []
    at = 0
    while at < top:
        at += seed.choice((0, 0, 1, 5))
        size = seed.randint(1, 8)
        area, kind = seed.choice(KINDS)
        resident: Optional[int] = seed.choice((None, 0, size, size // 2))
        label = seed.choice(("", "x")) if area == "runtime" else ""
        found.append(Region(at, at + size, area, kind, label, "rw-p", resident, None, None))
        at += size
    return found


def at(regions: List[Region], address: int) -> Optional[Tuple[str, str, str]]:
    return next((r[2:5] for r in regions if r.start <= address < r.end), None)


def test_ranges_and_flows_are_those_of_a_comparison_byte_by_byte() -> None:
    seed = random.Random(6)
    for _ in range(400):
        one, two = random_regions(seed), random_regions(seed)
        found = changes(Regions(one), Regions(two))
        flows: Dict[Any, int] = {}
        told: Dict[int, str] = {}
        for address in range(90):
            was, now = at(one, address), at(two, address)
            if was == now:
                continue
            if (was and was[:2]) != (now and now[:2]):
                key = (was[:2] if was else None, now[:2] if now else None)
                flows[key] = flows.get(key, 0) + 1
            carved = [side is not None and side[0] in ("heap", "goroutine-stacks") for side in (was, now)]
            if not all(carved):
                told[address] = "came" if was is None else "went" if now is None else "became"
        assert {(flow.was, flow.now): flow.bytes for flow in found.flows} == flows
        ours = {}
        for entry in found.ranges:
            word = "came" if entry.was is None else "went" if entry.now is None else "became"
            ours.update(dict.fromkeys(range(entry.start, entry.end), word))
        assert ours == told
        assert all(a.end <= b.start for a, b in zip(found.ranges, found.ranges[1:]))


def snapshot(name: str, regions: List[Region], **more: Any) -> Snapshot:
    return Snapshot(
        name,
        None,
        more.pop("target", INFO),
        1,
        Regions(regions),
        **{"goroutines": None, "spans": None, "memstats": None, **more},
    )


def test_a_difference_of_a_moment_with_itself_is_nothing() -> None:
    regions = random_regions(random.Random(1))
    table = GoroutineTable(
        array("Q", [1]), array("Q", [0]), array("Q", [8]), array("I", [0]), [stack("main.f")]
    )
    one = snapshot("one", regions, goroutines=table, spans=[SpanClass(16, True, 1, 8192, 5)])
    diff = difference(one, one)
    assert not diff.anything and not diff.flows and not diff.ranges
    text = render(diff_text(diff, 20))
    assert "nothing has changed" in text and "┌" not in text


def stacks_of(many: int, resident: Optional[int]) -> Snapshot:
    """Goroutines with a page of stack each, some heap that does not change, and something mapped."""
    first = [Region(1 << 30, (1 << 30) + 8192, "heap", "small objects", "", "rw-p", 8192, None, None)]
    first.append(
        Region(1 << 20, (1 << 20) + (1 << 12), "foreign", "mapping", "", "rw-p", resident, None, None)
    )
    for number in range(many):
        start = (1 << 32) + (number << 12)
        first.append(
            Region(
                start, start + 4096, "goroutine-stacks", "goroutine", "", "rw-p", 4096, None, f"g{number + 1}"
            )
        )
    goids = array("Q", range(1, many + 1))
    los = array("Q", ((1 << 32) + (goid - 1 << 12) for goid in goids))
    his = array("Q", (lo + 4096 for lo in los))
    which = array("I", bytes(4 * many))
    return snapshot("s", first, goroutines=GoroutineTable(goids, los, his, which, [stack("main.f")]))


def test_the_change_is_one_sentence() -> None:
    few, many = stacks_of(1, 0), stacks_of(33, 0)
    told = (
        "Resident memory grew by 128.0 KiB, to 140.0 KiB: goroutine stacks by 128.0 KiB (32 more goroutines)."
    )
    assert sentence(difference(few, many)) == told
    assert render(diff_text(difference(few, many), 20, None)).splitlines()[1] == told
    assert diff_json(difference(few, many))["sentence"] == told
    less = sentence(difference(many, few))
    assert less.startswith(
        "Resident memory shrank by 128.0 KiB, to 12.0 KiB: goroutine stacks by 128.0 KiB ("
    )
    assert less.endswith(" (32 fewer goroutines).")
    assert sentence(difference(few, few)) == "Resident memory is as large as before: 12.0 KiB."
    unknown = difference(stacks_of(1, None), stacks_of(2, None))
    assert sentence(unknown).startswith(
        "Mapped memory grew by 4.0 KiB, to 20.0 KiB: goroutine stacks by 4.0 KiB"
    )
    large = snapshot(
        "large", [Region(1 << 30, (1 << 30) + (1 << 20), "heap", "small objects", "", "rw-p", 0, None, None)]
    )
    not_known = difference(stacks_of(1, None), replace(large, goroutines=None))
    assert "the Go heap by 1016.0 KiB" in sentence(not_known)  # mapped, as the whole: resident are 8 KiB less
    other = replace(many, target=INFO._replace(pid=4243))
    assert sentence(difference(few, other)).startswith(
        "The second's resident memory is 140.0 KiB, 128.0 KiB more than the first's: goroutine stacks by"
    )


def stack(function: str) -> StackKey:
    return StackKey(function.encode(), function, "/src/a.go:3", (f"{function} /src/a.go:3",), False)


def test_what_grows_fastest_comes_first_with_its_rate() -> None:
    kinds = [("runtime", "mark bits", 8), ("heap", "small objects", 64), ("foreign", "anonymous memory", 2)]

    def regions(times: int) -> List[Region]:
        made = []
        for number, (area, kind, size) in enumerate(kinds):
            start, bytes_ = number << 20, size * times << 12
            made.append(Region(start, start + bytes_, area, kind, "", "rw-p", bytes_, None, None))
        return made

    one, two = snapshot("a", regions(1)), snapshot("b", regions(2))
    unknown = render(diff_text(difference(one, two), 20))
    assert (
        "a minute" not in unknown and "growing fastest: heap: small objects +256.0 KiB; runtime:" in unknown
    )
    diff = difference(replace(one, taken=1000.0), replace(two, taken=1030.0))
    assert diff.minutes == 0.5 and [one.area for one in diff.fastest] == ["heap", "runtime", "foreign"]
    text = render(diff_text(diff, 20))
    assert "30s apart" in text and "virtual 592.0 KiB +296.0 KiB · resident 592.0 KiB +296.0 KiB\n" in text
    assert "a minute: virtual +592.0 KiB, resident +592.0 KiB; growing fastest: heap: small objects" in text
    assert "small objects +512.0 KiB;" in " ".join(text.split())
    rows = [line.split()[0] for line in text.partition("What changed")[2].splitlines()[2:5]]
    assert rows == ["heap", "runtime", "foreign"]
    document = diff_json(diff)
    Draft202012Validator(schemas.schema("diff/1")).validate(document)
    assert (document["seconds"], diff_json(difference(one, two))["seconds"]) == (30.0, None)
    backwards = difference(replace(one, taken=1030.0), replace(two, taken=1000.0))
    assert backwards.minutes is None


@pytest.mark.parametrize("width", [72, 80, 100])
def test_a_difference_fits_its_width(width: int) -> None:
    """With rows in all tables, sizes as long as they get, and the kernel's addresses."""
    grown = (1 << 30) - 1024
    top = Region(2**64 - (1 << 23), 2**64 - (1 << 23) + 4096, "vdso", "vsyscall", "", "--xp", 0, None, None)
    one = [Region(1 << 40, (1 << 40) + 4096, *KINDS[0], "", "rw-p", 4096, None, None), top]
    two = [
        Region(start, start + grown, *kind, "x" * 70, "rw-p", grown, None, f"/tmp/{'y' * 90}")
        for start, kind in zip(range(1 << 41, 1 << 42, 1 << 31), KINDS)
    ]
    function = stack("example.com/someone/something/server.(*Connection).handleRequest")

    def table(many: int) -> GoroutineTable:
        numbers = [array("Q", range(many)), array("Q", [0] * many), array("Q", [1 << 20] * many)]
        return GoroutineTable(numbers[0], numbers[1], numbers[2], array("I", [0] * many), [function])

    spans = [[SpanClass(16, True, count, count * 8192, count)] for count in (1, 10**7)]
    before = snapshot("a", one, goroutines=table(9), spans=spans[0])
    after = snapshot("b", [*two, top], goroutines=table(1), spans=spans[1])
    moments = replace(before, taken=0.0), replace(after, taken=60.0)
    for unicode in (True, False):
        lines = render(diff_text(difference(*moments), 20, width, unicode)).splitlines()
        assert [line for line in lines if cells(line) > width] == []
        titles = ("What changed", "Regions that came", "Spans by class", "Goroutines by stack")
        assert all(any(line.startswith(title) for line in lines) for title in titles), lines
        assert any("handleRequest" in line for line in lines)


def test_resident_bytes_that_are_not_known_make_no_sum() -> None:
    known = [Region(0, 10, "foreign", "anonymous memory", "", "rw-p", 4, None, None)]
    unknown = [known[0]._replace(resident=None)]
    diff = difference(snapshot("a", known), snapshot("b", unknown))
    assert (
        diff.total.resident is None and diff.total.before.resident == 4 and diff.total.after.resident is None
    )


def test_goroutines_of_different_processes_are_not_matched() -> None:
    table = GoroutineTable(
        array("Q", [1, 7]), array("Q", [0, 4096]), array("Q", [2048, 2048]), array("I", [0, 1])
    )
    table.stacks = [stack("main.main"), stack("main.work")]
    other = GoroutineTable(
        array("Q", [1]), array("Q", [64]), array("Q", [2048]), array("I", [0]), [stack("main.main")]
    )
    diff = difference(
        snapshot("a", [], goroutines=table), snapshot("b", [], goroutines=other, target=INFO._replace(pid=2))
    )
    assert diff.goroutines is not None and not diff.same_process
    assert (diff.goroutines.born, diff.goroutines.gone, diff.goroutines.moved) == (None, None, None)
    (group,) = diff.goroutines.groups or []
    assert (group.stack.function, group.before, group.after, group.born) == ("main.work", 1, 0, None)
    assert any("cannot be matched" in line for line in diff.lacking)


def test_a_million_goroutines_are_columns() -> None:
    count = 1_000_000
    goids, los, sizes = (array("Q", range(start, start + count)) for start in (1, 1 << 40, 0))
    table = GoroutineTable(goids, los, sizes, array("I", bytes(4 * count)), [stack("main.work")])
    kept = snapshot("big", [], goroutines=table)
    assert kept.bytes_kept == 28 * count


def test_the_last_two_stops_are_kept_and_no_more() -> None:
    moments = Moments()
    one, two, three = (snapshot(name, []) for name in ("one", "two", "three"))
    moments.taken(1, 10, one)
    assert moments.before(1, 10) is None and moments.here(1, 10) is one and moments.before(1, 11) is one
    moments.taken(1, 11, two)
    moments.taken(2, 11, three)
    assert moments.before(1, 11) is one and moments.before(1, 12) is two and moments.before(2, 12) is three
    moments.taken(1, 12, three)
    assert moments.before(1, 12) is two and moments.here(1, 11) is None


def test_snapshots_are_bounded_in_number() -> None:
    moments = Moments()
    for number in range(Moments.MAX_SNAPSHOTS):
        moments.keep(snapshot(f"s{number}", []))
    moments.keep(snapshot("s3", []))
    with pytest.raises(ProblemError, match="delete some"):
        moments.keep(snapshot("more", []))
    assert moments.delete("s3") and not moments.delete("s3") and moments.clear() == Moments.MAX_SNAPSHOTS - 1


DUMP: Dict[str, Any] = {
    "schema": "addrspace/1",
    "target": {
        "kind": "live",
        "pid": 7,
        "executable": "/srv/\x1b[31mapp",
        "arch": "amd64",
        "pointer_size": 8,
        "page_size": 4096,
        "go_version": "go1.26.6",
    },
    "areas": [],
    "regions": [
        {
            "start": "0x1000",
            "end": "0x3000",
            "size": 8192,
            "area": "foreign",
            "kind": "\x1b[2J\n\ud800",
            "label": "x",
            "permissions": "rw-p",
            "resident": 4096,
            "swapped": 0,
            "file": None,
        },
        {
            "start": "0xc000000000",
            "end": "0xc000000800",
            "size": 2048,
            "area": "goroutine-stacks",
            "kind": "goroutine",
            "label": "goroutine 17",
            "permissions": "rw-p",
            "resident": None,
            "swapped": None,
            "file": None,
        },
    ],
    "mappings": [{"start": "0x1000", "end": "0x3000", "permissions": "rw-p", "file": None, "resident": 0}],
    "goroutines": {"total": 1, "by_status": {"waiting": 1}},
    "memstats": None,
}


def put(path: Tuple[Any, ...], value: Any) -> Callable[[Dict[str, Any]], None]:
    """Sets one value of a dump."""

    def change(document: Dict[str, Any]) -> None:
        at: Any = document
        for step in path[:-1]:
            at = at[step]
        at[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (put(("schema",), "addrspace/2"), "its schema is 'addrspace/2'"),
        (put(("schema",), "\x1b[31m"), "its schema is"),
        (put(("schema",), None), "it names no schema"),
        (put(("target",), []), "its target is not one"),
        (put(("target", "kind"), "dead"), "its target is not one"),
        (put(("target", "pointer_size"), 3), "target.pointer_size is no size of a pointer"),
        (put(("target", "pointer_size"), 8.0), "target.pointer_size is no number"),
        (put(("target", "page_size"), 0), "target.page_size is no size of a page"),
        (put(("target", "pid"), -1), "target.pid is no number"),
        (put(("target", "pid"), True), "target.pid is no number"),
        (put(("regions",), {}), "no list of regions"),
        (put(("regions", 0), 5), r"regions\[0\] is no object"),
        (put(("regions", 0, "start"), "0xZZ"), r"regions\[0\].start is no address"),
        (put(("regions", 0, "start"), 4096), r"regions\[0\].start is no address"),
        (put(("regions", 0, "end"), "0x1000"), r"regions\[0\] is out of order"),
        (put(("regions", 0, "end"), "0xffffffffffffffffff"), r"regions\[0\].end is no address"),
        (put(("regions", 1, "end"), "0x10000000000000000"), r"regions\[1\] ends beyond"),
        (put(("regions", 1, "start"), "0x2fff"), r"regions\[1\] is out of order, overlaps"),
        (put(("regions", 0, "resident"), 1 << 60), r"regions\[0\].resident is more than its size"),
        (put(("regions", 0, "resident"), -1), r"regions\[0\].resident is no number"),
        (put(("regions", 0, "resident"), 0.5), r"regions\[0\].resident is no number"),
        (put(("regions", 0, "area"), "nowhere"), r"regions\[0\].area is no area"),
        (put(("regions", 0, "area"), ["heap"]), r"regions\[0\].area is no area"),
        (put(("regions", 0, "kind"), None), r"regions\[0\].kind is no text"),
        (put(("mappings",), None), "no list of mappings"),
        (put(("mappings", 0, "offset"), "1"), r"mappings\[0\].offset is no number"),
        (put(("goroutines", "total"), 1 << 70), "goroutines.total is no number"),
        (put(("spans",), [{"size": 8}]), r"spans\[0\] is no class of spans"),
        (put(("memstats",), 5), "its memstats are no object"),
        (put(("notes",), [5]), "notes or problems is no text"),
    ],
)
def test_a_damaged_dump_is_one_line(
    change: Callable[[Dict[str, Any]], None], expected: str, tmp_path: Path
) -> None:
    document = copy.deepcopy(DUMP)
    change(document)
    path = tmp_path / "a.json"
    path.write_text(json.dumps(document))
    with pytest.raises(ProblemError, match=expected) as error:
        read_dump(str(path))
    assert "\n" not in str(error.value) and "\x1b" not in str(error.value) and "a.json" in str(error.value)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty"),
        (b" \n", "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b"{", "is not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"schema": NaN}', "is not a number of JSON"),
        (b'{"a": ' + b"9" * 10_000 + b"}", "JSON|dump"),
        (b"[]", "it is no object"),
        (b"5", "it is no object"),
        (b"\x7fELF" + bytes(100), "is not JSON"),
    ],
)
def test_a_file_that_is_no_dump_is_one_line(content: bytes, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(ProblemError, match=expected) as error:
        read_dump(str(path))
    assert "\n" not in str(error.value)


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    for path in (tmp_path / "pipe.json", tmp_path, tmp_path / "missing.json"):
        with pytest.raises(ProblemError, match="is not a regular file|No such file"):
            read_dump(str(path))


def test_damage_everywhere_is_never_a_traceback(tmp_path: Path) -> None:
    """Any one value of a dump replaced by something else: it is read, or refused in one line."""
    seed = random.Random(20)
    values: List[Any] = [None, True, -1, 1 << 65, 1.5, "", "0x0", "\ud800\x1b", [], {}, [[]], {"size": -1}]
    path = tmp_path / "a.json"
    refused = 0
    for _ in range(400):
        document = copy.deepcopy(DUMP)
        node: Any = document
        while True:
            key = seed.choice(list(node) if isinstance(node, dict) else range(len(node)))
            if not node[key] or not isinstance(node[key], (dict, list)) or seed.random() < 0.2:
                node[key] = seed.choice(values)
                break
            node = node[key]
        path.write_text(json.dumps(document))
        said = ""
        try:
            read = read_dump(str(path)).snapshot
            render(diff_text(difference(read, snapshot("b", random_regions(seed))), 20, 80, False))
        except ProblemError as error:
            said = str(error)
        refused += bool(said)
        assert "\n" not in said and "\x1b" not in said
    assert 50 < refused < 400


def test_the_shell_says_what_is_wrong_and_leaves_no_output(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(json.dumps(DUMP))
    bad.write_text("{}")
    output = tmp_path / "out"
    for words in (("diff", str(good), str(bad)), ("compare", str(bad), str(good))):
        done = cli(*words, "-o", str(output))
        assert (done.returncode, done.stdout) == (1, "") and not output.exists()
        assert done.stderr == f"addrspace-gdb: {bad} is not a dump (addrspace/1): it names no schema\n"
    assert cli("diff", str(good)).returncode == 2
    done = cli("diff", str(good), str(good), "--limit", "x")
    assert done.returncode == 1 and "is not a number" in done.stderr
    done = cli("compare", str(good), str(good), "0x10000000000000000")
    assert done.returncode == 1 and "is not an address" in done.stderr


def test_text_of_the_target_is_escaped(tmp_path: Path) -> None:
    good = tmp_path / "good.json"
    good.write_text(json.dumps(DUMP))
    empty = {**DUMP, "regions": [], "mappings": [], "target": {**DUMP["target"], "pid": 8}}
    (tmp_path / "empty.json").write_text(json.dumps(empty))
    for words in (
        ("diff", str(tmp_path / "empty.json"), str(good)),
        ("compare", str(good), str(good), "0x1000", "0xc000000000", "5"),
        ("compare", str(good), str(tmp_path / "empty.json")),
    ):
        for form in ("text", "json"):
            done = cli(*words, "--format", form)
            assert done.returncode == 0 and done.stdout, done.stderr
            assert "\x1b" not in done.stdout and "\ud800" not in done.stdout
    assert "\\x1b[2J" in cli("diff", str(tmp_path / "empty.json"), str(good)).stdout
