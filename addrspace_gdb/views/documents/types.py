"""`types/1`: what the heap consists of, as the schema in views/documents/schema says it."""

from __future__ import annotations

from typing import Any, Dict

from addrspace_gdb.space.graph.counted import UNTYPED, Counted, Row
from addrspace_gdb.views.documents.form import target_json
from addrspace_gdb.views.documents.retained import size_json

SCHEMA = "types/1"


def types_json(found: Counted) -> Dict[str, Any]:
    """Everything that `addrspace types` knows."""
    totals = found.totals
    return {
        "schema": SCHEMA,
        "target": target_json(found.info),
        "by": found.by,
        "totals": {
            "allocated": size_json(totals.allocated),
            "reached": size_json(totals.reached),
            "unreached": size_json(totals.unreached),
            "untyped": size_json(found.untyped),
        },
        "types": [row_json(row) for row in found.rows],
        "sites": {
            "samples": found.sites.samples,
            "known": found.sites.known,
            "conflicts": found.sites.conflicts,
            **size_json(found.sites.typed),
        },
        "conflicts": {
            "types": found.conflicts,
            "examples": [one._asdict() for one in found.examples],
            "pointers": found.misplaced,
        },
        "notes": found.notes,
        "problems": found.problems,
    }


def row_json(row: Row) -> Dict[str, Any]:
    """One type, package or kind."""
    return {
        "type": row.name,
        "kind": None if row.kind == UNTYPED else row.kind,
        "package": row.package,
        "object_size": row.slot,
        "pointers": row.pointers,
        **size_json(row.size),
        "unreached": size_json(row.unreached),
    }
