"""`addrspace heap`, `arenas` and `spans` on real programs: what they show, filter and refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Tuple

import jsonschema
import pytest
from elftools.elf.elffile import ELFFile
from harness.build import Builder
from harness.debuggers import Gdb, gdbs
from harness.gdbrun import Scene, run_gdb
from harness.scenes import gcore, launch_to_breakpoint
from harness.toolchains import Toolchain

from addrspace_gdb.common.sizes import size
from addrspace_gdb.views.documents.schema import schema

ALSO_OLD = True  # Go 1.19 and 1.20 too, in the matrix
ALSO_STRIPPED = "in_text|test_arenas"

Document = Dict[str, Any]


class Core(NamedTuple):
    """A core of the program `slots`, opened again and again."""

    scene: Scene
    path: Path
    objects: List[List[str]]  # state, address, size

    def ask(self, *commands: str) -> List[str]:
        """What each command prints, "ERROR " and gdb's line if it fails."""
        lines = ["set width 100"]
        for one in commands:
            runner = (
                f"import gdb\ntry:\n gdb.execute({one!r})\nexcept gdb.error as e:\n gdb.write('ERROR %s' % e)"
            )
            lines += ["echo \\n=====\\n", f"python exec({runner!r})"]
        run = run_gdb(gdbs()[0], lines, self.scene, load=True)
        assert "Traceback" not in run.stdout + run.stderr, run.stderr[-3000:]
        return run.stdout.split("\n=====\n")[1:]

    def both(self, folder: Path, asked: List[str], *commands: str) -> Tuple[List[Document], List[str]]:
        """JSON of `commands` and text of `asked`, by one gdb."""
        files = [folder / f"both{number}.json" for number in range(len(commands))]
        json_lines = [f"{one} --format json --output {file}" for one, file in zip(commands, files)]
        texts = self.ask(*asked, *json_lines)
        return [json.loads(file.read_text()) for file in files], texts[: len(asked)]

    def documents(self, folder: Path, *commands: str) -> List[Document]:
        """Their JSON, as the schemas say."""
        files = [folder / f"{number}.json" for number in range(len(commands))]
        self.ask(*(f"{one} --format json --output {file}" for one, file in zip(commands, files)))
        found = [json.loads(file.read_text()) for file in files]
        for document in found:
            jsonschema.validate(document, schema(document["schema"]))
        return found


@pytest.fixture(scope="module")
def core(newest_go: Toolchain, build_program: Builder, tmp_path_factory: pytest.TempPathFactory) -> Core:
    """The core of `slots` at its breakpoint."""
    if not gdbs():
        pytest.skip("no gdb")
    folder = tmp_path_factory.mktemp("core")
    scene = launch_to_breakpoint(build_program("slots", newest_go), folder / "oracle", "settled")
    opened = gcore(gdbs()[0], scene, folder / "core")
    lines = (folder / "oracle.objects").read_text().splitlines()
    return Core(opened, folder / "core", [line.split() for line in lines])


def test_heap_in_text(core: Core, tmp_path: Path) -> None:
    (document,) = core.documents(tmp_path, "addrspace heap")
    text, classes, large, pages = core.ask(
        "addrspace heap", "addrspace heap --sizes", "addrspace heap --large --limit 3", "addrspace heap --map"
    )
    assert [line for line in text.splitlines() if len(line) > 100] == []
    for part in ("live", "free", "waste"):
        assert f"  {size(document['bytes'][part])}  " in text
    assert "objects dead" not in text and "damaged" not in text
    rows = [line for line in classes.splitlines()[1:] if not line.startswith("note:")]
    assert len(rows) == len(document["classes"])
    for one, line in zip(document["classes"], rows):
        words = line.split()
        assert words[0] == (str(one["class"]) if one["class"] else "large")
        assert ("noscan" in words) == one["noscan"] and f"{one['slots']:,}" in words
    biggest = sorted(document["large"], key=lambda one: -one["span"])[:3]
    assert [line.split()[0] for line in large.splitlines()[1:4]] == [
        f"0x{int(one['address'], 16):012x}" for one in biggest
    ]
    assert f"{len(document['large']) - 3} more large objects" in large
    types = {one["address"]: one["type"] for one in document["large"] if not one["noscan"]}
    assert "[...]*main.pointers" in types.values()  # as `addrspace types` has it
    assert None not in types.values() and all(
        one["type"] is None for one in document["large"] if one["noscan"]
    )
    assert large.splitlines()[0].endswith("Type") == any(one["type"] for one in biggest)
    assert pages.startswith("Page map") and "█ objects" in pages
    (ascii_text,) = core.ask("set addrspace unicode off", "addrspace heap")[1:]
    assert ascii_text.isascii() and "# objects" in ascii_text


def test_arenas(core: Core, tmp_path: Path) -> None:
    heap, arenas, stacks = core.documents(
        tmp_path, "addrspace heap", "addrspace arenas", "addrspace arenas --use stacks --sort stacks"
    )
    assert arenas["arenas"] == heap["arenas"]
    assert [a for a in arenas["arenas"] if a["uses"]["stacks"]] == sorted(
        stacks["arenas"], key=lambda arena: int(arena["start"], 16)
    )
    first = arenas["arenas"][0]
    text, inside, outside = core.ask(
        "addrspace arenas",
        f"addrspace arenas --range {first['start']},{first['start']}+1",
        "addrspace arenas --range 1,2",
    )
    assert len(text.splitlines()) == len(arenas["arenas"]) + 2 and len(inside.splitlines()) == 3
    assert outside == "ERROR addrspace: no arena matches"


def test_spans_are_all_there_and_filters_pick(core: Core, tmp_path: Path) -> None:
    heap, spans, small, noscan, large, stacks, used = core.documents(
        tmp_path,
        "addrspace heap",
        "addrspace spans",
        "addrspace spans --class 7",
        "addrspace spans --noscan --sort free",
        "addrspace spans --state large --min-size 1MiB --sort size",
        "addrspace spans --state stacks --state other",
        "addrspace spans --state small --sort used",
    )
    rows = spans["spans"]
    assert [int(row["start"], 16) for row in rows] == sorted(int(row["start"], 16) for row in rows)
    for one in heap["classes"]:
        same = [r for r in rows if (r["class"], r["noscan"]) == (one["class"], one["noscan"])]
        assert len(same) == one["spans"] and sum(r["size"] for r in same) == one["size"]
        for part in ("live", "since", "dead", "free"):
            assert sum(r["objects"][part] for r in same) == one["objects"][part]
    assert small["spans"] == [row for row in rows if row["class"] == 7]
    assert {row["start"] for row in noscan["spans"]} == {row["start"] for row in rows if row["noscan"]}
    free = [row["objects"]["free"] * row["object_size"] for row in noscan["spans"]]
    assert free == sorted(free, reverse=True)
    assert [row["size"] for row in large["spans"]] == sorted(
        (row["size"] for row in rows if row["class"] == 0 and row["size"] >= 1 << 20), reverse=True
    )
    assert stacks["spans"] == [row for row in rows if row["slots"] is None]
    taken = [(row["slots"] - row["objects"]["free"]) * row["object_size"] for row in used["spans"]]
    assert len(taken) > 1 and taken == sorted(taken, reverse=True)


@pytest.mark.symbols
def test_one_span_with_its_slots(core: Core, tmp_path: Path) -> None:
    kept = next(one for one in core.objects if one[0] == "kept" and one[2] == "208")
    later = next(one for one in core.objects if one[0] == "later")
    inside = int(kept[1], 16) + 5
    document, large = core.documents(tmp_path, f"addrspace spans {inside:#x}", f"addrspace spans {later[1]}")
    (span,), slot = document["spans"], document["slot"]
    assert (slot["base"], slot["offset"], slot["state"]) == (hex(inside - 5), 5, "live")
    assert len(span["states"]) == span["slots"] and span["states"][slot["index"]] == "l"
    assert {letter: span["states"].count(letter) for letter in "lsd."} == {
        "l": span["objects"]["live"],
        "s": span["objects"]["since"],
        "d": 0,
        ".": span["objects"]["free"],
    }
    for state, address, length in core.objects:
        index = (int(address, 16) - int(span["start"], 16)) // 208
        if length == "208" and state == "kept" and 0 <= index < span["slots"]:
            assert span["states"][index] == "l"
    assert large["slot"]["offset"] == 0 and large["spans"][0]["slots"] == 4
    text, quoted, behind, nowhere, no_symbol, both = core.ask(
        f"addrspace spans {inside:#x}",
        "addrspace spans &'main.Oracle'",
        f"addrspace spans {span['end']}-1",
        "addrspace spans 0x10",
        "addrspace spans nosuch",
        f"addrspace spans {inside:#x} --noscan",
    )
    assert f"is in slot {slot['index']:,} at 0x{inside - 5:012x} + 5" in text
    assert f"▲ slot {slot['index']}" in text and "allocated; survived the last GC" in text
    assert "is in no span" in quoted and "is in no span" in nowhere
    assert "behind the last slot" in behind
    assert no_symbol.startswith("ERROR addrspace: cannot evaluate") and "filters do not go" in both


class Edit(NamedTuple):
    """A field of an mspan that is damaged, and what is then said of the span."""

    field: str
    value: int
    says: str


EDITS = (
    Edit("nelems", 0, "0 slots"),
    Edit("nelems", 0xFFFF, "do not fit"),
    Edit("elemsize", 24, "in size class"),
    Edit("elemsize", 1 << 62, "do not fit"),
    Edit("freeindex", 0xFFFF, "freeindex 65,535"),
    Edit("allocCount", 0xFFFF, "allocCount 65,535"),
    Edit("allocBits", 0x00DEAD0000000000, "its bits cannot be read"),
    Edit("allocBits", 0, "its bits cannot be read"),
    Edit("sweepgen", 77, "sweepgen 77"),
    Edit("spanclass", 0xFF, "in size class 127"),
)


class Victim(NamedTuple):
    """The span that is damaged: as JSON has it, what the heap was, where its fields are and their bytes."""

    span: Document
    heap: Document
    fields: Dict[str, Tuple[int, int]]


@pytest.fixture(scope="module")
def victim(core: Core, tmp_path_factory: pytest.TempPathFactory) -> Victim:
    """The first span of 208-byte objects."""
    spans, heap = core.documents(
        tmp_path_factory.mktemp("before"), "addrspace spans --class 15", "addrspace heap"
    )
    span = spans["spans"][0]
    lines = ["set language c"]
    for name in {edit.field for edit in EDITS}:
        where = f"&(*(struct 'runtime.mspan' *){span['mspan']}).{name}"
        lines.append(f"python at = gdb.parse_and_eval({where!r})")
        lines.append(f"python print('AT {name}', int(at), at.dereference().type.sizeof)")
    said = run_gdb(gdbs()[0], lines, core.scene).stdout.splitlines()
    found = [line.split()[1:] for line in said if line.startswith("AT ")]
    return Victim(span, heap, {name: (int(at), int(width)) for name, at, width in found})


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: f"{edit.field}={edit.value:#x}")
def test_damaged_spans_cost_themselves_only(core: Core, victim: Victim, tmp_path: Path, edit: Edit) -> None:
    before, span = victim.heap, victim.span
    address, width = victim.fields[edit.field]
    asked = ["addrspace heap", f"addrspace spans {span['start']}"]
    with _Written(core.path, address, edit.value.to_bytes(8, "little")[:width]):
        (after, listed), (text, card) = core.both(tmp_path, asked, "addrspace heap", "addrspace spans")
    assert sum(after["bytes"].values()) == sum(before["bytes"].values())
    assert after["bytes"]["unknown"] == span["size"]
    for part in ("live", "since", "dead", "free"):
        assert before["objects"][part] - after["objects"][part] == span["objects"][part]
    assert all(sum(one["bytes"].values()) == one["size"] for one in after["classes"])
    assert [p for p in after["problems"] if edit.says in p] and "problem: spans: 1 damaged" in text
    (row,) = [row for row in listed["spans"] if row["start"] == span["start"]]
    assert row["objects"] is None and edit.says in row["problem"] and edit.says in card


class _Written:
    """The core with some bytes changed."""

    def __init__(self, path: Path, address: int, data: bytes) -> None:
        with open(path, "rb") as file:
            for segment in ELFFile(file).iter_segments():
                start = segment["p_vaddr"]
                if segment["p_type"] == "PT_LOAD" and start <= address < start + segment["p_filesz"]:
                    self.offset = segment["p_offset"] + address - start
        self.path, self.data = path, data

    def __enter__(self) -> None:
        self.data = self._exchange()

    def __exit__(self, *_: object) -> None:
        self._exchange()

    def _exchange(self) -> bytes:
        with open(self.path, "r+b") as file:
            file.seek(self.offset)
            old = file.read(len(self.data))
            file.seek(self.offset)
            file.write(self.data)
        return old


def test_each_gdb_has_help_and_words(gdb_exe: Gdb, core: Core) -> None:
    names = ("heap", "arenas", "spans")
    commands = [f"help addrspace {name}" for name in names] + [
        "complete addrspace spans --st",
        "addrspace heap --nosuch",
    ]
    run = run_gdb(gdb_exe, commands, core.scene, load=True)
    for name in names:
        assert f"usage: addrspace {name}" in run.stdout
    assert "addrspace spans --state" in run.stdout
    assert "addrspace: heap: unrecognized arguments: --nosuch" in run.stderr
