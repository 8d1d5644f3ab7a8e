"""Small parts of the goroutine views: times, bars, places, folded frames."""

from __future__ import annotations

import os
from typing import Iterable, List, NamedTuple, Optional, Sequence

from addrspace_gdb.common import sizes
from addrspace_gdb.goruntime.traceback import Frame
from addrspace_gdb.views.kit import tokens
from addrspace_gdb.views.kit.text import Line, cells, clean, clip_function, clip_left

BAR = 6
_SECOND = 1_000_000_000
_PATH = 2  # parts of a file's path that are shown


def duration(nanoseconds: Optional[int]) -> str:
    """Two units at most: "350ms", "12s", "4m20s", "3h5m", "12d4h"; empty if not known."""
    if nanoseconds is None:
        return ""
    if nanoseconds < _SECOND:
        return f"{nanoseconds // 1_000_000}ms"
    seconds = nanoseconds // _SECOND
    for unit, name, smaller, lesser in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if seconds >= unit:
            rest = seconds % unit // smaller
            return f"{seconds // unit}{name}" + (f"{rest}{lesser}" if rest else "")
    return f"{seconds}s"


def waited(nanoseconds: Optional[int], exact: bool, unicode: bool) -> str:
    """How long it has waited; a lower bound is marked as one. Empty if not known."""
    text = duration(nanoseconds)
    return text if exact or not text else ("≥" if unicode else ">=") + text


def bar(used: Optional[int], size: int, unicode: bool, width: int = BAR) -> str:
    """How full a stack is; not empty as long as anything is used. Question marks if that is not known."""
    if used is None or size <= 0:
        return "?" * width
    full = min(width, (used * width + size - 1) // size)
    on, off = ("█", "░") if unicode else ("#", ".")
    return on * full + off * (width - full)


def place(file: Optional[str], line: Optional[int], parts: int = _PATH) -> str:
    """`parked/main.go:34`: the end of the path says which file it is."""
    if not file:
        return ""
    short = "/".join(file.split("/")[-parts:]) if parts else file
    return f"{short}:{line}" if line else short


class Folded(NamedTuple):
    """A frame, or several equal ones in a row."""

    frame: Frame
    times: int
    size: int  # of all of them


def fold(frames: Iterable[Frame]) -> List[Folded]:
    """Equal neighbours as one: recursion takes one line."""
    found: List[Folded] = []
    for frame in frames:
        last = found[-1] if found else None
        if last is not None and (last.frame.name, last.frame.file, last.frame.line) == (
            frame.name,
            frame.file,
            frame.line,
        ):
            found[-1] = Folded(frame, last.times + 1, last.size + frame.size)
        else:
            found.append(Folded(frame, 1, frame.size))
    return found


def frame_lines(frames: Sequence[Frame], width: Optional[int], unicode: bool, indent: int = 4) -> List[Line]:
    """One line a frame: function, place, how often, bytes; the last says why the walk ended early."""
    folded = fold(frames)
    room = width if width is not None else 1 << 16
    names = [clean(one.frame.name or f"{one.frame.pc:#x}, not Go", unicode) for one in folded]
    shown = [clip_function(name, max(24, room - indent - 44), unicode) for name in names]
    most = max(map(cells, shown), default=0)
    ends = [_end(one, unicode) for one in folded]
    left = room - indent - most - 4 - max(map(cells, ends), default=0)
    places = [_where(one.frame, max(0, left), unicode) for one in folded]
    widest = max(map(cells, places), default=0)
    lines = []
    for name, where, end in zip(shown, places, ends):
        line = Line(room, unicode).put(tokens.TEXT, " " * indent).put(tokens.NAME, name)
        line.skip_to(indent + most + 2).put(tokens.TEXT, where).skip_to(indent + most + widest + 4)
        lines.append(line.put(tokens.QUIET, end))
    problem = frames[-1].problem if frames else None
    if problem:
        lines.append(
            Line(room, unicode).put(tokens.TEXT, " " * indent).put(tokens.PROBLEM, clean(problem, unicode))
        )
    return lines


def _end(one: Folded, unicode: bool) -> str:
    size = sizes.size(one.size) if one.size else "inlined" if one.frame.inlined else ""
    times = f"{'×' if unicode else 'x'}{one.times:,}" if one.times > 1 else ""
    return f"{size:>9}  {times}".rstrip()


def _where(frame: Frame, width: int, unicode: bool) -> str:
    text = place(frame.file if frame.file != "?" else None, frame.line)
    return clip_left(clean(text, unicode), width, unicode)


def program(executable: Optional[str]) -> str:
    """The program's name without its folder."""
    return os.path.basename(executable) if executable else "?"
