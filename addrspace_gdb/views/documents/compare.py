"""Two address spaces as JSON: `compare/1`, as its schema in views/documents/schema says it."""

from __future__ import annotations

from typing import Any, Dict, Optional

from addrspace_gdb.space.moments.compare import ComparedPlace, Comparison, Extent
from addrspace_gdb.views.documents.diff import moment_json

SCHEMA = "compare/1"


def compare_json(one: Comparison) -> Dict[str, Any]:
    """Rows, totals, and the points that were asked for."""
    runs = one.shared.runs
    return {
        "schema": SCHEMA,
        "left": moment_json(one.left.snapshot),
        "right": moment_json(one.right.snapshot),
        "evidence": one.shared.evidence,
        "mapped_in_both": one.both,
        "same_bytes": sum(runs.ends) - sum(runs.starts),
        "unknown_bytes": one.shared.hidden,
        "rows": [
            {
                "name": row.name,
                "left": _extent(row.left),
                "right": _extent(row.right),
                "mapped_in_both": row.both,
                "same_bytes": row.same,
            }
            for row in one.rows
        ],
        "points": [
            {
                "address": hex(point.address),
                "left": _place(point.left),
                "right": _place(point.right),
                "verdict": point.verdict,
                "reason": point.reason or None,
            }
            for point in one.points
        ],
        "notes": list(one.notes),
        "problems": [*one.left.snapshot.problems, *one.right.snapshot.problems],
    }


def _extent(side: Optional[Extent]) -> Optional[Dict[str, Any]]:
    return None if side is None else {"start": hex(side.start), "end": hex(side.end), "size": side.size}


def _place(place: Optional[ComparedPlace]) -> Optional[Dict[str, Any]]:
    if place is None:
        return None
    return {
        "start": hex(place.start),
        "end": hex(place.end),
        "area": place.what.area,
        "kind": place.what.kind,
        "label": place.what.label,
        "permissions": place.what.permissions,
        "file": place.file,
        "offset": place.offset,
        "frame": place.frame,
    }
