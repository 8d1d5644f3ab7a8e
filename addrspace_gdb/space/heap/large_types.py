"""What large objects are: their spans keep the type since Go 1.22 (src/runtime/mheap.go: mspan.largeType)."""

from __future__ import annotations

from array import array
from heapq import nlargest
from itertools import compress
from operator import and_
from typing import Dict

from addrspace_gdb.common.problems import ProblemError, Problems, UnreadableError
from addrspace_gdb.goruntime.columns import read_columns
from addrspace_gdb.goruntime.moduledata import modules
from addrspace_gdb.goruntime.mspan import IN_USE
from addrspace_gdb.goruntime.record import Runtime
from addrspace_gdb.goruntime.rtype import Types
from addrspace_gdb.space.reading.whole import Reading
from addrspace_gdb.target.protocol import Target

_MOST = 1000  # objects, the largest
_NAMES = 200  # types: each takes a few reads
_IS_LARGE, _IS_IN_USE = (bytes(number == wanted for number in range(256)) for wanted in (0, IN_USE))


def large_types(reading: Reading, target: Target) -> Dict[int, str]:
    """Names of the types of the largest large objects, by where they start; for an array made by `make` that
    of its element. Objects without pointers have none, nor have any before Go 1.22."""
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
        names: Dict[int, str] = {}
        for address in list(dict.fromkeys(filter(None, rows["type"])))[:_NAMES]:
            found = types.at(address)
            if found is not None:
                names[address] = found.name
    except (ProblemError, UnreadableError, KeyError):
        return {}
    return {starts[mspan]: names[one] for mspan, one in zip(rows["address"], rows["type"]) if one in names}


def _largest(reading: Reading) -> Dict[int, int]:
    """Where the largest objects that may have pointers start, by their mspans."""
    columns = reading.go.spans.columns
    states = columns["state"].tobytes().translate(_IS_IN_USE)
    mask = columns["spanclass"].tobytes().translate(_IS_LARGE)
    sized = compress(zip(columns["pages"], columns["address"], columns["start"]), map(and_, mask, states))
    return {address: start for _, address, start in nlargest(_MOST, sized)}
