"""`holders/1`: who holds an object, as the schema in views/documents/schema says it."""

from __future__ import annotations

from typing import Any, Dict, Optional

from addrspace_gdb.space.graph.holding import Held, Holding, Path, Root, Step
from addrspace_gdb.views.documents.form import target_json

SCHEMA = "holders/1"


def holders_json(found: Holding) -> Dict[str, Any]:
    """Everything that `addrspace holders` knows."""
    return {
        "schema": SCHEMA,
        "target": target_json(found.info),
        "objects": [held_json(one) for one in found.objects],
        "notes": found.notes,
        "problems": found.problems,
    }


def held_json(held: Held) -> Dict[str, Any]:
    """An object and its paths."""
    one = held.object
    return {
        "expression": held.expression,
        "asked": hex(held.asked),
        "address": hex(one.address),
        "size": one.size,
        "type": one.type,
        "package": one.package,
        "several": one.several,
        "reachable": held.roots > 0,
        "roots": held.roots,
        "paths": [_path(path) for path in held.paths],
        "more": held.more,
    }


def _path(path: Path) -> Dict[str, Any]:
    return {
        "count": path.many,
        "root": _root(path.root),
        "steps": [_step(step) for step in path.steps],
        "skipped": path.skipped,
    }


def _root(root: Root) -> Dict[str, Any]:
    return {
        "kind": "goroutine" if root.kind == "function" else root.kind,
        "name": root.name or None,
        "address": _hex(root.address),
        "offset": root.offset,
        "field": root.field,
        "goid": root.goid,
        "started": root.started,
        "local": root.local,
        "exact": root.exact,
    }


def _step(step: Step) -> Dict[str, Any]:
    return {
        "address": hex(step.address),
        "size": step.size,
        "type": step.type,
        "package": step.package,
        "role": step.role,
        "several": step.several,
        "offset": step.offset,
        "field": step.field,
        "into": step.into,
    }


def _hex(address: Optional[int]) -> Optional[str]:
    return hex(address) if address is not None else None
