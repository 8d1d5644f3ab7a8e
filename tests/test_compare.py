"""`addrspace compare` on two inferiors: the oracle is /proc/PID/pagemap, read here page by page."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import jsonschema
import pytest
from harness.build import Binary, Builder
from harness.command import cli
from harness.debuggers import Gdb
from harness.gdbrun import Scene, run_gdb
from harness.held import stop
from harness.processes import Process, Processes
from harness.scenes import open_core
from harness.toolchains import Toolchain

from addrspace_gdb.views.documents.schema import schema

PAGE = 4096
FRAME = (1 << 55) - 1


def word(pid: int, address: int) -> int:
    """The pagemap word of a page (Documentation/admin-guide/mm/pagemap.rst)."""
    with open(f"/proc/{pid}/pagemap", "rb") as file:
        file.seek(address // PAGE * 8)
        (found,) = struct.unpack("Q", file.read(8))
    assert isinstance(found, int)
    return found


def present(found: int) -> bool:
    return bool(found >> 63)


class Pair:
    """Two processes of one program, to which gdb attaches as inferiors 1 and 2."""

    def __init__(self, processes: Processes, binary: Binary) -> None:
        self.binary = binary
        self.both: List[Process] = [
            processes.start([str(binary.path), "wait"]).wait_ready() for _ in range(2)
        ]
        self.pids = [process.pid for process in self.both]

    def stop(self) -> None:
        """Stop both by a signal, so that nothing changes between two looks."""
        for process in self.both:
            stop(process)

    def scene(self) -> Scene:
        enter = [f"attach {self.pids[0]}", f"add-inferior -exec {self.binary.path}", "inferior 2"]
        enter += [f"attach {self.pids[1]}", "inferior 1"]
        return Scene("live", self.binary.path, enter, ("detach inferiors 1 2",))


def tried(command: str) -> str:
    code = f"import gdb\ntry:\n gdb.execute({command!r})\nexcept gdb.error as error:\n"
    code += " gdb.write('ERROR ' + str(error) + '\\n')"
    return f"python exec({code!r})"


def ask(gdb: Gdb, scene: Scene, *commands: str) -> List[str]:
    lines = [line for command in commands for line in ("echo \\n=====\\n", tried(command))]
    done = run_gdb(gdb, lines, scene, load=True)
    assert "Traceback" not in done.stdout + done.stderr, done.stderr[-3000:]
    return done.stdout.split("\n=====\n")[1:]


@pytest.fixture
def pair(newest_go: Toolchain, build_program: Builder, processes: Processes) -> Pair:
    """Two processes of the program `moments`, which is not position independent."""
    return Pair(processes, build_program("moments", newest_go))


@pytest.fixture
def old_pair(build_program: Builder, go: Toolchain, processes: Processes) -> Pair:
    """The same for each Go; up to 1.25 the heaps start at the same address."""
    return Pair(processes, build_program("moments", go))


def compared(gdb: Gdb, pair: Pair, folder: Path, *addresses: str) -> Dict[str, Any]:
    out = folder / "compare.json"
    ask(gdb, pair.scene(), f"addrspace compare 1 2 {' '.join(addresses)} --format json --output {out}")
    document: Dict[str, Any] = json.loads(out.read_text())
    jsonschema.validate(document, schema("compare/1"))
    return document


def root() -> bool:
    return os.geteuid() == 0 and bool(word(os.getpid(), id(word)) & FRAME)


def test_pages_are_the_same_where_page_frames_are(gdb_exe: Gdb, old_pair: Pair, tmp_path: Path) -> None:
    if not root():
        pytest.skip("page frames are shown to root only")
    old_pair.stop()
    heap = heap_address(old_pair.pids[0])
    wanted = ["0x401000", "0x0", "\"&'main.Oracle'\"", "0xffff800000000000", "\"@'main.Came'+0\""]
    document = compared(gdb_exe, old_pair, tmp_path, *wanted, *([hex(heap)] if heap else []))
    assert document["evidence"] == "page frames"
    assert_rows(document, *old_pair.pids)
    assert_points(document["points"], old_pair)
    if heap:
        assert_heap(document["points"][-1], heap, old_pair.pids)


def assert_rows(document: Dict[str, Any], one: int, two: int) -> None:
    """Of text and data as many bytes are the same as there are pages with equal frames."""
    rows = {row["name"]: row for row in document["rows"] if row["left"] and row["right"]}
    for name in ("Code Segment", "Globals / Data"):
        row = rows[name]
        assert row["left"]["start"] == row["right"]["start"]
        start, end = int(row["left"]["start"], 16), int(row["left"]["end"], 16)
        words = [(word(one, at), word(two, at)) for at in range(start, end, PAGE)]
        equal = [a & FRAME for a, b in words if present(a) and present(b) and a & FRAME == b & FRAME]
        # The zero page is nobody's memory: it has one frame for everybody.
        pages = [frame for frame in equal if equal.count(frame) == 1]
        assert row["same_bytes"] == len(pages) * PAGE > 0
    heap = rows.get("Go Heap")
    assert heap is None or heap["same_bytes"] == 0


def assert_points(points: List[Dict[str, Any]], pair: Pair) -> None:
    one, two = pair.pids
    text, null, oracle, kernel = points[:4]
    assert text["verdict"] == "the same page" and text["left"]["area"] == "code"
    assert text["left"]["frame"] == word(one, 0x401000) & FRAME == word(two, 0x401000) & FRAME
    assert text["left"]["file"] == str(pair.binary.path) and text["left"]["offset"] == 0x1000
    assert (null["verdict"], null["left"], null["right"]) == ("mapped in neither", None, None)
    assert kernel["verdict"] == "mapped in neither"
    address = int(oracle["address"], 16)
    assert oracle["verdict"] == "different pages" and oracle["left"]["area"] == "globals"
    for side, pid in (("left", one), ("right", two)):
        assert oracle[side]["frame"] == word(pid, address) & FRAME


def assert_heap(point: Dict[str, Any], address: int, pids: Sequence[int]) -> None:
    assert point["left"]["area"] in ("heap", "goroutine-stacks")
    frames = [word(pid, address) & FRAME for pid in pids]
    assert point["verdict"] == "different pages" and frames[0] != frames[1]
    assert [point[side]["frame"] for side in ("left", "right")] == frames


def heap_address(pid: int) -> int:
    """A page of the heap that is in memory, where the heap starts at 0xc000000000 (up to Go 1.25); else 0."""
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        start, _, rest = line.partition("-")
        if start == "c000000000":
            end = int(rest.split()[0], 16)
            return next(at for at in range(0xC000000000, end, PAGE) if present(word(pid, at)))
    return 0


def test_text_in_80_to_120_columns(gdb_exe: Gdb, pair: Pair) -> None:
    texts = ask(
        gdb_exe,
        pair.scene(),
        *(
            line
            for width in (80, 100, 120)
            for line in (f"set addrspace width {width}", "addrspace compare 1 2")
        ),
        "addrspace compare 2 1 0x401000 0",
        "thread",
    )
    for width, text in zip((80, 100, 120), texts[1::2]):
        lines = text.strip().splitlines()
        assert max(map(len, lines)) <= width
        assert lines[0].startswith("1 inferior 1") and lines[1].startswith("2 inferior 2")
        (code,) = [line for line in lines if "Code Segment" in line]
        assert code.count("0x000000400000") == 2 and " = " in code
        assert f"pid {pair.pids[0]}" in lines[0] and f"pid {pair.pids[1]}" in lines[1]
    assert "told by page frames" in texts[1] or not root()
    assert "the same" in texts[6] and "mapped in neither" in texts[6]
    assert "Current thread is 1.1" in texts[7], "the selection is put back"
    assert all(process.running() for process in pair.both)


def test_without_root_pages_are_told_by_their_files(gdb_exe: Gdb, pair: Pair, tmp_path: Path) -> None:
    """The words of pagemap without page frames, as the kernel shows them to who lacks CAP_SYS_ADMIN."""
    hide = """
import addrspace_gdb.process.pagemap as pagemap
from array import array
plain = pagemap.PageWords.words
pagemap.PageWords.words = lambda self, a, b: array('Q', [w & ~pagemap.FRAME for w in plain(self, a, b)])
"""
    out = tmp_path / "hidden.json"
    pair.stop()
    shown = compared(gdb_exe, pair, tmp_path)
    ask(
        gdb_exe,
        pair.scene(),
        f"python exec({hide!r})",
        f"addrspace compare 1 2 0x401000 \"&'main.Oracle'\" --format json --output {out}",
    )
    document = json.loads(out.read_text())
    jsonschema.validate(document, schema("compare/1"))
    assert document["evidence"] == "pages of files"
    rows = [{row["name"]: row["same_bytes"] for row in side["rows"]} for side in (shown, document)]
    assert rows[0]["Code Segment"] == rows[1]["Code Segment"] > 0
    text, oracle = document["points"]
    assert text["verdict"] == "the same page of the file" and text["left"]["frame"] is None
    assert oracle["verdict"] == "different pages"
    assert any("root only" in note for note in document["notes"])


def test_position_independent_programs_share_pages_at_other_addresses(
    gdb_exe: Gdb, newest_go: Toolchain, build_program: Builder, processes: Processes, tmp_path: Path
) -> None:
    document = compared(gdb_exe, Pair(processes, build_program("moments", newest_go, "pie")), tmp_path)
    codes = [row for row in document["rows"] if row["name"] == "Code Segment"]
    starts = [row[side]["start"] for row in codes for side in ("left", "right") if row[side]]
    assert len(starts) == 2 and starts[0] != starts[1]
    assert not any(row["same_bytes"] for row in codes)


def test_dumps_and_cores(gdb_exe: Gdb, pair: Pair, tmp_path: Path) -> None:
    dumps = [tmp_path / "a.json", tmp_path / "b.json"]
    cores = [tmp_path / "core1", tmp_path / "core2"]
    answers = ask(
        gdb_exe,
        pair.scene(),
        f"addrspace --format json --output {dumps[0]}",
        f"generate-core-file {cores[0]}",
        "inferior 2",
        f"addrspace --format json --output {dumps[1]}",
        f"generate-core-file {cores[1]}",
        f"addrspace compare {dumps[0]} {dumps[1]} 0x401000",
        f"addrspace compare {dumps[0]} 2 0x401000",
    )
    assert "the same page of the file" in answers[-1] and "the same page of the file" in answers[-2]
    done = cli("compare", *dumps, "0x401000", "0x0", "--format", "json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    jsonschema.validate(document, schema("compare/1"))
    assert document["evidence"] == "file and offset"
    text, null = document["points"]
    assert text["verdict"] == "the same page of the file" and null["verdict"] == "mapped in neither"
    code: Optional[Dict[str, Any]] = next(r for r in document["rows"] if r["name"] == "Code Segment")
    assert code is not None and code["same_bytes"] == code["mapped_in_both"] > 0
    drawn = cli("compare", *dumps, "--width", "120")
    assert drawn.returncode == 0 and max(map(len, drawn.stdout.splitlines())) <= 120
    try:
        assert_two_cores(gdb_exe, pair.binary, cores, tmp_path / "cores.json")
    finally:
        for core in cores:  # a gigabyte each
            core.unlink()


def assert_two_cores(gdb: Gdb, binary: Binary, cores: Sequence[Path], out: Path) -> None:
    scene = open_core(cores[0], binary.path)
    enter = [*scene.enter, f"add-inferior -exec {binary.path}", "inferior 2", f"core-file {cores[1]}"]
    ask(
        gdb,
        scene._replace(enter=enter),
        f"addrspace compare 1 2 0x401000 --format json --output {out}",
    )
    document = json.loads(out.read_text())
    jsonschema.validate(document, schema("compare/1"))
    assert document["evidence"] == "file and offset"
    assert document["points"][0]["verdict"] == "the same page of the file"
    assert document["left"]["target"]["pid"] != document["right"]["target"]["pid"]


def test_an_inferior_without_a_process_or_go(gdb_exe: Gdb, pair: Pair, build_program: Builder) -> None:
    program = build_program("c_only")
    answers = ask(
        gdb_exe,
        pair.scene(),
        "add-inferior",
        "addrspace compare 1 3",
        "addrspace compare 3 1",
        f"add-inferior -exec {program.path}",
        "inferior 4",
        f"break {program.breakpoint}",
        "run </dev/null >/dev/null",
        "inferior 1",
        "addrspace compare 1 4",
        "kill inferiors 4",
    )
    assert "ERROR addrspace: inferior 3 has no process" in answers[1]
    assert "ERROR addrspace: inferior 3 has no process" in answers[2]
    assert "ERROR addrspace: inferior 4: " in answers[8] and "is not a Go program" in answers[8]
