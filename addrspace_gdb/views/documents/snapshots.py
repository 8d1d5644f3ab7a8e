"""`snapshots/1`: the snapshots of a session, as its schema in views/documents/schema says it."""

from __future__ import annotations

from typing import Any, Dict, List

from addrspace_gdb.space.moments.snapshot import Snapshot
from addrspace_gdb.views.documents.diff import moment_json
from addrspace_gdb.views.snapshots import goroutines, resident, virtual


def snapshots_json(found: List[Snapshot]) -> Dict[str, Any]:
    """`snapshots/1`: each moment, and what it adds up to."""
    return {
        "schema": "snapshots/1",
        "snapshots": [
            {
                **moment_json(one),
                "virtual": virtual(one),
                "resident": resident(one),
                "goroutines": goroutines(one),
                "bytes_kept": one.bytes_kept,
            }
            for one in found
        ],
    }
