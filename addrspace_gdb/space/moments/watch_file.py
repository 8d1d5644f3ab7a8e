"""The lines that `addrspace-gdb watch -o FILE` wrote (`watch/1`), read back: a sample each.

The file may be anything: what it says is checked before it is believed, and one line says what is wrong.
"""

from __future__ import annotations

import json
from itertools import islice
from typing import Any, Dict, Iterator, List, NamedTuple, Optional

from addrspace_gdb.common.escape import printable
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.process.regular import open_regular
from addrspace_gdb.space.moments.sampled import FIGURES
from addrspace_gdb.space.regions.model import TargetInfo

SCHEMA = "watch/1"
_MAX_LINE = 1 << 20  # bytes
_MAX_LINES = 1 << 20  # a year of a sample every half minute
_LAST_TIME = 1 << 38  # seconds since the epoch
_KINDS = ("live", "core", "remote")


class Seen(NamedTuple):
    """One sample as its line has it."""

    info: TargetInfo
    number: int
    time: float  # seconds since the epoch
    figures: Dict[str, Optional[int]]  # by FIGURES; bytes, but goroutines and threads; None: not known
    verdict: Optional[str]  # only the last one has it
    problems: List[str]


class _NotALineError(Exception):
    """What is wrong with a line."""


def is_watch(path: str) -> bool:
    """Whether it looks like such a file, by its first bytes. ProblemError if it cannot be read."""
    with open_regular(path) as file:
        start = file.read(256).replace(b" ", b"")
    return start.startswith(b'{"schema":"%s"' % SCHEMA.encode())


def read_watch(path: str, most: int) -> List[Seen]:
    """The samples in the file, no more than `most` of them: then those that are about as far apart, the first
    and the last too. ProblemError, in one line, if a line is none."""
    found: List[Seen] = []
    shown = printable(path)
    with open_regular(path) as file:
        try:
            for number, line in enumerate(iter(lambda: file.readline(_MAX_LINE + 1), b""), 1):
                if len(line) > _MAX_LINE or number > _MAX_LINES:
                    raise ProblemError(f"{shown}: line {number:,} is too long, or one too many")
                _add(found, _seen(_object(line)))
        except _NotALineError as error:
            raise ProblemError(f"{shown}: line {number:,} is no sample ({SCHEMA}): {error}") from None
        except OSError as error:
            raise ProblemError(f"cannot read {shown}: {error.strerror or error}") from None
    return list(_thinned(found, most))


def _add(found: List[Seen], one: Seen) -> None:
    """The last line says the last sample once more, with the verdict."""
    if found and found[-1].number == one.number:
        found.pop()
    found.append(one)


def _thinned(found: List[Seen], most: int) -> Iterator[Seen]:
    if len(found) <= most:
        return iter(found)
    places = {round(at * (len(found) - 1) / (most - 1)) for at in range(most)}
    return (found[at] for at in sorted(places))


def _object(line: bytes) -> Dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        raise _NotALineError("it is not JSON") from None
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        raise _NotALineError("it does not say so")
    return found


def _seen(found: Dict[str, Any]) -> Seen:
    number, verdict = found.get("sample"), found.get("verdict")
    if type(number) is not int:
        raise _NotALineError("it has no number")
    sentence = verdict.get("sentence") if isinstance(verdict, dict) else None
    problems = found.get("problems")
    return Seen(
        _info(found.get("target")),
        number,
        _time(found.get("time")),
        _figures(found.get("figures")),
        sentence if isinstance(sentence, str) else None,
        [one for one in islice(problems, 100) if isinstance(one, str)] if isinstance(problems, list) else [],
    )


def _time(found: Any) -> float:
    if not isinstance(found, (int, float)) or not 0 <= found < _LAST_TIME:
        raise _NotALineError("it has no time")
    return float(found)


def _figures(found: Any) -> Dict[str, Optional[int]]:
    if not isinstance(found, dict):
        raise _NotALineError("it has no figures")
    return {name: _now(found.get(name), name) for name in FIGURES}


def _now(found: Any, name: str) -> Optional[int]:
    if found is None:
        return None
    value = found.get("now") if isinstance(found, dict) else None
    if type(value) is not int or not 0 <= value < 1 << 63:
        raise _NotALineError(f"{name} is no figure")
    return value


def _info(found: Any) -> TargetInfo:
    if not isinstance(found, dict) or found.get("kind") not in _KINDS or type(found.get("pid")) is not int:
        raise _NotALineError("its target is not one")
    names = ("executable", "arch", "go_version")
    executable, arch, version = (one if isinstance(one := found.get(name), str) else None for name in names)
    word, page = (one if type(one := found.get(name)) is int else 0 for name in ("pointer_size", "page_size"))
    return TargetInfo(found["kind"], found["pid"], executable, None, arch or "?", word, page, version)
