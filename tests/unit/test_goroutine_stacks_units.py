"""The pure parts of `goroutine-stacks`: arguments, the user-frame rule, bars, times, folding, reading."""

from __future__ import annotations

import random
from typing import Dict, List, Optional, Tuple

import pytest

from addrspace_gdb.commands.goroutine_stacks import parser
from addrspace_gdb.common.problems import ProblemError, UnreadableError
from addrspace_gdb.goruntime.proc import GSCAN, LEAKED, RUNNING, SYSCALL, WAITING
from addrspace_gdb.goruntime.traceback import Frame
from addrspace_gdb.goruntime.waitreason import Clock, state_text, wait_reason
from addrspace_gdb.process.residency import Residency
from addrspace_gdb.space.goroutines.chosen import Chosen
from addrspace_gdb.space.goroutines.residency import not_resident, resident_many, resident_total
from addrspace_gdb.space.goroutines.stack_reads import blocks
from addrspace_gdb.space.goroutines.user_frame import NOWHERE, is_users, package, user_spot
from addrspace_gdb.views.goroutines import fit_columns
from addrspace_gdb.views.kit import tokens
from addrspace_gdb.views.kit.table import Column, table
from addrspace_gdb.views.stackparts import bar, duration, fold, frame_lines, place, waited

SECOND = 1_000_000_000
RUNNABLE = 1


def frame(
    function: Optional[str], line: int = 1, size: int = 32, kind: str = "normal", file: str = "/go/src/x/y.go"
) -> Frame:
    return Frame(0x1000, 0x2000, 0x2020, size, function, function, file, line, False, kind, 0x1000, 1)


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("90s", 90 * SECOND),
        ("1m30s", 90 * SECOND),
        ("2h", 7200 * SECOND),
        ("1.5m", 90 * SECOND),
        ("250ms", SECOND // 4),
        ("0s", 0),
    ],
)
def test_durations_as_go_writes_them(text: str, nanoseconds: int) -> None:
    assert parser().parse_line(f"--waiting-longer {text}").waiting_longer == nanoseconds


@pytest.mark.parametrize("text", ["", "5", "s", "1m30", "-3s", "1d", "1 m", "1m 30s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ProblemError):
        parser().parse_line(f"'--waiting-longer={text}'")


@pytest.mark.parametrize(
    ("text", "size"),
    [("8192", 8192), ("8KiB", 8192), ("8k", 8192), ("1MiB", 1 << 20), ("2G", 2 << 30), ("3B", 3)],
)
def test_sizes(text: str, size: int) -> None:
    assert parser().parse_line(f"--min-size {text}").min_size == size


def test_goids_and_limits() -> None:
    found = parser().parse_line("1 5-9 17 --limit all --frames 3")
    assert found.goids == [(1, 1), (5, 9), (17, 17)]
    assert found.limit > 1 << 40 and found.frames == 3
    assert parser().parse_line("--frames").frames > 1 << 40
    assert parser().parse_line("").frames is None


@pytest.mark.parametrize(
    ("function", "path"),
    [
        ("main.main", "main"),
        ("net/http.(*conn).serve", "net/http"),
        ("github.com/a/b%2ec.(*T).f.func1", "github.com/a/b%2ec"),
        ("main.Map[go.shape.int,github.com/a/b.T]", "main"),
        ("slices.SortFunc[...]", "slices"),
        ("_rt0_amd64_linux", "_rt0_amd64_linux"),
        ("time.Sleep", "time"),
    ],
)
def test_the_package_of_a_function(function: str, path: str) -> None:
    assert package(function) == path


def test_the_users_frame_is_the_first_that_is_no_way_to_block() -> None:
    stack = ["runtime.gopark", "runtime.netpollblock", "internal/poll.(*FD).Read", "net.(*conn).Read"]
    assert not any(is_users(name) for name in stack)
    assert is_users("net/http.(*conn).serve") and is_users("myapp/internal/db.query")
    assert not is_users("main._Cfunc_sleep") and not is_users("example.com/a.b/c._C2func_open")
    assert is_users("main._Custom") and is_users("main.f._Cfunc_")
    assert is_users("example.com/sync.Wait") and not is_users("main.f", "wrapper")
    frames = [frame(name) for name in [*stack, "app.handle", "main.main", "runtime.main"]]
    assert user_spot(frames) == ("app.handle", "/go/src/x/y.go", 1)


def test_without_a_users_frame_it_is_the_outermost_that_is_not_the_runtimes() -> None:
    frames = [
        frame("runtime.gopark"),
        frame("time.Sleep"),
        frame("os.start"),
        frame("runtime.goexit", kind="goexit"),
    ]
    assert user_spot(frames).function == "os.start"
    frames = [frame("runtime.gopark"), frame("runtime.bgsweep"), frame("runtime.goexit", kind="goexit")]
    assert user_spot(frames).function == "runtime.bgsweep"
    assert user_spot([]) == NOWHERE == user_spot([frame(None)])


REASONS = ["", "chan receive", "select (no cases)"]


def test_states_as_go_prints_them() -> None:
    assert state_text(REASONS, WAITING, 1) == "chan receive"
    assert state_text(REASONS, WAITING | GSCAN, 2) == "select (no cases) (scan)"
    assert state_text(REASONS, LEAKED, 1) == "chan receive (leaked)"
    assert state_text(REASONS, WAITING, 0) == "waiting"
    assert state_text(REASONS, RUNNING, 1) == "running"
    assert state_text(REASONS, WAITING, 200) == "unknown wait reason"
    assert state_text(REASONS, 99, 0) == "???"
    assert wait_reason([], WAITING, 7) == "wait reason 7"


def test_time_is_known_or_it_is_not() -> None:
    clock = Clock(100, True)
    assert clock.waited(40, WAITING) == 60 and clock.waited(400, SYSCALL | GSCAN) == 0
    assert clock.waited(0, WAITING) is None and clock.waited(-5, WAITING) is None
    assert Clock(None, False).waited(4, WAITING) is None
    assert clock.waited(40, LEAKED) == 60 and clock.waited(40, RUNNABLE) is clock.waited(40, RUNNING) is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.35, "350ms"),
        (12, "12s"),
        (60, "1m"),
        (260, "4m20s"),
        (11100, "3h5m"),
        (86400 * 12 + 4 * 3600, "12d4h"),
    ],
)
def test_times_as_text(seconds: float, text: str) -> None:
    assert duration(int(seconds * SECOND)) == text
    assert waited(int(seconds * SECOND), False, True) == "≥" + text
    assert waited(int(seconds * SECOND), False, False) == ">=" + text


def test_bars() -> None:
    assert bar(0, 8192, True) == "░░░░░░" and bar(1, 8192, True) == "█░░░░░"
    assert bar(8192, 8192, True) == "██████" and bar(4096, 8192, False) == "###..."
    assert bar(None, 8192, True) == "??????" and bar(5, 0, True) == "??????"
    assert bar(99999, 10, True) == "██████"


def test_recursion_takes_one_line() -> None:
    frames = [frame("main.f", 3)] + [frame("main.g", 5)] * 40 + [frame("main.g", 6)]
    folded = fold(frames)
    assert [(one.times, one.size) for one in folded] == [(1, 32), (40, 1280), (1, 32)]
    lines = ["".join(text for _, text in line) for line in frame_lines(frames, 80, True)]
    assert lines[1].split() == ["main.g", "x/y.go:5", "1.3", "KiB", "×40"]


def test_frames_fit_and_say_why_they_end() -> None:
    frames = [
        frame("example.com/" + "x" * 200 + ".F", file="/" + "long/" * 40 + "a.go"),
        frame("main.\x1b[31mf"),
    ]
    frames[-1] = frames[-1]._replace(problem="it \x07 ends")
    for width in (40, 72, 100):
        lines = ["".join(text for _, text in line).rstrip("\n") for line in frame_lines(frames, width, True)]
        assert len(lines) == 3 and max(map(len, lines)) <= width
        assert all(line.isprintable() for line in lines)
        assert lines[-1].strip() == "it \\x07 ends"


def test_places() -> None:
    assert place("/src/parked/main.go", 34) == "parked/main.go:34"
    assert place("/src/parked/main.go", 34, 0) == "/src/parked/main.go:34"
    assert place(None, 3) == "" and place("a.go", None) == "a.go"


class Memory:
    """Bytes at some ranges; the byte at an address is made from the address."""

    def __init__(self, *ranges: Tuple[int, int]) -> None:
        self.ranges = ranges
        self.reads: List[int] = []

    def read(self, address: int, size: int) -> bytes:
        self.reads.append(size)
        if not any(lo <= address and address + size <= hi for lo, hi in self.ranges):
            raise UnreadableError(address, size)
        return bytes((at * 7 + (at >> 8)) & 255 for at in range(address, address + size))


def test_many_stacks_in_few_reads() -> None:
    """Every range comes once with its own bytes, whatever is read together."""
    chance = random.Random(7)
    memory = Memory((0x10000, 0x90000), (0xA0000, 0xB0000))
    wanted = []
    for number in range(300):
        start = chance.choice((0x10000, 0xA0000)) + chance.randrange(0, 0xF000)
        wanted.append((start, start + chance.randrange(1, 3000), number))
    wanted = [(lo, min(hi, 0x90000 if lo < 0x90000 else 0xB0000), n) for lo, hi, n in wanted]
    seen: Dict[int, bytes] = {}
    for data, members in blocks(memory.read, wanted):
        for begins, lo, hi, number in members:
            assert number not in seen
            seen[number] = bytes(data[begins : begins + hi - lo])
    check = Memory(*memory.ranges)
    assert seen == {number: check.read(lo, hi - lo) for lo, hi, number in wanted}
    assert len(memory.reads) < 30


def test_a_stack_that_cannot_be_read_costs_itself_only() -> None:
    memory = Memory((0x10000, 0x11000), (0x12000, 0x13000))
    wanted = [(0x10F00, 0x11000, 1), (0x11000, 0x11100, 2), (0x12000, 0x12100, 3)]
    found = {members[0][3]: data for data, members in blocks(memory.read, wanted) if len(members) == 1}
    assert len(found[1]) == len(found[3]) == 256 and found[2] == b""


def test_resident_bytes_of_many_are_those_of_each() -> None:
    chance = random.Random(3)
    residency = Residency()
    at = 0x1000
    for _ in range(200):
        size = chance.randrange(1, 5) * 4096
        residency.resident_runs.append(at, at + size)
        at += size + chance.randrange(1, 5) * 4096
    los = [chance.randrange(0, at) for _ in range(500)]
    his = [lo + chance.randrange(0, 40000) for lo in los]
    order = sorted(range(500), key=los.__getitem__)
    one_by_one = [residency.resident(lo, hi) for lo, hi in zip(los, his)]
    assert list(resident_many(residency, los, his, order)) == one_by_one
    assert list(resident_many(residency, [50], [40], [0])) == [0]
    edges = [(lo, lo + 2048) for lo in range(0, at, 2048)]
    assert resident_total(residency, *map(list, zip(*edges))) == residency.resident(0, at)
    residency.known = False
    assert resident_many(residency, los, his, order) == [None] * 500
    assert resident_total(residency, los, his) is None


def test_what_is_not_resident_as_a_whole() -> None:
    chance = random.Random(4)
    for count in (0, 1, 7, 300):
        residency, at = Residency(), 0x1000 * chance.randrange(1, 4)
        for _ in range(count):
            size = chance.randrange(1, 9) * 4096
            residency.resident_runs.append(at, at + size)
            at += size + chance.randrange(1, 9) * 4096
        bounds = sorted({2048 * chance.randrange(0, 2 + at // 2048) for _ in range(2000)})
        los, his = bounds[0:-1:2], bounds[1::2]
        found = not_resident(residency.resident_runs, los, his)
        for index, (lo, hi) in enumerate(zip(los, his)):
            assert found.get(index, hi - lo) == residency.resident(lo, hi), (count, hex(lo), hex(hi))
        assert los and (count == 0 or len(found) < len(los))


SIZES = ("8.0 KiB", "1.2 KiB", "#...", "4.0 KiB")
ROWS: List[Tuple[str, ...]] = [
    ("17", "IO wait, 12m30s", *SIZES, "main.(*server).handle", "srv/connection.go:223"),
    ("4711", "sync.WaitGroup.Wait, 3h, thread 12", *SIZES, "github.com/a/b/c.Wait", "c/w.go:7"),
]


@pytest.mark.parametrize("width", [72, 80, 90, 100, 120, 160])
def test_file_and_line_are_readable_at_every_width(width: int) -> None:
    names = ("Goid", "State", "Stack", "Used", "", "Resident", "User function", "At")
    columns = [Column(name, "right" if name == "Goid" else "left", tokens.TEXT) for name in names]
    shown, rows = fit_columns(columns, ROWS, width, False)
    text = "".join(part for _, part in table(shown, rows))
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    assert [row[-1].rpartition("/")[2] for row in rows] == ["connection.go:223", "w.go:7"]
    headings = [column.heading for column in shown]
    assert ("" in headings, "Resident" in headings) in ((False, False), (False, True), (True, True))
    assert headings[:2] == ["Goid", "State"] and headings[-2:] == ["User function", "At"]
    if width == 160:
        assert headings == list(names) and rows[0][-1] == "srv/connection.go:223"


def test_the_state_is_cut_last_and_no_more_than_it_takes() -> None:
    names = ("Goid", "State", "Stack", "Used", "", "Resident", "User function", "At")
    columns = [Column(name, "left", tokens.TEXT) for name in names]
    rows: List[Tuple[str, ...]] = [
        ("10", "chan receive, 43m16s", *SIZES, "main.(*client).watch", "srv/main.go:35")
    ]
    for width, others in ((72, ["Stack"]), (80, ["Stack", "Used"]), (66, [])):
        shown, fitted = fit_columns(columns, rows, width, False)
        assert fitted[0][:2] == ("10", "chan receive, 43m16s"), width
        assert [column.heading for column in shown[2:-2]] == others
    _, ((_, state, *_),) = fit_columns(columns, rows, 58, False)
    assert state.startswith("chan receive, 4")


def test_nothing_is_cut_in_a_file() -> None:
    columns = [Column(str(number), "left", tokens.TEXT) for number in range(8)]
    assert fit_columns(columns, ROWS, None, True) == (columns, ROWS)


def test_labels_are_a_key_and_a_value() -> None:
    asked = parser().parse_line("--label id=7 --label 'path=/a=b' --without '^net\\.'")
    assert asked.label == [("id", "7"), ("path", "/a=b")] and asked.without.pattern == "^net\\."
    for wrong in ("--label id", "--label =7", "--without ("):
        with pytest.raises(ProblemError):
            parser().parse_line(wrong)


def test_what_is_asked_for_by_labels() -> None:
    chosen = Chosen(labels=(("id", "7"), ("kind", "x")))
    assert chosen.filtered
    assert chosen.labelled({"id": "7", "kind": "x", "more": ""})
    assert not chosen.labelled({"id": "7"}) and not chosen.labelled({"id": "8", "kind": "x"})
