"""The diagram on made-up processes: whatever comes in, it stays on the screen and says nothing untrue."""

from __future__ import annotations

import random
import re
from typing import Any, List, Optional, Sequence, Tuple

import pytest

from addrspace_gdb.common.sizes import address, size
from addrspace_gdb.space.regions import region as areas
from addrspace_gdb.space.regions.model import AreaTotal, GoroutineCounts, Picture, Row, TargetInfo
from addrspace_gdb.views.classic import classic, go_release
from addrspace_gdb.views.diagram import MAX_LINES, diagram
from addrspace_gdb.views.kit.render import render
from addrspace_gdb.views.kit.text import cells

K, M = 1 << 10, 1 << 20
TARGET = TargetInfo("live", 4242, "/srv/app/bin/server", None, "amd64", 8, 4096, "go1.26.6")
WIDTHS = (72, 80, 100, 140)
EDGES = "│┊╎|:├┤┌┐└┘"


def row(name: str, area: str, start: int, end: int, **more: Any) -> Row:
    """A row in one piece that is resident by half, unless `more` says otherwise."""
    mapped = area in areas.MAPPED_AREAS
    values: dict[str, Any] = {
        "size": end - start,
        "resident": (end - start) // 2 if mapped else None,
        "pieces": 1,
        "growth": "",
        "detail": "",
        "marks": (),
        "mapped": mapped,
    }
    values.update(more)
    return Row(name=name, area=area, start=start, end=end, **values)


def pure_go() -> List[Row]:
    """A static Go program, as it comes out of the join."""
    return [
        row("Kernel Space", areas.KERNEL, 0xFFFF800000000000, 1 << 64, detail="reserved for the OS"),
        row("(non-canonical)", areas.NON_CANONICAL, 1 << 47, 0xFFFF800000000000, detail="no 48-bit address"),
        row("(free)", areas.FREE, 0x7FFFFFFFF000, 1 << 47),
        row(
            "Main Thread Stack",
            areas.THREAD_STACKS,
            0x7FFFFFFDE000,
            0x7FFFFFFFF000,
            growth="down",
            detail="thread 1",
        ),
        row("vDSO", areas.VDSO, 0x7FFFFFFD8000, 0x7FFFFFFDE000, detail="vvar, vdso"),
        row(
            "Shared Libs", areas.SHARED_LIBS, 0, 0, size=None, pieces=0, mapped=False, detail="static binary"
        ),
        row(
            "Go Runtime",
            areas.RUNTIME,
            0x7FFFA0000000,
            0x7FFFFFFD8000,
            size=250 * M,
            resident=4 * M,
            pieces=30,
            detail="page summaries 220 MiB, heap index 32 MiB, span table 1.2 MiB",
        ),
        row("Free / mmap region", areas.FREE, 0xC004000000, 0x7FFFA0000000, detail="unused virtual memory"),
        row(
            "Go Heap",
            areas.HEAP,
            0xC000000000,
            0xC004000000,
            size=63 * M,
            resident=20 * M,
            growth="up",
            detail="1,234 spans, 98,765 objects in use; 12.0 MiB free; next arena at 0xc004000000",
        ),
        row(
            "Goroutine Stacks",
            areas.GOROUTINE_STACKS,
            0xC000002000,
            0xC003FF0000,
            size=M,
            resident=500 * K,
            pieces=204,
            growth="down",
            detail="204 stacks, 400 KiB used",
            marks=("sp",),
            inside="Go Heap",
        ),
        row("(free)", areas.FREE, 0x6FF000, 0xC000000000),
        row("Globals / Data", areas.GLOBALS, 0x5AA000, 0x6FF000, detail="data 120 KiB, bss 1.2 MiB"),
        row("Code Segment", areas.CODE, 0x401000, 0x5AA000, marks=("pc",), detail="1,820 functions"),
        row("Reserved / NULL", areas.NULL, 0, 0x401000, detail="a nil pointer faults here"),
    ]


def with_c() -> List[Row]:
    """The same with C in it: rows in pieces that lie between one another."""
    rows = pure_go()
    names = [r.name for r in rows]
    rows[names.index("Shared Libs") : names.index("Free / mmap region")] = [
        row(
            "Shared Libs",
            areas.SHARED_LIBS,
            0x7FFFF7C00000,
            0x7FFFFFFD8000,
            pieces=40,
            size=3 * M,
            resident=2 * M,
        ),
        row("Mapped Files", areas.MAPPED_FILES, 0x7FFFF7B00000, 0x7FFFF7C00000, detail="2 files"),
        row(
            "Thread Stacks",
            areas.THREAD_STACKS,
            0x7FFF00000000,
            0x7FFFF7AFF000,
            pieces=8,
            size=64 * M,
            resident=M,
        ),
        row(
            "Go Runtime",
            areas.RUNTIME,
            0x7FFFA0000000,
            0x7FFFF7B00000,
            pieces=30,
            size=250 * M,
            resident=4 * M,
        ),
        row("Foreign", areas.FOREIGN, 0x7FFE00000000, 0x7FFFA0000000, pieces=3, size=3 * M, resident=M),
    ]
    rows.insert(-3, row("C Heap", areas.FOREIGN, 0x700000, 0x900000, growth="up", detail="malloc"))
    free = [r.name for r in rows].index("(free)", 5)
    rows[free] = rows[free]._replace(start=0x900000)
    gap = [r.name for r in rows].index("Free / mmap region")
    rows[gap] = rows[gap]._replace(end=0x7FFE00000000)
    return rows


def picture(rows: Sequence[Row], **more: Any) -> Picture:
    """A picture of these rows, of a process that is otherwise ordinary."""
    values: dict[str, Any] = {
        "target": TARGET,
        "rows": list(rows),
        "threads": 12,
        "goroutines": GoroutineCounts(204, {"waiting": 180, "runnable": 20, "running": 4}, 5),
        "gc_phase": "off",
        "virtual": sum(r.size or 0 for r in rows if r.mapped),
        "resident": sum(r.resident or 0 for r in rows if r.mapped),
        "swapped": 0,
        "selected": "thread 1 (4242): goroutine 17, main.worker",
    }
    values.update(more)
    return Picture(**values)


def drawn(shown: Picture, width: int = 100, unicode: bool = True) -> List[str]:
    """The lines of the diagram, without colour."""
    text = render(diagram(shown, width, unicode))
    assert text.endswith("\n")
    return text[:-1].split("\n")


def assert_fits(lines: Sequence[str], width: int, unicode: bool) -> None:
    for line in lines:
        assert cells(line) <= width, line
        assert line.isprintable(), ascii(line)
        assert line == line.rstrip()
        assert unicode or line.isascii(), line


Boxed = Tuple[str, str, str, str]  # left edge of the screen, first character of the box, inside, beside


def boxed(lines: Sequence[str]) -> List[Boxed]:
    """The box's lines, taken apart; all of them start their box at one column."""
    starts = [line.index(c) for line in lines for c in "┌+" if c in line and line.rstrip("\n")]
    column = starts[0]
    parts = []
    for line in lines:
        if (
            len(line) > column
            and line[column] in EDGES + "+"
            and set(line[:column]) <= set(" 0123456789abcdefx^")
        ):
            end = max(line.rfind(c, column, column + 26) for c in "│┊┤┐┘|:+")
            parts.append(
                (line[:column].strip(), line[column], line[column + 1 : end], line[end + 1 :].strip())
            )
    return parts


@pytest.mark.parametrize("unicode", [True, False])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("make", [pure_go, with_c])
def test_every_row_is_there_and_nothing_overflows(make: Any, width: int, unicode: bool) -> None:
    rows = make()
    lines = drawn(picture(rows), width, unicode)
    assert_fits(lines, width, unicode)
    assert len(lines) <= MAX_LINES
    inside = [part[2].strip(" ╎|") for part in boxed(lines)]
    position = -1
    for wanted in rows:
        found = [i for i, text in enumerate(inside) if i > position and text.startswith(wanted.name)]
        assert found, f"{wanted.name} is not below line {position}"
        position = found[0]
        beside = boxed(lines)[position][3]
        assert beside.startswith(size(wanted.size) if wanted.pieces else "none")
        if wanted.mapped:
            assert beside.split("  ")[0] == size(wanted.size)
            assert size(wanted.resident) in beside
        for mark in wanted.marks:
            assert mark in beside.split()
        if wanted.pieces > 1:
            block = " ".join(f"{part[2]} {part[3]}" for part in boxed(lines)[position : position + 3])
            assert f"in {wanted.pieces} pieces" in block


@pytest.mark.parametrize("make", [pure_go, with_c])
@pytest.mark.parametrize("width", WIDTHS)
def test_an_address_at_a_separator_is_true_for_both_sides(make: Any, width: int) -> None:
    rows = [r for r in make() if r.inside is None and r.pieces]
    parts = boxed(drawn(picture(make()), width))
    labels = [part[0] for part in parts if part[1] in "├┌└"]
    absent = sum(1 for r in make() if not r.pieces)
    assert len(labels) == len(rows) + 1 + absent
    assert labels[0] == "2^64"
    assert labels[-1] == address(0)
    meeting = {address(a.start) for a, b in zip(rows, rows[1:]) if a.start == b.end}
    shown = {label for label in labels[1:-1] if label}
    assert shown == meeting
    assert labels.count("") == sum(1 for a, b in zip(rows, rows[1:]) if a.start != b.end)
    assert all(not part[0] for part in parts if part[1] not in "├┌└")


@pytest.mark.parametrize("width", WIDTHS)
def test_neighbours_that_do_not_meet_say_their_own_range(width: int) -> None:
    text = re.sub(r"[│┊\s]+", " ", render(diagram(picture(with_c()), width)))
    for name in ("Mapped Files", "Thread Stacks", "Go Runtime"):
        wanted = next(r for r in with_c() if r.name == name)
        pattern = f"{address(wanted.start)}-(0x)?{address(wanted.end)[2:]}"
        assert re.search(pattern, text), name
    assert not re.search(f"{address(0x7FFE00000000)}-", text)  # Foreign meets both its neighbours


def test_a_row_inside_another_is_drawn_inside_it() -> None:
    lines = drawn(picture(pure_go()))
    place = next(i for i, line in enumerate(lines) if "Goroutine Stacks" in line)
    assert "│ ╎ Goroutine Stacks" in lines[place]
    assert "│ ┌╌" in lines[place - 1]
    assert "├─┴─" in next(line for line in lines[place:] if "├" in line)
    assert "0x00c000002000-0x00c003ff0000" in "".join(lines[place : place + 2])
    alone = [r for r in pure_go() if r.name != "Go Heap"]
    text = render(diagram(picture(alone)))
    assert "╎" not in text
    assert "inside Go Heap" in text


def test_a_group_reaches_as_far_as_what_is_inside_it() -> None:
    rows = pure_go()
    place = [r.name for r in rows].index("Go Heap")
    rows[place] = rows[place]._replace(start=0xC000010000)
    rows[place + 1] = rows[place + 1]._replace(start=0xC000000000)
    lines = drawn(picture(rows))
    assert any(line.strip().startswith(f"{address(0xC000000000)} ├─┴") for line in lines)
    assert "0x00c000010000-0x00c004000000" in "\n".join(lines)


@pytest.mark.parametrize("unicode", [True, False])
@pytest.mark.parametrize("count", [16, 18, 24, 40])
def test_many_rows_stay_on_the_screen(count: int, unicode: bool) -> None:
    rows = []
    for i in reversed(range(count)):
        area = random.Random(i).choice(areas.MAPPED_AREAS)
        start = 0x7F0000000000 + i * M
        rows.append(row(f"Area {i:02}", area, start, start + M, pieces=1 + i % 3, detail="much detail; " * 9))
    shown = picture(
        rows,
        problems=[f"span {i} is damaged: " + "x" * 200 for i in range(20)],
        notes=[f"resident bytes are not known: reason {i} " + "y " * 90 for i in range(9)],
    )
    for width in WIDTHS:
        lines = drawn(shown, width, unicode)
        assert_fits(lines, width, unicode)
        assert len(lines) <= MAX_LINES
        text = "\n".join(lines)
        assert [r.name for r in rows] == re.findall(r"Area \d\d", text)
        assert "problem: span 0 is damaged" in text
        assert re.search(r"\d+ more problems?, 9 more notes: --format json has them all", text)
        starts = {address(r.start) for r in rows}
        ends = {address(r.end) for r in rows}
        for label in (part[0] for part in boxed(lines)):
            assert label in starts | ends or not label, label


def test_close_rows_have_their_own_start() -> None:
    rows = [row(f"Area {i:02}", areas.FOREIGN, i * M, i * M + K) for i in reversed(range(30))]
    parts = boxed(drawn(picture(rows)))
    for label, _, inside, _ in parts[1:-1]:
        assert label == address(int(inside.split()[1]) * M)


@pytest.mark.parametrize("width", [72, 100])
@pytest.mark.parametrize("make", [pure_go, with_c])
@pytest.mark.parametrize("screen", [17, 20, 24, 28, 36, 45, 60])
def test_it_fits_the_height_of_a_terminal(make: Any, screen: int, width: int) -> None:
    rows = make()
    lines = render(diagram(picture(rows, notes=["one note", "another"]), width, True, screen)).splitlines()
    assert_fits(lines, width, True)
    assert len(lines) < screen
    text = "\n".join(lines)
    assert "Go Heap" in text and "Goroutine Stacks" in text and "◀ pc" in text
    missing = [r for r in rows if r.mapped and r.pieces and r.name not in text]
    pattern = r"left out: \d+ unmapped rows?(, (\d+) small \((.*), (.*) resident\))?"
    gone = re.search(pattern, text)
    assert len(missing) == (int(gone[2]) if gone and gone[2] else 0)
    if missing:
        assert gone and gone[3] == size(sum(r.size or 0 for r in missing))
        assert gone[4] == size(sum(r.resident or 0 for r in missing))
    if screen > 50:
        assert gone is None and len(lines) == len(drawn(picture(rows, notes=["one note", "another"]), width))


def test_what_is_not_mapped_goes_first() -> None:
    text = render(diagram(picture(pure_go()), 80, True, 18))
    assert "left out: " in text and " small " not in text
    assert all(r.name in text for r in pure_go() if r.mapped)


HOSTILE = "\x1b[31mred\x07\r\n\tnext\u202egnp.exe\u2028\udcff\x00" + "長" * 80


@pytest.mark.parametrize("unicode", [True, False])
@pytest.mark.parametrize("width", WIDTHS)
def test_hostile_text_is_escaped_and_cut(width: int, unicode: bool) -> None:
    rows = [r._replace(detail=HOSTILE, name=r.name) for r in pure_go()]
    rows[3] = rows[3]._replace(name=HOSTILE, inside=HOSTILE)
    target = TARGET._replace(
        executable=HOSTILE, go_version=HOSTILE[:12], arch="\x1b]0;x", core_file=HOSTILE, kind="core"
    )
    shown = picture(
        rows,
        target=target,
        gc_phase="\x1bc",
        goroutines=GoroutineCounts(1, {HOSTILE: 1}, 0),
        selected=HOSTILE,
        notes=[HOSTILE],
        problems=[HOSTILE, "\n" * 100],
    )
    lines = drawn(shown, width, unicode)
    assert_fits(lines, width, unicode)
    assert len(lines) <= MAX_LINES
    totals = [AreaTotal(areas.HEAP, M, M, 0, 1)]
    old = render(classic(shown, totals, width, unicode))
    assert_fits(old[:-1].split("\n"), width, unicode)


def test_what_is_not_known_is_a_question_mark_with_a_reason() -> None:
    rows = [r._replace(resident=None) for r in pure_go()]
    core = TARGET._replace(kind="core", core_file="/var/crash/core.4242", pid=None)
    shown = picture(rows, target=core, resident=None, swapped=None, goroutines=None, gc_phase=None)
    lines = drawn(shown)
    head, text = "\n".join(lines[:3]), "\n".join(lines)
    for part in ("core of pid ?", "/var/crash/core.4242", "goroutines ?", "GC phase ?", "resident ?"):
        assert part in head
    assert "swapped" not in head
    assert "? is not known: a core file does not say which pages were resident" in text
    heap = next(line for line in lines if "Go Heap" in line)
    assert re.search(r"63\.0 MiB +\?$", heap)
    kernel = next(line for line in lines if "Kernel Space" in line)
    assert "?" not in kernel
    assert "? is not known" not in "\n".join(drawn(picture(pure_go())))
    live = picture(rows, resident=None, notes=["no permission for pagemap"])
    assert "? is not known: the notes below say why" in "\n".join(drawn(live))


def test_header_says_what_there_is() -> None:
    lines = drawn(picture(pure_go(), swapped=12 * K))
    assert lines[0] == "go1.26.6 · amd64 · pid 4242 · 12 threads · GC phase off · /srv/app/bin/server"
    assert lines[1] == "204 goroutines (5 of the runtime): 180 waiting, 20 runnable, 4 running"
    assert re.fullmatch(r"virtual [\d.]+ MiB · resident [\d.]+ MiB · swapped 12\.0 KiB", lines[2])
    assert lines[-1] == "◀ thread 1 (4242): goroutine 17, main.worker"
    assert "High memory addresses" in lines[3]
    assert lines[-2].endswith("Low memory addresses")


def test_odd_address_spaces() -> None:
    for rows in ([], [row("All", areas.FOREIGN, 0, 1 << 64)], [row("Gone", areas.CODE, 0, 0, pieces=0)]):
        assert_fits(drawn(picture(rows)), 100, True)
    small = TARGET._replace(pointer_size=4, arch="386")
    lines = drawn(picture([row("Kernel Space", areas.KERNEL, 0xC0000000, 1 << 32)], target=small))
    assert lines[3].startswith("      2^32 ┌")
    assert lines[-2].startswith("0xc0000000 └")


def test_colour_only_adds_escapes() -> None:
    shown = picture(with_c(), problems=["a cycle in allspans"])
    plain = render(diagram(shown))
    for style in ("quiet", "monokai"):
        for truecolor in (False, True):
            ansi = render(diagram(shown), color=True, style=style, truecolor=truecolor)
            assert ansi != plain
            assert re.sub(r"\x1b\[[\d;]*m", "", ansi) == plain
            assert all(line.count("\x1b[") % 2 == 0 for line in ansi.split("\n"))


def totals_of(rows: Sequence[Row]) -> List[AreaTotal]:
    found = []
    for area in areas.AREAS:
        own = [r for r in rows if r.area == area]
        resident: Optional[int] = sum(r.resident or 0 for r in own)
        pieces = sum(r.pieces for r in own)
        if own:
            found.append(AreaTotal(area, sum(r.size or 0 for r in own), resident, 0, pieces))
    return found


@pytest.mark.parametrize("unicode", [True, False])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("make", [pure_go, with_c])
def test_classic_has_the_eight_rows_in_their_order(make: Any, width: int, unicode: bool) -> None:
    rows = make()
    text = render(classic(picture(rows), totals_of(rows), width, unicode))
    assert_fits(text[:-1].split("\n"), width, unicode)
    assert text.count("\n") <= MAX_LINES
    box, below = text.split("Where reality differs")
    eight = "Kernel Space|Shared Libs|Go Heap|Free / mmap region|Goroutine Stacks|Globals / Data|Code Segment"
    found = re.findall(f"{eight}|Reserved / NULL", box)
    assert found == [*eight.split("|"), "Reserved / NULL"]
    heap = next(line for line in box.split("\n") if "Go Heap" in line)
    assert size(63 * M) in heap
    assert size(20 * M) in heap
    assert "problem" not in below


def test_classic_says_only_what_is_true_of_the_process() -> None:
    rows = pure_go()
    below = " ".join(
        render(classic(picture(rows), totals_of(rows))).split("Where reality differs")[1].split()
    )
    assert "high to low: Kernel Space, Free / mmap region, Go Heap, Globals / Data" in below
    assert "204 pieces of Go Heap, between 0x00c000002000 and 0x00c003ff0000" in below
    assert "Not in this process: Shared Libs" in below
    assert "random" not in below  # the base is the old one
    assert f"the Go runtime's own memory {size(250 * M)} {size(4 * M)}" in below
    virtual = sum(r.size or 0 for r in rows if r.mapped)
    resident = sum(r.resident or 0 for r in rows if r.mapped)
    assert f"together, the virtual size {size(virtual)} {size(resident)}" in below
    assert "foreign" not in below


def test_classic_sees_the_random_base_and_a_wrong_total() -> None:
    rows = [
        r._replace(start=0x1234C0000000, end=0x1234C4000000) if r.area == areas.HEAP else r for r in pure_go()
    ]
    shown = picture(rows, virtual=1)
    text = " ".join(render(classic(shown, totals_of(rows))).split())
    assert "here it starts at 0x1234c0000000; up to go1.25 it was 0xc000000000" in text
    assert "problem: areas add up to" in text
    old = picture(rows, target=TARGET._replace(go_version="go1.25.5"))
    assert "random" not in render(classic(old, totals_of(rows)))


def test_classic_in_the_tutorials_order_has_no_order_to_report() -> None:
    rows = [
        row("Shared Libs", areas.SHARED_LIBS, 0x6000, 0x7000),
        row("Go Heap", areas.HEAP, 0x4000, 0x5000),
        row("Code Segment", areas.CODE, 0x1000, 0x2000),
    ]
    text = render(classic(picture(rows), totals_of(rows)))
    assert "In address order" not in text
    assert "Goroutine stacks have no area" not in text


@pytest.mark.parametrize(
    ("version", "release"),
    [
        ("go1.26.6", (1, 26)),
        ("go1.27rc1 X:nogreenteagc", (1, 27)),
        ("devel go1.28-abcdef Mon", (1, 28)),
        ("devel +abc", None),
        (None, None),
        ("go1." + "9" * 5000, None),
    ],
)
def test_go_release(version: Optional[str], release: Optional[Tuple[int, int]]) -> None:
    assert go_release(version) == release
