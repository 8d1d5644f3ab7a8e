"""The tutorial's own picture, its eight rows in its order, with live totals, and where it simplifies.

Everything below the box is computed from the process: a sentence stands there only if it is true of it.
"""

from __future__ import annotations

import re
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from addrspace_gdb.common import sizes
from addrspace_gdb.space.regions import region
from addrspace_gdb.space.regions.model import AreaTotal, Picture, Row
from addrspace_gdb.views.kit import facts, tokens
from addrspace_gdb.views.kit.glyphs import Glyphs, glyphs
from addrspace_gdb.views.kit.text import Line, cells, clean, wrap

INNER = 27  # columns between the edges of the tutorial's box
COLUMN = 10  # columns for a size
CAPTION = INNER + 2 * COLUMN + 6  # the column at which the tutorial's remarks begin
MIN_WIDTH = 72

# Where the first arena starts up to Go 1.25 (src/runtime/malloc.go, mallocinit). From 1.26 on its base is
# random on 64-bit systems (GOEXPERIMENT randomizedheapbase64), but not under -race, -msan, -asan.
FIXED_HEAP_BASE = {"amd64": 0xC000000000, "arm64": 0x4000000000}
RANDOM_SINCE = (1, 26)


class _Drawn(NamedTuple):
    area: str
    name: str
    growth: str
    caption: str


DRAWN = (
    _Drawn(region.KERNEL, "Kernel Space", "", "reserved for the OS"),
    _Drawn(region.SHARED_LIBS, "Shared Libs", "", "system and C libraries"),
    _Drawn(region.HEAP, "Go Heap", "up", "what make, new and escapes allocate"),
    _Drawn(region.FREE, "Free / mmap region", "", "unused: the heap expands into it"),
    _Drawn(region.GOROUTINE_STACKS, "Goroutine Stacks", "down", "one for each goroutine"),
    _Drawn(region.GLOBALS, "Globals / Data", "", "package-level variables, constants"),
    _Drawn(region.CODE, "Code Segment", "", "compiled Go, read-only"),
    _Drawn(region.NULL, "Reserved / NULL", "", "makes a nil pointer fault"),
)

LEFT_OUT = (
    (region.RUNTIME, "the Go runtime's own memory"),
    (region.THREAD_STACKS, "stacks of OS threads"),
    (region.VDSO, "vDSO"),
    (region.MAPPED_FILES, "mapped files"),
    (region.FOREIGN, "foreign: C's heap, mmaps of the program"),
)


def classic(
    picture: Picture, areas: Sequence[AreaTotal], width: int = 100, unicode: bool = True
) -> Iterator[tokens.Pair]:
    """The tutorial's picture in at most about 50 lines of `width` columns, MIN_WIDTH at least."""
    width = max(width, MIN_WIDTH)
    totals = {total.area: total for total in areas}
    lines = facts.header(picture, width, unicode)
    lines += _box(picture, totals, width, unicode)
    lines.append(Line(width, unicode).put(tokens.HEADING, "Where reality differs"))
    for text in differences(picture, totals, glyphs(unicode)):
        for index, part in enumerate(wrap(clean(text, unicode), width - 2, 3, unicode)):
            line = Line(width, unicode).put(tokens.BOX, "" if index else "-")
            lines.append(line.skip_to(2).put(tokens.TEXT, part))
    lines += _accounts(picture, totals, width, unicode)
    lines += facts.footer(picture, width, unicode, 6)
    for line in lines:
        yield from line


def _box(picture: Picture, totals: Dict[str, AreaTotal], width: int, unicode: bool) -> List[Line]:
    g = glyphs(unicode)
    bar = g.horizontal * INNER
    top = Line(width, unicode).put(tokens.BOX, g.corners[0] + bar + g.corners[1])
    top.skip_to(INNER + 3).put(tokens.QUIET, f"{'Size':>{COLUMN}} {'Resident':>{COLUMN}}").skip_to(CAPTION)
    top.put(tokens.QUIET, f"High {_word(top)}addresses")
    lines = [top]
    for index, drawn in enumerate(DRAWN):
        if index:
            lines.append(Line(width, unicode).put(tokens.BOX, g.left_tee + bar + g.right_tee))
        edge = g.gap if drawn.area in region.UNMAPPED_AREAS else g.vertical
        name = tokens.QUIET if edge == g.gap else tokens.NAME
        line = _boxed(Line(width, unicode), edge, name, drawn.name)
        line.skip_to(INNER + 3).put(tokens.SIZE, _totals(picture, totals, drawn)).skip_to(CAPTION)
        if cells(drawn.caption) + 2 <= line.room:
            line.put(tokens.QUIET, f"({drawn.caption})")
        lines.append(line)
        if drawn.growth:
            words = {"up": f"{g.up} grows upward", "down": f"{g.down} grow downward"}[drawn.growth]
            lines.append(_boxed(Line(width, unicode), edge, tokens.GROWTH, words))
    bottom = Line(width, unicode).put(tokens.BOX, g.corners[2] + bar + g.corners[3])
    bottom.skip_to(CAPTION)
    lines.append(bottom.put(tokens.QUIET, f"Low {_word(bottom)}addresses"))
    return lines


def _word(line: Line) -> str:
    return "memory " if line.room >= len("High memory addresses") else ""


def _boxed(line: Line, edge: str, token: tokens.TokenType, text: str) -> Line:
    line.put(tokens.BOX, edge).skip_to(1 + (INNER - cells(text)) // 2).put(token, text)
    return line.skip_to(INNER + 1).put(tokens.BOX, edge)


def _totals(picture: Picture, totals: Dict[str, AreaTotal], drawn: _Drawn) -> str:
    """Size and resident of a drawn row: from the areas, and where they leave it out, from its rows."""
    resident = ""
    if drawn.area in totals:
        size = sizes.size(totals[drawn.area].size)
        if drawn.area in region.MAPPED_AREAS:
            size = size if totals[drawn.area].regions else "none"
            resident = sizes.size(totals[drawn.area].resident) if totals[drawn.area].regions else ""
    elif drawn.area in region.MAPPED_AREAS:
        size = "none"
    else:
        size = sizes.size(_sum([row.size for row in picture.rows if row.area == drawn.area]))
    return f"{size:>{COLUMN}} {resident:>{COLUMN}}"


def differences(picture: Picture, totals: Dict[str, AreaTotal], g: Glyphs) -> List[str]:
    """What the drawing says and this process does not do, a sentence each."""
    rows: Dict[str, Row] = {}
    for row in picture.rows:
        if row.pieces and (row.area not in rows or (row.size or 0) > (rows[row.area].size or 0)):
            rows[row.area] = row
    found = [text for text in (_order(rows), _carved(rows, picture, g), _base(rows, picture)) if text]
    absent = [drawn.name for drawn in DRAWN if drawn.area in region.MAPPED_AREAS and drawn.area not in rows]
    if absent:
        found.append(f"Not in this process: {', '.join(absent)}.")
    hole = rows.get(region.NON_CANONICAL)
    if hole is not None:
        found.append(f"{sizes.size(hole.size)} between the user and kernel halves is not addressable.")
    return found


def _order(rows: Dict[str, Row]) -> str:
    """The drawn rows in true order, if that is another one; a row inside another has no place of its own."""
    drawn = [rows[d.area] for d in DRAWN if d.area in rows and not rows[d.area].inside]
    true = sorted(drawn, key=lambda row: (row.end, row.start), reverse=True)
    if [row.name for row in true] == [row.name for row in drawn]:
        return ""
    return f"In address order, high to low: {', '.join(row.name for row in true)}."


def _carved(rows: Dict[str, Row], picture: Picture, g: Glyphs) -> str:
    row = rows.get(region.GOROUTINE_STACKS)
    if row is None or not row.inside:
        return ""
    start, end = (sizes.address(n, picture.target.pointer_size) for n in (row.start, row.end))
    kind = f"{sizes.count(row.pieces)} pieces" if row.pieces > 1 else "one piece"
    return f"Goroutine stacks have no area of their own: {kind} of {row.inside}, between {start} and {end}."


def _base(rows: Dict[str, Row], picture: Picture) -> str:
    row, target = rows.get(region.HEAP), picture.target
    release, fixed = go_release(target.go_version), FIXED_HEAP_BASE.get(target.arch)
    if row is None or fixed is None or release is None or release < RANDOM_SINCE:
        return ""
    if row.start >> 26 == fixed >> 26:  # in the first arena of the old base: not random here
        return ""
    here = sizes.address(row.start, target.pointer_size)
    return (
        f"The heap's base is random since go1.26: here it starts at {here}; up to go1.25 it was {fixed:#x}."
    )


def go_release(version: Optional[str]) -> Optional[Tuple[int, int]]:
    """(1, 26) of "go1.26.6" or "go1.26rc1"; None of anything else, such as a "devel" build without one."""
    match = re.search(r"\bgo(\d{1,4})\.(\d{1,4})(?!\d)", version or "")
    return (int(match.group(1)), int(match.group(2))) if match else None


def _accounts(picture: Picture, totals: Dict[str, AreaTotal], width: int, unicode: bool) -> List[Line]:
    """What the drawing leaves out, so that drawn and left out add up to the virtual size."""
    left = [(name, totals[area]) for area, name in LEFT_OUT if area in totals and totals[area].regions]
    drawn = [totals[d.area] for d in DRAWN if d.area in totals and d.area in region.MAPPED_AREAS]
    both = drawn + [total for _, total in left]
    lines = []
    if left:
        lines.append(Line(width, unicode).put(tokens.BOX, "-").skip_to(2))
        lines[0].put(tokens.TEXT, "The drawing leaves out memory that is mapped:")
    for name, total in left:
        lines.append(_account(width, unicode, f"  {name}", total.size, total.resident))
    resident = _sum([total.resident for total in both])
    size = sum(total.size for total in both)
    lines.append(_account(width, unicode, "  drawn above", *_add(drawn)))
    lines.append(_account(width, unicode, "  together, the virtual size", size, resident))
    for word, ours, theirs in (("virtual", size, picture.virtual), ("resident", resident, picture.resident)):
        if ours is not None and theirs is not None and ours != theirs:
            text = f"areas add up to {sizes.count(ours)} bytes {word}, the process has {sizes.count(theirs)}"
            lines.append(Line(width, unicode).put(tokens.PROBLEM, "problem: ").put(tokens.TEXT, text))
    return lines


def _account(width: int, unicode: bool, name: str, size: int, resident: Optional[int]) -> Line:
    line = Line(width, unicode).put(tokens.TEXT, name).skip_to(INNER + 3 + 12)
    numbers = f"{sizes.size(size):>{COLUMN}} {sizes.size(resident):>{COLUMN}}"
    return line.put(tokens.SIZE, numbers)


def _add(totals: Sequence[AreaTotal]) -> Tuple[int, Optional[int]]:
    return sum(total.size for total in totals), _sum([total.resident for total in totals])


def _sum(numbers: Sequence[Optional[int]]) -> Optional[int]:
    """The sum, None as soon as one of them is not known."""
    known = [n for n in numbers if n is not None]
    return sum(known) if len(known) == len(numbers) else None
