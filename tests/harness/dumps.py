"""Reads the goroutine dumps that Go itself prints (traceback.go of Go 1.21 to 1.27)."""

from __future__ import annotations

import re
from typing import Iterator, List, NamedTuple, Optional

_HEADER = re.compile(
    r"goroutine (?P<goid>\d+)(?: gp=(?P<gp>0x[0-9a-f]+|nil))?(?: m=(?P<m>\d+|nil)(?: mp=0x[0-9a-f]+)?)?"
    r" \[(?P<status>[^\]]*)\](?: \{(?P<labels>.*)\})?:"
)
_PLACE = re.compile(
    r"\t(?P<file>.+?):(?P<line>\d+)(?: \+(?P<offset>0x[0-9a-f]+))?"
    r"(?: fp=(?P<fp>0x[0-9a-f]+) sp=(?P<sp>0x[0-9a-f]+) pc=(?P<pc>0x[0-9a-f]+))?"
)
_CREATED = re.compile(r"created by (?P<function>.+?)(?: in goroutine (?P<goid>\d+))?")
_ELIDED = re.compile(r"\.\.\.(?P<count>\d+|additional) frames elided\.\.\.")


class Frame(NamedTuple):
    """A frame as printed: offsets and addresses are None where Go prints none (inlined calls)."""

    function: str  # without its arguments; "panic" stands for runtime.gopanic
    file: str
    line: int
    offset: Optional[int]  # of the pc in the function
    inlined: bool  # the arguments are printed as "..."
    fp: Optional[int] = None
    sp: Optional[int] = None
    pc: Optional[int] = None


class Creator(NamedTuple):
    """Who started a goroutine. `goid` is None where Go does not say."""

    function: str
    goid: Optional[int]
    file: str
    line: int


class Goroutine(NamedTuple):
    """A goroutine of a dump."""

    goid: int
    status: str  # "running", "chan receive", …: the wait reason where Go has one, else the status
    minutes: int  # of waiting, 0 if fewer than one
    locked: bool  # to its thread
    scan: bool
    labels: str  # as printed (Go 1.26 and newer, if asked for), else empty
    frames: List[Frame]  # innermost first, without the elided ones
    elided: Optional[int]  # how many frames Go left out after the first 50; None for "additional"
    unavailable: bool  # "goroutine running on other thread; stack unavailable"
    created_by: Optional[Creator]
    thread: Optional[int]  # the M's id, where printed


def goroutine_dump_parse(text: str) -> List[Goroutine]:
    """Every goroutine of a dump, in its order. Lines before the first one (a panic's) are passed over."""
    found: List[Goroutine] = []
    lines: List[str] = []
    for line in text.splitlines():
        if _HEADER.fullmatch(line):
            _finish(found, lines)
            lines = [line]
        elif not line:
            _finish(found, lines)
            lines = []
        elif lines:
            lines.append(line)
    _finish(found, lines)
    return found


def _finish(found: List[Goroutine], lines: List[str]) -> None:
    if lines:
        found.append(_goroutine(lines))


def _goroutine(lines: List[str]) -> Goroutine:
    header = _HEADER.fullmatch(lines[0])
    assert header
    state = _state(header.group("status"))
    body = _body(lines[1:])
    m = header.group("m")
    return Goroutine(
        int(header.group("goid")),
        state.status,
        state.minutes,
        state.locked,
        state.scan,
        header.group("labels") or state.labels,
        body.frames,
        body.elided,
        body.unavailable,
        body.created_by,
        int(m) if m and m != "nil" else None,
    )


class _State(NamedTuple):
    status: str
    minutes: int
    locked: bool
    scan: bool
    labels: str


def _state(text: str) -> _State:
    """What stands between the brackets of a header (goroutineheader in runtime/traceback.go)."""
    inside = re.fullmatch(r"(.*?) labels:\{(.*)\}", text)  # Go 1.26; later ones print them after the bracket
    text, labels = inside.groups() if inside else (text, "")
    status, *more = text.split(", ")
    minutes = [int(word[: -len(" minutes")]) for word in more if word.endswith(" minutes")]
    scan = status.endswith(" (scan)")
    status = status[: -len(" (scan)")] if scan else status
    return _State(status, minutes[0] if minutes else 0, "locked to thread" in more, scan, labels)


class _Body(NamedTuple):
    frames: List[Frame]
    elided: Optional[int]
    unavailable: bool
    created_by: Optional[Creator]


def _body(lines: List[str]) -> _Body:
    frames: List[Frame] = []
    elided: Optional[int] = 0
    unavailable = False
    created: Optional[Creator] = None
    rest = iter(lines)
    for line in rest:
        left_out = _ELIDED.fullmatch(line)
        creator = _CREATED.fullmatch(line)
        if left_out:
            elided = int(left_out.group("count")) if left_out.group("count") != "additional" else None
        elif "stack unavailable" in line:
            unavailable = True
        elif creator:
            created = _creator(creator, rest)
        elif line.startswith("[originating from"):
            break
        else:
            frames += _frame(line, rest)
    return _Body(frames, elided, unavailable, created)


def _number(text: Optional[str]) -> Optional[int]:
    return int(text, 16) if text else None


def _frame(line: str, rest: Iterator[str]) -> List[Frame]:
    """The frame whose first line is `line`; none where it is not a frame's ("rax 0x0", "-----")."""
    if not line.endswith(")") or line.startswith("\t"):
        return []
    place = _PLACE.fullmatch(next(rest, ""))
    if not place:
        return []
    function, arguments = _split_arguments(line)
    addresses = [_number(place.group(name)) for name in ("fp", "sp", "pc")]
    return [
        Frame(
            function,
            place.group("file"),
            int(place.group("line")),
            _number(place.group("offset")),
            arguments == "(...)" and place.group("offset") is None,
            *addresses,
        )
    ]


def _split_arguments(line: str) -> List[str]:
    """`main.(*T).f(0x1, {0x2})` into its name and its arguments: the last balanced parentheses."""
    depth = 0
    for index in range(len(line) - 1, -1, -1):
        depth += {")": 1, "(": -1}.get(line[index], 0)
        if depth == 0:
            return [line[:index], line[index:]]
    return [line, ""]


def _creator(match: re.Match[str], rest: Iterator[str]) -> Creator:
    place = _PLACE.fullmatch(next(rest, ""))
    goid = int(match.group("goid")) if match.group("goid") else None
    file, line = (place.group("file"), int(place.group("line"))) if place else ("", 0)
    return Creator(match.group("function"), goid, file, line)
