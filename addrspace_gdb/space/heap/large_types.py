"""What large objects are: their spans keep the type since Go 1.22 (src/runtime/mheap.go: mspan.largeType)."""

from __future__ import annotations

from array import array
from heapq import nlargest
from itertools import compress
from operator import and_
from typing import Dict, Tuple

from addrspace_gdb.common.problems import ProblemError, Problems, UnreadableError
from addrspace_gdb.goruntime.columns import read_columns
from addrspace_gdb.goruntime.moduledata import modules
from addrspace_gdb.goruntime.mspan import IN_USE, PAGE
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.rtype import RType, Types
from addrspace_gdb.space.reading.whole import Reading
from addrspace_gdb.target.protocol import Target

_MOST = 1000  # objects, the largest
_NAMES = 200  # types: each takes a few reads
_IS_LARGE, _IS_IN_USE = (bytes(number == wanted for number in range(256)) for wanted in (0, IN_USE))


def large_types(reading: Reading, target: Target) -> Dict[int, str]:
    """Names of the types of the largest large objects, by where they start; of an array made by `make` as
    "[...]T". Objects without pointers have none, nor have any before Go 1.22."""
    runtime = Runtime(target, Problems())
    try:
        layout = runtime.layout("runtime.mspan")
        if not layout.has("largeType"):
            return {}
        starts = _largest(reading)
        rows = read_columns(
            runtime, array("Q", sorted(starts)), layout, {"type": "largeType"}, "large objects"
        )
        types = Types(runtime, modules(target, Problems()))
        names: Dict[int, RType] = {}
        for address in list(dict.fromkeys(filter(None, rows["type"])))[:_NAMES]:
            found = types.at(address)
            if found is not None:
                names[address] = found
    except (ProblemError, UnreadableError, KeyError):
        return {}
    return {
        start: _named(names[one], size)
        for (start, size), one in zip(map(starts.__getitem__, rows["address"]), rows["type"])
        if one in names
    }


def _named(type_: RType, size: int) -> str:
    """The type of an object in a span of `size` bytes, which may have room for several values."""
    return f"[...]{type_.name}" if 0 < 2 * type_.size <= size else type_.name


def _largest(reading: Reading) -> Dict[int, Tuple[int, int]]:
    """Start and bytes of the spans of the largest objects that may have pointers, by their mspans."""
    columns = reading.go.spans.columns
    states = columns["state"].tobytes().translate(_IS_IN_USE)
    mask = columns["spanclass"].tobytes().translate(_IS_LARGE)
    sized = compress(zip(columns["pages"], columns["address"], columns["start"]), map(and_, mask, states))
    return {address: (start, pages * PAGE) for pages, address, start in nlargest(_MOST, sized)}
