"""`gc/1`: the JSON of `addrspace gc`, as its schema in views/documents/schema says it."""

from __future__ import annotations

from typing import Any, Dict

from addrspace_gdb.goruntime import mstats
from addrspace_gdb.space.counters.collector import GCState
from addrspace_gdb.views.documents.form import target_json

SCHEMA = "gc/1"


def gc_json(state: GCState) -> Dict[str, Any]:
    """The document: what is not known is null, and `unknown` says why."""
    made: Dict[str, Any] = {"schema": SCHEMA, "target": target_json(state.info), "phase": state.phase}
    for name, row in state.rows.items():
        value = row.value
        if row.unit == mstats.BOOL and value is not None:
            value = bool(value)
        group, _, key = name.rpartition(".")
        (made.setdefault(group, {}) if group else made)[key] = value
    made["last"].update(age=state.age, age_exact=state.age_exact)
    made["workers"]["by_mode"] = dict(sorted(state.workers.items()))
    made["scavenger"]["state"] = state.scavenger
    made["unknown"] = {name: row.reason for name, row in state.rows.items() if row.reason is not None}
    made["notes"] = [*state.notes, *state.problems.left_out]
    made["problems"] = list(state.problems)
    return made
