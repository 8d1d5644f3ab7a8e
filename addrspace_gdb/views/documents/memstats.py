"""`memstats/1`: the JSON of `addrspace memstats`, as its schema in views/documents/schema says it."""

from __future__ import annotations

from typing import Any, Dict, Optional, Sequence, Set, Union

from addrspace_gdb.goruntime import mstats
from addrspace_gdb.space.counters.statistics import Statistic, Statistics
from addrspace_gdb.views.documents.form import target_json

SCHEMA = "memstats/1"
BY_SIZE, PAUSE_NS, PAUSE_END = "BySize", "PauseNs", "PauseEnd"
ARRAYS = (BY_SIZE, PAUSE_NS, PAUSE_END)


def memstats_json(
    stats: Statistics, memstats: Sequence[Statistic], metrics: Sequence[Statistic], arrays: Set[str]
) -> Dict[str, Any]:
    """The document: the rows that are asked for, and those of `ARRAYS`."""
    made: Dict[str, Any] = {
        "schema": SCHEMA,
        "target": target_json(stats.info),
        "gc_phase": stats.phase,
        "memstats": {row.name: _row(row) for row in memstats},
        "metrics": {row.name: _row(row) for row in metrics},
    }
    if BY_SIZE in arrays:
        names = ("size", "mallocs", "frees")
        made["by_size"] = stats.by_size and [dict(zip(names, entry)) for entry in stats.by_size]
    for place, (name, key) in enumerate(((PAUSE_NS, "pause_ns"), (PAUSE_END, "pause_end"))):
        if name in arrays:
            made[key] = stats.pauses and stats.pauses[place]
    made["unsettled"] = stats.unsettled
    made["notes"] = list(stats.notes)
    made["problems"] = list(stats.problems)
    return made


_UNITS = {mstats.TOTAL_BYTES: mstats.BYTES, mstats.GOAL: mstats.BYTES}


def _row(row: Statistic) -> Dict[str, Any]:
    how = "counted" if row.counted is not None else "walked" if row.walked is not None else None
    return {
        "value": _value(row, row.value),
        "unit": _UNITS.get(row.unit, row.unit),
        "how": how,
        "counted": _value(row, row.counted),
        "source": row.source,
        "walked": row.walked,
        "over": row.over or None,
        "agrees": row.agrees,
        "reason": row.reason,
    }


def _value(row: Statistic, value: Optional[Union[int, float]]) -> Optional[Union[int, float, bool]]:
    return bool(value) if row.unit == mstats.BOOL and value is not None else value
