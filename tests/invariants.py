"""What must hold of every `addrspace --format json`, whatever program it is of, and how one is taken.

A `Snapshot` is one stop of one process: the document, the kernel's smaps, Go's own MemStats, its own dump
of goroutines, and the stacks as gdb's types show them. Each `assert_` takes the parts it compares.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

from elftools.elf.elffile import ELFFile
from harness.build import Binary
from harness.debuggers import Gdb
from harness.dumps import Goroutine, goroutine_dump_parse
from harness.gdbrun import Result, Scene, run_gdb
from harness.oracles import Oracle, dump_command, memstats_command, read_memstats, read_oracle
from harness.scenes import launch_to_breakpoint
from harness.smaps import Smap, parse_smaps
from jsonschema import Draft202012Validator

from addrspace_gdb.goruntime.buildinfo import parse_version
from addrspace_gdb.views.documents.schema import schema

Document = Dict[str, Any]

SIDE = Path(__file__).with_name("invariants_side.py")

IDLE, DEAD, DEAD_EXTRA = 0, 6, 11  # runtime/runtime2.go: no goroutine is there
STATUS = {
    1: "runnable",
    2: "running",
    3: "syscall",
    4: "waiting",
    8: "copystack",
    9: "preempted",
    10: "leaked",
}


class RealStack(NamedTuple):
    """A goroutine's stack as gdb reads it from its g."""

    goid: int
    lo: int
    hi: int
    status: int
    start: str  # the function it was started with


class RealThread(NamedTuple):
    """A thread as gdb shows it."""

    tid: int
    pc: int
    sp: int


Module = Dict[str, List[List[int]]]  # "code" and "globals": [start, end) of its sections


class Snapshot(NamedTuple):
    """One stop of one process, seen by this project and by everybody else."""

    document: Document
    before: List[Smap]  # what the kernel said before anything was read; empty for a core
    after: List[Smap]
    memstats: Dict[str, Any]
    dump: List[Goroutine]  # without the runtime's own; empty where the program keeps no dump
    stacks: List[RealStack]  # of goroutines that are alive
    modules: List[Module]
    threads: List[RealThread]
    oracle: Optional[Oracle]  # what the program wrote a moment later
    run: Result


def take(gdb: Gdb, binary: Binary, folder: Path, *arguments: str) -> Snapshot:
    """Stop the program at its breakpoint, look, and let it go on until it has written its oracle."""
    scene = launch_to_breakpoint(binary, folder / "oracle", *arguments)
    more = ["delete", "tbreak addrspace.test/kit.Wait", "continue"]
    taken = take_scene(gdb, scene, folder, more, live=True)
    assert (folder / "oracle").read_text(), taken.run.stdout[-3000:] + taken.run.stderr[-3000:]
    return taken._replace(oracle=read_oracle(folder / "oracle"))


def take_scene(
    gdb: Gdb,
    scene: Scene,
    folder: Path,
    more: Sequence[str] = (),
    live: bool = False,
    dump: bool = True,
    between: Sequence[str] = (),
) -> Snapshot:
    """Look at a scene; `live` where gdb's inferior is a process of this machine that has smaps. `between` are
    commands after ours, before those that read the program's own view."""
    commands = [f"source {SIDE}", f"addrspace --check --format json --output {folder / 'space.json'}"]
    if live:
        commands[1:1] = [f"stop-smaps {folder / 'before'}"]
        commands += [f"stop-smaps {folder / 'after'}"]
    commands += between
    commands += [memstats_command(folder / "memstats.json"), f"stop-facts {folder / 'facts.json'}"]
    commands += [dump_command(folder / "dump.txt")] if dump else []
    run = run_gdb(gdb, [*commands, *more], scene, load=True, cwd=folder)
    document = load(folder / "space.json", run)
    facts = json.loads((folder / "facts.json").read_text())
    stacks = [RealStack(*row) for row in facts["goroutines"]]
    return Snapshot(
        document,
        parse_smaps((folder / "before").read_bytes()) if live else [],
        parse_smaps((folder / "after").read_bytes()) if live else [],
        read_memstats(folder / "memstats.json"),
        goroutine_dump_parse((folder / "dump.txt").read_text()) if dump else [],
        [stack for stack in stacks if stack.status not in (IDLE, DEAD, DEAD_EXTRA)],
        facts["modules"],
        [RealThread(*row) for row in facts["threads"]],
        None,
        run,
    )


def load(path: Path, run: Result) -> Document:
    """The document that a run of gdb wrote."""
    assert path.exists(), run.stdout[-3000:] + run.stderr[-3000:]
    document: Document = json.loads(path.read_text(encoding="ascii"))
    return document


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(schema("addrspace/1"))


def number(text: str) -> int:
    """An address of the document."""
    return int(text, 16)


def total(values: Iterable[Optional[int]]) -> Optional[int]:
    """The sum, None as soon as one is not known."""
    known = list(values)
    return None if any(value is None for value in known) else sum(value or 0 for value in known)


def within(document: Document, start: int, end: int) -> List[Dict[str, Any]]:
    """Regions that begin in [start, end)."""
    return [r for r in document["regions"] if start <= number(r["start"]) < end]


def holding(document: Document, address: int) -> Dict[str, Any]:
    """The region that holds `address`."""
    (found,) = [r for r in document["regions"] if number(r["start"]) <= address < number(r["end"])]
    assert isinstance(found, dict)
    return found


def _by_mapping(document: Document) -> Iterator[Tuple[Dict[str, Any], List[Dict[str, Any]]]]:
    """Each mapping with the regions that begin in it; both lists ascend."""
    regions, at = document["regions"], 0
    for mapping in document["mappings"]:
        first, end = at, number(mapping["end"])
        while at < len(regions) and number(regions[at]["start"]) < end:
            at += 1
        yield mapping, regions[first:at]
    assert at == len(regions), f"regions after the last mapping: {regions[at : at + 3]}"


def assert_valid(document: Document) -> None:
    """The document is as the shipped schema says."""
    errors = [e.message for e in _validator().iter_errors(document)]
    assert errors == []


def assert_covers(document: Document) -> None:
    """Regions are sorted and disjoint, lie inside mappings and fill each exactly."""
    for mapping, regions in _by_mapping(document):
        at = number(mapping["start"])
        for region in regions:
            assert number(region["start"]) == at, (mapping, region)
            assert region["size"] == number(region["end"]) - at > 0, region
            assert region["permissions"] == mapping["permissions"], (mapping, region)
            assert region["file"] == mapping["file"], (mapping, region)
            at += region["size"]
        assert at == number(mapping["end"]), mapping


def assert_neighbours_differ(document: Document) -> None:
    """Neighbours of one kind, label and permissions are one region, goroutines' stacks apart."""
    for mapping, regions in _by_mapping(document):
        for one, other in zip(regions, regions[1:]):
            names = [(r["area"], r["kind"], r["label"]) for r in (one, other)]
            assert names[0] != names[1], (mapping, one, other)


def assert_resident_of_mappings(document: Document) -> None:
    """Resident bytes of a mapping's regions add up. Where pagemap cannot be read the split is not known."""
    split = not any("pagemap" in note for note in document["notes"])
    for mapping, regions in _by_mapping(document):
        added = total(r["resident"] for r in regions)
        assert added == mapping["resident"] or (added is None and not split), mapping
        for region in regions:
            known = region["resident"]
            assert known is None or 0 <= known <= region["size"], region


def assert_smaps(document: Document, before: Sequence[Smap], after: Sequence[Smap]) -> None:
    """Mappings are smaps' one to one, with permissions and resident bytes, to the byte.

    A debugger that reads a page of a file brings it into memory. So where smaps before and after differ,
    and only there, what was counted lies between the two.
    """
    ours = [(number(m["start"]), number(m["end"]), m["permissions"]) for m in document["mappings"]]
    assert ours == [(s.start, s.end, s.perms) for s in before] == [(s.start, s.end, s.perms) for s in after]
    for mapping, low, high in zip(document["mappings"], before, after):
        assert low.rss <= mapping["resident"] <= high.rss, (mapping, low, high)
        assert low.rss == high.rss or low.path.startswith("/"), (low, high)
    if all(r["swapped"] is not None for r in document["regions"]):
        assert sum(r["swapped"] for r in document["regions"]) == sum(s.swap for s in before)


def assert_areas(document: Document) -> None:
    """The totals of areas are the sums over their regions, and no area is missing."""
    regions = document["regions"] + document["unmapped"]
    by_area: Dict[str, List[Dict[str, Any]]] = {}
    for region in regions:
        by_area.setdefault(region["area"], []).append(region)
    assert [a["area"] for a in document["areas"]] == list(dict.fromkeys(a["area"] for a in document["areas"]))
    assert {a["area"] for a in document["areas"]} == set(by_area)
    for area in document["areas"]:
        own = by_area[area["area"]]
        assert area["size"] == sum(r["size"] for r in own), area
        if area["area"] not in ("kernel", "non-canonical", "free", "null"):
            assert area["resident"] == total(r["resident"] for r in own), area


def assert_all_addresses(document: Document) -> None:
    """Mappings of the user half and what is unmapped take every address exactly once."""
    width = 8 * document["target"]["pointer_size"]
    ranges = [(number(r["start"]), number(r["end"])) for r in document["unmapped"]]
    kernel = min(
        (number(r["start"]) for r in document["unmapped"] if r["area"] == "kernel"), default=1 << width
    )
    ranges += [(number(m["start"]), number(m["end"])) for m in document["mappings"]]
    at = 0
    for start, end in sorted(r for r in ranges if r[0] < kernel or r[1] == 1 << width):
        assert start == at, (hex(start), hex(at))
        at = end
    assert at == 1 << width


def assert_checks_ok(document: Document) -> None:
    """The product's own checks were made, and none failed."""
    assert len(document["checks"]) >= 5
    assert [c for c in document["checks"] if c["ok"] is False] == []


def assert_no_problems(document: Document) -> None:
    """Nothing was found damaged."""
    assert document["problems"] == []


# What one more small object changes.
_OBJECT_COUNTS = ("Alloc", "TotalAlloc", "HeapAlloc", "Mallocs", "HeapObjects")
# What the runtime takes at a time for what it never gives back (persistentChunkSize in malloc.go), for which
# the next object, thread or profiled site may ask; the heap's goal under a limit falls by 97 % of it.
_PERSISTENT_CHUNK = 256 << 10


def assert_memstats(document: Document, memstats: Dict[str, Any], later: int = 0) -> None:
    """Every field that is there is Go's own, exactly.

    `later` small objects at most may have been made since: a program that goes on to sleep grows the heap
    of timers of a P, and one that panics makes its panic. One more chunk of persistent memory may have been
    taken by them, whole.
    """
    ours = document["memstats"]
    assert ours is not None
    needed = {"Sys", "Frees", "HeapSys", "HeapIdle", "HeapInuse", "NumGC", *_OBJECT_COUNTS}
    needed |= {"HeapReleased", "StackInuse", "StackSys", "MSpanInuse", "GCSys", "OtherSys", "MCacheInuse"}
    assert needed <= set(ours)
    more = {name: ours[name] - memstats[name] for name in ours if ours[name] != memstats[name]}
    if later:
        if more.get("Sys") == _PERSISTENT_CHUNK == more.get("OtherSys"):
            more = {name: value for name, value in more.items() if name not in ("Sys", "OtherSys", "NextGC")}
        assert more.get("Mallocs", 0) <= later
        assert all(0 < more[name] <= later * 256 for name in more), more
        more = {name: value for name, value in more.items() if name not in (*_OBJECT_COUNTS, "NextGC")}
    assert more == {}, more


def assert_arenas(document: Document, memstats: Dict[str, Any]) -> None:
    """Heap and goroutine stacks fill the arenas, and each kind of it is what Go's own counter says."""
    heap = [r for r in document["regions"] if r["area"] in ("heap", "goroutine-stacks")]
    (check,) = [c for c in document["checks"] if c["name"] == "heap and goroutine stacks"]
    assert sum(r["size"] for r in heap) == check["theirs"]
    assert _size(heap, "small objects", "large objects", "user arena") == memstats["HeapInuse"]
    idle = ("free pages", "returned pages")
    assert _size(heap, *idle) == memstats["HeapIdle"]
    stacks = sum(r["size"] for r in heap if r["area"] == "goroutine-stacks")
    assert stacks == memstats["StackInuse"]
    returned = _size(heap, "returned pages")
    assert returned == memstats["HeapReleased"]


def _size(regions: Iterable[Dict[str, Any]], *kinds: str) -> int:
    return sum(r["size"] for r in regions if r["kind"] in kinds)


def goroutine_regions(document: Document) -> Dict[str, List[Dict[str, Any]]]:
    """Regions of the stacks of live goroutines, by label."""
    found: Dict[str, List[Dict[str, Any]]] = {}
    for region in document["regions"]:
        if region["area"] == "goroutine-stacks" and region["kind"] == "goroutine":
            found.setdefault(region["label"], []).append(region)
    return found


def assert_stack_bounds(document: Document, stacks: Sequence[RealStack]) -> None:
    """Every live goroutine has one region of its own, from its stack's lo to its hi; no region has none.

    A goroutine on a stack that Go did not allocate (a C thread's) has its stack elsewhere. A large stack may
    lie in two mappings that the kernel tells apart (Go before 1.21.1 asked for huge pages here and there).
    """
    ours: Dict[str, List[Tuple[int, int]]] = {}
    for label, regions in goroutine_regions(document).items():
        joined = ours[label] = []
        for region in regions:
            start, end = number(region["start"]), number(region["end"])
            if (
                joined
                and joined[-1][1] == start
                and any(m["start"] == region["start"] for m in document["mappings"])
            ):
                start = joined.pop()[0]
            joined.append((start, end))
    assert ours == {f"goroutine {s.goid}": [(s.lo, s.hi)] for s in stacks}


def still_there(document: Document, snapshot: Snapshot) -> Set[int]:
    """The goroutines that Go dumped. Up to Go 1.20 one that C called into is dead while C goes on (dropm)."""
    goids = {g.goid for g in snapshot.dump}
    if parse_version(document["target"]["go_version"]).minor in (19, 20):
        called = {g.goid for g in snapshot.dump if g.status == "running" and g.locked}
        goids -= called - {s.goid for s in snapshot.stacks}
    return goids


def assert_goroutines_of_dump(document: Document, snapshot: Snapshot) -> None:
    """Every goroutine that Go dumps has one region; what else has one is the runtime's own."""
    dumped = {f"goroutine {goid}" for goid in still_there(document, snapshot)}
    system = {f"goroutine {s.goid}" for s in snapshot.stacks if s.start.startswith("runtime.")}
    regions = set(goroutine_regions(document))
    assert dumped <= regions
    assert regions - dumped <= system


def assert_counts_of_dump(document: Document, snapshot: Snapshot) -> None:
    """Totals by status are Go's own; what ran at the dump may have given way since, and gdb tells how."""
    settled = {g.goid: g.status for g in snapshot.dump if g.status not in ("running", "runnable")}
    words = Counter(s if s in STATUS.values() else "waiting" for s in settled.values())
    words.update(STATUS[s.status] for s in snapshot.stacks if s.goid not in settled)
    assert document["goroutines"] == {"total": len(snapshot.stacks), "by_status": words}
    assert still_there(document, snapshot) <= {s.goid for s in snapshot.stacks}


def assert_modules(document: Document, modules: Sequence[Module]) -> None:
    """Every section of every Go module lies in regions of its area: code, or globals."""
    assert modules
    for module in modules:
        for area, ranges in module.items():
            for start, end in ranges:
                if start < end:
                    assert _areas_between(document, start, end) == {area}, (hex(start), hex(end))


def _areas_between(document: Document, start: int, end: int) -> Set[str]:
    """Areas of the regions that overlap [start, end), and "hole" where it is not all mapped."""
    found = [r for r in document["regions"] if number(r["start"]) < end and start < number(r["end"])]
    covered = sum(min(end, number(r["end"])) - max(start, number(r["start"])) for r in found)
    return {r["area"] for r in found} | ({"hole"} if covered < end - start else set())


def assert_threads(document: Document, threads: Sequence[RealThread]) -> None:
    """Every thread's stack pointer is on a stack, and its pc in something that can be run."""
    assert threads
    for thread in threads:
        # A full-descending stack that is empty has its sp one past the end.
        assert holding(document, thread.sp - 1)["area"] in ("thread-stacks", "goroutine-stacks"), thread
        assert holding(document, thread.pc)["area"] in ("code", "shared-libs", "vdso"), thread


def assert_unknown_resident(document: Document) -> None:
    """Nothing is said to be resident or not, and a note says why."""
    mapped = [a for a in document["areas"] if a["area"] not in ("kernel", "non-canonical", "free", "null")]
    for item in [*document["regions"], *document["mappings"], *mapped]:
        assert item["resident"] is None, item
    assert all(r["swapped"] is None for r in document["regions"])
    assert any("resident" in note for note in document["notes"]), document["notes"]


def assert_partition(document: Document) -> None:
    """All that must hold of any document, of a process or a core."""
    assert_partition_of_unchecked(document)
    assert_checks_ok(document)


def assert_partition_of_unchecked(document: Document) -> None:
    """The same without the product's own checks, which are made only for --check."""
    assert_valid(document)
    assert_covers(document)
    assert_neighbours_differ(document)
    assert_resident_of_mappings(document)
    assert_areas(document)
    assert_all_addresses(document)


def assert_core_mappings(document: Document, core: Path) -> None:
    """Mappings of a core are its PT_LOAD segments, and the files of its notes that have no segment."""
    with open(core, "rb") as file:
        elf = ELFFile(file)
        loads = [s.header for s in elf.iter_segments() if s["p_type"] == "PT_LOAD" and s["p_memsz"]]
        notes = [n for s in elf.iter_segments() if s["p_type"] == "PT_NOTE" for n in s.iter_notes()]
        listed = [n["n_desc"] for n in notes if n["n_type"] == "NT_FILE"]
    flags = {(s["p_vaddr"], s["p_vaddr"] + s["p_memsz"]): s["p_flags"] for s in loads}
    files = {
        (place["vm_start"], place["vm_end"]): name.decode()
        for note in listed
        for place, name in zip(note["Elf_Nt_File_Entry"], note["filename"])
    }
    ours = {(number(m["start"]), number(m["end"])): m for m in document["mappings"]}
    assert set(ours) == set(flags) | set(files)
    assert {at: m["file"] for at, m in ours.items() if m["file"]} == files
    for at, bits in flags.items():
        said = ours[at]["permissions"]
        assert ("w" in said, "x" in said) == (bool(bits & 2), bool(bits & 1)), ours[at]


class Marks(NamedTuple):
    """Names of the rows that the diagram marks with pc and sp; empty where there is none."""

    pc: str
    sp: str


# The edge of a box, or of a box in it; a name, perhaps cut or with an arrow; and the edge again.
_ROW = re.compile(
    r"[\u2502\u250a|:] [\u254e| ] ?(?P<name>[A-Za-z][\w /.-]*?\w)(?P<cut>\u2026|\.\.\.)?"
    r"(?: [\u2191\u2193^v])? +[\u254e| ]? ?[\u2502\u250a|:](?: |$)"
)


def rows(diagram: str) -> List[Tuple[str, str]]:
    """Name and line of each row of a diagram, from the top; a name that is cut ends in "...\"."""
    found = []
    for line in diagram.splitlines():
        row = _ROW.match(line[line.find(" ") + 1 :] if line[:1].isdigit() else line.lstrip())
        if row and not re.match(r"(grows? |in \d)", row.group("name")):
            found.append((row.group("name") + ("..." if row.group("cut") else ""), line))
    return found


def marks(diagram: str) -> Marks:
    """Which rows of a diagram have the marks."""
    found = {"pc": "", "sp": ""}
    for name, line in rows(diagram):
        mark = re.search(r" [\u25c0<] (pc sp|pc|sp)(?: |$)", line)
        for word in mark.group(1).split() if mark else ():
            assert not found[word], diagram
            found[word] = name
    return Marks(**found)


_ROW_OF_AREA = {
    "heap": ("Go Heap",),
    "goroutine-stacks": ("Goroutine Stacks",),
    "shared-libs": ("Shared Libs",),
    "code": ("Code Segment",),
    "thread-stacks": ("Main Thread Stack", "Thread Stacks"),
    "vdso": ("vDSO",),
}


def assert_marks(diagram: str, document: Document, pc: int, sp: int) -> None:
    """The marks stand in the rows of the regions that hold pc and sp."""
    shown = marks(diagram)
    for row, address in ((shown.pc, pc), (shown.sp, sp)):
        region = holding(document, address)
        names = _ROW_OF_AREA[region["area"]]
        # That names are whole is another test's business.
        assert any(row == n or (row.endswith("...") and n.startswith(row[:-3])) for n in names), (
            shown,
            diagram,
        )
        if region["area"] == "thread-stacks":
            assert (row == "Main Thread Stack") == (region["kind"] == "main thread stack"), (shown, region)
