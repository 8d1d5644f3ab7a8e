"""What stands above and below a picture: the process in a few lines, and what is not known about it."""

from __future__ import annotations

from typing import Iterable, List, Optional, Tuple

from addrspace_gdb.common import sizes
from addrspace_gdb.space.regions.model import GoroutineCounts, Picture, Row, TargetInfo
from addrspace_gdb.views.kit import tokens
from addrspace_gdb.views.kit.glyphs import glyphs
from addrspace_gdb.views.kit.text import Line, cells, clean, clip_left, wrap

HEADER_LINES = 4  # at most


def header(picture: Picture, width: int, unicode: bool = True) -> List[Line]:
    """At most four lines: what is looked at, its goroutines, how big it all is."""
    target = picture.target
    facts = [
        target.go_version or "Go version ?",
        target.arch,
        _process(target),
        sizes.plural(picture.threads, "thread"),
        f"GC phase {picture.gc_phase or sizes.UNKNOWN}",
    ]
    first = _with_path(facts, "", target.executable, width, unicode)
    goroutines = wrap(clean(_goroutines(picture.goroutines), unicode), width, HEADER_LINES - 2, unicode)
    facts = [f"virtual {sizes.size(picture.virtual)}", f"resident {sizes.size(picture.resident)}"]
    if picture.swapped is None and picture.resident is not None:
        facts.append("swapped ?")
    elif picture.swapped:
        facts.append(f"swapped {sizes.size(picture.swapped)}")
    last = _with_path(facts, "core file ", target.core_file, width, unicode)
    return [first, *(Line(width, unicode).put(tokens.TEXT, text) for text in goroutines), last]


def _process(target: TargetInfo) -> str:
    pid = f"pid {target.pid or sizes.UNKNOWN}"
    return {"live": pid, "core": f"core of {pid}"}.get(target.kind, f"{target.kind} {pid}")


def _with_path(facts: List[str], word: str, path: Optional[str], width: int, unicode: bool) -> Line:
    """The facts, and behind them as much of the path's end as there is room for."""
    dot = glyphs(unicode).dot
    line = Line(width, unicode).put(tokens.HEADING, dot.join(clean(fact, unicode) for fact in facts))
    if path:
        text = clip_left(clean(path, unicode), line.room - len(dot + word), unicode)
        line.put(tokens.QUIET, dot + word if text else "").put(tokens.TEXT, text)
    return line


def _goroutines(counts: Optional[GoroutineCounts]) -> str:
    if counts is None:
        return "goroutines ?"
    text = sizes.plural(counts.total, "goroutine")
    if counts.system:
        text += f" ({sizes.count(counts.system)} of the runtime)"
    by_status = sorted(counts.by_status.items(), key=lambda item: (-item[1], item[0]))
    if by_status:
        text += ": " + ", ".join(f"{sizes.count(n)} {status}" for status, n in by_status if n)
    return text


def footer(picture: Picture, width: int, unicode: bool, room: int) -> List[Line]:
    """At most `room` lines: what is selected, what "?" means here, problems, notes."""
    lines: List[Line] = []
    if picture.selected:
        line = Line(width, unicode).put(tokens.MARK, glyphs(unicode).pointer + " ")
        lines.append(line.put(tokens.TEXT, clean(picture.selected, unicode)))
    if _has_unknown(picture):
        lines.append(Line(width, unicode).put(tokens.QUIET, _unknown_line(picture)))
    said = [("problem: ", tokens.PROBLEM, text) for text in picture.problems]
    said += [("note: ", tokens.QUIET, text) for text in picture.notes]
    left = room - len(lines)
    shown = said if len(said) <= left else said[: max(left - 1, 0)]
    spare = left - len(said)
    for prefix, token, text in shown:
        rows = _paragraph(prefix, token, text, width, unicode, 1 + max(spare, 0))
        spare -= len(rows) - 1
        lines += rows
    if len(shown) < len(said):
        lines.append(Line(width, unicode).put(tokens.QUIET, _rest(said[len(shown) :])))
    return lines


def _paragraph(
    prefix: str, token: tokens.TokenType, text: str, width: int, unicode: bool, limit: int
) -> List[Line]:
    """Wrapped behind its prefix; a problem stays on its one line."""
    limit = 1 if token is tokens.PROBLEM else limit
    parts = wrap(clean(text, unicode), width - cells(prefix), limit, unicode)
    lines = []
    for index, part in enumerate(parts):
        line = Line(width, unicode)
        if index == 0:
            line.put(token, prefix)
        lines.append(line.skip_to(cells(prefix)).put(tokens.TEXT, part))
    return lines


def _rest(said: Iterable[Tuple[str, tokens.TokenType, str]]) -> str:
    kinds = [prefix for prefix, _, _ in said]
    parts = []
    for prefix, one in (("problem: ", "more problem"), ("note: ", "more note")):
        if prefix in kinds:
            parts.append(sizes.plural(kinds.count(prefix), one))
    return f"{', '.join(parts)}: --format json has them all"


def _has_unknown(picture: Picture) -> bool:
    return any(resident(row) == sizes.UNKNOWN for row in picture.rows) or picture.resident is None


def _unknown_line(picture: Picture) -> str:
    if picture.target.kind == "core":
        return "? is not known: a core file does not say which pages were resident"
    return "? is not known" + (": the notes below say why" if picture.notes else "")


def size(row: Row) -> str:
    """The size column of a row: "none" for an area that the process does not have."""
    return "none" if row.pieces == 0 else sizes.size(row.size)


def resident(row: Row) -> str:
    """The resident column of a row: empty where nothing is mapped, "?" where it cannot be known."""
    return sizes.size(row.resident) if row.mapped and row.pieces else ""
