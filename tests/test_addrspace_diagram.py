"""The pictures and tables of real processes: what a person sees in gdb, and how it is asked for."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Sequence, Tuple

import invariants
import pytest
from harness import LOADER
from harness.build import Builder
from harness.debuggers import Gdb, gdbs
from harness.gdbrun import Result, Scene, kill_session, run_gdb
from harness.scenes import launch_to_breakpoint
from harness.toolchains import Toolchain
from invariants import Document, number, rows

from addrspace_gdb.common.sizes import size

TUTORIAL = [
    "Kernel Space",
    "Shared Libs",
    "Go Heap",
    "Free / mmap region",
    "Goroutine Stacks",
    "Globals / Data",
    "Code Segment",
    "Reserved / NULL",
]
AREAS = ["kernel", "shared-libs", "heap", "free", "goroutine-stacks", "globals", "code", "null"]
LINES, COLUMNS = 50, 100

PROGRAMS: List[Tuple[str, str, Tuple[str, ...]]] = [
    ("shapes", "plain", ()),
    ("shapes", "pie", ()),
    ("shapes", "race", ()),
    ("shapes", "386", ()),
    ("nodes", "plain", ("20000",)),
    ("parked", "plain", ("2000",)),
    ("foreign", "plain", ()),
    ("cgo", "cgo", ()),
    ("cgo", "race", ()),
    ("cshared", "c-shared", ()),
    ("pluginhost", "plugin", ()),
    ("maps60k", "plain", ("3000",)),
    ("threads", "plain", ("300",)),
]
MATRIX: List[Tuple[str, str, Tuple[str, ...]]] = [
    ("maps60k", "plain", ("60000",)),
    ("nodes", "plain", ("1000000",)),
    ("parked", "plain", ("100000",)),
]


class Shown(NamedTuple):
    """What one stop looks like: outputs by the name they were asked for, and the document beside them."""

    text: Dict[str, str]
    document: Document
    pc: int
    sp: int
    threads: int
    run: Result


def sections(commands: Mapping[str, Sequence[str]]) -> List[str]:
    """gdb commands that print each group of commands behind a line with its name."""
    lines = []
    for name, group in commands.items():
        lines += [f"echo \\n==== {name}\\n", *group]
    return [*lines, "echo \\n==== end\\n"]


def split(output: str) -> Dict[str, str]:
    """What stands behind each name."""
    parts = re.split(r"^==== (.*)\n", output, flags=re.MULTILINE)[1:]
    return {
        name: text[: -1 if text.endswith("\n\n") else None] for name, text in zip(parts[::2], parts[1::2])
    }


def look(gdb: Gdb, scene: Scene, folder: Path, commands: Mapping[str, Sequence[str]], **more: Any) -> Shown:
    """Run the commands in the scene, and take the document of the same stop."""
    path = folder / "space.json"
    before = [f"addrspace --format json --output {path}", 'printf "at %lu %lu\\n", $pc, $sp']
    before += ['python print("threads", len(gdb.selected_inferior().threads()))']
    run = run_gdb(gdb, [*before, *sections(commands)], scene, load=True, cwd=folder, **more)
    document = invariants.load(path, run)
    at = re.search(r"^at (\d+) (\d+)\nthreads (\d+)$", run.stdout, re.MULTILINE)
    assert at, run.stdout
    pc, sp, threads = (int(word) for word in at.groups())
    return Shown(split(run.stdout), document, pc, sp, threads, run)


PICTURES: Dict[str, Sequence[str]] = {
    "text": ["addrspace"],
    "classic": ["addrspace --classic"],
    "classic by format": ["addrspace --format classic"],
    "ascii": ["set addrspace unicode off", "addrspace"],
    "ascii classic": ["addrspace --classic"],
    "ascii regions": ["addrspace regions"],
    "ascii summary": ["addrspace regions --summary", "addrspace --check"],
    "narrow ascii": ["set addrspace width 72", "addrspace"],
    "narrow classic": ["set addrspace unicode on", "addrspace --classic"],
    "narrow": ["addrspace"],
    "wide": ["set addrspace width 140", "addrspace"],
}
DIAGRAMS = ["text", "ascii", "narrow ascii", "narrow", "wide"]
CLASSICS = ["classic", "ascii classic", "narrow classic"]


def named(case: Tuple[str, str, Tuple[str, ...]]) -> str:
    return "-".join((case[0], case[1], *case[2]))


CASES = [pytest.param(case, id=named(case)) for case in PROGRAMS]
CASES += [pytest.param(case, id=named(case), marks=pytest.mark.matrix) for case in MATRIX]


@pytest.fixture(scope="module")
def shown(
    request: pytest.FixtureRequest,
    newest_go: Toolchain,
    build_program: Builder,
    tmp_path_factory: pytest.TempPathFactory,
) -> Shown:
    """Every picture of the case's program at its breakpoint."""
    program, variant, arguments = request.param
    binary = build_program(program, newest_go, variant)
    if not gdbs():
        pytest.skip("no gdb")
    folder = tmp_path_factory.mktemp("picture")
    return look(gdbs()[0], launch_to_breakpoint(binary, folder / "oracle", *arguments), folder, PICTURES)


every_program = pytest.mark.parametrize("shown", CASES, indirect=True)


def boundaries(picture: str) -> List[int]:
    """Addresses at the separators, from the top."""
    found = re.findall(r"^ *(0x[0-9a-f]+|2\^\d+) [├┌└+]", picture, re.MULTILINE)
    return [1 << int(text[2:]) if text.startswith("2^") else number(text) for text in found]


@every_program
@pytest.mark.parametrize("picture", DIAGRAMS + CLASSICS)
def test_a_picture_fits_the_screen(shown: Shown, picture: str) -> None:
    lines = shown.text[picture].splitlines()
    columns = 72 if "narrow" in picture else 140 if "wide" in picture else COLUMNS
    assert 20 < len(lines) <= LINES
    assert max(len(line) for line in lines) <= columns


@every_program
@pytest.mark.parametrize("picture", DIAGRAMS)
def test_the_tutorial_s_eight_areas_are_there(shown: Shown, picture: str) -> None:
    names = {name for name, _ in rows(shown.text[picture])}
    assert set(TUTORIAL) - names - absent_halves(shown) == set()


def absent_halves(shown: Shown) -> set[str]:
    """A 32-bit program has all 4 GiB to itself under a 64-bit kernel: there is no kernel in its addresses."""
    return {"Kernel Space"} if shown.document["target"]["pointer_size"] == 4 else set()


@every_program
@pytest.mark.parametrize("picture", DIAGRAMS)
def test_boundaries_descend_and_are_true(shown: Shown, picture: str) -> None:
    found = boundaries(shown.text[picture])
    assert len(found) >= 6
    assert found == sorted(found, reverse=True)
    everything = shown.document["regions"] + shown.document["unmapped"]
    assert set(found) <= {number(r[edge]) for r in everything for edge in ("start", "end")}


@every_program
@pytest.mark.parametrize("picture", DIAGRAMS)
def test_sizes_of_rows_are_those_of_their_areas(shown: Shown, picture: str) -> None:
    totals = {a["area"]: a for a in shown.document["areas"]}
    for name, area in zip(TUTORIAL, AREAS):
        lines = [line for row, line in rows(shown.text[picture]) if row == name]
        if name in ("Free / mmap region", "Shared Libs") or len(lines) != 1:
            continue  # several rows of one area
        (line,) = lines
        numbers = re.findall(r"[\d.]+ [KMGTPE]?i?B", line)
        assert numbers[0] == size(totals[area]["size"]), line
        if totals[area]["resident"] is not None:
            assert numbers[1] == size(totals[area]["resident"]), line


@every_program
@pytest.mark.parametrize("picture", DIAGRAMS)
def test_marks_stand_in_the_rows_that_hold_pc_and_sp(shown: Shown, picture: str) -> None:
    invariants.assert_marks(shown.text[picture], shown.document, shown.pc, shown.sp)


@every_program
@pytest.mark.parametrize("picture", ["text", "ascii", "classic", "wide"])
def test_the_header_says_what_is_looked_at(shown: Shown, picture: str) -> None:
    head = "\n".join(shown.text[picture].splitlines()[:4])
    target, counts = shown.document["target"], shown.document["goroutines"]
    for fact in (target["go_version"], target["arch"], f"pid {target['pid']}", f"{shown.threads} threads"):
        assert fact in head
    assert "GC phase off" in head and Path(target["executable"]).name in head
    said = " ".join(head.splitlines()[1:])
    assert re.search(rf"^{counts['total']:,} goroutines? \(\d+ of the runtime\)", said)
    for status, count in counts["by_status"].items():
        assert f"{count:,} {status}" in said
    assert f"virtual {size(sum(r['size'] for r in shown.document['regions']))}" in head
    assert f"resident {size(sum(r['resident'] for r in shown.document['regions']))}" in head


@every_program
def test_ascii_is_ascii(shown: Shown) -> None:
    for name, text in shown.text.items():
        if "ascii" in name:
            assert text.isascii() and "\\u" not in text, name


@every_program
@pytest.mark.parametrize("picture", CLASSICS)
def test_classic_has_the_tutorial_s_rows_in_its_order(shown: Shown, picture: str) -> None:
    box = [line for line in shown.text[picture].splitlines() if re.match(r"[│┊|:]", line)]
    named = [(name, line) for line in box for name in TUTORIAL if name in line[:30]]
    assert [name for name, _ in named] == TUTORIAL
    totals = {a["area"]: a["size"] for a in shown.document["areas"]}
    for area, (_, line) in zip(AREAS, named):
        assert size(totals[area]) in line if area in totals else re.search(r" (none|0 B)\b", line)


@every_program
def test_classic_is_a_format_too(shown: Shown) -> None:
    assert shown.text["classic by format"] == shown.text["classic"]


@every_program
def test_check_is_a_table_in_which_all_is_well(shown: Shown) -> None:
    assert re.search(
        r"^10 checks: 10 ok, 0 mismatched, 0 unknown$", shown.text["ascii summary"], re.MULTILINE
    )


@every_program
def test_nothing_here_has_escapes(shown: Shown) -> None:
    assert "\x1b" not in shown.run.stdout


@every_program
def test_regions_are_those_of_the_document(shown: Shown) -> None:
    found = re.findall(r"^(0x[0-9a-f]+)-(0x[0-9a-f]+) ", shown.text["ascii regions"], re.MULTILINE)
    ours = [(number(low), number(high)) for low, high in found]
    assert ours == [(number(r["start"]), number(r["end"])) for r in shown.document["regions"]]
    assert f"{len(ours):,} regions" in shown.text["ascii regions"].splitlines()[-1]


# Asking for regions, at one stop of `foreign`.

FILTERS: Dict[str, Callable[[Dict[str, Any]], bool]] = {
    "heap": lambda r: r["area"] == "heap",
    "heap goroutine-stacks": lambda r: r["area"] in ("heap", "goroutine-stacks"),
    "rw-p": lambda r: r["permissions"] == "rw-p",
    "r-x": lambda r: r["permissions"].startswith("r-x"),
    "---": lambda r: r["permissions"].startswith("---"),
    "rw-s": lambda r: r["permissions"] == "rw-s",
    "resident": lambda r: r["resident"] > 0,
    "runtime resident": lambda r: r["area"] == "runtime" and r["resident"] > 0,
    "foreign rw- resident": lambda r: (
        r["area"] == "foreign" and r["permissions"][:3] == "rw-" and r["resident"] > 0
    ),
    "memfd": lambda r: r["kind"] == "memfd",
    "PCLNTAB": lambda r: r["kind"] == "pclntab",
    "'goroutine 1'": lambda r: "goroutine 1" in r["label"],
    "'page summaries'": lambda r: r["kind"] == "page summaries",
    "/foreign": lambda r: "/foreign" in (r["file"] or "") + r["label"],
}
ADDRESSES = {
    "$pc": "code",
    "$sp": "goroutine-stacks",
    "&main.Oracle": "globals",
    "@&main.Oracle": "globals",
    "'@$sp + 8'": "goroutine-stacks",
    "@&main.Oracle.Alloc": "globals",
    "0x0": "null",
    "4096": "free",
    "0xffff900000000000": "kernel",
    "0x900000000000": "non-canonical",
}
REFUSED = {
    "nothing-is-called-so": "no region matches 'nothing-is-called-so'",
    "heap r-x": "no region matches 'heap r-x'",
    "@nosuchsymbol": "cannot evaluate 'nosuchsymbol'",
    "@": "cannot evaluate",
    "$nosuch": "",
    "--limit -1": "--limit",
    "--limit many": "--limit",
    "--format xml": "--format",
    "--nosuch": "unrecognized arguments: --nosuch",
    "'": "cannot read the arguments",
}


@pytest.fixture(scope="module")
def asked(newest_go: Toolchain, build_program: Builder, tmp_path_factory: pytest.TempPathFactory) -> Shown:
    """Every filter, at one stop."""
    folder = tmp_path_factory.mktemp("asked")
    if not gdbs():
        pytest.skip("no gdb")
    commands = {f"all {f}": [f"addrspace regions {f} --format json"] for f in FILTERS}
    commands.update({f"at {f}": [f"addrspace regions {f} --format json"] for f in ADDRESSES if ADDRESSES[f]})
    commands["text heap"] = ["addrspace regions heap"]
    commands["limit"] = ["addrspace regions --limit 3"]
    commands["limit 0"] = ["addrspace regions --limit 0"]
    commands["free"] = ["addrspace regions free kernel non-canonical null"]
    commands["summary"] = ["addrspace regions --summary"]
    commands["pipe"] = ["pipe addrspace regions | head -n 3"]
    commands["pipe all"] = ["pipe addrspace regions heap | wc -l"]
    commands["help"] = ["help addrspace"]
    commands["help regions"] = ["help addrspace regions"]
    commands["--help"] = ["addrspace --help"]
    commands["regions --help"] = ["addrspace regions --help"]
    for line in COMPLETED:
        commands[f"complete {line}"] = [f"complete {line}"]
    commands["show"] = ["show addrspace"]
    commands["apropos"] = ["apropos every byte"]
    commands["file"] = [f"addrspace --output {folder / 'picture'}", "addrspace"]
    scene = launch_to_breakpoint(build_program("foreign", newest_go), folder / "oracle")
    made = look(gdbs()[0], scene, folder, commands)
    made.text["written"] = (folder / "picture").read_text()
    return made


COMPLETED: Dict[str, List[str]] = {
    "addrspace reg": ["addrspace regions"],
    "addrspace --cl": ["addrspace --classic"],
    "addrspace --format ": [
        "addrspace --format classic",
        "addrspace --format html",
        "addrspace --format json",
        "addrspace --format svg",
        "addrspace --format text",
    ],
    "addrspace --format j": ["addrspace --format json"],
    "addrspace regions go": ["addrspace regions goroutine-stacks"],
    "addrspace regions --li": ["addrspace regions --limit"],
    "addrspace regions heap res": ["addrspace regions heap resident"],
    "addrspace regions thread": ["addrspace regions thread-stacks"],
    "addrspace --output /etc/hostn": ["addrspace --output /etc/hostname"],
    "addrspace --color o": ["addrspace --color off", "addrspace --color on"],
    "addrspace regions --asc": ["addrspace regions --ascii"],
    "goroutine-stacks --group s": ["goroutine-stacks --group stack", "goroutine-stacks --group status"],
    "goroutine-stacks --status w": [
        'goroutine-stacks --status "wait for GC cycle"',
        "goroutine-stacks --status waiting",
    ],
    "addrspace spans --sort ad": ["addrspace spans --sort address"],
    "set addrspace un": ["set addrspace unicode"],
    "set addrspace unicode o": ["set addrspace unicode off", "set addrspace unicode on"],
}


def bounds(regions: Sequence[Dict[str, Any]]) -> List[Tuple[str, str]]:
    return [(r["start"], r["end"]) for r in regions]


@pytest.mark.parametrize("filter_", FILTERS)
def test_a_filter_gives_what_it_says_and_all_of_it(asked: Shown, filter_: str) -> None:
    found = json.loads(asked.text[f"all {filter_}"])
    invariants.assert_valid(found)
    wanted = [r for r in asked.document["regions"] if FILTERS[filter_](r)]
    assert wanted
    assert bounds(found["regions"]) == bounds(wanted)
    assert found["unmapped"] == []


@pytest.mark.parametrize("address", [a for a in ADDRESSES if ADDRESSES[a]])
def test_an_address_gives_the_one_region_that_holds_it(asked: Shown, address: str) -> None:
    found = json.loads(asked.text[f"at {address}"])
    (region,) = found["regions"] + found["unmapped"]
    assert region["area"] == ADDRESSES[address]
    at = {"$pc": asked.pc, "$sp": asked.sp}.get(address)
    if at is None and address[0].isdigit():
        at = int(address, 0)
    if at is not None:
        assert number(region["start"]) <= at < number(region["end"])


def test_a_table_has_the_same_regions_as_json(asked: Shown) -> None:
    found = re.findall(r"^(0x[0-9a-f]+)[–-](0x[0-9a-f]+) .* heap ", asked.text["text heap"], re.MULTILINE)
    wanted = [r for r in asked.document["regions"] if r["area"] == "heap"]
    assert [(number(a), number(b)) for a, b in found] == [(number(a), number(b)) for a, b in bounds(wanted)]


def test_unmapped_areas_can_be_asked_for(asked: Shown) -> None:
    lines = asked.text["free"].splitlines()
    assert len([line for line in lines if line.startswith("0x")]) == len(asked.document["unmapped"])


def test_a_limit_says_how_much_it_leaves_out(asked: Shown) -> None:
    everything = len(asked.document["regions"])
    for name, count in (("limit", 3), ("limit 0", 0)):
        lines = asked.text[name].splitlines()
        assert len([line for line in lines if line.startswith("0x")]) == count
        assert lines[-1] == f"{everything - count:,} more regions are not shown (--limit {count})"


def test_a_summary_adds_up(asked: Shown) -> None:
    last = asked.text["summary"].splitlines()[-1].split()
    assert last[:2] == ["all", f"{len(asked.document['regions']):,}"]
    assert size(sum(r["size"] for r in asked.document["regions"])) in asked.text["summary"].splitlines()[-1]


def test_pipe_works(asked: Shown) -> None:
    assert len(asked.text["pipe"].splitlines()) == 3
    assert asked.text["pipe"].startswith("Range")
    heap = [r for r in asked.document["regions"] if r["area"] == "heap"]
    assert asked.text["pipe all"].strip() == str(len(heap) + 2)


@pytest.mark.parametrize("line", COMPLETED)
def test_completion(asked: Shown, line: str) -> None:
    assert asked.text[f"complete {line}"].splitlines() == COMPLETED[line]


def test_help_has_every_option(asked: Shown) -> None:
    for name, options in {
        "help": ["--classic", "--format", "--output", "--check", "addrspace regions"],
        "help regions": ["--summary", "--limit", "FILTER", "permissions", "resident", "$sp", "@EXPRESSION"],
    }.items():
        assert [option for option in options if option not in asked.text[name]] == []
    for name in ("--help", "regions --help"):
        assert "usage: addrspace" in asked.text[name]
    assert asked.text["--help"].strip() in asked.text["help"]
    assert asked.text["regions --help"].strip() in asked.text["help regions"]


def test_the_commands_are_found_by_what_they_are_for(asked: Shown) -> None:
    """gdb lists a command with the first line of its help, which must say what the command does."""
    (line,) = [one for one in asked.text["apropos"].splitlines() if one.startswith("addrspace -- ")]
    assert "Go process" in line and "usage:" not in line


def test_parameters_are_listed(asked: Shown) -> None:
    assert re.findall(r"^addrspace (\w+): ", asked.text["show"], re.MULTILINE) == [
        "unicode",
        "color",
        "style",
        "width",
        "aliases",
        "debug",
    ]


def test_output_goes_to_the_file_and_nowhere_else(asked: Shown) -> None:
    assert asked.text["written"] == asked.text["file"]
    assert "Kernel Space" in asked.text["written"]


@pytest.mark.parametrize("arguments", REFUSED)
def test_what_cannot_be_is_one_line_and_status_1(
    gdb_exe: Gdb, newest_go: Toolchain, build_program: Builder, tmp_path: Path, arguments: str
) -> None:
    scene = launch_to_breakpoint(build_program("foreign", newest_go), tmp_path / "oracle")._replace(leave=())
    run = run_gdb(gdb_exe, [f"addrspace regions {arguments}"], scene, load=True)
    assert run.status == 1
    (line,) = [one for one in run.stderr.splitlines() if one]
    assert line.startswith("addrspace: ") and REFUSED[arguments] in line
    assert "0x" not in run.stdout.partition("main.go")[2]


# Colour: only on a terminal.


def on_a_terminal(gdb: Gdb, commands: Sequence[str], scene: Scene, env: Dict[str, str]) -> str:
    """What gdb prints when its output is a terminal that has colours."""
    arguments = [str(gdb.path), "-nx", "-q", "-batch", "-iex", "set debuginfod enabled off"]
    arguments += ["-iex", "set auto-load no", "-ex", "set style enabled on", "-ex", f"source {LOADER}"]
    for line in (*scene.enter, *commands, *scene.leave):
        arguments += ["-ex", line]
    environment = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "PYTHONPATH", "PYTHONHOME")}
    environment.update(TERM="xterm-256color", LC_ALL="C.UTF-8", SHELL="/bin/sh", **env)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*arguments, str(scene.program)],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env=environment,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        return b"".join(_read(ours)).decode(errors="backslashreplace").replace("\r\n", "\n")
    finally:
        kill_session(process.pid)
        process.wait()
        os.close(ours)


def _read(terminal: int) -> Iterator[bytes]:
    deadline = time.monotonic() + 60
    while select.select([terminal], [], [], max(0, deadline - time.monotonic()))[0]:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:  # the other end is closed
            return
        if not chunk:
            return
        yield chunk
    raise AssertionError("gdb does not end")


COLOURED: Dict[str, Tuple[Sequence[str], Dict[str, str], bool]] = {
    "auto": ((), {}, True),
    "always": (("set style enabled off", "set addrspace color on"), {}, True),
    "off": (("set addrspace color off",), {}, False),
    "no gdb styles": (("set style enabled off",), {}, False),
    "NO_COLOR": ((), {"NO_COLOR": "1"}, False),
    "NO_COLOR and always": (("set addrspace color on",), {"NO_COLOR": "1"}, False),
    "another style": (("set addrspace style monokai",), {}, True),
}


@pytest.mark.parametrize("how", COLOURED)
def test_colour_is_as_gdb_and_the_user_say(
    gdb_exe: Gdb, newest_go: Toolchain, build_program: Builder, tmp_path: Path, how: str
) -> None:
    settings, env, coloured = COLOURED[how]
    scene = launch_to_breakpoint(build_program("foreign", newest_go), tmp_path / "oracle")
    show = {
        "diagram": ["addrspace"],
        "regions": ["addrspace regions runtime"],
        "classic": ["addrspace --classic"],
    }
    written = [f"addrspace --output {tmp_path / 'picture'}"]
    shown = split(on_a_terminal(gdb_exe, [*settings, *written, *sections(show)], scene, env))
    for name in show:
        # gdb itself begins with a reset.
        assert bool(re.search(r"\x1b\[\d", shown[name])) == coloured, name
        assert len(shown[name].splitlines()) > 10
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown["diagram"])
    assert plain == (tmp_path / "picture").read_text()


def test_a_style_that_does_not_exist_is_told(
    gdb_exe: Gdb, newest_go: Toolchain, build_program: Builder, tmp_path: Path
) -> None:
    scene = launch_to_breakpoint(build_program("foreign", newest_go), tmp_path / "oracle")
    commands = ["set addrspace style no-such-style", *sections({"diagram": ["addrspace"]})]
    shown = on_a_terminal(gdb_exe, commands, scene, {})
    assert "Traceback" not in shown and "internal error" not in shown
    assert "no-such-style" in split(shown)["diagram"] or "Kernel Space" in shown


def test_nothing_is_coloured_into_a_pipe(
    gdb_exe: Gdb, newest_go: Toolchain, build_program: Builder, tmp_path: Path
) -> None:
    scene = launch_to_breakpoint(build_program("foreign", newest_go), tmp_path / "oracle")
    commands = [
        "set style enabled on",
        "set addrspace color on",
        "echo ====\\n",
        "addrspace",
        "addrspace regions",
    ]
    run = run_gdb(gdb_exe, commands, scene, load=True, env={"TERM": "xterm-256color"})
    assert "\x1b" not in run.stdout.partition("====")[2]


def test_gdb_s_own_width_is_followed(
    gdb_exe: Gdb, newest_go: Toolchain, build_program: Builder, tmp_path: Path
) -> None:
    scene = launch_to_breakpoint(build_program("foreign", newest_go), tmp_path / "oracle")
    widths = {"80": 80, "120": 120, "200": 140, "20": 72}
    commands = {width: [f"set width {width}", "addrspace", "set width 0"] for width in widths}
    shown = split(run_gdb(gdb_exe, sections(commands), scene, load=True).stdout)
    longest = {
        width: max(len(line) for line in shown[width].splitlines()) for width in widths if width != "20"
    }
    assert all(longest[width] <= widths[width] for width in longest), longest
    assert longest["120"] > 80
