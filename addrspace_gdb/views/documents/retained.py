"""`retained/1`: who keeps what alive, as the schema in views/documents/schema says it."""

from __future__ import annotations

from typing import Any, Dict

from addrspace_gdb.space.graph.kept import OBJECT, UNTYPED, Retained, Row, Size
from addrspace_gdb.views.documents.form import target_json

SCHEMA = "retained/1"


def retained_json(found: Retained) -> Dict[str, Any]:
    """Everything that `addrspace retained` knows."""
    totals = found.totals
    return {
        "schema": SCHEMA,
        "target": target_json(found.info),
        "by": found.by,
        "totals": {
            "allocated": size_json(totals.allocated),
            "reached": size_json(totals.reached),
            "unreached": size_json(totals.unreached),
        },
        "retained": [row_json(row) for row in found.rows],
        "notes": found.notes,
        "problems": found.problems,
    }


def size_json(size: Size) -> Dict[str, int]:
    """Bytes and objects."""
    return {"bytes": size.bytes, "objects": size.objects}


def row_json(row: Row) -> Dict[str, Any]:
    """One root or object."""
    is_goroutine = row.kind == "goroutine"
    return {
        "root": None if row.kind in (OBJECT, UNTYPED) else row.name,
        "kind": row.kind,
        "address": hex(row.address) if row.address is not None and not is_goroutine else None,
        "goid": row.address if is_goroutine else None,
        "goroutines": row.goroutines if row.kind == "group" else None,
        "type": row.type,
        "package": row.package,
        "size": row.own,
        "exact": row.exact,
        **size_json(row.size),
        "children": [row_json(child) for child in row.children],
        "more": row.more,
    }
