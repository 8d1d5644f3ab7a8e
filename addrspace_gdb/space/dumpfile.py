"""A dump (`addrspace/1`, made by `addrspace-gdb dump --format json`) read back as a moment.

The file may be anything: what it says is checked before it is believed, and one line says what is wrong.
"""

from __future__ import annotations

import json
import os
import re
import stat
from array import array
from typing import Any, Dict, List, NamedTuple, NoReturn, Optional, Tuple

from addrspace_gdb.bulkmode import no_cycle_collection
from addrspace_gdb.goruntime import stack
from addrspace_gdb.goruntime.mspan import SpanClass
from addrspace_gdb.problems import ProblemError
from addrspace_gdb.process.escape import printable
from addrspace_gdb.process.mappings import Mapping
from addrspace_gdb.space.model import TargetInfo
from addrspace_gdb.space.region import GOROUTINE_STACKS, MAPPED_AREAS, Region
from addrspace_gdb.space.snapshot import GoroutineTable, Regions, Snapshot
from addrspace_gdb.space.stackkeys import Stack

SCHEMA = "addrspace/1"
_MOST = 4 << 30  # bytes of a file; a dump of a million goroutines has 300 MB
_TOP = 1 << 64
_ADDRESS = re.compile(r"0x[0-9a-f]{1,17}", re.ASCII)
_GOID = re.compile(r"goroutine ([0-9]{1,19})", re.ASCII)
_KEY = re.compile(r"[0-9a-f]{32}", re.ASCII)
_NO_STACK = Stack(b"", None, None, (), False)
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
    with no_cycle_collection():
        document = _load(path, shown)
        try:
            return _dump(document, os.path.basename(path))
        except _NotADumpError as error:
            raise ProblemError(f"{shown} is not a dump ({SCHEMA}): {printable(str(error))}") from None


def _load(path: str, shown: str) -> Any:
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):  # reading a pipe would block
            raise ProblemError(f"{shown} is not a file")
        if status.st_size > _MOST:
            raise ProblemError(f"{shown} is too large to be a dump")
        with open(path, "rb") as file:
            return json.loads(file.read(), parse_constant=_refuse)
    except OSError as error:
        raise ProblemError(f"cannot read {shown}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else printable(str(error))[:120]
        raise ProblemError(
            f"{shown} is not JSON: {reason}; a dump is made by `addrspace-gdb dump --format json`"
        ) from None
    except MemoryError:
        raise ProblemError(f"not enough memory to read {shown}") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number of JSON")


def _dump(document: Any, name: str) -> Dump:
    if not isinstance(document, dict):
        _wrong("it is no object")
    if document.get("schema") != SCHEMA:
        found = document.get("schema")
        _wrong(f"its schema is {str(found)[:40]!r}" if isinstance(found, str) else "it names no schema")
    target = _target(document.get("target"))
    regions = _regions(document.get("regions"))
    return Dump(
        Snapshot(
            name,
            None,
            target,
            None,
            Regions(regions),
            _goroutines(document, regions),
            _spans(document.get("spans")),
            _memstats(document.get("memstats")),
            origin="dump",
            notes=_strings(document.get("notes", [])),
            problems=_strings(document.get("problems", [])),
        ),
        _mappings(document.get("mappings")),
    )


def _wrong(reason: str) -> NoReturn:
    raise _NotADumpError(reason)


def _target(found: Any) -> TargetInfo:
    if (
        not isinstance(found, dict)
        or found.get("kind") not in _KINDS
        or found.get("pointer_size") not in (4, 8)
    ):
        _wrong("its target is not one")
    words = [_text(found.get(name), f"target.{name}", none=True) for name in ("executable", "go_version")]
    pid = _number(found["pid"], "target.pid") if found.get("pid") is not None else None
    arch = _text(found.get("arch"), "target.arch") or "?"
    page_size = _number(found.get("page_size"), "target.page_size")
    if not 0 < page_size <= 1 << 30 or page_size & (page_size - 1):
        _wrong("target.page_size is no size of a page")
    return TargetInfo(found["kind"], pid, words[0], None, arch, found["pointer_size"], page_size, words[1])


def _list(found: Any, what: str) -> List[Any]:
    if not isinstance(found, list):
        _wrong(f"it has no list of {what}")
    return found


def _regions(found: Any) -> List[Region]:
    made: List[Region] = []
    last = 0
    for number, one in enumerate(_list(found, "regions")):
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
        made.append(Region(start, end, one["area"], kind, label, permissions, resident, None, file))
    return made


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
    for number, one in enumerate(_list(found, "mappings")):
        where = f"mappings[{number}]"
        if not isinstance(one, dict):
            _wrong(f"{where} is no object")
        start, last = _range(one, where, last)
        file = _text(one.get("file"), f"{where}.file", none=True)
        permissions = _text(one.get("permissions"), f"{where}.permissions") or ""
        offset = _number(one["offset"], f"{where}.offset") if "offset" in one else -1
        made.append(Mapping(start, last, permissions, file, offset))
    return made


def _goroutines(document: Dict[str, Any], regions: List[Region]) -> Optional[GoroutineTable]:
    """The stacks that are regions of their own, each goroutine's; None if goroutines were not counted."""
    counts = document.get("goroutines")
    if counts is None:
        return None
    if not isinstance(counts, dict):
        _wrong("its goroutines are no object")
    total = _number(counts.get("total"), "goroutines.total")
    table = GoroutineTable(array("Q"), array("Q"), array("Q"), array("I"))
    for region in regions:
        if region.area != GOROUTINE_STACKS or region.kind != stack.GOROUTINE:
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
    if "stacks" in document:
        table.stacks, table.ids = _stacks(document["stacks"], table.goids)
    return table if len(table) <= total else None


def _stacks(found: Any, goids: array[int]) -> Tuple[List[Stack], array[int]]:
    """The distinct stacks, and which of them each goroutine has; one that is in none has one not known."""
    stacks = [_NO_STACK]
    numbers: Dict[int, int] = {}
    for number, one in enumerate(_list(found, "stacks"), 1):
        where = f"stacks[{number - 1}]"
        if not isinstance(one, dict) or type(one.get("system")) is not bool:
            _wrong(f"{where} is no stack")
        key = _text(one.get("key"), f"{where}.key") or ""
        if not _KEY.fullmatch(key):
            _wrong(f"{where}.key is no key")
        function, place = (
            _text(one.get(name), f"{where}.{name}", none=True) for name in ("function", "place")
        )
        frames = tuple(_text(f, f"{where}.frames") or "" for f in _list(one.get("frames"), "frames"))
        stacks.append(Stack(bytes.fromhex(key), function, place, frames, one["system"]))
        for goid in _list(one.get("goids"), "goids"):
            numbers[_number(goid, f"{where}.goids")] = number
    return stacks, array("I", (numbers.get(goid, 0) for goid in goids))


def _spans(found: Any) -> Optional[List[SpanClass]]:
    if found is None:
        return None
    made = []
    for number, one in enumerate(_list(found, "spans")):
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
    return {name: value for name, value in found.items() if type(value) is int}


def _strings(found: Any) -> List[str]:
    return [_text(one, "notes or problems") or "" for one in _list(found, "notes or problems")]


def _address(found: Any, where: str) -> int:
    if not isinstance(found, str) or not _ADDRESS.fullmatch(found):
        _wrong(f"{where} is no address")
    return int(found, 16)


def _number(found: Any, where: str) -> int:
    if type(found) is not int or not 0 <= found < 1 << 63:
        _wrong(f"{where} is no number")
    return int(found)


def _text(found: Any, where: str, none: bool = False) -> Optional[str]:
    if (found is None and none) or isinstance(found, str):
        return found
    return _wrong(f"{where} is no text")
