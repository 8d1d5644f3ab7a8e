"""A dump (`addrspace/1`, made by `addrspace-gdb dump --format json`) read back as a moment.

The file may be anything: what it says is checked before it is believed, and one line says what is wrong. It
is read item by item, so that what is kept of it is all the memory that it takes.
"""

from __future__ import annotations

import os
import re
import sys
from array import array
from typing import Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, NoReturn, Optional, Tuple

from addrspace_gdb.common.escape import printable, shortened
from addrspace_gdb.common.gcpause import no_cycle_collection
from addrspace_gdb.common.problems import ProblemError
from addrspace_gdb.common.sizes import size
from addrspace_gdb.goruntime import stackpieces
from addrspace_gdb.goruntime.mspan import SpanClass
from addrspace_gdb.process.mappings import Mapping
from addrspace_gdb.process.regular import open_regular
from addrspace_gdb.space.goroutines.stack_keys import StackKey
from addrspace_gdb.space.moments.json_stream import Items, JsonStream, NotAnObjectError
from addrspace_gdb.space.moments.snapshot import GoroutineTable, Regions, Snapshot
from addrspace_gdb.space.regions.model import TargetInfo
from addrspace_gdb.space.regions.region import GOROUTINE_STACKS, MAPPED_AREAS, Region

SCHEMA = "addrspace/1"
# A dump of a million goroutines, with --stacks and a span of the heap between any two stacks, has 414 MB.
_MAX_FILE = 1 << 30  # bytes of a file
_MAX_REGIONS, _MAX_MAPPINGS = 3 << 20, 1 << 20
_MAX_STACKS, _MAX_FRAMES = 1 << 20, 1 << 22  # those that differ, and of all of them
_MAX_LINES, _MAX_COUNTERS = 1 << 10, 1 << 12
_TOP = 1 << 64
_ADDRESS = re.compile(r"0x[0-9a-f]{1,17}", re.ASCII)
_GOID = re.compile(r"goroutine ([0-9]{1,19})", re.ASCII)
_KEY = re.compile(r"[0-9a-f]{32}", re.ASCII)
_NO_STACK = StackKey(b"", None, None, (), False)
_LAST_TIME = 1 << 38  # seconds since the epoch
_KINDS = ("live", "core", "remote")


class Dump(NamedTuple):
    """A dump's moment, and its mappings with files and, in dumps that have them, offsets (else -1)."""

    snapshot: Snapshot
    mappings: List[Mapping]


class _NotADumpError(Exception):
    """What is wrong with the document."""


def read_dump(path: str) -> Dump:
    """The dump in the file at `path`. ProblemError, in one line, if it is not one."""
    shown = printable(path)
    with no_cycle_collection(), open_regular(path) as file:
        length = os.fstat(file.fileno()).st_size
        if length > _MAX_FILE:
            raise ProblemError(
                f"{shown} has {size(length)}: a dump of more than {size(_MAX_FILE)} is not read"
            )
        try:
            return _dump(JsonStream(file), os.path.basename(path))
        except NotAnObjectError:
            raise ProblemError(f"{shown} is not a dump ({SCHEMA}): it is no object") from None
        except _NotADumpError as error:
            raise ProblemError(f"{shown} is not a dump ({SCHEMA}): {printable(str(error))}") from None
        except OSError as error:
            raise ProblemError(f"cannot read {shown}: {error.strerror or error}") from None
        except (ValueError, RecursionError) as error:
            deep = isinstance(error, RecursionError)
            reason = "nested too deeply" if deep else printable(str(error))[:120]
            raise ProblemError(
                f"{shown} is not JSON: {reason}; a dump is made by `addrspace-gdb dump --format json`"
            ) from None
        except MemoryError:
            raise ProblemError(f"not enough memory to read {shown}") from None


def _dump(stream: JsonStream, name: str) -> Dump:
    found: Dict[str, Any] = {}
    for key, value in stream.members():
        if key in found:
            _wrong(f"it has {key[:40]!r} twice")
        if key in _READERS:
            found[key] = _READERS[key](value)
    if "schema" not in found:
        _wrong("it names no schema")
    for key in ("target", "regions", "mappings"):
        if key not in found:
            found[key] = _READERS[key](None)
    regions, table = found["regions"]
    return Dump(
        Snapshot(
            name,
            found.get("taken"),
            found["target"],
            None,
            regions,
            _with_stacks(table, found.get("goroutines"), found.get("stacks")),
            found.get("spans"),
            found.get("memstats"),
            origin="dump",
            notes=found.get("notes", []),
            problems=found.get("problems", []),
        ),
        found["mappings"],
    )


def _schema(found: Any) -> str:
    if found != SCHEMA:
        _wrong(f"its schema is {found[:40]!r}" if isinstance(found, str) else "it names no schema")
    return SCHEMA


def _wrong(reason: str) -> NoReturn:
    raise _NotADumpError(reason)


def _target(found: Any) -> TargetInfo:
    if not isinstance(found, dict) or found.get("kind") not in _KINDS:
        _wrong("its target is not one")
    pointer_size = _number(found.get("pointer_size"), "target.pointer_size")
    if pointer_size not in (4, 8):
        _wrong("target.pointer_size is no size of a pointer")
    words = [_text(found.get(name), f"target.{name}", none=True) for name in ("executable", "go_version")]
    pid = _number(found["pid"], "target.pid") if found.get("pid") is not None else None
    arch = _text(found.get("arch"), "target.arch") or "?"
    page_size = _number(found.get("page_size"), "target.page_size")
    if not 0 < page_size <= 1 << 30 or page_size & (page_size - 1):
        _wrong("target.page_size is no size of a page")
    return TargetInfo(found["kind"], pid, words[0], None, arch, pointer_size, page_size, words[1])


def _list(found: Any, what: str, most: int) -> Iterator[Any]:
    if not isinstance(found, (list, Items)):
        _wrong(f"it has no list of {what}")
    for number, one in enumerate(found):
        if number >= most:
            _wrong(f"it has more than {most:,} {what}")
        yield one


def _regions(found: Any) -> Tuple[Regions, GoroutineTable]:
    """All regions, and of them the stacks that are regions of their own, each goroutine's."""
    table = GoroutineTable(array("Q"), array("Q"), array("Q"), array("I"))
    return Regions(_noted(_each_region(found), table)), table


def _each_region(found: Any) -> Iterator[Region]:
    last = 0
    for number, one in enumerate(_list(found, "regions", _MAX_REGIONS)):
        where = f"regions[{number}]"
        if not isinstance(one, dict):
            _wrong(f"{where} is no object")
        start, end = _range(one, where, last)
        last = end
        if one.get("area") not in MAPPED_AREAS:
            _wrong(f"{where}.area is no area")
        resident = _number(one["resident"], f"{where}.resident") if one.get("resident") is not None else None
        if resident is not None and resident > end - start:
            _wrong(f"{where}.resident is more than its size")
        kind, label, permissions = (
            _text(one.get(name), f"{where}.{name}") or "" for name in ("kind", "label", "permissions")
        )
        file = _text(one.get("file"), f"{where}.file", none=True)
        yield Region(start, end, one["area"], kind, label, permissions, resident, None, file)


def _noted(regions: Iterable[Region], table: GoroutineTable) -> Iterator[Region]:
    """The same regions; the goroutines' stacks among them come into the table."""
    for region in regions:
        yield region
        if region.area != GOROUTINE_STACKS or region.kind != stackpieces.GOROUTINE:
            continue
        match = _GOID.fullmatch(region.label)
        goid = int(match.group(1)) if match else _TOP
        if goid >= _TOP:
            continue
        if table.goids and (table.goids[-1], table.los[-1] + table.sizes[-1]) == (goid, region.start):
            table.sizes[-1] += region.end - region.start  # in two mappings
            continue
        table.goids.append(goid)
        table.los.append(region.start)
        table.sizes.append(region.end - region.start)


def _range(one: Dict[str, Any], where: str, last: int) -> Tuple[int, int]:
    start, end = _address(one.get("start"), f"{where}.start"), _address(one.get("end"), f"{where}.end")
    if not last <= start < end <= _TOP:
        _wrong(f"{where} is out of order, overlaps another one, or is empty")
    if end == _TOP:  # no mapping reaches there, and a column has 64 bits
        _wrong(f"{where} ends beyond all addresses")
    return start, end


def _mappings(found: Any) -> List[Mapping]:
    made: List[Mapping] = []
    last = 0
    for number, one in enumerate(_list(found, "mappings", _MAX_MAPPINGS)):
        where = f"mappings[{number}]"
        if not isinstance(one, dict):
            _wrong(f"{where} is no object")
        start, last = _range(one, where, last)
        file = _text(one.get("file"), f"{where}.file", none=True)
        permissions = _text(one.get("permissions"), f"{where}.permissions") or ""
        offset = _number(one["offset"], f"{where}.offset") if "offset" in one else -1
        made.append(Mapping(start, last, permissions, file, offset))
    return made


def _total(found: Any) -> Optional[int]:
    """How many goroutines there were; None if they were not counted."""
    if found is None:
        return None
    if not isinstance(found, dict):
        _wrong("its goroutines are no object")
    return _number(found.get("total"), "goroutines.total")


_Stacks = Tuple[List[StackKey], Dict[int, int]]


def _with_stacks(
    table: GoroutineTable, total: Optional[int], stacks: Optional[_Stacks]
) -> Optional[GoroutineTable]:
    """The table, with which stack each goroutine has: one that is in none has one that is not known."""
    if total is None or len(table) > total:
        return None
    if stacks is not None:
        table.stacks = stacks[0]
        table.ids = array("I", (stacks[1].get(goid, 0) for goid in table.goids))
    return table


def _stacks(found: Any) -> _Stacks:
    """The distinct stacks, and the number of each goroutine's among them."""
    stacks, frames = [_NO_STACK], 0
    numbers: Dict[int, int] = {}
    for number, one in enumerate(_list(found, "stacks", _MAX_STACKS), 1):
        where = f"stacks[{number - 1}]"
        if not isinstance(one, dict) or type(one.get("system")) is not bool:
            _wrong(f"{where} is no stack")
        key = _text(one.get("key"), f"{where}.key") or ""
        if not _KEY.fullmatch(key):
            _wrong(f"{where}.key is no key")
        function, place = (
            _text(one.get(name), f"{where}.{name}", none=True) for name in ("function", "place")
        )
        all_frames = _list(one.get("frames"), "frames", _MAX_FRAMES - frames)
        own = tuple(sys.intern(_text(frame, f"{where}.frames") or "") for frame in all_frames)
        frames += len(own)
        stacks.append(StackKey(bytes.fromhex(key), function, place, own, one["system"]))
        for goid in _list(one.get("goids"), "goids", _MAX_REGIONS - len(numbers)):
            numbers[_number(goid, f"{where}.goids")] = number
    return stacks, numbers


def _spans(found: Any) -> Optional[List[SpanClass]]:
    if found is None:
        return None
    made = []
    for number, one in enumerate(_list(found, "spans", _MAX_COUNTERS)):
        where = f"spans[{number}]"
        if not isinstance(one, dict) or type(one.get("noscan")) is not bool:
            _wrong(f"{where} is no class of spans")
        size = _number(one["size"], f"{where}.size") if one.get("size") is not None else 0
        counts = [_number(one.get(name), f"{where}.{name}") for name in ("spans", "bytes", "objects")]
        made.append(SpanClass(size, one["noscan"], *counts))
    return made


def _memstats(found: Any) -> Optional[Dict[str, int]]:
    if found is None:
        return None
    if not isinstance(found, dict):
        _wrong("its memstats are no object")
    if len(found) > _MAX_COUNTERS:
        _wrong(f"its memstats are more than {_MAX_COUNTERS:,}")
    return {name: value for name, value in found.items() if type(value) is int}


def _taken(found: Any) -> Optional[float]:
    """When it was taken; None for a core."""
    if found is None:
        return None
    if type(found) not in (int, float) or not 0 <= found < _LAST_TIME:
        _wrong("taken is no time")
    return float(found)


def _strings(found: Any) -> List[str]:
    return [_text(one, "notes or problems") or "" for one in _list(found, "notes or problems", _MAX_LINES)]


def _address(found: Any, where: str) -> int:
    if not isinstance(found, str) or not _ADDRESS.fullmatch(found):
        _wrong(f"{where} is no address")
    return int(found, 16)


def _number(found: Any, where: str) -> int:
    if type(found) is not int or not 0 <= found < 1 << 63:
        _wrong(f"{where} is no number")
    return int(found)


def _text(found: Any, where: str, none: bool = False) -> Optional[str]:
    if found is None and none:
        return None
    if isinstance(found, str):
        return shortened(found)
    return _wrong(f"{where} is no text")


_READERS: Dict[str, Callable[[Any], Any]] = {
    "schema": _schema,
    "target": _target,
    "regions": _regions,
    "mappings": _mappings,
    "goroutines": _total,
    "stacks": _stacks,
    "spans": _spans,
    "memstats": _memstats,
    "notes": _strings,
    "problems": _strings,
    "taken": _taken,
}
